"""What was entered is left: in reverse, exactly once, whatever happens (behaviours 13 to 21)."""

import asyncio
import contextlib
import contextvars
import gc
import logging
import threading
import warnings

import pytest

from tests.support.deadline import in_loop, in_thread, in_threads, settle
from tests.support.messages import missing_parts, notes_of, text_of
from tests.support.services import Cache, Database, Engine, Mailer, Session
from tests.support.ways import ASYNC, MANY, SYNC, use
from wares import (
    CleanupError,
    ContainerClosedError,
    FactoryError,
    PendingAsyncCleanupError,
    Registry,
    WaresError,
)

KEYS = [Database, Cache, Mailer, Session]


class Boom(Exception):
    """What a request fails with."""


class ManagerOf:
    """A context manager that notes what happens to it."""

    def __init__(self, events, name, *, swallows=False, error=None):
        self.events = events
        self.name = name
        self.swallows = swallows
        self.error = error

    def __enter__(self):
        self.events.append(f"{self.name} entered")
        return self

    def __exit__(self, kind, error, trace):
        self.events.append(f"{self.name} left with {error!r}" if error else f"{self.name} left")
        if self.error is not None:
            raise self.error
        return self.swallows


class AsyncManagerOf(ManagerOf):
    """The same, async only."""

    __enter__ = __exit__ = None

    async def __aenter__(self):
        return ManagerOf.__enter__(self)

    async def __aexit__(self, *details):
        return ManagerOf.__exit__(self, *details)


def leaving(events, name="session", *, error=None):
    """Return a sync generator factory that notes when it is left, and then fails or not."""

    def make():
        try:
            yield name
        finally:
            events.append(name)
        if error is not None:
            raise error

    return make


def aleaving(events, name="session", *, error=None):
    """Return an async generator factory that notes when it is left, and then fails or not."""

    async def make():
        try:
            yield name
        finally:
            await asyncio.sleep(0)
            events.append(name)
        if error is not None:
            raise error

    return make


def watching(seen, *, reraise=True):
    """Return a generator factory that notes what is thrown in at its `yield`."""

    def make():
        try:
            yield "watching"
        except BaseException as error:
            seen.append(error)
            if reraise:
                raise
        else:
            seen.append(None)

    return make


def awatching(seen, *, reraise=True):
    """Return an async generator factory that notes what is thrown in at its `yield`."""

    async def make():
        try:
            yield "watching"
        except BaseException as error:
            seen.append(error)
            if reraise:
                raise
        else:
            seen.append(None)

    return make


def manager_watching(seen):
    """Return a factory of a context manager that notes what it is left with."""

    class Manager:
        def __enter__(self):
            return self

        def __exit__(self, kind, error, trace):
            assert kind is (None if error is None else type(error))
            assert (trace is None) == (error is None)
            seen.append(error)

    return Manager


def amanager_watching(seen):
    """Return a factory of an async context manager that notes what it is left with."""

    class Manager:
        async def __aenter__(self):
            return self

        async def __aexit__(self, kind, error, trace):
            assert kind is (None if error is None else type(error))
            assert (trace is None) == (error is None)
            seen.append(error)

    return Manager


SYNC_WATCHERS = [watching, manager_watching]
WATCHERS = [
    pytest.param(SYNC, watching, id="sync generator, sync"),
    pytest.param(ASYNC, watching, id="sync generator, async"),
    pytest.param(ASYNC, awatching, id="async generator"),
    pytest.param(SYNC, manager_watching, id="context manager, sync"),
    pytest.param(ASYNC, manager_watching, id="context manager, async"),
    pytest.param(ASYNC, amanager_watching, id="async context manager"),
]


class TestOrder:
    """Behaviour 13."""

    async def test_reverse(self, way, registry):
        """Services close in the reverse of the order in which they were made."""
        events = []
        for key in KEYS:
            registry.register_factory(key, leaving(events, key))
        events.clear()
        container = registry.container()
        for key in KEYS:
            await way.get(container, key)

        await way.close(container)

        assert KEYS[::-1] == events

    async def test_reverse_within_one_graph(self, way, registry):
        """What a service needs closes after it, needs of one service in reverse."""
        events = []

        def make(first: Database, second: Cache, third: Mailer):
            yield "session"
            events.append(Session)

        for key in (Database, Cache, Mailer):
            registry.register_factory(key, leaving(events, key))
        registry.register_factory(Session, make)
        events.clear()
        container = registry.container()
        await way.get(container, Session)

        await way.close(container)

        assert [Session, Mailer, Cache, Database] == events

    async def test_what_a_factory_asks_for(self, way, registry):
        """A factory that asks for others in its body closes before them."""
        events = []

        async def amake(wares_container):
            events.append("started")
            await wares_container.aget(Database)
            yield "session"
            events.append("session")

        def make(wares_container):
            events.append("started")
            wares_container.get(Database)
            yield "session"
            events.append("session")

        registry.register_factory(Database, leaving(events, "database"))
        registry.register_factory(Session, amake if way.is_async else make)
        container = registry.container()
        await way.get(container, Session)

        await way.close(container)

        assert ["started", "session", "database"] == events

    async def test_what_a_context_manager_asks_for_as_it_is_entered(self, way, registry):
        """A context manager that asks for others when entered closes before them."""
        events = []

        class Manager(ManagerOf):
            def __init__(self, wares_container):
                super().__init__(events, "session")
                self.container = wares_container

            def __enter__(self):
                self.container.get(Database)
                return super().__enter__()

        registry.register_factory(Database, leaving(events, "database"))
        registry.register_factory(Session, Manager)
        container = registry.container()
        await way.get(container, Session)

        await way.close(container)

        assert ["session entered", "session left", "database"] == events

    async def test_what_is_asked_for_later(self, way, registry, container):
        """What a service asks for after it was made closes before it."""
        events = []
        registry.register_factory(Database, leaving(events, "database"))
        registry.register_factory(Session, lambda wares_container: ManagerOf(events, "session"))
        await way.get(container, Session)
        await way.get(container, Database)

        await way.close(container)

        assert ["session entered", "database", "session left"] == events

    async def test_the_order_of_finishing(self, registry):
        """What counts is who finished first, not who began first."""
        events = []
        released = asyncio.Event()

        async def slow():
            await released.wait()
            yield "slow"
            events.append("slow")

        registry.register_factory(Database, slow)
        registry.register_factory(Cache, aleaving(events, "quick"))
        container = registry.container()
        task = asyncio.create_task(container.aget(Database))
        await settle()
        await container.aget(Cache)
        released.set()
        await task

        await container.aclose()

        assert ["slow", "quick"] == events

    async def test_sync_and_async_mixed(self, registry):
        """Sync and async services of one container close in one order."""
        events = []
        registry.register_factory(Database, leaving(events, "database"))
        registry.register_factory(Cache, aleaving(events, "cache"))
        registry.register_factory(Mailer, lambda: ManagerOf(events, "mailer"))
        registry.register_factory(Session, lambda: AsyncManagerOf(events, "session"))
        container = registry.container()
        await container.aget(Database, Cache, Mailer, Session)

        await container.aclose()

        assert [
            "mailer entered",
            "session entered",
            "session left",
            "mailer left",
            "cache",
            "database",
        ] == events

    async def test_one_after_the_other(self, registry):
        """A cleanup begins when the one before it has ended."""
        events = []

        def slow(name):
            async def make():
                yield name
                events.append(f"{name} begins")
                await asyncio.sleep(0.001)
                events.append(f"{name} ends")

            return make

        registry.register_factory(Database, slow("database"))
        registry.register_factory(Cache, slow("cache"))
        container = registry.container()
        await container.aget(Database, Cache)

        await container.aclose()

        assert ["cache begins", "cache ends", "database begins", "database ends"] == events


