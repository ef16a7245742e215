"""An observer that reports to OpenTelemetry how long it takes to make services."""

from __future__ import annotations

import time
from collections.abc import Hashable

from wares._adapters.extras import needs_extra
from wares._core.keys import describe
from wares.observers import Observer

with needs_extra("wares.opentelemetry", "opentelemetry"):
    from opentelemetry import metrics, trace
    from opentelemetry.trace import Status, StatusCode

__all__ = ["OpenTelemetryObserver"]

_NANOSECONDS = 1_000_000_000


class OpenTelemetryObserver(Observer):
    """An observer that makes a span, below the current one, for each service that is made.

    Spans have names like ``make Session``, and the attributes ``wares.service.name`` and
    ``wares.service.lifetime``. The histogram ``wares.service.make.duration``, in seconds, has the
    same attributes, and ``error.type`` if the factory failed.

    Args:
        tracer_provider: The provider of the tracer; the global one by default.
        meter_provider: The provider of the histogram; the global one by default.
    """

    def __init__(
        self,
        tracer_provider: trace.TracerProvider | None = None,
        meter_provider: metrics.MeterProvider | None = None,
    ) -> None:
        self._tracer = trace.get_tracer("wares", tracer_provider=tracer_provider)
        meter = metrics.get_meter("wares", meter_provider=meter_provider)
        self._durations = meter.create_histogram(
            "wares.service.make.duration",
            unit="s",
            description="The time that it takes to make a service.",
        )

    def made(self, key: Hashable, lifetime: str, duration: float) -> None:
        """Report that a service was made."""
        self._report(key, lifetime, duration, None)

    def failed(
        self, key: Hashable, lifetime: str, duration: float, error: BaseException
    ) -> None:
        """Report that a service was not made, and why."""
        self._report(key, lifetime, duration, error)

    def _report(
        self, key: Hashable, lifetime: str, duration: float, error: BaseException | None
    ) -> None:
        attributes = {
            "wares.service.name": describe(key),
            "wares.service.lifetime": lifetime,
        }
        if error is not None:
            attributes["error.type"] = type(error).__qualname__
        self._durations.record(duration, attributes)
        end = time.time_ns()
        span = self._tracer.start_span(
            f"make {describe(key)}",
            attributes=attributes,
            start_time=end - int(duration * _NANOSECONDS),
        )
        if error is not None:
            span.record_exception(error)
            span.set_status(Status(StatusCode.ERROR))
        span.end(end)
