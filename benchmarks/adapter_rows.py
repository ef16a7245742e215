"""The rows of Starlette, Flask and Socket.IO: the cost of an adapter in a request or an event."""

from collections.abc import Iterable
from contextlib import AsyncExitStack
from importlib import import_module

from benchmarks import socket_client, wiring, wsgi
from benchmarks.applications import flask, socketio, starlette
from benchmarks.candidate import AsyncLoop
from benchmarks.row import Row
from benchmarks.web_rows import ApplicationRow, DirectRow, check_shop
from benchmarks.work import Witness


class FlaskRow(ApplicationRow):
    """Call the WSGI application in this process."""

    async def prepare(self, entrant: str, stack: AsyncExitStack) -> AsyncLoop:
        """Check two responses."""
        client = wsgi.Client(import_module(self._names[entrant]).make(entrant))

        async def get(path: str) -> tuple[int, bytes]:
            return client.get(path)

        await check_shop(get)

        async def loop(times: Iterable[None]) -> None:
            for _ in times:
                client.get(flask.PATH)

        return loop


class SocketRow(ApplicationRow):
    """Emit events to the server in this process."""

    async def prepare(self, entrant: str, stack: AsyncExitStack) -> AsyncLoop:
        """Check two acknowledgements."""
        server = import_module(self._names[entrant]).make(entrant)
        client = await stack.enter_async_context(socket_client.Client(server))
        shops = []
        for _ in range(2):
            answer = await client.emit(socketio.EVENT)
            wiring.expect(answer == {"open": True, "shared": True}, f"it says {answer!r}")
            shops.append(Witness.shop)
        wiring.check_shop(*shops)

        async def loop(times: Iterable[None]) -> None:
            for _ in times:
                await client.emit(socketio.EVENT)

        return loop


ROWS: list[Row] = [
    DirectRow(
        name="starlette",
        title="Starlette in process, seven nodes, a session that awaits",
        package=starlette,
        path=starlette.PATH,
        check=check_shop,
    ),
    FlaskRow(
        name="flask",
        title="Flask in process, seven nodes",
        package=flask,
    ),
    SocketRow(
        name="socketio",
        title="a Socket.IO event in process, seven nodes, a session that awaits",
        package=socketio,
    ),
]
