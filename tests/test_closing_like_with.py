"""Closing does the same as nested `with` blocks and as the stacks of `contextlib`.

Random services fail as they are left, replace what is under way, hold it, or are cancelled. The
same context managers are entered in nested `with` blocks, in an `ExitStack` or
`AsyncExitStack`, and as services of a container or as singletons of a registry. All four leave
them in the same order, show them the same exceptions, and raise the same one, with the same
contexts. The one difference: a container lets no service swallow an exception.
"""

import asyncio
import contextlib
import dataclasses
import functools

import pytest
from hypothesis import example, given, strategies

from wares import Registry


class Failure(Exception):
    """The exception of the work or of a cleanup; its argument tells where it comes from."""


class Interruption(BaseException):
    """An exception of the work or of a cleanup that is no `Exception`."""


ERRORS = {
    "failure": Failure,
    "interruption": Interruption,
    "cancellation": asyncio.CancelledError,
    "stop": StopIteration,
}


@dataclasses.dataclass(frozen=True)
class Entry:
    """One service: its kind, and what it does when it is left.

    Attributes:
        kind: "generator" or "manager".
        is_async: Whether it must be awaited.
        does: "pass", "hold", "replace" an exception under way, "fail" in any case, "fail if
            well", "be cancelled", or "survive", where a cancellation meets it and is handled.
        error: The exception that it raises, if any.
        is_hidden: Whether it is registered with `suppress_context_exit`.
    """

    kind: str
    is_async: bool
    does: str
    error: str
    is_hidden: bool


SYNC_DEEDS = ["pass", "hold", "replace", "fail", "fail if well"]
ASYNC_DEEDS = [*SYNC_DEEDS, "be cancelled", "survive"]
KINDS = strategies.sampled_from(["generator", "manager"])
HIDDEN = strategies.sampled_from([False, False, False, True])
SYNC_ENTRIES = strategies.builds(
    Entry,
    KINDS,
    strategies.just(False),
    strategies.sampled_from(SYNC_DEEDS),
    strategies.sampled_from(["failure", "interruption", "cancellation"]),
    HIDDEN,
)
ASYNC_ENTRIES = strategies.builds(
    Entry,
    KINDS,
    strategies.just(True),
    strategies.sampled_from(ASYNC_DEEDS),
    strategies.sampled_from(["failure", "interruption", "cancellation"]),
    HIDDEN,
)
SYNC_CASES = strategies.lists(SYNC_ENTRIES, min_size=1, max_size=6)
ASYNC_CASES = strategies.lists(ASYNC_ENTRIES | SYNC_ENTRIES, min_size=1, max_size=6)
SYNC_WORK = strategies.sampled_from([None, *ERRORS])
ASYNC_WORK = strategies.sampled_from([None, "failure", "interruption", "cancellation"])


class Trial:
    """One run of some entries, and what happened in it."""

    def __init__(self, entries):
        self.entries = entries
        self.events = []
        self.outcome = None

    def managers(self):
        """Make a context manager for each entry."""
        return [self.manager(number) for number in range(len(self.entries))]

    def manager(self, number):
        """Make the context manager of one entry."""
        entry = self.entries[number]
        if entry.kind == "generator":
            make = self.agenerator if entry.is_async else self.generator
            wrap = (
                contextlib.asynccontextmanager if entry.is_async else contextlib.contextmanager
            )
            return wrap(make)(number)
        return (AsyncManager if entry.is_async else Manager)(self, number)

    def generator(self, number):
        """Do what an entry does after its `yield`."""
        try:
            yield number
        except BaseException as error:  # an entry may see any exception
            self.leave(number, error)
            if self.entries[number].does != "hold":
                raise
        else:
            self.leave(number, None)

    async def agenerator(self, number):
        """Make an async generator for an entry."""
        try:
            yield number
        except BaseException as error:  # an entry may see any exception
            await self.aleave(number, error)
            if self.entries[number].does != "hold":
                raise
        else:
            await self.aleave(number, None)

    def leave(self, number, error):
        """Note how an entry is left, and raise the error that it has to raise."""
        self.events.append((number, label(error)))
        entry = self.entries[number]
        if (
            entry.does == "fail"
            or (entry.does == "replace" and error is not None)
            or (entry.does == "fail if well" and error is None)
        ):
            raise ERRORS[entry.error](number)

    async def aleave(self, number, error):
        """Note how an entry is left, and wait; perhaps a cancellation comes."""
        self.leave(number, error)
        does = self.entries[number].does
        if does == "be cancelled":
            asyncio.current_task().cancel(number)
            await asyncio.sleep(0)
        elif does == "survive":
            asyncio.current_task().cancel(number)
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(0)
        else:
            await asyncio.sleep(0)

    def work(self, error):
        """Fail as the work of a request, or not."""
        if error is not None:
            raise ERRORS[error]("work")


