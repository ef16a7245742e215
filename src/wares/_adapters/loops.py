"""Event loops for the asynchronous services of a synchronous program."""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

from wares._core.waiting import runs_event_loop

T = TypeVar("T")


class Loops:
    """Event loops that stay open, one for each thread, so that services outlive a call."""

    def __init__(self) -> None:
        self._reset()

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run *coroutine* in the loop of this thread.

        If a signal handler raises an exception meanwhile, for example because of a time limit, the
        coroutine is cancelled.

        Raises:
            RuntimeError: Another event loop runs in this thread.
        """
        if runs_event_loop():
            coroutine.close()
            raise RuntimeError(
                "Services or functions that have to be awaited cannot run here, because another "
                "event loop runs in this thread. Call this in a thread of its own, for example "
                "with asyncio.to_thread."
            )
        loop = self._get_loop()
        task = loop.create_task(coroutine)
        try:
            return loop.run_until_complete(task)
        except BaseException:
            if not task.done():
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    loop.run_until_complete(task)
            raise

    def close(self) -> None:
        """Close all loops. No thread may use them any more."""
        runners = self._runners
        self._reset()
        for runner in runners:
            runner.close()

    def _reset(self) -> None:
        self._process = os.getpid()
        self._local = threading.local()
        self._runners: list[asyncio.Runner] = []

    def _get_loop(self) -> asyncio.AbstractEventLoop:
        if self._process != os.getpid():
            # A loop does not survive a fork.
            self._reset()
        runner: asyncio.Runner | None = getattr(self._local, "runner", None)
        if runner is None:
            runner = self._local.runner = asyncio.Runner()
            self._runners.append(runner)
        return runner.get_loop()
