"""Closing in a task that is cancelled, before or meanwhile.

A cancellation never skips a cleanup. In plain asyncio it interrupts the one that is being
awaited, exactly as in an `async with` block; the others run, and see it.
"""

import asyncio
import contextlib
import gc

import pytest

from tests.support.cleanups import Boom, aleaving, awatching, watching
from tests.support.deadline import settle
from tests.support.patch_releases import needs_timeouts_once_cancelled
from tests.support.services import Cache, Database, Engine, Session
from tests.support.ways import ASYNC, use
from wares import ContainerClosedError, Registry


class Pause:
    """An async generator factory whose cleanup waits until the test lets it go on."""

    def __init__(self, *, reraise=True):
        self.reraise = reraise
        self.events = []
        self.entered = asyncio.Event()
        self.released = asyncio.Event()

    async def make(self):
        try:
            yield "pausing"
        finally:
            self.entered.set()
            try:
                await self.released.wait()
                self.events.append("ended")
            except asyncio.CancelledError:
                self.events.append("interrupted")
                if self.reraise:
                    raise


class TestDuringACleanup:
    async def test_it_is_interrupted(self, registry):
        """The awaited cleanup is interrupted; all others run, see it, and it is raised."""
        pause, seen, events = Pause(), [], []
        registry.register_factory(Database, awatching(seen))
        registry.register_factory(Cache, aleaving(events, "cache"))
        registry.register_factory(Session, pause.make)
        container = registry.container()
        await container.aget(Database, Cache, Session)
        task = asyncio.create_task(container.aclose())
        await pause.entered.wait()

        task.cancel()
        await asyncio.wait([task], timeout=5)

        assert ["interrupted"] == pause.events
        assert ["cache"] == events
        assert [asyncio.CancelledError] == list(map(type, seen))
        assert task.cancelled()

    async def test_once_more(self, registry):
        """A second cancellation interrupts the next cleanup that waits; no third is skipped."""
        first, second, third = Pause(), Pause(), []
        registry.register_factory(Database, aleaving(third, "third"))
        registry.register_factory(Cache, second.make)
        registry.register_factory(Session, first.make)
        container = registry.container()
        await container.aget(Database, Cache, Session)
        task = asyncio.create_task(container.aclose())
        await first.entered.wait()
        task.cancel()
        await second.entered.wait()
        task.cancel()
        await asyncio.wait([task], timeout=5)

        assert (["interrupted"], ["interrupted"], ["third"]) == (
            first.events,
            second.events,
            third,
        )
        assert task.cancelled()

    async def test_a_cleanup_that_handles_it(self, registry):
        """A cleanup that handles the cancellation has ended well, as in an `async with` block."""
        pause, seen = Pause(reraise=False), []
        registry.register_factory(Database, awatching(seen))
        registry.register_factory(Session, pause.make)
        container = registry.container()
        await container.aget(Database, Session)
        task = asyncio.create_task(container.aclose())
        await pause.entered.wait()
        task.cancel()
        await asyncio.wait([task], timeout=5)

        assert [None] == seen
        assert None is task.exception()

    async def test_a_cleanup_that_turns_it_into_an_error(self, registry):
        """If a cleanup replaces the cancellation by another error, that error is raised."""

        async def make():
            yield
            entered.set()
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                raise Boom from None

        entered, seen = asyncio.Event(), []
        registry.register_factory(Database, awatching(seen))
        registry.register_factory(Session, make)
        container = registry.container()
        await container.aget(Database, Session)
        task = asyncio.create_task(container.aclose())
        await entered.wait()
        task.cancel()
        await asyncio.wait([task], timeout=5)

        assert [Boom] == list(map(type, seen))
        assert seen == [task.exception()]

    async def test_from_within_while_it_only_lets_others_run(self, registry):
        """A cleanup that handles a cancellation of its own goes on, and so does the close."""
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

    @pytest.mark.parametrize(
        "is_cancelled",
        [False, pytest.param(True, marks=needs_timeouts_once_cancelled)],
    )
    async def test_a_timeout_within_a_cleanup(self, registry, is_cancelled):
        """`asyncio.timeout` works in a cleanup, even if the request was cancelled before."""
        outcomes = []

        async def make():
            try:
                yield
            finally:
                try:
                    async with asyncio.timeout(0.01):
                        await asyncio.Event().wait()
                except TimeoutError:
                    outcomes.append("timed out")

        registry.register_factory(Database, aleaving(outcomes, "database"))
        registry.register_factory(Session, make)

        async def work():
            async with registry.container() as container:
                await container.aget(Database, Session)
                if is_cancelled:
                    asyncio.current_task().cancel()
                    await asyncio.sleep(0)

        task = asyncio.create_task(work())
        await asyncio.wait([task], timeout=5)

        assert ["timed out", "database"] == outcomes
        assert is_cancelled == task.cancelled()

    async def test_a_timeout_around_closing(self, registry):
        """A timeout around `aclose` interrupts the awaited cleanup, and is a `TimeoutError`."""
        pause, events = Pause(), []
        registry.register_factory(Database, aleaving(events, "database"))
        registry.register_factory(Session, pause.make)
        container = registry.container()
        await container.aget(Database, Session)

        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await container.aclose()

        assert (["interrupted"], ["database"]) == (pause.events, events)

    async def test_a_cleanup_that_cancels_the_closing_task(self, registry):
        """A cleanup that cancels the task that closes it is interrupted itself, and no other."""
        events = []

        async def make():
            yield
            asyncio.current_task().cancel()
            await asyncio.sleep(0)
            events.append("not reached")

        registry.register_factory(Database, aleaving(events, "database"))
        registry.register_factory(Session, make)
        container = registry.container()
        await container.aget(Database, Session)
        task = asyncio.create_task(container.aclose())
        await asyncio.wait([task], timeout=5)

        assert ["database"] == events
        assert task.cancelled()

    async def test_a_container_within_a_container(self, registry):
        """A cleanup that closes another container passes the cancellation on to it."""
        pause, events = Pause(), []

        async def outer():
            async with registry.container() as other:
                await other.aget(Cache, "inner")
                yield

        registry.register_factory(Cache, aleaving(events, "cache"))
        registry.register_factory("inner", pause.make)
        registry.register_factory(Database, aleaving(events, "database"))
        registry.register_factory(Session, outer)
        container = registry.container()
        await container.aget(Database, Session)
        task = asyncio.create_task(container.aclose())
        await pause.entered.wait()
        task.cancel()
        await asyncio.wait([task], timeout=5)

        assert (["interrupted"], ["cache", "database"]) == (pause.events, events)
        assert task.cancelled()

    # The list of the cleanups may be destroyed before the task.
    @pytest.mark.filterwarnings("ignore:A (container|registry) was dropped:ResourceWarning")
    @pytest.mark.parametrize("lifetime", ["scoped", "singleton"])
    def test_its_event_loop_is_closed(self, registry, lifetime):
        """The other cleanups run when Python destroys the task."""
        seen, tasks, loop = [], [], asyncio.new_event_loop()
        loop.set_exception_handler(lambda *_: None)

        async def make_session():
            yield Session()
            await loop.create_future()

        registry.register_factory(Database, watching(seen), lifetime=lifetime)
        registry.register_factory(Session, make_session, lifetime=lifetime)
        container = registry.container()

        async def begin():
            await container.aget(Database, Session)
            closing = container if lifetime == "scoped" else registry
            tasks.append(asyncio.create_task(closing.aclose()))
            await settle()

        loop.run_until_complete(begin())
        loop.close()
        tasks.clear()
        gc.collect()

        assert [GeneratorExit] == list(map(type, seen))


