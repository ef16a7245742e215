"""A client for tests, which talks to an application in the same process and needs no port.

This module knows the protocols: Engine.IO 4 (https://github.com/socketio/engine.io-protocol) and
Socket.IO 5 (https://github.com/socketio/socket.io-protocol). `_wires` carries the frames to the
application.

What is said to a synchronous application and to an asynchronous one is the same, so it is written
once, as coroutines: see `_coroutines`.
"""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Awaitable, Callable, Iterable, Mapping
from types import TracebackType
from typing import Any, Self, overload

import socketio
from socketio import packet
from socketio.exceptions import ConnectionRefusedError as Refusal
from socketio.exceptions import DisconnectedError

from wares.socketio._coroutines import run
from wares.socketio._hook import find_registry
from wares.socketio._servers import DISPATCH_KEY
from wares.socketio._wires import CLOSED, Address, AsyncWire, Lifespan, SyncWire

_EVENTS = (packet.EVENT, packet.BINARY_EVENT)
_ACKNOWLEDGEMENTS = (packet.ACK, packet.BINARY_ACK)

#: An application as ASGI has it, and as WSGI has it.
ASGI = Callable[[Any, Any, Any], Awaitable[None]]
WSGI = Callable[[Any, Any], Iterable[bytes]]


class _Connection:
    """A client's connection to one namespace.

    Attributes:
        sid: The client's id.
    """

    sid: str

    def __init__(self, wire: Any, packet_class: Any, namespace: str) -> None:
        self._wire = wire
        self._packet_class = packet_class
        self._namespace = namespace
        self._numbers = itertools.count(1)
        self._inbox: list[Any] = []
        self._partial: Any = None
        self._is_over = False

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

    async def _emit(self, event: str, arguments: tuple[Any, ...], number: int | None) -> None:
        await self._say(packet.EVENT, [event, *arguments], number)

    async def _call(self, event: str, arguments: tuple[Any, ...]) -> Any:
        number = next(self._numbers)
        await self._emit(event, arguments, number)
        answer = await self._hear(
            lambda one: one.packet_type in _ACKNOWLEDGEMENTS and one.id == number
        )
        return _unpack(answer.data)

    async def _receive(self, event: str) -> Any:
        heard = await self._hear(
            lambda one: one.packet_type in _EVENTS and one.data[0] == event
        )
        return _unpack(heard.data[1:])

    async def _leave(self) -> None:
        """Disconnect; tell of a handler that has failed, and nobody was told yet."""
        if not self._is_over:
            self._is_over = True
            await self._say(packet.DISCONNECT)
        for left in await self._wire.close():
            if isinstance(left, Exception):
                raise left

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
            frame = await self._wire.hear()
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


class AsyncConnection(_Connection):
    """A client's connection to one namespace of an asynchronous application."""

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
        return await self._call(event, arguments)

    async def emit(self, event: str, *arguments: Any) -> None:
        """Send an event, and do not wait."""
        await self._emit(event, arguments, None)

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
        return await self._receive(event)

    async def disconnect(self) -> None:
        """Disconnect, and wait until the disconnect handler has run."""
        await self._leave()


class SyncConnection(_Connection):
    """A client's connection to one namespace of a synchronous application."""

    def call(self, event: str, *arguments: Any) -> Any:
        """Send an event, and wait for the acknowledgement; see `AsyncConnection.call`."""
        return run(self._call(event, arguments))

    def emit(self, event: str, *arguments: Any) -> None:
        """Send an event, and do not wait."""
        run(self._emit(event, arguments, None))

    def receive(self, event: str) -> Any:
        """Wait for an event that the server emits; see `AsyncConnection.receive`."""
        return run(self._receive(event))

    def disconnect(self) -> None:
        """Disconnect, and wait until the disconnect handler has run."""
        run(self._leave())


class _Client:
    """What the clients of both kinds of application have in common."""

    def __init__(self, sio: Any, app: Any, path: str, timeout: float) -> None:
        self._sio = sio
        self._address = Address(app, path, timeout)
        self._connections: list[Any] = []

    def _check(self, state: Mapping[str, Any]) -> None:
        """Refuse handlers that cannot have what they need, before anybody connects."""
        dispatch = getattr(self._sio, DISPATCH_KEY, None)
        if dispatch is not None:
            environ = {"asgi.scope": {"state": state}}
            dispatch.hook.check(find_registry(dispatch.hook.registry, environ))

    async def _connect(self, connection: Any, auth: Any) -> None:
        try:
            await connection._enter(auth)
        except BaseException:
            await connection._wire.close()
            raise
        self._connections.append(connection)

    async def _leave(self) -> None:
        try:
            while self._connections:
                await self._connections.pop()._leave()
        finally:
            for connection in self._connections:
                await connection._wire.close()

    @property
    def _packet_class(self) -> Any:
        return getattr(self._sio, "packet_class", packet.Packet)


class AsyncClient(_Client):
    """A client of an asynchronous application: see `TestClient`."""

    async def __aenter__(self) -> Self:
        self._lifespan = Lifespan(self._address.app)
        self._state = await self._lifespan.start()
        try:
            self._check(self._state)
        except BaseException:
            await self._lifespan.end()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            await self._leave()
        finally:
            await self._lifespan.end()

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
        connection = AsyncConnection(wire, self._packet_class, namespace)
        await self._connect(connection, auth)
        return connection


class SyncClient(_Client):
    """A client of a synchronous application: see `TestClient`."""

    def __enter__(self) -> Self:
        self._check({})
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        run(self._leave())

    def connect(
        self,
        namespace: str = "/",
        *,
        auth: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> SyncConnection:
        """Connect a client, one of as many as you like; see `AsyncClient.connect`."""
        wire = SyncWire(self._address, headers or {})
        connection = SyncConnection(wire, self._packet_class, namespace)
        run(self._connect(connection, auth))
        return connection


@overload
def TestClient(
    app: socketio.AsyncServer | ASGI, *, path: str = "/socket.io", timeout: float = 5
) -> AsyncClient: ...


@overload
def TestClient(
    app: socketio.Server | WSGI, *, path: str = "/socket.io", timeout: float = 5
) -> SyncClient: ...


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
        The client. Its method ``connect`` gives a connection, which has ``call``, ``emit``,
        ``receive`` and ``disconnect``.
    """
    if isinstance(app, socketio.AsyncServer):
        asgi = socketio.ASGIApp(app, socketio_path=path)
        return AsyncClient(app, asgi, path, timeout)
    if isinstance(app, socketio.Server):
        wsgi = socketio.WSGIApp(app, socketio_path=path)
        return SyncClient(app, wsgi, path, timeout)
    sio = getattr(app, "engineio_server", None)
    is_async = inspect.iscoroutinefunction(app) or inspect.iscoroutinefunction(app.__call__)
    return (AsyncClient if is_async else SyncClient)(sio, app, path, timeout)


def _unpack(values: list[Any]) -> Any:
    """Give one value as it is, several as a tuple, none as None."""
    if len(values) > 1:
        return tuple(values)
    return values[0] if values else None
