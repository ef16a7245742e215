"""Applications on a real server, on the loopback interface, and clients that hang up."""

import asyncio
import contextlib
import warnings
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import uvicorn
from uvicorn.config import WS_PROTOCOLS

SECONDS = 60

with warnings.catch_warnings():
    # Newer releases of Starlette recommend httpx2; older ones know only httpx.
    warnings.simplefilter("ignore")
    from starlette.testclient import TestClient as TestClient  # noqa: PLC0414  # for the tests

#: The implementation of WebSockets: the one that is not deprecated, if uvicorn has it.
WEBSOCKETS = "websockets-sansio" if "websockets-sansio" in WS_PROTOCOLS else "auto"


@contextlib.asynccontextmanager
async def serve(app: Any, **options: Any) -> AsyncIterator[str]:
    """Serve *app* with uvicorn in this event loop; yield its ``host:port``."""
    settings = {"lifespan": "on", "log_config": None, "ws": WEBSOCKETS, **options}
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, **settings))
    task = asyncio.create_task(_run(server))
    async with asyncio.timeout(SECONDS):
        while not server.started:
            if task.done():
                await task
            await asyncio.sleep(0.001)
    host, port = server.servers[0].sockets[0].getsockname()
    try:
        yield f"{host}:{port}"
    finally:
        server.should_exit = True
        async with asyncio.timeout(SECONDS):
            await task


async def _run(server: uvicorn.Server) -> None:
    """Run *server*; if the application does not start, raise an error instead of `SystemExit`."""
    try:
        await server.serve()
    except SystemExit as error:
        raise RuntimeError("the application did not start") from error


async def hang_up(address: str, path: str, *, after: bytes) -> None:
    """Request *path*, read until *after* has come, and abort the connection."""
    host, port = address.split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(f"GET {path} HTTP/1.1\r\nHost: {address}\r\n\r\n".encode())
    async with asyncio.timeout(SECONDS):
        await reader.readuntil(after)
    await cut(writer)


async def cut(writer: asyncio.StreamWriter) -> None:
    """Abort a connection."""
    writer.transport.abort()
    with contextlib.suppress(OSError):
        await writer.wait_closed()


async def until(condition: Any) -> None:
    """Wait until *condition* holds."""
    async with asyncio.timeout(SECONDS):
        while not condition():
            await asyncio.sleep(0.001)


class Journal(list[str]):
    """A record of what happened, in order."""


class Session:
    """A service that commits or rolls back at its end."""

    def __init__(self, journal: Journal) -> None:
        self.journal = journal
        self.is_open = True

    def work(self, what: str = "work") -> str:
        """Note *what*, and return it; only an open session can do this."""
        if not self.is_open:
            raise AssertionError("the session is closed")
        self.journal.append(what)
        return what


async def open_session(journal: Journal) -> AsyncIterator[Session]:
    """Open a session; note how it ends."""
    session = Session(journal)
    journal.append("open")
    try:
        yield session
    except BaseException as error:
        journal.append(f"rollback {type(error).__name__}")
        raise
    else:
        journal.append("commit")
    finally:
        session.is_open = False


def open_session_sync(journal: Journal) -> Iterator[Session]:
    """Open a session for synchronous code; note how it ends."""
    session = Session(journal)
    journal.append("open")
    try:
        yield session
    except BaseException as error:
        journal.append(f"rollback {type(error).__name__}")
        raise
    else:
        journal.append("commit")
    finally:
        session.is_open = False


async def open_slow_session(journal: Journal) -> AsyncIterator[Session]:
    """Open a session whose end awaits something, like the commit of a database."""
    session = Session(journal)
    try:
        yield session
    except BaseException as error:
        await asyncio.sleep(0)
        journal.append(f"rollback {type(error).__name__}")
        raise
    else:
        await asyncio.sleep(0)
        journal.append("commit")


@contextlib.asynccontextmanager
async def started(app: Any) -> AsyncIterator[dict[str, Any]]:
    """Start *app* as a server does, and end it; yield the state of its lifespan."""
    state: dict[str, Any] = {}
    incoming: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    outgoing: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    task = asyncio.ensure_future(
        app({"type": "lifespan", "state": state}, incoming.get, outgoing.put)
    )
    await exchange(task, incoming, outgoing, "startup")
    try:
        yield state
    finally:
        await exchange(task, incoming, outgoing, "shutdown")
        await task


async def exchange(task: Any, incoming: Any, outgoing: Any, phase: str) -> None:
    """Send one event of the lifespan, and wait for its answer."""
    await incoming.put({"type": f"lifespan.{phase}"})
    async with asyncio.timeout(SECONDS):
        answer = await outgoing.get()
    if answer["type"] != f"lifespan.{phase}.complete":
        await task


@contextlib.asynccontextmanager
async def client_of(app: Any, **options: Any) -> AsyncIterator[httpx.AsyncClient]:
    """Start *app* in this event loop; yield a client that calls it without a server."""
    async with started(app) as state:

        async def serve_with_state(scope: Any, receive: Any, send: Any) -> None:
            await app({**scope, "state": dict(state)}, receive, send)

        transport = httpx.ASGITransport(serve_with_state, **options)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            yield client


def make_scope(state: dict[str, Any]) -> dict[str, Any]:
    """Make the ASGI scope of a request for ``/``."""
    return {
        "type": "http",
        "method": "GET",
        "path": "/",
        "query_string": b"",
        "headers": [],
        "state": dict(state),
    }
