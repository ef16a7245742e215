"""Mistakes in the lines that set an adapter up: each error says what to write instead."""

import re

import celery
import flask
import pytest
import socketio
import taskiq
import typer
from aiohttp import web
from fastapi import FastAPI
from faststream import FastStream
from faststream.nats import NatsBroker
from litestar import Litestar
from starlette.applications import Starlette

import wares.aiohttp
import wares.asgi
import wares.celery
import wares.faststream
import wares.flask
import wares.litestar
import wares.socketio
import wares.taskiq
from wares import InvalidRegistrationError, Registry


class Shop(FastAPI):
    """An application of a class of the user's own."""


def init_broker(broker, registry=None):
    """Initialise a broker of FastStream."""
    return wares.faststream.init_broker(broker, registry=registry or Registry())


ADAPTERS = {
    "aiohttp": (wares.aiohttp.init_app, web.Application),
    "celery": (wares.celery.init_app, celery.Celery),
    "faststream": (wares.faststream.init_app, FastStream),
    "faststream broker": (init_broker, NatsBroker),
    "flask": (wares.flask.init_app, lambda: flask.Flask("shop")),
    "socketio": (
        wares.socketio.init_app,
        lambda: socketio.Server(async_mode="threading"),
    ),
    "taskiq": (wares.taskiq.init_broker, taskiq.InMemoryBroker),
}

#: What is passed instead of an application, and what the message says about it.
WRONG = {
    "of another framework": (Shop, "not a Shop. Its adapter is wares.fastapi."),
    "of a program": (typer.Typer, "not a Typer. Its adapter is wares.click."),
    "the class": (
        lambda: Shop,
        "not the class Shop. Make an object of the class, and pass that.",
    ),
    "what a function forgot to return": (
        lambda: None,
        "not None. Perhaps a `return` is missing.",
    ),
    "a registry": (Registry, "not a Registry. Name the registry: init_"),
    "something else": (lambda: "shop:app", "not a str."),
}


@pytest.mark.parametrize(("make", "message"), WRONG.values(), ids=WRONG)
@pytest.mark.parametrize("init", [init for init, _ in ADAPTERS.values()], ids=ADAPTERS)
def test_the_wrong_object(init, make, message):
    """An object that an adapter cannot initialise is refused, with what to do about it."""
    with pytest.raises(InvalidRegistrationError, match=rf"takes .*, {re.escape(message)}"):
        init(make())


@pytest.mark.parametrize(
    "wrong", [Registry, "registry", lambda: Registry()], ids=["class", "str", "function"]
)
@pytest.mark.parametrize(
    "give",
    [
        *(
            lambda registry, pair=pair: pair[0](pair[1](), registry=registry)
            for pair in ADAPTERS.values()
        ),
        lambda registry: wares.asgi.WaresMiddleware(None, registry=registry),
        lambda registry: wares.litestar.WaresPlugin(registry=registry),
        lambda registry: wares.asgi.lifespan(start, registry=registry),
    ],
    ids=[*ADAPTERS, "asgi", "litestar", "lifespan"],
)
def test_what_is_no_registry(give, wrong):
    """The argument `registry` is a registry, not its class or a function that makes one."""
    with pytest.raises(
        InvalidRegistrationError, match="registry takes a Registry, not "
    ) as caught:
        give(wrong)

    assert "Make one, and pass that" in str(caught.value)


def test_what_is_no_registry_for_mcp():
    """`WaresMiddleware` of MCP checks its registry, too: its argument is not the lifespan."""
    mcp = pytest.importorskip("wares.mcp", exc_type=ImportError)

    with pytest.raises(
        InvalidRegistrationError, match="registry takes a Registry, not a lifespan"
    ):
        mcp.WaresMiddleware(mcp.lifespan(start))


async def start(app, registry):
    """Never be reached."""
    yield


def make_part():
    part = web.Application()
    web.Application().add_subapp("/part", part)
    return part


def make_started():
    app = web.Application()
    app.freeze()
    return app


@pytest.mark.parametrize("make", [make_part, make_started])
def test_too_late(make):
    """An aiohttp application that has started, or is part of another one, is refused."""
    with pytest.raises(
        InvalidRegistrationError, match="init_app comes too late: this Application"
    ):
        wares.aiohttp.init_app(make())


NAMES = {
    "asgi": "Wrap the application: WaresMiddleware(app, lifespan=start)",
    "click": "Decorate the functions of commands: @with_container(make_registry)",
    "django": 'Add "wares.django" to the setting INSTALLED_APPS',
    "fastapi": "Decorate a function with its lifespan instead",
    "litestar": "Install the plugin: Litestar(plugins=[WaresPlugin()])",
    "mcp": "Write: FastMCP(..., lifespan=start, middleware=[WaresMiddleware()])",
    "starlette": "Decorate a function with its lifespan instead",
    "taskiq": "Write: init_broker(broker)",
}


@pytest.mark.parametrize("name", NAMES)
def test_there_is_no_init_app(name):
    """An adapter that is set up otherwise than by `init_app` says how."""
    module = pytest.importorskip(f"wares.{name}", exc_type=ImportError)

    with pytest.raises(AttributeError) as caught:
        module.init_app  # noqa: B018  # that is the point

    expected = f"module 'wares.{name}' has no attribute 'init_app'. {NAMES[name]}"
    assert expected == str(caught.value)


def test_other_names():
    """Any other name that an adapter lacks is an ordinary error."""
    with pytest.raises(AttributeError, match=r"has no attribute 'init_brokr'$"):
        wares.taskiq.init_brokr  # noqa: B018  # that is the point


def test_a_plugin_that_is_a_class():
    """A plugin of Litestar is an object."""
    with pytest.raises(InvalidRegistrationError, match=r"Call it: plugins=\[WaresPlugin\(\)\]"):
        Litestar(plugins=[wares.litestar.WaresPlugin])


def make_context():
    return wares.asgi.lifespan(start)(Starlette())


@pytest.mark.parametrize("make", [make_context, lambda: start], ids=["called", "not decorated"])
def test_a_lifespan_of_the_middleware(make):
    """The middleware is given the lifespan itself: decorated, and not called."""
    with pytest.raises(InvalidRegistrationError, match="pass it without calling it"):
        wares.asgi.WaresMiddleware(Starlette(), lifespan=make())
