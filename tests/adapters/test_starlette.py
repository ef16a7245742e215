"""Starlette: a container for each request and WebSocket, in process and under a real server."""

import asyncio
import contextlib
import gc
import weakref
from contextlib import asynccontextmanager

import anyio
import httpx
import pytest
import websockets
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.exceptions import HTTPException, WebSocketException
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse, PlainTextResponse, StreamingResponse
from starlette.routing import Mount, Route, Router, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from tests.adapters.serving import (
    Journal,
    Session,
    TestClient,
    client_of,
    hang_up,
    make_scope,
    open_session,
    serve,
    started,
    until,
)
from wares import (
    ContainerClosedError,
    Inject,
    InvalidRegistrationError,
    NoContainerError,
    NoRegistryError,
    Registry,
    RegistryClosedError,
    current_container,
    inject,
)
from wares.starlette import WaresMiddleware, get_registry, lifespan, wares_from


@pytest.fixture
def start(journal):
    """A lifespan that registers a session."""

    @lifespan
    async def start(app: Starlette, registry: Registry):
        registry.register_value(Journal, journal)
        registry.register_factory(Session, open_session)
        yield

    return start


def make_app(start, *routes, **options):
    """Make an application with the middleware."""
    return Starlette(
        routes=routes, lifespan=start, middleware=[Middleware(WaresMiddleware)], **options
    )


async def work(request):
    """Use the session of the request."""
    session = await wares_from(request).aget(Session)
    return PlainTextResponse(session.work())


async def hear_of_disconnect():
    """Receive what servers say after a client has gone away."""
    return {"type": "http.disconnect"}


async def stream_from(request):
    """Stream what the session of the request does."""
    session = await wares_from(request).aget(Session)
    yield session.work()


class TestLifespan:
    async def test_keeps_the_registry(self, start):
        """The registry of a running application is found by the application (behaviour 11)."""
        app = make_app(start)

        async with started(app):
            assert start.registry is get_registry(app)
            assert Session in start.registry

    def test_of_a_test_client(self, start):
        """The registry is found by a test client, also around a middleware."""

        async def around(scope, receive, send):
            await app(scope, receive, send)

        around.app = app = make_app(start)

        with TestClient(app) as client:
            assert start.registry is get_registry(client)
        with TestClient(around) as client:
            assert start.registry is get_registry(client)

    async def test_of_what_is_no_application(self, start):
        """A client of httpx is not an application, and has no registry."""
        async with client_of(make_app(start)) as client:
            with pytest.raises(
                NoRegistryError, match=r"Pass the application, not this AsyncClient\."
            ):
                get_registry(client)

    def test_of_an_application_that_does_not_run(self, start):
        """Without a running lifespan there is no registry, which the error says how to mend."""
        app = make_app(start)

        with pytest.raises(NoRegistryError, match=r"with TestClient\(app\) as client"):
            get_registry(app)
        with TestClient(app), pytest.raises(NoRegistryError):
            get_registry(object())

    async def test_of_an_application_that_has_ended(self, start):
        """When the application has ended, its registry is closed and no longer found."""
        app = make_app(start)
        async with started(app):
            registry = start.registry

        with pytest.raises(RegistryClosedError):
            registry.container()
        with pytest.raises(NoRegistryError):
            get_registry(app)

    async def test_is_started_again(self, start, journal):
        """An application that is started again, as in tests, works again."""
        app = make_app(start, Route("/", work))

        for _ in range(2):
            async with client_of(app) as client:
                await client.get("/")

        assert ["open", "work", "commit"] * 2 == journal

    async def test_merges_the_state(self, journal):
        """The mapping that the lifespan function yields is in the state of requests."""

        @lifespan
        @asynccontextmanager
        async def start(app, registry):
            yield {"colour": "blue"}

        async def view(request):
            return PlainTextResponse(request.state.colour)

        async with client_of(make_app(start, Route("/", view))) as client:
            response = await client.get("/")

        assert "blue" == response.text

    async def test_fails_to_start(self, journal):
        """A start that fails half-way closes what had been made (behaviour 20)."""

        async def connect():
            journal.append("connect")
            try:
                yield "connected"
            finally:
                journal.append("disconnect")

        @lifespan
        async def start(app, registry):
            registry.register_factory(str, connect, lifetime="singleton")
            async with registry.container() as container:
                await container.aget(str)
            raise ConnectionError("no cache")
            yield

        app = make_app(start)
        with pytest.raises(ConnectionError):
            async with started(app):
                pass

        assert ["connect", "disconnect"] == journal
        with pytest.raises(NoRegistryError):
            get_registry(app)

    async def test_makes_eager_singletons(self, journal):
        """Eager singletons exist before the first request, and end with the application."""

        async def connect():
            journal.append("connect")
            yield "connected"
            journal.append("disconnect")

        @lifespan
        async def outer(app, registry):
            async with inner(app):
                journal.append("inner is ready")
                yield

        @lifespan
        async def inner(app, registry):
            registry.register_factory(str, connect, lifetime="singleton", eager=True)
            yield

        async with started(make_app(outer)):
            journal.append("started")

        assert ["inner is ready", "connect", "started", "disconnect"] == journal

    async def test_undecorated(self):
        """A lifespan function that takes a registry and has another decorator is refused."""

        @asynccontextmanager
        async def start(app, registry):
            yield

        with pytest.raises(InvalidRegistrationError, match=r"start .* is not decorated"):
            async with started(make_app(start)):
                raise AssertionError

    async def test_nested(self):
        """Lifespans within one another share the registry, which the outermost one closes."""

        @lifespan
        async def outer(app, registry):
            async with inner(app) as state:
                seen.extend([registry, inner.registry, state["wares_registry"]])
            with registry.container() as container:
                seen.append(container.registry)
            yield

        @lifespan
        async def inner(app, registry):
            yield

        seen = []
        own = inner.registry
        async with started(make_app(outer)):
            assert [outer.registry] * 4 == seen

        assert own is inner.registry

    async def test_expects_connections(self, start):
        """A factory may need the connection, in one of its kinds, and is valid."""

        class OfRequest:
            def __init__(self, request: Request): ...

        class OfWebSocket:
            def __init__(self, websocket: WebSocket, connection: HTTPConnection): ...

        async with started(make_app(start)):
            start.registry.register_factory(OfRequest, OfRequest)
            start.registry.register_factory(OfWebSocket, OfWebSocket)

            assert start.registry.validate() is None


