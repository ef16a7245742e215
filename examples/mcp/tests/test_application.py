"""The guest book, with the SDK's client in memory."""

import mcp

from examples.mcp.application import make_server


async def test_who_signs_is_read(tmp_path):
    """What one call writes, the next one reads; a failed one is rolled back."""
    async with mcp.Client(make_server(str(tmp_path / "guests.db"))) as client:
        await client.call_tool("sign", {"name": "Ada"})
        failed = await client.call_tool("sign", {"name": " "})
        read = await client.call_tool("read", {})

    assert failed.is_error
    assert "Ada" == read.content[0].text
