"""An event of a client: its facts, and the types with which handlers ask for them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, NewType, TypeAlias

import attrs

CONNECT = "connect"
DISCONNECT = "disconnect"

#: The arguments that python-socketio passes after the sid, for the events without a payload.
_REST: Mapping[str, tuple[str, ...]] = {CONNECT: ("environ", "auth"), DISCONNECT: ("reason",)}


def has_payload(event: str) -> bool:
    """Tell whether a client can send a payload with an event of this name."""
    return event not in _REST


def labels_of(event: str) -> tuple[str, ...]:
    """Return the names of the arguments that python-socketio passes before the payload."""
    return ("sid", *_REST.get(event, ()))


@attrs.frozen
class Argument:
    """Metadata that makes `Auth` and `Data` differ from `Any`, and names them in messages."""

    __wares_name__: str


#: The client's id within the namespace.
SocketID = NewType("SocketID", str)

#: The WSGI environment of the request with which the client connected; python-socketio keeps it.
Environ = NewType("Environ", dict[str, Any])

#: Why the client disconnected. Only handlers of ``disconnect`` can ask for it.
Reason = NewType("Reason", str)

#: The name of the event.
Event = NewType("Event", str)

#: The data with which the client logs in, or None. Only handlers of ``connect`` can ask for it.
Auth: TypeAlias = Annotated[Any, Argument("Auth")]

#: The payload as it came: one argument, a list of several, or None. Handlers of ``connect`` and
#: ``disconnect`` cannot ask for it.
Data: TypeAlias = Annotated[Any, Argument("Data")]


# Without slots, because a frozen class with them takes three times as long to instantiate.
@attrs.frozen(slots=False)
class SocketEvent:
    """An event that a client sent, or the beginning or the end of its connection.

    Attributes:
        server: The Socket.IO server.
        name: The name of the event.
        namespace: The namespace in which it happened.
        sid: The client's id.
        environ: The environment of the request with which the client connected.
        arguments: The payload, one item for each argument that the client sent.
        auth: The data with which the client logs in; for ``connect``.
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


#: The facts that only one event has; any other event has `Data`.
_OWN_FACTS: Mapping[str, Any] = {CONNECT: Auth, DISCONNECT: Reason}


def read_event(
    server: Any, name: str, namespace: str, environ: dict[str, Any], raw: tuple[Any, ...]
) -> SocketEvent:
    """Make an event from the arguments with which python-socketio triggers it."""
    labels = labels_of(name)
    facts = {"environ": environ, **dict(zip(labels, raw, strict=False))}
    return SocketEvent(server, name, namespace, arguments=raw[len(labels) :], **facts)


def give_event(event: SocketEvent) -> Mapping[Any, Any]:
    """Return the objects to give to the container of *event*, besides those of its connection."""
    own = _OWN_FACTS.get(event.name, Data)
    return {Event: event.name, SocketEvent: event, own: getattr(event, FACTS[own])}