class TestEntering:
    """Behaviour 14, and the kinds of generators."""

    async def test_a_failed_enter_is_not_exited(self, way, registry):
        """A context manager whose `__enter__` failed is not exited; what it needed is."""
        events = []
        failing = []

        class Manager(ManagerOf):
            def __init__(self, database: Database):
                super().__init__(events, "session")

            def __enter__(self):
                super().__enter__()
                if failing:
                    raise Boom

        registry.register_factory(Database, leaving(events, "database"))
        registry.register_factory(Session, Manager)
        failing.append(True)
        container = registry.container()

        with pytest.raises(Boom):
            await way.get(container, Session)
        await way.close(container)

        assert ["session entered", "database"] == events

    async def test_a_failed_async_enter_is_not_exited(self, registry):
        """An async context manager whose `__aenter__` failed is not exited."""
        events = []
        failing = []

        class Manager(AsyncManagerOf):
            async def __aenter__(self):
                await super().__aenter__()
                if failing:
                    raise Boom

        registry.register_factory(Session, lambda: Manager(events, "session"))
        failing.append(True)
        container = registry.container()

        with pytest.raises(Boom):
            await container.aget(Session)
        await container.aclose()

        assert ["session entered"] == events

    async def test_a_failed_make_cleans_up_what_it_needed(self, way, registry):
        """What was made for a service that failed ends with the container."""
        events = []
        failing = []

        def make(first: Database, second: Cache):
            if failing:
                raise Boom
            yield "session"
            events.append("session")

        registry.register_factory(Database, leaving(events, "database"))
        registry.register_factory(Cache, leaving(events, "cache"))
        registry.register_factory(Session, make)
        failing.append(True)
        container = registry.container()
        with pytest.raises(Boom):
            await way.get(container, Session)
        before = list(events)

        await way.close(container)

        assert ([], ["cache", "database"]) == (before, events)

    @pytest.mark.parametrize("close", [SYNC, ASYNC], ids=["close", "aclose"])
    async def test_both_kinds_under_get(self, registry, close):
        """What is both sync and async is entered by `get` as sync, and left so, always."""
        events = []
        registry.register_factory(Session, lambda: BothKinds(events))
        container = registry.container()
        container.get(Session)

        await close.close(container)

        assert ["sync entered", "sync left"] == events

    async def test_both_kinds_under_aget(self, registry):
        """What is both sync and async is left by `aclose` as `aget` has entered it."""
        events = []
        registry.register_factory(Session, lambda: BothKinds(events))
        container = registry.container()
        await container.aget(Session)

        await container.aclose()

        assert events in (["sync entered", "sync left"], ["async entered", "async left"])

    async def test_both_kinds_entered_by_both_ways(self, registry):
        """Each of two containers leaves what is of both kinds as it entered it."""
        events = []
        registry.register_factory(Session, lambda: BothKinds(events))
        first, second = registry.container(), registry.container()
        first.get(Session)
        await second.aget(Session)
        await second.aclose()
        await first.aclose()

        kinds = [event.split()[0] for event in events]
        assert ("sync", kinds[1], kinds[1], "sync") == tuple(kinds)

    async def test_an_async_only_context_manager_under_get(self, registry, container):
        """`get` does not touch a context manager that it cannot enter."""
        events = []
        registry.register_factory(Session, lambda: AsyncManagerOf(events, "session"))

        with pytest.raises(TypeError, match="aget"):
            container.get(Session)
        container.close()

        assert [] == events

    async def test_an_async_only_context_manager_met_now_and_then(self, registry):
        """`get` refuses an async context manager also where others came before."""
        events = []
        products = [1] * 100
        registry.register_factory(Session, lambda: products.pop())
        products.append(AsyncManagerOf(events, "session"))
        container = registry.container()

        with pytest.raises(TypeError, match="aget"):
            container.get(Session)

        assert [] == events
        assert 1 == container.get(Session)

    async def test_a_generator_that_yields_nothing(self, way, registry):
        """A generator factory that yields nothing is an error that names it."""
        empty = []

        def make():
            if not empty:
                yield 1

        registry.register_factory(Session, make)
        empty.append(True)

        with registry.container() as container, pytest.raises(FactoryError) as caught:
            await way.get(container, Session)
        assert [] == missing_parts(
            text_of(caught.value), "Session", "make", "test_cleanups.py:"
        )

    async def test_an_async_generator_that_yields_nothing(self, registry):
        """An async generator factory that yields nothing is the same error."""
        empty = []

        async def make():
            if not empty:
                yield 1

        registry.register_factory(Session, make)
        empty.append(True)

        async with registry.container() as container:
            with pytest.raises(FactoryError, match="Session"):
                await container.aget(Session)

    @pytest.mark.parametrize("hot", [0, MANY])
    async def test_a_generator_that_yields_twice(self, way, hot, registry):
        """A generator factory that yields again is closed, and is an error that names it."""
        events = []
        twice = []

        def make():
            try:
                yield 1
                if twice:
                    yield 2
            finally:
                events.append("ended")

        registry.register_factory(Database, leaving(events, "database"))
        registry.register_factory(Session, make)
        await use(way, registry, hot, Database, Session)
        events.clear()
        twice.append(True)
        container = registry.container()
        await way.get(container, Database, Session)

        with pytest.raises(CleanupError) as caught:
            await way.close(container)

        (error,) = caught.value.exceptions
        assert FactoryError is type(error)
        assert [] == missing_parts(text_of(error), "Session", "make")
        assert ["ended", "database"] == events

    @pytest.mark.parametrize("waits", [False, True])
    async def test_an_async_generator_that_yields_twice(self, registry, waits):
        """An async generator factory that yields again is closed, and is the same error."""
        events = []
        twice = []

        async def wait():
            try:
                yield 1
                if twice:
                    yield 2
            finally:
                await asyncio.sleep(0)
                events.append("ended")

        async def make():
            try:
                yield 1
                if twice:
                    yield 2
            finally:
                events.append("ended")

        registry.register_factory(Session, wait if waits else make)
        twice.append(True)
        container = registry.container()
        await container.aget(Session)

        with pytest.raises(CleanupError) as caught:
            await container.aclose()

        assert caught.group_contains(FactoryError, match="Session")
        assert ["ended"] == events

    async def test_a_generator_that_yields_again_when_it_fails(self, way, registry):
        """A generator that answers an exception by yielding again is closed, and is an error."""
        events = []

        def make():
            try:
                try:
                    yield 1
                except Boom:
                    yield 2
            finally:
                events.append("ended")

        registry.register_factory(Session, make)
        error = Boom()

        with pytest.raises(Boom) as caught:
            await way.within(registry.container(), lambda it: (it.get(Session), fail(error)))

        assert error is caught.value
        assert ["ended"] == events
        assert "Session" in notes_of(error)

    async def test_an_async_generator_that_yields_again_when_it_fails(self, registry):
        """An async generator that answers an exception by yielding again is the same error."""
        events = []

        async def make():
            try:
                try:
                    yield 1
                except Boom:
                    yield 2
            finally:
                events.append("ended")

        registry.register_factory(Session, make)
        error = Boom()

        async def work():
            async with registry.container() as container:
                await container.aget(Session)
                raise error

        with pytest.raises(Boom) as caught:
            await work()

        assert error is caught.value
        assert ["ended"] == events
        assert "Session" in notes_of(error)


class BothKinds:
    """A context manager of both kinds that notes how it is used."""

    def __init__(self, events):
        self.events = events

    def __enter__(self):
        self.events.append("sync entered")
        return self

    def __exit__(self, *details):
        self.events.append("sync left")

    async def __aenter__(self):
        self.events.append("async entered")
        return self

    async def __aexit__(self, *details):
        self.events.append("async left")


def fail(error):
    """Raise *error*, where an expression is wanted."""
    raise error


class TestSuccess:
    @pytest.mark.parametrize(("way", "watcher"), WATCHERS)
    async def test_nothing_is_thrown_in(self, way, watcher, registry):
        """On success a generator runs on after its `yield`: it sees no `GeneratorExit`."""
        seen = []
        registry.register_factory(Session, watcher(seen))
        seen.clear()
        container = registry.container()
        await way.get(container, Session)

        await way.close(container)

        assert [None] == seen

    @pytest.mark.parametrize(("way", "watcher"), WATCHERS)
    async def test_nothing_is_thrown_in_by_the_with_block(self, way, watcher, registry):
        """A `with` block that ends well leaves its services without an exception."""
        seen = []
        registry.register_factory(Session, watcher(seen))
        seen.clear()
        container = registry.container()
        await way.get(container, Session)

        await way.within(container, lambda _: None)

        assert [None] == seen

    @pytest.mark.parametrize(("way", "watcher"), WATCHERS)
    async def test_an_exception_that_is_handled_elsewhere(self, way, watcher, registry):
        """`close` in an `except` block is a success: the exception is not the container's."""
        seen = []
        registry.register_factory(Session, watcher(seen))
        container = registry.container()
        await way.get(container, Session)

        try:
            raise Boom
        except Boom:
            await way.close(container)

        assert [None] == seen


