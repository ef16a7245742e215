"""`inject` and `apply_types`: decorate a function so that its marked parameters are filled."""

from __future__ import annotations

import types
from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar, overload

from wares._core.annotations import Viewpoint, stand_in
from wares._core.callables import Shape, as_class, describe_callable, read_shape
from wares._core.container import Registry
from wares._core.signatures import read_marked
from wares._inject.reading import read_asker
from wares._inject.unfinished import find_block, hides_block, read_hidden_shape
from wares._inject.wrappers import choose_wrapper, write_wrapper
from wares.exceptions import AsyncServiceError, InvalidRegistrationError

R = TypeVar("R")

#: The advice for an object that another decorator has made.
_SWAP = (
    "If another decorator has made it, as for a task, a command or a fixture, swap the two: put "
    "@{} below, directly above the function."
)


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
        InvalidRegistrationError: *function* is not callable, or is an object such as a task, whose
            methods would be lost; *registry* is no registry; or *dependencies* contains an object
            that is no marker.
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


def inject_for_call(function: Callable[..., Any]) -> Callable[..., Any]:
    """Inject a callable of any kind, in order to call it and for nothing else."""
    injected: Callable[..., Any] = _Injector(None, ()).inject(function)
    return injected


def refuse_object(target: Any, decorator: str, *, has_more_to_do: bool = False) -> None:
    """Refuse a task, a fixture or the like: a function would take its place, without its methods.

    The ``__call__`` of an object may ask for services as a function does. An object is refused if
    that asks for nothing, or if it stands for another function, which a decorator has wrapped.

    Args:
        target: The callable that is decorated.
        decorator: The name of the decorator.
        has_more_to_do: Whether the decorator does more than to fill marked parameters.

    Raises:
        InvalidRegistrationError: *target* is such an object.
    """
    if as_class(target) is not None or hasattr(target, "__code__"):
        return
    if type(target).__module__ == "functools":
        # Partials and caches are called as functions are.
        return
    is_wrapper = hasattr(target, "__wrapped__")
    if not is_wrapper and (has_more_to_do or _asks(target)):
        return
    # The function has the attributes of the object itself, because `inject` copies them.
    names = {name for name in dir(target) if name[0] != "_"}
    # The methods of pytest's fixtures are private, and only pytest may call them.
    is_fixture = type(target).__module__ == "_pytest.fixtures"
    if is_fixture or names - getattr(target, "__dict__", {}).keys():
        kind = type(target).__qualname__
        name = describe_callable(target) if is_wrapper else f"an instance of {kind}"
        raise InvalidRegistrationError(
            f"@{decorator} cannot decorate {name}: a function would take its place, which lacks "
            f"the methods of this object. {_SWAP.format(decorator)}"
        )


def _asks(target: Callable[..., Any]) -> bool:
    """Return whether a parameter of *target* has a marker."""
    viewpoint = Viewpoint(may_import=False, stand_in=stand_in)
    return bool(read_marked(target, viewpoint))


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
        self._given = registry
        if registry is None:
            registry = Registry()
            registry._registrations.is_makeshift = True
        if not isinstance(registry, Registry):
            raise InvalidRegistrationError(
                f"registry takes a Registry, and this is an instance of "
                f"{type(registry).__qualname__}. To use the current container, leave the "
                f"argument out."
            )
        self._registry = registry
        self._dependencies = dependencies
        self._casts = casts
        self._cast_result = cast_result

    def __call__(self, target: Any) -> Any:
        """Inject one function, as a decorator does."""
        if isinstance(target, staticmethod | classmethod):
            return type(target)(self(target.__func__))
        decorator = "apply_types" if self._casts else "inject"
        if not callable(target):
            hint = (
                "Write @inject(registry=...)."
                if isinstance(target, Registry)
                else _SWAP.format(decorator)
            )
            raise InvalidRegistrationError(
                f"Cannot inject an instance of {type(target).__qualname__}: it is not callable. "
                f"{hint}"
            )
        refuse_object(target, decorator, has_more_to_do=bool(self._dependencies))
        return self.inject(target)

    def inject(self, target: Any) -> Any:
        """Inject a callable of any kind, also one that has more use than to be called."""
        if isinstance(target, types.MethodType):
            return types.MethodType(self.inject(target.__func__), target.__self__)
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
        asker = read_asker(
            function,
            self._dependencies,
            registry=self._given,
            casts=self._casts,
            shape=shape,
        )
        return write_wrapper(asker, self._registry, casts_result=self._cast_result)
