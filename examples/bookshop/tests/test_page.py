"""Tests of the page: its files, and how it works in a browser."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
from fastapi.testclient import TestClient

from .browser import ChromiumError, Page, find_chromium, open_page
from .serving import Server

FILES = sorted(file for file in (Path(__file__).parent.parent / "page").iterdir())


def test_page_is_sent_with_a_policy(client: TestClient) -> None:
    """Headers forbid the page to use other servers."""
    answer = client.get("/")

    assert "text/html; charset=utf-8" == answer.headers["Content-Type"]
    assert "default-src 'self'" in answer.headers["Content-Security-Policy"]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_page_needs_nothing_from_elsewhere(file: Path, client: TestClient) -> None:
    """All files of the page are served, and none names another server."""
    text = client.get(f"/page/{file.name}").raise_for_status().text

    assert {"http://www.w3.org/2000/svg"} >= set(re.findall(r"https?://[^\s\"'`)]+", text))


@pytest.fixture
def page(server: Server, tmp_path: Path) -> Iterator[Page]:
    """The page in a browser, after it has loaded the books."""
    chromium = find_chromium()
    if chromium is None:
        pytest.skip("no Chromium on this machine")
    with ExitStack() as stack:
        try:
            page = stack.enter_context(
                open_page(chromium, f"{server.address}/", tmp_path / "profile")
            )
        except ChromiumError as error:
            pytest.skip(str(error))
        page.wait_for("document.querySelectorAll('.book').length === 16")
        page.wait_for("document.querySelector('#live').dataset.state === 'live'")
        yield page


def text_of(book_id: int, name: str) -> str:
    """Write a script for a piece of text on the card of a book."""
    return f"document.querySelector('[data-book=\"{book_id}\"] .{name}').textContent"


def click(page: Page, selector: str) -> None:
    """Click on the first element that a selector finds."""
    page.run(f"document.querySelector({selector!r}).click()")


def type_into(page: Page, name: str, text: str) -> None:
    """Write into a field, with the event of a key press."""
    page.run(
        f"const field = document.getElementById({name!r}); field.value = {text!r};"
        " field.dispatchEvent(new Event('input', {bubbles: true}))"
    )


def test_books_are_searched(page: Page) -> None:
    """Words in the search field select books."""
    type_into(page, "words", "hugo")

    page.wait_for("document.querySelectorAll('.book').length === 1")
    assert "Les Misérables" == page.run("document.querySelector('.book .title').textContent")


def test_book_is_ordered(page: Page) -> None:
    """A customer buys a book with two clicks; the stock changes, and a receipt appears."""
    click(page, "[data-book='2'] .add")
    click(page, "[data-book='2'] .add")
    type_into(page, "customer", "Ada")
    click(page, "#place")

    page.wait_for("!document.querySelector('#receipt').hidden")
    assert "Thank you, Ada!" == page.run(
        "document.querySelector('#receipt').firstChild.textContent"
    )
    page.wait_for(f"{text_of(2, 'stock')} === 'Only 2 left'")


def test_stock_changes_while_somebody_looks(page: Page, server: Server) -> None:
    """A sale to another customer changes the stock on the page, and the last copy is gone."""
    click(page, "[data-book='10'] .add")
    lines = [{"book_id": 10, "quantity": 1}]
    httpx.post(
        f"{server.address}/api/orders",
        json={"customer": "Bob", "lines": lines},
        trust_env=False,
    ).raise_for_status()
    page.wait_for(f"{text_of(10, 'stock')} === 'Out of stock'")

    type_into(page, "customer", "Ada")
    click(page, "#place")

    page.wait_for("!document.querySelector('#message').hidden")
    assert "“The Adventures of Sherlock Holmes”: 1 wanted, none left." == page.run(
        "document.querySelector('#message').textContent"
    )


def test_missing_exchange_rates_are_mentioned(page: Page) -> None:
    """Without exchange rates, the page shows the books with prices in euros."""
    page.run(
        "const field = document.getElementById('currency'); field.value = 'USD';"
        " field.dispatchEvent(new Event('change'))"
    )

    page.wait_for(
        "document.querySelector('#found').textContent"
        " === 'No exchange rate for USD at the moment.'"
    )
    assert 16 == page.run("document.querySelectorAll('.book').length")
