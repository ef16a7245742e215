"""Tests of decorated handlers, and of handlers whose annotations are strings.

The annotations of this module are strings, so whatever they name has to be found.
"""

from __future__ import annotations

import functools

import attrs
import flask
import pydantic
import pytest
import socketio
from flask_socketio import SocketIO

from tests.adapters.socketio.serving import connected, serving
from wares import Inject, Registry, inject
from wares.socketio import (
    AsyncServer,
    RouterSIO,
    Server,
    SocketID,
    TestClient,
    init_app,
)


@attrs.frozen
class User:
    sid: str


class Message(pydantic.BaseModel):
    text: str


class Work:
    """A service."""


@pytest.fixture
def registry():
    """A registry with a service."""
    with Registry() as registry:
        registry.register_factory(Work, Work)
        yield registry


@pytest.fixture
def sio(registry):
    """An asynchronous server."""
    return AsyncServer(async_mode="asgi", registry=registry)


def with_user(function):
    """Pass a `User` in place of the client's id."""

    @functools.wraps(function)
    def wrapper(sid, *args):
        return function(User(sid), *args)

    return wrapper


def with_work(function):
    """Ask for a service, and pass it on."""

    @functools.wraps(function, assigned=["__name__"])  # the annotations stay its own
    def wrapper(sid: SocketID, work: Inject[Work]):
        return function(work)

    return wrapper


def transparent(function):
    """Pass everything on."""

    @functools.wraps(function)
    async def wrapper(*args, **kwargs):
        return [await function(*args, **kwargs)]

    return wrapper


class TestWraps:
    async def test_other_arguments(self, sio):
        """A decorator gets the arguments that its wrapper takes, whatever function it wraps."""

        @sio.event
        @with_user
        async def say(user: User, data):
            return [type(user).__name__, data]

        async with TestClient(sio) as client:
            connection = await client.connect()

            assert ["User", 5] == await connection.call("say", 5)

    async def test_over_the_wire(self, sio):
        """Decorated handlers work on a real server with a real client."""

        @sio.event
        @with_user
        async def say(user: User, data):
            return [type(user).__name__, data]

        async with serving(sio) as address, connected(address) as client:
            assert ["User", 5] == await client.call("say", 5)

    def test_synchronous_server(self, registry):
        """Decorated handlers work on a synchronous server."""
        sio = Server(async_mode="threading", registry=registry)

        @sio.event
        @with_user
        def say(user: User, data):
            return [type(user).__name__, data]

        with TestClient(sio) as client:
            assert ["User", 5] == client.connect().call("say", 5)

    @pytest.mark.parametrize("is_async", [True, False])
    async def test_services_of_the_decorator(self, sio, is_async):
        """The wrapper of a decorator may ask for services that the inner function does not take."""

        async def ask_async(work):
            return type(work).__name__

        def ask_sync(work):
            return type(work).__name__

        sio.on("ask", with_work(ask_async if is_async else ask_sync))

        async with TestClient(sio) as client:
            assert "Work" == await (await client.connect()).call("ask")

    async def test_services_of_both(self, sio):
        """The wrapper of a decorator may ask for services around an injected function."""

        @inject
        async def ask(taken, work: Inject[Work]):
            return [type(taken).__name__, type(work).__name__]

        sio.on("ask", with_work(ask))

        async with TestClient(sio) as client:
            assert ["Work", "Work"] == await (await client.connect()).call("ask")

    async def test_transparent(self, sio):
        """A decorator that takes `*args, **kwargs` takes what the inner function takes."""

        @sio.event
        @transparent
        async def say(message: Message, work: Inject[Work]):
            return [message.text, type(work).__name__]

        async with TestClient(sio) as client:
            connection = await client.connect()

            assert [["hi", "Work"]] == await connection.call("say", {"text": "hi"})

    async def test_transparent_method(self, sio):
        """A decorator of a method that takes `*args, **kwargs` takes what the method takes."""

        class Shop(socketio.AsyncNamespace):
            @transparent
            async def on_say(self, message: Message, work: Inject[Work]):
                return [message.text, type(work).__name__]

        sio.register_namespace(Shop("/"))

        async with TestClient(sio) as client:
            connection = await client.connect()

            assert [["hi", "Work"]] == await connection.call("say", {"text": "hi"})

    async def test_injected(self, sio):
        """A handler may be decorated with `inject` as well."""

        @sio.event
        @inject
        async def say(*args, work: Inject[Work], **kwargs):
            return [*args[1:], type(work).__name__]

        async with TestClient(sio) as client:
            assert ["hi", "Work"] == await (await client.connect()).call("say", "hi")

    async def test_cached(self, sio):
        """A decorator that does not tell its parameters takes what the inner function takes."""

        @sio.event
        @functools.lru_cache
        def say(message: Message):
            return [message.text]

        async with TestClient(sio) as client:
            with pytest.raises(TypeError, match="unhashable"):
                await (await client.connect()).call("say", {"text": "hi"})

    async def test_same_names(self, sio):
        """Annotations that `functools.wraps` has copied say nothing about the decorator."""

        def with_author(function):
            @functools.wraps(function)
            async def wrapper(user, text, *, mark="!"):
                return await function(User(user), text + mark)

            return wrapper

        @sio.event
        @with_author
        async def say(user: User, text: Message):
            return [type(user).__name__, text]

        async with TestClient(sio) as client:
            assert ["User", "hi!"] == await (await client.connect()).call("say", "hi")


