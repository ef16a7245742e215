"""Litestar: what `AdapterConformance` does not say, with Litestar's own test client."""

import contextlib
from typing import Annotated

import httpx
import pytest
from litestar import (
    Controller,
    Litestar,
    Request,
    WebSocket,
    get,
    websocket,
    websocket_listener,
)
from litestar.background_tasks import BackgroundTask
from litestar.di import NamedDependency, Provide
from litestar.exceptions import NotAuthorizedException, NotFoundException
from litestar.response import Response
from litestar.testing import AsyncTestClient, TestClient

from tests.adapters.serving import Journal, Session, open_session, serve
from wares import (
    Depends,
    Inject,
    InvalidRegistryError,
    NoContainerError,
    NoRegistryError,
    RegistryClosedError,
    UnresolvableParameterError,
    current_container,
    inject,
)
from wares.litestar import WaresPlugin, get_registry, health_handler, wares_from


@pytest.fixture
def plugin(journal):
    """A plugin with a session that notes how it ends."""
    plugin = WaresPlugin()
    plugin.registry.register_value(Journal, journal)
    plugin.registry.register_factory(Session, open_session)
    return plugin


def make_app(plugin, *handlers, **options):
    """Make an application that logs nothing."""
    return Litestar(list(handlers), plugins=[plugin], logging_config=None, **options)


class TestAsking:
    def test_by_inject(self, plugin, journal):
        """A handler asks by `inject`; Litestar, and its document, see the rest."""

        @get("/{name:str}")
        @inject
        async def greet(request: Request, session: Inject[Session]) -> str:
            return session.work(request.path_params["name"])

        app = make_app(plugin, greet)
        with TestClient(app) as client:
            assert "ada" == client.get("/ada").text

        assert ["open", "ada", "commit"] == journal
        assert "session" not in str(app.openapi_schema.to_schema()["paths"])

    def test_in_a_controller(self, plugin, journal):
        """A method of a controller is injected like a function."""

        class Shop(Controller):
            path = "/shop"

            @get()
            @inject
            async def show(self, session: Inject[Session]) -> str:
                return session.work("shop")

        with TestClient(make_app(plugin, Shop)) as client:
            assert "shop" == client.get("/shop").text

    def test_in_guards_and_dependencies(self, plugin, journal):
        """Guards and Litestar's own dependencies find the current container."""

        async def guard(connection, handler):
            (await wares_from(connection).aget(Session)).work("guard")

        async def provide() -> str:
            return (await current_container().aget(Session)).work("provide")

        @get("/", guards=[guard], dependencies={"text": Provide(provide)})
        async def show(text: NamedDependency[str]) -> str:
            return text

        with TestClient(make_app(plugin, show)) as client:
            assert "provide" == client.get("/").text

        assert ["open", "guard", "provide", "commit"] == journal

    def test_in_background_tasks(self, plugin, journal):
        """Background tasks still have the services of their request."""

        @get("/")
        @inject
        async def show(session: Inject[Session]) -> Response[str]:
            return Response("", background=BackgroundTask(session.work, "background"))

        with TestClient(make_app(plugin, show)) as client:
            client.get("/")

        assert ["open", "background", "commit"] == journal


class TestFailures:
    def test_that_litestar_answers(self, plugin, journal):
        """A response that is raised rolls back."""

        @get("/")
        @inject
        async def show(session: Inject[Session]) -> None:
            raise NotFoundException

        with TestClient(make_app(plugin, show)) as client:
            assert 404 == client.get("/").status_code

        assert ["open", "rollback NotFoundException"] == journal


class TestWebSockets:
    def test_have_a_container_each(self, plugin, journal):
        """A WebSocket has a container as long as it lasts; a message has a child of it."""

        @websocket("/")
        async def chat(socket: WebSocket) -> None:
            await socket.accept()
            async for text in socket.iter_data():
                async with wares_from(socket).child() as services:
                    await socket.send_text((await services.aget(Session)).work(text))

        with (
            TestClient(make_app(plugin, chat)) as client,
            client.websocket_connect("/") as socket,
        ):
            for text in ("one", "two"):
                socket.send_text(text)
                assert text == socket.receive_text()

        assert ["open", "one", "commit", "open", "two", "commit"] == journal

    def test_of_listeners(self, plugin, journal):
        """A listener has the container of its WebSocket."""

        @websocket_listener("/")
        async def listen(data: str, socket: WebSocket) -> str:
            same = wares_from(socket) is current_container()
            return (await current_container().aget(Session)).work(f"{data} {same}")

        with (
            TestClient(make_app(plugin, listen)) as client,
            client.websocket_connect("/") as socket,
        ):
            socket.send_text("one")
            assert "one True" == socket.receive_text()

        assert ["open", "one True", "commit"] == journal


class TestStart:
    async def test_validates_what_handlers_ask_for(self, plugin):
        """The start fails if a handler asks for a service that is not registered."""

        @get("/")
        @inject
        async def show(missing: Inject[complex]) -> None:
            """Never be reached."""

        with pytest.raises(Exception) as caught:  # it comes in groups
            async with AsyncTestClient(make_app(plugin, show)):
                pass

        errors = [caught.value]
        for error in errors:
            if type(error) in (ExceptionGroup, BaseExceptionGroup):
                errors.extend(error.exceptions)
        assert InvalidRegistryError in map(type, errors)

    def test_without_validation(self):
        """With `validate=False`, an application starts despite mistakes."""
        plugin = WaresPlugin(validate=False)

        @get("/")
        @inject
        async def show(missing: Inject[complex]) -> None:
            """Fail."""

        @websocket("/socket")
        async def chat(socket: WebSocket) -> None:
            """Never be reached."""

        app = make_app(plugin, show, chat, health_handler())
        with TestClient(app, raise_server_exceptions=False) as client:
            assert 500 == client.get("/").status_code

    def test_keeps_the_registry(self, plugin):
        """The registry is on the application, until the end closes it."""
        app = make_app(plugin, health_handler("/health"))

        with TestClient(app) as client:
            assert get_registry(app) is plugin.registry
            assert {"ok": [], "failing": []} == client.get("/health").json()

        with pytest.raises(RegistryClosedError):
            get_registry(app).container()


