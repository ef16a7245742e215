"""The event loop in which pings run: asyncio's or trio's.

This module does not import trio; it uses trio only if the caller runs in it.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import logging
import math
import sys
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, TypeAlias, TypeVar

from wares._core.waiting import runs_trio
from wares._health.threads import start_thread

T = TypeVar("T")

#: A coroutine function without parameters.
Work: TypeAlias = Callable[[], Awaitable[Any]]

#: How many seconds a cancelled ping may take to clean up before the check stops waiting for it.
_SECONDS_TO_GIVE_UP = 1.0

#: Tasks that need a reference while they run.
_tasks: set[asyncio.Future[Any]] = set()


class TooLateError(Exception):
    """A ping exceeded its time limit."""


def find_loop() -> AsyncioLoop | TrioLoop:
    """Find the event loop that runs here."""
    return TrioLoop(sys.modules["trio"]) if runs_trio() else AsyncioLoop()


class AsyncioLoop:
    """The event loop of asyncio."""

    async def sleep(self, seconds: float) -> None:
        """Sleep for *seconds*."""
        await asyncio.sleep(seconds)

    async def gather(self, works: Iterable[Work]) -> None:
        """Run *works*, which raise nothing, at the same time."""
        await asyncio.gather(*(work() for work in works))

    async def run_in_thread(self, function: Callable[[], T]) -> T:
        """Run *function*, which raises nothing, in a thread; stop waiting for it if cancelled."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()

        def run() -> None:
            result = function()
            with contextlib.suppress(RuntimeError):
                # This is raised if the loop is closed.
                loop.call_soon_threadsafe(_finish, future, result)

        start_thread(run)
        return await future

    async def attempt(
        self, work: Work, seconds: float, name: str, leave: Callable[[], object]
    ) -> BaseException | None:
        """Run *work* in a task of its own, and cancel it after *seconds*.

        Args:
            work: The coroutine function to run.
            seconds: How long it may take.
            name: Its name in the log.
            leave: Called when *work* has ended, which may be later than the end of this method.

        Returns:
            The exception of *work*, if any, or a `TooLateError` if it took too long.
        """
        task = asyncio.ensure_future(work())
        task.add_done_callback(lambda _: leave())
        try:
            done, _ = await asyncio.wait({task}, timeout=seconds)
        except asyncio.CancelledError:
            await _give_up(task, name)
            raise
        if not done:
            await _give_up(task, name)
            return TooLateError()
        if task.cancelled():
            return asyncio.CancelledError("the ping was cancelled from within")
        return task.exception()

    def spawn(self, work: Work) -> None:
        """Run *work*, which raises nothing, independently of the caller."""
        loop = asyncio.get_running_loop()
        task = loop.create_task(_await(work), context=contextvars.Context())
        _tasks.add(task)
        task.add_done_callback(_tasks.discard)


class TrioLoop:
    """The event loop of trio.

    Trio always waits for a cancelled ping, even if the ping shields itself.

    Args:
        trio: The module.
    """

    def __init__(self, trio: Any) -> None:
        self._trio = trio

    async def sleep(self, seconds: float) -> None:
        """See `AsyncioLoop`."""
        await self._trio.sleep(seconds)

    async def gather(self, works: Iterable[Work]) -> None:
        """See `AsyncioLoop`."""
        async with self._trio.open_nursery() as nursery:
            for work in works:
                nursery.start_soon(work)

    async def run_in_thread(self, function: Callable[[], T]) -> T:
        """See `AsyncioLoop`."""
        limiter = self._trio.CapacityLimiter(math.inf)
        result: T = await self._trio.to_thread.run_sync(
            function, abandon_on_cancel=True, limiter=limiter
        )
        return result

    async def attempt(
        self, work: Work, seconds: float, name: str, leave: Callable[[], object]
    ) -> BaseException | None:
        """See `AsyncioLoop`."""
        del name  # nothing is logged, because trio waits for every task
        error: Exception | None = None
        try:
            with self._trio.move_on_after(seconds) as scope:
                try:
                    await work()
                except Exception as caught:  # noqa: BLE001  # any exception is the result
                    error = caught
        finally:
            leave()
        is_late = scope.cancelled_caught or (error is not None and scope.cancel_called)
        return TooLateError() if is_late else error

    def spawn(self, work: Work) -> None:
        """See `AsyncioLoop`."""
        self._trio.lowlevel.spawn_system_task(work, context=contextvars.Context())


async def _await(work: Work) -> None:
    await work()


def _finish(future: asyncio.Future[T], result: T) -> None:
    """Set the result of a thread, unless the future has been cancelled."""
    if not future.done():
        future.set_result(result)


async def _give_up(task: asyncio.Future[Any], name: str) -> None:
    """Cancel a ping, and wait a while for its cleanup."""
    task.cancel()
    _tasks.add(task)
    task.add_done_callback(_forget)
    await asyncio.wait({task}, timeout=_SECONDS_TO_GIVE_UP)
    if not task.done():
        logging.getLogger("wares").warning(
            "The ping of %s was cancelled and does not end; nothing waits for it any more.",
            name,
            extra={"wares_service_name": name},
        )


def _forget(task: asyncio.Future[Any]) -> None:
    """Drop the reference to a cancelled ping, and ignore its exception."""
    _tasks.discard(task)
    if not task.cancelled():
        task.exception()