class TestRequests:
    async def test_have_a_container(self, start, journal):
        """A request's services end when its response has been sent."""
        async with client_of(make_app(start, Route("/", work))) as client:
            response = await client.get("/")

        assert "work" == response.text
        assert ["open", "work", "commit"] == journal

    async def test_have_a_current_container(self, start):
        """The container of a request is current, even in a synchronous view."""

        def view(request):
            return JSONResponse(current_container() is wares_from(request))

        async with client_of(make_app(start, Route("/", view))) as client:
            response = await client.get("/")

        assert response.json() is True

    async def test_whose_container_is_closed(self, start):
        """A container that a view has closed itself says so when it is asked for again."""

        async def view(request):
            await wares_from(request).aclose()
            with pytest.raises(ContainerClosedError):
                wares_from(request)
            return PlainTextResponse("closed")

        async with client_of(make_app(start, Route("/", view))) as client:
            response = await client.get("/")

        assert "closed" == response.text

    async def test_give_themselves(self, start):
        """A service may need the request that it serves."""

        def describe(request: Request, connection: HTTPConnection):
            return f"{request.method} {connection.url.path}"

        async def view(request):
            return PlainTextResponse(wares_from(request).get("description"))

        async with client_of(make_app(start, Route("/", view))) as client:
            start.registry.register_factory("description", describe)
            response = await client.get("/")

        assert "GET /" == response.text

    async def test_give_the_object_of_the_endpoint(self, start):
        """A service and the endpoint share one request object, and so the body once read."""

        class Payload:
            def __init__(self, request: Request):
                self.request = request

            async def read(self):
                return await self.request.json()

        async def view(request):
            payload = wares_from(request).get(Payload)
            assert payload is wares_from(request).get(Payload)
            return JSONResponse([await request.json(), await payload.read()])

        async with client_of(make_app(start, Route("/", view, methods=["POST"]))) as client:
            start.registry.register_factory(Payload, Payload)
            response = await client.post("/", json={"a": 1})

        assert [{"a": 1}, {"a": 1}] == response.json()

    async def test_give_themselves_before_the_endpoint(self, start):
        """A service that is asked for without the request has a request all the same."""

        async def view(request):
            return PlainTextResponse(current_container().get("path"))

        def path(request: Request):
            return request.url.path

        async with client_of(make_app(start, Route("/", view))) as client:
            start.registry.register_factory("path", path)
            response = await client.get("/")

        assert "/" == response.text

    async def test_of_a_mounted_application(self, start, journal):
        """An application within the application uses the same container."""
        inner = Starlette(
            routes=[Route("/work", work)], middleware=[Middleware(WaresMiddleware)]
        )
        async with client_of(make_app(start, Mount("/inner", inner))) as client:
            await client.get("/inner/work")

        assert ["open", "work", "commit"] == journal

    async def test_without_a_server(self, start, journal):
        """A client that hands on no state, as httpx' transport, finds the registry, too."""
        app = make_app(start, Route("/", work))
        transport = httpx.ASGITransport(app)

        async with started(app), httpx.AsyncClient(transport=transport) as client:
            await client.get("http://test/")

        assert ["open", "work", "commit"] == journal

    async def test_without_a_lifespan(self, start):
        """An application that was not started says how to start it (behaviour 11)."""
        transport = httpx.ASGITransport(make_app(start, Route("/", work)))

        async with httpx.AsyncClient(transport=transport) as client:
            with pytest.raises(NoRegistryError, match="lifespan"):
                await client.get("http://test/")

    async def test_of_a_bare_router(self):
        """With a registry, the middleware works around any ASGI application."""
        registry = Registry()

        async def view(request):
            return JSONResponse(wares_from(request).registry is registry)

        app = WaresMiddleware(Router([Route("/", view)]), registry=registry)
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app)) as client:
            response = await client.get("http://test/")

        assert response.json() is True

    async def test_of_a_bare_router_without_a_registry(self):
        """Without a registry, the middleware around a bare router is an error (behaviour 11)."""
        app = WaresMiddleware(Router([Route("/", work)]))

        async with httpx.AsyncClient(transport=httpx.ASGITransport(app)) as client:
            with pytest.raises(NoRegistryError):
                await client.get("http://test/")

    async def test_without_the_middleware(self, start):
        """Without the middleware there is no container, which the error says (behaviour 11)."""
        app = Starlette(routes=[Route("/", work)], lifespan=start)

        async with client_of(app) as client:
            with pytest.raises(NoContainerError, match="WaresMiddleware"):
                await client.get("/")

    @pytest.mark.parametrize(
        "surrounding", [contextlib.nullcontext, anyio.CancelScope], ids=["plain", "in a scope"]
    )
    async def test_leave_nothing_behind(self, start, surrounding):
        """A request's container is gone with the request; no garbage collector is needed."""
        containers = []

        async def view(request):
            containers.append(weakref.ref(wares_from(request)))
            return PlainTextResponse("")

        app = make_app(start, Route("/", view))
        async with started(app) as state:
            gc.disable()
            try:
                with surrounding():
                    await app(make_scope(state), asyncio.Queue().get, asyncio.Queue().put)
                is_gone = containers[0]() is None
            finally:
                gc.enable()

        assert is_gone

    async def test_stream(self, start, journal):
        """A streamed response has its services to the end (behaviour 25)."""

        async def view(request):
            session = await wares_from(request).aget(Session)

            async def stream():
                for number in range(2):
                    await asyncio.sleep(0)
                    yield session.work(str(number))

            return StreamingResponse(stream())

        async with client_of(make_app(start, Route("/", view))) as client:
            response = await client.get("/")

        assert "01" == response.text
        assert ["open", "0", "1", "commit"] == journal

    async def test_leave_work_behind(self, start, journal):
        """A background task has its services to the end (behaviour 25)."""

        async def view(request):
            session = await wares_from(request).aget(Session)
            return PlainTextResponse("", background=BackgroundTask(session.work, "later"))

        async with client_of(make_app(start, Route("/", view))) as client:
            await client.get("/")

        assert ["open", "later", "commit"] == journal


