"""Under load, acquired services are released, despite failures, cancellations and overrides."""

import asyncio
import collections
import contextlib
import random
import threading
import time

import pytest

from tests.support.deadline import in_threads
from wares import Container, Registry

THREADS = 16
TASKS = 1_000
SECONDS = 1.0


class Failure(Exception):
    """An exception raised under load, at random."""


class Engine:
    """Lives as long as the registry."""


class Connection:
    """Lives as long as the outermost container."""


class Session:
    """Lives as long as its container."""


class Repository:
    """Needs a session."""

    def __init__(self, session: Session, engine: Engine) -> None:
        self.session = session
        self.engine = engine


class Audit:
    """A service that asks its container for others."""

    def __init__(self, repository: Repository) -> None:
        self.repository = repository


class Counter:
    """Counts of acquired and released services, from any thread."""

    def __init__(self) -> None:
        self.acquired: collections.Counter = collections.Counter()
        self.released: collections.Counter = collections.Counter()
        self.twice: list = []
        self.lock = threading.Lock()

    @contextlib.contextmanager
    def hold(self, name, service):
        """Acquire *service*, and release it at the end."""
        with self.lock:
            self.acquired[name] += 1
        released = False
        try:
            yield service
        finally:
            with self.lock:
                if released:
                    self.twice.append(name)
                self.released[name] += 1


class Dice:
    """Fails now and then."""

    def __init__(self, seed, chance=0.05):
        self.random = random.Random(seed)
        self.chance = chance

    def throw(self):
        """Raise a `Failure`, now and then."""
        if self.random.random() < self.chance:
            raise Failure


def register(registry, counter, dice):
    """Register a graph whose factories fail on making, on entering and on leaving."""

    def make_engine():
        dice.throw()
        with counter.hold("engine", Engine()) as engine:
            yield engine

    def make_connection(engine: Engine):
        with counter.hold("connection", Connection()) as connection:
            yield connection
        dice.throw()

    def make_session(engine: Engine, connection: Connection):
        dice.throw()
        with counter.hold("session", Session()) as session:
            yield session
        dice.throw()

    def make_audit(container: Container):
        repository = container.get(Repository)
        with counter.hold("audit", Audit(repository)) as audit:
            yield audit

    registry.register_factory(Engine, make_engine, lifetime="singleton")
    registry.register_factory(Connection, make_connection, lifetime="connection")
    registry.register_factory(Session, make_session)
    registry.register_factory(Repository, Repository)
    registry.register_factory(Audit, make_audit)


def register_async(registry, counter, dice):
    """Register the same with async factories, which let others run in between."""

    async def make_engine():
        await asyncio.sleep(0)
        dice.throw()
        with counter.hold("engine", Engine()) as engine:
            yield engine
            await asyncio.sleep(0)

    async def make_connection(engine: Engine):
        with counter.hold("connection", Connection()) as connection:
            await asyncio.sleep(0)
            yield connection
            await asyncio.sleep(0)
        dice.throw()

    async def make_session(engine: Engine, connection: Connection):
        await asyncio.sleep(0)
        dice.throw()
        with counter.hold("session", Session()) as session:
            try:
                yield session
            finally:
                await asyncio.sleep(0.001)
        dice.throw()

    async def make_audit(container: Container):
        repository = await container.aget(Repository)
        with counter.hold("audit", Audit(repository)) as audit:
            await asyncio.sleep(0)
            yield audit

    registry.register_factory(Engine, make_engine, lifetime="singleton")
    registry.register_factory(Connection, make_connection, lifetime="connection")
    registry.register_factory(Session, make_session)
    registry.register_factory(Repository, Repository)
    registry.register_factory(Audit, make_audit)


