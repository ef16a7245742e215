"""Random graphs under random load: threads, tasks, failures, cancellations, resets, overrides.

The tests compare events with a simple model: every service that is handed out fits the graph, was
made once by its owner, and is cleaned up once, and no thread or task waits for ever. A seed repeats
the graph and the plan, though not the moments at which threads switch.
"""

import asyncio
import collections
import contextlib
import inspect
import os
import random
import time

import pytest

from tests.support.deadline import in_threads
from wares import (
    ContainerClosedError,
    Registry,
)

#: How many seconds are spent on each kind of load.
SECONDS = float(os.environ.get("WARES_STRESS_SECONDS", "2"))

#: What lives at least as long as each.
LONGER = {"transient": 0, "scoped": 1, "connection": 2, "singleton": 3}


class Boom(Exception):
    """The exception that a factory fails with."""


class Service:
    """The service that a factory makes."""

    def __init__(self, node, needs):
        self.node = node
        self.needs = needs
        self.cleaned = 0


class Node:
    """One key of a random graph, and how its service is made."""

    def __init__(self, world, number):
        chance = world.chance
        self.world = world
        self.key = type(f"Key{number}", (), {})
        self.lifetime = chance.choice([*LONGER, "scoped", "singleton"])
        self.is_async = world.is_async and chance.random() < 0.4
        self.yields = chance.random() < 0.5
        self.fails = chance.random() if chance.random() < 0.3 else 0
        able = [
            node
            for node in world.nodes
            if self.lifetime == "transient"
            or LONGER[node.lifetime] >= LONGER[self.lifetime]
            or (node.lifetime == "transient" and node.reach >= LONGER[self.lifetime])
        ]
        self.needs = chance.sample(able, min(len(able), chance.randrange(4)))
        reaches = [need.reach for need in self.needs]
        own = 3 if self.lifetime == "transient" else LONGER[self.lifetime]
        self.reach = min([own, *reaches])
        self.asks = [need for need in self.needs if chance.random() < 0.3]
        self.must_await = self.is_async or any(need.must_await for need in self.needs)
        if any(need.must_await for need in self.asks):
            self.is_async = True

    def register(self, registry):
        registry.register_factory(self.key, self.make_factory(), lifetime=self.lifetime)

    def make_factory(self):
        """Give a factory of the right shape."""
        declared = [need for need in self.needs if need not in self.asks]

        def begin(needs):
            if self.fails and self.world.chance.random() < self.fails / 3:
                raise Boom
            for service, node in zip(needs, [*declared, *self.asks], strict=True):
                assert type(service) is Service, (self.key, node.key, service)
                assert service.node is node
            service = Service(self, needs)
            self.world.made.append(service)
            return service

        def end(service):
            service.cleaned += 1

        def make(wares_container, *needs):
            return begin((*needs, *[wares_container.get(ask.key) for ask in self.asks]))

        def make_and_clean(wares_container, *needs):
            service = make(wares_container, *needs)
            try:
                yield service
            finally:
                end(service)

        async def amake(wares_container, *needs):
            await asyncio.sleep(0)
            asked = [await wares_container.aget(ask.key) for ask in self.asks]
            if self.world.chance.random() < 0.3:
                await asyncio.sleep(0.0005)
            return begin((*needs, *asked))

        async def amake_and_clean(wares_container, *needs):
            service = await amake(wares_container, *needs)
            try:
                yield service
            finally:
                end(service)
                await asyncio.sleep(0)

        shapes = {
            (False, False): make,
            (False, True): make_and_clean,
            (True, False): amake,
            (True, True): amake_and_clean,
        }
        factory = shapes[self.is_async, self.yields]
        parameters = [inspect.Parameter("wares_container", 1)]
        parameters += [
            inspect.Parameter(f"need{place}", 1, annotation=need.key)
            for place, need in enumerate(declared)
        ]
        factory.__signature__ = inspect.Signature(parameters)
        factory.__annotations__ = {f"need{i}": n.key for i, n in enumerate(declared)}
        return factory


class World:
    """A registry with a random graph, and the services made from it."""

    def __init__(self, seed, *, is_async):
        self.chance = random.Random(seed)
        self.is_async = is_async
        self.made = []
        self.nodes = []
        for number in range(self.chance.randrange(2, 9)):
            self.nodes.append(Node(self, number))
        self.registry = Registry()
        for node in self.nodes:
            node.register(self.registry)

    def check(self, container_services):
        """Check the services handed out, by container: one service for a key that is kept."""
        singletons = collections.defaultdict(set)
        for services in container_services:
            kept = collections.defaultdict(set)
            for service in services:
                assert type(service) is Service, service
                if service.node.lifetime != "transient":
                    kept[service.node].add(service)
                if service.node.lifetime == "singleton":
                    singletons[service.node].add(service)
            assert all(len(several) == 1 for several in kept.values()), kept
        return singletons

    def check_cleaned(self):
        for service in self.made:
            expected = 1 if service.node.yields else 0
            assert service.cleaned == expected, (service.node.key, service.cleaned)


