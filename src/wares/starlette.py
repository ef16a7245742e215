"""A container for each request and each WebSocket of a Starlette application.

`lifespan` gives the application a registry, and `WaresMiddleware` opens the containers.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable, Hashable, Iterable
from typing import Any, Protocol, TypeVar

from typing_extensions import Unpack

from wares import asgi
from wares._adapters.absent_names import explain_svcs_names
from wares._adapters.applications import find_views
from wares._adapters.extras import needs_extra
from wares._adapters.health_endpoint import HealthEndpoint, HealthOptions
from wares._adapters.lifespan import REGISTRY_KEY, explain_idle_lifespan, refuse_fastapi
from wares._adapters.registries import demand
from wares._core.container import Container, Registry
from wares.exceptions import NoRegistryError, ServiceNotFoundError

with needs_extra("wares.starlette", "starlette"):
    from starlette.applications import Starlette
    from starlette.requests import HTTPConnection, Request
    from starlette.responses import Response
    from starlette.routing import Route
    from starlette.websockets import WebSocket

__all__ = ["WaresMiddleware", "get_registry", "health_route", "lifespan", "wares_from"]

App = TypeVar("App", bound=Starlette)

explain_svcs_names(__name__, "wares_from(request)")


class Client(Protocol):
    """A client that runs an application, such as `starlette.testclient.TestClient`."""

    app: Any


class lifespan(asgi.lifespan[App]):  # noqa: N801  # used as a decorator
    """Pass a registry to the lifespan function of an application, and close it afterwards.

    `get_registry` returns the registry, and `WaresMiddleware` uses it. Factories may ask for the
    connection: a `Request`, a `WebSocket` or an `HTTPConnection`.

    Nested lifespans, such as those of FastAPI's routers, share the registry of the outermost one.

    The arguments, attributes and errors are those of `wares.asgi.lifespan`. The validation includes
    the services that endpoints with `wares.inject` ask for.
    """

    async def _find_handlers(self, app: App) -> Iterable[Callable[..., Any]]:
        return find_views(app)

    async def _prepare(self, app: App) -> None:
        if not self._is_nested:
            refuse_fastapi(app)

    @contextlib.asynccontextmanager
    async def _open(self, app: App) -> AsyncIterator[Registry]:
        outer: Registry | None = getattr(app.state, REGISTRY_KEY, None)
        if outer is not None:
            own, self.registry = self.registry, outer
            self._is_nested = True
            try:
                yield outer
            finally:
                self.registry = own
                self._is_nested = False
            return
        async with super()._open(app) as registry:
            registry.expect(Request, WebSocket, HTTPConnection)
            setattr(app.state, REGISTRY_KEY, registry)
            try:
                yield registry
            finally:
                delattr(app.state, REGISTRY_KEY)


class WaresMiddleware(asgi.WaresMiddleware):
    """Open a container for each HTTP request and each WebSocket, and close it after them.

    `wares_from` returns the container, which is current (`wares.current_container`) in everything
    that the application calls. It closes once, when the response has been sent and background tasks
    have run.

    The cleanups see the exception that ended the request, even if an exception handler has answered
    it. Install this middleware inside those that begin responses themselves, such as
    `BaseHTTPMiddleware`: last in Starlette's list of middleware.

    Args:
        app: The application to serve.
        registry: The registry to use; by default, that of the lifespan.
        failed: Takes the status of a response, and tells whether the request has failed although
            there was no exception. By default, it has not.
    """

    # A response without an exception is no failure.
    _may_miss_exceptions = False

    def _explain(self, error: BaseException, scope: asgi.Scope) -> None:
        if isinstance(error, ServiceNotFoundError):
            # This may be a mounted application.
            text = explain_idle_lifespan(scope.get("app"), scope.get("root_path", ""))
            if text is not None:
                error.add_note(text)

    def _give(
        self, scope: asgi.Scope, receive: asgi.Receive, send: asgi.Send
    ) -> dict[Hashable, Any]:
        kind = Request if scope["type"] == "http" else WebSocket
        return given_by(kind(scope, receive, send))


def wares_from(connection: HTTPConnection) -> Container:
    """Get the container of a request or WebSocket.

    Factories that run after this call and ask for the connection receive *connection*.

    Args:
        connection: The request or WebSocket.

    Returns:
        The container that `WaresMiddleware` has opened.

    Raises:
        NoContainerError: The connection did not come through `WaresMiddleware`.
    """
    container = asgi.wares_from(connection.scope)
    if container._made.get(HTTPConnection) is not connection:
        # Factories must receive the object of the endpoint, which may have read the body already.
        container._give(given_by(connection))
    return container


def get_registry(app: Starlette | Client) -> Registry:
    """Get the registry of a running application.

    Args:
        app: The application, or a test client that runs it.

    Returns:
        The registry that `lifespan` keeps.

    Raises:
        NoRegistryError: The application does not run, or its lifespan has no registry.
    """
    inner: Any = app
    while inner is not None and not isinstance(inner, Starlette):
        # *app* is a test client, or a middleware around the application.
        inner = getattr(inner, "app", None)
    registry: Registry | None = getattr(getattr(inner, "state", None), REGISTRY_KEY, None)
    why = asgi.NOT_RUNNING if inner else f"Pass the application, not this {type(app).__name__}."
    return demand(registry, NoRegistryError, why)


def health_route(path: str = "/healthy", **options: Unpack[HealthOptions]) -> Route:
    """Make a route that pings the services and reports whether they are healthy.

    It answers with ``{"ok": [...], "failing": [...]}``, or in more detail if the request accepts
    ``application/health+json``. With ``?tag=ready``, it checks only services with that tag.

    Args:
        path: The path of the route.
        options: How it checks and answers: ``timeout`` (5 seconds), ``tags`` (all), ``ok_status``
            (200), ``failing_status`` (503), ``show_errors`` (False), ``max_age`` (0 seconds).

    Returns:
        The route, for the application's list of routes.

    Raises:
        InvalidOptionError: An option is invalid.
    """
    endpoint = HealthEndpoint(**options)

    async def health(request: Request) -> Response:
        return await answer_probe(endpoint, request)

    return Route(path, health)


async def answer_probe(endpoint: HealthEndpoint, request: Request) -> Response:
    """Let *endpoint* answer *request*."""
    container: Container | None = request.scope.get(asgi.CONTAINER_KEY)
    answer = await endpoint.arespond(
        asgi.find_registry(request.scope) if container is None else container.registry,
        tags=request.query_params.getlist("tag"),
        accept=",".join(request.headers.getlist("accept")),
    )
    return Response(answer.body, answer.status, answer.headers)


def given_by(connection: HTTPConnection) -> dict[Hashable, Any]:
    """Return the objects to give to a container: the connection, under each of its types."""
    base = Request if connection.scope["type"] == "http" else WebSocket
    return {HTTPConnection: connection, base: connection, type(connection): connection}
