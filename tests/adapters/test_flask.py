"""A container for each application context: wares.flask."""

import asyncio
import contextlib
import functools
import inspect as inspection
import json
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import urllib.request
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, Protocol, get_type_hints

import click
import pytest
from flask import (
    Flask,
    Response,
    abort,
    appcontext_pushed,
    current_app,
    g,
    got_request_exception,
    redirect,
    render_template_string,
    request,
    stream_with_context,
)
from flask.ctx import AppContext, _AppCtxGlobals
from flask.views import MethodView, View
from flask_socketio import Namespace, SocketIO
from werkzeug.serving import make_server

import wares.flask
from tests.adapters.serving import Session, open_session_sync
from wares import (
    Container,
    Depends,
    Inject,
    InvalidRegistrationError,
    InvalidRegistryError,
    NoContainerError,
    NoRegistryError,
    PendingAsyncCleanupError,
    Registry,
    RegistryClosedError,
    ServiceNotFoundError,
    UnresolvableParameterError,
    current_container,
    inject,
)
from wares._core.recipes import FactoryOptions, ValueOptions
from wares.flask import (
    close_registry,
    get_registry,
    init_app,
    overwrite_factory,
    overwrite_value,
    register_factory,
    register_value,
    wares_from,
)


@pytest.fixture
def make_session(journal):
    def make_session() -> Iterator[Session]:
        yield from open_session_sync(journal)

    return make_session


@pytest.fixture
def app(make_session):
    """An application with a session for each request."""
    app = init_app(Flask("shop"))
    register_factory(app, Session, make_session)
    yield app
    close_registry(app)


@pytest.fixture
def client(app):
    return app.test_client()


class TestInitApp:
    def test_gives_back_the_application(self):
        """`init_app` returns the application, so that it fits into one expression."""
        app = Flask("shop")

        assert app is init_app(app)

    def test_makes_a_registry(self):
        """Without a registry, a new and empty one is made."""
        app = init_app(Flask("shop"))

        assert [] == list(get_registry(app))

    def test_takes_a_registry(self):
        """An empty registry that is given is used, too."""
        registry = Registry()

        app = init_app(Flask("shop"), registry=registry)

        assert registry is get_registry(app)

    def test_again_keeps_the_registry(self, journal, make_session):
        """An application that is initialised again keeps its services, and closes them once."""
        app = init_app(Flask("shop"))
        register_factory(app, Session, make_session)
        init_app(app)

        with app.app_context():
            wares_from().get(Session)

        assert ["open", "commit"] == journal

    def test_again_with_a_registry(self):
        """An application that is initialised again with a registry has that one."""
        app = init_app(Flask("shop"))
        registry = Registry()
        init_app(app, registry=registry)

        assert registry is get_registry(app)

    def test_again_after_its_end(self):
        """An application whose registry is closed can be initialised again, with a new one."""
        app = init_app(Flask("shop"))
        register_value(app, int, 5)
        close_registry(app)
        init_app(app)

        assert [] == list(get_registry(app))

    def test_what_is_no_application(self):
        """Nothing but an application can be initialised; the error says so."""
        with pytest.raises(InvalidRegistrationError, match="a Flask application, not a str"):
            init_app("x")

    def test_application_factory(self):
        """Applications of one factory do not share anything."""

        def create_app(name: str) -> Flask:
            app = init_app(Flask("shop"))
            register_value(app, str, name)
            return app

        first, second = create_app("first"), create_app("second")

        with first.app_context():
            assert "first" == wares_from().get(str)
        with second.app_context():
            assert "second" == wares_from().get(str)

    def test_within_an_application_context(self):
        """A context that was there before `init_app` is served as well."""
        app = Flask("shop")
        with app.app_context():
            init_app(app)
            register_value(app, int, 5)

            assert 5 == wares_from().get(int)


class TestGetRegistry:
    def test_of_the_current_application(self, app):
        """Without an application, it is the one whose context is active."""
        with app.app_context():
            assert get_registry(app) is get_registry()

    def test_not_initialised(self):
        """The error about an application without `init_app` says what is missing."""
        with pytest.raises(NoRegistryError) as caught:
            get_registry(Flask("shop"))

        assert "Initialise it: wares.flask.init_app(app)" in str(caught.value)

    def test_no_context(self):
        """Without a context and without an application, the message says so."""
        with pytest.raises(NoRegistryError) as caught:
            get_registry()

        assert "There is no application context" in str(caught.value)

    def test_proxy(self, app):
        """`registry` stands for the registry of the current application."""
        register_value(app, int, 5)
        with app.app_context():
            assert int in wares.flask.registry


class TestWaresFrom:
    def test_same_container(self, app):
        """A context has one container, however it is asked for."""
        with app.app_context():
            container = wares_from()

            assert container is wares_from(g)
            assert container is current_container()
            assert container == wares.flask.container

    def test_its_own_for_each_context(self, app):
        """Another context has another container."""
        with app.app_context():
            first = wares_from()
        with app.app_context():
            assert first is not wares_from()

    def test_of_another_context(self, app):
        """`wares_from` takes the `g` of the active context; another one is an error."""
        with app.app_context() as outer, app.app_context(), pytest.raises(NoContainerError):
            wares_from(outer.g)

    def test_of_a_request(self, app):
        """The request, which other adapters take, is an error that says so."""
        with app.test_request_context(), pytest.raises(NoContainerError, match="takes no arg"):
            wares_from(request)

    def test_strict_namespace(self):
        """An application's own class of `g` may refuse attributes that it does not know."""

        class Strict(_AppCtxGlobals):
            def __setattr__(self, name, value):
                raise AttributeError(name)

        app = Flask("shop")
        app.app_ctx_globals_class = Strict
        init_app(app)

        with app.app_context():
            assert wares_from() is current_container()

    def test_no_context(self):
        """Without a context, the message says how to open one."""
        with pytest.raises(NoContainerError) as caught:
            wares_from()

        assert "with app.app_context()" in str(caught.value)

    def test_not_initialised(self):
        """The error about an application without `init_app` says what is missing."""
        with Flask("shop").app_context(), pytest.raises(NoRegistryError) as caught:
            wares_from()

        assert "wares.flask.init_app(app)" in str(caught.value)

    def test_closed_registry(self, app):
        """After its registry was closed, an application says so, and its contexts still work."""
        close_registry(app)

        with app.app_context(), pytest.raises(RegistryClosedError):
            wares_from()

    def test_no_current_container_afterwards(self, app):
        """The container is current in its context only."""
        with app.app_context():
            pass

        with pytest.raises(NoContainerError):
            current_container()


