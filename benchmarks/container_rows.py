"""The rows that ask containers: open, get, close; cached; injected; one registry of many."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager, AsyncExitStack
from dataclasses import dataclass
from functools import cache
from itertools import repeat

from benchmarks import candidates, wiring
from benchmarks.candidate import AsyncLoop, AsyncOperation, Candidate, Operation
from benchmarks.figures import Target
from benchmarks.row import Row, as_async, repeat_async_operation, repeat_operation
from benchmarks.wiring import Wiring, expect


@cache
def _names() -> dict[str, str]:
    """Find the modules of the candidates, by their names as far as they can be loaded."""
    names = {}
    for module in candidates.MODULES:
        try:
            names[candidates.load(module).name] = module
        except Exception:  # noqa: BLE001 - the row itself will say what happened
            names[module.replace("_", "-")] = module
    return names


@dataclass(frozen=True, kw_only=True)
class ContainerRow(Row):
    """A row whose entrants are the modules of `benchmarks.candidates`."""

    def entrants(self) -> Sequence[str]:
        """List everybody."""
        return list(_names())

    def load(self, entrant: str) -> Candidate:
        """Make the candidate, or raise what its import raises."""
        return candidates.load(_names()[entrant])


@dataclass(frozen=True, kw_only=True)
class WiringRow(ContainerRow):
    """A row that is about one wiring.

    Attributes:
        wiring: Makes what candidates register, when the row is run.
    """

    wiring: Callable[[], Wiring]


class SyncRow(WiringRow):
    """Open a container, get the root, close; in sync code."""

    def offer(self, candidate: Candidate) -> AbstractContextManager[Operation]:
        """Ask the candidate for the work."""
        return candidate.operation(self.wiring())

    async def prepare(self, entrant: str, stack: AsyncExitStack) -> AsyncLoop:
        """Check two roots made one after the other."""
        operation = stack.enter_context(self.offer(self.load(entrant)))
        self.wiring().check(operation(), operation())
        return repeat_operation(operation)


class AsyncRow(WiringRow):
    """Open a container, get the root, close; in async code."""

    def offer(self, candidate: Candidate) -> AbstractAsyncContextManager[AsyncOperation]:
        """Ask the candidate for the work."""
        return candidate.operation_async(self.wiring())

    async def prepare(self, entrant: str, stack: AsyncExitStack) -> AsyncLoop:
        """Check two roots made one after the other."""
        operation = await stack.enter_async_context(self.offer(self.load(entrant)))
        self.wiring().check(await operation(), await operation())
        return repeat_async_operation(operation)


class AskingRow(SyncRow):
    """Do the same by factories that ask the container."""

    def offer(self, candidate: Candidate) -> AbstractContextManager[Operation]:
        """Ask the candidate for the work."""
        return candidate.asking(self.wiring())


class AskingAsyncRow(AsyncRow):
    """Do the same by factories that ask the container, in async code."""

    def offer(self, candidate: Candidate) -> AbstractAsyncContextManager[AsyncOperation]:
        """Ask the candidate for the work."""
        return candidate.asking_async(self.wiring())


class CachedRow(WiringRow):
    """Ask an open container for what it has made."""

    async def prepare(self, entrant: str, stack: AsyncExitStack) -> AsyncLoop:
        """Check that both answers are the same engine."""
        loop = stack.enter_context(self.load(entrant).cached(self.wiring()))
        _check_cached(loop(repeat(None, 1)), loop(repeat(None, 1)))
        return as_async(loop)


class CachedAsyncRow(WiringRow):
    """Ask an open container for what it has made, in async code."""

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

    def offer(self, candidate: Candidate) -> AbstractContextManager[Operation]:
        """Ask the candidate for the work."""
        return candidate.injected(self.wiring())


class InjectAsyncRow(AsyncRow):
    """Call a decorated async function."""

    def offer(self, candidate: Candidate) -> AbstractAsyncContextManager[AsyncOperation]:
        """Ask the candidate for the work."""
        return candidate.injected_async(self.wiring())


@dataclass(frozen=True, kw_only=True)
class RegistrationRow(WiringRow):
    """Register many services, and do no more than is needed before the first request."""

    def entrants(self) -> Sequence[str]:
        """List everybody who registers."""
        return [name for name in super().entrants() if name != "by hand"]

    async def prepare(self, entrant: str, stack: AsyncExitStack) -> AsyncLoop:
        """Check nothing here: the look-up rows ask what was registered."""
        asked, candidate = self.wiring(), self.load(entrant)
        candidate.register(wiring.FACTORY)

        async def loop(times: Iterable[None]) -> None:
            for _ in times:
                candidate.register(asked)

        return loop


def _pair(
    kinds: tuple[type[WiringRow], type[WiringRow]],
    name: str,
    title: str,
    wirings: tuple[Wiring, Wiring],
    targets: tuple[Target | None, Target | None],
) -> list[Row]:
    """Make the sync and the async row of one piece of work."""
    (sync_kind, async_kind), (wired, wired_async) = kinds, wirings
    return [
        sync_kind(name=name, title=title, wiring=lambda: wired, target=targets[0]),
        async_kind(
            name=f"{name}-async",
            title=f"{title}, async",
            wiring=lambda: wired_async,
            target=targets[1],
        ),
    ]


def _by_hand(limit: float) -> Target:
    return Target(limit, of="by hand")


_OPENED = (SyncRow, AsyncRow)
_FIVE = Target(5, of="by hand", first=True)
_FIFTH = Target(0.2, of="FastDepends", first=True)
_TWO_FIFTHS = Target(0.4, of="svcs", first=True)

ROWS: list[Row] = [
    *_pair(
        (CachedRow, CachedAsyncRow),
        "cached",
        "ask an open container for what it has made",
        (wiring.FACTORY, wiring.FACTORY),
        (_FIVE, None),
    ),
    *_pair(
        _OPENED,
        "value",
        "open a container, get one value, close",
        (wiring.VALUE, wiring.VALUE),
        (_TWO_FIFTHS, _TWO_FIFTHS),
    ),
    *_pair(
        _OPENED,
        "factory",
        "open, get one service from a factory, close",
        (wiring.FACTORY, wiring.FACTORY),
        (_by_hand(1.1), _by_hand(1.1)),
    ),
    *_pair(
        _OPENED,
        "graph",
        "open, get the root of seven nodes with a generator session, close",
        (wiring.GRAPH, wiring.GRAPH_ASYNC),
        (_by_hand(1.2), _by_hand(1.3)),
    ),
    *_pair(
        (AskingRow, AskingAsyncRow),
        "asking",
        "the same by factories that ask the container",
        (wiring.GRAPH, wiring.GRAPH_ASYNC),
        (None, None),
    ),
    *_pair(
        _OPENED,
        "chain",
        "open, get the end of a chain of 50, close",
        (wiring.CHAIN, wiring.CHAIN),
        (_by_hand(1.3), _by_hand(1.3)),
    ),
    *_pair(
        _OPENED,
        "wide",
        "open, get a root that needs 200 leaves, close",
        (wiring.WIDE, wiring.WIDE),
        (_by_hand(1.3), _by_hand(1.3)),
    ),
    *_pair(
        (InjectRow, InjectAsyncRow),
        "inject",
        "call an injected function, three levels with a generator session",
        (wiring.THREE_LEVELS, wiring.THREE_LEVELS_ASYNC),
        (_FIFTH, _FIFTH),
    ),
    *[
        RegistrationRow(
            name=f"registration-{count}",
            title=f"register {count:,} services, until the first request can come",
            wiring=cache(lambda count=count: wiring.make_registry_wiring(count)),
            unit="ms",
            target=Target(50) if count == 10_000 else None,
            most_rounds=5,
        )
        for count in (1_000, 10_000)
    ],
    *[
        SyncRow(
            name=f"lookup-{count}",
            title=f"open, get one service of {count:,} registered, close",
            wiring=cache(lambda count=count: wiring.make_registry_wiring(count)),
        )
        for count in (10, 10_000)
    ],
]