class Manager:
    """A plain context manager that does what an entry does."""

    def __init__(self, trial, number):
        self.trial, self.number = trial, number

    def __enter__(self):
        return self.number

    def __exit__(self, _kind, error, _trace):
        self.trial.leave(self.number, error)
        return self.trial.entries[self.number].does == "hold"


class AsyncManager:
    """A plain async context manager that does what an entry does."""

    def __init__(self, trial, number):
        self.trial, self.number = trial, number

    async def __aenter__(self):
        return self.number

    async def __aexit__(self, _kind, error, _trace):
        await self.trial.aleave(self.number, error)
        return self.trial.entries[self.number].does == "hold"


class Unswallowing:
    """A context manager that leaves another one as a container does.

    It swallows no exception, and hides the exception from services registered with
    `suppress_context_exit`.
    """

    def __init__(self, manager, *, is_hidden):
        self.manager, self.is_hidden = manager, is_hidden

    def __enter__(self):
        return self.manager.__enter__()

    def __exit__(self, *details):
        self.manager.__exit__(*((None, None, None) if self.is_hidden else details))


class AsyncUnswallowing:
    """An async context manager that leaves another one as a container does."""

    def __init__(self, manager, *, is_hidden):
        self.manager, self.is_hidden = manager, is_hidden

    async def __aenter__(self):
        return await self.manager.__aenter__()

    async def __aexit__(self, *details):
        await self.manager.__aexit__(*((None, None, None) if self.is_hidden else details))


def label(error):
    """Tell an exception by where it comes from, so that runs can be compared."""
    if error is None:
        return None
    return type(error).__name__, *map(str, error.args)


def chain(error):
    """List an exception and its contexts, outermost first."""
    labels = []
    while error is not None:
        labels.append(label(error))
        error = error.__context__
    return labels


def wrapped(trial):
    """Wrap the context managers of a trial so that they are left as a container does."""
    return [
        (AsyncUnswallowing if entry.is_async else Unswallowing)(
            manager, is_hidden=entry.is_hidden
        )
        for entry, manager in zip(trial.entries, trial.managers(), strict=True)
    ]


# The four ways to enter the same things


def run_nested(trial, error):
    """Enter all in nested `with` blocks."""

    def enter(managers):
        if not managers:
            trial.work(error)
            return
        with managers[0]:
            enter(managers[1:])

    enter(wrapped(trial))


def run_stack(trial, error):
    """Enter all in an `ExitStack`."""
    with contextlib.ExitStack() as stack:
        for manager in wrapped(trial):
            stack.enter_context(manager)
        trial.work(error)


def register(registry, trial, **options):
    """Register each entry under its number; generators as what they are."""
    for number, entry in enumerate(trial.entries):
        make = trial.manager
        if entry.kind == "generator":
            make = trial.agenerator if entry.is_async else trial.generator
        registry.register_factory(
            str(number),
            functools.partial(make, number),
            suppress_context_exit=entry.is_hidden,
            **options,
        )


def keys_of(trial):
    """Return the keys of all entries, in order."""
    return list(map(str, range(len(trial.entries))))


def run_container(trial, error):
    """Have all made by a container."""
    registry = Registry()
    register(registry, trial)
    with registry.container() as container:
        for key in keys_of(trial):
            container.get(key)
        trial.work(error)


def run_registry(trial, error):
    """Have all made as singletons of a registry."""
    registry = Registry()
    register(registry, trial, lifetime="singleton")
    with registry:
        with registry.container() as container:
            for key in keys_of(trial):
                container.get(key)
        trial.work(error)


