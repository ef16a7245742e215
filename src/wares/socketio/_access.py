"""The container of the event that is being handled, or of a connection.

This module knows where containers are kept. It must not know how they come and go.
"""

from __future__ import annotations

import socketio

from wares._core.container import Container
from wares.exceptions import NoContainerError
from wares.socketio._hook import current_serving
from wares.socketio._server import find_dispatch


def wares_from(
    sid: str | None = None,
    *,
    sio: socketio.AsyncServer | socketio.Server | None = None,
    namespace: str | None = None,
) -> Container:
    """Get the container of the event that is being handled, or that of a connection.

    Args:
        sid: A client's id, for the container of its connection, which lasts until the client has
            disconnected. Left out, it is the container of the event.
        sio: The server that the client is connected to. Left out, it is the one whose event is
            being handled.
        namespace: The namespace. Left out, it is that of the event that is being handled, or
            ``"/"`` where *sio* is named.

    Returns:
        The container.

    Raises:
        NoContainerError: No event is being handled, or there is no such connection here.
    """
    if sid is None:
        return current_serving().container
    if sio is None:
        serving = current_serving()
        hook, near = serving.hook, serving.event.namespace
    else:
        hook, near = find_dispatch(sio).hook, "/"
    connection = hook.connections.find((namespace or near, sid))
    if connection is None:
        raise NoContainerError(
            f"The client {sid} has no connection to {namespace or near} in this process: it has "
            f"disconnected, or another process serves it."
        )
    return connection.container
