"""aioinject, with `Injected`, after its middleware."""

import aioinject
from aioinject import Injected
from aioinject.ext.fastapi import AioInjectMiddleware, FastAPIExtension, inject
from fastapi import FastAPI

from benchmarks.candidates.aioinject import fill
from benchmarks.letters import LETTERS, make_endpoints

NAMES = ("aioinject",)


def make(name: str) -> FastAPI:
    """Make the application."""
    app = FastAPI()
    for path, endpoint in make_endpoints(lambda kind: Injected[kind]).items():
        app.get(path)(inject(endpoint))
    container = fill(aioinject.Container(extensions=[FastAPIExtension()]), LETTERS)
    app.add_middleware(AioInjectMiddleware, container=container)
    return app
