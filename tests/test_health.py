"""All pings at once: `wares.health`."""

import asyncio
import contextlib
import contextvars
import logging
import os
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime

import pytest
import trio

import wares._health.loops
from tests.support.deadline import SECONDS
from tests.support.services import Cache, Database, Mailer, Session
from wares import (
    AsyncServiceError,
    ContainerClosedError,
    InvalidOptionError,
    InvalidRegistrationError,
    Registry,
    ServiceNotFoundError,
)
from wares.health import HealthReport, ServiceHealth, acheck, check


class Boom(Exception):
    """The exception of a failing ping."""


def fail(_):
    raise Boom("no\nanswer")


async def check_by(way, container, **options):
    """Check the sync or the async way."""
    return await acheck(container, **options) if way.is_async else check(container, **options)


class Together:
    """A ping that returns only when so many run at once."""

    def __init__(self, count):
        self.barrier = threading.Barrier(count, timeout=SECONDS)

    def __call__(self, _):
        self.barrier.wait()


class Runs:
    """A ping that runs until a test ends it, and counts its runs."""

    def __init__(self):
        self.end = threading.Event()
        self.lock = threading.Lock()
        self.count = self.most = self.total = 0

    def __call__(self, _):
        with self.lock:
            self.total += 1
            self.count += 1
            self.most = max(self.most, self.count)
        self.end.wait(SECONDS)
        time.sleep(0.002)
        with self.lock:
            self.count -= 1


async def until(condition):
    """Wait until *condition* holds."""
    async with asyncio.timeout(SECONDS):
        while not condition():
            await asyncio.sleep(0.001)


class TestReport:
    """The report of a check."""

    async def test_nothing_to_check(self, way, container):
        """Without pings the report is empty and healthy."""
        report = await check_by(way, container)

        assert ((), True, [], []) == (
            report.services,
            report.is_healthy,
            report.ok,
            report.failing,
        )

    async def test_who_is_well_and_who_is_not(self, way, registry, container):
        """One failure hides no other; services come in the order of their registration."""
        registry.register_value(Database, 1, ping=fail, tags=["ready"])
        registry.register_factory(Cache, Cache, ping=lambda _: None)
        registry.register_factory(Mailer, lambda: fail(1), ping=lambda _: None)
        registry.register_factory(Session, Session)

        report = await check_by(way, container)

        assert ["Database", "Cache", "Mailer"] == [service.name for service in report.services]
        assert (["Cache"], ["Database", "Mailer"]) == (report.ok, report.failing)
        assert not report.is_healthy
        assert [("ready",), (), ()] == [service.tags for service in report.services]

    async def test_the_errors(self, way, registry, container):
        """The error of a failing service is the one that its ping or its making raised."""
        error = Boom()

        def raise_it(_):
            raise error

        registry.register_value(Database, 1, ping=raise_it)
        registry.register_factory(Mailer, lambda: container.get(Session), ping=print)

        report = await check_by(way, container)

        assert [error, ServiceNotFoundError] == [
            report.services[0].error,
            type(report.services[1].error),
        ]

    async def test_the_duration(self, way, registry, container):
        """The duration is that of making and checking the service, in seconds."""

        def make():
            time.sleep(0.02)
            return 1

        registry.register_factory(Database, make, ping=lambda _: time.sleep(0.02))

        report = await check_by(way, container)

        assert 0.04 <= report.services[0].duration < 1

    async def test_the_time(self, way, container):
        """The report tells when the check began."""
        before = datetime.now(UTC)

        report = await check_by(way, container)

        assert before <= report.time <= datetime.now(UTC)

    def test_as_dict_is_silent(self):
        """The plain data does not hold the errors' texts, which may hold secrets."""
        report = HealthReport(
            (
                ServiceHealth("Cache", "ok", 0.5),
                ServiceHealth("Database", "failing", 1.5, Boom("hunter2"), ("ready",)),
            ),
            datetime(2030, 1, 2, tzinfo=UTC),
        )

        plain = report.as_dict()

        assert {
            "is_healthy": False,
            "time": "2030-01-02T00:00:00+00:00",
            "services": [
                {"name": "Cache", "status": "ok", "duration": 0.5, "tags": []},
                {"name": "Database", "status": "failing", "duration": 1.5, "tags": ["ready"]},
            ],
        } == plain
        assert "hunter2" not in repr(report)

    @pytest.mark.parametrize(
        ("error", "text"), [(Boom("a\n b"), "Boom: a b"), (Boom(), "Boom")]
    )
    def test_as_dict_with_errors(self, error, text):
        """Asked to, it names the type and the text of each error, in one line."""
        report = HealthReport(
            (ServiceHealth("Database", "failing", 1.5, error), ServiceHealth("Cache", "ok", 1)),
            datetime.now(UTC),
        )

        plain = report.as_dict(show_errors=True)

        assert [text, None] == [service.get("error") for service in plain["services"]]


