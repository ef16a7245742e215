"""A guest book: guests sign it over HTTP."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from typing import Any

from litestar import Litestar, Request, get, post
from litestar.exceptions import ValidationException

from wares import Inject, Registry, inject
from wares.litestar import WaresPlugin, health_handler


class GuestBook:
    """The names of the guests."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database

    def sign(self, name: str) -> None:
        """Write a name."""
        self._database.execute("INSERT INTO guests VALUES (?)", [name])

    def read(self) -> list[str]:
        """Read all names, in the order in which they were written."""
        return [name for (name,) in self._database.execute("SELECT name FROM guests")]


def open_book(path: str) -> Iterator[sqlite3.Connection]:
    """Open the database; afterwards, commit or roll back, and close it."""
    with closing(sqlite3.connect(path, check_same_thread=False)) as database, database:
        database.execute("CREATE TABLE IF NOT EXISTS guests (name TEXT)")
        yield database


def make_registry(path: str) -> Registry:
    """Register all services; the database is the file *path*."""
    registry = Registry()
    registry.register_factory(sqlite3.Connection, partial(open_book, path))
    registry.register_factory(GuestBook, GuestBook)
    return registry


@post("/guests")
@inject
async def sign(request: Request[Any, Any, Any], book: Inject[GuestBook]) -> int:
    """Sign the book; refuse a name of nothing but spaces, which rolls back."""
    name = (await request.body()).decode()
    book.sign(name)
    if not name.strip():
        raise ValidationException("Who are you?")
    return len(book.read())


@get("/guests", sync_to_thread=False)
@inject
def read(book: Inject[GuestBook]) -> list[str]:
    """Return the names of all guests."""
    return book.read()


def make_app(path: str) -> Litestar:
    """Make the application."""
    plugin = WaresPlugin(registry=make_registry(path))
    return Litestar([sign, read, health_handler()], plugins=[plugin])
