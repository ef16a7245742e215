"""A client for tests, which talks to an application in the same process and needs no port.

This module implements the protocol of Socket.IO 5
(https://github.com/socketio/socket.io-protocol); `_wires` carries the frames to the application.
The protocol is written once, as coroutines, for both kinds of application: see `_coroutines`.
"""

from __future__ import annotations

import inspect
import itertools
import queue
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Coroutine,
    Iterable,
    Iterator,
    Mapping,
)
from contextlib import (
    AbstractAsyncContextManager,
    AbstractContextManager,
    AsyncExitStack,
    asynccontextmanager,
    contextmanager,
)
from typing import Any, Generic, TypeAlias, TypeVar, overload

import attrs
import socketio
from socketio import packet
from socketio.exceptions import ConnectionRefusedError as Refusal
from socketio.exceptions import DisconnectedError

from wares._adapters.starting import started
from wares.socketio._coroutines import run
from wares.socketio._servers import DISPATCH_KEY
from wares.socketio._wires import CLOSED, Address, AsyncWire, SyncWire

Connected = TypeVar("Connected")

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
        self._send(packet.EVENT, [event, *arguments], number)
        answer = await self._receive(
            lambda one: one.packet_type in _ACKNOWLEDGEMENTS and one.id == number
        )
        return _unpack(answer.data)

    async def emit(self, event: str, *arguments: Any) -> None:
        """Send an event without waiting for an acknowledgement."""
        self._send(packet.EVENT, [event, *arguments])

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
            self._send(packet.DISCONNECT)
        for left in await self._wire.close():
            # This is the exception of a handler, and no other call has raised it.
            if isinstance(left, Exception):
                raise left

    async def _enter(self, auth: Any) -> None:
        self._send(packet.CONNECT, auth)
        answer = await self._receive(
            lambda one: one.packet_type in (packet.CONNECT, packet.CONNECT_ERROR)
        )
        if answer.packet_type == packet.CONNECT_ERROR:
            self._is_over = True
            is_dict = isinstance(answer.data, dict)
            refusal = Refusal(answer.data.get("message", "") if is_dict else answer.data)
            refusal.error_args = answer.data
            raise refusal
        self.sid = answer.data["sid"]

    def _send(self, kind: int, data: Any = None, number: int | None = None) -> None:
        sent = self._packet_class(kind, data=data, namespace=self._namespace, id=number)
        encoded = sent.encode()
        for frame in encoded if isinstance(encoded, list) else [encoded]:
            self._wire.send(frame)

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
            except (TimeoutError, queue.Empty):
                raise TimeoutError("The server did not send that in time.") from None
            if isinstance(frame, Exception):
                raise frame
            self._take(frame)

    def _take(self, frame: Any) -> None:
        if frame is CLOSED:
            self._is_over = True
            return
        if self._partial is None:
            self._partial = self._packet_class(encoded_packet=frame)
            is_whole = not self._partial.attachment_count
        else:
            is_whole = self._partial.add_attachment(frame)
        if is_whole:
            self._is_over = self._partial.packet_type == packet.DISCONNECT
            self._inbox.append(self._partial)
            self._partial = None


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


class Client(Generic[Connected]):
    """A client of an application: see `TestClient`."""

    def __init__(
        self,
        sio: Any,
        address: Address,
        wire_class: type[AsyncWire | SyncWire],
        finish: Callable[[Coroutine[Any, Any, AsyncConnection]], Connected],
    ) -> None:
        self._packet_class = getattr(sio, "packet_class", packet.Packet)
        self._address = address
        self._wire_class = wire_class
        self._finish = finish
        self._connections = AsyncExitStack()
        dispatch = getattr(sio, DISPATCH_KEY, None)
        if dispatch is not None:
            # Find services that handlers lack before a client connects.
            environ = {"asgi.scope": {"state": address.state}}
            dispatch.check(dispatch.find_registry(environ))

    def connect(
        self,
        namespace: str = "/",
        *,
        auth: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> Connected:
        """Connect a client; any number of clients may be connected at the same time.

        Args:
            namespace: The namespace.
            auth: The data with which the client logs in.
            headers: Headers of the request with which it connects.

        Returns:
            Its connection, which ends with the ``with`` block at the latest; if the application is
            asynchronous, await it.

        Raises:
            socketio.exceptions.ConnectionRefusedError: The client was refused.
            Exception: The exception of the connect handler.
        """
        return self._finish(self._connect(namespace, auth, headers or {}))

    async def _connect(
        self, namespace: str, auth: Any, headers: Mapping[str, str]
    ) -> AsyncConnection:
        wire = self._wire_class(self._address, headers)
        connection = AsyncConnection(wire, self._packet_class, namespace)
        self._connections.push_async_callback(connection.disconnect)
        await connection._enter(auth)
        return connection


#: The clients of asynchronous and of synchronous applications.
AsyncClient: TypeAlias = Client[Coroutine[Any, Any, AsyncConnection]]
SyncClient: TypeAlias = Client[SyncConnection]


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
    if isinstance(app, socketio.AsyncServer):
        app = socketio.ASGIApp(app, socketio_path=path)
    elif isinstance(app, socketio.Server):
        app = socketio.WSGIApp(app, socketio_path=path)
    # The applications of python-socketio keep their server under either name.
    sio = getattr(app, "engineio_server", None) or getattr(app, "engineio_app", None)
    is_async = inspect.iscoroutinefunction(app) or inspect.iscoroutinefunction(app.__call__)
    talk = _talk_async if is_async else _talk
    return talk(sio, Address(app, f"/{path.strip('/')}/", timeout))


@asynccontextmanager
async def _talk_async(sio: Any, address: Address) -> AsyncIterator[AsyncClient]:
    async with started(address.app) as state:
        address = attrs.evolve(address, state=state)
        client = AsyncClient(sio, address, AsyncWire, lambda connecting: connecting)
        async with client._connections:
            yield client


@contextmanager
def _talk(sio: Any, address: Address) -> Iterator[SyncClient]:
    client = SyncClient(sio, address, SyncWire, lambda work: SyncConnection(run(work)))
    try:
        yield client
    finally:
        run(client._connections.aclose())


def _unpack(values: list[Any]) -> Any:
    """Return a single value as it is, several values as a tuple, and None if there is none."""
    if len(values) > 1:
        return tuple(values)
    return values[0] if values else None
