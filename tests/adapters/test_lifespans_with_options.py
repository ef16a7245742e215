"""Lifespans that are decorated with options, in all adapters that have lifespans."""

import importlib.util

import pytest
from fastapi import FastAPI

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


@pytest.mark.parametrize("lifespan", LIFESPANS)
def test_called_instead_of_passed(lifespan):
    """A lifespan that is called without an application, `lifespan=start()`, says to pass it."""

    @lifespan
    async def start(app, registry):
        """Never be reached."""
        yield

    with pytest.raises(InvalidRegistrationError) as caught:
        start()

    message = str(caught.value)
    assert f"The lifespan start ({__file__}:" in message
    assert message.endswith("pass it without parentheses, lifespan=start")


@pytest.mark.parametrize("lifespan", [wares.starlette.lifespan, wares.fastapi.lifespan])
@pytest.mark.parametrize("options", [None, {}])
async def test_the_decorator_instead_of_a_lifespan(lifespan, options):
    """An application that is given the decorator itself does not start, and the error says why."""
    given = lifespan if options is None else lifespan(**options)
    app = FastAPI(lifespan=given)

    with pytest.raises(InvalidRegistrationError, match=r"this is a FastAPI\..*lifespan=start"):
        async with app.router.lifespan_context(app):
            """Never be reached."""


def test_the_scope_of_fastapi():
    """FastAPI's lifespan takes one option more, and checks it."""

    async def start(app, registry):
        """Never be reached."""
        yield

    assert isinstance(wares.fastapi.lifespan(scope="function")(start), wares.fastapi.lifespan)
    with pytest.raises(InvalidOptionError, match="'session'"):
        wares.fastapi.lifespan(scope="session")(start)
