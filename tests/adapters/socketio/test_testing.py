"""The client for tests: it talks to an application in the same process."""

import contextlib
import threading

import pytest
import socketio
from fastapi import FastAPI
from socketio.exceptions import ConnectionRefusedError as Refusal
from socketio.exceptions import DisconnectedError

import wares.fastapi
from tests.adapters.socketio.serving import Event, Lasting, register_both_sync
from wares import Inject, InvalidRegistryError, Registry
from wares.socketio import AsyncServer, Auth, Server, SocketID, TestClient


class Lacking:
    """A service that is never registered."""


def add_handlers(sio, journal):
    """Register handlers for either kind of server."""

    @sio.event
    def connect(sid: SocketID, auth: Auth, lasting: Inject[Lasting]):
        if auth == "refused":
            raise Refusal("no")
        if auth == "failing":
            raise LookupError("connect")
        journal.append(f"connect {auth}")

    @sio.event
    def work(sid: SocketID, number: int, event: Inject[Event]):
        return number + 1

    @sio.event
    def fail(sid):
        raise LookupError("fail")

    @sio.event
    def disconnect(sid):
        journal.append("disconnect")

    sio.on("connect", lambda sid, environ: journal.append(environ["HTTP_X_NAME"]), "/other")


@pytest.fixture
def registry(journal):
    """A registry with a synchronous service for each lifetime."""
    with Registry() as registry:
        register_both_sync(registry, journal)
        yield registry


