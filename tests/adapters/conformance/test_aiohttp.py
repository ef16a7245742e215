"""aiohttp, under its own server."""

import contextlib

from aiohttp import web

from tests.adapters.conformance.over_http import HTTPConformance
from wares.aiohttp import health_route, init_app, wares_from
from wares.testing import AnsweredError


@web.middleware
async def answer(request, handler):
    try:
        return await handler(request)
    except AnsweredError:
        return web.Response(status=409)


class TestAiohttp(HTTPConformance):
    adapter = "wares.aiohttp"
    framework = "aiohttp"
    given = (web.Request,)

    handler_cancellation = False

    @contextlib.asynccontextmanager
    async def serve(self, registry, work):
        async def do(request):
            return web.Response(text=await work.arun(wares_from(request)))

        app = init_app(web.Application(), registry=registry)
        app.middlewares.append(answer)
        app.add_routes([web.get("/work", do), web.get("/stream", self.make_stream(work))])
        app.add_routes([health_route()])
        runner = web.AppRunner(
            app, handler_cancellation=self.handler_cancellation, shutdown_timeout=1
        )
        try:
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            host, port = runner.addresses[0]
            yield f"{host}:{port}"
        finally:
            await runner.cleanup()

    def make_stream(self, work):
        async def stream(request):
            response = web.StreamResponse()
            await response.prepare(request)
            async for item in work.aitems(wares_from(request)):
                await response.write(item.encode())
            return response

        return stream


class TestHandlersThatAreCancelled(TestAiohttp):
    handler_cancellation = True


class TestBodiesThatAreGenerators(TestAiohttp):
    def make_stream(self, work):
        async def encode(items):
            async for item in items:
                yield item.encode()

        async def stream(request):
            return web.Response(body=encode(work.aitems(wares_from(request))))

        return stream
