"""An endpoint with wireup's `inject`, after its middleware."""

import wireup
import wireup.integration.starlette
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from wireup import Injected
from wireup.integration.starlette import inject

from benchmarks.candidates.wireup import declare
from benchmarks.wiring import GRAPH_ASYNC
from benchmarks.work import Shop, report

NAMES = ("wireup",)


@inject
async def show(request: Request, shop: Injected[Shop]) -> JSONResponse:
    """Report on a shop."""
    return JSONResponse(report(shop))


def make(name: str) -> Starlette:
    """Make the application."""
    app = Starlette(routes=[Route("/", show)])
    container = wireup.create_async_container(injectables=declare(GRAPH_ASYNC))
    wireup.integration.starlette.setup(container, app)
    return app