class TestAsynchronous:
    @pytest.fixture
    def sio(self, registry, journal):
        """A server that answers, emits, and disconnects."""
        sio = AsyncServer(async_mode="asgi", registry=registry, namespaces=["/other"])
        add_handlers(sio, journal)

        @sio.on("tell")
        async def tell(sid, *data):
            await sio.emit("told", data)
            await sio.emit("also", b"bytes")

        @sio.on("leave")
        async def leave(sid):
            await sio.disconnect(sid)

        return sio

    async def test_conversation(self, sio, journal):
        """A client connects, gets acknowledgements, and disconnects; services end in their time."""
        async with TestClient(sio) as client:
            connection = await client.connect(auth="me")
            answer = await connection.call("work", 1)
            await connection.disconnect()

        assert 2 == answer
        assert [
            "open connection",
            "connect me",
            "open event",
            "close event",
            "disconnect",
            "close connection",
        ] == journal

    async def test_events(self, sio):
        """A client waits for what the server emits, in whichever order."""
        async with TestClient(sio) as client:
            ada, bob = await client.connect(), await client.connect()
            await ada.emit("tell", 1, "two")

            assert b"bytes" == await bob.receive("also")
            assert (1, "two") == await bob.receive("told")
            assert (1, "two") == await ada.receive("told")
            await ada.emit("tell")
            await ada.receive("also")
            await ada.receive("also")

    async def test_all_end(self, sio, journal):
        """If the end of one connection fails the test, the others end all the same."""

        @sio.event
        async def disconnect(sid):
            journal.append("disconnect")
            raise LookupError("disconnect")

        async def talk():
            async with TestClient(sio) as client:
                await client.connect()
                await client.connect()

        with pytest.raises(LookupError, match="disconnect"):
            await talk()

        assert 2 == journal.count("disconnect")

    async def test_namespace_and_headers(self, sio, journal):
        """A client chooses the namespace and headers."""
        async with TestClient(sio) as client:
            await client.connect("/other", headers={"X-Name": "me"})

        assert ["me"] == journal

    async def test_refused(self, sio):
        """A refused client gets the reason."""
        async with TestClient(sio) as client:
            with pytest.raises(Refusal, match="no") as caught:
                await client.connect(auth="refused")
            with pytest.raises(Refusal) as unknown:
                await client.connect("/unknown")

        assert {"message": "no"} == caught.value.error_args
        assert "Unable to connect" == unknown.value.error_args

    async def test_exceptions(self, sio):
        """Exceptions that nothing answers are raised in the test, at the end at the latest."""

        async def talk():
            async with TestClient(sio) as client:
                await client.connect()
                with pytest.raises(LookupError, match="connect"):
                    await client.connect(auth="failing")
                connection = await client.connect()
                with pytest.raises(LookupError, match="fail"):
                    await connection.call("fail")
                await connection.emit("fail")

        with pytest.raises(LookupError, match="fail"):
            await talk()

    async def test_registered_in_between(self, sio):
        """A handler that comes later and lacks something fails the next connection."""
        sio = AsyncServer(async_mode="asgi", registry=Registry())
        async with TestClient(sio) as client:

            @sio.event
            async def late(sid: SocketID, connection: Inject[Lacking]): ...

            with pytest.raises(InvalidRegistryError) as caught:
                await client.connect()

        assert "late" in str(caught.value)

    async def test_disconnected(self, sio):
        """A client that the server has disconnected says so."""
        async with TestClient(sio) as client:
            connection = await client.connect()
            await connection.emit("leave")

            with pytest.raises(DisconnectedError):
                await connection.receive("anything")

    async def test_nothing_comes(self, sio):
        """A client does not wait for ever."""
        async with TestClient(sio, timeout=0.3) as client:
            connection = await client.connect()

            with pytest.raises(TimeoutError, match="did not send that"):
                await connection.receive("anything")

    async def test_ping(self, registry, journal):
        """A client answers the pings of the server."""
        sio = AsyncServer(
            async_mode="asgi", registry=registry, ping_interval=0.05, ping_timeout=1
        )
        add_handlers(sio, journal)

        async with TestClient(sio, timeout=1.5) as client:
            connection = await client.connect()
            with pytest.raises(TimeoutError):
                await connection.receive("anything")

            assert 2 == await connection.call("work", 1)

    async def test_application(self, journal):
        """An application is started and ended, and its state reaches the server."""

        @wares.fastapi.lifespan
        async def lifespan(app, registry):
            register_both_sync(registry, journal)
            journal.append("start")
            yield
            journal.append("end")

        sio = AsyncServer(async_mode="asgi")
        add_handlers(sio, journal)
        app = FastAPI(lifespan=lifespan)
        app.mount("/ws", socketio.ASGIApp(sio, socketio_path="/ws/socket.io"))

        async with TestClient(app, path="/ws/socket.io") as client:
            await client.connect()

        assert [
            "start",
            "open connection",
            "connect None",
            "disconnect",
            "close connection",
            "end",
        ] == journal

    async def test_application_that_fails(self):
        """An application that does not start fails the test with its exception."""

        @contextlib.asynccontextmanager
        async def lifespan(app):
            raise LookupError("no start")
            yield

        with pytest.raises(LookupError, match="no start"):
            async with TestClient(FastAPI(lifespan=lifespan)):
                pass

    async def test_application_that_says_so(self):
        """The error contains the message of the application."""

        async def app(scope, receive, send):
            await receive()
            await send({"type": "lifespan.startup.failed", "message": "no start"})

        with pytest.raises(RuntimeError, match="no start"):
            async with TestClient(app):
                pass

    async def test_no_server_there(self):
        """If there is no server, a client cannot connect."""

        async def close(scope, receive, send):
            assert "websocket" == scope["type"]
            await receive()
            await send({"type": "websocket.close"})
            while (await receive())["type"] != "websocket.disconnect":
                pass

        async def fail(scope, receive, send):
            raise LookupError("no server")

        async with TestClient(close) as client:
            with pytest.raises(DisconnectedError):
                await client.connect()
        async with TestClient(fail) as client:
            with pytest.raises(LookupError, match="no server"):
                await client.connect()


