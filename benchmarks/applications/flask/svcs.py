"""A view with `svcs_from`."""

import svcs.flask
from flask import Flask

from benchmarks.candidates.svcs import fill
from benchmarks.wiring import GRAPH
from benchmarks.work import Shop, report

NAMES = ("svcs",)


def make(name: str) -> Flask:
    """Make the application."""
    app = svcs.flask.init_app(Flask(__name__))
    fill(svcs.flask.get_registry(app), GRAPH)

    @app.get("/")
    def show() -> dict[str, bool]:
        return report(svcs.flask.svcs_from().get(Shop))

    return app
