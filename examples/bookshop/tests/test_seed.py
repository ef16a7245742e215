"""Tests of preparing a new database."""

from __future__ import annotations

import asyncio

from sqlalchemy import delete
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from wares import Registry

from ..books import BookRepository
from ..registrations import register_services
from ..seed import prepare_database
from ..settings import Settings
from ..tables import Book


async def test_workers_that_start_together_fill_the_shelves_once(settings: Settings) -> None:
    """If several workers start, one of them makes the tables, and the others wait."""

    async def start_worker() -> int:
        async with Registry() as registry, registry.container() as container:
            register_services(registry, settings)
            await prepare_database(await container.aget(AsyncEngine))
            return await (await container.aget(BookRepository)).count("")

    counts = await asyncio.gather(*(start_worker() for _ in range(8)))

    assert [16] * 8 == counts


async def test_shelves_that_were_emptied_stay_empty(registry: Registry) -> None:
    """Only a new database is filled."""
    async with registry.container() as container:
        await (await container.aget(AsyncSession)).execute(delete(Book))

    async with registry.container() as container:
        await prepare_database(await container.aget(AsyncEngine))
        count = await (await container.aget(BookRepository)).count("")

    assert 0 == count
