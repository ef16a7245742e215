"""The services of a container as dependencies of FastAPI.

This module knows FastAPI's dependencies. It relies only on what FastAPI documents; `_routes` does
not. What FastAPI has in common with Starlette is in `wares.starlette`.

The annotations here are read by FastAPI, so they are objects, not strings.
"""

import contextlib
import functools
from collections.abc import AsyncGenerator, Hashable, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import attrs
from typing_extensions import Unpack

from wares._adapters.extras import needs_extra
from wares._adapters.health_endpoint import HealthEndpoint, HealthOptions
from wares._adapters.lifespan import REGISTRY_KEY
from wares._adapters.shielding import CancelScope, shielding
from wares._core.container import Container, Registry
from wares._core.keys import MISSING, describe, find_nearest
from wares._core.marks import Mark
from wares._core.signatures import describe_callable
from wares._inject.markers import Inject
from wares.asgi import ANSWERED_KEY, CONTAINER_KEY, ConnectionContainer, Scope
from wares.exceptions import ServiceNotFoundError, UnresolvableParameterError

with needs_extra("wares.fastapi", "fastapi"):
    from fastapi import APIRouter, Depends, FastAPI, Query, params
    from starlette.requests import HTTPConnection, Request
    from starlette.responses import Response
    from starlette.websockets import WebSocket

    from wares import starlette
    from wares.fastapi._routes import (
        Leave,
        PushExit,
        Shortcut,
        Wanted,
        find_lifespans,
        find_wanted,
        open_first,
    )
    from wares.fastapi._trial import try_out
    from wares.starlette import answer_probe, find_registry, get_registry, given_by

__all__ = [
    "DepContainer",
    "DepFunctionContainer",
    "DepRegistry",
    "Depends",
    "FunctionInject",
    "Inject",
    "container",
    "function_container",
    "get_registry",
    "health_router",
    "lifespan",
    "registry",
]

T = TypeVar("T")


App = TypeVar("App", bound=FastAPI)


async def container(connection: HTTPConnection) -> AsyncGenerator[Container, None]:
    """Get the container of the request or WebSocket: a dependency.

    It is closed when the response has been sent and background tasks have run, and is current
    (`wares.current_container`) until then. There is one for each request: if
    `wares.starlette.WaresMiddleware` is installed, this is its container.

    Args:
        connection: The request or WebSocket; FastAPI gives it.

    Yields:
        The container.

    Raises:
        NoRegistryError: The application does not run, or its lifespan has no registry.
    """
    async with contextlib.AsyncExitStack() as stack:

        def push_exit(_: HTTPConnection, leave: Leave) -> None:
            stack.push_async_exit(leave)

        yield visit(connection, push_exit)


def visit(connection: HTTPConnection, push_exit: PushExit) -> Container:
    """Give the container of a request or WebSocket, opened by whoever comes first.

    Args:
        connection: The request or WebSocket.
        push_exit: Takes the connection and what is to be called when the response is out, with what
            ``__aexit__`` takes. It closes the container if this has opened it.

    Raises:
        NoRegistryError: The application does not run, or its lifespan has no registry.
    """
    scope = connection.scope
    container: Container | None = scope.get(CONTAINER_KEY)
    if container is not None:
        if ANSWERED_KEY in scope:
            # A handler may answer an exception on its way to the middleware.
            push_exit(connection, functools.partial(_tell, scope))
        return container
    # This runs for each request; calling find_registry would cost as much.
    try:
        registry = scope["state"][REGISTRY_KEY]
    except KeyError:
        registry = find_registry(scope)
    kind = type(connection)
    if kind is Request or kind is WebSocket:
        given: dict[Hashable, Any] = {HTTPConnection: connection, kind: connection}
    else:
        given = given_by(connection)
    opened = ConnectionContainer(registry, scope, given)
    push_exit(connection, opened.leave)
    return opened


async def _tell(
    scope: Scope,
    _kind: type[BaseException] | None,
    error: BaseException | None,
    _traceback: TracebackType | None,
) -> None:
    """Tell the middleware of the exception that a request ends with."""
    if error is not None:
        scope[ANSWERED_KEY].append(error)


DepContainer = Annotated[Container, Depends(container)]
"""The container of the request: ``services: DepContainer``."""


