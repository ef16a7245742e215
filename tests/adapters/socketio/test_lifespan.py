"""Tests of one registry for an application and its Socket.IO server."""

import httpx
import pytest
import socketio
from fastapi import FastAPI

import wares.fastapi
from tests.adapters.socketio.serving import (
    Lasting,
    connected,
    new_client,
    open_connections,
    register_both,
    serve,
)
from wares.fastapi import DepContainer
from wares.socketio import AsyncServer, init_app, wares_from


def make_app(journal):
    """Make an application whose lifespan registers services."""

    @wares.fastapi.lifespan
    async def lifespan(app, registry):
        register_both(registry, journal)
        registry.register_factory(list, lambda: ["shared"], lifetime="singleton")
        yield

    app = FastAPI(lifespan=lifespan)

    @app.get("/")
    async def index(container: DepContainer):
        return id(await container.aget(list))

    return app


def make_handlers(sio):
    """Register handlers that ask for what the lifespan has registered."""

    @sio.event
    async def connect(sid, environ):
        await wares_from().aget(Lasting)

    @sio.event
    async def which(sid):
        return id(await wares_from().aget(list))


def mounted(app, sio):
    """Mount the server in the application."""
    app.mount("/ws", socketio.ASGIApp(sio, socketio_path="/ws/socket.io"))
    return app, "/ws/socket.io"


def wrapped(app, sio):
    """Wrap the application by the server."""
    return socketio.ASGIApp(sio, other_asgi_app=app), "/socket.io"


@pytest.mark.parametrize("transport", ["websocket", "polling"])
@pytest.mark.parametrize("combine", [mounted, wrapped])
async def test_registry_of_the_lifespan(journal, combine, transport):
    """Requests and events share the singletons; at the end of it connections close first."""
    sio = init_app(socketio.AsyncServer(async_mode="asgi", ping_interval=0.2, ping_timeout=2))
    make_handlers(sio)
    app, path = combine(make_app(journal), sio)

    client = new_client()
    async with serve(app, lifespan="on") as address:
        await client.connect(address, socketio_path=path, transports=[transport])
        async with httpx.AsyncClient() as browser:
            requested = (await browser.get(f"{address}/")).json()
        assert requested == await client.call("which")
        assert ["open connection"] == journal
    await client.disconnect()

    assert ["open connection", "close connection"] == journal
    assert 0 == open_connections(sio)


async def test_given_registry_wins(journal, registry):
    """A registry that was passed to the server takes precedence over that of the lifespan."""
    registry.register_value(list, ["given"])
    sio = AsyncServer(registry=registry, async_mode="asgi")

    @sio.event
    async def which(sid):
        return wares_from().get(list)

    app, path = mounted(make_app(journal), sio)

    async with serve(app, lifespan="on") as address:
        async with connected(address, socketio_path=path) as client:
            assert ["given"] == await client.call("which")
