"""`Row`: one piece of work, with a check for each entrant, and figures for those that pass.

`benchmarks.rows` lists the rows.
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
    """The settings of a run.

    Attributes:
        rounds: How often each candidate is timed.
        once: Whether candidates are only checked, not timed.
        only: The names of the candidates that take part; all of them if it is empty.
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
    """One piece of work for all candidates.

    Attributes:
        name: Its name for the command line.
        title: A description of the work.
        unit: The unit of the figures.
        clock: Counts nanoseconds: the processor time of this process, unless the row measures
            waiting.
        most_rounds: The greatest number of rounds, for work that takes long.
    """

    name: str
    title: str
    unit: str = "ns"
    clock: Clock = time.process_time_ns
    most_rounds: int = 1_000

    def entrants(self) -> Sequence[str]:
        """List the names of the entrants, including those that are not installed."""
        raise NotImplementedError

    async def prepare(self, entrant: str, stack: AsyncExitStack) -> AsyncLoop:
        """Set up an entrant, check its result, and return the loop to be timed.

        Args:
            entrant: One of `entrants()`.
            stack: Closes what has been set up, after the timing.

        Raises:
            ImportError: The entrant is not installed.
            NotOfferedError: The entrant has nothing for this work.
            Exception: The check has failed.
        """
        raise NotImplementedError

    async def run(self, settings: Settings) -> Table:
        """Check all entrants, and time those that pass."""
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
            except Exception as error:  # noqa: BLE001 - a peer may fail in any way
                figures[entrant] = _blame(entrant, error)
        return Table(
            self.name, self.title, self.unit, tuple(figures.values()), TARGETS.get(self.name)
        )

    async def measure(
        self, loops: Mapping[str, AsyncLoop], settings: Settings
    ) -> dict[str, Figure]:
        """Time the loops of the entrants that have passed their checks."""
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
        except Exception as error:  # noqa: BLE001 - a peer may fail in any way
            return _blame(entrant, error)
        return Figure(entrant, "passed")


def _blame(entrant: str, error: Exception) -> Figure:
    return Figure(entrant, "failed", f"{type(error).__name__}: {error}"[:200])


def as_async(loop: Loop) -> AsyncLoop:
    """Turn a loop of sync code into one like all others, with one `await` for a whole round."""

    async def run(times: Iterable[None]) -> object:
        return loop(times)

    return run


def repeat_operation(operation: Operation) -> AsyncLoop:
    """Make a loop that repeats an operation."""

    async def loop(times: Iterable[None]) -> None:
        for _ in times:
            operation()

    return loop


def repeat_async_operation(operation: AsyncOperation) -> AsyncLoop:
    """Make a loop that repeats an async operation."""

    async def loop(times: Iterable[None]) -> None:
        for _ in times:
            await operation()

    return loop


async def read_figure(loop: AsyncLoop) -> float:
    """Run a loop that does not measure time, but returns the figure."""
    return cast(float, await loop(()))
