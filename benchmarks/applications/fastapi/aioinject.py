"""An endpoint with aioinject's `Injected`, after its middleware."""

import aioinject
from aioinject import Injected
from aioinject.ext.fastapi import AioInjectMiddleware, FastAPIExtension, inject
from fastapi import FastAPI

from benchmarks.candidates.aioinject import fill
from benchmarks.wiring import GRAPH_ASYNC
from benchmarks.work import Shop, report

NAMES = ("aioinject",)


def make(name: str) -> FastAPI:
    """Make the application."""
    app = FastAPI()

    @app.get("/")
    @inject
    async def show(shop: Injected[Shop]) -> dict[str, bool]:
        return report(shop)

    container = fill(aioinject.Container(extensions=[FastAPIExtension()]), GRAPH_ASYNC)
    app.add_middleware(AioInjectMiddleware, container=container)
    return app
