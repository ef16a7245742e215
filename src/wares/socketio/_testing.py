"""A client for tests, which talks to an application in the same process and needs no port.

This module implements the protocol of Socket.IO 5
(https://github.com/socketio/socket.io-protocol); `_wires` carries the frames to the application.
The protocol is written once, as coroutines, for both kinds of application: see `_coroutines`.
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

#: The types of ASGI and WSGI applications.
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
            The answer of the handler; a tuple if it consists of several values.

        Raises:
            Exception: The exception of the handler, if no exception handler answers it.
            TimeoutError: No acknowledgement came in time.
        """
        number = next(self._numbers)
        await self._send(packet.EVENT, [event, *arguments], number)
        answer = await self._receive(
            lambda one: one.packet_type in _ACKNOWLEDGEMENTS and one.id == number
        )
        return _unpack(answer.data)

    async def emit(self, event: str, *arguments: Any) -> None:
        """Send an event without waiting for an acknowledgement."""
        await self._send(packet.EVENT, [event, *arguments])

    async def receive(self, event: str) -> Any:
        """Wait for an event that the server emits.

        Args:
            event: The name of the event. Other events are kept for later calls.

        Returns:
            The payload; a tuple if it consists of several values.

        Raises:
            Exception: The exception of a handler that failed meanwhile.
            TimeoutError: The event did not come in time.
            socketio.exceptions.DisconnectedError: The client is no longer connected.
        """
        received = await self._receive(
            lambda one: one.packet_type in _EVENTS and one.data[0] == event
        )
        return _unpack(received.data[1:])

    async def disconnect(self) -> None:
        """Disconnect, and wait until the disconnect handler has run."""
        if not self._is_over:
            self._is_over = True
            await self._send(packet.DISCONNECT)
        for left in await self._wire.close():
            # This is the exception of a handler, and no other call has raised it.
            if isinstance(left, Exception):
                raise left

    async def _enter(self, auth: Any) -> None:
        await self._send(packet.CONNECT, auth)
        answer = await self._receive(
            lambda one: one.packet_type in (packet.CONNECT, packet.CONNECT_ERROR)
        )
        if answer.packet_type == packet.CONNECT_ERROR:
            self._is_over = True
            message = answer.data.get("message") if isinstance(answer.data, dict) else None
            refusal = Refusal(*([] if message is None else [message]))
            refusal.error_args = answer.data
            raise refusal
        self.sid = answer.data["sid"]

    async def _send(self, kind: int, data: Any = None, number: int | None = None) -> None:
        sent = self._packet_class(kind, data=data, namespace=self._namespace, id=number)
        encoded = sent.encode()
        for frame in encoded if isinstance(encoded, list) else [encoded]:
            await self._wire.send(frame)

    async def _receive(self, is_wanted: Callable[[Any], bool]) -> Any:
        """Wait for a packet that *is_wanted* accepts, and keep other packets for later."""
        while True:
            for position, received in enumerate(self._inbox):
                if is_wanted(received):
                    return self._inbox.pop(position)
            if self._is_over:
                raise DisconnectedError("The client is not connected.")
            try:
                frame = await self._wire.receive()
            except TimeoutError:
                raise TimeoutError("The server did not send that in time.") from None
            if isinstance(frame, Exception):
                raise frame
            self._take(frame)

    def _take(self, frame: Any) -> None:
        if frame is CLOSED:
            self._is_over = True
            return
        received = self._partial
        if received is None:
            received = self._packet_class(encoded_packet=frame)
            if received.attachment_count:
                self._partial = received
                return
        elif not received.add_attachment(frame):
            return
        self._partial = None
        self._is_over |= received.packet_type == packet.DISCONNECT
        self._inbox.append(received)


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
        """Send an event without waiting for an acknowledgement."""
        run(self._connection.emit(event, *arguments))

    def receive(self, event: str) -> Any:
        """Wait for an event that the server emits; see `AsyncConnection.receive`."""
        return run(self._connection.receive(event))

    def disconnect(self) -> None:
        """Disconnect, and wait until the disconnect handler has run."""
        run(self._connection.disconnect())


class _Client:
    """The base of the clients for both kinds of application."""

    def __init__(self, sio: Any, address: Address, state: Mapping[str, Any]) -> None:
        self._sio = sio
        self._address = address
        self._state = state
        self._connections: list[AsyncConnection] = []
        dispatch = getattr(sio, DISPATCH_KEY, None)
        if dispatch is not None:
            # Find services that handlers lack before a client connects.
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
        """Connect a client; any number of clients may be connected at the same time.

        Args:
            namespace: The namespace.
            auth: The data with which the client logs in.
            headers: Headers of the request with which it connects.

        Returns:
            Its connection, which ends with the ``with`` block at the latest.

        Raises:
            socketio.exceptions.ConnectionRefusedError: The client was refused.
            Exception: The exception of the connect handler.
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
        """Connect a client; see `AsyncClient.connect`."""
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


def TestClient(app: Any, *, path: str = "/socket.io", timeout: float = 5) -> Any:  # noqa: N802  # used like a class; pytest would collect a class of this name
    """Talk to a Socket.IO server, or to an application with one, in the same process.

    Use it with ``async with`` for an asynchronous server or an ASGI application, whose lifespan
    runs during the block. Use it with ``with`` for a synchronous server
    (``async_mode="threading"``) or a WSGI application. It checks at its start that handlers can get
    their services. If no exception handler answers the exception of a handler, ``call``,
    ``receive`` or the end of the block raises it in the test.

    Args:
        app: The server or the application.
        path: The path of the server in the application.
        timeout: How long a client waits for an answer or an event, in seconds.

    Returns:
        A context manager that can be entered once and gives the client. The client's method
        ``connect`` returns a connection, which has the methods ``call``, ``emit``, ``receive`` and
        ``disconnect``.
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
    """Return a single value as it is, several values as a tuple, and None if there is none."""
    if len(values) > 1:
        return tuple(values)
    return values[0] if values else None
