"""The only lock.

It is held for a few dictionary operations, never while a factory, a cleanup or other code of the
user runs. A thread that forks holds the lock meanwhile, so it is free in the child, too.
"""

from __future__ import annotations

import functools
import os
from _thread import RLock
from collections.abc import Callable
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

#: Re-entrant, because the garbage collector may run any code at any time.
LOCK = RLock()


def locked(function: Callable[P, T]) -> Callable[P, T]:
    """Hold the lock while *function* runs; for functions that contain a loop.

    On Python 3.13, if a signal handler raises when a loop begins its next round, a ``with`` block
    around the loop may not be exited. A ``with`` block around the call of a function always is.
    """

    @functools.wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> T:
        with LOCK:
            return function(*args, **kwargs)

    return run


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=LOCK.acquire, after_in_parent=LOCK.release, after_in_child=LOCK.release
    )
