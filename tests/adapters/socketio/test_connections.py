"""A container for each connection, and one for each event: opened, and closed exactly once."""

import asyncio
import collections
import contextlib
import logging

import pytest
import socketio

from tests.adapters.socketio.serving import (
    TRANSPORTS,
    Event,
    Lasting,
    connect_bare,
    connected,
    new_client,
    open_connections,
    receive_frame,
    serve,
    serving,
    until,
    vanish,
)
from wares import (
    Container,
    ContainerClosedError,
    Depends,
    Inject,
    NoContainerError,
    PendingAsyncCleanupError,
    Registry,
    RegistryClosedError,
    current_container,
)
from wares.exceptions import InvalidRegistrationError
from wares.socketio import (
    AsyncServer,
    Environ,
    SocketID,
    TestClient,
    init_app,
    wares_from,
)


class TestInitApp:
    def test_in_place(self):
        """`init_app` changes the server that it is given, and returns it."""
        sio = socketio.AsyncServer()

        assert sio is init_app(sio)

    def test_again(self):
        """A server that is initialised again is not wrapped again."""
        sio = init_app(socketio.AsyncServer())
        trigger = sio._trigger_event

        init_app(sio)

        assert trigger is sio._trigger_event

    async def test_again_with_another_registry(self, journal):
        """Another registry serves the connections that come afterwards."""
        sio = init_app(socketio.AsyncServer(async_mode="asgi"), Registry())
        registry = Registry()
        registry.register_value(str, "another")
        init_app(sio, registry)
        sio.on("connect", lambda sid, environ: journal.append(wares_from().get(str)))

        async with serving(sio) as address, connected(address):
            pass

        assert ["another"] == journal

    def test_again_with_dependencies(self):
        """Dependencies that handlers would not get are refused."""
        sio = init_app(socketio.AsyncServer())

        with pytest.raises(InvalidRegistrationError, match="has been initialised already"):
            init_app(sio, dependencies=[Depends(object)])

    async def test_again_without_check(self):
        """Whether registries are checked may be changed."""
        sio = init_app(socketio.AsyncServer(async_mode="asgi"), Registry())

        @sio.event
        async def work(missing: Inject[Event]): ...

        init_app(sio, validate=False)

        async with TestClient(sio) as client:
            assert (await client.connect()).sid

    def test_no_server(self):
        """Anything else than a server of python-socketio is refused."""
        with pytest.raises(InvalidRegistrationError) as caught:
            init_app(socketio.AsyncClient())

        assert "not a AsyncClient" in str(caught.value)


