"""Tests of the page in a browser."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from examples.bookshop.tests.browser import ChromiumError, find_chromium, open_page

from .serving import visitor, worker

#: Runs before the scripts of the page, and collects their errors.
_KEEP_PROBLEMS = """
window.problems = [];
addEventListener("error", (event) => problems.push(event.message || "not loaded"), true);
addEventListener("unhandledrejection", (event) => problems.push(String(event.reason)));
console.error = (...words) => problems.push(words.join(" "));
"""

#: Requests of a client that polls, which several workers on one port could not serve.
_POLLED = """
performance.getEntriesByType("resource").map(({ name }) => name)
    .filter((name) => name.includes("transport=polling"))
"""

_ENTER = """
document.querySelector("#login [name=name]").value = "Ada";
document.querySelector("#login button").click();
"""

_SAY = """
document.querySelector("#say [name=text]").value = "hello";
document.querySelector("#say button").click();
"""


@pytest.fixture
async def address(tmp_path):
    """A chat with a new database."""
    async with worker(str(tmp_path / "chat.db")) as address:
        yield address


@pytest.fixture
async def page(address, tmp_path):
    """The page in a browser."""
    chromium = find_chromium()
    if chromium is None:
        pytest.skip("no Chromium on this machine")
    with contextlib.ExitStack() as stack:
        browser = open_page(chromium, "about:blank", tmp_path / "profile")
        try:
            page = await asyncio.to_thread(stack.enter_context, browser)
        except ChromiumError as error:
            pytest.skip(str(error))
        page.tell("Page.addScriptToEvaluateOnNewDocument", source=_KEEP_PROBLEMS)
        page.tell("Page.navigate", url=address)
        yield page


async def test_page_works(page, address):
    """A visitor enters, sends and gets messages, and no script fails."""
    await asyncio.to_thread(page.wait_for, "document.readyState === 'complete' && !!window.io")
    page.run(_ENTER)
    await asyncio.to_thread(page.wait_for, "!document.querySelector('#say').hidden")

    async with visitor(address, "Bob") as bob:
        assert [] == await bob.call("enter", {"room": "lobby"})
        page.run(_SAY)
        said = {"room": "lobby", "author": "Ada", "text": "hello"}
        assert ["said", said] == await bob.receive(timeout=20)
        await bob.call("say", {"room": "lobby", "text": "good day"})
        lines = "document.querySelectorAll('#said li')"
        await asyncio.to_thread(page.wait_for, f"{lines}.length === 2")

    assert ["Adahello", "Bobgood day"] == page.run(f"[...{lines}].map((li) => li.textContent)")
    assert "You are in lobby." == page.run("document.querySelector('#status').textContent")
    assert [] == page.run("problems")
    assert [] == page.run(_POLLED)
