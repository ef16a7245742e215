"""Manual wiring, the upper bound: A and B are globals, and each endpoint makes the rest itself."""

from contextlib import asynccontextmanager, contextmanager

from fastapi import FastAPI

from benchmarks.letters import (
    THE_A,
    B,
    C,
    D,
    E,
    F,
    G,
    open_h,
    open_i,
    use_scoped,
    use_singletons,
)

NAMES = ("by hand",)

THE_B = B(THE_A)

opened_h = contextmanager(open_h)
opened_i = asynccontextmanager(open_i)


def make(name: str) -> FastAPI:
    """Make the application."""
    app = FastAPI()

    @app.get("/singleton")
    async def singleton() -> dict[str, int]:
        return use_singletons(THE_A, THE_B)

    @app.get("/scoped")
    async def scoped() -> dict[str, int]:
        c = C()
        d = D(c)
        e = E(c, d)
        f = F(c, d, e)
        g = G(c, d, e, f)
        with opened_h(c, d) as h:
            async with opened_i(e, f) as i:
                return use_scoped(c, c, c, d, d, e, f, g, h, i)

    return app
