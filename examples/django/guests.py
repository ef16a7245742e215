"""The guest book: its services, its views, and their URLs."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing

from django.core.exceptions import BadRequest
from django.http import HttpRequest, HttpResponse
from django.urls import path

from wares import Inject, Registry, inject
from wares.django import health_view


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


def open_book() -> Iterator[sqlite3.Connection]:
    """Open the database; afterwards, commit or roll back, and close it."""
    with closing(sqlite3.connect("guests.db", check_same_thread=False)) as database, database:
        database.execute("CREATE TABLE IF NOT EXISTS guests (name TEXT)")
        yield database


def register(registry: Registry) -> None:
    """Register all services; the setting WARES names this function."""
    registry.register_factory(
        sqlite3.Connection, open_book, ping=lambda database: database.execute("SELECT 1")
    )
    registry.register_factory(GuestBook, GuestBook)


@inject
def sign(request: HttpRequest, book: Inject[GuestBook]) -> HttpResponse:
    """Sign the book; refuse a name of nothing but spaces, which rolls back."""
    name = str(request.GET.get("name", ""))
    book.sign(name)
    if not name.strip():
        raise BadRequest("Who are you?")
    return HttpResponse(f"Welcome, {name}!".encode())


@inject
async def read(_: HttpRequest, book: Inject[GuestBook]) -> HttpResponse:
    """Return the names of all guests; views may be asynchronous."""
    return HttpResponse(", ".join(book.read()).encode())


urlpatterns = [path("sign", sign), path("read", read), path("healthy", health_view())]
