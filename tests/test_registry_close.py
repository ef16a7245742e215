"""The end of a registry: singletons, then callbacks, each in reverse."""

import asyncio
import logging

import pytest

from tests.support.cleanups import aleaving, fail, leaving
from tests.support.deadline import in_loop, in_threads
from tests.support.messages import missing_parts
from tests.support.services import Cache, Database, Engine, Mailer
from tests.support.ways import ASYNC, use
from wares import PendingAsyncCleanupError, Registry, RegistryClosedError


class Boom(Exception):
    """The exception that an application fails with."""


@pytest.fixture
def registry():
    """A registry that each test closes itself."""
    return Registry()


class TestOrder:
    async def test_singletons_in_reverse(self, way, registry):
        """Singletons close in the reverse of the order in which they were made."""
        events = []
        for key in (Mailer, Database, Cache):
            registry.register_factory(key, leaving(events, key), lifetime="singleton")
        for key in (Database, Cache, Mailer):
            await use(way, registry, 1, key)

        await way.close(registry)

        assert [Mailer, Cache, Database] == events

    async def test_callbacks_in_reverse(self, way, registry):
        """Callbacks run in the reverse of the order in which they were registered."""
        events = []
        registry.register_factory(
            Database, Database, on_registry_close=lambda: events.append("factory")
        )
        registry.register_value(Cache, 1, on_registry_close=lambda: events.append("value"))

        await way.close(registry)

        assert ["value", "factory"] == events

    async def test_callbacks_after_singletons(self, way, registry):
        """Callbacks run after every singleton has closed."""
        events = []
        registry.register_factory(
            Engine,
            leaving(events, "engine"),
            lifetime="singleton",
            on_registry_close=lambda: events.append("callback"),
        )
        await use(way, registry, 1, Engine)

        await way.close(registry)

        assert ["engine", "callback"] == events

    async def test_singletons_that_were_never_made(self, way, registry):
        """A singleton never made is not closed, but its callback runs."""
        events = []
        registry.register_factory(
            Engine,
            leaving(events, "engine"),
            lifetime="singleton",
            on_registry_close=lambda: events.append("callback"),
        )

        await way.close(registry)

        assert ["callback"] == events

    async def test_sync_and_async_singletons(self, registry):
        """Sync and async singletons close in one order."""
        events = []
        registry.register_factory(Database, leaving(events, Database), lifetime="singleton")
        registry.register_factory(Cache, aleaving(events, Cache), lifetime="singleton")
        registry.register_factory(Mailer, leaving(events, Mailer), lifetime="singleton")
        async with registry.container() as container:
            await container.aget(Database, Cache, Mailer)

        await registry.aclose()

        assert [Mailer, Cache, Database] == events

    async def test_a_registration_that_was_replaced(self, way, registry):
        """A replaced registration is ended all the same."""
        events = []
        registry.register_value(Database, 1, on_registry_close=lambda: events.append("first"))
        registry.register_factory(
            Database,
            leaving(events, "singleton"),
            lifetime="singleton",
            on_registry_close=lambda: events.append("second"),
        )
        await use(way, registry, 1, Database)
        registry.register_value(Database, 2, on_registry_close=lambda: events.append("third"))

        await way.close(registry)

        assert ["first", "second", "singleton", "third"] == sorted(events)

    async def test_callbacks_of_overrides(self, way, registry):
        """An override and the registration it replaced end exactly once."""
        events = []
        registry.register_value(Database, 1, on_registry_close=lambda: events.append("first"))
        with registry.override_value(
            Database, 2, on_registry_close=lambda: events.append("override")
        ):
            pass

        await way.close(registry)

        assert ["first", "override"] == sorted(events)


