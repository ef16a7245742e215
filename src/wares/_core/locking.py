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
    """Hold the lock while *function* runs; for whatever loops.

    On Python 3.13, a signal handler that raises where a loop begins its next round may leave a
    ``with`` block around the loop without its exit. It cannot do that in a function of its own.
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
