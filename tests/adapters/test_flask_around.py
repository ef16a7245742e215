"""Tests of the containers of requests and events within other contexts and requests."""

import contextlib
import functools
import gc
import json
import sys
import threading
import weakref
from collections.abc import Iterator

import click
import pytest
from click.exceptions import Exit
from flask import (
    Flask,
    Response,
    abort,
    copy_current_request_context,
    g,
    redirect,
    request,
    request_finished,
    stream_with_context,
)
from flask_socketio import SocketIO
from werkzeug.exceptions import HTTPException

from tests.adapters.serving import Session, open_session_sync
from wares import (
    ContainerClosedError,
    Inject,
    NoContainerError,
    NoRegistryError,
    PendingAsyncCleanupError,
    Registry,
    RegistryClosedError,
    current_container,
    inject,
)
from wares.flask import (
    close_registry,
    get_registry,
    init_app,
    register_factory,
    wares_from,
)

COMMITTED = ["open", "commit"]


class FailingChunks:
    """A stream that fails as it is closed."""

    def __iter__(self):
        return iter(["a"])

    def close(self):
        """Fail.

        Raises:
            LookupError: Always.
        """
        raise LookupError


class Instrumented:
    """A wrapper of a method, which passes for it, as those of the package wrapt do."""

    def __init__(self, method, journal):
        self._method = method
        self._journal = journal

    def __get__(self, instance, owner):
        return Instrumented(self._method.__get__(instance, owner), self._journal)

    def __getattr__(self, name):
        return getattr(self._method, name)

    def __call__(self, *args):
        self._journal.append("seen")
        return self._method(*args)


@pytest.fixture
def app(journal):
    """An application with a session for each unit of work, and views that use it."""
    app = init_app(Flask("shop"))

    def make_session() -> Iterator[Session]:
        yield from open_session_sync(journal)

    register_factory(app, Session, make_session)

    add_views(app)
    add_streams(app)
    return app


def add_views(app):
    @app.get("/asking")
    def asking():
        assert wares_from() is current_container()
        return str(wares_from().get(Session).is_open)

    @app.get("/injected")
    @inject
    def injected(session: Inject[Session]):
        assert current_container() is wares_from()
        return str(session.is_open)

    @app.get("/failing")
    def failing():
        wares_from().get(Session)
        raise LookupError


def add_streams(app):
    def stream(session):
        for number in range(3):
            assert session.is_open
            assert current_container().get(Session) is session
            yield str(number)

    @app.get("/stream")
    def plain_stream():
        return Response(stream(wares_from().get(Session)))

    @app.get("/stream-with-context")
    def stream_in_context():
        session = wares_from().get(Session)

        def chunks():
            for chunk in stream(session):
                assert wares_from().get(Session) is session
                yield chunk + request.path[0]

        return Response(stream_with_context(chunks()))


@pytest.fixture(params=["nothing", "context", "request", "request in context", "context in it"])
def around(request, app):
    """The contexts that a test may have pushed, which have their own containers."""
    with contextlib.ExitStack() as stack:
        if request.param in {"context", "request in context"}:
            stack.enter_context(app.app_context())
        if request.param not in {"nothing", "context"}:
            # As pytest-flask does for every test.
            stack.enter_context(app.test_request_context("/around"))
        if request.param == "context in it":
            stack.enter_context(app.app_context())
        yield request.param
        if request.param != "nothing":
            assert wares_from() is current_container()
            assert Session not in wares_from()
    with pytest.raises(NoContainerError):
        current_container()


@pytest.fixture(params=["/stream", "/stream-with-context"])
def streamed(request):
    """The path of a view that streams."""
    return request.param


