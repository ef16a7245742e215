"""An endpoint with `wares_from`, after the middleware."""

from collections.abc import AsyncIterator

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

import wares
from benchmarks.candidates.wares import fill
from benchmarks.wiring import GRAPH_ASYNC
from benchmarks.work import Shop, report
from wares.starlette import WaresMiddleware, lifespan, wares_from

NAMES = ("wares",)


async def show(request: Request) -> JSONResponse:
    """Report on a shop."""
    return JSONResponse(report(await wares_from(request).aget(Shop)))


def make(name: str) -> Starlette:
    """Make the application."""

    @lifespan
    async def live(app: Starlette, registry: wares.Registry) -> AsyncIterator[None]:
        fill(registry, GRAPH_ASYNC)
        yield

    return Starlette(
        routes=[Route("/", show)], middleware=[Middleware(WaresMiddleware)], lifespan=live
    )