class TestRunning:
    """The ways in which pings run."""

    async def test_concurrently(self, way, registry, container):
        """Pings run at the same time."""
        together = Together(3)
        for key in (Database, Cache, Mailer):
            registry.register_value(key, 1, ping=together)

        report = await check_by(way, container)

        assert report.is_healthy

    async def test_asynchronous_pings_concurrently(self, registry, container):
        """Asynchronous pings and factories run at the same time."""
        barrier = asyncio.Barrier(3)

        async def ping(_):
            await barrier.wait()

        async def make():
            await barrier.wait()
            return 1

        registry.register_value(Database, 1, ping=ping)
        registry.register_value(Cache, 1, ping=lambda _: barrier.wait())
        registry.register_factory(Mailer, make, ping=print)

        report = await acheck(container)

        assert report.is_healthy

    async def test_synchronous_pings_leave_the_event_loop_alone(self, registry, container):
        """A plain function runs in a thread; the event loop goes on meanwhile."""
        may_go_on = threading.Event()
        threads = []

        def ping(_):
            threads.append(threading.current_thread())
            assert may_go_on.wait(5)

        registry.register_value(Database, 1, ping=ping)
        checking = asyncio.create_task(acheck(container))
        await asyncio.sleep(0.01)
        may_go_on.set()

        report = await checking

        assert report.is_healthy
        assert threading.main_thread() not in threads

    async def test_context(self, way, registry, container):
        """A ping sees the context variables of the caller of the check."""
        variable = contextvars.ContextVar("variable")
        variable.set("here")
        seen = []
        registry.register_value(Database, 1, ping=lambda _: seen.append(variable.get()))

        await check_by(way, container)

        assert ["here"] == seen

    async def test_a_child_for_each(self, way, registry, container):
        """Each ping has its own scoped services, which are cleaned up after it."""
        events = []

        def make():
            service = object()
            events.append("made")
            yield service
            events.append("cleaned up")

        registry.register_factory(Session, make)
        registry.register_factory(
            Database, lambda wares_container: wares_container.get(Session), ping=print
        )
        registry.register_factory(
            Cache, lambda wares_container: wares_container.get(Session), ping=print
        )

        await check_by(way, container)

        assert ["cleaned up"] * 2 + ["made"] * 2 == sorted(events)
        assert Session not in container

    async def test_asynchronous_services_are_cleaned_up_in_the_task_that_made_them(
        self, registry, container
    ):
        """Frameworks that know of tasks insist on leaving in the task that has entered."""

        async def make():
            async with asyncio.TaskGroup():
                yield 1

        registry.register_factory(Database, make, ping=print)

        report = await acheck(container)

        assert report.is_healthy

    async def test_what_is_given_and_local(self, way, registry):
        """Pings are of local registrations, too, and see what the container was given."""
        registry.expect(Database)
        seen = []
        with registry.container({Database: "given"}) as outer:
            outer.register_local_factory(
                Cache,
                lambda wares_container: wares_container.get(Database),
                ping=seen.append,
                tags=["local"],
            )
            report = await check_by(way, outer, tags=["local"])

        assert ["given"] == seen
        assert ["Cache"] == report.ok

    async def test_a_failing_cleanup_is_a_failure(self, way, registry, container):
        """A cleanup that fails after a ping fails the service."""

        def make():
            yield 1
            raise Boom

        registry.register_factory(Database, make, ping=print)

        report = await check_by(way, container)

        assert [Boom] == [type(service.error) for service in report.services]

    def test_asynchronous_pings_in_a_synchronous_check(self, registry, container):
        """`check` cannot await, and the error says so."""

        async def ping(_): ...

        registry.register_value(Database, 1, ping=ping)

        report = check(container)

        assert [AsyncServiceError] == [type(service.error) for service in report.services]

    async def test_a_ping_that_is_cancelled_from_within(self, registry, container):
        """A cancellation that a ping brought upon itself is its failure, not the check's."""

        async def ping(_):
            raise asyncio.CancelledError

        registry.register_value(Database, 1, ping=ping)

        report = await acheck(container)

        assert [asyncio.CancelledError] == [type(service.error) for service in report.services]

    async def test_leaving_the_interpreter_is_a_failure_too(self, way, registry, container):
        """A ping in a thread cannot end the program, and does not go missing."""

        def ping(_):
            raise StopIteration

        registry.register_value(Database, 1, ping=ping)

        report = await check_by(way, container)

        assert ["Database"] == report.failing


