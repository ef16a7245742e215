"""Prepares a new database: creates the tables, and fills the shelves."""

from __future__ import annotations

import json
from pathlib import Path

from sqlalchemy import Connection, insert, inspect, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from .tables import Book, Table

# The number of PostgreSQL's lock, which must be the same in all workers.
_LOCK = 0x_B00C
_FIRST_BOOKS = Path(__file__).with_name("first_books.json")


async def prepare_database(engine: AsyncEngine) -> None:
    """Make and fill the tables, unless they exist.

    Several workers may start at the same time. The first one takes a lock, and the others wait and
    then find the tables. A shelf that has been emptied stays empty.

    Args:
        engine: The shop's engine.
    """
    async with engine.begin() as connection:
        await _lock(connection)
        await connection.run_sync(_make_tables)


async def _lock(connection: AsyncConnection) -> None:
    if connection.dialect.name == "sqlite":
        # Python's sqlite3 begins no transaction for CREATE TABLE, so this begins one.
        await connection.exec_driver_sql("BEGIN IMMEDIATE")
    else:
        await connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})


def _make_tables(connection: Connection) -> None:
    if inspect(connection).has_table(Book.__tablename__):
        return
    Table.metadata.create_all(connection)
    connection.execute(insert(Book), json.loads(_FIRST_BOOKS.read_text(encoding="utf-8")))
