"""A real server for tests, in a thread of this process.

Knows uvicorn. Must not know what it serves.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Thread

import uvicorn
from fastapi import FastAPI

from wares import Registry
from wares.fastapi import get_registry


@dataclass(frozen=True)
class Server:
    """Where an application can be reached, from outside and from inside."""

    port: int
    registry: Registry

    @property
    def address(self) -> str:
        """Where to send requests to."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def stock_address(self) -> str:
        """Where to watch the stock."""
        return f"ws://127.0.0.1:{self.port}/api/stock"


@contextmanager
def serve(application: FastAPI) -> Iterator[Server]:
    """Serve an application for as long as the ``with`` block lasts."""
    server = uvicorn.Server(uvicorn.Config(application, port=0, log_level="warning"))
    thread = Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive(), "the application did not start"
            time.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield Server(port, get_registry(application))
    finally:
        server.should_exit = True
        thread.join()