class TestTimeouts:
    """Each ping has its own limit."""

    async def test_too_late(self, way, registry, container):
        """A ping that takes too long fails with a TimeoutError that tells the limit."""
        end = threading.Event()
        registry.register_value(Database, 1, ping=lambda _: end.wait(SECONDS))
        registry.register_value(Cache, 1, ping=print, ping_timeout=SECONDS)

        report = await check_by(way, container, timeout=0.05)
        end.set()

        assert (["Cache"], ["Database"]) == (report.ok, report.failing)
        assert "did not answer within 0.05 seconds" == str(report.services[0].error)
        assert TimeoutError is type(report.services[0].error)
        assert 0.05 <= report.services[0].duration < SECONDS

    async def test_a_limit_of_its_own(self, way, registry, container):
        """`ping_timeout` wins over the limit of the check, in both directions."""
        end = threading.Event()
        registry.register_value(
            Database, 1, ping=lambda _: end.wait(SECONDS), ping_timeout=0.02
        )
        registry.register_value(Cache, 1, ping=lambda _: time.sleep(0.1), ping_timeout=SECONDS)

        report = await check_by(way, container, timeout=0.05)
        end.set()

        assert (["Cache"], ["Database"]) == (report.ok, report.failing)

    async def test_making_counts(self, registry, container):
        """Making the service is within the limit, too."""

        async def make():
            await asyncio.sleep(5)

        registry.register_factory(Database, make, ping=print)

        report = await acheck(container, timeout=0.05)

        assert ["Database"] == report.failing

    async def test_it_is_cancelled_and_cleans_up(self, registry, container):
        """A ping that takes too long is cancelled, and its service is cleaned up."""
        events = []

        async def make():
            try:
                yield 1
            finally:
                events.append("cleaned up")

        async def ping(_):
            try:
                await asyncio.sleep(5)
            except asyncio.CancelledError:
                events.append("cancelled")
                raise

        registry.register_factory(Database, make, ping=ping)

        await acheck(container, timeout=0.02)

        assert ["cancelled", "cleaned up"] == events

    async def test_a_cleanup_that_hangs(self, registry, container, monkeypatch, caplog):
        """Not even a cleanup that resists being cancelled keeps a check from ending."""
        monkeypatch.setattr(wares._health.loops, "_SECONDS_TO_GIVE_UP", 0.02)
        caplog.set_level("WARNING")  # which a worker of Celery in this process has changed
        end = asyncio.Event()

        async def make():
            yield 1
            while not end.is_set():
                with contextlib.suppress(asyncio.CancelledError):
                    await end.wait()

        async def ping(_): ...

        registry.register_factory(Database, make, ping=ping)

        report = await acheck(container, timeout=0.02)
        end.set()
        async with asyncio.timeout(SECONDS):
            while wares._health.loops._tasks or not caplog.records:
                await asyncio.sleep(0.001)

        assert "answered, but did not clean up within 0.02 seconds" == str(
            report.services[0].error
        )
        assert ["Database"] == [record.wares_service_name for record in caplog.records]
        assert set() == wares._health.loops._tasks

    async def test_a_ping_that_will_not_be_cancelled(self, registry, container):
        """An exception of a ping after its time limit is ignored."""

        async def ping(_):
            try:
                await asyncio.sleep(5)
            except asyncio.CancelledError:
                raise Boom from None

        registry.register_value(Database, 1, ping=ping)

        report = await acheck(container, timeout=0.02)

        assert [TimeoutError] == [type(service.error) for service in report.services]

    async def test_a_check_that_is_cancelled(self, registry, container):
        """When the check is cancelled, its pings are, and they clean up first."""
        events = []
        begun = asyncio.Event()

        async def make():
            try:
                yield 1
            finally:
                events.append("cleaned up")

        async def ping(_):
            begun.set()
            await asyncio.sleep(5)

        registry.register_factory(Database, make, ping=ping)
        checking = asyncio.create_task(acheck(container))
        await begun.wait()
        checking.cancel()
        (result,) = await asyncio.gather(checking, return_exceptions=True)

        assert asyncio.CancelledError is type(result)
        assert ["cleaned up"] == events


