"""An endpoint with a that-depends provider in FastAPI's `Depends`, after its middleware."""

from typing import Annotated

from fastapi import Depends, FastAPI
from that_depends.providers import DIContextMiddleware

from benchmarks.candidates.that_depends import declare
from benchmarks.wiring import GRAPH_ASYNC
from benchmarks.work import Shop, report

NAMES = ("that-depends",)


def make(name: str) -> FastAPI:
    """Make the application."""
    app, box = FastAPI(), declare(GRAPH_ASYNC)

    @app.get("/")
    async def show(shop: Annotated[Shop, Depends(box.root)]) -> dict[str, bool]:
        return report(shop)

    app.add_middleware(DIContextMiddleware, box)
    return app
