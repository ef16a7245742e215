"""The stock as it changes, over a WebSocket at ``/api/stock``."""

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
    """Send ``{"stocks": {book: copies}}``: of all books first, then of those that change."""
    await websocket.accept()
    with broadcaster.watch() as watcher:
        watcher.begin_with(await _look_at_all(container))
        async with asyncio.TaskGroup() as tasks:
            telling = tasks.create_task(_tell(websocket, watcher))
            await _wait_until_gone(websocket)
            telling.cancel()


async def _look_at_all(container: Container) -> dict[int, int]:
    # The WebSocket's own container lives as long as the watcher stays. A session of it would
    # keep a database connection all that time; one of a child is given back at once.
    async with container.child() as moment:
        books = await moment.aget(BookRepository)
        return await books.stocks()


async def _tell(websocket: WebSocket, watcher: StockWatcher) -> None:
    with suppress(WebSocketDisconnect):
        while True:
            await websocket.send_json({"stocks": await watcher.look()})


async def _wait_until_gone(websocket: WebSocket) -> None:
    # Nothing is expected from a watcher; receiving is how one learns that they left.
    while (await websocket.receive())["type"] != "websocket.disconnect":
        pass
