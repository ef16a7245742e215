"""The services of a container as dependencies of FastAPI.

This module uses only what FastAPI documents; `_routes` does not. `wares.starlette` has what FastAPI
shares with Starlette. FastAPI reads the annotations here, so they are objects, not strings.
"""

import contextlib
import functools
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Callable,
    Hashable,
    Iterable,
    Iterator,
)
from types import TracebackType
from typing import TYPE_CHECKING, Annotated, Any, ForwardRef, TypeVar, get_origin, overload
from weakref import WeakSet

import attrs
from typing_extensions import Unpack

from wares._adapters.absent_names import explain_svcs_names
from wares._adapters.extras import needs_extra
from wares._adapters.health_endpoint import HealthEndpoint, HealthOptions
from wares._adapters.lifespan import REGISTRY_KEY, LifespanFunction
from wares._adapters.shielding import CancelScope, shielding
from wares._core.annotations import expand_alias
from wares._core.container import Container, Registry
from wares._core.current import current
from wares._core.keys import MISSING
from wares._core.marks import Need
from wares._core.registrations import Registrations
from wares._inject.markers import Inject
from wares._inject.markers import Scope as DependencyScope
from wares.asgi import ANSWERED_KEY, CONTAINER_KEY, ConnectionContainer, Scope, find_registry
from wares.exceptions import (
    InvalidOptionError,
    InvalidRegistrationError,
    NoContainerError,
    raise_problems,
)

with needs_extra("wares.fastapi", "fastapi"):
    from fastapi import APIRouter, Depends, FastAPI, Query, params
    from starlette.requests import HTTPConnection, Request
    from starlette.responses import Response
    from starlette.websockets import WebSocket

    from wares import starlette
    from wares.fastapi._checks import find_made_twice, find_misused, find_too_long, key_of
    from wares.fastapi._routes import (
        Leave,
        PushExit,
        Shortcut,
        find_injected,
        find_lifespans,
        find_overlooked,
        open_first,
    )
    from wares.fastapi._trial import try_out
    from wares.starlette import answer_probe, get_registry, given_by

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

explain_svcs_names(__name__, "wares.starlette.wares_from(request)")


#: The argument of `container` if another framework that reads FastAPI's markers, as TaskIQ does,
#: calls it.
_NO_CONNECTION: Any = None


async def container(
    connection: HTTPConnection = _NO_CONNECTION,
) -> AsyncGenerator[Container, None]:
    """Get the container of the request or WebSocket: a dependency.

    It closes when the response has been sent and background tasks have run, and is current
    (`wares.current_container`) until then. A request has one container: if
    `wares.starlette.WaresMiddleware` is installed, this is its container.

    Args:
        connection: The request or WebSocket; FastAPI passes it.

    Yields:
        The container.

    Raises:
        NoRegistryError: The application does not run, or its lifespan has no registry.
        NoContainerError: A framework other than FastAPI calls this function.
    """
    # The router of FastStream for FastAPI passes messages as requests.
    if connection is _NO_CONNECTION or "type" not in connection.scope:
        raise NoContainerError(
            "There is no request. To ask for services outside of FastAPI, initialise the adapter "
            "of the framework that calls this. In TaskIQ: wares.taskiq.init_broker(broker). With "
            "FastStream's router for FastAPI, before its subscribers are defined: "
            "wares.faststream.init_broker(router.broker, registry=registry)"
        )
    async with contextlib.AsyncExitStack() as stack:

        def push_exit(_: HTTPConnection, leave: Leave) -> None:
            stack.push_async_exit(leave)

        services = visit(connection, push_exit)
        is_early = services.registry._registrations in _EARLY
        yield _open_early(services, connection.scope) if is_early else services


