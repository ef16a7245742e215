"""A TaskIQ application for a worker process, over NATS; it writes what happens to a file."""

import contextlib
import os
from pathlib import Path

import nats
import nats.errors
from taskiq import AsyncBroker

from wares import Inject, Registry
from wares.taskiq import init_broker


class StreamBroker(AsyncBroker):
    """Keeps messages in a stream of NATS."""

    async def startup(self):
        self._nats = await nats.connect(os.environ["SHOP_BROKER"])
        self._streams = self._nats.jetstream()
        await self._streams.add_stream(name="tasks", subjects=["tasks"])
        await super().startup()

    async def shutdown(self):
        await super().shutdown()
        await self._nats.close()

    async def kick(self, message):
        await self._streams.publish("tasks", message.message)

    async def listen(self):
        messages = await self._streams.pull_subscribe("tasks", durable="workers")
        while True:
            # This does not wait for ever, so that the worker notices when it should end.
            with contextlib.suppress(nats.errors.TimeoutError):
                for message in await messages.fetch(1, timeout=0.1):
                    await message.ack()
                    yield message.data


def note(text):
    """Write a line to the journal."""
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
broker = init_broker(StreamBroker(), registry=registry)


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
