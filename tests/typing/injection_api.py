"""What type checkers say about injected functions; checked by mypy and pyright, never run."""

from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from typing import Annotated, Any, Protocol, assert_type

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


# A marker as the default leaves the parameter out for callers, by what checkers know.
assert_type(ask("ada"), int)
assert_type(ask("ada", Database()), int)
ask()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]  # the name is missing
ask(3)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # it is no name


@inject(registry=Registry(), dependencies=[Depends(get_database)])
async def aask(name: str) -> int:
    """Ask, awaiting."""
    return len(name)


typed: Callable[[str], Coroutine[Any, Any, int]] = aask


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
    def method(self, name: str) -> str:
        """Do something."""
        return name


assert_type(Service().method("ada"), str)

Depends(get_database, scope="session")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # no scope
inject(dependencies=3)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]  # no sequence

try:
    count(3)
except ValidationError as error:
    assert_type(error.errors, list[dict[str, Any]])
