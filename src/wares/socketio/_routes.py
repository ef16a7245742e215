"""What handlers have in common: dependencies, middleware, answers to exceptions.

This module knows what was declared on servers and routers. It must not know how it is called.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import attrs
import socketio.exceptions

from wares.exceptions import InvalidRegistrationError

F = TypeVar("F", bound=Callable[..., Any])

#: What python-socketio understands as a refusal; that is an answer already.
_REFUSALS = (socketio.exceptions.ConnectionRefusedError, ConnectionRefusedError)


@attrs.define(eq=False)
class Route:
    """What the handlers of a server, or of a router on it, have in common.

    Attributes:
        outer: What they have in common with others: the server, or the router around.
        dependencies: Markers of what is made for its effect, before each handler runs.
        middlewares: What wraps each event, the outermost first.
        answers: What answers exceptions, by their class.
    """

    outer: Route | None = None
    dependencies: tuple[Any, ...] = ()
    middlewares: list[Callable[..., Any]] = attrs.field(factory=list)
    answers: dict[type[Exception], Callable[..., Any]] = attrs.field(factory=dict)

    def within(self, outer: Route) -> Route:
        """Make the same route, within another one; what is added to this later counts there."""
        return attrs.evolve(
            self, outer=outer if self.outer is None else self.outer.within(outer)
        )

    def all_dependencies(self) -> tuple[Any, ...]:
        """List the dependencies, the outermost first."""
        return tuple(
            marker for route in self._from_outermost() for marker in route.dependencies
        )

    def all_middlewares(self) -> Sequence[Callable[..., Any]]:
        """List the middlewares, the outermost first."""
        if self.outer is None:
            return self.middlewares
        return [*self.outer.all_middlewares(), *self.middlewares]

    def find_answer(self, error: Exception) -> Callable[..., Any] | None:
        """Find what answers *error*: the innermost route first, the most specific class first."""
        if isinstance(error, _REFUSALS):
            return None
        for route in reversed(list(self._from_outermost())):
            for kind in type(error).__mro__:
                if kind in route.answers:
                    return route.answers[kind]
        return None

    def add_answer(self, kind: Any) -> Callable[[F], F]:
        """Make a decorator for what answers exceptions of a class.

        Raises:
            InvalidRegistrationError: It is no class of exceptions.
        """
        if not (isinstance(kind, type) and issubclass(kind, Exception)):
            raise InvalidRegistrationError(
                f"An exception handler is registered for a class of exceptions, not for {kind!r}."
            )

        def register(answer: F) -> F:
            self.answers[kind] = answer
            return answer

        return register

    def add_middleware(self, middleware: F) -> F:
        """Add what wraps each event.

        Raises:
            InvalidRegistrationError: It is not callable.
        """
        if not callable(middleware):
            raise InvalidRegistrationError(
                f"A middleware is a function of `call_next` and the event; an instance of "
                f"{type(middleware).__qualname__} is not callable."
            )
        self.middlewares.append(middleware)
        return middleware

    def _from_outermost(self) -> Iterator[Route]:
        if self.outer is not None:
            yield from self.outer._from_outermost()
        yield self


def check_handler(handler: Any) -> None:
    """Refuse a handler that cannot be called.

    Raises:
        InvalidRegistrationError: It is not callable.
    """
    if not callable(handler):
        raise InvalidRegistrationError(
            f"A handler is a function, or another callable; an instance of "
            f"{type(handler).__qualname__} is not callable."
        )
