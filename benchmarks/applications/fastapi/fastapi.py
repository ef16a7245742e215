"""An endpoint with FastAPI's own `Depends`; `async def` dependencies do not run in threads."""

from typing import Annotated

from fastapi import Depends, FastAPI

from benchmarks.depends import make_dependencies
from benchmarks.wiring import GRAPH_ASYNC
from benchmarks.work import Shop, report

NAMES = ("FastAPI Depends",)


def make(name: str) -> FastAPI:
    """Make the application."""
    app = FastAPI()
    get_shop = make_dependencies(GRAPH_ASYNC, Depends, keyword="async def")[Shop]

    @app.get("/")
    async def show(shop: Annotated[Shop, Depends(get_shop)]) -> dict[str, bool]:
        return report(shop)

    return app
