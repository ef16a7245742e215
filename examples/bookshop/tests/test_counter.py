"""Tests of selling books without HTTP: each opens a container, as the adapter does."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from wares import Registry

from ..books import BookRepository
from ..counter import Counter
from ..errors import BookNotFoundError, OutOfStockError
from ..tables import OrderLine

MIDDLEMARCH, MOBY_DICK, SHERLOCK_HOLMES = 1, 2, 10


async def sell(registry: Registry, wanted: dict[int, int]) -> None:
    """Sell books as a request does, in a container of its own."""
    async with registry.container() as container:
        counter = await container.aget(Counter)
        await counter.sell("Ada", wanted)


async def stock_of(registry: Registry, book_id: int) -> int:
    """Read the stock in another container, and so in another transaction."""
    async with registry.container() as container:
        return (await (await container.aget(BookRepository)).find(book_id)).stock


async def copies_sold(registry: Registry) -> int:
    """Count the copies in all orders."""
    async with registry.container() as container:
        session = await container.aget(AsyncSession)
        return await session.scalar(select(func.sum(OrderLine.quantity))) or 0


async def test_order_is_kept_when_its_container_closes(registry: Registry) -> None:
    """The session commits if the sale succeeds."""
    await sell(registry, {MIDDLEMARCH: 2, MOBY_DICK: 1})

    assert 5 == await stock_of(registry, MIDDLEMARCH)
    assert 3 == await stock_of(registry, MOBY_DICK)


@pytest.mark.parametrize(
    ("impossible", "error"),
    [({SHERLOCK_HOLMES: 2}, OutOfStockError), ({999: 1}, BookNotFoundError)],
)
async def test_order_that_fails_half_way_takes_nothing(
    impossible: dict[int, int], error: type[Exception], registry: Registry
) -> None:
    """The error reaches the session, which rolls back the books taken before."""
    with pytest.raises(error):
        await sell(registry, {MIDDLEMARCH: 2} | impossible)

    assert 7 == await stock_of(registry, MIDDLEMARCH)
    assert 0 == await copies_sold(registry)


async def test_order_that_is_cancelled_takes_nothing(registry: Registry) -> None:
    """A sale that is cancelled in the middle changes nothing."""
    taken = asyncio.Event()

    async def hesitate() -> None:
        async with registry.container() as container:
            await (await container.aget(Counter)).sell("Ada", {MIDDLEMARCH: 1})
            taken.set()
            await asyncio.Event().wait()

    hesitating = asyncio.create_task(hesitate())
    await taken.wait()
    hesitating.cancel()
    with pytest.raises(asyncio.CancelledError):
        await hesitating

    assert 7 == await stock_of(registry, MIDDLEMARCH)


async def test_no_copy_is_sold_twice(registry: Registry) -> None:
    """Of 30 customers at the same time, as many get a copy as there are copies."""
    answers = await asyncio.gather(
        *(sell(registry, {MIDDLEMARCH: 1}) for _ in range(30)), return_exceptions=True
    )

    refusals = [answer for answer in answers if answer is not None]
    assert {OutOfStockError} == {type(refusal) for refusal in refusals}
    assert (23, 7) == (len(refusals), await copies_sold(registry))
    assert 0 == await stock_of(registry, MIDDLEMARCH)


async def test_customers_who_want_the_same_books_do_not_block_each_other(
    registry: Registry,
) -> None:
    """Books are taken in the same order, although customers name them in different ones."""
    one_way = {MIDDLEMARCH: 1, MOBY_DICK: 1}
    other_way = {MOBY_DICK: 1, MIDDLEMARCH: 1}

    await asyncio.gather(
        sell(registry, one_way),
        sell(registry, other_way),
        sell(registry, one_way),
        sell(registry, other_way),
    )

    assert (3, 0) == (
        await stock_of(registry, MIDDLEMARCH),
        await stock_of(registry, MOBY_DICK),
    )
