"""Waiting in an event loop, of asyncio or trio, for a result that any thread may set."""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from concurrent.futures import Future

T = TypeVar("T")


async def wait_in_the_event_loop(future: Future[T]) -> T:
    """Wait for *future* in the event loop that is running."""
    if runs_trio():
        return await _wait_on_trio(future)
    import asyncio  # noqa: PLC0415  # takes long to import, and waiting is rare

    return await asyncio.wrap_future(future)


def runs_trio() -> bool:
    """Return whether the event loop of this thread is trio's."""
    # If trio is running, it has been imported.
    trio: Any = sys.modules.get("trio")
    return trio is not None and bool(trio.lowlevel.in_trio_run())


async def _wait_on_trio(future: Future[T]) -> T:
    trio: Any = sys.modules["trio"]

    event = trio.Event()
    token = trio.lowlevel.current_trio_token()

    def wake(_: Future[T]) -> None:
        # When trio has ended, no task waits any more.
        with suppress(trio.RunFinishedError):
            token.run_sync_soon(event.set)

    future.add_done_callback(wake)
    try:
        await event.wait()
    except BaseException:
        future.cancel()
        raise
    return future.result()
