"""Processes for tests: Redis, and workers of the chat.

Knows how they are started and ended. Must not know what is said.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import sys
from collections.abc import AsyncIterator

import httpx
import socketio

SECONDS = 20


def find_port() -> int:
    """Find a port that nobody uses."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


async def wait_for_port(port: int) -> None:
    """Wait until somebody listens."""
    async with asyncio.timeout(SECONDS):
        while True:
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.close()
                await writer.wait_closed()
                return
            await asyncio.sleep(0.05)


@contextlib.asynccontextmanager
async def running(
    *command: str, **environment: str
) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run a command, and end it."""
    process = await asyncio.create_subprocess_exec(
        *command,
        env={**os.environ, **environment},
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
            async with asyncio.timeout(SECONDS):
                await process.wait()


@contextlib.asynccontextmanager
async def redis(port: int) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run Redis, without a file."""
    async with running("redis-server", "--port", str(port), "--save", "") as process:
        await wait_for_port(port)
        yield process


@contextlib.asynccontextmanager
async def worker(database: str, redis_port: int | None = None) -> AsyncIterator[str]:
    """Run one worker of the chat; give its address."""
    port = find_port()
    environment = {"CHAT_PORT": str(port), "DATABASE_URL": f"sqlite+aiosqlite:///{database}"}
    if redis_port is not None:
        environment["REDIS_URL"] = f"redis://127.0.0.1:{redis_port}"
    async with running(sys.executable, "-m", "examples.chat", **environment):
        await wait_for_port(port)
        yield f"http://127.0.0.1:{port}"


@contextlib.asynccontextmanager
async def visitor(address: str, name: str) -> AsyncIterator[socketio.AsyncSimpleClient]:
    """Connect a client that has a name."""
    async with socketio.AsyncSimpleClient(reconnection=False) as client:
        await client.connect(address, transports=["websocket"], auth={"name": name})
        yield client


async def count_visitors(address: str) -> dict[str, int]:
    """Ask a worker how many visitors it has let in, and how many have gone."""
    async with httpx.AsyncClient() as client:
        counts: dict[str, int] = (await client.get(f"{address}/visitors")).json()
        return counts


async def until_gone(address: str) -> dict[str, int]:
    """Wait until nobody is there."""
    async with asyncio.timeout(SECONDS):
        while True:
            counts = await count_visitors(address)
            if counts["here"] == 0:
                return counts
            await asyncio.sleep(0.05)
