"""What makes wares fast, counted rather than timed, so that nobody loses it by accident.

A count says the same on every machine. What a technique is worth in time is told by
`benchmarks/` and by the page on how services are made.
"""

import asyncio
import builtins
import contextvars
import inspect
import sys
import tracemalloc
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from pathlib import Path
from typing import Annotated, Any

import pytest

import wares
from tests.support.ways import ASYNC, MANY, SYNC, use
from wares import Container, Depends, Registry, inject

PACKAGE = str(Path(wares.__file__).parent)
PLAN = "<a plan of wares>"
WRAPPER = "<inject of wares>"


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
    return registry


def count_frames(work: Callable[[], object]) -> list[str]:
    """List the functions of wares that run in Python while *work* does."""
    return [code.co_name for code in _watch(work)]


def count_coroutines(work: Callable[[], object]) -> list[str]:
    """List the coroutines of wares that run while *work* does."""
    return [code.co_name for code in _watch(work) if code.co_flags & inspect.CO_COROUTINE]


def _watch(work: Callable[[], object]) -> list[Any]:
    codes = []

    def note(frame, event, _):
        code = frame.f_code
        if event == "call" and code.co_filename.startswith((PACKAGE, PLAN)):
            codes.append(code)

    outer = sys.getprofile()
    sys.setprofile(note)
    try:
        work()
    finally:
        sys.setprofile(outer)
    return codes


def finish(coroutine: Coroutine[Any, Any, Any]) -> None:
    """Run a coroutine that does not wait for anything; no event loop is in the way."""
    with pytest.raises(StopIteration):
        coroutine.send(None)


def open_get_close(registry: Registry, key: object) -> Callable[[], None]:
    """Make the work of one small request."""

    def work() -> None:
        with Container(registry) as container:
            container.get(key)

    return work


