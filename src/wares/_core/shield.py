"""Awaiting something to its end, whatever is cancelled meanwhile.

This module knows asyncio's tasks, and what they expect of a future. It must not know what is
awaited.

A cleanup has to run in the task that made the service: there its context variables were set and
its cancel scopes entered. So `asyncio.shield`, which runs it in a task of its own, does not
serve. Here the task goes on running the cleanup itself, but what the task waits on is a stand-in
that a cancellation from outside cannot end. A cancellation from inside, from a timeout within the
cleanup, say, is let through. Who calls is known by a context variable: timers and tasks that the
cleanup starts inherit it, nobody else has it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextvars import Context, ContextVar
from typing import Any


class Shield:
    """Holds cancellations back while cleanups wait.

    It is also what the task waits on in place of what a cleanup waits on: like a future, as
    `asyncio.isfuture` describes it.

    Outside of asyncio it holds nothing back: there the cleanup waits as if there were no shield.

    Attributes:
        held_back: The messages of the cancellations that were held back.
        task: The task that is shielded.
    """

    __slots__ = (
        "_asyncio_future_blocking",
        "_is_needed",
        "_loop",
        "_mark",
        "_marks",
        "_waiting",
        "add_done_callback",
        "get_loop",
        "held_back",
        "task",
    )

    #: By this a future and the task that awaits it agree that it is awaited properly.
    _asyncio_future_blocking: bool
    _waiting: asyncio.Future[Any] | None

    #: Wakes the task when there is what the cleanup waits on: a future's own method, if it is one.
    add_done_callback: Callable[..., object]

    #: Gives the event loop of what the cleanup waits on, which should be the task's own.
    get_loop: Callable[[], asyncio.AbstractEventLoop]

    def __init__(self, marks: ContextVar[Any], mark: object) -> None:
        """Make a shield.

        Args:
            marks: A context variable that has been *mark* since before the cleanups began.
            mark: What tells that a caller is within these cleanups.
        """
        self._marks = marks
        self._mark = mark
        self.held_back: tuple[Any, ...] = ()
        try:
            self._loop = asyncio.get_running_loop()
        except RuntimeError:
            self._is_needed = False
        else:
            self._is_needed = True
            # There is one: whatever waits in an event loop of asyncio is run by a task.
            self.task: Any = asyncio.current_task()

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

    def stand_in_for(self, waiting: Any) -> Any:
        """Give what the task is to wait on in the place of what a cleanup waits on."""
        if not self._is_needed:
            return waiting
        self._waiting = waiting
        if waiting is None:
            # A bare yield, as in asyncio.sleep(0), waits for nothing but the next round.
            self.add_done_callback = self._call_soon
            self.get_loop = self._get_loop
        else:
            waiting._asyncio_future_blocking = False
            self.add_done_callback = waiting.add_done_callback
            self.get_loop = waiting.get_loop
        self._asyncio_future_blocking = True
        return self

    def _get_loop(self) -> asyncio.AbstractEventLoop:
        return self._loop

    def _call_soon(
        self, callback: Callable[[Any], object], *, context: Context | None = None
    ) -> None:
        self._loop.call_soon(callback, self, context=context)

    def result(self) -> None:
        """Give what a bare yield gives."""

    def cancel(self, msg: Any | None = None) -> bool:
        """Let a cancellation from inside through, and note one from outside."""
        if not self.lets_through():
            self.hold_back(msg)
            return True
        # Where it waits for nothing, the task delivers it in the next round.
        return self._waiting is not None and self._waiting.cancel(msg)

    def hold_back(self, message: Any) -> None:
        """Keep a cancellation for later, and hide it from a timeout within the cleanup."""
        self.held_back = (*self.held_back, message)
        # A timeout takes a count above the one that it began with for a cancellation.
        self.task.uncancel()
