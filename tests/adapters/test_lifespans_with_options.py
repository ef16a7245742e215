"""Lifespans that are decorated with options, in all adapters that have lifespans."""

import importlib.util

import pytest

import wares
from wares import InvalidOptionError, InvalidRegistrationError, Registry

LIFESPANS = [wares.asgi.lifespan, wares.starlette.lifespan, wares.fastapi.lifespan]
if importlib.util.find_spec("mcp"):  # its oldest version needs newer ones of other packages
    LIFESPANS.append(wares.mcp.lifespan)


@pytest.mark.parametrize("lifespan", LIFESPANS)
def test_decorate(lifespan):
    """With options alone, a lifespan is a decorator that heeds them."""
    registry = Registry()

    @lifespan(registry=registry, validate=False)
    async def start(app, registry):
        """Never be reached."""
        yield

    assert lifespan is type(start)
    assert registry is start.registry


@pytest.mark.parametrize("lifespan", LIFESPANS)
def test_decorate_without_options(lifespan):
    """Empty parentheses change nothing."""

    @lifespan()
    async def start(app, registry):
        """Never be reached."""
        yield

    assert lifespan is type(start)


@pytest.mark.parametrize("lifespan", LIFESPANS)
def test_what_is_no_function(lifespan):
    """A mistake is still told: None is no function."""
    with pytest.raises(InvalidRegistrationError, match="must be a function"):
        lifespan(None)


def test_the_scope_of_fastapi():
    """FastAPI's lifespan takes one option more, and checks it."""

    async def start(app, registry):
        """Never be reached."""
        yield

    assert isinstance(wares.fastapi.lifespan(scope="function")(start), wares.fastapi.lifespan)
    with pytest.raises(InvalidOptionError, match="'session'"):
        wares.fastapi.lifespan(scope="session")(start)
