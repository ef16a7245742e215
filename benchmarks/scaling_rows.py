"""The rows that do the same work many times at the same time: in tasks, and in threads.

A lock on a hot path shows here: the cost relative to the hand-written code would grow with the
number of tasks or threads. Threads are timed by the wall clock, because waiting for a lock takes
no processor time.
"""

import asyncio
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

from benchmarks import wiring
from benchmarks.candidate import AsyncLoop
from benchmarks.container_rows import WiringRow
from benchmarks.row import Row
from benchmarks.wiring import expect

THREAD_OPERATIONS = 960


@dataclass(frozen=True, kw_only=True)
class TasksRow(WiringRow):
    """Serve requests concurrently in one event loop; their sessions let other tasks run.

    Attributes:
        count: How many requests there are at the same time.
    """

    count: int

    async def prepare(self, entrant: str, stack: AsyncExitStack) -> AsyncLoop:
        """Check that no two requests share a session, and that each is closed once."""
        operation = await stack.enter_async_context(
            self.load(entrant).operation_async(self.wiring())
        )
        _check_apart(await asyncio.gather(*(operation() for _ in range(10))))
        count = self.count

        async def loop(times: Iterable[None]) -> None:
            for _ in times:
                await asyncio.gather(*(operation() for _ in range(count)))

        return loop


@dataclass(frozen=True, kw_only=True)
class ThreadsRow(WiringRow):
    """Make the seven nodes in threads.

    Attributes:
        count: How many threads there are.
    """

    count: int

    async def prepare(self, entrant: str, stack: AsyncExitStack) -> AsyncLoop:
        """Check that no two threads share a session, and that each is closed once."""
        operation = stack.enter_context(self.load(entrant).operation(self.wiring()))
        threads = stack.enter_context(ThreadPoolExecutor(self.count))
        each = THREAD_OPERATIONS // self.count

        def work(_: int) -> object:
            for _ in range(each):
                shop = operation()
            return shop

        _check_apart(list(threads.map(work, range(self.count))))

        async def loop(times: Iterable[None]) -> None:
            for _ in times:
                list(threads.map(work, range(self.count)))

        return loop


def _check_apart(shops: list[Any]) -> None:
    wiring.check_shop(shops[0], shops[-1]) if len(shops) > 1 else None
    sessions = {id(shop.users.session) for shop in shops}
    expect(len(sessions) == len(shops), "two requests at the same time shared one session")
    expect(all(shop.users.session.closed == 1 for shop in shops), "not closed exactly once")


ROWS: list[Row] = [
    *[
        TasksRow(
            name=f"tasks-{count}",
            title=f"concurrent requests in one event loop, seven nodes each: {count:,}",
            wiring=lambda: wiring.GRAPH_ASYNC,
            count=count,
        )
        for count in (1, 10, 100, 1_000)
    ],
    *[
        ThreadsRow(
            name=f"threads-{count}",
            title=f"{THREAD_OPERATIONS} times seven nodes, shared among threads: {count}",
            wiring=lambda: wiring.GRAPH,
            count=count,
            clock=time.perf_counter_ns,
        )
        for count in (1, 2, 4, 8, 16)
    ],
]
