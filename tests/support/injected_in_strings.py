"""Injected functions whose annotations are strings.

They name local classes, classes that are defined later, and imports for type checkers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from wares import Depends, Inject, inject

if TYPE_CHECKING:
    from collections import nowhere  # type: ignore[attr-defined]  # it is not there, on purpose

    from tests.support.only_injected import Hidden
    from tests.support.services import Database


def get_port() -> int:
    return 5432


@inject
def ask_imported(database: Annotated[Database, Depends()]):
    return database


@inject
def ask_hidden(hidden: Annotated[Hidden, Depends()], *, other: Annotated[Hidden, Depends()]):
    return hidden, other


@inject
def ask_later(
    name: str, later: Annotated[Later, Depends()], port: Annotated[int, Depends(get_port)]
):
    return name, later, port


@inject
def ask_alias(name, user: CurrentUser = "nobody"):
    return user


@inject
def ask_unmarked(
    strange: nowhere, other: also_nowhere, text: "some words", it: Annotated[Later, Depends()]
):
    return strange, other, text, it


@inject
def ask_nowhere(it: Inject[nowhere.Service]):
    raise AssertionError


@inject
def ask_nowhere_generic(it: Inject[list[also_nowhere[int]]]):
    raise AssertionError


def get_with_hidden(
    hidden: Annotated[Hidden, Depends()],
    default: nowhere = 1,
    port: nowhere = Depends(get_port),
):
    return hidden, default, port


@inject
def ask_deep(pair: Annotated[tuple, Depends(get_with_hidden)]):
    return pair


def get_number(number: int) -> int:
    return number


def get_with_arguments(
    later: Later, made: Annotated[Later, Depends()], number: Annotated[int, Depends(get_number)]
):
    return later, made, number


@inject
def ask_with_arguments(it: Annotated[tuple, Depends(get_with_arguments)]):
    return it


@inject
def ask_registered(
    it: Inject[OnlyRegistered], *rest: also_nowhere, **named: nowhere
) -> nowhere:
    return it, rest, named


@inject
def ask_by_function(it: Annotated[object, Depends(get_later)]):
    return it


def get_later():
    return "later"


class Later:
    """A class that is defined after the functions that ask for it."""


CurrentUser = Annotated[str, Depends(lambda name: f"user {name}")]


def make_local():
    class Local:
        pass

    def get_local(local: Annotated[Local, Depends()]):
        return local

    @inject
    def ask(local: Annotated[Local, Depends()], same: Annotated[Local, Depends(get_local)]):
        return local, same

    class Holder:
        @inject
        def method(self, local: Annotated[Local, Depends()]):
            return local

    return Local, ask, Holder().method


def decorate(function):
    return inject(function)


def make_local_elsewhere():
    class Local:
        pass

    @decorate
    def ask(local: Annotated[Local, Depends()]):
        return local

    def within():
        @decorate
        def ask(local: Annotated[Local, Depends()]):
            return local

        return ask

    return Local, ask, within()


def make_local_later():
    def get_local(local: Annotated[Local, Depends()]):
        return local

    @inject
    def ask(local: Annotated[Local, Depends()], same: Annotated[Local, Depends(get_local)]):
        return local, same

    @inject
    def ask_deep(same: Annotated[object, Depends(get_local)]):
        return same

    class Local:
        pass

    return Local, ask, ask_deep


def get_of_module(later: Annotated[Later, Depends()]):
    return later


def make_shadowing():
    class Later:
        pass

    @inject
    def ask(
        later: Annotated[Later, Depends()], other: Annotated[object, Depends(get_of_module)]
    ):
        return later, other

    return Later, ask
