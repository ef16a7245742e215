"""A container for each scope of a plain ASGI application, by itself and under a real server."""

import asyncio
import contextlib
import contextvars
import gc
import weakref

import httpx
import pytest
import websockets

from tests.adapters.serving import Journal, Session, hang_up, open_session, serve, until
from tests.support.interleaving import explore
from wares import (
    Inject,
    InvalidRegistrationError,
    NoContainerError,
    NoRegistryError,
    Registry,
    RegistryClosedError,
    ResponseFailed,
    current_container,
    inject,
)
from wares.asgi import WaresMiddleware, lifespan, wares_from


@pytest.fixture
def registry(journal):
    """A registry with a session that notes how it ends."""
    registry = Registry()
    registry.register_value(Journal, journal)
    registry.register_factory(Session, open_session)
    return registry


async def call(app, kind="http", *, incoming=(), **scope):
    """Serve one scope as a server does; give what the application has sent."""
    queue = iter(incoming)
    sent = []

    async def receive():
        return next(queue)

    async def send(message):
        sent.append(message)

    await app({"type": kind, "path": "/", "headers": [], **scope}, receive, send)
    return sent


async def answer(send, status=200, body=b""):
    """Send a response."""
    await send({"type": "http.response.start", "status": status, "headers": []})
    await send({"type": "http.response.body", "body": body})


async def working(scope, receive, send):
    """Use the session once, on any request."""
    (await wares_from(scope).aget(Session)).work()
    if scope["type"] == "http":
        await answer(send)


class TestContainers:
    @pytest.mark.parametrize("kind", ["http", "websocket"])
    async def test_is_open_while_the_application_runs(self, registry, journal, kind):
        """A request, and a WebSocket, have a container until the application returns."""
        app = WaresMiddleware(working, registry=registry)

        await call(app, kind)

        assert ["open", "work", "commit"] == journal

    async def test_is_the_current_one(self, registry):
        """The container in the scope is the current container of what the application calls."""
        seen = []

        async def app(scope, receive, send):
            seen.append(current_container() is wares_from(scope))

        await call(WaresMiddleware(app, registry=registry))

        assert [True] == seen

    async def test_is_not_current_afterwards(self, registry):
        """When the request is over, its container is no longer the current one."""
        await call(WaresMiddleware(working, registry=registry))

        with pytest.raises(NoContainerError):
            current_container()

    async def test_each_has_its_own(self, registry):
        """Two requests at the same time share no container."""
        seen = []
        both = asyncio.Barrier(2)

        async def app(scope, receive, send):
            seen.append(current_container())
            await both.wait()

        served = WaresMiddleware(app, registry=registry)
        await asyncio.gather(call(served), call(served))

        assert seen[0] is not seen[1]

    @pytest.mark.parametrize("kind", ["lifespan", "an extension"])
    async def test_other_scopes_pass(self, registry, kind):
        """Scopes of other types reach the application unchanged."""
        seen = []

        async def app(scope, receive, send):
            seen.append(scope)

        await call(WaresMiddleware(app, registry=registry), kind)

        assert [{"type": kind, "path": "/", "headers": []}] == seen

    async def test_twice_in_a_row(self, registry, journal):
        """A middleware within a middleware of the same registry shares its container."""
        seen = []

        async def app(scope, receive, send):
            await working(scope, receive, send)
            seen.append(wares_from(scope))

        async def between(scope, receive, send):
            seen.append(wares_from(scope))
            await WaresMiddleware(app, registry=registry)(scope, receive, send)

        await call(WaresMiddleware(between, registry=registry))

        assert ["open", "work", "commit"] == journal
        assert seen[0] is seen[1]

    async def test_of_two_registries(self, registry):
        """A middleware with a registry of its own opens a container of its own."""
        other = Registry()
        seen = []

        async def inner(scope, receive, send):
            seen.append(wares_from(scope).registry)

        async def between(scope, receive, send):
            seen.append(wares_from(scope).registry)
            await WaresMiddleware(inner, registry=other)(scope, receive, send)
            seen.append(wares_from(scope).registry)

        await call(WaresMiddleware(between, registry=registry))

        assert [registry, other, registry] == seen

    async def test_of_a_second_attempt(self, registry, journal):
        """A scope that is served once more gets a new container."""
        app = WaresMiddleware(working, registry=registry)

        async def twice(scope, receive, send):
            await app(scope, receive, send)
            await app(scope, receive, send)

        await call(twice)

        assert ["open", "work", "commit"] * 2 == journal


