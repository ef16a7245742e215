"""Injected functions whose decorators hide what they are: services end when the body has ended."""

import asyncio
import contextlib
import functools
import inspect
from typing import Annotated

import pytest
import trio

from tests.support.services import Database
from wares import (
    AsyncServiceError,
    Depends,
    Inject,
    Registry,
    ValidationError,
    apply_types,
    current_container,
    inject,
)


def hide(function):
    """Decorate with a plain function, as many decorators do."""

    @functools.wraps(function)
    def plain(*args, **kwargs):
        return function(*args, **kwargs)

    return plain


def run(function):
    """Decorate a coroutine function so that it can be called without an event loop."""

    @functools.wraps(function)
    def plain(*args, **kwargs):
        return asyncio.run(function(*args, **kwargs))

    return plain


class Blocks:
    @contextlib.contextmanager
    def block(self, name, database: Inject[Database]):
        yield name, database

    @contextlib.asynccontextmanager
    async def ablock(self, name, database: Inject[Database]):
        yield name, database

    __call__ = block


@pytest.fixture
def log():
    """A record of what has happened, in order."""
    return []


@pytest.fixture
def connect(log):
    """A factory, and dependency, that is left again."""

    def connect():
        log.append("open")
        try:
            yield Database()
        except BaseException as error:
            log.append(f"{type(error).__name__} reached it")
            raise
        finally:
            log.append("close")

    return connect


@pytest.fixture
def aconnect(connect):
    """Connect, asynchronously."""

    async def aconnect():
        with contextlib.contextmanager(connect)() as database:
            yield database

    return aconnect


@pytest.fixture
def registry(connect):
    with Registry() as registry:
        registry.register_factory(Database, connect)
        yield registry


@pytest.fixture
def async_registry(registry, aconnect):
    registry.register_factory(Database, aconnect)
    return registry


SCOPES = ["request", "function"]


class TestContextManagers:
    @pytest.mark.parametrize("decorate", [lambda it: it, hide], ids=["as it is", "hidden"])
    def test_sync(self, registry, log, decorate):
        """The dependencies of a context manager live until its block has ended."""

        @inject(registry=registry)
        @decorate
        @contextlib.contextmanager
        def block(name, database: Inject[Database]):
            log.append(f"enter {name}")
            yield database
            log.append("exit")

        with block("ada") as database:
            log.append("body")

        assert isinstance(database, Database)
        assert ["open", "enter ada", "body", "exit", "close"] == log
        assert ["name"] == list(inspect.signature(block).parameters)

    @pytest.mark.parametrize(
        "bind",
        [
            lambda block: Blocks().block,
            lambda block: hide(Blocks().block),
            lambda block: Blocks(),
            lambda block: functools.partial(block, Blocks()),
            lambda block: functools.partial(Blocks().block),
        ],
        ids=["method", "wrapped method", "object", "partial", "partial of a method"],
    )
    def test_bound(self, registry, log, bind):
        """A partial of a context manager keeps its dependencies until the block ends."""
        block = inject(registry=registry)(bind(Blocks.block))

        with block("ada") as (name, database):
            log.append("body")

        assert ("ada", Database) == (name, type(database))
        assert ["open", "body", "close"] == log

    async def test_a_bound_one_that_is_asynchronous(self, async_registry, log):
        """A method may be an asynchronous context manager, and have asynchronous services."""
        block = inject(registry=async_registry)(Blocks().ablock)

        async with block("ada") as (name, database):
            log.append("body")

        assert ("ada", Database) == (name, type(database))
        assert ["open", "body", "close"] == log

    @pytest.mark.parametrize("decorate", [lambda it: it, hide], ids=["as it is", "hidden"])
    def test_an_exception(self, registry, log, decorate):
        """The exception of the block reaches the dependencies."""

        @inject(registry=registry)
        @decorate
        @contextlib.contextmanager
        def block(database: Inject[Database]):
            yield

        with pytest.raises(KeyError), block():
            raise KeyError

        assert ["open", "KeyError reached it", "close"] == log

    def test_as_a_decorator(self, registry, log):
        """A context manager stays a decorator, with services for each call."""

        @inject(registry=registry)
        @contextlib.contextmanager
        def block(database: Inject[Database]):
            yield

        @block()
        def function():
            log.append("body")

        function()
        function()

        assert ["open", "body", "close"] * 2 == log

    async def test_async(self, async_registry, log):
        """An async context manager awaits its dependencies when it is entered."""

        @inject(registry=async_registry)
        @contextlib.asynccontextmanager
        async def block(database: Inject[Database]):
            log.append("enter")
            yield database

        async with block() as database:
            log.append("body")

        assert isinstance(database, Database)
        assert ["open", "enter", "body", "close"] == log

    async def test_async_and_hidden(self, registry, log):
        """Within another decorator, an async context manager gets what need not be awaited."""

        @inject(registry=registry)
        @hide
        @contextlib.asynccontextmanager
        async def block(database: Inject[Database]):
            before = current_container()
            yield before

        async with block() as container:
            log.append("body")

        assert ["open", "body", "close"] == log
        assert container.is_closed