@pytest.mark.parametrize("transport", TRANSPORTS)
class TestLifetimes:
    async def test_closed_in_their_time(self, sio, journal, transport):
        """An event's services end with it, a connection's after its disconnect handler."""

        @sio.event
        async def connect(sid, environ):
            await wares_from().aget(Lasting)
            await wares_from().aget(Event)

        @sio.event
        async def work(sid, data):
            await current_container().aget(Event, Lasting)
            journal.append(data)
            return data

        @sio.event
        async def disconnect(sid, reason):
            await wares_from().aget(Event)
            journal.append("disconnect")

        async with serving(sio) as address:
            async with connected(address, transport) as client:
                assert "hard" == await client.call("work", "hard")
            await until(lambda: not open_connections(sio))

        assert [
            "open connection",
            "open event",
            "close event",
            "open event",
            "hard",
            "close event",
            "open event",
            "disconnect",
            "close event",
            "close connection",
        ] == journal

    async def test_vanished_client(self, sio, journal, transport):
        """A client that is gone without a word is found out, and its services end."""
        sio.eio.ping_interval = 0.05
        # A busy machine may take long to answer before the client is gone.
        sio.eio.ping_timeout = 0.5

        @sio.event
        async def connect(sid, environ):
            await wares_from().aget(Lasting)

        async with serving(sio) as address:
            client = new_client()
            await client.connect(address, transports=[transport])
            await vanish(client)
            await until(lambda: not open_connections(sio))

        assert ["open connection", "close connection"] == journal

    async def test_server_shutdown(self, sio, journal, transport):
        """At the shutdown of the server, the containers of connected clients close."""

        @sio.event
        async def connect(sid, environ):
            await wares_from().aget(Lasting)

        async with serve(socketio.ASGIApp(sio)) as address, connected(address, transport):
            await sio.shutdown()
            assert ["open connection", "close connection"] == journal

    async def test_shutdown_while_handling(self, sio, journal, transport):
        """A handler that is running at the shutdown keeps its services until it ends."""
        release = asyncio.Event()

        @sio.event
        async def slow(sid):
            await wares_from().aget(Lasting, Event)
            journal.append("begin")
            await release.wait()
            await wares_from().aget(Lasting, Event)
            journal.append("end")

        async with serve(socketio.ASGIApp(sio)) as address:
            async with connected(address, transport) as client:
                await client.emit("slow")
                await until(lambda: "begin" in journal)
                await sio.shutdown()
                assert "begin" == journal[-1]
                release.set()
                await until(lambda: not open_connections(sio))

        assert ["end", "close event", "close connection"] == journal[-3:]

    async def test_registry_closes(self, sio, registry, journal, transport):
        """A registry that closes closes the connections that it serves first."""

        def note_end():
            yield "made"
            journal.append("close singleton")

        registry.register_factory(str, note_end, lifetime="singleton")

        @sio.event
        async def connect(sid, environ):
            await wares_from().aget(Lasting, str)

        async with serving(sio) as address, connected(address, transport):
            await registry.aclose()
            assert ["open connection", "close connection", "close singleton"] == journal

    async def test_registry_closes_and_is_cancelled(self, sio, registry, journal, transport):
        """A registry ends its singletons, too, if its closing is cancelled in a connection."""
        entered = asyncio.Event()

        async def linger():
            yield "made"
            entered.set()
            await asyncio.Event().wait()

        def note_end():
            try:
                yield "made"
            finally:
                journal.append("close singleton")

        registry.register_factory(int, linger, lifetime="connection")
        registry.register_factory(str, note_end, lifetime="singleton")

        @sio.event
        async def connect(sid, environ):
            await wares_from().aget(int, str)

        async with serving(sio) as address, connected(address, transport):
            closing = asyncio.create_task(registry.aclose())
            await entered.wait()
            closing.cancel()
            with pytest.raises(asyncio.CancelledError):
                await closing

        assert ["close singleton"] == journal

    async def test_registry_closes_several_and_is_cancelled(self, sio, registry, transport):
        """Every connection closes, even if the closing is cancelled in one of them."""
        entered = asyncio.Event()
        closed = []

        async def linger(sid: SocketID):
            yield "made"
            closed.append(sid)
            entered.set()
            await asyncio.sleep(0 if closed[1:] else SECONDS_TO_WAIT)

        registry.register_factory(int, linger, lifetime="connection")

        @sio.event
        async def connect(sid, environ):
            await wares_from().aget(int)

        async with serving(sio) as address:
            async with connected(address, transport), connected(address, transport):
                closing = asyncio.create_task(registry.aclose())
                await entered.wait()
                closing.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await closing

        assert 2 == len(closed)

    async def test_registry_closes_without_await(self, sio, registry, journal, transport):
        """`close` cannot end connections that must be awaited: it says so, and ends the rest."""
        containers = []

        async def open_connection(wares_container):
            containers.append(wares_container)
            yield "made"

        def note_end():
            try:
                yield "made"
            finally:
                journal.append("close singleton")

        registry.register_factory(int, open_connection, lifetime="connection")
        registry.register_factory(str, note_end, lifetime="singleton")

        @sio.event
        async def connect(sid, environ):
            await wares_from().aget(int, str)

        async with serving(sio) as address, connected(address, transport):
            with pytest.raises(PendingAsyncCleanupError, match="an adapter"):
                registry.close()

        assert ["close singleton"] == journal
        await containers[0].aclose()


