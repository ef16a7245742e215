"""One dependency function, in a route and in a plain function: the markers of others."""

import inspect
from typing import Annotated

import click
import fastapi
import flask
import pytest
from click.testing import CliRunner
from fastapi.testclient import TestClient
from starlette.requests import HTTPConnection

import wares.fastapi
from tests.support.services import Cache, Database
from wares import Container, Depends, Registry, current_container, inject


def get_user(database: wares.fastapi.Inject[Database], name: str = "nobody"):
    """A dependency as one writes it for FastAPI."""
    return f"{name} in {database}"


def get_checked(user: Annotated[str, wares.fastapi.Depends(get_user)]):
    """Another one, that needs it."""
    return f"checked {user}"


@pytest.fixture
def application():
    """An application whose routes use both."""

    @wares.fastapi.lifespan
    async def lifespan(app, registry):
        registry.register_value(Database, "the database")
        yield

    app = fastapi.FastAPI(lifespan=lifespan)

    @app.get("/route")
    async def route(it: Annotated[str, fastapi.Depends(get_checked)]):
        return it

    @app.get("/injected", dependencies=[fastapi.Depends(wares.fastapi.container)])
    @inject
    async def injected(name: str, it: Annotated[str, Depends(get_checked)]):
        return it

    @app.get("/calling")
    async def calling(services: wares.fastapi.DepContainer):
        return ask("ada")

    @inject
    def ask(name, it: Annotated[str, Depends(get_checked)]):
        return it

    return app


class TestFastAPI:
    @pytest.mark.parametrize("path", ["/route?name=ada", "/injected?name=ada", "/calling"])
    def test_the_same_function_everywhere(self, application, path):
        """A dependency serves a route, an injected route, and a function that a route calls."""
        with TestClient(application) as client:
            assert "checked ada in the database" == client.get(path).json()

    def test_outside_of_routes(self, registry):
        """The same dependency works in a plain function, with services of its registry."""
        registry.register_value(Database, "its own database")

        @inject(registry=registry)
        def ask(name: str, it: Annotated[str, wares.fastapi.Depends(get_checked)]):
            return it

        assert "checked ada in its own database" == ask("ada")

    def test_an_injected_route_shows_its_own_parameters(self, application):
        """OpenAPI knows of an injected route what its callers pass, and nothing else."""
        with TestClient(application) as client:
            operation = client.get("/openapi.json").json()["paths"]["/injected"]["get"]

        assert ["name"] == [parameter["name"] for parameter in operation["parameters"]]
        assert "requestBody" not in operation

    async def test_its_container_and_registry(self, registry):
        """DepContainer and DepRegistry are what they say, outside of routes, too."""

        @inject(registry=registry)
        async def ask(
            services: wares.fastapi.DepContainer,
            registered: wares.fastapi.DepRegistry,
            inner: wares.fastapi.DepFunctionContainer,
        ):
            return services is current_container(), registered, inner

        for _ in range(20):
            is_current, found, inner = await ask()

        assert (True, registry) == (is_current, found)
        assert isinstance(inner, Container)

    def test_its_scopes_and_its_cache(self, registry):
        """scope="function" and use_cache=False mean under inject what they mean in a route."""
        log = []

        def begin():
            yield Database()
            log.append("ended")

        @inject
        def ask(
            one: Annotated[Database, fastapi.Depends(begin, scope="function")],
            two: Annotated[Database, fastapi.Depends(begin, scope="function", use_cache=False)],
        ):
            return one is two

        with registry.container() as container, container.activate():
            is_shared = ask()
            log.append("request goes on")

        assert not is_shared
        assert ["ended", "ended", "request goes on"] == log

    def test_its_function_scoped_services(self, registry):
        """FunctionInject ends with the function, and Inject with the container."""
        log = []

        def connect():
            yield Database()
            log.append("closed")

        registry.register_factory(Database, connect)

        @inject
        def ask(
            short: wares.fastapi.FunctionInject[Database], long: wares.fastapi.Inject[Database]
        ):
            return short is long

        with registry.container() as container, container.activate():
            is_shared = ask()
            log.append("request goes on")

        assert not is_shared
        assert ["closed", "request goes on", "closed"] == log

    def test_what_only_a_route_has(self, registry):
        """A dependency that needs the request takes it from what the container is given."""

        def get_client(connection: HTTPConnection):
            return connection.client

        @inject
        def ask(client=fastapi.Depends(get_client)):
            return client.host

        connection = HTTPConnection({"type": "http", "client": ("127.0.0.1", 1)})
        with registry.container({HTTPConnection: connection}) as container:
            with container.activate():
                assert "127.0.0.1" == ask()


class TestFastDepends:
    def test_its_markers(self, registry):
        """Markers of FastDepends are understood, nested and next to those of wares."""
        fast_depends = pytest.importorskip("fast_depends")

        def get_name(name: str):
            return name.title()

        def greet(name: Annotated[str, fast_depends.Depends(get_name)]):
            return f"hello {name}"

        @inject
        def ask(
            name: str,
            greeting: Annotated[str, fast_depends.Depends(greet)],
            same: Annotated[str, Depends(greet)],
            fresh: str = fast_depends.Depends(lambda: Cache(), use_cache=False),
            other: str = fast_depends.Depends(lambda: Cache(), use_cache=False),
        ):
            return greeting, same, fresh is other

        assert ("hello Ada", "hello Ada", False) == ask("ada")


class TestWhatFrameworksSee:
    def test_click(self, registry):
        """A click command shows its own options, and gets the rest."""
        registry.register_value(Database, "the database")

        @click.command()
        @click.argument("name")
        @inject(registry=registry)
        def command(name: str, database: Annotated[Database, Depends()]):
            click.echo(f"{name} in {database}")

        result = CliRunner().invoke(command, ["ada"])

        assert (0, "ada in the database\n") == (result.exit_code, result.output)

    def test_flask(self, registry):
        """A Flask view gets what its route names, and the rest."""
        registry.register_value(Database, "the database")
        app = flask.Flask(__name__)

        @app.get("/<name>")
        @inject(registry=registry)
        def view(name: str, database: Annotated[Database, Depends()]):
            return f"{name} in {database}"

        assert "ada in the database" == app.test_client().get("/ada").text

    @pytest.fixture
    @inject
    def greeting(self, name, it: Annotated[str, Depends(lambda name: f"hello {name}")]):
        """A fixture that is injected: pytest gives it `name`."""
        return it

    @pytest.fixture
    def name(self):
        return "ada"

    @inject
    def test_pytest(self, greeting, it: Annotated[str, Depends(lambda: "own")]):
        """Pytest fills fixtures, and asks for nothing that is injected."""
        assert ("hello ada", "own") == (greeting, it)

    def test_inspect(self):
        """inspect.signature shows what callers pass."""

        @inject
        def ask(name, it=Depends(Registry), *, age=3):
            return it

        assert "(name, *, age=3)" == str(inspect.signature(ask))
        assert isinstance(ask("ada"), Registry)
