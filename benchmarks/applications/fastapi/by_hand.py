"""An endpoint that makes the services it needs."""

from fastapi import FastAPI

from benchmarks.candidates.by_hand import make_shop, opened_async_session
from benchmarks.work import CONFIG, Engine, report

NAMES = ("by hand",)


def make(name: str) -> FastAPI:
    """Make the application."""
    app = FastAPI()

    @app.get("/")
    async def show() -> dict[str, bool]:
        async with opened_async_session(Engine(CONFIG)) as session:
            return report(make_shop(session))

    return app