class TestRegistering:
    @pytest.mark.parametrize(
        ("functions", "method", "options"),
        [
            ((register_factory, overwrite_factory), Registry.register_factory, FactoryOptions),
            ((register_value, overwrite_value), Registry.register_value, ValueOptions),
        ],
    )
    def test_the_options_are_those_of_the_registry(self, functions, method, options):
        """The functions take the keyword options of the registry's methods, and pass them on."""
        own = inspection.signature(method).parameters.values()
        by_keyword = {one.name for one in own if one.kind is one.KEYWORD_ONLY}

        for function in functions:
            accepted = inspection.signature(function).parameters["options"]
            assert accepted.VAR_KEYWORD is accepted.kind
            assert f"Unpack[{options.__name__}]" == accepted.annotation
        assert by_keyword == get_type_hints(options).keys()

    def test_the_defaults_are_those_of_the_registry(self, app):
        """Options that are left out have the defaults of the registry's methods."""
        registry = Registry()

        def make():
            return 5

        registry.register_factory("factory", make)
        registry.register_value("value", 5)
        register_factory(app, "factory", make)
        register_value(app, "value", 5)

        assert registry.graph().to_dict() == {
            **get_registry(app).graph().to_dict(),
            "nodes": get_registry(app).graph().to_dict()["nodes"][1:],
        }

    def test_overwriting_options(self, app):
        """Each option arrives where something is overwritten, too."""
        ended = []
        options = {
            "enter": True,
            "ping": len,
            "ping_timeout": 2.0,
            "tags": ["ready"],
            "on_registry_close": lambda: ended.append("closed"),
            "suppress_context_exit": True,
        }
        with app.app_context():
            overwrite_factory("factory", dict, lifetime="transient", **options)
            overwrite_value("value", contextlib.nullcontext(), **options)
        factory, value = (
            get_registry(app)._registrations.recipes[key] for key in ("factory", "value")
        )
        close_registry(app)

        for recipe in (factory, value):
            assert (recipe.enter, recipe.ping, recipe.ping_timeout) == (True, len, 2.0)
            assert (recipe.tags, recipe.suppress_context_exit) == (("ready",), True)
        assert "transient" == factory.lifetime
        assert ["closed", "closed"] == ended

    def test_factory_options(self, app):
        """Each option of the registry is there, and arrives."""
        ended = []
        register_factory(
            app,
            list,
            contextlib.contextmanager(lambda: iter([["made"]])),
            lifetime="singleton",
            enter=False,
            ping=lambda _: None,
            ping_timeout=2.0,
            tags=["ready"],
            on_registry_close=lambda: ended.append("closed"),
            suppress_context_exit=True,
        )
        recipe = get_registry(app)._registrations.recipes[list]

        with app.app_context():
            first, names = wares_from().get(list), [p.name for p in wares_from().get_pings()]
        with app.app_context():
            assert first is wares_from().get(list)
        close_registry(app)

        assert ["list"] == names
        assert ["closed"] == ended
        assert recipe.suppress_context_exit
        assert (2.0, ("ready",)) == (recipe.ping_timeout, recipe.tags)
        assert hasattr(first, "__enter__")

    def test_value_options(self, app):
        """Each option of the registry is there, and arrives."""
        ended = []
        value = contextlib.nullcontext("entered")
        register_value(
            app,
            str,
            value,
            enter=True,
            ping=lambda _: None,
            ping_timeout=2.0,
            tags=["ready"],
            on_registry_close=lambda: ended.append("closed"),
            suppress_context_exit=True,
        )
        recipe = get_registry(app)._registrations.recipes[str]

        with app.app_context():
            entered, names = wares_from().get(str), [p.name for p in wares_from().get_pings()]
        close_registry(app)

        assert ("entered", ["str"], ["closed"]) == (entered, names, ended)
        assert recipe.suppress_context_exit
        assert (2.0, ("ready",)) == (recipe.ping_timeout, recipe.tags)

    def test_values_are_not_entered(self, app):
        """A value is handed out as it is; what overwrites one is entered, as a product is."""
        value = contextlib.nullcontext("entered")
        register_value(app, str, value)
        with app.app_context():
            assert value is wares_from().get(str)
            overwrite_value(bytes, value)
            assert "entered" == wares_from().get(bytes)
            overwrite_value(bytes, value, enter=False)
            assert value is wares_from().get(bytes)

    def test_overwrite_factory(self, app):
        """Overwriting a factory resets the container, so that the next `get` sees it."""
        register_factory(app, list, lambda: ["first"])
        with app.app_context():
            wares_from().get(list)

            overwrite_factory(list, lambda: ["second"])

            assert ["second"] == wares_from().get(list)

    def test_overwrite_value(self, app, journal):
        """Overwriting a value cleans up what had been made."""
        with app.app_context():
            wares_from().get(Session)

            overwrite_value(Session, "another")

            assert ["open", "commit"] == journal
            assert "another" == wares_from().get(Session)