class TestTheExceptionUnderWay:
    """Behaviour 17."""

    @pytest.mark.parametrize(("way", "watcher"), WATCHERS)
    @pytest.mark.parametrize(
        "kind", [Boom, asyncio.CancelledError, KeyboardInterrupt, SystemExit]
    )
    async def test_it_reaches_the_cleanups(self, way, watcher, registry, kind):
        """What ends the block is thrown in at the `yield`, and propagates unchanged."""
        error = kind("request")
        seen = []
        registry.register_factory(Session, watcher(seen))
        seen.clear()
        container = registry.container()
        await way.get(container, Session)

        with pytest.raises(kind) as caught:
            await way.within(container, lambda _: fail(error))

        assert [error] == seen
        assert error is caught.value

    @pytest.mark.parametrize("kind", [StopIteration, StopAsyncIteration])
    @pytest.mark.parametrize(("way", "watcher"), WATCHERS)
    async def test_the_exceptions_that_end_generators(self, way, watcher, registry, kind):
        """`StopIteration` and its async twin reach the cleanups like any exception."""
        error = kind("request")
        seen = []
        registry.register_factory(Session, watcher(seen))
        seen.clear()
        container = registry.container()
        await way.get(container, Session)

        async def work():
            if way.is_async:
                async with container:
                    raise error
            else:
                with container:
                    raise error

        coroutine = work()
        with pytest.raises((kind, RuntimeError)):
            await coroutine

        assert [error] == seen

    @pytest.mark.parametrize(("way", "watcher"), WATCHERS)
    async def test_it_reaches_all(self, way, watcher, registry):
        """Every service of the container sees it, also behind one that handles it."""
        seen = []
        handled = []
        registry.register_factory(Database, watcher(seen))
        registry.register_factory(Cache, watching(handled, reraise=False))
        registry.register_factory(Mailer, watcher(seen))
        seen.clear()
        handled.clear()
        container = registry.container()
        await way.get(container, Database, Cache, Mailer)
        error = Boom()

        with pytest.raises(Boom):
            await way.within(container, lambda _: fail(error))

        assert ([error, error], [error]) == (seen, handled)

    @pytest.mark.parametrize(
        ("way", "factory"),
        [
            (SYNC, lambda seen: watching(seen, reraise=False)),
            (ASYNC, lambda seen: watching(seen, reraise=False)),
            (ASYNC, lambda seen: awatching(seen, reraise=False)),
            (SYNC, lambda seen: lambda: ManagerOf(seen, "manager", swallows=True)),
            (ASYNC, lambda seen: lambda: ManagerOf(seen, "manager", swallows=True)),
            (ASYNC, lambda seen: lambda: AsyncManagerOf(seen, "manager", swallows=True)),
        ],
        ids=["generator", "generator, async", "async generator", "cm", "cm, async", "async cm"],
    )
    async def test_it_cannot_be_swallowed(self, way, factory, registry):
        """A service that handles the exception does not take it away from the caller."""
        seen = []
        registry.register_factory(Session, factory(seen))
        container = registry.container()
        await way.get(container, Session)
        error = Boom()

        with pytest.raises(Boom) as caught:
            await way.within(container, lambda _: fail(error))

        assert error is caught.value
        assert "" == notes_of(error)

    @pytest.mark.parametrize(("way", "watcher"), WATCHERS)
    async def test_it_may_be_hidden_from_one(self, way, watcher, registry):
        """`suppress_context_exit=True` hides it from one service."""
        hidden = []
        seen = []
        registry.register_factory(Session, watcher(hidden), suppress_context_exit=True)
        registry.register_factory(Database, watcher(seen))
        hidden.clear()
        seen.clear()
        container = registry.container()
        await way.get(container, Database, Session)
        error = Boom()

        with pytest.raises(Boom):
            await way.within(container, lambda _: fail(error))

        assert ([None], [error]) == (hidden, seen)

    @pytest.mark.parametrize("lifetime", ["scoped", "connection", "transient"])
    async def test_it_may_be_hidden_from_local_and_entered_values(
        self, way, registry, lifetime
    ):
        """`suppress_context_exit=True` is understood by all four ways to register."""
        events = []
        container = registry.container()
        managers = [ManagerOf(events, number) for number in range(4)]
        registry.register_value(Database, managers[0], enter=True, suppress_context_exit=True)
        registry.register_factory(
            Cache, lambda: managers[1], lifetime=lifetime, suppress_context_exit=True
        )
        container.register_local_value(
            Mailer, managers[2], enter=True, suppress_context_exit=True
        )
        container.register_local_factory(
            Session, lambda: managers[3], lifetime=lifetime, suppress_context_exit=True
        )
        await way.get(container, Database, Cache, Mailer, Session)
        events.clear()

        with pytest.raises(Boom):
            await way.within(container, lambda _: fail(Boom()))

        assert ["3 left", "2 left", "1 left", "0 left"] == events

    @pytest.mark.parametrize(("way", "watcher"), WATCHERS)
    async def test_it_does_not_reach_singletons(self, way, watcher, registry):
        """A failed request is no failure of what lives on."""
        seen = []
        registry.register_factory(Engine, watcher(seen), lifetime="singleton")
        container = registry.container()
        await way.get(container, Engine)

        with pytest.raises(Boom):
            await way.within(container, lambda _: fail(Boom()))
        before = list(seen)
        await way.close(registry)

        assert ([], [None]) == (before, seen)

    @pytest.mark.parametrize(("way", "watcher"), WATCHERS)
    async def test_it_reaches_singletons_from_the_registry(self, way, watcher):
        """What ends a registry's block reaches its singletons."""
        seen = []
        registry = Registry()
        registry.register_factory(Engine, watcher(seen), lifetime="singleton")
        await use(way, registry, 1, Engine)
        error = Boom()

        with pytest.raises(Boom):
            await way.within(registry, lambda _: fail(error))

        assert [error] == seen

    async def test_a_failing_get_is_the_exception_under_way(self, way, registry):
        """Where making fails, the services made before see that exception."""
        seen = []
        error = Boom()
        registry.register_factory(Database, watching(seen))
        registry.register_factory(Session, lambda: fail(error))

        with pytest.raises(Boom):
            await way.within(registry.container(), lambda it: it.get(Database, Session))

        assert [error] == seen

    async def test_the_traceback_does_not_grow_endlessly(self, way, registry):
        """The exception comes out with the cause it came in with."""
        for key in KEYS:
            registry.register_factory(key, watching([]))
        container = registry.container()
        await way.get(container, *KEYS)
        error = Boom()
        cause = error.__cause__ = KeyError()

        with pytest.raises(Boom):
            await way.within(container, lambda _: fail(error))

        assert cause is error.__cause__
        assert None is error.__context__


FAILURES = [Boom, asyncio.CancelledError, KeyboardInterrupt, SystemExit]