class TestFailures:
    @pytest.mark.parametrize(
        "error", [HTTPException(409), LookupError("no such book")], ids=["HTTP", "own"]
    )
    async def test_that_a_handler_answers(self, start, journal, error):
        """An exception that a handler answers rolls back all the same (behaviour 17)."""

        async def view(request):
            await wares_from(request).aget(Session)
            raise error

        async def handle(request, error):
            return PlainTextResponse("", status_code=409)

        app = make_app(start, Route("/", view), exception_handlers={LookupError: handle})
        async with client_of(app) as client:
            response = await client.get("/")

        assert 409 == response.status_code
        assert ["open", f"rollback {type(error).__name__}"] == journal

    async def test_that_a_handler_answers_with_a_stream(self, start, journal):
        """A streamed answer, which begins in another task, rolls back as well (17)."""

        async def view(request):
            await wares_from(request).aget(Session)
            raise LookupError

        async def handle(request, error):
            return StreamingResponse(stream_from(request), status_code=409)

        app = make_app(start, Route("/", view), exception_handlers={LookupError: handle})
        async with client_of(app) as client:
            response = await client.get("/")

        assert (409, "work") == (response.status_code, response.text)
        assert ["open", "work", "rollback LookupError"] == journal

    # GZip holds the beginning of a response back until its first piece.
    @pytest.mark.parametrize("inner", [[], [Middleware(GZipMiddleware)]], ids=["", "GZip"])
    async def test_that_a_handler_answers_after_the_client_has_gone(
        self, start, journal, inner
    ):
        """A streamed answer that its client no longer awaits rolls back as well (17)."""

        async def view(request):
            await wares_from(request).aget(Session)
            raise LookupError

        async def stream():
            await asyncio.sleep(0)
            yield ""

        async def handle(request, error):
            return StreamingResponse(stream(), status_code=409)

        app = Starlette(
            routes=[Route("/", view)],
            lifespan=start,
            middleware=[Middleware(WaresMiddleware), *inner],
            exception_handlers={LookupError: handle},
        )
        async with started(app) as state:
            await app(make_scope(state), hear_of_disconnect, asyncio.Queue().put)

        assert ["open", "rollback LookupError"] == journal

    @pytest.mark.parametrize("response", [PlainTextResponse, StreamingResponse])
    async def test_while_which_a_view_learns_that_the_client_has_gone(
        self, start, journal, response
    ):
        """An exception that the view handles is no failure, even if the client goes meanwhile."""

        async def view(request):
            await wares_from(request).aget(Session)
            try:
                raise LookupError
            except LookupError:
                await request.is_disconnected()
            return response("")

        app = make_app(start, Route("/", view))
        async with started(app) as state:
            await app(make_scope(state), hear_of_disconnect, asyncio.Queue().put)

        assert ["open", "commit"] == journal

    async def test_while_which_a_view_reads(self, start, journal):
        """An exception that the view itself handles is no failure, whatever it does meanwhile."""

        async def view(request):
            try:
                raise LookupError
            except LookupError:
                await request.body()
            return StreamingResponse(stream_from(request))

        app = make_app(start, Route("/", view, methods=["POST"]))
        async with client_of(app) as client:
            response = await client.post("/", content=b"book")

        assert "work" == response.text
        assert ["open", "work", "commit"] == journal

    async def test_that_a_handler_answers_with_services(self, start, journal):
        """An exception handler still has the services of the request."""

        async def view(request):
            raise LookupError

        async def handle(request, error):
            return await work(request)

        app = make_app(start, Route("/", view), exception_handlers={LookupError: handle})
        async with client_of(app) as client:
            await client.get("/")

        assert ["open", "work", "rollback LookupError"] == journal

    async def test_that_nobody_answers(self, start, journal):
        """An unanswered exception reaches the cleanups and the server (17)."""

        async def view(request):
            await wares_from(request).aget(Session)
            raise LookupError("no such book")

        async with client_of(make_app(start, Route("/", view))) as client:
            with pytest.raises(LookupError, match="no such book"):
                await client.get("/")

        assert ["open", "rollback LookupError"] == journal

    # Starlette 0.40 leaves a stream of its own open on this way.
    @pytest.mark.filterwarnings("ignore:Exception ignored in.*MemoryObject")
    @pytest.mark.parametrize("place", ["outside", "inside"])
    async def test_with_another_middleware(self, start, journal, place):
        """An unanswered exception passes other middleware on its way to the cleanups."""

        async def pass_on(request, call_next):
            return await call_next(request)

        async def view(request):
            await wares_from(request).aget(Session)
            raise LookupError

        other = Middleware(BaseHTTPMiddleware, dispatch=pass_on)
        ours = Middleware(WaresMiddleware)
        order = [other, ours] if place == "outside" else [ours, other]
        app = Starlette(routes=[Route("/", view)], lifespan=start, middleware=order)
        async with client_of(app) as client:
            with pytest.raises(LookupError):
                await client.get("/")
        gc.collect()

        assert ["open", "rollback LookupError"] == journal

    @pytest.mark.parametrize(
        ("options", "ending"),
        [
            ({}, "commit"),
            ({"failed": lambda status: status >= 500}, "rollback ResponseFailed"),
        ],
        ids=["by default", "failed="],
    )
    async def test_answers_without_an_exception(self, start, journal, options, ending):
        """A response is no failure, whatever its status, unless `failed` says so.

        Nor is an exception that the endpoint has handled.
        """

        @inject
        def fail(session: Inject[Session]):
            raise LookupError

        async def view(request):
            (await wares_from(request).aget(Session)).work()
            with contextlib.suppress(LookupError):
                fail()
            return PlainTextResponse("", status_code=503)

        app = Starlette(routes=[Route("/", view)], lifespan=start)
        app.add_middleware(WaresMiddleware, **options)
        async with client_of(app) as client:
            await client.get("/")

        assert ["open", "work", ending] == journal


