"""The guest book."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing


class GuestBook:
    """The names of those who have been here."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database

    def sign(self, name: str) -> None:
        """Write a name."""
        self._database.execute("INSERT INTO guests VALUES (?)", [name])

    def read(self) -> list[str]:
        """Read all names, in the order in which they were written."""
        return [name for (name,) in self._database.execute("SELECT name FROM guests")]


def open_book(path: str) -> Iterator[sqlite3.Connection]:
    """Open the database; after it, commit or roll back, and close."""
    with closing(sqlite3.connect(path, check_same_thread=False)) as database, database:
        database.execute("CREATE TABLE IF NOT EXISTS guests (name TEXT)")
        yield database
