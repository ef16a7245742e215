"""One event of one client, as facts, and the names by which a handler asks for them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, NewType, TypeAlias

import attrs

CONNECT = "connect"
DISCONNECT = "disconnect"


@attrs.frozen
class Argument:
    """What tells a raw argument of an event from any other `Any`."""

    name: str


#: The client's id within the namespace.
SocketID = NewType("SocketID", str)

#: The WSGI environment of the request by which the client connected, as python-socketio keeps it.
Environ = NewType("Environ", dict[str, Any])

#: Why the client disconnected; in handlers of ``disconnect`` only.
Reason = NewType("Reason", str)

#: The name of the event.
Event = NewType("Event", str)

#: What the client sent to be let in, or None; in handlers of ``connect`` only.
Auth: TypeAlias = Annotated[Any, Argument("auth")]

#: The payload as it came: one argument, a list of several, or None; not in handlers of
#: ``connect`` and ``disconnect``.
Data: TypeAlias = Annotated[Any, Argument("data")]


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


#: The annotations that stand for a fact of the event, and the attributes that hold it.
FACTS: Mapping[Any, str] = {
    SocketID: "sid",
    Environ: "environ",
    Event: "name",
    Auth: "auth",
    Reason: "reason",
    Data: "data",
}


def read_event(
    server: Any, name: str, namespace: str, environ: dict[str, Any], raw: tuple[Any, ...]
) -> SocketEvent:
    """Read what python-socketio triggers with."""
    sid, rest = raw[0], raw[1:]
    if name == CONNECT:
        auth = rest[1] if len(rest) > 1 else None
        return SocketEvent(server, name, namespace, sid, environ, auth=auth)
    if name == DISCONNECT:
        reason = rest[0] if rest else None
        return SocketEvent(server, name, namespace, sid, environ, reason=reason)
    return SocketEvent(server, name, namespace, sid, environ, rest)


def give_event(event: SocketEvent) -> Mapping[Any, Any]:
    """Collect what the container of *event* is given, in addition to its connection's."""
    given: dict[Any, Any] = {Event: event.name, SocketEvent: event}
    if event.name == CONNECT:
        given[Auth] = event.auth
    elif event.name == DISCONNECT:
        given[Reason] = event.reason
    else:
        given[Data] = event.data
    return given
