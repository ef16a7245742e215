"""The interface of observers of a registry, and an observer that writes to the log."""

from __future__ import annotations

import logging
from collections.abc import Hashable

from wares._core.keys import describe

__all__ = ["LogObserver", "Observer"]


class Observer:
    """A base class for observers, whose methods do nothing.

    `Registry.observe` takes any object that has at least one of these methods, so observers need
    not inherit from this class. The methods run in the thread or event loop that makes the
    service, so they should be quick. Their exceptions are only logged.
    """

    def making(self, key: Hashable, lifetime: str) -> None:
        """Note that a service is about to be made, after the services that it needs.

        Args:
            key: The key of the service.
            lifetime: The lifetime of the service.
        """

    def made(self, key: Hashable, lifetime: str, duration: float) -> None:
        """Note that a service was made.

        Args:
            key: The key of the service.
            lifetime: The lifetime of the service.
            duration: How many seconds its factory took, not counting the services in its signature.
        """

    def failed(
        self, key: Hashable, lifetime: str, duration: float, error: BaseException
    ) -> None:
        """Note that a service was not made.

        Args:
            key: The key of the service.
            lifetime: The lifetime of the service.
            duration: How many seconds its factory took.
            error: The exception of its factory.
        """

    def closing(self, key: Hashable, lifetime: str) -> None:
        """Note that a service is about to be cleaned up.

        Args:
            key: The key of the service.
            lifetime: The lifetime of the service.
        """

    def closed(self, key: Hashable, lifetime: str, duration: float) -> None:
        """Note that a service was cleaned up, or that its cleanup failed.

        Args:
            key: The key of the service.
            lifetime: The lifetime of the service.
            duration: How many seconds its cleanup took.
        """


class LogObserver(Observer):
    """An observer that writes to the log, at level ``DEBUG``, and never writes a service itself.

    Records have the fields ``wares_service_name`` and ``wares_lifetime``. Those of `made`,
    `failed` and `closed` also have ``wares_duration``, in seconds.

    Args:
        logger: The logger; ``wares`` by default.
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
        """Log that a service was not made, and the type of the error."""
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
