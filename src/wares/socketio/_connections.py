"""A container for each connection, and one for each of its events.

This module knows connections: when they begin, what happens in them, when they are over. It must
not know how an event is handled, nor Socket.IO.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any, TypeAlias

import attrs

from wares._core.container import Container
from wares._core.container import Registry

#: A namespace, and the id of a client in it.
Key: TypeAlias = tuple[str, str]


@attrs.define(eq=False)
class Connection:
    """A client's connection to one namespace.

    Attributes:
        key: The namespace and the client's id.
        transport: The id of what the connection uses; several namespaces may share it.
        container: The services that last as long as the connection.
        environ: The environment of the request by which the client connected.
        events: How many events are being handled.
        is_over: Whether the client has disconnected, or was never let in.
    """

    key: Key
    transport: str | None
    container: Container
    environ: dict[str, Any]
    events: int = 0
    is_over: bool = False


class Connections:
    """The connections that are open. Threads may share it."""

    def __init__(self) -> None:
        self._open: dict[Key, Connection] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._open)

    def find(self, key: Key) -> Connection | None:
        """Find an open connection."""
        return self._open.get(key)

    def add(self, connection: Connection) -> None:
        """Keep a connection that begins."""
        with self._lock:
            self._open[connection.key] = connection

    def begin_event(self, connection: Connection) -> None:
        """Note that an event is going to be handled: the connection's services are needed."""
        with self._lock:
            connection.events += 1

    def end_event(self, connection: Connection) -> bool:
        """Note that an event has been handled.

        Returns:
            Whether the connection's container is to be closed now, by the caller.
        """
        with self._lock:
            connection.events -= 1
            return self._take_if_unused(connection)

    def end(self, connection: Connection) -> None:
        """Note that a connection is over; it closes with the last of its events."""
        with self._lock:
            connection.is_over = True

    def take_unused(self, transport: str) -> Sequence[Connection]:
        """End the connections of a transport; give those that the caller is to close now."""
        with self._lock:
            ended = [one for one in self._open.values() if one.transport == transport]
            for connection in ended:
                connection.is_over = True
            return [one for one in reversed(ended) if self._take_if_unused(one)]

    def take_all(self, registry: Registry | None = None) -> Sequence[Connection]:
        """End all connections, or those of a registry, for the caller to close."""
        with self._lock:
            taken = [
                connection
                for connection in reversed(self._open.values())
                if registry in (None, connection.container.registry)
            ]
            for connection in taken:
                connection.is_over = True
                del self._open[connection.key]
            return taken

    def _take_if_unused(self, connection: Connection) -> bool:
        if connection.events or not connection.is_over:
            return False
        if self._open.get(connection.key) is connection:
            del self._open[connection.key]
        return True
