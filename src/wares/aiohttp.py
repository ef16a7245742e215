"""A container for each request and each WebSocket of an aiohttp application."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import aclosing
from functools import partial
from typing import Any, TypeAlias

from typing_extensions import Unpack

from wares._adapters.absent_names import explain_svcs_names
from wares._adapters.applications import with_methods
from wares._adapters.extras import needs_extra
from wares._adapters.health_endpoint import HealthEndpoint, HealthOptions
from wares._adapters.registries import Keeping, demand, demand_kind
from wares._adapters.units import Unit, check, noting
from wares._core.container import Container, Registry
from wares.exceptions import NoContainerError, NoRegistryError

with needs_extra("wares.aiohttp", "aiohttp"):
    from aiohttp import AsyncIterablePayload, hdrs, web

__all__ = [
    "aclose_registry",
    "get_registry",
    "health_route",
    "init_app",
    "register_factory",
    "register_value",
    "wares_from",
    "wares_middleware",
]

#: aiohttp's own alias names its class in a string, which cannot be evaluated outside of aiohttp.
Handler: TypeAlias = Callable[[web.Request], Awaitable[web.StreamResponse]]

REGISTRY_KEY = web.AppKey("wares_registry", Registry)

_keeping = Keeping[web.Application](
    lambda app: app.get(REGISTRY_KEY),
    "The application has no registry. Initialise it: wares.aiohttp.init_app(app)",
)
get_registry = _keeping.get_registry
aclose_registry = _keeping.aclose_registry
register_factory = _keeping.register_factory
register_value = _keeping.register_value
explain_svcs_names(__name__, "wares_from(request)")
#: Where the container is found in a request. Typed keys of requests are new in aiohttp 3.14.
_make_key = getattr(web, "RequestKey", lambda name, _: name)
CONTAINER_KEY: Any = _make_key("wares_container", Container)


def init_app(
    app: web.Application,
    *,
    registry: Registry | None = None,
    middleware_pos: int = 0,
    validate: bool = True,
) -> web.Application:
    """Give *app* a registry, and each of its requests and WebSockets a container.

    The container is given the `aiohttp.web.Request`, and is current (`wares.current_container`) in
    handlers and in inner middlewares. It closes when the handler has returned, or after a streamed
    body. The registry closes when the application ends.

    The cleanups see the exception that ended a request, even if a middleware has answered it. A
    response that is raised counts as a failure if its status is 400 or more.

    Sub-applications of *app* share the container. If a sub-application has middlewares that answer
    exceptions, initialise it with the same registry, after adding its middlewares.

    Args:
        app: The application.
        registry: The registry to use; by default that of *app* if it has one, or else a new one.
        middleware_pos: The position of the middleware in ``app.middlewares``.
        validate: Whether the start fails if a registered service cannot be made, or if a handler
            asks for one that is not registered before or in ``cleanup_ctx``.

    Returns:
        The application.

    Raises:
        InvalidRegistrationError: *app* is no application of aiohttp, or has started already.
    """
    demand_kind(app, web.Application, "init_app takes a web.Application", late="pre_frozen")
    present = _keeping.find(app)
    app[REGISTRY_KEY] = _keeping.prepare(app, registry, [web.Request], _find_handlers)
    if present is None:
        app.middlewares.insert(middleware_pos, wares_middleware)
        app.middlewares.append(_note_failure)
        run = partial(_run, validate)
        app.cleanup_ctx.append(run)
        app.on_startup.insert(0, partial(_go_last, run))
    return app


@web.middleware
async def wares_middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Serve one request with a container; `init_app` installs this.

    Args:
        request: The request.
        handler: The handler or the next middleware.
    """
    registry = _find_registry(request)
    outer: Container | None = request.get(CONTAINER_KEY)
    if outer is not None and outer.registry is registry:
        return await handler(request)  # in a sub-application
    unit = Unit(registry.container({web.Request: request}), is_failure=_is_failure)
    try:
        async with unit as request[CONTAINER_KEY]:
            response = await handler(request)
            if isinstance(getattr(response, "body", None), AsyncIterablePayload):
                # aiohttp would send the body only after the middlewares have returned.
                await response.prepare(request)
                await response.write_eof()
            return response
    finally:
        request[CONTAINER_KEY] = outer or unit.container


def wares_from(request: web.Request) -> Container:
    """Get the container of a request or WebSocket.

    Args:
        request: The request.

    Returns:
        The container.

    Raises:
        NoContainerError: The request did not come through `wares_middleware`.
    """
    container: Container | None = request.get(CONTAINER_KEY)
    advice = "The request did not come through the middleware of wares.aiohttp.init_app(app)."
    return demand(container, NoContainerError, advice)


def health_route(path: str = "/healthy", **options: Unpack[HealthOptions]) -> web.RouteDef:
    """Make a route that pings the services and reports whether they are healthy.

    Args:
        path: The path of the route.
        options: How it checks and answers: ``timeout`` (5 seconds), ``tags`` (all), ``ok_status``
            (200), ``failing_status`` (503), ``show_errors`` (False), ``max_age`` (0 seconds).

    Returns:
        The route, for ``app.add_routes([...])``.

    Raises:
        InvalidOptionError: An option is invalid.
    """
    endpoint = HealthEndpoint(**options)

    async def health(request: web.Request) -> web.Response:
        answer = await endpoint.arespond(
            _find_registry(request),
            tags=request.query.getall("tag", ()),
            accept=",".join(request.headers.getall("Accept", ())),
        )
        return web.Response(body=answer.body, status=answer.status, headers=answer.headers)

    return web.get(path, health)


def _find_registry(request: web.Request) -> Registry:
    return demand(request.config_dict.get(REGISTRY_KEY), NoRegistryError, _keeping.message)


async def _run(validate: bool, app: web.Application) -> AsyncIterator[None]:
    async with aclosing(get_registry(app)) as registry:
        if validate:
            check(registry, "The application does not start", _find_handlers(app))
        await registry.astart()
        yield


async def _go_last(run: Any, app: web.Application) -> None:
    # Middlewares may answer exceptions. Singletons may need what other contexts have opened.
    if not app.pre_frozen:  # as a sub-application is
        app.middlewares.remove(_note_failure)
        app.middlewares.append(_note_failure)
        app.cleanup_ctx.remove(run)
        app.cleanup_ctx.append(run)


def _find_handlers(app: web.Application) -> Iterator[Callable[..., Any]]:
    for handler in dict.fromkeys(route.handler for route in app.router.routes()):
        yield from with_methods(handler, handler, sorted(hdrs.METH_ALL))


@web.middleware
async def _note_failure(request: web.Request, handler: Handler) -> web.StreamResponse:
    with noting(wares_from(request)):  # an outer middleware may answer the exception
        return await handler(request)


def _is_failure(error: BaseException) -> bool:
    return not isinstance(error, web.HTTPException) or error.status >= 400  # noqa: PLR2004  # below: no failures
