"""The types of observers, as users' checkers see them."""

import logging
from collections.abc import Callable, Hashable
from typing import assert_type

from wares import Registry
from wares.observers import LogObserver, Observer
from wares.opentelemetry import OpenTelemetryObserver


class Mine(Observer):
    """An observer."""

    def made(self, key: Hashable, lifetime: str, duration: float) -> None:
        """Note it."""
        assert_type(duration, float)


registry = Registry()
assert_type(registry.observe(Mine()), Callable[[], None])
registry.observe(LogObserver(logging.getLogger("shop")))
registry.observe(OpenTelemetryObserver())

LogObserver("shop")  # type: ignore[arg-type]  # a logger, not its name
