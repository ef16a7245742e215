"""The rows about containers: open, get and close; cached look-ups; injection; large registries."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager, AsyncExitStack
from dataclasses import dataclass
from functools import cache
from itertools import repeat

from benchmarks import candidates, wiring
from benchmarks.candidate import AsyncLoop, AsyncOperation, Candidate, Operation
from benchmarks.row import Row, as_async, repeat_async_operation, repeat_operation
from benchmarks.wiring import Wiring, expect

# A peer that closes services in a random order passes every second check of two services.
ORDER_CHECKS = 12


@cache
def _names() -> dict[str, str]:
    """Find the modules of the candidates, by the names of candidates."""
    names = {}
    for module in candidates.MODULES:
        try:
            names[candidates.load(module).name] = module
        except Exception:  # noqa: BLE001 - the row reports the error
            names[module.replace("_", "-")] = module
    return names


@dataclass(frozen=True, kw_only=True)
class ContainerRow(Row):
    """A row whose entrants are the modules of `benchmarks.candidates`."""

    def entrants(self) -> Sequence[str]:
        """List all candidates."""
        return list(_names())

    def load(self, entrant: str) -> Candidate:
        """Make the candidate, or raise the error of its import."""
        return candidates.load(_names()[entrant])


@dataclass(frozen=True, kw_only=True)
class WiringRow(ContainerRow):
    """A row about one wiring.

    Attributes:
        wiring: Makes the wiring when the row runs.
    """

    wiring: Callable[[], Wiring]


class SyncRow(WiringRow):
    """Open a container, get the root, and close the container, in sync code."""

    def offer(self, candidate: Candidate, wiring: Wiring) -> AbstractContextManager[Operation]:
        """Return the candidate's context manager for this work."""
        return candidate.operation(wiring)

    async def prepare(self, entrant: str, stack: AsyncExitStack) -> AsyncLoop:
        """Check the order of cleanups, then two roots made one after the other."""
        candidate, wired = self.load(entrant), self.wiring()
        for _ in range(ORDER_CHECKS if wired.cleans_up else 0):
            with self.offer(candidate, wiring.ORDER) as operation:
                wiring.ORDER.check(operation(), operation())
        operation = stack.enter_context(self.offer(candidate, wired))
        wired.check(operation(), operation())
        return repeat_operation(operation)


class AsyncRow(WiringRow):
    """Open a container, get the root, and close the container, in async code."""

    def offer(
        self, candidate: Candidate, wiring: Wiring
    ) -> AbstractAsyncContextManager[AsyncOperation]:
        """Return the candidate's context manager for this work."""
        return candidate.operation_async(wiring)

    async def prepare(self, entrant: str, stack: AsyncExitStack) -> AsyncLoop:
        """Check the order of cleanups, then two roots made one after the other."""
        candidate, wired = self.load(entrant), self.wiring()
        for _ in range(ORDER_CHECKS if wired.cleans_up else 0):
            async with self.offer(candidate, wiring.ORDER_ASYNC) as operation:
                wiring.ORDER_ASYNC.check(await operation(), await operation())
        operation = await stack.enter_async_context(self.offer(candidate, wired))
        wired.check(await operation(), await operation())
        return repeat_async_operation(operation)


class AskingRow(SyncRow):
    """Do what `SyncRow` does, with factories that ask the container."""

    def offer(self, candidate: Candidate, wiring: Wiring) -> AbstractContextManager[Operation]:
        """Return the candidate's context manager for this work."""
        return candidate.asking(wiring)


class AskingAsyncRow(AsyncRow):
    """Do what `AsyncRow` does, with factories that ask the container."""

    def offer(
        self, candidate: Candidate, wiring: Wiring
    ) -> AbstractAsyncContextManager[AsyncOperation]:
        """Return the candidate's context manager for this work."""
        return candidate.asking_async(wiring)


class CachedRow(WiringRow):
    """Ask an open container for a service that it has made."""

    async def prepare(self, entrant: str, stack: AsyncExitStack) -> AsyncLoop:
        """Check that both answers are the same engine."""
        loop = stack.enter_context(self.load(entrant).cached(self.wiring()))
        _check_cached(loop(repeat(None, 1)), loop(repeat(None, 1)))
        return as_async(loop)


class CachedAsyncRow(WiringRow):
    """Ask an open container for a service that it has made, in async code."""

    async def prepare(self, entrant: str, stack: AsyncExitStack) -> AsyncLoop:
        """Check that both answers are the same engine."""
        loop = await stack.enter_async_context(self.load(entrant).cached_async(self.wiring()))
        _check_cached(await loop(repeat(None, 1)), await loop(repeat(None, 1)))
        return loop


