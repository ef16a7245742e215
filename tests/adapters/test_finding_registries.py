"""The command line, and the pytest plugin, find the registry of every application."""

import aiohttp.web
import celery
import faststream
import faststream.nats
import litestar
import pytest
import taskiq

import wares.aiohttp
import wares.celery
import wares.faststream
import wares.litestar
import wares.taskiq
from wares import Registry
from wares._adapters.applications import find_registry


def make_litestar(registry):
    """Make an application of Litestar."""
    plugin = wares.litestar.WaresPlugin(registry=registry)
    return litestar.Litestar([], plugins=[plugin])


def make_faststream(registry):
    """Make an application of FastStream."""
    app = faststream.FastStream(faststream.nats.NatsBroker())
    return wares.faststream.init_app(app, registry=registry)


@pytest.mark.parametrize(
    "make",
    [
        lambda registry: wares.aiohttp.init_app(aiohttp.web.Application(), registry=registry),
        lambda registry: wares.celery.init_app(celery.Celery(), registry=registry),
        lambda registry: wares.taskiq.init_broker(taskiq.InMemoryBroker(), registry=registry),
        make_faststream,
        make_litestar,
    ],
    ids=["aiohttp", "celery", "taskiq", "faststream", "litestar"],
)
def test_where_each_adapter_keeps_it(make):
    """The registry is found on an application that was initialised."""
    registry = Registry()

    assert registry is find_registry(make(registry))


@pytest.mark.parametrize(
    "app",
    [
        aiohttp.web.Application(),
        celery.Celery("other"),
        faststream.FastStream(faststream.nats.NatsBroker()),
    ],
)
def test_where_there_is_none(app):
    """An application that was not initialised has none."""
    assert find_registry(app) is None
