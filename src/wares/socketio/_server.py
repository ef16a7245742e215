"""Servers with containers: one that exists is given them, or a new one has them from the start.

This module knows python-socketio's servers from outside. It must not know how events are served.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import socketio

from wares._core.container import Registry
from wares.exceptions import InvalidRegistrationError
from wares.socketio._dispatch import Dispatch
from wares.socketio._hook import Hook
from wares.socketio._middlewares import Adapted, BaseMiddleware, adapt, as_names
from wares.socketio._router import Registering, RouterSIO
from wares.socketio._routes import F

AnyServer = TypeVar("AnyServer", socketio.AsyncServer, socketio.Server)

#: Where the dispatch is found on a server.
DISPATCH_KEY = "_wares_dispatch"


def init_app(
    sio: AnyServer,
    registry: Registry | None = None,
    *,
    dependencies: Sequence[Any] = (),
    shows_input: bool = False,
) -> AnyServer:
    """Give each connection of a Socket.IO server a container, and each event one within it.

    The server is changed in place. Handlers that are registered already, and those that are
    registered later, may ask for services; those that do not are called as before.

    Initialise a server again to give it another registry, which serves new connections.

    Args:
        sio: The server.
        registry: Where services are registered. Left out, it is the one that the state of the
            lifespan carries (``environ["asgi.scope"]["state"]``), or else the default one, on
            which `register_dependency` registers.
        dependencies: Markers of what is made for its effect, before each handler runs.
        shows_input: Whether an answer that refuses a payload shows what was sent.

    Returns:
        The server.

    Raises:
        InvalidRegistrationError: It is no server of python-socketio.
        UnresolvableParameterError: A handler has a parameter that nothing can fill.
    """
    if not isinstance(sio, socketio.AsyncServer | socketio.Server):
        raise InvalidRegistrationError(
            f"wares.socketio serves a socketio.AsyncServer or a socketio.Server, not a "
            f"{type(sio).__qualname__}."
        )
    dispatch: Dispatch | None = vars(sio).get(DISPATCH_KEY)
    if dispatch is None:
        dispatch = Dispatch(Hook(sio, registry))
        dispatch.route.dependencies = tuple(dependencies)
        dispatch.shows_input = shows_input
        dispatch.install()
        dispatch.hook.install()
        setattr(sio, DISPATCH_KEY, dispatch)
    elif registry is not None:
        dispatch.hook.registry = registry
    if registry is not None:
        dispatch.hook.prepare(registry)
    return sio


def find_dispatch(sio: socketio.AsyncServer | socketio.Server) -> Dispatch:
    """Find what `init_app` has put into a server.

    Raises:
        InvalidRegistrationError: The server has not been initialised.
    """
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
        InvalidRegistrationError: The server has not been initialised.
        UnresolvableParameterError: A handler has a parameter that nothing can fill.
    """
    dispatch = find_dispatch(sio)
    for declared in router.all_handlers():
        dispatch.add(
            declared.place,
            declared.handler,
            declared.route.within(dispatch.route),
            response_model=declared.response_model,
            frame=declared.frame,
        )
    for namespace, route in router.all_namespaces():
        dispatch.add_namespace(namespace, route.within(dispatch.route))
    dispatch.emitted.update(router.all_emitted())


if TYPE_CHECKING:
    # What `init_app` puts there when the program runs.
    _Registering = Registering
else:
    _Registering = object


