"""The types of aliases, lists and decorations, as users' checkers see them."""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Generic, Optional, Protocol, TypeVar, assert_type

from wares import Inject, Registry, inject


class Storage(Protocol):
    """What a database can be asked for by."""


class Database:
    """A service."""


def trace(database: Database) -> Database:
    """Decorate it."""
    return database


registry = Registry()
registry.register_alias(Storage, Database)
registry.register_alias("name", Database)
registry.add_factory(Database, Database, lifetime="singleton", tags=["ready"])
registry.add_value(Database, Database(), ping=print, ping_timeout=1)
registry.decorate(Database, trace)

T = TypeVar("T")


class Repository(Generic[T]):
    """A generic service."""


registry.register_generic(Repository, Repository, lifetime="singleton")

container = registry.container()
assert_type(container.get(Repository[int]), Repository[int])
assert_type(container.get(list[Database]), list[Database])
assert_type(container.get(list[Storage], Storage), tuple[list[Storage], Storage])

registry.add_factory(Database, Database, lifetimes="scoped")  # type: ignore[call-arg]  # there is no such option
registry.add_value(Database, 1, lifetime="scoped")  # type: ignore[call-arg]  # values have none
registry.register_generic("name", Database)  # type: ignore[arg-type]  # no class
registry.decorate(Database, 1)  # type: ignore[arg-type]  # no callable


async def forms() -> None:
    """What an annotation stands for has its type."""
    assert_type(container.get(Database | None), Database | None)
    assert_type(container.get(Optional[Database]), Database | None)  # it is a key, too
    assert_type(container.get(Storage | None, int), tuple[Storage | None, int])
    assert_type(container.get(Callable[[], Database]), Callable[[], Database])
    assert_type(container.get(Callable[[], Database])(), Database)
    assert_type(await container.get(Callable[[], Awaitable[Database]])(), Database)
    assert_type(await container.aget(Callable[[], Storage]), Callable[[], Storage])
    assert_type(container.get(Sequence[Database]), Sequence[Database])
    assert_type(container.get(Iterable[Database]), Iterable[Database])
    assert_type(container.get(tuple[Database, ...]), tuple[Database, ...])
    assert_type(container.get(Mapping[str, Database]), Mapping[str, Database])


@inject(registry=registry)
def ask(
    maybe: Inject[Database | None],
    later: Inject[Callable[[], Database]],
    every: Inject[list[Database]],
    named: Inject[Mapping[str, Database]],
) -> int:
    """Ask by markers for what annotations stand for."""
    assert_type(maybe, Database | None)
    assert_type(later(), Database)
    assert_type(every, list[Database])
    assert_type(named, Mapping[str, Database])
    return len(every)


assert_type(ask(), int)


def make(
    maybe: Database | None, later: Callable[[], Database], every: Sequence[Database]
) -> Storage:
    """Make something of them."""
    return later()


registry.register_factory(Storage, make)
