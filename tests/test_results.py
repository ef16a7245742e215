"""The results that factories promise, and whether they can be the service of a key."""

import collections.abc
import contextlib
import functools
import typing
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Awaitable,
    Callable,
    Coroutine,
    Generator,
    Iterable,
    Iterator,
    Sequence,
)
from typing import Annotated, Any, Generic, Literal, NewType, Protocol, Self, TypeVar

import pytest
import typing_extensions

from tests.support import shapes
from tests.support.services import Cache, Database
from wares import autowire
from wares._core.keys import MISSING
from wares._core.results import fits, may_be_none, read_entered, read_promise

T = TypeVar("T")
Number = NewType("Number", int)
Main = typing_extensions.TypeAliasType("Main", Database)


class Derived(Database):
    pass


class Holder(Generic[T]):
    def make(self) -> T:
        raise AssertionError

    def make_list(self) -> list[T]:
        raise AssertionError


class DatabaseHolder(Holder[Database]):
    pass


def function() -> Database: ...


def in_a_string() -> "Database": ...


def by_alias() -> Main: ...


def named() -> Annotated[Database, "named"]: ...


def optional() -> Database | None: ...


def nothing() -> None: ...


def generator() -> Iterator[Database]:
    yield Database()


def generator_of_everything() -> Generator[Database, None, None]:
    yield Database()


def iterable() -> Iterable[Database]:
    yield Database()


def bare_generator() -> Iterator:
    yield Database()


def wrong_generator() -> Database:
    yield Database()


def iterator() -> Iterator[Database]: ...


@contextlib.contextmanager
def manager() -> Iterator[Database]:
    yield Database()


@contextlib.asynccontextmanager
async def async_manager() -> AsyncIterator[Database]:
    yield Database()


async def async_generator() -> AsyncGenerator[Database, None]:
    yield Database()


async def coroutine() -> Database: ...


async def coroutine_of_an_awaitable() -> Awaitable[Database]: ...


def awaitable() -> Awaitable[Database]: ...


def coroutine_function() -> Coroutine[Any, Any, Database]: ...


def unannotated(): ...


def of_anything() -> Any: ...


def of_a_type_parameter() -> T: ...


def unknown() -> "Nobody": ...  # noqa: F821  # on purpose


def no_syntax() -> "some words": ...  # noqa: F722  # on purpose


class Methods:
    def __call__(self) -> Database: ...

    def method(self) -> Database: ...

    @classmethod
    def create(cls) -> Self: ...


@pytest.mark.parametrize(
    ("factory", "promise"),
    [
        (function, Database),
        (in_a_string, Database),
        (by_alias, Database),
        (named, Annotated[Database, "named"]),
        (optional, Database | None),
        (nothing, type(None)),
        (generator, Database),
        (generator_of_everything, Database),
        (iterable, Database),
        (bare_generator, MISSING),
        (wrong_generator, MISSING),
        (iterator, Iterator[Database]),
        (manager, Database),
        (async_manager, Database),
        (async_generator, Database),
        (coroutine, Database),
        (coroutine_of_an_awaitable, Awaitable[Database]),
        (awaitable, Database),
        (coroutine_function, Database),
        (unannotated, MISSING),
        (of_anything, MISSING),
        (of_a_type_parameter, MISSING),
        (unknown, MISSING),
        (no_syntax, MISSING),
        (lambda: Database(), MISSING),
        (Database, Database),
        (Holder[int], Holder[int]),
        (list[int], list[int]),
        (Methods(), Database),
        (Methods().method, Database),
        (Methods.create, MISSING),
        (DatabaseHolder().make, Database),
        (DatabaseHolder().make_list, list[Database]),
        (functools.partial(function), Database),
        (functools.partial(Database), Database),
        (functools.partial(functools.partial(generator)), Database),
        (autowire(Database), Database),
        (autowire(function), Database),
        (shapes.decorated(coroutine), Database),
        (functools.cache(function), Database),
        (len, MISSING),
        (print, MISSING),
        ("no callable", MISSING),
    ],
    ids=str,
)
def test_promises(factory, promise):
    """A factory promises what its result is annotated with, once it is iterated or awaited."""
    assert promise == read_promise(factory)


class Entered:
    def __enter__(self) -> Database: ...

    def __exit__(self, *details) -> None: ...


