"""Tests of problems that are found at the start, such as missing services of handlers."""

import abc
import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import pytest
import socketio
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.routing import Mount

import wares.asgi
import wares.fastapi
import wares.starlette
from tests.adapters.socketio.serving import new_client, serve, serving
from wares import Inject, InvalidRegistryError, Registry
from wares.exceptions import InvalidRegistrationError, UnresolvableParameterError
from wares.socketio import (
    AsyncServer,
    RouterSIO,
    Server,
    SocketID,
    TestClient,
    include_router,
    init_app,
    wares_from,
)


class Missing(abc.ABC):
    """A service that is never registered."""

    @abc.abstractmethod
    def work(self): ...


class There(Missing):
    """Somebody has written it, at least."""

    def work(self): ...


@dataclasses.dataclass
class Plain:
    """Another one, which is registered, and asked for without a marker."""


def add_marked(sio):
    @sio.event
    async def buy(sid: SocketID, missing: Inject[Missing]): ...


def add_unmarked(sio):
    @sio.event
    async def buy(sid: SocketID, missing: Plain): ...


def add_middleware(sio):
    @sio.middleware
    async def buy(call_next, event, missing: Inject[Missing]):
        return await call_next()

    sio.on("work", lambda sid: None)


def add_exception_handler(sio):
    @sio.exception_handler(LookupError)
    async def buy(error: LookupError, missing: Inject[Missing]): ...

    sio.on("work", lambda sid: None)


def add_method(sio):
    class Shop(socketio.AsyncNamespace):
        async def on_buy(self, missing: Inject[Missing]): ...

    sio.register_namespace(Shop("/shop"))


EVERY_WAY = [
    add_marked,
    add_unmarked,
    add_middleware,
    add_exception_handler,
    add_method,
]


async def register_nothing(app, registry):
    yield


def as_application(sio):
    return socketio.ASGIApp(sio, socketio_path="/ws/socket.io")


def in_fastapi(sio, register):
    app = FastAPI(lifespan=wares.fastapi.lifespan(register))
    app.mount("/ws", as_application(sio))
    return app


def in_starlette(sio, register):
    routes = [Mount("/ws", as_application(sio))]
    return Starlette(lifespan=wares.starlette.lifespan(register), routes=routes)


def in_another(sio, register):
    inner = Starlette(routes=[Mount("/", as_application(sio))])
    return Starlette(lifespan=wares.starlette.lifespan(register), routes=[Mount("/ws", inner)])


def in_middleware(sio, register):
    lifespan = wares.asgi.lifespan(register)
    return wares.asgi.WaresMiddleware(as_application(sio), lifespan=lifespan)


