"""Applications on trio: what asyncio serves, trio serves, too (behaviour 29)."""

import anyio
import pytest
import trio
import trio.lowlevel
from fastapi import FastAPI, HTTPException, WebSocket
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Route, WebSocketRoute

from tests.adapters.serving import Journal, Session, TestClient
from tests.support.deadline import in_thread
from wares import Inject, Registry, asgi, current_container, fastapi, starlette

SECONDS = 30


class Database:
    """A service with a ping."""

    async def ping(self):
        """Wait for an answer."""
        await trio.lowlevel.checkpoint()


def run(function):
    """Run an async function on trio, in a thread that may get stuck."""

    async def limited():
        with trio.fail_after(SECONDS):
            return await function()

    return in_thread(lambda: trio.run(limited))


async def get(app, state, path):
    """Request *path*; give the status and the body."""
    sent = []

    async def receive():
        await trio.sleep_forever()

    async def send(message):
        sent.append(message)

    await app(
        {
            "type": "http",
            "method": "GET",
            "path": path,
            "query_string": b"",
            "headers": [],
            "state": dict(state),
        },
        receive,
        send,
    )
    return sent[0]["status"], sent[1]["body"]


async def register(app, registry: Registry):
    """Register a database that takes its time."""
    made = []

    async def connect():
        made.append("database")
        await trio.sleep(0.001)
        return Database()

    registry.register_value("made", made)
    registry.register_factory(Database, connect, lifetime="singleton", ping=Database.ping)
    yield


def make_asgi():
    """Make an application without a framework."""

    async def app(scope, receive, send):
        if scope["path"] == "/healthy":
            await asgi.health_app()(scope, receive, send)
            return
        text = await ask_at_once(asgi.wares_from(scope))
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": text.encode()})

    return asgi.WaresMiddleware(app), asgi.lifespan(register)(None)


def make_starlette():
    """Make an application of Starlette."""

    async def view(request):
        return PlainTextResponse(await ask_at_once(starlette.wares_from(request)))

    start = starlette.lifespan(register)
    app = Starlette(lifespan=start, routes=[Route("/", view), starlette.health_route()])
    app.add_middleware(starlette.WaresMiddleware)
    return app, start(app)


def make_fastapi():
    """Make an application of FastAPI."""
    start = fastapi.lifespan(register)
    app = FastAPI(lifespan=start)

    @app.get("/", response_class=PlainTextResponse)
    async def view(services: fastapi.DepContainer):
        return await ask_at_once(services)

    app.include_router(fastapi.health_router())
    return app, start(app)


async def ask_at_once(services):
    """Ask for one service in several tasks; tell how often it was made."""
    got = []

    async def ask():
        got.append(await services.aget(Database))

    async with anyio.create_task_group() as group:
        for _ in range(3):
            group.start_soon(ask)
    assert len(set(got)) == 1
    return str(services.get("made"))


@pytest.mark.parametrize("make", [make_asgi, make_starlette, make_fastapi])
def test_requests_and_health(make):
    """Tasks of requests share what they ask for, and the health endpoint answers."""

    async def serve():
        app, lifespan = make()
        answers = []

        async def request():
            answers.append(await get(app, state, "/"))

        async with lifespan as state:
            async with trio.open_nursery() as nursery:
                for _ in range(2):
                    nursery.start_soon(request)
            return [*answers, await get(app, state, "/healthy")]

    answers = run(serve)

    assert [(200, b"['database']")] * 2 + [
        (200, b'{"ok": ["Database"], "failing": []}')
    ] == answers


async def open_session(journal: Journal):
    """Open a session whose end takes a moment."""
    session = Session(journal)
    try:
        yield session
    except BaseException as error:
        await trio.sleep(0.001)
        journal.append(f"rollback {type(error).__name__}")
        raise
    else:
        await trio.sleep(0.001)
        journal.append("commit")


async def stream_items(session):
    """Stream what a session does."""
    for item in ("one", "two"):
        await trio.lowlevel.checkpoint()
        yield session.work(item)


async def talk(socket: WebSocket, session):
    """Echo one message."""
    await socket.accept()
    await socket.send_text(session.work(await socket.receive_text()))


async def wait(session):
    """Wait until the request is cancelled."""
    session.work()
    await trio.sleep_forever()


def make_starlette_with_sessions(registry):
    """Make an application of Starlette."""

    async def ask():
        return await current_container().aget(Session)

    async def fail(request):
        await ask()
        raise HTTPException(409)

    async def stream(request):
        return StreamingResponse(stream_items(await ask()))

    async def serve_socket(socket):
        await talk(socket, await ask())

    async def hang(request):
        await wait(await ask())

    routes = [Route(f"/{view.__name__}", view) for view in (fail, stream, hang)]
    return Starlette(
        lifespan=starlette.lifespan(start, registry=registry),
        routes=[*routes, WebSocketRoute("/socket", serve_socket)],
        middleware=[Middleware(starlette.WaresMiddleware)],
    )


def make_fastapi_with_sessions(registry):
    """Make an application of FastAPI."""
    app = FastAPI(lifespan=fastapi.lifespan(start, registry=registry))

    @app.get("/fail")
    async def fail(session: Inject[Session]):
        raise HTTPException(409)

    @app.get("/stream")
    async def stream(session: Inject[Session]):
        return StreamingResponse(stream_items(session))

    @app.get("/hang")
    async def hang(session: Inject[Session]):
        await wait(session)

    @app.websocket("/socket")
    async def serve_socket(socket: WebSocket, session: Inject[Session]):
        await talk(socket, session)

    return app


async def start(app, registry):
    """Register nothing more."""
    yield


@pytest.mark.parametrize("make", [make_starlette_with_sessions, make_fastapi_with_sessions])
class TestEnds:
    @pytest.fixture
    def journal(self):
        """A record of what happened to the sessions."""
        return Journal()

    @pytest.fixture
    def app(self, make, journal):
        """An application that serves sessions."""
        registry = Registry()
        registry.register_value(Journal, journal)
        registry.register_factory(Session, open_session)
        return make(registry)

    def test_work_that_fails(self, app, journal):
        """An answered exception reaches the cleanups."""
        with TestClient(app, backend="trio") as client:
            status = client.get("/fail").status_code

        assert (409, ["rollback HTTPException"]) == (status, journal)

    def test_streams(self, app, journal):
        """A stream keeps its services to the last item."""
        with TestClient(app, backend="trio") as client:
            client.get("/stream")

        assert ["one", "two", "commit"] == journal

    def test_websockets(self, app, journal):
        """A WebSocket's services end with it."""
        with TestClient(app, backend="trio") as client:
            with client.websocket_connect("/socket") as socket:
                socket.send_text("hello")
                socket.receive_text()

        assert ["hello", "commit"] == journal

    def test_cancellation(self, app, journal):
        """Cleanups may await in a request that is cancelled."""

        async def serve():
            async with app.router.lifespan_context(app) as state:
                with trio.CancelScope() as scope:
                    async with trio.open_nursery() as nursery:
                        nursery.start_soon(get, app, state, "/hang")
                        while "work" not in journal:
                            await trio.sleep(0.001)
                        scope.cancel()

        run(serve)

        assert ["work", "rollback Cancelled"] == journal