class TestWhereTheRegistryIs:
    async def test_in_the_state_of_the_lifespan(self, registry, journal):
        """Without a registry of its own, the middleware uses that of the lifespan."""
        await call(WaresMiddleware(working), state={"wares_registry": registry})

        assert ["open", "work", "commit"] == journal

    @pytest.mark.parametrize("scope", [{}, {"state": {}}], ids=["no state", "empty state"])
    async def test_nowhere(self, scope):
        """No registry at all is an error that says how to give one (behaviour 11)."""
        with pytest.raises(NoRegistryError, match="registry=registry"):
            await call(WaresMiddleware(working), **scope)

    async def test_closed(self, registry):
        """A registry that is closed opens no container (behaviour 11)."""
        await registry.aclose()

        with pytest.raises(RegistryClosedError):
            await call(WaresMiddleware(working, registry=registry))

    def test_no_container(self):
        """A connection that did not come through the middleware says so (behaviour 11)."""
        with pytest.raises(NoContainerError, match="WaresMiddleware"):
            wares_from({"type": "http"})


class TestFailures:
    @pytest.mark.parametrize("kind", ["http", "websocket"])
    async def test_of_the_application(self, registry, journal, kind):
        """An exception of the application reaches the cleanups, and then the server (17)."""

        async def app(scope, receive, send):
            await wares_from(scope).aget(Session)
            raise LookupError("no such book")

        with pytest.raises(LookupError, match="no such book"):
            await call(WaresMiddleware(app, registry=registry), kind)

        assert ["open", "rollback LookupError"] == journal

    async def test_answered_by_an_exception_handler(self, registry, journal):
        """An exception that is answered with a response reaches the cleanups (behaviour 17)."""

        async def app(scope, receive, send):
            try:
                await wares_from(scope).aget(Session)
                raise LookupError("no such book")
            except LookupError:
                await answer(send, 404)

        await call(WaresMiddleware(app, registry=registry))

        assert ["open", "rollback LookupError"] == journal

    async def test_answered_in_an_empty_context(self, registry, journal):
        """So does one whose answer is sent where no container is current."""

        async def app(scope, receive, send):
            try:
                await wares_from(scope).aget(Session)
                raise LookupError
            except LookupError:
                start = {"type": "http.response.start", "status": 404, "headers": []}
                await contextvars.Context().run(send, start)

        await call(WaresMiddleware(app, registry=registry))

        assert ["open", "rollback LookupError"] == journal

    async def test_answered_by_a_refusal(self, registry, journal):
        """An exception for which a WebSocket is closed reaches the cleanups (behaviour 17)."""

        async def app(scope, receive, send):
            try:
                await wares_from(scope).aget(Session)
                raise PermissionError
            except PermissionError:
                await send({"type": "websocket.close", "code": 1008})

        await call(WaresMiddleware(app, registry=registry), "websocket")

        assert ["open", "rollback PermissionError"] == journal

    async def test_mended_before_the_response(self, registry, journal):
        """An exception that has been handled before the response begins is no failure."""

        async def app(scope, receive, send):
            session = await wares_from(scope).aget(Session)
            with contextlib.suppress(LookupError):
                raise LookupError
            session.work()
            await answer(send)

        await call(WaresMiddleware(app, registry=registry))

        assert ["open", "work", "commit"] == journal

    async def test_of_somebody_outside(self, registry, journal):
        """A request that is made while an exception is handled has not failed by it."""
        try:
            raise LookupError("something outside")
        except LookupError:
            await call(WaresMiddleware(working, registry=registry))

        assert ["open", "work", "commit"] == journal

    async def test_after_an_answered_one(self, registry, journal):
        """An exception handler that fails itself is what the cleanups see."""

        async def app(scope, receive, send):
            try:
                await wares_from(scope).aget(Session)
                raise LookupError
            except LookupError:
                await send({"type": "http.response.start", "status": 404, "headers": []})
                raise ConnectionError from None

        with pytest.raises(ConnectionError):
            await call(WaresMiddleware(app, registry=registry))

        assert ["open", "rollback ConnectionError"] == journal

    async def test_cancelled(self, registry, journal):
        """A cancelled request is cleaned up once, and to the end (behaviour 25)."""
        started = asyncio.Event()

        async def slow_end(journal: Journal):
            try:
                yield "slow"
            finally:
                await asyncio.sleep(0.01)
                journal.append("slow end")

        async def app(scope, receive, send):
            await wares_from(scope).aget(Session, "slow")
            started.set()
            await asyncio.Event().wait()

        registry.register_factory("slow", slow_end)
        task = asyncio.create_task(call(WaresMiddleware(app, registry=registry)))
        await started.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

        assert ["open", "slow end", "rollback CancelledError"] == journal

    async def test_of_a_cleanup(self, registry):
        """A cleanup that fails is raised to the server, after the others have run."""

        async def broken():
            yield "broken"
            raise ConnectionError("the database is gone")

        async def app(scope, receive, send):
            await wares_from(scope).aget("broken")

        registry.register_factory("broken", broken)

        with pytest.raises(ConnectionError, match="the database is gone"):
            await call(WaresMiddleware(app, registry=registry))