async def arun_nested(trial, error):
    """Enter all in nested `with` and `async with` blocks."""

    async def enter(managers):
        if not managers:
            trial.work(error)
        elif isinstance(managers[0], AsyncUnswallowing):
            async with managers[0]:
                await enter(managers[1:])
        else:
            with managers[0]:
                await enter(managers[1:])

    await enter(wrapped(trial))


async def arun_stack(trial, error):
    """Enter all in an `AsyncExitStack`."""
    async with contextlib.AsyncExitStack() as stack:
        for manager in wrapped(trial):
            if isinstance(manager, AsyncUnswallowing):
                await stack.enter_async_context(manager)
            else:
                stack.enter_context(manager)
        trial.work(error)


async def arun_container(trial, error):
    """Have all made by a container."""
    registry = Registry()
    register(registry, trial)
    async with registry.container() as container:
        for key in keys_of(trial):
            await container.aget(key)
        trial.work(error)


async def arun_registry(trial, error):
    """Have all made as singletons of a registry."""
    registry = Registry()
    register(registry, trial, lifetime="singleton")
    async with registry:
        async with registry.container() as container:
            for key in keys_of(trial):
                await container.aget(key)
        trial.work(error)


async def arun_children(trial, error):
    """Have each made by a child of the container that made the one before."""
    registry = Registry()
    register(registry, trial)
    async with registry.container() as container:
        innermost = container
        for key in keys_of(trial):
            await innermost.aget(key)
            innermost = innermost.child()
        trial.work(error)


def observe(run, entries, error):
    """Run *entries* in a sync way, and return what happened."""
    trial = Trial(entries)
    outcome = None
    try:
        run(trial, error)
    except BaseException as raised:  # noqa: BLE001  # an outcome like any other
        outcome = raised
    return trial.events, label(outcome), chain(outcome)


async def aobserve(run, entries, error):
    """Observe an async way."""
    trial = Trial(entries)
    outcome = None
    try:
        async with asyncio.timeout(10):
            await run(trial, error)
    except BaseException as raised:  # noqa: BLE001  # an outcome like any other
        outcome = raised
    return trial.events, label(outcome), chain(outcome)


def arun(run, entries, error):
    """Run an async way on an event loop of its own."""
    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
        return runner.run(aobserve(run, entries, error))


HOLDING = Entry("manager", False, "hold", "failure", False)
FAILING = Entry("manager", False, "fail", "failure", False)
CANCELLED = Entry("generator", True, "be cancelled", "failure", False)
SURVIVING = Entry("manager", True, "survive", "failure", False)


@pytest.mark.parametrize("run", [run_container, run_registry])
@given(entries=SYNC_CASES, error=SYNC_WORK)
@example(entries=[FAILING, FAILING], error=None)
@example(entries=[FAILING, FAILING, HOLDING], error="failure")
@example(entries=[HOLDING, FAILING], error="stop")
def test_sync(run, entries, error):
    """A container and a registry close as `with` blocks and an `ExitStack` do."""
    events, outcome, contexts = observe(run_nested, entries, error)

    assert (events, outcome) == observe(run_stack, entries, error)[:2]
    assert (events, outcome, contexts) == observe(run, entries, error)


@pytest.mark.parametrize("run", [arun_container, arun_registry, arun_children])
@given(entries=ASYNC_CASES, error=ASYNC_WORK)
@example(entries=[HOLDING, CANCELLED], error=None)
@example(entries=[CANCELLED, SURVIVING, CANCELLED], error="cancellation")
@example(entries=[FAILING, CANCELLED, FAILING], error="failure")
def test_async(run, entries, error):
    """Closing does the same as `async with` blocks and an `AsyncExitStack`."""
    expected = arun(arun_nested, entries, error)
    # Python itself gives an error another context where it passes a coroutine that something,
    # here a cancellation, was thrown into; an `AsyncExitStack` shows it.
    compared = 2 if {"be cancelled", "survive"} & {entry.does for entry in entries} else 3

    assert expected[:2] == arun(arun_stack, entries, error)[:2]
    assert expected[:compared] == arun(run, entries, error)[:compared]


@given(entries=SYNC_CASES)
def test_sync_work_under_aclose(entries):
    """`aclose` leaves synchronous services as `close` does."""
    events, outcome, contexts = observe(run_nested, entries, None)

    assert (events, outcome, contexts) == arun(arun_container, entries, None)
