"""Many at once: threads and tasks ask for the same and for different keys."""

import asyncio
import contextlib
import sys
import threading
import time

import pytest

from tests.support.deadline import in_loop, in_thread, in_threads, settle
from tests.support.messages import missing_parts
from tests.support.services import Cache, Database, Engine, Mailer, Repository, Session, Shop
from wares import (
    AsyncServiceError,
    CircularDependencyError,
    ContainerClosedError,
    LifetimeError,
    Registry,
    RegistryClosedError,
    WaresError,
    current_container,
)

OWNERS = ["scoped", "connection", "singleton"]


class Boom(Exception):
    """The exception of a factory."""


class Gate:
    """A factory that waits to be let on, counts its runs, and may fail."""

    def __init__(self):
        self.runs = 0
        self.cancelled = 0
        self.errors = []
        self.entered = asyncio.Event()
        self.released = asyncio.Event()

    async def make(self):
        self.runs += 1
        self.entered.set()
        try:
            await self.released.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if self.errors:
            raise self.errors.pop(0)
        return Database()


class ThreadGate:
    """A gate for threads."""

    def __init__(self):
        self.runs = 0
        self.errors = []
        self.entered = threading.Event()
        self.released = threading.Event()

    def make(self):
        self.runs += 1
        self.entered.set()
        assert self.released.wait(10)
        if self.errors:
            raise self.errors.pop(0)
        return Database()


async def start(*coroutines):
    """Start a task for each coroutine, in order, and let them run as far as they get."""
    tasks = []
    for coroutine in coroutines:
        tasks.append(asyncio.create_task(coroutine))
        await settle()
    return tasks


async def outcomes_of(tasks):
    """Wait for *tasks*, but not for ever, and return what they return or raise."""
    async with asyncio.timeout(5):
        return await asyncio.gather(*tasks, return_exceptions=True)