class TestBefore:
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
        """If another library runs the tasks, cleanups can await that library."""

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

    async def test_a_cleanup_may_await(self, registry):
        """The cleanups of a cancelled task may wait: it is not cancelled once more."""
        seen, events = [], []

        async def make():
            try:
                yield
            except asyncio.CancelledError:
                await asyncio.to_thread(events.append, "thread")
                async with asyncio.TaskGroup() as group:
                    group.create_task(asyncio.sleep(0.001))
                    group.create_task(asyncio.sleep(0.001))
                events.append("rolled back")
                raise

        async def work():
            async with registry.container() as container:
                await container.aget(Database, Session)
                await asyncio.Event().wait()

        registry.register_factory(Database, awatching(seen))
        registry.register_factory(Session, make)
        task = asyncio.create_task(work())
        await settle()
        task.cancel()
        await asyncio.wait([task], timeout=5)

        assert ["thread", "rolled back"] == events
        assert [asyncio.CancelledError] == list(map(type, seen))
        assert task.cancelled()

    async def test_a_cancellation_that_has_not_arrived(self, registry):
        """A cancellation that waits for the next `await` finds it in a cleanup, and skips none."""
        events = []

        async def make():
            yield
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(0)
                events.append("not reached")
            events.append("session")

        async def work():
            async with registry.container() as container:
                await container.aget(Database, Session)
                asyncio.current_task().cancel()

        registry.register_factory(Database, aleaving(events, "database"))
        registry.register_factory(Session, make)
        await asyncio.create_task(work())

        assert ["session", "database"] == events

    @pytest.mark.parametrize("kind", ["empty", "without cleanups", "sync cleanups"])
    async def test_closing_awaits_nothing(self, registry, kind):
        """A container with nothing to await closes without being interrupted."""
        registry.register_factory(Database, Database)
        registry.register_factory(Session, open_nothing)

        events = []

        async def work():
            async with registry.container() as container:
                if kind != "empty":
                    await container.aget(Database)
                if kind == "sync cleanups":
                    await container.aget(Session)
                asyncio.current_task().cancel()
            events.append("closed")

        await asyncio.wait([asyncio.create_task(work())], timeout=5)

        assert ["closed"] == events

    def test_closing_needs_no_event_loop(self, registry):
        """Closing a container that has nothing to clean up awaits nothing."""
        registry.register_factory(Database, Database)
        container = registry.container()
        container.get(Database)

        with pytest.raises(StopIteration):
            container.aclose().send(None)
        with pytest.raises(ContainerClosedError):
            container.get(Database)


