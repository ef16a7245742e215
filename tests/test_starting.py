"""`eager=True`, `Registry.start` and `Registry.astart`."""

import asyncio
import gc
import logging

import pytest

from tests.support.deadline import settle
from tests.support.services import Cache, Database, Mailer, Session, Settings
from wares import (
    AsyncServiceError,
    Container,
    InvalidRegistrationError,
    Registry,
    RegistryClosedError,
    ServiceNotFoundError,
)


async def start(way, registry):
    """Start *registry* in one of the two ways."""
    if way.is_async:
        await registry.astart()
    else:
        registry.start()


class Journal:
    """A log of the services that are made and cleaned up."""

    def __init__(self):
        self.events = []

    def service(self, name, need=Container, error=None):
        """Make a factory that notes it."""

        def make(needed: need):
            self.events.append(f"+{name}")
            if error is not None:
                raise error
            try:
                yield name
            finally:
                self.events.append(f"-{name}")

        return make


@pytest.fixture
def journal():
    """A journal of its own for each test."""
    return Journal()


class TestStarting:
    """The services that a start makes."""

    async def test_in_the_order_of_need(self, way, registry, journal):
        """Eager singletons are made in the order of need, else of registration."""
        options = {"lifetime": "singleton", "eager": True}
        registry.register_factory(Database, journal.service("database", Settings), **options)
        registry.register_factory(Cache, journal.service("cache"), **options)
        registry.register_factory(Settings, journal.service("settings"), **options)
        registry.register_factory(Mailer, journal.service("mailer"), lifetime="singleton")
        await start(way, registry)
        started = list(journal.events)
        await way.close(registry)

        assert ["+settings", "+database", "+cache"] == started
        assert ["-cache", "-database", "-settings"] == journal.events[3:]

    async def test_is_what_is_handed_out(self, way, registry, container):
        """Containers get the service that the start has made; a second start makes none."""
        made = []
        registry.register_factory(
            Database, lambda: made.append(1) or Database(), lifetime="singleton", eager=True
        )
        await start(way, registry)
        await start(way, registry)
        await way.get(container, Database)

        assert [1] == made

    async def test_added_and_decorated(self, way, registry, container):
        """Added services may be eager, and decorated ones stay eager."""
        made = []
        registry.add_factory(
            Mailer, lambda: made.append("mailer"), lifetime="singleton", eager=True
        )
        registry.register_factory(
            Database, lambda: made.append("database"), lifetime="singleton", eager=True
        )

        def decorate(database: Database):
            made.append("decorated")

        registry.decorate(Database, decorate)
        await start(way, registry)

        assert ["mailer", "database", "decorated"] == made

    async def test_overridden(self, way, registry):
        """An overridden service is not made at the start: a test need not run the real one."""
        made = []
        registry.register_factory(
            Database, lambda: made.append(1), lifetime="singleton", eager=True
        )
        with registry.override_value(Database, "fake"):
            await start(way, registry)

        assert [] == made

    async def test_asynchronous(self, registry):
        """`astart` awaits asynchronous factories; `start` says to use `astart`."""

        async def make():
            await asyncio.sleep(0)
            yield "database"

        registry.register_factory(Database, make, lifetime="singleton", eager=True)
        with pytest.raises(AsyncServiceError):
            registry.start()
        await registry.astart()

        assert "database" == registry.container().get(Database)
        await registry.aclose()

    async def test_of_a_closed_registry(self, way):
        """A closed registry does not start."""
        registry = Registry()
        registry.close()

        with pytest.raises(RegistryClosedError):
            await start(way, registry)

    @pytest.mark.parametrize("lifetime", ["connection", "scoped", "transient"])
    def test_only_singletons(self, registry, lifetime):
        """Only singletons can be made before there is a container."""
        with pytest.raises(InvalidRegistrationError) as caught:
            registry.register_factory(Database, Database, lifetime=lifetime, eager=True)

        assert "Add lifetime='singleton', or leave out eager=True." in str(caught.value)


