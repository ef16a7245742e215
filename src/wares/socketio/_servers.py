"""Servers with containers: one that exists is given them, or a new one has them from the start."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

import socketio

from wares._core.container import Container, Registry
from wares.exceptions import InvalidRegistrationError, NoContainerError
from wares.socketio._dispatch import Dispatch
from wares.socketio._events import FACTS, SocketEvent
from wares.socketio._hook import current_serving
from wares.socketio._routers import Registering, RouterSIO, Step

AnyServer = TypeVar("AnyServer", socketio.AsyncServer, socketio.Server)

#: Where the dispatch is found on a server.
DISPATCH_KEY = "_wares_dispatch"


def init_app(
    sio: AnyServer,
    registry: Registry | None = None,
    *,
    dependencies: Sequence[Any] = (),
    validate: bool = True,
) -> AnyServer:
    """Give each connection of a Socket.IO server a container, and each event one within it.

    The server is changed in place. Handlers that are registered already, and those that are
    registered later, may ask for services; those that do not are called as before.

    Initialise a server again to give it another registry, which serves new connections.

    Args:
        sio: The server.
        registry: Where services are registered. Left out, it is the one that the state of the
            lifespan carries (``environ["asgi.scope"]["state"]``), or else an empty one.
        dependencies: Markers of what is made for its effect, before each handler runs.
        validate: Whether clients are refused, and the log tells why, if something cannot be made
            that is registered, or that a handler asks for.

    Returns:
        The server.

    Raises:
        InvalidRegistrationError: It is no server of python-socketio, or a handler is asynchronous
            and the server is not.
        UnresolvableParameterError: A handler has a parameter that nothing can fill.
    """
    if not isinstance(sio, socketio.AsyncServer | socketio.Server):
        raise InvalidRegistrationError(
            f"wares.socketio serves a socketio.AsyncServer or a socketio.Server, not a "
            f"{type(sio).__qualname__}."
        )
    dispatch: Dispatch | None = vars(sio).get(DISPATCH_KEY)
    if dispatch is None:
        dispatch = Dispatch(sio, registry, dependencies, validates=validate)
        dispatch.install()
        setattr(sio, DISPATCH_KEY, dispatch)
    elif registry is not None:
        dispatch.hook.registry = registry
    if registry is not None:
        dispatch.hook.prepare(registry)
    return sio


def find_dispatch(sio: socketio.AsyncServer | socketio.Server) -> Dispatch:
    """Find what `init_app` has put into a server."""
    dispatch: Dispatch | None = vars(sio).get(DISPATCH_KEY)
    if dispatch is None:
        raise InvalidRegistrationError(
            "The Socket.IO server has not been initialised: wares.socketio.init_app(sio)"
        )
    return dispatch


def include_router(sio: socketio.AsyncServer | socketio.Server, router: RouterSIO) -> None:
    """Register on a server what has been registered on a router.

    Args:
        sio: The server, after `init_app`.
        router: The router. What is registered on it later counts for the next server only.

    Raises:
        InvalidRegistrationError: The server has not been initialised, or something is
            asynchronous and the server is not.
        UnresolvableParameterError: A handler has a parameter that nothing can fill.
    """
    find_dispatch(sio).add_router(router)


def expect(registry: Registry) -> None:
    """Announce to a registry what containers of connections and events are given.

    Then `wares.Registry.validate`, which lifespans call, does not take for missing what factories
    need of Socket.IO. A registry that `init_app` was given knows already.

    Args:
        registry: Where services are registered.
    """
    registry.expect(*FACTS, SocketEvent, socketio.AsyncServer, socketio.Server)


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


class Declaring(Registering):
    """What the servers of this package have beyond those of python-socketio."""

    def __init__(
        self,
        *args: Any,
        registry: Registry | None = None,
        dependencies: Sequence[Any] = (),
        validate: bool = True,
        **options: Any,
    ) -> None:
        super().__init__(*args, **options)
        server: Any = self  # this is mixed into servers only
        init_app(
            server,
            registry,
            dependencies=dependencies,
            validate=validate,
        )
        self._dispatch = find_dispatch(server)
        self._route = self._dispatch._route

    def _register(self, step: Step) -> None:
        self._dispatch._register(step)


class AsyncServer(Declaring, socketio.AsyncServer):
    """python-socketio's asynchronous server, initialised by `init_app`.

    Args:
        registry: As in `init_app`.
        dependencies: As in `init_app`.
        validate: As in `init_app`.
        options: Everything else is python-socketio's.
    """


class Server(Declaring, socketio.Server):
    """python-socketio's synchronous server, initialised by `init_app`; see `AsyncServer`."""
