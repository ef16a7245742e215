"""Hundreds of clients that do whatever clients do: what was opened is closed, memory stays flat.

Set ``WARES_SOAK_SECONDS`` to let it run longer than the few seconds that it takes by default.
"""

import asyncio
import contextlib
import gc
import logging
import os
import random
import time
import tracemalloc

import socketio

from tests.adapters.socketio.serving import (
    Event,
    Journal,
    Lasting,
    make_server_for,
    new_client,
    open_connections,
    register_both,
    serving,
    vanish,
)
from wares import Registry
from wares.socketio import Auth, Data, SocketID, wares_from

SECONDS = float(os.environ.get("WARES_SOAK_SECONDS", "4"))

AT_A_TIME = 25


def make_server(registry):
    """Make a server that is asked for everything."""
    sio = make_server_for(registry, ping_interval=0.5, ping_timeout=1)

    @sio.event
    async def connect(sid: SocketID, auth: Auth, lasting: Lasting, event: Event):
        if auth == "refused":
            raise socketio.exceptions.ConnectionRefusedError("no")
        if auth == "fails":
            raise LookupError

    @sio.event
    async def work(data: Data, event: Event, lasting: Lasting):
        await asyncio.sleep(random.random() / 100)
        return data

    @sio.event
    async def fail(event: Event):
        raise LookupError

    @sio.event
    async def number(number: int, event: Event):
        return number

    @sio.event
    async def disconnect(sid, reason):
        await wares_from().aget(Event)

    return sio


async def behave(address, choices):
    """Be one client, of any kind."""
    client = new_client()
    transport = choices.choice(["websocket", "websocket", "polling"])
    auth = choices.choice(["refused", "fails", *["welcome"] * 6])
    with contextlib.suppress(socketio.exceptions.SocketIOError):
        await client.connect(address, transports=[transport], auth=auth, wait_timeout=5)
        for _ in range(choices.randrange(6)):
            event = choices.choice(["work", "fail", "number"])
            if event == "fail":
                await client.emit("fail")
            else:
                await client.call(event, choices.choice([1, "one"]), timeout=5)
    if client.connected and choices.random() < 0.3:
        await client.emit("work", "the last word")
        await vanish(client)
    else:
        await client.disconnect()


async def keep_on(address, choices, until):
    """Be one client after the other."""
    count = 0
    while time.monotonic() < until:
        await behave(address, choices)
        count += 1
    return count


async def test_nothing_is_left(caplog):
    """Whatever clients do, each container that was opened is closed, and memory stays flat."""
    caplog.set_level(logging.CRITICAL)
    journal = Journal()
    registry = Registry()
    register_both(registry, journal)
    sio = make_server(registry)
    choices = random.Random(5)

    async with serving(sio) as address:
        await keep_on(address, choices, time.monotonic() + 1)
        counts = await asyncio.gather(
            *(keep_on(address, choices, time.monotonic() + SECONDS) for _ in range(AT_A_TIME))
        )
        async with asyncio.timeout(20):
            while open_connections(sio):
                await asyncio.sleep(0.05)
    await registry.aclose()

    assert sum(counts) > AT_A_TIME
    assert journal.count("open event") == journal.count("close event") > 0
    assert journal.count("open connection") == journal.count("close connection") > 0


async def test_memory():
    """A thousand connections with their events leave no memory behind."""
    registry = Registry()
    sio = make_server_for(registry)
    sio.on("work", lambda sid, data: data)

    async def come_and_go(number):
        sid = f"client {number}"
        await sio._trigger_event("connect", "/", sid, {}, None)
        await sio._trigger_event("work", "/", sid, 5)
        await sio._trigger_event("disconnect", "/", sid, "gone")

    for number in range(200):
        await come_and_go(number)
    gc.collect()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for number in range(1000):
        await come_and_go(number)
    gc.collect()
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    await registry.aclose()

    assert grown < 20_000
