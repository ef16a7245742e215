"""What is registered on a server: its registry, its handlers, and what is around these.

python-socketio keeps handlers that `on` has registered in ``handlers``, and those that
`register_namespace` has registered in ``namespace_handlers``. This module replaces each of them
with a wrapper. One implementation serves both kinds of server: see `_coroutines`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Coroutine, Iterator, Sequence
from typing import Any
from weakref import WeakSet

from wares._adapters.lifespan import REGISTRY_KEY
from wares._core.annotations import Viewpoint
from wares._core.callables import describe_callable, read_shape
from wares._core.container import Registry
from wares._core.keys import describe
from wares._core.registrations import Registrations
from wares._inject.injected import find_missing
from wares.exceptions import UnresolvableParameterError, WaresError, raise_problems
from wares.socketio._connections import Connections
from wares.socketio._coroutines import as_function
from wares.socketio._events import CONNECT, FACTS, SocketEvent
from wares.socketio._handlers import Handler
from wares.socketio._parameters import Place, place_of
from wares.socketio._registered import Registered
from wares.socketio._routers import Definition, Registering, Route, Routes
from wares.socketio._serving import Serving, refuse_async

#: The registry of connections for which neither `init_app` nor a lifespan has one.
DEFAULT = Registry()


class Dispatch(Registering):
    """What is registered on one server.

    Args:
        server: The server.
        dependencies: Markers of dependencies to resolve before each handler runs.

    Attributes:
        server: The server.
        can_await: Whether the server is asynchronous.
        own_registry: The registry to use, or None to find one for each connection.
        given: The objects to give to the container of each connection.
        connections: The connections that are open.
        handlers: The handlers, by kind (function or method), namespace and event.
        emitted: The types of payloads that ``emits`` has declared, by namespace and event.
    """

    def __init__(self, server: Any, dependencies: Sequence[Any]) -> None:
        self.server = server
        self.can_await: bool = server.is_asyncio_based()
        self.own_registry: Registry | None = None
        # Handlers may ask for the server by each of its classes.
        self.given: dict[Any, Any] = dict.fromkeys(type(server).__mro__[:-1], server)
        self.connections = Connections(can_await=self.can_await)
        self.handlers: dict[tuple[str, str, str], Registered] = {}
        self.emitted: dict[tuple[str, str], Any] = {}
        self._validates = True
        self._route = Route(tuple(dependencies))
        self._register = lambda step: step(self, "", (self._route,))
        self._announced: WeakSet[Registrations] = WeakSet()
        self._checked: WeakSet[Registrations] = WeakSet()
        accept = Definition(self.as_method(_accept))
        self._no_handler = self._make(accept, place_of(CONNECT, "/"), (self._route,))
        self._install()

    @property
    def registry(self) -> Registry:
        """The registry of connections without a lifespan."""
        return self.find_registry(None)

    def _install(self) -> None:
        """Replace the methods of the server, and wrap the handlers that it already has."""
        server, own = self.server, vars(self.server)
        # The servers of this package have methods of their own.
        is_ours = isinstance(server, Registering)
        native: Any = super(Registering, server) if is_ours else server
        self._on, self._register_namespace = native.on, native.register_namespace
        if not is_ours:
            own.update(on=self.on, register_namespace=self.register_namespace)
        for namespace, handlers in server.handlers.items():
            for event, handler in handlers.items():
                self.on(event, handler, namespace)
        for namespace_handler in server.namespace_handlers.values():
            self.register_namespace(namespace_handler)

    def add(self, definition: Definition, place: Place, routes: Routes) -> None:
        """Register a handler."""
        made = self._make(definition, place, routes)
        self.handlers["function", place.namespace, place.event] = made
        self._on(place.event, self.as_method(made.take), place.namespace)

    def add_namespace(self, namespace: Any, routes: Routes, viewpoint: Viewpoint) -> None:
        """Register an object whose methods are handlers."""
        self._register_namespace(namespace)
        own = vars(namespace)
        # The object, or the one that it is a copy of, may have been registered before.
        for name, (wrapper, replaced) in own.pop("_wares_wrapped", {}).items():
            if own.get(name) is wrapper:
                del own[name]
                own.update(replaced)
        wrapped = own["_wares_wrapped"] = {}
        for name in [one for one in dir(namespace) if one.startswith("on_")]:
            method = getattr(namespace, name)
            if callable(method):
                place = place_of(name.removeprefix("on_"), namespace.namespace)
                made = self._make(Definition(method, viewpoint), place, routes)
                self.handlers["method", place.namespace, place.event] = made
                wrapper = self.as_method(made.take)
                wrapped[name] = wrapper, {name: own[name]} if name in own else {}
                own[name] = wrapper

    def _make(self, definition: Definition, place: Place, routes: Routes) -> Registered:
        dependencies = [marker for route in routes for marker in route.dependencies]
        function, viewpoint = definition.function, definition.viewpoint
        handler = Handler(function, place, viewpoint, dependencies=dependencies)
        self.accept(handler)
        return Registered(handler, routes, definition.response_model, can_await=self.can_await)

    def as_method(self, work: Callable[..., Coroutine[Any, Any, Any]]) -> Callable[..., Any]:
        """Return *work* as a function for the server to call, synchronous if the server is."""
        return work if self.can_await else as_function(work)

    def accept(self, handler: Handler) -> None:
        """Accept a handler if the server can call it; registries are then checked again.

        Raises:
            InvalidRegistrationError: It is asynchronous, and the server is not.
        """
        if not self.can_await and read_shape(handler.function).is_async:
            raise refuse_async(handler.function)
        self._checked.clear()

    async def let_in(self, serving: Serving) -> Any:
        """Let the middlewares decide on a client that connects without a connect handler."""
        return await self._no_handler.take_over(serving) if self._route.middlewares else None

    def find_registry(self, environ: Any) -> Registry:
        """Find the registry of a connection: the server's, the lifespan's, or the default one."""
        state = find_in_scope(environ, "state") or {}
        found: Registry = self.own_registry or state.get(REGISTRY_KEY, DEFAULT)
        return found

    def use(self, registry: Registry | None, *, validates: bool) -> None:
        """Use another registry for new connections, if there is one, and check it or not."""
        self._validates = validates
        self._checked.clear()
        if registry is not None:
            self.own_registry = registry
            self.prepare(registry)

    def prepare(self, registry: Registry) -> None:
        """Announce given objects to *registry*, and close its connections with it; only once."""
        if registry._registrations not in self._announced:
            self._announced.add(registry._registrations)
            registry.expect(*FACTS, SocketEvent, *self.given)
            registry._before_close.append(lambda: self.connections.end_with(registry))

    def check(self, registry: Registry) -> None:
        """Check once that *registry* can make its services, and those that handlers need."""
        self.prepare(registry)
        # Clients must not send services, even if nothing is validated or one is registered later.
        problems: list[Exception] = [*self._find_unmarked(registry)]
        if self._validates and registry._registrations not in self._checked:
            problems = [*registry.graph().problems, *self.find_problems(registry)]
        raise_problems("The Socket.IO server does not start, because of", problems)
        self._checked.add(registry._registrations)

    def find_problems(self, registry: Registry) -> Iterator[WaresError]:
        """Find the services that handlers need and *registry* lacks."""
        self.prepare(registry)
        yield from find_missing([handler.called for handler in self._find_called()], registry)
        yield from self._find_unmarked(registry)

    def _find_called(self) -> Collection[Handler]:
        """Find the handlers, and the middlewares and exception handlers around them."""
        registered = self.handlers.values()
        called = dict.fromkeys(made.handler for made in registered)
        for route in [self._route, *(route for made in registered for route in made.routes)]:
            called |= dict.fromkeys([*route.middlewares, *route.answers.values()])
        return called

    def _find_unmarked(self, registry: Registry) -> Iterator[WaresError]:
        """Find the parameters without a marker whose types are those of services."""
        known = {*registry, *registry._registrations.expected}
        for handler in self._find_called():
            for parameter in handler.parameters:
                if parameter.key in known:
                    yield UnresolvableParameterError(
                        parameter.name,
                        describe_callable(handler.function),
                        f"a service is registered or expected under its type, but without a "
                        f"marker no service is passed. To get it, write "
                        f"Inject[{describe(parameter.key)}].",
                    )


async def _accept(*_: Any) -> None:
    """Act as the connect handler of a namespace that has none, so that middlewares run."""


def find_in_scope(environ: Any, key: str) -> Any:
    """Find a key in the ASGI scope of the request with which a client connected."""
    # Tests of applications pass anything as the environment, and python-socketio accepts it.
    scope = environ.get("asgi.scope") if isinstance(environ, dict) else None
    return scope.get(key) if isinstance(scope, dict) else None
