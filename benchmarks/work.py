"""The services that every candidate makes: the seven nodes, their session, and a report on them.

The classes are plain on purpose, because their cost is part of every figure, including those of
the hand-written code.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator


class Config:
    """A value, which is made once, before anything is measured."""

    def __init__(self, url: str) -> None:
        self.url = url


class Engine:
    """The engine on which sessions are opened."""

    def __init__(self, config: Config) -> None:
        self.config = config


class Session:
    """A session that has to be committed and closed, and that counts how often it is."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.committed = 0
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
    """The root of the seven nodes, which the benchmark asks for."""

    def __init__(self, users: Users, orders: Orders, products: Products) -> None:
        self.users = users
        self.orders = orders
        self.products = products


def open_session(engine: Engine) -> Iterator[Session]:
    """Open a session, commit it if the request has succeeded, and close it."""
    session = Session(engine)
    try:
        yield session
        session.committed += 1
    finally:
        session.closed += 1


async def open_async_session(engine: Engine) -> AsyncIterator[Session]:
    """Open a session as database drivers do: it awaits when it opens and when it closes."""
    session = Session(engine)
    await asyncio.sleep(0)
    try:
        yield session
        session.committed += 1
    finally:
        await asyncio.sleep(0)
        session.closed += 1


async def open_instant_session(engine: Engine) -> AsyncIterator[Session]:
    """Open a session in an async generator that never awaits."""
    session = Session(engine)
    try:
        yield session
        session.committed += 1
    finally:
        session.closed += 1


class Pool:
    """A pool that notes when it and its units are opened and closed."""

    def __init__(self) -> None:
        self.events = ["pool opens"]


class Unit:
    """A unit of work, which has to close before its pool."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        pool.events.append("unit opens")


class Pair:
    """A service that needs a pool, and a unit of work on the same pool."""

    def __init__(self, pool: Pool, unit: Unit) -> None:
        self.pool = pool
        self.unit = unit


def open_pool(config: Config) -> Iterator[Pool]:
    """Open a pool and close it."""
    pool = Pool()
    yield pool
    pool.events.append("pool closes")


def open_unit(pool: Pool) -> Iterator[Unit]:
    """Open a unit of work and close it."""
    unit = Unit(pool)
    yield unit
    pool.events.append("unit closes")


async def open_async_pool(config: Config) -> AsyncIterator[Pool]:
    """Open a pool and close it, in async code."""
    pool = Pool()
    await asyncio.sleep(0)
    yield pool
    await asyncio.sleep(0)
    pool.events.append("pool closes")


async def open_async_unit(pool: Pool) -> AsyncIterator[Unit]:
    """Open a unit of work and close it, in async code."""
    unit = Unit(pool)
    await asyncio.sleep(0)
    yield unit
    await asyncio.sleep(0)
    pool.events.append("unit closes")


CONFIG = Config("sqlite://")


class Witness:
    """Remembers the last shop of an endpoint, so that a check can look at it."""

    shop: Shop | None = None


def report(shop: Shop) -> dict[str, bool]:
    """Do the work of an endpoint: use all parts of the shop while its session is open."""
    Witness.shop = shop
    session = shop.users.session
    return {
        "open": session.closed == 0,
        "shared": shop.orders.session is session and shop.products.session is session,
    }
