"""Rare moments between two threads, or between two tasks."""

import asyncio
import functools
import gc
import sys
import threading
import weakref
from time import sleep

import pytest

from tests.support.deadline import SECONDS, in_loop, in_thread, in_threads, settle
from wares import AsyncServiceError, Depends, Registry, ServiceNotFoundError, inject


class Key:
    """A service that threads ask for."""


class Other:
    """Another service that threads ask for."""


class Held:
    """A factory that waits until it is let on, and then returns or raises *outcome*."""

    def __init__(self, outcome):
        self.outcome = outcome
        self.runs = 0
        self.entered = threading.Event()
        self.released = threading.Event()

    def __call__(self):
        self.runs += 1
        self.entered.set()
        assert self.released.wait(SECONDS)
        if isinstance(self.outcome, BaseException):
            raise self.outcome
        return self.outcome


def outcome_of(function, *arguments):
    """Call *function*; return its result, or the class of its exception."""
    try:
        return function(*arguments)
    except Exception as error:  # noqa: BLE001  # an outcome like any other
        return type(error)


def test_waiters_hear_of_a_failure_after_the_owner_has_closed(registry):
    """Waiters in a child see the error of the service, even if its owner has closed."""
    held = Held(ValueError("no"))
    registry.register_factory(Key, held, lifetime="connection")
    parent = registry.container()
    first, second = parent.child(), parent.child()

    def close():
        assert held.entered.wait(SECONDS)
        sleep(0.05)
        parent.close()
        held.released.set()

    def ask_second():
        assert held.entered.wait(SECONDS)
        return outcome_of(second.get, Key)

    outcomes = in_threads(lambda: outcome_of(first.get, Key), ask_second, close)

    assert outcomes == [ValueError, ValueError, None]


@pytest.mark.parametrize("lifetime", ["value", "connection", "singleton"])
def test_a_key_that_is_registered_anew_while_it_is_made(registry, lifetime):
    """A `get` in the container that makes the service still returns that service."""
    held = Held(Key())
    registry.register_factory(Key, held)
    parent = registry.container()
    container = parent.child()

    def register_and_ask():
        assert held.entered.wait(SECONDS)
        if lifetime == "value":
            registry.register_value(Key, Key())
        else:
            registry.register_factory(Key, Key, lifetime=lifetime)
        # The second time, everything is linked.
        threading.Timer(0.05, held.released.set).start()
        return container.get(Key), container.get(Key)

    outcomes = in_threads(lambda: container.get(Key), register_and_ask)

    assert outcomes == [held.outcome, (held.outcome, held.outcome)]


def test_a_value_that_is_registered_while_its_key_is_made(registry):
    """The same holds if another container has asked for the value before."""
    held = Held(Key())
    registry.register_factory(Key, held)
    container = registry.container()
    value = Key()

    def register_and_ask():
        assert held.entered.wait(SECONDS)
        registry.register_value(Key, value)
        threading.Timer(0.05, held.released.set).start()
        return registry.container().get(Key), container.get(Key)

    outcomes = in_threads(lambda: container.get(Key), register_and_ask)

    assert outcomes == [held.outcome, (value, held.outcome)]


def test_an_override_that_ends_while_its_singleton_is_made(registry):
    """The singleton from before is taken up again, and stays."""
    made = []
    registry.register_factory(Key, lambda: made.append(1) or Key(), lifetime="singleton")
    before = registry.container().get(Key)
    held = Held(Key())
    thread = threading.Thread(target=lambda: registry.container().get(Key))
    with registry.override_factory(Key, held, lifetime="singleton"):
        thread.start()
        assert held.entered.wait(SECONDS)

    held.released.set()
    thread.join(SECONDS)
    after = [registry.container().get(Key) for _ in range(2)]

    assert ([before, before], [1]) == (after, made)


def make_classes():
    """Give classes that need each other in four shapes, and the path to the missing one."""

    class Missing: ...

    class First:
        def __init__(self, missing: Missing): ...

    class Second:
        def __init__(self, first: First, again: First): ...

    class Third:
        def __init__(self, first: First): ...

    class Fourth:
        def __init__(self, third: Third): ...

    return {
        First: (First, Missing),
        Second: (Second, First, Missing),
        Third: (Third, First, Missing),
        Fourth: (Fourth, Third, First, Missing),
    }


@pytest.mark.usefixtures("busy_threads")
def test_paths_of_what_was_linked_at_the_same_time(monkeypatch):
    """Threads that link at the same time know the right paths."""
    monkeypatch.setattr("wares._core.writing._shapes", shapes := {})

    def path_to_missing(registry, key):
        with pytest.raises(ServiceNotFoundError) as caught:
            registry.container().get(key)
        return tuple(caught.value.path)

    for _ in range(100):
        # As if no such shape had ever been needed.
        shapes.clear()
        classes, registry = make_classes(), Registry()
        for key in classes:
            registry.register_factory(key, key)
        askers = [functools.partial(path_to_missing, registry, key) for key in classes]

        paths = in_threads(*askers)

        assert paths == list(classes.values())


