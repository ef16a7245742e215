"""Serves the guest book by standard input and output."""

from examples.mcp.application import make_server

make_server("guests.db").run()
