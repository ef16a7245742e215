"""The work that every candidate does: the seven nodes, their session, and the report on them.

Knows no candidate. The classes are plain on purpose: what they cost is in every figure, the
hand-written code's included.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator


class Config:
    """A value: made once, before anything is measured."""

    def __init__(self, url: str) -> None:
        self.url = url


class Engine:
    """What sessions are opened on."""

    def __init__(self, config: Config) -> None:
        self.config = config


class Session:
    """What has to be closed; it counts how often it was."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.closed = 0


class Users:
    """The first of three repositories that share one session."""

    def __init__(self, session: Session) -> None:
        self.session = session


class Orders:
    """The second of three repositories that share one session."""

    def __init__(self, session: Session) -> None:
        self.session = session


class Products:
    """The third of three repositories that share one session."""

    def __init__(self, session: Session) -> None:
        self.session = session


class Shop:
    """The service that is asked for: the root of the seven nodes."""

    def __init__(self, users: Users, orders: Orders, products: Products) -> None:
        self.users = users
        self.orders = orders
        self.products = products


def open_session(engine: Engine) -> Iterator[Session]:
    """Open a session, and close it afterwards."""
    session = Session(engine)
    try:
        yield session
    finally:
        session.closed += 1


async def open_async_session(engine: Engine) -> AsyncIterator[Session]:
    """Open a session in an async generator that happens not to wait."""
    session = Session(engine)
    try:
        yield session
    finally:
        session.closed += 1


async def open_waiting_session(engine: Engine) -> AsyncIterator[Session]:
    """Open a session and let other tasks run, on the way in and on the way out."""
    session = Session(engine)
    await asyncio.sleep(0)
    try:
        yield session
    finally:
        await asyncio.sleep(0)
        session.closed += 1


CONFIG = Config("sqlite://")


class Witness:
    """Remembers the last shop that an endpoint worked with, so that a check can look at it."""

    shop: Shop | None = None


def report(shop: Shop) -> dict[str, bool]:
    """Do an endpoint's work: use all of the shop, while its session is open."""
    Witness.shop = shop
    session = shop.users.session
    return {
        "open": session.closed == 0,
        "shared": shop.orders.session is session and shop.products.session is session,
    }
