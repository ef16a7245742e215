"""What is declared on routers and servers: handlers, and what they have in common."""

from __future__ import annotations

import abc
import copy
import sys
import types
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar, overload

import attrs

from wares._core.keys import MISSING
from wares.exceptions import InvalidRegistrationError
from wares.socketio._handlers import Handler
from wares.socketio._hook import REFUSALS
from wares.socketio._parameters import PLACE_OF_ANSWER, PLACE_OF_MIDDLEWARE, Place, place_of

F = TypeVar("F", bound=Callable[..., Any])


@attrs.define(eq=False)
class Route:
    """What the handlers of a server, or of a router on it, have in common.

    Attributes:
        outer: What they have in common with others: the server, or the router around.
        dependencies: Markers of what is made for its effect, before each handler runs.
        middlewares: What wraps each event, the outermost first.
        answers: What answers exceptions, by their class.
        emitted: What is emitted, where that was declared: by namespace and event.
    """

    outer: Route | None = None
    dependencies: tuple[Any, ...] = ()
    middlewares: list[Handler] = attrs.field(factory=list)
    answers: dict[type[Exception], Handler] = attrs.field(factory=dict)
    emitted: dict[tuple[str, str], Any] = attrs.field(factory=dict)

    def within(self, outer: Route | None) -> Route:
        """Make the same route, within another one; what is added to this later counts there."""
        if outer is None:
            return self
        nearest = outer if self.outer is None else self.outer.within(outer)
        return attrs.evolve(self, outer=nearest)

    def from_outermost(self) -> Iterator[Route]:
        """Go through the routes that this one is in, and itself."""
        if self.outer is not None:
            yield from self.outer.from_outermost()
        yield self

    def list_middlewares(self) -> Sequence[Handler]:
        """List the middlewares, the outermost first."""
        if self.outer is None:
            return self.middlewares
        return [*self.outer.list_middlewares(), *self.middlewares]

    def find_answer(self, error: Exception) -> Handler | None:
        """Find what answers *error*: the innermost route first, the most specific class first."""
        if isinstance(error, REFUSALS):
            return None
        for route in reversed(list(self.from_outermost())):
            for kind in type(error).__mro__:
                if kind in route.answers:
                    return route.answers[kind]
        return None


@attrs.frozen(eq=False)
class Declared:
    """A handler that waits for a server.

    Attributes:
        place: Where it is to be registered.
        function: The handler.
        route: What it has in common with others.
        response_model: What it answers, where that was said.
        frame: Where it is defined.
    """

    place: Place
    function: Callable[..., Any]
    route: Route
    response_model: Any
    frame: types.FrameType | None


