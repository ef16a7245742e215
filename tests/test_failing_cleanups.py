"""The exception that is under way, and what cleanups make of it."""

import asyncio
import contextlib
import logging

import pytest

from tests.support.cleanups import (
    WATCHERS,
    AsyncManagerOf,
    Boom,
    ManagerOf,
    aleaving,
    awatching,
    fail,
    leaving,
    watching,
)
from tests.support.deadline import in_loop
from tests.support.messages import missing_parts
from tests.support.services import Cache, Database, Engine, Mailer, Session
from tests.support.ways import ASYNC, SYNC, use
from wares import Registry

KEYS = [Database, Cache, Mailer, Session]


class TestTheExceptionUnderWay:
    """The exception of the request reaches the cleanups."""

    @pytest.mark.parametrize(("way", "watcher"), WATCHERS)
    @pytest.mark.parametrize(
        "kind", [Boom, asyncio.CancelledError, KeyboardInterrupt, SystemExit]
    )
    async def test_it_reaches_the_cleanups(self, way, watcher, registry, kind):
        """The exception that ends the block is raised at the `yield`, and goes on unchanged."""
        error = kind("request")
        seen = []
        registry.register_factory(Session, watcher(seen))
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
        """Every service of the container sees it, also after one that handles it."""
        seen = []
        handled = []
        registry.register_factory(Database, watcher(seen))
        registry.register_factory(Cache, watching(handled, reraise=False))
        registry.register_factory(Mailer, watcher(seen))
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
        assert None is error.__context__

    @pytest.mark.parametrize(("way", "watcher"), WATCHERS)
    async def test_it_may_be_hidden_from_one(self, way, watcher, registry):
        """`suppress_context_exit=True` hides it from one service."""
        hidden = []
        seen = []
        registry.register_factory(Session, watcher(hidden), suppress_context_exit=True)
        registry.register_factory(Database, watcher(seen))
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
        """The exception that ends the block of a registry reaches its singletons."""
        seen = []
        registry = Registry()
        registry.register_factory(Engine, watcher(seen), lifetime="singleton")
        await use(way, registry, 1, Engine)
        error = Boom()

        with pytest.raises(Boom):
            await way.within(registry, lambda _: fail(error))

        assert [error] == seen

    async def test_a_failing_get_is_the_exception_under_way(self, way, registry):
        """If making a service fails, the services made before see that exception."""
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


class Conflict(Exception):
    """The exception with which a cleanup replaces another one."""


def replacing(kind=Boom, new=Conflict):
    """Return a factory that replaces an exception of a *kind* by a *new* one."""

    def make():
        try:
            yield "replacing"
        except kind as error:
            raise new from error

    return make


def areplacing(kind=Boom, new=Conflict):
    """Return an async factory that replaces an exception of a *kind* by a *new* one."""

    async def make():
        try:
            yield "replacing"
        except kind as error:
            await asyncio.sleep(0)
            raise new from error

    return make


def manager_replacing(kind=Boom, new=Conflict):
    """Return a factory of a context manager that does the same, without `raise from`."""

    class Manager:
        def __enter__(self):
            return self

        def __exit__(self, _kind, error, trace):
            if isinstance(error, kind):
                raise new

    return Manager


def amanager_replacing(kind=Boom, new=Conflict):
    """Return a factory of an async context manager that does the same."""

    class Manager:
        async def __aenter__(self):
            return self

        async def __aexit__(self, _kind, error, trace):
            if isinstance(error, kind):
                raise new

    return Manager


REPLACERS = [
    pytest.param(SYNC, replacing, id="generator, sync"),
    pytest.param(ASYNC, replacing, id="generator, async"),
    pytest.param(ASYNC, areplacing, id="async generator"),
    pytest.param(SYNC, manager_replacing, id="context manager, sync"),
    pytest.param(ASYNC, manager_replacing, id="context manager, async"),
    pytest.param(ASYNC, amanager_replacing, id="async context manager"),
]


