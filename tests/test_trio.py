"""Containers work on trio as they do on asyncio."""

import threading

import pytest
import trio
import trio.lowlevel
import trio.testing

from tests.support.cleanups import Boom, awatching
from tests.support.deadline import in_thread
from tests.support.services import Cache, Database, Engine, Repository, Session
from wares import AsyncServiceError, ContainerClosedError, Registry
from wares.health import acheck

SECONDS = 30


def on_trio(function):
    """Run an async *function* on trio, in a thread that may get stuck."""

    async def limited():
        with trio.fail_after(SECONDS):
            return await function()

    return in_thread(lambda: trio.run(limited))


async def gather(*functions):
    """Run async *functions* at once, and return what they return or raise, in order."""
    outcomes = [None] * len(functions)

    async def run(position, function):
        try:
            outcomes[position] = await function()
        except Exception as error:  # noqa: BLE001  # an outcome like any other
            outcomes[position] = error

    async with trio.open_nursery() as nursery:
        for position, function in enumerate(functions):
            nursery.start_soon(run, position, function)
    return outcomes


class Slow:
    """Factories that let others run before they have made something."""

    def __init__(self):
        self.runs = 0
        self.errors = []

    async def make(self):
        self.runs += 1
        await trio.sleep(0.01)
        if self.errors:
            raise self.errors.pop()
        return Database()


@pytest.mark.parametrize("lifetime", ["scoped", "connection", "singleton"])
def test_tasks_that_ask_for_one_service(registry, lifetime):
    """Tasks that ask for one service run one factory, and get the same object."""
    slow = Slow()
    registry.register_factory(Database, slow.make, lifetime=lifetime)
    registry.register_factory(Repository, Repository)

    async def work():
        async with registry.container() as container:
            return await gather(
                *[lambda: container.aget(Database)] * 5, lambda: container.aget(Repository)
            )

    *databases, repository = on_trio(work)

    assert 1 == slow.runs
    assert {repository.database} == set(databases)


def test_a_failing_factory(registry):
    """A failing factory's error reaches all waiters, and is not kept."""
    slow, error = Slow(), Boom()
    slow.errors = [error]
    registry.register_factory(Database, slow.make)

    async def work():
        async with registry.container() as container:
            outcomes = await gather(*[lambda: container.aget(Database)] * 3)
            return outcomes, await container.aget(Database)

    outcomes, again = on_trio(work)

    assert [error] * 3 == outcomes
    assert Database is type(again)


@pytest.mark.parametrize("victim", [0, 1])
def test_a_cancelled_task(registry, victim):
    """A cancelled waiter disturbs no other task; a waiter takes over for a cancelled maker."""
    released, runs = trio.Event(), []

    async def make():
        runs.append("run")
        await released.wait()
        return Database()

    registry.register_factory(Database, make)
    scopes = [trio.CancelScope() for _ in range(3)]
    made = []

    async def ask(container, scope):
        with scope:
            made.append(await container.aget(Database))

    async def work():
        async with registry.container() as container:
            async with trio.open_nursery() as nursery:
                for scope in scopes:
                    nursery.start_soon(ask, container, scope)
                    await trio.testing.wait_all_tasks_blocked()
                scopes[victim].cancel()
                await trio.testing.wait_all_tasks_blocked()
                released.set()
            return await container.aget(Database)

    database = on_trio(work)

    assert [database] * 2 == made
    assert 1 + (victim == 0) == len(runs)


def test_a_task_waits_for_a_thread(registry):
    """A task waits for what a thread makes, and other tasks go on meanwhile."""
    entered, released = threading.Event(), threading.Event()

    def make():
        entered.set()
        assert released.wait(SECONDS)
        return Engine()

    registry.register_factory(Engine, make, lifetime="singleton")

    async def let_go():
        await trio.testing.wait_all_tasks_blocked(0.01)
        released.set()

    async def work():
        container = registry.container()
        return await gather(
            lambda: trio.to_thread.run_sync(container.get, Engine),
            lambda: wait_and_ask(container),
            let_go,
        )

    async def wait_and_ask(container):
        await trio.to_thread.run_sync(entered.wait)
        return await container.aget(Engine)

    made, waited, _ = on_trio(work)

    assert Engine is type(made)
    assert made is waited