class EntersItself(Entered):
    def __enter__(self) -> Self: ...


class AsyncEntered:
    async def __aenter__(self) -> Database: ...

    async def __aexit__(self, *details) -> None: ...


class Both(Entered, AsyncEntered):
    pass


class Different(Entered):
    async def __aenter__(self) -> Cache: ...

    async def __aexit__(self, *details) -> None: ...


class Unannotated(Entered):
    def __enter__(self): ...


class OfAnything(Entered):
    def __enter__(self) -> Any: ...


class Half:
    def __enter__(self) -> Database: ...


class Odd(Entered):
    __enter__ = staticmethod(function)


@pytest.mark.parametrize(
    ("promise", "service"),
    [
        (Entered, Database),
        (EntersItself, EntersItself),
        (AsyncEntered, Database),
        (Both, Database),
        (Different, MISSING),
        (Unannotated, MISSING),
        (OfAnything, MISSING),
        (Odd, MISSING),
        (Half, Half),
        (Database, Database),
        (list[int], list[int]),
        (contextlib.AbstractContextManager[Database], Database),
        (contextlib.AbstractAsyncContextManager[Database], Database),
        (contextlib.AbstractContextManager, MISSING),
        (Database | None, Database | None),
        (MISSING, MISSING),
    ],
    ids=str,
)
def test_what_is_entered(promise, service):
    """A context manager gives what `__enter__` promises, and nothing else changes."""
    assert service == read_entered(promise)


class Runs(Protocol):
    def run(self) -> None: ...


class Checked(type):
    def __instancecheck__(cls, instance):
        return True


class AnythingGoes(metaclass=Checked):
    pass


class Fields(typing.TypedDict):
    name: str


@pytest.mark.parametrize(
    ("annotation", "expected"),
    [
        (None, True),
        (type(None), True),
        (Database | None, True),
        (typing.Optional[Database], True),
        (Annotated[Database | None, "named"], True),
        (typing_extensions.TypeAliasType("Maybe", Database | None), True),
        (Any, True),
        (object, True),
        (T, True),
        (MISSING, True),
        ("Database", True),
        (Literal["a", None], True),  # noqa: PYI061  # an older form
        (collections.abc.Hashable, True),
        (Literal["a"], False),
        (Database, False),
        (Database | Cache, False),
        (Main, False),
        (Number, False),
        (Runs, False),
        (list[int], False),
        (Annotated[Database, None], False),
    ],
    ids=str,
)
def test_what_may_be_none(annotation, expected):
    """Only an annotation that says so definitely excludes `None`."""
    assert expected is may_be_none(annotation)


@pytest.mark.parametrize(
    ("annotation", "key", "expected"),
    [
        (Database, Database, True),
        (Derived, Database, True),
        (Database, Derived, True),
        (Database, Cache, False),
        (int, Database, False),
        (None, Database, False),
        (int, float, True),
        (int, complex, True),
        (float, complex, True),
        (float, int, False),
        (bool, int, True),
        (list[int], list[str], True),
        (list[int], dict[str, int], False),
        (list[int], Sequence[int], True),
        (Holder[int], Holder, True),
        (DatabaseHolder, Holder[Database], True),
        (Cache, Holder[Database], False),
        (Cache | Database, Database, True),
        (Cache | None, Database, False),
        (Cache, Database | None, False),
        (Database, Database | None, True),
        (Number, int, True),
        (int, Number, True),
        (str, Number, False),
        (Annotated[Cache, "named"], Database, False),
        (Database, Annotated[Database, "named"], True),
        (Main, Cache, False),
        (Main, Database, True),
        (Cache, Runs, True),
        (Runs, Cache, True),
        (Cache, collections.abc.Sized, True),
        (Cache, AnythingGoes, True),
        (dict, Fields, True),
        (Cache, "cache", True),
        ("Cache", Database, True),
        (MISSING, Database, True),
        (Any, Database, True),
        (object, Database, True),
        (Database, object, True),
        (T, Database, True),
        (Literal["a"], Database, True),
        (Database, Callable[[], Database], True),
        (type[Database], Database, False),
    ],
    ids=str,
)
def test_what_fits(annotation, key, expected):
    """Only what certainly is no instance of the key does not fit."""
    assert expected is fits(annotation, key)
