"""One factory of each shape, all of which make a `Service` from a `Database`.

The tests load this module twice: as it is, and compiled as if it began with
`from __future__ import annotations`.
"""

import contextlib
import dataclasses
import functools
import typing

import attrs

from tests.support.services import Database
from wares import Container

Content = typing.TypeVar("Content")


class Service:
    """The service that all these factories make."""

    def __init__(self, database: Database) -> None:
        self.database = database


def function(database: Database) -> Service:
    return Service(database)


def keyword_only(*, database: Database) -> Service:
    return Service(database)


def positional_only(database: Database, /) -> Service:
    return Service(database)


def with_defaults(database: Database, name="name", *, size: int = 1) -> Service:
    assert ("name", 1) == (name, size)
    return Service(database)


def with_variable_arguments(database: Database, *args, **kwargs) -> Service:
    assert ((), {}) == (args, kwargs)
    return Service(database)


def with_the_container(container: Container) -> Service:
    return Service(container.get(Database))


def with_the_container_and_more(database: Database, container: Container) -> Service:
    assert database is container.get(Database)
    return Service(database)


def with_the_container_by_name(wares_container) -> Service:
    return Service(wares_container.get(Database))


def with_the_container_by_name_and_more(wares_container, database: Database) -> Service:
    assert database is wares_container.get(Database)
    return Service(database)


def with_the_container_as_a_keyword(*, container: Container) -> Service:
    return Service(container.get(Database))


class Factory:
    """Methods of every kind."""

    def method(self, database: Database) -> Service:
        return Service(database)

    def method_with_the_container(self, wares_container) -> Service:
        return Service(wares_container.get(Database))

    @classmethod
    def class_method(cls, database: Database) -> Service:
        return Service(database)

    @staticmethod
    def static_method(database: Database) -> Service:
        return Service(database)

    def generator_method(self, database: Database) -> typing.Iterator[Service]:
        yield Service(database)

    @contextlib.contextmanager
    def context_manager_method(self, database: Database) -> typing.Iterator[Service]:
        yield Service(database)

    async def async_method(self, database: Database) -> Service:
        return Service(database)

    @classmethod
    async def async_class_method(cls, database: Database) -> Service:
        return Service(database)

    async def async_generator_method(self, database: Database) -> typing.AsyncIterator[Service]:
        yield Service(database)

    def _with_arguments(self, extra: str, database: Database) -> Service:
        assert extra == "extra"
        return Service(database)

    partial_method = functools.partialmethod(_with_arguments, "extra")


class CallableObject:
    def __call__(self, database: Database) -> Service:
        return Service(database)


class CallableGenerator:
    def __call__(self, database: Database) -> typing.Iterator[Service]:
        yield Service(database)


class AsyncCallableObject:
    async def __call__(self, database: Database) -> Service:
        return Service(database)


class AsyncCallableGenerator:
    async def __call__(self, database: Database) -> typing.AsyncIterator[Service]:
        yield Service(database)


@dataclasses.dataclass
class DataClass:
    database: Database
    name: str = "name"
    names: list = dataclasses.field(default_factory=list)
    unasked: int = dataclasses.field(default=1, init=False)


@dataclasses.dataclass(kw_only=True, slots=True, frozen=True)
class KeywordOnlyDataClass:
    database: Database


@dataclasses.dataclass
class DerivedDataClass(DataClass):
    size: int = 1


@attrs.define
class AttrsClass:
    database: Database
    names: list = attrs.Factory(list)


@attrs.frozen(kw_only=True)
class KeywordOnlyAttrsClass:
    database: Database


@attrs.define
class PrivateAttrsClass:
    _database: Database

    @property
    def database(self) -> Database:
        return self._database


class NamedTupleClass(typing.NamedTuple):
    database: Database
    size: int = 1


class DerivedClass(Service):
    """Inherits `__init__` from its base."""


class ClassWithNew:
    database: Database

    def __new__(cls, database: Database):
        made = super().__new__(cls)
        made.database = database
        return made


class GenericClass(typing.Generic[Content]):
    def __init__(self, database: Database) -> None:
        self.database = database


class ClassWithContainer:
    def __init__(self, container: Container) -> None:
        self.database = container.get(Database)


