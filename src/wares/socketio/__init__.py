"""A container for each connection and each event of a Socket.IO server.

This module has the public names; modules that start with an underscore may change at any time.
`wares.socketio.fastsio` has the names that only an application that comes from fastsio needs.
"""

from wares._adapters.extras import needs_extra

with needs_extra("wares.socketio", "socketio"):
    from wares.socketio._asyncapi import asyncapi
    from wares.socketio._events import (
        Auth,
        Data,
        Environ,
        Event,
        Reason,
        SocketEvent,
        SocketID,
    )
    from wares.socketio._pages import AsyncAPIApp, AsyncAPIWSGIApp
    from wares.socketio._payloads import AnswerError, PayloadError
    from wares.socketio._routers import RouterSIO
    from wares.socketio._servers import (
        AsyncServer,
        Server,
        expect,
        include_router,
        init_app,
        wares_from,
    )
    from wares.socketio._testing import TestClient

__all__ = [
    "AnswerError",
    "AsyncAPIApp",
    "AsyncAPIWSGIApp",
    "AsyncServer",
    "Auth",
    "Data",
    "Environ",
    "Event",
    "PayloadError",
    "Reason",
    "RouterSIO",
    "Server",
    "SocketEvent",
    "SocketID",
    "TestClient",
    "asyncapi",
    "expect",
    "include_router",
    "init_app",
    "wares_from",
]
