"""An endpoint that makes the services it needs."""

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from benchmarks.candidates.by_hand import make_shop, opened_async_session
from benchmarks.work import CONFIG, Engine, report

NAMES = ("by hand",)


async def show(request: Request) -> JSONResponse:
    """Report on a shop."""
    async with opened_async_session(Engine(CONFIG)) as session:
        return JSONResponse(report(make_shop(session)))


def make(name: str) -> Starlette:
    """Make the application."""
    return Starlette(routes=[Route("/", show)])
