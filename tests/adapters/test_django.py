"""Django: what `AdapterConformance` does not say, with Django's own test clients."""

import asyncio
import io
import sys

import pytest
from asgiref.sync import async_to_sync
from django.apps import apps
from django.core import checks
from django.core.asgi import get_asgi_application
from django.core.exceptions import PermissionDenied
from django.core.management import BaseCommand, CommandError, call_command
from django.core.signals import request_finished
from django.core.wsgi import get_wsgi_application
from django.db import transaction
from django.http import FileResponse, Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.test import AsyncClient, Client, RequestFactory, override_settings
from django.urls import include, path, re_path
from django.views import generic

from tests.adapters import django_project
from tests.adapters.serving import Journal, Session, open_session_sync, until
from wares import (
    AsyncServiceError,
    Inject,
    InvalidOptionError,
    InvalidRegistrationError,
    InvalidRegistryError,
    NoContainerError,
    NoRegistryError,
    Registry,
    RegistryClosedError,
    ResponseFailed,
    current_container,
    inject,
)
from wares.__main__ import main
from wares.django import (
    WaresMiddleware,
    aclose_registry,
    close_registry,
    get_registry,
    wares_from,
    with_container,
    with_lifespan,
)

django_project.configure()


@pytest.fixture(autouse=True)
def registry(journal):
    """A registry of the test's own, in the place of the project's."""
    config = apps.get_app_config("wares")
    before, config.registry = config.registry, Registry()
    registry = config.registry
    registry.expect(HttpRequest)
    registry.register_value(int, 3)
    registry.register_value(Journal, journal)
    registry.register_factory(Session, open_session_sync)
    yield registry
    registry.close()
    config.registry = before


def make_application():
    """Make what a server of ASGI serves."""
    return with_lifespan(get_asgi_application())


def ask(view, path="/view", method="get", **options):
    """Have *view* answer a request."""
    django_project.current["view"] = view
    client = Client(raise_request_exception=False)
    return getattr(client, method)(path, **options)


def work(request, what="work"):
    """Use the session once."""
    return wares_from(request).get(Session).work(what)


class TestFailures:
    @pytest.mark.parametrize("error", [Http404(), PermissionDenied(), LookupError()])
    def test_of_views_that_django_answers(self, journal, error):
        """The exception of a view reaches the cleanups, and Django answers it."""

        def view(request):
            work(request)
            raise error

        ask(view)

        assert ["open", "work", f"rollback {type(error).__name__}"] == journal

    def test_of_middlewares(self, registry, journal):
        """The exception of an inner middleware reaches the cleanups."""

        class Failing:
            def __init__(self, get_response):
                self.get_response = get_response

            def __call__(self, request):
                work(request)
                raise LookupError

        django_project.Failing = Failing
        project = "tests.adapters.django_project"
        with override_settings(
            MIDDLEWARE=["wares.django.WaresMiddleware", f"{project}.Failing"]
        ):
            ask(lambda request: HttpResponse())

        assert ["open", "work", "rollback LookupError"] == journal

    def test_of_middlewares_further_outside(self, journal):
        """A failure outside of the middleware has no container, and is not touched."""

        class Refusing:
            def __init__(self, get_response):
                self.get_response = get_response

            def __call__(self, request):
                raise LookupError

        django_project.Refusing = Refusing
        project = "tests.adapters.django_project"
        with override_settings(
            MIDDLEWARE=[f"{project}.Refusing", "wares.django.WaresMiddleware"]
        ):
            assert 500 == ask(lambda request: HttpResponse()).status_code

    @pytest.mark.parametrize(
        ("status", "end"), [(503, "rollback ResponseFailed"), (404, "commit")]
    )
    def test_that_only_the_status_tells(self, journal, status, end):
        """A response with a status of 500 or more is failed work, even without an exception."""

        def view(request):
            return HttpResponse(work(request), status=status)

        ask(view)

        assert ["open", "work", end] == journal

    def test_that_rest_framework_answers(self, journal):
        """An exception that Django REST Framework answers in the view rolls back."""
        from rest_framework.exceptions import NotFound

        def view(request):
            work(request)
            raise NotFound

        assert 404 == ask(view, "/drf").status_code
        assert ["open", "work", "rollback ResponseFailed"] == journal

    def test_that_ninja_answers(self, journal):
        """An error of django-ninja that leaves an injected operation rolls back."""
        from ninja import NinjaAPI  # needs settings
        from ninja.errors import HttpError

        api = NinjaAPI(urls_namespace="test_that_ninja_answers")

        @api.get("fail")
        @inject
        def fail(request, number: int, session: Inject[Session]):
            session.work(str(number))
            raise HttpError(409, "no")

        class URLs:
            urlpatterns = (path("", api.urls),)

        with override_settings(ROOT_URLCONF=URLs):
            assert 409 == ask(None, "/fail", data={"number": "1"}).status_code
        assert ["open", "1", "rollback HttpError"] == journal

    @pytest.mark.parametrize("key", [str, dict[str, str]])
    def test_that_ninja_would_read(self, key):
        """An operation of django-ninja whose service clients would send is refused."""
        from ninja import NinjaAPI  # needs settings

        api = NinjaAPI(urls_namespace="test_that_ninja_would_read")

        def show(request, service: Inject[key]): ...

        with pytest.raises(InvalidRegistrationError, match=r"for 'service', .* @inject"):
            api.post("show")(show)

    def test_say_what_the_response_was(self):
        """The error that stands for a response tells its status, and nothing else."""
        assert "The work was answered by a response of status 503." == str(ResponseFailed(503))