class TestTasks:
    """Tasks that ask for one key run one factory, and get the same object."""

    @pytest.mark.parametrize("lifetime", OWNERS)
    async def test_one_run_for_all(self, registry, lifetime):
        """N concurrent `aget` of one key run one factory, and all get the same object."""
        gate = Gate()
        registry.register_factory(Database, gate.make, lifetime=lifetime)
        container = registry.container()
        tasks = await start(*[container.aget(Database) for _ in range(20)])
        gate.released.set()

        services = await outcomes_of(tasks)

        assert 1 == gate.runs
        assert {Database} == set(map(type, services))
        assert 1 == len(set(map(id, services)))

    async def test_a_singleton_for_many_containers(self, registry):
        """N containers that ask for one singleton at once get the same object."""
        gate = Gate()
        registry.register_factory(Database, gate.make, lifetime="singleton")
        registry.register_factory(Repository, Repository)
        containers = [registry.container() for _ in range(20)]
        tasks = await start(*[container.aget(Repository) for container in containers])
        gate.released.set()

        repositories = await outcomes_of(tasks)

        assert 1 == gate.runs
        assert 20 == len(set(map(id, repositories)))
        assert 1 == len({id(repository.database) for repository in repositories})

    async def test_a_connection_for_many_children(self, registry, container):
        """N children that ask for one connection's service at once get the same object."""
        gate = Gate()
        registry.register_factory(Database, gate.make, lifetime="connection")
        children = [container.child() for _ in range(20)]
        tasks = await start(*[child.aget(Database) for child in children])
        gate.released.set()

        services = await outcomes_of(tasks)

        assert (1, 1) == (gate.runs, len(set(map(id, services))))

    async def test_a_need_of_two(self, registry):
        """Two different keys that need one service, asked for at once, share it."""
        gate = Gate()
        registry.register_factory(Database, gate.make)
        registry.register_factory(Repository, Repository)
        registry.register_factory(Shop, Shop)
        registry.register_factory(Cache, lambda wares_container: [wares_container])
        registry.register_factory("other", Repository)
        container = registry.container()
        tasks = await start(
            container.aget(Shop),
            container.aget("other"),
            container.aget(Database),
            container.aget(Repository),
        )
        gate.released.set()

        shop, other, database, repository = await outcomes_of(tasks)

        assert 1 == gate.runs
        assert [database] * 3 == [
            shop.repository.database,
            other.database,
            repository.database,
        ]
        assert shop.repository is repository

    async def test_a_cancelled_waiter(self, registry):
        """One waiter cancelled cancels neither the maker nor the others."""
        gate = Gate()
        registry.register_factory(Database, gate.make)
        container = registry.container()
        tasks = await start(*[container.aget(Database) for _ in range(4)])
        tasks[2].cancel()
        await settle()
        gate.released.set()

        first, second, cancelled, third = await outcomes_of(tasks)

        assert asyncio.CancelledError is type(cancelled)
        assert Database is type(first)
        assert [first, first] == [second, third]
        assert (1, 0) == (gate.runs, gate.cancelled)

    async def test_all_waiters_cancelled(self, registry, container):
        """A maker goes on though all its waiters are gone."""
        gate = Gate()
        registry.register_factory(Database, gate.make)
        tasks = await start(*[container.aget(Database) for _ in range(4)])
        for task in tasks[1:]:
            task.cancel()
        await settle()
        gate.released.set()

        made, *cancelled = await outcomes_of(tasks)

        assert Database is type(made)
        assert {asyncio.CancelledError} == set(map(type, cancelled))
        assert made is container.get(Database)

    @pytest.mark.parametrize("lifetime", OWNERS)
    async def test_a_cancelled_maker(self, registry, lifetime):
        """If the task that makes a service is cancelled, one of the waiters makes it."""
        gate = Gate()
        registry.register_factory(Database, gate.make, lifetime=lifetime)
        container = registry.container()
        tasks = await start(*[container.aget(Database) for _ in range(5)])
        tasks[0].cancel()
        await settle()
        gate.released.set()

        cancelled, *services = await outcomes_of(tasks)

        assert asyncio.CancelledError is type(cancelled)
        assert {Database} == set(map(type, services))
        assert 1 == len(set(map(id, services)))
        assert (2, 1) == (gate.runs, gate.cancelled)

    async def test_one_cancelled_maker_after_the_other(self, registry, container):
        """Every next maker may be cancelled as well; the last one makes the service."""
        gate = Gate()
        registry.register_factory(Database, gate.make)
        tasks = {asyncio.create_task(container.aget(Database)): number for number in range(5)}
        for run in range(1, 5):
            await settle()
            assert run == gate.runs
            gate.entered.clear()
            running = next(task for task in tasks if not task.done())
            running.cancel()
        await settle()
        gate.released.set()

        *cancelled, made = await outcomes_of(tasks)

        assert [asyncio.CancelledError] * 4 == list(map(type, cancelled))
        assert made is container.get(Database)
        assert 5 == gate.runs

    async def test_a_cancelled_maker_without_waiters(self, registry):
        """After a cancelled task without waiters, the next `aget` makes the service."""
        gate = Gate()
        registry.register_factory(Database, gate.make)
        registry.register_factory(Repository, Repository)
        container = registry.container()
        (task,) = await start(container.aget(Repository))
        task.cancel()
        await settle()
        gate.released.set()

        repository = await container.aget(Repository)

        assert task.cancelled()
        assert repository.database is container.get(Database)
        assert (2, 1) == (gate.runs, gate.cancelled)

    async def test_maker_and_all_waiters_cancelled(self, registry, container):
        """If all tasks are cancelled, the next one that asks makes the service."""
        gate = Gate()
        registry.register_factory(Database, gate.make)
        tasks = await start(*[container.aget(Database) for _ in range(4)])
        for task in tasks:
            task.cancel()
        outcomes = await outcomes_of(tasks)
        gate.released.set()

        made = await container.aget(Database)

        assert [asyncio.CancelledError] * 4 == list(map(type, outcomes))
        assert made is container.get(Database)

    async def test_a_waiter_cancelled_as_it_is_called_to_be_the_maker(
        self, registry, container
    ):
        """A waiter that is cancelled in the moment it would take over passes the turn on."""
        gate = Gate()
        registry.register_factory(Database, gate.make)
        tasks = await start(*[container.aget(Database) for _ in range(4)])
        tasks[0].cancel()
        tasks[1].cancel()
        await settle()
        gate.released.set()

        outcomes = await outcomes_of(tasks)

        assert [asyncio.CancelledError] * 2 == list(map(type, outcomes[:2]))
        assert outcomes[2] is outcomes[3] is container.get(Database)

    async def test_what_a_cancelled_maker_had_made(self, registry):
        """Needs that were finished before the maker was cancelled are kept and cleaned up once."""
        events = []
        gate = Gate()

        def make_cache():
            events.append("entered")
            yield Cache()
            events.append("left")

        def make(cache: Cache, database: Database):
            return [cache, database]

        registry.register_factory(Cache, make_cache)
        registry.register_factory(Database, gate.make)
        registry.register_factory("both", make)
        container = registry.container()
        tasks = await start(container.aget("both"), container.aget("both"))
        tasks[0].cancel()
        await settle()
        gate.released.set()
        _, (cache, _) = await outcomes_of(tasks)
        kept = container.get(Cache)
        await container.aclose()

        assert cache is kept
        assert ["entered", "left"] == events

    @pytest.mark.parametrize("lifetime", OWNERS)
    async def test_a_failing_factory(self, registry, lifetime):
        """A failing factory's error reaches all waiters, and is not kept."""
        gate = Gate()
        registry.register_factory(Database, gate.make, lifetime=lifetime)
        error = Boom()
        gate.errors = [error]
        container = registry.container()
        tasks = await start(*[container.aget(Database) for _ in range(5)])
        gate.released.set()

        outcomes = await outcomes_of(tasks)

        assert [error] * 5 == outcomes
        assert 1 == gate.runs
        assert Database is type(await container.aget(Database))

    async def test_a_failing_need(self, registry, container):
        """The error of a need reaches all tasks that wait for services that need it."""
        gate = Gate()
        error = Boom()
        gate.errors = [error]
        registry.register_factory(Database, gate.make)
        registry.register_factory(Repository, Repository)
        registry.register_factory(Shop, Shop)
        tasks = await start(
            *[container.aget(key) for key in (Shop, Repository, Shop, Database)]
        )
        gate.released.set()

        outcomes = await outcomes_of(tasks)

        assert [error] * 4 == outcomes
        assert Shop is type(await container.aget(Shop))

    async def test_a_factory_that_fails_after_all_waiters_went(self, registry, container):
        """If no task waits any more, the error reaches only the task that made the service."""
        gate = Gate()
        error = Boom()
        gate.errors = [error]
        registry.register_factory(Database, gate.make)
        tasks = await start(*[container.aget(Database) for _ in range(3)])
        for task in tasks[1:]:
            task.cancel()
        await settle()
        gate.released.set()

        outcomes = await outcomes_of(tasks)

        assert [Boom, *[asyncio.CancelledError] * 2] == list(map(type, outcomes))

    async def test_a_factory_that_raises_a_cancellation_of_its_own(self, registry, container):
        """A `CancelledError` of a factory ends only its task, and the waiters try themselves."""
        gate = Gate()
        gate.errors = [asyncio.CancelledError()]
        registry.register_factory(Database, gate.make)
        tasks = await start(*[container.aget(Database) for _ in range(3)])
        gate.released.set()

        first, *others = await outcomes_of(tasks)

        assert asyncio.CancelledError is type(first)
        assert [container.get(Database)] * 2 == others

    async def test_a_maker_that_is_torn_down(self, registry, container):
        """An error that is no `Exception` ends only its task, and the waiters try themselves."""

        class Stop(BaseException):
            pass

        gate = Gate()
        gate.errors = [Stop()]
        registry.register_factory(Database, gate.make)
        tasks = await start(*[container.aget(Database) for _ in range(3)])
        gate.released.set()

        first, *others = await outcomes_of(tasks)

        assert Stop is type(first)
        assert [container.get(Database)] * 2 == others

    @pytest.mark.skipif(sys.version_info < (3, 12), reason="there are no eager tasks yet")
    async def test_eager_tasks(self, registry):
        """Tasks that begin at once share what they make like others."""
        gate = Gate()
        registry.register_factory(Database, gate.make)
        registry.register_factory(Repository, Repository)
        container = registry.container()
        asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)
        tasks = await start(*[container.aget(Repository) for _ in range(5)])
        tasks[0].cancel()
        await settle()
        gate.released.set()

        cancelled, *services = await outcomes_of(tasks)

        assert asyncio.CancelledError is type(cancelled)
        assert [container.get(Repository)] * 4 == services
        assert (2, 1) == (gate.runs, gate.cancelled)

    async def test_a_timeout_around_the_maker(self, registry, container):
        """`asyncio.timeout` around `aget` ends that `aget` and no other."""
        gate = Gate()
        registry.register_factory(Database, gate.make)

        async def impatient():
            async with asyncio.timeout(0.01):
                await container.aget(Database)

        first, second = await start(impatient(), container.aget(Database))
        await asyncio.wait([first], timeout=5)
        gate.released.set()

        outcomes = await outcomes_of([first, second])

        assert [TimeoutError, Database] == list(map(type, outcomes))

    async def test_transient_services_are_not_shared(self, registry):
        """Concurrent `aget` of a transient service make one each."""
        gate = Gate()
        registry.register_factory(Database, gate.make, lifetime="transient")
        container = registry.container()
        tasks = await start(*[container.aget(Database) for _ in range(5)])
        gate.released.set()

        services = await outcomes_of(tasks)

        assert (5, 5) == (gate.runs, len(set(map(id, services))))

    async def test_each_key_once_in_a_random_crowd(self, registry):
        """Any mixture of concurrent `aget` calls makes each service once."""
        runs = []

        def counted(key, *needed_keys):
            async def make(**needs):
                runs.append(key)
                await asyncio.sleep(0)
                return [key]

            names = [f"need_{number}" for number in range(len(needed_keys))]
            namespace: dict = {"make": make}
            arguments = ", ".join(names)
            exec(f"async def factory({arguments}): return await make()", namespace)
            namespace["factory"].__annotations__ = dict(zip(names, needed_keys, strict=True))
            return namespace["factory"]

        keys = [type(f"Key{number}", (), {}) for number in range(10)]
        for number, key in enumerate(keys):
            registry.register_factory(key, counted(key, *keys[max(0, number - 3) : number]))
        container = registry.container()

        await outcomes_of([container.aget(key) for key in keys[::-1] + keys])

        assert sorted(map(repr, keys)) == sorted(map(repr, runs))


