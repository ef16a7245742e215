"""Endpoints with wares' `Inject` and `DepContainer`."""

from collections.abc import AsyncIterator

from fastapi import FastAPI

import wares
from benchmarks.candidates.wares import fill
from benchmarks.wiring import GRAPH_ASYNC
from benchmarks.work import Shop, report
from wares.fastapi import DepContainer, Inject, lifespan

NAMES = ("wares Inject", "wares DepContainer")


def make(name: str) -> FastAPI:
    """Make the application of one of the names."""

    @lifespan
    async def live(app: FastAPI, registry: wares.Registry) -> AsyncIterator[None]:
        fill(registry, GRAPH_ASYNC)
        yield

    app = FastAPI(lifespan=live)
    if name == "wares Inject":

        @app.get("/")
        async def show(shop: Inject[Shop]) -> dict[str, bool]:
            return report(shop)

    else:

        @app.get("/")
        async def show(services: DepContainer) -> dict[str, bool]:
            return report(await services.aget(Shop))

    return app
