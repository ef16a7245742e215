"""Errors and keys that cannot be handled as others can: nothing is blocked, nothing is hidden.

A claim is given up before anything is done to the error, every cleanup runs,
and a key that cannot be printed is described by its type.
"""

import asyncio
import dataclasses
import gc
import logging
import sys

import pytest

from tests.support.cleanups import ManagerOf, leaving, watching
from tests.support.deadline import in_loop, in_threads, settle
from tests.support.services import Cache, Database, Mailer, Repository, Session
from wares import AsyncServiceError, Registry, ServiceNotFoundError


@dataclasses.dataclass(frozen=True)
class Frozen(Exception):
    """Takes no note: none of its attributes can be set."""

    text: str = "frozen"


class NotesInATuple(Exception):
    """Takes no note: its notes are no list."""

    def __init__(self):
        self.__notes__ = ("its own",)


class NoNotes(Exception):
    """Refuses notes."""

    def add_note(self, note):
        raise RuntimeError("no notes, please")


class Unprintable(Exception):
    """Cannot be shown."""

    def __str__(self):
        raise RuntimeError("no text")

    __repr__ = __str__


class Stop(BaseException):
    """No `Exception`."""


class Unreadable(Exception):
    """Has no attribute that can be read, not even its class and its traceback."""

    def __getattribute__(self, name):
        raise RuntimeError("nothing to read")


class UnreadableStop(BaseException):
    """An unreadable error that is no `Exception`."""

    __getattribute__ = Unreadable.__getattribute__


#: Those that a coroutine can raise; asyncio itself hangs after one that cannot be read.
ASYNC_ERRORS = [Frozen, NotesInATuple, NoNotes, Unprintable, RecursionError, Stop]
ERRORS = [*ASYNC_ERRORS, StopIteration, Unreadable, UnreadableStop]


class Unnameable(type):
    """The type of a class that cannot be shown."""

    def __repr__(cls):
        raise RuntimeError("no name")

    __str__ = __repr__


class Nameless(metaclass=Unnameable):
    """A key that cannot be shown."""


class NamelessThing:
    """A key that is an object which cannot be shown."""

    def __repr__(self):
        raise RuntimeError("no name")


KEYS = [Nameless, NamelessThing()]
KEY_IDS = ["class", "object"]


class Failing:
    """A factory that fails once, with one of these errors."""

    def __init__(self, error):
        self.errors = [error]
        self.runs = 0

    def make(self):
        self.runs += 1
        if self.errors:
            raise self.errors.pop()
        return "made"

    async def amake(self):
        await asyncio.sleep(0)
        return self.make()


def outcome_of(function, *args):
    """Return what *function* raises, or else returns."""
    try:
        return function(*args)
    except BaseException as error:  # noqa: BLE001  # an outcome like any other
        return error


async def aoutcome_of(awaitable):
    """Return what *awaitable* raises, or else gives."""
    try:
        async with asyncio.timeout(10):
            return await awaitable
    except BaseException as error:  # noqa: BLE001  # an outcome like any other
        return error