class TestRefused:
    @pytest.mark.parametrize("always_connect", [True, False])
    @pytest.mark.parametrize(
        "error",
        [socketio.exceptions.ConnectionRefusedError("no"), ConnectionRefusedError("no")],
    )
    async def test_by_exception(self, registry, journal, error, always_connect):
        """A refused connection ends at once; its services see the refusal."""
        sio = init_app(
            socketio.AsyncServer(async_mode="asgi", always_connect=always_connect), registry
        )

        @sio.event
        async def connect(sid, environ):
            await wares_from().aget(Lasting)
            await wares_from().aget(Event)
            raise error

        async with serving(sio) as address:
            client = new_client()
            with contextlib.suppress(socketio.exceptions.ConnectionError):
                await client.connect(address, transports=["websocket"])
            await until(lambda: "close connection" in journal)
            await client.disconnect()

        assert [
            "open connection",
            "open event",
            "event saw ConnectionRefusedError",
            "close event",
            "connection saw ConnectionRefusedError",
            "close connection",
        ] == journal
        assert 0 == open_connections(sio)

    async def test_by_false(self, sio, journal):
        """A connect handler that returns False refuses, and is no failure."""

        @sio.event
        async def connect(sid, environ):
            await wares_from().aget(Lasting)
            return False

        async with serving(sio) as address:
            with pytest.raises(socketio.exceptions.ConnectionError):
                async with connected(address):
                    pass

        assert ["open connection", "close connection"] == journal

    @pytest.mark.parametrize("by_middleware", [True, False])
    async def test_answered(self, registry, journal, by_middleware):
        """The services of the connection see the exception that has been answered."""
        sio = AsyncServer(async_mode="asgi", registry=registry)

        @sio.middleware
        async def answer(call_next, event):
            with contextlib.suppress(KeyError):
                return await call_next(event)

        @sio.exception_handler(IndexError)
        async def answer_index_error(error: IndexError): ...

        @sio.event
        async def connect(sid, environ):
            await wares_from().aget(Lasting)
            raise KeyError if by_middleware else IndexError

        async with TestClient(sio) as client:
            with pytest.raises(socketio.exceptions.ConnectionRefusedError):
                await client.connect()

        saw = "connection saw KeyError" if by_middleware else "connection saw IndexError"
        assert ["open connection", saw, "close connection"] == journal

    @pytest.mark.parametrize("auth", [None, {"token": "secret"}])
    @pytest.mark.parametrize("kind", [LookupError, TypeError])
    async def test_failed(self, sio, journal, kind, auth):
        """A connect handler that fails runs once, and nothing of the connection is left."""

        @sio.event
        async def connect(sid, environ, auth):
            await wares_from().aget(Lasting)
            raise kind("broken")

        async with serving(sio) as address:
            client = new_client()
            await client.connect(address, transports=["websocket"], auth=auth, wait=False)
            await until(lambda: "close connection" in journal)
            assert {} == client.namespaces
            await client.disconnect()

        assert [
            "open connection",
            f"connection saw {kind.__name__}",
            "close connection",
        ] == journal
        assert 0 == open_connections(sio)


