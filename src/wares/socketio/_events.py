"""One event of one client, as facts.

This module knows what python-socketio passes on to handlers. It must not know containers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from wares.socketio._arguments import Auth, Data, Environ, Event, Reason, SocketID

CONNECT = "connect"
DISCONNECT = "disconnect"


# Without slots, because a frozen class with them takes three times as long to instantiate.
@attrs.frozen(slots=False)
class SocketEvent:
    """An event that a client sent, or its connecting or disconnecting.

    Attributes:
        server: The Socket.IO server.
        name: The name of the event.
        namespace: The namespace in which it happened.
        sid: The client's id.
        environ: The environment of the request by which the client connected.
        arguments: The payload, one item for each argument that the client sent.
        auth: What the client sent to be let in; for ``connect``.
        reason: Why the client disconnected; for ``disconnect``.
    """

    server: Any
    name: str
    namespace: str
    sid: str
    environ: dict[str, Any]
    arguments: tuple[Any, ...] = ()
    auth: Any = None
    reason: str | None = None

    @property
    def data(self) -> Any:
        """The payload: one argument, a list of several, or None."""
        if len(self.arguments) == 1:
            return self.arguments[0]
        return list(self.arguments) if self.arguments else None


#: What the containers of connections and events are given, beside the server.
FACTS: tuple[Any, ...] = (SocketID, Environ, Event, SocketEvent, Auth, Reason, Data)


def read_event(
    server: Any, name: str, namespace: str, environ: dict[str, Any], raw: tuple[Any, ...]
) -> SocketEvent:
    """Read what python-socketio triggers with.

    Args:
        server: The Socket.IO server.
        name: The name of the event.
        namespace: The namespace in which it happened.
        environ: The environment of the client's first request.
        raw: What goes to the handler: the sid, then the environment and what the client sent to
            be let in, or the reason, or the payload.
    """
    sid, rest = raw[0], raw[1:]
    if name == CONNECT:
        return SocketEvent(
            server, name, namespace, sid, environ, auth=rest[1] if len(rest) > 1 else None
        )
    if name == DISCONNECT:
        return SocketEvent(
            server, name, namespace, sid, environ, reason=rest[0] if rest else None
        )
    return SocketEvent(server, name, namespace, sid, environ, rest)


def give_event(event: SocketEvent) -> Mapping[Any, Any]:
    """Make what the container of *event* is given, beside what its connection's has."""
    given: dict[Any, Any] = {Event: event.name, SocketEvent: event}
    if event.name == CONNECT:
        given[Auth] = event.auth
    elif event.name == DISCONNECT:
        given[Reason] = event.reason
    else:
        given[Data] = event.data
    return given


def give_connection(server: Any, sid: str, environ: dict[str, Any]) -> Mapping[Any, Any]:
    """Make what the container of a connection is given."""
    return {**dict.fromkeys(classes_of(server), server), SocketID: sid, Environ: environ}


def classes_of(server: Any) -> tuple[type, ...]:
    """List the classes by which a handler may ask for *server*."""
    return tuple(kind for kind in type(server).__mro__ if kind is not object)


def expected_keys(server: Any) -> tuple[Any, ...]:
    """List what is given to containers, so that nobody need register it."""
    return (*classes_of(server), *FACTS)