class TestAnsweredFailures:
    """Exceptions that a framework has answered where the middleware cannot see them."""

    @pytest.mark.parametrize(
        ("status", "ending"),
        [(200, "commit"), (404, "commit"), (500, "rollback ResponseFailed")],
    )
    async def test_by_the_status(self, registry, journal, status, ending):
        """A response of a status from 500 on is a failed request (behaviour 17)."""

        async def app(scope, receive, send):
            await wares_from(scope).aget(Session)
            await answer(send, status)

        await call(WaresMiddleware(app, registry=registry))

        assert ["open", ending] == journal

    @pytest.mark.parametrize(
        ("status", "ending"), [(404, "rollback ResponseFailed"), (500, "commit")]
    )
    async def test_by_a_predicate(self, registry, journal, status, ending):
        """`failed` tells which statuses are those of failed requests, instead."""

        async def app(scope, receive, send):
            await wares_from(scope).aget(Session)
            await answer(send, status)

        served = WaresMiddleware(app, registry=registry, failed=lambda status: status == 404)
        await call(served)

        assert ["open", ending] == journal

    async def test_tells_the_status(self, registry):
        """The exception that the cleanups see has the status, and names it."""
        seen = []

        async def watch():
            try:
                yield "watched"
            except ResponseFailed as error:
                seen.append((error.status, str(error)))
                raise

        async def app(scope, receive, send):
            await wares_from(scope).aget("watched")
            await answer(send, 503)

        registry.register_factory("watched", watch)
        await call(WaresMiddleware(app, registry=registry))

        assert [(503, "The work was answered by a response of status 503.")] == seen

    @pytest.mark.parametrize("is_nested", [False, True], ids=["of the request", "of a child"])
    @pytest.mark.parametrize(
        ("kind", "message", "ending"),
        [
            ("http", {"type": "http.response.start", "status": 200}, "commit"),
            ("http", {"type": "http.response.start", "status": 404}, "rollback LookupError"),
            ("http", {"type": "http.response.start", "status": 500}, "rollback LookupError"),
            ("websocket", {"type": "websocket.close"}, "commit"),
            ("websocket", {"type": "websocket.close", "code": 1001}, "commit"),
            ("websocket", {"type": "websocket.close", "code": 1011}, "rollback LookupError"),
            (
                "websocket",
                {"type": "websocket.http.response.start", "status": 403},
                "rollback LookupError",
            ),
        ],
    )
    async def test_of_an_injected_function(
        self, registry, journal, kind, message, ending, is_nested
    ):
        """With an error response, cleanups see the exception of an injected function (17)."""

        @inject(registry=registry)
        async def handle(session: Inject[Session]):
            raise LookupError

        async def app(scope, receive, send):
            await wares_from(scope).aget(Session)
            with contextlib.suppress(LookupError):
                if is_nested:
                    with wares_from(scope).child().activate():
                        await handle(session=None)
                else:
                    await handle()
            await send(message)

        await call(WaresMiddleware(app, registry=registry), kind)

        assert ["open", ending] == journal

    async def test_of_an_injected_function_elsewhere(self, registry, journal):
        """A container that no middleware has opened notes nothing."""

        @inject(registry=registry)
        def handle(journal: Inject[Journal]):
            raise LookupError

        with registry.container() as container, container.activate():
            with pytest.raises(LookupError):
                handle()

            assert not hasattr(container, "_escaped")

    @pytest.mark.parametrize("answers", [True, False])
    @pytest.mark.parametrize("raises", [True, False])
    async def test_keep_no_container_alive(self, registry, answers, raises):
        """The container of failed work is gone with the request; no garbage collector is needed."""
        containers = []

        @inject
        async def fail(session: Inject[Session]):
            raise LookupError

        async def app(scope, receive, send):
            containers.append(weakref.ref(wares_from(scope)))
            try:
                await fail()
            except LookupError:
                if answers:
                    await answer(send, 409)
                if raises:
                    raise
            if not answers:
                await answer(send, 409)

        served = WaresMiddleware(app, registry=registry)
        gc.disable()
        try:
            with contextlib.suppress(LookupError):
                await call(served)
            is_gone = containers[0]() is None
        finally:
            gc.enable()

        assert is_gone


