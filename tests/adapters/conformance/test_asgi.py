"""The ASGI middleware, Starlette and FastAPI, under a real server."""

import contextlib

from fastapi import FastAPI, Request
from fastapi.responses import StreamingResponse
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import HTTPConnection
from starlette.responses import PlainTextResponse
from starlette.routing import Route

import wares.asgi
import wares.fastapi
import wares.starlette
from tests.adapters.conformance.over_http import HTTPConformance
from tests.adapters.serving import serve
from wares.testing import AnsweredError


async def start(app, registry):
    yield


async def answer(request, error):
    return PlainTextResponse("answered", 409)


class TestASGI(HTTPConformance):
    @contextlib.asynccontextmanager
    async def serve(self, registry, work):
        health = wares.asgi.health_app()

        async def send_text(send, text, *, more_body=False):
            await send(
                {"type": "http.response.body", "body": text.encode(), "more_body": more_body}
            )

        async def stream(scope, send):
            await send({"type": "http.response.start", "status": 200, "headers": []})
            async for item in work.aitems(wares.asgi.wares_from(scope)):
                await send_text(send, item, more_body=True)
            await send_text(send, "")

        async def do(scope, send):
            try:
                text = await work.arun(wares.asgi.wares_from(scope))
            except AnsweredError:
                await send({"type": "http.response.start", "status": 409, "headers": []})
                await send_text(send, "answered")
            else:
                await send({"type": "http.response.start", "status": 200, "headers": []})
                await send_text(send, text)

        async def app(scope, receive, send):
            if scope["path"] == "/healthy":
                await health(scope, receive, send)
            else:
                await (stream if scope["path"] == "/stream" else do)(scope, send)

        lifespan = wares.asgi.lifespan(start, registry=registry)
        async with serve(wares.asgi.WaresMiddleware(app, lifespan=lifespan)) as address:
            yield address


class TestStarlette(HTTPConformance):
    adapter = "wares.starlette"
    framework = "starlette"
    given = (Request, HTTPConnection)

    @contextlib.asynccontextmanager
    async def serve(self, registry, work):
        do, stream = self.make_endpoints(work)
        app = Starlette(
            lifespan=wares.starlette.lifespan(start, registry=registry),
            routes=[
                Route("/work", do),
                Route("/stream", stream),
                wares.starlette.health_route(),
            ],
            middleware=[Middleware(wares.starlette.WaresMiddleware)],
            exception_handlers={AnsweredError: answer},
        )
        async with serve(app) as address:
            yield address

    def make_endpoints(self, work):
        async def do(request):
            return PlainTextResponse(await work.arun(wares.starlette.wares_from(request)))

        async def stream(request):
            return StreamingResponse(work.aitems(wares.starlette.wares_from(request)))

        return do, stream


class TestStarletteWithSynchronousEndpoints(TestStarlette):
    has_async_services = False

    def make_endpoints(self, work):
        def do(request):
            return PlainTextResponse(work.run(wares.starlette.wares_from(request)))

        def stream(request):
            return StreamingResponse(work.items(wares.starlette.wares_from(request)))

        return do, stream


class TestFastAPI(HTTPConformance):
    adapter = "wares.fastapi"
    framework = "fastapi"
    given = (Request, HTTPConnection)

    #: What FastAPI shows of its own: a dependency in each endpoint.
    middleware = ()

    @contextlib.asynccontextmanager
    async def serve(self, registry, work):
        app = FastAPI(
            lifespan=wares.fastapi.lifespan(start, registry=registry),
            exception_handlers={AnsweredError: answer},
            middleware=list(self.middleware),
        )

        self.add_endpoints(app, work)
        app.include_router(wares.fastapi.health_router())
        async with serve(app) as address:
            yield address

    def add_endpoints(self, app, work):
        @app.get("/work")
        async def do(services: wares.fastapi.DepContainer):
            return await work.arun(services)

        @app.get("/stream")
        async def stream(services: wares.fastapi.DepContainer):
            return StreamingResponse(work.aitems(services))


class TestFastAPIWithSynchronousEndpoints(TestFastAPI):
    has_async_services = False

    def add_endpoints(self, app, work):
        @app.get("/work")
        def do(services: wares.fastapi.DepContainer):
            return work.run(services)

        @app.get("/stream")
        def stream(services: wares.fastapi.DepContainer):
            return StreamingResponse(work.items(services))


class TestFastAPIWithMiddleware(TestFastAPI):
    middleware = (Middleware(wares.starlette.WaresMiddleware),)
