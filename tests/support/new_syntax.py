"""Aliases and generics in the syntax of PEP 695, as text, because Python 3.11 cannot read it."""

SOURCE = """
import typing
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated

from tests.support.services import Database
from wares import Depends, Inject

if TYPE_CHECKING:
    from tests.support.services import Cache


def get_port():
    return 5432


type Port = Annotated[int, Depends(get_port)]
type Main = Database
type Again = Main
type Injected = Inject[Database]
type Named[T] = Annotated[T, "named"]
type Pair[A, B] = Mapping[A, B]
type Flipped[A, B] = Mapping[B, A]
type Several[*Ts] = tuple[*Ts]
type Json = dict[str, Json] | None
type Strings[T] = list[Strings[T]]
type Later = Mapping[str, DefinedLater]
type InAString = Annotated["DefinedLater", "x"]
type Nowhere = Mapping[str, Nobody]
type OnlyForTypes = Annotated[Cache, "named"]


class DefinedLater:
    pass


class Mapper[T]:
    pass


class Repo[T]:
    def __init__(self, mapper: Mapper[T], text: "Mapper[T]") -> None:
        self.mappers = [mapper, text]


class UserRepo(Repo[Database]):
    pass


class Renamed[T](Repo[list[T]]):
    pass


class Deep(Renamed[int]):
    pass


def take_port(port: Port):
    return [port]


def take_main(main: Main):
    return [main]


def take_again(again: Again):
    return [again]


def take_injected(injected: Injected, *, default: Injected = None):
    return [injected, default]


def take_named(named: Named[Database]):
    return [named]


def take_generic_function[T: Database](database: Database) -> list[T]:
    return [database]
"""
