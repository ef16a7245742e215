"""Tests of what users of svcs rely on in adapters."""

import contextlib
import functools
import re
import subprocess
import sys
import typing
from pathlib import Path

import aiohttp.web
import attrs
import flask
import pytest
import socketio
from fastapi import FastAPI
from starlette.applications import Starlette

import wares
from tests.adapters.serving import client_of
from wares import Inject, inject
from wares.socketio import SocketID


@pytest.fixture
def app_context(registry):
    """An application of Flask, in its context."""
    app = wares.flask.init_app(flask.Flask("tests"), registry=registry)
    with app.app_context():
        yield


@pytest.mark.skipif(sys.platform != "linux", reason="the page says: the sed of GNU")
def test_the_command_that_renames():
    """The command of the page leaves no function behind that adapters of wares do not have."""
    page = Path(__file__).parents[2] / "docs" / "migrating-from-svcs.md"
    script = re.search(r"sed -i -E '(.*?)'", page.read_text("utf-8"), re.DOTALL)[1]
    source = """
import svcs

class Shop(svcs.starlette.SVCSMiddleware):
    def ask(self, request):
        svcs.flask.svcs_from()
        svcs.flask.get(Books, User)
        svcs.flask.get_abstract(Cache)
        svcs.flask.get_pings()
        svcs.aiohttp.get_pings(request)
        await svcs.aiohttp.aget(request, Books)
        await svcs.starlette.aget_abstract(request, Books)
        container.get_abstract(Books)
"""
    expected = """
import wares

class Shop(wares.starlette.WaresMiddleware):
    def ask(self, request):
        wares.flask.wares_from()
        wares.flask.wares_from().get(Books, User)
        wares.flask.wares_from().get(Cache)
        wares.flask.wares_from().get_pings()
        wares.aiohttp.wares_from(request).get_pings()
        await wares.aiohttp.wares_from(request).aget(Books)
        await wares.starlette.wares_from(request).aget(Books)
        container.get(Books)
"""

    command = ["sed", "-E", script.replace("\n>", "\n")]
    renamed = subprocess.run(command, input=source, capture_output=True, text=True, check=True)

    assert expected == renamed.stdout


def test_the_key_by_its_keyword():
    """The key may be passed as ``svc_type``, to registries, containers and adapters."""
    registry = wares.Registry()
    registry.register_factory(svc_type=str, factory=lambda: "factory")
    registry.register_value(svc_type=int, value=1)
    with registry.container() as container:
        container.register_local_factory(svc_type=bytes, factory=lambda: b"local")
        container.register_local_value(svc_type=float, value=2.0)

        assert ("factory", 1, b"local", 2.0) == container.get(str, int, bytes, float)

    app = flask.Flask("shop")
    with wares.flask.init_app(app).app_context():
        wares.flask.register_factory(app, svc_type=str, factory=lambda: "factory")
        wares.flask.register_value(app, svc_type=int, value=1)
        wares.flask.overwrite_factory(svc_type=bytes, factory=lambda: b"local")
        wares.flask.overwrite_value(svc_type=float, value=2.0)

        found = wares.flask.wares_from().get(str, int, bytes, float)
        assert ("factory", 1, b"local", 2.0) == found

    site = wares.aiohttp.init_app(aiohttp.web.Application())
    wares.aiohttp.register_factory(site, svc_type=str, factory=lambda: "factory")
    wares.aiohttp.register_value(site, svc_type=int, value=1)
    with wares.aiohttp.get_registry(site).container() as container:
        assert ("factory", 1) == container.get(str, int)


@pytest.mark.usefixtures("app_context")
class TestOverwriting:
    """`wares.flask.overwrite_value`."""

    def test_a_context_manager_is_entered(self, registry):
        """A value that is a context manager is entered, as if a factory had returned it."""
        registry.register_value(str, "before")
        wares.flask.overwrite_value(str, contextlib.nullcontext("entered"))

        assert "entered" == wares.flask.wares_from().get(str)

    def test_without_entering(self):
        """With `enter=False`, the context manager itself is the service, like any other value."""
        manager = contextlib.nullcontext("entered")
        wares.flask.overwrite_value(str, manager, enter=False)
        wares.flask.overwrite_value(int, 5)

        assert (manager, 5) == wares.flask.wares_from().get(str, int)


class TestLifespans:
    """Lifespans as public projects write them, and use them in their tests."""

    async def test_that_closes_the_registry_itself(self):
        """A lifespan may be a partial, close the registry itself, and run for each test anew."""
        closed = []

        async def start(app, registry, *, value):
            registry.register_value(int, value, on_registry_close=lambda: closed.append(value))
            yield
            await registry.aclose()

        app = FastAPI(lifespan=wares.fastapi.lifespan(functools.partial(start, value=5)))

        @app.get("/")
        async def show(services: wares.fastapi.DepContainer):
            return await services.aget(int)

        answers = []
        for _ in range(2):
            async with client_of(app) as client:
                answers.append((await client.get("/")).json())

        assert ([5, 5], [5, 5]) == (answers, closed)

    async def test_whose_registry_tests_use(self):
        """Registrations on `lifespan.registry`, before or after the start, last for one test."""

        @wares.fastapi.lifespan
        async def lifespan(app: FastAPI, registry: wares.Registry):
            registry.register_value(int, 0)
            yield

        app = FastAPI(lifespan=lifespan)

        @app.get("/")
        async def show(services: wares.fastapi.DepContainer):
            return [await services.aget(int), str in services.registry]

        answers = []
        for number in (1, 2):
            if number == 1:
                lifespan.registry.register_value(str, "before")
            async with client_of(app) as client:
                lifespan.registry.register_value(int, number)
                answers.append((await client.get("/")).json())

        assert [[1, True], [2, False]] == answers


