"""Start and end an ASGI application as a server does, for commands and test clients.

This module implements the server's side of the lifespan protocol (https://asgi.readthedocs.io).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, MutableMapping
from typing import Any


@contextlib.asynccontextmanager
async def started(
    app: Callable[..., Any], make_error: Callable[[str], Exception] = RuntimeError
) -> AsyncIterator[MutableMapping[str, Any]]:
    """Start an application and end it, if it has a lifespan.

    Args:
        app: The application.
        make_error: Makes the exception to raise if the application reports a failure without
            raising one.

    Returns:
        A context manager that gives the state of the lifespan.
    """
    state: dict[str, Any] = {}
    events: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    answers: asyncio.Queue[MutableMapping[str, Any]] = asyncio.Queue()
    scope = {"type": "lifespan", "asgi": {"version": "3.0"}, "state": state}
    task = asyncio.ensure_future(app(scope, events.get, answers.put))

    async def exchange(phase: str) -> bool:
        """Send an event, and tell whether the application has handled it."""
        await events.put({"type": f"lifespan.{phase}"})
        answering = asyncio.ensure_future(answers.get())
        waiting: set[asyncio.Future[Any]] = {task, answering}
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        if not answering.done():
            answering.cancel()
            # Servers treat an application that raises or returns here as one without a lifespan.
            await asyncio.gather(task, return_exceptions=True)
            return False
        answer = answering.result()
        if answer["type"] == f"lifespan.{phase}.complete":
            return True
        await task
        raise make_error(f"The application failed in its {phase}:\n{answer.get('message', '')}")

    has_lifespan = await exchange("startup")
    try:
        yield state
    finally:
        if has_lifespan:
            await exchange("shutdown")
            await task