class TestInParallel:
    """Different keys are made in parallel."""

    async def test_different_keys(self, registry):
        """Different keys are made in parallel: one factory may wait for what another does."""
        first, second = asyncio.Event(), asyncio.Event()

        async def make_database():
            first.set()
            await second.wait()
            return Database()

        async def make_cache():
            second.set()
            await first.wait()
            return Cache()

        registry.register_factory(Database, make_database)
        registry.register_factory(Cache, make_cache)
        container = registry.container()

        services = await outcomes_of([container.aget(Database), container.aget(Cache)])

        assert [Database, Cache] == list(map(type, services))

    async def test_different_singletons(self, registry):
        """Different singletons are made in parallel."""
        both = asyncio.Barrier(2)

        async def make():
            await both.wait()
            return object()

        registry.register_factory(Database, make, lifetime="singleton")
        registry.register_factory(Cache, make, lifetime="singleton")
        services = await outcomes_of(
            [registry.container().aget(key) for key in (Database, Cache)]
        )

        assert [object, object] == list(map(type, services))

    async def test_different_containers(self, registry):
        """Different containers make the same key in parallel."""
        both = asyncio.Barrier(2)

        async def make():
            await both.wait()
            return Database()

        registry.register_factory(Database, make)

        services = await outcomes_of(
            [registry.container().aget(Database), registry.container().aget(Database)]
        )

        assert [Database, Database] == list(map(type, services))
        assert services[0] is not services[1]

    def test_different_keys_in_threads(self, registry):
        """Threads make different keys of one container in parallel."""
        both = threading.Barrier(2)

        def make():
            both.wait(10)
            return object()

        registry.register_factory(Database, make)
        registry.register_factory(Cache, make)
        container = registry.container()

        services = in_threads(lambda: container.get(Database), lambda: container.get(Cache))

        assert [object, object] == list(map(type, services))

    def test_different_singletons_in_threads(self, registry):
        """Threads make different singletons in parallel."""
        both = threading.Barrier(2)

        def make():
            both.wait(10)
            return object()

        registry.register_factory(Database, make, lifetime="singleton")
        registry.register_factory(Cache, make, lifetime="singleton")

        services = in_threads(
            lambda: registry.container().get(Database),
            lambda: registry.container().get(Cache),
        )

        assert [object, object] == list(map(type, services))

    def test_opposite_orders(self, registry):
        """Threads that need the same two services in opposite orders do not wait for ever."""
        made = []

        def make_first(first: Database, second: Cache):
            return [first, second]

        def make_second(second: Cache, first: Database):
            return [first, second]

        both = threading.Barrier(2)

        def slow(kind):
            def make():
                with contextlib.suppress(threading.BrokenBarrierError):
                    both.wait(0.05)
                made.append(kind)
                return kind()

            return make

        registry.register_factory(Database, slow(Database))
        registry.register_factory(Cache, slow(Cache))
        registry.register_factory("first", make_first)
        registry.register_factory("second", make_second)
        container = registry.container()

        first, second = in_threads(
            lambda: container.get("first"), lambda: container.get("second")
        )

        assert first == second == list(container.get(Database, Cache))
        assert 2 == len(made)


class TestThreads:
    """Threads that ask for one key run one factory, and get the same object."""

    @pytest.mark.parametrize("lifetime", OWNERS)
    def test_one_run_for_all(self, lifetime):
        """N concurrent `get` of one key run one factory, and all get the same object."""
        registry = Registry()
        gate = ThreadGate()
        registry.register_factory(Database, gate.make, lifetime=lifetime)
        container = registry.container()

        def release():
            assert gate.entered.wait(10)
            time.sleep(0.02)  # only makes it likelier that the others wait already
            gate.released.set()

        *services, _ = in_threads(*[lambda: container.get(Database)] * 8, release)

        assert 1 == gate.runs
        assert {Database} == set(map(type, services))
        assert 1 == len(set(map(id, services)))
        registry.close()

    @pytest.mark.usefixtures("busy_threads")
    @pytest.mark.parametrize("lifetime", OWNERS)
    def test_a_race_for_a_quick_factory(self, lifetime):
        """Threads that race for a quick factory get one object."""
        rounds = []
        for _ in range(30):
            registry = Registry()
            runs = []
            registry.register_factory(
                Database, lambda runs=runs: runs.append(1) or Database(), lifetime=lifetime
            )
            registry.register_factory(Repository, Repository)
            container = registry.container()
            outcomes = in_threads(*[lambda it=container: it.get(Repository, Database)] * 4)
            repositories = {id(repository) for repository, _ in outcomes}
            databases = {id(database) for _, database in outcomes}
            databases |= {id(repository.database) for repository, _ in outcomes}
            rounds.append((len(runs), len(repositories), len(databases)))

        assert [(1, 1, 1)] * 30 == rounds

    @pytest.mark.usefixtures("busy_threads")
    def test_a_singleton_for_many_containers(self):
        """Threads with containers of their own get one singleton."""
        for _ in range(30):
            registry = Registry()
            runs = []
            registry.register_factory(
                Database, lambda runs=runs: runs.append(1) or Database(), lifetime="singleton"
            )
            registry.register_factory(Repository, Repository, lifetime="singleton")
            outcomes = in_threads(
                *[lambda it=registry: it.container().get(Repository, Database)] * 4
            )

            assert [1] == runs
            assert 1 == len({id(repository) for repository, _ in outcomes})
            assert 1 == len({id(database) for _, database in outcomes})

    def test_a_failing_factory(self, registry):
        """A failing factory's error reaches all waiting threads, and is not kept."""
        gate = ThreadGate()
        registry.register_factory(Database, gate.make)
        error = Boom()
        gate.errors = [error]
        container = registry.container()

        def release():
            assert gate.entered.wait(10)
            time.sleep(0.05)  # lets the others wait already; those that do not try again
            gate.released.set()

        *outcomes, _ = in_threads(*[lambda: container.get(Database)] * 4, release)

        succeeded = [outcome for outcome in outcomes if isinstance(outcome, Database)]
        failed = [outcome for outcome in outcomes if outcome is error]
        assert 4 == len(succeeded) + len(failed)
        assert len(failed) >= 1
        assert gate.runs == 1 + bool(succeeded)
        assert Database is type(container.get(Database))

    def test_each_thread_its_container(self, registry):
        """Threads with containers of their own do not meet."""
        registry.register_factory(Database, Database)
        registry.register_factory(Repository, Repository)
        registry.register_factory(Shop, Shop)

        def work():
            shops = []
            for _ in range(200):
                with registry.container() as container:
                    shop = container.get(Shop)
                    assert shop.repository.database is container.get(Database)
                    shops.append(shop)
            return shops

        outcomes = in_threads(*[work] * 4)

        assert 800 == len({id(shop) for shops in outcomes for shop in shops})

    @pytest.mark.usefixtures("busy_threads")
    def test_registering_at_the_same_time(self, registry):
        """Registrations and uses may come from different threads at once."""
        stop = threading.Event()

        def make_repository(database: Database):
            return [database]

        registry.register_factory(Database, lambda: 0)
        registry.register_factory(Repository, make_repository)

        def register():
            for number in range(1, 300):
                registry.register_factory(Database, lambda number=number: number)
                registry.register_value(f"other {number}", number)
            stop.set()

        def work():
            last = 0
            while not stop.is_set():
                with registry.container() as container:
                    (seen,) = container.get(Repository)
                    assert last <= seen
                    last = seen
            with registry.container() as container:
                return container.get(Repository)

        outcomes = in_threads(register, work, work)

        assert [None, [299], [299]] == outcomes


