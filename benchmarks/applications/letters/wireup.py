"""wireup, with `Injected` on its route class, and with a class-based handler for the singletons."""

import wireup
import wireup.integration.fastapi
from fastapi import APIRouter, FastAPI
from wireup import Injected, injectable
from wireup.integration.fastapi import WireupRoute

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
    use_scoped,
    use_singletons,
)

NAMES = ("wireup", "wireup class-based")


class Handler:
    """Serves both paths; wireup passes A and B to it once."""

    router = APIRouter(route_class=WireupRoute)

    def __init__(self, a: A, b: B) -> None:
        self.a = a
        self.b = b

    @router.get("/singleton")
    async def singleton(self) -> dict[str, int]:
        """Use the services that the handler has."""
        return use_singletons(self.a, self.b)

    @router.get("/scoped")
    async def scoped(
        self,
        c: Injected[C],
        cc: Injected[C],
        ccc: Injected[C],
        d: Injected[D],
        dd: Injected[D],
        e: Injected[E],
        f: Injected[F],
        g: Injected[G],
        h: Injected[H],
        i: Injected[I],
    ) -> dict[str, int]:
        """Use the services that live for a request."""
        return use_scoped(c, cc, ccc, d, dd, e, f, g, h, i)


def make(name: str) -> FastAPI:
    """Make the application of one of the names."""
    request_lived = injectable(lifetime="scoped")
    container = wireup.create_async_container(
        injectables=[
            *map(injectable, (Settings, make_a, B)),
            *map(request_lived, (C, D, E, F, G, open_h, open_i)),
        ]
    )
    app = FastAPI()
    if name == "wireup class-based":
        wireup.integration.fastapi.setup(container, app, class_based_handlers=[Handler])
        return app
    router = APIRouter(route_class=WireupRoute)
    for path, endpoint in make_endpoints(lambda kind: Injected[kind]).items():
        router.get(path)(endpoint)
    app.include_router(router)
    wireup.integration.fastapi.setup(container, app)
    return app
