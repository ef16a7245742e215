"""Inspecting callables: what they wrap, where they are defined, which parameters they take."""

from __future__ import annotations

import enum
import functools
import inspect
import itertools
import sys
import types
import typing
from collections.abc import Callable, Iterator
from typing import Any

import attrs

from wares._core.annotations import (
    PARSING,
    TYPING_MODULES,
    inspect_signature,
    read_annotated_names,
)
from wares._core.keys import describe
from wares.exceptions import InvalidRegistrationError

#: The kinds of parameters that take any number of arguments.
VARIADIC = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


class Shape(enum.Enum):
    """What calling a callable returns: a plain result, a coroutine or a generator."""

    PLAIN = "plain"
    COROUTINE = "coroutine"
    GENERATOR = "generator"
    ASYNC_GENERATOR = "async generator"

    @property
    def is_async(self) -> bool:
        """Whether the result must be awaited or iterated asynchronously."""
        return self in (Shape.COROUTINE, Shape.ASYNC_GENERATOR)

    @property
    def yields(self) -> bool:
        """Whether the result is a generator, which yields the service."""
        return self in (Shape.GENERATOR, Shape.ASYNC_GENERATOR)


@attrs.frozen
class Autowired:
    """A factory whose parameters with defaults are filled as well; see `wares.autowire`.

    Attributes:
        factory: The factory itself.
        is_awaited: Whether calling this object with a container returns an awaitable.
    """

    factory: Callable[..., Any]
    is_awaited: bool = False

    def __call__(self, container: Any) -> Any:
        """Call the factory, with its parameters filled from *container*."""
        return container.acall(self) if self.is_awaited else container.call(self)


def without_autowire(factory: Callable[..., Any]) -> Callable[..., Any]:
    """Return the factory itself, without `autowire` around it."""
    return factory.factory if isinstance(factory, Autowired) else factory


@attrs.frozen
class Owner:
    """The class that a callable belongs to: the class itself, or the class of a method.

    Attributes:
        kind: The class as it is called, perhaps with types in brackets.
        home: The class, or the base class that defines the constructor or method.
        function: The constructor or method, as *home* defines it.
    """

    kind: Any
    home: type
    function: Callable[..., Any]

    @property
    def origin(self) -> type:
        """The class without brackets."""
        origin: type = typing.get_origin(self.kind) or self.kind
        return origin

    def find_home_of(self, parameter: str) -> type:
        """Return the class that annotates a *parameter*; for a field, the one that declares it."""
        code = getattr(inspect.unwrap(self.function), "__code__", None)
        if code is None or (_takes(code, parameter) and not _is_generated(code)):
            return self.home
        for base in self.origin.__mro__:
            # attrs strips the underscore from parameters of private fields.
            if not {parameter, f"_{parameter}"}.isdisjoint(read_annotated_names(base)):
                return base
        return self.home


def _takes(code: types.CodeType, parameter: str) -> bool:
    return parameter in code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]


def _is_generated(code: types.CodeType) -> bool:
    """Return whether the code has no file, like the constructors of data classes."""
    return code.co_filename.startswith("<")


def find_owner(factory: Callable[..., Any]) -> Owner | None:
    """Find the class that *factory*, or a callable that it wraps, belongs to."""
    for candidate in unwrap(factory):
        if as_class(candidate) is not None:
            return find_constructor(candidate)
        if isinstance(candidate, types.MethodType):
            bound = candidate.__self__
            kind = bound if isinstance(bound, type) else type(bound)
            return _find_method(kind, candidate.__func__)
        call = _find_call(candidate)
        if call is not None and not isinstance(candidate, Autowired):
            return _find_method(type(candidate), call)
    return None


def _find_method(kind: type, function: Any) -> Owner | None:
    for base in kind.__mro__:
        if any(getattr(item, "__func__", item) is function for item in vars(base).values()):
            return Owner(kind, base, function)
    return None


