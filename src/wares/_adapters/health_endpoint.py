"""The answers of health endpoints, whatever the framework.

An adapter passes the registry and parts of the request to a `HealthEndpoint`, and sends its answer.
Probes that come at the same time share one run of the pings.
"""

from __future__ import annotations

import concurrent.futures
import functools
import json
import logging
import os
import threading
import time
import weakref
from collections.abc import Iterable, Mapping
from typing import Any, Self, TypedDict

import attrs

from wares._adapters.answers import Answer
from wares._core.container import Registry
from wares._core.registrations import Registrations
from wares._core.waiting import expect_in_the_event_loop
from wares._health.loops import find_loop
from wares.exceptions import InvalidOptionError
from wares.health import (
    HealthReport,
    arun_pings,
    check_timeout,
    choose_pings,
    describe_error,
    read_tags,
    run_pings,
)

#: The media type of https://datatracker.ietf.org/doc/html/draft-inadarei-api-health-check-06.
_DETAILED = "application/health+json"
_PLAIN = "application/json"

#: The HTTP status if no service has a tag of the endpoint or of a probe.
_NOT_FOUND = 404


class HealthOptions(TypedDict, total=False):
    """The options of a health endpoint.

    Attributes:
        timeout: How many seconds a ping may take if it was registered without a limit; 5 by
            default.
        tags: Only services with one of these tags are checked; all of them by default, and none
            with ``[]``. A request may narrow them down with ``?tag=ready``. A tag that no
            service with a ping has, or a requested tag that no checked service has, is answered
            with a 404.
        ok_status: The HTTP status if every service is healthy; 200 by default.
        failing_status: The HTTP status if any service is failing; 503 by default.
        show_errors: Whether the answer contains the errors, which may contain secrets; errors are
            always logged.
        max_age: For how many seconds a report is reused, so that many probes do not cause many
            pings, whatever tags they ask for; 0 by default. Probes that come at the same time
            always share one report.
    """

    timeout: float
    tags: Iterable[str] | None
    ok_status: int
    failing_status: int
    show_errors: bool
    max_age: float


