"""Flask, under a server with threads."""

import contextlib
import threading

from flask import Flask, Response
from werkzeug.serving import make_server

import wares.flask
from tests.adapters.conformance.over_http import HTTPConformance
from wares.testing import AdapterConformance, AnsweredError


class TestFlask(HTTPConformance):
    adapter = "wares.flask"
    makes_eager = False
    framework = "flask"
    has_async_services = False

    @contextlib.asynccontextmanager
    async def serve(self, registry, work):
        app = wares.flask.init_app(Flask("shop"), registry=registry)
        app.register_blueprint(wares.flask.health_blueprint())
        app.register_error_handler(AnsweredError, lambda error: ("answered", 409))

        app.get("/work")(self.make_view(work))

        @app.get("/stream")
        def stream():
            return Response(work.items(wares.flask.wares_from()))

        server = make_server("127.0.0.1", 0, app, threaded=True)
        thread = threading.Thread(target=server.serve_forever, args=[0.01])
        thread.start()
        try:
            yield f"127.0.0.1:{server.port}"
        finally:
            server.shutdown()
            thread.join()
            server.server_close()
            wares.flask.close_registry(app)

    def make_view(self, work):
        def do():
            return work.run(wares.flask.wares_from())

        return do


class TestAsynchronousViews(TestFlask):
    """Flask runs each in an event loop of its own, which ends before the request does."""

    has_async_services = True

    stream = AdapterConformance.stream
    abandon = AdapterConformance.abandon

    def make_view(self, work):
        async def do():
            return await work.arun(wares.flask.wares_from())

        return do
