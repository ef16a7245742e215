"""The handlers of a server, with the middlewares and exception handlers around them.

python-socketio keeps handlers that `on` has registered in ``handlers``, and those that
`register_namespace` has registered in ``namespace_handlers``. This module replaces each of them
with a wrapper. One implementation serves both kinds of server: see `_coroutines`.
"""

from __future__ import annotations

import inspect
import logging
import types
from collections.abc import Callable, Iterator, Sequence
from typing import Any
from weakref import WeakSet

from socketio.exceptions import ConnectionRefusedError as Refusal

from wares._core.container import Registry
from wares._core.keys import MISSING
from wares._inject.injected import find_missing, find_missing_below
from wares.exceptions import WaresError
from wares.socketio._coroutines import run
from wares.socketio._events import CONNECT, DISCONNECT, SocketEvent
from wares.socketio._handlers import Handler
from wares.socketio._hook import DEFAULT, REFUSALS, Hook, Serving, find_serving, is_answered
from wares.socketio._parameters import place_of
from wares.socketio._payloads import AnswerError, PayloadError, find_adapter, write_answer
from wares.socketio._routers import Registering, Route, Routes, Step, find_frame

_log = logging.getLogger("wares")


class Dispatch(Registering):
    """The handlers of one server.

    Attributes:
        hook: The hook, which opens the containers.
        handlers: The handlers, by kind (function or method), namespace and event.
        emitted: The types of payloads that ``emits`` has declared, by namespace and event.
    """

    def __init__(
        self,
        server: Any,
        registry: Registry | None,
        dependencies: Sequence[Any],
        *,
        validates: bool,
    ) -> None:
        self.hook = Hook(
            server,
            registry,
            find_problems=self.find_problems,
            let_in=self._let_in,
            validates=validates,
        )
        self.emitted: dict[tuple[str, str], Any] = {}
        self._route = Route(tuple(dependencies))
        self._server = server
        self.handlers: dict[tuple[str, str, str], Registered] = {}
        self._namespaces: WeakSet[Any] = WeakSet()
        accept = self.hook.as_method(_accept)
        self._no_handler = self._make(accept, CONNECT, "/", (self._route,))

    @property
    def registry(self) -> Registry:
        """The registry of connections without a lifespan."""
        return self.hook.registry or DEFAULT

    def install(self) -> None:
        """Replace the methods of the server, and wrap the handlers that it already has."""
        server, own = self._server, vars(self._server)
        # The servers of this package have their own `on`.
        is_ours = isinstance(server, Registering)
        native: Any = super(Registering, server) if is_ours else server
        self._on = native.on
        if not is_ours:
            own["on"] = self.on
        self._register_namespace = server.register_namespace
        own["register_namespace"] = self.register_namespace
        frame = find_frame()
        for namespace, handlers in server.handlers.items():
            for event, handler in handlers.items():
                self.add(event, namespace, handler, (self._route,), MISSING, frame)
        for handler in server.namespace_handlers.values():
            self.add_namespace(handler, (self._route,), frame)
        self.hook.install()

    def _register(self, step: Step) -> None:
        step(self, "", (self._route,))

    def add(
        self,
        event: str,
        namespace: str,
        function: Callable[..., Any],
        routes: Routes,
        response_model: Any,
        frame: types.FrameType | None,
    ) -> None:
        """Register a handler."""
        made = self._make(function, event, namespace, routes, response_model, frame)
        self.handlers["function", namespace, event] = made
        self._on(event, made.wrapper, namespace)

    def register_namespace(self, namespace: Any) -> None:
        """Replace the server's ``register_namespace``: register and check the handlers."""
        self.add_namespace(namespace, (self._route,), find_frame())

    def add_namespace(
        self, namespace: Any, routes: Routes, frame: types.FrameType | None
    ) -> None:
        """Register an object whose methods are handlers."""
        self._register_namespace(namespace)
        if namespace in self._namespaces:
            return
        self._namespaces.add(namespace)
        for name in dir(type(namespace)):
            method = getattr(namespace, name)
            if name.startswith("on_") and callable(method):
                event, place = name.removeprefix("on_"), namespace.namespace
                made = self._make(method, event, place, routes, frame=frame)
                self.handlers["method", place, event] = made
                setattr(namespace, name, made.wrapper)

    def accept(self, handler: Handler) -> None:
        """Accept a handler if the server can call it; registries are then checked again.

        Raises:
            InvalidRegistrationError: It is asynchronous, and the server is not.
        """
        handler.check_server(can_await=self.hook.can_await)
        self.hook.checked.clear()

    def find_problems(self, registry: Registry) -> Iterator[WaresError]:
        """Find the services that handlers need and *registry* lacks."""
        self.hook.prepare(registry)
        registered = self.handlers.values()
        called = dict.fromkeys(made.handler for made in registered)
        routes = [self._route, *(route for made in registered for route in made.routes)]
        for route in routes:
            called |= dict.fromkeys([*route.middlewares, *route.answers.values()])
        yield from find_missing([handler.called for handler in called], registry)
        for handler in called:
            for parameter in handler.parameters:
                is_given = parameter.is_argument or parameter.default is not MISSING
                if parameter.key is not MISSING and not is_given:
                    yield from find_missing_below(parameter.key, [handler.function], registry)

    async def _let_in(self, serving: Serving) -> Any:
        """Let the middlewares decide on a client that connects without a connect handler."""
        if self._route.middlewares:
            serving.registered = self._no_handler
            return await self._no_handler.serve(serving)
        return None

    def _make(
        self,
        function: Callable[..., Any],
        event: str,
        namespace: str,
        routes: Routes,
        response_model: Any = MISSING,
        frame: types.FrameType | None = None,
    ) -> Registered:
        dependencies = [marker for route in routes for marker in route.dependencies]
        place = place_of(event, namespace)
        handler = Handler(function, place, dependencies=dependencies, frame=frame)
        self.accept(handler)
        return Registered(self.hook, handler, routes, response_model)


