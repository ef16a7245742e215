"""Telling observers which services are made and cleaned up, and how long it took.

Nothing here runs for a registry without observers.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from wares._core.recipes import Recipe

#: The methods that an observer may have.
EVENTS = ("making", "made", "failed", "closing", "closed")


def observe_beginning(observers: tuple[object, ...], recipe: Recipe) -> float:
    """Tell observers that a service is about to be made; return the time."""
    _tell(observers, "making", recipe)
    return time.perf_counter()


def observe_end(
    observers: tuple[object, ...],
    recipe: Recipe,
    begin: float,
    error: BaseException | None = None,
) -> None:
    """Tell observers that a service was made, or that making it failed with *error*."""
    duration = time.perf_counter() - begin
    if error is None:
        _tell(observers, "made", recipe, duration)
    else:
        _tell(observers, "failed", recipe, duration, error)


@contextmanager
def observe_leaving(observers: tuple[object, ...], recipe: Recipe) -> Iterator[None]:
    """Tell observers that a service is cleaned up while the block lasts."""
    _tell(observers, "closing", recipe)
    begin = time.perf_counter()
    try:
        yield
    finally:
        _tell(observers, "closed", recipe, time.perf_counter() - begin)


def _tell(observers: tuple[object, ...], event: str, recipe: Recipe, *facts: object) -> None:
    for observer in observers:
        method = getattr(observer, event, None)
        if method is not None:
            _call(method, recipe, facts)


def _call(method: Callable[..., object], recipe: Recipe, facts: tuple[object, ...]) -> None:
    """Call a method of an observer; an error in it must not affect the service."""
    try:
        method(recipe.key, recipe.lifetime, *facts)
    except Exception:  # an observer may raise anything
        import logging  # noqa: PLC0415  # only a failure needs it

        logging.getLogger("wares").exception("An observer failed.")
