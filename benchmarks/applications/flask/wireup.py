"""A view with wireup's `Injected`."""

import wireup
import wireup.integration.flask
from flask import Flask
from wireup import Injected

from benchmarks.candidates.wireup import declare
from benchmarks.wiring import GRAPH
from benchmarks.work import Shop, report

NAMES = ("wireup",)


def make(name: str) -> Flask:
    """Make the application."""
    app = Flask(__name__)

    @app.get("/")
    def show(shop: Injected[Shop]) -> dict[str, bool]:
        return report(shop)

    container = wireup.create_sync_container(injectables=declare(GRAPH))
    wireup.integration.flask.setup(container, app)
    return app
