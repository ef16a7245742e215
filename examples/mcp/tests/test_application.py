"""Tests of the guest book, with the SDK's client in memory."""

import mcp

from examples.mcp.application import make_server


async def test_names_are_kept(tmp_path):
    """The names of guests are kept; a refused name is rolled back."""
    async with mcp.Client(make_server(str(tmp_path / "guests.db"))) as client:
        await client.call_tool("sign", {"name": "Ada"})
        failed = await client.call_tool("sign", {"name": " "})
        read = await client.call_tool("read", {})

    assert failed.is_error
    assert "Ada" == read.content[0].text
