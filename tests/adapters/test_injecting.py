"""Tests of injection without a decorator: only markers of wares are filled."""

import functools
import inspect
import sys
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any

import aiohttp.web
import fast_depends
import flask_socketio
import pytest
import socketio
from flask import Flask
from litestar import Litestar, post
from starlette.applications import Starlette
from starlette.routing import Route

import wares.aiohttp
import wares.flask
import wares.litestar
import wares.socketio
import wares.starlette
from wares import Inject, Registry, inject
from wares._adapters.injecting import bind_own, inject_own
from wares._inject.injected import find_missing
from wares.exceptions import UnresolvableParameterError

if TYPE_CHECKING:
    from decimal import Decimal as OnlyForTypes

    from tests.support.only_injected import Hidden


@pytest.fixture
def registry():
    """A registry with a number, whose container is current."""
    registry = Registry()
    registry.register_value(int, 3)
    with registry.container() as container, container.activate():
        yield registry


def parameters_of(function):
    """Name the parameters that callers see."""
    return list(inspect.signature(function).parameters)


def give() -> str:
    return "given"


def test_other_markers_stay(registry):
    """A marker of another framework stays in the signature, in either notation."""
    theirs = fast_depends.Depends(give)

    def handle(
        number: Inject[int],
        first: Annotated[str, theirs],
        second: str = theirs,
        third: Annotated[int, wares.Depends(int)] = 0,
        fourth: int = 4,
    ):
        return number, first, second, third, fourth

    injected = inject_own(handle)

    assert ["first", "second", "fourth"] == parameters_of(injected)
    assert theirs is inspect.signature(injected).parameters["second"].default
    assert {"first", "second", "fourth"} == set(injected.__annotations__)
    assert (3, "a", "b", 3, 4) == injected(first="a", second="b")


def test_what_only_dependencies_take(registry):
    """A parameter that only a dependency takes becomes a keyword parameter."""

    def find(name: str, number: Inject[int], *, year: int = 2000):
        return f"{name} {number} {year}"

    def handle(first: Annotated[str, fast_depends.Depends(give)], found=wares.Depends(find)):
        return first, found

    injected = inject_own(handle)

    assert ["first", "name", "year"] == parameters_of(injected)
    assert ("a", "Ada 3 1999") == injected("a", name="Ada", year=1999)


async def test_kinds_stay(registry):
    """An asynchronous function stays one, under its name."""

    async def handle(number: Inject[int]):
        """Tell the number."""
        return number

    injected = inject_own(handle)

    assert inspect.iscoroutinefunction(injected)
    assert ("handle", "Tell the number.") == (injected.__name__, injected.__doc__)
    assert 3 == await injected()


def test_a_function_that_asks_for_nothing_is_left_alone():
    """Nothing is put around a function without markers of ours, injected ones among them."""

    def handle(first: Annotated[str, fast_depends.Depends(give)], *rest: Any):
        """Ask for nothing."""

    injected = inject(give)

    assert handle is inject_own(handle)
    assert injected is inject_own(injected)


def test_names_that_only_inject_finds(registry):
    """Annotations that Python cannot evaluate are read by `inject`."""

    def handle(number: Inject[int], other: "OnlyForTypes | None" = None):
        return number, other

    assert (3, None) == inject_own(handle)()


@pytest.mark.parametrize(
    "annotation", [Inject[int] | None, list[Inject[int]], Inject, Annotated[int, wares.Depends]]
)
@pytest.mark.parametrize("inject", [inject_own, bind_own])
def test_misplaced_markers(inject, annotation):
    """A marker of ours that marks nothing is refused, and its parameter not left to others."""

    def handle(number: annotation = 0): ...

    with pytest.raises(UnresolvableParameterError, match="number"):
        inject(handle)


async def start_flask(view):
    app = wares.flask.init_app(Flask("shop"))
    app.testing = True
    app.get("/")(view)
    app.test_client().get("/")


async def start_aiohttp(view):
    app = wares.aiohttp.init_app(aiohttp.web.Application())
    app.router.add_get("/", view)
    runner = aiohttp.web.AppRunner(app)
    try:
        await runner.setup()
    finally:
        await runner.cleanup()


async def start_starlette(view):
    @wares.starlette.lifespan
    async def lifespan(app, registry):
        yield

    async with lifespan(Starlette(routes=[Route("/", view)])):
        pass


async def start_litestar(view):
    app = Litestar([post("/")(view)], plugins=[wares.litestar.WaresPlugin()])
    async with app.lifespan():
        pass


def look_inside(error):
    """Give an error, and those in its groups."""
    inner = getattr(error, "exceptions", ())
    return [error, *(deeper for one in inner for deeper in look_inside(one))]


@pytest.mark.parametrize("start", [start_flask, start_aiohttp, start_starlette, start_litestar])
@pytest.mark.parametrize("is_above", [False, True])
async def test_without_a_decorator(start, is_above):
    """A view that asks, and is not injected, is refused before a client could send the service."""

    async def show(data: Inject[dict[str, str]]) -> str:
        raise AssertionError

    if is_above:
        inject(show)
    with pytest.raises(Exception) as caught:  # some come in groups
        await start(show)

    problems = look_inside(caught.value)
    (problem,) = [one for one in problems if isinstance(one, UnresolvableParameterError)]
    assert "data" == problem.parameter
    assert "@inject" in str(problem)
    assert "show" in str(problem)