class TestWhatIsMissing:
    def test_a_registry(self):
        """An application without the plugin says how to install it."""
        with pytest.raises(NoRegistryError, match="WaresPlugin"):
            get_registry(Litestar([]))

    def test_a_container(self):
        """A connection that did not come through the middleware says so."""
        with pytest.raises(NoContainerError):
            wares_from(Request({"type": "http"}))


class TestEdgeCases:
    @pytest.mark.parametrize("status", [409, 500])
    def test_a_response_that_is_returned_is_no_failure(self, plugin, journal, status):
        """A response with an error status commits if it is returned, not raised.

        An exception that the handler has handled is no failure, either.
        """

        @inject
        def fail(session: Inject[Session]) -> None:
            raise LookupError

        @get("/")
        @inject
        async def show(session: Inject[Session]) -> Response[str]:
            with contextlib.suppress(LookupError):
                fail()
            return Response(session.work(), status_code=status)

        with TestClient(make_app(plugin, show)) as client:
            assert status == client.get("/").status_code

        assert ["open", "work", "commit"] == journal

    def test_a_guard_that_refuses(self, plugin, journal):
        """If a guard refuses, its services roll back."""

        async def guard(connection, handler):
            (await wares_from(connection).aget(Session)).work()
            raise NotAuthorizedException

        @get("/", guards=[guard])
        async def show() -> None:
            """Never be reached."""

        with TestClient(make_app(plugin, show)) as client:
            assert 401 == client.get("/").status_code

        assert ["open", "work", "rollback NotAuthorizedException"] == journal

    def test_hooks(self, plugin, journal):
        """Functions that Litestar calls before and after a handler have the container."""

        async def before(request):
            (await current_container().aget(Session)).work("before")

        async def after(request):
            (await current_container().aget(Session)).work("after")

        @get("/", before_request=before, after_response=after)
        async def show() -> None:
            """Do nothing."""

        with TestClient(make_app(plugin, show)) as client:
            client.get("/")

        assert ["open", "before", "after", "commit"] == journal

    @pytest.mark.parametrize("scope", ["request", "function"])
    async def test_a_failed_commit(self, plugin, scope):
        """A commit fails after the response, unless the service is function-scoped."""

        async def fail_at_the_end():
            yield 1.0
            raise LookupError("the commit failed")

        @get("/")
        @inject
        async def show(number: Annotated[float, Depends(float, scope=scope)]) -> float:
            return number

        plugin.registry.register_factory(float, fail_at_the_end)
        async with serve(make_app(plugin, show)) as address, httpx.AsyncClient() as client:
            answer = await client.get(f"http://{address}/")

        assert (200 if scope == "request" else 500) == answer.status_code

    async def test_a_dependency_asks(self, plugin, journal):
        """A function for `Provide` asks by `inject`, too; without it, nothing starts."""

        async def provide(session: Inject[Session]) -> str:
            return session.work()

        @get("/", dependencies={"text": Provide(inject(provide))})
        async def show(text: NamedDependency[str]) -> str:
            return text

        @get("/wrong", dependencies={"text": Provide(provide)})
        async def show_wrong(text: NamedDependency[str]) -> str:
            """Never be reached."""

        with TestClient(make_app(plugin, show)) as client:
            assert "work" == client.get("/").text
        with pytest.RaisesGroup(
            pytest.RaisesExc(UnresolvableParameterError, match="not injected"),
            flatten_subgroups=True,
        ):
            async with AsyncTestClient(make_app(WaresPlugin(), show_wrong)):
                pass

    def test_an_asynchronous_service_in_a_synchronous_handler(self, plugin):
        """A handler that runs in a thread cannot await its services."""

        @get("/", sync_to_thread=True)
        @inject
        def show(session: Inject[Session]) -> None:
            """Never be reached."""

        with TestClient(make_app(plugin, show, debug=True)) as client:
            assert "AsyncServiceError" in client.get("/").text

    def test_an_injected_listener(self, plugin, journal):
        """An injected listener has the same services for all messages of a WebSocket."""

        @websocket_listener("/")
        @inject
        async def listen(data: str, session: Inject[Session]) -> str:
            return session.work(data)

        with (
            TestClient(make_app(plugin, listen)) as client,
            client.websocket_connect("/") as socket,
        ):
            for text in ("one", "two"):
                socket.send_text(text)
                socket.receive_text()

        assert ["open", "one", "two", "commit"] == journal

    def test_a_client_that_starts_nothing(self, plugin, journal):
        """A test client that is no block runs no lifespan, so nothing is checked or closed."""

        @get("/")
        @inject
        async def show(session: Inject[Session]) -> str:
            return session.work()

        assert "work" == TestClient(make_app(plugin, show)).get("/").text
        assert ["open", "work", "commit"] == journal
        plugin.registry.close()

    async def test_an_application_that_is_started_twice(self, plugin):
        """The end of an application closes its registry, so it serves only once."""
        app = make_app(plugin)
        async with AsyncTestClient(app):
            pass

        with pytest.RaisesGroup(RegistryClosedError, flatten_subgroups=True):
            async with AsyncTestClient(app):
                pass