class TestThreadsAndTasks:
    """One container, used by threads and by an event loop at once."""

    @pytest.mark.parametrize("lifetime", OWNERS)
    def test_a_thread_waits_for_a_task(self, registry, lifetime):
        """A thread's `get` waits for what a task is making."""
        events = {"entered": threading.Event(), "asked": threading.Event()}

        async def make():
            events["entered"].set()
            await asyncio.to_thread(events["asked"].wait, 10)
            await asyncio.sleep(0.02)
            return Database()

        registry.register_factory(Database, make, lifetime=lifetime)
        container = registry.container()

        def thread():
            assert events["entered"].wait(10)
            events["asked"].set()
            return container.get(Database)

        made, waited = in_threads(lambda: asyncio.run(container.aget(Database)), thread)

        assert Database is type(made)
        assert made is waited

    @pytest.mark.parametrize("lifetime", OWNERS)
    def test_a_task_waits_for_a_thread(self, registry, lifetime):
        """A task's `aget` waits for what a thread is making, and its loop goes on meanwhile."""
        gate = ThreadGate()
        registry.register_factory(Database, gate.make, lifetime=lifetime)
        container = registry.container()

        async def work():
            while not gate.entered.is_set():
                await asyncio.sleep(0.001)
            task = asyncio.create_task(container.aget(Database))
            await settle()
            assert not task.done()
            gate.released.set()
            async with asyncio.timeout(10):
                return await task

        made, waited = in_threads(lambda: container.get(Database), lambda: asyncio.run(work()))

        assert Database is type(made)
        assert made is waited

    async def test_get_beside_a_task_of_the_same_loop(self, registry):
        """A `get` for what another task of its loop is entering cannot wait, and says so."""
        gate = Gate()

        class Connecting:
            async def __aenter__(self):
                return await gate.make()

            async def __aexit__(self, *_):
                pass

        registry.register_factory(Database, lambda: Connecting())
        registry.register_factory(Repository, Repository)
        container = registry.container()
        task = asyncio.create_task(container.aget(Repository))
        await gate.entered.wait()

        with pytest.raises(AsyncServiceError, match="another task") as caught:
            container.get(Database)

        gate.released.set()
        assert (await task).database is container.get(Database)
        assert Database is caught.value.key
        assert 1 == gate.runs
        await container.aclose()

    def test_two_event_loops(self, registry):
        """Tasks of two event loops share one singleton."""
        entered = threading.Event()
        runs = []

        async def make():
            runs.append(1)
            entered.set()
            await asyncio.sleep(0.05)
            return Database()

        registry.register_factory(Database, make, lifetime="singleton")

        async def first():
            return await registry.container().aget(Database)

        async def second():
            await asyncio.to_thread(entered.wait, 10)
            return await registry.container().aget(Database)

        services = in_threads(lambda: asyncio.run(first()), lambda: asyncio.run(second()))

        assert [1] == runs
        assert services[0] is services[1]
        assert Database is type(services[0])

    def test_a_cancelled_task_wakes_a_waiting_thread(self, registry):
        """A thread that waits for a task wakes when the task is cancelled."""
        entered, asked = threading.Event(), threading.Event()
        runs = []

        async def make():
            runs.append(1)
            if len(runs) > 1:
                return Database()
            entered.set()
            await asyncio.Event().wait()
            return None

        registry.register_factory(Database, make)
        container = registry.container()

        async def cancelled():
            task = asyncio.create_task(container.aget(Database))
            await asyncio.to_thread(asked.wait, 10)
            await asyncio.sleep(0.02)
            task.cancel()
            await asyncio.wait([task])
            return task.cancelled()

        def thread():
            assert entered.wait(10)
            asked.set()
            return container.get(Database)

        was_cancelled, outcome = in_threads(lambda: asyncio.run(cancelled()), thread)

        assert True is was_cancelled
        assert isinstance(outcome, WaresError)  # the thread cannot make an async service

    def test_get_in_the_loop_of_the_maker(self, registry):
        """`get` of what a task of the same thread is making is an error, never a deadlock."""
        gate = Gate()
        registry.register_factory(Database, gate.make)
        container = registry.container()

        async def work():
            (task,) = await start(container.aget(Database))
            try:
                container.get(Database)
            except WaresError as error:
                return error
            finally:
                gate.released.set()
                await task
            return None

        error = in_loop(work)

        assert isinstance(error, WaresError)
        assert [] == missing_parts(str(error), "Database", "aget")

    def test_get_of_a_singleton_in_the_loop_of_the_maker(self, registry):
        """`get` of a singleton that another container of the same loop makes is an error."""
        gate = Gate()
        registry.register_factory(Database, gate.make, lifetime="singleton")

        async def work():
            (task,) = await start(registry.container().aget(Database))
            try:
                registry.container().get(Database)
            except WaresError as error:
                return error
            finally:
                gate.released.set()
                await task
            return None

        assert isinstance(in_loop(work), WaresError)

    def test_a_sync_need_in_the_loop_of_the_maker(self, registry):
        """`get` of a sync service that an `aget` of the same loop makes is an error."""
        entered = asyncio.Event()
        released = asyncio.Event()

        async def make_database():
            entered.set()
            await released.wait()
            return Database()

        registry.register_factory(Database, make_database)
        registry.register_factory(Repository, Repository)
        registry.register_factory(Shop, Shop)

        async def work():
            container = registry.container()
            (task,) = await start(container.aget(Shop))
            try:
                container.get(Repository)
            except WaresError as error:
                return error
            finally:
                released.set()
                await task
            return None

        assert isinstance(in_loop(work), WaresError)


