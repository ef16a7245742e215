"""An endpoint with dishka's `inject`, after its middleware."""

from dishka import FromDishka, make_async_container
from dishka.integrations.starlette import inject, setup_dishka
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from benchmarks.candidates.dishka import provide
from benchmarks.wiring import GRAPH_ASYNC
from benchmarks.work import Shop, report

NAMES = ("dishka",)


@inject
async def show(request: Request, *, shop: FromDishka[Shop]) -> JSONResponse:
    """Report on a shop."""
    return JSONResponse(report(shop))


def make(name: str) -> Starlette:
    """Make the application."""
    app = Starlette(routes=[Route("/", show)])
    setup_dishka(make_async_container(provide(GRAPH_ASYNC)), app)
    return app