class TestAwaitables:
    @pytest.mark.parametrize(
        "kind", ["async function", "lambda", "future", "awaitable", "task"]
    )
    async def test_any_awaitable_is_awaited(self, registry, kind):
        """`aclose` awaits any awaitable that a callback returns."""
        events = []

        async def work():
            await asyncio.sleep(0)
            events.append("awaited")

        class Awaitable:
            def __await__(self):
                return work().__await__()

        callbacks = {
            "async function": work,
            "lambda": lambda: work(),
            "future": lambda: asyncio.ensure_future(work()),
            "awaitable": Awaitable,
            "task": lambda: asyncio.create_task(work()),
        }
        registry.register_value(Database, 1, on_registry_close=callbacks[kind])

        await registry.aclose()

        assert ["awaited"] == events

    async def test_one_after_the_other(self, registry):
        """A callback begins when the one before it has been awaited."""
        events = []

        def slow(name):
            async def work():
                events.append(f"{name} begins")
                await asyncio.sleep(0.001)
                events.append(f"{name} ends")

            return work

        registry.register_value(Database, 1, on_registry_close=slow("database"))
        registry.register_value(Cache, 1, on_registry_close=slow("cache"))

        await registry.aclose()

        assert ["cache begins", "cache ends", "database begins", "database ends"] == events

    def test_an_async_singleton_under_close(self, registry):
        """`close` with async cleanups pending raises before it touches anything."""
        events = []
        registry.register_factory(Database, leaving(events, "sync"), lifetime="singleton")
        registry.register_factory(Engine, aleaving(events, "async"), lifetime="singleton")
        registry.register_value(Cache, 1, on_registry_close=lambda: events.append("callback"))

        async def work():
            async with registry.container() as container:
                await container.aget(Engine, Database)
            with pytest.raises(PendingAsyncCleanupError) as caught:
                registry.close()
            before = list(events)
            container = registry.container()
            assert ("async", "sync") == container.get(Engine, Database)
            container.close()
            await registry.aclose()
            return before, caught.value

        before, error = in_loop(work)

        assert [] == before
        assert ["sync", "async", "callback"] == events
        assert [] == missing_parts(str(error), "Engine", "registry", "aclose()")

    def test_an_async_callback_under_close(self, registry):
        """`close` with an async callback pending raises before it touches anything."""
        events = []

        async def callback():
            events.append("callback")

        registry.register_value(Cache, 1, on_registry_close=callback)
        registry.register_value(Database, 1, on_registry_close=lambda: events.append("sync"))

        with pytest.raises(PendingAsyncCleanupError, match="Cache"):
            registry.close()
        before = list(events)
        in_loop(registry.aclose)

        assert ([], ["sync", "callback"]) == (before, events)

    def test_a_coroutine_of_a_lambda_under_close(self, registry):
        """`close` closes an unexpected coroutine unrun, and says to use `aclose`."""
        events = []

        async def work():
            events.append("must not run")

        registry.register_value(Cache, 1, on_registry_close=lambda: work())
        registry.register_value(Database, 1, on_registry_close=lambda: events.append("sync"))

        with pytest.raises(PendingAsyncCleanupError, match="aclose"):
            registry.close()

        assert ["sync"] == events

    def test_another_awaitable_under_close(self, registry):
        """Any awaitable that a callback returns makes `close` say what to do."""

        class Awaitable:
            def __await__(self):
                raise AssertionError("must not be awaited")

        registry.register_value(Cache, 1, on_registry_close=Awaitable)

        with pytest.raises(PendingAsyncCleanupError, match="aclose"):
            registry.close()

    def test_a_foreseeable_async_factory_that_was_never_made(self, registry):
        """`close` does not mind asynchronous singletons never made."""
        events = []
        registry.register_factory(Engine, aleaving(events, "async"), lifetime="singleton")

        registry.close()

        assert [] == events


class TestErrors:
    async def test_all_others_run(self, way, registry, caplog):
        """Every singleton and every callback is ended; the last error is raised, all are known."""
        events = []
        errors = {name: OSError(name) for name in ("singleton", "callback")}

        def engine():
            yield
            events.append("singleton")
            raise errors["singleton"]

        def callback():
            events.append("callback")
            raise errors["callback"]

        registry.register_factory(Database, leaving(events, "database"), lifetime="singleton")
        registry.register_factory(Engine, engine, lifetime="singleton")
        registry.register_value(Cache, 1, on_registry_close=lambda: events.append("cache"))
        registry.register_value(Mailer, 1, on_registry_close=callback)
        await use(way, registry, 1, Database, Engine)

        with caplog.at_level("WARNING"), pytest.raises(OSError, match="callback") as caught:
            await way.close(registry)

        assert ["singleton", "database", "callback", "cache"] == events
        assert errors["singleton"] is caught.value.__context__
        assert "OSError: singleton" in caplog.text

    @pytest.mark.parametrize("failure", [KeyboardInterrupt, SystemExit, asyncio.CancelledError])
    def test_interruptions(self, registry, failure):
        """An interruption in a callback is raised after the others have run."""
        events = []

        def fail():
            events.append("failing")
            raise failure

        registry.register_value(Database, 1, on_registry_close=lambda: events.append("last"))
        registry.register_value(Cache, 1, on_registry_close=fail)

        with pytest.raises(failure):
            registry.close()
        registry.close()

        assert ["failing", "last"] == events

    async def test_with_an_exception_under_way(self, way, registry, caplog):
        """A callback that fails replaces what ends an application, which is logged."""
        error = Boom("the application")
        registry.register_value(
            Database, 1, on_registry_close=lambda: fail(OSError("the disk is full"))
        )

        with (
            caplog.at_level(logging.WARNING),
            pytest.raises(OSError, match="the disk is full") as caught,
        ):
            await way.within(registry, lambda _: fail(error))

        assert error is caught.value.__context__
        assert [] == missing_parts(caplog.text, "Database", "the application")

    async def test_a_cancelled_callback(self, registry):
        """The cancellation of `aclose` interrupts the awaited callback; all others run."""
        events = []
        entered = asyncio.Event()

        async def callback():
            entered.set()
            await asyncio.Event().wait()
            events.append("not reached")

        registry.register_value(Cache, 1, on_registry_close=lambda: events.append("cache"))
        registry.register_value(Database, 1, on_registry_close=callback)
        task = asyncio.create_task(registry.aclose())
        await entered.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

        assert ["cache"] == events


