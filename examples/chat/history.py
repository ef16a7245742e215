"""The messages of the rooms in the database, with one transaction for each event."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

from sqlalchemy import Column, Integer, MetaData, String, Table, insert, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from .messages import Said
from .settings import Settings

_METADATA = MetaData()
_SAID = Table(
    "said",
    _METADATA,
    Column("id", Integer, primary_key=True),
    Column("room", String(40), nullable=False, index=True),
    Column("author", String(40), nullable=False),
    Column("text", String(1000), nullable=False),
)

_LATEST = 50


class History:
    """The messages of the rooms.

    Args:
        connection: The transaction of this event.
    """

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def add(self, said: Said) -> None:
        """Store a message."""
        await self._connection.execute(insert(_SAID).values(said.model_dump()))

    async def list_latest(self, room: str) -> list[Said]:
        """List the latest messages of a room, the oldest first."""
        query = select(_SAID).where(_SAID.c.room == room).order_by(_SAID.c.id.desc())
        rows = await self._connection.execute(query.limit(_LATEST))
        return [Said.model_validate(row, from_attributes=True) for row in reversed(rows.all())]


async def open_engine(settings: Settings) -> AsyncIterator[AsyncEngine]:
    """Open the pool of connections, make the table, and close the pool at the end."""
    engine = create_async_engine(settings.database_url.get_secret_value())
    try:
        with contextlib.suppress(DBAPIError):
            # This fails if another worker makes the table at the same time. Then it exists now.
            await make_table(engine)
        await make_table(engine)
        yield engine
    finally:
        await engine.dispose()


async def make_table(engine: AsyncEngine) -> None:
    """Make the table, unless it exists."""
    async with engine.begin() as connection:
        await connection.run_sync(_METADATA.create_all)


async def open_transaction(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """Open the transaction of an event; commit it if the event succeeds, else roll it back."""
    async with engine.begin() as connection:
        yield connection


async def ping_database(engine: AsyncEngine) -> None:
    """Check that the database answers."""
    async with engine.connect() as connection:
        await connection.execute(select(1))