class TestRequests:
    def test_closed_after_the_request(self, app, client, journal):
        """A request's services are shared within it, and cleaned up after it."""

        @app.get("/")
        def view():
            assert wares_from().get(Session) is current_container().get(Session)
            journal.append("view")
            return "done"

        answer = client.get("/")

        assert "done" == answer.text
        assert ["open", "view", "commit"] == journal

    def test_unhandled_exception(self, app, client, journal):
        """The exception that ends a request reaches the cleanups."""

        @app.get("/")
        def view():
            wares_from().get(Session)
            raise LookupError

        answer = client.get("/")

        assert 500 == answer.status_code
        assert ["open", "rollback LookupError"] == journal

    def test_propagated_exception(self, app, client, journal):
        """An exception that Flask passes on, as it does in tests, reaches the cleanups."""
        app.testing = True

        @app.get("/")
        def view():
            wares_from().get(Session)
            raise LookupError

        with pytest.raises(LookupError):
            client.get("/")

        assert ["open", "rollback LookupError"] == journal

    def test_answered_exception(self, app, client, journal):
        """An exception that an error handler answers reaches the cleanups, too."""

        @app.errorhandler(LookupError)
        def answer_lookup_error(error):
            journal.append("answered")
            return "not here", 404

        @app.get("/")
        def view():
            wares_from().get(Session)
            raise LookupError

        answer = client.get("/")

        assert "not here" == answer.text
        assert ["open", "answered", "rollback LookupError"] == journal

    def test_exception_after_the_view(self, app, client, journal):
        """An exception of an `after_request` function reaches the cleanups as well."""

        @app.get("/")
        def view():
            wares_from().get(Session)
            return "done"

        @app.after_request
        def fail(response):
            if response.status_code == 200:
                raise LookupError
            return response

        answer = client.get("/")

        assert 500 == answer.status_code
        assert ["open", "rollback LookupError"] == journal

    def test_exception_without_a_context(self, app):
        """An exception that is signalled without a context is ignored."""
        got_request_exception.send(app, exception=LookupError())

        with pytest.raises(NoContainerError):
            current_container()

    def test_current_wherever_flask_calls(self, app, client):
        """The container is current in hooks, in handlers, in templates and after the view."""
        seen = []

        def see(result=None):
            seen.append(current_container())
            assert seen[0] is wares_from()
            return result

        app.before_request(see)
        app.after_request(see)
        app.teardown_request(lambda _: see())
        app.context_processor(lambda: see({}))
        app.template_global("see")(lambda: see("template"))
        app.register_error_handler(
            LookupError, lambda _: see(render_template_string("{{see()}}"))
        )

        @app.get("/")
        def view():
            see()
            raise LookupError

        answer = client.get("/")

        assert "template" == answer.text
        assert 7 == len(seen)

    def test_abort(self, app, client, journal):
        """`abort` is an exception like any other."""

        @app.get("/")
        def view():
            wares_from().get(Session)
            abort(409)

        answer = client.get("/")

        assert 409 == answer.status_code
        assert ["open", "rollback Conflict"] == journal

    def test_redirect_is_no_exception(self, app, client, journal):
        """A response that a view returns is none."""

        @app.get("/")
        def view():
            wares_from().get(Session)
            return redirect("/elsewhere")

        client.get("/")

        assert ["open", "commit"] == journal

    def test_exception_before_init_app(self):
        """An error that is answered in a context without a container changes nothing."""
        app = Flask("shop")
        with app.test_request_context("/nowhere"):
            init_app(app)

            answer = app.full_dispatch_request()

        assert 404 == answer.status_code

    def test_suppressed_exception(self, app, client, make_session, journal):
        """`suppress_context_exit` hides the exception from one service."""
        register_factory(app, Session, make_session, suppress_context_exit=True)

        @app.get("/")
        def view():
            wares_from().get(Session)
            raise LookupError

        client.get("/")

        assert ["open", "commit"] == journal

    def test_cleanup_error(self, app, client, journal):
        """A cleanup that fails is visible, and other teardown functions run all the same."""

        def make():
            yield 5
            raise RuntimeError("cannot commit")

        other = Flask("other")
        other.teardown_appcontext(lambda _: journal.append("another's teardown"))
        init_app(other)
        other.teardown_request(lambda _: journal.append("a request's teardown"))
        register_factory(other, int, make)
        other.add_url_rule("/", view_func=lambda: str(wares_from().get(int)))

        with pytest.raises(RuntimeError, match="cannot commit"):
            other.test_client().get("/")
        with pytest.raises(RuntimeError, match="cannot commit"), other.app_context():
            wares_from().get(int)

        assert ["a request's teardown", *["another's teardown"] * 2] == journal

    @pytest.mark.parametrize("is_answered", [True, False])
    def test_cleanup_error_besides_another(self, app, client, caplog, is_answered):
        """A cleanup that fails is logged where the exception of the request is answered already.

        Where the exception is on its way to the caller, it is replaced.
        """
        app.testing = not is_answered

        def make():
            try:
                yield 5
            finally:
                raise RuntimeError("cannot roll back")

        register_factory(app, int, make)

        @app.get("/")
        def view():
            wares_from().get(int)
            raise LookupError

        caplog.clear()
        with caplog.at_level(logging.ERROR, "wares"):
            if is_answered:
                assert 500 == client.get("/").status_code
            else:
                with pytest.raises(RuntimeError) as caught:
                    client.get("/")
                assert isinstance(caught.value.__context__, LookupError)

        logged = [record.exc_info[0] for record in caplog.records if record.name == "wares"]
        assert is_answered == (RuntimeError in logged)

    def test_before_the_teardown_of_extensions(self, make_session, journal):
        """Services end before what extensions have set up ends, earlier or later."""
        app = Flask("shop")
        app.teardown_appcontext(lambda _: journal.append("an earlier extension's teardown"))
        init_app(app)
        app.teardown_appcontext(lambda _: journal.append("a later extension's teardown"))
        register_factory(app, Session, make_session)

        with app.app_context():
            wares_from().get(Session)

        assert [
            "open",
            "commit",
            "a later extension's teardown",
            "an earlier extension's teardown",
        ] == journal

    def test_cleanup_error_in_a_context_from_before(self):
        """A cleanup that fails is visible, too, in a context that was there before `init_app`."""

        def make():
            yield 5
            raise RuntimeError("cannot commit")

        app = Flask("shop")
        context = app.app_context()
        context.push()
        init_app(app)
        register_factory(app, int, make)
        wares_from().get(int)

        with pytest.raises(RuntimeError, match="cannot commit"):
            context.pop()

    def test_asked_after_the_end(self, make_session, journal):
        """A teardown function that asks for a service after the end gets a new container."""
        app = Flask("shop")

        @app.teardown_appcontext
        def ask_late(_):
            wares_from().get(Session)
            journal.append("asked")

        init_app(app)
        register_factory(app, Session, make_session)

        with app.app_context():
            wares_from().get(Session)

        assert ["open", "commit", "open", "asked", "commit"] == journal

    def test_asked_after_the_end_before_a_failure(self, app, journal):
        """What a teardown function asks for is ended even if a later one raises."""

        @app.teardown_appcontext
        def fail(_):
            raise LookupError

        @app.teardown_appcontext
        def ask(_):
            wares_from().get(Session)

        with pytest.raises(LookupError), app.app_context():
            pass

        assert ["open", "rollback LookupError"] == journal

    def test_the_teardown_of_another_fails(self, journal):
        """If another teardown function fails, the container has been closed before."""
        app = init_app(Flask("shop"))
        app.teardown_appcontext(lambda _: 1 / 0)
        register_value(app, int, 5)
        with pytest.raises(ZeroDivisionError), app.app_context():
            first = wares_from()
        assert first.is_closed

        app.teardown_appcontext_funcs.pop()
        with app.app_context():
            assert first is not wares_from()
            assert wares_from() is current_container()

        with pytest.raises(NoContainerError):
            current_container()

    def test_public_teardown(self, app, journal):
        """`teardown` closes the container of the context at once, and does nothing without one."""
        wares.flask.teardown(None)
        with app.app_context():
            wares_from().get(Session)

            wares.flask.teardown(LookupError())

            assert ["open", "rollback LookupError"] == journal

    def test_class_based_view(self, app, client, journal):
        """Class-based views ask as functions do."""

        class View(MethodView):
            def get(self):
                return str(wares_from().get(Session).is_open)

        app.add_url_rule("/", view_func=View.as_view("view"))

        answer = client.get("/")

        assert "True" == answer.text
        assert ["open", "commit"] == journal

    def test_preserved_context(self, app, client, journal):
        """A context that a test client preserves has ended, and has new services."""
        app.add_url_rule("/", view_func=lambda: str(wares_from().get(Session).is_open))

        with client:
            client.get("/")
            assert ["open", "commit"] == journal
            assert wares_from().get(Session).is_open

        assert ["open", "commit", "open", "commit"] == journal