class TestFailingCleanups:
    """Behaviours 15 and 16."""

    @pytest.mark.parametrize("failure", FAILURES)
    @pytest.mark.parametrize("hot", [0, MANY])
    def test_the_others_run(self, hot, failure):
        """Every cleanup runs exactly once, whatever the others raise."""
        events = []
        failing = []
        registry = Registry()

        def make():
            yield
            events.append(Cache)
            if failing:
                raise failure

        registry.register_factory(Database, leaving(events, Database))
        registry.register_factory(Cache, make)
        registry.register_factory(Mailer, leaving(events, Mailer))
        for _ in range(hot):
            with registry.container() as container:
                container.get(Database, Cache, Mailer)
        events.clear()
        failing.append(True)
        container = registry.container()
        container.get(Database, Cache, Mailer)

        expected = CleanupError if issubclass(failure, Exception) else failure
        with pytest.raises(expected):
            container.close()
        container.close()

        assert [Mailer, Cache, Database] == events

    @pytest.mark.parametrize("failure", FAILURES)
    @pytest.mark.parametrize("leave", [leaving, aleaving])
    @pytest.mark.parametrize("hot", [0, MANY])
    def test_the_others_run_async(self, hot, failure, leave):
        """Every cleanup runs exactly once under `aclose`, whatever the others raise."""
        events = []
        failing = []
        registry = Registry()

        async def make():
            yield
            events.append(Cache)
            if failing:
                raise failure

        registry.register_factory(Database, leave(events, Database))
        registry.register_factory(Cache, make)
        registry.register_factory(Mailer, leave(events, Mailer))

        async def work():
            await use(ASYNC, registry, hot, Database, Cache, Mailer)
            events.clear()
            failing.append(True)
            container = registry.container()
            await container.aget(Database, Cache, Mailer)
            try:
                await container.aclose()
            except BaseException as caught:  # noqa: BLE001  # an outcome like any other
                await container.aclose()
                return type(caught)
            return None

        outcome = in_loop(work)

        assert [Mailer, Cache, Database] == events
        assert (CleanupError if issubclass(failure, Exception) else failure) is outcome

    async def test_all_errors_in_one_group(self, way, registry, caplog):
        """Errors of cleanups are raised as one group, in the order in which they happened."""
        errors = {Database: OSError("first"), Mailer: ValueError("second")}
        failing = []

        def failing_with(key):
            def make():
                yield
                if failing:
                    raise errors[key]

            return make

        registry.register_factory(Database, failing_with(Database))
        registry.register_factory(Cache, Cache)
        registry.register_factory(Mailer, failing_with(Mailer))
        failing.append(True)
        container = registry.container()
        await way.get(container, Database, Cache, Mailer)

        with pytest.raises(CleanupError) as caught:
            await way.close(container)

        assert (errors[Mailer], errors[Database]) == caught.value.exceptions
        assert isinstance(caught.value, ExceptionGroup)
        assert isinstance(caught.value, WaresError)

    async def test_the_group_names_the_services(self, way, registry, container):
        """A reader of the error learns whose cleanup failed."""
        registry.register_factory(Database, leaving([], error=OSError("disk")))
        await way.get(container, Database)

        with pytest.raises(CleanupError) as caught:
            await way.close(container)

        assert "Database" in text_of(caught.value)

    async def test_by_the_end_of_the_block(self, way, registry):
        """Errors of cleanups are raised at the end of a block that ended well."""
        registry.register_factory(Session, leaving([], error=OSError("cleanup")))

        with pytest.raises(CleanupError) as caught:
            await way.within(registry.container(), lambda it: it.get(Session))

        assert caught.group_contains(OSError, match="cleanup")

    async def test_with_an_exception_under_way(self, way, registry, caplog):
        """An exception under way propagates; cleanup errors are notes on it, and logged."""
        failing = []

        def make(text):
            def session():
                try:
                    yield
                finally:
                    if failing:
                        raise OSError(text)

            return session

        registry.register_factory(Session, make("the disk is full"))
        registry.register_factory(Database, make("the line is cut"))
        failing.append(True)
        container = registry.container()
        await way.get(container, Session, Database)
        error = Boom("request")

        with caplog.at_level(logging.WARNING), pytest.raises(Boom) as caught:
            await way.within(container, lambda _: fail(error))

        assert error is caught.value
        texts = ["the disk is full", "the line is cut"]
        assert [] == missing_parts(notes_of(error), "Session", "Database", *texts)
        assert [] == missing_parts(caplog.text, "Session", "Database", *texts)
        assert {True} == {record.name.startswith("wares") for record in caplog.records}

    @pytest.mark.parametrize("kind", [KeyboardInterrupt, asyncio.CancelledError])
    async def test_with_an_interruption_under_way(self, way, registry, caplog, kind):
        """An interruption under way propagates, too."""
        under_way = kind()
        registry.register_factory(Session, lambda: ManagerOf([], "x", error=OSError("late")))

        with caplog.at_level(logging.WARNING), pytest.raises(kind) as caught:
            await way.within(
                registry.container(), lambda it: (it.get(Session), fail(under_way))
            )

        assert under_way is caught.value
        assert "late" in notes_of(under_way)
        assert "late" in caplog.text

    async def test_the_same_exception_again_is_no_error(self, way, registry):
        """A cleanup that lets the exception pass has not failed."""
        registry.register_factory(Session, watching([]))
        container = registry.container()
        await way.get(container, Session)
        error = Boom()

        with pytest.raises(Boom):
            await way.within(container, lambda _: fail(error))

        assert "" == notes_of(error)

    @pytest.mark.parametrize("base", [ManagerOf, AsyncManagerOf])
    async def test_the_same_exception_raised_by_a_context_manager(self, registry, base):
        """A context manager that raises what it was left with has not failed either."""
        error = Boom()
        registry.register_factory(Session, lambda: base([], "session", error=error))

        async def work():
            async with registry.container() as container:
                await container.aget(Session)
                raise error

        with pytest.raises(Boom) as caught:
            await work()

        assert error is caught.value
        assert "" == notes_of(error)

    @pytest.mark.parametrize("kind", ["generator", "context manager"])
    async def test_an_exception_raised_from_the_one_under_way(self, way, registry, kind):
        """A cleanup that turns the exception into another has failed; the first one wins."""

        def generator():
            try:
                yield
            except Boom as error:
                raise OSError("turned") from error

        @contextlib.contextmanager
        def manager():
            try:
                yield
            except Boom as error:
                raise OSError("turned") from error

        registry.register_factory(Session, generator if kind == "generator" else manager)
        error = Boom()

        with pytest.raises(Boom) as caught:
            await way.within(registry.container(), lambda it: (it.get(Session), fail(error)))

        assert error is caught.value
        assert "turned" in notes_of(error)

    async def test_an_exception_raised_by_an_async_cleanup_from_it(self, registry):
        """The first one wins also where the cleanup is asynchronous."""

        async def make():
            try:
                yield 1
            except Boom as error:
                raise OSError("turned") from error

        async def work():
            async with registry.container() as container:
                await container.aget(Session)
                raise error

        registry.register_factory(Session, make)
        error = Boom()

        with pytest.raises(Boom) as caught:
            await work()

        assert error is caught.value
        assert "turned" in notes_of(error)

    @pytest.mark.parametrize("kind", [RuntimeError, StopIteration])
    async def test_a_runtime_error_of_a_generator_is_its_own(self, way, registry, kind):
        """A cleanup may raise `RuntimeError`, also one made of a `StopIteration`."""

        def make():
            yield
            raise kind("mine")

        registry.register_factory(Session, make)
        container = registry.container()
        await way.get(container, Session)

        with pytest.raises(CleanupError) as caught:
            await way.close(container)

        assert caught.group_contains(RuntimeError)

    async def test_an_interruption_wins_over_errors(self, registry):
        """Where a cleanup is interrupted and another fails, the interruption is raised."""
        registry.register_factory(Database, leaving([], error=OSError("hidden?")))
        registry.register_factory(Cache, leaving([], error=KeyboardInterrupt()))
        registry.register_factory(Mailer, leaving([], error=ValueError("hidden, too?")))
        container = registry.container()
        container.get(Database, Cache, Mailer)

        with pytest.raises(KeyboardInterrupt) as caught:
            container.close()

        assert [] == missing_parts(notes_of(caught.value), "hidden?", "hidden, too?")