class TestWithoutACircle:
    """A loop that is blocked by one of its tasks makes a deadlock where there is no circle."""

    @pytest.mark.parametrize("kind", ["in a factory", "in a coroutine"])
    def test_get_that_waits_for_its_own_loop_through_a_thread(self, registry, kind):
        """A `get` that would wait, through a thread, for a task of the loop it blocks is refused.

        A thread makes S. A task has begun B, and awaits S. Another thread has begun C, and waits
        for B. Then another task of that loop asks for C.
        """
        begun = {key: threading.Event() for key in "SBC"}
        released = threading.Event()

        def make_s():
            begun["S"].set()
            assert released.wait(10)
            return "s"

        async def make_b(wares_container):
            begun["B"].set()
            return [await wares_container.aget("S")]

        def make_c(wares_container):
            begun["C"].set()
            return [wares_container.get("B")]

        registry.register_factory("S", make_s, lifetime="singleton")
        registry.register_factory("B", make_b)
        registry.register_factory("C", make_c)
        registry.register_factory("D", asking("C"))
        container = registry.container()

        def wait_and_get(event, key):
            assert begun[event].wait(10)
            time.sleep(0.02)  # only makes it likelier that the other waits already
            return container.get(key)

        async def ask():
            return await container.aget("D") if kind == "in a factory" else container.get("C")

        async def work():
            await asyncio.to_thread(begun["S"].wait, 10)
            first = asyncio.create_task(container.aget("B"))
            await asyncio.to_thread(begun["C"].wait, 10)
            await asyncio.sleep(0.05)  # lets the thread wait for B
            second = asyncio.create_task(ask())
            await asyncio.wait([second], timeout=5)
            released.set()
            return await asyncio.gather(first, second, return_exceptions=True)

        made_s, (made_b, refused), made_c = in_threads(
            lambda: container.get("S"),
            lambda: asyncio.run(work()),
            lambda: wait_and_get("B", "C"),
        )

        assert ("s", ["s"], [["s"]]) == (made_s, made_b, made_c)
        assert AsyncServiceError is type(refused)
        assert container.get("D") == [[["s"]]]

    def test_get_that_waits_for_another_thread(self, registry):
        """A `get` in a coroutine waits for a thread that needs nothing from its loop."""
        gate = ThreadGate()
        registry.register_factory(Database, gate.make)
        container = registry.container()

        async def work():
            await asyncio.to_thread(gate.entered.wait, 10)
            threading.Timer(0.05, gate.released.set).start()
            return container.get(Database)

        made, waited = in_threads(lambda: container.get(Database), lambda: asyncio.run(work()))

        assert Database is type(made)
        assert made is waited


def asking(*keys):
    """Return a factory that asks its container for *keys*."""

    def make(wares_container):
        return list(map(wares_container.get, keys))

    return make


def aasking(*keys):
    """Return an async factory that asks its container for *keys*."""

    async def make(wares_container):
        return [await wares_container.aget(key) for key in keys]

    return make