class TestInject:
    def test_views(self, app, client, journal):
        """Views, functions and methods, synchronous or not, may declare what they need."""

        def name() -> str:
            return "Ada"

        @app.get("/<int:number>")
        @inject
        def view(
            number: int, session: Inject[Session], name: Annotated[str, Depends(name)]
        ) -> str:
            return f"{number} {session.is_open} {name}"

        class View(MethodView):
            @inject
            def get(self, session: Inject[Session]) -> str:
                return f"{session.is_open}"

        @app.get("/later")
        @inject
        async def later(session: Inject[Session]) -> str:
            return f"{session.is_open}"

        app.add_url_rule("/class", view_func=View.as_view("class"))

        assert "5 True Ada" == client.get("/5").text
        assert "True" == client.get("/class").text
        assert "True" == client.get("/later").text
        assert ["open", "commit"] * 3 == journal

    def test_commands(self, app, journal):
        """An injected command gets its services, next to its own arguments."""

        @app.cli.command("tidy")
        @click.argument("room")
        @inject
        def tidy(room: str, session: Inject[Session]) -> None:
            journal.append(f"{room} {session.is_open}")

        result = app.test_cli_runner().invoke(args=["tidy", "kitchen"])

        assert 0 == result.exit_code
        assert ["open", "kitchen True", "commit"] == journal

    def test_hooks(self, app, client, journal):
        """Functions around the view may declare what they need; they share it with the view."""

        @app.before_request
        @inject
        def before(session: Inject[Session]) -> None:
            g.session = session

        @app.get("/")
        @inject
        def view(session: Inject[Session]) -> str:
            return str(session is g.session)

        answer = client.get("/")

        assert "True" == answer.text
        assert ["open", "commit"] == journal


class Missing(Protocol):
    """A service that is never registered."""


class Needy:
    """A service that needs it."""

    def __init__(self, missing: Missing) -> None:
        self.missing = missing


