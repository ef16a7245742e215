"""Handlers as python-socketio knows them work exactly as before."""

import asyncio
import functools
import logging
from concurrent.futures import ThreadPoolExecutor
from unittest import mock

import pytest
import socketio

from tests.adapters.socketio.serving import (
    Event,
    Lasting,
    connected,
    connected_thread,
    open_connections,
    register_both_sync,
    serving,
    serving_threads,
    until,
)
from wares import Registry, current_container
from wares.socketio import (
    RouterSIO,
    Server,
    TestClient,
    include_router,
    init_app,
    wares_from,
)


class User:
    """What an application passes to its handlers in place of the client's id."""

    def __init__(self, sid):
        self.sid = sid


class TestSignatures:
    @pytest.mark.parametrize("auth", [None, {"token": "secret"}])
    async def test_connect(self, sio, journal, auth):
        """A connect handler takes the authentication or leaves it, once."""

        @sio.on("connect")
        async def two(sid, environ):
            journal.append(f"two {environ['REQUEST_METHOD']}")

        @sio.on("connect", namespace="/three")
        async def three(sid, environ, auth):
            journal.append(f"three {auth}")

        @sio.on("connect", namespace="/default")
        def default(sid, environ, auth="nothing"):
            journal.append(f"default {auth or 'nothing'}")

        @sio.on("connect", namespace="/any")
        async def many(*args):
            journal.append("many")

        async with serving(sio) as address:
            for namespace in ("/", "/three", "/default", "/any"):
                async with connected(address, namespaces=[namespace], auth=auth):
                    pass

        assert ["two GET", f"three {auth}", f"default {auth or 'nothing'}", "many"] == journal

    async def test_disconnect(self, sio, journal):
        """A disconnect handler takes the reason or leaves it, once."""

        @sio.on("disconnect")
        async def one(sid):
            journal.append("one")

        @sio.on("disconnect", namespace="/two")
        def two(sid, reason):
            journal.append(f"two {type(reason).__name__}")

        async with serving(sio) as address:
            for namespace in ("/", "/two"):
                async with connected(address, namespaces=[namespace]):
                    pass
            await until(lambda: not open_connections(sio))

        assert ["one", "two str"] == journal

    async def test_a_type_error_is_no_wrong_signature(self, sio, journal):
        """A `TypeError` in a handler's body does not make it run again."""

        @sio.event
        async def disconnect(sid, reason="none"):
            journal.append(reason)
            raise TypeError

        with pytest.raises(TypeError):
            await sio._trigger_event("disconnect", "/", "sid", "gone")

        assert ["gone"] == journal

    async def test_older_python_socketio(self, sio, journal):
        """Versions that pass no authentication at first are served as well."""

        @sio.event
        async def connect(sid, environ, auth):
            journal.append(f"{auth}")

        await sio._trigger_event("connect", "/", "sid", {})

        assert ["None"] == journal

    async def test_wrong_signature(self, sio):
        """A handler that takes other arguments fails as it did."""
        sio.on("connect", lambda: None)
        sio.on("disconnect", lambda sid, a, b, c: None)

        with pytest.raises(TypeError):
            await sio._trigger_event("disconnect", "/", "sid", "gone")

    async def test_payload(self, sio):
        """Plain handlers get the payload, and their results are the answers."""

        @sio.event
        async def echo(sid, *data):
            return data

        @sio.event
        def nothing(sid):
            return None

        @sio.event
        async def typed(sid: str, data: dict[str, int | None]) -> dict[str, int | None]:
            return data

        async with serving(sio) as address, connected(address) as client:
            assert (1, "two") == await client.call("echo", (1, "two"))
            assert b"bytes" == await client.call("echo", b"bytes")
            assert await client.call("nothing") is None
            assert {"anything": "goes"} == await client.call("typed", {"anything": "goes"})

    async def test_partial(self, sio):
        """Any callable is a handler."""

        async def add(more, sid, data):
            return data + more

        sio.on("add", functools.partial(add, 2))
        sio.on("mock", mock.AsyncMock(return_value=5))
        sio.on("print", print)

        async with serving(sio) as address, connected(address) as client:
            assert 3 == await client.call("add", 1)
            assert 5 == await client.call("mock", 1)
            assert await client.call("print", "") is None