class TestExactlyOnce:
    """Behaviour 15."""

    async def test_closed_twice(self, way, registry):
        """Closing a closed container does nothing."""
        events = []
        registry.register_factory(Session, leaving(events))
        container = registry.container()
        await way.get(container, Session)

        await way.close(container)
        await way.close(container)
        container.close()
        await container.aclose()

        assert ["session"] == events

    async def test_closed_within_its_block(self, way, registry):
        """The end of the block finds nothing to do where the container was closed by hand."""
        events = []
        registry.register_factory(Session, leaving(events))
        container = registry.container()
        await way.get(container, Session)

        if way.is_async:
            async with container:
                await container.aclose()
        else:
            with container:
                container.close()

        assert ["session"] == events

    async def test_closed_by_two_tasks(self, registry):
        """Of two tasks that close one container, each cleanup runs once, and both come back."""
        events = []
        entered = asyncio.Event()
        released = asyncio.Event()

        async def make():
            yield
            events.append("begins")
            entered.set()
            await released.wait()
            events.append("ends")

        registry.register_factory(Database, aleaving(events, "database"))
        registry.register_factory(Session, make)
        container = registry.container()
        await container.aget(Database, Session)
        first = asyncio.create_task(container.aclose())
        await entered.wait()
        second = asyncio.create_task(container.aclose())
        await settle()
        released.set()
        async with asyncio.timeout(5):
            await asyncio.gather(first, second)

        assert ["begins", "ends", "database"] == events

    @pytest.mark.usefixtures("busy_threads")
    def test_closed_by_threads(self, registry):
        """Of many threads that close one container, each cleanup runs once."""
        events = []
        for key in KEYS:
            registry.register_factory(key, leaving(events, key))
        for _ in range(50):
            events.clear()
            container = registry.container()
            container.get(*KEYS)
            outcomes = in_threads(*[container.close] * 4)

            assert [None] * 4 == outcomes
            assert KEYS[::-1] == events

    def test_closed_by_a_thread_while_another_closes(self, registry):
        """A thread that closes what another one is closing does not run its cleanups."""
        events = []
        entered = threading.Event()
        released = threading.Event()

        def make():
            yield
            events.append("session")
            entered.set()
            assert released.wait(10)

        registry.register_factory(Database, leaving(events, "database"))
        registry.register_factory(Session, make)
        container = registry.container()
        container.get(Database, Session)

        def second():
            assert entered.wait(10)
            threading.Timer(0.05, released.set).start()
            container.close()

        outcomes = in_threads(container.close, second)

        assert [None, None] == outcomes
        assert ["session", "database"] == events

    async def test_closing_from_within_a_cleanup(self, way, registry):
        """A cleanup may close its container: there is nothing left to do, and no deadlock."""
        events = []
        container = registry.container()

        async def amake(wares_container):
            yield
            events.append("session")
            await wares_container.aclose()

        def make(wares_container):
            yield
            events.append("session")
            wares_container.close()

        registry.register_factory(Database, leaving(events, "database"))
        registry.register_factory(Session, amake if way.is_async else make)
        await way.get(container, Database, Session)

        async with asyncio.timeout(5):
            await way.close(container)

        assert ["session", "database"] == events

    async def test_closing_a_parent_from_within_a_cleanup_of_its_child(self, way, registry):
        """A child's cleanup may close the parent, which is closing the child: no deadlock."""
        events = []
        parent = registry.container()
        child = parent.child()

        async def amake():
            yield
            events.append("child")
            await parent.aclose()

        def make():
            yield
            events.append("child")
            parent.close()

        parent.register_local_factory(Database, leaving(events, "parent"))
        child.register_local_factory(Session, amake if way.is_async else make)
        await way.get(parent, Database)
        await way.get(child, Session)

        async with asyncio.timeout(5):
            await way.close(parent)

        assert ["child", "parent"] == events

    async def test_get_from_within_a_cleanup(self, way, registry):
        """A cleanup that asks its container is refused, also for what is made (behaviour 18)."""
        outcomes = []

        def asking(wares_container):
            yield
            for key in (Database, Mailer):
                try:
                    wares_container.get(key)
                except ContainerClosedError as error:
                    outcomes.append(type(error))

        async def aasking(wares_container):
            yield
            for key in (Database, Mailer):
                try:
                    await wares_container.aget(key)
                except ContainerClosedError as error:
                    outcomes.append(type(error))

        registry.register_factory(Database, Database)
        registry.register_factory(Mailer, Mailer)
        registry.register_factory(Session, aasking if way.is_async else asking)
        outcomes.clear()
        container = registry.container()
        await way.get(container, Database, Session)

        await way.close(container)

        assert [ContainerClosedError] * 2 == outcomes


class TestClosed:
    """Behaviour 18."""

    async def test_get(self, way, registry):
        """A closed container refuses, also for what it had made, and after long use."""
        registry.register_factory(Database, Database)
        registry.register_factory(Cache, Cache)
        registry.register_value(Mailer, "value")
        container = registry.container({Session: "given"})
        await way.get(container, Database, Session)
        await way.close(container)

        for keys in [(Database,), (Cache,), (Mailer,), (Session,), (Database, Cache)]:
            with pytest.raises(ContainerClosedError, match="closed"):
                container.get(*keys)
            with pytest.raises(ContainerClosedError, match="closed"):
                await container.aget(*keys)

    async def test_other_methods(self, way, container):
        """A closed container takes no registrations and has no children."""
        await way.close(container)

        for attempt in [
            container.child,
            lambda: container.register_local_factory(Database, Database),
            lambda: container.register_local_value(Database, 1),
        ]:
            with pytest.raises(ContainerClosedError):
                attempt()

    async def test_an_empty_container(self, way, container):
        """A container that made nothing closes all the same."""
        await way.close(container)

        with pytest.raises(ContainerClosedError):
            container.get(Database)

    async def test_after_its_block(self, way, registry):
        """The end of the block closes the container."""
        registry.register_factory(Database, Database)
        container = registry.container()
        await way.within(container, lambda it: it.get(Database))

        with pytest.raises(ContainerClosedError):
            await way.get(container, Database)

    async def test_it_cannot_be_entered_again(self, way, registry):
        """A closed container is not opened by `with`: what it is asked is refused."""
        registry.register_factory(Database, Database)
        container = registry.container()
        await way.close(container)

        with pytest.raises(ContainerClosedError):
            await way.within(container, lambda it: it.get(Database))

    async def test_though_cleanups_failed(self, way, registry, container):
        """A container whose cleanups failed is closed all the same."""
        registry.register_factory(Session, leaving([], error=OSError()))
        await way.get(container, Session)
        with pytest.raises(CleanupError):
            await way.close(container)

        with pytest.raises(ContainerClosedError):
            await way.get(container, Session)
        assert None is await way.close(container)

    async def test_the_last_thing_it_does(self, way, registry):
        """A container is closed for others as soon as its first cleanup runs."""
        seen = []
        containers = []

        def make():
            yield
            for container in containers:
                with pytest.raises(ContainerClosedError) as caught:
                    container.child()
                seen.append(caught.type)

        registry.register_factory(Session, make)
        container = registry.container()
        containers.append(container)
        await way.get(container, Session)

        await way.close(container)

        assert [ContainerClosedError] == seen


class TestReset:
    """Behaviour 18: `reset()` closes and reopens."""

    async def test_anew(self, way, registry, container):
        """After `reset` services are made anew, and the old ones have been cleaned up."""
        events = []
        registry.register_factory(Session, leaving(events))
        registry.register_factory(Database, Database)
        first = await way.get(container, Database)
        await way.get(container, Session)

        await way.reset(container)
        after = list(events)
        second = await way.get(container, Database)

        assert ["session"] == after
        assert first is not second

    async def test_after_close(self, way, registry, container):
        """`reset` opens a container that was closed."""
        registry.register_factory(Database, Database)
        await way.close(container)

        await way.reset(container)

        assert Database is type(await way.get(container, Database))

    async def test_though_cleanups_fail(self, way, registry, container):
        """`reset` raises what cleanups raise, and the container is open nevertheless."""
        registry.register_factory(Session, leaving([], error=OSError("disk")))
        registry.register_factory(Database, Database)
        await way.get(container, Session)

        with pytest.raises(CleanupError):
            await way.reset(container)

        assert Database is type(await way.get(container, Database))

    async def test_again_and_again(self, way, registry, container):
        """A container may be reset as often as one likes; every cleanup runs once."""
        events = []
        registry.register_factory(Session, leaving(events))
        for _ in range(100):
            await way.get(container, Session)
            await way.reset(container)
        await way.close(container)

        assert ["session"] * 100 == events

    async def test_with_async_cleanups_pending(self, registry, container):
        """A sync `reset` with async cleanups pending touches nothing, as `close` does."""
        events = []
        registry.register_factory(Database, leaving(events, "database"))
        registry.register_factory(Session, aleaving(events))
        made = await container.aget(Database, Session)

        with pytest.raises(PendingAsyncCleanupError):
            container.reset()

        assert [] == events
        assert made == container.get(Database, Session)


