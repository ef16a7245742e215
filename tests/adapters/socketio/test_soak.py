"""A soak test: hundreds of clients connect and vanish, containers close, and memory stays flat.

Set ``WARES_SOAK_SECONDS`` to let it run longer than the few seconds that it takes by default.
"""

import asyncio
import contextlib
import gc
import itertools
import logging
import os
import random
import time
import tracemalloc
from pathlib import Path

import pytest
import socketio

import wares
from tests.adapters.socketio.bare import BareClient, Gone
from tests.adapters.socketio.serving import (
    Event,
    Lasting,
    make_server_for,
    new_client,
    open_connections,
    register_both,
    serving,
    until,
    vanish,
)
from wares import Container, Inject, Registry
from wares.socketio import Auth, Data, SocketID, wares_from

SECONDS = float(os.environ.get("WARES_SOAK_SECONDS", "0"))

#: How many clients are there at the same time.
CROWD = 200

#: How many of them are python-socketio's own.
OWN_CLIENTS = 10

#: How often they come again, behind the time that fills every cache.
WAVES = 1

#: What may be left in memory, because the dictionary of connections keeps its size: a container
#: for each client would be many times as much.
BYTES = 40_000


@pytest.fixture
def registry(journal):
    """A registry with a service for each lifetime; the test closes it."""
    registry = Registry()
    register_both(registry, journal)
    return registry


@pytest.fixture
def unlogged():
    """Log nothing: a record keeps its exception, and that the containers it came through."""
    logging.disable()
    yield
    logging.disable(logging.NOTSET)


@pytest.fixture
def sio(registry, unlogged):
    """A server that is asked for everything."""
    # Long enough for a machine that is busy with other tests.
    sio = make_server_for(registry, ping_interval=0.5, ping_timeout=2)

    @sio.event
    async def connect(
        sid: SocketID, auth: Auth, lasting: Inject[Lasting], event: Inject[Event]
    ):
        await asyncio.sleep(0)
        if auth == {"is": "refused"}:
            raise socketio.exceptions.ConnectionRefusedError("no")
        if auth == {"is": "failing"}:
            raise LookupError

    @sio.event
    async def work(data: Data, event: Inject[Event], lasting: Inject[Lasting]):
        await asyncio.sleep(0.001)
        return data

    @sio.event
    async def fail(event: Inject[Event]):
        raise LookupError

    @sio.event
    async def number(number: int, event: Inject[Event]):
        return number

    @sio.event
    async def disconnect(sid, reason):
        await wares_from().aget(Event)

    return sio


async def use(client):
    """Send every kind of event, and look at the answers."""
    assert await client.connect({"is": "welcome"})
    assert ["hard"] == await client.call("work", "hard")
    await client.emit("fail")
    assert [5] == await client.call("number", "5")
    assert "validation_error" == (await client.call("number", "five"))[0]["error"]["type"]


async def disconnect(client):
    """Come, work, take leave."""
    await use(client)
    await client.disconnect()


async def close(client):
    """Come, work, close the connection."""
    await use(client)
    await client.close()


async def be_gone(client):
    """Come, work, vanish."""
    await use(client)
    await client.vanish()


async def be_gone_at_work(client):
    """Vanish while events are in flight."""
    await use(client)
    for _ in range(3):
        await client.emit("work", "the last word")
    await client.vanish()


async def be_refused(client):
    """Come, and not be let in."""
    assert not await client.connect({"is": "refused"})
    await client.close()


async def fail(client):
    """Connect to a server whose connect handler fails, which sends no answer."""
    await client.ask_in({"is": "failing"})
    await client.close()


async def ask_in_and_be_gone(client):
    """Vanish while the connect handler runs."""
    await client.ask_in({"is": "welcome"})
    await client.vanish()


async def only_look(client):
    """Reach the server, and never enter a namespace."""
    await client.vanish()


BEHAVIOURS = (
    disconnect,
    close,
    be_gone,
    be_gone_at_work,
    be_refused,
    fail,
    ask_in_and_be_gone,
    only_look,
)


async def come_as_a_crowd(address):
    """Be many clients at once, of each transport and each behaviour as many as of the others."""
    kinds = itertools.cycle(itertools.product(BEHAVIOURS, ("websocket", "polling")))

    async def come(behave, transport):
        # Who is too slow on a busy machine is thrown out; that is one more way to end.
        with contextlib.suppress(Gone):
            await behave(await BareClient.open(address, transport))
            return 1
        return 0

    crowd = [come(*kind) for kind in itertools.islice(kinds, CROWD)]
    return sum(await asyncio.gather(*crowd))


async def come_as_own_clients(address, choices):
    """Be some clients of python-socketio's own."""
    await asyncio.gather(*(come_as_own_client(address, choices) for _ in range(OWN_CLIENTS)))


async def come_as_own_client(address, choices):
    """Be a client of python-socketio's own."""
    client = new_client()
    transport = choices.choice(["websocket", "websocket", "polling"])
    who = choices.choice(["refused", "failing", *["welcome"] * 6])
    with contextlib.suppress(socketio.exceptions.SocketIOError):
        await client.connect(address, transports=[transport], auth={"is": who}, wait_timeout=2)
        for _ in range(choices.randrange(6)):
            await client.call("number", choices.choice([1, "one"]), timeout=5)
    if client.connected and choices.random() < 0.3:
        await client.emit("work", "the last word")
        await vanish(client)
    else:
        await client.disconnect()


def count_memory():
    """Tell how many bytes this package's own lines have allocated that are still in use."""
    gc.collect()
    here = tracemalloc.Filter(True, str(Path(wares.__file__).parent / "*"))
    snapshot = tracemalloc.take_snapshot().filter_traces([here])
    return sum(statistic.size for statistic in snapshot.statistics("filename"))


def count_containers(registry):
    """Count the containers of a registry that are in memory."""
    return sum(type(one) is Container and one.registry is registry for one in gc.get_objects())


@pytest.fixture
def traced():
    """Trace allocations during the block."""
    tracemalloc.start()
    yield
    tracemalloc.stop()


@pytest.mark.timeout(180 + 2 * SECONDS)
@pytest.mark.usefixtures("traced")
@pytest.mark.filterwarnings(
    "ignore:Unclosed"
)  # python-socketio's clients, when they are cut off
async def test_nothing_is_left(sio, registry, journal):
    """After hundreds of clients, all containers are closed, and memory stays flat."""
    choices = random.Random(5)
    came = 0

    async with serving(sio) as address:

        async def come():
            crowd, _ = await asyncio.gather(
                come_as_a_crowd(address), come_as_own_clients(address, choices)
            )
            return crowd

        async def count_memory_when_all_are_gone():
            await until(lambda: not open_connections(sio), seconds=60)
            return count_memory()

        came += await come()
        before = await count_memory_when_all_are_gone()
        end = time.monotonic() + SECONDS
        for wave in itertools.count(1):
            came += await come()
            if wave >= WAVES and time.monotonic() > end:
                break
        grown = await count_memory_when_all_are_gone() - before
    await registry.aclose()

    # On a busy machine some are thrown out before they have done what they came for.
    assert came > CROWD * (1 + wave) / 2
    assert journal.count("open event") == journal.count("close event") > came
    assert journal.count("open connection") == journal.count("close connection") > came / 2
    assert 0 == count_containers(registry)
    assert grown < BYTES


async def test_memory():
    """A thousand connections with events leave no memory behind."""
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