def visit(connection: HTTPConnection, push_exit: PushExit) -> Container:
    """Return the container of a request or WebSocket; the first call opens it.

    Args:
        connection: The request or WebSocket.
        push_exit: Takes the connection, and a function with the arguments of ``__aexit__`` to call
            when the response has been sent. That function closes the container, if this call has
            opened it.

    Raises:
        NoRegistryError: The application does not run, or its lifespan has no registry.
    """
    scope = connection.scope
    container: Container | None = scope.get(CONTAINER_KEY)
    if container is not None:
        if ANSWERED_KEY in scope:
            # An exception handler may answer an exception before the middleware sees it.
            push_exit(connection, functools.partial(_note_answered, scope))
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


#: The registries of applications whose services end before the response is sent.
_EARLY: WeakSet[Registrations] = WeakSet()

#: The key, in the scope of such a request, of the container that closes early.
_EARLY_KEY = "wares_early_container"


def _visit_early(connection: HTTPConnection, push_exit: PushExit) -> Container:
    """Do what `visit` does, for an application whose services end before the response is sent."""
    return _open_early(visit(connection, push_exit), connection.scope)


def _open_early(services: Container, scope: Scope) -> Container:
    """Return the child of a request's container that closes before the response is sent."""
    child: Container | None = scope.get(_EARLY_KEY)
    if child is not None:
        return child
    child = scope[_EARLY_KEY] = services.child()
    current.set(child)

    async def leave(
        _kind: type[BaseException] | None,
        error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        # A token would fail, as in `ConnectionContainer`.
        current.set(services)
        del scope[_EARLY_KEY]
        with shielding(getattr(services, "_shield", None)):
            await child.__aexit__(None, error, None)

    # From 0.121 on, FastAPI exits this stack before it sends the response.
    stack: contextlib.AsyncExitStack = scope["fastapi_function_astack"]
    stack.push_async_exit(leave)
    return child


async def _note_answered(
    scope: Scope,
    _kind: type[BaseException] | None,
    error: BaseException | None,
    _traceback: TracebackType | None,
) -> None:
    """Note, for the middleware, the exception that ends the request."""
    if error is not None:
        scope[ANSWERED_KEY].append(error)


DepContainer = Annotated[Container, Depends(container)]
"""The container of the request: ``services: DepContainer``."""


async def function_container(services: DepContainer) -> AsyncGenerator[Container, None]:
    """Get a container that closes before the response is sent: a dependency.

    It is a child of the request's container, with services of its own, and is current until it
    closes. Use it as `DepFunctionContainer`, or with ``scope="function"``.

    Args:
        services: The container of the request; FastAPI passes it.

    Yields:
        The child.
    """
    if services.registry._registrations in _EARLY:
        # This container closes before the response anyway.
        yield services
        return
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
        connection: The request or WebSocket; FastAPI passes it.

    Returns:
        The registry that `lifespan` keeps.

    Raises:
        NoRegistryError: The application does not run, or its lifespan has no registry.
    """
    return find_registry(connection.scope)


DepRegistry = Annotated[Registry, Depends(registry)]
"""The registry of the application: ``registry: DepRegistry``."""


# `wares.inject`, which resolves dependencies without FastAPI, asks a container for these keys.
container.__wares_key__ = Container  # type: ignore[attr-defined]  # functions have attributes
function_container.__wares_key__ = Container  # type: ignore[attr-defined]  # the same
registry.__wares_key__ = Registry  # type: ignore[attr-defined]  # the same


@attrs.frozen(cache_hash=True)
class GetService:
    """A dependency that returns one service; FastAPI shares those with the same key, as equal.

    Attributes:
        key: The key of the service.
    """

    key: Hashable

    @property
    def __wares_key__(self) -> Hashable:
        """The key that `wares.inject` asks a container for, instead of calling this."""
        return self.key

    async def __call__(self, services: DepContainer) -> Any:
        return await services.aget(self.key)


@attrs.frozen(cache_hash=True)
class GetFunctionService(GetService):
    """A dependency that returns one service of the container that closes before the response."""

    async def __call__(self, services: DepFunctionContainer) -> Any:
        return await services.aget(self.key)


class ServiceMarker(params.Depends):
    """The marker that FastAPI sees instead of `Inject`; its dependency asks the container."""

    @property
    def dependency(self) -> GetService | None:
        """The dependency that returns the service, once the key is known."""
        key = self.__dict__["dependency"]
        if key is None or isinstance(key, GetService):
            return key
        return GetFunctionService(key) if self.scope == "function" else GetService(key)

    @dependency.setter
    def dependency(self, key: Hashable) -> None:  # pyright: ignore[reportIncompatibleVariableOverride]  # a field there
        # If the marker names no key, FastAPI sets the annotation: version 0.121 assigns it here,
        # newer versions make a new marker.
        if isinstance(key, ForwardRef):
            name = key.__forward_arg__
            raise InvalidRegistrationError(
                f"FastAPI cannot resolve {name!r} in the brackets of Inject. Put quotes around the "
                f'whole annotation, after the class is defined: "Inject[{name}]". For a service '
                f"that is registered under a string, write Annotated[..., Depends({name!r})]."
            )
        self.__dict__["dependency"] = expand_alias(key)


def show_marker(need: Need) -> params.Depends:
    """Make the marker of FastAPI that corresponds to a marker of wares."""
    key: Any = need.key
    is_called = callable(key) and get_origin(key) is not Annotated
    if need.is_service or not (key is None or is_called):
        return ServiceMarker(key, scope=need.scope)
    return Depends(key, use_cache=need.use_cache, scope=need.scope)  # type: ignore[no-any-return]  # so it says


if TYPE_CHECKING:
    FunctionInject = Annotated[T, Depends(scope="function")]
else:
    from wares._inject.markers import Service

    class FunctionInject:
        """A service that ends before the response is sent: ``session: FunctionInject[Session]``.

        All such services of a request come from the container of `DepFunctionContainer`.
        """

        def __class_getitem__(cls, key: Any) -> Any:
            return Annotated[key, Service(key, scope="function")]


def _key_of_request(call: Any) -> Hashable:
    """Find the key that a dependency asks the request's container for."""
    return key_of(call) if call is container or type(call) is GetService else MISSING


_SHORTCUT = Shortcut(_key_of_request, visit)
_EARLY_SHORTCUT = Shortcut(_key_of_request, _visit_early)


class lifespan(starlette.lifespan[App]):  # noqa: N801  # used as a decorator
    """Pass a registry to the lifespan function of an application, and close it afterwards.

    `get_registry` returns the registry, and all dependencies of this module use it. Factories may
    ask for the connection: a `Request`, a `WebSocket` or an `HTTPConnection`.

    Nested lifespans, such as those of included routers, share the registry of the outermost one.

    Args:
        function: An async generator function, or a function that returns an async context
            manager. It takes the application and the registry, and yields a mapping, which
            becomes the state of the lifespan, or nothing. If omitted, the result is a decorator.
        registry: A registry to use instead of a new one for each start. It closes as well, so the
            application cannot be started again.
        validate: Whether the start fails if a registered service cannot be made, if an endpoint
            asks for a service that is not registered, if FastAPI itself would call a registered
            factory, if ``dependency_overrides`` names one, or if an endpoint would receive a
            service twice.
        scope: When the services of endpoints end: with ``"request"``, the default, after the
            response has been sent; with ``"function"``, when the endpoint has returned, before the
            response is sent. The lifespan of the application itself decides for the whole
            application.

    Attributes:
        registry: The registry of the current start, or of the next one.

    Raises:
        InvalidRegistrationError: *function* cannot be a lifespan function.
    """

    @overload
    def __init__(
        self,
        function: LifespanFunction[App],
        /,
        *,
        registry: Registry | None = None,
        validate: bool = True,
        scope: DependencyScope = "request",
    ) -> None: ...

    @overload
    def __init__(
        self: "lifespan[Any]",
        /,
        *,
        registry: Registry | None = None,
        validate: bool = True,
        scope: DependencyScope = "request",
    ) -> None: ...

    def __init__(
        self,
        function: Any = None,
        /,
        *,
        registry: Registry | None = None,
        validate: bool = True,
        scope: DependencyScope = "request",
    ) -> None:
        if scope not in ("request", "function"):
            raise InvalidOptionError(
                f"The scope of a lifespan must be 'request', which is the default, or 'function', "
                f"not {scope!r}."
            )
        super().__init__(function, registry=registry, validate=validate)
        self._scope = scope

    @contextlib.asynccontextmanager
    async def _open(self, app: App) -> AsyncIterator[Registry]:
        async with super()._open(app) as registry:
            if self._is_nested:
                self._check_scope(registry)
            elif self._scope == "function":
                _EARLY.add(registry._registrations)
            yield registry

    def _check_scope(self, registry: Registry) -> None:
        """Check that a nested lifespan has the scope of the outer one, which applies."""
        is_early = registry._registrations in _EARLY
        if self._scope == "function" and not is_early:
            raise InvalidOptionError(
                "The lifespan of a router has scope='function', but that of the application does "
                "not. Pass it to the lifespan of the application: it applies to all routes."
            )

    def _is_last(self, app: App) -> bool:
        merged = list(find_lifespans(app.router.lifespan_context))
        return merged[-1] is self if self in merged else super()._is_last(app)

    async def _find_handlers(self, app: App) -> Iterable[Callable[..., Any]]:
        return [*await super()._find_handlers(app), *find_injected(app)]

    def _find_problems(self, app: App, registry: Registry) -> Iterator[Exception]:
        yield from find_overlooked(app)
        if container in (app.dependency_overrides or ()):
            return
        yield from find_misused(app, registry)
        if self._scope == "request":
            yield from find_made_twice(app, registry, GetService, GetFunctionService)
        else:
            yield from find_too_long(app, _key_of_request)

    async def _prepare(self, app: App) -> None:
        # This is a matter of security, so it is checked even if validation is off.
        raise_problems("The application does not start, because of", [*find_overlooked(app)])
        open_first(app, container, key_of)
        if await try_out():
            shortcut = _EARLY_SHORTCUT if self._scope == "function" else _SHORTCUT
            shortcut.take(app)


def health_router(path: str = "/healthy", **options: Unpack[HealthOptions]) -> APIRouter:
    """Make a router that pings the services and reports whether they are healthy.

    It answers with ``{"ok": [...], "failing": [...]}``, or in more detail if the request accepts
    ``application/health+json``. With ``?tag=ready``, it checks only services with that tag.

    Args:
        path: The path of the endpoint.
        options: How it checks and answers: ``timeout`` (5 seconds), ``tags`` (all), ``ok_status``
            (200), ``failing_status`` (503), ``show_errors`` (False), ``max_age`` (0 seconds).

    Returns:
        The router, for the application to include.

    Raises:
        InvalidOptionError: An option is invalid.
    """
    endpoint = HealthEndpoint(**options)
    router = APIRouter(tags=["health"])

    async def health(
        request: Request,
        tag: Annotated[  # noqa: ARG001  # documents the query that `answer_probe` reads
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
            404: {"description": "No service has one of the tags."},
            endpoint.ok_status: describe("All services are healthy."),
            endpoint.failing_status: describe("Some services are failing."),
        },
    )
    router.add_route(path, health, methods=["HEAD"], include_in_schema=False)
    return router


_NAMES: dict[str, Any] = {"type": "array", "items": {"type": "string"}}

#: The responses of a health endpoint, for OpenAPI.
_HEALTH_CONTENT: dict[str, Any] = {
    "application/json": {
        "schema": {
            "type": "object",
            "properties": {"ok": _NAMES, "failing": _NAMES},
            "required": ["ok", "failing"],
        }
    }
}
