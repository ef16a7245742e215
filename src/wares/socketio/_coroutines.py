"""Logic that is written once, as coroutines, and serves synchronous servers as well.

This module knows that such a coroutine never suspends there.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


def run(work: Coroutine[Any, Any, T]) -> T:
    """Take a coroutine that never suspends to its end."""
    try:
        work.send(None)
    except StopIteration as end:
        result: T = end.value
        return result
    raise RuntimeError("Something has suspended on a synchronous Socket.IO server.")


def as_function(work: Callable[..., Coroutine[Any, Any, T]]) -> Callable[..., T]:
    """Make a function that runs the coroutines of *work*."""
    return lambda *args: run(work(*args))


def as_coroutine_function(work: Callable[..., T]) -> Callable[..., Coroutine[Any, Any, T]]:
    """Make a coroutine function of one that is none."""

    async def call(*args: Any) -> T:
        return work(*args)

    return call
