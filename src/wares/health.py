"""All pings of a container, run at once, and what came of them.

This module knows how pings are run together: concurrently, each within its time, each in a
container of its own. It must not know HTTP, nor who asks.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextvars
import inspect
import logging
import threading
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any, Literal

import attrs

from wares._core.container import Container
from wares._core.pings import ServicePing
from wares._core.recipes import is_positive_number
from wares.exceptions import InvalidOptionError

__all__ = ["HealthReport", "ServiceHealth", "acheck", "check"]

#: How long, in seconds, a ping that has been cancelled may take to clean up before it is left to
#: itself.
_SECONDS_TO_GIVE_UP = 1.0

#: Pings that did not even give up. Somebody has to hold on to them while they run.
_abandoned: set[asyncio.Task[None]] = set()


@attrs.frozen
class ServiceHealth:
    """What came of one ping.

    Attributes:
        name: The service's name, unique within the report.
        status: ``"ok"`` or ``"failing"``.
        duration: How long making and checking the service took, in seconds.
        error: Why it is failing; `TimeoutError` where it took too long.
        tags: The groups that the service belongs to.
    """

    name: str
    status: Literal["ok", "failing"]
    duration: float
    error: BaseException | None = attrs.field(default=None, repr=False)
    tags: tuple[str, ...] = ()

    @property
    def is_healthy(self) -> bool:
        """Whether the service is well."""
        return self.status == "ok"


@attrs.frozen
class HealthReport:
    """What came of all pings, in the order in which the services were registered.

    Attributes:
        services: One entry for each ping.
        time: When the check began (UTC).
    """

    services: tuple[ServiceHealth, ...]
    time: datetime

    @property
    def is_healthy(self) -> bool:
        """Whether every service is well; also where there is none."""
        return all(service.is_healthy for service in self.services)

    @property
    def ok(self) -> list[str]:
        """The names of the services that are well."""
        return [service.name for service in self.services if service.is_healthy]

    @property
    def failing(self) -> list[str]:
        """The names of the services that are not."""
        return [service.name for service in self.services if not service.is_healthy]

    def as_dict(self, *, show_errors: bool = False) -> dict[str, Any]:
        """Give the report as plain data, fit for JSON.

        Args:
            show_errors: Whether it tells the types and texts of errors, which may hold secrets.
        """
        return {
            "is_healthy": self.is_healthy,
            "time": self.time.isoformat(),
            "services": [
                _as_dict(service, show_errors=show_errors) for service in self.services
            ],
        }


def _as_dict(service: ServiceHealth, *, show_errors: bool) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "name": service.name,
        "status": service.status,
        "duration": service.duration,
        "tags": list(service.tags),
    }
    if show_errors and service.error is not None:
        entry["error"] = describe_error(service.error)
    return entry


def describe_error(error: BaseException) -> str:
    """Write the type and the text of *error* in one line."""
    text = " ".join(str(error).split())
    return f"{type(error).__qualname__}: {text}" if text else type(error).__qualname__


def check(
    container: Container, *, timeout: float = 5.0, tags: Iterable[str] | None = None
) -> HealthReport:
    """Run the pings of a container, concurrently, in threads.

    Each ping gets its service from a child of *container*, so that no two of them share what
    cannot be shared, and cleans up behind itself. One that takes too long is left behind.

    >>> from wares import Registry
    >>> registry = Registry()
    >>> registry.register_value(int, 5, ping=lambda number: number + 1)
    >>> registry.register_value(str, "five", ping=lambda text: text + 1)
    >>> with registry.container() as container:
    ...     report = check(container)
    >>> report.is_healthy, report.ok, report.failing
    (False, ['int'], ['str'])

    Args:
        container: Whose services are checked.
        timeout: How many seconds a ping may take that was registered without a limit of its own;
            making the service counts.
        tags: Only services with one of these tags are checked; all, if left out.

    Returns:
        What came of each ping. One that must be awaited is failing, with `AsyncServiceError`.

    Raises:
        InvalidOptionError: *timeout* is no positive number, *tags* are no strings.
        ContainerClosedError: The container is closed.
    """
    check_timeout(timeout)
    return run_pings(container, choose_pings(container, read_tags(tags)), timeout)


async def acheck(
    container: Container,
    *,
    timeout: float = 5.0,  # noqa: ASYNC109  # of each ping, not of the whole
    tags: Iterable[str] | None = None,
) -> HealthReport:
    """Run the pings of a container as `check` does, awaiting what has to be awaited.

    Services are made in the event loop. A ping that is a plain function runs in a thread, and
    what awaitable it returns is awaited in the event loop.

    Args:
        container: Whose services are checked.
        timeout: As in `check`. A ping that takes longer is cancelled.
        tags: As in `check`.

    Returns:
        What came of each ping.

    Raises:
        InvalidOptionError: *timeout* is no positive number, *tags* are no strings.
        ContainerClosedError: The container is closed.
    """
    check_timeout(timeout)
    return await arun_pings(container, choose_pings(container, read_tags(tags)), timeout)


def run_pings(container: Container, pings: list[ServicePing], seconds: float) -> HealthReport:
    """Run *pings* in threads; those without a limit of their own may take so many *seconds*."""
    begin = datetime.now(UTC)
    runs = [_Run(container, ping, seconds) for ping in pings]
    for run in runs:
        run.future = start_thread(run.run)
    return HealthReport(tuple([run.wait() for run in runs]), begin)


async def arun_pings(
    container: Container, pings: list[ServicePing], seconds: float
) -> HealthReport:
    """Run *pings* in tasks; those without a limit of their own may take so many *seconds*."""
    begin = datetime.now(UTC)
    runs = [arun_ping(container, ping, seconds) for ping in pings]
    return HealthReport(tuple(await asyncio.gather(*runs)), begin)


async def arun_ping(container: Container, ping: ServicePing, seconds: float) -> ServiceHealth:
    """Run one ping, which, without a limit of its own, may take so many *seconds*."""
    return await _Run(container, ping, seconds).arun()


def choose_pings(container: Container, *groups: frozenset[str] | None) -> list[ServicePing]:
    """List the pings whose services have, of each of the *groups* of tags, at least one.

    Raises:
        ContainerClosedError: The container is closed.
    """
    if container.is_closed:
        raise container._make_closed_error()
    return [
        ping
        for ping in container.get_pings()
        if not any(tags is not None and tags.isdisjoint(ping.tags) for tags in groups)
    ]


def check_timeout(timeout: object) -> None:
    """Refuse what is no length of time.

    Raises:
        InvalidOptionError: It is no positive number.
    """
    if not is_positive_number(timeout):
        raise InvalidOptionError(f"A timeout is a positive number of seconds, not {timeout!r}.")


def read_tags(tags: Iterable[str] | None) -> frozenset[str] | None:
    """Read which tags are meant; `None` means: whatever the tags.

    Raises:
        InvalidOptionError: They are one string, which is an iterable of strings, too, or not
            strings at all.
    """
    if tags is None:
        return None
    if isinstance(tags, str) or not isinstance(tags, Iterable):
        raise InvalidOptionError(f'Tags are a list of strings, tags=["ready"], not {tags!r}.')
    read = frozenset(tags)
    if not all(isinstance(tag, str) for tag in read):
        raise InvalidOptionError("Tags are strings.")
    return read


def start_thread(work: Callable[[], Any]) -> concurrent.futures.Future[Any]:
    """Run *work*, which raises nothing, in a thread that nobody has to wait for.

    Not in a pool: a ping that hangs would occupy it, and keep the interpreter from ending.
    """
    future: concurrent.futures.Future[Any] = concurrent.futures.Future()
    future.set_running_or_notify_cancel()
    context = contextvars.copy_context()
    threading.Thread(
        target=lambda: future.set_result(context.run(work)), name="wares ping", daemon=True
    ).start()
    return future


class _Run:
    """One ping on its way."""

    future: concurrent.futures.Future[Any]

    def __init__(self, container: Container, ping: ServicePing, seconds: float) -> None:
        self._container = container
        self._ping = ping
        self._seconds = seconds if ping.timeout is None else ping.timeout
        self._begin = time.perf_counter()
        self._duration: float | None = None

    def run(self) -> BaseException | None:
        """Make the service, check it, clean up; return what went wrong."""
        try:
            with self._container.child() as child:
                attrs.evolve(self._ping, container=child).ping()
                self._duration = self._elapsed()
        except BaseException as error:  # noqa: BLE001  # a thread has nobody else to tell
            return error
        return None

    def wait(self) -> ServiceHealth:
        """Wait for the thread as long as the ping may take."""
        try:
            error = self.future.result(self._begin + self._seconds - time.perf_counter())
        except TimeoutError:
            error = self._make_timeout()
        return self._report(error)

    async def arun(self) -> ServiceHealth:
        """Run the ping in a task of its own, which also cleans up: a task can be left behind."""
        task = asyncio.create_task(self._aping())
        try:
            done, _ = await asyncio.wait({task}, timeout=self._seconds)
        except asyncio.CancelledError:
            await self._give_up(task)
            raise
        if not done:
            error: BaseException | None = self._make_timeout()
            await self._give_up(task)
        elif task.cancelled():
            error = asyncio.CancelledError("the ping was cancelled from within")
        else:
            error = task.exception()
        return self._report(error)

    async def _aping(self) -> None:
        async with self._container.child() as child:
            service = await child.aget(self._ping.key)
            result = await self._call(service)
            if inspect.isawaitable(result):
                await result
            self._duration = self._elapsed()

    async def _call(self, service: Any) -> Any:
        """Call the ping: in a thread, unless it is asynchronous for sure."""
        ping = self._ping._ping
        if inspect.iscoroutinefunction(ping):
            return ping(service)
        result, error = await asyncio.wrap_future(start_thread(lambda: _attempt(ping, service)))
        if error is not None:
            raise error
        return result

    async def _give_up(self, task: asyncio.Task[None]) -> None:
        """Cancel a ping, and let it clean up for a while."""
        task.cancel()
        _abandoned.add(task)
        task.add_done_callback(_forget)
        await asyncio.wait({task}, timeout=_SECONDS_TO_GIVE_UP)
        if not task.done():
            logging.getLogger("wares").warning(
                "The ping of %s was cancelled and does not end; it is left to itself.",
                self._ping.name,
                extra={"wares_service_name": self._ping.name},
            )

    def _make_timeout(self) -> TimeoutError:
        what = "did not answer" if self._duration is None else "answered, but did not clean up"
        return TimeoutError(f"{what} within {self._seconds:g} seconds")

    def _elapsed(self) -> float:
        return time.perf_counter() - self._begin

    def _report(self, error: BaseException | None) -> ServiceHealth:
        duration = self._elapsed() if self._duration is None else self._duration
        status: Literal["ok", "failing"] = "ok" if error is None else "failing"
        return ServiceHealth(self._ping.name, status, duration, error, self._ping.tags)


def _attempt(ping: Callable[[Any], Any], service: Any) -> tuple[Any, BaseException | None]:
    try:
        return ping(service), None
    except BaseException as error:  # noqa: BLE001  # a thread has nobody else to tell
        return None, error


def _forget(task: asyncio.Task[None]) -> None:
    """Let go of a ping that was given up; what it raised was to be expected."""
    _abandoned.discard(task)
    if not task.cancelled():
        task.exception()