class TestHanging:
    """A ping that hangs never runs twice at the same time."""

    async def test_one_run_in_a_row_of_checks(self, way, registry):
        """Until it ends, it is reported as failing at once, and not run once more."""
        runs = Runs()
        registry.register_value(Database, 1, ping=runs)
        reports = []
        for seconds in (0.05, *[SECONDS] * 4):
            async with registry.container() as container:
                reports.append(await check_by(way, container, timeout=seconds))
        runs.end.set()
        await until(lambda: runs.count == 0)
        async with registry.container() as container:
            last = await check_by(way, container)

        assert [False] * 5 + [True] == [report.is_healthy for report in [*reports, last]]
        assert (2, 1) == (runs.total, runs.most)
        assert "is still running" in str(reports[1].services[0].error)
        assert reports[1].services[0].duration < SECONDS

    async def test_checks_at_the_same_time(self, way, registry):
        """Checks of several threads and tasks at the same time do not run it twice at once."""
        runs = Runs()
        registry.register_value(Database, 1, ping=runs)

        def check_in_thread():
            with registry.container() as container:
                return check(container, timeout=0.2)

        async def check_in_task():
            async with registry.container() as container:
                return await acheck(container, timeout=0.2)

        reports = await asyncio.gather(
            *(asyncio.to_thread(check_in_thread) for _ in range(4)),
            *(check_in_task() for _ in range(4)),
        )
        runs.end.set()

        assert [False] * 8 == [report.is_healthy for report in reports]
        assert (1, 1) == (runs.total, runs.most)

    async def test_those_that_answer_wait_for_each_other(self, way, registry):
        """A ping that answers in time is run for each check, one after the other."""
        runs = Runs()
        registry.register_value(Database, 1, ping=runs)
        runs.end.set()

        async def check_it():
            async with registry.container() as container:
                if way.is_async:
                    return await acheck(container)
                return await asyncio.to_thread(check, container)

        reports = await asyncio.gather(*(check_it() for _ in range(5)))

        assert [True] * 5 == [report.is_healthy for report in reports]
        assert (5, 1) == (runs.total, runs.most)

    async def test_no_thread_is_left_for_each_check(self, way, registry):
        """A hung ping holds one thread, however often it is checked."""
        runs = Runs()
        registry.register_value(Database, 1, ping=runs)
        before = threading.active_count()
        for _ in range(10):
            async with registry.container() as container:
                await check_by(way, container, timeout=0.01)
        await until(lambda: threading.active_count() <= before + 1)
        runs.end.set()

    async def test_an_asynchronous_one(self, registry):
        """An asynchronous ping that does not let itself be cancelled is not run twice, either."""
        runs = 0
        end = asyncio.Event()

        async def ping(_):
            nonlocal runs
            runs += 1
            while not end.is_set():
                with contextlib.suppress(asyncio.CancelledError):
                    await end.wait()

        registry.register_value(Database, 1, ping=ping)
        async with registry.container() as container:
            first = await acheck(container, timeout=0.02)
            second = await acheck(container, timeout=0.02)
        end.set()

        assert 1 == runs
        assert (["Database"], ["Database"]) == (first.failing, second.failing)

    async def test_other_registries(self, way):
        """The same ping of another registry is another ping."""
        runs = Runs()
        reports = []
        for _ in range(2):
            with Registry() as registry:
                registry.register_value(Database, 1, ping=runs)
                async with registry.container() as container:
                    reports.append(await check_by(way, container, timeout=0.02))
        await until(lambda: 2 == runs.total)
        runs.end.set()

        assert ["did not answer within 0.02 seconds"] * 2 == [
            str(report.services[0].error) for report in reports
        ]

    def test_an_event_loop_that_has_ended(self, registry):
        """A ping may end after the event loop of its check."""
        runs = Runs()
        registry.register_value(Database, 1, ping=runs)

        async def check_it():
            async with registry.container() as container:
                return await acheck(container, timeout=0.02)

        report = asyncio.run(check_it())
        runs.end.set()
        while runs.count:
            time.sleep(0.001)

        assert ["Database"] == report.failing