class TestOnce:
    async def test_closed_twice(self, way, registry):
        """Closing a closed registry does nothing."""
        events = []
        registry.register_factory(
            Engine,
            leaving(events, "engine"),
            lifetime="singleton",
            on_registry_close=lambda: events.append("callback"),
        )
        await use(way, registry, 1, Engine)

        await way.close(registry)
        await way.close(registry)
        registry.close()

        assert ["engine", "callback"] == events

    def test_closed_by_threads(self, registry):
        """Each cleanup runs once if many threads close one registry."""
        events = []
        for key in (Database, Cache, Mailer):
            registry.register_factory(
                key,
                leaving(events, key),
                lifetime="singleton",
                on_registry_close=lambda key=key: events.append(f"{key}"),
            )
        with registry.container() as container:
            container.get(Database, Cache, Mailer)

        outcomes = in_threads(*[registry.close] * 8)

        assert [None] * 8 == outcomes
        assert 6 == len(events) == len(set(events))

    async def test_closed_by_tasks(self, registry):
        """Each cleanup runs once if many tasks close one registry."""
        events = []
        registry.register_factory(Engine, aleaving(events, "engine"), lifetime="singleton")
        await use(ASYNC, registry, 1, Engine)

        async with asyncio.timeout(5):
            await asyncio.gather(*[registry.aclose() for _ in range(8)])

        assert ["engine"] == events

    async def test_closing_from_within_a_callback(self, way, registry):
        """A callback may close the registry: there is nothing left to do, and no deadlock."""
        events = []

        async def acallback():
            events.append("callback")
            await registry.aclose()

        def callback():
            events.append("callback")
            registry.close()

        registry.register_value(
            Database, 1, on_registry_close=acallback if way.is_async else callback
        )

        async with asyncio.timeout(5):
            await way.close(registry)

        assert ["callback"] == events


class TestClosed:
    async def test_no_new_containers(self, way, registry):
        """A closed registry opens no container, and says so."""
        await way.close(registry)

        with pytest.raises(RegistryClosedError, match="closed"):
            registry.container()

    async def test_no_new_children(self, way, registry):
        """An open container goes on with the services that it has."""
        registry.register_factory(Database, Database)
        container = registry.container()
        database = await way.get(container, Database)

        await way.close(registry)

        assert database is container.get(Database)
        await way.close(container)

    async def test_cleanups_of_open_containers(self, way, registry):
        """The registry keeps no list of containers: one that is open closes on its own."""
        events = []
        registry.register_factory(Database, leaving(events, "container"))
        container = registry.container()
        await way.get(container, Database)

        await way.close(registry)
        before = list(events)
        await way.close(container)

        assert ([], ["container"]) == (before, events)

    async def test_a_failed_close_is_a_close(self, way, registry):
        """A registry whose cleanups failed is closed all the same."""

        def fail():
            raise OSError("disk")

        registry.register_value(Database, 1, on_registry_close=fail)
        with pytest.raises(OSError, match="disk"):
            await way.close(registry)

        with pytest.raises(RegistryClosedError):
            registry.container()

    def test_within_a_cleanup(self, registry):
        """A singleton's cleanup finds the registry closed already."""
        outcomes = []

        def engine():
            yield
            with pytest.raises(RegistryClosedError) as caught:
                registry.container()
            outcomes.append(caught.type)

        registry.register_factory(Engine, engine, lifetime="singleton")
        with registry.container() as container:
            container.get(Engine)

        registry.close()

        assert [RegistryClosedError] == outcomes

    async def test_an_empty_registry(self, way, registry):
        """A registry without anything to end closes."""
        assert None is await way.close(registry)