class TestStreams:
    def test_that_nobody_reads(self, journal):
        """A stream that is not begun, as for HEAD, ends when the response is closed."""

        def view(request):
            work(request)
            return StreamingHttpResponse(iter(["never"]))

        response = ask(view, method="head")
        response.close()

        assert ["open", "work", "commit"] == journal

    def test_without_the_private_name_of_their_iterator(self, journal, monkeypatch):
        """If Django keeps the iterator of a stream elsewhere, services end after the stream."""

        def look(thing, name, default):
            return default if name == "_iterator" else getattr(thing, name, default)

        def view(request):
            return StreamingHttpResponse(work(request, text) for text in ["one", "two"])

        monkeypatch.setattr("wares.django._requests.getattr", look, raising=False)
        response = ask(view)

        assert [b"one", b"two"] == list(response.streaming_content)
        response.close()
        assert ["open", "one", "two", "commit"] == journal

    def test_that_are_given_up(self, journal):
        """A stream that is given up ends when the response is closed, once."""

        def view(request):
            return StreamingHttpResponse(work(request, text) for text in ["one", "two"])

        response = ask(view)
        next(response.streaming_content)
        response.close()
        response.close()

        assert ["open", "one", "rollback GeneratorExit"] == journal

    def test_that_are_interrupted(self, journal):
        """The cleanups see the interrupt that ends a stream."""

        def view(request):
            def chunks():
                yield work(request, "one")
                raise KeyboardInterrupt

            return StreamingHttpResponse(chunks())

        with pytest.raises(KeyboardInterrupt):
            list(ask(view).streaming_content)

        assert ["open", "one", "rollback KeyboardInterrupt"] == journal

    def test_that_are_dropped(self, registry, journal):
        """A stream that an outer middleware drops, and does not close, ends at once."""

        class Transaction:
            def __enter__(self):
                journal.append("begin")

            def __exit__(self, kind, *_):
                journal.append(f"end with {kind.__name__}")

        registry.register_factory(Transaction, Transaction)

        def view(request):
            wares_from(request).get(Transaction)
            return StreamingHttpResponse(iter(["one", "two"]))

        response = WaresMiddleware(view)(RequestFactory().get("/view"))
        next(response.streaming_content)
        del response

        assert ["begin", "end with GeneratorExit"] == journal

    def test_have_their_container_current(self):
        """While a stream runs, its container is the current one, and not in between."""

        def view(request):
            return StreamingHttpResponse(
                str(current_container() is wares_from(request)) for _ in range(2)
            )

        response = ask(view)
        chunks = response.streaming_content

        assert b"True" == next(chunks)
        with pytest.raises(NoContainerError):
            current_container()
        assert [b"True"] == list(chunks)

    def test_of_files_are_left_to_the_server(self, journal):
        """A file keeps no service open."""

        def view(request):
            work(request)
            return FileResponse(io.BytesIO(b"text"))

        response = ask(view)

        assert ["open", "work", "commit"] == journal
        assert b"text" == response.getvalue()
        response.close()

    async def test_asynchronous_ones_that_are_given_up(self, registry, journal):
        """An asynchronous stream that is given up ends when the response is closed, once."""

        async def view(request):
            async def items():
                try:
                    for text in ("one", "two"):
                        yield work(request, text)
                finally:
                    work(request, "finally")

            return StreamingHttpResponse(items())

        django_project.current["view"] = view
        response = await AsyncClient().get("/aview")
        await anext(aiter(response.streaming_content))
        await asyncio.to_thread(response.close)
        await asyncio.to_thread(response.close)

        assert ["open", "one", "finally", "rollback GeneratorExit"] == journal

    async def test_asynchronous_ones_that_nobody_reads(self, journal):
        """An asynchronous iterator of any kind ends when the response is closed."""

        class Items:
            def __aiter__(self):
                return self

            async def __anext__(self):
                raise StopAsyncIteration

        async def view(request):
            work(request)
            return StreamingHttpResponse(Items())

        django_project.current["view"] = view
        response = await AsyncClient().get("/aview")
        await asyncio.to_thread(response.close)

        assert ["open", "work", "commit"] == journal