async def function_container(services: DepContainer) -> AsyncGenerator[Container, None]:
    """Get a container that is closed before the response is sent: a dependency.

    It is a child of the request's container, with services of its own, and is current until
    it is closed. Use it as `DepFunctionContainer`, or with ``scope="function"``.

    Args:
        services: The container of the request; FastAPI gives it.

    Yields:
        The child.
    """
    child = services.child()
    shield: CancelScope | None = getattr(services, "_shield", None)
    with child.activate():
        try:
            yield child
        except BaseException as error:
            with shielding(shield):
                await child.__aexit__(type(error), error, error.__traceback__)
            raise
        with shielding(shield):
            await child.aclose()


DepFunctionContainer = Annotated[Container, Depends(function_container, scope="function")]
"""A container that is closed before the response is sent: ``services: DepFunctionContainer``."""


async def registry(connection: HTTPConnection) -> Registry:
    """Get the registry of the application: a dependency.

    Args:
        connection: The request or WebSocket; FastAPI gives it.

    Returns:
        The registry that `lifespan` keeps.

    Raises:
        NoRegistryError: The application does not run, or its lifespan has no registry.
    """
    return find_registry(connection.scope)


DepRegistry = Annotated[Registry, Depends(registry)]
"""The registry of the application: ``registry: DepRegistry``."""


# Whoever resolves dependencies without FastAPI, as `wares.inject`, asks a container for these.
container.__wares_key__ = Container  # type: ignore[attr-defined]  # functions have attributes
function_container.__wares_key__ = Container  # type: ignore[attr-defined]  # the same
registry.__wares_key__ = Registry  # type: ignore[attr-defined]  # the same


@attrs.frozen(cache_hash=True)
class GetService:
    """The dependency that gives one service; equal for the same key, so that FastAPI shares it.

    Attributes:
        key: What the container is asked for.
    """

    key: Hashable

    @property
    def __wares_key__(self) -> Hashable:
        """What `wares.inject` asks a container for, instead of calling this."""
        return self.key

    async def __call__(self, services: DepContainer) -> Any:
        return await services.aget(self.key)


@attrs.frozen(cache_hash=True)
class GetFunctionService(GetService):
    """The same, out of the container that is closed before the response is sent."""

    async def __call__(self, services: DepFunctionContainer) -> Any:
        return await services.aget(self.key)


class ServiceMarker(params.Depends):
    """What FastAPI sees of `Inject`: whatever it names is asked of the container."""

    @property
    def dependency(self) -> GetService | None:
        """What gives the service, once it is known of which key."""
        key = self.__dict__["dependency"]
        if key is None or isinstance(key, GetService):
            return key
        return GetFunctionService(key) if self.scope == "function" else GetService(key)

    @dependency.setter
    def dependency(self, key: Hashable) -> None:  # pyright: ignore[reportIncompatibleVariableOverride]  # a field there
        # Where the marker names nothing, FastAPI puts the annotation here: in 0.121 by a mere
        # assignment, in newer versions into a marker that it makes anew.
        self.__dict__["dependency"] = key


def show_marker(mark: Mark) -> params.Depends:
    """Give FastAPI's own marker for one of ours, in which FastAPI finds what it looks for."""
    if mark.is_service or not (mark.key is None or callable(mark.key)):
        return ServiceMarker(mark.key, scope=mark.scope)
    return Depends(mark.key, use_cache=mark.use_cache, scope=mark.scope)  # type: ignore[no-any-return]  # so it says


if TYPE_CHECKING:
    FunctionInject = Annotated[T, Depends(scope="function")]
else:
    from wares._inject.markers import Service

    class FunctionInject:
        """A service that ends before the response is sent: ``session: FunctionInject[Session]``.

        All of them in one request come from one container, that of `DepFunctionContainer`.
        """

        def __class_getitem__(cls, key: Any) -> Any:
            return Annotated[key, Service(key, scope="function")]


def _key_of(call: Any) -> Hashable:
    """Find what a dependency asks a container for."""
    key: Hashable = getattr(call, "__wares_key__", MISSING)
    return key


def _key_of_request(call: Any) -> Hashable:
    """Find what a dependency asks the container of the request for."""
    return _key_of(call) if call is container or type(call) is GetService else MISSING


