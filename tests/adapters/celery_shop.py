"""A Celery application for workers in processes of their own; it writes what happens to a file."""

import os
import sys
from pathlib import Path

from celery import Celery

from wares import Inject, Registry
from wares.celery import init_app

folder = Path(os.environ["SHOP_FOLDER"])
for name in ("queue", "control", "results"):
    (folder / name).mkdir(exist_ok=True)

broker = os.environ.get("SHOP_BROKER", "filesystem://")
app = Celery("shop", broker=broker, backend=(folder / "results").as_uri())
if broker == "filesystem://":
    app.conf.broker_transport_options = {
        "data_folder_in": str(folder / "queue"),
        "data_folder_out": str(folder / "queue"),
        "control_folder": str(folder / "control"),
        "polling_interval": 0.05,
    }
app.conf.broker_connection_retry_on_startup = False


def note(text):
    """Write a line, with the process that writes it."""
    with (folder / "journal").open("a") as file:
        file.write(f"{os.getpid()} {text}\n")


class Engine:
    """A service of each process."""


class Session:
    """A service of each task."""


async def open_engine():
    note("engine open")
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


class Missing:
    """A service that cannot be made."""

    def __init__(self, number: complex) -> None:
        self.number = number


registry = Registry()
registry.register_factory(Engine, open_engine, lifetime="singleton")
registry.register_factory(Session, open_session)
if "SHOP_IS_BROKEN" in os.environ:
    registry.register_factory(Missing, Missing)
init_app(app, registry=registry)


@app.task(shared=False)
def work(session: Inject[Session], *, fail: bool = False) -> int:
    """Work, and fail if told so."""
    if fail:
        raise LookupError("no such book")
    return os.getpid()


@app.task(shared=False, soft_time_limit=1)
async def sleep(session: Inject[Session]) -> None:
    """Work too long."""
    import asyncio

    await asyncio.sleep(60)


if __name__ == "__main__":
    sys.exit(app.worker_main())
