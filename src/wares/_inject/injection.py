"""`inject` and `apply_types`: decorate a function so that its marked parameters are filled."""

from __future__ import annotations

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
    """The type of a decorator of functions.

    For type checkers, an injected function takes any arguments, because they cannot know which ones
    are left to its callers. The type of its result stays the same.
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

    The function may be synchronous, asynchronous, a generator function, an asynchronous one, or
    decorated by `contextlib` as a context manager. It keeps its kind, also if a decorator hides it.
    Callers see the other parameters, and keyword parameters for arguments that only dependencies
    take. An argument that is passed for a marked parameter, by keyword, wins. Services come from
    the current container; if there is none, one is opened for the call.

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
        registry: The registry that opens a container if none is current. Without it, the function
            can then have the results of callables, but no services: they raise a NoContainerError.
        dependencies: Markers of dependencies that are made for their effect, before the others.

    Returns:
        The injected function; without *function* a decorator.

    Raises:
        UnresolvableParameterError: A marker cannot work where it is written, or nothing can fill a
            parameter of a dependency.
        AsyncServiceError: A dependency is asynchronous, and the function is not.
        CircularDependencyError: Dependencies need each other in a circle.
        LifetimeError: A dependency needs a function-scoped one, and lives longer.
        InvalidRegistrationError: *function* is not callable, *registry* is no registry, or
            *dependencies* contains an object that is no marker.
    """
    injector = _Injector(registry, dependencies)
    return injector if function is None else injector(function)


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
    """Inject a function as `inject` does, and cast arguments and results to their annotations.

    Pydantic validates and casts the arguments that callers pass to the function and to its
    dependencies, the results of dependencies, and what the function returns or yields. Defaults
    and registered services are taken as they are.

    >>> from wares import apply_types
    >>> @apply_types
    ... def add(first: int, second: int) -> str:
    ...     return f"{first + second}"
    >>> add("1", 2.0)
    '3'

    Args:
        function: The function.
        registry: As in `inject`.
        dependencies: As in `inject`.
        cast_result: Whether the result is cast, too, if it is annotated.

    Returns:
        The injected function; without *function* a decorator.

    Raises:
        MissingExtraError: pydantic is not installed.
        Exception: Whatever `inject` raises.
    """
    injector = _Injector(registry, dependencies, casts=True, cast_result=cast_result)
    return injector if function is None else injector(function)


class _Injector:
    """A decorator that injects functions."""

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
                f"{type(registry).__qualname__}. To use the current container, leave the "
                f"argument out."
            )
            raise InvalidRegistrationError(message)
        self._registry = registry
        self._dependencies = dependencies
        self._casts = casts
        self._cast_result = cast_result

    def __call__(self, target: Any) -> Any:
        """Inject one function."""
        if isinstance(target, staticmethod | classmethod):
            return type(target)(self(target.__func__))
        if isinstance(target, types.MethodType):
            return types.MethodType(self(target.__func__), target.__self__)
        if not callable(target):
            hint = " Write @inject(registry=...)." if isinstance(target, Registry) else ""
            message = (
                f"Cannot inject an instance of {type(target).__qualname__}: it is not callable."
                f"{hint}"
            )
            raise InvalidRegistrationError(message)
        return self._inject(target)

    def _inject(self, function: Any) -> Any:
        """Inject a function, also if its decorators hide that it is asynchronous."""
        make_block = find_block(function)
        if make_block is not None:
            return make_block(self._inject(function.__wrapped__))
        hidden = read_hidden_shape(function)
        if hidden is read_shape(function) or not hidden.is_async or hides_block(function):
            return self._wrap(function)
        later = self._wrap(function, hidden)
        try:
            now = self._wrap(function)
        except AsyncServiceError:
            # A dependency is asynchronous, so the call must be awaited in any case.
            return later
        return choose_wrapper(now, later)

    def _wrap(
        self, function: Callable[..., Any], shape: Shape | None = None
    ) -> Callable[..., Any]:
        asker = read_asker(function, self._dependencies, casts=self._casts, shape=shape)
        return write_wrapper(asker, self._registry, casts_result=self._cast_result)