class TestValidation:
    @pytest.fixture
    def invalid(self):
        """An application with a service that cannot be made."""
        app = init_app(Flask("shop"))
        app.testing = True
        app.add_url_rule("/", view_func=lambda: "done")
        register_factory(app, Needy, Needy)
        return app

    def test_the_first_request_fails(self, invalid):
        """A service that cannot be made is found at the first request to any view."""
        with pytest.raises(InvalidRegistryError) as caught:
            invalid.test_client().get("/")

        assert "The application serves no request, because its registry has 1 problem" in str(
            caught.value
        )
        assert [Missing] == [problem.key for problem in caught.value.exceptions]

    def test_so_do_those_after_it(self, invalid, caplog):
        """No request is served until the problem is fixed; in production, Flask logs it."""
        invalid.testing = False
        client = invalid.test_client()
        caplog.set_level(logging.ERROR)
        caplog.clear()

        codes = [client.get("/").status_code for _ in range(2)]
        register_value(invalid, Missing, "there now")

        assert [500, 500] == codes
        assert [InvalidRegistryError] * 2 == [one.exc_info[0] for one in caplog.records]
        assert "done" == client.get("/").text

    def test_not_asked_for(self, invalid):
        """With `validate=False`, a mistake is an error when code asks for the service."""
        init_app(invalid, registry=get_registry(invalid), validate=False)

        assert "done" == invalid.test_client().get("/").text

    def test_contexts_and_commands(self, invalid):
        """Contexts and commands are no requests: one may still register within them."""
        invalid.cli.command("work")(lambda: click.echo("done"))

        with invalid.app_context(), invalid.test_request_context():
            register_value(invalid, Missing, "there now")
            needy = wares_from().get(Needy)
        result = invalid.test_cli_runner().invoke(args=["work"])

        assert "there now" == needy.missing
        assert "done\n" == result.output

    def test_once(self, app, client):
        """After the first request, nothing is validated any more."""
        app.add_url_rule("/", view_func=lambda: "done")
        client.get("/")

        register_factory(app, Needy, Needy)

        assert "done" == client.get("/").text

    def test_another_registry(self, invalid):
        """Another registry is validated anew; the first one does not count any more."""
        registry = Registry()
        init_app(invalid, registry=registry)
        client = invalid.test_client()
        assert "done" == client.get("/").text

        init_app(invalid, registry=registry)
        registry.register_factory(Needy, Needy)

        with pytest.raises(InvalidRegistryError):
            client.get("/")

    @pytest.mark.parametrize("is_valid", [True, False])
    def test_threads(self, invalid, is_valid):
        """All concurrent first requests are served, or, with a mistake, none of them."""
        if is_valid:
            register_value(invalid, Missing, "there")
        barrier = threading.Barrier(8)

        def ask(_):
            barrier.wait()
            try:
                return invalid.test_client().get("/").text
            except InvalidRegistryError:
                return "invalid"

        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(ask, range(8)))

        assert ["done" if is_valid else "invalid"] * 8 == answers

    def test_views(self, app, client):
        """Views that ask by `inject`, functions and methods, decorated or not, are looked at."""
        app.testing = True

        def decorate(view):
            return functools.wraps(view)(lambda: view())

        @app.get("/function")
        @decorate
        @inject
        def function(missing: Inject[Missing]) -> None:
            """Need a service that is not registered."""

        class Method(MethodView):
            @inject
            def get(self, missing: Inject[Missing]) -> None:
                """Need a service that is not registered."""

        class Dispatch(View):
            @inject
            def dispatch_request(self, needy: Annotated[Needy, Depends()]) -> None:
                """Need a service that needs one that is not registered."""

        app.add_url_rule("/method", view_func=Method.as_view("method"))
        app.add_url_rule("/dispatch", view_func=Dispatch.as_view("dispatch"))

        with pytest.raises(InvalidRegistryError) as caught:
            client.get("/")

        assert [ServiceNotFoundError] * 3 == [type(one) for one in caught.value.exceptions]
        paths = [[key.__qualname__ for key in one.path] for one in caught.value.exceptions]
        names = [[name.rpartition(".")[2] for name in path] for path in paths]
        assert [
            ["function", "Missing"],
            ["get", "Missing"],
            ["dispatch_request", "Needy", "Missing"],
        ] == names
        assert "test_flask.py" in str(caught.value.exceptions[0])

    def test_what_views_need_besides(self, app, client):
        """Nothing is wrong with what a view gets otherwise: by the call, by default, expected."""
        app.testing = True
        get_registry(app).expect(Missing)

        def find(
            number, container: Container, needy: Annotated[Needy, Depends()], size: int = 3
        ) -> str:
            return f"{number} {size}"

        def count(**given: str) -> int:
            return len(given)

        @app.get("/<int:number>")
        @inject
        def view(
            number: int,
            found: Annotated[str, Depends(find)],
            again: Annotated[str, Depends(find)],
            session: Inject[Session],
        ) -> None:
            """Is not called."""

        @app.get("/any/<name>")
        @inject
        def any_name(found: Annotated[str, Depends(find)], **names: str) -> None:
            """Is not called."""

        assert 404 == client.get("/nowhere").status_code

    def test_views_that_cannot_be_read(self, app, client):
        """A name that is not there is a problem like others."""
        app.testing = True

        @app.get("/later")
        @inject
        def later(service: Inject["Later"]) -> None:  # noqa: F821  # it never comes
            """Need a service whose name is unknown."""

        with pytest.raises(InvalidRegistryError) as caught:
            client.get("/")

        (problem,) = caught.value.exceptions
        assert UnresolvableParameterError is type(problem)
        assert "service" == problem.parameter


