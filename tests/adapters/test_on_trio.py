"""Applications on trio: what asyncio serves, trio serves, too (behaviour 29)."""

import anyio
import pytest
import trio
import trio.lowlevel
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from tests.support.deadline import in_thread
from wares import Registry, asgi, fastapi, starlette

SECONDS = 10


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
