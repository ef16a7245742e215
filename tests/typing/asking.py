"""What `get` and `aget` give, for every kind of key."""
# pyright: reportUnnecessaryTypeIgnoreComment=true

import abc
from collections.abc import Callable
from typing import (
    Annotated,
    Any,
    Generic,
    Literal,
    NewType,
    Protocol,
    TypeVar,
    assert_type,
)

from wares import Container, Registry, ServicePing, current_container

Content = TypeVar("Content")
Port = NewType("Port", int)


class Database:
    """A plain class."""


class Cache:
    """Another one."""


class Readable(Protocol):
    """A protocol."""

    def read(self) -> str: ...


class Storage(abc.ABC):
    """An abstract base class."""

    @abc.abstractmethod
    def store(self) -> None: ...


class Box(Generic[Content]):
    """A generic class."""


def one_key(container: Container) -> None:
    """One key gives its service."""
    assert_type(container.get(Database), Database)
    assert_type(container.get(int), int)
    assert_type(container.get(Port), Port)
    assert_type(container.get(list[Database]), list[Database])
    assert_type(container.get(Box[int]), Box[int])
    assert_type(container.get(Annotated[Database, "reporting"]), Database)
    assert_type(container.get(Database | None), Database | None)
    assert_type(container.get(Literal["a"]), Literal["a"])
    assert_type(container.get(Container), Container)


def abstract_keys(container: Container) -> None:
    """A `Protocol` and an abstract base class are types like any other."""
    assert_type(container.get(Readable), Readable)
    assert_type(container.get(Storage), Storage)
    assert_type(container.get(Readable, Storage), tuple[Readable, Storage])
    assert_type(container.get(Annotated[Readable, "file"]), Readable)


def callables(container: Container) -> None:
    """A callable type is a key."""
    assert_type(container.get(Callable[[int], str]), Callable[[int], str])


def several_keys(container: Container) -> None:
    """Several keys give a tuple, each place with its own type."""
    assert_type(container.get(Database, Cache), tuple[Database, Cache])
    assert_type(container.get(Database, Cache, Port), tuple[Database, Cache, Port])
    assert_type(container.get(int, str, int, str), tuple[int, str, int, str])
    assert_type(container.get(int, str, int, str, int), tuple[int, str, int, str, int])
    assert_type(
        container.get(int, str, int, str, int, str, int, str, int, str),
        tuple[int, str, int, str, int, str, int, str, int, str],
    )
    first, second = container.get(Database, Cache)
    assert_type(first, Database)
    assert_type(second, Cache)


def untyped_keys(container: Container) -> None:
    """What a string stands for no checker can know."""
    service: Database = container.get("database")
    assert_type(container.get("database"), Any)
    assert_type(service, Database)


async def awaiting(container: Container) -> None:
    """`aget` gives the same, to be awaited."""
    assert_type(await container.aget(Database), Database)
    assert_type(await container.aget(Port), Port)
    assert_type(await container.aget(Readable), Readable)
    assert_type(await container.aget(Storage), Storage)
    assert_type(await container.aget(Annotated[Database, "reporting"]), Database)
    assert_type(await container.aget(Database, Cache), tuple[Database, Cache])
    assert_type(await container.aget(Database, Readable, Port), tuple[Database, Readable, Port])
    assert_type(await container.aget("database"), Any)


def wrong_expectations(container: Container) -> None:
    """What is asked for is not what somebody else would like it to be."""
    cache: Cache = container.get(Database)  # type: ignore[assignment]  # it is a Database
    port: Port = container.get(int)  # type: ignore[assignment]  # any int is no Port
    assert_type((cache, port), tuple[Cache, Port])


def containers(registry: Registry) -> None:
    """Containers are opened, entered, nested and activated with their type."""
    assert_type(registry.container(), Container)
    assert_type(registry.container({Database: Database()}), Container)
    assert_type(Container(registry), Container)
    assert_type(registry.container({Database: Database(), "name": 1}), Container)
    assert_type(current_container(), Container)
    with registry.container() as container:
        assert_type(container, Container)
        assert_type(container.registry, Registry)
        assert_type(container.child(), Container)
        assert_type(container.child({int: 3}), Container)
        assert_type(Database in container, bool)
        with container.child() as child, child.activate() as active:
            assert_type(child, Container)
            assert_type(active, Container)
        container.close()
        container.reset()


async def async_containers(registry: Registry) -> None:
    """The same for `async with`."""
    async with registry.container() as container:
        assert_type(container, Container)
        await container.aclose()
        await container.areset()


async def pings(container: Container) -> None:
    """A ping is typed."""
    assert_type(container.get_pings(), list[ServicePing])
    for ping in container.get_pings():
        assert_type(ping.name, str)
        assert_type(ping.is_async, bool)
        ping.ping()
        await ping.aping()


def count(database: Database, factor: float = 1.0) -> int:
    return 1


async def acount(database: Database) -> int:
    return 1


async def calls(container: Container) -> None:
    """A function that is called gives what it returns; what is filled may be left out."""
    assert_type(container.call(count), int)
    assert_type(container.call(count, factor=0.5), int)
    assert_type(container.call(Database), Database)
    assert_type(await container.acall(count), int)
    assert_type(await container.acall(acount, Database()), int)
    container.call(5)  # type: ignore[arg-type]  # is no function


def exceptions_are_not_swallowed(registry: Registry) -> int:
    """A `with` block of ours lets exceptions pass: the line after it is not needed."""
    with registry.container() as container:
        return container.get(int)


async def async_exceptions_are_not_swallowed(registry: Registry) -> int:
    """The same for `async with`."""
    async with registry.container() as container:
        return await container.aget(int)