class TestFailingCleanups:
    """Every cleanup runs exactly once, even if others raise."""

    @pytest.mark.parametrize("failure", FAILURES)
    def test_the_others_run(self, registry, failure):
        """The first error is raised, after every other cleanup has run."""
        events = []

        def make():
            yield
            events.append(Cache)
            raise failure

        registry.register_factory(Database, leaving(events, Database))
        registry.register_factory(Cache, make)
        registry.register_factory(Mailer, leaving(events, Mailer))
        container = registry.container()
        container.get(Database, Cache, Mailer)

        with pytest.raises(failure):
            container.close()
        container.close()

        assert [Mailer, Cache, Database] == events

    @pytest.mark.parametrize("failure", FAILURES)
    @pytest.mark.parametrize("leave", [leaving, aleaving])
    def test_the_others_run_async(self, failure, leave):
        """Under `aclose`, every cleanup runs as well, whether others are awaited or not."""
        events = []
        registry = Registry()

        async def make():
            yield
            events.append(Cache)
            raise failure

        registry.register_factory(Database, leave(events, Database))
        registry.register_factory(Cache, make)
        registry.register_factory(Mailer, leave(events, Mailer))

        async def work():
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
        assert failure is outcome

    @pytest.mark.parametrize("failure", FAILURES)
    @pytest.mark.parametrize(("way", "watcher"), WATCHERS)
    async def test_what_closes_next_sees_it(self, registry, way, watcher, failure):
        """An error of a cleanup is under way from then on: the next services roll back."""
        seen = []
        error = failure("flush")
        registry.register_factory(Database, watcher(seen))
        registry.register_factory(Cache, watcher(seen))
        registry.register_factory(Session, leaving([], error=error))
        registry.register_factory(Mailer, watcher(seen))
        outcomes = []

        async def work():
            container = registry.container()
            await way.get(container, Database, Cache, Session, Mailer)
            try:
                await way.close(container)
            except BaseException as caught:  # noqa: BLE001  # an outcome like any other
                outcomes.append(caught)

        await work()

        assert [None, error, error] == seen
        assert [error] == outcomes

    async def test_a_unit_of_work_whose_flush_fails(self, way, registry):
        """A session does not commit where the unit of work within it could not be written."""
        events = []

        def open_session():
            try:
                yield "session"
            except Exception:
                events.append("rolled back")
                raise
            else:
                events.append("committed")

        def open_work(session: Session):
            yield "unit of work"
            raise OSError("flush")

        registry.register_factory(Session, open_session)
        registry.register_factory("work", open_work)

        with pytest.raises(OSError, match="flush"):
            await way.within(registry.container(), lambda it: it.get("work"))

        assert ["rolled back"] == events

    async def test_the_last_error_is_raised(self, way, registry, caplog):
        """The last of several errors is raised; the others are its contexts, and are logged."""
        first, second = ValueError("first of two"), OSError("second of two")
        registry.register_factory(Database, lambda: ManagerOf([], "x", error=second))
        registry.register_factory(Cache, Cache)
        registry.register_factory(Mailer, lambda: ManagerOf([], "x", error=first))
        container = registry.container()
        await way.get(container, Database, Cache, Mailer)

        with caplog.at_level(logging.WARNING), pytest.raises(OSError, match="second") as caught:
            await way.close(container)

        assert second is caught.value
        assert first is second.__context__
        assert "first of two" in caplog.text
        assert "Database" in caplog.text
        assert {True} == {record.name.startswith("wares") for record in caplog.records}

    @pytest.mark.parametrize("kind", [RuntimeError, StopIteration])
    async def test_a_runtime_error_of_a_generator_is_its_own(self, way, registry, kind):
        """A cleanup may raise `RuntimeError`, also one made of a `StopIteration`."""

        def make():
            yield
            raise kind("mine")

        registry.register_factory(Session, make)
        container = registry.container()
        await way.get(container, Session)

        with pytest.raises(RuntimeError):
            await way.close(container)

    async def test_no_error_no_log(self, way, registry, caplog):
        """Cleanups that let the exception pass, or hold it, write nothing into the log."""
        registry.register_factory(Session, watching([]))
        registry.register_factory(Cache, watching([], reraise=False))
        caplog.clear()

        with caplog.at_level(logging.WARNING), pytest.raises(Boom):
            await way.within(
                registry.container(), lambda it: (it.get(Session, Cache), fail(Boom()))
            )

        assert [] == caplog.records

    @pytest.mark.parametrize("base", [ManagerOf, AsyncManagerOf])
    async def test_the_same_exception_raised_by_a_context_manager(self, registry, base):
        """A context manager may raise the very exception that it was left with."""
        error = Boom()
        registry.register_factory(Session, lambda: base([], "session", error=error))

        async def work():
            async with registry.container() as container:
                await container.aget(Session)
                raise error

        with pytest.raises(Boom) as caught:
            await work()

        assert error is caught.value
        assert None is error.__context__


