"""What each technique of wares is worth: `python -m benchmarks.ablation`; needs no peers.

Each technique is taken away by itself, in a process of its own, and the seven nodes are timed
beside the hand-written code. Knows the inside of wares, as nothing else here does: it puts
something plainer in the place of what it takes away. `benchmarks.plot` draws what `--json FILE`
has written.
"""

import argparse
import asyncio
import json
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import (
    AbstractContextManager,
    AsyncExitStack,
    asynccontextmanager,
    contextmanager,
    nullcontext,
)
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any
from unittest.mock import patch

from benchmarks import wiring, work
from benchmarks.candidates import by_hand
from benchmarks.candidates.wares import Candidate
from benchmarks.row import repeat_async_operation, repeat_operation
from benchmarks.timing import time_interleaved
from benchmarks.wiring import Wiring
from wares import Container
from wares import _container as containers
from wares import _plan_writer as writer
from wares import _planning as planning
from wares import _plans as plans
from wares._core.cleanups import Cleanups

#: The work, by the names of the columns.
WORK = ("sync", "async", "waiting")


@contextmanager
def _replacing(owner: object, name: str, thing: object) -> Iterator[None]:
    """Put *thing* in the place of an attribute, which has to be there."""
    found = getattr(owner, name)
    setattr(owner, name, thing)
    try:
        yield
    finally:
        setattr(owner, name, found)


def _is_never(_: object) -> bool:
    return False


def _without_plans() -> AbstractContextManager[None]:
    return _replacing(plans, "USES_BEFORE_PLAN", 1 << 62)


def _without_inert() -> AbstractContextManager[None]:
    return _replacing(planning, "_is_inert", _is_never)


@contextmanager
def _without_holding_back() -> Iterator[None]:
    put = writer.PlanWriter._put  # noqa: SLF001 - see above
    changed: list[str] = []

    def put_at_once(self: Any, indent: int, line: str) -> None:
        before, is_held_back, rest = line.partition("claim.it")
        if is_held_back and not before:
            number, _, call = rest.partition(" ")
            line = f"made[key{number}] {call}"
            changed.append(line)
        put(self, indent, line)

    with _replacing(writer.PlanWriter, "_put", put_at_once):
        yield
    if not changed:
        raise RuntimeError("plans hold nothing back; this has nothing to take away")


@contextmanager
def _without_spare_lists() -> Iterator[None]:
    with (
        patch.dict(writer.NAMES, take_spare=Cleanups),
        _replacing(containers, "give_spare", deque[Cleanups](maxlen=0).append),
    ):
        yield


def _without_reading_of_bodies() -> AbstractContextManager[None]:
    return _replacing(planning, "cannot_wait", _is_never)


@contextmanager
def _with_a_finalizer() -> Iterator[None]:
    Container.__del__ = _is_never  # type: ignore[attr-defined]  # that is the point
    try:
        yield
    finally:
        del Container.__del__  # type: ignore[attr-defined]  # see above


def _with_a_lock() -> AbstractContextManager[None]:
    begin = Container.__init__

    def begin_with_lock(self: Container, registry: Any) -> None:
        begin(self, registry)
        threading.Lock()

    return _replacing(Container, "__init__", begin_with_lock)


@contextmanager
def _with_context_managers() -> Iterator[None]:
    """Wrap the sessions as one would without a container."""

    def wrap(manage: Callable[..., Any], factory: Callable[..., Any]) -> Callable[..., Any]:
        managed = manage(factory)

        def open_session(engine: work.Engine) -> Any:
            return managed(engine)

        open_session.__annotations__["return"] = factory.__annotations__["return"]
        return open_session

    def change(name: str, manage: Callable[..., Any], session: Callable[..., Any]) -> Any:
        graph: Wiring = getattr(wiring, name)
        changed = wrap(manage, session)
        factories = [changed if one is session else one for one in graph.factories]
        return _replacing(wiring, name, replace(graph, factories=factories))

    with (
        change("GRAPH", contextmanager, work.open_session),
        change("GRAPH_ASYNC", asynccontextmanager, work.open_async_session),
        change("GRAPH_WAITING", asynccontextmanager, work.open_waiting_session),
    ):
        yield


