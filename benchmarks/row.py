"""What a row of the benchmark is: a check for each candidate, then figures for those who pass.

Knows no peer and no particular work; those are in `benchmarks.rows`.
"""

import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import cast

from benchmarks.candidate import AsyncLoop, AsyncOperation, Loop, NotOfferedError, Operation
from benchmarks.figures import Figure, Table, measured
from benchmarks.targets import TARGETS
from benchmarks.timing import Clock, time_interleaved

NANOSECONDS = {"ns": 1, "µs": 1_000, "ms": 1_000_000}


@dataclass(frozen=True)
class Settings:
    """How a run is done.

    Attributes:
        rounds: How often each candidate is timed.
        once: Whether candidates are only checked, not timed.
        only: The names of those who take part; empty for everybody.
    """

    rounds: int = 80
    once: bool = False
    only: frozenset[str] = field(default_factory=frozenset)

    def invite(self, name: str) -> bool:
        """Tell whether a candidate takes part; the hand-written code always does."""
        plain = name.lower().replace(" ", "-")
        return (
            not self.only
            or plain == "by-hand"
            or any(plain == one or plain.startswith(f"{one}-") for one in self.only)
        )


@dataclass(frozen=True, kw_only=True)
class Row:
    """One piece of work that all candidates are asked for.

    Attributes:
        name: What it is called on the command line.
        title: What is done.
        unit: Of the figures.
        clock: Counts nanoseconds; of this process, unless waiting is the point.
        most_rounds: No more rounds than this, for what takes long.
    """

    name: str
    title: str
    unit: str = "ns"
    clock: Clock = time.process_time_ns
    most_rounds: int = 1_000

    def entrants(self) -> Sequence[str]:
        """List the names of those who are asked, missing ones included."""
        raise NotImplementedError

    async def prepare(self, entrant: str, stack: AsyncExitStack) -> AsyncLoop:
        """Set up an entrant, check its result, and return the loop to be timed.

        Args:
            entrant: One of `entrants()`.
            stack: Ends what is set up, after the timing.

        Raises:
            ImportError: It is not installed.
            NotOfferedError: It has nothing for this work.
            Exception: Anything else is a failed check.
        """
        raise NotImplementedError

    async def run(self, settings: Settings) -> Table:
        """Check all entrants, and time those who pass."""
        figures: dict[str, Figure] = {}
        loops: dict[str, AsyncLoop] = {}
        stacks: dict[str, AsyncExitStack] = {}
        for entrant in filter(settings.invite, self.entrants()):
            stacks[entrant] = AsyncExitStack()
            figures[entrant] = await self._try(entrant, stacks[entrant], loops)
        if not settings.once:
            figures |= await self.measure(loops, settings)
        for entrant in reversed(stacks):
            try:
                await stacks[entrant].aclose()
            except Exception as error:  # noqa: BLE001 - as for its check
                figures[entrant] = _blame(entrant, error)
        return Table(
            self.name, self.title, self.unit, tuple(figures.values()), TARGETS.get(self.name)
        )

    async def measure(
        self, loops: Mapping[str, AsyncLoop], settings: Settings
    ) -> dict[str, Figure]:
        """Time the loops of those who passed their checks."""
        samples = await time_interleaved(
            loops, rounds=min(settings.rounds, self.most_rounds), clock=self.clock
        )
        scale = NANOSECONDS[self.unit]
        return {
            entrant: measured(entrant, [one / scale for one in rounds])
            for entrant, rounds in samples.items()
        }

    async def _try(
        self, entrant: str, stack: AsyncExitStack, loops: dict[str, AsyncLoop]
    ) -> Figure:
        try:
            loops[entrant] = await self.prepare(entrant, stack)
        except NotOfferedError as reason:
            return Figure(entrant, "not offered", str(reason))
        except ImportError as error:
            return Figure(entrant, "missing", str(error))
        except Exception as error:  # noqa: BLE001 - a peer may fail in any way, and is named
            return _blame(entrant, error)
        return Figure(entrant, "passed")


def _blame(entrant: str, error: Exception) -> Figure:
    return Figure(entrant, "failed", f"{type(error).__name__}: {error}"[:200])


def as_async(loop: Loop) -> AsyncLoop:
    """Let a loop of sync code be timed like all others: one `await` for the whole round."""

    async def run(times: Iterable[None]) -> object:
        return loop(times)

    return run


def repeat_operation(operation: Operation) -> AsyncLoop:
    """Make the loop that does an operation again and again."""

    async def loop(times: Iterable[None]) -> None:
        for _ in times:
            operation()

    return loop


def repeat_async_operation(operation: AsyncOperation) -> AsyncLoop:
    """Make the loop that awaits an operation again and again."""

    async def loop(times: Iterable[None]) -> None:
        for _ in times:
            await operation()

    return loop


async def read_figure(loop: AsyncLoop) -> float:
    """Run a loop that counts something else than time: what it returns is the figure."""
    return cast(float, await loop(()))
