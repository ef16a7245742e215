"""An endpoint with `svcs_from`, after the middleware."""

from collections.abc import AsyncIterator

import svcs
import svcs.starlette
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from benchmarks.candidates.svcs import fill
from benchmarks.wiring import GRAPH_ASYNC
from benchmarks.work import Shop, report

NAMES = ("svcs",)


async def show(request: Request) -> JSONResponse:
    """Report on a shop."""
    return JSONResponse(report(await svcs.starlette.svcs_from(request).aget(Shop)))


def make(name: str) -> Starlette:
    """Make the application."""

    @svcs.starlette.lifespan
    async def live(app: Starlette, registry: svcs.Registry) -> AsyncIterator[None]:
        fill(registry, GRAPH_ASYNC)
        yield

    return Starlette(
        routes=[Route("/", show)],
        middleware=[Middleware(svcs.starlette.SVCSMiddleware)],
        lifespan=live,
    )
