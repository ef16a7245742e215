"""Which tests of adapters are collected, and what all of them use."""

import importlib.util

import pytest

from tests.adapters.serving import Journal

# MCP does not go together with the oldest pydantic, so `tox run -e oldest` is without it.
collect_ignore = (
    [] if importlib.util.find_spec("fastmcp") else ["test_mcp.py", "conformance/test_mcp.py"]
)


@pytest.fixture
def journal():
    """What happens to the services of a test, in order."""
    return Journal()
