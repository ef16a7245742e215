"""The open connections of one server, and how many events of each are being handled.

The container of a connection closes when the connection is over and its last event has been
handled.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import attrs

from wares._core.container import Container

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
    """The connections that are open. Threads may share this object."""

    def __init__(self) -> None:
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

    def end(self, is_wanted: Callable[[Connection], bool]) -> Sequence[Connection]:
        """End the connections that *is_wanted* chooses.

        Returns:
            The connections whose containers the caller must close. The containers of the others
            close after their last event.
        """
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
