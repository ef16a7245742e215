"""Tests of the orders over HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from wares.fastapi import get_registry

from .. import errors
from ..web.problems import STATUSES


def place(client: TestClient, *lines: tuple[int, int], customer: str = "Ada") -> Any:
    """Order books, given as pairs of number and quantity."""
    wanted = [{"book_id": book_id, "quantity": quantity} for book_id, quantity in lines]
    return client.post("/api/orders", json={"customer": customer, "lines": wanted})


def stock_of(client: TestClient, book_id: int) -> int:
    """Read the stock of a book."""
    return int(client.get(f"/api/books/{book_id}").json()["stock"])


def test_order_is_created(client: TestClient) -> None:
    """The response has the total, and the address of the order."""
    answer = place(client, (2, 2), (1, 1))

    order = answer.json()
    assert (201, "41.90") == (answer.status_code, order["total"])
    assert f"/api/orders/{order['reference']}" == answer.headers["Location"]
    assert order == client.get(answer.headers["Location"]).json()
    assert (6, 2) == (stock_of(client, 1), stock_of(client, 2))


def test_order_beyond_the_stock_conflicts_and_takes_nothing(client: TestClient) -> None:
    """If one book is out of stock, the copies of the other book are put back."""
    answer = place(client, (1, 1), (10, 2))

    assert 409 == answer.status_code
    assert "“The Adventures of Sherlock Holmes”: 2 wanted, 1 left." == answer.json()["detail"]
    assert (7, 1) == (stock_of(client, 1), stock_of(client, 10))


def test_order_of_an_unknown_book_is_not_found_and_takes_nothing(client: TestClient) -> None:
    """If one book does not exist, the copies of the other book are put back."""
    answer = place(client, (1, 1), (999, 1))

    assert 404 == answer.status_code
    assert 7 == stock_of(client, 1)


def test_no_copy_is_sold_twice(client: TestClient) -> None:
    """Of 20 orders at the same time, as many are accepted as there are copies."""
    with ThreadPoolExecutor(20) as customers:
        answers = customers.map(lambda _: place(client, (2, 1)).status_code, range(20))

    assert [201] * 4 + [409] * 16 == sorted(answers)
    assert 0 == stock_of(client, 2)


def test_created_means_committed(application: FastAPI) -> None:
    """If the commit fails, the response is an error: it is sent after the commit."""

    async def open_session_that_cannot_commit(
        engine: AsyncEngine,
    ) -> AsyncIterator[AsyncSession]:
        async with AsyncSession(engine, expire_on_commit=False) as session:
            yield session
            raise ConnectionError("the database has gone")

    with TestClient(application, raise_server_exceptions=False) as client:
        registry = get_registry(application)
        with registry.override_factory(AsyncSession, open_session_that_cannot_commit):
            answer = place(client, (1, 1))

        assert 500 == answer.status_code
        assert 7 == stock_of(client, 1)


def test_unknown_reference_is_not_found(client: TestClient) -> None:
    """An order can be read only with its reference."""
    reference = uuid4()

    answer = client.get(f"/api/orders/{reference}")

    assert (404, f"There is no order {reference}.") == (
        answer.status_code,
        answer.json()["detail"],
    )


@pytest.mark.parametrize(
    ("customer", "lines"),
    [
        ("", [(1, 1)]),
        ("   ", [(1, 1)]),
        ("A\x00da", [(1, 1)]),
        ("A" * 81, [(1, 1)]),
        ("Ada", []),
        ("Ada", [(1, 0)]),
        ("Ada", [(1, 101)]),
        ("Ada", [(1, 1), (1, 1)]),
        ("Ada", [(2**31, 1)]),
    ],
)
def test_senseless_order_is_refused(
    customer: str, lines: list[tuple[int, int]], client: TestClient
) -> None:
    """An order has a name, and names each of its books once, with a quantity."""
    assert 422 == place(client, *lines, customer=customer).status_code


def test_each_refusal_has_a_status() -> None:
    """Each error of the shop has an HTTP status; without one, it would be a server error."""
    assert set(errors.BookshopError.__subclasses__()) == set(STATUSES)
