"""The types of health checks, as users' checkers see them."""

from datetime import datetime
from typing import Any, Literal, assert_type

from fastapi import APIRouter
from flask import Blueprint
from starlette.routing import Route

import wares.asgi
import wares.fastapi
import wares.flask
import wares.starlette
from wares import Registry
from wares.health import HealthReport, ServiceHealth, acheck, check

registry = Registry()
registry.register_factory(int, int, ping=print, ping_timeout=1, tags=["live", "ready"])
registry.register_value(str, "", ping=print, ping_timeout=0.5, tags={"live"})
registry.register_value(bytes, b"", tags=("live",))
registry.register_value(int, 1, tags=[1])  # type: ignore[list-item]  # tags are strings
registry.register_value(int, 1, ping_timeout="1")  # type: ignore[arg-type]  # a number of seconds

container = registry.container()
container.register_local_factory(int, int, ping=print, ping_timeout=1, tags=["live"])
container.register_local_value(int, 1, ping=print, ping_timeout=1, tags=["live"])
(ping,) = container.get_pings()
assert_type(ping.timeout, float | None)
assert_type(ping.tags, tuple[str, ...])


async def check_health() -> None:
    """Check in both ways."""
    assert_type(check(container, timeout=1), HealthReport)
    report = await acheck(container, tags=["ready"])
    assert_type(report, HealthReport)
    assert_type(report.services, tuple[ServiceHealth, ...])
    assert_type(report.is_healthy, bool)
    assert_type(report.ok, list[str])
    assert_type(report.failing, list[str])
    assert_type(report.time, datetime)
    assert_type(report.as_dict(show_errors=True), dict[str, Any])
    for service in report.services:
        assert_type(service.status, Literal["ok", "failing"])
        assert_type(service.duration, float)
        assert_type(service.error, BaseException | None)


assert_type(wares.fastapi.health_router("/healthy", timeout=1, tags=["live"]), APIRouter)
assert_type(wares.starlette.health_route(max_age=2.5, show_errors=True), Route)
assert_type(wares.flask.health_blueprint(ok_status=204, failing_status=500), Blueprint)
assert_type(wares.asgi.health_app(registry, tags=None), wares.asgi.ASGIApp)

wares.fastapi.health_router(time_out=1)  # type: ignore[call-arg]  # there is no such option
