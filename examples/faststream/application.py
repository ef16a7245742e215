"""A guest book: guests sign it with a message, and get a reply."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from functools import partial

from faststream import FastStream
from faststream.exceptions import RejectMessage
from faststream.nats import NatsBroker

from wares import Inject, Registry
from wares.faststream import init_app


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


def make_app(path: str) -> FastStream:
    """Make the application, with its broker."""
    broker = NatsBroker()
    app = init_app(FastStream(broker), registry=make_registry(path))

    @broker.subscriber("guests.sign")
    @broker.publisher("guests.welcome")
    async def sign(name: str, book: Inject[GuestBook]) -> str:
        book.sign(name)
        if not name.strip():
            raise RejectMessage  # rolls back
        return f"Welcome, {name}! You are guest number {len(book.read())}."

    return app
