"""Flask, under a server with threads."""

import contextlib
import threading

from flask import Flask, Response
from werkzeug.serving import make_server

import wares.flask
from tests.adapters.conformance.over_http import HTTPConformance
from wares.testing import AnsweredError


class TestFlask(HTTPConformance):
    adapter = "wares.flask"
    framework = "flask"
    has_async_services = False

    @contextlib.asynccontextmanager
    async def serve(self, registry, work):
        app = wares.flask.init_app(Flask("shop"), registry=registry)
        app.register_blueprint(wares.flask.health_blueprint())
        app.register_error_handler(AnsweredError, lambda error: ("answered", 409))

        @app.get("/work")
        def do():
            return work.run(wares.flask.wares_from())

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
