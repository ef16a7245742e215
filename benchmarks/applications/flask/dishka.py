"""A view with dishka's `inject`."""

from dishka import FromDishka, make_container
from dishka.integrations.flask import inject, setup_dishka
from flask import Flask

from benchmarks.candidates.dishka import provide
from benchmarks.wiring import GRAPH
from benchmarks.work import Shop, report

NAMES = ("dishka",)


def make(name: str) -> Flask:
    """Make the application."""
    app = Flask(__name__)

    @app.get("/")
    @inject
    def show(*, shop: FromDishka[Shop]) -> dict[str, bool]:
        return report(shop)

    setup_dishka(make_container(provide(GRAPH)), app)
    return app
