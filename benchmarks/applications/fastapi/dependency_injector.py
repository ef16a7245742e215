"""An endpoint with dependency-injector's `inject`, whose resources it closes."""

from typing import Annotated

from dependency_injector.wiring import Closing, Provide, inject
from fastapi import Depends, FastAPI

from benchmarks.candidates.dependency_injector import declare, wire
from benchmarks.wiring import GRAPH_ASYNC
from benchmarks.work import Shop, report

NAMES = ("dependency-injector",)


def make(name: str) -> FastAPI:
    """Make the application."""
    app = FastAPI()

    @inject
    async def show(
        shop: Annotated[Shop, Depends(Closing[Provide["root"]])],
    ) -> dict[str, bool]:
        return report(shop)

    app.get("/")(wire(declare(GRAPH_ASYNC), show))
    return app
