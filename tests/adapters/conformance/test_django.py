"""Django: views of both kinds, under a server of each kind."""

import contextlib
import gc
import threading
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import pytest
from django.apps import apps
from django.core.asgi import get_asgi_application
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest

from tests.adapters import django_project
from tests.adapters.conformance.over_http import HTTPConformance
from tests.adapters.serving import serve
from wares.django import close_registry, with_lifespan
from wares.testing import AdapterConformance

django_project.configure()

# Django 5.2 leaves a file unclosed when a client goes away early; 6.0 does not.
pytestmark = pytest.mark.filterwarnings(
    "ignore:Unclosed file <tempfile.SpooledTemporaryFile",
    "ignore:Exception ignored in.*SpooledTemporaryFile",
)


class DjangoConformance(HTTPConformance):
    adapter = "wares.django"
    framework = "django"
    given = (HttpRequest,)

    views = "async"

    @pytest.fixture(autouse=True)
    def _restore(self):
        config = apps.get_app_config("wares")
        registry = config.registry
        yield
        config.registry = registry
        # Within this test, which expects the warnings above.
        gc.collect()

    @contextlib.asynccontextmanager
    async def serve(self, registry, work):
        django_project.current["work"] = work
        apps.get_app_config("wares").registry = registry
        async with self.run() as address:
            yield address

    def _path(self, path):
        return path if path == "/healthy" else f"/{self.views}{path}"


class TestASGI(DjangoConformance):
    @contextlib.asynccontextmanager
    async def run(self):
        async with serve(with_lifespan(get_asgi_application())) as address:
            yield address


# Django says so whenever a synchronous iterator is streamed under ASGI.
@pytest.mark.filterwarnings("ignore:StreamingHttpResponse must consume")
class TestASGIWithSynchronousViews(TestASGI):
    views = "sync"
    has_async_services = False


class TestWSGI(DjangoConformance):
    makes_eager = False
    views = "sync"
    has_async_services = False

    @contextlib.asynccontextmanager
    async def run(self):
        app = get_wsgi_application()
        with make_server("127.0.0.1", 0, app, _Server, _Handler) as server:
            thread = threading.Thread(target=server.serve_forever, args=[0.01])
            thread.start()
            try:
                yield "{}:{}".format(*server.server_address)
            finally:
                server.shutdown()
                thread.join()
                close_registry()


class TestWSGIWithAsynchronousViews(TestWSGI):
    views = "async"
    has_async_services = True

    # Django reads asynchronous iterators to their end before it sends anything, in another event
    # loop, and warns of that.
    stream = AdapterConformance.stream
    abandon = AdapterConformance.abandon


class _Server(ThreadingMixIn, WSGIServer):
    """Serves each request in a thread."""


class _Handler(WSGIRequestHandler):
    """Logs nothing."""

    def log_message(self, *args):
        pass
