"""The application: web pages and Socket.IO, with one registry."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import socketio
from fastapi import FastAPI
from fastapi.staticfiles import StaticFiles
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from wares import Registry
from wares.fastapi import DepContainer, health_router, lifespan
from wares.socketio import AsyncAPIApp, AsyncServer, expect

from .events import router
from .history import History, open_engine, open_transaction, ping_database
from .settings import Settings
from .visitors import Counter, Visitor, welcome

_PAGE = Path(__file__).parent / "page"


def register_services(registry: Registry, settings: Settings) -> None:
    """Register the services of the chat."""
    expect(registry)
    registry.register_value(Settings, settings)

    # Services of the process.
    registry.register_factory(
        AsyncEngine, open_engine, lifetime="singleton", ping=ping_database
    )
    registry.register_factory(Counter, Counter, lifetime="singleton")

    # Services of a connection.
    registry.register_factory(Visitor, welcome, lifetime="connection")

    # Services of an event: a transaction, and the services that use it.
    registry.register_factory(AsyncConnection, open_transaction)
    registry.register_factory(History, History)


def create_application(settings: Settings | None = None) -> socketio.ASGIApp:
    """Make the application; its lifespan opens everything.

    Args:
        settings: The settings of the chat; by default, those of the environment.
    """
    chosen = settings or Settings()

    @lifespan
    async def opening_hours(_: FastAPI, registry: Registry) -> AsyncIterator[None]:
        register_services(registry, chosen)
        async with registry.container() as container:
            await container.aget(AsyncEngine)
        yield

    sio = create_server(chosen)
    pages = FastAPI(title="Chat", lifespan=opening_hours)
    add_pages(pages, sio)
    return socketio.ASGIApp(sio, other_asgi_app=pages)


def create_server(settings: Settings) -> AsyncServer:
    """Make the Socket.IO server; Redis connects it with those of other processes."""
    manager = None
    if settings.redis_url is not None:
        manager = socketio.AsyncRedisManager(settings.redis_url.get_secret_value())
    sio = AsyncServer(async_mode="asgi", client_manager=manager, ping_interval=5)
    sio.add_router(router)
    return sio


def add_pages(pages: FastAPI, sio: AsyncServer) -> None:
    """Add the pages and routes for HTTP."""
    pages.include_router(health_router())

    @pages.get("/visitors")
    async def count_visitors(container: DepContainer) -> dict[str, int]:
        counter = await container.aget(Counter)
        return {"came": counter.came, "went": counter.went, "here": counter.here}

    @pages.delete("/visitors/{sid}")
    async def send_away(sid: str) -> None:
        await sio.disconnect(sid)  # type: ignore[no-untyped-call]  # python-socketio has no types

    pages.mount("/asyncapi", AsyncAPIApp(sio, title="Chat", version="1.0"))
    pages.mount("/", StaticFiles(directory=_PAGE, html=True))