def _check_cached(first: object, second: object) -> None:
    wiring.check_engine(first, None)
    expect(first is second, "one container made one service twice")


class InjectRow(SyncRow):
    """Call a decorated function."""

    def offer(self, candidate: Candidate, wiring: Wiring) -> AbstractContextManager[Operation]:
        """Return the candidate's context manager for this work."""
        return candidate.injected(wiring)


class InjectAsyncRow(AsyncRow):
    """Call a decorated async function."""

    def offer(
        self, candidate: Candidate, wiring: Wiring
    ) -> AbstractAsyncContextManager[AsyncOperation]:
        """Return the candidate's context manager for this work."""
        return candidate.injected_async(wiring)


@dataclass(frozen=True, kw_only=True)
class RegistrationRow(WiringRow):
    """Register many services, and do everything else that is needed before the first request."""

    def entrants(self) -> Sequence[str]:
        """List all candidates except the hand-written code."""
        return [name for name in super().entrants() if name != "by hand"]

    async def prepare(self, entrant: str, stack: AsyncExitStack) -> AsyncLoop:
        """Prepare without a check; the look-up rows check such registrations."""
        asked, candidate = self.wiring(), self.load(entrant)
        candidate.register(wiring.FACTORY)

        async def loop(times: Iterable[None]) -> None:
            for _ in times:
                candidate.register(asked)

        return loop


def _rows(
    sync_kind: type[WiringRow],
    async_kind: type[WiringRow],
    name: str,
    title: str,
    *wirings: Wiring,
) -> list[Row]:
    """Make the rows of one piece of work: sync, async, async with a session that never awaits.

    Args:
        sync_kind: The class of the sync row.
        async_kind: The class of the others.
        name: The name of the sync row.
        title: A description of the work.
        wirings: One for each row.
    """
    awaits = ", a session that awaits" if len(wirings) > 2 else ""
    variants = (
        (sync_kind, name, title),
        (async_kind, f"{name}-async", f"{title}, async{awaits}"),
        (async_kind, f"{name}-async-instant", f"{title}, async, a session that never awaits"),
    )
    return [
        kind(name=row, title=what, wiring=lambda wired=wired: wired)
        for (kind, row, what), wired in zip(variants, wirings, strict=False)
    ]


_GRAPHS = (wiring.GRAPH, wiring.GRAPH_ASYNC, wiring.GRAPH_INSTANT)
_LEVELS = (wiring.THREE_LEVELS, wiring.THREE_LEVELS_ASYNC, wiring.THREE_LEVELS_INSTANT)

ROWS: list[Row] = [
    *_rows(
        CachedRow,
        CachedAsyncRow,
        "cached",
        "ask an open container for what it has made",
        *[wiring.FACTORY] * 2,
    ),
    *_rows(
        SyncRow,
        AsyncRow,
        "value",
        "open a container, get one value, close",
        *[wiring.VALUE] * 2,
    ),
    *_rows(
        SyncRow,
        AsyncRow,
        "factory",
        "open, get one service from a factory, close",
        *[wiring.FACTORY] * 2,
    ),
    *_rows(SyncRow, AsyncRow, "graph", "open, get the root of seven nodes, close", *_GRAPHS),
    *_rows(
        AskingRow,
        AskingAsyncRow,
        "asking",
        "seven nodes by factories that ask the container",
        *_GRAPHS,
    ),
    *_rows(
        SyncRow,
        AsyncRow,
        "chain",
        "open, get the end of a chain of 50, close",
        *[wiring.CHAIN] * 2,
    ),
    *_rows(
        SyncRow,
        AsyncRow,
        "wide",
        "open, get a root that needs 200 leaves, close",
        *[wiring.WIDE] * 2,
    ),
    *_rows(
        InjectRow, InjectAsyncRow, "inject", "call an injected function, three levels", *_LEVELS
    ),
    RegistrationRow(
        name="registration",
        title="register 1,000 services, up to the moment when the first request can come",
        wiring=lambda: wiring.make_registry_wiring(1_000),
        unit="ms",
        most_rounds=5,
    ),
    *[
        SyncRow(
            name=f"lookup-{count}",
            title=f"open, get one service of {count:,} registered, close",
            wiring=cache(lambda count=count: wiring.make_registry_wiring(count)),
        )
        for count in (10, 1_000)
    ],
]
