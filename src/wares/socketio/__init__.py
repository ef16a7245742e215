"""A container for each connection and each event of a Socket.IO server.

The public names. What starts with an underscore may change at any time.
"""

from socketio import (
    ASGIApp,
    AsyncAioPikaManager,
    AsyncClient,
    AsyncClientNamespace,
    AsyncManager,
    AsyncNamespace,
    AsyncRedisManager,
    AsyncSimpleClient,
    Client,
    ClientNamespace,
    KafkaManager,
    KombuManager,
    Manager,
    Middleware,
    Namespace,
    PubSubManager,
    RedisManager,
    SimpleClient,
    WSGIApp,
    ZmqManager,
    get_tornado_handler,
)

from wares._inject.markers import Depends, Inject
from wares.socketio._access import wares_from
from wares.socketio._arguments import Auth, Data, Environ, Event, Reason, SocketID
from wares.socketio._asyncapi import asyncapi
from wares.socketio._events import SocketEvent
from wares.socketio._middlewares import (
    BaseMiddleware,
    SyncMiddleware,
    auth_middleware,
    logging_middleware,
    rate_limit_middleware,
)
from wares.socketio._pages import AsyncAPIApp, AsyncAPIWSGIApp
from wares.socketio._payloads import PayloadError
from wares.socketio._registries import expect, register_dependency
from wares.socketio._router import RouterSIO
from wares.socketio._server import AsyncServer, Server, include_router, init_app

__all__ = [
    "ASGIApp",
    "AsyncAPIApp",
    "AsyncAPIWSGIApp",
    "AsyncAioPikaManager",
    "AsyncClient",
    "AsyncClientNamespace",
    "AsyncManager",
    "AsyncNamespace",
    "AsyncRedisManager",
    "AsyncServer",
    "AsyncSimpleClient",
    "Auth",
    "BaseMiddleware",
    "Client",
    "ClientNamespace",
    "Data",
    "Depends",
    "Environ",
    "Event",
    "Inject",
    "KafkaManager",
    "KombuManager",
    "Manager",
    "Middleware",
    "Namespace",
    "PayloadError",
    "PubSubManager",
    "Reason",
    "RedisManager",
    "RouterSIO",
    "Server",
    "SimpleClient",
    "SocketEvent",
    "SocketID",
    "SyncMiddleware",
    "WSGIApp",
    "ZmqManager",
    "asyncapi",
    "auth_middleware",
    "expect",
    "get_tornado_handler",
    "include_router",
    "init_app",
    "logging_middleware",
    "rate_limit_middleware",
    "register_dependency",
    "wares_from",
]