class TestFailing:
    """A start that fails."""

    async def test_undoes_itself(self, way, registry, journal):
        """The services that this start has made are cleaned up in reverse, with the error."""
        options = {"lifetime": "singleton", "eager": True}
        registry.register_factory(Session, journal.service("before"), lifetime="singleton")
        registry.register_factory(Settings, journal.service("settings"), **options)

        def make(settings: Settings):
            try:
                yield
            except OSError:
                journal.events.append("database saw it")
                raise

        registry.register_factory(Database, make, **options)
        registry.register_factory(Cache, journal.service("cache", error=OSError()), **options)
        await way.get(registry.container(), Session)
        with pytest.raises(OSError):
            await start(way, registry)

        assert ["+before", "+settings", "+cache"] == journal.events[:3]
        assert ["database saw it", "-settings"] == journal.events[3:]

    async def test_can_be_tried_again(self, way, registry, journal):
        """Another start makes everything anew."""
        errors = [OSError()]
        options = {"lifetime": "singleton", "eager": True}
        registry.register_factory(Settings, Settings, **options)

        def make(settings: Settings):
            if errors:
                raise errors.pop()
            return settings

        registry.register_factory(Database, make, **options)
        with pytest.raises(OSError):
            await start(way, registry)
        await start(way, registry)
        database, settings = await way.get(registry.container(), Database, Settings)

        assert database is settings

    async def test_something_missing(self, way, registry):
        """A start that lacks something tells its path."""

        def make(settings: Settings): ...

        registry.register_factory(Database, make, lifetime="singleton", eager=True)
        with pytest.raises(ServiceNotFoundError) as caught:
            await start(way, registry)

        assert (Database, Settings) == caught.value.path

    async def test_a_cleanup_that_fails(self, way, registry):
        """The exception of a cleanup replaces the error, as in nested `with` blocks."""

        def make():
            try:
                yield
            finally:
                raise KeyError

        def fail():
            raise OSError

        registry.register_factory(Settings, make, lifetime="singleton", eager=True)
        registry.register_factory(Database, fail, lifetime="singleton", eager=True)
        with pytest.raises(KeyError) as caught:
            await start(way, registry)

        assert OSError is type(caught.value.__context__)

    async def test_cancelled(self, registry, journal):
        """A start that is cancelled undoes itself as well."""

        async def hang():
            await asyncio.sleep(60)

        registry.register_factory(
            Settings, journal.service("settings"), lifetime="singleton", eager=True
        )
        registry.register_factory(Database, hang, lifetime="singleton", eager=True)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await registry.astart()

        assert ["+settings", "-settings"] == journal.events


