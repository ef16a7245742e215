"""Tests of the chat in one process."""

from __future__ import annotations

import asyncio
import subprocess
import sys

import httpx
import pytest
import socketio

from .serving import count_visitors, running, until_gone, visitor, worker


@pytest.fixture
async def address(tmp_path):
    """A chat with a new database."""
    async with worker(str(tmp_path / "chat.db")) as address:
        yield address


async def test_talking(address):
    """Visitors of a room get each other's messages; later visitors get the latest ones."""
    async with visitor(address, "Ada") as ada, visitor(address, "Bob") as bob:
        assert [] == await ada.call("enter", {"room": "lobby"})
        assert [] == await bob.call("enter", {"room": "lobby"})

        said = await ada.call("say", {"room": "lobby", "text": " hello "})

        assert {"room": "lobby", "author": "Ada", "text": "hello"} == said
        assert ["said", said] == await bob.receive(timeout=5)
    async with visitor(address, "Cid") as cid:
        assert [said] == await cid.call("enter", {"room": "lobby"})


async def test_refused(address):
    """A client without a name is refused, and leaves nothing behind."""
    async with socketio.AsyncSimpleClient(reconnection=False) as client:
        with pytest.raises(socketio.exceptions.ConnectionError):
            await client.connect(address, transports=["websocket"])

    counts = await until_gone(address)
    assert counts["came"] == counts["went"]


async def test_mistakes(address):
    """Invalid events are answered with an error."""
    async with visitor(address, "Ada") as ada:
        assert "validation_error" == (await ada.call("say", {"room": ""}))["error"]["type"]
        answer = await ada.call("say", {"room": "lobby", "text": "hello"})

    assert {"error": "Enter the room lobby first."} == answer


async def test_visitors_are_counted(address):
    """A visitor exists until the connection ends."""
    async with visitor(address, "Ada"), visitor(address, "Bob"):
        assert {"came": 2, "went": 0, "here": 2} == await count_visitors(address)

    assert {"came": 2, "went": 2, "here": 0} == await until_gone(address)


async def test_pages(address):
    """The page, its health and its description are served."""
    async with httpx.AsyncClient(base_url=address, follow_redirects=True) as client:
        assert "<title>Chat</title>" in (await client.get("/")).text
        assert 200 == (await client.get("/healthy")).status_code
        document = (await client.get("/asyncapi/asyncapi.json")).json()

    assert "root.said.send" in document["operations"]


async def test_several_workers_need_redis():
    """The command refuses several workers without Redis, because it connects them."""
    async with running(sys.executable, "-m", "examples.chat", CHAT_WORKERS="2") as process:
        async with asyncio.timeout(20):
            assert 1 == await process.wait()


def test_help_shows_the_options():
    """`--help` lists the options, and starts nothing."""
    command = [sys.executable, "-m", "examples.chat", "--help"]

    answer = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)

    assert "--port" in answer.stdout
    assert "opens at" not in answer.stdout