class TestWebSockets:
    def test_have_a_container(self, start, journal):
        """A WebSocket's services end when the connection ends."""

        async def echo(websocket):
            session = await wares_from(websocket).aget(Session)
            await websocket.accept()
            async for text in websocket.iter_text():
                await websocket.send_text(session.work(text))

        with TestClient(make_app(start, WebSocketRoute("/", echo))) as client:
            with client.websocket_connect("/") as websocket:
                websocket.send_text("one")
                websocket.receive_text()
                websocket.send_text("two")
                websocket.receive_text()

        assert ["open", "one", "two", "commit"] == journal

    def test_give_themselves(self, start):
        """A service may need the WebSocket that it serves."""

        class Greeter:
            def __init__(self, websocket: WebSocket, connection: HTTPConnection):
                self.websocket = websocket

            async def greet(self):
                await self.websocket.send_text("hello")

        async def view(websocket):
            await websocket.accept()
            await wares_from(websocket).get(Greeter).greet()
            await websocket.close()

        with TestClient(make_app(start, WebSocketRoute("/", view))) as client:
            start.registry.register_factory(Greeter, Greeter)
            with client.websocket_connect("/") as websocket:
                assert "hello" == websocket.receive_text()

    def test_closed_by_another_client_s_endpoint(self, start, journal):
        """An exception that another endpoint handles is no failure of the WebSocket it closes."""
        connected = []

        async def play(websocket):
            session = await wares_from(websocket).aget(Session)
            await websocket.accept()
            connected.append(websocket)
            try:
                await websocket.receive_text()
            except WebSocketDisconnect:
                session.work("left")
                if websocket is connected[1]:
                    await connected[0].close()

        with TestClient(make_app(start, WebSocketRoute("/", play))) as client:
            with client.websocket_connect("/") as first:
                with client.websocket_connect("/"):
                    pass
                assert "websocket.close" == first.receive()["type"]

        assert ["open", "open", "left", "commit", "left", "commit"] == journal

    def test_refused(self, start, journal):
        """A refused WebSocket rolls back, and nothing stays open (behaviours 17 and 25)."""

        async def refuse(websocket):
            await wares_from(websocket).aget(Session)
            raise WebSocketException(1008)

        with TestClient(make_app(start, WebSocketRoute("/", refuse))) as client:
            with pytest.raises(WebSocketDisconnect), client.websocket_connect("/"):
                pass

        assert ["open", "rollback WebSocketException"] == journal


