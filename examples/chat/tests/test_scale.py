"""The chat in two processes behind one Redis."""

from __future__ import annotations

import asyncio
import shutil

import httpx
import pytest
import socketio

from .serving import count_visitors, find_port, redis, until_gone, visitor, worker

pytestmark = pytest.mark.skipif(
    shutil.which("redis-server") is None, reason="there is no redis-server here"
)


async def hear(client, sender, text):
    """Have something said until it is heard; Redis may not be ready yet."""
    async with asyncio.timeout(60):
        while True:
            try:
                await sender.call("say", {"room": "lobby", "text": text}, timeout=2)
                while (await client.receive(timeout=1))[1]["text"] != text:
                    pass
            except (socketio.exceptions.TimeoutError, TimeoutError):
                await asyncio.sleep(0.2)
            else:
                return


async def test_two_workers(tmp_path):
    """Messages cross workers, containers stay with theirs, and Redis may die in between."""
    port, database = find_port(), str(tmp_path / "chat.db")
    async with (
        redis(port) as first,
        worker(database, port) as here,
        worker(database, port) as there,
    ):
        async with visitor(here, "Ada") as ada, visitor(there, "Bob") as bob:
            await ada.call("enter", {"room": "lobby"})
            await bob.call("enter", {"room": "lobby"})

            await hear(bob, ada, "across")
            assert 1 == (await count_visitors(here))["here"]
            assert 1 == (await count_visitors(there))["here"]

            first.kill()
            await first.wait()
            assert 1 == (await count_visitors(here))["here"]
            async with redis(port):
                await hear(bob, ada, "after Redis came back")
                await hear(ada, bob, "and the other way")

                async with httpx.AsyncClient() as client:
                    await client.delete(f"{here}/visitors/{bob.sid}")
                assert {"came": 1, "went": 1, "here": 0} == await until_gone(there)
                assert 1 == (await count_visitors(here))["here"]
        assert {"came": 1, "went": 1, "here": 0} == await until_gone(here)
