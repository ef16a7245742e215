"""A guest book: guests sign it over HTTP, and read it over a WebSocket."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing

from aiohttp import web

from wares.aiohttp import (
    get_registry,
    health_route,
    init_app,
    register_factory,
    wares_from,
)


class GuestBook:
    """The names of the guests."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database

    def sign(self, name: str) -> None:
        """Write a name."""
        self._database.execute("INSERT INTO guests VALUES (?)", [name])

    def read(self) -> list[str]:
        """Read all names, in the order in which they were written."""
        return [name for (name,) in self._database.execute("SELECT name FROM guests")]


async def sign(request: web.Request) -> web.Response:
    """Sign the book; refuse a name of nothing but spaces, which rolls back."""
    book = wares_from(request).get(GuestBook)
    name = await request.text()
    book.sign(name)
    if not name.strip():
        raise web.HTTPBadRequest(text="Who are you?")
    return web.Response(status=201)


async def read(request: web.Request) -> web.WebSocketResponse:
    """Answer each message with the names of all guests at that moment."""
    socket = web.WebSocketResponse()
    await socket.prepare(request)
    async for _ in socket:
        async with wares_from(request).child() as services:
            await socket.send_json(services.get(GuestBook).read())
    return socket


def make_app(path: str) -> web.Application:
    """Make the application; its database is the file *path*."""

    def connect() -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(path, check_same_thread=False)) as database, database:
            database.execute("CREATE TABLE IF NOT EXISTS guests (name TEXT)")
            yield database  # afterwards: commit or roll back, and close

    app = init_app(web.Application())
    register_factory(
        app, sqlite3.Connection, connect, ping=lambda database: database.execute("SELECT 1")
    )
    get_registry(app).register_factory(GuestBook, GuestBook)
    app.add_routes([web.post("/guests", sign), web.get("/guests", read), health_route()])
    return app