@pytest.mark.usefixtures("around")
class TestWhateverIsAround:
    def test_requests(self, app, journal):
        """Two requests share no container; one that fails rolls back its own work only."""
        client = app.test_client()

        codes = [client.get(path).status_code for path in ("/asking", "/failing", "/injected")]

        assert [200, 500, 200] == codes
        assert [*COMMITTED, "open", "rollback LookupError", *COMMITTED] == journal

    def test_streams(self, app, journal, streamed):
        """A stream has its services up to the last piece, and then ends them."""
        answer = app.test_client().get(streamed)
        assert ["open"] == journal

        assert "012" == answer.text.replace("/", "")
        assert COMMITTED == journal

    def test_streams_that_are_given_up(self, app, journal, streamed):
        """A stream that is closed half-way rolls back; one of which nothing is sent commits."""
        answer = app.test_client().get(streamed)
        next(answer.iter_encoded())
        answer.close()
        app.test_client().head(streamed).close()

        assert ["open", "rollback GeneratorExit", *COMMITTED] == journal

    def test_after_request(self, app, journal):
        """An exception after the view rolls back, whatever the response is."""

        @app.after_request
        def fail(response):
            if response.status_code == 200:
                raise KeyError
            return response

        client = app.test_client()
        codes = [client.get(path).status_code for path in ("/asking", "/injected", "/stream")]

        assert [500, 500, 500] == codes
        assert ["open", "rollback KeyError"] * 3 == journal

    @pytest.mark.parametrize("answered", [LookupError, Exception, 500])
    def test_streamed_answers_of_error_handlers(self, app, journal, answered):
        """An error handler's answer that is streamed keeps its services, and rolls back."""

        @app.errorhandler(answered)
        def answer(_):
            session = wares_from().get(Session)

            def chunks():
                yield str(session.is_open)
                yield str(session.is_open)

            return Response(chunks(), 500)

        response = app.test_client().get("/failing")
        assert ["open"] == journal

        assert "TrueTrue" == response.text
        assert ["open", "rollback LookupError"] == journal

    @pytest.mark.parametrize("is_injected", [True, False])
    @pytest.mark.parametrize("is_default", [True, False])
    def test_events(self, app, journal, is_default, is_injected):
        """An event rolls back where an error handler of Flask-SocketIO has answered, too."""
        app.secret_key = "not a secret"
        server = SocketIO(app, async_mode="threading")

        @inject
        def fail_injected(session: Inject[Session]):
            raise LookupError

        def fail():
            wares_from().get(Session)
            raise LookupError

        server.on("fail")(fail_injected if is_injected else fail)

        @server.on("work")
        def work():
            return str(wares_from().get(Session).is_open)

        def answer(_):
            return "answered"

        register = server.on_error_default if is_default else server.on_error()
        register(functools.partial(answer) if is_injected else answer)
        client = server.test_client(app)
        answers = [client.emit(name, callback=True) for name in ("fail", "work", "fail")]

        assert ["answered", "True", "answered"] == answers
        rollback = ["open", "rollback LookupError"]
        assert [*rollback, *COMMITTED, *rollback] == journal

    def test_events_without_the_names_of_the_error_handlers(self, app, journal):
        """If Flask-SocketIO keeps them elsewhere, an answered event counts as successful."""
        app.secret_key = "not a secret"
        server = SocketIO(app, async_mode="threading")

        @server.on("fail")
        def fail():
            wares_from().get(Session)
            raise LookupError

        server.on_error_default(lambda _: "answered")
        client = server.test_client(app)
        app.extensions["socketio"] = object()

        assert "answered" == client.emit("fail", callback=True)
        assert COMMITTED == journal

    @pytest.mark.parametrize("copy", [lambda environ: environ, dict])
    def test_requests_that_are_passed_on(self, app, journal, copy):
        """A request with the environment of another one has a container of its own."""

        @app.get("/passing")
        def passing():
            container, environ, statuses = wares_from(), copy(request.environ), []
            container.get(Session)
            environ["PATH_INFO"] = "/failing"
            # Werkzeug's helpers would copy the environment.
            app.wsgi_app(environ, lambda status, *_: statuses.append(status)).close()
            assert wares_from() is current_container() is container
            return statuses

        assert ["500 INTERNAL SERVER ERROR"] == app.test_client().get("/passing").json
        assert ["open", "open", "rollback LookupError", "commit"] == journal

    def test_exceptions_that_a_view_handles(self, app, journal):
        """A request commits if its view handles the exception of an injected function."""

        @inject
        def fail(session: Inject[Session]):
            raise LookupError

        @app.get("/handling")
        def handling():
            with contextlib.suppress(LookupError):
                fail()
            return "done"

        assert "done" == app.test_client().get("/handling").text
        assert COMMITTED == journal

    def test_teardown_functions_that_fail(self, app, journal):
        """A request rolls back if a function that is called at its end fails."""
        app.testing = True

        @app.teardown_request
        def fail(_):
            if request.path == "/asking":
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            app.test_client().get("/asking")

        assert ["open", "rollback ZeroDivisionError"] == journal

    def test_streams_of_nested_requests(self, app, journal):
        """A stream that a request passes on to another one lasts, and succeeds."""

        @app.get("/passing")
        def passing():
            return Response(app.test_client().get("/stream").iter_encoded())

        assert "012" == app.test_client().get("/passing").text
        assert COMMITTED == journal

    def test_streams_that_are_not_served(self, app, journal):
        """Services do not outlast a request that code dispatches itself, though it streams."""
        with app.test_request_context("/stream"):
            assert app.full_dispatch_request().is_streamed

        assert COMMITTED == journal

    def test_nested(self, app, journal):
        """Contexts and requests within a request have their own containers."""
        app.testing = True

        @app.get("/nesting")
        def nesting():
            container = wares_from()
            container.get(Session)
            for nested in (app.app_context(), app.test_request_context("/nested")):
                with nested:
                    assert container is not wares_from()
                    assert wares_from() is current_container()
                    wares_from().get(Session)
                assert wares_from() is current_container() is container
            app.test_client().get("/asking")
            assert wares_from() is current_container() is container
            return "done"

        assert "done" == app.test_client().get("/nesting").text
        assert ["open", *COMMITTED * 3, "commit"] == journal

    @pytest.mark.parametrize("decorate", [lambda make: make, contextlib.asynccontextmanager])
    @pytest.mark.parametrize("lifetime", ["scoped", "singleton"])
    def test_async(self, app, journal, decorate, lifetime):
        """The services of an async view outlive the event loop of the view."""

        async def make():
            journal.append("open")
            try:
                yield 1
            except BaseException as error:
                journal.append(f"rollback {type(error).__name__}")
                raise
            else:
                journal.append("commit")

        register_factory(app, int, decorate(make), lifetime=lifetime)

        @app.get("/async")
        @inject
        async def view(number: Inject[int]):
            return str(number)

        @app.get("/async-failing")
        async def failing_later():
            await wares_from().aget(int)
            raise LookupError

        @app.errorhandler(LookupError)
        async def answer(_):
            return "answered"

        client = app.test_client()
        answers = [client.get(path).text for path in ("/async", "/async-failing")]

        assert ["1", "answered"] == answers
        scoped = [*COMMITTED, "open", "rollback LookupError"]
        assert (scoped if lifetime == "scoped" else ["open"]) == journal
        if lifetime == "singleton":
            with app.app_context():
                close_registry(app)
            assert COMMITTED == journal
            # What is around needs a registry that is open.
            init_app(app)


