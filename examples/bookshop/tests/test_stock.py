"""Tests of watching the stock."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy.ext.asyncio import AsyncEngine
from websockets.exceptions import ConnectionClosed
from websockets.frames import CloseCode
from websockets.sync.client import connect

from wares.fastapi import get_registry

from ..broadcaster import StockBroadcaster, StockWatcher
from .serving import Server


def order(client: TestClient, book_id: int, quantity: int) -> int:
    """Order copies of one book, and return the status of the answer."""
    lines = [{"book_id": book_id, "quantity": quantity}]
    return client.post("/api/orders", json={"customer": "Ada", "lines": lines}).status_code


def test_watcher_is_told_of_all_books_and_then_of_changes(client: TestClient) -> None:
    """A new watcher gets the stocks of all books first."""
    with client.websocket_connect("/api/stock") as watcher:
        everything = watcher.receive_json()["stocks"]
        order(client, 2, 3)
        change = watcher.receive_json()["stocks"]

    assert (16, 4) == (len(everything), everything["2"])
    assert {"2": 1} == change


def test_refused_order_is_no_news(client: TestClient) -> None:
    """A sale that is rolled back is not published."""
    with client.websocket_connect("/api/stock") as watcher:
        watcher.receive_json()
        lines = [{"book_id": 1, "quantity": 1}, {"book_id": 10, "quantity": 2}]
        client.post("/api/orders", json={"customer": "Ada", "lines": lines})
        order(client, 3, 1)
        change = watcher.receive_json()["stocks"]

    assert {"3": 11} == change


def test_watcher_who_stays_keeps_no_database_connection(
    application: FastAPI, client: TestClient
) -> None:
    """A watcher holds no database connection, because the first read has its own container."""
    with client.websocket_connect("/api/stock") as watcher:
        watcher.receive_json()
        with get_registry(application).container() as container:
            pool = container.get(AsyncEngine).pool

            assert "Current Checked out connections: 0" in pool.status()


def test_watcher_who_vanished_is_forgotten(server: Server) -> None:
    """A connection that breaks ends the watch, and does not disturb others."""
    with server.registry.container() as container:
        broadcaster = container.get(StockBroadcaster)
    with (
        connect(server.stock_address, proxy=None),
        connect(server.stock_address, proxy=None) as vanishing,
    ):
        wait_until(lambda: broadcaster.watching == 2)

        vanishing.socket.shutdown(socket.SHUT_RDWR)

        wait_until(lambda: broadcaster.watching == 1)
    wait_until(lambda: broadcaster.watching == 0)


def test_shop_closes_while_somebody_watches(server: Server) -> None:
    """The connection of a watcher closes with the shop."""
    with connect(server.stock_address, proxy=None) as watcher:
        watcher.recv()
        server.close()
        with pytest.raises(ConnectionClosed) as caught:
            watcher.recv()

    assert caught.value.rcvd is not None
    assert CloseCode.SERVICE_RESTART == caught.value.rcvd.code


async def test_slow_watcher_is_told_the_latest_only() -> None:
    """The queue of a slow watcher does not grow with every sale."""
    watcher = StockWatcher()
    watcher.tell({1: 5, 2: 3})
    watcher.tell({1: 4})
    watcher.tell({1: 3})

    news = await watcher.look()

    assert {1: 3, 2: 3} == news


async def test_news_outdate_the_first_look() -> None:
    """A change that comes while the stocks are read is kept."""
    watcher = StockWatcher()
    watcher.tell({1: 4})
    watcher.begin_with({1: 5, 2: 3})

    news = await watcher.look()

    assert {1: 4, 2: 3} == news


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait until a condition holds, for at most five seconds."""
    deadline = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)
