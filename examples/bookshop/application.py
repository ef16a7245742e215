"""The bookshop as a web application: what happens when it starts and when it ends."""

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
    """Build the application; nothing is opened before its lifespan begins.

    Args:
        settings: The shop's settings; those of the environment, if there are none.

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
