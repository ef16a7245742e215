"""A handler with `Inject`."""

import socketio

import wares
from benchmarks.candidates.wares import fill
from benchmarks.wiring import GRAPH_ASYNC
from benchmarks.work import Shop, report
from wares import Inject
from wares.socketio import SocketID, init_app

NAMES = ("wares",)


def make(name: str) -> socketio.AsyncServer:
    """Make the server."""
    registry = wares.Registry()
    fill(registry, GRAPH_ASYNC)
    server = socketio.AsyncServer(async_mode="asgi", async_handlers=False)
    init_app(server, registry)

    @server.event
    async def ask(sid: SocketID, shop: Inject[Shop]) -> dict[str, bool]:
        return report(shop)

    return server
