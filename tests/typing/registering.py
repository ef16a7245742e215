"""What may be registered, and what is refused before anything runs.

That a factory makes what its key names cannot be checked: the type variable of the key is
covariant, so that both checkers would widen it until it fits.
"""
# pyright: reportUnnecessaryTypeIgnoreComment=true

import abc
import functools
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterator
from contextlib import (
    AbstractAsyncContextManager,
    AbstractContextManager,
    asynccontextmanager,
    contextmanager,
)
from typing import Annotated, Any, NewType, Protocol, assert_type

from wares import Container, Lifetime, Registry, aautowire, autowire

Port = NewType("Port", int)


class Database:
    """What is registered."""

    def ping(self) -> None: ...

    async def aping(self) -> None: ...


class Postgres(Database):
    """A kind of database."""

    def __init__(self, port: Port) -> None:
        self.port = port


class Cache:
    """Something else."""


class Readable(Protocol):
    """A protocol."""

    def read(self) -> str: ...


class File:
    """Fits the protocol."""

    def read(self) -> str:
        return ""


class Storage(abc.ABC):
    """An abstract base class."""

    @abc.abstractmethod
    def store(self) -> None: ...


class Disk(Storage):
    """Can be made."""

    def store(self) -> None: ...


class Manager:
    """A context manager that gives something else."""

    def __enter__(self) -> Database:
        return Database()

    def __exit__(self, *details: object) -> None: ...


def make() -> Database:
    return Database()


def make_from(port: Port, *, cache: Cache) -> Postgres:
    return Postgres(port)


def make_from_container(container: Container) -> Database:
    return container.get(Database)


def generate() -> Iterator[Database]:
    yield Database()


def generate_exactly() -> Generator[Database, None, None]:
    yield Database()


async def amake() -> Database:
    return Database()


async def agenerate() -> AsyncIterator[Database]:
    yield Database()


async def agenerate_exactly() -> AsyncGenerator[Database, None]:
    yield Database()


@contextmanager
def manage() -> Iterator[Database]:
    yield Database()


@asynccontextmanager
async def amanage() -> AsyncIterator[Database]:
    yield Database()


def managed() -> AbstractContextManager[Database]:
    return manage()


def amanaged() -> AbstractAsyncContextManager[Database]:
    return amanage()


def make_port() -> Port:
    return Port(80)


def make_string() -> str:
    return ""


class MakesDatabases:
    """A callable object."""

    def __call__(self, cache: Cache) -> Database:
        return Database()


def right_factories(registry: Registry) -> None:
    """Every shape of factory of the right service is accepted."""
    registry.register_factory(Database, Database)
    registry.register_factory(Database, Postgres)
    registry.register_factory(Database, make)
    registry.register_factory(Database, make_from)
    registry.register_factory(Database, make_from_container)
    registry.register_factory(Database, generate)
    registry.register_factory(Database, generate_exactly)
    registry.register_factory(Database, amake)
    registry.register_factory(Database, agenerate)
    registry.register_factory(Database, agenerate_exactly)
    registry.register_factory(Database, manage)
    registry.register_factory(Database, amanage)
    registry.register_factory(Database, managed)
    registry.register_factory(Database, amanaged)
    registry.register_factory(Database, Manager)
    registry.register_factory(Database, MakesDatabases())
    registry.register_factory(Database, functools.partial(Postgres, Port(1)))
    registry.register_factory(Database, lambda: Database())
    registry.register_factory(Database, lambda: amake())
    registry.register_factory(Readable, File)
    registry.register_factory(Storage, Disk)
    registry.register_factory(Port, make_port)
    registry.register_factory(Annotated[Database, "reporting"], make)
    registry.register_factory("database", make)
    registry.register_factory(42, make)


def right_values(registry: Registry) -> None:
    """A value of the right type is accepted."""
    registry.register_value(Database, Database())
    registry.register_value(Database, Postgres(Port(1)))
    registry.register_value(Readable, File())
    registry.register_value(Storage, Disk())
    registry.register_value(Port, Port(1))
    registry.register_value(Annotated[Database, "reporting"], Database())
    registry.register_value("anything", object())


