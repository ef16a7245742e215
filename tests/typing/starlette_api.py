"""What `wares.asgi` and `wares.starlette` promise to type checkers; read by them, not run."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, assert_type

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import HTTPConnection, Request
from starlette.testclient import TestClient
from starlette.websockets import WebSocket

import wares.asgi
from wares import Container, Registry, ResponseFailed
from wares.starlette import WaresMiddleware, get_registry, lifespan, wares_from


@lifespan
async def start(app: Starlette, registry: Registry) -> AsyncIterator[None]:
    """Yield nothing."""
    yield


@lifespan
async def start_with_state(
    app: Starlette, registry: Registry
) -> AsyncGenerator[dict[str, object], None]:
    """Yield a state."""
    yield {"colour": "blue"}


@lifespan
@asynccontextmanager
async def start_as_context(app: Starlette, registry: Registry) -> AsyncIterator[dict[str, str]]:
    """Be an async context manager function."""
    yield {"colour": "blue"}


@lifespan(validate=False)
async def start_with_options(app: Starlette, registry: Registry) -> AsyncIterator[None]:
    """Be decorated with options."""
    yield


assert_type(start.registry, Registry)
Starlette(lifespan=start_with_options)

app = Starlette(lifespan=start, middleware=[Middleware(WaresMiddleware)])
app.add_middleware(WaresMiddleware)
app.add_middleware(WaresMiddleware, registry=Registry())
Starlette(lifespan=start_with_state)
Starlette(lifespan=start_as_context)

assert_type(get_registry(app), Registry)
assert_type(get_registry(TestClient(app)), Registry)


async def view(request: Request, websocket: WebSocket, connection: HTTPConnection) -> None:
    """Take containers from all kinds of connections."""
    assert_type(wares_from(request), Container)
    assert_type(wares_from(websocket), Container)
    assert_type(wares_from(connection), Container)
    assert_type(await wares_from(request).aget(int), int)


@lifespan  # type: ignore[type-var]  # an application comes first
async def wrong_parameter(app: int, registry: Registry) -> AsyncIterator[None]:
    """Take no application."""
    yield


lifespan(3)  # type: ignore[call-overload]  # no function
get_registry(3)  # type: ignore[arg-type]  # no application
wares_from(app)  # type: ignore[arg-type]  # no connection


@wares.asgi.lifespan
async def start_plain(app: object, registry: Registry) -> AsyncIterator[None]:
    """Take whatever is served."""
    yield


async def serve(scope: Any, receive: Any, send: Any) -> None:
    """Be an ASGI application."""
    assert_type(wares.asgi.wares_from(scope), Container)


wares.asgi.WaresMiddleware(serve, lifespan=start_plain)
wares.asgi.WaresMiddleware(serve, registry=Registry())
wares.asgi.WaresMiddleware(wares.asgi.WaresMiddleware(app))
wares.asgi.WaresMiddleware(serve, failed=lambda status: status >= 400)
wares.asgi.WaresMiddleware(serve, failed=lambda: True)  # type: ignore[arg-type, misc]  # takes the status
app.add_middleware(WaresMiddleware, failed=lambda status: status >= 500)
assert_type(ResponseFailed(500).status, int | None)
