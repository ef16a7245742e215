"""`wares.testing`: what its tests say of adapters that break their promises."""

import asyncio
import contextlib

import pytest

import wares.testing
from wares import Registry
from wares.testing import AdapterConformance, Journal, Session, Work


class Direct(AdapterConformance):
    """An adapter of nothing: each unit of work is a function call."""

    has_async_services = False

    @contextlib.contextmanager
    def serve(self, registry, work):
        registry.validate()
        with registry:
            yield registry, work

    def perform(self, served):
        registry, work = served
        with (
            contextlib.suppress(Exception),
            registry.container() as container,
            container.activate(),
        ):
            work.run(container)


class Forgetful(Direct):
    """One that forgets to close."""

    def perform(self, served):
        registry, work = served
        container = registry.container()
        with container.activate():
            work.run(container)


class Swallowing(Direct):
    """One that closes without the exception."""

    def perform(self, served):
        registry, work = served
        with registry.container() as container, container.activate():
            with contextlib.suppress(Exception):
                work.run(container)


class Waiting(Direct):
    """One whose hooks are asynchronous only in parts."""

    @contextlib.asynccontextmanager
    async def serve(self, registry, work):
        await asyncio.sleep(0)
        yield


class Interrupted(AdapterConformance):
    """One whose work is cancelled while its session commits."""

    @contextlib.asynccontextmanager
    async def serve(self, registry, work):
        async with registry:
            yield registry

    async def perform(self, served):
        """Never be called: asynchronous, as the other hooks are."""

    async def vanish(self, served, work):
        async def do():
            async with served.container() as container:
                await work.arun(container)

        work.is_released = True
        task = asyncio.create_task(do())
        while not work.has_begun:
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait({task})


def test_an_interrupted_commit_is_an_end():
    """Work that is cancelled while it commits is rolled back, and so has ended."""
    Interrupted().test_work_whose_client_vanishes_ends_once()


def test_a_good_adapter_passes():
    """Each promise that is kept is a test that passes."""
    conformance = Direct()

    conformance.test_services_are_made_once_and_closed_once()
    conformance.test_failed_work_rolls_back()
    conformance.test_two_at_the_same_time_share_nothing()
    conformance.test_a_registry_that_cannot_work_serves_nothing()
    conformance.test_the_registry_ends_with_the_application()


def test_what_is_not_closed_fails(monkeypatch):
    """An adapter that does not close is waited for, and given up."""
    monkeypatch.setattr(wares.testing, "SECONDS", 0.05)

    with (
        pytest.warns(ResourceWarning),
        pytest.raises(TimeoutError, match="waited too long"),
    ):
        run_and_collect(Forgetful().test_services_are_made_once_and_closed_once)


def run_and_collect(test):
    """Run a test, and collect the garbage of what it has left open."""
    import gc

    try:
        test()
    except TimeoutError as error:
        text = str(error)
    gc.collect()
    raise TimeoutError(text)


def test_an_exception_that_does_not_arrive_fails():
    """An adapter that hides the exception from cleanups fails."""
    with pytest.raises(AssertionError):
        Swallowing().test_failed_work_rolls_back()


def test_hooks_are_of_one_kind():
    """An asynchronous method next to a synchronous `perform` is an error."""
    with pytest.raises(TypeError, match="asynchronous, too"):
        Waiting().test_services_are_made_once_and_closed_once()


@pytest.mark.parametrize("name", ["stream", "abandon", "ask_health"])
def test_what_is_not_filled_in_is_skipped(name):
    """A test whose hook is not filled in is skipped; the hook itself is not there."""
    with pytest.raises(pytest.skip.Exception, match=name):
        Direct()._need(name)
    with pytest.raises(NotImplementedError):
        getattr(AdapterConformance(), name)(None)


def test_what_must_be_filled_in():
    """A subclass has to say how an application is served."""
    conformance = AdapterConformance()

    for call in (
        lambda: conformance.serve(Registry(), Work()),
        lambda: conformance.perform(None),
        lambda: conformance.vanish(None, Work()),
    ):
        with pytest.raises(NotImplementedError):
            call()


@pytest.mark.parametrize(
    "test",
    [
        "test_the_objects_of_the_framework_are_given",
        "test_a_registry_that_cannot_work_serves_nothing",
        "test_a_missing_framework_is_told",
    ],
)
def test_what_a_framework_does_not_have_is_skipped(test):
    """Attributes say what a framework does not have."""

    class Bare(Direct):
        validates = False

    with pytest.raises(pytest.skip.Exception):
        getattr(Bare(), test)()


def test_a_session_that_is_used_too_late_says_so():
    """Work after the end of a session shows in the journal."""
    journal = Journal()
    session = Session(journal)
    session.end(None)

    session.work()

    assert ["commit", "work after the end"] == journal