class TestSynchronous:
    @pytest.fixture
    def sio(self, registry, journal):
        """A server that answers, emits, and disconnects."""
        sio = Server(async_mode="threading", registry=registry, namespaces=["/other"])
        add_handlers(sio, journal)

        @sio.on("tell")
        def tell(sid, *data):
            sio.emit("told", data)
            sio.emit("also", b"bytes")

        sio.on("leave", sio.disconnect)
        return sio

    def test_conversation(self, sio, journal):
        """A client connects, gets acknowledgements, and disconnects; services end in their time."""
        with TestClient(sio) as client:
            connection = client.connect(auth="me")
            answer = connection.call("work", 1)
            connection.disconnect()

        assert 2 == answer
        assert [
            "open connection",
            "connect me",
            "open event",
            "close event",
            "disconnect",
            "close connection",
        ] == journal

    def test_events(self, sio):
        """A client waits for what the server emits, in whichever order."""
        with TestClient(sio) as client:
            ada, bob = client.connect(), client.connect()
            ada.emit("tell", 1, "two")

            assert b"bytes" == bob.receive("also")
            assert (1, "two") == bob.receive("told")
            assert (1, "two") == ada.receive("told")

    def test_many_events(self, sio):
        """A client receives any number of events that come at once."""
        with TestClient(sio) as client:
            connection = client.connect()
            for number in range(50):
                sio.emit("told", number)

            assert list(range(50)) == [connection.receive("told") for _ in range(50)]

    def test_missing_service(self, sio):
        """An application whose handlers lack a service is reported before a client connects."""

        @sio.event
        def late(sid: SocketID, lacking: Inject[Lacking]): ...

        with pytest.raises(InvalidRegistryError), TestClient(socketio.WSGIApp(sio)):
            pass

    def test_namespace_and_headers(self, sio, journal):
        """A client chooses the namespace and headers."""
        with TestClient(sio) as client:
            client.connect("/other", headers={"X-Name": "me"})

        assert ["me"] == journal

    def test_not_let_in(self, sio):
        """A refused client gets the reason, or the exception of the connect handler."""
        with TestClient(sio) as client:
            with pytest.raises(Refusal, match="no"):
                client.connect(auth="refused")
            with pytest.raises(LookupError, match="connect"):
                client.connect(auth="failing")

    def test_exceptions(self, sio):
        """Exceptions that nothing answers are raised in the test, and not in the thread."""
        with TestClient(sio) as client:
            connection = client.connect()

            with pytest.raises(LookupError, match="fail"):
                connection.call("fail")

    def test_raised_once(self, sio):
        """An exception that `disconnect` has raised does not fail the end of the block, too."""

        @sio.event
        def disconnect(sid):
            raise LookupError("disconnect")

        with TestClient(sio) as client:
            connection = client.connect()

            with pytest.raises(LookupError, match="disconnect"):
                connection.disconnect()

    def test_disconnected(self, sio):
        """A client that the server has disconnected says so."""
        with TestClient(sio) as client:
            connection = client.connect()
            connection.emit("leave")

            with pytest.raises(DisconnectedError):
                connection.receive("anything")

    def test_dropped(self, sio):
        """A client that is answered with an error says that it is not connected any more."""
        gone = []
        served = socketio.WSGIApp(sio)

        def app(environ, start_response):
            if gone:
                start_response("502 Bad Gateway", [])
                return []
            return served(environ, start_response)

        with TestClient(app) as client:
            connection = client.connect()
            gone.append(True)
            sio.emit("told")

            with pytest.raises(DisconnectedError):
                connection.receive("anything")

    def test_nothing_comes(self, sio):
        """A client does not wait for ever."""
        with TestClient(sio, timeout=0.3) as client:
            connection = client.connect()

            with pytest.raises(TimeoutError, match="did not send that"):
                connection.receive("anything")

    def test_ping(self, registry, journal):
        """A client answers the pings of the server."""
        sio = Server(
            async_mode="threading", registry=registry, ping_interval=0.05, ping_timeout=1
        )
        add_handlers(sio, journal)

        with TestClient(sio, timeout=1.5) as client:
            connection = client.connect()
            with pytest.raises(TimeoutError):
                connection.receive("anything")

            assert 2 == connection.call("work", 1)

    def test_no_server_there(self):
        """If there is no server, a client cannot connect."""

        def app(environ, start_response):
            start_response("404 Not Found", [])
            return [b"nothing"]

        with TestClient(app) as client:
            with pytest.raises(DisconnectedError, match=r"no Socket\.IO server"):
                client.connect()

    def test_no_thread_is_left(self, sio):
        """The polling thread ends with the connection."""
        with TestClient(sio) as client:
            client.connect()

        assert "wares.socketio.TestClient" not in [one.name for one in threading.enumerate()]
