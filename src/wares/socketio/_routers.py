"""Routers, and how handlers, middlewares and exception handlers are registered on them.

Servers of this package share the decorators.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias, TypeVar, overload

import attrs

from wares._adapters.registries import demand_kind, describe_kind
from wares._core.annotations import Viewpoint, find_frames
from wares._core.callables import unwrap
from wares._core.keys import MISSING
from wares.exceptions import InvalidRegistrationError
from wares.socketio._handlers import Handler
from wares.socketio._parameters import PLACE_OF_EXCEPTION_HANDLER, PLACE_OF_MIDDLEWARE, place_of

F = TypeVar("F", bound=Callable[..., Any])


@attrs.define(eq=False)
class Route:
    """The registrations that the handlers of one server or router share.

    Attributes:
        dependencies: Markers of dependencies to resolve before each handler runs.
        middlewares: The middlewares, the outermost first.
        answers: The exception handlers, by class of exception.
        routers: The routers that were added.
    """

    dependencies: tuple[Any, ...] = ()
    middlewares: list[Handler] = attrs.field(factory=list)
    answers: dict[type[Exception], Handler] = attrs.field(factory=dict)
    routers: list[RouterSIO] = attrs.field(factory=list)


#: The routes that a handler belongs to: the server's, then those of its routers, innermost last.
Routes: TypeAlias = tuple[Route, ...]


@attrs.frozen(eq=False)
class Definition:
    """A handler as the application defines it.

    Attributes:
        function: The function.
        viewpoint: The names that its annotations may use, besides those around it.
        response_model: The type of its answers, or `MISSING` for its return annotation.
    """

    function: Callable[..., Any]
    viewpoint: Viewpoint | None = None
    response_model: Any = MISSING


#: Performs one registration on the `Dispatch` of a server, below a namespace, with these routes.
Step: TypeAlias = Callable[[Any, str, Routes], None]


class Registering:
    """The decorators and methods that routers and the servers of this package share."""

    #: The namespace of handlers that name none.
    _namespace = "/"
    _route: Route
    #: Performs a registration, now or when the router is added to a server.
    _register: Callable[[Step], None]

    @overload
    def on(
        self,
        event: str,
        handler: None = None,
        namespace: str | None = None,
        *,
        response_model: Any = MISSING,
    ) -> Callable[[F], F]: ...

    @overload
    def on(
        self,
        event: str,
        handler: F,
        namespace: str | None = None,
        *,
        response_model: Any = MISSING,
    ) -> F: ...

    def on(
        self,
        event: str,
        handler: Callable[..., Any] | None = None,
        namespace: str | None = None,
        *,
        response_model: Any = MISSING,
    ) -> Any:
        """Register a handler, or make a decorator that does.

        Args:
            event: The name of the event, or ``"*"`` for all events without a handler.
            handler: The handler. If omitted, the result is a decorator.
            namespace: The namespace; by default that of the router, or ``"/"``.
            response_model: The type of its answers; by default its return annotation.

        Raises:
            InvalidRegistrationError: *handler* is no function.
            UnresolvableParameterError: The handler has a parameter that nothing can fill; a router
                raises it when it is added to a server.
        """

        def register(function: F) -> F:
            if not callable(function):
                raise InvalidRegistrationError(
                    f"A handler is a function, not {describe_kind(function)}. Pass a namespace by "
                    f'name: namespace="/shop"'
                )
            definition = Definition(function, see(function), response_model)

            def add(dispatch: Any, prefix: str, routes: Routes) -> None:
                full = join_namespaces(prefix, namespace or self._namespace)
                dispatch.add(definition, place_of(event, full), routes)

            self._register(add)
            return function

        return register if handler is None else register(handler)

    @overload
    def event(self, handler: F, /) -> F: ...

    @overload
    def event(
        self,
        handler: None = None,
        /,
        *,
        namespace: str | None = None,
        response_model: Any = MISSING,
    ) -> Callable[[F], F]: ...

    def event(
        self,
        handler: Callable[..., Any] | None = None,
        /,
        *,
        namespace: str | None = None,
        response_model: Any = MISSING,
    ) -> Any:
        """Register a handler for the event that has its name; a decorator.

        It can be used with and without arguments.

        Args:
            handler: The handler. If omitted, the result is a decorator.
            namespace: The namespace; by default that of the router, or ``"/"``.
            response_model: The type of its answers; by default its return annotation.

        Raises:
            InvalidRegistrationError: *handler* is no function.
        """

        def register(function: F) -> F:
            name = getattr(function, "__name__", "")
            return self.on(name, function, namespace, response_model=response_model)

        return register if handler is None else register(handler)

    def register_namespace(self, namespace_handler: Any) -> None:
        """Register an object whose methods handle the events of a namespace.

        Args:
            namespace_handler: A ``socketio.Namespace`` or ``socketio.AsyncNamespace``.
        """
        viewpoint = see(type(namespace_handler))

        def add(dispatch: Any, prefix: str, routes: Routes) -> None:
            full, placed = (
                join_namespaces(prefix, namespace_handler.namespace),
                namespace_handler,
            )
            if full != placed.namespace:
                placed = copy.copy(placed)  # the caller's object stays unchanged
                placed.namespace = full
            dispatch.add_namespace(placed, routes, viewpoint)

        self._register(add)

    def exception_handler(self, kind: type[Exception]) -> Callable[[F], F]:
        """Make a decorator for a function that answers exceptions of a class.

        The function returns the acknowledgement. It may have the parameters of a handler, and one
        that is annotated with the class of the exception. If several exception handlers match, the
        most specific one answers. Exception handlers of a router come before those of the server,
        and answer only for handlers of the router.

        Args:
            kind: The class of the exceptions.

        Raises:
            InvalidRegistrationError: *kind* is no class of exceptions.
        """
        given: Any = kind
        if not (isinstance(given, type) and issubclass(given, Exception)):
            raise InvalidRegistrationError(
                f"An exception handler is registered for a class of exceptions, not for {kind!r}."
            )

        def register(function: F) -> F:
            self._route.answers[kind] = self._accept(function, PLACE_OF_EXCEPTION_HANDLER)
            return function

        return register

    def middleware(self, middleware: F) -> F:
        """Add a middleware around all handlers; usable as a decorator.

        A middleware of a server also runs when a client connects to a namespace that has no connect
        handler.

        Args:
            middleware: A function that takes ``call_next`` and the event, and returns the
                acknowledgement. It may have the parameters of a handler after these two.

        Raises:
            InvalidRegistrationError: It is not callable.
        """
        self._route.middlewares.append(self._accept(middleware, PLACE_OF_MIDDLEWARE))
        return middleware

    def _accept(self, function: Callable[..., Any], place: Any) -> Handler:
        handler = Handler(function, place)
        self._register(lambda dispatch, *_: dispatch.accept(handler))
        return handler

    def emits(self, event: str, model: Any, *, namespace: str | None = None) -> None:
        """Declare, for `asyncapi`, an event that the server emits.

        Args:
            event: The name of the event.
            model: The type of its payload.
            namespace: The namespace; by default that of the router, or ``"/"``.
        """

        def add(dispatch: Any, prefix: str, _: Routes) -> None:
            place = join_namespaces(prefix, namespace or self._namespace)
            dispatch.emitted[place, event] = model

        self._register(add)

    def add_router(self, router: RouterSIO) -> None:
        """Register the handlers of a router, with its middlewares and exception handlers.

        Args:
            router: The router. If it is added to another router, its namespaces are below the
                namespace of that router.

        Raises:
            InvalidRegistrationError: *router* is no router, or contains this one.
            UnresolvableParameterError: A handler has a parameter that nothing can fill.
        """
        demand_kind(router, RouterSIO, "add_router takes a RouterSIO")
        if router._is_around(self):
            raise InvalidRegistrationError("A router cannot be within itself.")

        def add(dispatch: Any, prefix: str, routes: Routes) -> None:
            router._include(dispatch, join_namespaces(prefix, self._namespace), routes)

        self._register(add)
        self._route.routers.append(router)

    def add_routers(self, *routers: RouterSIO) -> None:
        """Call `add_router` with each of several routers."""
        for router in routers:
            self.add_router(router)


class RouterSIO(Registering):
    """A group of handlers to register on a server together, with middlewares and dependencies.

    Args:
        namespace: The namespace of handlers that name none. The namespaces of inner routers are
            below it.
        dependencies: Markers of dependencies to resolve before each handler runs; their results
            are not used.
    """

    def __init__(
        self, namespace: str | None = "/", *, dependencies: Sequence[Any] = ()
    ) -> None:
        self.namespace = self._namespace = namespace or "/"
        self._route = Route(tuple(dependencies))
        self._steps: list[Step] = []
        self._register = self._steps.append

    def _include(self, dispatch: Any, prefix: str, routes: Routes) -> None:
        for step in self._steps:
            step(dispatch, prefix, (*routes, self._route))

    def _is_around(self, other: Registering) -> bool:
        return self is other or any(one._is_around(other) for one in self._route.routers)


def join_namespaces(outer: str, inner: str) -> str:
    """Return the namespace *inner* below *outer*; ``"*"`` remains ``"*"``.

    >>> join_namespaces("/shop", "/orders")
    '/shop/orders'
    """
    if not outer:
        return inner
    if "*" in (outer, inner):
        return "*"
    return "/" + "/".join(part for part in f"{outer}/{inner}".split("/") if part)


def see(defined: Any) -> Viewpoint:
    """Note the functions around a handler or a class: annotations may use their local names."""
    return Viewpoint(find_frames(unwrap(defined)[-1]))
