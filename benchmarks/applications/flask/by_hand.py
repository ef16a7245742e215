"""A view that makes the services it needs."""

from flask import Flask

from benchmarks.candidates.by_hand import make_shop, opened_session
from benchmarks.work import CONFIG, Engine, report

NAMES = ("by hand",)


def make(name: str) -> Flask:
    """Make the application."""
    app = Flask(__name__)

    @app.get("/")
    def show() -> dict[str, bool]:
        with opened_session(Engine(CONFIG)) as session:
            return report(make_shop(session))

    return app