@pytest.mark.usefixtures("busy_threads")
@pytest.mark.parametrize("seed", range(2))
def test_threads(seed):
    """16 threads, each with containers and children of its own, release all they acquired."""
    counter, dice = Counter(), Dice(seed)
    registry = Registry()
    register(registry, counter, dice)
    end = time.monotonic() + SECONDS
    engines = set()

    def work():
        rounds = 0
        while time.monotonic() < end:
            rounds += 1
            with contextlib.suppress(Failure), registry.container() as container:
                with container.child() as child:
                    audit = child.get(Audit)
                    assert audit.repository is child.get(Repository)
                    assert audit.repository.session is child.get(Session)
                    assert container.get(Connection) is child.get(Connection)
                    engines.add(audit.repository.engine)
                container.get(Audit, Session)
                dice.throw()
        return rounds

    outcomes = in_threads(*[work] * THREADS, seconds=60)
    before = counter.released["engine"]
    registry.close()

    assert [] == [outcome for outcome in outcomes if not isinstance(outcome, int)]
    assert counter.acquired["session"] > THREADS
    assert counter.acquired == counter.released
    assert [] == counter.twice
    assert (0, 1, 1) == (before, counter.acquired["engine"], len(engines))


@pytest.mark.usefixtures("busy_threads")
def test_threads_in_one_container():
    """16 threads that share containers make each service once, and release it once."""
    counter, dice = Counter(), Dice(0, chance=0)
    registry = Registry()
    register(registry, counter, dice)
    end = time.monotonic() + SECONDS
    rounds = 0
    keys = [Audit, Session, Repository, Connection]
    while time.monotonic() < end:
        rounds += 1
        container = registry.container()
        outcomes = in_threads(
            *[
                lambda it=container, number=number: it.get(
                    keys[number % 4], *keys[number % 3 :]
                )[-1]
                for number in range(THREADS)
            ]
        )
        container.close()
        assert 1 == len(set(map(id, outcomes)))
        assert {rounds} == {counter.acquired[it] for it in ("audit", "session", "connection")}
    registry.close()

    assert counter.acquired == counter.released
    assert 1 == counter.acquired["engine"]


@pytest.mark.usefixtures("busy_threads")
def test_threads_that_close_what_others_use():
    """Containers that are closed while other threads use them release all the same."""
    counter, dice = Counter(), Dice(1, chance=0.02)
    registry = Registry()
    register(registry, counter, dice)
    end = time.monotonic() + SECONDS
    unexpected = []

    def use(container):
        try:
            container.get(Audit, Connection)
        except (Failure, RuntimeError):
            pass
        except BaseException as error:  # noqa: BLE001  # an outcome like any other
            unexpected.append(error)

    def close(container):
        try:
            container.close()
        except Failure:
            pass
        except BaseException as error:  # noqa: BLE001  # an outcome like any other
            unexpected.append(error)

    while time.monotonic() < end:
        container = registry.container()
        in_threads(
            *[lambda it=container: use(it)] * 4,
            *[lambda it=container: close(it)] * 2,
        )
        close(container)
    registry.close()

    assert [] == unexpected
    assert counter.acquired == counter.released


@pytest.mark.usefixtures("busy_threads")
def test_threads_and_overrides():
    """Overrides that come and go under load leak nothing, and leave the registration in force."""
    counter, dice = Counter(), Dice(2, chance=0.02)
    registry = Registry()
    register(registry, counter, dice)
    end = time.monotonic() + SECONDS
    seen: collections.Counter = collections.Counter()

    class Fake(Session):
        pass

    def make_fake():
        with counter.hold("fake", Fake()) as fake:
            yield fake

    def make_fake_engine():
        with counter.hold("fake engine", Engine()) as engine:
            yield engine

    def work():
        while time.monotonic() < end:
            with contextlib.suppress(Failure), registry.container() as container:
                audit = container.get(Audit)
                assert audit.repository.session is container.get(Session)
                seen[type(audit.repository.session).__name__] += 1

    def wait_until_it_is_seen(name):
        before = seen[name]
        while seen[name] == before and time.monotonic() < end:
            time.sleep(0.001)

    def override():
        while time.monotonic() < end:
            with registry.override_factory(Session, make_fake):
                wait_until_it_is_seen("Fake")
                with registry.override_factory(Engine, make_fake_engine, lifetime="singleton"):
                    time.sleep(0.001)
            wait_until_it_is_seen("Session")

    outcomes = in_threads(*[work] * (THREADS - 1), override, seconds=60)
    with contextlib.suppress(Failure), registry.container() as container:
        assert Session is type(container.get(Session))
    registry.close()

    assert [None] * THREADS == outcomes
    assert {"Fake", "Session"} == set(seen)
    assert counter.acquired == counter.released


