"""An endpoint with svcs' `DepContainer`."""

from collections.abc import AsyncIterator

import svcs.fastapi
from fastapi import FastAPI

from benchmarks.candidates.svcs import fill
from benchmarks.wiring import GRAPH_ASYNC
from benchmarks.work import Shop, report

NAMES = ("svcs",)


def make(name: str) -> FastAPI:
    """Make the application."""

    @svcs.fastapi.lifespan
    async def lifespan(app: FastAPI, registry: svcs.Registry) -> AsyncIterator[None]:
        fill(registry, GRAPH_ASYNC)
        yield

    app = FastAPI(lifespan=lifespan)

    @app.get("/")
    async def show(services: svcs.fastapi.DepContainer) -> dict[str, bool]:
        return report(await services.aget(Shop))

    return app