class TestCommands:
    def test_have_a_container(self, journal):
        """A management command has a container for its call."""
        output = io.StringIO()

        call_command("tell", stdout=output)

        assert "work\n" == output.getvalue()
        assert ["open", "work", "commit"] == journal

    def test_that_fail(self, journal):
        """The exception of a command reaches the cleanups."""
        with pytest.raises(CommandError):
            call_command("tell", "--fail", stdout=io.StringIO())

        assert ["open", "work", "rollback CommandError"] == journal

    @pytest.mark.parametrize("decorate", [lambda f: f, inject])
    @pytest.mark.parametrize("decorate_more", [lambda f: f, inject])
    def test_ask_without_another_decorator(self, journal, decorate, decorate_more):
        """`inject` is not needed, and may be there, above or below."""

        def task(text: str, *, session: Inject[Session]):
            return session.work(text)

        assert "one" == decorate_more(with_container(decorate(task)))("one")
        assert ["open", "one", "commit"] == journal

    async def test_asynchronous_functions(self, registry, journal):
        """An asynchronous task has a container for its call."""

        @with_container
        async def task(text: str, session: Inject[Session]):
            return session.work(text)

        assert "one" == await task("one")
        assert ["open", "one", "commit"] == journal

    def test_tasks_of_django(self, journal):
        """A task of `django.tasks` has a container for its run, where Django has tasks."""
        tasks = pytest.importorskip("django.tasks", reason="new in Django 6.0")

        backend = {"default": {"BACKEND": "django.tasks.backends.immediate.ImmediateBackend"}}
        with override_settings(TASKS=backend):
            tasks.task(task_of_django).enqueue("one")

        assert ["open", "one", "commit"] == journal

    def test_end_what_has_to_be_awaited(self, registry):
        """A synchronous function may end services whose cleanup must be awaited."""
        seen = []

        class Connection:
            async def __aenter__(self):
                return self

            async def __aexit__(self, *_):
                seen.append("closed")

        async def get(key):
            return await current_container().aget(key)

        @with_container
        def task():
            async_to_sync(get)(Connection)
            seen.append("done")

        registry.register_factory(Connection, Connection)
        task()

        assert ["done", "closed"] == seen


@with_container
@inject
def task_of_django(text: str, session: Inject[Session]):
    """Work in a task."""
    return session.work(text)


