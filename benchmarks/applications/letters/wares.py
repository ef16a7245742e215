"""wares, with `Inject`: registered as they are."""

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
    open_h,
    open_i,
    use_scoped,
    use_singletons,
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

    @app.get("/singleton")
    async def singleton(a: Inject[A], b: Inject[B]) -> dict[str, int]:
        return use_singletons(a, b)

    @app.get("/scoped")
    async def scoped(
        c: Inject[C],
        cc: Inject[C],
        ccc: Inject[C],
        d: Inject[D],
        dd: Inject[D],
        e: Inject[E],
        f: Inject[F],
        g: Inject[G],
        h: Inject[H],
        i: Inject[I],
    ) -> dict[str, int]:
        return use_scoped(c, cc, ccc, d, dd, e, f, g, h, i)

    return app
