"""`AdapterConformance`: the tests that every adapter must pass.

The tests need only pytest and the public interface of wares. A subclass defines how its framework
serves a unit of work.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import inspect
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Hashable, Iterator
from contextlib import (
    AbstractAsyncContextManager,
    AbstractContextManager,
    AsyncExitStack,
    asynccontextmanager,
    suppress,
)
from functools import partial
from typing import Any, ClassVar

import attrs
import pytest

from wares._core.container import Container, Registry, current_container
from wares._inject.injection import inject
from wares._inject.markers import Inject
from wares.exceptions import NoContainerError, RegistryClosedError

__all__ = ["AdapterConformance", "AnsweredError", "Journal", "Session", "Work", "WorkError"]

#: How many seconds a test waits before it fails.
SECONDS = 30.0

#: How many items a stream has.
ITEMS = 3


class WorkError(Exception):
    """A unit of work failed, and no error handler answers."""


class AnsweredError(Exception):
    """A unit of work failed, and an error handler of the application answers.

    An application under test registers an error handler that turns this error into a response, in
    the way of its framework.
    """


class Journal(list[str]):
    """A record of what happened to the services, in order."""


class Session:
    """A service that commits or rolls back at its end.

    Args:
        journal: The journal in which it notes what happens.
    """

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._is_open = True

    def work(self, what: str = "work") -> str:
        """Note *what*, and return it; if the session has ended already, the entry says so."""
        if not self._is_open:
            what = f"{what} after the end"
        self._journal.append(what)
        return what

    def end(self, error: BaseException | None) -> None:
        """Note how the unit of work ended."""
        self._is_open = False
        self._journal.append("commit" if error is None else f"rollback {type(error).__name__}")


class Engine:
    """A singleton."""


@attrs.frozen
class _Impossible:
    """A service that cannot be made, because it needs a service that is not registered."""

    missing: complex


class Work:
    """The work of a handler in an application under test; the handler calls one of the methods.

    Args:
        action: What to do with the container; by default, ask for a `Session` and use it.
        failure: The exception to raise after that or, in a stream, after its first item.

    Attributes:
        containers: The containers that handlers passed, one for each unit of work.
        has_begun: Whether a waiting handler has its services.
        is_released: Whether waiting handlers may continue.
    """

    def __init__(
        self,
        action: Callable[[Container, _Mode], Coroutine[Any, Any, object]] | None = None,
        failure: Exception | None = None,
    ) -> None:
        self._action = _use_session if action is None else action
        self._failure = failure
        self.containers: list[Container] = []
        self.has_begun = False
        self.is_released = False

    def run(self, container: Container) -> str:
        """Do the work in a synchronous handler, and return the text to answer."""
        text: str = _drive(self._do(container, _Mode()))
        return text

    async def arun(self, container: Container) -> str:
        """Do the work in an asynchronous handler, and return the text to answer."""
        return await self._do(container, _AsyncMode())

    def items(self, container: Container) -> Iterator[str]:
        """Yield the items of a stream, in a synchronous handler."""
        self.containers.append(container)
        for number in range(ITEMS):
            yield container.get(Session).work(f"item {number}")
            self._fail()

    async def aitems(self, container: Container) -> AsyncIterator[str]:
        """Yield the items of a stream, in an asynchronous handler."""
        self.containers.append(container)
        for number in range(ITEMS):
            yield (await container.aget(Session)).work(f"item {number}")
            self._fail()

    async def _do(self, container: Container, mode: _Mode) -> str:
        self.containers.append(container)
        result = await self._action(container, mode)
        self._fail()
        return str(result)

    def _fail(self) -> None:
        if self._failure is not None:
            raise self._failure


class _Mode:
    """The operations of a synchronous handler, as coroutines that never suspend."""

    async def ask(self, container: Container, key: Any) -> Any:
        return container.get(key)

    async def until(self, condition: Callable[[], object]) -> None:
        deadline = time.monotonic() + SECONDS
        while not condition():
            if time.monotonic() > deadline:
                raise TimeoutError("The test has waited too long for a condition.")
            await self.pause()

    async def pause(self) -> None:
        time.sleep(0.001)  # noqa: ASYNC251  # it runs without an event loop


class _AsyncMode(_Mode):
    async def ask(self, container: Container, key: Any) -> Any:
        return await container.aget(key)

    async def pause(self) -> None:
        await asyncio.sleep(0.001)


async def _use_session(container: Container, mode: _Mode) -> object:
    return (await mode.ask(container, Session)).work()


class AdapterConformance:
    """The tests that an adapter must pass; derive a class whose name begins with ``Test``.

    The subclass defines `serve` and `perform`, and those of the other methods that make sense for
    its framework; a test that needs a method which is not defined is skipped. Either all of these
    methods are asynchronous, or none is. Asynchronous methods run in one event loop per test, and
    need no plugin.

    Attributes:
        adapter: The module of the adapter: ``"wares.aiohttp"``.
        framework: The module of the framework: ``"aiohttp"``. Empty if there is none.
        given: The keys of the framework's objects that each container is given.
        has_async_services: Whether handlers can await services.
        sees_exceptions: Whether cleanups see the exception that a handler has raised. Some
            frameworks replace it, so that cleanups see only that the handler has failed.
        validates: Whether an application whose registry has problems refuses to serve.
        makes_eager: Whether eager singletons are made when the application starts.
    """

    adapter: ClassVar[str] = ""
    framework: ClassVar[str] = ""
    given: ClassVar[tuple[Hashable, ...]] = ()
    has_async_services: ClassVar[bool] = True
    sees_exceptions: ClassVar[bool] = True
    validates: ClassVar[bool] = True
    makes_eager: ClassVar[bool] = True

    def serve(
        self, registry: Registry, work: Work
    ) -> AbstractContextManager[Any] | AbstractAsyncContextManager[Any]:
        """Run an application on *registry* whose handlers do *work*.

        A handler calls `Work.run` or `Work.arun` with the container that the adapter has opened; a
        handler that streams calls `Work.items` or `Work.aitems`. An error handler answers
        `AnsweredError`. When the block ends, the application ends, and its registry closes.

        Args:
            registry: The registry on which the adapter opens containers.
            work: The work of the handlers.

        Returns:
            A context manager, asynchronous or not. The other methods receive its result as
            *served*, for example a client.
        """
        raise NotImplementedError

    def perform(self, served: Any) -> object:
        """Run one unit of work to its end, even if it fails.

        Args:
            served: The result of `serve`.
        """
        raise NotImplementedError

    def stream(self, served: Any) -> object:  # for subclasses
        """Run a unit of work that streams, and read the whole stream.

        Args:
            served: The result of `serve`.
        """
        raise NotImplementedError

    def abandon(self, served: Any) -> object:  # for subclasses
        """Run a unit of work that streams, read one item, and disconnect.

        Args:
            served: The result of `serve`.
        """
        raise NotImplementedError

    def vanish(self, served: Any, work: Work) -> object:  # for subclasses
        """Begin a unit of work, wait until `Work.has_begun`, and disconnect, or cancel it.

        Args:
            served: The result of `serve`.
            work: The work of the handler, which waits.
        """
        raise NotImplementedError

    def ask_health(self, served: Any) -> Any:  # for subclasses
        """Ask the health endpoint of the application, and return the HTTP status.

        Args:
            served: The result of `serve`.
        """
        raise NotImplementedError

    def test_services_are_made_once_and_closed_once(self) -> None:
        """A unit of work has one instance of a service, which ends with it."""

        async def ask_twice(container: Container, mode: _Mode) -> object:
            first = await mode.ask(container, Session)
            second = await mode.ask(container, Session)
            return first.work("same" if first is second else "another")

        assert ["open", "same", "commit"] == self._journal_of(Work(ask_twice))

    def test_each_unit_of_work_has_a_container_of_its_own(self) -> None:
        """Units of work that follow each other share no services."""
        work = Work()

        async def scenario() -> Journal:
            async with self._serving(work) as (served, journal):
                await _result(self.perform(served))
                await _result(self.perform(served))
            return journal

        assert ["open", "work", "commit"] * 2 == self._run(scenario())
        assert work.containers[0] is not work.containers[1]

    def test_its_container_is_the_current_one(self) -> None:
        """Code in a unit of work finds its container; code after the unit finds none."""
        seen = []

        async def look(container: Container, mode: _Mode) -> object:
            seen.append(current_container() is container)
            return await _use_session(container, mode)

        async def scenario() -> None:
            for failure in (None, WorkError(), AnsweredError()):
                async with self._serving(Work(look, failure)) as (served, _):
                    await _result(self.perform(served))
                    with pytest.raises(NoContainerError):
                        current_container()

        self._run(scenario())

        assert [True] * 3 == seen

    def test_failed_work_rolls_back(self) -> None:
        """The cleanups see the exception that ends a unit of work."""
        *before, end = self._journal_of(Work(failure=WorkError()))

        assert ["open", "work"] == before
        assert end.startswith("rollback WorkError" if self.sees_exceptions else "rollback")

    def test_failed_work_that_is_answered_rolls_back(self) -> None:
        """The cleanups see an exception even if an error handler has answered it."""
        *before, end = self._journal_of(Work(failure=AnsweredError()))

        assert ["open", "work"] == before
        assert end.startswith("rollback AnsweredError" if self.sees_exceptions else "rollback")

    def test_work_that_handles_an_exception_commits(self) -> None:
        """An exception that a handler handles, as of an injected function, is no failure."""

        async def handle(container: Container, mode: _Mode) -> object:
            session = await mode.ask(container, Session)
            with suppress(WorkError):
                _fail_injected()
            return session.work()

        assert ["open", "work", "commit"] == self._journal_of(Work(handle))

    def test_a_stream_keeps_its_services_to_the_last_item(self) -> None:
        """Services end after the last item of a stream."""
        self._need("stream")
        expected = ["open", *(f"item {number}" for number in range(ITEMS)), "commit"]

        assert expected == self._journal_of(Work(), self.stream)

    def test_a_stream_that_fails_rolls_back(self) -> None:
        """The cleanups see an exception in the middle of a stream, or one that replaces it."""
        self._need("stream")
        *before, end = self._journal_of(Work(failure=WorkError()), self.stream)

        assert ["open", "item 0"] == before
        assert end.startswith("rollback")

    def test_an_abandoned_stream_ends_once(self) -> None:
        """If the client of a stream disconnects, the services of the stream end, once."""
        self._need("abandon")
        assert 1 == self._count_ends(self._journal_of(Work(), self.abandon))

    def test_work_whose_client_vanishes_ends_once(self) -> None:
        """If the client disconnects, or the work is cancelled, its services end, once."""
        self._need("vanish")
        work: Work

        async def wait(container: Container, mode: _Mode) -> object:
            session = await mode.ask(container, Session)
            work.has_begun = True
            await mode.until(lambda: work.is_released)
            return session.work()

        work = Work(wait)

        async def scenario() -> Journal:
            async with self._serving(work) as (served, journal):
                await _result(self.vanish(served, work))
                work.is_released = True
                await self._mode.until(lambda: self._count_ends(journal))
            return journal

        assert 1 == self._count_ends(self._run(scenario()))

    def test_two_at_the_same_time_share_nothing(self) -> None:
        """Units of work that run at the same time have containers of their own."""
        work: Work

        async def meet(container: Container, mode: _Mode) -> object:
            session = await mode.ask(container, Session)
            await mode.until(lambda: len(work.containers) > 1)
            return session.work()

        work = Work(meet)

        async def scenario() -> Journal:
            async with self._serving(work) as (served, journal):
                await self._at_once(partial(self.perform, served))
            return journal

        counts = {
            what: journal.count(what)
            for journal in [self._run(scenario())]
            for what in ("open", "work", "commit")
        }
        assert {"open": 2, "work": 2, "commit": 2} == counts
        assert work.containers[0] is not work.containers[1]

    def test_an_outer_container_is_left_alone(self) -> None:
        """A unit of work within an outer container neither shares nor closes that container."""
        work = Work()

        async def scenario() -> tuple[Container, bool]:
            async with self._serving(work) as (served, journal):
                outer = Registry()
                outer.register_value(str, "outer")
                with outer.container() as container, container.activate():
                    await _result(self.perform(served))
                    await self._mode.until(lambda: self._count_ends(journal))
                    is_well = current_container().get(str) == "outer"
            return container, is_well

        outer, is_well = self._run(scenario())

        assert is_well
        assert outer is not work.containers[0]

    def test_the_objects_of_the_framework_are_given(self) -> None:
        """Handlers and factories can ask the container for the framework's objects."""
        if not self.given:
            pytest.skip("`given` is empty: the framework gives no objects")
        seen = []

        async def look(container: Container, mode: _Mode) -> object:
            seen.extend([await mode.ask(container, key) for key in self.given])
            return await mode.ask(container, "made of it")

        def register(registry: Registry) -> None:
            def make(wares_container: Container) -> object:
                return wares_container.get(self.given[0])

            registry.register_factory("made of it", make)

        async def scenario() -> None:
            async with self._serving(Work(look), register) as (served, _):
                await _result(self.perform(served))

        self._run(scenario())

        assert len(self.given) == len(seen)
        assert None not in seen

    def test_overrides_hold(self) -> None:
        """Handlers get the service of an override as long as it lasts."""
        seen = []

        async def ask(container: Container, mode: _Mode) -> object:
            seen.append(await mode.ask(container, str))
            return seen

        async def scenario() -> None:
            registry = Registry()
            registry.register_value(str, "real")
            async with self._entered(self.serve(registry, Work(ask))) as served:
                with registry.override_value(str, "fake"):
                    await _result(self.perform(served))
                await _result(self.perform(served))

        self._run(scenario())

        assert ["fake", "real"] == seen

    def test_a_registry_that_cannot_work_serves_nothing(self) -> None:
        """If a registered service cannot be made, nothing is served."""
        if not self.validates:
            pytest.skip("`validates` is false: the adapter does not validate at the start")
        work = Work()

        def register(registry: Registry) -> None:
            registry.register_factory(_Impossible, _Impossible)

        async def scenario() -> None:
            try:
                async with self._serving(work, register) as (served, _):
                    await _result(self.perform(served))
            except Exception:  # noqa: BLE001, S110  # each framework raises its own errors
                pass

        self._run(scenario())

        assert not work.containers

    def test_eager_singletons_are_made_at_the_start(self) -> None:
        """Eager singletons exist when the application has started, before any unit of work."""
        self._need_eager()

        async def scenario() -> list[str]:
            async with self._serving(Work(), _register_eager) as (_, journal):
                return list(journal)

        assert ["engine made"] == self._run(scenario())

    def test_a_start_that_fails_ends_what_it_has_made(self) -> None:
        """If an eager singleton fails, nothing is served, and those made before it are closed."""
        self._need_eager()
        work = Work()
        journal = Journal()

        def fail() -> str:
            raise WorkError

        async def scenario() -> None:
            registry = Registry()
            registry.register_value(Journal, journal)
            _register_eager(registry)
            registry.register_factory(str, fail, lifetime="singleton", eager=True)
            # Each framework raises its own error.
            with suppress(BaseException):
                async with AsyncExitStack() as stack:
                    await stack.enter_async_context(self._entered(self.serve(registry, work)))

        self._run(scenario())

        assert ["engine made", "engine closed"] == journal
        assert not work.containers

    def test_the_registry_ends_with_the_application(self) -> None:
        """The singletons and the registry close with the application, after the last container."""

        async def ask(container: Container, mode: _Mode) -> object:
            await mode.ask(container, Engine)
            return await _use_session(container, mode)

        def register(registry: Registry) -> None:
            def open_engine(journal: Journal) -> Iterator[Engine]:
                yield Engine()
                journal.append("engine closed")

            registry.register_factory(Engine, open_engine, lifetime="singleton")
            registries.append(registry)

        registries: list[Registry] = []

        async def scenario() -> Journal:
            async with self._serving(Work(ask), register) as (served, journal):
                await _result(self.perform(served))
            return journal

        assert ["open", "work", "commit", "engine closed"] == self._run(scenario())
        with pytest.raises(RegistryClosedError):
            registries[0].container()

    @pytest.mark.parametrize(("is_well", "status"), [(True, 200), (False, 503)])
    def test_health_is_told(self, is_well: bool, status: int) -> None:
        """The health endpoint pings the services of the registry."""
        self._need("ask_health")

        def ping(_: object) -> None:
            if not is_well:
                raise WorkError

        async def scenario() -> object:
            async with self._serving(
                Work(), lambda registry: registry.register_value(int, 1, ping=ping)
            ) as (served, _):
                return await _result(self.ask_health(served))

        assert status == self._run(scenario())

    def test_a_missing_framework_is_told(self) -> None:
        """If the framework is not installed, importing the adapter says what to install."""
        if not self.framework:
            pytest.skip("`framework` is empty: there is nothing to install")
        program = (
            f"import sys\nsys.modules[{self.framework!r}] = None\n"
            f"try:\n    import {self.adapter}\nexcept ImportError as error:\n    print(error)"
        )
        command = [sys.executable, "-c", program]
        answer = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603  # a constant program

        assert "pip install" in answer.stdout

    def _need_eager(self) -> None:
        if not self.makes_eager:
            pytest.skip("`makes_eager` is false: singletons are made at their first use")

    def _need(self, method: str) -> None:
        """Skip a test that needs a method which the subclass does not define."""
        if getattr(type(self), method) is getattr(AdapterConformance, method):
            pytest.skip(f"{method}() is not defined")

    @property
    def _mode(self) -> _Mode:
        return _AsyncMode() if inspect.iscoroutinefunction(self.perform) else _Mode()

    def _run(self, scenario: Coroutine[Any, Any, Any]) -> Any:
        if not inspect.iscoroutinefunction(self.perform):
            return _drive(scenario)
        with asyncio.Runner() as runner:
            return runner.run(asyncio.wait_for(scenario, SECONDS * 2))

    def _journal_of(
        self, work: Work, perform: Callable[[Any], object] | None = None
    ) -> Journal:
        """Run *work* once, and return the journal when it has ended."""

        async def scenario() -> Journal:
            async with self._serving(work) as (served, journal):
                await _result((perform or self.perform)(served))
                await self._mode.until(lambda: self._count_ends(journal))
            return journal

        journal: Journal = self._run(scenario())
        return journal

    @asynccontextmanager
    async def _serving(
        self, work: Work, register: Callable[[Registry], object] = bool
    ) -> AsyncIterator[tuple[Any, Journal]]:
        """Run an application with a `Session`; yield the result of `serve`, and the journal."""
        journal = Journal()
        registry = Registry()
        registry.register_value(Journal, journal)
        opener = _aopen_session if self.has_async_services else _open_session
        registry.register_factory(Session, opener)
        register(registry)
        async with self._entered(self.serve(registry, work)) as served:
            yield served, journal

    @asynccontextmanager
    async def _entered(
        self, manager: AbstractContextManager[Any] | AbstractAsyncContextManager[Any]
    ) -> AsyncIterator[Any]:
        if isinstance(manager, AbstractAsyncContextManager):
            async with manager as served:
                yield served
        else:
            with manager as served:
                yield served

    async def _at_once(self, perform: Callable[[], object]) -> None:
        """Run two units of work at the same time."""
        if inspect.iscoroutinefunction(self.perform):
            await asyncio.gather(_result(perform()), _result(perform()))
            return
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            for future in [pool.submit(perform), pool.submit(perform)]:
                future.result(SECONDS)

    def _count_ends(self, journal: Journal) -> int:
        return sum(what.startswith(("commit", "rollback")) for what in journal)


@inject
def _fail_injected(journal: Inject[Journal]) -> None:
    raise WorkError(len(journal))


def _register_eager(registry: Registry) -> None:
    def open_engine(journal: Journal) -> Iterator[Engine]:
        journal.append("engine made")
        try:
            yield Engine()
        finally:
            journal.append("engine closed")

    registry.register_factory(Engine, open_engine, lifetime="singleton", eager=True)


def _open_session(journal: Journal) -> Iterator[Session]:
    session = Session(journal)
    journal.append("open")
    try:
        yield session
    except BaseException as error:
        session.end(error)
        raise
    else:
        session.end(None)


async def _aopen_session(journal: Journal) -> AsyncIterator[Session]:
    session = Session(journal)
    journal.append("open")
    await asyncio.sleep(0)
    try:
        yield session
        # A commit awaits, and rolls back if it is interrupted.
        await asyncio.sleep(0)
    except BaseException as error:
        session.end(error)
        raise
    else:
        session.end(None)


async def _result(value: Any) -> Any:
    return await value if inspect.isawaitable(value) else value


def _drive(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine that never waits."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        return end.value
    coroutine.close()
    raise TypeError(
        "Something was awaited outside of an event loop. Make `perform` asynchronous, too."
    )
