"""A client for tests, which talks to an application in the same process and needs no port.

This module knows the protocol of Socket.IO 5
(https://github.com/socketio/socket.io-protocol). `_wires` carries the frames to the application.

What is said to a synchronous application and to an asynchronous one is the same, so it is written
once, as coroutines: see `_coroutines`.
"""

from __future__ import annotations

import inspect
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import (
    AbstractAsyncContextManager,
    AbstractContextManager,
    asynccontextmanager,
    contextmanager,
)
from typing import Any, overload

import socketio
from socketio import packet
from socketio.exceptions import ConnectionRefusedError as Refusal
from socketio.exceptions import DisconnectedError

from wares._adapters.starting import started
from wares.socketio._coroutines import run
from wares.socketio._hook import find_registry
from wares.socketio._servers import DISPATCH_KEY
from wares.socketio._wires import CLOSED, Address, AsyncWire, SyncWire

_EVENTS = (packet.EVENT, packet.BINARY_EVENT)
_ACKNOWLEDGEMENTS = (packet.ACK, packet.BINARY_ACK)

#: An application as ASGI has it, and as WSGI has it.
ASGI = Callable[[Any, Any, Any], Awaitable[None]]
WSGI = Callable[[Any, Any], Iterable[bytes]]


class AsyncConnection:
    """A client's connection to one namespace of an asynchronous application.

    Attributes:
        sid: The client's id.
    """

    sid: str

    def __init__(self, wire: AsyncWire | SyncWire, packet_class: Any, namespace: str) -> None:
        self._wire = wire
        self._packet_class = packet_class
        self._namespace = namespace
        self._numbers = itertools.count(1)
        self._inbox: list[Any] = []
        self._partial: Any = None
        self._is_over = False

    async def call(self, event: str, *arguments: Any) -> Any:
        """Send an event, and wait for the acknowledgement.

        Args:
            event: The name of the event.
            arguments: The payload.

        Returns:
            What the handler has answered; a tuple if that is several values.

        Raises:
            Exception: What the handler has raised, if nothing answers it.
            TimeoutError: There is no acknowledgement.
        """
        number = next(self._numbers)
        await self._say(packet.EVENT, [event, *arguments], number)
        answer = await self._hear(
            lambda one: one.packet_type in _ACKNOWLEDGEMENTS and one.id == number
        )
        return _unpack(answer.data)

    async def emit(self, event: str, *arguments: Any) -> None:
        """Send an event, and do not wait."""
        await self._say(packet.EVENT, [event, *arguments])

    async def receive(self, event: str) -> Any:
        """Wait for an event that the server emits.

        Args:
            event: The name of the event; others wait to be asked for.

        Returns:
            The payload; a tuple if that is several values.

        Raises:
            Exception: What a handler has raised meanwhile.
            TimeoutError: The event does not come.
            socketio.exceptions.DisconnectedError: The client is not connected any more.
        """
        heard = await self._hear(
            lambda one: one.packet_type in _EVENTS and one.data[0] == event
        )
        return _unpack(heard.data[1:])

    async def disconnect(self) -> None:
        """Disconnect, and wait until the disconnect handler has run."""
        if not self._is_over:
            self._is_over = True
            await self._say(packet.DISCONNECT)
        for left in await self._wire.close():
            # A handler has failed, and nobody was told yet.
            if isinstance(left, Exception):
                raise left

    async def _enter(self, auth: Any) -> None:
        await self._say(packet.CONNECT, auth)
        answer = await self._hear(
            lambda one: one.packet_type in (packet.CONNECT, packet.CONNECT_ERROR)
        )
        if answer.packet_type == packet.CONNECT_ERROR:
            self._is_over = True
            message = answer.data.get("message") if isinstance(answer.data, dict) else None
            refusal = Refusal(*([] if message is None else [message]))
            refusal.error_args = answer.data
            raise refusal
        self.sid = answer.data["sid"]

    async def _say(self, kind: int, data: Any = None, number: int | None = None) -> None:
        said = self._packet_class(kind, data=data, namespace=self._namespace, id=number)
        encoded = said.encode()
        for frame in encoded if isinstance(encoded, list) else [encoded]:
            await self._wire.say(frame)

    async def _hear(self, is_meant: Callable[[Any], bool]) -> Any:
        """Wait for a packet; those that are not meant wait in turn."""
        while True:
            for position, heard in enumerate(self._inbox):
                if is_meant(heard):
                    return self._inbox.pop(position)
            if self._is_over:
                raise DisconnectedError("The client is not connected.")
            try:
                frame = await self._wire.hear()
            except TimeoutError:
                raise TimeoutError("The server did not send that in time.") from None
            if isinstance(frame, Exception):
                raise frame
            self._take(frame)

    def _take(self, frame: Any) -> None:
        if frame is CLOSED:
            self._is_over = True
            return
        heard = self._partial
        if heard is None:
            heard = self._packet_class(encoded_packet=frame)
            if heard.attachment_count:
                self._partial = heard
                return
        elif not heard.add_attachment(frame):
            return
        self._partial = None
        self._is_over |= heard.packet_type == packet.DISCONNECT
        self._inbox.append(heard)


