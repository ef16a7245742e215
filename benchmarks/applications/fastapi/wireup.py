"""An endpoint with wireup's `Injected`, on its route class."""

import wireup
import wireup.integration.fastapi
from fastapi import APIRouter, FastAPI
from wireup import Injected

from benchmarks.candidates.wireup import declare
from benchmarks.wiring import GRAPH_ASYNC
from benchmarks.work import Shop, report

NAMES = ("wireup",)


def make(name: str) -> FastAPI:
    """Make the application."""
    router = APIRouter(route_class=wireup.integration.fastapi.WireupRoute)

    @router.get("/")
    async def show(shop: Injected[Shop]) -> dict[str, bool]:
        return report(shop)

    app = FastAPI()
    app.include_router(router)
    container = wireup.create_async_container(injectables=declare(GRAPH_ASYNC))
    wireup.integration.fastapi.setup(container, app)
    return app