class TestCoroutines:
    @pytest.mark.parametrize("scope", SCOPES)
    async def test_in_an_event_loop(self, async_registry, log, scope):
        """The result is awaited before anything closes, and async services work."""

        @inject(registry=async_registry)
        @hide
        async def function(name, database: Annotated[Database, Depends(scope=scope)]):
            await asyncio.sleep(0)
            log.append("body")
            return name, current_container()

        name, container = await function("ada")

        assert ["open", "body", "close"] == log
        assert ("ada", True) == (name, container.is_closed)

    async def test_in_the_current_container(self, async_registry, log):
        """In the current container the services live as long as it does."""

        @inject
        @hide
        async def function(database: Inject[Database]):
            log.append("body")

        async with async_registry.container() as container:
            with container.activate():
                await function()
            log.append("request")

        assert ["open", "body", "request", "close"] == log

    def test_on_trio(self, async_registry, log):
        """On trio, the result is awaited before anything closes."""

        @inject(registry=async_registry)
        @hide
        async def function(database: Inject[Database]):
            await trio.lowlevel.checkpoint()
            log.append("body")

        trio.run(function)

        assert ["open", "body", "close"] == log

    @pytest.mark.parametrize("scope", SCOPES)
    def test_called_before_there_is_a_loop(self, registry, log, scope):
        """An awaitable that is made outside of an event loop keeps services until it has run."""

        @inject(registry=registry)
        @hide
        async def function(database: Annotated[Database, Depends(scope=scope)]):
            log.append("body")
            return current_container()

        container = asyncio.run(function())

        assert ["open", "body", "close"] == log
        assert container.is_closed

    @pytest.mark.parametrize("scope", SCOPES)
    def test_a_decorator_that_runs_it(self, registry, log, scope):
        """A decorator may run the coroutine itself: what comes out is finished."""

        @inject(registry=registry)
        @run
        async def function(database: Annotated[Database, Depends(scope=scope)]):
            log.append("body")
            return "done"

        assert "done" == function()
        assert ["open", "body", "close"] == log

    def test_what_must_be_awaited_without_a_loop(self, async_registry, log):
        """Without an event loop, an async service is an error."""

        @inject(registry=async_registry)
        @run
        async def function(database: Inject[Database]):
            raise AssertionError

        with pytest.raises(AsyncServiceError, match="is asynchronous"):
            function()

        assert [] == log

    def test_an_asynchronous_dependency(self, aconnect, log):
        """With an asynchronous dependency, the function is asynchronous wherever it is called."""

        @inject
        @hide
        async def function(database: Annotated[Database, Depends(aconnect)]):
            log.append("body")

        asyncio.run(function())

        assert ["open", "body", "close"] == log

    @pytest.mark.parametrize("scope", SCOPES)
    def test_failures(self, registry, log, scope):
        """The services see the exception of the decorator, or of the body."""

        def refuse(function):
            @functools.wraps(function)
            def refusing(*args, **kwargs):
                raise KeyError

            return refusing

        @inject(registry=registry)
        @refuse
        async def refused(database: Annotated[Database, Depends(scope=scope)]): ...

        @inject(registry=registry)
        @hide
        async def failing(database: Annotated[Database, Depends(scope=scope)]):
            raise KeyError

        with pytest.raises(KeyError):
            refused()
        with pytest.raises(KeyError):
            asyncio.run(failing())

        assert ["open", "KeyError reached it", "close"] * 2 == log

    def test_types_are_applied(self, registry):
        """`apply_types` casts the awaited result."""

        @apply_types(registry=registry)
        @hide
        async def double(number: int) -> str:
            return f"{number * 2}"

        @apply_types
        @hide
        async def wrong() -> int:
            return "no number"

        async def in_a_loop():
            return await double("2")

        assert "4" == asyncio.run(double("2")) == asyncio.run(in_a_loop())
        with pytest.raises(ValidationError, match="return"):
            asyncio.run(wrong())


class TestGenerators:
    @pytest.mark.parametrize("scope", SCOPES)
    def test_sync(self, registry, log, scope):
        """The services of a generator live until it is exhausted, with send and return."""

        @inject(registry=registry)
        @hide
        def count(to, database: Annotated[Database, Depends(scope=scope)]):
            log.append((yield current_container()))
            return to

        items = count(3)
        container = next(items)
        with pytest.raises(StopIteration) as stopped:
            items.send("sent")

        assert 3 == stopped.value.value
        assert ["open", "sent", "close"] == log
        assert container.is_closed

    @pytest.mark.parametrize("scope", SCOPES)
    async def test_async(self, async_registry, log, scope):
        """An async generator awaits its dependencies, in an event loop."""

        @inject(registry=async_registry)
        @hide
        async def count(database: Annotated[Database, Depends(scope=scope)]):
            yield 1
            log.append("body")
            yield 2

        assert [1, 2] == [item async for item in count()]
        assert ["open", "body", "close"] == log

    def test_async_that_is_made_without_a_loop(self, registry, log):
        """An async generator that is made outside of a loop gets what need not be awaited."""

        @inject(registry=registry)
        @hide
        async def count(database: Inject[Database]):
            yield 1
            log.append("body")

        items = count()

        async def consume():
            return [item async for item in items]

        assert [1] == asyncio.run(consume())
        assert ["open", "body", "close"] == log