def use_in_threads(seed):
    """Let threads use one connection, children of it, and containers of their own."""
    world = World(seed, is_async=False)
    parent = world.registry.container()
    child = parent.child()
    found = [[], [], *[[] for _ in range(3)]]
    interferes = world.chance.random() < 0.5
    plans = [
        [world.chance.choice(world.nodes) for _ in range(world.chance.randrange(1, 6))]
        for _ in range(3)
    ]
    overridden = world.chance.choice(world.nodes)

    def use(number):
        own = world.registry.container()
        for node in plans[number]:
            for place, container in ((0, parent), (1, child), (2 + number, own)):
                with contextlib.suppress(Boom, ContainerClosedError):
                    found[place].append(container.get(node.key))
        own.close()

    def interfere():
        if not interferes:
            return
        for _ in range(3):
            with world.registry.override_factory(
                overridden.key, overridden.make_factory(), lifetime=overridden.lifetime
            ):
                time.sleep(0.0002)
        child.close()

    in_threads(lambda: use(0), lambda: use(1), lambda: use(2), interfere, seconds=30)
    outcomes = in_threads(parent.close, seconds=30)
    assert outcomes == [None]
    world.registry.close()
    singletons = world.check(found)
    if not interferes:
        assert all(len(several) == 1 for several in singletons.values())
    world.check_cleaned()


class Load:
    """Tasks and threads that ask a container and a child of it."""

    def __init__(self, seed):
        self.world = World(seed, is_async=True)
        self.parent = self.world.registry.container()
        self.child = self.parent.child()
        self.found = [[], []]
        self.tasks = []

    async def ask(self, place, container, node):
        with contextlib.suppress(Boom, ContainerClosedError):
            self.found[place].append(await container.aget(node.key))

    def ask_in_thread(self, place, container, node):
        with contextlib.suppress(Boom, ContainerClosedError):
            self.found[place].append(container.get(node.key))

    async def start(self):
        """Start some of them, with pauses in between."""
        chance = self.world.chance
        for _ in range(chance.randrange(2, 12)):
            place = chance.randrange(2)
            node = chance.choice(self.world.nodes)
            what = (place, (self.parent, self.child)[place], node)
            in_thread = not node.must_await and chance.random() < 0.5
            work = (
                asyncio.to_thread(self.ask_in_thread, *what) if in_thread else self.ask(*what)
            )
            self.tasks.append(asyncio.create_task(work))
            if chance.random() < 0.3:
                await asyncio.sleep(chance.choice([0, 0, 0.0003]))

    async def disturb(self):
        """Cancel, close and reset, or not; tell whether something was reset."""
        chance = self.world.chance
        cancels, closes, resets = (chance.random() < 0.4 for _ in range(3))
        if cancels:
            await asyncio.sleep(chance.choice([0, 0.0003]))
            for task in chance.sample(self.tasks, len(self.tasks) // 2):
                task.cancel()
        if closes:
            await asyncio.sleep(chance.choice([0, 0.0003]))
            await self.child.aclose()
        if resets:
            await self.parent.areset()
        return resets

    async def finish(self):
        """Let all come to their ends."""
        for outcome in await asyncio.gather(*self.tasks, return_exceptions=True):
            assert outcome is None or isinstance(outcome, asyncio.CancelledError), outcome
        await self.child.aclose()
        await self.parent.aclose()
        await self.world.registry.aclose()


async def use_in_tasks(seed):
    """Let tasks and threads use a connection and a child of it; cancel, close and reset."""
    load = Load(seed)
    await load.start()
    resets = await load.disturb()
    await load.finish()
    # What was asked before and after a reset are different services.
    singletons = {} if resets else load.world.check(load.found)
    assert all(len(several) == 1 for several in singletons.values())
    # The threads of cancelled tasks may still be at it.
    await asyncio.get_running_loop().shutdown_default_executor()
    load.world.check_cleaned()


def seeds():
    """Give seeds until the time is over."""
    first = int(os.environ.get("WARES_STRESS_SEED", "0"))
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        yield first
        first += 1


@pytest.mark.usefixtures("busy_threads")
def test_threads():
    """The rules hold for any use of a random graph by threads."""
    for seed in seeds():
        try:
            use_in_threads(seed)
        except BaseException as error:
            error.add_note(f"seed {seed}")
            raise


@pytest.mark.usefixtures("busy_threads")
def test_tasks():
    """The rules hold for any use of a random graph by tasks and threads."""
    for seed in seeds():
        try:
            asyncio.run(asyncio.wait_for(use_in_tasks(seed), 30))
        except BaseException as error:
            error.add_note(f"seed {seed}")
            raise
