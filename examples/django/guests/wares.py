"""The services of the application: found because the module is called so."""

import sqlite3
from functools import partial

from django.conf import settings

from examples.django.guests.book import GuestBook, open_book
from wares import Registry


def register(registry: Registry) -> None:
    """Say how everything is made."""
    registry.register_factory(
        sqlite3.Connection,
        partial(open_book, settings.GUESTS_PATH),
        ping=lambda database: database.execute("SELECT 1"),
    )
    registry.register_factory(GuestBook, GuestBook)
