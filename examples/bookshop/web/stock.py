"""The changes of the stock, over a WebSocket at ``/api/stock``."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from fastapi import APIRouter, WebSocket, WebSocketDisconnect

from wares import Container, Inject
from wares.fastapi import DepContainer

from ..books import BookRepository
from ..broadcaster import StockBroadcaster, StockWatcher

routes = APIRouter()


@routes.websocket("/api/stock")
async def watch_stock(
    websocket: WebSocket, container: DepContainer, broadcaster: Inject[StockBroadcaster]
) -> None:
    """Send ``{"stocks": {book: copies}}``, first of all books, then of those that change."""
    await websocket.accept()
    with broadcaster.watch() as watcher:
        watcher.begin_with(await _look_at_all(container))
        async with asyncio.TaskGroup() as tasks:
            telling = tasks.create_task(_tell(websocket, watcher))
            await _wait_until_gone(websocket)
            telling.cancel()


async def _look_at_all(container: Container) -> dict[int, int]:
    # The container of the WebSocket lives as long as the watcher stays, and a session in it would
    # keep a database connection all that time. A child container returns the connection at once.
    async with container.child() as moment:
        books = await moment.aget(BookRepository)
        return await books.stocks()


async def _tell(websocket: WebSocket, watcher: StockWatcher) -> None:
    with suppress(WebSocketDisconnect):
        while True:
            await websocket.send_json({"stocks": await watcher.look()})


async def _wait_until_gone(websocket: WebSocket) -> None:
    # A watcher sends nothing, but a disconnection can only be received.
    while (await websocket.receive())["type"] != "websocket.disconnect":
        pass