class TestContexts:
    def test_nested(self, app, journal):
        """A context within a context has services of its own, and gives back the outer ones."""
        with app.app_context():
            outer = wares_from()
            outer.get(Session)
            with app.app_context():
                assert outer is not current_container()
                wares_from().get(Session)
            assert ["open", "open", "commit"] == journal
            assert outer is current_container()

        assert ["open", "open", "commit", "commit"] == journal

    def test_pushed_twice(self, app, journal):
        """A context that is pushed again has the same container until its last pop."""
        context = app.app_context()
        with context:
            wares_from().get(Session)
            with context:
                assert Session in wares_from()
            assert Session in current_container()
            assert ["open"] == journal

        assert ["open", "commit"] == journal

    def test_pushed_again_within_another(self, app):
        """A context that is pushed again within another one's is current there."""
        outer = app.app_context()
        with outer:
            container = wares_from()
            for _ in range(2):
                with app.app_context():
                    with outer:
                        assert container is current_container()
                    assert container is not current_container()
                assert container is current_container()

        with pytest.raises(NoContainerError):
            current_container()

    def test_pushed_after_its_end(self, app, journal):
        """A context that has ended and is pushed once more has new services."""
        context = app.app_context()
        with context:
            wares_from().get(Session)
        with context:
            wares_from().get(Session)

        assert ["open", "commit", "open", "commit"] == journal

    def test_popped_with_an_exception(self, app, journal):
        """The exception of a pop is the argument, or else the one that is being handled."""
        for exception in (LookupError(), None):
            context = app.app_context()
            context.push()
            wares_from().get(Session)
            context.pop(exc=exception)
        context = app.app_context()
        context.push()
        wares_from().get(Session)
        try:
            raise LookupError
        except LookupError:
            context.pop()

        rollback = ["open", "rollback LookupError"]
        assert [*rollback, "open", "commit", *rollback] == journal

    def test_as_it_is_pushed(self, app):
        """A receiver of `appcontext_pushed` finds the container."""
        seen = []

        def listen(_):
            seen.append(current_container() is wares_from())

        with appcontext_pushed.connected_to(listen, app), app.app_context():
            pass

        assert [True] == seen

    def test_contexts_of_the_applications_own(self, journal, make_session):
        """An application may make contexts of a class of its own."""

        class Context(AppContext):
            def push(self):
                journal.append("pushed")
                super().push()

        class Shop(Flask):
            def app_context(self):
                return Context(self)

        shop = init_app(Shop("shop"))
        register_factory(shop, Session, make_session)

        for _ in range(2):
            with shop.app_context() as context:
                assert isinstance(context, Context)
                current_container().get(Session)

        assert ["pushed", "open", "commit"] * 2 == journal

    def test_several_applications(self):
        """A context of another application has that one's registry."""
        shop, bank = init_app(Flask("shop")), init_app(Flask("bank"))
        register_value(shop, str, "shop")
        register_value(bank, str, "bank")
        with shop.app_context():
            with bank.app_context():
                assert "bank" == current_container().get(str) == wares_from().get(str)
            assert "shop" == current_container().get(str) == wares_from().get(str)

    def test_one_registry_for_several_applications(self):
        """Applications may share a registry."""
        registry = Registry()
        registry.register_factory(list, list, lifetime="singleton")
        shop, bank = (
            init_app(Flask("shop"), registry=registry),
            init_app(Flask("bank"), registry=registry),
        )
        with shop.app_context(), bank.app_context():
            pass
        with shop.app_context():
            made = wares_from().get(list)
        with bank.app_context():
            assert made is wares_from().get(list)

    def test_command(self, app, journal):
        """A command of the application has a container."""

        @app.cli.command("tidy")
        def tidy():
            wares_from().get(Session)
            journal.append(current_app.name)

        result = app.test_cli_runner().invoke(args=["tidy"])

        assert 0 == result.exit_code
        assert ["open", "shop", "commit"] == journal

    def test_failed_command(self, app, journal):
        """The exception that ends a command reaches the cleanups."""

        @app.cli.command("tidy")
        def tidy():
            wares_from().get(Session)
            raise LookupError

        app.test_cli_runner().invoke(args=["tidy"])

        assert ["open", "rollback LookupError"] == journal

    def test_while_handling_an_exception(self, app, journal):
        """A context that succeeds commits, even while another exception is being handled."""
        try:
            raise LookupError
        except LookupError:
            with app.app_context():
                wares_from().get(Session)

        assert ["open", "commit"] == journal

    def test_in_a_thread(self, app, journal):
        """A thread opens a context of its own."""

        def work():
            with app.app_context():
                wares_from().get(Session)

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()

        assert ["open", "commit"] == journal


