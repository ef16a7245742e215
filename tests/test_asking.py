"""Factories that ask their container, as those of svcs do, in any order."""

import asyncio
import random
from collections import Counter
from contextlib import asynccontextmanager
from functools import partial

import pytest

from tests.support.deadline import in_threads
from tests.support.services import Cache, Database, Mailer, Repository, Session, Shop
from tests.support.ways import ASYNC, SYNC
from wares import ContainerClosedError


@pytest.fixture
def events():
    """A record of what has happened, in order."""
    return []


class Switch:
    """Lets through while it is on; what waits goes on when it is."""

    def __init__(self) -> None:
        self.event = asyncio.Event()
        self.event.set()

    @property
    def is_on(self) -> bool:
        return self.event.is_set()

    def __getattr__(self, name):
        return getattr(self.event, name)


@pytest.fixture
def switch():
    """A switch that is on."""
    return Switch()


def register_slow(registry, switch, events, key=Database):
    """Register a service that is made when *switch* is set."""

    async def make():
        await switch.wait()
        events.append("made")
        yield key()
        events.append("left")

    registry.register_factory(key, make)


@pytest.fixture
def tasks():
    """Tasks that factories have started."""
    return []


@pytest.fixture
def starts(registry, switch, events, tasks):
    """Register a factory that starts a task, which may outlive it; fails as *errors* says."""
    errors = []

    async def start(wares_container):
        tasks.append(asyncio.create_task(wares_container.aget(Database)))
        await (asyncio.sleep(0) if not switch.is_on else tasks[-1])
        if errors:
            raise errors[0]
        return Shop(None)

    register_slow(registry, switch, events)
    registry.register_factory(Shop, start)
    return errors


class TestOneAfterTheOther:
    async def test_services_are_shared_and_left_in_reverse(self, way, registry, events):
        """Services that factories ask for in turn are made once, and close in reverse."""

        def make_session(wares_container):
            events.append("session")
            yield Session()
            events.append("left session")

        def make_database(wares_container):
            database = Database()
            database.session = wares_container.get(Session)
            events.append("database")
            yield database
            events.append("left database")

        def make_shop(wares_container):
            shop = Shop(wares_container.get(Database))
            shop.session = wares_container.get(Session)
            return shop

        registry.register_factory(Session, make_session)
        registry.register_factory(Database, make_database)
        registry.register_factory(Shop, make_shop)
        container = registry.container()

        shop = await way.get(container, Shop)
        await way.close(container)

        assert shop.session is shop.repository.session
        assert ["session", "database", "left database", "left session"] == events

    async def test_in_async_code(self, registry, events, switch):
        """Factories may ask for services and await each of them."""
        register_slow(registry, switch, events)

        async def make_repository(wares_container):
            return Repository(await wares_container.aget(Database))

        async def make_shop(wares_container):
            return Shop(await wares_container.aget(Repository))

        registry.register_factory(Repository, make_repository)
        registry.register_factory(Shop, make_shop)

        async with registry.container() as container:
            shop = await container.aget(Shop)
            assert shop.repository is await container.aget(Repository)
            assert shop.repository.database is await container.aget(Database)

        assert ["made", "left"] == events

    async def test_within_a_step_that_is_awaited(self, registry, events, switch):
        """A synchronous factory may ask within an asynchronous graph."""
        register_slow(registry, switch, events)
        registry.register_factory(Session, Session)
        registry.register_factory(Cache, lambda wares_container: [wares_container.get(Session)])

        def make_shop(wares_container, cache: Cache, database: Database):
            events.append(wares_container.get(Mailer) is wares_container.get(Mailer))
            return Shop(cache)

        registry.register_factory(Mailer, lambda wares_container: [wares_container.get(Cache)])
        registry.register_factory(Shop, make_shop)
        events.clear()

        async with registry.container() as container:
            shop = await container.aget(Shop)
            assert [shop.repository] == container.get(Mailer)

        assert ["made", True, "left"] == events

    async def test_an_error_passes(self, way, registry):
        """The error of a service that a factory asks for arrives with the whole path."""
        errors = [ValueError("no database")]

        def make_database(wares_container):
            if errors:
                raise errors.pop()
            return Database()

        registry.register_factory(Database, make_database)
        registry.register_factory(
            Repository, lambda wares_container: [wares_container.get(Database)]
        )
        registry.register_factory(
            Shop, lambda wares_container: [wares_container.get(Repository)]
        )
        container = registry.container()

        with pytest.raises(ValueError, match="no database") as caught:
            await way.get(container, Shop)

        assert "Shop -> Repository -> Database" in caught.value.__notes__[0]
        assert isinstance((await way.get(container, Shop))[0][0], Database)
        await way.close(container)


