"""Awaiting something to its end, whatever is cancelled meanwhile.

This module knows asyncio's tasks and futures. It must not know what is awaited.

A cleanup has to run in the task that made the service: there its context variables were set and
its cancel scopes entered. So `asyncio.shield`, which runs it in a task of its own, does not
serve. Here the task goes on running the cleanup itself, but what the task waits on is a stand-in
that a cancellation from outside cannot end. A cancellation from inside, from a timeout within the
cleanup, say, is let through. Who calls is known by a context variable: timers and tasks that the
cleanup starts inherit it, nobody else has it.
"""

from __future__ import annotations

import asyncio
import types
from collections.abc import Generator
from contextvars import ContextVar
from typing import Any, cast


class Shield:
    """Holds cancellations back while cleanups wait.

    Attributes:
        held_back: The messages of the cancellations that were held back.
        task: The task that is shielded.
    """

    __slots__ = ("_mark", "_marks", "held_back", "task")

    def __init__(self, marks: ContextVar[Any], mark: object) -> None:
        """Make a shield.

        Args:
            marks: A context variable that has been *mark* since before the cleanups began.
            mark: What tells that a caller is within these cleanups.
        """
        self._marks = marks
        self._mark = mark
        self.held_back: tuple[Any, ...] = ()
        # There is one: whatever waits in an event loop of asyncio is run by a task.
        self.task = cast("asyncio.Task[Any]", asyncio.current_task())

    def lets_through(self) -> bool:
        """Tell whether the cancellation that is under way comes from within a cleanup."""
        # Called within the task's own step it delivers what was asked for before the cleanup.
        return self._marks.get() is self._mark and asyncio.current_task() is not self.task

    async def deliver(self) -> BaseException:
        """Cancel the task now, as it was to be before; give the error that comes of it."""
        delivered = asyncio.CancelledError(*self.held_back)
        for message in self.held_back:
            self.task.cancel(message)
        try:
            await asyncio.sleep(0)
        except asyncio.CancelledError as error:
            delivered = error
        return delivered

    @types.coroutine
    def hold(self, steps: Generator[Any, Any, Any], waiting: Any) -> Generator[Any, Any, None]:
        """Run *steps*, which have come to wait for *waiting*, in this task to their end.

        Args:
            steps: What ``__await__`` gave.
            waiting: What it yielded first.
        """
        resume: Any
        argument: BaseException | None
        while True:
            try:
                yield from self._stand_in_for(waiting)
            except BaseException as error:  # noqa: BLE001  # it belongs to the cleanup
                resume, argument = steps.throw, error
            else:
                resume, argument = steps.send, None
            try:
                waiting = resume(argument)
            except StopIteration:
                return

    def _stand_in_for(self, waiting: Any) -> Generator[Any, Any, None]:
        loop = asyncio.get_running_loop()
        stand_in = _StandIn(self, waiting, loop=loop)
        if waiting is None:
            # A bare yield, as in asyncio.sleep(0), means: go on in the next round of the loop.
            loop.call_soon(stand_in.release)
        else:
            # By this flag a future and the task that awaits it agree that it is awaited properly
            # (asyncio.base_futures; the same from Python 3.5 on). The task sees the stand-in's.
            waiting._asyncio_future_blocking = False  # see above
            waiting.add_done_callback(stand_in.release)
        return stand_in.__await__()

    def hold_back(self, message: Any) -> None:
        """Keep a cancellation for later, and hide it from a timeout within the cleanup."""
        self.held_back = (*self.held_back, message)
        # A timeout takes a count above the one that it began with for a cancellation.
        self.task.uncancel()


class _StandIn(asyncio.Future[None]):
    """What the task waits on in place of what the cleanup waits on."""

    def __init__(
        self,
        shield: Shield,
        waiting: asyncio.Future[Any] | None,
        *,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        super().__init__(loop=loop)
        self._shield = shield
        self._waiting = waiting

    def release(self, _: object = None) -> None:
        """End the waiting: what was waited for is there."""
        if not self.done():
            self.set_result(None)

    def cancel(self, msg: Any | None = None) -> bool:
        """Let a cancellation from inside through, and note one from outside."""
        if not self._shield.lets_through():
            self._shield.hold_back(msg)
            return True
        return super().cancel(msg) if self._waiting is None else self._waiting.cancel(msg)
