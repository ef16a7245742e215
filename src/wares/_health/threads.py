"""Threads of the operating system, even if gevent or eventlet turn threads into greenlets."""

from __future__ import annotations

import contextvars
import math
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

#: How many seconds a greenlet sleeps before it checks again whether a thread is done.
_SECONDS_BETWEEN_LOOKS = 0.002


def start_thread(work: Callable[[], object]) -> None:
    """Run *work*, which raises nothing, in a thread that nothing has to wait for.

    The thread does not come from a pool: a hanging ping would occupy the pool, and keep the
    interpreter from exiting. *work* sees a copy of the caller's context variables.

    Args:
        work: The function to run.
    """
    context = contextvars.copy_context()
    gevent, eventlet = _find_gevent(), _find_eventlet()
    if gevent is not None:
        gevent.get_original("_thread", "start_new_thread")(context.run, (work,))
        return
    module = threading if eventlet is None else eventlet.original("threading")
    module.Thread(target=context.run, args=(work,), name="wares ping", daemon=True).start()


class Done:
    """An event that one thread sets, and that another thread waits for.

    While a greenlet waits, other greenlets can run.
    """

    def __init__(self) -> None:
        self._event = threading.Event()
        self._is_set = False

    def set(self) -> None:
        """Set the event."""
        self._is_set = True
        self._event.set()

    def wait(self, seconds: float | None = None) -> bool:
        """Wait until the event is set, for at most *seconds* if that is given.

        Returns:
            Whether the event has been set.
        """
        if _find_gevent() is None and _find_eventlet() is None:
            return self._event.wait(seconds)
        # The events of gevent and eventlet do not wake waiters in another thread.
        end = math.inf if seconds is None else time.monotonic() + seconds
        while not self._is_set and time.monotonic() < end:
            time.sleep(_SECONDS_BETWEEN_LOOKS)
        return self._is_set


def _find_gevent() -> Any:
    """Find gevent's module for original threads, if gevent has patched them.

    https://www.gevent.org/api/gevent.monkey.html
    """
    monkey = sys.modules.get("gevent.monkey")
    return monkey if monkey is not None and monkey.is_module_patched("threading") else None


def _find_eventlet() -> Any:
    """Find eventlet's module for original threads, if eventlet has patched them.

    https://eventlet.readthedocs.io/en/latest/patching.html
    """
    patcher = sys.modules.get("eventlet.patcher")
    return patcher if patcher is not None and patcher.is_monkey_patched("thread") else None
