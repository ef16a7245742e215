"""Counts, not times, of the steps that make wares fast, so that none is lost by accident.

A count says the same on every machine. `benchmarks/` measure what it is worth in time.
"""

import asyncio
import builtins
import contextvars
import inspect
import sys
import tracemalloc
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest

import wares
from tests.support.ways import use
from wares import Container, Registry

PACKAGE = str(Path(wares.__file__).parent)


class Config:
    """Needs nothing."""


class Engine:
    """Needs the configuration."""

    def __init__(self, config: Config) -> None:
        self.config = config


class Session:
    """Has to be closed."""


class Users:
    """Needs a session and an engine."""

    def __init__(self, session: Session, engine: Engine) -> None:
        self.session = session
        self.engine = engine


def open_session(engine: Engine) -> Iterator[Session]:
    """Open a session."""
    yield Session()


async def open_async_session(engine: Engine) -> AsyncIterator[Session]:
    """Open a session, and be asynchronous about it."""
    yield Session()


@pytest.fixture
def shop(registry: Registry) -> Registry:
    """A registry of four services, one of which is a value, and one has a cleanup."""
    registry.register_value(Config, Config())
    registry.register_factory(Engine, Engine)
    registry.register_factory(Session, open_session)
    registry.register_factory(Users, Users)
    with Container(registry) as container:
        container.get(Users)  # what happens at the first use only is not counted
    return registry


def watch(work: Callable[[], object]) -> list[Any]:
    """List the code of wares, written beforehand or at run time, that runs while *work* does."""
    codes = []

    def note(frame, event, _):
        code = frame.f_code
        name = code.co_filename
        if event == "call" and (name.startswith(PACKAGE) or "of wares" in name):
            codes.append(code)

    outer = sys.getprofile()
    sys.setprofile(note)
    try:
        work()
    finally:
        sys.setprofile(outer)
    return codes


def count_coroutines(work: Callable[[], object]) -> int:
    """Count the coroutines of wares that run while *work* does."""
    return len([code for code in watch(work) if code.co_flags & inspect.CO_COROUTINE])


def finish(coroutine: Coroutine[Any, Any, Any]) -> None:
    """Run a coroutine that does not wait for anything; no event loop is in the way."""
    with pytest.raises(StopIteration):
        coroutine.send(None)


def aopen_get_close(registry: Registry, key: object) -> Callable[[], None]:
    """Make the work of one small asynchronous request."""

    async def work() -> None:
        async with Container(registry) as container:
            await container.aget(key)

    return lambda: finish(work())


class TestFrames:
    """Every call of a Python function costs as much as making a small object."""

    def test_a_cached_get_is_one_call(self, shop):
        """A `get` of a service made already runs at most one Python function."""
        with Container(shop) as container:
            container.get(Engine)

            codes = watch(lambda: container.get(Engine))

        assert len(codes) <= 1

    def test_an_empty_container_is_three_calls(self, shop):
        """A container that is asked for nothing is made, entered and left, and no more."""

        def work():
            with Container(shop):
                pass

        assert len(watch(work)) <= 3

    def test_what_is_given_costs_nothing_further(self, shop):
        """A container that was given something, the request, say, makes the rest as any other.

        It may take one call to put the object in.
        """

        def work(given):
            with shop.container(given) as container:
                container.get(Users)

        work({"request": object()})
        plain = watch(lambda: work(None))
        codes = watch(lambda: work({"request": object()}))

        assert len(codes) <= len(plain) + 1


class TestCoroutines:
    """A coroutine costs twice what a call does."""

    def test_a_sync_graph_needs_one_at_most(self, shop):
        """`aget` takes at most one coroutine for all services that need no `await`."""
        one = count_coroutines(aopen_get_close(shop, Engine))

        assert count_coroutines(aopen_get_close(shop, Users)) <= one + 1

    def test_a_sync_part_of_an_async_graph_needs_none(self, shop):
        """In a graph with an asynchronous session only that session costs a coroutine."""
        shop.register_factory(Session, open_async_session)
        aopen_get_close(shop, Users)()

        session = count_coroutines(aopen_get_close(shop, Session))

        assert count_coroutines(aopen_get_close(shop, Users)) <= session + 1

    def test_what_cannot_wait_sets_no_context_variable(self, shop):
        """Factories that cannot ask asynchronously need no context variable."""
        context = contextvars.Context()

        context.run(aopen_get_close(shop, Engine))

        assert [] == list(context)


class TestWaiting:
    """At the start, and after a pause, many requests wait for the same thing."""

    def test_each_waiter_costs_the_same(self, registry):
        """A waiter costs no more where many others wait for the same service."""

        async def connect() -> Engine:
            await asyncio.sleep(0)
            return Engine(Config())

        def count(tasks: int) -> int:
            registry.register_factory(Engine, connect, lifetime="singleton")

            async def serve() -> None:
                async with registry.container() as container:
                    await container.aget(Users)

            async def serve_all() -> None:
                await asyncio.gather(*[serve() for _ in range(tasks)])

            return len(watch(lambda: asyncio.run(serve_all())))

        registry.register_factory(Session, Session)
        registry.register_factory(Users, Users)
        few, many = count(100), count(200)

        assert many < 3 * few


class TestCompiling:
    """To compile a text takes as long as a hundred requests."""

    async def test_use_compiles_nothing(self, way, shop, monkeypatch):
        """The maker of a key is compiled once, at its first use."""
        await use(way, shop, 1, Users)
        compiled = []
        compile_really = builtins.compile
        monkeypatch.setattr(
            builtins,
            "compile",
            lambda *args, **options: (
                compiled.append(args[1]) or compile_really(*args, **options)
            ),
        )

        await use(way, shop, 100, Users)

        assert [] == compiled


class TestMemory:
    """A server has one container for each request that is open."""

    def test_an_open_container_takes_250_bytes(self, shop):
        """An empty container takes at most 250 bytes, its dictionary included."""
        count = 1_000
        containers: list[Container | None] = [None] * count
        tracemalloc.start()

        try:
            before, _ = tracemalloc.get_traced_memory()
            for position in range(count):
                containers[position] = Container(shop)
            after, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()

        assert (after - before) / count <= 250

    def test_a_container_has_no_finalizer(self):
        """Only a list of cleanups watches over itself: most containers have none."""
        assert not hasattr(Container, "__del__")
