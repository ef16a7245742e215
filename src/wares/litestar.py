"""A container for each request and each WebSocket of a Litestar application.

A plugin gives the application a registry, and installs the middleware of `wares.asgi`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Hashable, Iterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from typing_extensions import Unpack

from wares import asgi
from wares._adapters.absent_names import explain_names
from wares._adapters.extras import needs_extra
from wares._adapters.health_endpoint import HealthOptions
from wares._adapters.lifespan import REGISTRY_KEY, make_eager
from wares._adapters.registries import Keeping, choose_registry
from wares._adapters.units import check
from wares._core.container import Container, Registry
from wares.exceptions import InvalidRegistrationError

with needs_extra("wares.litestar", "litestar"):
    from litestar import Litestar, Request, WebSocket
    from litestar import asgi as asgi_handler
    from litestar.config.app import AppConfig
    from litestar.connection import ASGIConnection
    from litestar.handlers import ASGIRouteHandler
    from litestar.plugins import InitPlugin

__all__ = ["WaresPlugin", "get_registry", "health_handler", "wares_from"]

explain_names(__name__, {"init_app": "Install the plugin: Litestar(plugins=[WaresPlugin()])"})

_keeping = Keeping[Litestar](
    lambda app: app.state.get(REGISTRY_KEY),
    "The application has no registry. Install the plugin: "
    "Litestar(plugins=[wares.litestar.WaresPlugin()])",
)
get_registry = _keeping.get_registry


class WaresPlugin(InitPlugin):
    """Give an application a registry, and each of its requests and WebSockets a container.

    `wares_from` returns the container. It is current (`wares.current_container`) in handlers,
    guards, dependencies, exception handlers and inner middlewares. It is given the connection: a
    `litestar.Request` or a `litestar.WebSocket`. It closes when the response has been sent,
    streamed or not, and background tasks have run. The registry closes when the application ends.

    Handlers ask with `wares.inject`, below Litestar's decorator.

    Args:
        registry: The registry to use; a new one by default. It closes when the application ends, so
            the application cannot be started again.
        validate: Whether the start fails if a registered service cannot be made, or if a handler
            asks for a service that is not registered.

    Attributes:
        registry: The registry.

    Raises:
        InvalidRegistrationError: *registry* is no registry.
    """

    def __init__(self, *, registry: Registry | None = None, validate: bool = True) -> None:
        self.registry = choose_registry(None, registry)
        self._validates = validate

    def on_app_init(self, app_config: AppConfig | None = None) -> AppConfig:
        """Install the middleware and the lifespan; Litestar calls it.

        Args:
            app_config: The configuration of the application.

        Returns:
            The same configuration.

        Raises:
            InvalidRegistrationError: The application was given the class instead of a plugin.
        """
        if app_config is None:
            raise InvalidRegistrationError(
                "A plugin of the application is a class. Call it: plugins=[WaresPlugin()]"
            )
        self.registry.expect(Request, WebSocket, ASGIConnection)
        middleware: Any = partial(_Middleware, registry=self.registry)
        app_config.middleware.insert(0, middleware)
        # Litestar exits the last lifespan first, so singletons end before what they may need.
        app_config.lifespan = [*app_config.lifespan, self._run]
        app_config.state[REGISTRY_KEY] = self.registry
        return app_config

    @asynccontextmanager
    async def _run(self, app: Litestar) -> AsyncIterator[None]:
        async with self.registry:
            self.registry._handlers.append(partial(_find_handlers, app))
            if self._validates:
                check(self.registry, "The application does not start", _find_handlers(app))
            await make_eager(self.registry)
            yield


class _Middleware(asgi.WaresMiddleware):
    """The middleware of `wares.asgi`, with Litestar's connection for the container."""

    _may_miss_exceptions = False

    def _give(
        self, scope: asgi.Scope, receive: asgi.Receive, send: asgi.Send
    ) -> dict[Hashable, Any]:
        kind: Any = Request if scope["type"] == "http" else WebSocket
        connection = kind(scope, receive, send)
        return {kind: connection, ASGIConnection: connection}


def wares_from(connection: ASGIConnection[Any, Any, Any, Any]) -> Container:
    """Get the container of a request or WebSocket.

    Args:
        connection: The request or WebSocket.

    Returns:
        The container.

    Raises:
        NoContainerError: The connection did not come through the middleware of `WaresPlugin`.
    """
    scope: Any = connection.scope
    return asgi.wares_from(scope)


def health_handler(
    path: str = "/healthy", **options: Unpack[HealthOptions]
) -> ASGIRouteHandler:
    """Make a handler that pings the services and reports whether they are healthy.

    Args:
        path: The path of the handler.
        options: How it checks and answers: ``timeout`` (5 seconds), ``tags`` (all), ``ok_status``
            (200), ``failing_status`` (503), ``show_errors`` (False), ``max_age`` (0 seconds).

    Returns:
        The handler, for the application's ``route_handlers``.

    Raises:
        InvalidOptionError: An option is invalid.
    """
    app = asgi.health_app(**options)

    async def health(scope: Any, receive: Any, send: Any) -> None:
        await app(scope, receive, send)

    return asgi_handler(path, copy_scope=False)(health)


def _find_handlers(app: Litestar) -> Iterator[Callable[..., Any]]:
    for route in app.routes:
        one: Any = getattr(route, "route_handler", None)
        handlers: list[Any] = getattr(route, "route_handlers", None) or [one]
        for handler in handlers:
            yield handler.fn
            yield from (each.dependency for each in handler.resolve_dependencies().values())