async def _accept(*_: Any) -> None:
    """Act as the connect handler of a namespace that has none, so that middlewares run."""


class Registered:
    """A handler that has been registered.

    Attributes:
        handler: The handler, and how to call it.
        routes: The routes that it belongs to, the innermost last.
        response: The type of its answers, if it is known.
        wrapper: The function that python-socketio calls instead of it.
    """

    def __init__(
        self, hook: Hook, handler: Handler, routes: Routes, response_model: Any
    ) -> None:
        self.handler = handler
        self.routes = routes
        self._hook = hook
        returns = handler.returns if response_model is MISSING else response_model
        is_known = returns not in (None, types.NoneType, Any)
        self.response = returns if is_known else inspect.Signature.empty
        self._adapter = None if handler.is_plain else find_adapter(self.response)
        self.wrapper = hook.as_method(self._serve)

    async def _serve(self, *raw: Any) -> Any:
        """Serve an event; if the application itself calls the handler, just call it."""
        serving = find_serving()
        if serving is not None and serving.hook is self._hook:
            if serving.registered is None:
                serving.registered = self
                return await self.serve(serving)
            if serving.event.name == DISCONNECT and isinstance(serving.error, TypeError):
                # python-socketio calls the handler again, without the last argument.
                raise serving.error
        return await self._hook.finish(self.handler.function(*raw), self.handler.function)

    async def serve(self, serving: Serving) -> Any:
        """Pass an event through the middlewares to the handler."""
        # This copies the lists, which may change while the event is being handled.
        middlewares = [one for route in self.routes for one in route.middlewares]
        result = await self._go_through(serving, serving.event, middlewares)
        # The answer of the handler has been converted, but that of a middleware has not.
        return self._write_answer(serving, None, result) if middlewares else result

    async def answer(self, serving: Serving, error: Exception) -> Any:
        """Return the acknowledgement for an exception of the handler or of its services.

        Raises:
            Exception: *error*, if no exception handler is registered for it.
        """
        answer = self._find_answer(error)
        if answer is not None:
            result = await answer.call(serving)
        elif isinstance(error, PayloadError | AnswerError):
            is_ours = isinstance(error, AnswerError)
            _log.log(logging.ERROR if is_ours else logging.INFO, "%s", error)
            result = error.as_answer()
        else:
            raise error
        # A client whose connect handler has failed is refused, even if an exception handler
        # returns a value.
        is_connecting = serving.event.name == CONNECT
        return False if is_connecting else self._write_answer(serving, None, result)

    def _find_answer(self, error: Exception) -> Handler | None:
        """Find the exception handler: innermost route first, then most specific class first."""
        if isinstance(error, REFUSALS):
            return None
        found = (
            route.answers[kind]
            for route in reversed(self.routes)
            for kind in type(error).__mro__
            if kind in route.answers
        )
        return next(found, None)

    async def _go_through(
        self, serving: Serving, event: SocketEvent, middlewares: Sequence[Handler]
    ) -> Any:
        """Call the middlewares around the handler, and note how the handler has ended."""
        if event is not serving.event:
            serving.replace_event(event)
        try:
            if middlewares:
                return await self._call_middleware(serving, event, middlewares)
            result = await self.handler.call(serving)
            result = self._write_answer(serving, self._adapter, result)
        except BaseException as error:
            # A middleware may answer it, and python-socketio swallows cancellations.
            serving.error = error
            raise
        # An earlier attempt, by a middleware that tries again, may have failed.
        serving.error = None
        return result

    async def _call_middleware(
        self, serving: Serving, event: SocketEvent, middlewares: Sequence[Handler]
    ) -> Any:
        """Call the first middleware, which calls the others and the handler by ``call_next``."""
        inner: list[Any] = []

        async def go_on(following: SocketEvent) -> Any:
            inner[:] = [await self._go_through(serving, following, middlewares[1:])]
            return inner[0]

        def call_next(following: SocketEvent = event) -> Any:
            rest = go_on(following)
            return rest if self._hook.can_await else run(rest)

        result = await middlewares[0].call(serving, call_next, event)
        return self._decide_on_client(inner, result) if event.name == CONNECT else result

    def _decide_on_client(self, inner: list[Any], result: Any) -> Any:
        """Decide whether a client may connect, after a middleware has returned.

        The client is refused if the connect handler or any middleware returns False. If the
        middleware did not call the handler, or answers an exception of it, the client is refused
        unless the middleware returns True; any other answer goes to the client.

        Args:
            inner: The result of ``call_next``, if it has returned.
            result: The result of the middleware.

        Raises:
            socketio.exceptions.ConnectionRefusedError: The client is refused with an answer.
        """
        if result is False or any(one is False for one in inner):
            return False
        if inner or result is True:
            return result
        if result is None:
            return False
        written = write_answer(self._hook.server.packet_class, CONNECT, None, result)
        raise Refusal("The connection is refused.", written)

    def _write_answer(self, serving: Serving, adapter: Any, result: Any) -> Any:
        """Convert an acknowledgement, if one will be sent."""
        name = serving.event.name
        if name in (CONNECT, DISCONNECT) or not is_answered():
            return result
        return write_answer(self._hook.server.packet_class, name, adapter, result)
