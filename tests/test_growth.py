"""Tests of limits: no growth with requests, no circles of garbage, no limit of depth."""

import asyncio
import contextlib
import gc
import itertools
import logging
import os
import subprocess
import sys
import textwrap
import tracemalloc
import weakref
from pathlib import Path
from typing import Annotated

import pytest

from tests.support.deadline import in_loop, in_thread
from tests.support.interleaving import monitored, watch
from tests.support.services import Cache, Database, Engine, Mailer, Repository, Session, Shop
from wares import Depends, Registry, ServiceNotFoundError, inject

ROOT = Path(__file__).parent.parent


# Memory


def open_session():
    """A session that is left."""
    yield Session()


@pytest.fixture
def shop(registry):
    """A registry with services of several kinds."""
    registry.register_factory(Database, Database)
    registry.register_factory(Repository, Repository)
    registry.register_factory(Shop, Shop)
    registry.register_factory(Session, open_session)
    registry.register_factory(Engine, Engine, lifetime="singleton")
    registry.register_factory(Cache, Cache, lifetime="connection")
    for number in range(40):
        registry.register_factory(f"part {number}", object)
    return registry


def use(registry, number):
    """A plain request."""
    with registry.container({"request": number}) as container:
        container.get(Shop, Session, Engine)


def use_given_keys(registry, number):
    """A request that is given an object under a key of its own."""
    with registry.container({("request", number): number}) as container:
        container.get(Shop, ("request", number))


def use_local_values(registry, number):
    """A request that registers a value under a key of its own."""
    with registry.container() as container:
        container.register_local_value(("user", number), number)
        container.get(Shop, ("user", number))


def use_local_factories(registry, number):
    """A request that registers a factory and a class of its own."""

    class Service:
        def __init__(self, database: Database) -> None:
            self.database = database

    with registry.container() as container:
        container.register_local_factory(Service, Service)
        container.register_local_factory("lambda", lambda: number)
        container.get(Service, "lambda")


TUPLES = [
    tuple(f"part {part}" for part in parts) for parts in itertools.permutations(range(40), 3)
]


def use_other_tuples(registry, number):
    """A request that asks for several keys at once, others each time."""
    with registry.container() as container:
        container.get(*TUPLES[number * 50])


def use_children(registry, number):
    """Several children, asked in turn."""
    with registry.container() as container:
        for _ in range(3):
            with container.child({("event", number): 1}) as child:
                child.get(Shop, Cache, Session)


def use_unknown_keys(registry, number):
    """A request that asks for a service that is not registered."""
    with registry.container() as container:
        with contextlib.suppress(ServiceNotFoundError):
            container.get(("unknown", number))
        assert ("unknown", number) not in container


REQUESTS = [
    use,
    use_given_keys,
    use_local_values,
    use_local_factories,
    use_other_tuples,
    use_children,
    use_unknown_keys,
]


@pytest.mark.parametrize("request_of", REQUESTS)
def test_memory_does_not_grow_with_requests(shop, request_of, caplog):
    """After five hundred requests as much memory is in use as after a hundred."""
    # Otherwise pytest may keep the records of registrations.
    caplog.set_level(logging.WARNING)
    numbers = iter(range(1_000_000))
    for _ in range(100):
        request_of(shop, next(numbers))

    def measure():
        for _ in range(100):
            request_of(shop, next(numbers))
        gc.collect()
        return tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    try:
        measured = [measure() for _ in range(4)]
    finally:
        tracemalloc.stop()

    # A table of Python's own may grow once; whatever is kept for each request grows each time,
    # and takes more than eight bytes.
    growth = min(later - earlier for earlier, later in itertools.pairwise(measured))
    assert growth / 100 < 8


# Circles


def fail():
    """A factory that fails."""
    raise OSError("no mail")


def ask_in_bodies(registry, _number):
    """Factories that ask."""
    with registry.container() as container:
        container.get("asks")


def fail_to_make(registry, _number):
    """A factory that fails."""
    with registry.container() as container:
        with contextlib.suppress(OSError):
            container.get(Mailer)


def fail_in_the_block(registry, _number):
    """Work that fails."""
    try:
        with registry.container() as container:
            container.get(Session)
            raise OSError("work")  # that is the point
    except OSError:
        pass


def call_injected(registry, _number):
    """A function with dependencies that end with the call."""
    with registry.container() as container, container.activate():
        injected()


def dependency():
    """A dependency with a cleanup."""
    yield "service"


@inject
def injected(
    short: Annotated[str, Depends(dependency, scope="function")],
    long: Annotated[str, Depends(dependency)],
):
    """Get both."""
    return short, long


async def aask(registry, _number):
    """An asynchronous request."""
    async with registry.container() as container:
        await container.aget(Shop, Session)


async def await_each(registry, _number):
    """A request with services that are awaited, one for another."""
    async with registry.container() as container:
        await container.aget("awaits")
        async with container.child() as child:
            await child.aget("awaits")


async def ask_at_once(registry, _number):
    """Tasks that wait for one another."""
    async with registry.container() as container:
        await asyncio.gather(*[container.aget("awaits") for _ in range(3)])


async def fail_at_once(registry, _number):
    """Tasks of which all fail."""
    async with registry.container() as container:
        await asyncio.gather(
            *[container.aget("fails") for _ in range(3)], return_exceptions=True
        )


CIRCLES = [
    use,
    use_given_keys,
    use_local_values,
    use_children,
    use_unknown_keys,
    ask_in_bodies,
    fail_to_make,
    fail_in_the_block,
    call_injected,
]
ASYNC_CIRCLES = [aask, await_each, ask_at_once, fail_at_once]