class TestTasks:
    """Tasks of a factory belong to the making of its service, and may go on after it."""

    async def test_one_that_outlives_the_factory(self, registry, switch, events, tasks, starts):
        """A service that a task makes after its factory has ended is made once for all."""
        switch.clear()
        container = registry.container()

        await container.aget(Shop)
        others = [asyncio.create_task(container.aget(Database)) for _ in range(3)]
        await asyncio.sleep(0.01)
        switch.set()
        made = await asyncio.gather(tasks[-1], *others)
        await container.aget(Shop, Database)
        await container.aclose()

        assert [made[0]] * 4 == made
        assert ["made", "left"] == events

    async def test_one_that_outlives_a_factory_that_fails(
        self, registry, switch, events, tasks, starts
    ):
        """If a factory fails, the next `aget` makes the service again, without waiting."""
        switch.clear()
        starts.append(ValueError("no shop"))
        container = registry.container()

        for _ in range(2):
            with pytest.raises(ValueError, match="no shop"):
                await asyncio.wait_for(container.aget(Shop), 5)
        starts.clear()
        switch.set()
        made = await asyncio.gather(*tasks[-2:])
        shop = await container.aget(Shop)
        await container.aclose()

        assert made[0] is made[1]
        assert isinstance(shop, Shop)
        assert ["made", "left"] == events

    async def test_several_that_run_at_once(self, registry, switch, events):
        """Each thing is made once where tasks of one factory ask for the same things."""
        register_slow(registry, switch, events)
        register_slow(registry, switch, events, Session)

        async def make(wares_container):
            return await asyncio.gather(
                *[wares_container.aget(key) for key in (Database, Session) * 2]
            )

        registry.register_factory(Shop, make)
        switch.clear()

        async with registry.container() as container:
            task = asyncio.create_task(container.aget(Shop))
            await asyncio.sleep(0.01)
            switch.set()
            made = await task

            assert made[:2] == made[2:]
            assert made[0] is await container.aget(Database)
        assert ["made", "made", "left", "left"] == events

    async def test_one_that_is_cancelled(self, registry, switch, events):
        """After a task that made something within something was cancelled, all can be made."""
        register_slow(registry, switch, events)

        async def make(wares_container):
            return [await wares_container.aget(Database)]

        registry.register_factory(Shop, make)
        switch.clear()
        container = registry.container()

        task = asyncio.create_task(container.aget(Shop))
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        switch.set()
        shop = await container.aget(Shop)
        await container.aclose()

        assert isinstance(shop[0], Database)
        assert ["made", "left"] == events


async def test_a_closed_container_makes_nothing_within(registry, events):
    """A factory whose container was closed meanwhile gets nothing more from it."""

    def make_shop(wares_container):
        wares_container.close()
        return [wares_container.get(Database)]

    registry.register_factory(Database, lambda: events.append("made"))
    registry.register_factory(Shop, make_shop)

    with pytest.raises(ContainerClosedError):
        registry.container().get(Shop)

    assert [] == events


class Tangle:
    """Twelve services, each of whose factories asks for some of those before, in its own way."""

    def __init__(self, registry, seed):
        self.chance = random.Random(seed)
        self.keys = [type(f"Key{number}", (), {}) for number in range(12)]
        self.acquired = []
        self.released = []
        for number, key in enumerate(self.keys):
            before = self.keys[:number]
            needs = self.chance.sample(before, min(len(before), 3))
            make = self.chance.choice([self.in_turn, self.at_once, self.entered])
            registry.register_factory(key, make(key, needs))

    def acquire(self, container, key):
        service = key()
        self.acquired.append((container, key, id(service)))
        return service

    def release(self, container, key, service):
        self.released.append((container, key, id(service)))

    def in_turn(self, key, needs):
        async def make(wares_container):
            for need in needs:
                await wares_container.aget(need)
                if self.chance.random() < 0.5:
                    await asyncio.sleep(0)
            service = self.acquire(wares_container, key)
            yield service
            self.release(wares_container, key, service)

        return make

    def at_once(self, key, needs):
        async def make(wares_container):
            tasks = [asyncio.create_task(wares_container.aget(need)) for need in needs]
            try:
                await asyncio.gather(*tasks)
            finally:
                await asyncio.gather(*tasks, return_exceptions=True)
            service = self.acquire(wares_container, key)
            yield service
            self.release(wares_container, key, service)

        return make

    def entered(self, key, needs):
        @asynccontextmanager
        async def make(wares_container):
            if needs:
                await wares_container.aget(*needs)
            service = self.acquire(wares_container, key)
            yield service
            self.release(wares_container, key, service)

        def start(wares_container):
            return make(wares_container)

        return start