FORK = """
import os
import sys
import threading
import warnings

from wares import Registry
from wares._adapters.health_endpoint import HealthEndpoint
from wares.health import check

warnings.simplefilter("ignore")  # of forking with threads, which is what happens here
runs = []
registry = Registry()
registry.register_value(int, 1, ping=lambda _: os.getpid() == parent and threading.Event().wait())
parent = os.getpid()
endpoint = HealthEndpoint(timeout=5)

with registry.container() as container:
    first = check(container, timeout=0.05)
    threading.Thread(target=endpoint.respond, args=[registry], daemon=True).start()
    child = os.fork()
    if child == 0:
        print(check(container).ok, endpoint.respond(registry).status, flush=True)
        os._exit(0)
    os.waitpid(child, 0)
    print(first.failing, check(container, timeout=0.05).failing, flush=True)
os._exit(0)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
def test_a_child_process():
    """Pings that run do not run in a child process, which can begin new ones."""
    done = subprocess.run(
        [sys.executable, "-c", FORK],
        capture_output=True,
        check=False,
        encoding="utf-8",
        timeout=60,
    )

    assert ["['int'] 200", "['int'] ['int']"] == done.stdout.splitlines(), done.stderr


class TestTrio:
    """`acheck` under trio."""

    def test_reports(self, registry):
        """Services, pings of every kind and cleanups run under trio, at the same time."""
        events = []
        both = threading.Barrier(2, timeout=5)

        async def make():
            await trio.sleep(0.001)
            yield "session"
            await trio.sleep(0.001)
            events.append("cleaned up")

        async def ping(service):
            await trio.sleep(0.001)
            events.append(service)

        registry.register_factory(Session, make, ping=ping)
        registry.register_value(Database, 1, ping=fail)
        registry.register_value(Cache, 1, ping=lambda _: both.wait())
        registry.register_value(Mailer, 1, ping=lambda _: both.wait())
        registry.register_value("later", "later", ping=lambda service: ping(service))

        report = trio.run(check_in_trio, registry)

        assert ["Session", "Cache", "Mailer", "'later'"] == report.ok
        assert ["Database"] == report.failing
        assert ["cleaned up", "later", "session"] == sorted(events)

    def test_timeouts(self, registry):
        """A ping that takes too long is cancelled; a hung thread is left, and not started again."""
        runs = Runs()

        async def ping(_):
            await trio.sleep(5)

        async def stubborn(_):
            try:
                await trio.sleep(5)
            except trio.Cancelled:
                raise Boom from None

        registry.register_value(Database, 1, ping=ping)
        registry.register_value(Cache, 1, ping=runs)
        registry.register_value(Mailer, 1, ping=stubborn)

        first = trio.run(check_in_trio, registry, 0.05)
        second = trio.run(check_in_trio, registry, 0.05)
        runs.end.set()

        assert [TimeoutError] * 3 == [type(service.error) for service in first.services]
        assert ["Database", "Cache", "Mailer"] == second.failing
        assert 1 == runs.total

    def test_waiting_for_each_other(self, registry):
        """Two checks at the same time run a ping one after the other."""
        runs = Runs()
        runs.end.set()
        registry.register_value(Database, 1, ping=runs)
        reports = []

        async def check_it():
            reports.append(await check_in_trio(registry))

        async def check_twice():
            async with trio.open_nursery() as nursery:
                nursery.start_soon(check_it)
                nursery.start_soon(check_it)

        trio.run(check_twice)

        assert [True, True] == [report.is_healthy for report in reports]
        assert (2, 1) == (runs.total, runs.most)


async def check_in_trio(registry, seconds=5.0):
    async with registry.container() as container:
        return await acheck(container, timeout=seconds)


GREENLETS = """
PATCH

