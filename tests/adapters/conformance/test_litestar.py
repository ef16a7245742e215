"""Litestar, under a real server."""

import contextlib

from litestar import Litestar, Request, Response, get
from litestar.connection import ASGIConnection
from litestar.response import Stream

from tests.adapters.conformance.over_http import HTTPConformance
from tests.adapters.serving import serve
from wares.litestar import WaresPlugin, health_handler, wares_from
from wares.testing import AnsweredError


def answer(request, error):
    return Response("answered", status_code=409)


class TestLitestar(HTTPConformance):
    adapter = "wares.litestar"
    framework = "litestar"
    given = (Request, ASGIConnection)

    @contextlib.asynccontextmanager
    async def serve(self, registry, work):
        app = Litestar(
            [*self.make_handlers(work), health_handler()],
            plugins=[WaresPlugin(registry=registry)],
            exception_handlers={AnsweredError: answer},
            logging_config=None,
        )
        async with serve(app) as address:
            yield address

    def make_handlers(self, work):
        @get("/work")
        async def do(request: Request) -> str:
            return await work.arun(wares_from(request))

        @get("/stream")
        async def stream(request: Request) -> Stream:
            return Stream(work.aitems(wares_from(request)))

        return [do, stream]


class TestSynchronousHandlers(TestLitestar):
    has_async_services = False

    def make_handlers(self, work):
        @get("/work", sync_to_thread=True)
        def do(request: Request) -> str:
            return work.run(wares_from(request))

        @get("/stream", sync_to_thread=False)
        def stream(request: Request) -> Stream:
            return Stream(work.items(wares_from(request)))

        return [do, stream]
