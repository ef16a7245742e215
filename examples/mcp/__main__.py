"""Serves the guest book over standard input and output."""

from examples.mcp.application import make_server

make_server("guests.db").run()