#: What is changed, in words, and how.
VARIANTS: Mapping[str, Callable[[], AbstractContextManager[None]]] = {
    "as it is": nullcontext,
    "without plans": _without_plans,
    "with context managers around generators": _with_context_managers,
    "without reading constructors": _without_inert,
    "without holding services back": _without_holding_back,
    "without reading async functions": _without_reading_of_bodies,
    "with a new list of cleanups each time": _without_spare_lists,
    "with a finalizer": _with_a_finalizer,
    "with a lock": _with_a_lock,
}


async def measure(*, rounds: int) -> dict[str, float]:
    """Time the seven nodes as wares is now, beside the same by hand.

    Args:
        rounds: How often; with none, the results are only checked.

    Returns:
        How many times as long as by hand it takes, by the names in `WORK`.
    """
    candidate = Candidate()
    async with AsyncExitStack() as stack:
        operation = stack.enter_context(candidate.operation(wiring.GRAPH))
        wiring.GRAPH.check(operation(), operation())
        loops = {
            "sync": repeat_operation(operation),
            "by hand sync": repeat_operation(by_hand.graph),
            "by hand async": repeat_async_operation(by_hand.graph_async),
            "by hand waiting": repeat_async_operation(by_hand.waiting_graph_async),
        }
        for name, graph in (("async", wiring.GRAPH_ASYNC), ("waiting", wiring.GRAPH_WAITING)):
            waiting = await stack.enter_async_context(candidate.operation_async(graph))
            graph.check(await waiting(), await waiting())
            loops[name] = repeat_async_operation(waiting)
        samples = await time_interleaved(loops, rounds=rounds)
    least = {name: min(times, default=1.0) for name, times in samples.items()}
    return {name: least[name] / least[f"by hand {name}"] for name in WORK}


def measure_variant(variant: str, rounds: int) -> dict[str, float]:
    """Time the seven nodes with one change, in a process of its own."""
    said = subprocess.run(  # noqa: S603 - our own module
        [sys.executable, "-m", __spec__.name, "--variant", variant, f"--rounds={rounds}"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    ratios: dict[str, float] = json.loads(said)
    return ratios


def compare(*, rounds: int, processes: int) -> dict[str, dict[str, float]]:
    """Time all variants, by turns.

    Args:
        rounds: How often each process does the work.
        processes: How many processes there are for each variant: where things happen to lie in
            memory is worth five percent, and another process has them elsewhere.

    Returns:
        For each variant, what the processes found, their median.
    """
    found: dict[str, list[dict[str, float]]] = {variant: [] for variant in VARIANTS}
    for _ in range(processes):
        for variant, runs in found.items():
            runs.append(measure_variant(variant, rounds))
    return {
        variant: {name: median(run[name] for run in runs) for name in WORK}
        for variant, runs in found.items()
    }


def print_table(found: Mapping[str, Mapping[str, float]]) -> None:
    """Print how many times as long as by hand the work takes with each change."""
    print(f"{'times by hand':42}" + "".join(f"{work:>10}" for work in WORK))
    for variant, ratios in found.items():
        print(f"{variant:42}" + "".join(f"{ratios[work]:>10.2f}" for work in WORK))


def main() -> None:
    """Do what the command line asks for."""
    parser = argparse.ArgumentParser("python -m benchmarks.ablation", description=__doc__)
    parser.add_argument("--variant", choices=VARIANTS, help="measure this one only")
    parser.add_argument("--rounds", type=int, default=80, metavar="N", help="default: 80")
    parser.add_argument("--processes", type=int, default=9, metavar="N", help="default: 9")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the ratios there")
    options = parser.parse_args()
    if options.variant:
        with VARIANTS[options.variant]():
            print(json.dumps(asyncio.run(measure(rounds=options.rounds))))
        return
    found = compare(rounds=options.rounds, processes=options.processes)
    print_table(found)
    if options.json:
        options.json.write_text(json.dumps(found, indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    main()
