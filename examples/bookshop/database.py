"""The database: one engine for the application, and one session for each request."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from sqlalchemy import URL, event, text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine

from .settings import Settings

_SECONDS_TO_WAIT_FOR_A_LOCK = 15


async def open_engine(settings: Settings) -> AsyncIterator[AsyncEngine]:
    """Open the pool of connections, and close it with the shop.

    Args:
        settings: The settings, which have the address of the database.

    Yields:
        The engine, which connects when it is first used.
    """
    address = settings.database_address
    engine = create_async_engine(address, connect_args=_options_for(address))
    if _is_sqlite(address):
        event.listen(engine.sync_engine, "connect", _prepare_sqlite_connection)
    try:
        yield engine
    finally:
        await engine.dispose()


async def open_session(engine: AsyncEngine) -> AsyncIterator[AsyncSession]:
    """Open the transaction of a request; commit it if the request succeeds, else roll it back.

    The container raises the exception of the request at the ``yield``, and ``session.begin()``
    rolls back.

    Args:
        engine: The shop's engine.

    Yields:
        The session that all repositories of this request share.
    """
    async with AsyncSession(engine, expire_on_commit=False) as session, session.begin():
        yield session


async def ping_database(engine: AsyncEngine) -> None:
    """Check that the database answers.

    Args:
        engine: The shop's engine.
    """
    async with engine.connect() as connection:
        await connection.execute(text("SELECT 1"))


def _is_sqlite(address: URL) -> bool:
    return address.get_backend_name() == "sqlite"


def _options_for(address: URL) -> dict[str, Any]:
    return {"timeout": _SECONDS_TO_WAIT_FOR_A_LOCK} if _is_sqlite(address) else {}


def _prepare_sqlite_connection(connection: Any, _: object) -> None:
    """Make SQLite check foreign keys and find “É” under “é”; by default, it does neither."""
    connection.execute("PRAGMA foreign_keys = ON")
    connection.create_function("lower", 1, _lower_case)


def _lower_case(value: str | None) -> str | None:
    return value.lower() if value is not None else None