class TestSyncCloseOfAsyncServices:
    """Behaviour 18."""

    @pytest.mark.parametrize("position", [0, 1, 2])
    async def test_it_touches_nothing(self, registry, container, position):
        """`close` with an async cleanup pending raises first; `aclose` can still be called."""
        events = []
        keys = [Database, Cache, Mailer]
        for number, key in enumerate(keys):
            leave = aleaving if number == position else leaving
            registry.register_factory(key, leave(events, key))
        made = await container.aget(*keys)

        with pytest.raises(PendingAsyncCleanupError) as caught:
            container.close()
        before = list(events)
        still_there = container.get(*keys)
        await container.aclose()

        assert [] == before
        assert made == still_there
        assert keys[::-1] == events
        assert (keys[position],) == caught.value.keys
        assert [] == missing_parts(str(caught.value), keys[position].__name__, "aclose()")

    async def test_after_much_use(self, registry):
        """The short cut for what is asked for often knows pending async cleanups, too."""
        events = []
        registry.register_factory(Session, aleaving(events))
        container = registry.container()
        await container.aget(Session)

        with pytest.raises(PendingAsyncCleanupError, match="Session"):
            container.close()
        assert [] == events
        await container.aclose()

        assert ["session"] == events

    async def test_in_a_child(self, registry):
        """A parent does not touch anything where a child's cleanup must be awaited."""
        events = []
        registry.register_factory(Database, leaving(events, "database"))
        registry.register_factory(Session, aleaving(events))
        parent = registry.container()
        first, second = parent.child(), parent.child()
        await parent.aget(Database)
        await first.aget(Session)
        await second.aget(Database)

        with pytest.raises(PendingAsyncCleanupError):
            parent.close()
        before = list(events)
        await parent.aclose()

        assert ([], ["database", "session", "database"]) == (before, events)

    async def test_by_the_end_of_the_block(self, registry):
        """A `with` block that holds async cleanups says so, and `aclose` helps."""
        events = []
        registry.register_factory(Session, aleaving(events))
        container = registry.container()

        with pytest.raises(PendingAsyncCleanupError):
            with container:
                await container.aget(Session)
        before = list(events)
        await container.aclose()

        assert ([], ["session"]) == (before, events)

    async def test_async_making_without_async_cleanup(self, registry, container):
        """What was made by an async function but needs no async cleanup is closed by `close`."""
        events = []

        async def make():
            return ManagerOf(events, "session")

        registry.register_factory(Session, make)
        await container.aget(Session)

        container.close()

        assert ["session entered", "session left"] == events


