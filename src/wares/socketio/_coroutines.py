"""Coroutines that also serve synchronous servers, so that nothing has to be written twice.

On a synchronous server, no such coroutine ever suspends, so it runs without an event loop.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from wares._core.container import Container

T = TypeVar("T")


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine that never suspends."""
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
    """Make a coroutine function of a synchronous function."""

    async def call(*args: Any) -> T:
        return work(*args)

    return call


async def close(container: Container, error: BaseException | None, *, can_await: bool) -> None:
    """Close a container with the exception that has ended its event, if there is one."""
    if can_await:
        await container.__aexit__(None, error, None)
    else:
        container.__exit__(None, error, None)