def _made_by_fastapi(wanted: Wanted) -> UnresolvableParameterError:
    name = describe(wanted.call)
    return UnresolvableParameterError(
        wanted.parameter or "dependencies",
        describe_callable(wanted.path[-1]),
        f"FastAPI would call {name} itself, with parameters from the request, although it is "
        f"registered. Ask for the service with Inject[{name}].",
    )


_SHORTCUT = Shortcut(_key_of_request, visit)


class lifespan(starlette.lifespan[App]):  # noqa: N801  # used as a decorator
    """Give the lifespan function of an application a registry, and close it after it.

    The registry is found by `get_registry`, and by all dependencies of this module. Factories
    may need the connection that is served, as a `Request`, a `WebSocket` or an `HTTPConnection`.

    Where lifespans are nested, as those of included routers are, all share one registry, which
    is that of the outermost one.

    Args:
        function: An async generator function, or a function that returns an async context
            manager. It takes the application and the registry, and yields a mapping, which
            becomes the state of the lifespan, or nothing.
        registry: A registry of the caller's, instead of a new one for each start. It is closed,
            too, so the application cannot be started again.
        validate: Whether the start fails if something that is registered cannot be made, or
            something that an endpoint asks for is not registered, or FastAPI would call what is
            registered by itself.

    Attributes:
        registry: The registry of the present start, or of the next one.

    Raises:
        InvalidRegistrationError: *function* cannot be a lifespan function.
    """

    def _is_last(self, app: App) -> bool:
        merged = list(find_lifespans(app.router.lifespan_context))
        return merged[-1] is self if self in merged else super()._is_last(app)

    def _find_problems(self, app: App, registry: Registry) -> Iterator[Exception]:
        if container in (app.dependency_overrides or ()):
            return
        nodes = registry.graph().nodes
        known = {Container, Registry, *(node.key for node in nodes if node.kind != "missing")}
        for wanted in find_wanted(app, _key_of):
            key = _key_of(wanted.call)
            # Compared by identity, as what FastAPI calls need not be hashable.
            if key is MISSING and any(wanted.call is registered for registered in known):
                yield _made_by_fastapi(wanted)
            elif key is not MISSING and key not in known:
                yield ServiceNotFoundError(
                    key,
                    path=[*wanted.path, key],
                    steps=[*map(describe_callable, wanted.path), describe(key)],
                    nearest=find_nearest(key, registry),
                )

    async def _prepare(self, app: App) -> None:
        open_first(app, container, _key_of)
        if await try_out():
            _SHORTCUT.take(app)


def health_router(path: str = "/healthy", **options: Unpack[HealthOptions]) -> APIRouter:
    """Make a router that pings the services and answers whether all are well.

    It answers by ``{"ok": [...], "failing": [...]}``, or in more detail where
    ``application/health+json`` is accepted. ``?tag=ready`` narrows it down to services with that
    tag.

    Args:
        path: Where it is found.
        options: How it checks and answers: ``timeout`` (5 seconds), ``tags`` (all), ``ok_status``
            (200), ``failing_status`` (503), ``show_errors`` (False), ``max_age`` (0 seconds).

    Returns:
        The router, for the application to include.

    Raises:
        InvalidOptionError: An option cannot work.
    """
    endpoint = HealthEndpoint(**options)
    router = APIRouter(tags=["health"])

    async def health(
        request: Request,
        tag: Annotated[  # noqa: ARG001  # documents what `answer_probe` reads
            list[str] | None, Query(description="Check services with this tag only.")
        ] = None,
    ) -> Response:
        return await answer_probe(endpoint, request)

    def describe(description: str) -> dict[str, Any]:
        return {"description": description, "content": _HEALTH_CONTENT}

    router.add_api_route(
        path,
        health,
        summary="Report whether all services are healthy",
        status_code=endpoint.ok_status,
        response_class=Response,
        responses={
            404: {"description": "No service has the tag."},
            endpoint.ok_status: describe("All services are healthy."),
            endpoint.failing_status: describe("Some services are failing."),
        },
    )
    router.add_route(path, health, methods=["HEAD"], include_in_schema=False)
    return router


_NAMES: dict[str, Any] = {"type": "array", "items": {"type": "string"}}

#: What a health endpoint sends, in the words of OpenAPI.
_HEALTH_CONTENT: dict[str, Any] = {
    "application/json": {
        "schema": {
            "type": "object",
            "properties": {"ok": _NAMES, "failing": _NAMES},
            "required": ["ok", "failing"],
        }
    }
}
