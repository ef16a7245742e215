"""A Django project for tests, whose views do the work that a test chooses."""

import django
from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.conf import settings
from django.http import HttpResponse, StreamingHttpResponse
from django.urls import include, path
from django.views import View

from wares import Inject, inject
from wares.django import health_view, wares_from
from wares.testing import AnsweredError

#: The work of the views; a test sets it.
current = {}


def configure() -> None:
    """Set up the project, once per process."""
    if settings.configured:
        return
    settings.configure(
        ALLOWED_HOSTS=["*"],
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
        INSTALLED_APPS=[
            "django.contrib.auth",
            "django.contrib.contenttypes",
            "rest_framework",
            "wares.django",
            "tests.adapters.django_shop",
        ],
        LOGGING_CONFIG=None,
        MIDDLEWARE=[f"{__name__}.AnsweringMiddleware", "wares.django.WaresMiddleware"],
        ROOT_URLCONF=__name__,
        SECRET_KEY="secret",
        USE_TZ=True,
        WARES={"register": "tests.adapters.django_shop.register_more"},
    )
    django.setup()


class AnsweringMiddleware:
    """Answers an exception of a view, as Django itself answers `Http404`."""

    sync_capable = True
    async_capable = True

    def __init__(self, get_response):
        self.get_response = get_response
        if iscoroutinefunction(get_response):
            markcoroutinefunction(self)

    def __call__(self, request):
        return self.get_response(request)

    def process_exception(self, request, exception):
        return HttpResponse(status=409) if isinstance(exception, AnsweredError) else None


def do(request):
    return HttpResponse(current["work"].run(wares_from(request)))


async def ado(request):
    return HttpResponse(await current["work"].arun(wares_from(request)))


def stream(request):
    return StreamingHttpResponse(current["work"].items(wares_from(request)))


async def astream(request):
    return StreamingHttpResponse(current["work"].aitems(wares_from(request)))


def drf_view(request):
    from rest_framework.decorators import api_view  # needs settings

    return api_view(["GET"])(lambda request: current["view"](request))(request)


async def aview(request):
    return await current["view"](request)


class ClassView(View):
    @inject
    def get(self, request, number: Inject[int]):
        return HttpResponse(f"{number} {wares_from(request).get(int)}")


urlpatterns = [
    path("sync/work", do),
    path("sync/stream", stream),
    path("async/work", ado),
    path("async/stream", astream),
    path("healthy", health_view()),
    path("view", lambda request: current["view"](request)),
    path("aview", aview),
    path("drf", drf_view),
    path("class", ClassView.as_view()),
    path("included/", include([path("view", lambda request: current["view"](request))])),
]