def wrong_arguments(registry: Registry) -> None:
    """A factory that cannot be called, or options that do not exist, are errors."""
    registry.register_factory(Database, Database())  # type: ignore[arg-type]  # is no factory
    registry.register_factory(Database, None)  # type: ignore[arg-type]  # is no factory
    registry.register_factory(Database, make, lifetime="forever")  # type: ignore[arg-type]  # no such lifetime
    registry.register_factory(Database, make, "scoped")  # type: ignore[call-arg]  # options have names
    registry.register_factory(Database, make, life="scoped")  # type: ignore[call-arg]  # no such option
    registry.register_value(Database, 1, True)  # type: ignore[call-arg]  # options have names
    registry.register_value([], 1)  # type: ignore[arg-type]  # a list is no key


def lifetimes(registry: Registry, lifetime: Lifetime) -> None:
    """The lifetimes are literals."""
    registry.register_factory(Database, make, lifetime="scoped")
    registry.register_factory(Database, make, lifetime="singleton")
    registry.register_factory(Database, make, lifetime="connection")
    registry.register_factory(Database, make, lifetime="transient")
    registry.register_factory(Database, make, lifetime=lifetime)


def options(registry: Registry) -> None:
    """Every option, sync and async alike."""
    registry.register_factory(
        Database,
        make,
        lifetime="singleton",
        enter=False,
        ping=Database.ping,
        on_registry_close=make_string,
        suppress_context_exit=True,
    )
    registry.register_factory(Database, make, ping=Database.aping, on_registry_close=amake)
    registry.register_factory(Database, make, ping=lambda database: database.ping())
    registry.register_value(
        Database,
        Database(),
        enter=True,
        ping=Database.aping,
        on_registry_close=lambda: None,
        suppress_context_exit=True,
    )


async def eager_singletons(registry: Registry) -> None:
    """Eager singletons are made by a start, in one of two ways."""
    registry.register_factory(Database, make, lifetime="singleton", eager=True)
    registry.add_factory(Database, make, lifetime="singleton", eager=True)
    registry.start()
    await registry.astart()
    registry.register_factory(Database, make, eager="yes")  # type: ignore[arg-type]  # is no bool
    registry.register_value(Database, Database(), eager=True)  # type: ignore[call-arg]  # is there already


def local_registrations(container: Container) -> None:
    """A container's own registrations are typed in the same way."""
    container.register_local_factory(Database, make, lifetime="transient", ping=Database.ping)
    container.register_local_factory(Database, agenerate, suppress_context_exit=True)
    container.register_local_value(Database, Postgres(Port(1)), enter=True)
    container.register_local_factory(Database, Database())  # type: ignore[arg-type]  # is no factory
    container.register_local_factory(Database, make, lifetime="singleton")  # type: ignore[arg-type]  # not locally


def overrides(registry: Registry) -> None:
    """Overrides are context managers that give nothing."""
    with registry.override_value(Database, Database()) as nothing:
        assert_type(nothing, None)
    with registry.override_factory(Database, amake, lifetime="singleton", enter=False):
        pass
    with registry.override_factory(Database, None):  # type: ignore[arg-type]  # is no factory
        pass
    with registry.override_factory(Database, make, lifetime="forever"):  # type: ignore[arg-type]  # no such lifetime
        pass


def other_methods(registry: Registry) -> None:
    """What a registry answers."""
    registry.expect(Database, Port, "name")
    registry.validate()
    assert_type(Database in registry, bool)
    assert_type(registry.graph().to_mermaid(), str)
    assert_type(registry.graph().to_dot(), str)
    assert_type(registry.graph().to_dict(), dict[str, Any])
    for key in registry:
        hash(key)
    registry.close()


def as_a_context_manager() -> int:
    """A registry is a context manager that lets exceptions pass."""
    with Registry() as registry:
        assert_type(registry, Registry)
        return 1


async def as_an_async_context_manager() -> int:
    """The same for `async with`."""
    async with Registry() as registry:
        assert_type(registry, Registry)
        await registry.aclose()
        return 1


async def autowiring(registry: Registry, container: Container) -> None:
    """An autowired callable takes a container, and gives what it makes."""
    assert_type(autowire(Postgres), Callable[[Container], Postgres])
    assert_type(autowire(make_from)(container), Postgres)
    assert_type(await autowire(amake)(container), Database)
    assert_type(await aautowire(amake)(container), Database)
    assert_type(await aautowire(Postgres)(container), Postgres)
    registry.register_factory(Database, autowire(Postgres))
    registry.register_factory(Database, autowire(make_from))
    registry.register_factory(Database, aautowire(amake))
    registry.register_factory(Database, autowire(generate))
    autowire(42)  # type: ignore[arg-type]  # is no factory
