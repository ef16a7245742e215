"""Socket.IO servers on the loopback interface, and the clients that talk to them."""

import asyncio
import contextlib
import functools
import logging
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import aiohttp
import socketio
import uvicorn
import websockets
from werkzeug.serving import WSGIRequestHandler, make_server

from wares import Registry
from wares.socketio import init_app

SECONDS = 60

TRANSPORTS = ("websocket", "polling")


class Journal(list[str]):
    """A record of what happened, in order."""

    def count_open(self, what: str) -> int:
        """Count how many services of a kind are open."""
        return self.count(f"open {what}") - self.count(f"close {what}")


#: The HTTP session of the clients of a test; python-socketio does not always close its own session.
SESSIONS: list[aiohttp.ClientSession] = []


def new_client() -> socketio.AsyncClient:
    """Make a client that is not connected."""
    return socketio.AsyncClient(reconnection=False, http_session=SESSIONS[-1])


@contextlib.asynccontextmanager
async def one_session() -> AsyncIterator[None]:
    """Open one HTTP session for all clients of a test."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as one:
        SESSIONS.append(one)
        yield
        SESSIONS.remove(one)


@contextlib.asynccontextmanager
async def serve(app: Any, **options: Any) -> AsyncIterator[str]:
    """Serve an ASGI application with uvicorn in this event loop; yield its address."""
    settings = {
        "lifespan": "off",
        "log_config": None,
        "ws": "websockets-sansio",
        "timeout_graceful_shutdown": 1,
        **options,
    }
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, **settings))
    task = asyncio.create_task(server.serve())
    async with asyncio.timeout(SECONDS):
        while not server.started:
            await asyncio.sleep(0.001)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        async with asyncio.timeout(SECONDS):
            await task


@contextlib.asynccontextmanager
async def serving(sio: socketio.AsyncServer) -> AsyncIterator[str]:
    """Serve a Socket.IO server by itself; yield its address."""
    async with serve(socketio.ASGIApp(sio)) as address:
        try:
            yield address
        finally:
            await sio.shutdown()


@contextlib.asynccontextmanager
async def connected(
    address: str, transport: str = "websocket", **options: Any
) -> AsyncIterator[socketio.AsyncClient]:
    """Connect a client, and disconnect it after the block."""
    client = new_client()
    await client.connect(address, transports=[transport], **options)
    try:
        yield client
    finally:
        await client.disconnect()


@contextlib.asynccontextmanager
async def connect_bare(address: str) -> AsyncIterator[websockets.ClientConnection]:
    """Connect to the default namespace; yield a WebSocket for frames of the protocol."""
    url = f"{address.replace('http', 'ws', 1)}/socket.io/?EIO=4&transport=websocket"
    async with websockets.connect(url, proxy=None) as websocket:
        opened = await receive_frame(websocket)
        assert opened.startswith("0{"), opened
        await websocket.send("40")
        accepted = await receive_frame(websocket)
        assert accepted.startswith("40{"), accepted
        yield websocket


async def receive_frame(websocket: websockets.ClientConnection) -> str:
    """Receive a frame; answer the pings that come before it on a busy machine."""
    while (frame := str(await websocket.recv())) == "2":
        await websocket.send("3")
    return frame


async def until(condition: Any, seconds: float = SECONDS) -> None:
    """Wait until *condition* holds."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.001)


async def vanish(client: socketio.AsyncClient) -> None:
    """Abort a client's connection."""
    if client.eio.ws is not None:
        client.eio.ws._response.connection.transport.abort()
    await client.eio.disconnect(abort=True)


class _Silent(WSGIRequestHandler):
    """A request handler that does not log requests."""

    def log_request(self, *_: Any) -> None:
        """Log nothing."""


@contextlib.contextmanager
def serving_threads(sio: socketio.Server) -> Iterator[str]:
    """Serve a synchronous Socket.IO server with a WSGI server that uses threads."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = make_server(
        "127.0.0.1", 0, socketio.WSGIApp(sio), threaded=True, request_handler=_Silent
    )
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.port}"
    finally:
        sio.shutdown()
        server.shutdown()
        thread.join(SECONDS)
        server.server_close()


@contextlib.contextmanager
def connected_thread(address: str, **options: Any) -> Iterator[socketio.Client]:
    """Connect a synchronous client, and disconnect it after the block."""
    client = socketio.Client(reconnection=False)
    client.connect(address, transports=["websocket"], **options)
    try:
        yield client
    finally:
        # The server does not answer when the WebSocket closes, so the client would wait for three
        # seconds.
        websocket = client.eio.ws
        websocket.close = functools.partial(websocket.close, timeout=0.1)
        client.disconnect()


class Event:
    """A service of one event."""


class Lasting:
    """A service of a connection."""


def register_both(registry: Registry, journal: Journal) -> None:
    """Register a scoped and a connection service, which note their ends."""

    async def open_event() -> AsyncIterator[Event]:
        journal.append("open event")
        try:
            yield Event()
        except BaseException as error:
            journal.append(f"event saw {type(error).__name__}")
            raise
        finally:
            journal.append("close event")

    async def open_lasting() -> AsyncIterator[Lasting]:
        journal.append("open connection")
        try:
            yield Lasting()
        except BaseException as error:
            journal.append(f"connection saw {type(error).__name__}")
            raise
        finally:
            journal.append("close connection")

    registry.register_factory(Event, open_event)
    registry.register_factory(Lasting, open_lasting, lifetime="connection")


def register_both_sync(registry: Registry, journal: Journal) -> None:
    """Register a scoped and a connection service that are synchronous and note their ends."""

    def open_event() -> Iterator[Event]:
        journal.append("open event")
        try:
            yield Event()
        finally:
            journal.append("close event")

    def open_lasting() -> Iterator[Lasting]:
        journal.append("open connection")
        try:
            yield Lasting()
        finally:
            journal.append("close connection")

    registry.register_factory(Event, open_event)
    registry.register_factory(Lasting, open_lasting, lifetime="connection")


def make_server_for(registry: Registry, **options: Any) -> socketio.AsyncServer:
    """Make a server of python-socketio, and initialise it."""
    # The last request of a polling client waits for the next ping, so pings are frequent.
    settings = {"async_mode": "asgi", "ping_interval": 0.2, "ping_timeout": 2, **options}
    return init_app(socketio.AsyncServer(**settings), registry)


def open_connections(sio: Any) -> int:
    """Count the connections that have a container."""
    return len(sio._wares_dispatch.connections._open)