class TestEvents:
    async def test_local_registrations(self, sio):
        """Later events see services that the connect handler registers locally."""

        @sio.event
        async def connect(sid, environ, auth):
            wares_from(sid).register_local_value(str, auth["name"])

        @sio.event
        async def who(sid):
            return wares_from().get(str)

        async with serving(sio) as address:
            async with connected(address, auth={"name": "Ada"}) as ada:
                async with connected(address, auth={"name": "Bob"}) as bob:
                    assert ["Ada", "Bob"] == [await ada.call("who"), await bob.call("who")]

    async def test_namespaces(self, sio, journal):
        """A client has a connection of its own in each namespace."""

        async def connect(sid, environ):
            await wares_from().aget(Lasting)

        sio.on("connect", connect)
        sio.on("connect", connect, namespace="/shop")

        async with serving(sio) as address:
            async with connected(address, namespaces=["/", "/shop"]):
                assert 2 == open_connections(sio)
            await until(lambda: not open_connections(sio))

        assert 2 == journal.count("open connection") == journal.count("close connection")

    async def test_without_handlers(self, sio):
        """Connections and events without a handler are served, too."""
        async with serving(sio) as address:
            async with connected(address) as client:
                await client.emit("nothing")
                assert 1 == open_connections(sio)
            await until(lambda: not open_connections(sio))

    async def test_exception(self, sio, journal, caplog):
        """The exception of a handler reaches the cleanups, and goes on."""

        @sio.event
        async def fail(sid):
            await wares_from().aget(Event)
            raise LookupError

        async with serving(sio) as address, connected(address) as client:
            await client.emit("fail")
            await until(lambda: "close event" in journal)
            await asyncio.sleep(0)
            await until(lambda: caplog.records)

        assert ["open event", "event saw LookupError", "close event"] == journal

    async def test_cleanup_error(self, sio, registry, caplog):
        """A cleanup that fails fails the event: there is no acknowledgement."""

        def make():
            yield 5
            raise RuntimeError("cannot commit")

        registry.register_factory(int, make)

        @sio.event
        async def work(sid):
            return wares_from().get(int)

        async with serving(sio) as address, connected(address) as client:
            with pytest.raises(socketio.exceptions.TimeoutError):
                await client.call("work", timeout=0.1)
            await until(lambda: "RuntimeError" in caplog.text)

    async def test_cleanup_error_of_a_connection(self, sio, registry, caplog):
        """Cleanups that fail when a client goes are logged, and the client is forgotten."""

        def make():
            yield 5
            raise RuntimeError("cannot commit")

        registry.register_factory(int, make)
        registry.register_factory("lasting", make, lifetime="connection")

        @sio.event
        async def disconnect(sid):
            wares_from().get(int)
            wares_from().get("lasting")

        caplog.clear()
        with caplog.at_level(logging.ERROR, "wares"):
            async with serving(sio) as address:
                async with connected(address):
                    pass
                await until(lambda: not open_connections(sio))
                await until(lambda: not list(sio.manager.get_namespaces()))

        logged = [record.message.partition(" of ")[0] for record in caplog.records]
        assert ["Cleaning up the disconnect event", "Cleaning up the connection"] == logged

    async def test_in_flight(self, sio, journal):
        """A connection's services wait for the last of its events."""
        release = asyncio.Event()

        @sio.event
        async def slow(sid):
            await wares_from().aget(Lasting)
            journal.append("begin")
            await release.wait()
            await wares_from().aget(Lasting)
            journal.append("end")

        @sio.event
        async def disconnect(sid):
            journal.append("disconnect")

        async with serving(sio) as address:
            async with connected(address) as client:
                await client.emit("slow")
                await until(lambda: "begin" in journal)
            await until(lambda: "disconnect" in journal)
            release.set()
            await until(lambda: not open_connections(sio))

        assert ["open connection", "begin", "disconnect", "end", "close connection"] == journal

    async def test_engine_is_gone_while_in_flight(self, sio, journal):
        """A running event keeps its services even if the disconnect handler has failed."""
        release = asyncio.Event()

        @sio.event
        async def slow(sid):
            await wares_from().aget(Lasting)
            await release.wait()

        @sio.event
        async def disconnect(sid):
            journal.append("disconnect")
            raise LookupError

        async with serving(sio) as address:
            async with connected(address) as client:
                await client.emit("slow")
                await until(lambda: journal)
            await until(lambda: "disconnect" in journal)
            release.set()
            await until(lambda: not open_connections(sio))

        assert ["open connection", "disconnect", "close connection"] == journal

    async def test_engine_is_gone_while_connecting(self, sio, journal):
        """A client that vanishes while it connects leaves nothing behind."""
        release = asyncio.Event()
        transports = []

        @sio.event
        async def connect(sid, environ):
            await wares_from().aget(Lasting)
            transports.append(sio.manager.eio_sid_from_sid(sid, "/"))
            await release.wait()

        async with serving(sio) as address:
            client = new_client()
            connecting = asyncio.create_task(
                client.connect(address, transports=["websocket"], wait=False)
            )
            await until(lambda: transports)
            sio.manager.is_connected = lambda *_: False
            await sio.eio.handlers["disconnect"](transports[0], "gone")
            del sio.manager.is_connected
            assert ["open connection"] == journal
            release.set()
            await until(lambda: "close connection" in journal)
            await connecting
            await client.disconnect()

        assert 0 == open_connections(sio)

    async def test_emit_and_go(self, sio):
        """An event that a client sends just before it goes finds its connection."""
        happened = collections.defaultdict(list)

        @sio.event
        async def connect(sid, environ):
            wares_from(sid).register_local_value(str, "here")

        @sio.event
        async def last(sid):
            happened[sid].append(wares_from().get(str))

        @sio.event
        async def disconnect(sid):
            happened[sid].append("disconnect")

        async with serving(sio) as address:
            for _ in range(20):
                # Bare frames: the package's own client may drop what it has yet to send.
                async with connect_bare(address) as websocket:
                    await websocket.send('42["last"]')
                    await websocket.send("41")
            await until(lambda: not open_connections(sio))

        assert [["here", "disconnect"]] * 20 == list(happened.values())

    async def test_after_its_connection(self, sio, journal):
        """An event that comes too late has services of its own, which end with it."""

        @sio.event
        async def late(sid):
            await wares_from().aget(Lasting)
            return wares_from().get(SocketID)

        @sio.event
        async def disconnect(sid):
            await wares_from().aget(Lasting)

        assert "gone" == await sio._trigger_event("late", "/", "gone")
        await sio._trigger_event("disconnect", "/", "gone", "for no reason")

        assert ["open connection", "close connection"] * 2 == journal

    async def test_disconnected_by_the_server(self, sio, journal):
        """A client that a handler disconnects keeps its services until the handler ends."""

        @sio.event
        async def leave(sid):
            await wares_from().aget(Lasting)
            await sio.disconnect(sid)
            journal.append("left")

        async with serving(sio) as address, connected(address) as client:
            await client.emit("leave")
            await until(lambda: "close connection" in journal)

        assert ["open connection", "left", "close connection"] == journal

    async def test_reserved_names(self, sio, journal, caplog):
        """A client cannot call handlers of its connection, or forge its environment or its id."""
        caplog.set_level(logging.WARNING, "wares")

        @sio.event
        async def connect(sid, environ):
            await wares_from().aget(Lasting)

        @sio.event
        async def ask(environ: Environ):
            return environ.get("REMOTE_USER", "nobody")

        @sio.on("*")
        async def for_any(event, sid):
            journal.append(sid)

        @sio.event
        async def disconnect(sid, reason):
            journal.append(reason)

        async with serving(sio) as address:
            async with connect_bare(address) as websocket:
                await websocket.send('42["*","of another client"]')
                await websocket.send('42["connect",{"REMOTE_USER":"root"}]')
                await websocket.send('42["disconnect","forged"]')
                await websocket.send('421["ask"]')
                assert '431["nobody"]' == await receive_frame(websocket)
                await websocket.send("41")
                await until(lambda: not open_connections(sio))

        assert ["open connection", "client disconnect", "close connection"] == journal
        assert 3 == caplog.text.count("reserved name")

    async def test_background_task(self, sio, journal):
        """A task that outlives its event gets an error, because the container is closed."""
        release = asyncio.Event()

        async def work():
            await release.wait()
            with pytest.raises(ContainerClosedError):
                current_container().get(int)
            with pytest.raises(ContainerClosedError):
                await wares_from().aget(int)
            journal.append("told")

        @sio.event
        async def start(sid):
            sio.start_background_task(work)

        async with serving(sio) as address, connected(address) as client:
            await client.call("start")
            release.set()
            await until(lambda: journal)

        assert ["told"] == journal

    async def test_closed_registry(self, sio, registry):
        """After the registry has closed, clients are refused with an error."""
        await registry.aclose()

        with pytest.raises(RegistryClosedError):
            await sio._trigger_event("connect", "/", "sid", {}, None)

    async def test_cancelled(self, sio, journal):
        """An event that is cancelled ends its services."""
        tasks = []

        @sio.event
        async def work(sid):
            await wares_from().aget(Event)
            tasks.append(asyncio.current_task())
            await asyncio.sleep(SECONDS_TO_WAIT)

        async with serving(sio) as address, connected(address) as client:
            await client.emit("work")
            await until(lambda: tasks)
            tasks[0].cancel()
            await until(lambda: "close event" in journal)

        assert "event saw CancelledError" in journal


