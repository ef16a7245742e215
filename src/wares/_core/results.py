"""What a factory promises to make, as far as its annotations tell, and whether that is a key's.

This module knows annotations of results. It never raises: an annotation that it cannot read
promises nothing.
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

#: What the items of a generator function stand in the brackets of.
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

#: What may be passed where another number is expected (PEP 484).
_NUMBERS = {(int, float), (int, complex), (float, complex)}


def read_promise(factory: Callable[..., Any]) -> Any:
    """Tell what *factory* promises to make.

    Args:
        factory: Any callable.

    Returns:
        The class, for a class; what is yielded, for a generator function or one that is decorated
        as a context manager; what is awaited, for a coroutine; otherwise what the annotation of the
        result says. `MISSING`, if that is nothing definite. A context manager is not entered: see
        `read_entered`.
    """
    called: Any = without_autowire(factory)
    while isinstance(called, functools.partial):
        called = without_autowire(called.func)
    if as_class(called) is not None:
        return called
    return _definite(_read_product(called))


def read_entered(promise: Any) -> Any:
    """Tell what *promise* gives when it is entered, if it is a context manager.

    Args:
        promise: What a factory promises.

    Returns:
        What ``__enter__`` or ``__aenter__`` promises; *promise* itself, if it has neither.
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
    # One that is both sync and async may give different things.
    return given[0] if given[0] == given[-1] else MISSING


def _entered_by(promise: Any, kind: type, name: str) -> Any:
    function = inspect.getattr_static(kind, name)
    if not inspect.isfunction(function):
        return MISSING
    product = _read_product(types.MethodType(function, kind))
    return promise if product is typing.Self else _definite(product)


def _read_product(called: Any) -> Any:
    """Read what calling *called* leads to once it is iterated or awaited."""
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
    """Give the first of the types in brackets, or *default* if there are none."""
    return next(iter(typing.get_args(annotation)), default)


def _definite(annotation: Any) -> Any:
    """Give *annotation*, or `MISSING` if it may mean anything."""
    is_open = isinstance(annotation, typing.TypeVar) or annotation in (Any, typing.Self)
    return MISSING if is_open else annotation


def may_be_none(annotation: Any) -> bool:
    """Tell whether what is annotated with *annotation* may be `None`: also if that is unclear."""
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
    """Tell whether what is annotated with *annotation* may be the service of *key*.

    Args:
        annotation: What a factory promises.
        key: What its service is asked for by.

    Returns:
        False only if both are classes, or have one each before the brackets, that are no kind of
        one another and can be told apart.
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
    """Tell whether *kind* is a class whose instances are those of its subclasses only."""
    # Other metaclasses may decide otherwise.
    return type(kind) in (type, abc.ABCMeta) and not any(
        "__subclasshook__" in vars(base) for base in kind.__mro__[:-1]
    )


def _plain(annotation: Any) -> Any:
    """Give what *annotation* is apart from aliases, metadata and new names for old types."""
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
