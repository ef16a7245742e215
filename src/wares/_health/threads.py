"""Threads of the operating system, also where gevent or eventlet turn threads into greenlets.

This module knows how to start such a thread and how to wait for it.
"""

from __future__ import annotations

import contextvars
import math
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

#: How long, in seconds, a greenlet sleeps before it looks again whether a thread is done.
_SECONDS_BETWEEN_LOOKS = 0.002


def start_thread(work: Callable[[], object]) -> None:
    """Run *work*, which raises nothing, in a thread that nobody has to wait for.

    The thread is not one of a pool: a ping that hangs would occupy the pool, and keep the
    interpreter from ending. *work* sees a copy of the caller's context variables.

    Args:
        work: What to run.
    """
    context = contextvars.copy_context()
    gevent, eventlet = _find_gevent(), _find_eventlet()
    if gevent is not None:
        gevent.get_original("_thread", "start_new_thread")(context.run, (work,))
        return
    module = threading if eventlet is None else eventlet.original("threading")
    module.Thread(target=context.run, args=(work,), name="wares ping", daemon=True).start()


class Done:
    """What one thread tells another: that something is done.

    Waiting for it never keeps other greenlets from running.
    """

    def __init__(self) -> None:
        self._event = threading.Event()
        self._is_set = False

    def set(self) -> None:
        """Tell it."""
        self._is_set = True
        self._event.set()

    def wait(self, seconds: float | None = None) -> bool:
        """Wait until it is told, at most so many *seconds* if any are given.

        Returns:
            Whether it has been told.
        """
        if _find_gevent() is None and _find_eventlet() is None:
            return self._event.wait(seconds)
        # The events of gevent and eventlet wake nobody who waits in another thread.
        end = math.inf if seconds is None else time.monotonic() + seconds
        while not self._is_set and time.monotonic() < end:
            time.sleep(_SECONDS_BETWEEN_LOOKS)
        return self._is_set


def _find_gevent() -> Any:
    """Find what knows the threads as they are without gevent, if gevent has patched them.

    https://www.gevent.org/api/gevent.monkey.html
    """
    monkey = sys.modules.get("gevent.monkey")
    return monkey if monkey is not None and monkey.is_module_patched("threading") else None


def _find_eventlet() -> Any:
    """Find what knows the threads as they are without eventlet, if eventlet has patched them.

    https://eventlet.readthedocs.io/en/latest/patching.html
    """
    patcher = sys.modules.get("eventlet.patcher")
    return patcher if patcher is not None and patcher.is_monkey_patched("thread") else None
