"""A TaskIQ application for a worker process, over Redis; it writes what happens to a file."""

import os
from pathlib import Path

import redis.asyncio
from taskiq import AsyncBroker

from wares import Inject, Registry
from wares.taskiq import init_broker


class ListBroker(AsyncBroker):
    """Keeps messages in a list of Redis."""

    async def startup(self):
        self._redis = redis.asyncio.from_url(os.environ["SHOP_BROKER"], socket_timeout=None)
        await super().startup()

    async def shutdown(self):
        await super().shutdown()
        await self._redis.aclose()

    async def kick(self, message):
        await self._redis.rpush("tasks", message.message)

    async def listen(self):
        while True:
            # Not for ever: in between, the worker sees that it is to end.
            found = await self._redis.blpop("tasks", timeout=0.1)
            if found is not None:
                yield found[1]


def note(text):
    """Write a line."""
    with Path(os.environ["SHOP_JOURNAL"]).open("a") as file:
        file.write(f"{text}\n")


class Engine:
    """A service of the process."""


class Session:
    """A service of each task."""


def open_engine():
    yield Engine()
    note("engine closed")


def open_session(engine: Engine):
    try:
        yield Session()
    except BaseException as error:
        note(f"rollback {type(error).__name__}")
        raise
    else:
        note("commit")


registry = Registry()
registry.register_factory(Engine, open_engine, lifetime="singleton")
registry.register_factory(Session, open_session)
broker = init_broker(ListBroker(), registry=registry)


@broker.task
async def work(number: int, session: Inject[Session]) -> None:
    """Work, and fail if the number is odd."""
    if number % 2:
        raise LookupError(number)


@broker.task
def work_in_thread(number: int, session: Inject[Session]) -> None:
    """Do the same in a thread."""
    if number % 2:
        raise LookupError(number)
