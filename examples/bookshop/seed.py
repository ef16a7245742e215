"""Prepares a new database: creates its tables and fills the shelves."""

from __future__ import annotations

import json
from pathlib import Path

from sqlalchemy import Connection, insert, inspect, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from .tables import Book, Table

# Any number will do for PostgreSQL's lock, as long as all workers mean the same one.
_LOCK = 0x_B00C
_FIRST_BOOKS = Path(__file__).with_name("first_books.json")


async def prepare_database(engine: AsyncEngine) -> None:
    """Make the tables and fill them, unless that has been done before.

    Several workers may start at once: the first one takes a lock, the others wait, and
    then find everything there. A shelf that was emptied on purpose stays empty.

    Args:
        engine: The shop's engine.
    """
    async with engine.begin() as connection:
        await _lock(connection)
        await connection.run_sync(_make_tables)


async def _lock(connection: AsyncConnection) -> None:
    if connection.dialect.name == "sqlite":
        # Python's sqlite3 opens no transaction for CREATE TABLE; this one does, and writes.
        await connection.exec_driver_sql("BEGIN IMMEDIATE")
    else:
        await connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})


def _make_tables(connection: Connection) -> None:
    if inspect(connection).has_table(Book.__tablename__):
        return
    Table.metadata.create_all(connection)
    connection.execute(insert(Book), json.loads(_FIRST_BOOKS.read_text(encoding="utf-8")))
