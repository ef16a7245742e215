"""A view with `wares_from`."""

from flask import Flask

from benchmarks.candidates.wares import fill
from benchmarks.wiring import GRAPH
from benchmarks.work import Shop, report
from wares.flask import get_registry, init_app, wares_from

NAMES = ("wares",)


def make(name: str) -> Flask:
    """Make the application."""
    app = init_app(Flask(__name__))
    fill(get_registry(app), GRAPH)

    @app.get("/")
    def show() -> dict[str, bool]:
        return report(wares_from().get(Shop))

    return app