class HealthEndpoint:
    """The answers to probes, which share runs of the pings.

    Args:
        timeout: As in `HealthOptions`.
        tags: As in `HealthOptions`.
        ok_status: As in `HealthOptions`.
        failing_status: As in `HealthOptions`.
        show_errors: As in `HealthOptions`.
        max_age: As in `HealthOptions`.

    Attributes:
        ok_status: The HTTP status if every service is healthy.
        failing_status: The HTTP status if any service is failing.

    Raises:
        InvalidOptionError: An option is invalid.
    """

    def __init__(
        self,
        *,
        timeout: float = 5.0,
        tags: Iterable[str] | None = None,
        ok_status: int = 200,
        failing_status: int = 503,
        show_errors: bool = False,
        max_age: float = 0.0,
    ) -> None:
        check_timeout(timeout)
        _check_status(ok_status)
        _check_status(failing_status)
        if max_age:
            check_timeout(max_age)
        self._timeout = timeout
        self._tags = read_tags(tags)
        self.ok_status = ok_status
        self.failing_status = failing_status
        self._show_errors = show_errors
        self._max_age = max_age
        self._lock = threading.Lock()
        # An endpoint may serve several applications. Reports keep no registry alive.
        self._runs: weakref.WeakKeyDictionary[Registrations, _SharedRun] = (
            weakref.WeakKeyDictionary()
        )

    def respond(
        self, registry: Registry, *, tags: Iterable[str] = (), accept: str = ""
    ) -> Answer:
        """Run the pings in threads, and answer.

        Args:
            registry: The registry whose services are checked.
            tags: The tags in the query of the request.
            accept: The request's Accept header.

        Raises:
            RegistryClosedError: The application has ended.
        """
        wanted = frozenset(filter(None, tags))
        unknown = self._refuse_unknown(registry, wanted)
        if unknown is not None:
            return unknown
        run, is_mine = self._claim(registry)
        if is_mine:
            self._run(run, registry)
        return self._answer(run.future.result().narrow(wanted), accept)

    async def arespond(
        self, registry: Registry, *, tags: Iterable[str] = (), accept: str = ""
    ) -> Answer:
        """Run the pings in the event loop, asyncio's or trio's, and answer as `respond` does."""
        wanted = frozenset(filter(None, tags))
        unknown = self._refuse_unknown(registry, wanted)
        if unknown is not None:
            return unknown
        run, is_mine = self._claim(registry)
        if is_mine:
            # All requests share this run, so it must not depend on the context or the end of the
            # first one.
            find_loop().spawn(functools.partial(self._arun, run, registry))
        give, wait = expect_in_the_event_loop()
        run.future.add_done_callback(give)
        done = await wait()
        return self._answer(done.result().narrow(wanted), accept)

    def _refuse_unknown(self, registry: Registry, wanted: frozenset[str]) -> Answer | None:
        """Refuse unknown tags, because pings would be left out and the answer be a success."""
        if not wanted and not self._tags:
            return None
        with registry.container() as container:
            for tags, group in ((self._tags, None), (wanted, self._tags)):
                pings = choose_pings(container, group)
                known = sorted({tag for ping in pings for tag in ping.tags})
                unknown = sorted(frozenset(tags or ()).difference(known))
                if unknown:
                    content = {"unknown_tags": unknown, "known_tags": known}
                    headers = {"content-type": _PLAIN, "cache-control": "no-store"}
                    return Answer(_NOT_FOUND, headers, json.dumps(content).encode())
        return None

    def _claim(self, registry: Registry) -> tuple[_SharedRun, bool]:
        """Return a run to share or a new one, and whether the caller must run it."""
        with self._lock:
            run = self._runs.get(registry._registrations)
            if run is not None and run.can_be_shared(self._max_age):
                return run, False
            run = self._runs[registry._registrations] = _SharedRun()
            return run, True

    def _run(self, run: _SharedRun, registry: Registry) -> None:
        try:
            with registry.container() as container:
                pings = choose_pings(container, self._tags)
                report = run_pings(container, pings, self._timeout)
            _log(report)
            run.end(report)
        except BaseException as error:
            self._fail(run, registry, error)
            raise

    async def _arun(self, run: _SharedRun, registry: Registry) -> None:
        try:
            async with registry.container() as container:
                pings = choose_pings(container, self._tags)
                report = await arun_pings(container, pings, self._timeout)
            _log(report)
            run.end(report)
        except Exception as error:  # noqa: BLE001  # raised in the requests that wait for it
            self._fail(run, registry, error)
        except BaseException as error:
            self._fail(run, registry, error)
            raise

    def _fail(self, run: _SharedRun, registry: Registry, error: BaseException) -> None:
        """Raise *error* in the requests that wait for the run, and forget the run."""
        del self._runs[registry._registrations]
        run.future.set_exception(error)

    def _answer(self, findings: _Findings, accept: str) -> Answer:
        is_detailed = _prefers_details(accept)
        write = _write_details if is_detailed else _write_names
        max_age = int(self._max_age)
        headers = {
            "content-type": _DETAILED if is_detailed else _PLAIN,
            "cache-control": f"max-age={max_age}" if max_age else "no-store",
            "vary": "Accept",
        }
        status = self.ok_status if findings.report.is_healthy else self.failing_status
        content = write(findings, show_errors=self._show_errors)
        return Answer(status, headers, json.dumps(content).encode())


