"""Which handler an event goes to, through which middleware, and what answers its exceptions.

This module knows where python-socketio keeps handlers: `on` and ``handlers``,
`register_namespace` and ``namespace_handlers``.

It is written once for both kinds of server: see `_coroutines`.
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
        hook: What opens the containers.
        handlers: What is registered: by its kind, namespace and event.
        emitted: What is emitted, where that was declared: by namespace and event.
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
        self._nobody = self._make(self.hook.as_method(_accept), CONNECT, "/", (self._route,))

    @property
    def registry(self) -> Registry:
        """The registry of connections that bring none of a lifespan."""
        return self.hook.registry or DEFAULT

    def install(self) -> None:
        """Take the places of the server's methods, and take over what is registered already."""
        server, own = self._server, vars(self._server)
        # The servers of this package have an `on` of their own.
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
        """Do what ``register_namespace`` does, and check the handlers."""
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
        """Refuse what the server cannot call, and check again what handlers need."""
        handler.check_server(can_await=self.hook.can_await)
        self.hook.checked.clear()

    def find_problems(self, registry: Registry) -> Iterator[WaresError]:
        """Find what handlers need that a registry cannot give them."""
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
        """Have the middlewares decide on a client for whose connecting there is no handler."""
        if self._route.middlewares:
            serving.registered = self._nobody
            return await self._nobody.serve(serving)
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
    """Stand in for a connect handler that is not there, so that middlewares are asked."""


class Registered:
    """A handler that has been registered.

    Attributes:
        handler: How it is called.
        routes: What it has in common with others.
        response: The type of what it answers, if it is known.
        wrapper: What python-socketio calls in its place.
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
        """Serve an event; called by the program itself, just call the handler."""
        serving = find_serving()
        if serving is not None and serving.hook is self._hook:
            if serving.registered is None:
                serving.registered = self
                return await self.serve(serving)
            if serving.event.name == DISCONNECT and isinstance(serving.error, TypeError):
                # python-socketio tries again, with an argument less.
                raise serving.error
        return await self._hook.finish(self.handler.function(*raw), self.handler.function)

    async def serve(self, serving: Serving) -> Any:
        """Serve an event."""
        try:
            # As they are now: some may be added or removed while this event is being served.
            middlewares = [one for route in self.routes for one in route.middlewares]
            result = await self._go_through(serving, serving.event, middlewares)
            # What the handler has returned is written; a middleware may have answered instead.
            return self._write_answer(serving, None, result) if middlewares else result
        except BaseException as error:
            # python-socketio swallows cancellations.
            serving.error = error
            raise

    async def answer(self, serving: Serving, error: Exception) -> Any:
        """Give the acknowledgement for an exception of the handler, or of its services."""
        answer = self._find_answer(error)
        if answer is not None:
            result = await answer.call(serving)
        elif isinstance(error, PayloadError | AnswerError):
            is_ours = isinstance(error, AnswerError)
            _log.log(logging.ERROR if is_ours else logging.INFO, "%s", error)
            result = error.as_answer()
        else:
            raise error
        # Whatever an exception handler returns, nobody is let in by it.
        is_connecting = serving.event.name == CONNECT
        return False if is_connecting else self._write_answer(serving, None, result)

    def _find_answer(self, error: Exception) -> Handler | None:
        """Find what answers *error*: the innermost route first, the most specific class first."""
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
        """Go through the middlewares, then to the handler."""
        if event is not serving.event:
            serving.replace_event(event)
        if not middlewares:
            result = await self.handler.call(serving)
            return self._write_answer(serving, self._adapter, result)
        come: list[Any] = []

        async def go_on(following: SocketEvent) -> Any:
            come[:] = [await self._go_through(serving, following, middlewares[1:])]
            return come[0]

        def call_next(following: SocketEvent = event) -> Any:
            rest = go_on(following)
            return rest if self._hook.can_await else run(rest)

        result = await middlewares[0].call(serving, call_next, event)
        return self._judge(come, result) if event.name == CONNECT else result

    def _judge(self, come: list[Any], result: Any) -> Any:
        """Tell whether a client is let in, by what a middleware has returned.

        The connect handler lets it in, and each middleware may refuse it by False. A middleware
        that did not go on to the handler, or answers its exception, lets nobody in but by True; the
        client is told what it answers.
        """
        if result is False or any(one is False for one in come):
            return False
        if come or result is True:
            return result
        if result is None:
            return False
        written = write_answer(self._hook.server.packet_class, CONNECT, None, result)
        raise Refusal("The connection is refused.", written)

    def _write_answer(self, serving: Serving, adapter: Any, result: Any) -> Any:
        """Write an acknowledgement, if it is sent at all."""
        name = serving.event.name
        if name in (CONNECT, DISCONNECT) or not is_answered():
            return result
        return write_answer(self._hook.server.packet_class, name, adapter, result)
