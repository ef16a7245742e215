"""Fixtures of the tests of wares.socketio."""

import pytest

from tests.adapters.socketio.serving import Journal, make_server_for, one_session, register_both
from wares import Registry


@pytest.fixture(autouse=True)
async def _session():
    async with one_session():
        yield


@pytest.fixture
def journal():
    """A record of what happens to the services of a test, in order."""
    return Journal()


@pytest.fixture
async def registry(journal):
    """A registry with a service for each lifetime."""
    registry = Registry()
    register_both(registry, journal)
    yield registry
    await registry.aclose()


@pytest.fixture
async def sio(registry):
    """A server of python-socketio, initialised."""
    return make_server_for(registry)