class TestStart:
    def test_finds_registrations(self):
        """Modules called ``wares`` are found, and the function that the setting names."""
        config = apps.get_app_config("wares")
        config.ready()

        with get_registry().container() as container:
            assert (3, "named by the setting") == container.get(int, str)
        close_registry()

    def test_needs_no_setting(self):
        """Without the setting, modules are found all the same."""
        with override_settings(WARES={}):
            apps.get_app_config("wares").ready()

        assert str not in get_registry()
        assert int in get_registry()
        close_registry()

    def test_validates(self, registry):
        """A project whose registry cannot work does not start, unless it says so."""

        def make(missing: complex) -> bytes:
            """Never be called."""

        registry.register_factory(bytes, make)
        with pytest.raises(InvalidRegistryError):
            get_wsgi_application()
        with override_settings(WARES={"validate": False}):
            get_wsgi_application()

    def test_is_checked_by_manage(self, registry):
        """`manage.py check` tells each problem, also what views ask for."""
        assert [] == checks.run_checks()

        registry.expect(complex)
        config = apps.get_app_config("wares")
        config.registry = Registry()
        found = [error for error in checks.run_checks() if error.id == "wares.E001"]
        config.registry = registry

        assert 1 == len(found)
        assert "int" in found[0].msg

    @pytest.mark.parametrize("middlewares", [[], ["django.middleware.common.CommonMiddleware"]])
    def test_without_the_middleware(self, middlewares):
        """`manage.py check` tells that views ask, and have no container."""

        @inject
        def view(request, number: Inject[int]): ...

        class URLs:
            urlpatterns = (path("", view),)

        class Silent:
            urlpatterns = ()

        with override_settings(MIDDLEWARE=middlewares, ROOT_URLCONF=URLs):
            (found,) = checks.run_checks()
        with override_settings(MIDDLEWARE=middlewares, ROOT_URLCONF=Silent):
            assert [] == checks.run_checks()

        assert "wares.E002" == found.id
        assert "wares.django.WaresMiddleware" in found.hint

    @pytest.mark.parametrize("setting", ["shop.register", {"registry": "shop.register"}])
    def test_refuses_settings_that_mean_nothing(self, setting):
        """A misspelt entry would leave all registrations out."""
        with override_settings(WARES=setting), pytest.raises(InvalidOptionError) as caught:
            apps.get_app_config("wares").ready()

        assert "'register' and 'validate'" in str(caught.value)

    def test_a_part_of_a_url_with_the_name_of_a_service(self, registry):
        """A view is refused if a part of its URL would take the place of a service."""

        class View(generic.View):
            @inject
            def get(self, request, session: Inject[Session], name=""): ...

        inner = [re_path("(?P<name>x+)/", View.as_view())]

        class URLs:
            urlpatterns = (
                path("<slug:session>/", include(inner)),
                path("<name>/", include(inner)),
            )

        registry.expect(complex)
        with override_settings(ROOT_URLCONF=URLs):
            (found,) = (error for error in checks.run_checks() if error.id == "wares.E001")

        assert "'session'" in found.msg
        assert "a part of the URL has the same name" in found.msg

    def test_is_seen_by_wares_check(self, registry, monkeypatch, capsys):
        """`wares check` sees what views ask for: functions, classes, and actions of viewsets."""
        from rest_framework.viewsets import ViewSet

        @inject
        def function(request, missing: Inject[complex]): ...

        class Kind(generic.View):
            @inject
            async def post(self, request, missing: Inject[complex]): ...

        class Shelf(ViewSet):
            @inject
            def retrieve(self, request, missing: Inject[complex]): ...

        class URLs:
            urlpatterns = (
                path("function", function),
                path("class", Kind.as_view()),
                path("shelf", Shelf.as_view({"get": "retrieve"})),
            )

        monkeypatch.setattr(sys, "argv", ["wares", "check", f"{__name__}:make_application"])
        apps.get_app_config("wares").ready()
        with override_settings(ROOT_URLCONF=URLs), pytest.raises(SystemExit) as caught:
            main()

        errors = capsys.readouterr().err
        assert 1 == caught.value.code
        assert "The registry has 3 problems" in errors
        for name in ("function", "post", "retrieve"):
            assert f"{name} (" in errors

    def test_views_of_classes_ask(self):
        """A method of a class-based view is injected like a function."""
        assert b"3 3" == ask(None, "/class").content

    def test_included_urls(self):
        """Views that are included are served as any."""
        assert (
            b"3"
            == ask(
                lambda request: HttpResponse(str(wares_from(request).get(int))),
                "/included/view",
            ).content
        )


class TestEnd:
    def test_with_services_to_be_awaited(self, registry):
        """A registry with asynchronous cleanups can be closed."""
        closed = []

        async def close():
            closed.append("closed")

        registry.register_value(float, 1.0, on_registry_close=close)

        close_registry()

        assert ["closed"] == closed
        with pytest.raises(RegistryClosedError):
            registry.container()

    async def test_under_asgi(self, registry):
        """The lifespan events of a server close the registry; other scopes pass."""
        events = iter([{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}])
        sent = []

        async def receive():
            return next(events)

        async def send(message):
            sent.append(message["type"])

        async def app(scope, receive, send):
            sent.append(scope["type"])

        served = with_lifespan(app)
        await served({"type": "http"}, receive, send)
        await served({"type": "lifespan"}, receive, send)

        assert ["http", "lifespan.startup.complete", "lifespan.shutdown.complete"] == sent
        with pytest.raises(RegistryClosedError):
            registry.container()
        await aclose_registry()


