"""Tests of the chat in several processes with one Redis."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import signal

import httpx
import pytest
import socketio

from .serving import (
    SECONDS,
    count_visitors,
    find_port,
    list_groups,
    redis,
    until_gone,
    until_none_is_left,
    visitor,
    worker,
    workers,
)

pytestmark = pytest.mark.skipif(
    shutil.which("redis-server") is None, reason="there is no redis-server here"
)


async def hear(client, sender, text):
    """Send a message until the other client gets it, because Redis may not be ready yet."""
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
    """Messages reach other workers, containers do not, and Redis may restart in between."""
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


async def come_until_both_serve(address, stack):
    """Connect visitors until each of the workers has some."""
    visitors = []
    async with asyncio.timeout(SECONDS):
        while True:
            coming = [
                stack.enter_async_context(visitor(address, f"visitor {len(visitors) + more}"))
                for more in range(4)
            ]
            visitors += await asyncio.gather(*coming)
            # One of the workers answers, and knows only its own visitors.
            if 0 < (await count_visitors(address))["here"] < len(visitors):
                return visitors


async def test_one_command(tmp_path):
    """The workers of one command share a port, and SIGTERM ends all of them."""
    port = find_port()
    async with (
        redis(port),
        workers(2, str(tmp_path / "chat.db"), port) as (address, process),
        contextlib.AsyncExitStack() as stack,
    ):
        visitors = await come_until_both_serve(address, stack)
        first, *others = visitors
        for one in visitors:
            await one.call("enter", {"room": "lobby"})
        for other in others:
            await hear(other, first, f"to {other.sid}")
            await hear(first, other, f"from {other.sid}")

        assert process.pid in list_groups()
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(SECONDS):
            await process.wait()
        await until_none_is_left(process)