class TestStreaming:
    @pytest.fixture
    def stream(self, app, journal):
        """A view whose response uses, while it is sent, what the view has asked for."""

        @app.get("/")
        def view():
            session = wares_from().get(Session)

            def chunks():
                for number in range(3):
                    assert session.is_open
                    journal.append(f"chunk {number}")
                    yield str(number)

            return Response(chunks())

    def test_services_last_until_it_is_sent(self, client, stream, journal):
        """A streamed response still has its services, without asking for it."""
        answer = client.get("/")

        assert "012" == answer.text
        assert ["open", "chunk 0", "chunk 1", "chunk 2", "commit"] == journal

    def test_with_context(self, app, client, journal):
        """With `stream_with_context`, the stream finds the same container."""

        @app.get("/")
        def view():
            session = wares_from().get(Session)

            def chunks():
                assert session is wares_from().get(Session)
                assert session is current_container().get(Session)
                assert session.is_open
                yield "done"

            return Response(stream_with_context(chunks()))

        answer = client.get("/")

        assert "done" == answer.text
        assert ["open", "commit"] == journal

    def test_given_up(self, client, stream, journal):
        """A client that goes away ends the services; they see that."""
        answer = client.get("/")
        assert b"0" == next(answer.iter_encoded())

        answer.close()

        assert ["open", "chunk 0", "rollback GeneratorExit"] == journal

    def test_nothing_of_it_is_sent(self, client, stream, journal):
        """A response of which no chunk is asked for ends the services when it is closed."""
        answer = client.head("/")
        answer.close()

        assert ["open", "commit"] == journal

    def test_its_end_is_kept(self, app, client, journal):
        """The iterable of a stream is closed, as Flask would close it."""

        class Chunks:
            def __iter__(self):
                return iter(["done"])

            def close(self):
                journal.append("closed")

        app.add_url_rule("/", view_func=lambda: Response(Chunks()))

        with client.get("/") as answer:
            assert "done" == answer.text

        assert ["closed"] == journal

    def test_without_an_end(self, app, client):
        """The iterable of a stream need not have a method `close`."""
        app.add_url_rule("/", view_func=lambda: Response(map(str, [1, 2])))

        answer = client.get("/")

        assert "12" == answer.text

    def test_fails(self, app, client, journal):
        """An exception within the stream reaches the cleanups."""

        @app.get("/")
        def view():
            wares_from().get(Session)

            def chunks():
                yield "begun"
                raise LookupError

            return Response(chunks())

        with pytest.raises(LookupError):
            assert client.get("/").text

        assert ["open", "rollback LookupError"] == journal

    def test_file(self, app, client, journal, tmp_path):
        """A file that is sent through needs no services."""
        path = tmp_path / "file"
        path.write_text("content")

        @app.get("/")
        def view():
            wares_from().get(Session)
            return Response(path.open("rb"), direct_passthrough=True)

        with client.get("/") as answer:
            assert ["open", "commit"] == journal
            assert "content" == answer.text


class AsyncSession:
    """A service whose cleanup must be awaited."""


@pytest.fixture
def make_async_session(journal):
    async def make_async_session() -> AsyncIterator[AsyncSession]:
        journal.append("open")
        try:
            yield AsyncSession()
        except BaseException as error:
            await asyncio.sleep(0)
            journal.append(f"rollback {type(error).__name__}")
            raise
        else:
            await asyncio.sleep(0)
            journal.append("commit")

    return make_async_session


class TestAsync:
    @pytest.fixture(autouse=True)
    def registered(self, app, make_async_session):
        register_factory(app, AsyncSession, make_async_session)

    def test_view(self, app, client, journal):
        """An async view gets async services, and their cleanups run."""

        @app.get("/")
        async def view():
            await wares_from().aget(AsyncSession)
            assert AsyncSession in current_container()
            return "done"

        answer = client.get("/")

        assert "done" == answer.text
        assert ["open", "commit"] == journal

    def test_exception(self, app, client, journal):
        """The exception of an async view reaches the async cleanups."""

        @app.get("/")
        async def view():
            await wares_from().aget(AsyncSession)
            raise LookupError

        client.get("/")

        assert ["open", "rollback LookupError"] == journal

    def test_streamed(self, app, client, journal):
        """The async cleanups of a streamed response run after it."""

        @app.get("/")
        async def view():
            await wares_from().aget(AsyncSession)
            return Response(iter(["a", "b"]))

        answer = client.get("/")
        assert ["open"] == journal

        assert "ab" == answer.text
        assert ["open", "commit"] == journal

    def test_context_manager(self, app, client, journal, make_async_session):
        """A context manager made of a generator is as good as the generator."""
        register_factory(app, AsyncSession, contextlib.asynccontextmanager(make_async_session))

        @app.get("/")
        async def view():
            await wares_from().aget(AsyncSession)
            return "done"

        client.get("/")

        assert ["open", "commit"] == journal

    def test_outside_a_context(self, app):
        """`ensure_sync` works outside of a context, too."""

        async def work():
            return "done"

        assert "done" == app.ensure_sync(work)()

    def test_close_registry(self, app, client, journal, make_async_session):
        """Closing the registry awaits the cleanups of its singletons."""
        register_factory(app, AsyncSession, make_async_session, lifetime="singleton")

        @app.get("/")
        async def view():
            await wares_from().aget(AsyncSession)
            return "done"

        client.get("/")
        assert ["open"] == journal

        close_registry(app)

        assert ["open", "commit"] == journal

    async def test_close_registry_in_an_event_loop(self, app, journal, make_async_session):
        """Where an event loop runs, closing the registry refuses, and touches nothing."""
        register_factory(app, AsyncSession, make_async_session, lifetime="singleton")
        registry = get_registry(app)
        async with registry.container() as container:
            await container.aget(AsyncSession)

        with pytest.raises(PendingAsyncCleanupError, match="AsyncSession"):
            close_registry(app)
        await registry.aclose()

        assert ["open", "commit"] == journal

    async def test_context_in_an_event_loop(self, app, journal):
        """Where an event loop runs, the end of a context refuses, and touches no service."""
        context = app.app_context()
        context.push()
        container = wares_from()
        await container.aget(AsyncSession)

        with pytest.raises(PendingAsyncCleanupError, match="AsyncSession"):
            context.pop()
        await container.aclose()

        assert ["open", "commit"] == journal


