"""Fixtures that the tests of the core share."""

import asyncio
import sys

import pytest

from tests.support.ways import ASYNC, SYNC
from wares import PendingAsyncCleanupError, Registry


def finish(closeable) -> None:
    """Close *closeable* in whichever way it takes."""
    try:
        closeable.close()
    except PendingAsyncCleanupError:
        with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
            runner.run(closeable.aclose())


@pytest.fixture
def registry():
    """A registry of its own for each test, closed after it."""
    registry = Registry()
    yield registry
    finish(registry)


@pytest.fixture
def container(registry):
    """A container on the test's registry, closed after the test."""
    container = registry.container()
    yield container
    finish(container)


@pytest.fixture(params=[SYNC, ASYNC], ids=repr)
def way(request):
    """`get` and `close`, then `aget` and `aclose`."""
    return request.param


@pytest.fixture
def busy_threads():
    """Let the interpreter switch threads as often as it can."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)
