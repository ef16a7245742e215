"""FastAPI's own `Depends`; it runs the one dependency that is a plain generator in a thread."""

from typing import Annotated

from fastapi import Depends, FastAPI

from benchmarks.depends import make_dependencies
from benchmarks.letters import LETTERS, make_endpoints

NAMES = ("FastAPI Depends",)


def make(name: str) -> FastAPI:
    """Make the application."""
    app = FastAPI()
    getters = make_dependencies(LETTERS, Depends, keyword="async def")
    endpoints = make_endpoints(lambda kind: Annotated[kind, Depends(getters[kind])])
    for path, endpoint in endpoints.items():
        app.get(path)(endpoint)
    return app