STARTUP = {"type": "lifespan.startup"}
SHUTDOWN = {"type": "lifespan.shutdown"}


class TestLifespan:
    async def test_answers_the_server(self, journal):
        """A lifespan of the middleware is started and ended by the server's events."""

        @lifespan
        async def start(app, registry):
            registry.register_value(
                str, "registered", on_registry_close=lambda: journal.append("closed")
            )
            journal.append("start")
            yield {"colour": "blue"}
            journal.append("end")

        state = {}
        served = WaresMiddleware(working, lifespan=start)
        sent = await call(served, "lifespan", incoming=[STARTUP, SHUTDOWN], state=state)

        assert ["lifespan.startup.complete", "lifespan.shutdown.complete"] == [
            message["type"] for message in sent
        ]
        assert ["start", "end", "closed"] == journal
        assert {"colour", "wares_registry"} == set(state)

    async def test_fails_to_start(self, journal):
        """The server learns of a start that fails, and what was made is closed (behaviour 20)."""

        @lifespan
        async def start(app, registry):
            registry.register_value(
                str, "registered", on_registry_close=lambda: journal.append("closed")
            )
            raise ConnectionError("no database")
            yield

        sent = []

        async def tell(message):
            sent.append(message)

        async def receive():
            return STARTUP

        with pytest.raises(ConnectionError):
            await WaresMiddleware(working, lifespan=start)(
                {"type": "lifespan", "state": {}}, receive, tell
            )

        assert ["lifespan.startup.failed"] == [message["type"] for message in sent]
        assert "no database" in sent[0]["message"]
        assert ["closed"] == journal

    async def test_fails_to_end(self):
        """The server learns of an end that fails."""

        @lifespan
        async def start(app, registry):
            yield
            raise ConnectionError

        sent = []

        async def tell(message):
            sent.append(message["type"])

        async def receive():
            return {}

        with pytest.raises(ConnectionError):
            await WaresMiddleware(working, lifespan=start)(
                {"type": "lifespan", "state": {}}, receive, tell
            )

        assert ["lifespan.startup.complete", "lifespan.shutdown.failed"] == sent

    async def test_of_a_server_without_state(self, journal):
        """A server that keeps no state for requests is refused, with an error."""

        @lifespan
        async def start(app, registry):
            registry.register_value(
                str, "registered", on_registry_close=lambda: journal.append("closed")
            )
            yield

        with pytest.raises(NoRegistryError, match="keeps no state"):
            await call(WaresMiddleware(working, lifespan=start), "lifespan", incoming=[STARTUP])

        assert ["closed"] == journal

    async def test_again(self):
        """An application that is started again has a new registry; the first one is closed."""
        registries = []

        @lifespan
        async def start(app, registry):
            registries.append(registry)
            registry.register_value(str, "registered")
            yield

        for _ in range(2):
            assert start.registry not in registries
            async with start(None) as state:
                assert start.registry is state["wares_registry"]

        assert 2 == len(set(registries))
        with pytest.raises(RegistryClosedError):
            registries[0].container()

    async def test_of_two_applications(self):
        """Two applications that run at the same time by one lifespan have a registry each."""

        @lifespan
        async def start(app, registry):
            registry.register_value(str, app)
            yield

        async with start("first") as first:
            async with start("second") as second:
                assert start.registry is second["wares_registry"]
            with first["wares_registry"].container() as container:
                assert "first" == container.get(str)
            assert start.registry not in (first["wares_registry"], second["wares_registry"])

    def test_of_two_threads(self):
        """Applications that start and end in two threads by one lifespan have a registry each."""

        @lifespan(validate=False)
        async def start(app, registry):
            registry.register_value(str, app)
            yield

        async def use(app):
            async with start(app) as state:
                with state["wares_registry"].container() as container:
                    return container.get(str)

        def prepare():
            def check(first, second):
                assert ("first", "second") == (first, second)
                assert "third" == asyncio.run(use("third"))

            return lambda: asyncio.run(use("first")), lambda: asyncio.run(use("second")), check

        assert explore(prepare) > 10

    async def test_with_a_registry_of_the_callers(self, registry):
        """A registry that was handed in is used, and closed with the application."""

        async def start(app, registry):
            yield

        decorated = lifespan(start, registry=registry)
        async with decorated(None) as state:
            assert registry is state["wares_registry"]

        assert registry is decorated.registry
        with pytest.raises(RegistryClosedError):
            registry.container()

    async def test_of_a_context_manager_function(self, journal):
        """A function that returns an async context manager is a lifespan function, too."""

        @lifespan
        @contextlib.asynccontextmanager
        async def start(app, registry):
            journal.append(app)
            yield {"colour": "blue"}

        async with start("the application") as state:
            assert "blue" == state["colour"]

        assert ["the application"] == journal

    async def test_of_a_class(self):
        """A class of async context managers is a lifespan function, too."""

        @lifespan
        class Start:
            def __init__(self, app, registry):
                self.registry = registry

            async def __aenter__(self):
                return None

            async def __aexit__(self, *error):
                self.registry = None

        async with Start(None) as state:
            assert {"wares_registry": Start.registry} == state

    async def test_of_a_callable_object(self):
        """An object whose `__call__` is an async generator function is one, too."""

        class Start:
            async def __call__(self, app, registry):
                yield {"colour": "blue"}

        async with lifespan(Start())(None) as state:
            assert "blue" == state["colour"]


