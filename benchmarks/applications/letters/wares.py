"""wares, with `Inject`."""

from collections.abc import AsyncIterator

from fastapi import FastAPI

import wares
from benchmarks.letters import (
    A,
    B,
    C,
    D,
    E,
    F,
    G,
    H,
    I,
    Settings,
    make_a,
    make_endpoints,
    open_h,
    open_i,
)
from wares.fastapi import Inject, lifespan

NAMES = ("wares Inject",)


def make(name: str) -> FastAPI:
    """Make the application."""

    @lifespan
    async def live(app: FastAPI, registry: wares.Registry) -> AsyncIterator[None]:
        registry.register_value(Settings, Settings())
        registry.register_factory(A, make_a, lifetime="singleton")
        registry.register_factory(B, B, lifetime="singleton")
        for service in (C, D, E, F, G):
            registry.register_factory(service, service)
        registry.register_factory(H, open_h)
        registry.register_factory(I, open_i)
        yield

    app = FastAPI(lifespan=live)
    for path, endpoint in make_endpoints(lambda kind: Inject[kind]).items():
        app.get(path)(endpoint)
    return app
