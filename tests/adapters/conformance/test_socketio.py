"""Socket.IO: servers of both kinds, by both transports, with clients that leave at once."""

import contextlib
import gc
import socket
import threading
import time
import warnings

import httpx
import pytest
import socketio

from tests.adapters.socketio.bare import BareClient
from tests.adapters.socketio.serving import (
    SECONDS,
    connected_thread,
    one_session,
    open_connections,
    serve,
    serving_threads,
)
from wares import current_container
from wares.asgi import health_app
from wares.socketio import (
    Environ,
    RouterSIO,
    SocketEvent,
    SocketID,
    include_router,
    init_app,
)
from wares.testing import AdapterConformance, AnsweredError

#: Seconds: so soon a server finds out that a client has gone without a word.
PINGS = {"ping_interval": 0.2, "ping_timeout": 0.2}


def wait_until(condition):
    """Wait until *condition* holds."""
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.001)


class SocketIOConformance(AdapterConformance):
    """A unit of work is an event; `serve` gives the server and its address."""

    adapter = "wares.socketio"
    makes_eager = False
    framework = "socketio"

    def initialise(self, sio, registry, handler):
        init_app(sio, registry)
        router = RouterSIO()
        router.on("work", handler)

        @router.exception_handler(AnsweredError)
        def answer(error: AnsweredError):
            return "answered"

        include_router(sio, router)


class TestAsyncServer(SocketIOConformance):
    given = (socketio.AsyncServer, SocketEvent, SocketID, Environ)

    transport = "websocket"

    @contextlib.asynccontextmanager
    async def serve(self, registry, work):
        async def do(sid):
            return await work.arun(current_container())

        sio = socketio.AsyncServer(async_mode="asgi", **PINGS)
        self.initialise(sio, registry, do)
        app = socketio.ASGIApp(sio, other_asgi_app=health_app(registry))
        async with registry, one_session(), serve(app) as address:
            try:
                yield sio, address
            finally:
                await sio.shutdown()

    async def perform(self, served):
        sio, address = served
        client = await self.begin(address)
        await client.disconnect()
        await self._mode.until(lambda: not open_connections(sio))

    async def vanish(self, served, work):
        client = await self.begin(served[1])
        await self._mode.until(lambda: work.has_begun)
        await client.vanish()

    async def ask_health(self, served):
        async with httpx.AsyncClient(base_url=served[1], trust_env=False) as client:
            return (await client.get("/healthy")).status_code

    async def begin(self, address):
        client = await BareClient.open(address, self.transport)
        await client.connect(None)
        await client.emit("work")
        return client


class TestAsyncServerByPolling(TestAsyncServer):
    transport = "polling"


# python-socketio runs each event in a thread, and leaves it to the thread to tell of an error.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
class TestServer(SocketIOConformance):
    given = (socketio.Server, SocketEvent, SocketID, Environ)
    has_async_services = False

    @pytest.fixture(autouse=True)
    def collect_sockets(self):
        """Collect what python-socketio's synchronous client leaves to the garbage collector."""
        yield
        with warnings.catch_warnings(action="ignore", category=ResourceWarning):
            gc.collect()

    @contextlib.contextmanager
    def serve(self, registry, work):
        handled = threading.Semaphore(0)

        def do(sid):
            try:
                return work.run(current_container())
            finally:
                handled.release()

        sio = socketio.Server(async_mode="threading", **PINGS)
        self.initialise(sio, registry, do)
        with registry, serving_threads(sio) as address:
            yield sio, address, handled

    def perform(self, served):
        sio, address, handled = served
        with connected_thread(address) as client:
            client.emit("work")
            # This client loses what it has sent last, when it leaves at once.
            assert handled.acquire(timeout=SECONDS)
        wait_until(lambda: not open_connections(sio))

    def vanish(self, served, work):
        with connected_thread(served[1]) as client:
            client.emit("work")
            wait_until(lambda: work.has_begun)
            connection = client.eio.ws.sock
            connection.shutdown(socket.SHUT_RDWR)
        connection.close()