@attrs.frozen
class _Findings:
    """A report without its exceptions, whose tracebacks would keep an application in memory.

    Attributes:
        report: The report.
        errors: The texts of the errors, by the names of the services.
    """

    report: HealthReport
    errors: Mapping[str, str]

    @classmethod
    def of(cls, report: HealthReport) -> Self:
        """Replace the errors of *report* with their texts."""
        services = tuple([attrs.evolve(one, error=None) for one in report.services])
        errors = {
            one.name: describe_error(one.error)
            for one in report.services
            if one.error is not None
        }
        return cls(attrs.evolve(report, services=services), errors)

    def narrow(self, wanted: frozenset[str]) -> Self:
        """Keep only services with one of the *wanted* tags, or all of them if no tag is wanted."""
        if not wanted:
            return self
        services = tuple(
            [one for one in self.report.services if not wanted.isdisjoint(one.tags)]
        )
        return attrs.evolve(self, report=attrs.evolve(self.report, services=services))


class _SharedRun:
    """One run of the pings, for all requests that come meanwhile or within its ``max_age``."""

    def __init__(self) -> None:
        self.future: concurrent.futures.Future[_Findings] = concurrent.futures.Future()
        # A waiter that is cancelled must not cancel the future, which others await.
        self.future.set_running_or_notify_cancel()
        self._end = float("-inf")
        self._process = os.getpid()

    def can_be_shared(self, max_age: float) -> bool:
        """Tell whether another request may use the report of this run."""
        if self._process != os.getpid():
            # The run began before a fork, and does not continue in the child process.
            return False
        return not self.future.done() or time.monotonic() < self._end + max_age

    def end(self, report: HealthReport) -> None:
        """Pass the report to all waiting requests."""
        self._end = time.monotonic()
        self.future.set_result(_Findings.of(report))


def _check_status(status: object) -> None:
    if not isinstance(status, int) or not 200 <= status < 600:  # noqa: PLR2004  # final statuses
        raise InvalidOptionError(f"An HTTP status is a number from 200 to 599, not {status!r}.")


def _log(report: HealthReport) -> None:
    for service in report.services:
        if not service.is_healthy:
            logging.getLogger("wares").error(
                "The service %s is failing.",
                service.name,
                exc_info=service.error,
                extra={"wares_service_name": service.name},
            )


def _prefers_details(accept: str) -> bool:
    """Tell whether an Accept header names the detailed format."""
    qualities = dict(map(_read_media_range, accept.split(",")))
    quality = qualities.get(_DETAILED, 0.0)
    return quality > 0 and quality >= qualities.get(_PLAIN, 0.0)


def _read_media_range(text: str) -> tuple[str, float]:
    """Read one part of an Accept header (RFC 9110, section 12.5.1): the type, and its quality."""
    kind, *parameters = (part.strip().lower() for part in text.split(";"))
    quality = next((part[2:] for part in parameters if part.startswith("q=")), "1")
    try:
        return kind, float(quality)
    except ValueError:
        return kind, 0.0


def _write_names(findings: _Findings, *, show_errors: bool) -> dict[str, Any]:
    """Write the names of healthy and failing services."""
    report = findings.report
    content: dict[str, Any] = {"ok": report.ok, "failing": report.failing}
    if show_errors:
        content["errors"] = {name: findings.errors[name] for name in report.failing}
    return content


def _write_details(findings: _Findings, *, show_errors: bool) -> dict[str, Any]:
    """Write how long each ping took, in the format of the draft "Health Check Response Format"."""
    report = findings.report
    checks: dict[str, list[dict[str, Any]]] = {}
    for service in report.services:
        entry: dict[str, Any] = {
            "status": "pass" if service.is_healthy else "fail",
            "observedValue": round(service.duration * 1000, 3),
            "observedUnit": "ms",
            "time": report.time.isoformat(),
        }
        if show_errors and service.name in findings.errors:
            entry["output"] = findings.errors[service.name]
        # The draft puts a colon between the names of service and measurement.
        name = service.name.replace(":", ".")
        checks.setdefault(f"{name}:responseTime", []).append(entry)
    return {"status": "pass" if report.is_healthy else "fail", "checks": checks}