async def coroutine_function(app, registry): ...


def generator_function(app, registry):
    yield


@contextlib.contextmanager
def context_manager_function(app, registry):
    yield


async def of_one_argument(app):
    yield


async def swapped(registry, app):
    yield


class NoContextManager:
    def __init__(self, app, registry): ...


class TestNoLifespan:
    @pytest.mark.parametrize(
        ("function", "reason"),
        [
            (3, "int"),
            (None, "NoneType"),
            (coroutine_function, "coroutine_function .* yields nothing"),
            (generator_function, "generator_function .* synchronous"),
            (context_manager_function, "context_manager_function .* synchronous"),
            (max, "max .* two arguments"),
            (of_one_argument, "of_one_argument .* two arguments"),
            (swapped, "swapped .* takes the registry first"),
            (NoContextManager, "NoContextManager .* no async context manager"),
        ],
        ids=lambda value: getattr(value, "__name__", str(value)[:10]),
    )
    def test_is_refused_at_decoration(self, function, reason):
        """An object that cannot be a lifespan function is refused when it is decorated."""
        with pytest.raises(InvalidRegistrationError, match=f"(?s){reason}.*async def start"):
            lifespan(function)

    async def test_returns_no_context_manager(self, journal):
        """A function that returns no context manager fails the start, and all is closed."""

        def start(app, registry):
            registry.register_value(
                str, "registered", on_registry_close=lambda: journal.append("closed")
            )
            return "hunter2"

        with pytest.raises(InvalidRegistrationError, match="returned a str") as caught:
            async with lifespan(start)(None):
                pass

        assert ["closed"] == journal
        assert "hunter2" not in str(caught.value)

    @pytest.mark.parametrize("state", ["hunter2", ["hunter2"], 0], ids=repr)
    async def test_yields_no_mapping(self, journal, state):
        """A state that is no mapping fails the start, and all is closed."""

        @lifespan
        async def start(app, registry):
            registry.register_value(
                str, "registered", on_registry_close=lambda: journal.append("closed")
            )
            try:
                yield state
            finally:
                journal.append("end")

        with pytest.raises(InvalidRegistrationError, match="yielded a") as caught:
            async with start(None):
                pass

        assert ["end", "closed"] == journal
        assert "hunter2" not in str(caught.value)