@pytest.mark.parametrize("seed", range(2))
async def test_tasks(seed):
    """1,000 tasks with containers of their own, many of them cancelled, release all."""
    counter, dice = Counter(), Dice(seed)
    registry = Registry()
    register_async(registry, counter, dice)
    chance = random.Random(seed)
    engines = set()

    async def work():
        async with registry.container() as container:
            async with container.child() as child:
                audit = await child.aget(Audit)
                assert audit.repository.session is await child.aget(Session)
                engines.add(audit.repository.engine)
            await asyncio.gather(container.aget(Audit), container.aget(Session))
            await asyncio.sleep(chance.random() * 0.01)
            dice.throw()

    tasks = [asyncio.create_task(work()) for _ in range(TASKS)]
    while pending := [task for task in tasks if not task.done()]:
        for task in chance.sample(pending, len(pending) // 10):
            task.cancel()
        await asyncio.sleep(0.002)
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    await registry.aclose()

    kinds = {type(outcome) for outcome in outcomes}
    assert kinds <= {type(None), Failure, asyncio.CancelledError}
    assert {asyncio.CancelledError, type(None)} < kinds
    assert counter.acquired["session"] > 100
    assert counter.acquired == counter.released
    assert (1, 1) == (counter.acquired["engine"], len(engines))


@pytest.mark.parametrize("seed", range(2))
async def test_tasks_in_one_container(seed):
    """1,000 tasks that share a container, many of them cancelled, make each service once."""
    counter, dice = Counter(), Dice(seed, chance=0)
    registry = Registry()
    register_async(registry, counter, dice)
    chance = random.Random(seed)
    keys = [Audit, Session, Repository, Connection, Engine]
    for _ in range(5):
        container = registry.container()
        tasks = [
            asyncio.create_task(container.aget(chance.choice(keys))) for _ in range(TASKS // 5)
        ]
        while pending := [task for task in tasks if not task.done()]:
            chance.choice(pending).cancel()
            await asyncio.sleep(0)
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        await container.aget(Audit)
        await container.aclose()
        made = [outcome for outcome in outcomes if not isinstance(outcome, BaseException)]
        assert len(set(map(id, made))) <= len(keys)
        assert {asyncio.CancelledError} >= {
            type(outcome) for outcome in outcomes if isinstance(outcome, BaseException)
        }
        # The cancellation of a maker may undo what was entered but not finished.
        assert counter.acquired["session"] == counter.released["session"]
    await registry.aclose()

    assert counter.acquired == counter.released


async def test_tasks_that_close_what_others_use():
    """Containers that are closed while tasks use them release all the same."""
    counter, dice = Counter(), Dice(0, chance=0.02)
    registry = Registry()
    register_async(registry, counter, dice)
    chance = random.Random(0)
    for _ in range(100):
        container = registry.container()
        tasks = [asyncio.create_task(container.aget(Audit, Connection)) for _ in range(10)]
        for _ in range(chance.randrange(12)):
            await asyncio.sleep(0)
        with contextlib.suppress(Failure):
            await container.aclose()
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        assert [] == [
            outcome
            for outcome in outcomes
            if isinstance(outcome, BaseException)
            and not isinstance(outcome, (Failure, RuntimeError))
        ]
    await registry.aclose()

    assert counter.acquired == counter.released


def test_threads_with_event_loops():
    """16 threads, each with an event loop and 60 tasks, share one registry's singletons."""
    counter, dice = Counter(), Dice(3)
    registry = Registry()
    register_async(registry, counter, dice)
    engines = set()

    async def work():
        async with registry.container() as container:
            audit = await container.aget(Audit)
            engines.add(audit.repository.engine)
            dice.throw()

    async def many():
        tasks = [asyncio.create_task(work()) for _ in range(60)]
        await asyncio.sleep(0.005)
        for task in tasks[::7]:
            task.cancel()
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        return {type(outcome) for outcome in outcomes}

    kinds = in_threads(*[lambda: asyncio.run(many())] * THREADS, seconds=60)
    asyncio.run(registry.aclose())

    expected = {type(None), Failure, asyncio.CancelledError}
    assert [] == [it for it in kinds if not isinstance(it, set) or not it <= expected]
    assert counter.acquired == counter.released
    assert (1, 1) == (counter.acquired["engine"], len(engines))
