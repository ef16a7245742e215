"""Tests of the guest book, with aiohttp's test server."""

import pytest
from aiohttp.test_utils import TestClient, TestServer

from examples.aiohttp.application import make_app


@pytest.fixture
async def client(tmp_path):
    """A client of a new guest book."""
    async with TestClient(TestServer(make_app(str(tmp_path / "guests.db")))) as client:
        yield client


async def test_names_are_kept(client):
    """The names of guests can be read."""
    assert 201 == (await client.post("/guests", data="Ada")).status

    async with client.ws_connect("/guests") as socket:
        await socket.send_str("?")
        assert ["Ada"] == await socket.receive_json()


async def test_refused_names_are_not_kept(client):
    """A refused name is rolled back."""
    assert 400 == (await client.post("/guests", data=" ")).status

    async with client.ws_connect("/guests") as socket:
        await socket.send_str("?")
        assert [] == await socket.receive_json()


async def test_it_is_healthy(client):
    """The database answers."""
    assert {"ok": ["Connection"], "failing": []} == await (await client.get("/healthy")).json()
