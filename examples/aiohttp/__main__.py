"""Serves the guest book on port 8080."""

from aiohttp import web

from examples.aiohttp.application import make_app

web.run_app(make_app("guests.db"))