class TestMissing:
    @pytest.mark.parametrize("add", EVERY_WAY)
    async def test_named(self, registry, add):
        """A mistake is found before a client connects, and the error names the handler."""
        registry.register_factory(Plain, Plain)
        sio = AsyncServer(async_mode="asgi", registry=registry)
        add(sio)

        with pytest.raises(InvalidRegistryError) as caught:
            async with TestClient(sio):
                pass

        assert "buy" in str(caught.value)
        assert __file__ in str(caught.value)

    @pytest.mark.parametrize("validates", [True, False])
    async def test_registered_late(self, registry, validates):
        """A type that is registered after the first connection is not read from clients."""
        sio = AsyncServer(async_mode="asgi")
        init_app(sio, registry, validate=validates)
        add_unmarked(sio)
        async with TestClient(sio):
            registry.register_factory(Plain, Plain)

            with pytest.raises(InvalidRegistryError) as caught:
                async with TestClient(sio):
                    pass

        assert "Inject[Plain]" in str(caught.value)

    async def test_refused(self, sio, caplog):
        """Clients are refused, not left waiting, and the log tells why."""
        add_marked(sio)

        client, told = new_client(), []
        client.on("connect_error", told.append)
        async with serving(sio) as address:
            with pytest.raises(socketio.exceptions.ConnectionError):
                await client.connect(address, transports=["websocket"])

        assert [{"message": "The server is not ready."}] == told
        assert "Nothing is registered for Missing" in caplog.text

    async def test_mended(self, sio, registry):
        """After the missing service has been registered, clients can connect."""
        add_marked(sio)
        with pytest.raises(socketio.exceptions.ConnectionRefusedError):
            await sio._trigger_event("connect", "/", "sid", {}, None)
        registry.register_factory(Missing, There)

        await sio._trigger_event("connect", "/", "sid", {}, None)

        assert wares_from("sid", sio=sio).get(SocketID) == "sid"

    async def test_in_the_lifespan(self):
        """The registry of a lifespan is looked at when it serves for the first time."""

        @wares.fastapi.lifespan
        async def lifespan(app, registry):
            yield

        sio = AsyncServer(async_mode="asgi")
        add_marked(sio)

        with pytest.raises(InvalidRegistryError):
            async with TestClient(socketio.ASGIApp(sio, FastAPI(lifespan=lifespan))):
                pass

    @pytest.mark.parametrize("place", [in_fastapi, in_starlette, in_another, in_middleware])
    async def test_of_a_mounted_server(self, place):
        """The start of the application fails, if the server is mounted in it."""
        sio = AsyncServer(async_mode="asgi")
        add_marked(sio)

        with pytest.raises(InvalidRegistryError) as caught:
            async with TestClient(place(sio, register_nothing), path="/ws/socket.io"):
                pass

        assert "The application does not start" in str(caught.value)
        assert "buy" in str(caught.value)

    @pytest.mark.parametrize("place", [in_fastapi, in_starlette, in_another, in_middleware])
    async def test_of_a_mounted_server_that_can_serve(self, place):
        """The start succeeds if factories need only objects that events are given."""
        sio = AsyncServer(async_mode="asgi")
        add_marked(sio)

        async def register(app, registry):
            def make(sid: SocketID) -> There:
                return There()

            registry.register_factory(Missing, make)
            yield

        async with TestClient(place(sio, register), path="/ws/socket.io") as client:
            assert await (await client.connect()).call("buy") is None

    async def test_of_a_mounted_server_with_another_registry(self):
        """A server that was given another registry is none of the application's business."""
        sio = AsyncServer(async_mode="asgi", registry=Registry())
        add_marked(sio)

        async with serve(in_fastapi(sio, register_nothing), lifespan="on") as address:
            assert address

    @pytest.mark.parametrize("validate", [True, False])
    async def test_expected_without_marker(self, validate):
        """A client never sends what the containers of connections are expected to have."""
        registry = Registry()
        registry.expect(Plain)
        sio = AsyncServer(async_mode="asgi", registry=registry, validate=validate)

        @sio.event
        async def who(plain: Plain): ...

        with pytest.raises(InvalidRegistryError) as caught:
            async with TestClient(sio):
                pass

        assert ["plain"] == [problem.parameter for problem in caught.value.exceptions]

    async def test_of_a_connection(self, registry):
        """Keys of services that are registered locally must be announced to the registry."""
        registry.expect(Missing)
        sio = AsyncServer(async_mode="asgi", registry=registry)

        @sio.event
        async def connect(sid: SocketID):
            wares_from(sid).register_local_value(Missing, There())

        @sio.event
        async def buy(missing: Inject[Missing]):
            return type(missing).__name__

        async with TestClient(sio) as client:
            assert "There" == await (await client.connect()).call("buy")

    async def test_forms(self, sio, registry):
        """Annotations that stand for other keys are read as such; none of these needs a service."""

        @sio.event
        async def buy(listed: Inject[list[Missing]], optional: Inject[Missing | None]):
            return [listed, optional]

        async with TestClient(sio) as client:
            assert [[], None] == await (await client.connect()).call("buy")

    def test_a_misplaced_marker(self, sio):
        """A marker that marks nothing is refused when the handler is registered."""

        async def buy(sid: SocketID, missing: Inject[Missing] | None): ...

        with pytest.raises(UnresolvableParameterError, match="missing"):
            sio.on("buy", buy)

    def test_synchronous_server(self):
        """A missing service is found on a synchronous server, too."""
        sio = Server(async_mode="threading", registry=Registry())

        @sio.event
        def buy(missing: Inject[Missing]): ...

        with pytest.raises(InvalidRegistryError), TestClient(sio):
            pass
        with pytest.raises(socketio.exceptions.ConnectionRefusedError):
            sio._trigger_event("connect", "/", "sid", {}, None)


