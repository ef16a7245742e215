"""A router: handlers that are registered on a server together.

This module knows what is declared. It must not know servers.
"""

from __future__ import annotations

import copy
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, overload

import attrs

from wares._core.keys import MISSING
from wares.exceptions import InvalidRegistrationError
from wares.socketio._frames import find_frame
from wares.socketio._parameters import Place, place_of
from wares.socketio._routes import F, Route


@attrs.frozen(eq=False)
class Declared:
    """A handler that waits for a server.

    Attributes:
        place: Where it is to be registered.
        handler: The handler.
        route: What it has in common with others.
        response_model: What it answers, where that was said.
        frame: Where it is defined.
    """

    place: Place
    handler: Callable[..., Any]
    route: Route
    response_model: Any
    frame: types.FrameType | None


class Registering:
    """What registers handlers."""

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
            namespace: The namespace, instead of the router's.
            response_model: The type of what it answers, instead of its return annotation.
        """

        def register(function: F) -> F:
            self._register(event, function, namespace, response_model)
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
            namespace: The namespace, instead of the router's.
            response_model: The type of what it answers, instead of its return annotation.
        """
        if callable(handler):
            return self.on(handler.__name__, handler)

        def register(function: Any) -> Any:
            return self.on(
                function.__name__,
                function,
                handler or namespace,
                response_model=response_model,
            )

        return register

    def _register(
        self, event: str, handler: Any, namespace: str | None, response_model: Any
    ) -> None:
        """Register one handler; each that inherits this does it in its own way."""


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
        self.namespace = namespace or "/"
        self._route = Route(dependencies=tuple(dependencies))
        self._declared: list[Declared] = []
        self._namespaces: list[Any] = []
        self._routers: list[RouterSIO] = []
        self._emitted: dict[tuple[str, str], Any] = {}

    def _register(
        self, event: str, handler: Any, namespace: str | None, response_model: Any
    ) -> None:
        place = place_of(event, namespace or self.namespace)
        self._declared.append(
            Declared(place, handler, self._route, response_model, find_frame())
        )

    def exception_handler(self, kind: type[Exception]) -> Callable[[F], F]:
        """Make a decorator for what answers exceptions of a class, in this router's handlers.

        Args:
            kind: The class of the exceptions.

        Raises:
            InvalidRegistrationError: It is no class of exceptions.
        """
        return self._route.add_answer(kind)

    def middleware(self, middleware: F) -> F:
        """Wrap each event that goes to a handler of this router; usable as a decorator.

        Args:
            middleware: A function that takes ``call_next`` and the event.

        Raises:
            InvalidRegistrationError: It is not callable.
        """
        return self._route.add_middleware(middleware)

    def emits(self, event: str, model: Any, *, namespace: str | None = None) -> None:
        """Declare for `asyncapi` what the server emits.

        Args:
            event: The name of the event.
            model: The type of its payload.
            namespace: The namespace, instead of the router's.
        """
        self._emitted[namespace or self.namespace, event] = model

    def register_namespace(self, namespace: Any) -> None:
        """Register an object whose methods handle the events of a namespace.

        Args:
            namespace: A ``socketio.Namespace`` or ``socketio.AsyncNamespace``.
        """
        self._namespaces.append(namespace)

    def add_router(self, router: RouterSIO) -> None:
        """Register what has been, or will be, registered on another router.

        Args:
            router: The router. Its namespaces are below this one's.

        Raises:
            InvalidRegistrationError: It is no router, or this one is within it.
        """
        if not isinstance(router, RouterSIO):
            raise InvalidRegistrationError(
                f"A router is a RouterSIO, not a {type(router).__qualname__}."
            )
        if self in router._all_routers():
            raise InvalidRegistrationError("A router cannot be within itself.")
        self._routers.append(router)

    def add_routers(self, *routers: RouterSIO) -> None:
        """Register what has been registered on several routers."""
        for router in routers:
            self.add_router(router)

    def all_handlers(self, prefix: str = "/", outer: Route | None = None) -> Iterator[Declared]:
        """List the handlers, also those of routers within, with their full namespaces."""
        route = self._route_in(outer)
        for declared in self._declared:
            place = place_of(
                declared.place.event, join_namespaces(prefix, declared.place.namespace)
            )
            yield attrs.evolve(declared, place=place, route=route)
        for router in self._routers:
            yield from router.all_handlers(join_namespaces(prefix, self.namespace), route)

    def all_namespaces(
        self, prefix: str = "/", outer: Route | None = None
    ) -> Iterator[tuple[Any, Route]]:
        """List the objects that handle namespaces, also those of routers within."""
        route = self._route_in(outer)
        for namespace in self._namespaces:
            full = join_namespaces(prefix, namespace.namespace)
            if full != namespace.namespace:
                namespace = copy.copy(namespace)  # noqa: PLW2901  # the caller's stays as it is
                namespace.namespace = full
            yield namespace, route
        for router in self._routers:
            yield from router.all_namespaces(join_namespaces(prefix, self.namespace), route)

    def all_emitted(self, prefix: str = "/") -> Mapping[tuple[str, str], Any]:
        """List what is emitted, also by what is in routers within."""
        emitted = {
            (join_namespaces(prefix, namespace), event): model
            for (namespace, event), model in self._emitted.items()
        }
        for router in self._routers:
            emitted |= router.all_emitted(join_namespaces(prefix, self.namespace))
        return emitted

    def _route_in(self, outer: Route | None) -> Route:
        return self._route if outer is None else self._route.within(outer)

    def _all_routers(self) -> Iterator[RouterSIO]:
        yield self
        for router in self._routers:
            yield from router._all_routers()


def join_namespaces(outer: str, inner: str) -> str:
    """Write the namespace *inner* below *outer*; what stands for any other stays that.

    >>> join_namespaces("/shop", "/orders")
    '/shop/orders'
    """
    if "*" in (outer, inner):
        return "*"
    return "/" + "/".join(part for part in f"{outer}/{inner}".split("/") if part)