# Where the stack is full, what other tests have left could not end.
@pytest.mark.usefixtures("unattended")
class TestCycles:
    """A circle is found at run time, also across threads and tasks."""

    @pytest.fixture(params=["declared", "asked for"])
    def needing(self, request, way):
        """A factory that needs keys, declared by annotations or asked for in the body."""
        if request.param == "asked for":
            return aasking if way.is_async else asking

        def needing(key):
            if way.is_async:

                async def make(need):
                    return [need]

            else:

                def make(need):
                    return [need]

            make.__annotations__ = {"need": key}
            return make

        return needing

    @pytest.mark.parametrize("lifetime", [*OWNERS, "transient"])
    @pytest.mark.parametrize("length", [1, 2, 3, 10])
    async def test_a_cycle(self, way, registry, container, needing, lifetime, length):
        """A cycle is an error that shows the path; the container goes on working."""
        keys = [type(f"Key{number}", (), {}) for number in range(length)]
        for number, key in enumerate(keys):
            needed_key = keys[(number + 1) % length]
            registry.register_factory(key, needing(needed_key), lifetime=lifetime)

        for _ in range(2):
            with pytest.raises(CircularDependencyError) as caught:
                await way.get(container, keys[0])

            assert (*keys, keys[0]) == caught.value.path
            assert [] == missing_parts(str(caught.value), *[key.__name__ for key in keys])

        registry.register_factory(keys[-1], lambda: "mended", lifetime=lifetime)
        expected: object = "mended"
        for _ in range(length - 1):
            expected = [expected]
        assert expected == await way.get(container, keys[0])

    async def test_a_cycle_behind_a_straight_way(self, way, registry, container, needing):
        """The path shows the circle itself, wherever it was entered."""
        registry.register_factory("start", needing(Database))
        registry.register_factory(Database, needing(Cache))
        registry.register_factory(Cache, needing(Mailer))
        registry.register_factory(Mailer, needing(Cache))

        with pytest.raises(CircularDependencyError) as caught:
            await way.get(container, "start")

        path = caught.value.path
        assert (Cache, Mailer, Cache) == path[path.index(Cache) :]

    async def test_a_cycle_that_comes_late(self, way, registry, needing):
        """A registration that closes a circle is noticed also after use."""
        registry.register_factory(Database, lambda: "database")
        registry.register_factory(Cache, needing(Database))
        registry.register_factory(Mailer, needing(Cache))
        with registry.container() as container:
            await way.get(container, Mailer)
        registry.register_factory(Database, needing(Mailer))

        with registry.container() as container, pytest.raises(CircularDependencyError):
            await way.get(container, Mailer)

    async def test_a_long_cycle(self, way, registry, container):
        """A circle of 2,000 declared factories is no `RecursionError`."""
        keys = [type(f"Key{number}", (), {}) for number in range(2_000)]
        for number, key in enumerate(keys):

            def make(need):
                return [need]

            make.__annotations__ = {"need": keys[number - 1]}
            registry.register_factory(key, make)

        with pytest.raises(CircularDependencyError):
            await way.get(container, keys[0])

    async def test_a_cycle_of_lifetimes(self, way, registry, container, needing):
        """A circle through services of several owners is found, too."""
        registry.register_factory(Database, needing(Cache), lifetime="singleton")
        registry.register_factory(Cache, needing(Mailer), lifetime="connection")
        registry.register_factory(Mailer, needing(Database))

        with pytest.raises((CircularDependencyError, LifetimeError)):
            await way.get(container.child(), Mailer)

    async def test_a_diamond_is_none(self, way, registry, container):
        """A service that is needed twice is no circle."""
        ask = aasking if way.is_async else asking
        registry.register_factory(Database, lambda: "database")
        registry.register_factory(Cache, ask(Database))
        registry.register_factory(Mailer, ask(Database, Cache))
        registry.register_factory(Engine, ask(Mailer, Cache, Database))

        assert [["database", ["database"]], ["database"], "database"] == await way.get(
            container, Engine
        )

    async def test_the_same_key_in_two_containers_is_none(self, way, registry):
        """A factory may open a container of its own, and ask that one for its own key."""
        depth = []

        async def amake(wares_container):
            depth.append(1)
            if len(depth) == 3:
                return "innermost"
            async with wares_container.registry.container() as inner:
                return await inner.aget(Session)

        def make(wares_container):
            depth.append(1)
            if len(depth) == 3:
                return "innermost"
            with wares_container.registry.container() as inner:
                return inner.get(Session)

        registry.register_factory(Session, amake if way.is_async else make)

        with registry.container() as container:
            assert "innermost" == await way.get(container, Session)

    async def test_a_child_that_asks_its_parent_is_none(self, way, registry, container):
        """A child's service may ask the parent for the parent's own."""

        async def amake(wares_container):
            return "child's" if wares_container is child else "parent's"

        registry.register_factory(Session, amake)
        child = container.child()
        child.register_local_factory(Session, aasking_in(container, Session))

        assert ["parent's"] == await child.aget(Session)

    @pytest.mark.parametrize("lifetime", OWNERS)
    async def test_across_tasks(self, registry, lifetime):
        """Two tasks that come from both ends of a circle do not wait for each other."""
        both = asyncio.Barrier(2)

        def meeting(key):
            async def make(wares_container):
                await both.wait()
                return [await wares_container.aget(key)]

            return make

        registry.register_factory(Database, meeting(Cache), lifetime=lifetime)
        registry.register_factory(Cache, meeting(Database), lifetime=lifetime)
        container = registry.container()

        outcomes = await outcomes_of([container.aget(Database), container.aget(Cache)])

        assert [CircularDependencyError] * 2 == list(map(type, outcomes))
        assert [] == missing_parts(str(outcomes[0]), "Database", "Cache")

    async def test_across_three_tasks(self, registry, container):
        """A circle of three tasks is found as well."""
        everybody = asyncio.Barrier(3)

        def meeting(key):
            async def make(wares_container):
                await everybody.wait()
                return [await wares_container.aget(key)]

            return make

        registry.register_factory(Database, meeting(Cache))
        registry.register_factory(Cache, meeting(Mailer))
        registry.register_factory(Mailer, meeting(Database))

        outcomes = await outcomes_of([container.aget(key) for key in (Database, Cache, Mailer)])

        assert [CircularDependencyError] * 3 == list(map(type, outcomes))

    async def test_across_declared_needs(self, registry, container):
        """A circle of declared needs that two tasks enter at both ends is found."""

        async def make_mailer():
            await asyncio.sleep(0)
            return "mailer"

        async def make_first(first: Mailer, second: Cache):
            return [first, second]

        async def make_second(first: Mailer, second: Database):
            return [first, second]

        registry.register_factory(Mailer, make_mailer)
        registry.register_factory(Database, make_first)
        registry.register_factory(Cache, make_second)

        outcomes = await outcomes_of([container.aget(Database), container.aget(Cache)])

        assert {CircularDependencyError} == set(map(type, outcomes))

    async def test_across_a_gather(self, registry, container):
        """A factory that gathers what needs it gets an error, not a deadlock."""

        async def make(wares_container):
            return await asyncio.gather(
                wares_container.aget(Cache), wares_container.aget(Mailer)
            )

        registry.register_factory(Database, make)
        registry.register_factory(Cache, aasking(Engine))
        registry.register_factory(Engine, lambda: "engine")
        registry.register_factory(Mailer, aasking(Database))

        (outcome,) = await outcomes_of([container.aget(Database)])

        assert CircularDependencyError is type(outcome)
        assert [] == missing_parts(str(outcome), "Database", "Mailer")

    async def test_a_gather_without_a_cycle(self, registry):
        """A factory may gather two services that need the same third one."""
        runs = []

        async def make_engine():
            runs.append(1)
            await asyncio.sleep(0)
            return "engine"

        async def make(wares_container):
            return await asyncio.gather(
                wares_container.aget(Cache), wares_container.aget(Mailer)
            )

        registry.register_factory(Engine, make_engine)
        registry.register_factory(Cache, aasking(Engine))
        registry.register_factory(Mailer, aasking(Engine))
        registry.register_factory(Database, make)

        async with registry.container() as container:
            assert [["engine"], ["engine"]] == await container.aget(Database)
        assert [1] == runs

    async def test_a_task_that_outlives_its_maker_is_no_cycle(self, registry, container):
        """A task started by a factory may ask for that factory's service once it is made."""
        tasks = []

        async def later(container):
            await asyncio.sleep(0.001)
            return await container.aget(Database)

        async def make(wares_container):
            tasks.append(asyncio.create_task(later(wares_container)))
            return Database()

        registry.register_factory(Database, make)

        made = await container.aget(Database)

        assert [made] == await outcomes_of(tasks)

    async def test_a_task_that_a_factory_starts_may_wait_for_its_service(
        self, registry, container
    ):
        """A task of a factory may wait for the factory's service, or gets an error.

        The container cannot know whether the factory will wait for the task; what must not
        happen is that the service is not made.
        """
        tasks = []

        async def make(wares_container):
            tasks.append(asyncio.create_task(wares_container.aget(Database)))
            await settle()
            return Database()

        registry.register_factory(Database, make)

        made = await container.aget(Database)
        (outcome,) = await outcomes_of(tasks)

        assert Database is type(made)
        assert outcome is made or isinstance(outcome, CircularDependencyError)

    @pytest.mark.parametrize("lifetime", OWNERS)
    def test_across_threads(self, registry, lifetime):
        """Two threads that come from both ends of a circle do not wait for each other."""
        both = threading.Barrier(2)

        def meeting(key):
            def make(wares_container):
                with contextlib.suppress(threading.BrokenBarrierError):
                    both.wait(2)
                return [wares_container.get(key)]

            return make

        registry.register_factory(Database, meeting(Cache), lifetime=lifetime)
        registry.register_factory(Cache, meeting(Database), lifetime=lifetime)
        container = registry.container()

        outcomes = in_threads(lambda: container.get(Database), lambda: container.get(Cache))

        assert {CircularDependencyError} == set(map(type, outcomes))

    def test_across_threads_and_containers(self, registry):
        """Singletons in a circle, asked for by threads with containers of their own."""
        both = threading.Barrier(2)

        def meeting(key):
            def make(wares_container):
                with contextlib.suppress(threading.BrokenBarrierError):
                    both.wait(2)
                return [wares_container.get(key)]

            return make

        registry.register_factory(Database, meeting(Cache), lifetime="singleton")
        registry.register_factory(Cache, meeting(Database), lifetime="singleton")

        outcomes = in_threads(
            lambda: registry.container().get(Database),
            lambda: registry.container().get(Cache),
        )

        assert {CircularDependencyError} == set(map(type, outcomes))

    def test_across_a_thread_and_a_task(self, registry):
        """A thread and a task that come from both ends of a circle do not wait for ever."""
        both = threading.Barrier(2)

        async def make_database(wares_container):
            await asyncio.to_thread(both.wait, 10)
            return [await wares_container.aget(Cache)]

        def make_cache(wares_container):
            both.wait(10)
            return [wares_container.get(Database)]

        registry.register_factory(Database, make_database)
        registry.register_factory(Cache, make_cache)
        container = registry.container()

        outcomes = in_threads(
            lambda: asyncio.run(container.aget(Database)), lambda: container.get(Cache)
        )

        assert {CircularDependencyError} == set(map(type, outcomes))

    async def test_from_within_a_graph(self, way, registry):
        """A circle that a factory closes by asking that has declared needs above it is found."""

        async def amake(wares_container):
            return [await wares_container.aget(Shop)]

        def make(wares_container):
            return [wares_container.get(Shop)]

        registry.register_factory(Database, amake if way.is_async else make)
        registry.register_factory(Repository, Repository)
        registry.register_factory(Shop, Shop)
        container = registry.container()

        with pytest.raises(CircularDependencyError) as caught:
            await way.get(container, Shop)

        path = caught.value.path
        # A circle may be told from any of its services on.
        start = path.index(Shop)
        assert (Shop, Repository, Database) == (path[:-1] * 2)[start : start + 3]
        assert (4, path[0]) == (len(path), path[-1])

    def test_through_another_container(self, registry, container):
        """A circle through a second container is found, whichever service is asked for."""
        other = registry.container()

        def make_database(wares_container):
            wares_container.get(Cache)
            return container.get(Shop)

        registry.register_factory(Cache, Cache)
        registry.register_factory(Database, make_database)
        registry.register_factory(Repository, Repository)
        registry.register_factory(Shop, lambda: other.get(Repository))

        with pytest.raises(CircularDependencyError) as caught:
            container.get(Shop)

        assert (Shop, Repository, Database, Shop) == caught.value.path
        other.close()

    async def test_through_the_current_container(self, way, registry):
        """A factory that asks the current container is found in the circle that it closes."""

        async def amake():
            return [await current_container().aget(Shop)]

        def make():
            return [current_container().get(Shop)]

        registry.register_factory(Database, amake if way.is_async else make)
        registry.register_factory(Repository, Repository)
        registry.register_factory(Shop, Shop)
        container = registry.container()

        with container.activate(), pytest.raises(CircularDependencyError) as caught:
            await way.get(container, Shop)

        assert {Shop, Repository, Database} == set(caught.value.path)

    async def test_a_crowd_that_waits_in_no_circle(self, registry, container):
        """Many may wait for each other in many ways; without a circle all are served."""
        released = asyncio.Event()

        async def make_engine():
            await released.wait()
            return "engine"

        async def make_cache(wares_container):
            return await asyncio.gather(
                wares_container.aget(Database), wares_container.aget(Database)
            )

        registry.register_factory(Engine, make_engine)
        registry.register_factory(Database, aasking(Engine))
        registry.register_factory(Cache, make_cache)
        registry.register_factory(Mailer, aasking(Cache, Database))
        tasks = await start(
            *[container.aget(key) for key in (Engine, Database, Cache, Mailer, Cache, Mailer)]
        )
        released.set()

        outcomes = await outcomes_of(tasks)

        database = ["engine"]
        cache = [database, database]
        mailer = [cache, database]
        assert ["engine", database, cache, mailer, cache, mailer] == outcomes

    @pytest.mark.usefixtures("busy_threads")
    def test_a_race_into_a_cycle(self, registry):
        """Threads in a circle of declared needs return, with any timing."""
        keys = [type(f"Key{number}", (), {}) for number in range(4)]
        for number, key in enumerate(keys):
            registry.register_factory(key, asking(keys[(number + 1) % 4]))
        for _ in range(30):
            container = registry.container()
            outcomes = in_threads(*[lambda it=container, key=key: it.get(key) for key in keys])

            assert {CircularDependencyError} == set(map(type, outcomes))


