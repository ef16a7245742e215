"""What `wares.aiohttp` promises to type checkers; read by them, not run."""

from typing import assert_type

from aiohttp import web

import wares.aiohttp
from wares import Container, Registry
from wares.aiohttp import (
    get_registry,
    health_route,
    init_app,
    register_factory,
    register_value,
    wares_from,
)

app = init_app(web.Application(), registry=Registry(), middleware_pos=1, validate=False)
assert_type(app, web.Application)
assert_type(get_registry(app), Registry)
register_value(app, int, 3, ping=lambda number: None)
register_factory(app, str, str, lifetime="singleton")
app.add_routes([health_route("/healthy", timeout=1.0)])


async def handle(request: web.Request) -> web.Response:
    """Take a container from a request."""
    assert_type(wares_from(request), Container)
    assert_type(await wares_from(request).aget(int), int)
    return web.Response()


app.on_cleanup.append(wares.aiohttp.aclose_registry)
web.Application(middlewares=[wares.aiohttp.wares_middleware])
init_app(3)  # type: ignore[arg-type]  # no application
register_factory(app, str, str, lifetim="singleton")  # type: ignore[call-arg]  # a misspelt option