import threading
import time

from wares import Registry
from wares.health import acheck, check

REAL = threads_of_the_system()
turns, threads = [], set()

def ping(_):
    threads.add(REAL.get_ident())
    end = time.monotonic() + 0.3
    while time.monotonic() < end:  # lets no greenlet run in its thread
        pass

def hang(_):
    threads.add("hangs")
    lock = REAL.allocate_lock()
    lock.acquire()
    lock.acquire()  # never gets it, and lets no greenlet run, either

registry = Registry()
registry.register_value(int, 1, ping=ping)
registry.register_value(str, "s", ping=hang, ping_timeout=0.1)

def count():
    while True:
        turns.append(1)
        time.sleep(0.01)

threading.Thread(target=count, daemon=True).start()
with registry.container() as container:
    report = check(container)
    again = check(container)
print(report.ok, report.failing, again.failing)
print("turns" if len(turns) > 5 else len(turns))
print("apart" if REAL.get_ident() not in threads else "in the hub's thread")
"""

PATCHES = {
    "gevent": """
import gevent.monkey
gevent.monkey.patch_all()

class threads_of_the_system:
    get_ident = staticmethod(gevent.monkey.get_original("_thread", "get_ident"))
    allocate_lock = staticmethod(gevent.monkey.get_original("_thread", "allocate_lock"))
""",
    "eventlet": """
import warnings
warnings.simplefilter("ignore")  # eventlet warns of its own age
import eventlet.patcher
eventlet.monkey_patch()

def threads_of_the_system():
    return eventlet.patcher.original("_thread")
