"""dishka, with `FromDishka` on its route class."""

from dishka import make_async_container
from dishka.integrations.fastapi import DishkaRoute, FromDishka, setup_dishka
from fastapi import APIRouter, FastAPI

from benchmarks.candidates.dishka import provide
from benchmarks.letters import LETTERS, make_endpoints

NAMES = ("dishka",)


def make(name: str) -> FastAPI:
    """Make the application."""
    app, router = FastAPI(), APIRouter(route_class=DishkaRoute)
    for path, endpoint in make_endpoints(lambda kind: FromDishka[kind]).items():
        router.get(path)(endpoint)
    app.include_router(router)
    setup_dishka(make_async_container(provide(LETTERS)), app)
    return app