class TestCloseRegistry:
    def test_closes(self):
        """The registry is closed, and closing it again does nothing."""
        ended = []
        app = init_app(Flask("shop"))
        register_value(app, int, 5, on_registry_close=lambda: ended.append("closed"))

        close_registry(app)
        close_registry(app)

        assert ["closed"] == ended

    def test_without_one(self):
        """An application without a registry has nothing to close."""
        close_registry(Flask("shop"))


def test_flask_socketio(app, journal):
    """The events of Flask-SocketIO each have a container, without anything being done for it."""
    app.secret_key = "not a secret"
    server = SocketIO(app, async_mode="threading")

    @server.on("work")
    def work(data):
        wares_from().get(Session)
        assert current_container() is wares_from()
        journal.append(data)
        return "done"

    @server.on("fail")
    def fail():
        wares_from().get(Session)
        raise LookupError

    @server.on("ask")
    @inject
    def ask(data: str, session: Inject[Session]) -> str:
        return f"{data} {session.is_open}"

    class Room(Namespace):
        def on_enter(self, data):
            return f"{data} {current_container().get(Session).is_open}"

    server.on_namespace(Room("/room"))
    client = server.test_client(app)
    client.connect("/room")
    journal.clear()

    answers = [
        client.emit("work", "hard", callback=True),
        client.emit("ask", "well", callback=True),
        client.emit("enter", "in", callback=True, namespace="/room"),
    ]
    with pytest.raises(LookupError):
        client.emit("fail")

    assert ["done", "well True", "in True"] == answers
    succeeded = ["open", "commit"]
    assert ["open", "hard", "commit", *succeeded * 2, "open", "rollback LookupError"] == journal


def test_threads_under_load(app, make_session):
    """On a real server with threads, each request's services are closed exactly once."""
    opened, closed = [], []
    lock = threading.Lock()

    def make_counted() -> Iterator[Container]:
        with lock:
            opened.append(1)
        try:
            yield wares_from()
        finally:
            with lock:
                closed.append(1)

    register_factory(app, "counted", make_counted)

    @app.get("/<int:number>")
    def view(number):
        container = wares_from().get("counted")
        assert container is current_container()
        if number % 5 == 0:
            abort(409)
        if number % 5 == 1:
            return Response(stream_with_context(iter(["a", "b"])))
        return "done"

    def ask(port, first):
        for number in range(first, 200, 8):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/{number}").read()
            except urllib.error.HTTPError as error:
                error.close()

    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    clients = [threading.Thread(target=ask, args=(server.port, first)) for first in range(8)]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    server.shutdown()
    thread.join()
    server.server_close()

    assert 200 == len(opened) == len(closed)


GUNICORN_APP = """
import threading

import wares.flask
from flask import Flask, Response, abort, stream_with_context
from wares import current_container
from wares.flask import wares_from

lock = threading.Lock()
counts = {"opened": 0, "closed": 0, "singletons": 0}


def count(name):
    with lock:
        counts[name] += 1


def make():
    count("opened")
    try:
        yield wares_from()
    finally:
        count("closed")


def make_singleton():
    count("singletons")
    yield "singleton"
    count("singletons")


app = wares.flask.init_app(Flask("shop"))
app.config["counts"] = counts
wares.flask.register_factory(app, "counted", make)
wares.flask.register_factory(app, "singleton", make_singleton, lifetime="singleton")


@app.get("/<int:number>")
def view(number):
    container = wares_from().get("counted")
    assert container is current_container()
    container.get("singleton")
    if number % 5 == 0:
        abort(409)
    if number % 5 == 1:
        return Response(stream_with_context(iter(["a", "b"])))
    if number % 5 == 2:
        raise LookupError
    return "done"
"""

GUNICORN_SETTINGS = """
import json
from pathlib import Path

import wares.flask

workers = 2
worker_class = "gthread"
threads = 4
graceful_timeout = 5
control_socket_disable = True


def worker_exit(server, worker):
    wares.flask.close_registry(worker.wsgi)
    Path(f"{worker.pid}.json").write_text(json.dumps(worker.wsgi.config["counts"]))
"""


def test_gunicorn_under_load(tmp_path):
    """Under gunicorn with processes and threads, everything is closed once, also at the end."""
    (tmp_path / "shop.py").write_text(GUNICORN_APP)
    (tmp_path / "settings.py").write_text(GUNICORN_SETTINGS)
    listener = socket.create_server(("127.0.0.1", 0), backlog=128)
    port = listener.getsockname()[1]

    def ask(number):
        # Who comes before the workers waits in the socket's queue.
        try:
            url = f"http://127.0.0.1:{port}/{number}"
            return urllib.request.urlopen(url, timeout=30).read().decode()
        except urllib.error.HTTPError as error:
            error.close()
            return error.code

    with listener, (tmp_path / "log").open("wb") as log:
        server = subprocess.Popen(
            [
                *(sys.executable, "-m", "gunicorn", "shop:app", "--config", "settings.py"),
                *("--bind", f"fd://{listener.fileno()}"),
            ],
            cwd=tmp_path,
            pass_fds=[listener.fileno()],
            stdout=log,
            stderr=log,
        )
        try:
            with ThreadPoolExecutor(8) as pool:
                answers = list(pool.map(ask, range(200)))
        finally:
            os.kill(server.pid, signal.SIGTERM)
            try:
                code = server.wait(timeout=30)
            finally:
                server.kill()
    counts = [json.loads(path.read_text()) for path in tmp_path.glob("*.json")]

    assert [409, "ab", 500, "done", "done"] * 40 == answers
    assert 0 == code
    assert 200 == sum(count["opened"] for count in counts)
    assert 200 == sum(count["closed"] for count in counts)
    assert {count["singletons"] for count in counts} <= {0, 2}
