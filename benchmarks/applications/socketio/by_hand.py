"""A handler that makes the services it needs."""

import socketio

from benchmarks.candidates.by_hand import make_shop, opened_async_session
from benchmarks.work import CONFIG, Engine, report

NAMES = ("by hand",)


def make(name: str) -> socketio.AsyncServer:
    """Make the server."""
    server = socketio.AsyncServer(async_mode="asgi", async_handlers=False)

    @server.event
    async def ask(sid: str, data: object) -> dict[str, bool]:
        async with opened_async_session(Engine(CONFIG)) as session:
            return report(make_shop(session))

    return server
