"""The FastAPI application of the bookshop, and its lifespan."""

from __future__ import annotations

from collections.abc import AsyncIterator

from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncEngine

from wares import Registry
from wares.fastapi import lifespan

from . import web
from .registrations import register_services
from .seed import prepare_database
from .settings import Settings


def create_application(settings: Settings | None = None) -> FastAPI:
    """Make the application; its lifespan opens everything.

    Args:
        settings: The settings of the shop; by default, those of the environment.

    Returns:
        The application, for uvicorn or for a test client.
    """

    @lifespan
    async def opening_hours(_: FastAPI, registry: Registry) -> AsyncIterator[None]:
        register_services(registry, settings or Settings())
        registry.validate()
        async with registry.container() as container:
            await prepare_database(await container.aget(AsyncEngine))
        yield

    application = FastAPI(title="Bookshop", lifespan=opening_hours)
    web.add_to(application)
    return application