class TestEarlierRequests:
    """Earlier requests within a context do not affect later ones."""

    @pytest.fixture
    def app(self, app, journal):
        app.testing = True
        with app.app_context():
            app.test_client().get("/asking")
        journal.clear()
        return app

    def test_order(self, app, journal):
        """Services of a request end between the two kinds of teardown functions."""
        app.teardown_request_funcs[None] = [lambda _: journal.append("teardown request")]
        app.teardown_appcontext_funcs.append(lambda _: journal.append("teardown context"))

        app.test_client().get("/asking")

        assert ["open", "teardown request", "commit", "teardown context"] == journal

    def test_copies(self, app, journal):
        """A copy of the request does not end the services of the request."""

        def view():
            session = wares_from().get(Session)
            copy_current_request_context(lambda: None)()
            return str(session.is_open and session is wares_from().get(Session))

        app.view_functions["asking"] = view

        assert "True" == app.test_client().get("/asking").text
        assert COMMITTED == journal


class TestWhileHandlingAnException:
    """A container may be opened while an exception is handled, which then is no failure of it."""

    def test_that_exception_goes_on(self, app, journal):
        """If the context ends with that very exception, the services see it."""

        def work():
            with app.app_context():
                try:
                    raise LookupError
                except LookupError:
                    wares_from().get(Session)
                    raise

        with pytest.raises(LookupError):
            work()

        assert ["open", "rollback LookupError"] == journal

    def test_another_one(self, app, journal):
        """If something else fails at the end of a request, the services see that."""
        app.testing = True
        app.teardown_request(lambda _: 1 / 0)

        def work():
            try:
                raise LookupError
            except LookupError:
                app.test_client().get("/asking")

        with pytest.raises(ZeroDivisionError):
            work()

        assert ["open", "rollback ZeroDivisionError"] == journal


def test_a_request_whose_teardown_fails_within_a_context(app, journal):
    """Its services end and roll back at once, and those of the context around it do not."""
    app.testing = True

    @app.teardown_request
    def fail(_):
        raise ZeroDivisionError

    with app.app_context():
        wares_from().get(Session)
        for _ in range(2):
            with pytest.raises(ZeroDivisionError):
                app.test_client().get("/asking")

    assert ["open", *["open", "rollback ZeroDivisionError"] * 2, "commit"] == journal