class TestFlaskSocketIO:
    @pytest.fixture
    def app(self):
        """An application of Flask."""
        app = flask.Flask("tests")
        app.secret_key = "secret"
        return app

    @pytest.fixture
    def io(self, app, registry):
        """Its Socket.IO server, initialised."""
        io = SocketIO(app, async_mode="threading")
        init_app(io.server, registry)

        @io.on("typed")
        def typed(data: dict):
            return [data]

        @io.on("ask")
        @inject
        def ask(data: list, work: Inject[Work]):
            return [data, type(work).__name__]

        return io

    def test_its_own_client(self, app, io):
        """Handlers with annotations are called as Flask-SocketIO calls them."""
        client = io.test_client(app)

        assert [{"a": 1}] == client.emit("typed", {"a": 1}, callback=True)
        assert [[1], "Work"] == client.emit("ask", [1], callback=True)

    def test_our_client(self, app, io):
        """A client that talks to the application of Flask reaches the server."""
        with TestClient(app) as client:
            connection = client.connect()

            assert [{"a": 1}] == connection.call("typed", {"a": 1})


class TestPlainWrappers:
    """Wrappers without `functools.wraps`: python-socketio tries with an argument less."""

    async def test_asynchronous(self, sio):
        """Handlers that leave out the last argument of connect and disconnect are called."""
        called = []

        def around(function):
            return lambda *args: function(*args)

        async def connect(sid, environ):
            called.append("connect")

        async def disconnect(sid):
            called.append("disconnect")

        sio.on("connect", around(connect))
        sio.on("disconnect", around(disconnect))

        async with serving(sio) as address, connected(address):
            pass
        async with TestClient(sio) as client:
            await client.connect()

        assert ["connect", "disconnect"] * 2 == called

    def test_synchronous(self, registry):
        """Decorated connect and disconnect handlers are called on a synchronous server."""
        sio = Server(async_mode="threading", registry=registry)
        called = []

        def connect(sid, environ):
            called.append("connect")

        def disconnect(sid):
            called.append("disconnect")

        sio.on("connect", lambda *args: connect(*args))
        sio.on("disconnect", lambda *args: disconnect(*args))

        with TestClient(sio) as client:
            client.connect()

        assert ["connect", "disconnect"] == called

    @pytest.mark.parametrize("auth", [{"token": 1}, None])
    async def test_authentication(self, sio, auth):
        """If a client sends authentication, it is not left out after a `TypeError`."""
        called = []

        async def connect(sid, environ, auth="none"):
            called.append(auth)
            raise TypeError("broken")

        sio.on("connect", lambda *args: connect(*args))

        async with TestClient(sio) as client:
            with pytest.raises(TypeError, match="broken"):
                await client.connect(auth=auth)

        assert ([auth] if auth else [None, "none"]) == called

    async def test_wrong_in_any_way(self, sio):
        """If nothing fits, the first error tells why."""

        def connect(): ...

        sio.on("connect", lambda *args: connect(*args))

        async with TestClient(sio) as client:
            with pytest.raises(TypeError, match="were given"):
                await client.connect()


def add_locally(target):
    """Register a handler and an exception handler with annotations that only this place knows."""

    class Closed(Exception):
        pass

    class Local(Work):
        pass

    @target.exception_handler(Closed)
    async def answer(error: Closed, sid: SocketID):
        return {"error": str(error)}

    @target.middleware
    async def note(call_next, event, work: Inject[Local]):
        return [type(work).__name__, await call_next(event)]

    @target.event
    async def fail(local: LocalMessage):
        raise Closed(local.text)

    class LocalMessage(Message):
        pass

    return Local


class TestLocalNames:
    async def test_on_a_router(self, sio, registry):
        """Names of the place where something is registered on a router are known later on."""
        router = RouterSIO()
        local = add_locally(router)
        registry.register_factory(local, local)
        sio.add_router(router)

        async with TestClient(sio) as client:
            connection = await client.connect()

            assert {"error": "no"} == await connection.call("fail", {"text": "no"})

    async def test_on_a_server(self, sio):
        """The annotations of exception handlers on a server are evaluated at registration."""

        class Closed(Exception):
            pass

        @sio.exception_handler(Closed)
        async def answer(error: Closed):
            return {"error": str(error)}

        @sio.event
        async def fail(sid):
            raise Closed("no")

        async with serving(sio) as address, connected(address) as client:
            assert {"error": "no"} == await client.call("fail")

    @pytest.mark.parametrize("is_on_router", [False, True])
    async def test_in_classes_for_namespaces(self, sio, is_on_router):
        """The annotations of methods of namespace classes are evaluated."""

        class LocalMessage(Message):
            pass

        class Space(socketio.AsyncNamespace):
            async def on_say(self, said: LocalMessage, work: Inject[Work]) -> LocalMessage:
                return said

        target = RouterSIO() if is_on_router else sio
        target.register_namespace(Space("/"))
        if is_on_router:
            sio.add_router(target)

        async with serving(sio) as address, connected(address) as client:
            assert {"text": "yes"} == await client.call("say", {"text": "yes"})
