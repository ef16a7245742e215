"""Fixtures and tests that are injected, as docs/how-to/dependencies.md shows them."""

from typing import Annotated

import pytest

from wares import Depends, Inject, Registry, inject


class Database:
    def find_user(self, name: str) -> str:
        return name.title()


def find_user(name: str, database: Database) -> str:
    return database.find_user(name)


registry = Registry()
registry.register_factory(Database, Database)


@pytest.fixture
def name() -> str:
    return "ada"


@pytest.fixture
@inject(registry=registry)
def user(name: str, found: Annotated[str, Depends(find_user)]) -> str:
    return found


@inject(registry=registry)
def test_find_user(user: str, database: Inject[Database]) -> None:
    """Pytest fills `user`, wares fills `database`."""
    assert database.find_user("ada") == user
