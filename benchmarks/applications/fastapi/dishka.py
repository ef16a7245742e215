"""An endpoint with dishka's `FromDishka`, on its route class."""

from dishka import make_async_container
from dishka.integrations.fastapi import DishkaRoute, FromDishka, setup_dishka
from fastapi import APIRouter, FastAPI

from benchmarks.candidates.dishka import provide
from benchmarks.wiring import GRAPH_ASYNC
from benchmarks.work import Shop, report

NAMES = ("dishka",)


def make(name: str) -> FastAPI:
    """Make the application."""
    router = APIRouter(route_class=DishkaRoute)

    @router.get("/")
    async def show(shop: FromDishka[Shop]) -> dict[str, bool]:
        return report(shop)

    app = FastAPI()
    app.include_router(router)
    setup_dishka(make_async_container(provide(GRAPH_ASYNC)), app)
    return app