class TestCheck:
    """`wares check module:sio` finds the registry of a server, and what its handlers lack."""

    @pytest.mark.parametrize(("has_registry", "is_wrapped"), [(True, True), (False, False)])
    def test_command(self, tmp_path, has_registry, is_wrapped):
        """The command names the handlers, with or without a registry."""
        (tmp_path / "shop.py").write_text(
            "import abc, socketio, wares, wares.socketio\n"
            "class Missing(abc.ABC):\n"
            "    @abc.abstractmethod\n"
            "    def work(self): ...\n"
            f"registry = {'wares.Registry()' if has_registry else None}\n"
            "sio = wares.socketio.AsyncServer(async_mode='asgi', registry=registry)\n"
            "app = socketio.ASGIApp(sio)\n"
            "@sio.event\n"
            "async def buy(missing: wares.Inject[Missing]): ...\n"
            "@sio.event\n"
            "async def sell(missing: wares.Inject[Missing]): ...\n"
        )
        target = "shop:app" if is_wrapped else "shop:sio"

        found = subprocess.run(
            [sys.executable, "-m", "wares", "check", target],
            cwd=tmp_path,
            check=False,
            env={**os.environ, "PYTHONPATH": str(Path(wares.__file__).parents[1])},
            capture_output=True,
            text=True,
        )

        assert 1 == found.returncode
        assert "Nothing is registered for Missing" in found.stderr
        assert "buy" in found.stderr
        assert "sell" in found.stderr


@pytest.mark.parametrize(
    "environ", ["environ", None, {"asgi.scope": "scope"}, {"asgi.scope": {}}]
)
async def test_environment(environ):
    """Any environment that python-socketio passes is accepted."""
    sio = init_app(socketio.AsyncServer(async_mode="asgi"))
    seen = []
    sio.on("connect", lambda sid, environ: seen.append(environ))

    await sio._trigger_event("connect", "/", "sid", environ, None)

    assert [environ] == seen


class Callable:
    """A callable object that is asynchronous."""

    async def __call__(self, sid): ...


async def function(sid): ...


class TestAsyncOnSyncServer:
    """A synchronous server awaits nothing: what would have to be awaited is refused."""

    @pytest.fixture
    def sio(self):
        """A synchronous server."""
        return Server(async_mode="threading", registry=Registry())

    @pytest.mark.parametrize("handler", [function, Callable()])
    def test_handler(self, sio, handler):
        """An asynchronous handler is refused when it is registered."""
        with pytest.raises(InvalidRegistrationError, match="has to be awaited"):
            sio.on("work", handler)

    def test_registered_before(self):
        """A missing service of a handler that was registered before `init_app` is found."""
        sio = socketio.Server(async_mode="threading")
        sio.on("work", function)

        with pytest.raises(InvalidRegistrationError, match="function"):
            init_app(sio)

    def test_method(self, sio):
        """A missing service of a method of a namespace class is found."""

        class Shop(socketio.Namespace):
            async def on_buy(self, sid): ...

        with pytest.raises(InvalidRegistrationError, match="on_buy"):
            sio.register_namespace(Shop("/"))

    def test_others(self, sio):
        """Missing services of middlewares and exception handlers are found."""

        async def middleware(call_next, event): ...

        async def answer(error): ...

        router = RouterSIO()
        router.middleware(middleware)

        with pytest.raises(InvalidRegistrationError, match="middleware"):
            sio.middleware(middleware)
        with pytest.raises(InvalidRegistrationError, match="answer"):
            sio.exception_handler(LookupError)(answer)
        with pytest.raises(InvalidRegistrationError, match="middleware"):
            include_router(sio, router)

    def test_only_when_called(self, sio):
        """A handler that turns out to be asynchronous fails when it is called."""
        sio.on("work", lambda sid: function(sid))

        class Later:
            def __await__(self): ...

        sio.on("later", lambda sid: Later())

        with TestClient(sio) as client:
            connection = client.connect()
            with pytest.raises(InvalidRegistrationError, match="awaits nothing"):
                connection.call("work")
            with pytest.raises(InvalidRegistrationError, match="awaits nothing"):
                connection.call("later")


def needs_missing(missing: Missing):
    """Make a service that needs a service that is never registered."""
    return Plain()


def init_server(**options):
    """Make an unmodified server, and initialise it."""
    return init_app(socketio.AsyncServer(async_mode="asgi"), **options)


def make_server(**options):
    """Make a server of ours."""
    return AsyncServer(async_mode="asgi", **options)


class TestRegistriesThatCannotWork:
    async def test_found(self, registry):
        """A registered service that cannot be made is found, even if no handler needs it."""
        registry.register_factory(Plain, needs_missing)
        sio = init_app(socketio.AsyncServer(async_mode="asgi"), registry)

        with pytest.raises(InvalidRegistryError) as caught:
            async with TestClient(sio):
                pass

        assert "Nothing is registered for Missing" in str(caught.value)

    @pytest.mark.parametrize("make", [init_server, make_server])
    async def test_may_serve(self, registry, make):
        """With `validate=False`, clients are accepted nevertheless."""
        registry.register_factory(Plain, needs_missing)
        sio = make(registry=registry, validate=False)
        add_marked(sio)

        async with TestClient(sio) as client:
            assert (await client.connect()).sid