def aasking_in(container, *keys):
    """Return an async factory that asks *container* for *keys*."""

    async def make():
        return [await container.aget(key) for key in keys]

    return make


class TestClosingMeanwhile:
    """A container that is closed while something is being made in it leaks nothing."""

    @pytest.mark.parametrize("is_generator", [False, True])
    async def test_by_another_task(self, registry, is_generator):
        """A service that a task finishes after the container closed is cleaned up."""
        events = []
        entered = asyncio.Event()
        released = asyncio.Event()

        class Manager:
            async def __aenter__(self):
                entered.set()
                await released.wait()
                events.append("entered")

            async def __aexit__(self, *details):
                events.append("left")

        async def generator():
            async with Manager():
                yield Database()

        registry.register_factory(Database, generator if is_generator else Manager)
        registry.register_factory(Repository, Repository)
        container = registry.container()
        tasks = await start(
            container.aget(Repository), container.aget(Database), container.aget(Repository)
        )
        closing = asyncio.create_task(container.aclose())
        await settle()
        released.set()
        outcomes = await outcomes_of([*tasks, closing])
        await settle()

        assert [*[ContainerClosedError] * 3, type(None)] == list(map(type, outcomes))
        assert ["entered", "left"] == events

    async def test_what_comes_next_is_not_made(self, registry):
        """A graph whose container is closed half-way is not made any further."""
        made = []
        gate = Gate()

        def make_cache():
            made.append("cache")

        def make(database: Database, cache: Cache):
            made.append("both")

        registry.register_factory(Database, gate.make)
        registry.register_factory(Cache, make_cache)
        registry.register_factory("both", make)
        container = registry.container()
        (task,) = await start(container.aget("both"))
        closing = asyncio.create_task(container.aclose())
        await settle()
        gate.released.set()

        outcome, _ = await outcomes_of([task, closing])

        assert ContainerClosedError is type(outcome)
        assert [] == made

    async def test_a_service_without_a_cleanup(self, registry):
        """A service that is finished too late is an error, even without a cleanup."""
        gate = Gate()
        registry.register_factory(Database, gate.make)
        container = registry.container()
        tasks = await start(container.aget(Database), container.aget(Database))
        await container.aclose()
        gate.released.set()

        outcomes = await outcomes_of(tasks)

        assert [ContainerClosedError] * 2 == list(map(type, outcomes))

    @pytest.mark.parametrize("is_generator", [False, True])
    async def test_a_container_closed_while_it_waits_for_a_singleton(
        self, registry, is_generator
    ):
        """A closed container stays empty, though a singleton that it waited for arrives."""
        gate = Gate()

        async def generator():
            yield await gate.make()

        registry.register_factory(
            Database, generator if is_generator else gate.make, lifetime="singleton"
        )
        registry.register_factory(Repository, Repository)
        maker, waiter = registry.container(), registry.container()
        tasks = await start(
            maker.aget(Database), waiter.aget(Database), waiter.aget(Repository)
        )
        await waiter.aclose()
        gate.released.set()
        await outcomes_of(tasks)
        refusals = []
        for closed in (waiter, registry.container()):
            await closed.aclose()
            for key in (Database, Repository):
                with pytest.raises(ContainerClosedError) as caught:
                    closed.get(key)
                refusals.append(caught.type)

        assert [ContainerClosedError] * 4 == refusals
        assert [False, False] == [Database in waiter, Repository in waiter]

    def test_by_another_thread(self, registry):
        """A service that a thread finishes after the container closed is cleaned up."""
        events = []
        entered = threading.Event()
        released = threading.Event()

        def make():
            entered.set()
            assert released.wait(10)
            events.append("entered")
            try:
                yield Database()
            finally:
                events.append("left")

        registry.register_factory(Database, make)
        registry.register_factory(Repository, Repository)
        container = registry.container()

        def close():
            assert entered.wait(10)
            timer = threading.Timer(0.05, released.set)
            timer.start()
            container.close()
            timer.join()

        outcomes = in_threads(lambda: container.get(Repository), close)

        assert [ContainerClosedError, type(None)] == list(map(type, outcomes))
        assert ["entered", "left"] == events

    @pytest.mark.parametrize("use", range(3))
    async def test_a_child_closed_while_it_waits_for_its_parent(self, registry, use):
        """A closed child hands nothing out, though the `connection` service it needs arrives."""
        gate = Gate()
        registry.register_factory(Database, gate.make, lifetime="connection")
        registry.register_factory(Repository, Repository)
        for _ in range(use):
            gate.released.set()
            async with registry.container() as other, other.child() as child:
                await child.aget(Repository)
        gate.released.clear()
        gate.entered.clear()
        parent = registry.container()
        child = parent.child()
        tasks = await start(
            child.aget(Repository), child.aget(Database), child.aget(Repository)
        )
        await gate.entered.wait()
        await child.aclose()
        gate.released.set()

        outcomes = await outcomes_of(tasks)
        databases = [await parent.aget(Database), await parent.child().aget(Database)]

        assert [ContainerClosedError] * 3 == list(map(type, outcomes))
        assert databases[0] is databases[1]
        await parent.aclose()

    def test_a_child_closed_while_threads_wait_for_its_parent(self, registry):
        """A child may close while threads wait for a service of its parent."""
        gate = ThreadGate()
        registry.register_factory(Database, gate.make, lifetime="connection")
        registry.register_factory(Repository, Repository)
        parent = registry.container()
        child = parent.child()

        def close():
            assert gate.entered.wait(10)
            time.sleep(0.02)  # only makes it likelier that the others wait already
            child.close()
            gate.released.set()

        *outcomes, _ = in_threads(
            *[lambda: child.get(Repository)] * 2, lambda: child.get(Database), close
        )

        assert [ContainerClosedError] * 3 == list(map(type, outcomes))
        assert parent.get(Database) is parent.child().get(Database)

    async def test_a_singleton_is_made_to_its_end(self, registry):
        """A singleton that is being made when its container closes serves the next one."""
        gate = Gate()
        registry.register_factory(Database, gate.make, lifetime="singleton")
        container = registry.container()
        (task,) = await start(container.aget(Database))
        closing = asyncio.create_task(container.aclose())
        await settle()
        gate.released.set()
        await outcomes_of([task, closing])

        await registry.container().aget(Database)

        assert gate.runs <= 2

    async def test_a_registry_closed_while_a_singleton_is_made(self):
        """A singleton that is finished after its registry closed is cleaned up."""
        events = []
        registry = Registry()
        entered, released = asyncio.Event(), asyncio.Event()

        async def make():
            entered.set()
            await released.wait()
            events.append("entered")
            try:
                yield Database()
            finally:
                events.append("left")

        registry.register_factory(Database, make, lifetime="singleton")
        container = registry.container()
        (task,) = await start(container.aget(Database))
        closing = asyncio.create_task(registry.aclose())
        await settle()
        released.set()
        outcome, closed = await outcomes_of([task, closing])
        await settle()

        assert isinstance(outcome, WaresError)
        assert None is closed
        assert ["entered", "left"] == events

    async def test_reset_while_something_is_made(self, registry, container):
        """A service that was begun before a reset does not appear after it."""
        events = []
        gate = Gate()

        async def make():
            events.append("entered")
            database = await gate.make()
            try:
                yield database
            finally:
                events.append("left")

        registry.register_factory(Database, make)
        (task,) = await start(container.aget(Database))
        resetting = asyncio.create_task(container.areset())
        await settle()
        gate.released.set()
        outcome, reset = await outcomes_of([task, resetting])
        before = list(events)
        await container.aget(Database)
        await container.aclose()

        assert [ContainerClosedError, type(None)] == [type(outcome), type(reset)]
        assert ["entered", "left"] == before
        assert ["entered", "left"] * 2 == events

    async def test_a_cancelled_maker_of_a_closed_container(self, registry, container):
        """A maker that is cancelled after its container closed ends as cancelled, leak-free."""
        gate = Gate()
        registry.register_factory(Database, gate.make)
        (task,) = await start(container.aget(Database))
        closing = asyncio.create_task(container.aclose())
        await settle()
        task.cancel()

        outcome, _ = await outcomes_of([task, closing])

        assert type(outcome) in (asyncio.CancelledError, ContainerClosedError)