def open_nothing():
    """A generator factory with nothing to await."""
    yield "session"


class TestOthers:
    """Several closers, registries and resets."""

    async def test_of_one_of_two_closing_tasks(self, registry):
        """A second closer that is cancelled does not disturb the first."""
        pause = Pause()
        registry.register_factory(Session, pause.make)
        container = registry.container()
        await container.aget(Session)
        first = asyncio.create_task(container.aclose())
        await pause.entered.wait()
        second = asyncio.create_task(container.aclose())
        await settle()
        second.cancel()
        await settle()
        pause.released.set()
        await asyncio.wait([first, second], timeout=5)

        assert ["ended"] == pause.events
        assert None is first.exception()

    async def test_of_the_first_of_two_closing_tasks(self, registry):
        """A second closer comes back though the first one was cancelled."""
        pause, events = Pause(), []
        registry.register_factory(Database, aleaving(events, "database"))
        registry.register_factory(Session, pause.make)
        container = registry.container()
        await container.aget(Database, Session)
        first = asyncio.create_task(container.aclose())
        await pause.entered.wait()
        second = asyncio.create_task(container.aclose())
        await settle()
        first.cancel()
        await asyncio.wait([first, second], timeout=5)

        assert (["interrupted"], ["database"]) == (pause.events, events)
        assert (True, None) == (first.cancelled(), second.exception())

    async def test_of_a_registry(self):
        """A cancelled `aclose` of a registry ends its singletons to the last one."""
        pause, events = Pause(), []
        registry = Registry()
        registry.register_factory(Database, aleaving(events, "database"), lifetime="singleton")
        registry.register_factory(
            Engine,
            pause.make,
            lifetime="singleton",
            on_registry_close=lambda: events.append("callback"),
        )
        await use(ASYNC, registry, 1, Database)
        await use(ASYNC, registry, 1, Engine)
        task = asyncio.create_task(registry.aclose())
        await pause.entered.wait()
        task.cancel()
        await asyncio.wait([task], timeout=5)

        assert (["interrupted"], ["database", "callback"]) == (pause.events, events)
        assert task.cancelled()

    async def test_of_a_reset(self, registry, container):
        """A cancelled `areset` runs its cleanups, and the container is open again."""
        pause, events = Pause(), []
        registry.register_factory(Cache, aleaving(events, "cache"))
        registry.register_factory(Session, pause.make)
        registry.register_factory(Database, Database)
        await container.aget(Cache, Session)
        task = asyncio.create_task(container.areset())
        await pause.entered.wait()
        task.cancel()
        await asyncio.wait([task], timeout=5)

        assert (["interrupted"], ["cache"]) == (pause.events, events)
        assert task.cancelled()
        assert Database is type(await container.aget(Database))

    async def test_of_a_child(self, registry):
        """A cancellation in a child's cleanup is seen by the services of its parent."""
        pause, seen = Pause(), []
        parent = registry.container()
        child = parent.child()
        parent.register_local_factory(Database, awatching(seen))
        child.register_local_factory(Session, pause.make)
        await parent.aget(Database)
        await child.aget(Session)
        task = asyncio.create_task(parent.aclose())
        await pause.entered.wait()
        task.cancel()
        await asyncio.wait([task], timeout=5)

        assert [asyncio.CancelledError] == list(map(type, seen))
        assert task.cancelled()