class TestAbandonedStreams:
    def test_later_requests(self, app, journal, streamed):
        """A stream that is abandoned half-way disturbs no later request of its thread."""
        answers = []

        def work():
            client = app.test_client()
            abandoned = client.get(streamed)
            pieces = abandoned.iter_encoded()
            next(pieces)
            paths = ("/asking", "/injected", streamed) * 2
            answers.extend(client.get(path).text for path in paths)
            abandoned.close()
            del pieces
            answers.extend(client.get(path).text for path in paths)

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()

        assert ["True", "True", "012"] * 4 == [text.replace("/", "") for text in answers]
        assert 12 == journal.count("commit")
        assert 1 == journal.count("rollback GeneratorExit")

    @pytest.mark.parametrize("calls", [1, 2])
    def test_middlewares(self, journal, calls):
        """A middleware may pass on a copy of the environment, and call the application again."""
        app = Flask("shop")
        serve = app.wsgi_app

        def serve_copies(environ, start_response):
            for _ in range(calls):
                answer = serve({**environ}, start_response)
            return answer

        app.wsgi_app = serve_copies
        init_app(app)
        register_factory(app, Session, lambda: open_session_sync(journal))
        add_streams(app)

        text = app.test_client().get("/stream").text

        assert "012" == text
        assert ["open"] * calls + ["commit"] * calls == journal

    def test_middlewares_that_answer(self, journal):
        """A stream that is not sent has failed, even if a middleware answers instead."""
        app = Flask("shop")
        serve = app.wsgi_app

        def answer(environ, start_response):
            with contextlib.suppress(LookupError):
                return serve(environ, start_response)
            return Response("sorry", 500)(environ, start_response)

        app.wsgi_app = answer
        init_app(app)
        register_factory(app, Session, lambda: open_session_sync(journal))
        add_streams(app)

        @app.teardown_request
        def fail(_):
            raise LookupError

        text = app.test_client().get("/stream").text

        assert "sorry" == text
        assert ["open", "rollback LookupError"] == journal

    def test_cleanups_that_fail(self):
        """If several streams are not sent, the services of all end, even if a cleanup fails."""
        ended = []
        app = Flask("shop")
        serve = app.wsgi_app

        def fail_after_two(environ, start_response):
            serve(environ, start_response)
            serve(environ, start_response)
            raise LookupError

        def open_number():
            try:
                yield 1
            except LookupError as error:
                ended.append(error)
                raise OSError from None

        app.wsgi_app = fail_after_two
        init_app(app)
        register_factory(app, int, open_number)
        app.add_url_rule("/", "view", lambda: Response(iter(str(wares_from().get(int)))))

        with pytest.raises(OSError) as raised:
            app.test_client().get("/")

        assert [LookupError, LookupError] == list(map(type, ended))
        assert isinstance(raised.value.__context__, OSError)

    def test_answers_that_are_not_processed(self, app, journal):
        """The answer of an error handler is sent even if a function of `after_request` fails."""

        @app.errorhandler(500)
        def answer(_):
            return app.view_functions["plain_stream"]()

        @app.after_request
        def after(response):
            raise ValueError

        text = app.test_client().get("/failing").text

        assert "012" == text
        assert ["open", "rollback LookupError"] == journal

    def test_preserved_contexts(self, app, journal):
        """A request that is not being served any more ends its services, not a stream."""
        with app.test_client() as client:
            client.get("/asking")
            app.process_response(app.view_functions["plain_stream"]())

        assert COMMITTED * 2 == journal

    def test_dropped(self, app, journal, streamed):
        """A stream that is never closed ends when it is garbage-collected."""
        answer = app.test_client().get(streamed)
        next(answer.iter_encoded())

        del answer
        gc.collect()

        assert ["open", "rollback GeneratorExit"] == journal

    @pytest.mark.parametrize("requests", [1, 2])
    def test_dropped_with_asynchronous_services(self, monkeypatch, requests):
        """Python, which collects garbage at any time, runs no event loop; it says what is left."""
        app = Flask("shop")
        serve = app.wsgi_app

        def serve_often(environ, start_response):
            for _ in range(requests):
                chunks = serve(environ, start_response)
            return chunks

        async def open_number():
            yield 1

        app.wsgi_app = serve_often
        init_app(app)
        register_factory(app, int, open_number)

        @app.get("/")
        async def view():
            return Response(iter(str(await wares_from().aget(int))))

        loops, problems = [], []
        answer = app.test_client().get("/")
        monkeypatch.setattr(app, "async_to_sync", loops.append)
        monkeypatch.setattr(sys, "unraisablehook", lambda each: problems.append(each.exc_type))

        del answer
        gc.collect()

        assert [] == loops
        assert PendingAsyncCleanupError in problems

    @pytest.mark.parametrize("is_testing", [True, False])
    def test_responses_that_are_not_sent(self, app, journal, streamed, is_testing):
        """A streamed response that an exception replaces ends its services, with the exception."""
        app.testing = is_testing

        def fail(_, response, **__):
            if response.status_code == 200:
                raise LookupError

        client = app.test_client()
        with request_finished.connected_to(fail, app), contextlib.suppress(LookupError):
            assert 500 == client.get(streamed).status_code
        gc.collect()

        # Flask 3.0 keeps the context until a stream with context is dropped.
        assert journal in (["open", "rollback LookupError"], ["open", "rollback GeneratorExit"])
        assert "True" == client.get("/asking").text

    def test_teardown_functions_that_fail(self, app, journal):
        """A streamed response that is not sent because a function fails later rolls back."""
        app.testing = True
        app.teardown_request(lambda _: 1 / 0)

        # Flask 3.0 ends the context of the other stream, if that is not sent, at its own time.
        with pytest.raises(ZeroDivisionError):
            app.test_client().get("/stream")
        gc.collect()

        assert ["open", "rollback ZeroDivisionError"] == journal

    def test_interrupts(self, app, journal):
        """An interrupt ends the services of a streamed response that is not sent."""

        def interrupt(_, **__):
            raise KeyboardInterrupt

        client = app.test_client()
        with request_finished.connected_to(interrupt, app), pytest.raises(KeyboardInterrupt):
            client.get("/stream")

        assert ["open", "rollback KeyboardInterrupt"] == journal

    def test_responses_that_were_replaced_before(self, app, journal, streamed):
        """A streamed response that is dropped ends its services with the exception after that."""

        def fail(_, response, **__):
            if response.status_code == 200:
                response.response = []
                raise LookupError

        client = app.test_client()
        with request_finished.connected_to(fail, app):
            assert 500 == client.get(streamed).status_code
        gc.collect()

        assert ["open", "rollback LookupError"] == journal
        assert "True" == client.get("/asking").text

    def test_responses_that_are_read_before(self, app, journal, streamed):
        """If something reads a stream before the request ends, what follows has its services."""
        app.teardown_request(lambda _: wares_from().get(Session))

        def read(_, response, **__):
            response.get_data()

        with request_finished.connected_to(read, app):
            answer = app.test_client().get(streamed)

        assert "012" == answer.text.replace("/", "")
        assert COMMITTED == journal

    def test_closing_fails(self, app, journal):
        """If the close of a stream fails, the services end nevertheless."""

        @app.get("/")
        def view():
            wares_from().get(Session)
            return Response(FailingChunks())

        with pytest.raises(LookupError):
            app.test_client().get("/").close()

        assert ["open", "rollback GeneratorExit"] == journal


