"""No ping runs twice at the same time."""

from __future__ import annotations

import os
import time
from typing import Any, Self

from wares._core.pings import ServicePing

#: The pings that are running. Each holds on to what its identity is made of.
_running: dict[tuple[object, ...], Turn] = {}

#: How long, in seconds, a ping waits before it looks again whether another run has ended.
SECONDS_BETWEEN_LOOKS = 0.005


class Turn:
    """The one run of a ping, from its beginning until everything that it started has ended.

    Args:
        ping: What is to be run. Two pings are the same if they are registered on one registry,
            under one key, with one callable.
        seconds: How long the run may take. One that takes longer hangs: it is not waited for.
    """

    def __init__(self, ping: ServicePing, seconds: float) -> None:
        self._ping = ping
        self._seconds = seconds
        registry, check = ping._container._makers.registry, ping._ping
        self._identity = (id(registry), ping.key, id(check))
        self._holds_on_to: tuple[Any, ...] = (registry, check)
        self.begin = time.monotonic()
        # The last one to leave takes the first entry. Taking one is atomic, so no lock is needed,
        # which gevent or eventlet might have replaced.
        self._parts = [True]

    def begin_unless_running(self) -> Self | Turn:
        """Begin, unless another run of the ping has not ended.

        Returns:
            This run if it has begun, else the one that is in its way.
        """
        self.begin = time.monotonic()
        return _running.setdefault(self._identity, self)

    @property
    def age(self) -> float:
        """For how many seconds it has been running."""
        return time.monotonic() - self.begin

    @property
    def hangs(self) -> bool:
        """Whether it has taken longer than it may."""
        return self.age > self._seconds

    def share(self) -> None:
        """Note that one more part of the run has begun, which may end after the others."""
        self._parts.append(False)

    def leave(self) -> None:
        """Note that a part of the run has ended; after the last one, the next run may begin."""
        if self._parts.pop():
            _running.pop(self._identity, None)


if hasattr(os, "register_at_fork"):
    # The threads of the parent do not go on in a child process.
    os.register_at_fork(after_in_child=_running.clear)