class TestWhatIsMissing:
    def test_a_container(self):
        """A request that did not come through the middleware says so."""
        with pytest.raises(NoContainerError, match="MIDDLEWARE"):
            wares_from(HttpRequest())

    def test_a_registry(self):
        """A project that did not install the application says so."""
        apps.get_app_config("wares").registry = None

        with pytest.raises(NoRegistryError, match="INSTALLED_APPS"):
            get_registry()


class TestEdgeCases:
    def test_a_failed_commit_fails_the_request(self, registry):
        """An ordinary response is sent after the services have ended, so it can still fail."""

        def fail_at_the_end():
            yield 1.0
            raise LookupError("the commit failed")

        registry.register_factory(float, fail_at_the_end)

        assert (
            500 == ask(lambda request: HttpResponse(wares_from(request).get(float))).status_code
        )

    def test_an_error_response_of_rest_framework_that_is_returned(self, journal):
        """A response with an error status commits if it is returned, not raised."""
        from rest_framework.response import Response

        def view(request):
            return Response(work(request), status=400)

        assert 400 == ask(view, "/drf").status_code
        assert ["open", "work", "commit"] == journal

    def test_a_view_called_without_middlewares(self, registry):
        """A test that calls a view itself activates a container."""

        @inject
        def view(request, session: Inject[Session]):
            return HttpResponse(session.work())

        request = RequestFactory().get("/")
        with pytest.raises(NoContainerError):
            view(request)
        with registry.container() as container, container.activate():
            assert b"work" == view(request).content

    def test_a_view_that_nobody_injects(self, registry):
        """`manage.py check` tells it; the request fails, and reads nothing from the client."""

        def view(request, session: Inject[Session]):
            """Never be reached."""

        class URLs:
            urlpatterns = (path("view", view),)

        with override_settings(ROOT_URLCONF=URLs):
            (problem,) = checks.run_checks()
            assert 500 == ask(None, "/view", data={"session": "theirs"}).status_code

        assert "not injected" in problem.msg

    def test_a_synchronous_view_and_an_asynchronous_service(self, registry):
        """`inject` refuses; the view may run `aget` by itself."""

        async def make() -> bytes:
            return b"made"

        @inject
        def injected(request, made: Inject[bytes]):
            """Never be reached."""

        def view(request):
            return HttpResponse(async_to_sync(wares_from(request).aget)(bytes))

        registry.register_factory(bytes, make)

        assert issubclass(ask(injected).exc_info[0], AsyncServiceError)
        assert b"made" == ask(view).content

    def test_a_command_without_a_container(self):
        """A management command opens a container by `with_container`."""

        class Command(BaseCommand):
            @inject
            def handle(self, *args, session: Inject[Session], **options):
                """Never be reached."""

        with pytest.raises(NoContainerError):
            call_command(Command())

    def test_what_runs_after_a_request(self, journal):
        """Receivers of `request_finished` run after the services have ended."""

        def note(**_):
            with pytest.raises(NoContainerError):
                current_container()
            journal.append("finished")

        def view(request):
            return HttpResponse(work(request))

        request_finished.connect(note)
        try:
            ask(view)
        finally:
            request_finished.disconnect(note)

        assert ["open", "work", "commit", "finished"] == journal

    def test_what_runs_at_the_end_of_a_transaction(self, journal):
        """Callbacks of `transaction.on_commit` still have the services."""

        def view(request):
            with transaction.atomic():
                transaction.on_commit(lambda: work(request))
            return HttpResponse()

        ask(view)

        assert ["open", "work", "commit"] == journal

    async def test_a_client_that_disconnects(self, journal):
        """Django cancels an asynchronous view whose client has gone; so the cleanups see it."""

        async def view(request):
            work(request)
            await asyncio.sleep(10)

        django_project.current["view"] = view
        asking = asyncio.create_task(AsyncClient().get("/aview"))
        await until(lambda: "work" in journal)
        asking.cancel()
        await asyncio.wait({asking})

        assert ["open", "work", "rollback CancelledError"] == journal
