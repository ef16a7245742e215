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
from collections.abc import Coroutine, Generator
from contextvars import ContextVar
from typing import Any, TypeVar

T = TypeVar("T")

_inside: ContextVar[Shield | None] = ContextVar("wares_shield", default=None)


class Shield:
    """Holds cancellations back while something is awaited.

    Attributes:
        cancellation: The error to raise afterwards, if there was a cancellation.
    """

    __slots__ = ("cancellation", "task")

    def __init__(self) -> None:
        self.cancellation: asyncio.CancelledError | None = None
        self.task: asyncio.Task[Any] | None = None

    @types.coroutine
    def hold(self, coroutine: Coroutine[Any, Any, T]) -> Generator[Any, Any, T]:
        """Run *coroutine* in this task to its end.

        Returns:
            What it returns; what it raises is raised.
        """
        outer = _inside.get()
        _inside.set(self)
        resume: Any = coroutine.send
        argument: BaseException | None = None
        try:
            while True:
                try:
                    waiting = resume(argument)
                except StopIteration as done:
                    result: T = done.value
                    return result
                try:
                    yield from self._stand_in_for(waiting)
                except BaseException as error:  # noqa: BLE001  # it belongs to the coroutine
                    resume, argument = coroutine.throw, error
                else:
                    resume, argument = coroutine.send, None
        finally:
            # Not by a token: a coroutine that is closed ends in another context.
            _inside.set(outer)

    def _stand_in_for(self, waiting: Any) -> Generator[Any, Any, None]:
        loop = asyncio.get_running_loop()
        self.task = asyncio.current_task()
        stand_in = _StandIn(self, waiting, loop=loop)
        if waiting is None:
            # A bare yield, as in asyncio.sleep(0), means: go on in the next round of the loop.
            loop.call_soon(stand_in.release)
        else:
            # By this flag a future and the task that awaits it agree that it is awaited properly
            # (asyncio.base_futures; the same from Python 3.5 on). The task sees the stand-in's.
            waiting._asyncio_future_blocking = False  # noqa: SLF001  # see above
            waiting.add_done_callback(stand_in.release)
        return stand_in.__await__()

    def note(self, message: Any) -> None:
        """Keep a cancellation for later."""
        self.cancellation = asyncio.CancelledError() if message is None else asyncio.CancelledError(message)


class _StandIn(asyncio.Future[None]):
    """What the task waits on in place of what the cleanup waits on."""

    def __init__(
        self, shield: Shield, waiting: asyncio.Future[Any] | None, *, loop: asyncio.AbstractEventLoop
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
        # Called within the task's own step it delivers what was asked for before the cleanup.
        is_inside = _inside.get() is self._shield and asyncio.current_task() is not self._shield.task
        if not is_inside:
            self._shield.note(msg)
            return True
        return super().cancel(msg) if self._waiting is None else self._waiting.cancel(msg)
