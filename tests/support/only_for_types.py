"""Factories whose annotations name classes that are imported for type checkers only."""

from __future__ import annotations

import sys
import typing
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from a_package_that_nobody_has import Nobody

    import tests.support.services
    import wares as w
    from tests.support import services
    from tests.support.services import Database
    from tests.support.services import Database as Db
    from wares import Container

    from .services import Cache

    if sys.platform:
        from tests.support.services import Database as Nested

    Alias = Database


class Service:
    def __init__(self, database) -> None:
        self.database = database


def by_name(database: Database) -> Service:
    return Service(database)


def by_another_name(database: Db) -> Service:
    return Service(database)


def by_a_nested_import(database: Nested) -> Service:
    return Service(database)


def by_module(database: services.Database) -> Service:
    return Service(database)


def by_dotted_module(database: tests.support.services.Database) -> Service:
    return Service(database)


def by_relative_import(cache: Cache) -> Service:
    return Service(cache)


def in_an_annotated(database: typing.Annotated[Database, "reporting"]) -> Service:
    return Service(database)


def with_the_container(container: Container) -> Service:
    from tests.support.services import Database

    return Service(container.get(Database))


def with_the_container_by_module(container: w.Container) -> Service:
    from tests.support.services import Database

    return Service(container.get(Database))


def with_an_unknown_default(database: Database, size: NobodyKnows = 1) -> Service:  # noqa: F821  # on purpose
    return Service(database)


def with_an_unknown_return(database: Database) -> NobodyKnows:  # noqa: F821  # on purpose
    return Service(database)


def with_an_unknown_parameter(database: Database, unknown: NobodyKnows) -> Service:  # noqa: F821  # on purpose
    return Service(database)


def with_an_alias(alias: Alias) -> Service:
    return Service(alias)


class ByClass(Service):
    def __init__(self, database: Database) -> None:
        super().__init__(database)


def from_nowhere(database: Database, nobody: Nobody) -> Service:
    return Service(database)
