"""What type checkers say about injected functions; checked by mypy and pyright, never run."""

from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Annotated, Any, Protocol, assert_type

import click
import pytest

from wares import Depends, Inject, Registry, ValidationError, apply_types, inject


class Database:
    """A service."""


class Clock(Protocol):
    """What a service can do."""

    def now(self) -> float:
        """Tell the time."""
        ...


def get_database() -> Database:
    """Make one."""
    return Database()


@inject
def ask(
    name: str,
    database: Annotated[Database, Depends(get_database)] = Depends(),
    clock: Inject[Clock] = Depends("clock", use_cache=False, scope="function"),
) -> int:
    """Ask for all."""
    assert_type(database, Database)
    assert_type(clock, Clock)
    return len(name)


# An injected function takes any arguments, because nobody but `inject` knows which are left.
assert_type(ask("ada"), int)
assert_type(ask(name="ada", database=Database()), int)


@inject
def without_defaults(name: str, database: Inject[Database], /, *, clock: Inject[Clock]) -> str:
    """Ask for services without defaults for the sake of type checkers."""
    return name


assert_type(without_defaults("ada"), str)
plain: Callable[[str], str] = without_defaults
plain = ask  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]  # its result is an int


@inject(registry=Registry(), dependencies=[Depends(get_database)])
async def aask(name: str, database: Inject[Database]) -> int:
    """Ask, awaiting."""
    return len(name)


typed: Callable[[str], Coroutine[Any, Any, int]] = aask


async def await_it() -> None:
    """Await what an injected coroutine function gives."""
    assert_type(await aask("ada"), int)
    assert_type(await Service().amethod(), str)
    async for item in acount(3):
        assert_type(item, int)


@inject
def items(database: Inject[Database]) -> Iterator[str]:
    """Yield, with a service."""
    yield "item"


assert_type(items(), Iterator[str])


@inject
@contextmanager
def block(database: Inject[Database]) -> Iterator[str]:
    """Be a context manager with a service."""
    yield "block"


with block() as entered:
    assert_type(entered, str)


@click.command()
@click.argument("name")
@inject(registry=Registry())
def command(name: str, database: Inject[Database]) -> None:
    """Be a command with a service."""


assert_type(command, click.Command)


@pytest.fixture
@inject
def fixture(name: str, database: Inject[Database]) -> Database:
    """Be a fixture with a service."""
    return database


@pytest.mark.parametrize("name", ["ada"])
@inject
def test_something(name: str, database: Inject[Database]) -> None:
    """Be a test with a service."""


@apply_types
def count(to: int) -> Iterator[int]:
    """Count."""
    yield from range(to)


assert_type(count(3), Iterator[int])


@apply_types(registry=None, cast_result=False)
async def acount(to: int) -> AsyncIterator[int]:
    """Count, awaiting."""
    yield to


assert_type(acount(3), AsyncIterator[int])


class Service:
    """Something with an injected method."""

    @inject
    def __init__(self, database: Inject[Database] = Depends()) -> None:
        assert_type(database, Database)

    @inject
    def method(self, name: str, database: Inject[Database]) -> str:
        """Do something."""
        return name

    @inject
    async def amethod(self, database: Inject[Database]) -> str:
        """Do something, awaiting."""
        return "done"

    @inject
    @classmethod
    def of_class(cls, database: Inject[Database]) -> int:
        """Belong to the class."""
        return 1

    @inject(registry=Registry())
    @staticmethod
    def static(database: Inject[Database]) -> int:
        """Belong to nobody."""
        return 1

    @classmethod
    @inject
    def within(cls, database: Inject[Database]) -> int:
        """Belong to the class as well."""
        return 1


assert_type(Service(), Service)
assert_type(Service().method("ada"), str)
assert_type(Service.of_class(), int)
assert_type(Service.static(), int)
assert_type(Service().within(), int)

Depends(get_database, scope="session")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # no scope
Depends(get_database, cast=False)
inject(dependencies=3)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]  # no sequence

try:
    count(3)
except ValidationError as error:
    assert_type(error.errors, list[dict[str, Any]])
