"""Check the health of services: run the pings of a container, and report the results.

Pings run concurrently, each with a timeout and in a container of its own.
"""

from __future__ import annotations

import functools
import inspect
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, Literal

import attrs

from wares._core.container import Container
from wares._core.pings import ServicePing
from wares._core.recipes import is_positive_number
from wares._health.loops import TooLateError, find_loop
from wares._health.threads import Done, start_thread
from wares._health.turns import SECONDS_BETWEEN_LOOKS, Turn
from wares.exceptions import InvalidOptionError

__all__ = ["HealthReport", "ServiceHealth", "acheck", "check"]


@attrs.frozen
class ServiceHealth:
    """The result of one ping.

    Attributes:
        name: The service's name, unique within the report.
        status: ``"ok"`` or ``"failing"``.
        duration: How many seconds it took to make and check the service.
        error: Why it is failing; a `TimeoutError` if it took too long.
        tags: The groups that the service belongs to.
    """

    name: str
    status: Literal["ok", "failing"]
    duration: float
    error: BaseException | None = attrs.field(default=None, repr=False)
    tags: tuple[str, ...] = ()

    @property
    def is_healthy(self) -> bool:
        """Whether the service is healthy."""
        return self.status == "ok"


@attrs.frozen
class HealthReport:
    """The results of all pings, in the order in which the services were registered.

    Attributes:
        services: One entry for each ping.
        time: When the check began (UTC).
    """

    services: tuple[ServiceHealth, ...]
    time: datetime

    @property
    def is_healthy(self) -> bool:
        """Whether every service is healthy; true if no service has a ping."""
        return all(service.is_healthy for service in self.services)

    @property
    def ok(self) -> list[str]:
        """The names of the healthy services."""
        return [service.name for service in self.services if service.is_healthy]

    @property
    def failing(self) -> list[str]:
        """The names of the failing services."""
        return [service.name for service in self.services if not service.is_healthy]

    def as_dict(self, *, show_errors: bool = False) -> dict[str, Any]:
        """Return the report as plain data for JSON.

        Args:
            show_errors: Whether to include the types and texts of errors, which may contain
                secrets.
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

    Each ping gets its service from a child of *container* of its own, which closes after the ping,
    so pings share no scoped services. If a ping takes too long, the check no longer waits for it;
    until the ping ends, further checks report it as failing and do not run it again.

    >>> from wares import Registry
    >>> registry = Registry()
    >>> registry.register_value(int, 5, ping=lambda number: number + 1)
    >>> registry.register_value(str, "five", ping=lambda text: text + 1)
    >>> with registry.container() as container:
    ...     report = check(container)
    >>> report.is_healthy, report.ok, report.failing
    (False, ['int'], ['str'])

    Args:
        container: The container whose services are checked.
        timeout: How many seconds a ping may take, including making the service, if it was
            registered without a limit.
        tags: Only services with one of these tags are checked; all of them by default.

    Returns:
        The result of each ping. A ping that must be awaited fails with `AsyncServiceError`.

    Raises:
        InvalidOptionError: *timeout* is not a positive number, or *tags* are not strings.
        ContainerClosedError: The container is closed.
    """
    check_timeout(timeout)
    return run_pings(container, choose_pings(container, read_tags(tags)), timeout)


async def acheck(
    container: Container,
    *,
    timeout: float = 5.0,  # noqa: ASYNC109  # of each ping, not of the whole check
    tags: Iterable[str] | None = None,
) -> HealthReport:
    """Run the pings of a container as `check` does, in the event loop.

    The event loop may be asyncio's or trio's. Services are made in it. A ping that is a plain
    function runs in a thread; if it returns an awaitable, that is awaited in the event loop.

    Args:
        container: The container whose services are checked.
        timeout: As in `check`. A ping that takes longer is cancelled.
        tags: As in `check`.

    Returns:
        The result of each ping.

    Raises:
        InvalidOptionError: *timeout* is not a positive number, or *tags* are not strings.
        ContainerClosedError: The container is closed.
    """
    check_timeout(timeout)
    return await arun_pings(container, choose_pings(container, read_tags(tags)), timeout)


def run_pings(container: Container, pings: list[ServicePing], seconds: float) -> HealthReport:
    """Run *pings* in threads; those without a limit may take *seconds*."""
    begin = datetime.now(UTC)
    runs = [_Run(container, ping, seconds) for ping in pings]
    for run in runs:
        run.start()
    return HealthReport(tuple([run.wait() for run in runs]), begin)


async def arun_pings(
    container: Container, pings: list[ServicePing], seconds: float
) -> HealthReport:
    """Run *pings* in tasks; those without a limit may take *seconds*."""
    begin = datetime.now(UTC)
    found: dict[int, ServiceHealth] = {}

    async def run(number: int, ping: ServicePing) -> None:
        found[number] = await arun_ping(container, ping, seconds)

    works = [functools.partial(run, *numbered) for numbered in enumerate(pings)]
    await find_loop().gather(works)
    return HealthReport(tuple([found[number] for number in range(len(pings))]), begin)


async def arun_ping(container: Container, ping: ServicePing, seconds: float) -> ServiceHealth:
    """Run one ping, which may take *seconds* if it has no limit."""
    return await _Run(container, ping, seconds).arun()


