"""Waiting in an event loop for what any thread may give: on asyncio, and on trio."""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from concurrent.futures import Future

T = TypeVar("T")


async def wait_in_the_event_loop(future: Future[T]) -> T:
    """Wait for *future* in whichever event loop runs."""
    if runs_trio():
        return await _wait_on_trio(future)
    import asyncio  # noqa: PLC0415  # takes long to import, and waiting is rare

    return await asyncio.wrap_future(future)


def runs_trio() -> bool:
    """Tell whether the event loop of this thread is trio's."""
    # Whoever runs it has imported it.
    trio: Any = sys.modules.get("trio")
    return trio is not None and bool(trio.lowlevel.in_trio_run())


async def _wait_on_trio(future: Future[T]) -> T:
    trio: Any = sys.modules["trio"]

    event = trio.Event()
    token = trio.lowlevel.current_trio_token()

    def wake(_: Future[T]) -> None:
        # After its end nobody waits any more.
        with suppress(trio.RunFinishedError):
            token.run_sync_soon(event.set)

    future.add_done_callback(wake)
    try:
        await event.wait()
    except BaseException:
        future.cancel()
        raise
    return future.result()
