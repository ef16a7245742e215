"""that-depends' providers in FastAPI's `Depends`, after its middleware."""

from typing import Annotated

from fastapi import Depends, FastAPI
from that_depends.providers import DIContextMiddleware

from benchmarks.candidates.that_depends import declare
from benchmarks.letters import LETTERS, make_endpoints

NAMES = ("that-depends",)


def make(name: str) -> FastAPI:
    """Make the application."""
    app, box = FastAPI(), declare(LETTERS)
    providers = box.get_providers()
    endpoints = make_endpoints(
        lambda kind: Annotated[kind, Depends(providers[kind.__name__.lower()])]
    )
    for path, endpoint in endpoints.items():
        app.get(path)(endpoint)
    app.add_middleware(DIContextMiddleware, box)
    return app