class Registering(abc.ABC):
    """What routers and the servers of this package have in common."""

    #: The namespace of what names none.
    _namespace = "/"

    @abc.abstractmethod
    def _declare(
        self, event: str, function: Any, namespace: str | None, response_model: Any
    ) -> None:
        """Register one handler."""

    @abc.abstractmethod
    def _own_route(self) -> Route:
        """Give what all handlers have in common."""

    @abc.abstractmethod
    def _include(self, router: RouterSIO) -> None:
        """Register what has been registered on a router."""

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
            event: The name of the event; ``"*"`` for any other.
            handler: The handler.
            namespace: The namespace, instead of the router's, or of ``"/"``.
            response_model: The type of what it answers, instead of its return annotation.
        """

        def register(function: F) -> F:
            self._declare(event, function, namespace, response_model)
            return function

        return register if handler is None else register(handler)

    @overload
    def event(self, handler: F, /) -> F: ...

    @overload
    def event(
        self, namespace: str | None = None, /, *, response_model: Any = MISSING
    ) -> Callable[[F], F]: ...

    @overload
    def event(
        self, *, namespace: str | None = None, response_model: Any = MISSING
    ) -> Callable[[F], F]: ...

    def event(
        self,
        handler: Any = None,
        *,
        namespace: str | None = None,
        response_model: Any = MISSING,
    ) -> Any:
        """Register a handler under its own name; usable with and without arguments.

        Args:
            handler: The handler; or the namespace, as the first argument of a decorator.
            namespace: The namespace, instead of the router's, or of ``"/"``.
            response_model: The type of what it answers, instead of its return annotation.
        """
        if callable(handler):
            return self.on(handler.__name__, handler)

        def register(function: Any) -> Any:
            name, place = function.__name__, handler or namespace
            return self.on(name, function, place, response_model=response_model)

        return register

    def exception_handler(self, kind: type[Exception]) -> Callable[[F], F]:
        """Make a decorator for what answers exceptions of a class.

        What it returns is the acknowledgement. It may declare whatever a handler may, and the
        exception by its annotation. Of several, the most specific one answers; those of a router
        come before those of the server, and answer for the router's handlers only.

        Args:
            kind: The class of the exceptions.

        Raises:
            InvalidRegistrationError: It is no class of exceptions.
        """
        given: Any = kind
        if not (isinstance(given, type) and issubclass(given, Exception)):
            raise InvalidRegistrationError(
                f"An exception handler is registered for a class of exceptions, not for {kind!r}."
            )

        def register(function: F) -> F:
            frame = find_frame()
            answer = Handler(function, PLACE_OF_ANSWER, frame=frame, may_be_plain=False)
            self._own_route().answers[kind] = self._accept(answer)
            return function

        return register

    def middleware(self, middleware: F) -> F:
        """Wrap each event that goes to a handler; usable as a decorator.

        A middleware of a server also wraps the connecting of clients to namespaces that have no
        connect handler.

        Args:
            middleware: A function that takes ``call_next`` and the event, and returns the
                acknowledgement. It may declare whatever a handler may after them.

        Raises:
            InvalidRegistrationError: It is not callable.
        """
        frame = find_frame()
        handler = Handler(
            middleware, PLACE_OF_MIDDLEWARE, frame=frame, may_be_plain=False, skip=2
        )
        self._own_route().middlewares.append(self._accept(handler))
        return middleware

    def emits(self, event: str, model: Any, *, namespace: str | None = None) -> None:
        """Declare for `asyncapi` what the server emits.

        Args:
            event: The name of the event.
            model: The type of its payload.
            namespace: The namespace, instead of the router's, or of ``"/"``.
        """
        self._own_route().emitted[namespace or self._namespace, event] = model

    def add_router(self, router: RouterSIO) -> None:
        """Register what is registered on a router.

        Args:
            router: The router. Within another router, its namespaces are below that one's.

        Raises:
            InvalidRegistrationError: It is no router, or the router is within it.
            UnresolvableParameterError: A handler has a parameter that nothing can fill.
        """
        if not isinstance(router, RouterSIO):
            raise InvalidRegistrationError(
                f"A router is a RouterSIO, not a {type(router).__qualname__}."
            )
        self._include(router)

    def add_routers(self, *routers: RouterSIO) -> None:
        """Register what is registered on several routers."""
        for router in routers:
            self.add_router(router)

    def _accept(self, handler: Handler) -> Handler:
        """Check what is added to the route."""
        return handler


class RouterSIO(Registering):
    """Handlers, with what they have in common, to be registered on a server together.

    Args:
        namespace: The namespace of the handlers that name none; those of routers within this one
            are below it.
        dependencies: Markers of what is made for its effect, before each handler runs.
    """

    def __init__(
        self, namespace: str | None = "/", *, dependencies: Sequence[Any] = ()
    ) -> None:
        self.namespace = self._namespace = namespace or "/"
        self._route = Route(dependencies=tuple(dependencies))
        self._declared: list[Declared] = []
        self._namespaces: list[tuple[Any, types.FrameType | None]] = []
        self._routers: list[RouterSIO] = []

    def _declare(
        self, event: str, function: Any, namespace: str | None, response_model: Any
    ) -> None:
        place = place_of(event, namespace or self.namespace)
        self._declared.append(
            Declared(place, function, self._route, response_model, find_frame())
        )

    def _own_route(self) -> Route:
        return self._route

    def _include(self, router: RouterSIO) -> None:
        if any(one is self for one, _, _ in router.walk()):
            raise InvalidRegistrationError("A router cannot be within itself.")
        self._routers.append(router)

    def register_namespace(self, namespace: Any) -> None:
        """Register an object whose methods handle the events of a namespace.

        Args:
            namespace: A ``socketio.Namespace`` or ``socketio.AsyncNamespace``.
        """
        self._namespaces.append((namespace, find_frame()))

    def walk(
        self, prefix: str = "/", outer: Route | None = None
    ) -> Iterator[tuple[RouterSIO, str, Route]]:
        """Go through this router and those within it.

        Args:
            prefix: The namespace that this router is below.
            outer: What its handlers have in common with others.

        Yields:
            A router, the namespace that it is below, and the route of its handlers.
        """
        route = self._route.within(outer)
        yield self, prefix, route
        for router in self._routers:
            yield from router.walk(join_namespaces(prefix, self.namespace), route)

    def list_handlers(self, prefix: str, route: Route) -> Iterator[Declared]:
        """List the handlers of this router alone, with their full namespaces."""
        for declared in self._declared:
            namespace = join_namespaces(prefix, declared.place.namespace)
            place = place_of(declared.place.event, namespace)
            yield attrs.evolve(declared, place=place, route=route)

    def list_namespaces(self, prefix: str) -> Iterator[tuple[Any, types.FrameType | None]]:
        """List the objects that handle namespaces, of this router alone, and their frames."""
        for namespace, frame in self._namespaces:
            full = join_namespaces(prefix, namespace.namespace)
            placed = namespace
            if full != namespace.namespace:
                placed = copy.copy(namespace)  # the caller's stays as it is
                placed.namespace = full
            yield placed, frame

    def list_emitted(self, prefix: str) -> Iterator[tuple[tuple[str, str], Any]]:
        """List what is emitted, as declared on this router alone."""
        for (namespace, event), model in self._route.emitted.items():
            yield (join_namespaces(prefix, namespace), event), model


def join_namespaces(outer: str, inner: str) -> str:
    """Write the namespace *inner* below *outer*; what stands for any other stays that.

    >>> join_namespaces("/shop", "/orders")
    '/shop/orders'
    """
    if "*" in (outer, inner):
        return "*"
    return "/" + "/".join(part for part in f"{outer}/{inner}".split("/") if part)


def find_frame() -> types.FrameType | None:
    """Find the function in which a handler is being registered; annotations may use its names."""
    frame: types.FrameType | None = sys._getframe(1)
    while frame is not None and _is_helper(frame.f_globals.get("__name__", "")):
        frame = frame.f_back
    is_module = frame is None or frame.f_code.co_name == "<module>"
    return None if is_module else frame


def _is_helper(module: str) -> bool:
    return module.partition(".")[0] == "socketio" or module.startswith("wares.socketio")
