"""Fixtures that the tests of the core share."""

import asyncio
import gc
import sys

import pytest

from tests.support.ways import ASYNC, SYNC
from wares import PendingAsyncCleanupError, Registry


def finish(closeable) -> None:
    """Close a container or a registry; await its cleanups if they must be awaited."""
    try:
        closeable.close()
    except PendingAsyncCleanupError:
        with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
            runner.run(closeable.aclose())


@pytest.fixture
def registry():
    """A registry for each test, closed after the test."""
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
    """The two ways to use a container: `get` and `close`, then `aget` and `aclose`."""
    return request.param


@pytest.fixture
def busy_threads():
    """Make the interpreter switch threads as often as possible."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


@pytest.fixture(scope="class")
def unattended():
    """Turn off the garbage collector, once for a class, so that only references free objects."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()
