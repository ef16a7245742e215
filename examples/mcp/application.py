"""A guest book for language models: a server with two tools."""

import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from functools import partial

from mcp.server.mcpserver import MCPServer

from wares import Inject, Registry, inject
from wares.mcp import WaresMiddleware, lifespan


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


def open_book(path: str) -> Iterator[sqlite3.Connection]:
    """Open the database; afterwards, commit or roll back, and close it."""
    with closing(sqlite3.connect(path, check_same_thread=False)) as database, database:
        database.execute("CREATE TABLE IF NOT EXISTS guests (name TEXT)")
        yield database


def make_registry(path: str) -> Registry:
    """Register all services; the database is the file *path*."""
    registry = Registry()
    registry.register_factory(sqlite3.Connection, partial(open_book, path))
    registry.register_factory(GuestBook, GuestBook)
    return registry


def make_server(path: str) -> MCPServer:
    """Make the server."""

    async def start(_server: MCPServer, _registry: Registry) -> AsyncIterator[None]:
        yield

    started = lifespan(start, registry=make_registry(path))
    server = MCPServer("guests", lifespan=started, middleware=[WaresMiddleware()])

    @server.tool()
    @inject
    def sign(name: str, book: Inject[GuestBook]) -> int:
        """Sign the guest book; return the number of the guest."""
        book.sign(name)
        if not name.strip():
            raise ValueError("a guest without a name")  # rolls back
        return len(book.read())

    @server.tool()
    @inject
    def read(book: Inject[GuestBook]) -> str:
        """Read the names of all guests."""
        return ", ".join(book.read())

    return server