class TestMaking:
    @pytest.mark.parametrize("kind", ERRORS)
    @pytest.mark.parametrize("lifetime", ["scoped", "connection", "singleton", "transient"])
    def test_get(self, registry, kind, lifetime):
        """The factory's own error is raised, and the next `get` tries again."""
        error = kind()
        failing = Failing(error)
        registry.register_factory(Database, failing.make, lifetime=lifetime)
        registry.register_factory(Repository, Repository)
        container = registry.container()

        first = outcome_of(container.get, Repository)

        assert first is error
        assert "made" == container.get(Repository).database
        assert 2 == failing.runs

    @pytest.mark.parametrize("kind", ASYNC_ERRORS)
    @pytest.mark.parametrize("is_async", [False, True])
    def test_aget(self, registry, kind, is_async):
        """`aget` gives up its claim after any error of a factory, and waiters hear of it."""
        error = kind()
        failing = Failing(error)
        registry.register_factory(Database, failing.amake if is_async else failing.make)
        registry.register_factory(Repository, Repository)

        async def work():
            container = registry.container()
            outcomes = await asyncio.gather(
                *[aoutcome_of(container.aget(Repository)) for _ in range(3)]
            )
            return outcomes, await aoutcome_of(container.aget(Repository))

        outcomes, again = in_loop(work)

        assert outcomes[0] is error
        assert "made" == again.database
        assert 2 == failing.runs

    @pytest.mark.parametrize("key", KEYS, ids=KEY_IDS)
    async def test_a_key_without_a_name(self, way, registry, key):
        """The error of a factory arrives though its key cannot be shown; the key is not blocked."""
        error = OSError("real")
        failing = Failing(error)
        registry.register_factory(key, failing.make)
        container = registry.container()

        with pytest.raises(OSError, match="real") as caught:
            await way.get(container, key)

        assert error is caught.value
        assert "made" == await way.get(container, key)

    @pytest.mark.parametrize("key", KEYS, ids=KEY_IDS)
    async def test_a_key_without_a_name_that_is_missing(self, way, registry, container, key):
        """A key whose repr raises is described by its type, in every message."""

        def need(it):
            return it

        need.__annotations__ = {"it": key}
        registry.register_factory(Session, need)

        with pytest.raises(ServiceNotFoundError) as caught:
            await way.get(container, Session)

        assert "Nameless" in str(caught.value)
        assert isinstance(repr(caught.value), str)

    @pytest.mark.parametrize("key", KEYS, ids=KEY_IDS)
    def test_registering_a_key_without_a_name(self, registry, key, caplog):
        """A key that cannot be shown can be registered, drawn and logged."""
        with caplog.at_level(logging.DEBUG):
            registry.register_factory(key, Database)
            registry.container().get(key)

        assert "Nameless" in registry.graph().to_mermaid()
        assert isinstance(repr(registry), str)

    @pytest.mark.parametrize("key", KEYS, ids=KEY_IDS)
    def test_an_async_key_without_a_name(self, registry, container, key):
        """`get` of an async factory is an error for every key, even without a readable name."""

        async def make():
            raise AssertionError("must not run")

        registry.register_factory(key, make)

        with pytest.raises(AsyncServiceError, match="aget"):
            container.get(key)

    def test_a_thread_fails_while_a_task_waits(self, registry):
        """A task that waits for a thread wakes, even if the thread raises `StopIteration`."""
        entered, released = asyncio.Event(), asyncio.Event()
        loops = []

        def make():
            loop = loops[0]
            loop.call_soon_threadsafe(entered.set)
            asyncio.run_coroutine_threadsafe(released.wait(), loop).result(10)
            raise StopIteration("empty")

        registry.register_factory(Database, make)
        container = registry.container()

        async def work():
            loops.append(asyncio.get_running_loop())
            thread = asyncio.create_task(
                asyncio.to_thread(lambda: type(outcome_of(container.get, Database)))
            )
            await entered.wait()
            waiter = asyncio.create_task(aoutcome_of(container.aget(Database)))
            await settle()
            released.set()
            return await thread, await waiter

        failed, waited = in_loop(work)

        assert StopIteration is failed
        # A coroutine cannot raise `StopIteration` itself.
        assert isinstance(waited, RuntimeError)

    @pytest.mark.parametrize("kind", ERRORS)
    def test_a_thread_fails_while_threads_wait(self, registry, kind):
        """Threads that wait for one that fails wake, after any error."""
        error = kind()
        failing = Failing(error)
        registry.register_factory(Database, failing.make)
        container = registry.container()

        outcomes = in_threads(*[lambda: container.get(Database)] * 4, seconds=5)

        assert all(outcome is error or outcome == "made" for outcome in outcomes)
        assert "made" == container.get(Database)

    def test_a_stack_that_is_full(self, registry):
        """A `RecursionError` in the midst of making blocks nothing."""
        registry.register_factory(Database, Database)
        registry.register_factory(Repository, Repository)
        registry.register_factory(Session, lambda wares_container: wares_container.get(Cache))
        registry.register_factory(
            Cache, lambda wares_container: wares_container.get(Repository)
        )
        container = registry.container()

        def ask_at(depth):
            if depth:
                return ask_at(depth - 1)
            return outcome_of(container.get, Session)

        def try_out():
            # How deep this thread is depends on the interpreter: every depth near the end counts.
            return [
                type(outcome_of(ask_at, sys.getrecursionlimit() - room))
                for room in range(3, 60)
            ]

        # What other tests have left cannot be collected where the stack is full.
        gc.collect()
        kinds, again = in_threads(try_out, lambda: None)[0], container.get(Session)

        assert {RecursionError, Repository} >= set(kinds)
        assert isinstance(again, Repository)