def test_get_beside_a_task_of_the_same_loop(registry):
    """A `get` that would have to wait for a task of its own loop says so."""
    slow = Slow()
    registry.register_factory(Database, slow.make)

    async def work():
        container = registry.container()

        async def ask():
            await trio.lowlevel.checkpoint()
            container.get(Database)

        return await gather(lambda: container.aget(Database), ask)

    made, refused = on_trio(work)

    assert [Database, AsyncServiceError] == [type(made), type(refused)]


def test_cleanups(registry):
    """Cleanups run in reverse, each after the one before it, and may wait."""
    events = []

    def slow(name):
        async def make():
            yield name
            events.append(f"{name} begins")
            await trio.sleep(0.001)
            events.append(f"{name} ends")

        return make

    registry.register_factory(Database, slow("database"))
    registry.register_factory(Cache, slow("cache"))

    async def work():
        async with registry.container() as container:
            await container.aget(Database, Cache)

    on_trio(work)

    assert ["cache begins", "cache ends", "database begins", "database ends"] == events


@pytest.mark.parametrize("when", ["before", "during"])
def test_a_cancelled_close(registry, when):
    """A cancellation skips no cleanup: each runs, sees it, and is interrupted where it waits."""
    seen, events = [], []

    async def make():
        try:
            yield "service"
        finally:
            try:
                await trio.sleep(SECONDS)
            except trio.Cancelled:
                events.append("interrupted")
                raise
            finally:
                events.append("left")

    registry.register_factory(Database, awatching(seen))
    registry.register_factory(Cache, make)
    registry.register_factory(Session, make)

    async def work():
        with trio.move_on_after(0.02) as scope:
            async with registry.container() as container:
                await container.aget(Database, Cache, Session)
                if when == "before":
                    await trio.sleep_forever()
        return scope.cancelled_caught

    assert True is on_trio(work)
    assert ["interrupted", "left"] * 2 == events
    assert [trio.Cancelled] == list(map(type, seen))


def test_a_shielded_close(registry):
    """Within a shielded scope the cleanups of a cancelled task run to their end."""
    events = []

    async def make():
        try:
            yield "service"
        finally:
            with trio.CancelScope(shield=True):
                await trio.sleep(0.01)
                events.append("rolled back")

    registry.register_factory(Session, make)

    async def work():
        with trio.move_on_after(0.01):
            async with registry.container() as container:
                await container.aget(Session)
                await trio.sleep_forever()

    on_trio(work)

    assert ["rolled back"] == events


def test_closing_at_the_same_time(registry):
    """Each cleanup runs once if two tasks close one container."""
    events = []

    async def make():
        yield "service"
        await trio.sleep(0.01)
        events.append("left")

    registry.register_factory(Session, make)

    async def work():
        container = registry.container()
        await container.aget(Session)
        await gather(container.aclose, container.aclose)
        with pytest.raises(ContainerClosedError):
            container.get(Session)

    on_trio(work)

    assert ["left"] == events


def test_scopes_held_open(registry):
    """A service may hold a nursery open across its `yield`; its error reaches the caller."""

    async def break_down():
        await trio.sleep(0.01)
        raise Boom

    async def make():
        async with trio.open_nursery() as nursery:
            nursery.start_soon(break_down)
            yield nursery

    registry.register_factory(Session, make)

    async def work():
        async with registry.container() as container:
            await container.aget(Session)
            await trio.sleep_forever()

    with pytest.raises(ExceptionGroup) as caught:
        on_trio(work)

    assert caught.group_contains(Boom)


def test_health(registry):
    """`acheck` runs pings on trio, at once and each under its timeout."""

    async def ping(database):
        await trio.sleep(0.001)

    async def hang(cache):
        await trio.sleep_forever()

    registry.register_value(Database, Database(), ping=ping)
    registry.register_value(Cache, Cache(), ping=hang, ping_timeout=0.05)
    registry.register_value(Engine, Engine(), ping=lambda engine: None)

    async def work():
        async with registry.container() as container:
            return await acheck(container, timeout=SECONDS)

    report = on_trio(work)

    assert [True, False, True] == [service.error is None for service in report.services]


def test_a_registry():
    """A registry closes its singletons on trio."""
    events = []

    async def make():
        await trio.lowlevel.checkpoint()
        yield "engine"
        await trio.lowlevel.checkpoint()
        events.append("left")

    async def work():
        async with Registry() as registry:
            registry.register_factory(Engine, make, lifetime="singleton")
            async with registry.container() as container:
                events.append(await container.aget(Engine))

    on_trio(work)

    assert ["engine", "left"] == events
