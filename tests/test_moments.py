"""Another thread or a signal handler runs in the very moment between two steps.

Python calls `__hash__` of a key wherever the key is looked up, so that its code runs at the same
moment each time.
"""

import asyncio
import threading

import pytest

from tests.support.deadline import SECONDS, settle
from tests.support.services import Cache, Database


class Interrupt(BaseException):
    """The exception that a signal handler raises, as for Ctrl+C."""


class Key:
    """A key that does something at one of the next times that it is looked up."""

    def __init__(self):
        self.number = 0
        self.action = None

    def arm(self, number, action):
        """Let *action* run when the key is looked up for the *number*-th time from now on."""
        self.number, self.action = number, action

    def __hash__(self):
        if self.action is not None:
            self.number -= 1
            if not self.number:
                action, self.action = self.action, None
                action()
        return 1


class Held:
    """A factory that waits until it is let on, fails once if it is to, and then succeeds."""

    def __init__(self, *, fails=True):
        self.runs = 0
        self.fails = fails
        self.entered = threading.Event()
        self.released = threading.Event()

    def __call__(self):
        self.runs += 1
        if self.runs > 1:
            return "made"
        self.entered.set()
        assert self.released.wait(SECONDS)
        if self.fails:
            raise ValueError
        return "made first"


def interrupt():
    raise Interrupt


def outcome_of(function, *arguments):
    try:
        return function(*arguments)
    except (ValueError, Interrupt, RecursionError) as error:
        return type(error)


@pytest.mark.parametrize("number", range(1, 6))
async def test_the_maker_fails_while_another_looks(way, registry, container, number):
    """A `get` makes the service anew if another thread fails to make it just then."""
    key, held = Key(), Held()
    registry.register_factory(key, held)
    maker = threading.Thread(target=outcome_of, args=(container.get, key))
    maker.start()
    assert held.entered.wait(SECONDS)

    def let_it_fail():
        held.released.set()
        maker.join(SECONDS)

    key.arm(number, let_it_fail)

    assert "made" == await way.get(container, key)
    assert 2 == held.runs


@pytest.mark.parametrize("number", range(1, 8))
async def test_the_maker_succeeds_while_another_looks(way, registry, container, number):
    """A `get` returns the service that another thread finishes just then."""
    key, held = Key(), Held(fails=False)
    registry.register_factory(key, held)
    maker = threading.Thread(target=container.get, args=(key,))
    maker.start()
    assert held.entered.wait(SECONDS)

    def let_it_succeed():
        held.released.set()
        maker.join(SECONDS)

    key.arm(number, let_it_succeed)

    assert "made first" == await way.get(container, key)
    assert 1 == held.runs


@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize("lifetime", ["scoped", "connection", "singleton"])
async def test_an_interruption_of_whoever_makes(way, registry, lifetime, fails):
    """Wherever making is interrupted, also as it fails, the service can be made afterwards."""
    outcomes = []

    def make():
        if fails and key.action is not None:
            raise ValueError
        return "made"

    for number in range(1, 100):
        key = Key()
        registry.register_factory(key, make, lifetime=lifetime)
        container = registry.container()
        key.arm(number, interrupt)
        try:
            await way.get(container.child(), key)
        except (ValueError, Interrupt) as error:
            outcomes.append(type(error))
        is_over = key.action is not None
        key.action = None

        assert "made" == await way.get(container.child(), key)
        if is_over:
            break

    assert Interrupt in outcomes
    assert number < 99


class TestWhoeverWaitsMeanwhile:
    """Tasks wait for a service; its maker has to wait for another one, and is interrupted."""

    @pytest.mark.parametrize("number", [1, 2, 3])
    async def test_for_a_task(self, registry, container, number):
        """Tasks make the service if a task is interrupted as it gives its claim up."""
        key, gates = Key(), [asyncio.Event(), asyncio.Event()]

        async def make_cache():
            await gates[0].wait()
            key.arm(number, interrupt)
            return Cache()

        async def make_database():
            await gates[1].wait()
            return Database()

        async def make(cache: Cache, database: Database):
            return database

        registry.register_factory(Cache, make_cache)
        registry.register_factory(Database, make_database)
        registry.register_factory(key, make)
        making = asyncio.create_task(container.aget(Database))
        interrupted = asyncio.create_task(container.aget(key))
        await settle()
        waiting = asyncio.create_task(container.aget(key))
        await settle()

        gates[0].set()
        with pytest.raises(Interrupt):
            await interrupted
        gates[1].set()

        async with asyncio.timeout(SECONDS):
            assert await making is await waiting

    @pytest.mark.parametrize("number", [1, 2, 3])
    async def test_for_a_thread(self, registry, container, number):
        """Threads make the service if a thread is interrupted as it gives its claim up."""
        key, gates = Key(), [threading.Event(), threading.Event()]
        entered = [threading.Event(), threading.Event()]

        def make_cache():
            entered[0].set()
            assert gates[0].wait(SECONDS)
            key.arm(number, interrupt)
            return Cache()

        def make_database():
            entered[1].set()
            assert gates[1].wait(SECONDS)
            return Database()

        def make(cache: Cache, database: Database):
            return database

        registry.register_factory(Cache, make_cache)
        registry.register_factory(Database, make_database)
        registry.register_factory(key, make)
        making = asyncio.create_task(asyncio.to_thread(container.get, Database))
        interrupted = asyncio.create_task(asyncio.to_thread(outcome_of, container.get, key))
        await asyncio.to_thread(lambda: [each.wait(SECONDS) for each in entered])
        waiting = asyncio.create_task(container.aget(key))
        await settle()

        gates[0].set()
        assert Interrupt is await interrupted
        gates[1].set()

        async with asyncio.timeout(SECONDS):
            assert await making is await waiting

    @pytest.mark.parametrize("raised", [Interrupt, RecursionError])
    @pytest.mark.parametrize("is_task", [False, True])
    async def test_as_they_are_told(self, registry, container, monkeypatch, is_task, raised):
        """All hear of a failure, though telling them is interrupted, or the stack is full there."""
        held, gate = Held(), asyncio.Event()
        loop = asyncio.get_running_loop()
        tell = loop.call_soon_threadsafe

        def tell_and_interrupt(*arguments):
            monkeypatch.undo()
            tell(*arguments)
            raise raised

        async def amake():
            await gate.wait()
            raise ValueError

        async def aget():
            with pytest.raises(raised):
                await container.aget(Database)
            return raised

        registry.register_factory(Database, amake if is_task else held)
        get = aget() if is_task else asyncio.to_thread(outcome_of, container.get, Database)
        interrupted = asyncio.create_task(get)
        if not is_task:
            await asyncio.to_thread(held.entered.wait, SECONDS)
        await settle()
        waiting = [asyncio.create_task(container.aget(Database)) for _ in range(3)]
        await settle()
        monkeypatch.setattr(loop, "call_soon_threadsafe", tell_and_interrupt)

        held.released.set()
        gate.set()

        assert raised is await interrupted
        async with asyncio.timeout(SECONDS):
            outcomes = await asyncio.gather(*waiting, return_exceptions=True)
        assert [ValueError] * 3 == [type(outcome) for outcome in outcomes]