class ContextManager:
    """A context manager that returns a service when it is entered."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def __enter__(self) -> Service:
        return Service(self._database)

    def __exit__(self, *details) -> None:
        del self._database


class AsyncContextManager:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def __aenter__(self) -> Service:
        return Service(self._database)

    async def __aexit__(self, *details) -> None:
        del self._database


def generator(database: Database) -> typing.Iterator[Service]:
    yield Service(database)


@contextlib.contextmanager
def context_manager_function(database: Database) -> typing.Iterator[Service]:
    yield Service(database)


def context_manager_from_function(database: Database) -> ContextManager:
    return ContextManager(database)


def decorated(wrapped):
    """Wrap a callable of any kind as most decorators do."""

    @functools.wraps(wrapped)
    def wrapper(*args, **kwargs):
        return wrapped(*args, **kwargs)

    return wrapper


def async_decorated(wrapped):
    """Wrap an async function in an async function."""

    @functools.wraps(wrapped)
    async def wrapper(*args, **kwargs):
        return await wrapped(*args, **kwargs)

    return wrapper


def two_arguments(extra: str, database: Database) -> Service:
    assert extra == "extra"
    return Service(database)


def two_arguments_generator(extra: str, database: Database) -> typing.Iterator[Service]:
    assert extra == "extra"
    yield Service(database)


async def async_two_arguments(extra: str, database: Database) -> Service:
    assert extra == "extra"
    return Service(database)


async def async_function(database: Database) -> Service:
    return Service(database)


async def async_with_the_container(container: Container) -> Service:
    return Service(await container.aget(Database))


async def async_generator(database: Database) -> typing.AsyncIterator[Service]:
    yield Service(database)


@contextlib.asynccontextmanager
async def async_context_manager_function(
    database: Database,
) -> typing.AsyncIterator[Service]:
    yield Service(database)


async def async_function_of_a_context_manager(database: Database) -> ContextManager:
    return ContextManager(database)


async def async_function_of_an_async_context_manager(
    database: Database,
) -> AsyncContextManager:
    return AsyncContextManager(database)


def function_of_an_async_context_manager(database: Database) -> AsyncContextManager:
    return AsyncContextManager(database)


def function_of_a_coroutine(database: Database) -> typing.Any:
    return async_function(database)


SYNC_SHAPES = {
    "function": function,
    "keyword only": keyword_only,
    "positional only": positional_only,
    "with defaults": with_defaults,
    "with variable arguments": with_variable_arguments,
    "with the container": with_the_container,
    "with the container and more": with_the_container_and_more,
    "with the container by name": with_the_container_by_name,
    "with the container by name and more": with_the_container_by_name_and_more,
    "with the container as a keyword": with_the_container_as_a_keyword,
    "method": Factory().method,
    "method with the container": Factory().method_with_the_container,
    "class method": Factory.class_method,
    "class method of an instance": Factory().class_method,
    "static method": Factory.static_method,
    "generator method": Factory().generator_method,
    "partial method": Factory().partial_method,
    "callable object": CallableObject(),
    "callable generator object": CallableGenerator(),
    "class": Service,
    "data class": DataClass,
    "keyword-only data class": KeywordOnlyDataClass,
    "derived data class": DerivedDataClass,
    "attrs class": AttrsClass,
    "keyword-only attrs class": KeywordOnlyAttrsClass,
    "private attrs class": PrivateAttrsClass,
    "named tuple": NamedTupleClass,
    "derived class": DerivedClass,
    "class with __new__": ClassWithNew,
    "generic class": GenericClass,
    "generic alias": GenericClass[int],
    "class with the container": ClassWithContainer,
    "context manager class": ContextManager,
    "context manager function": context_manager_function,
    "function of a context manager": context_manager_from_function,
    "generator": generator,
    "lambda": lambda wares_container: Service(wares_container.get(Database)),
    "partial": functools.partial(two_arguments, "extra"),
    "partial by keyword": functools.partial(two_arguments, extra="extra"),
    "partial of a partial": functools.partial(functools.partial(two_arguments, "extra")),
    "partial of a method": functools.partial(Factory()._with_arguments, "extra"),
    "partial of a class": functools.partial(DataClass, name="name"),
    "partial of a callable object": functools.partial(CallableObject()),
    "partial of a generator": functools.partial(two_arguments_generator, "extra"),
    "wrapped function": decorated(function),
    "wrapped twice": decorated(decorated(function)),
    "wrapped class": decorated(Service),
    "wrapped generator": decorated(generator),
    "wrapped context manager": decorated(context_manager_function),
    "wrapped method of a context manager": decorated(Factory().context_manager_method),
    "partial of a wrapped function": functools.partial(decorated(two_arguments), "extra"),
    "cached function": functools.cache(function),
}

ASYNC_SHAPES = {
    "async function": async_function,
    "async with the container": async_with_the_container,
    "async method": Factory().async_method,
    "async class method": Factory.async_class_method,
    "async generator method": Factory().async_generator_method,
    "async callable object": AsyncCallableObject(),
    "async callable generator object": AsyncCallableGenerator(),
    "async generator": async_generator,
    "async context manager class": AsyncContextManager,
    "async context manager function": async_context_manager_function,
    "async function of a context manager": async_function_of_a_context_manager,
    "async function of an async context manager": async_function_of_an_async_context_manager,
    "function of an async context manager": function_of_an_async_context_manager,
    "function of a coroutine": function_of_a_coroutine,
    "lambda of a coroutine": lambda wares_container: async_with_the_container(wares_container),
    "async partial": functools.partial(async_two_arguments, "extra"),
    "async partial by keyword": functools.partial(async_two_arguments, extra="extra"),
    "async partial of a method": functools.partial(Factory().async_method),
    "async partial of a callable object": functools.partial(AsyncCallableObject()),
    "wrapped async function": decorated(async_function),
    "async wrapped async function": async_decorated(async_function),
    "wrapped async generator": decorated(async_generator),
    "wrapped async context manager": decorated(async_context_manager_function),
}
