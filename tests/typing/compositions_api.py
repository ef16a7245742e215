"""The types of aliases, lists and decorations, as users' checkers see them."""

from typing import Generic, Protocol, TypeVar, assert_type

from wares import Registry


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
registry.expect_several(Storage)
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
