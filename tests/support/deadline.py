"""Threads with a time limit, so that a test with a deadlock fails and does not hang."""

import asyncio
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

SECONDS = 60


def in_threads(*functions: Callable[[], Any], seconds: float = SECONDS) -> list[Any]:
    """Run each function in its own thread; return their results or exceptions, in order."""
    outcomes: list[Any] = [None] * len(functions)
    start = threading.Barrier(len(functions))

    def run(position: int, function: Callable[[], Any]) -> None:
        start.wait(seconds)
        try:
            outcomes[position] = function()
        except BaseException as error:  # noqa: BLE001  # an outcome like any other
            outcomes[position] = error

    threads = [
        threading.Thread(target=run, args=(position, function), daemon=True)
        for position, function in enumerate(functions)
    ]
    for thread in threads:
        thread.start()
    end = time.monotonic() + seconds
    for thread in threads:
        thread.join(max(0, end - time.monotonic()))
    stuck = [thread.name for thread in threads if thread.is_alive()]
    if stuck:
        pytest.fail(f"still waiting after {seconds} s: {', '.join(stuck)}")
    return outcomes


def in_thread(function: Callable[[], Any], seconds: float = SECONDS) -> Any:
    """Run *function* in a thread of its own; return its result, or raise its exception."""
    returned: list[Any] = []
    (error,) = in_threads(lambda: returned.append(function()), seconds=seconds)
    if error is not None:
        raise error
    return returned[0]


def in_loop(make_coroutine: Callable[[], Any], seconds: float = SECONDS) -> Any:
    """Run a coroutine on an event loop of its own in a thread that may get stuck."""
    return in_thread(lambda: asyncio.run(make_coroutine()), seconds)


async def settle() -> None:
    """Let every task run until it waits for something that only the test can do."""
    for _ in range(50):
        await asyncio.sleep(0)