SECONDS_TO_WAIT = 60


class TestWaresFrom:
    async def test_of_the_event(self, sio, journal):
        """Without a client's id, it is the container of the event."""

        @sio.event
        async def ask(sid):
            journal.append(str(wares_from() is current_container()))
            journal.append(str(wares_from() is wares_from(sid)))
            journal.append(str(type(wares_from().get(Container)) is Container))

        async with serving(sio) as address, connected(address) as client:
            await client.call("ask")

        assert ["True", "False", "True"] == journal

    async def test_of_a_connection(self, sio):
        """A client's id gives the container of its connection, from outside as well."""
        sids = []
        sio.on("connect", lambda sid, environ: sids.append(sid), namespace="/shop")

        async with serving(sio) as address, connected(address, namespaces=["/shop"]):
            container = wares_from(sids[0], sio=sio, namespace="/shop")

            assert sids[0] == container.get(SocketID)

    def test_no_such_connection(self, sio):
        """A client that is not here is named."""
        with pytest.raises(NoContainerError) as caught:
            wares_from("nobody", sio=sio)

        assert "The client nobody has no connection to /" in str(caught.value)

    def test_no_event(self):
        """Outside of an event there is no container."""
        with pytest.raises(NoContainerError) as caught:
            wares_from()

        assert "No Socket.IO event is being handled" in str(caught.value)

    def test_not_initialised(self):
        """The error about a server without `init_app` says what to do."""
        with pytest.raises(InvalidRegistrationError) as caught:
            wares_from("nobody", sio=socketio.AsyncServer())

        assert "wares.socketio.init_app(sio)" in str(caught.value)