def choose_pings(container: Container, *groups: frozenset[str] | None) -> list[ServicePing]:
    """List the pings whose services have at least one tag of each of the *groups*.

    Raises:
        ContainerClosedError: The container is closed.
    """
    # This raises an error if the container is closed.
    container.child().close()
    return [
        ping
        for ping in container.get_pings()
        if not any(tags is not None and tags.isdisjoint(ping.tags) for tags in groups)
    ]


def check_timeout(timeout: object) -> None:
    """Refuse an invalid timeout.

    Raises:
        InvalidOptionError: It is not a positive number.
    """
    if not is_positive_number(timeout):
        raise InvalidOptionError(f"A timeout is a positive number of seconds, not {timeout!r}.")


def read_tags(tags: Iterable[str] | None) -> frozenset[str] | None:
    """Read a list of tags; `None` means all tags.

    Raises:
        InvalidOptionError: They are a single string, or not strings.
    """
    if tags is None:
        return None
    if isinstance(tags, str) or not isinstance(tags, Iterable):
        raise InvalidOptionError(f'Tags are a list of strings, tags=["ready"], not {tags!r}.')
    read = frozenset(tags)
    if not all(isinstance(tag, str) for tag in read):
        raise InvalidOptionError("Tags are strings.")
    return read


class _Run:
    """One run of a ping.

    Args:
        container: The container whose child makes the service.
        ping: The ping.
        seconds: How long it may take, if it was registered without a limit.
    """

    def __init__(self, container: Container, ping: ServicePing, seconds: float) -> None:
        self._container = container
        self._ping = ping
        self._seconds = seconds if ping.timeout is None else ping.timeout
        self._turn = Turn(ping, self._seconds)
        self._asked_at = time.monotonic()
        self._duration: float | None = None
        self._has_begun = Done()
        self._has_ended = Done()
        self._error: BaseException | None = None

    def start(self) -> None:
        """Run the ping in a thread, when it is its turn."""
        start_thread(self._run)

    def wait(self) -> ServiceHealth:
        """Wait for the thread, until the time limit of the ping."""
        # The thread begins when no other run of the ping is going on, and gives up if that hangs.
        self._has_begun.wait()
        has_ended = self._has_ended.wait(self._seconds - self._turn.age)
        return self._report(self._error if has_ended else self._make_timeout())

    def _run(self) -> None:
        """Make the service, check it, clean it up, and note the error, if any."""
        while (other := self._turn.begin_unless_running()) is not self._turn:
            if other.hangs:
                self._error = _make_busy(other)
                self._has_begun.set()
                self._has_ended.set()
                return
            time.sleep(SECONDS_BETWEEN_LOOKS)
        self._has_begun.set()
        try:
            with self._container.child() as child:
                attrs.evolve(self._ping, container=child).ping()
                self._duration = self._turn.age
        except BaseException as error:  # noqa: BLE001  # the thread has no other way to report it
            self._error = error
        self._turn.leave()
        self._has_ended.set()

    async def arun(self) -> ServiceHealth:
        """Run the ping in the event loop, when it is its turn."""
        loop = find_loop()
        while (other := self._turn.begin_unless_running()) is not self._turn:
            if other.hangs:
                return self._report(_make_busy(other))
            await loop.sleep(SECONDS_BETWEEN_LOOKS)
        error = await loop.attempt(
            self._aping, self._seconds, self._ping.name, self._turn.leave
        )
        return self._report(self._make_timeout() if isinstance(error, TooLateError) else error)

    async def _aping(self) -> None:
        async with self._container.child() as child:
            service = await child.aget(self._ping.key)
            result = await self._call(service)
            if inspect.isawaitable(result):
                await result
            self._duration = self._turn.age

    async def _call(self, service: Any) -> Any:
        """Call the ping, in a thread unless it is a coroutine function."""
        ping = self._ping._ping
        if inspect.iscoroutinefunction(ping):
            return ping(service)
        self._turn.share()
        result, error = await find_loop().run_in_thread(lambda: self._attempt(service))
        if isinstance(error, Exception) and not isinstance(error, StopIteration):
            raise error
        if error is not None:
            raise RuntimeError(f"the ping raised {describe_error(error)}") from error
        return result

    def _attempt(self, service: Any) -> tuple[Any, BaseException | None]:
        try:
            return self._ping._ping(service), None
        except BaseException as error:  # noqa: BLE001  # the thread has no other way to report it
            return None, error
        finally:
            self._turn.leave()

    def _make_timeout(self) -> TimeoutError:
        what = "did not answer" if self._duration is None else "answered, but did not clean up"
        return TimeoutError(f"{what} within {self._seconds:g} seconds")

    def _report(self, error: BaseException | None) -> ServiceHealth:
        duration = self._duration
        if duration is None:
            duration = time.monotonic() - self._asked_at
        status: Literal["ok", "failing"] = "ok" if error is None else "failing"
        return ServiceHealth(self._ping.name, status, duration, error, self._ping.tags)


def _make_busy(other: Turn) -> TimeoutError:
    return TimeoutError(f"is still running after {other.age:.1f} seconds")
