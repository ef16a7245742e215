"""What a handler may ask for by annotation, beside its payload and its services.

This module knows names of types. It must not know how they are filled.
"""

from __future__ import annotations

from typing import Annotated, Any, NewType, TypeAlias

import attrs


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