def name_only_known_to_type_checkers(service: "Inject[OnlyForTypes]"): ...


def name_that_never_comes(service: "Inject[Later]"): ...  # noqa: F821  # that is the point


def other_parameter_with_such_a_name(later: "Later", service: Inject[Decimal]): ...  # noqa: F821  # the same


def within_other_brackets(service: "list[Inject[Later.Inner]]"): ...  # noqa: F821  # the same


def make_with_a_local_name():
    class Local: ...

    def view(service: "Inject[Local]"): ...

    return view


UNREAD = [
    name_only_known_to_type_checkers,
    name_that_never_comes,
    other_parameter_with_such_a_name,
    within_other_brackets,
    make_with_a_local_name(),
    functools.wraps(name_that_never_comes)(lambda *args: None),
]


@pytest.mark.parametrize("view", UNREAD)
def test_annotations_that_cannot_be_evaluated(view, registry):
    """A marker is found in and next to annotations with unknown names."""
    (problem,) = find_missing([view], registry)

    assert "service" == problem.parameter
    assert "not injected" in str(problem)


def test_nothing_is_imported_for_them(registry, monkeypatch):
    """Imports for type checkers are not performed to look at other functions."""
    monkeypatch.delitem(sys.modules, "tests.support.only_injected", raising=False)

    def show(hidden: "Hidden", service: "Inject[Hidden]"): ...

    (problem,) = find_missing([show], registry)

    assert "service" == problem.parameter
    assert "tests.support.only_injected" not in sys.modules


def test_what_cannot_be_told(registry):
    """A function whose annotations or signature cannot be read is ignored."""

    def show(later: "Later"): ...  # noqa: F821  # it never comes
    def odd(): ...

    odd.__signature__ = "none at all"

    assert [] == list(find_missing([show, odd, type.__call__, int], registry))


def test_a_part_of_a_url_of_flask(registry):
    """A view is refused if a part of its URL would take the place of a service."""
    app = wares.flask.init_app(Flask("shop"), registry=registry)
    app.testing = True

    @app.get("/orders/<number>")
    @inject
    def show(number: Inject[int], other: Inject[str]): ...

    registry.register_value(str, "text")

    with pytest.raises(wares.InvalidRegistryError) as caught:
        app.test_client().get("/orders/666")

    (problem,) = caught.value.exceptions
    assert "number" == problem.parameter
    assert "a part of the URL has the same name" in str(problem)


def test_what_clients_of_flask_socketio_send(registry):
    """An argument too many of a client of Flask-SocketIO fills no marked parameter."""
    app = wares.flask.init_app(Flask("shop"), registry=registry)
    server = flask_socketio.SocketIO(app, async_mode="threading")
    received = []

    @server.on("work")
    @inject
    def work(data, number: Inject[int]):
        received.append((data, number))

    client = server.test_client(app)
    client.emit("work", "data")
    with pytest.raises(TypeError, match="positional"):
        client.emit("work", "data", "mallory")

    assert [("data", 3)] == received


def test_handlers_of_flask_socketio(registry):
    """Handlers that are not injected, or lack a service, are found at the first request."""
    app = wares.flask.init_app(Flask("shop"), registry=registry)
    app.testing = True
    server = flask_socketio.SocketIO(app, async_mode="threading")
    server.on("forgotten")(lambda data, number=Inject[int]: None)

    @server.on("uninjected")
    def uninjected(data, number: Inject[int]): ...

    @server.on("lacking")
    @inject
    def lacking(text: Inject[str]): ...

    with pytest.raises(wares.InvalidRegistryError) as caught:
        app.test_client().get("/")

    told = "\n".join(map(str, caught.value.exceptions))
    assert 3 == len(caught.value.exceptions)
    assert "number" in told
    assert "uninjected" in told
    assert "lacking" in told


async def test_what_clients_of_socketio_send(registry):
    """A client of python-socketio cannot fill a marked parameter by position."""
    server = wares.socketio.init_app(socketio.AsyncServer(async_mode="asgi"), registry)
    received = []

    async def work(sid, data, number: Inject[int]):
        received.append((data, number))

    server.on("plain", work)
    server.on("injected", inject(work))
    async with wares.socketio.TestClient(server) as client:
        connection = await client.connect()
        await connection.call("plain", "data", "mallory")
        await connection.call("injected", "data")
        with pytest.raises(TypeError, match="positional"):
            await connection.call("injected", "data", "mallory")

    assert [("data", 3)] * 2 == received


async def test_an_endpoint_of_starlette(registry):
    """A missing service of an injected endpoint of Starlette is found at the start."""

    @inject
    async def show(request, missing: Inject[complex]): ...

    with pytest.raises(wares.InvalidRegistryError) as caught:
        await start_starlette(show)

    (problem,) = caught.value.exceptions
    assert complex is problem.key


def test_names_for_type_checkers_beside_other_markers(registry):
    """Strings, and imports for type checkers, hide neither marker."""
    registry.register_value(Decimal, Decimal(5))
    theirs = fast_depends.Depends(give)

    def handle(number: "Inject[OnlyForTypes]", first: "Annotated[str, theirs]"):
        return number, first

    injected = inject_own(handle)

    assert ["first"] == parameters_of(injected)
    assert (5, "given") == injected(first="given")