class TestReplacing:
    """A cleanup may replace the exception that is under way; it cannot swallow it."""

    @pytest.mark.parametrize(("way", "replacer"), REPLACERS)
    async def test_the_new_one_goes_on(self, way, replacer, registry):
        """The new exception is raised, with the old one as its context, and seen by the others."""
        seen = []
        registry.register_factory(Database, watching(seen))
        registry.register_factory(Session, replacer())
        container = registry.container()
        await way.get(container, Database, Session)
        error = Boom()

        with pytest.raises(Conflict) as caught:
            await way.within(container, lambda _: fail(error))

        assert error is caught.value.__context__
        assert [caught.value] == seen

    @pytest.mark.parametrize(("way", "replacer"), REPLACERS)
    async def test_the_cause_stays(self, way, replacer, registry):
        """`raise Conflict from error` keeps its cause, and the old exception its own."""
        registry.register_factory(Session, replacer())
        container = registry.container()
        await way.get(container, Session)
        error = Boom()
        cause = error.__cause__ = KeyError()

        with pytest.raises(Conflict) as caught:
            await way.within(container, lambda _: fail(error))

        assert cause is error.__cause__
        assert caught.value.__cause__ in (None, error)

    @pytest.mark.parametrize(("way", "replacer"), REPLACERS)
    async def test_one_after_the_other(self, way, replacer, registry):
        """The exception that replaces another may be replaced in turn."""

        class Unavailable(Exception):
            pass

        registry.register_factory(Database, replacer(Conflict, Unavailable))
        registry.register_factory(Session, replacer(Boom, Conflict))
        container = registry.container()
        await way.get(container, Database, Session)
        error = Boom()

        with pytest.raises(Unavailable) as caught:
            await way.within(container, lambda _: fail(error))

        conflict = caught.value.__context__
        assert (Conflict, error) == (type(conflict), conflict.__context__)

    @pytest.mark.parametrize(("way", "replacer"), REPLACERS)
    @pytest.mark.parametrize("kind", [asyncio.CancelledError, KeyboardInterrupt, SystemExit])
    async def test_an_interruption(self, way, replacer, registry, kind):
        """An interruption may be replaced like any exception, as in nested `with` blocks."""
        under_way = kind()
        registry.register_factory(Session, replacer(kind))
        container = registry.container()
        await way.get(container, Session)

        with pytest.raises(Conflict) as caught:
            await way.within(container, lambda _: fail(under_way))

        assert under_way is caught.value.__context__

    @pytest.mark.parametrize("is_circle", [False, True])
    async def test_by_one_with_a_context_of_its_own(self, way, registry, is_circle):
        """The context of a new exception stays, and the old exception comes before it."""
        first, second, new = KeyError(), LookupError(), Conflict()
        new.__context__, second.__context__ = second, first
        if is_circle:
            # Nobody can come before what comes before itself.
            first.__context__ = new
        old = Boom()
        registry.register_factory(Session, lambda: ManagerOf([], "x", error=new))
        registry.register_factory(Database, lambda: ManagerOf([], "x", error=old))
        container = registry.container()
        await way.get(container, Session, Database)

        with pytest.raises(Conflict) as caught:
            await way.close(container)

        assert [second, first] == [caught.value.__context__, second.__context__]
        assert (new if is_circle else old) is first.__context__

    async def test_by_an_error_of_the_cleanup(self, way, registry, caplog):
        """A cleanup that fails replaces the exception under way, which is logged by its service."""
        registry.register_factory(Session, lambda: ManagerOf([], "x", error=OSError("cleanup")))
        error = Boom("the request")

        with (
            caplog.at_level(logging.WARNING),
            pytest.raises(OSError, match="cleanup") as caught,
        ):
            await way.within(registry.container(), lambda it: (it.get(Session), fail(error)))

        assert error is caught.value.__context__
        assert [] == missing_parts(caplog.text, "Session", "the request")

    async def test_what_is_swallowed_was_replaced_before(self, way, registry):
        """A service that holds an exception cannot take a new one away either."""
        registry.register_factory(Database, watching([], reraise=False))
        registry.register_factory(Session, replacing())
        container = registry.container()
        await way.get(container, Database, Session)

        with pytest.raises(Conflict):
            await way.within(container, lambda _: fail(Boom()))

    async def test_an_error_of_a_cleanup_cannot_be_swallowed(self, way, registry):
        """An error that an inner cleanup raised goes on though an outer one holds it."""
        seen = []
        error = OSError("flush")
        registry.register_factory(Database, watching(seen, reraise=False))
        registry.register_factory(Session, leaving([], error=error))
        container = registry.container()
        await way.get(container, Database, Session)

        with pytest.raises(OSError, match="flush") as caught:
            await way.close(container)

        assert error is caught.value
        assert [error] == seen

    async def test_hidden_from_one_that_fails(self, way, registry):
        """A service that does not see the exception replaces it where its own cleanup fails."""
        error = Boom()
        registry.register_factory(
            Session, leaving([], error=OSError("own")), suppress_context_exit=True
        )
        container = registry.container()
        await way.get(container, Session)

        with pytest.raises(OSError, match="own") as caught:
            await way.within(container, lambda _: fail(error))

        assert error is caught.value.__context__

    async def test_across_a_child(self, way, registry):
        """The services of a parent see the exception of a child's cleanup."""
        seen = []
        error = OSError("child")
        parent = registry.container()
        child = parent.child()
        parent.register_local_factory(Database, watching(seen))
        child.register_local_factory(Session, leaving([], error=error))
        await way.get(parent, Database)
        await way.get(child, Session)

        with pytest.raises(OSError, match="child"):
            await way.close(parent)

        assert [error] == seen

    async def test_of_singletons(self, way):
        """Singletons and callbacks of a registry see replaced exceptions, too."""
        seen = []
        error = OSError("engine")
        registry = Registry()
        registry.register_factory(Database, watching(seen), lifetime="singleton")
        registry.register_factory(
            Engine,
            leaving([], error=error),
            lifetime="singleton",
            on_registry_close=lambda: seen.append("callback"),
        )
        await use(way, registry, 1, Database)
        await use(way, registry, 1, Engine)

        with pytest.raises(OSError, match="engine"):
            await way.close(registry)

        assert [error, "callback"] == seen


