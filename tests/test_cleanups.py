"""Tests of cleanups: services are left in reverse, in the way in which they were entered."""

import asyncio
import contextvars
import functools

import pytest

from tests.support.cleanups import (
    WATCHERS,
    AsyncManagerOf,
    Boom,
    ManagerOf,
    aleaving,
    fail,
    leaving,
)
from tests.support.deadline import in_thread, settle
from tests.support.messages import missing_parts, text_of
from tests.support.services import Cache, Database, Engine, Mailer, Session
from tests.support.ways import ASYNC, SYNC
from wares import ContainerClosedError, FactoryError, Registry

KEYS = [Database, Cache, Mailer, Session]


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


class TestOrder:
    """Services are left in the reverse of the order in which they were finished."""

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
        """A service closes before the services that it needs, which close in reverse."""
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
        """A service that is asked for later closes earlier."""
        events = []
        registry.register_factory(Database, leaving(events, "database"))
        registry.register_factory(Session, lambda wares_container: ManagerOf(events, "session"))
        await way.get(container, Session)
        await way.get(container, Database)

        await way.close(container)

        assert ["session entered", "database", "session left"] == events

    async def test_the_order_of_finishing(self, registry):
        """The order of finishing counts, not the order of beginning."""
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
    """Context managers are exited in the way in which they were entered."""

    async def test_a_failed_enter_is_not_exited(self, way, registry):
        """A context manager whose `__enter__` failed is not exited, but its needs are."""
        events = []

        class Manager(ManagerOf):
            def __init__(self, database: Database):
                super().__init__(events, "session")

            def __enter__(self):
                super().__enter__()
                raise Boom

        registry.register_factory(Database, leaving(events, "database"))
        registry.register_factory(Session, Manager)
        container = registry.container()

        with pytest.raises(Boom):
            await way.get(container, Session)
        await way.close(container)

        assert ["session entered", "database"] == events

    async def test_a_failed_async_enter_is_not_exited(self, registry):
        """An async context manager whose `__aenter__` failed is not exited."""
        events = []

        class Manager(AsyncManagerOf):
            async def __aenter__(self):
                await super().__aenter__()
                raise Boom

        registry.register_factory(Session, lambda: Manager(events, "session"))
        container = registry.container()

        with pytest.raises(Boom):
            await container.aget(Session)
        await container.aclose()

        assert ["session entered"] == events

    async def test_a_failed_make_cleans_up_what_it_needed(self, way, registry):
        """The services made for one that failed end with the container."""
        events = []

        def make(first: Database, second: Cache):
            raise Boom
            yield "session"

        registry.register_factory(Database, leaving(events, "database"))
        registry.register_factory(Cache, leaving(events, "cache"))
        registry.register_factory(Session, make)
        container = registry.container()
        with pytest.raises(Boom):
            await way.get(container, Session)
        before = list(events)

        await way.close(container)

        assert ([], ["cache", "database"]) == (before, events)

    @pytest.mark.parametrize("close", [SYNC, ASYNC], ids=["close", "aclose"])
    async def test_both_kinds_under_get(self, registry, close):
        """If `get` enters a context manager of both kinds as sync, it is left as sync."""
        events = []
        registry.register_factory(Session, lambda: BothKinds(events))
        container = registry.container()
        container.get(Session)

        await close.close(container)

        assert ["sync entered", "sync left"] == events

    async def test_both_kinds_under_aget(self, registry):
        """`aclose` leaves a context manager of both kinds as `aget` has entered it."""
        events = []
        registry.register_factory(Session, lambda: BothKinds(events))
        container = registry.container()
        await container.aget(Session)

        await container.aclose()

        assert events in (["sync entered", "sync left"], ["async entered", "async left"])

    async def test_both_kinds_entered_by_both_ways(self, registry):
        """Each container leaves a context manager of both kinds as it has entered it."""
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
        """`get` refuses an async context manager even if the factory returned others before."""
        events = []
        products = [1, AsyncManagerOf(events, "session")]
        registry.register_factory(Session, lambda: products.pop())
        container = registry.container()

        with pytest.raises(TypeError, match="aget"):
            container.get(Session)

        assert [] == events
        assert 1 == container.get(Session)

    async def test_a_generator_that_yields_nothing(self, way, registry):
        """A generator factory that yields nothing is an error that names it."""

        def make():
            yield from ()

        registry.register_factory(Session, make)

        with registry.container() as container, pytest.raises(FactoryError) as caught:
            await way.get(container, Session)
        assert [] == missing_parts(
            text_of(caught.value), "Session", "make", "test_cleanups.py:"
        )

    async def test_an_async_generator_that_yields_nothing(self, registry):
        """An async generator factory that yields nothing is the same error."""

        async def make():
            for nothing in ():
                yield nothing

        registry.register_factory(Session, make)

        async with registry.container() as container:
            with pytest.raises(FactoryError, match="Session"):
                await container.aget(Session)

    async def test_a_decorated_generator_that_yields_nothing(self, way, registry, container):
        """A generator that yields nothing is an error, even if a decorator hides it."""

        def make():
            yield from ()

        registry.register_factory(Session, functools.wraps(make)(lambda: make()))

        with pytest.raises(FactoryError, match="Session"):
            await way.get(container, Session)

    async def test_a_decorated_async_generator_that_yields_nothing(self, registry, container):
        """An async generator that yields nothing is an error, even if a decorator hides it."""

        async def make():
            for item in ():
                yield item

        registry.register_factory(Session, functools.wraps(make)(lambda: make()))

        with pytest.raises(FactoryError, match="Session"):
            await container.aget(Session)

    async def test_a_generator_that_yields_twice(self, way, registry):
        """A generator factory that yields again is closed, and is an error that names it."""
        events = []

        def make():
            try:
                yield 1
                yield 2
            finally:
                events.append("ended")

        registry.register_factory(Database, leaving(events, "database"))
        registry.register_factory(Session, make)
        container = registry.container()
        await way.get(container, Database, Session)

        with pytest.raises(FactoryError) as caught:
            await way.close(container)

        assert [] == missing_parts(text_of(caught.value), "Session", "make")
        assert ["ended", "database"] == events

    @pytest.mark.parametrize("waits", [False, True])
    async def test_an_async_generator_that_yields_twice(self, registry, waits):
        """An async generator factory that yields again is closed, and is the same error."""
        events = []

        async def make():
            try:
                yield 1
                yield 2
            finally:
                if waits:
                    await asyncio.sleep(0)
                events.append("ended")

        registry.register_factory(Session, make)
        container = registry.container()
        await container.aget(Session)

        with pytest.raises(FactoryError, match="Session"):
            await container.aclose()

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

        with pytest.raises(FactoryError, match="Session") as caught:
            await way.within(registry.container(), lambda it: (it.get(Session), fail(error)))

        assert error is caught.value.__context__
        assert ["ended"] == events

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

        with pytest.raises(FactoryError, match="Session") as caught:
            await work()

        assert error is caught.value.__context__
        assert ["ended"] == events

    @pytest.mark.parametrize("is_awaited", [False, True])
    async def test_a_generator_that_yields_twice_though_it_is_shown_no_error(
        self, registry, is_awaited
    ):
        """A second `yield` is an error even if the generator is not shown the exception."""

        def make():
            yield 1
            yield 2

        async def amake():
            yield 1
            yield 2

        registry.register_factory(
            Session, amake if is_awaited else make, suppress_context_exit=True
        )
        error = Boom()

        async def work():
            async with registry.container() as container:
                await container.aget(Session)
                raise error

        with pytest.raises(FactoryError, match="Session") as caught:
            await work()

        assert error is caught.value.__context__

    async def test_what_is_finished_after_its_container_closed(self, registry):
        """A service that is finished after its container closed is cleaned up at once."""
        events = []
        entered, released = asyncio.Event(), asyncio.Event()

        async def make():
            entered.set()
            await released.wait()
            yield "session"
            events.append("left")

        registry.register_factory(Session, make)
        container = registry.container()
        task = asyncio.create_task(container.aget(Session))
        await entered.wait()
        await container.aclose()
        released.set()

        with pytest.raises(ContainerClosedError):
            await task
        assert ["left"] == events


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
        """A context variable can be reset in a cleanup of a cancelled task."""
        seen = []
        entered = asyncio.Event()
        released = asyncio.Event()

        async def make():
            token = VARIABLE.set("set")
            try:
                yield
            finally:
                entered.set()
                try:
                    await released.wait()
                finally:
                    VARIABLE.reset(token)
                    seen.append(VARIABLE.get())

        registry.register_factory(Session, make)

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
        """A cleanup sees context variables that the closing task has set."""
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
    """A start that fails half-way cleans up what had been made."""

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
        """The needs of a failed singleton are kept as singletons, and end as such."""
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


def test_cleanups_in_another_thread(registry):
    """A container may be closed by another thread than the one that made its services."""
    events = []
    registry.register_factory(Session, leaving(events))
    container = registry.container()
    container.get(Session)

    in_thread(container.close)

    assert ["session"] == events