""",
}


@pytest.mark.parametrize("library", PATCHES)
def test_greenlets(library):
    """If threads are greenlets, pings run in real threads, and other greenlets run on."""
    source = GREENLETS.replace("PATCH", PATCHES[library])

    done = subprocess.run(
        [sys.executable, "-c", source],
        capture_output=True,
        check=False,
        encoding="utf-8",
        timeout=60,
    )

    assert ["['int'] ['str'] ['str']", "turns", "apart"] == done.stdout.splitlines(), (
        done.stderr
    )


class TestTags:
    """Checking one group of services."""

    async def test_any_of_them(self, way, registry, container):
        """A service is checked that has at least one of the tags."""
        registry.register_value(Database, 1, ping=print, tags=["live", "ready"])
        registry.register_value(Cache, 1, ping=print, tags=("ready",))
        registry.register_value(Mailer, 1, ping=print)
        registry.register_value(Session, 1, tags={"live"})

        names = [
            (await check_by(way, container, tags=tags)).ok
            for tags in (["live"], ["ready"], ["live", "other"], ["other"], [], None)
        ]

        assert [
            ["Database"],
            ["Database", "Cache"],
            ["Database"],
            [],
            [],
            ["Database", "Cache", "Mailer"],
        ] == names

    def test_pings_tell_theirs(self, registry, container):
        """A `ServicePing` tells its tags, each once, and its limit."""
        registry.register_factory(
            Database, Database, ping=print, ping_timeout=2, tags=["a", "b", "a"]
        )
        registry.register_value(Cache, 1, ping=print)

        pings = container.get_pings()

        assert [(2, ("a", "b")), (None, ())] == [(ping.timeout, ping.tags) for ping in pings]

    def test_overrides_have_their_own(self, registry, container):
        """An override has its own ping, limit and tags."""
        registry.register_value(Database, 1, ping=print, tags=["a"])
        with (
            registry.override_value(Database, 2, ping=print, ping_timeout=3, tags=["b"]),
            registry.override_factory(Cache, Cache, ping=print, ping_timeout=4, tags=["c"]),
        ):
            pings = container.get_pings()
            container.get(Cache)

        assert [(3, ("b",)), (4, ("c",))] == [(ping.timeout, ping.tags) for ping in pings]

    def test_local_registrations_have_them(self, container):
        """Local registrations take a limit and tags as well."""
        container.register_local_factory(
            Database, Database, ping=print, ping_timeout=1, tags=["a"]
        )
        container.register_local_value(Cache, 1, ping=print, ping_timeout=2, tags=["b"])

        pings = container.get_pings()

        assert [(1, ("a",)), (2, ("b",))] == [(ping.timeout, ping.tags) for ping in pings]


class TestBadInput:
    """Invalid arguments are refused at once, with an explanation."""

    @pytest.mark.parametrize("seconds", [0, -1, "5", None, True, float("inf"), float("nan")])
    async def test_timeouts(self, way, container, seconds):
        """A timeout is a positive number."""
        with pytest.raises(InvalidOptionError) as caught:
            await check_by(way, container, timeout=seconds)

        assert f"not {seconds!r}" in str(caught.value)
        assert isinstance(caught.value, ValueError)

    @pytest.mark.parametrize("tags", ["ready", 5, [1]])
    async def test_tags(self, way, container, tags):
        """Tags are several strings; one string is a mistake."""
        with pytest.raises(InvalidOptionError) as caught:
            await check_by(way, container, tags=tags)

        assert "strings" in str(caught.value)

    @pytest.mark.parametrize("timeout", [0, -1, "5", True, float("inf")])
    def test_timeouts_of_pings(self, registry, timeout):
        """The limit of a ping is a positive number, too."""
        with pytest.raises(InvalidRegistrationError) as caught:
            registry.register_value(Database, 1, ping=print, ping_timeout=timeout)

        assert repr(timeout) in str(caught.value)
        assert "Database" in str(caught.value)

    def test_a_limit_without_a_ping(self, registry):
        """A limit for a ping that is not there is a mistake."""
        with pytest.raises(InvalidRegistrationError) as caught:
            registry.register_factory(Database, Database, ping_timeout=5)

        assert "Database has a ping_timeout and no ping" in str(caught.value)

    @pytest.mark.parametrize("tags", ["ready", 5, [1], [b"ready"]])
    def test_tags_of_services(self, registry, tags):
        """The tags of a service are several strings."""
        with pytest.raises(InvalidRegistrationError) as caught:
            registry.register_factory(Database, Database, tags=tags)

        assert "The tags of Database" in str(caught.value)

    async def test_a_closed_container(self, way, registry):
        """A closed container cannot be checked."""
        container = registry.container()
        container.close()

        with pytest.raises(ContainerClosedError):
            await check_by(way, container)


async def test_a_check_logs_nothing_itself(way, registry, container, caplog):
    """A check logs nothing; the caller decides."""
    registry.register_value(Database, 1, ping=fail)
    caplog.set_level(logging.DEBUG, "wares")
    caplog.clear()

    await check_by(way, container)

    assert [] == caplog.records