def aopen_get_close(registry: Registry, key: object) -> Callable[[], None]:
    """Make the work of one small asynchronous request."""

    async def work() -> None:
        async with Container(registry) as container:
            await container.aget(key)

    return lambda: finish(work())


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the texts that wares has compiled."""
    names: list[str] = []
    compile_really = builtins.compile

    def note(source, filename, *arguments, **options):
        if filename in (PLAN, WRAPPER):
            names.append(filename)
        return compile_really(source, filename, *arguments, **options)

    monkeypatch.setattr(builtins, "compile", note)
    return names


class TestFrames:
    """Every call of a Python function costs as much as making a small object."""

    def test_a_cached_get_is_one_call(self, shop):
        """To get what is made already runs one Python function."""
        with Container(shop) as container:
            container.get(Engine)

            frames = count_frames(lambda: container.get(Engine))

        assert ["get"] == frames

    def test_a_cached_aget_is_two_calls(self, shop):
        """To await what is made already runs one function and one coroutine."""
        with Container(shop) as container:
            container.get(Engine)

            frames = count_frames(lambda: finish(container.aget(Engine)))

        assert ["aget", "_return"] == frames

    def test_an_empty_container_is_three_calls(self, shop):
        """A container that is asked for nothing is made, entered and left, and no more."""

        def work():
            with Container(shop):
                pass

        frames = count_frames(work)

        assert ["__init__", "__enter__", "__exit__"] == frames

    @pytest.mark.parametrize("key", [Config, Engine])
    async def test_a_service_without_a_cleanup_is_two_calls_more(self, key, shop):
        """To ask a fresh container for a key that is asked for often adds the plan."""
        await use(SYNC, shop, MANY, key)

        frames = count_frames(open_get_close(shop, key))

        assert ["__init__", "__enter__", "get", "plan", "__exit__"] == frames

    async def test_a_generator_is_no_call_more(self, shop):
        """A whole graph takes no more calls than one service, also where a session is left."""
        await use(SYNC, shop, MANY, Users)

        frames = count_frames(open_get_close(shop, Users))

        assert WITH_ONE_CLEANUP == frames

    async def test_several_keys_take_one_plan(self, shop):
        """Keys that are asked for together cost two calls more than one key."""
        await use(SYNC, shop, MANY, Users, Config, Engine)

        def work():
            with Container(shop) as container:
                container.get(Users, Config, Engine)

        frames = count_frames(work)

        expected = [*WITH_ONE_CLEANUP]
        expected.insert(expected.index("plan"), "_get_several")
        assert expected == frames

    async def test_a_container_with_something_given_takes_no_detour(self, shop):
        """What an adapter gives, the request, say, does not keep a container from the plan."""

        def work():
            with shop.container({"request": object()}) as container:
                container.get(Users)

        for _ in range(MANY):
            work()
        frames = count_frames(work)

        assert ["container", "__init__", *WITH_ONE_CLEANUP] == frames

    async def test_who_needs_what_is_given_takes_no_detour(self, shop):
        """To need what an adapter gives, the request, say, costs nothing further."""

        class Request:
            """What is given."""

        def make_page(request: Request, users: Users) -> tuple[Request, Users]:
            return request, users

        shop.expect(Request)
        shop.register_factory("page", make_page)

        def work():
            with shop.container({Request: Request()}) as container:
                container.get("page")

        for _ in range(MANY):
            work()
        frames = count_frames(work)

        assert ["container", "__init__", *WITH_ONE_CLEANUP] == frames


class TestDetours:
    """The slow way takes as long as twenty plans."""

    @pytest.mark.parametrize("is_async", [False, True])
    async def test_a_factory_that_asks_takes_none(self, shop, is_async):
        """A factory that asks its container, as those of svcs do, is within its rights."""

        def make_page(wares_container) -> list[Users]:
            return [wares_container.get(Users)]

        async def amake_page(wares_container) -> list[Users]:
            return [await wares_container.aget(Users)]

        way, work = (ASYNC, aopen_get_close) if is_async else (SYNC, open_get_close)
        if is_async:
            shop.register_factory(Session, open_async_session)
        shop.register_factory("page", amake_page if is_async else make_page)
        await use(way, shop, MANY, "page")

        frames = count_frames(work(shop, "page"))

        assert [] == [name for name in frames if name in SLOW_WAY]

    async def test_who_comes_second_takes_none(self, shop):
        """What is asked for after something else was got has a plan of its own as well."""

        def work():
            with Container(shop) as container:
                container.get(Config)
                container.get(Session)
                container.get(Users)

        for _ in range(MANY):
            work()

        assert [] == [name for name in count_frames(work) if name in SLOW_WAY]


#: Functions by which something is looked up, and made, without a plan.
SLOW_WAY = {"resolve", "aresolve", "detour", "adetour", "_get_slowly", "_aget_slowly"}

#: What a container with one cleanup calls. Its list of cleanups, which would look whether it is
#: dropped full, goes on to the next container.
WITH_ONE_CLEANUP = ["__init__", "__enter__", "get", "plan", "__exit__"]


class TestCoroutines:
    """A coroutine costs twice what a call does."""

    @pytest.mark.parametrize("key", [Config, Engine])
    async def test_synchronous_services_make_none_of_their_own(self, key, shop):
        """What needs no `await` is made without one: there are three for the container."""
        await use(ASYNC, shop, MANY, key)

        coroutines = count_coroutines(aopen_get_close(shop, key))

        assert ["__aenter__", "plan", "__aexit__"] == coroutines

    async def test_a_synchronous_cleanup_adds_none(self, shop):
        """Cleanups share the coroutine that closes, and need one only for an `await`."""
        await use(ASYNC, shop, MANY, Users)

        coroutines = count_coroutines(aopen_get_close(shop, Users))

        assert ["__aenter__", "plan", "__aexit__"] == coroutines

    async def test_a_synchronous_part_of_an_asynchronous_graph_makes_none(self, shop):
        """In a graph with an asynchronous session, the plan awaits that session only."""
        shop.register_factory(Session, open_async_session)
        await use(ASYNC, shop, MANY, Users)

        coroutines = count_coroutines(aopen_get_close(shop, Users))

        assert ["__aenter__", "plan", "__aexit__"] == coroutines

    async def test_what_cannot_wait_sets_no_context_variable(self, shop):
        """Where no other task can come in between, nothing has to be told to other tasks."""
        await use(ASYNC, shop, MANY, Engine)
        context = contextvars.Context()

        context.run(aopen_get_close(shop, Engine))

        assert [] == list(context)


class TestWaiting:
    """At the start, and after a pause, many requests wait for the same thing."""

    def test_each_who_waits_costs_the_same(self, registry):
        """To wait for what another task makes takes no more where many others wait for it."""

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

            return len(count_frames(lambda: asyncio.run(serve_all())))

        registry.register_factory(Session, Session)
        registry.register_factory(Users, Users)
        few, many = count(100), count(200)

        assert many < 3 * few


class TestCompiling:
    """To compile a text takes as long as a hundred requests."""

    async def test_a_key_is_compiled_once(self, way, shop, compiled):
        """However often a key is asked for, there is one plan for it."""
        await use(way, shop, 10 * MANY, Users)

        assert [PLAN] == compiled

    async def test_a_key_that_is_asked_for_seldom_is_not_compiled(self, way, shop, compiled):
        """A few uses are cheaper without a plan."""
        await use(way, shop, 10, Users)

        assert [] == compiled

    async def test_a_second_text_is_compiled_once(self, shop, compiled):
        """Containers that have made something already share a second text."""
        await use(SYNC, shop, MANY, Users)
        for _ in range(MANY):
            with Container(shop) as container:
                container.get(Engine)
                container.get(Users)

        assert [PLAN] * len(["Users", "Engine", "Users, again"]) == compiled

    def test_an_injected_function_is_compiled_once(self, compiled):
        """The wrapper is written at decoration, and its plan when it is called often."""

        @inject
        def find(config: Annotated[Config, Depends(Config)]) -> Config:
            return config

        for _ in range(MANY):
            find()

        assert [PLAN, WRAPPER] == sorted(compiled)


class TestMemory:
    """A server has one container for each request that is open."""

    def test_an_open_container_takes_200_bytes(self, shop):
        """That is what a container with nothing made may take, its dictionary included."""
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

        assert (after - before) / count <= 200

    async def test_one_that_was_entered_is_watched_as_well(self, shop):
        """A container that is entered, but never left, warns as any other that is dropped."""
        await use(SYNC, shop, MANY, Users)
        container = Container(shop)
        container.__enter__()
        container.get(Users)

        with pytest.warns(ResourceWarning, match="Session"):
            del container

    def test_a_container_has_no_finalizer(self):
        """Only a list of cleanups watches over itself: most containers have none."""
        assert not hasattr(Container, "__del__")
