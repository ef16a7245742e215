"""`inject`: a function's marked parameters are filled, whoever calls it.

This module is what users see of it.
"""

from __future__ import annotations

import sys
import types
from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar, overload

from wares._core.callables import Shape, read_shape
from wares._core.container import Registry
from wares._inject.reading import read_asker
from wares._inject.unfinished import find_block, hides_block, read_hidden_shape
from wares._inject.wrappers import choose_wrapper, write_wrapper
from wares.exceptions import AsyncServiceError, InvalidRegistrationError

R = TypeVar("R")


class Injector(Protocol):
    """What decorates a function.

    To type checkers, an injected function takes any arguments: they cannot know which ones are left
    to its callers. Its result stays what it is.
    """

    @overload
    def __call__(self, function: staticmethod[..., R], /) -> staticmethod[..., R]: ...

    @overload
    def __call__(self, function: classmethod[Any, ..., R], /) -> classmethod[Any, ..., R]: ...

    @overload
    def __call__(self, function: Callable[..., R], /) -> Callable[..., R]: ...


@overload
def inject(function: staticmethod[..., R], /) -> staticmethod[..., R]: ...


@overload
def inject(function: classmethod[Any, ..., R], /) -> classmethod[Any, ..., R]: ...


@overload
def inject(function: Callable[..., R], /) -> Callable[..., R]: ...


@overload
def inject(
    *, registry: Registry | None = None, dependencies: Sequence[Any] = ()
) -> Injector: ...


def inject(
    function: Any = None,
    /,
    *,
    registry: Registry | None = None,
    dependencies: Sequence[Any] = (),
) -> Any:
    """Fill the parameters of a function that are marked with `Depends` or `Inject`.

    It may be any function: synchronous, asynchronous, a generator, an asynchronous generator, or
    one that `contextlib` has made a context manager; it keeps its kind, also where a decorator
    hides it. Callers see the other parameters, and as keyword parameters what only dependencies
    take. What is passed for a marked parameter, by keyword, wins. Services come from the current
    container; where there is none, one is opened for the call.

    >>> from typing import Annotated
    >>> from wares import Depends, inject
    >>> def find_user(name: str) -> str:
    ...     return name.title()
    >>> @inject
    ... def greet(name: str, user: Annotated[str, Depends(find_user)]) -> str:
    ...     return f"hello {user}"
    >>> greet("ada")
    'hello Ada'

    Args:
        function: The function.
        registry: Where a container is opened if none is current. Without it, the function can
            then have what `Depends` calls, but no services: that is a NoContainerError.
        dependencies: Markers of what is made for its effect, before what the function needs.

    Returns:
        The function, injected; without *function* a decorator.

    Raises:
        UnresolvableParameterError: A marker that cannot work where it stands, or a parameter of a
            dependency that nothing can fill.
        AsyncServiceError: A dependency is asynchronous, and the function is not.
        CircularDependencyError: Dependencies need each other in a circle.
        LifetimeError: Something that lives longer needs something that ends with a function.
        InvalidRegistrationError: *function* is not callable, *registry* is no registry, or
            *dependencies* holds something that is no marker.
    """
    injector = _Injector(registry, dependencies)
    return injector if function is None else injector(function, sys._getframe(1))


@overload
def apply_types(function: staticmethod[..., R], /) -> staticmethod[..., R]: ...


@overload
def apply_types(function: classmethod[Any, ..., R], /) -> classmethod[Any, ..., R]: ...


@overload
def apply_types(function: Callable[..., R], /) -> Callable[..., R]: ...


@overload
def apply_types(
    *,
    registry: Registry | None = None,
    dependencies: Sequence[Any] = (),
    cast_result: bool = True,
) -> Injector: ...


def apply_types(
    function: Any = None,
    /,
    *,
    registry: Registry | None = None,
    dependencies: Sequence[Any] = (),
    cast_result: bool = True,
) -> Any:
    """Do what `inject` does, and cast arguments and results to what they are annotated with.

    Pydantic validates and casts the arguments that callers pass, those that dependencies take of
    them, what dependencies return, and what the function itself returns or yields. Defaults and
    registered services are taken as they are.

    >>> from wares import apply_types
    >>> @apply_types
    ... def add(first: int, second: int) -> str:
    ...     return f"{first + second}"
    >>> add("1", 2.0)
    '3'

    Args:
        function: The function.
        registry: As `inject` has it.
        dependencies: Markers of what is made for its effect, before what the function needs.
        cast_result: Whether the result is cast, too, where it is annotated.

    Returns:
        The function, injected; without *function* a decorator.

    Raises:
        MissingExtraError: pydantic is not installed.
        Exception: Whatever `inject` raises.
    """
    injector = _Injector(registry, dependencies, casts=True, cast_result=cast_result)
    return injector if function is None else injector(function, sys._getframe(1))


class _Injector:
    """Injects functions, with some options."""

    def __init__(
        self,
        registry: Any,
        dependencies: Sequence[Any],
        *,
        casts: bool = False,
        cast_result: bool = False,
    ) -> None:
        if registry is None:
            registry = Registry()
            registry._known.is_makeshift = True
        if not isinstance(registry, Registry):
            message = (
                f"registry takes a Registry, and this is an instance of "
                f"{type(registry).__qualname__}. A current container needs no argument: leave it "
                f"out, and the function asks that one."
            )
            raise InvalidRegistrationError(message)
        self._registry = registry
        self._dependencies = dependencies
        self._casts = casts
        self._cast_result = cast_result

    def __call__(self, target: Any, frame: types.FrameType | None = None) -> Any:
        """Inject one function; *frame* runs where it is decorated."""
        # The names around the function, which its annotations may use.
        frame = sys._getframe(1) if frame is None else frame
        if isinstance(target, staticmethod | classmethod):
            return type(target)(self(target.__func__, frame))
        if not callable(target):
            hint = " Write @inject(registry=...)." if isinstance(target, Registry) else ""
            message = (
                f"Cannot inject an instance of {type(target).__qualname__}: it is not callable."
                f"{hint}"
            )
            raise InvalidRegistrationError(message)
        return self._inject(target, frame)

    def _inject(self, function: Any, frame: types.FrameType) -> Any:
        """Inject a function, whatever its decorators hide."""
        make_block = find_block(function)
        if make_block is not None:
            return make_block(self._inject(function.__wrapped__, frame))
        hidden = read_hidden_shape(function)
        if hidden is read_shape(function) or not hidden.is_async or hides_block(function):
            return self._wrap(function, frame)
        later = self._wrap(function, frame, hidden)
        try:
            now = self._wrap(function, frame)
        except AsyncServiceError:
            # It cannot be called but where somebody awaits it.
            return later
        return choose_wrapper(now, later)

    def _wrap(
        self, function: Callable[..., Any], frame: types.FrameType, shape: Shape | None = None
    ) -> Callable[..., Any]:
        asker = read_asker(function, self._dependencies, frame, casts=self._casts, shape=shape)
        return write_wrapper(asker, self._registry, casts_result=self._cast_result)