def find_constructor(kind: Any) -> Owner | None:
    """Find the function whose parameters a class takes, if it is written in Python.

    The ``__call__`` of a metaclass, or a ``__new__``, that takes only ``*args, **kwargs`` passes
    them on to the next one, and so does the ``__init__`` that `typing` adds to a Protocol.
    """
    origin = kind if isinstance(kind, type) else typing.get_origin(kind)
    for base, name in _list_constructors(origin):
        function = vars(base)[name]
        function = getattr(function, "__func__", function)
        if not isinstance(function, types.FunctionType):
            return None
        if not _passes_everything_on(function, name):
            return Owner(kind, base, function)
    return None


def _list_constructors(kind: type) -> Iterator[tuple[type, str]]:
    """Yield the methods that take the arguments when a class is called, in the order of calls."""
    metaclass: type = type(kind)
    for base in itertools.takewhile(lambda base: base is not type, metaclass.__mro__):
        if "__call__" in vars(base):
            yield base, "__call__"
    for base in kind.__mro__[:-1]:
        for name in ("__new__", "__init__"):
            if name in vars(base):
                yield base, name


def _passes_everything_on(function: types.FunctionType, name: str) -> bool:
    if name == "__init__":
        # Any other `__init__` with `*args, **kwargs` may do anything with them.
        return function.__module__ in TYPING_MODULES
    code = getattr(inspect.unwrap(function), "__code__", function.__code__)
    both = inspect.CO_VARARGS | inspect.CO_VARKEYWORDS
    return code.co_argcount + code.co_kwonlyargcount <= 1 and code.co_flags & both == both


def as_class(candidate: object) -> type | None:
    """Return *candidate* if it is a class, the class before the brackets, or `None`."""
    origin = typing.get_origin(candidate) or candidate
    return origin if isinstance(origin, type) else None


def read_shape(factory: Callable[..., Any]) -> Shape:
    """Return the shape of *factory*, as far as the callable itself shows it."""
    called = factory.func if isinstance(factory, functools.partial) else factory
    for candidate in () if isinstance(called, type) else (called, _find_call(called)):
        if inspect.isasyncgenfunction(candidate):
            return Shape.ASYNC_GENERATOR
        if inspect.isgeneratorfunction(candidate):
            return Shape.GENERATOR
        if inspect.iscoroutinefunction(candidate):
            return Shape.COROUTINE
    return Shape.PLAIN


def wraps_generator(factory: Callable[..., Any]) -> bool:
    """Return whether *factory* is or wraps a generator function, sync or async."""
    innermost = unwrap(factory)[-1]
    return inspect.isgeneratorfunction(innermost) or inspect.isasyncgenfunction(innermost)


def unwrap(factory: Callable[..., Any]) -> tuple[Callable[..., Any], ...]:
    """List *factory* and the callables that it wraps, the outermost first."""
    chain: list[Any] = []
    current: Any = factory
    while current is not None and not any(current is seen for seen in chain):
        chain.append(current)
        current = _unwrap_once(current)
    return tuple(chain)


def _unwrap_once(current: Any) -> Any:
    if isinstance(current, functools.partial):
        return current.func
    if isinstance(current, Autowired):
        return current.factory
    if isinstance(current, types.MethodType):
        return current.__func__
    if isinstance(typing.get_origin(current), type):
        return typing.get_origin(current)
    if hasattr(current, "__wrapped__"):
        return current.__wrapped__
    if isinstance(current, type):
        owner = find_constructor(current)
        return None if owner is None else owner.function
    if hasattr(current, "__code__"):
        return None
    return _find_call(current)


def _find_call(thing: object) -> types.FunctionType | None:
    """Find the function that runs when an object is called."""
    call = getattr(type(thing), "__call__", None)  # noqa: B004  # the function, not whether there is one
    return call if inspect.isfunction(call) else None


def can_be_called(thing: object, *arguments: object) -> bool:
    """Return whether *thing* can be called with these arguments, as far as its signature says."""
    if not callable(thing):
        return False
    try:
        inspect.signature(thing).bind(*arguments)
    except TypeError:
        return False
    except ValueError:
        # Some builtins have no signature.
        pass
    return True


