"""An endpoint with dependency-injector's `inject`, whose resources it closes."""

from dependency_injector.wiring import Closing, Provide, inject
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from benchmarks.candidates.dependency_injector import declare, wire
from benchmarks.wiring import GRAPH_ASYNC
from benchmarks.work import Shop, report

NAMES = ("dependency-injector",)


def make(name: str) -> Starlette:
    """Make the application."""

    @inject
    async def show(request: Request, shop: Shop = Closing[Provide["root"]]) -> JSONResponse:
        return JSONResponse(report(shop))

    return Starlette(routes=[Route("/", wire(declare(GRAPH_ASYNC), show))])
