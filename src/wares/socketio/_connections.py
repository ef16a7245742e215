"""The open connections of one server, and how many events of each are being handled.

The container of a connection closes when the connection is over and its last event has been
handled.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any, TypeAlias

import attrs

from wares._core.container import Container, Registry
from wares.exceptions import PendingAsyncCleanupError
from wares.socketio._coroutines import close

#: A namespace, and the id of a client in it.
Key: TypeAlias = tuple[str, str]


@attrs.define(eq=False)
class Connection:
    """A client's connection to one namespace.

    Attributes:
        key: The namespace and the client's id.
        transport: The id of the transport, which the connections to several namespaces may share.
        container: The container of the connection.
        environ: The environment of the request with which the client connected.
        events: How many events are being handled.
        is_over: Whether the client has disconnected, or was never let in.
    """

    key: Key
    transport: str | None
    container: Container
    environ: dict[str, Any]
    events: int = 0
    is_over: bool = False

    def __str__(self) -> str:
        return f"the connection of {self.key[1]} to {self.key[0]}"


class Connections:
    """The connections that are open. Threads may share this object.

    Args:
        can_await: Whether the server is asynchronous.
    """

    def __init__(self, *, can_await: bool) -> None:
        self._can_await = can_await
        self._open: dict[Key, Connection] = {}
        self._lock = threading.Lock()

    def find(self, key: Key) -> Connection | None:
        """Find an open connection."""
        return self._open.get(key)

    def add(self, connection: Connection) -> None:
        """Add a connection that begins."""
        with self._lock:
            self._open[connection.key] = connection

    def begin_event(self, connection: Connection) -> None:
        """Note that an event begins, which needs the container of the connection."""
        with self._lock:
            connection.events += 1

    def end_event(self, connection: Connection, *, is_last: bool) -> bool:
        """Note that an event has been handled; tell whether the caller must close the container."""
        with self._lock:
            connection.events -= 1
            connection.is_over |= is_last
            return self._take_if_unused(connection)

    async def end(self, is_wanted: Callable[[Connection], bool]) -> None:
        """End the connections that *is_wanted* chooses.

        The container of a connection whose events are being handled closes after the last of them.
        """
        await self.close(self._take(is_wanted))

    def end_with(self, registry: Registry) -> Awaitable[None] | None:
        """End the connections that *registry* serves; return an awaitable only if needed."""
        waiting = []
        for connection in self._take(lambda one: one.container.registry is registry):
            with logging_failure(connection):
                try:
                    connection.container.close()
                except PendingAsyncCleanupError:
                    waiting.append(connection)
        return self.close(waiting) if waiting else None

    def _take(self, is_wanted: Callable[[Connection], bool]) -> list[Connection]:
        """End connections, and remove those whose containers must be closed now."""
        with self._lock:
            ended = [one for one in reversed(self._open.values()) if is_wanted(one)]
            for connection in ended:
                connection.is_over = True
            return [one for one in ended if self._take_if_unused(one)]

    def _take_if_unused(self, connection: Connection) -> bool:
        if connection.events or not connection.is_over:
            return False
        if self._open.get(connection.key) is connection:
            del self._open[connection.key]
        return True

    async def close(
        self, connections: Sequence[Connection], error: BaseException | None = None
    ) -> None:
        """Close the containers of connections, and only log errors, so that all of them close."""
        async with contextlib.AsyncExitStack() as stack:
            # Each of them closes, even if the closing of another one is cancelled.
            for connection in reversed(connections):
                stack.push_async_callback(self._close, connection, error)

    async def _close(self, connection: Connection, error: BaseException | None) -> None:
        with logging_failure(connection):
            await close(connection.container, error, can_await=self._can_await)


@contextlib.contextmanager
def logging_failure(what: object) -> Iterator[None]:
    """Log an exception of a cleanup instead of raising it."""
    try:
        yield
    except Exception:  # a cleanup may raise anything
        logging.getLogger("wares").exception("Cleaning up %s failed.", what)