class TestOtherContainers:
    """Something else may have made a container current, around what Flask serves."""

    @pytest.fixture
    def outer(self):
        with Registry() as registry, registry.container() as container, container.activate():
            yield container
            assert container is current_container()

    def test_requests(self, app, journal, outer, streamed):
        """A request has its own container, even if it streams."""
        client = app.test_client()

        answers = [client.get(path).text for path in ("/asking", "/injected", streamed)]

        assert ["True", "True", "012"] == [answer.replace("/", "") for answer in answers]
        assert COMMITTED * 3 == journal

    def test_contexts(self, app, outer):
        """Within a context, the outer container stays current; `wares_from` gives the context's."""
        with app.app_context():
            assert outer is current_container() is not wares_from()

    def test_within_a_request(self, app):
        """A container that a view makes current is current, without a container of the view."""

        @app.get("/")
        def view():
            with Registry() as registry, registry.container() as container:
                with container.activate():
                    return str(container is current_container() is not wares_from())

        assert "True" == app.test_client().get("/").text


@pytest.mark.parametrize("is_raised", [True, False])
def test_streams_that_look_complete(app, journal, is_raised):
    """A stream with a length has its services, and so has one that is raised."""

    @app.get("/")
    def view():
        session = wares_from().get(Session)
        chunks = (str(session.is_open) for _ in range(2))
        if is_raised:
            abort(Response(chunks, 418))
        return Response(chunks, headers={"Content-Length": "8"})

    assert "TrueTrue" == app.test_client().get("/").text
    assert ["open", "rollback HTTPException" if is_raised else "commit"] == journal