class TestFactoriesThatCloseTheirContainer:
    async def test_sync(self, way, registry):
        """A factory that closes its own container gets its service cleaned up at once."""
        events = []
        container = registry.container()

        async def amake(wares_container):
            await wares_container.aclose()
            try:
                yield
            finally:
                events.append("left")

        def make(wares_container):
            wares_container.close()
            try:
                yield
            finally:
                events.append("left")

        registry.register_factory(Session, amake if way.is_async else make)

        with pytest.raises(ContainerClosedError):
            async with asyncio.timeout(5):
                await way.get(container, Session)
        assert ["left"] == events

    async def test_a_singleton_that_closes_its_registry(self, way):
        """A singleton whose factory closes the registry is not returned."""
        registry = Registry()

        def make():
            registry.close()
            return Database()

        registry.register_factory(Database, make, lifetime="singleton")

        with pytest.raises(RegistryClosedError):
            await way.get(registry.container(), Database)


def test_two_ways_at_once():
    """A thread with `get` and a loop with `aget` make each key of a big graph once."""
    registry = Registry()
    runs = []
    keys = [type(f"Key{number}", (), {}) for number in range(50)]
    registry.register_factory(keys[0], lambda: runs.append(keys[0]))
    for needed_key, key in zip(keys, keys[1:], strict=False):

        def make(need, key=key):
            runs.append(key)
            return [need]

        make.__annotations__ = {"need": needed_key}
        registry.register_factory(key, make)
    for _ in range(20):
        runs.clear()
        container = registry.container()

        async def work(it=container):
            return await asyncio.gather(*[it.aget(key) for key in keys])

        outcomes = in_threads(
            lambda it=container: list(it.get(*keys[::-1]))[::-1],
            lambda work=work: asyncio.run(work()),
            lambda it=container: list(it.get(*keys)),
        )

        assert outcomes[0] == outcomes[1] == outcomes[2]
        assert keys == runs


def test_the_maker_may_be_in_a_thread_that_ended(registry):
    """A service remains after the thread that has made it has ended."""
    registry.register_factory(Database, Database)
    container = registry.container()

    made = in_thread(lambda: container.get(Database))

    assert made is container.get(Database)