class TestOnAServer:
    async def test_a_request(self, journal):
        """A plain application, its lifespan and its services work on a real server."""

        @lifespan
        async def start(app, registry):
            registry.register_value(Journal, journal)
            registry.register_factory(Session, open_session)
            yield

        served = WaresMiddleware(working, lifespan=start)
        async with serve(served) as address, httpx.AsyncClient() as client:
            response = await client.get(f"http://{address}/")

        assert 200 == response.status_code
        assert ["open", "work", "commit"] == journal

    async def test_a_client_that_hangs_up(self, registry, journal):
        """A client that goes away in mid-stream leaves nothing open (behaviour 25)."""

        async def app(scope, receive, send):
            session = await wares_from(scope).aget(Session)
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"begun", "more_body": True})
            await receive()
            while (await receive())["type"] != "http.disconnect":
                pass
            session.work("gone")

        served = WaresMiddleware(app, registry=registry)
        async with serve(served, lifespan="off") as address:
            await hang_up(address, "/", after=b"begun")
            await until(lambda: "commit" in journal)

        assert ["open", "gone", "commit"] == journal

    async def test_a_websocket(self, registry, journal):
        """A WebSocket keeps its services for as long as it is connected (behaviour 25)."""

        async def app(scope, receive, send):
            session = await wares_from(scope).aget(Session)
            await send({"type": "websocket.accept"})
            while (message := await receive())["type"] != "websocket.disconnect":
                if message["type"] == "websocket.receive":
                    await send(
                        {"type": "websocket.send", "text": session.work(message["text"])}
                    )

        served = WaresMiddleware(app, registry=registry)
        async with serve(served, lifespan="off") as address:
            async with websockets.connect(f"ws://{address}/") as client:
                await client.send("hello")
                assert "hello" == await client.recv()
            await until(lambda: "commit" in journal)

        assert ["open", "hello", "commit"] == journal

    async def test_a_refused_websocket(self, registry, journal):
        """A WebSocket that is refused is cleaned up like every other (behaviour 25)."""

        async def app(scope, receive, send):
            await working(scope, receive, send)
            await send({"type": "websocket.close", "code": 1008})

        served = WaresMiddleware(app, registry=registry)
        async with serve(served, lifespan="off") as address:
            with pytest.raises(websockets.InvalidStatus):
                async with websockets.connect(f"ws://{address}/"):
                    pass

        assert ["open", "work", "commit"] == journal