class TestCancellation:
    """Behaviour 15: async cleanups are shielded, and the cancellation is raised after them."""

    @pytest.mark.parametrize("times", [1, 3])
    async def test_of_the_closing_task(self, registry, times):
        """A cancelled `aclose` runs every cleanup to its end, then raises the cancellation."""
        events = []
        entered = asyncio.Event()
        released = asyncio.Event()

        async def make():
            yield
            events.append("begins")
            entered.set()
            await released.wait()
            events.append("ends")

        registry.register_factory(Database, aleaving(events, "database"))
        registry.register_factory(Session, make)
        released.set()
        released.clear()
        container = registry.container()
        await container.aget(Database, Session)
        task = asyncio.create_task(container.aclose())
        await entered.wait()
        for _ in range(times):
            task.cancel()
            await settle()
        before = list(events)
        released.set()
        with pytest.raises(asyncio.CancelledError):
            await task

        assert ["begins"] == before
        assert ["begins", "ends", "database"] == events
        assert task.cancelled()

    async def test_from_within_while_it_only_lets_others_run(self, registry):
        """A cancellation from within a cleanup arrives there, also in ``sleep(0)``."""
        events = []

        async def make():
            yield
            task = asyncio.current_task()
            asyncio.get_running_loop().call_soon(task.cancel)
            try:
                await asyncio.sleep(0)
            except asyncio.CancelledError:
                events.append("cancelled")
                task.uncancel()

        registry.register_factory(Database, aleaving(events, "database"))
        registry.register_factory(Session, make)

        async with registry.container() as container:
            await container.aget(Database, Session)

        assert ["cancelled", "database"] == events

    async def test_before_the_first_cleanup(self, registry):
        """A task that is cancelled before it closes cleans up all the same."""
        events = []
        registry.register_factory(Database, aleaving(events, "database"))
        registry.register_factory(Session, aleaving(events))
        waiting = asyncio.Event()

        async def work():
            async with registry.container() as container:
                await container.aget(Database, Session)
                waiting.set()
                await asyncio.Event().wait()

        task = asyncio.create_task(work())
        await waiting.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

        assert ["session", "database"] == events

    async def test_again_during_the_cleanups(self, registry):
        """A task that is cancelled, and again in its cleanups, cleans up all the same."""
        seen = []
        entered = asyncio.Event()
        released = asyncio.Event()

        async def make():
            try:
                yield
            except asyncio.CancelledError:
                entered.set()
                await released.wait()
                seen.append("rolled back")
                raise

        async def work():
            async with registry.container() as container:
                await container.aget(Session)
                await asyncio.Event().wait()

        registry.register_factory(Session, make)
        task = asyncio.create_task(work())
        await settle()
        task.cancel()
        await entered.wait()
        task.cancel()
        await settle()
        released.set()
        with pytest.raises(asyncio.CancelledError):
            await task

        assert ["rolled back"] == seen

    async def test_a_cancelled_task_may_be_uncancelled(self, registry):
        """`asyncio.timeout` around a block tells its own cancellation from another's."""
        events = []
        registry.register_factory(Session, aleaving(events))

        async def work():
            async with asyncio.timeout(0.01), registry.container() as container:
                await container.aget(Session)
                await asyncio.Event().wait()

        with pytest.raises(TimeoutError):
            await work()

        assert ["session"] == events
        assert 0 == asyncio.current_task().cancelling()

    def test_outside_of_asyncio(self, registry):
        """Where another library runs the tasks, cleanups wait by what it understands."""

        class Trap:
            def __init__(self, name):
                self.name = name

            def __await__(self):
                return (yield self.name)

        answers = []

        async def make():
            yield "service"
            answers.append(await Trap("first"))
            try:
                await Trap("second")
            except Boom:
                answers.append("Boom")

        registry.register_factory(Session, make)
        container = registry.container()
        with pytest.raises(StopIteration):
            container.aget(Session).send(None)
        closing = container.aclose()

        assert "first" == closing.send(None)
        assert "second" == closing.send("answer")
        with pytest.raises(StopIteration):
            closing.throw(Boom())
        assert ["answer", "Boom"] == answers

    async def test_a_timeout_around_closing(self, registry):
        """A timeout around `aclose` is raised after the cleanups, as a `TimeoutError`."""
        events = []
        released = asyncio.Event()

        async def make():
            yield
            await released.wait()
            events.append("session")

        registry.register_factory(Session, make)
        container = registry.container()
        await container.aget(Session)
        asyncio.get_running_loop().call_later(0.1, released.set)

        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await container.aclose()

        assert ["session"] == events

    @pytest.mark.parametrize("is_cancelled", [False, True])
    async def test_a_timeout_within_a_cleanup(self, registry, is_cancelled):
        """`asyncio.timeout` in a cleanup works, also while the closing task is cancelled."""
        outcomes = []
        entered = asyncio.Event()

        async def make():
            yield
            entered.set()
            try:
                async with asyncio.timeout(0.02):
                    await asyncio.Event().wait()
            except TimeoutError:
                outcomes.append("timed out")

        registry.register_factory(Database, aleaving(outcomes, "database"))
        registry.register_factory(Session, make)
        await use(ASYNC, registry, 1, Database, Session)
        outcomes.clear()
        entered.clear()
        container = registry.container()
        await container.aget(Database, Session)
        task = asyncio.create_task(container.aclose())
        await entered.wait()
        if is_cancelled:
            task.cancel()
        await asyncio.wait([task], timeout=5)

        assert ["timed out", "database"] == outcomes
        assert is_cancelled == task.cancelled()

    @pytest.mark.parametrize("is_cancelled", [False, True])
    async def test_a_timeout_within_a_cleanup_that_never_rests(self, registry, is_cancelled):
        """A timeout in a cleanup ends a loop that waits for nothing but the next round."""
        outcomes = []
        entered = asyncio.Event()

        async def make():
            yield
            entered.set()
            try:
                async with asyncio.timeout(0.02):
                    while True:
                        await asyncio.sleep(0)
            except TimeoutError:
                outcomes.append("timed out")

        registry.register_factory(Session, make)
        container = registry.container()
        await container.aget(Session)
        task = asyncio.create_task(container.aclose())
        await entered.wait()
        if is_cancelled:
            task.cancel()
        await asyncio.wait([task], timeout=5)

        assert ["timed out"] == outcomes
        assert is_cancelled == task.cancelled()

    async def test_a_task_group_within_a_cleanup(self, registry):
        """A `TaskGroup` in a cleanup works while the closing task is cancelled."""
        outcomes = []
        entered = asyncio.Event()

        async def part(name):
            await asyncio.sleep(0.001)
            outcomes.append(name)

        async def make():
            yield
            async with asyncio.TaskGroup() as group:
                group.create_task(part("first"))
                group.create_task(part("second"))
                entered.set()

        registry.register_factory(Session, make)
        container = registry.container()
        await container.aget(Session)
        task = asyncio.create_task(container.aclose())
        await entered.wait()
        task.cancel()
        await asyncio.wait([task], timeout=5)

        assert ["first", "second"] == sorted(outcomes)
        assert task.cancelled()

    @pytest.mark.parametrize("is_cancelled", [False, True])
    async def test_a_worker_that_is_cancelled_by_a_cleanup(self, registry, is_cancelled):
        """A cleanup may cancel a task of its own and wait for its end."""
        events = []
        entered = asyncio.Event()

        async def work():
            try:
                await asyncio.Event().wait()
            finally:
                await asyncio.sleep(0.001)
                events.append("worker")

        async def make():
            worker = asyncio.create_task(work())
            await asyncio.sleep(0)
            yield
            entered.set()
            worker.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await worker
            await asyncio.to_thread(events.append, "thread")
            await asyncio.wait_for(asyncio.shield(asyncio.sleep(0, "result")), 1)
            events.append("session")

        registry.register_factory(Database, aleaving(events, "database"))
        registry.register_factory(Session, make)
        container = registry.container()
        await container.aget(Database, Session)
        task = asyncio.create_task(container.aclose())
        await entered.wait()
        if is_cancelled:
            task.cancel()
        await asyncio.wait([task], timeout=5)

        assert ["worker", "thread", "session", "database"] == events
        assert is_cancelled == task.cancelled()

    @pytest.mark.parametrize("is_cancelled", [False, True])
    async def test_a_cleanup_that_closes_another_container(self, registry, is_cancelled):
        """A cleanup may close another container, whose cleanups are shielded in turn."""
        events = []
        entered = asyncio.Event()
        released = asyncio.Event()

        async def inner():
            yield
            entered.set()
            await released.wait()
            events.append("inner")

        async def outer():
            async with registry.container() as other:
                await other.aget(Cache, "inner")
                yield
            await asyncio.sleep(0)
            events.append("outer")

        registry.register_factory(Cache, aleaving(events, "cache"))
        registry.register_factory("inner", inner)
        registry.register_factory(Database, aleaving(events, "database"))
        registry.register_factory(Session, outer)
        container = registry.container()
        await container.aget(Database, Session)
        task = asyncio.create_task(container.aclose())
        await entered.wait()
        if is_cancelled:
            task.cancel()
            await settle()
            task.cancel()
            await settle()
        released.set()
        await asyncio.wait([task], timeout=5)

        assert ["inner", "cache", "outer", "database"] == events
        assert is_cancelled == task.cancelled()

    async def test_a_cancellation_that_is_taken_back(self, registry):
        """After a cancelled close, the task may go on as after any cancellation."""
        events = []
        entered = asyncio.Event()
        released = asyncio.Event()

        async def make():
            yield
            entered.set()
            await released.wait()
            events.append("session")

        async def work():
            container = registry.container()
            await container.aget(Session)
            try:
                await container.aclose()
            except asyncio.CancelledError:
                asyncio.current_task().uncancel()
            events.append(asyncio.current_task().cancelling())
            await asyncio.sleep(0)
            return "went on"

        registry.register_factory(Session, make)
        task = asyncio.create_task(work())
        await entered.wait()
        task.cancel()
        await settle()
        released.set()

        assert "went on" == await task
        assert ["session", 0] == events

    async def test_a_cleanup_that_cancels_the_closing_task(self, registry):
        """A cleanup that cancels the task that closes it does not stop the others."""
        events = []
        tasks = []

        async def make():
            yield
            tasks[0].cancel()
            await asyncio.sleep(0)
            events.append("session")

        registry.register_factory(Database, aleaving(events, "database"))
        registry.register_factory(Session, make)
        container = registry.container()
        await container.aget(Database, Session)
        tasks.append(asyncio.create_task(container.aclose()))
        await asyncio.wait(tasks, timeout=5)

        assert ["session", "database"] == events
        assert tasks[0].cancelled()

    async def test_errors_of_a_cancelled_close(self, registry, caplog):
        """Errors of cleanups under a cancellation are logged, not lost."""
        entered = asyncio.Event()
        released = asyncio.Event()

        async def make():
            yield
            entered.set()
            await released.wait()
            raise OSError("the disk is full")

        registry.register_factory(Session, make)
        container = registry.container()
        await container.aget(Session)
        task = asyncio.create_task(container.aclose())
        await entered.wait()
        task.cancel()
        await settle()
        released.set()
        with caplog.at_level(logging.WARNING), pytest.raises(asyncio.CancelledError):
            await task

        assert "the disk is full" in caplog.text

    async def test_of_one_of_two_closing_tasks(self, registry):
        """A cancelled second closer does not disturb the first."""
        events = []
        entered = asyncio.Event()
        released = asyncio.Event()

        async def make():
            yield
            entered.set()
            await released.wait()
            events.append("session")

        registry.register_factory(Session, make)
        container = registry.container()
        await container.aget(Session)
        first = asyncio.create_task(container.aclose())
        await entered.wait()
        second = asyncio.create_task(container.aclose())
        await settle()
        second.cancel()
        await settle()
        released.set()
        await asyncio.wait([first, second], timeout=5)

        assert ["session"] == events
        assert None is first.exception()

    async def test_of_the_first_of_two_closing_tasks(self, registry):
        """A second closer comes back though the first one was cancelled."""
        events = []
        entered = asyncio.Event()
        released = asyncio.Event()

        async def make():
            yield
            entered.set()
            await released.wait()
            events.append("session")

        registry.register_factory(Session, make)
        container = registry.container()
        await container.aget(Session)
        first = asyncio.create_task(container.aclose())
        await entered.wait()
        second = asyncio.create_task(container.aclose())
        await settle()
        first.cancel()
        await settle()
        released.set()
        await asyncio.wait([first, second], timeout=5)

        assert ["session"] == events
        assert (True, None) == (first.cancelled(), second.exception())

    async def test_of_a_registry(self):
        """A cancelled `aclose` of a registry ends its singletons to the last one."""
        events = []
        entered = asyncio.Event()
        released = asyncio.Event()

        async def make():
            yield
            entered.set()
            await released.wait()
            events.append("engine")

        registry = Registry()
        registry.register_factory(Database, aleaving(events, "database"), lifetime="singleton")
        registry.register_factory(
            Engine,
            make,
            lifetime="singleton",
            on_registry_close=lambda: events.append("callback"),
        )
        await use(ASYNC, registry, 1, Database, Engine)
        task = asyncio.create_task(registry.aclose())
        await entered.wait()
        task.cancel()
        await settle()
        released.set()
        with pytest.raises(asyncio.CancelledError):
            await task

        assert ["engine", "database", "callback"] == events

    async def test_of_a_reset(self, registry, container):
        """A cancelled `areset` runs its cleanups, and the container is open again."""
        events = []
        entered = asyncio.Event()
        released = asyncio.Event()

        async def make():
            yield
            entered.set()
            await released.wait()
            events.append("session")

        registry.register_factory(Session, make)
        registry.register_factory(Database, Database)
        await container.aget(Session)
        task = asyncio.create_task(container.areset())
        await entered.wait()
        task.cancel()
        await settle()
        released.set()
        with pytest.raises(asyncio.CancelledError):
            await task

        assert ["session"] == events
        assert Database is type(await container.aget(Database))


VARIABLE = contextvars.ContextVar("VARIABLE", default="default")


