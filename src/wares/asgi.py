"""A container for each HTTP request and each WebSocket of an ASGI application.

This module knows the ASGI specification (https://asgi.readthedocs.io, version 3.0). It must not
know a framework: what it serves is a callable, and what it looks at are scopes and messages.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any, TypeAlias

import attrs

from wares._container import Container
from wares._lifespan import REGISTRY_KEY, Lifespan
from wares._registry import Registry
from wares.exceptions import NoContainerError, NoRegistryError

__all__ = ["WaresMiddleware", "lifespan", "wares_from"]

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
ASGIApp: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

#: Where the container of a request is found in its scope.
CONTAINER_KEY = "wares_container"

#: Where the exceptions that were answered, instead of raised, are found in a scope.
ANSWERED_KEY = "wares_answered"

#: The messages by which a connection is answered, or refused.
_ANSWERS = frozenset(
    {"http.response.start", "websocket.close", "websocket.http.response.start"}
)

#: Makes a lifespan for `WaresMiddleware`, out of a function of the application and the registry.
lifespan = Lifespan


@attrs.frozen(eq=False)
class WaresMiddleware:
    """Open a container for each HTTP request and each WebSocket, and close it behind them.

    The container is found by `wares_from`, and is current (`wares.current_container`) in
    everything that the application calls. It is closed once, when the application returns, so
    streamed responses and background tasks still have their services. Other scopes pass.

    The exception that ended the request reaches the cleanups. Where something inside answers an
    exception with a response of its own, as the exception handlers of frameworks do, it is the
    exception being handled while the response begins. Something that begins the response
    elsewhere, in another task say, hides the exception; so this middleware belongs as far inside
    as can be.

    Args:
        app: The ASGI application to serve.
        registry: Where the containers' services are registered. Left out, it is looked for in
            the state of the lifespan.
        lifespan: What starts and ends the application, for an *app* that does not do so itself:
            the lifespan events of the server end here, and *app* sees none.
    """

    app: ASGIApp
    registry: Registry | None = attrs.field(default=None, kw_only=True)
    lifespan: Lifespan[Any] | None = attrs.field(default=None, kw_only=True)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one scope.

        Raises:
            NoRegistryError: No registry was given, and none is in the state of the lifespan.
        """
        if scope["type"] in ("http", "websocket"):
            await self._serve(scope, receive, send)
        elif scope["type"] == "lifespan" and self.lifespan is not None:
            await _serve_lifespan(self.lifespan(self.app), scope, receive, send)
        else:
            await self.app(scope, receive, send)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        registry = self._find_registry(scope) if self.registry is None else self.registry
        outer: Container | None = scope.get(CONTAINER_KEY)
        if outer is not None and outer.registry is registry:
            # One container for each request, however often the middleware is installed.
            await self.app(scope, receive, send)
            return
        container = Container(registry, self._give(scope, receive, send))
        answered: list[BaseException] = []
        scope[CONTAINER_KEY] = container
        scope[ANSWERED_KEY] = answered
        with container.activate():
            try:
                await self.app(scope, receive, _watch(send, answered))
            except BaseException as error:
                answered.clear()
                await close(container, error)
                raise
            else:
                await close(container, answered.pop() if answered else None)
            finally:
                # A scope may be served once more, by a middleware that tries again.
                scope[CONTAINER_KEY] = outer

    def _find_registry(self, scope: Scope) -> Registry:
        return find_registry(scope)

    def _give(self, scope: Scope, receive: Receive, send: Send) -> Mapping[Any, object] | None:  # noqa: ARG002  # adapters need them
        """Make what each container is given; a bare scope is nobody's service."""
        return None


def wares_from(scope: Mapping[str, Any]) -> Container:
    """Get the container of a request or WebSocket.

    Args:
        scope: The ASGI scope of the connection.

    Returns:
        The container that `WaresMiddleware` has opened.

    Raises:
        NoContainerError: The connection did not come through `WaresMiddleware`.
    """
    container: Container | None = scope.get(CONTAINER_KEY)
    if container is None:
        raise NoContainerError(
            "This connection has no container: it is over, or it did not come through "
            "WaresMiddleware. Wrap the application in it: WaresMiddleware(app)"
        )
    return container


def find_registry(scope: Scope) -> Registry:
    """Find the registry that the lifespan has put into the state of *scope*."""
    registry: Registry | None = scope.get("state", {}).get(REGISTRY_KEY)
    if registry is None:
        raise NoRegistryError(
            "There is no registry in the state of the lifespan. Give one, "
            "WaresMiddleware(app, registry=registry), or a lifespan that makes one, "
            "WaresMiddleware(app, lifespan=lifespan), and have the server run lifespans."
        )
    return registry


async def close(container: Container, error: BaseException | None) -> None:
    """Close *container* after a request that ended with *error*, or well."""
    if error is None:
        await container.aclose()
    else:
        await container.__aexit__(type(error), error, error.__traceback__)


def _watch(send: Send, answered: list[BaseException]) -> Send:
    """Wrap *send* so that an exception which is answered, and so not raised, is noted.

    Frameworks call their exception handlers, and send what these return, while the exception is
    being handled; that is how it can be seen.
    """
    outside = sys.exception()

    def watch(message: Message) -> Awaitable[None]:
        if message["type"] in _ANSWERS:
            error = sys.exception()
            if error is not None and error is not outside:
                answered.append(error)
        return send(message)

    return watch


async def _serve_lifespan(manager: Any, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer the events of the server that start and end the application."""
    phase = "startup"
    await receive()
    try:
        async with manager as state:
            _keep(state, scope)
            await send({"type": "lifespan.startup.complete"})
            phase = "shutdown"
            await receive()
    except BaseException:
        await send({"type": f"lifespan.{phase}.failed", "message": traceback.format_exc()})
        raise
    await send({"type": "lifespan.shutdown.complete"})


def _keep(state: Mapping[str, object], scope: Scope) -> None:
    if "state" not in scope:
        raise NoRegistryError(
            "The server keeps no state of the lifespan, so no request would find the registry. "
            "Give it to the middleware: WaresMiddleware(app, registry=registry)"
        )
    scope["state"].update(state)
