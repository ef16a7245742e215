"""The guest book, over aiohttp's own test server."""

import pytest
from aiohttp.test_utils import TestClient, TestServer

from examples.aiohttp.application import make_app


@pytest.fixture
async def client(tmp_path):
    """A client of a guest book of its own."""
    async with TestClient(TestServer(make_app(str(tmp_path / "guests.db")))) as client:
        yield client


async def test_who_signs_is_read(client):
    """What one guest writes, the next one reads."""
    assert 201 == (await client.post("/guests", data="Ada")).status

    async with client.ws_connect("/guests") as socket:
        await socket.send_str("?")
        assert ["Ada"] == await socket.receive_json()


async def test_who_has_no_name_is_not_kept(client):
    """A refused guest is rolled back."""
    assert 400 == (await client.post("/guests", data=" ")).status

    async with client.ws_connect("/guests") as socket:
        await socket.send_str("?")
        assert [] == await socket.receive_json()


async def test_it_is_healthy(client):
    """The database answers."""
    assert {"ok": ["Connection"], "failing": []} == await (await client.get("/healthy")).json()