@pytest.mark.usefixtures("busy_threads")
def test_registering_while_others_open_containers(registry):
    """Containers with makers of their own may come and go meanwhile."""

    def give():
        yield Other()

    @inject(registry=registry)
    def function(_: Other = Depends(give, scope="function")):
        return True

    def call_in_container():
        for _ in range(300):
            with registry.container() as container, container.activate():
                container.register_local_factory(Key, Key)
                function()

    def register():
        for _ in range(2_000):
            registry.register_value(Key, Key())

    outcomes = in_threads(register, call_in_container, call_in_container)

    assert outcomes == [None, None, None]


async def test_a_container_that_two_tasks_reset(registry):
    """A service made after the first reset is cleaned up."""
    events = []

    async def slow():
        yield Key()
        await asyncio.sleep(0.05)
        events.append("slow")

    def make():
        yield Other()
        events.append("other")

    registry.register_factory(Key, slow)
    registry.register_factory(Other, make)
    container = registry.container()
    await container.aget(Key)

    first = asyncio.create_task(container.areset())
    await asyncio.sleep(0.01)
    await container.areset()
    other = container.get(Other)
    await first

    assert (["slow"], other) == (events, container.get(Other))
    await container.aclose()
    assert events == ["slow", "other"]


@pytest.mark.parametrize("lifetime", ["scoped", "transient"])
async def test_a_task_outlives_the_factory_that_started_it(registry, lifetime):
    """The task may ask for the service being made: that service does not wait for the task."""
    tasks = []

    async def make_other(wares_container):
        tasks.append(asyncio.create_task(wares_container.aget(Key)))
        return Other()

    async def make_key(other: Other):
        await settle()
        return Key()

    registry.register_factory(Other, make_other, lifetime=lifetime)
    registry.register_factory(Key, make_key)
    container = registry.container()

    key = await container.aget(Key)

    assert [key] == await asyncio.gather(*tasks)


@pytest.mark.parametrize("room", [5, 7, 9, 11, 13, 40])
def test_a_factory_fails_where_the_stack_is_full(registry, room):
    """Waiting threads hear of the failure, however little room the stack has."""
    entered = []

    def make():
        if entered:
            return Key()
        # Nothing here needs room on the stack.
        entered.append(1)
        sleep(0.05)
        raise ValueError

    def nest(depth):
        return nest(depth - 1) if depth else container.get(Key)

    def ask_deep_down():
        depth = sys.getrecursionlimit() - room
        return outcome_of(nest, depth)

    def ask():
        while not entered:
            sleep(0.001)
        return outcome_of(container.get, Key)

    registry.register_factory(Key, make)
    container = registry.container()
    assert outcome_of(container.get, Key) is ValueError
    entered.clear()
    failed = threading.Thread(target=ask_deep_down)
    failed.start()
    failed.join(0.02)
    if not entered:
        # There was no room for the factory itself.
        entered.append(1)

    assert in_threads(ask)[0] is not None
    failed.join(SECONDS)


async def test_aget_goes_on_where_get_cannot(registry):
    """An asynchronous need that stops `get` does not stop an `aget` that waits."""
    held = Held(Other())

    async def make_text():
        return "text"

    def make_key(other: Other, text: str):
        return (other, text)

    registry.register_factory(Other, held)
    registry.register_factory(str, make_text)
    registry.register_factory(Key, make_key)
    container = registry.container()
    refused = asyncio.create_task(asyncio.to_thread(outcome_of, container.get, Key))
    await asyncio.to_thread(held.entered.wait, SECONDS)
    waiting = asyncio.create_task(container.aget(Key))
    await settle()

    held.released.set()

    assert (AsyncServiceError, (held.outcome, "text")) == (await refused, await waiting)


def test_a_local_value_that_is_registered_while_its_key_is_made(registry):
    """Once making it has failed, the value is there."""
    held = Held(ValueError("no"))
    registry.register_factory(Key, held)
    container = registry.container()
    value = Key()

    def register():
        assert held.entered.wait(SECONDS)
        container.register_local_value(Key, value)
        held.released.set()

    outcomes = in_threads(lambda: outcome_of(container.get, Key), register)

    assert (outcomes, value) == ([ValueError, None], container.get(Key))


