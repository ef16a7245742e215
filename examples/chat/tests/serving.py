"""Processes for tests: Redis, and workers of the chat."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import socketio

SECONDS = 20


def find_port() -> int:
    """Find a free port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


async def wait_for_port(port: int) -> None:
    """Wait until a server listens."""
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
    *command: str, start_new_session: bool = False, **environment: str
) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run a command, and end it after the block."""
    process = await asyncio.create_subprocess_exec(
        *command,
        env={**os.environ, **environment},
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
        start_new_session=start_new_session,
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
    """Run one worker of the chat; yield its address."""
    port = find_port()
    environment = {"CHAT_PORT": str(port), "DATABASE_URL": f"sqlite+aiosqlite:///{database}"}
    if redis_port is not None:
        environment["REDIS_URL"] = f"redis://127.0.0.1:{redis_port}"
    async with running(sys.executable, "-m", "examples.chat", **environment):
        await wait_for_port(port)
        yield f"http://127.0.0.1:{port}"


@contextlib.asynccontextmanager
async def workers(
    number: int, database: str, redis_port: int
) -> AsyncIterator[tuple[str, asyncio.subprocess.Process]]:
    """Run several workers with one command; yield their address and the command's process."""
    port = find_port()
    environment = {
        "CHAT_PORT": str(port),
        "CHAT_WORKERS": str(number),
        "DATABASE_URL": f"sqlite+aiosqlite:///{database}",
        "REDIS_URL": f"redis://127.0.0.1:{redis_port}",
    }
    command = sys.executable, "-m", "examples.chat"
    async with running(*command, start_new_session=True, **environment) as process:
        address = f"http://127.0.0.1:{port}"
        async with asyncio.timeout(SECONDS):
            while True:
                if await is_healthy(address):
                    break
                await asyncio.sleep(0.05)
        yield address, process


async def is_healthy(address: str) -> bool:
    """Tell whether a worker answers and is healthy."""
    async with httpx.AsyncClient() as client:
        try:
            return (await client.get(f"{address}/healthy")).is_success
        except httpx.TransportError:
            return False


async def until_none_is_left(process: asyncio.subprocess.Process) -> None:
    """Wait until a command, which runs in its own session, and all its processes have ended."""
    async with asyncio.timeout(SECONDS):
        while True:
            if process.pid not in list_groups():
                return
            await asyncio.sleep(0.05)


def list_groups() -> Iterator[int]:
    """List the groups of the running processes, from Linux: ``man 5 proc_pid_stat``."""
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # the process has ended since
            state, _, group = path.read_text().rpartition(") ")[2].split()[:3]
            if state != "Z":  # a zombie has ended
                yield int(group)


@contextlib.asynccontextmanager
async def visitor(address: str, name: str) -> AsyncIterator[socketio.AsyncSimpleClient]:
    """Connect a client that has a name."""
    async with socketio.AsyncSimpleClient(reconnection=False) as client:
        await client.connect(address, transports=["websocket"], auth={"name": name})
        yield client


async def count_visitors(address: str) -> dict[str, int]:
    """Ask a worker how many visitors have come and gone."""
    async with httpx.AsyncClient() as client:
        counts: dict[str, int] = (await client.get(f"{address}/visitors")).json()
        return counts


async def until_gone(address: str) -> dict[str, int]:
    """Wait until a worker has no visitors."""
    async with asyncio.timeout(SECONDS):
        while True:
            counts = await count_visitors(address)
            if counts["here"] == 0:
                return counts
            await asyncio.sleep(0.05)