def test_streams_that_are_injected(app, journal):
    """A generator may be injected, and be the first that asks, after the view."""

    @inject
    def chunks(session: Inject[Session]):
        yield str(session.is_open)
        yield str(current_container().get(Session) is session)

    app.get("/")(lambda: Response(chunks()))

    assert "TrueTrue" == app.test_client().get("/").text
    assert COMMITTED == journal


def test_threads_of_a_request(app, journal):
    """A thread with a copy of the request has its own container."""

    @app.get("/")
    def view():
        session = wares_from().get(Session)
        found = []

        @copy_current_request_context
        def work():
            found.append(current_container().get(Session))

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        return str(found[0] is not session and session.is_open)

    assert "True" == app.test_client().get("/").text
    assert ["open", *COMMITTED, "commit"] == journal


def test_a_context_of_many_requests(app):
    """A context in which many requests are served keeps none of their containers."""
    containers = weakref.WeakSet()

    @app.get("/")
    def view():
        containers.add(wares_from())
        return Response(iter("ab"))

    with app.app_context():
        for _ in range(5):
            app.test_client().get("/").close()
        gc.collect()

        assert 1 >= len(containers)


class TestAnsweredExceptions:
    def test_exits(self, app, journal):
        """An exit with any code ends a request half-way: Gunicorn stops workers with 0."""

        @app.get("/exiting")
        def exiting():
            wares_from().get(Session)
            sys.exit(0)

        with pytest.raises(SystemExit):
            app.test_client().get("/exiting")
        with pytest.raises(SystemExit), app.app_context():
            exiting()

        assert ["open", "rollback SystemExit", *COMMITTED] == journal

    def test_redirections(self, app, journal):
        """A redirection that is raised, by a view or by Flask itself, is no failure."""

        @app.before_request
        def before():
            wares_from().get(Session)

        app.get("/raising")(lambda: abort(redirect("/asking")))
        app.get("/slash/", endpoint="slash")(lambda: "done")

        client = app.test_client()
        codes = [client.get(path).status_code // 100 for path in ("/raising", "/slash")]

        assert [3, 3] == codes
        assert COMMITTED * 2 == journal

    def test_redirections_that_flask_does_not_answer(self, app, journal):
        """A redirection that ends in a 500 is a failure."""
        app.register_error_handler(LookupError, lambda _: abort(redirect("/asking")))

        @app.after_request
        def after(response):
            return abort(redirect("/asking")) if request.path == "/asking" else response

        client = app.test_client()
        codes = [client.get(path).status_code for path in ("/failing", "/asking")]

        assert [500, 500] == codes
        assert ["open", "rollback HTTPException"] * 2 == journal

    def test_responses_that_are_raised(self, app, journal):
        """Another response that is raised is one, and so is a path that is not there."""

        @app.before_request
        def before():
            wares_from().get(Session)

        app.get("/raising")(lambda: abort(Response("no", 418)))

        @app.get("/without-status")
        def without_status():
            raise HTTPException

        client = app.test_client()
        paths = ("/raising", "/without-status", "/nowhere")
        codes = [client.get(path).status_code for path in paths]

        assert [418, 200, 404] == codes
        rollbacks = [*["open", "rollback HTTPException"] * 2, "open", "rollback NotFound"]
        assert rollbacks == journal

    def test_after_the_registry(self, app):
        """An application whose registry is closed still answers, also errors."""
        app.add_url_rule("/", view_func=lambda: "done")
        app.test_client().get("/")
        close_registry(app)
        client = app.test_client()

        with app.app_context():
            answers = [client.get(path).status_code for path in ("/", "/nowhere", "/asking")]
            with pytest.raises(RegistryClosedError):
                wares_from()

        assert [200, 404, 500] == answers

    def test_a_stream_after_the_registry(self, app):
        """A stream that uses no services is sent without a container."""
        app.add_url_rule("/", view_func=lambda: Response(iter("ab")))
        app.test_client().get("/").close()
        close_registry(app)

        assert "ab" == app.test_client().get("/").text


def raise_exit(_):
    raise Exit(0)


def raise_exit_1(_):
    raise Exit(1)


def raise_abort(_):
    raise click.Abort


def exit_while_handling(context, code=0):
    try:
        raise LookupError
    except LookupError:
        context.exit(code)


def test_injected_events(app, journal):
    """An event of Flask-SocketIO has a container of its own before it asks Flask for it."""
    app.secret_key = "not a secret"
    server = SocketIO(app, async_mode="threading")

    @server.on("fail")
    @inject
    def fail(session: Inject[Session]):
        raise LookupError

    @server.on("work")
    @inject
    def work(session: Inject[Session]):
        return session is wares_from().get(Session)

    server.on_error()(lambda _: "answered")

    with app.app_context():
        client = server.test_client(app)
        answers = [client.emit(name, callback=True) for name in ("fail", "work")]
        meanwhile = list(journal)

    assert ["answered", True] == answers
    assert ["open", "rollback LookupError", *COMMITTED] == meanwhile == journal


@pytest.mark.parametrize("is_initialised_first", [True, False])
def test_events_over_http(app, journal, is_initialised_first):
    """An answered event rolls back, whichever of the two extensions is initialised first."""
    bare = Flask("bare")
    bare.secret_key = "not a secret"
    registry = get_registry(app)
    if is_initialised_first:
        init_app(bare, registry=registry)
    server = SocketIO(bare, async_mode="threading", async_handlers=False)
    if not is_initialised_first:
        init_app(bare, registry=registry)

    @server.on("fail")
    def fail():
        wares_from().get(Session)
        raise LookupError

    server.on_error_default(lambda _: "answered")
    client = bare.test_client()
    path = "/socket.io/?EIO=4&transport=polling"
    path += "&sid=" + json.loads(client.get(path).text[1:])["sid"]
    for packet in ("40", '420["fail"]'):
        client.post(path, data=packet)

    assert '430["answered"]' in client.get(path).text
    assert ["open", "rollback LookupError"] == journal


class TestCommands:
    @pytest.mark.parametrize("is_direct", [True, False])
    @pytest.mark.parametrize(
        ("end", "expected"),
        [
            (lambda _: None, "commit"),
            (lambda context: context.exit(), "commit"),
            (raise_exit, "commit"),
            (lambda _: sys.exit(), "commit"),
            (exit_while_handling, "commit"),
            (lambda context: context.exit(1), "rollback Exit"),
            (lambda context: exit_while_handling(context, 1), "rollback Exit"),
            (raise_exit_1, "rollback Exit"),
            (lambda _: sys.exit(1), "rollback SystemExit"),
            (lambda _: sys.exit("it says why"), "rollback SystemExit"),
            (lambda context: context.fail("usage"), "rollback UsageError"),
            (raise_abort, "rollback Abort"),
        ],
    )
    def test_exit(self, app, journal, end, expected, is_direct):
        """A command that exits with a code other than 0 rolls back, and 0 is success."""

        @app.cli.command("work")
        @click.pass_context
        def work(context):
            wares_from().get(Session)
            end(context)

        runner = app.test_cli_runner()
        result = runner.invoke(work, args=[]) if is_direct else runner.invoke(args=["work"])

        assert ["open", expected] == journal
        assert (expected == "commit") is (result.exit_code == 0)

    def test_without_the_name_of_the_code(self, app, journal, monkeypatch):
        """If Click calls the code something else, the command counts as successful."""

        def leave(context, number):
            context.close()
            raise click.exceptions.Exit(number)

        @app.cli.command("work")
        @click.pass_context
        def work(context):
            wares_from().get(Session)
            monkeypatch.setattr(click.Context, "exit", leave)
            context.exit(1)

        result = app.test_cli_runner().invoke(args=["work"])

        assert 1 == result.exit_code
        assert COMMITTED == journal

    def test_within_a_context(self, app, journal):
        """A command for which Flask opens no context shares that around it, and its container."""

        @app.cli.command("work")
        @click.pass_context
        def work(context):
            wares_from().get(Session)
            context.exit(1)

        with app.app_context():
            app.test_cli_runner().invoke(args=["work"])
            meanwhile = list(journal)

        assert ["open"] == meanwhile
        assert ["open", "commit"] == journal

    def test_while_handling_an_exception(self, app, journal):
        """Work that a command does while it handles an exception has not failed."""

        @app.cli.command("work")
        def work():
            try:
                raise LookupError
            except LookupError:
                app.test_client().get("/asking")
                with app.app_context():
                    try:
                        raise KeyError
                    except KeyError:
                        wares_from().get(Session)

        app.test_cli_runner().invoke(args=["work"])

        assert COMMITTED * 2 == journal

    def test_requests_at_the_exit(self, app, journal):
        """A request that is served while a command exits has not failed."""

        @app.cli.command("work")
        @click.pass_context
        def work(context):
            context.call_on_close(lambda: app.test_client().get("/asking"))
            context.exit(1)

        app.test_cli_runner().invoke(args=["work"])

        assert COMMITTED == journal

    def test_contexts_of_their_own(self, app, journal):
        """What Click calls while a command exits may use a context, which is a unit of its own."""

        @app.cli.command("work")
        @click.pass_context
        def work(context):
            wares_from().get(Session)

            @context.call_on_close
            def log():
                with app.app_context():
                    wares_from().get(Session)

            context.exit(1)

        app.test_cli_runner().invoke(args=["work"])

        assert ["open", *COMMITTED, "rollback Exit"] == journal

    def test_closed_while_failing(self, app, journal):
        """A command whose context is closed while an exception is handled has failed."""

        @app.cli.command("work")
        @click.pass_context
        def work(context):
            wares_from().get(Session)
            try:
                raise LookupError
            except LookupError:
                # As Click did before 8.2 with every exception.
                context.close()

        app.test_cli_runner().invoke(args=["work"])

        assert ["open", "rollback LookupError"] == journal


class TestWhatIsLeft:
    def test_nothing_in_g(self, app):
        """Nothing of wares is found in `g`, whether services are used or not."""

        @app.get("/g")
        def view():
            before = list(g)
            wares_from().get(Session)
            return [*before, *g]

        with app.app_context():
            assert [] == list(g)
        assert [] == app.test_client().get("/g").json

    def test_no_application(self):
        """An application without references is freed at once, even after a request."""

        def make() -> weakref.ref[Flask]:
            app = init_app(Flask("shop"))
            app.secret_key = "not a secret"
            app.add_url_rule("/", view_func=lambda: str(wares_from()))
            with app.app_context():
                wares_from()
            app.test_client().get("/")
            return weakref.ref(app)

        gc.collect()
        gc.disable()
        try:
            reference = make()
        finally:
            gc.enable()

        assert reference() is None

    def test_a_method_without_its_application(self):
        """A method that outlives its application says what to keep."""
        serve = init_app(Flask("shop")).wsgi_app
        gc.collect()

        with pytest.raises(NoRegistryError, match="Keep and serve the application"):
            serve({}, None)

    def test_flasks_own_methods(self, app):
        """Only these methods of the application are wrapped."""
        around = {name for name in vars(app) if callable(getattr(Flask, name, None))}

        assert {
            "async_to_sync",
            "do_teardown_appcontext",
            "do_teardown_request",
            "handle_user_exception",
            "process_response",
            "wsgi_app",
        } == around

    def test_methods_of_somebody_else(self, app, journal):
        """The wrapper that other code has put around a method remains."""
        app = Flask("shop")
        handle = app.handle_user_exception
        app.handle_user_exception = lambda *args: (journal.append("seen"), handle(*args))[1]
        init_app(app)

        assert 404 == app.test_client().get("/nowhere").status_code
        assert ["seen"] == journal

    @pytest.mark.parametrize("is_wrapped_first", [True, False])
    def test_classes_that_are_instrumented(self, journal, is_wrapped_first):
        """A wrapper of a method of the class is called, whenever it was put there."""

        class Shop(Flask):
            pass

        def wrap():
            Shop.wsgi_app = Instrumented(Flask.wsgi_app, journal)

        if is_wrapped_first:
            wrap()
        app = init_app(Shop("shop"))
        if not is_wrapped_first:
            wrap()

        assert 404 == app.test_client().get("/nowhere").status_code
        assert ["seen"] == journal

    def test_named_arguments(self, app, journal):
        """The methods take their arguments by name, as Flask's own do."""
        error = LookupError()
        with app.test_request_context():
            wares_from().get(Session)
            app.do_teardown_request(exc=error)
        with app.app_context():
            wares_from().get(Session)
            app.do_teardown_appcontext(exc=error)

        assert ["open", "rollback LookupError"] * 2 == journal

    @pytest.mark.parametrize("end", ["do_teardown_request", "do_teardown_appcontext"])
    def test_the_exception_being_handled(self, app, journal, end):
        """Without an argument, the exception is the one being handled, as in Flask's own."""
        with app.test_request_context():
            wares_from().get(Session)
            try:
                raise LookupError
            except LookupError:
                getattr(app, end)()

        assert ["open", "rollback LookupError"] == journal

    def test_a_context_from_elsewhere(self, app):
        """The `g` of a context that is not active here has no container here."""
        with app.app_context() as ended:
            pass

        with app.app_context(), pytest.raises(NoContainerError):
            wares_from(ended.g)

    def test_a_stale_container(self, app):
        """The container of a context that has ended is closed."""
        with app.app_context():
            container = wares_from()

        with pytest.raises(ContainerClosedError):
            container.get(Session)