def test_local_connection_services_leave_no_circles(registry):
    """A request with a local factory leaves nothing to the garbage collector."""

    def make():
        return Key()

    def serve():
        with registry.container() as parent:
            parent.register_local_factory(Key, make, lifetime="connection")
            with parent.child() as child:
                return [weakref.ref(thing) for thing in (parent, child, child.get(Key))]

    gc.disable()
    try:
        left = [reference() for reference in serve()]
    finally:
        gc.enable()

    assert [None, None, None] == left


@pytest.mark.usefixtures("busy_threads")
def test_overriding_one_key_at_once(registry):
    """Overrides of several threads come and go, and leave the last registration in force."""
    registry.register_value(int, 0)

    def override():
        for number in range(1_000):
            with registry.override_value(int, number):
                pass

    def register():
        for number in range(1_000):
            registry.register_value(int, number)

    outcomes = in_threads(*[override] * 3, register, seconds=SECONDS)

    assert [None] * 4 == outcomes
    with registry.container() as container:
        assert 999 == container.get(int)


def test_a_task_whose_event_loop_has_ended(registry):
    """A service is made and handed out though a task that waits for it will never go on."""
    entered, released = threading.Event(), threading.Event()

    def make():
        entered.set()
        assert released.wait(SECONDS)
        return "made"

    def get():
        with registry.container() as container:
            return container.get(str)

    async def aget():
        async with registry.container() as container:
            return await container.aget(str)

    async def wait():
        waiting.append(asyncio.create_task(aget()))
        await settle()

    def wait_and_close():
        assert entered.wait(SECONDS)
        loop = asyncio.new_event_loop()
        loop.set_exception_handler(lambda *_: None)
        loop.run_until_complete(wait())
        loop.close()
        released.set()

    waiting = []
    registry.register_factory(str, make, lifetime="singleton")

    outcomes = in_threads(get, wait_and_close)

    assert ["made", None] == outcomes
    assert "made" == get()
    assert not waiting.pop().done()


class Abandoned:
    """An asynchronous factory whose first run never ends, because its event loop is closed."""

    def __init__(self):
        self.runs = 0
        self.loop = asyncio.new_event_loop()
        self.loop.set_exception_handler(lambda *_: None)
        self.tasks = []

    async def __call__(self):
        self.runs += 1
        if self.runs == 1:
            await self.loop.create_future()
        return Key()

    def begin(self, *coroutines):
        """Let *coroutines* run as far as they get, in a thread, and keep their tasks."""

        async def run():
            self.tasks += map(asyncio.create_task, coroutines)
            await settle()

        in_thread(lambda: self.loop.run_until_complete(run()))

    def close(self, *, keeps_tasks=True):
        """Close the event loop."""
        self.loop.close()
        if not keeps_tasks:
            self.tasks.clear()
            gc.collect()


class NeedsKey:
    """A service that needs another one."""

    def __init__(self, key: Key):
        self.key = key


class TestAnEventLoopThatIsClosed:
    """A task makes a singleton, and its event loop is closed before it has ended."""

    @pytest.mark.parametrize("keeps_tasks", [False, True])
    @pytest.mark.parametrize("lifetime", ["scoped", "singleton"])
    async def test_and_the_next_that_asks(self, way, registry, lifetime, keeps_tasks):
        """The next `get` makes the singleton, and what needs it."""
        abandoned = Abandoned()
        registry.register_factory(Key, abandoned, lifetime="singleton")
        registry.register_factory(NeedsKey, NeedsKey, lifetime=lifetime)
        container = registry.container()
        abandoned.begin(container.aget(NeedsKey))
        abandoned.close(keeps_tasks=keeps_tasks)

        service = in_loop(lambda: container.aget(NeedsKey))
        gc.collect()

        assert service is await way.get(container, NeedsKey)
        assert service.key is await way.get(registry.container(), Key)
        assert 2 == abandoned.runs

    def test_and_a_thread_that_asks(self, registry):
        """A synchronous `get` does not wait for the task, but finds that it has to be awaited."""
        abandoned = Abandoned()
        registry.register_factory(Key, abandoned, lifetime="singleton")
        abandoned.begin(registry.container().aget(Key))
        abandoned.close()

        assert [AsyncServiceError] == in_threads(
            lambda: outcome_of(registry.container().get, Key)
        )

    async def test_and_those_that_wait(self, registry):
        """Tasks and threads that wait already receive what the next `get` makes."""
        abandoned = Abandoned()
        registry.register_factory(Key, abandoned, lifetime="singleton")
        abandoned.begin(registry.container().aget(Key))
        waiting = [asyncio.create_task(registry.container().aget(Key)) for _ in range(2)]
        await settle()
        abandoned.close()

        key = await registry.container().aget(Key)

        async with asyncio.timeout(SECONDS):
            assert [key, key] == await asyncio.gather(*waiting)