class TestCleaningUp:
    @pytest.mark.parametrize("kind", ERRORS)
    async def test_the_others_run(self, way, registry, kind):
        """After any error of a cleanup, the other cleanups run, and see the error."""
        error, seen, events, outcomes = kind(), [], [], []
        registry.register_factory(Database, watching(seen))
        registry.register_factory(Cache, leaving(events, "cache"))
        registry.register_factory(Session, lambda: ManagerOf([], "x", error=error))
        container = registry.container()
        await way.get(container, Database, Cache, Session)

        async def work():
            outcomes.append(outcome_of(container.close))

        await work()

        assert [error] == outcomes
        assert (["cache"], [error]) == (events, seen)

    @pytest.mark.parametrize("key", KEYS, ids=KEY_IDS)
    async def test_a_key_without_a_name(self, way, registry, key, caplog):
        """If the key of the failing service cannot be shown, the other cleanups run."""
        events = []
        registry.register_factory(Database, leaving(events, "database"))
        registry.register_factory(key, lambda: ManagerOf([], "x", error=OSError("cleanup")))
        registry.register_factory(Mailer, leaving(events, error=Unprintable()))
        container = registry.container()
        await way.get(container, Database, key, Mailer)

        with caplog.at_level(logging.WARNING), pytest.raises(OSError, match="cleanup"):
            await way.close(container)

        assert ["session", "database"] == events

    @pytest.mark.parametrize("kind", [Frozen, NoNotes, Unprintable, Unreadable, UnreadableStop])
    async def test_an_exception_under_way(self, way, registry, kind):
        """Any exception of the work arrives unchanged."""
        error, seen = kind(), []
        registry.register_factory(Session, watching(seen))
        registry.register_factory(Cache, lambda: ManagerOf([], "x"))
        container = registry.container()
        await way.get(container, Session, Cache)

        def fail(_):
            raise error

        outcome = await aoutcome_of(way.within(container, fail))

        assert outcome is error
        assert [error] == seen

    @pytest.mark.parametrize("kind", ERRORS)
    async def test_an_exception_that_is_replaced(self, way, registry, kind):
        """After any exception, the other cleanups run, and see the one that replaces it."""
        seen, events = [], []
        registry.register_factory(Database, watching(seen))
        registry.register_factory(Cache, leaving(events, "cache"))
        registry.register_factory(Mailer, lambda: ManagerOf([], "x", error=OSError("cleanup")))
        container = registry.container()
        await way.get(container, Database, Cache, Mailer)

        def fail(_):
            raise kind

        outcome = await aoutcome_of(way.within(container, fail))

        assert "cleanup" == str(outcome)
        assert (["cache"], [outcome]) == (events, seen)

    async def test_a_record_that_cannot_be_logged(self, way, registry):
        """The other cleanups run even if a filter of the application's logging fails."""
        events = []
        registry.register_factory(Cache, leaving(events, "cache"))
        registry.register_factory(Mailer, lambda: ManagerOf([], "x", error=OSError("cleanup")))
        container = registry.container()
        await way.get(container, Cache, Mailer)
        logger, refused = logging.getLogger("wares"), []

        def refuse(record):
            refused.append(record.levelname)
            raise RuntimeError("no records")

        def fail(_):
            raise ValueError("work")

        logger.addFilter(refuse)
        try:
            outcome = await aoutcome_of(way.within(container, fail))
        finally:
            logger.removeFilter(refuse)

        assert "cleanup" == str(outcome)
        assert (["cache"], ["ERROR"]) == (events, refused)

    @pytest.mark.parametrize("key", KEYS, ids=KEY_IDS)
    def test_a_dropped_container(self, key):
        """A warning names the services that it can, and describes the others by type."""
        registry = Registry()
        registry.register_factory(key, leaving([]))
        container = registry.container()
        container.get(key)

        with pytest.warns(ResourceWarning, match="Nameless"):
            del container

    @pytest.mark.parametrize("key", KEYS, ids=KEY_IDS)
    async def test_a_close_that_must_be_awaited(self, registry, container, key):
        """`close` names the services that must be awaited, for any kind of key."""

        async def make():
            yield "service"

        registry.register_factory(key, make)
        await container.aget(key)

        with pytest.raises(RuntimeError, match="Nameless"):
            container.close()