@pytest.mark.parametrize("adapter", ["starlette", "fastapi"])
class TestGetRegistry:
    """`get_registry`."""

    def test_type_hints(self, adapter):
        """Its annotations can be read at run time, also without a test client."""
        hints = typing.get_type_hints(getattr(wares, adapter).get_registry)

        assert wares.Registry is hints["return"]

    def test_where_there_is_none(self, adapter):
        """If there is no registry, the error is a `LookupError`."""
        with pytest.raises(LookupError):
            getattr(wares, adapter).get_registry(Starlette())


class TestSubclasses:
    """Classes of svcs are attrs classes, and so projects define subclasses with attrs."""

    def test_a_registry(self):
        """A subclass that attrs defines registers, opens containers, and closes."""
        closed = []

        @attrs.define
        class Registry(wares.Registry):
            names: list[str] = attrs.field(factory=list, init=False)

            def register(self, name: str) -> None:
                self.names.append(name)
                self.register_value(str, name, on_registry_close=lambda: closed.append(name))

        with Registry() as registry:
            registry.register("books")
            with registry.container() as container:
                assert "books" == container.get(str)

        assert ["books"] == registry.names == closed

    async def test_a_registry_that_is_not_hashable(self):
        """A subclass that compares by its fields serves applications like any other."""

        @attrs.define
        class Registry(wares.Registry):
            name: str = "shop"

        registry = Registry()
        registry.register_factory(int, lambda: 5)

        async def start(app, registry):
            sio = socketio.AsyncServer(async_mode="asgi")
            sio.on("ask", inject(ask))
            app.mount("/socket", socketio.ASGIApp(wares.socketio.init_app(sio, registry)))
            yield

        async def ask(sid: SocketID, number: Inject[int]) -> int: ...

        app = FastAPI(lifespan=wares.fastapi.lifespan(start, registry=registry))
        app.include_router(wares.fastapi.health_router())

        @app.get("/")
        def show(services: wares.fastapi.DepContainer, number: Inject[int]) -> int:
            return services.get(int) + number

        async with client_of(app) as client:
            answers = [await client.get(path) for path in ("/", "/healthy")]

        assert Registry.__hash__ is None
        assert "10" == answers[0].text
        assert 200 == answers[1].status_code

    @pytest.mark.parametrize("options", [{}, {"slots": False}, {"eq": False}])
    async def test_a_container(self, registry, options):
        """A container subclass made by attrs takes the registry and its own fields."""

        @attrs.define(**options)
        class Container(wares.Container):
            name: str = attrs.field()
            limit: int = 3

            def greet(self) -> str:
                return f"{self.get(str)} {self.name} {self.limit}"

        registry.register_factory(str, lambda: "hello")
        with Container(registry, "Ada") as container:
            assert "hello Ada 3" == container.greet()
        async with Container(registry, name="Grace", limit=4) as container:
            assert "hello" == await container.aget(str)
            assert registry is container.registry

        assert container.is_closed
        assert object.__setattr__ is wares.Container.__setattr__


@pytest.mark.parametrize(
    ("name", "instead"),
    [
        ("flask.get", "wares_from().get(...)"),
        ("flask.get_pings", "wares_from().get_pings()"),
        ("flask.svcs_from", "wares_from()"),
        ("fastapi.aget", "await wares.starlette.wares_from(request).aget(...)"),
        ("starlette.aget_abstract", "await wares_from(request).aget(...)"),
        ("starlette.SVCSMiddleware", "WaresMiddleware"),
        ("aiohttp.get", "wares_from(request).get(...)"),
    ],
)
def test_names_that_are_gone(name, instead):
    """An adapter says what to write instead of a name of svcs; type checkers do not see it."""
    adapter, _, missing = name.partition(".")

    with pytest.raises(AttributeError) as caught:
        getattr(getattr(wares, adapter), missing)

    assert str(caught.value) == (
        f"module 'wares.{adapter}' has no attribute '{missing}'. "
        f"Instead of svcs' {missing}, write {instead}"
    )


@pytest.mark.parametrize("adapter", ["flask", "fastapi", "starlette", "aiohttp"])
def test_names_that_svcs_does_not_have(adapter):
    """Other names that an adapter does not have are Python's usual error."""
    with pytest.raises(
        AttributeError, match=f"^module 'wares.{adapter}' has no attribute 'no'$"
    ):
        getattr(wares, adapter).no  # noqa: B018  # the access is the test
