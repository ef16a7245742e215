"""A real server for tests, in a thread of this process."""

from __future__ import annotations

import time
from threading import Thread

import uvicorn
from fastapi import FastAPI

from wares import Registry
from wares.fastapi import get_registry


class Server:
    """A running application, with its address and its registry."""

    def __init__(self, application: FastAPI) -> None:
        self._server = uvicorn.Server(uvicorn.Config(application, port=0, log_level="warning"))
        self._thread = Thread(target=self._server.run)
        self._thread.start()
        while not self._server.started:
            assert self._thread.is_alive(), "the application did not start"
            time.sleep(0.01)
        self._port = self._server.servers[0].sockets[0].getsockname()[1]
        self.registry: Registry = get_registry(application)

    @property
    def address(self) -> str:
        """The address for requests."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def stock_address(self) -> str:
        """The address for watching the stock."""
        return f"ws://127.0.0.1:{self._port}/api/stock"

    def close(self) -> None:
        """Close the application, and wait until it has ended."""
        self._server.should_exit = True
        self._thread.join()
