"""The configuration of the tests of adapters, and a fixture that they share."""

import importlib.util

import pytest

from tests.adapters.serving import Journal

# MCP does not work with the oldest pydantic, so `tox run -e oldest` does not install it.
collect_ignore = (
    [] if importlib.util.find_spec("fastmcp") else ["test_mcp.py", "conformance/test_mcp.py"]
)


@pytest.fixture
def journal():
    """A record of what happens to the services of a test, in order."""
    return Journal()
