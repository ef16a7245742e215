"""What a health endpoint answers, whichever framework it is in.

This module knows status codes, media types and how probes share one run of the pings. It must not
know a framework: an adapter tells it the registry and what was asked, and sends the answer.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextvars
import json
import logging
import threading
import time
import weakref
from collections.abc import Iterable, Mapping
from typing import Any, TypedDict

import attrs

from wares._core.container import Registry
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


class HealthOptions(TypedDict, total=False):
    """How a health endpoint checks and answers.

    Attributes:
        timeout: How many seconds a ping may take that was registered without a limit of its own;
            5 if left out.
        tags: Only services with one of these tags are checked; all, if left out. A request may
            narrow them down: ``?tag=ready``.
        ok_status: The HTTP status when every service is well; 200 if left out.
        failing_status: The HTTP status when one is not; 503 if left out.
        show_errors: Whether the answer tells the errors, which may hold secrets; they are logged
            in any case.
        max_age: For how many seconds a report is kept, so that many probes do not become many
            pings; 0 if left out. Probes that come at the same time share one report anyway.
    """

    timeout: float
    tags: Iterable[str] | None
    ok_status: int
    failing_status: int
    show_errors: bool
    max_age: float


@attrs.frozen
class HealthAnswer:
    """What is sent.

    Attributes:
        status: The HTTP status.
        headers: The HTTP headers, with lower-case names.
        body: JSON.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes


class HealthEndpoint:
    """Answers probes.

    Args:
        timeout: As in `HealthOptions`, like what follows.
        tags: See there.
        ok_status: See there.
        failing_status: See there.
        show_errors: See there.
        max_age: See there.

    Attributes:
        ok_status: The HTTP status when every service is well.
        failing_status: The HTTP status when one is not.

    Raises:
        InvalidOptionError: One of them cannot work.
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
        self._runs: dict[frozenset[str] | None, _SharedRun] = {}

    def respond(
        self, registry: Registry, *, tags: Iterable[str] = (), accept: str = ""
    ) -> HealthAnswer:
        """Run the pings in threads, and answer.

        Args:
            registry: Whose services are checked.
            tags: What the request's query names.
            accept: The request's Accept header.

        Raises:
            RegistryClosedError: The application has ended.
        """
        run, is_mine = self._claim(registry, tags)
        if is_mine:
            self._run(run, registry)
        return self._answer(run.future.result(), accept)

    async def arespond(
        self, registry: Registry, *, tags: Iterable[str] = (), accept: str = ""
    ) -> HealthAnswer:
        """Run the pings in the event loop, and answer; as `respond`."""
        run, is_mine = self._claim(registry, tags)
        if is_mine:
            # It belongs to all who wait for it: neither the context of the first request nor its
            # end may matter.
            run.task = asyncio.get_running_loop().create_task(
                self._arun(run, registry), context=contextvars.Context()
            )
        return self._answer(await asyncio.wrap_future(run.future), accept)

    def _claim(self, registry: Registry, tags: Iterable[str]) -> tuple[_SharedRun, bool]:
        """Find a run to share, or begin one; tell whether it is on the caller to run it."""
        narrowed = frozenset(tags) & _tags_of(registry) if tags else None
        with self._lock:
            run = self._runs.get(narrowed)
            if run is not None and run.can_be_shared(registry, self._max_age):
                return run, False
            run = self._runs[narrowed] = _SharedRun(registry, narrowed)
            return run, True

    def _run(self, run: _SharedRun, registry: Registry) -> None:
        try:
            with registry.container() as container:
                pings = choose_pings(container, self._tags, run.tags)
                report = run_pings(container, pings, self._timeout)
        except BaseException as error:
            run.end(error)
            raise
        _log(report)
        run.end(report)

    async def _arun(self, run: _SharedRun, registry: Registry) -> None:
        try:
            async with registry.container() as container:
                pings = choose_pings(container, self._tags, run.tags)
                report = await arun_pings(container, pings, self._timeout)
        except Exception as error:  # noqa: BLE001  # raised where it is waited for
            run.end(error)
        except BaseException as error:
            run.end(error)
            raise
        else:
            _log(report)
            run.end(report)

    def _answer(self, report: HealthReport, accept: str) -> HealthAnswer:
        is_detailed = _prefers_details(accept)
        write = _write_details if is_detailed else _write_names
        max_age = int(self._max_age)
        headers = {
            "content-type": _DETAILED if is_detailed else _PLAIN,
            "cache-control": f"max-age={max_age}" if max_age else "no-store",
            "vary": "Accept",
        }
        status = self.ok_status if report.is_healthy else self.failing_status
        content = write(report, show_errors=self._show_errors)
        return HealthAnswer(status, headers, json.dumps(content).encode())


class _SharedRun:
    """One run of the pings, for all who ask meanwhile or soon after."""

    #: The task that runs it, where one does; the event loop itself would not hold on to it.
    task: asyncio.Task[None]

    def __init__(self, registry: Registry, tags: frozenset[str] | None) -> None:
        self.tags = tags
        self.future: concurrent.futures.Future[HealthReport] = concurrent.futures.Future()
        # From now on no waiter that is cancelled can cancel it.
        self.future.set_running_or_notify_cancel()
        self._registry = weakref.ref(registry)
        self._end = float("-inf")

    def can_be_shared(self, registry: Registry, max_age: float) -> bool:
        """Tell whether its report will do, or do still."""
        if self._registry() is not registry:
            # The application was started anew.
            return False
        return not self.future.done() or time.monotonic() < self._end + max_age

    def end(self, outcome: HealthReport | BaseException) -> None:
        """Give the report, or the error, to all who wait."""
        if isinstance(outcome, BaseException):
            self.future.set_exception(outcome)
        else:
            self._end = time.monotonic()
            self.future.set_result(outcome)


def _tags_of(registry: Registry) -> frozenset[str]:
    """List the tags there are, so that made-up ones do not count as different questions."""
    recipes = list(registry._known.recipes.values())
    return frozenset(tag for recipe in recipes for tag in recipe.tags)


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
    """Tell whether an Accept header asks for the detailed format by its name."""
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


def _write_names(report: HealthReport, *, show_errors: bool) -> dict[str, Any]:
    """Write who is well and who is not."""
    content: dict[str, Any] = {"ok": report.ok, "failing": report.failing}
    if show_errors:
        content["errors"] = {
            service.name: describe_error(service.error)
            for service in report.services
            if service.error is not None
        }
    return content


def _write_details(report: HealthReport, *, show_errors: bool) -> dict[str, Any]:
    """Write how long each ping took, as the draft "Health Check Response Format" has it."""
    checks: dict[str, list[dict[str, Any]]] = {}
    for service in report.services:
        entry: dict[str, Any] = {
            "status": "pass" if service.is_healthy else "fail",
            "observedValue": round(service.duration * 1000, 3),
            "observedUnit": "ms",
            "time": report.time.isoformat(),
        }
        if show_errors and service.error is not None:
            entry["output"] = describe_error(service.error)
        # The draft separates the names of service and measurement by a colon.
        name = service.name.replace(":", ".")
        checks.setdefault(f"{name}:responseTime", []).append(entry)
    return {"status": "pass" if report.is_healthy else "fail", "checks": checks}