class TestCatchAll:
    async def test_events_and_namespaces(self, sio, journal):
        """Handlers for all events or namespaces get the names first."""
        sio.on("*", lambda event, sid, data: journal.append(f"{event} {data}"))
        sio.on("known", lambda namespace, sid, data: journal.append(f"{namespace} {data}"), "*")
        sio.on("*", lambda *args: journal.append(f"{args[:2]} {args[3]}"), "*")
        sio.on("connect", lambda namespace, sid, environ: journal.append(namespace), "*")
        sio.namespaces = "*"

        async with serving(sio) as address:
            async with connected(address, namespaces=["/", "/a"]) as client:
                await client.call("other", 1)
                await client.call("known", 2, namespace="/a")
                await client.call("other", 3, namespace="/a")

        assert ["/", "/a", "other 1", "/a 2", "('other', '/a') 3"] == journal

    async def test_class_for_any_namespace(self, sio, journal):
        """A class that serves any namespace gets its name first."""

        class Any(socketio.AsyncNamespace):
            async def on_work(self, namespace, sid, data):
                journal.append(f"{namespace} {data}")

        sio.register_namespace(Any("*"))
        sio.namespaces = "*"

        async with serving(sio) as address:
            async with connected(address, namespaces=["/a"]) as client:
                await client.call("work", 1, namespace="/a")

        assert ["/a 1"] == journal


class TestClasses:
    @pytest.mark.parametrize("is_late", [True, False])
    async def test_methods(self, registry, journal, is_late):
        """Methods are handlers, whether registered before `init_app` or after."""

        class Shop(socketio.AsyncNamespace):
            on_nothing = None

            def on_connect(self, sid, environ):
                journal.append("connect")

            async def on_buy(self, sid, data):
                await wares_from().aget(Event)
                return await self.on_add(sid, data)

            async def on_add(self, sid, data):
                return data + 1

            def on_count(self, sid):
                return self.on_sync(sid)

            def on_sync(self, sid):
                return 3

            async def on_disconnect(self, sid):
                journal.append("disconnect")

        sio = socketio.AsyncServer(async_mode="asgi")
        if is_late:
            init_app(sio, registry).register_namespace(Shop("/shop"))
        else:
            sio.register_namespace(Shop("/shop"))
            init_app(sio, registry)

        async with serving(sio) as address:
            async with connected(address, namespaces=["/shop"]) as client:
                assert 3 == await client.call("buy", 2, namespace="/shop")
                await client.emit("unknown", namespace="/shop")
            await until(lambda: not open_connections(sio))

        assert ["connect", "open event", "close event", "disconnect"] == journal

    async def test_registered_twice(self, sio):
        """An object that is registered twice is wrapped once."""
        calls = []

        class Shop(socketio.AsyncNamespace):
            async def on_buy(self, sid):
                return 1

        async def count(call_next, event):
            calls.append(event.name)
            return await call_next(event)

        router = RouterSIO()
        router.middleware(count)
        shop = Shop("/")
        router.register_namespace(shop)
        router.register_namespace(shop)
        include_router(sio, router)

        async with TestClient(sio) as client:
            assert 1 == await (await client.connect()).call("buy")
        assert ["buy"] == calls

    async def test_replaced(self, sio):
        """A method that is replaced after the registration is found by the next registration."""

        class Shop(socketio.AsyncNamespace):
            async def on_buy(self, sid):
                """Never called."""

        shop = Shop("/")
        sio.register_namespace(shop)
        shop.on_buy = lambda sid: 2
        sio.register_namespace(shop)

        async with TestClient(sio) as client:
            assert 2 == await (await client.connect()).call("buy")

    async def test_own_dispatch(self, sio, journal):
        """A class may find its methods itself."""

        class Shop(socketio.AsyncNamespace):
            async def trigger_event(self, event, *args):
                journal.append(event)
                return await super().trigger_event(event, *args)

            async def on_buy(self, sid):
                return await wares_from().aget(Event) and 1

        sio.register_namespace(Shop("/shop"))

        async with serving(sio) as address:
            async with connected(address, namespaces=["/shop"]) as client:
                assert 1 == await client.call("buy", namespace="/shop")

        assert ["connect", "buy", "open event", "close event"] == journal[:4]

    async def test_own_arguments(self, sio):
        """A class may pass other arguments to its methods, for example one more."""

        class Shop(socketio.AsyncNamespace):
            async def trigger_event(self, event, sid, *args):
                if event in ("connect", "disconnect"):
                    return await super().trigger_event(event, sid, *args)
                return await super().trigger_event(event.replace("-", "_"), User(sid), *args)

            async def on_buy_it(self, user, data):
                return [type(user).__name__, data]

        sio.register_namespace(Shop("/"))

        async with TestClient(sio) as client:
            connection = await client.connect()

            assert ["User", 5] == await connection.call("buy-it", 5)

    async def test_own_attempts(self, sio, journal):
        """A class may try again: services of an event that succeeds in the end are kept."""

        class Shop(socketio.AsyncNamespace):
            async def trigger_event(self, event, *args):
                try:
                    return await super().trigger_event(event, *args)
                except LookupError:
                    return await super().trigger_event(event, *args)

            async def on_buy(self, sid, data):
                await wares_from().aget(Event)
                journal.append(data)
                if journal.count(data) == 1:
                    raise LookupError
                return data

        sio.register_namespace(Shop("/"))

        async with TestClient(sio) as client:
            assert 5 == await (await client.connect()).call("buy", 5)

        assert ["open event", 5, 5, "close event"] == journal


