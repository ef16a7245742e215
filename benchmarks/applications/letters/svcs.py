"""svcs, with `DepContainer`; each endpoint asks for all of its services at once."""

from collections.abc import AsyncIterator

import svcs.fastapi
from fastapi import FastAPI

from benchmarks.candidates.svcs import fill
from benchmarks.letters import LETTERS, A, B, C, D, E, F, G, H, I, use_scoped, use_singletons

NAMES = ("svcs",)


def make(name: str) -> FastAPI:
    """Make the application."""

    @svcs.fastapi.lifespan
    async def lifespan(app: FastAPI, registry: svcs.Registry) -> AsyncIterator[None]:
        fill(registry, LETTERS)
        yield

    app = FastAPI(lifespan=lifespan)

    @app.get("/singleton")
    async def singleton(services: svcs.fastapi.DepContainer) -> dict[str, int]:
        return use_singletons(*await services.aget(A, B))

    @app.get("/scoped")
    async def scoped(services: svcs.fastapi.DepContainer) -> dict[str, int]:
        return use_scoped(*await services.aget(C, C, C, D, D, E, F, G, H, I))

    return app