@pytest.fixture
def more(shop):
    """A registry with services that ask, fail and await."""

    async def awaits(wares_container):
        await asyncio.sleep(0)
        yield await wares_container.aget(Shop)
        await asyncio.sleep(0)

    async def fails():
        await asyncio.sleep(0)
        raise OSError("no mail")

    shop.register_factory("asks", lambda wares_container: wares_container.get(Shop))
    shop.register_factory(Mailer, fail)
    shop.register_factory("awaits", awaits)
    shop.register_factory("fails", fails)
    return shop


@pytest.mark.usefixtures("unattended")
@pytest.mark.parametrize("request_of", CIRCLES)
def test_requests_leave_no_circles(more, request_of):
    """Requests of the usual kinds leave no work to the garbage collector."""
    request_of(more, 0)
    gc.collect()
    for number in range(1, 21):
        request_of(more, number)

    assert 0 == gc.collect()


@pytest.mark.usefixtures("unattended")
@pytest.mark.parametrize("request_of", ASYNC_CIRCLES)
def test_async_requests_leave_no_circles(more, request_of):
    """Async requests leave no circles, even if tasks wait for each other and fail."""

    async def work():
        await request_of(more, 0)
        gc.collect()
        for number in range(1, 21):
            await request_of(more, number)
        return gc.collect()

    assert 0 == in_loop(work)


# Depth


def chain(registry, length, lifetime="scoped"):
    """Register a chain in which each service needs the next; return the keys."""
    keys = [type(f"Link{number}", (), {}) for number in range(length)]
    registry.register_factory(keys[-1], lambda: 1, lifetime=lifetime)
    for key, needed_key in itertools.pairwise(keys):

        def link(needed):
            return needed + 1

        link.__annotations__ = {"needed": needed_key}
        registry.register_factory(key, link, lifetime=lifetime)
    return keys


def test_a_chain_of_singletons_takes_little_memory():
    """The needs of a chain of 2,000 singletons are not kept once for each of them."""
    registry = Registry()
    keys = chain(registry, 2_000, "singleton")
    tracemalloc.start()
    try:
        with registry.container() as container:
            made = container.get(keys[0])
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert 2_000 == made
    assert peak < 60e6


def count_lines(work):
    """Count the lines of wares that run while *work* does."""
    counter = itertools.count()
    with monitored("line"), watch(lambda *_: next(counter), "line"):
        work()
    return next(counter)


def test_the_cost_of_an_unrelated_override():
    """The cost of an override grows with the number of singletons, not with its square."""

    def measure(length):
        registry = Registry()
        keys = chain(registry, length, "singleton")
        registry.register_value("unrelated", 1)
        registry.container().get(keys[0])
        return count_lines(lambda: use_overridden(registry, keys[0]))

    def use_overridden(registry, key):
        with registry.override_value("unrelated", 2):
            registry.container().get(key)
        registry.container().get(key)

    few, many = measure(200), measure(800)

    assert many < 5 * few


@pytest.mark.parametrize("close", ["close", "aclose"])
def test_nested_children(registry, close):
    """Four hundred containers, each the child of the one before, close from the outermost."""
    left = []

    def make():
        yield 1
        left.append(1)

    registry.register_factory(Session, make)

    async def work():
        outermost = container = registry.container()
        for _ in range(400):
            container.get(Session)
            container = container.child()
        if close == "close":
            outermost.close()
        else:
            await outermost.aclose()

    in_loop(work)

    assert 400 == len(left)


PROGRAM = """
import asyncio, sys
from wares import Registry

length = int(sys.argv[1])
is_async = sys.argv[2] == "async"
registry = Registry()

def asking(key):
    def make(wares_container):
        return wares_container.get(key) + 1

    async def amake(wares_container):
        return await wares_container.aget(key) + 1

    return amake if is_async else make

registry.register_factory(0, lambda: 1)
for number in range(1, length):
    registry.register_factory(number, asking(number - 1))
container = registry.container()
if is_async:
    print(asyncio.run(container.aget(length - 1)))
else:
    print(container.get(length - 1))
"""


@pytest.mark.parametrize("way", ["sync", "async"])
def test_a_chain_of_factories_that_ask(way):
    """Factories that ask one another may do so 320 deep at the usual recursion limit."""
    answer = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(PROGRAM), "320", way],
        cwd=ROOT,
        # A measurement of coverage takes no frames; it is left out because it takes time.
        env={name: value for name, value in os.environ.items() if "COVERAGE" not in name},
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        check=False,
    )

    assert "320" == answer.stdout.strip(), answer.stderr[-2000:]


def test_a_factory_that_makes_a_class_each_time(registry):
    """A factory that returns a new class each time does not keep all classes alive."""
    registry.register_factory("plugin", lambda: type("Plugin", (), {})())
    classes = weakref.WeakSet()

    for _ in range(50):
        with registry.container() as container:
            classes.add(type(container.get("plugin")))
    gc.collect()

    assert len(classes) < 20


def test_a_chain_that_never_ends(registry):
    """Factories that ask for ever new keys end in a `RecursionError`, and block nothing."""
    registry.register_factory(Database, Database)

    def make_asker(number):
        def ask(wares_container):
            key = ("link", number + 1)
            registry.register_factory(key, make_asker(number + 1))
            return wares_container.get(key)

        return ask

    registry.register_factory(("link", 0), make_asker(0))
    container = registry.container()

    with pytest.raises(RecursionError):
        in_thread(lambda: container.get(("link", 0)))
    assert Database is type(container.get(Database))
