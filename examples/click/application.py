"""A guest book on the command line."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from functools import partial

import click

from wares import Inject, Registry
from wares.click import with_container


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


def make_guests_registry() -> Registry:
    """Make the registry of one invocation."""
    return make_registry(click.get_current_context().find_root().params["path"])


@click.group()
@click.option("--path", default="guests.db", help="The file of the book.")
def main(path: str) -> None:
    """Keep a guest book."""


@main.command()
@click.argument("name")
@with_container(make_guests_registry)
def sign(name: str, book: Inject[GuestBook]) -> None:
    """Sign the book; without a name, nothing is kept."""
    book.sign(name)
    if not name.strip():
        raise click.UsageError("Who are you?")  # rolls back
    click.echo(f"Welcome, {name}!")


@main.command()
@with_container(make_guests_registry)
async def read(book: Inject[GuestBook]) -> None:
    """Read the book; commands may be asynchronous."""
    click.echo(", ".join(book.read()))
