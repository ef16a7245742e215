"""A view with dependency-injector's `inject`, whose resources it closes."""

from dependency_injector.wiring import Closing, Provide, inject
from flask import Flask

from benchmarks.candidates.dependency_injector import declare, wire
from benchmarks.wiring import GRAPH
from benchmarks.work import Shop, report

NAMES = ("dependency-injector",)


def make(name: str) -> Flask:
    """Make the application."""
    app = Flask(__name__)

    @inject
    def show(shop: Shop = Closing[Provide["root"]]) -> dict[str, bool]:
        return report(shop)

    app.get("/")(wire(declare(GRAPH), show))
    return app
