"""Turns, which keep a ping from running twice at the same time."""

from __future__ import annotations

import os
import time
from typing import Any, Self

from wares._core.pings import ServicePing

#: The pings that are running. Each keeps references to the parts of its identity.
_running: dict[tuple[object, ...], Turn] = {}

#: How many seconds a ping waits before it checks again whether another run has ended.
SECONDS_BETWEEN_LOOKS = 0.005


class Turn:
    """A run of a ping, from its beginning until everything that it started has ended.

    Args:
        ping: The ping. Two pings are the same if they have the same registry, key and callable.
        seconds: How long the run may take. A run that takes longer hangs, and others do not wait
            for it.
    """

    def __init__(self, ping: ServicePing, seconds: float) -> None:
        self._ping = ping
        self._seconds = seconds
        registry, check = ping._container._makers.registry, ping._ping
        self._identity = (id(registry), ping.key, id(check))
        self._holds_on_to: tuple[Any, ...] = (registry, check)
        self.begin = time.monotonic()
        # Each part that ends pops one entry, and the last part pops the first entry, which is true.
        # `pop` is atomic, so this needs no lock, which gevent or eventlet might have replaced.
        self._parts = [True]

    def begin_unless_running(self) -> Self | Turn:
        """Begin, unless another run of the ping is going on.

        Returns:
            This run, if it has begun; otherwise the other run.
        """
        self.begin = time.monotonic()
        return _running.setdefault(self._identity, self)

    @property
    def age(self) -> float:
        """How many seconds the run has taken so far."""
        return time.monotonic() - self.begin

    @property
    def hangs(self) -> bool:
        """Whether the run has taken longer than it may."""
        return self.age > self._seconds

    def share(self) -> None:
        """Note that another part of the run has begun, which may end after the first one."""
        self._parts.append(False)

    def leave(self) -> None:
        """Note that a part of the run has ended; after the last one, the next run may begin."""
        if self._parts.pop():
            _running.pop(self._identity, None)


if hasattr(os, "register_at_fork"):
    # The threads of the parent do not continue in a child process.
    os.register_at_fork(after_in_child=_running.clear)
