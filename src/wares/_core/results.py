"""The type of service that a factory's annotation promises, and whether it fits the key.

Nothing here raises an error: an annotation that cannot be evaluated promises nothing.
"""

from __future__ import annotations

import abc
import collections.abc
import contextlib
import functools
import inspect
import types
import typing
from collections.abc import Callable
from typing import Any

from wares._core.annotations import expand_alias
from wares._core.callables import as_class, unwrap, without_autowire, wraps_generator
from wares._core.keys import MISSING, UNIONS
from wares._core.signatures import evaluate_result

#: The classes that annotate generator functions, with the type of the items in brackets.
ITERATORS = (
    collections.abc.Iterator,
    collections.abc.Iterable,
    collections.abc.Generator,
    collections.abc.AsyncIterator,
    collections.abc.AsyncIterable,
    collections.abc.AsyncGenerator,
)
_AWAITABLES = (collections.abc.Awaitable, collections.abc.Coroutine)
_MANAGERS = (contextlib.AbstractContextManager, contextlib.AbstractAsyncContextManager)

#: Pairs of a number type and another one that accepts it (PEP 484).
_NUMBERS = {(int, float), (int, complex), (float, complex)}


def read_promise(factory: Callable[..., Any]) -> Any:
    """Return the type that *factory* promises to make.

    Args:
        factory: Any callable.

    Returns:
        A class itself; the type of the items of a generator function, also of one that `contextlib`
        decorates; the type of the result of a coroutine; otherwise the annotation of the result.
        `MISSING` if that is not definite. A context manager is not entered: see `read_entered`.
    """
    called: Any = without_autowire(factory)
    while isinstance(called, functools.partial):
        called = without_autowire(called.func)
    if as_class(called) is not None:
        return called
    return _definite(_read_product(called))


def read_entered(promise: Any) -> Any:
    """Return the type that entering *promise* returns, if it is a context manager.

    Args:
        promise: The type that a factory promises.

    Returns:
        The type that ``__enter__`` or ``__aenter__`` promises; *promise* itself if it has neither.
    """
    kind = typing.get_origin(promise) or promise
    if kind in _MANAGERS:
        return _definite(first_argument(promise))
    if not isinstance(kind, type):
        return promise
    given = [
        _entered_by(promise, kind, enter)
        for enter, leave in (("__enter__", "__exit__"), ("__aenter__", "__aexit__"))
        if hasattr(kind, enter) and hasattr(kind, leave)
    ]
    if not given:
        return promise
    # A class that is both sync and async may return different types.
    return given[0] if given[0] == given[-1] else MISSING


def _entered_by(promise: Any, kind: type, name: str) -> Any:
    function = inspect.getattr_static(kind, name)
    if not inspect.isfunction(function):
        return MISSING
    product = _read_product(types.MethodType(function, kind))
    return promise if product is typing.Self else _definite(product)


def _read_product(called: Any) -> Any:
    """Return the annotated type of the result of *called*, after it is iterated or awaited."""
    try:
        annotation = evaluate_result(called)
        is_generator = wraps_generator(called)
        is_coroutine = any(map(inspect.iscoroutinefunction, unwrap(called)))
    except Exception:  # noqa: BLE001  # reading annotations runs code of users
        return MISSING
    origin = typing.get_origin(annotation)
    if is_generator:
        return first_argument(annotation) if origin in ITERATORS else MISSING
    if origin in _AWAITABLES and not is_coroutine:
        return typing.get_args(annotation)[-1]
    return annotation


def first_argument(annotation: Any, default: Any = MISSING) -> Any:
    """Return the first of the types in brackets, or *default* if there are none."""
    return next(iter(typing.get_args(annotation)), default)


def _definite(annotation: Any) -> Any:
    """Return *annotation*, or `MISSING` if it may mean anything."""
    is_open = isinstance(annotation, typing.TypeVar) or annotation in (Any, typing.Self)
    return MISSING if is_open else annotation


def may_be_none(annotation: Any) -> bool:
    """Return whether *annotation* allows `None`, or may do so."""
    annotation = _plain(annotation)
    origin = typing.get_origin(annotation)
    if origin in UNIONS:
        return any(map(may_be_none, typing.get_args(annotation)))
    if origin is typing.Literal:
        return None in typing.get_args(annotation)
    kind = origin or annotation
    if kind is Any or not isinstance(kind, type):
        return True
    try:
        return isinstance(None, kind)
    except TypeError:
        # A protocol that cannot be checked.
        return False


def fits(annotation: Any, key: Any) -> bool:
    """Return whether an object of the type *annotation* may be the service of *key*.

    Args:
        annotation: The type that a factory promises.
        key: The key that the factory is registered under.

    Returns:
        False only if both are classes, without regard to brackets, of which neither derives from
        the other, and whose instances can be told apart.
    """
    annotation, key = _plain(annotation), _plain(key)
    if typing.get_origin(annotation) in UNIONS:
        return any(fits(member, key) for member in typing.get_args(annotation))
    if typing.get_origin(key) in UNIONS:
        return any(fits(annotation, member) for member in typing.get_args(key))
    made = typing.get_origin(annotation) or annotation
    asked = typing.get_origin(key) or key
    if not (_is_definite_class(made) and _is_definite_class(asked)):
        return True
    return issubclass(made, asked) or issubclass(asked, made) or (made, asked) in _NUMBERS


def _is_definite_class(kind: Any) -> bool:
    """Return whether only objects of *kind* and its subclasses count as instances of *kind*."""
    # Other metaclasses may define their own check.
    return type(kind) in (type, abc.ABCMeta) and not any(
        "__subclasshook__" in vars(base) for base in kind.__mro__[:-1]
    )


def _plain(annotation: Any) -> Any:
    """Return *annotation* without aliases, `Annotated` and `NewType`."""
    while True:
        annotation = expand_alias(annotation)
        if typing.get_origin(annotation) is typing.Annotated:
            annotation = annotation.__origin__
        elif isinstance(annotation, typing.NewType):
            annotation = annotation.__supertype__
        elif annotation is None:
            return types.NoneType
        else:
            return annotation