class TestContextVariables:
    async def test_a_token_across_the_yield(self, registry):
        """An async generator may reset a context variable after its `yield`."""
        seen = []

        async def make():
            token = VARIABLE.set("set")
            yield
            seen.append(VARIABLE.get())
            VARIABLE.reset(token)

        registry.register_factory(Session, make)
        seen.clear()

        async with registry.container() as container:
            await container.aget(Session)

        assert (["set"], "default") == (seen, VARIABLE.get())

    async def test_a_token_across_the_yield_of_a_sync_generator(self, way, registry):
        """A sync generator may reset a context variable after its `yield`."""
        seen = []

        def make():
            token = VARIABLE.set("set")
            yield
            seen.append(VARIABLE.get())
            VARIABLE.reset(token)

        registry.register_factory(Session, make)
        seen.clear()
        container = registry.container()
        await way.get(container, Session)
        await way.close(container)

        assert (["set"], "default") == (seen, VARIABLE.get())

    @pytest.mark.parametrize("when", ["before", "during"])
    async def test_a_token_across_the_yield_of_a_cancelled_task(self, registry, when):
        """Shielded cleanups run in the context of the task that closes."""
        seen = []
        entered = asyncio.Event()
        released = asyncio.Event()

        async def make():
            token = VARIABLE.set("set")
            try:
                yield
            finally:
                entered.set()
                await released.wait()
                VARIABLE.reset(token)
                seen.append(VARIABLE.get())

        registry.register_factory(Session, make)
        released.set()
        seen.clear()
        released.clear()

        async def work():
            async with registry.container() as container:
                await container.aget(Session)
                if when == "before":
                    await asyncio.Event().wait()

        task = asyncio.create_task(work())
        await settle()
        task.cancel()
        await entered.wait()
        if when == "during":
            task.cancel()
            await settle()
        released.set()
        await asyncio.wait([task], timeout=5)

        assert ["default"] == seen

    async def test_what_a_factory_sets_is_seen_by_who_asked(self, registry):
        """A factory runs in the context of the task that asks for its service."""

        async def make():
            VARIABLE.set("set")
            return "service"

        registry.register_factory(Session, make)

        async def work():
            VARIABLE.set("before")
            async with registry.container() as container:
                await container.aget(Session)
                return VARIABLE.get()

        assert "set" == await asyncio.create_task(work())

    async def test_what_a_cleanup_sees(self, way, registry):
        """A cleanup sees what was set by the task that closes."""
        seen = []

        async def make():
            yield
            seen.append(VARIABLE.get())

        registry.register_factory(Session, make)
        seen.clear()

        async def work():
            async with registry.container() as container:
                await container.aget(Session)
                VARIABLE.set("by the request")

        await asyncio.create_task(work())

        assert ["by the request"] == seen

    async def test_a_cancel_scope_across_the_yield(self, registry):
        """`asyncio.timeout` may span the `yield`: entering and leaving share one task."""
        seen = []

        async def make():
            async with asyncio.timeout(60):
                yield asyncio.current_task()
            seen.append(asyncio.current_task())

        registry.register_factory(Session, make)
        seen.clear()

        async with registry.container() as container:
            entering_task = await container.aget(Session)

        assert asyncio.current_task() is entering_task
        assert 1 == len(seen)


class TestStartup:
    """Behaviour 20: a startup that fails half-way cleans up what had been made."""

    async def test_a_registry_as_a_block(self, way):
        """Singletons made before a startup failed end with the registry's block."""
        events = []
        registry = Registry()
        registry.register_factory(Database, leaving(events, "database"), lifetime="singleton")
        registry.register_factory(
            Engine,
            lambda: fail(Boom()),
            lifetime="singleton",
            on_registry_close=lambda: events.append("callback"),
        )

        with pytest.raises(Boom):
            await way.within(registry, lambda it: it.container().get(Database, Engine))

        assert ["database", "callback"] == events

    async def test_a_singleton_that_fails_after_its_needs(self, way):
        """What a failed singleton needed is a singleton like any other, and ends as such."""
        events = []

        def make_engine(database: Database):
            raise Boom

        registry = Registry()
        registry.register_factory(Database, leaving(events, "database"), lifetime="singleton")
        registry.register_factory(Engine, make_engine, lifetime="singleton")
        with pytest.raises(Boom):
            await way.get(registry.container(), Engine)

        await way.close(registry)

        assert ["database"] == events


class TestDropped:
    """Behaviour 21."""

    def collect(self):
        """Return the warnings that the garbage collector's work gives rise to."""
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            gc.collect()
        return [
            str(warning.message)
            for warning in caught
            if issubclass(warning.category, ResourceWarning)
        ]

    @pytest.mark.parametrize("leave", [leaving, aleaving])
    async def test_a_container(self, registry, leave):
        """A container dropped with cleanups pending warns, and names them."""
        registry.register_factory(Session, leave([]))
        registry.register_factory(Database, Database)
        container = registry.container()
        await container.aget(Session, Database)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            del container
            gc.collect()

        (message,) = [str(w.message) for w in caught if w.category is ResourceWarning]
        assert [] == missing_parts(message, "Session", "ontainer", "close")
        assert "Database" not in message

    def test_a_container_in_a_cycle(self, registry):
        """A container that its own services refer to warns as well."""
        registry.register_factory(Session, lambda wares_container: ManagerOf([], "x"))
        registry.register_factory(Database, lambda wares_container: [wares_container])
        container = registry.container()
        container.get(Session, Database)
        del container

        (message,) = self.collect()

        assert "Session" in message

    @pytest.mark.parametrize("hot", [0, MANY])
    def test_a_container_without_cleanups(self, hot):
        """A container with nothing to clean up may be dropped."""
        registry = Registry()
        registry.register_factory(Database, Database)
        registry.register_value(Cache, "value")
        for _ in range(hot + 1):
            container = registry.container({Mailer: "given"})
            container.get(Database, Cache, Mailer)
            del container
        del registry

        assert [] == self.collect()

    def test_a_closed_container(self, registry):
        """A container that was closed may be dropped."""
        registry.register_factory(Session, leaving([]))
        with registry.container() as container:
            container.get(Session)
        del container

        assert [] == self.collect()

    def test_a_container_whose_cleanup_failed(self, registry):
        """A container that was closed may be dropped, also where its cleanups failed."""
        registry.register_factory(Session, leaving([], error=OSError()))
        container = registry.container()
        container.get(Session)
        with pytest.raises(CleanupError):
            container.close()
        del container

        assert [] == self.collect()

    def test_a_registry(self):
        """A registry dropped with singletons warns, and names those with a cleanup."""
        registry = Registry()
        registry.register_factory(Engine, leaving([]), lifetime="singleton")
        registry.register_factory(Database, Database, lifetime="singleton")
        with registry.container() as container:
            container.get(Engine, Database)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            del container, registry
            gc.collect()

        (message,) = [str(w.message) for w in caught if w.category is ResourceWarning]
        assert [] == missing_parts(message, "Engine", "egistry", "close")
        assert "Database" not in message

    def test_a_registry_with_callbacks(self):
        """A registry dropped with callbacks pending warns, and names them."""
        registry = Registry()
        registry.register_value(Engine, Engine(), on_registry_close=print)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            del registry
            gc.collect()

        (message,) = [str(w.message) for w in caught if w.category is ResourceWarning]
        assert "Engine" in message

    def test_a_registry_that_was_closed(self):
        """A registry that was closed may be dropped."""
        registry = Registry()
        registry.register_factory(
            Engine, leaving([]), lifetime="singleton", on_registry_close=list
        )
        with registry.container() as container:
            container.get(Engine)
        registry.close()
        del container, registry

        assert [] == self.collect()

    def test_a_child(self, registry, container):
        """A dropped child warns when it is dropped, or is closed by its parent: not neither."""
        events = []
        registry.register_factory(Session, lambda: ManagerOf(events, "session"))
        container.child().get(Session)

        messages = self.collect()
        container.close()

        assert 1 == len(messages) + events.count("session left")


def test_cleanups_in_another_thread(registry):
    """A container may be closed by another thread than the one that made its services."""
    events = []
    registry.register_factory(Session, leaving(events))
    container = registry.container()
    container.get(Session)

    in_thread(container.close)

    assert ["session"] == events
