"""The cancel scope around a request's container, which shields its cleanups.

If a request runs within a cancel scope of anyio or trio and is cancelled, every ``await`` in its
cleanups would be cancelled as well. So an adapter enters a scope of its own before it opens the
container, and this scope shields while the container closes. Scopes that services hold open across
their ``yield`` lie within it, and are exited before it.

This module imports neither anyio nor trio: if they are not loaded, there is no cancel scope.
"""

from __future__ import annotations

import sys
from asyncio import Task, current_task
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol


class CancelScope(Protocol):
    """A cancel scope of anyio or of trio."""

    shield: bool

    def __enter__(self) -> Any: ...

    def __exit__(self, *error: object) -> Any: ...


def open_shield() -> CancelScope | None:
    """Enter a cancel scope that does not shield yet.

    Returns:
        The scope, or `None` in a task of asyncio that is in no cancel scope: such a task is
        cancelled only once, so its cleanups may await anything.
    """
    try:
        task = current_task()
    except RuntimeError:
        task = None
    if task is None:
        return _enter_trio()
    if not _lies_in_a_scope(task):
        return None
    scope: CancelScope = sys.modules["anyio"].CancelScope()
    scope.__enter__()
    return scope


@contextmanager
def shielding(scope: CancelScope | None) -> Iterator[None]:
    """Let *scope* shield during a ``with`` block."""
    if scope is None:
        yield
        return
    scope.shield = True
    try:
        yield
    finally:
        scope.shield = False


@contextmanager
def leaving(scope: CancelScope | None) -> Iterator[None]:
    """Let *scope* shield during a ``with`` block, and exit the scope after it."""
    if scope is None:
        yield
        return
    try:
        with shielding(scope):
            yield
    finally:
        scope.__exit__(None, None, None)


def _enter_trio() -> CancelScope | None:
    trio = sys.modules.get("trio")
    if trio is None or not trio.lowlevel.in_trio_task():
        return None
    scope: CancelScope = trio.CancelScope()
    scope.__enter__()
    return scope


def _lies_in_a_scope(task: Task[Any]) -> bool:
    """Tell whether *task* is in a cancel scope of anyio at the moment.

    Most requests are in no scope, and entering one takes a tenth of the time of a small request.
    anyio has no public name for this state; checked with anyio 3.7 to 4.16. If another version
    keeps the state elsewhere, the answer is yes.
    """
    backend: Any = sys.modules.get("anyio._backends._asyncio")
    if backend is None:
        return False
    try:
        state = backend._task_states.get(task)
        lies_in_one: bool = state is not None and state.cancel_scope is not None
    except AttributeError:
        return True
    return lies_in_one