class SyncConnection:
    """A client's connection to one namespace of a synchronous application.

    Attributes:
        sid: The client's id.
    """

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection
        self.sid = connection.sid

    def call(self, event: str, *arguments: Any) -> Any:
        """Send an event, and wait for the acknowledgement; see `AsyncConnection.call`."""
        return run(self._connection.call(event, *arguments))

    def emit(self, event: str, *arguments: Any) -> None:
        """Send an event, and do not wait."""
        run(self._connection.emit(event, *arguments))

    def receive(self, event: str) -> Any:
        """Wait for an event that the server emits; see `AsyncConnection.receive`."""
        return run(self._connection.receive(event))

    def disconnect(self) -> None:
        """Disconnect, and wait until the disconnect handler has run."""
        run(self._connection.disconnect())


class _Client:
    """What the clients of both kinds of application have in common."""

    def __init__(self, sio: Any, address: Address, state: Mapping[str, Any]) -> None:
        self._sio = sio
        self._address = address
        self._state = state
        self._connections: list[AsyncConnection] = []
        dispatch = getattr(sio, DISPATCH_KEY, None)
        if dispatch is not None:
            # Refuse handlers that cannot have what they need, before anybody connects.
            environ = {"asgi.scope": {"state": state}}
            dispatch.hook.check(find_registry(dispatch.hook.registry, environ))

    async def _connect(
        self, wire: AsyncWire | SyncWire, namespace: str, auth: Any
    ) -> AsyncConnection:
        packet_class = getattr(self._sio, "packet_class", packet.Packet)
        connection = AsyncConnection(wire, packet_class, namespace)
        try:
            await connection._enter(auth)
        except BaseException:
            await wire.close()
            raise
        self._connections.append(connection)
        return connection

    async def _leave(self) -> None:
        try:
            while self._connections:
                await self._connections.pop().disconnect()
        finally:
            for connection in self._connections:
                await connection._wire.close()


class AsyncClient(_Client):
    """A client of an asynchronous application: see `TestClient`."""

    async def connect(
        self,
        namespace: str = "/",
        *,
        auth: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> AsyncConnection:
        """Connect a client, one of as many as you like.

        Args:
            namespace: The namespace.
            auth: What the client sends to be let in.
            headers: Headers of the request by which it connects.

        Returns:
            Its connection, which ends with the ``with`` block if not before.

        Raises:
            socketio.exceptions.ConnectionRefusedError: The client is not let in.
            Exception: What the connect handler has raised.
        """
        wire = AsyncWire(self._address, headers or {}, self._state)
        return await self._connect(wire, namespace, auth)


class SyncClient(_Client):
    """A client of a synchronous application: see `TestClient`."""

    def connect(
        self,
        namespace: str = "/",
        *,
        auth: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> SyncConnection:
        """Connect a client, one of as many as you like; see `AsyncClient.connect`."""
        wire = SyncWire(self._address, headers or {})
        return SyncConnection(run(self._connect(wire, namespace, auth)))


@overload
def TestClient(
    app: socketio.AsyncServer | ASGI, *, path: str = "/socket.io", timeout: float = 5
) -> AbstractAsyncContextManager[AsyncClient]: ...


@overload
def TestClient(
    app: socketio.Server | WSGI, *, path: str = "/socket.io", timeout: float = 5
) -> AbstractContextManager[SyncClient]: ...


def TestClient(app: Any, *, path: str = "/socket.io", timeout: float = 5) -> Any:  # noqa: N802  # it is used as a class, and users' tests import no class whose name begins with Test
    """Talk to a Socket.IO server, or to an application with one, in the same process.

    Use it in ``async with`` for an asynchronous server or ASGI application, whose lifespan runs
    meanwhile; in ``with`` for a synchronous server (``async_mode="threading"``) or a WSGI
    application. Entered, it checks what the handlers need. An exception of a handler that nothing
    answers is raised in the test: by `call` or `receive`, or at the end.

    Args:
        app: The server or the application.
        path: Where in the application the server is.
        timeout: How long a client waits for an answer or an event, in seconds.

    Returns:
        A context manager, to be entered once, which gives the client. Its method ``connect`` gives
        a connection, which has ``call``, ``emit``, ``receive`` and ``disconnect``.
    """
    folder = f"/{path.strip('/')}/"
    if isinstance(app, socketio.AsyncServer):
        asgi = socketio.ASGIApp(app, socketio_path=path)
        return _talk_async(app, Address(asgi, folder, timeout))
    if isinstance(app, socketio.Server):
        wsgi = socketio.WSGIApp(app, socketio_path=path)
        return _talk(app, Address(wsgi, folder, timeout))
    sio = getattr(app, "engineio_server", None)
    is_async = inspect.iscoroutinefunction(app) or inspect.iscoroutinefunction(app.__call__)
    return (_talk_async if is_async else _talk)(sio, Address(app, folder, timeout))


@asynccontextmanager
async def _talk_async(sio: Any, address: Address) -> AsyncIterator[AsyncClient]:
    async with started(address.app) as state:
        client = AsyncClient(sio, address, state)
        try:
            yield client
        finally:
            await client._leave()


@contextmanager
def _talk(sio: Any, address: Address) -> Iterator[SyncClient]:
    client = SyncClient(sio, address, {})
    try:
        yield client
    finally:
        run(client._leave())


def _unpack(values: list[Any]) -> Any:
    """Give one value as it is, several as a tuple, none as None."""
    if len(values) > 1:
        return tuple(values)
    return values[0] if values else None