async def wait_in(registry, *keys):
    """Ask a container for *keys*, and wait in its block until somebody puts an end to it."""
    async with registry.container() as container:
        await container.aget(*keys)
        await asyncio.Event().wait()


class TestHeldOpen:
    """Scopes of asyncio that a service holds open across its `yield`."""

    async def test_a_timeout(self, registry):
        """`asyncio.timeout` across a `yield` turns its own cancellation into a `TimeoutError`."""
        seen = []

        async def make():
            async with asyncio.timeout(0.01):
                yield

        registry.register_factory(Database, awatching(seen))
        registry.register_factory(Session, make)

        with pytest.raises(TimeoutError):
            await wait_in(registry, Database, Session)

        assert [TimeoutError] == list(map(type, seen))
        assert 0 == asyncio.current_task().cancelling()

    async def test_a_task_group(self, registry):
        """The error of a task in a group across a `yield` reaches the caller as a group."""
        seen = []

        async def break_down():
            raise Boom

        async def make():
            async with asyncio.TaskGroup() as group:
                group.create_task(break_down())
                yield group

        registry.register_factory(Database, awatching(seen))
        registry.register_factory(Session, make)

        with pytest.raises(ExceptionGroup) as caught:
            await wait_in(registry, Database, Session)

        assert caught.group_contains(Boom)
        assert [caught.value] == seen
        assert 0 == asyncio.current_task().cancelling()

    async def test_a_task_group_that_is_awaited(self, registry):
        """A group across a `yield` waits for its tasks as the container closes."""
        events = []

        async def work():
            await asyncio.sleep(0.001)
            events.append("worked")

        async def make():
            async with asyncio.TaskGroup() as group:
                yield group

        registry.register_factory(Session, make)

        async with registry.container() as container:
            (await container.aget(Session)).create_task(work())

        assert ["worked"] == events

    async def test_suppress(self, registry):
        """`contextlib.suppress` across a `yield` hides nothing from the caller."""

        def make():
            with contextlib.suppress(Boom):
                yield

        registry.register_factory(Session, make)

        with pytest.raises(Boom):
            await SYNC.within(registry.container(), lambda it: (it.get(Session), fail(Boom())))
