"""Tests of the books over HTTP."""

from __future__ import annotations

import pytest
from fastapi.testclient import TestClient

from .conftest import STAFF_KEY


def titles(client: TestClient, **query: str | int) -> list[str]:
    """Search, and return the titles of the books that were found."""
    return [book["title"] for book in client.get("/api/books", params=query).json()["books"]]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("moby", ["Moby-Dick"]),
        ("AUSTEN", ["Pride and Prejudice"]),
        ("MISÉRABLES hugo", ["Les Misérables"]),
        ("poetry whitman", ["Leaves of Grass"]),
        ("100%", []),
        ("'; drop table books; --", []),
    ],
)
def test_all_words_must_occur_somewhere(
    words: str, expected: list[str], client: TestClient
) -> None:
    """Title, author and subject are searched, in upper and lower case, without patterns."""
    assert expected == titles(client, words=words)


def test_pages_follow_each_other(client: TestClient) -> None:
    """Limit and offset cut the same list."""
    everything = titles(client)

    in_pages = titles(client, limit=10) + titles(client, limit=10, offset=10)

    assert everything == in_pages
    assert 16 == len(everything)


def test_book_is_shown(client: TestClient) -> None:
    """A price is a decimal string, because floats are wrong for money."""
    answer = client.get("/api/books/2")

    assert {
        "id": 2,
        "title": "Moby-Dick",
        "author": "Herman Melville",
        "year": 1851,
        "subject": "Novel",
        "stock": 4,
        "price": "14.50",
        "converted_price": None,
    } == answer.json()


def test_missing_book_is_not_found(client: TestClient) -> None:
    """The response is a problem as in RFC 9457."""
    answer = client.get("/api/books/999")

    assert "application/problem+json" == answer.headers["Content-Type"]
    assert (404, "There is no book number 999.") == (
        answer.status_code,
        answer.json()["detail"],
    )


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=101", "offset=-1", "words=%00", "currency=XXX"]
)
def test_senseless_search_is_refused(query: str, client: TestClient) -> None:
    """Invalid searches do not reach the database."""
    assert 422 == client.get(f"/api/books?{query}").status_code


@pytest.mark.parametrize("book_id", ["0", "-1", "2147483648", "moby"])
def test_senseless_number_is_refused(book_id: str, client: TestClient) -> None:
    """Numbers that no book can have are refused."""
    assert 422 == client.get(f"/api/books/{book_id}").status_code


def test_delivery_adds_to_the_stock(client: TestClient) -> None:
    """Staff put copies on the shelf."""
    answer = client.post(
        "/api/books/2/deliveries", json={"quantity": 3}, headers={"X-Staff-Key": STAFF_KEY}
    )

    assert (201, 7) == (answer.status_code, answer.json()["stock"])
    assert 7 == client.get("/api/books/2").json()["stock"]


@pytest.mark.parametrize(
    "headers", [{}, {b"X-Staff-Key": b"guessed"}, {b"X-Staff-Key": b"\xff"}]
)
def test_delivery_is_for_staff(headers: dict[bytes, bytes], client: TestClient) -> None:
    """Requests without the right key change nothing."""
    answer = client.post("/api/books/2/deliveries", json={"quantity": 3}, headers=headers)

    assert 403 == answer.status_code
    assert 4 == client.get("/api/books/2").json()["stock"]


def test_delivery_of_an_unknown_book_is_not_found(client: TestClient) -> None:
    """Copies of a book that does not exist cannot be delivered."""
    answer = client.post(
        "/api/books/999/deliveries", json={"quantity": 3}, headers={"X-Staff-Key": STAFF_KEY}
    )

    assert 404 == answer.status_code