class TestInstrumented:
    @pytest.mark.parametrize("mode", ["development", "production"])
    @pytest.mark.parametrize("is_first", [True, False])
    async def test_both_work(self, registry, journal, is_first, mode):
        """Servers that report to the Admin UI work, instrumented before or after."""
        sio = socketio.AsyncServer(async_mode="asgi")
        if is_first:
            init_app(sio, registry)
        admin = sio.instrument(auth=False, mode=mode)
        if not is_first:
            init_app(sio, registry)

        @sio.event
        async def work(sid):
            await wares_from().aget(Event, Lasting)

        try:
            async with serving(sio) as address:
                async with connected(address) as client:
                    await client.call("work")
                await until(lambda: not open_connections(sio))
        finally:
            await admin.shutdown()
            admin.uninstrument()

        assert ["open event", "open connection", "close event", "close connection"] == journal


class TestThreads:
    @pytest.fixture
    def registry(self, journal):
        """A registry with a synchronous service for each lifetime."""
        with Registry() as registry:
            register_both_sync(registry, journal)
            yield registry

    async def test_lifetimes(self, registry, journal):
        """A synchronous server has containers just the same."""
        sio = Server(registry=registry, async_mode="threading", ping_interval=1)

        @sio.event
        def connect(sid, environ):
            wares_from().get(Lasting)

        @sio.event
        def work(sid, data):
            current_container().get(Event)
            return data

        @sio.event
        def disconnect(sid):
            journal.append("disconnect")

        def talk(address):
            with connected_thread(address) as client:
                return client.call("work", "hard")

        with serving_threads(sio) as address:
            assert "hard" == await asyncio.to_thread(talk, address)
            await until(lambda: not open_connections(sio))
        assert [
            "open connection",
            "open event",
            "close event",
            "disconnect",
            "close connection",
        ] == journal

    def test_many(self, registry, journal):
        """Under load, each container is closed exactly once."""
        sio = Server(registry=registry, async_mode="threading", ping_interval=1)

        @sio.event
        def connect(sid, environ):
            wares_from().get(Lasting)

        @sio.event
        def work(sid, number):
            wares_from().get(Event, Lasting)
            return number

        def talk(address):
            with connected_thread(address) as client:
                return [client.call("work", number) for number in range(20)]

        with serving_threads(sio) as address, ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(talk, [address] * 24))

        assert [list(range(20))] * 24 == answers
        assert 480 == journal.count("open event") == journal.count("close event")
        assert 24 == journal.count("open connection") == journal.count("close connection")
        assert 0 == open_connections(sio)

    @pytest.mark.parametrize("kind", [ConnectionRefusedError, LookupError, TypeError])
    def test_not_let_in(self, registry, journal, kind):
        """A client that is refused, or whose connect handler fails, leaves nothing behind.

        A `TypeError` becomes the cause of another error, so that the handler is not called again.
        """
        sio = init_app(socketio.Server(async_mode="threading"), registry)

        @sio.event
        def connect(sid, environ, auth):
            wares_from().get(Lasting)
            raise kind("no")

        with pytest.raises(RuntimeError if kind is TypeError else kind):
            sio._trigger_event("connect", "/", "sid", {}, {"token": 1})

        assert ["open connection", "close connection"] == journal
        assert 0 == open_connections(sio)

    def test_shutdown(self, registry, journal):
        """At the shutdown of the server, the containers of connected clients close."""
        sio = init_app(socketio.Server(async_mode="threading"), registry)
        sio.on("connect", lambda sid, environ: wares_from().get(Lasting) and None)
        sio._trigger_event("connect", "/", "sid", {}, None)

        sio.shutdown()

        assert ["open connection", "close connection"] == journal

    def test_registry_closes(self, registry, journal):
        """A registry that closes synchronously closes the connections that it serves."""
        sio = init_app(socketio.Server(async_mode="threading"), registry)
        sio.on("connect", lambda sid, environ: wares_from().get(Lasting))

        sio._trigger_event("connect", "/", "sid", {}, None)
        assert ["open connection"] == journal
        registry.close()

        assert ["open connection", "close connection"] == journal

    def test_registry_closes_and_fails(self, registry, caplog):
        """A cleanup that fails then is logged, and the others run."""

        def make():
            yield 5
            raise RuntimeError("cannot end")

        registry.register_factory(int, make, lifetime="connection")
        sio = init_app(socketio.Server(async_mode="threading"), registry)
        sio.on("connect", lambda sid, environ: wares_from().get(int))
        sio._trigger_event("connect", "/", "one", {}, None)
        sio._trigger_event("connect", "/", "two", {}, None)

        registry.close()

        errors = [record for record in caplog.records if record.levelno == logging.ERROR]
        assert 2 == len(errors)
        assert 0 == open_connections(sio)

    def test_type_error(self, registry, journal):
        """A `TypeError` in a disconnect handler's body does not make it run again."""
        sio = init_app(socketio.Server(async_mode="threading"), registry)

        @sio.event
        def disconnect(sid, reason="none"):
            journal.append(reason)
            raise TypeError

        with pytest.raises(TypeError):
            sio._trigger_event("disconnect", "/", "sid", "gone")

        assert ["gone"] == journal


async def test_called_by_the_program(sio):
    """A method that the program calls itself, outside of an event, is just called."""

    class Shop(socketio.AsyncNamespace):
        async def on_buy(self, sid, data):
            return data

        async def trigger_event(self, event, *args):
            raise LookupError(event)

    shop = Shop("/shop")
    sio.register_namespace(shop)

    assert 5 == await shop.on_buy("sid", 5)
    with pytest.raises(LookupError, match="other"):
        await sio._trigger_event("other", "/shop", "sid")
