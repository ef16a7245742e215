"""Waiting for an answer that any thread may give: in a thread, on asyncio, and on trio.

The first answer counts. An answer may be given more than once, because a signal handler may
interrupt the first attempt.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import asyncio


def expect_in_thread() -> tuple[Callable[[Any], None], Callable[[], Any]]:
    """Return a function that gives the answer, and one that waits for it and returns it."""
    answers: list[Any] = []
    # A plain lock: a signal handler that raises may leave the lock of a condition or event locked.
    lock = threading.Lock()
    lock.acquire()

    def give(answer: Any) -> None:
        answers.append(answer)
        # An earlier attempt may have released it.
        with suppress(RuntimeError):
            lock.release()

    def wait() -> Any:
        lock.acquire()
        return answers[0]

    return give, wait


def expect_in_the_event_loop() -> tuple[Callable[[Any], None], Callable[[], Awaitable[Any]]]:
    """Return such functions as `expect_in_thread` does; the one that waits is asynchronous."""
    return _expect_on_trio() if runs_trio() else _expect_on_asyncio()


def runs_trio() -> bool:
    """Return whether the event loop of this thread is trio's."""
    # If trio is running, it has been imported.
    trio: Any = sys.modules.get("trio")
    return trio is not None and bool(trio.lowlevel.in_trio_run())


def runs_event_loop() -> bool:
    """Return whether an event loop is running in this thread, which can await an awaitable."""
    return find_event_loop() is not None or runs_trio()


def find_event_loop() -> asyncio.AbstractEventLoop | None:
    """Return the event loop of asyncio that runs in this thread; `None` if there is none."""
    try:
        # No import, because programs that use trio need no asyncio, which takes long to import.
        loop: asyncio.AbstractEventLoop = sys.modules["asyncio"].get_running_loop()
    except (KeyError, RuntimeError):
        # The event loop is that of trio, or somebody runs the coroutine without one.
        return None
    return loop


def _expect_on_asyncio() -> tuple[Callable[[Any], None], Callable[[], Awaitable[Any]]]:
    import asyncio  # noqa: PLC0415  # takes long to import, and waiting is rare

    loop = asyncio.get_running_loop()
    future: asyncio.Future[Any] = loop.create_future()

    def end(answer: Any) -> None:
        if not future.done():
            future.set_result(answer)

    def give(answer: Any) -> None:
        try:
            loop.call_soon_threadsafe(end, answer)
        except RuntimeError:
            # When the loop has ended, no task waits any more.
            if not loop.is_closed():
                raise

    return give, lambda: future


def _expect_on_trio() -> tuple[Callable[[Any], None], Callable[[], Awaitable[Any]]]:
    trio: Any = sys.modules["trio"]
    answers: list[Any] = []
    event = trio.Event()
    token = trio.lowlevel.current_trio_token()

    def give(answer: Any) -> None:
        answers.append(answer)
        # When trio has ended, no task waits any more.
        with suppress(trio.RunFinishedError):
            token.run_sync_soon(event.set)

    async def wait() -> Any:
        await event.wait()
        return answers[0]

    return give, wait
