"""Which tests of adapters are collected."""

import importlib.util

# MCP does not go together with the oldest pydantic, so `tox run -e oldest` is without it.
collect_ignore = (
    [] if importlib.util.find_spec("fastmcp") else ["test_mcp.py", "conformance/test_mcp.py"]
)
