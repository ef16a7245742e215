"""What may observe a registry, and an observer that writes to the log."""

from __future__ import annotations

import logging
from collections.abc import Hashable

from wares._core.keys import describe

__all__ = ["LogObserver", "Observer"]


class Observer:
    """A base for observers, which does nothing; an observer need not inherit from it.

    `Registry.observe` takes any object that has one of these methods, or several. They are called
    where services are made: in the event loop or in a thread, and they should be quick. Their
    exceptions are logged, and go no further.
    """

    def making(self, key: Hashable, lifetime: str) -> None:
        """Be told that a service is about to be made; what it needs has been made by now.

        Args:
            key: What the service is asked for by.
            lifetime: Which owner keeps it.
        """

    def made(self, key: Hashable, lifetime: str, duration: float) -> None:
        """Be told that a service was made.

        Args:
            key: What the service is asked for by.
            lifetime: Which owner keeps it.
            duration: How long its factory took, in seconds, without what it needs by its
                signature.
        """

    def failed(
        self, key: Hashable, lifetime: str, duration: float, error: BaseException
    ) -> None:
        """Be told that a service was not made.

        Args:
            key: What the service is asked for by.
            lifetime: Which owner would have kept it.
            duration: How long its factory took, in seconds.
            error: What its factory raised.
        """

    def closing(self, key: Hashable, lifetime: str) -> None:
        """Be told that a service is about to be cleaned up.

        Args:
            key: What the service is asked for by.
            lifetime: Which owner has kept it.
        """

    def closed(self, key: Hashable, lifetime: str, duration: float) -> None:
        """Be told that a service was cleaned up, or that its cleanup failed.

        Args:
            key: What the service is asked for by.
            lifetime: Which owner has kept it.
            duration: How long its cleanup took, in seconds.
        """


class LogObserver(Observer):
    """Writes all of it to the log, at level ``DEBUG``, and never a service itself.

    Records carry the fields ``wares_service_name``, ``wares_lifetime`` and, where there is one,
    ``wares_duration`` in seconds.

    Args:
        logger: Where to; left out, it is the logger ``wares``.
    """

    def __init__(self, logger: logging.Logger | None = None) -> None:
        self._logger = logging.getLogger("wares") if logger is None else logger

    def making(self, key: Hashable, lifetime: str) -> None:
        """Log that a service is about to be made."""
        self._log("Making %s.", key, lifetime)

    def made(self, key: Hashable, lifetime: str, duration: float) -> None:
        """Log that a service was made."""
        self._log("Made %s.", key, lifetime, duration)

    def failed(
        self, key: Hashable, lifetime: str, duration: float, error: BaseException
    ) -> None:
        """Log that a service was not made, and by which type of error."""
        kind = type(error).__qualname__
        self._log(f"Making %s failed with {kind}.", key, lifetime, duration)

    def closing(self, key: Hashable, lifetime: str) -> None:
        """Log that a service is about to be cleaned up."""
        self._log("Cleaning up %s.", key, lifetime)

    def closed(self, key: Hashable, lifetime: str, duration: float) -> None:
        """Log that a service was cleaned up."""
        self._log("Cleaned up %s.", key, lifetime, duration)

    def _log(
        self, message: str, key: Hashable, lifetime: str, duration: float | None = None
    ) -> None:
        if not self._logger.isEnabledFor(logging.DEBUG):
            return
        name = describe(key)
        fields: dict[str, object] = {"wares_service_name": name, "wares_lifetime": lifetime}
        if duration is not None:
            fields["wares_duration"] = duration
        self._logger.debug(message, name, extra=fields)
