"""The rows about the memory of a container and the time of an import."""

import os
import subprocess
import sys
import tracemalloc
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.candidate import AsyncLoop
from benchmarks.container_rows import ContainerRow
from benchmarks.figures import Figure, measured
from benchmarks.row import Row, Settings, read_figure

CONTAINERS = 2_000


class MemoryRow(ContainerRow):
    """Count the bytes of containers that are open and have made nothing."""

    async def prepare(self, entrant: str, stack: AsyncExitStack) -> AsyncLoop:
        """Check that a container opens and closes."""
        open_container = stack.enter_context(self.load(entrant).opener())
        with open_container():
            pass

        async def loop(times: Iterable[None]) -> float:
            return _count_bytes(open_container)

        return loop

    async def measure(
        self, loops: Mapping[str, AsyncLoop], settings: Settings
    ) -> dict[str, Figure]:
        """Count three times for each entrant; the least is what a container needs."""
        return {
            entrant: measured(entrant, [await read_figure(loop) for _ in range(3)])
            for entrant, loop in loops.items()
        }


def _count_bytes(open_container: Any) -> float:
    held: list[Any] = [None] * CONTAINERS
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        for number in range(CONTAINERS):
            container = held[number] = open_container()
            container.__enter__()
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    with ExitStack() as stack:
        for container in held:
            stack.push(container.__exit__)
    return (after - before) / CONTAINERS


@dataclass(frozen=True, kw_only=True)
class ImportRow(ContainerRow):
    """Count the processor time of `import`, beyond the time of Python itself."""

    def entrants(self) -> Sequence[str]:
        """List all candidates that are imported, and attrs, which wares needs."""
        return [*(name for name in super().entrants() if name != "by hand"), "attrs alone"]

    async def prepare(self, entrant: str, stack: AsyncExitStack) -> AsyncLoop:
        """Check that the entrant can be imported."""
        statement = "import attrs"
        if entrant != "attrs alone":
            statement = self.load(entrant).statement
        compiled = stack.enter_context(TemporaryDirectory())
        _count_milliseconds(statement, compiled)

        async def loop(times: Iterable[None]) -> float:
            return _count_milliseconds(statement, compiled)

        return loop

    async def measure(
        self, loops: Mapping[str, AsyncLoop], settings: Settings
    ) -> dict[str, Figure]:
        """Time imports in turn, and subtract the least time of a Python that imports nothing."""
        samples: dict[str, list[float]] = {entrant: [] for entrant in loops}
        bare = [_count_milliseconds("pass") for _ in range(3)]
        for _ in range(min(settings.rounds, self.most_rounds)):
            bare.append(_count_milliseconds("pass"))
            for entrant, loop in loops.items():
                samples[entrant].append(await read_figure(loop))
        return {
            entrant: measured(entrant, [max(0.0, one - min(bare)) for one in rounds])
            for entrant, rounds in samples.items()
        }


def _count_milliseconds(statement: str, compiled: str | None = None) -> float:
    """Run a statement in a new Python process, which keeps compiled modules in a folder."""
    environment = {**os.environ, "PYTHONPYCACHEPREFIX": compiled or ""}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    command = [sys.executable, "-W", "ignore", "-c", statement]
    child = subprocess.Popen(command, env=environment)  # noqa: S603 - our own statements
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise ImportError(statement)
    return (usage.ru_utime + usage.ru_stime) * 1_000


ROWS: list[Row] = [
    MemoryRow(
        name="memory",
        title="memory of an open container that has made nothing",
        unit="bytes",
    ),
    ImportRow(
        name="import",
        title="import, above bare Python",
        unit="ms",
        most_rounds=10,
    ),
]
