"""Servers whose connections and events have containers.

`init_app` gives containers to a server of python-socketio; the servers of this module have them
from the start.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

import socketio

from wares._adapters.registries import demand, demand_kind, demand_registry
from wares._core.container import Container, Registry
from wares.exceptions import InvalidRegistrationError, NoContainerError
from wares.socketio._dispatch import Dispatch
from wares.socketio._events import FACTS, SocketEvent
from wares.socketio._hook import Hook
from wares.socketio._routers import Registering, RouterSIO
from wares.socketio._serving import current_serving

AnyServer = TypeVar("AnyServer", socketio.AsyncServer, socketio.Server)

#: The attribute of a server that keeps its `Dispatch`.
DISPATCH_KEY = "_wares_dispatch"


def init_app(
    sio: AnyServer,
    registry: Registry | None = None,
    *,
    dependencies: Sequence[Any] = (),
    validate: bool = True,
) -> AnyServer:
    """Give each connection of a Socket.IO server a container, and each event one within it.

    The server is changed in place. Its handlers, whether they are registered before or after this
    call, may ask for services; handlers that ask for none are called as before.

    Initialise a server again to give it another registry, which serves new connections, or to
    change *validate*.

    Args:
        sio: The server.
        registry: The registry to use; by default the one in the state of the lifespan
            (``environ["asgi.scope"]["state"]``), or else an empty one.
        dependencies: Markers of dependencies to resolve before each handler runs; their results
            are not used.
        validate: Whether to refuse clients, and log why, if a service cannot be made that is
            registered or that a handler asks for. Clients are refused in any case if a parameter
            without a marker has the type of a service.

    Returns:
        The server.

    Raises:
        InvalidRegistrationError: *sio* is no server of python-socketio, *registry* is no registry,
            or a handler is asynchronous and the server is not.
        UnresolvableParameterError: A handler has a parameter that nothing can fill.
    """
    kinds = socketio.AsyncServer | socketio.Server
    demand_kind(sio, kinds, "init_app takes a socketio.AsyncServer or a socketio.Server")
    demand_registry(registry)
    dispatch: Dispatch | None = vars(sio).get(DISPATCH_KEY)
    if dispatch is None:
        dispatch = Dispatch(sio, dependencies)
        Hook(dispatch).install()
        setattr(sio, DISPATCH_KEY, dispatch)
    elif dependencies:
        raise InvalidRegistrationError(
            "The Socket.IO server has been initialised already, so these dependencies would not "
            "run. Pass them when it is initialised for the first time, or to a RouterSIO."
        )
    dispatch.use(registry, validates=validate)
    return sio


def find_dispatch(sio: socketio.AsyncServer | socketio.Server) -> Dispatch:
    """Return the `Dispatch` of a server that has been initialised."""
    dispatch: Dispatch | None = vars(sio).get(DISPATCH_KEY)
    advice = "The Socket.IO server has not been initialised: wares.socketio.init_app(sio)"
    return demand(dispatch, InvalidRegistrationError, advice)


def include_router(sio: socketio.AsyncServer | socketio.Server, router: RouterSIO) -> None:
    """Register the handlers of a router on a server, with the router's middlewares and the like.

    Args:
        sio: The server, after `init_app`.
        router: The router. Handlers that are added to it later are not registered on this server.

    Raises:
        InvalidRegistrationError: The server has not been initialised, or a handler is asynchronous
            and the server is not.
        UnresolvableParameterError: A handler has a parameter that nothing can fill.
    """
    find_dispatch(sio).add_router(router)


def expect(registry: Registry) -> None:
    """Announce the Socket.IO objects that containers of connections and events are given.

    After that, `wares.Registry.validate`, which lifespans call, accepts factories that need them.
    A registry that was passed to `init_app` needs no such call.

    Args:
        registry: The registry.
    """
    registry.expect(*FACTS, SocketEvent, socketio.AsyncServer, socketio.Server)


def wares_from(
    sid: str | None = None,
    *,
    sio: socketio.AsyncServer | socketio.Server | None = None,
    namespace: str | None = None,
) -> Container:
    """Get the container of the event that is being handled, or the container of a connection.

    Args:
        sid: The id of a client. The result is then the container of its connection, which lasts
            until the client has disconnected. By default, the result is the container of the event.
        sio: The server that the client is connected to; by default, the one whose event is being
            handled.
        namespace: The namespace of the connection; by default ``"/"`` if *sio* is passed, or else
            the namespace of the event.

    Returns:
        The container.

    Raises:
        NoContainerError: No event is being handled, or this process has no such connection.
    """
    if sid is None:
        return current_serving().container
    server, near = sio, "/"
    if server is None:
        event = current_serving().event
        server, near = event.server, event.namespace
    connection = find_dispatch(server).connections.find((namespace or near, sid))
    reason = (
        f"The client {sid} has no connection to {namespace or near} in this process: it has "
        f"disconnected, or another process serves it."
    )
    return demand(connection, NoContainerError, reason).container


class Declaring(Registering):
    """The methods and options that the servers of this package add to python-socketio's."""

    def __init__(
        self,
        *args: Any,
        registry: Registry | None = None,
        dependencies: Sequence[Any] = (),
        validate: bool = True,
        **options: Any,
    ) -> None:
        super().__init__(*args, **options)
        server: Any = self  # only servers inherit from this class
        init_app(server, registry, dependencies=dependencies, validate=validate)
        self._dispatch = find_dispatch(server)
        self._route = self._dispatch._route
        self._register = self._dispatch._register


class AsyncServer(Declaring, socketio.AsyncServer):
    """python-socketio's asynchronous server, initialised by `init_app`.

    Args:
        registry: As in `init_app`.
        dependencies: As in `init_app`.
        validate: As in `init_app`.
        options: The options of `socketio.AsyncServer`.
    """


class Server(Declaring, socketio.Server):
    """python-socketio's synchronous server, initialised by `init_app`; see `AsyncServer`."""