@pytest.mark.parametrize("seed", range(4))
async def test_tasks_that_ask_for_what_is_tangled(registry, seed):
    """If many tasks ask, and some are cancelled, services are made and cleaned up once."""
    tangle = Tangle(registry, seed)
    chance = tangle.chance
    for _ in range(60):
        container = registry.container()
        keys = [chance.choice(tangle.keys) for _ in range(20)]
        tasks = [asyncio.create_task(container.aget(key)) for key in keys]
        for _ in range(chance.randrange(6)):
            await asyncio.sleep(0)
            chance.choice(tasks).cancel()
        async with asyncio.timeout(20):
            outcomes = await asyncio.gather(*tasks, return_exceptions=True)
            again = await asyncio.gather(*[container.aget(key) for key in keys])
        await container.aclose()

        services = {
            (key, id(service))
            for key, service in zip(keys, outcomes, strict=True)
            if not isinstance(service, asyncio.CancelledError)
        }
        assert services <= {
            (key, id(service)) for key, service in zip(keys, again, strict=True)
        }

    made = Counter((id(container), key) for container, key, _ in tangle.acquired)
    assert {1} == set(made.values())
    assert sorted(map(str, tangle.acquired)) == sorted(map(str, tangle.released))


def get_each(container, keys):
    """Get services one after the other."""
    return [container.get(key) for key in keys]


@pytest.mark.usefixtures("busy_threads")
def test_threads_that_ask_for_what_is_tangled(registry):
    """Threads that share containers, whose factories ask them in turn, make each service once."""
    chance = random.Random(0)
    keys = [type(f"Key{number}", (), {}) for number in range(12)]
    made, left = [], []

    def asking(key, needs):
        def make(wares_container):
            for need in needs:
                wares_container.get(need)
            service = key()
            made.append((wares_container, key))
            yield service
            left.append((wares_container, key))

        return make

    for number, key in enumerate(keys):
        needs = chance.sample(keys[:number], min(number, 3))
        registry.register_factory(key, asking(key, needs))

    for _ in range(40):
        container = registry.container()
        orders = [chance.sample(keys, 4) for _ in range(8)]

        outcomes = in_threads(*[partial(get_each, container, order) for order in orders])

        with container:
            assert [get_each(container, order) for order in orders] == outcomes
    assert {1} == set(Counter(made).values())
    assert Counter(made) == Counter(left)


async def test_another_event_loop_within(registry, events):
    """A factory may have another thread, with a loop of its own, ask for something."""

    async def make_database():
        await asyncio.sleep(0)
        events.append("made")
        return Database()

    async def make_shop(wares_container):
        def ask():
            return asyncio.run(wares_container.aget(Database))

        return [await asyncio.to_thread(ask), await wares_container.aget(Database)]

    registry.register_factory(Database, make_database)
    registry.register_factory(Shop, make_shop)

    async with registry.container() as container:
        first, second = await container.aget(Shop)

    assert first is second
    assert ["made"] == events


class Closing:
    """A context manager by which the container is closed as it is entered."""

    def __init__(self, container, events):
        self.container, self.events = container, events

    def __enter__(self):
        self.events.append("entered")
        self.container.close()
        return self

    def __exit__(self, *_):
        self.events.append("left")


class AsyncClosing(Closing):
    """A context manager that closes its container, asynchronously."""

    __enter__ = __exit__ = None

    async def __aenter__(self):
        return Closing.__enter__(self)

    async def __aexit__(self, *_):
        self.events.append("left")


@pytest.mark.parametrize(
    ("way", "kind"), [(SYNC, Closing), (ASYNC, Closing), (ASYNC, AsyncClosing)]
)
async def test_what_closes_the_container_as_it_is_entered(way, kind, registry, events):
    """A context manager that closes its container while it is entered is exited."""

    def open_shop(wares_container):
        return kind(wares_container, events)

    registry.register_factory(Shop, open_shop)

    with pytest.raises(ContainerClosedError):
        await way.get(registry.container(), Shop)

    assert ["entered", "left"] == events