class TestAtTheSameTime:
    """Several starts of one registry."""

    @pytest.fixture
    def gate(self, registry, journal):
        """The factory of a singleton, made after another, that waits for an outcome."""
        gate = asyncio.Queue()

        async def make(settings: Settings):
            outcome = await gate.get()
            if isinstance(outcome, Exception):
                raise outcome
            return outcome

        options = {"lifetime": "singleton", "eager": True}
        registry.register_factory(Settings, journal.service("settings"), **options)
        registry.register_factory(Database, make, **options)
        return gate

    async def test_one_that_is_cancelled(self, registry, journal, gate):
        """The others go on with what it has made."""
        cancelled = asyncio.create_task(registry.astart())
        await settle()
        other = asyncio.create_task(registry.astart())
        await settle()
        cancelled.cancel()
        await settle()
        gate.put_nowait("database")
        await other
        container = registry.container()

        assert ("settings", "database") == container.get(Settings, Database)
        assert cancelled.cancelled()
        assert ["+settings"] == journal.events

    async def test_all_that_fail(self, registry, journal, gate):
        """The last one cleans up."""
        starts = [asyncio.create_task(registry.astart()) for _ in range(3)]
        await settle()
        starts[0].cancel()
        await settle()
        events = [*journal.events]
        gate.put_nowait(OSError())
        outcomes = await asyncio.gather(*starts, return_exceptions=True)

        assert [asyncio.CancelledError, OSError, OSError] == list(map(type, outcomes))
        assert (["+settings"], ["+settings", "-settings"]) == (events, journal.events)

    async def test_one_that_fails_after_another(self, registry, journal, gate):
        """A start that fails undoes nothing after another one has succeeded."""
        failing = asyncio.create_task(registry.astart())
        await settle()
        registry.register_value(Database, "database")
        await registry.astart()
        gate.put_nowait(OSError())
        with pytest.raises(OSError):
            await failing

        assert ["+settings"] == journal.events

    async def test_the_next_one(self, registry, journal, gate):
        """A start after some that failed, or succeeded, undoes only what was made since."""
        gate.put_nowait(OSError())
        with pytest.raises(OSError):
            await registry.astart()
        gate.put_nowait("database")
        await registry.astart()
        registry.register_factory(
            Cache, journal.service("cache"), lifetime="singleton", eager=True
        )
        registry.register_factory(
            Mailer, journal.service("mailer", error=OSError()), lifetime="singleton", eager=True
        )
        with pytest.raises(OSError):
            await registry.astart()

        assert ["+settings", "-settings", "+settings"] == journal.events[:3]
        assert ["+cache", "+mailer", "-cache"] == journal.events[3:]

    def test_one_whose_event_loop_is_closed(self, registry, journal):
        """A start that is destroyed with its task undoes nothing after another has succeeded."""
        loop = asyncio.new_event_loop()
        loop.set_exception_handler(lambda *_: None)
        tasks = []

        async def make(settings: Settings):
            if not tasks[0].done():
                await loop.create_future()

        async def begin():
            tasks.append(asyncio.create_task(registry.astart()))
            await settle()

        options = {"lifetime": "singleton", "eager": True}
        registry.register_factory(Settings, journal.service("settings"), **options)
        registry.register_factory(Database, make, **options)
        loop.run_until_complete(begin())
        loop.close()
        registry.register_factory(Database, Database, **options)
        registry.start()
        tasks.clear()
        gc.collect()

        assert ["+settings"] == journal.events


class Worker:
    """Does something in the background, as docs/explanation/lifetimes.md shows it."""

    def __init__(self, journal, name):
        self.journal = journal
        self.name = name

    async def run(self):
        while True:
            await asyncio.sleep(0)

    def start(self):
        self.task = asyncio.create_task(self.run())
        self.task.add_done_callback(self.note_end)

    def note_end(self, task):
        if not task.cancelled():
            logging.getLogger("worker").error("stopped", exc_info=task.exception())

    def check(self):
        if self.task.done():
            raise RuntimeError("the worker has stopped")

    async def stop(self):
        self.task.cancel()
        await asyncio.wait([self.task])
        self.journal.events.append(f"{self.name} stopped")


class FailingWorker(Worker):
    """One that fails."""

    async def run(self):
        raise OSError


def run(worker):
    """Make a factory of it."""

    async def run_worker():
        worker.start()
        try:
            yield worker
        finally:
            await worker.stop()

    return run_worker


class TestWorkers:
    """Background tasks of eager singletons."""

    async def test_stopped_in_reverse(self, registry, journal):
        """Workers run until the registry closes; the worker started last is stopped first."""
        for key in ("first", "second"):
            factory = run(Worker(journal, key))
            registry.register_factory(
                key, factory, lifetime="singleton", eager=True, ping=Worker.check
            )
        await registry.astart()
        async with registry.container() as container:
            for ping in container.get_pings():
                await ping.aping()
        await registry.aclose()

        assert ["second stopped", "first stopped"] == journal.events

    async def test_failing(self, registry, journal, caplog):
        """A failure of the task is logged, and makes the ping fail; closing goes on."""
        factory = run(FailingWorker(journal, "worker"))
        registry.register_factory(
            Worker, factory, lifetime="singleton", eager=True, ping=Worker.check
        )
        await registry.astart()
        await asyncio.sleep(0.01)
        async with registry.container() as container:
            (ping,) = container.get_pings()
            with pytest.raises(RuntimeError, match="the worker has stopped"):
                await ping.aping()
        await registry.aclose()

        (record,) = [record for record in caplog.records if record.name == "worker"]
        assert OSError is record.exc_info[0]
        assert ["worker stopped"] == journal.events