def leave_out_shown_defaults(factory: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that calls *factory* without the defaults that its class only shows.

    A class with a ``__signature__`` may not take its own defaults as arguments: pydantic's models
    show an object that stands for a default factory.
    """
    if not hasattr(as_class(factory), "__signature__"):
        return factory
    shown = {parameter.name: parameter.default for parameter in read_parameters(factory)}

    def call(*args: Any, **kwargs: Any) -> Any:
        passed = {name: it for name, it in kwargs.items() if it is not shown.get(name, factory)}
        return factory(*args, **passed)

    return call


def describe_callable(factory: Callable[..., Any]) -> str:
    """Return the name of *factory* and where it is defined, as ``name (file:line)``."""
    name = name_callable(factory)
    place = find_place(factory)
    return f"{name} ({place})" if place else name


def name_callable(factory: Callable[..., Any]) -> str:
    """Return the name of *factory*, of a callable that it wraps, or else of its class."""
    for candidate in unwrap(factory):
        name = getattr(candidate, "__qualname__", None)
        if isinstance(name, str):
            return name.rpartition("<locals>.")[2]
    return describe(type(factory))


def find_place(factory: Callable[..., Any]) -> str | None:
    """Find the file and line where *factory* is defined, as ``file:line``."""
    if isinstance(factory, type):
        return _find_place_of_class(factory)
    for candidate in reversed(unwrap(factory)):
        code = getattr(candidate, "__code__", None)
        if isinstance(code, types.CodeType) and not _is_generated(code):
            return f"{code.co_filename}:{code.co_firstlineno}"
    return _find_place_of_class(type(factory))


def _find_place_of_class(kind: type) -> str | None:
    try:
        file, line = inspect.getsourcefile(kind), _find_line_of_class(kind)
    except (OSError, TypeError, SyntaxError):
        # The class is written in C, or at a prompt, or its file is being edited.
        return None
    return f"{file}:{line}" if file and line else None


if sys.version_info >= (3, 13):

    def _find_line_of_class(kind: type) -> int | None:
        line: int | None = vars(kind).get("__firstlineno__")
        return line


if sys.version_info < (3, 13):

    def _find_line_of_class(kind: type) -> int | None:
        with PARSING:
            return inspect.getsourcelines(kind)[1]


def read_parameters(factory: Callable[..., Any]) -> tuple[inspect.Parameter, ...]:
    """Return the parameters of *factory*; none for a builtin without a signature.

    Raises:
        InvalidRegistrationError: The parameters cannot be read.
    """
    try:
        return tuple(read_raw(factory).parameters.values())
    except ValueError:
        return ()
    except TypeError as error:
        raise InvalidRegistrationError(
            f"Cannot read the parameters of {describe_callable(factory)}: {error}"
        ) from error


def read_raw(factory: Callable[..., Any]) -> inspect.Signature:
    """Read the signature of any callable; annotations with undefined names stay unevaluated.

    Raises:
        ValueError: A builtin has no signature.
        TypeError: *factory* is not callable, or an annotation cannot be evaluated.
    """
    if isinstance(factory, functools.partial):
        # `inspect` computes which parameters are left.
        def inner(*args: Any, **kwargs: Any) -> None: ...

        inner.__signature__ = read_raw(factory.func)  # type: ignore[attr-defined]  # PEP 362 reads it
        return inspect.signature(functools.partial(inner, *factory.args, **factory.keywords))
    kind = as_class(factory)
    if kind is not None:
        return _read_constructor(kind)
    if isinstance(factory, types.MethodType):
        return inspect_signature(factory)
    shown = inspect.unwrap(factory, stop=_has_own_signature)
    return inspect_signature(factory) if shown is factory else read_raw(shown)


def _has_own_signature(wrapper: Any) -> bool:
    # A method has the `__wrapped__` of its function, which takes one parameter more.
    return hasattr(wrapper, "__signature__") or isinstance(wrapper, types.MethodType)


def _read_constructor(kind: type) -> inspect.Signature:
    owner = None if hasattr(kind, "__signature__") else find_constructor(kind)
    if owner is None:
        return inspect_signature(kind)
    # For a bound method, `inspect` leaves out the first parameter.
    return inspect_signature(types.MethodType(owner.function, kind))