class TestOnAServer:
    async def test_a_client_that_hangs_up(self, start, journal):
        """A client that goes away in mid-stream leaves nothing open (behaviour 25)."""

        async def view(request):
            session = await wares_from(request).aget(Session)

            async def stream():
                yield "begun"
                while True:
                    await asyncio.sleep(0.01)
                    session.work()
                    yield "more"

            return StreamingResponse(stream())

        async with serve(make_app(start, Route("/", view))) as address:
            await hang_up(address, "/", after=b"begun")
            await until(lambda: set(journal) & {"commit", "rollback ClientDisconnect"})

        ends = [entry for entry in journal if entry not in ("open", "work")]
        assert 1 == len(ends)

    async def test_a_websocket_that_hangs_up(self, start, journal):
        """A WebSocket that goes away leaves nothing open (behaviour 25)."""

        async def echo(websocket):
            session = await wares_from(websocket).aget(Session)
            await websocket.accept()
            while True:
                await websocket.send_text(session.work(await websocket.receive_text()))

        async with serve(make_app(start, WebSocketRoute("/", echo))) as address:
            async with websockets.connect(f"ws://{address}/") as client:
                await client.send("hello")
                await client.recv()
                client.transport.abort()
            await until(lambda: len(journal) == 3)

        assert ["open", "hello", "rollback WebSocketDisconnect"] == journal
