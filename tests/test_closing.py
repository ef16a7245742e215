"""Closing, once and for good; and containers that are dropped instead."""

import asyncio
import gc
import threading
import warnings

import pytest

from tests.support.cleanups import AsyncManagerOf, Boom, ManagerOf, aleaving, leaving
from tests.support.deadline import in_threads, settle
from tests.support.messages import missing_parts
from tests.support.services import Cache, Database, Engine, Mailer, Session
from wares import ContainerClosedError, PendingAsyncCleanupError, Registry

KEYS = [Database, Cache, Mailer, Session]


async def awaiting_for_ever():
    """A factory that never gets to its `yield`."""
    await asyncio.Event().wait()
    yield


class TestExactlyOnce:
    """Each cleanup runs once, however often and from wherever its container is closed."""

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
        """If two tasks close one container, each cleanup runs once, and both return."""
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
        """If many threads close one container, each cleanup runs once."""
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
        """A cleanup that asks its container is refused, even for services that are made."""
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
        container = registry.container()
        await way.get(container, Database, Session)

        await way.close(container)

        assert [ContainerClosedError] * 2 == outcomes


class TestClosed:
    """A closed container is closed."""

    async def test_get(self, way, registry):
        """A closed container refuses all services, even those that it had made."""
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
        """A closed container can be entered by `with`, but refuses all services."""
        registry.register_factory(Database, Database)
        container = registry.container()
        await way.close(container)

        with pytest.raises(ContainerClosedError):
            await way.within(container, lambda it: it.get(Database))

    async def test_though_cleanups_failed(self, way, registry, container):
        """A container whose cleanups failed is closed all the same."""
        registry.register_factory(Session, leaving([], error=OSError("disk")))
        await way.get(container, Session)
        with pytest.raises(OSError, match="disk"):
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
    """`reset()` closes and reopens."""

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

        with pytest.raises(OSError, match="disk"):
            await way.reset(container)

        assert Database is type(await way.get(container, Database))

    async def test_what_was_given(self, way, registry):
        """After a reset, given objects are there again, but local registrations are not."""
        registry.register_value(Session, "registered")
        container = registry.container({Database: "given"})
        container.register_local_value(Session, "local")
        container.register_local_value(Database, "local")

        await way.reset(container)

        assert ("given", "registered") == await way.get(container, Database, Session)

    async def test_what_was_given_and_nothing_else(self, way, registry):
        """After a reset without local registrations, given objects are there again."""
        container = registry.container({Database: "given"})

        await way.reset(container)

        assert "given" == await way.get(container, Database)

    async def test_again_and_again(self, way, registry, container):
        """A container may be reset as often as one likes; every cleanup runs once."""
        events = []
        registry.register_factory(Session, leaving(events))
        for _ in range(20):
            await way.get(container, Session)
            await way.reset(container)
        await way.close(container)

        assert ["session"] * 20 == events

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
    """A sync close that would leave async cleanups out raises before it touches anything."""

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

    async def test_all_are_named(self, registry, container):
        """All services whose cleanup must be awaited are named, and no other."""
        registry.register_factory(Database, aleaving([]))
        registry.register_factory(Cache, leaving([]))
        registry.register_factory(Session, lambda: AsyncManagerOf([], "session"))
        await container.aget(Database, Cache, Session)

        with pytest.raises(PendingAsyncCleanupError) as caught:
            container.close()

        assert {Database, Session} == set(caught.value.keys)
        assert [] == missing_parts(str(caught.value), "Database", "Session")
        assert "Cache" not in str(caught.value)

    @pytest.mark.parametrize("stage", ["make", "enter", "after"])
    async def test_after_a_failed_aget(self, registry, stage):
        """After a failed `aget` there is nothing to await: sync `close` works."""
        events = []

        class Manager:
            async def __aenter__(self):
                raise Boom

            async def __aexit__(self, *details):
                events.append("left")

        async def make():
            raise Boom
            yield

        async def connect():
            return "connected"

        def need(database: Database):
            raise Boom

        registry.register_factory(Database, connect)
        registry.register_factory(Cache, leaving(events, "cache"))
        registry.register_factory(
            Session, {"make": make, "enter": Manager, "after": need}[stage]
        )
        container = registry.container()
        await container.aget(Cache)
        with pytest.raises(Boom):
            await container.aget(Session)

        container.close()

        assert ["cache"] == events

    async def test_a_transient_that_failed(self, registry, container):
        """After a transient service that failed, `close` has nothing to await."""

        async def make():
            raise Boom
            yield

        registry.register_factory(Session, make, lifetime="transient")
        for _ in range(2):
            with pytest.raises(Boom):
                await container.aget(Session)

        assert None is container.close()

    async def test_a_cancelled_aget(self, registry):
        """After a cancelled `aget`, `close` has nothing to await."""
        registry.register_factory(Session, awaiting_for_ever)
        container = registry.container()
        task = asyncio.create_task(container.aget(Session))
        await settle()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

        assert None is container.close()

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
        """`close` closes a service of an async function that needs no async cleanup."""
        events = []

        async def make():
            return ManagerOf(events, "session")

        registry.register_factory(Session, make)
        await container.aget(Session)

        container.close()

        assert ["session entered", "session left"] == events


class TestDropped:
    """A container that is dropped with cleanups pending warns, and names them."""

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

    def test_a_container_without_cleanups(self):
        """A container with nothing to clean up may be dropped."""
        registry = Registry()
        registry.register_factory(Database, Database)
        registry.register_value(Cache, "value")
        container = registry.container({Mailer: "given"})
        container.get(Database, Cache, Mailer)
        del container, registry

        assert [] == self.collect()

    def test_a_closed_container(self, registry):
        """A container that was closed may be dropped."""
        registry.register_factory(Session, leaving([]))
        with registry.container() as container:
            container.get(Session)
        del container

        assert [] == self.collect()

    def test_a_container_whose_cleanup_failed(self, registry):
        """A closed container may be dropped, even if its cleanups failed."""
        registry.register_factory(Session, leaving([], error=OSError("disk")))
        container = registry.container()
        container.get(Session)
        with pytest.raises(OSError, match="disk"):
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
        """A child that is dropped warns, or is closed by its parent: one of the two."""
        events = []
        registry.register_factory(Session, lambda: ManagerOf(events, "session"))
        container.child().get(Session)

        messages = self.collect()
        container.close()

        assert 1 == len(messages) + events.count("session left")


def test_one_object_in_two_services(registry):
    """An object that is two services is left once if its container closes meanwhile."""
    events, late, container = [], [], registry.container()
    manager = ManagerOf(events, "manager")
    entered, may_go_on = threading.Event(), threading.Event()

    def make_late():
        entered.set()
        assert may_go_on.wait(20)
        return manager

    def open_last():
        yield 1
        may_go_on.set()
        thread.join(20)

    def get_late():
        with pytest.raises(ContainerClosedError):
            container.get("late")
        late.extend(events)

    registry.register_factory("early", lambda: manager)
    registry.register_factory("late", make_late)
    registry.register_factory("last", open_last)
    container.get("early", "last")
    thread = threading.Thread(target=get_late)
    thread.start()
    assert entered.wait(20)

    container.close()

    assert ["manager entered", "manager entered", "manager left"] == late
    assert [*late, "manager left"] == events
