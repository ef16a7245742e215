"""Telling observers what is made and cleaned up, and how long it took.

This module knows the five things that observers are told. It must not know how services are made
or cleaned up: both are handed to it. Nothing here runs for a registry that nobody observes.
"""

from __future__ import annotations

import inspect
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import attrs

from wares._core.recipes import Recipe, give_all

if TYPE_CHECKING:
    from wares._core.cleanups import Entry

#: What observers are told, each as a method that they may have.
EVENTS = ("making", "made", "failed", "closing", "closed")


@attrs.frozen(eq=False, repr=False)
class Left:
    """Something to be left, and who is told of it."""

    leave: Callable[..., Any]
    thing: Any
    observers: tuple[object, ...]


async def observe_making(
    observers: tuple[object, ...],
    recipe: Recipe,
    make: Callable[[], Awaitable[tuple[Any, Entry | None]]],
) -> tuple[Any, Entry | None]:
    """Make a service by *make*; tell *observers* of it, and later of its cleanup."""
    if recipe.factory is give_all:
        # What a call needs is no service.
        return await make()
    _tell(observers, "making", recipe)
    begin = time.perf_counter()
    try:
        service, entry = await make()
    except BaseException as error:
        _tell(observers, "failed", recipe, time.perf_counter() - begin, error)
        raise
    _tell(observers, "made", recipe, time.perf_counter() - begin)
    if entry is None:
        return service, None
    leave, thing, _ = entry
    is_async = inspect.iscoroutinefunction(leave)
    observing = aleave_observed if is_async else leave_observed
    return service, (observing, Left(leave, thing, observers), recipe)


def leave_observed(left: Left, recipe: Recipe, error: BaseException | None) -> None:
    """Leave something, and tell of it."""
    _tell(left.observers, "closing", recipe)
    begin = time.perf_counter()
    try:
        left.leave(left.thing, recipe, error)
    finally:
        _tell(left.observers, "closed", recipe, time.perf_counter() - begin)


async def aleave_observed(left: Left, recipe: Recipe, error: BaseException | None) -> None:
    """Leave something, awaiting it, and tell of it."""
    _tell(left.observers, "closing", recipe)
    begin = time.perf_counter()
    try:
        await left.leave(left.thing, recipe, error)
    finally:
        _tell(left.observers, "closed", recipe, time.perf_counter() - begin)


def _tell(observers: tuple[object, ...], event: str, recipe: Recipe, *facts: object) -> None:
    for observer in observers:
        method = getattr(observer, event, None)
        if method is not None:
            _call(method, recipe, facts)


def _call(method: Callable[..., object], recipe: Recipe, facts: tuple[object, ...]) -> None:
    """Tell one observer; what goes wrong there must not touch what is observed."""
    try:
        method(recipe.key, recipe.lifetime, *facts)
    except Exception:  # an observer may raise anything
        import logging  # noqa: PLC0415  # only a failure needs it

        logging.getLogger("wares").exception("An observer failed.")