class _Declaring(_Registering):
    """What the servers of this package have beyond those of python-socketio."""

    def _as_server(self) -> Any:
        """Be a server: this is mixed into nothing else."""
        return self

    def add_router(self, router: RouterSIO) -> None:
        """Register what has been registered on a router; see `include_router`."""
        include_router(self._as_server(), router)

    def add_routers(self, *routers: RouterSIO) -> None:
        """Register what has been registered on several routers."""
        for router in routers:
            self.add_router(router)

    def exception_handler(self, kind: type[Exception]) -> Callable[[F], F]:
        """Make a decorator for what answers exceptions of a class.

        What it returns is the acknowledgement. It may declare whatever a handler may, and the
        exception by its annotation. Of several, the most specific one answers; those of a router
        come before those of the server.

        Args:
            kind: The class of the exceptions.

        Raises:
            InvalidRegistrationError: It is no class of exceptions.
        """
        return find_dispatch(self._as_server()).route.add_answer(kind)

    def middleware(self, middleware: F) -> F:
        """Wrap each event that goes to a handler; usable as a decorator.

        Args:
            middleware: A function that takes ``call_next`` and the event, and returns the
                acknowledgement. It may declare whatever a handler may behind them.

        Raises:
            InvalidRegistrationError: It is not callable.
        """
        return find_dispatch(self._as_server()).route.add_middleware(middleware)

    def add_middleware(
        self,
        middleware: BaseMiddleware,
        events: str | Iterable[str] | None = None,
        namespace: str | None = None,
        global_middleware: bool = False,
    ) -> None:
        """Wrap the events that a middleware is for, which is an instance of a class.

        Args:
            middleware: The middleware.
            events: The names of the events that it is for from now on, instead of its own.
            namespace: The namespace that it is for from now on, instead of its own.
            global_middleware: Whether to note on it that it is for all events.

        Raises:
            InvalidRegistrationError: It is of another kind, or asynchronous where the server is
                not.
        """
        dispatch = find_dispatch(self._as_server())
        adapted = adapt(middleware, can_await=dispatch.hook.can_await)
        if events is not None:
            middleware.events = as_names(events)
        if namespace is not None:
            middleware.namespace = namespace
        if global_middleware:
            middleware.global_middleware = True
        dispatch.route.add_middleware(adapted)

    def remove_middleware(self, middleware: BaseMiddleware) -> None:
        """Wrap events no longer by what `add_middleware` has added, if it has."""
        adapted = next((one for one in self._adapted() if one.middleware is middleware), None)
        if adapted is not None:
            find_dispatch(self._as_server()).route.middlewares.remove(adapted)

    def get_middlewares(self) -> list[BaseMiddleware]:
        """List what `add_middleware` has added."""
        return [adapted.middleware for adapted in self._adapted()]

    def _adapted(self) -> list[Adapted]:
        added = find_dispatch(self._as_server()).route.middlewares
        return [one for one in added if isinstance(one, Adapted)]

    def emits(self, event: str, model: Any, *, namespace: str = "/") -> None:
        """Declare for `asyncapi` what the server emits.

        Args:
            event: The name of the event.
            model: The type of its payload.
            namespace: The namespace in which it is emitted.
        """
        find_dispatch(self._as_server()).emitted[namespace, event] = model


class AsyncServer(_Declaring, socketio.AsyncServer):
    """python-socketio's asynchronous server, initialised by `init_app`.

    Args:
        registry: As in `init_app`.
        dependencies: As in `init_app`.
        shows_input: As in `init_app`.
        options: Everything else is python-socketio's.
    """

    def __init__(
        self,
        *args: Any,
        registry: Registry | None = None,
        dependencies: Sequence[Any] = (),
        shows_input: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(*args, **options)  # type: ignore[no-untyped-call]  # python-socketio has no types
        init_app(self, registry, dependencies=dependencies, shows_input=shows_input)


class Server(_Declaring, socketio.Server):
    """python-socketio's synchronous server, initialised by `init_app`.

    Args:
        registry: As in `init_app`.
        dependencies: As in `init_app`.
        shows_input: As in `init_app`.
        options: Everything else is python-socketio's.
    """

    def __init__(
        self,
        *args: Any,
        registry: Registry | None = None,
        dependencies: Sequence[Any] = (),
        shows_input: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(*args, **options)  # type: ignore[no-untyped-call]  # python-socketio has no types
        init_app(self, registry, dependencies=dependencies, shows_input=shows_input)
