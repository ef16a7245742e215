"""Applications that are mounted in others, with lifespans of their own."""

from typing import Annotated

import pytest
from fastapi import Depends, FastAPI
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route

import wares.fastapi
import wares.starlette
from tests.adapters.serving import client_of
from tests.support.messages import notes_of
from wares import Inject, InvalidRegistryError, ServiceNotFoundError, inject


class Service:
    """A service that only the mounted application registers."""


async def start_outer(app, registry):
    yield


async def start_inner(app, registry):
    registry.register_factory(Service, Service)
    yield


async def view(request):
    wares.starlette.wares_from(request).get(Service)
    return PlainTextResponse("served")


def mount_in_starlette(register):
    inner = Starlette(
        routes=[Route("/view", view)], lifespan=wares.starlette.lifespan(start_inner)
    )
    return Starlette(
        routes=[Mount("/outer", routes=[Mount("/inner", inner)])],
        lifespan=wares.starlette.lifespan(register),
        middleware=[Middleware(wares.starlette.WaresMiddleware)],
    )


def find(service: wares.fastapi.Inject[Service]):
    return "served"


def make_inner():
    inner = FastAPI(lifespan=wares.fastapi.lifespan(start_inner))

    @inner.get("/view")
    async def view(found: Annotated[str, Depends(find)]):
        return found

    return inner


def mount_in_fastapi(register):
    inner = make_inner()
    app = FastAPI(lifespan=wares.fastapi.lifespan(register))
    app.mount("/outer/inner", inner)
    return app


async def test_starlette_explains_what_is_missing():
    """A service that only the mounted application registers is missing, and it says why."""
    async with client_of(mount_in_starlette(start_outer)) as client:
        with pytest.raises(ServiceNotFoundError) as caught:
            await client.get("/outer/inner/view")

    *_, note = caught.value.__notes__
    assert "The application mounted at '/outer/inner' has a lifespan of its own" in note
    assert "call it in both lifespans" in note


async def test_fastapi_explains_what_is_missing():
    """The start of an application of FastAPI fails, and it says why."""
    with pytest.raises(InvalidRegistryError) as caught:
        async with client_of(mount_in_fastapi(start_outer)):
            pass

    missing, explanation = caught.value.exceptions
    assert "Nothing is registered for Service." in str(missing)
    assert "The application mounted at '/outer/inner' has a lifespan" in str(explanation)


def wrap(inner):
    return Mount("/inner", GZipMiddleware(GZipMiddleware(inner)))


def wrap_by_mount(inner):
    return Mount("/inner", inner, middleware=[Middleware(GZipMiddleware)])


@pytest.mark.parametrize("mount", [wrap, wrap_by_mount])
async def test_fastapi_looks_into_middlewares(mount):
    """An application that is mounted inside of middlewares is checked, and explained, too."""
    inner = make_inner()
    app = FastAPI(lifespan=wares.fastapi.lifespan(start_outer))
    app.router.routes.append(mount(inner))

    with pytest.raises(InvalidRegistryError) as caught:
        async with client_of(app):
            pass

    missing, explanation = caught.value.exceptions
    assert "Nothing is registered for Service." in str(missing)
    assert "The application mounted at '/inner' has a lifespan" in str(explanation)


@pytest.mark.parametrize("mount", [wrap, wrap_by_mount])
async def test_starlette_looks_into_middlewares(mount):
    """Endpoints that ask by `inject` are checked inside of middlewares, too."""

    @inject
    async def ask(request, service: Inject[Service]):
        return PlainTextResponse("served")

    inner = Starlette(routes=[Route("/view", ask)])
    app = Starlette(routes=[mount(inner)], lifespan=wares.starlette.lifespan(start_outer))

    with pytest.raises(InvalidRegistryError) as caught:
        async with client_of(app):
            pass

    (missing,) = caught.value.exceptions
    assert "Nothing is registered for Service." in str(missing)


@pytest.mark.parametrize("mount", [wrap, wrap_by_mount])
async def test_overrides_of_an_application_inside_of_middlewares(mount):
    """A mounted application has its own `dependency_overrides`, also inside of middlewares."""
    inner = make_inner()
    inner.dependency_overrides[find] = lambda: "overridden"
    app = FastAPI(lifespan=wares.fastapi.lifespan(start_inner))
    app.router.routes.append(mount(inner))

    async with client_of(app) as client:
        response = await client.get("/inner/view")

    assert '"overridden"' == response.text


@pytest.mark.parametrize("mount", [mount_in_starlette, mount_in_fastapi])
async def test_what_both_register(mount):
    """If the outer lifespan registers the services, too, the mounted application works."""
    async with client_of(mount(start_inner)) as client:
        response = await client.get("/outer/inner/view")

    assert "served" == response.text.strip('"')


async def test_other_errors_are_left_alone():
    """An error about a missing service of the outer application has no such note."""

    async def fail(request):
        raise ServiceNotFoundError(Service, path=[Service])

    app = Starlette(
        routes=[Route("/", fail)],
        lifespan=wares.starlette.lifespan(start_outer),
        middleware=[Middleware(wares.starlette.WaresMiddleware)],
    )
    async with client_of(app) as client:
        with pytest.raises(ServiceNotFoundError) as caught:
            await client.get("/")

    assert "lifespan" not in notes_of(caught.value)


async def test_no_overrides_at_the_start():
    """FastAPI takes `dependency_overrides = None` for none, and so does the start."""
    app = FastAPI(lifespan=wares.fastapi.lifespan(start_inner))
    app.dependency_overrides = None

    @app.get("/")
    async def view(service: wares.fastapi.Inject[Service]):
        return "served"

    async with client_of(app) as client:
        response = await client.get("/")

    assert '"served"' == response.text
