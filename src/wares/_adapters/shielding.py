"""The cancel scope that lies around a request's container, and shields its cleanups.

Where a request lies within a cancel scope of anyio or trio, whatever its cleanups await would be
cancelled again and again once the request is. So such a scope is entered before the container is
opened, and shields while the container closes. Services may hold scopes of their own open across
their ``yield``: these lie within it, and are left before it.

This module knows anyio and trio, but imports neither: who has not loaded them has no cancel scope.
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
        The scope; `None` where nothing can cancel as cancel scopes do: a task of asyncio that lies
        within none is cancelled once, and its cleanups may await whatever they like.
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
    """Let *scope* shield while a ``with`` block lasts."""
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
    """Let *scope* shield while a ``with`` block lasts, and leave it after that."""
    try:
        with shielding(scope):
            yield
    finally:
        if scope is not None:
            scope.__exit__(None, None, None)


def _enter_trio() -> CancelScope | None:
    trio = sys.modules.get("trio")
    if trio is None or not trio.lowlevel.in_trio_task():
        return None
    scope: CancelScope = trio.CancelScope()
    scope.__enter__()
    return scope


def _lies_in_a_scope(task: Task[Any]) -> bool:
    """Tell whether a cancel scope of anyio lies around what *task* runs at the moment.

    Entering a scope takes a tenth of the time of a small request, and most requests lie in none.
    anyio keeps this to itself; looked up in anyio 3.7 to 4.16. Where a version keeps it elsewhere,
    there may always be one.
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
