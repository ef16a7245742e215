"""Which handler an event goes to, through which middleware, and what answers its exceptions.

This module knows where python-socketio keeps handlers: ``handlers``, ``namespace_handlers``,
``_get_event_handler``.

It is written once for both kinds of server: see `_hook`.
"""

from __future__ import annotations

import functools
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
from wares.socketio._handlers import Handler, raw_arguments
from wares.socketio._hook import DEFAULT, Hook, Serving, find_serving, is_answered
from wares.socketio._parameters import Place, place_of, place_of_method
from wares.socketio._payloads import AnswerError, PayloadError, find_adapter, write_answer
from wares.socketio._routers import Route, RouterSIO, find_frame

_log = logging.getLogger("wares")


class Dispatch:
    """The handlers of one server.

    Attributes:
        hook: What opens the containers.
        route: What all handlers have in common.
        shows_input: Whether errors about payloads show what was sent.
    """

    def __init__(
        self,
        server: Any,
        registry: Registry | None,
        dependencies: Sequence[Any],
        *,
        shows_input: bool,
        validates: bool,
    ) -> None:
        self.hook = Hook(server, registry, self.find_problems, validates=validates)
        self.route = Route(dependencies=tuple(dependencies))
        self.shows_input = shows_input
        self._server = server
        self._functions: dict[tuple[str, str], Registered] = {}
        self._methods: dict[tuple[str, str], Registered] = {}
        self._namespaces: WeakSet[Any] = WeakSet()

    @property
    def registry(self) -> Registry:
        """The registry of connections that bring none of a lifespan."""
        return self.hook.registry or DEFAULT

    def install(self) -> None:
        """Take the places of the server's methods, and take over what is registered already."""
        server = self._server
        # The servers of this package have an `on` of their own.
        self._on = getattr(server, "native_on", server.on)
        self._register_namespace = server.register_namespace
        self._find_event_handler = server._get_event_handler
        own = vars(server)
        if server.on == self._on:
            own["on"] = self.on
        own["register_namespace"] = self.register_namespace
        own["_get_event_handler"] = self._get_event_handler
        for namespace, handlers in server.handlers.items():
            for event, handler in handlers.items():
                self._take_over(event, namespace, handler)
        for handler in server.namespace_handlers.values():
            self._wrap_methods(handler, self.route, find_frame())
        self.hook.install()

    def on(
        self,
        event: str,
        handler: Callable[..., Any] | None = None,
        namespace: str | None = None,
        *,
        response_model: Any = MISSING,
    ) -> Any:
        """Do what ``on`` does, and check the handler."""
        place = place_of(event, namespace or "/")

        def register(function: Callable[..., Any]) -> Callable[..., Any]:
            self.add(place, function, self.route, response_model, find_frame())
            return function

        return register if handler is None else register(handler)

    def add(
        self,
        place: Place,
        function: Callable[..., Any],
        route: Route,
        response_model: Any,
        frame: types.FrameType | None,
    ) -> None:
        """Register a handler."""
        made = self._make(function, place, route, response_model, frame)
        self._functions[place.namespace, place.event] = made
        self._on(place.event, function, place.namespace)

    def register_namespace(self, namespace: Any) -> None:
        """Do what ``register_namespace`` does, and check the handlers."""
        self._register_namespace(namespace)
        self._wrap_methods(namespace, self.route, find_frame())

    def include(self, router: RouterSIO) -> None:
        """Register what is registered on a router, and on those within it."""
        for one, prefix, route in router.walk(outer=self.route):
            for handler in (*route.middlewares, *route.answers.values()):
                handler.check_server(can_await=self.hook.can_await)
            for declared in one.list_handlers(prefix, route):
                function, model = declared.function, declared.response_model
                self.add(declared.place, function, route, model, declared.frame)
            for namespace, frame in one.list_namespaces(prefix):
                self._register_namespace(namespace)
                self._wrap_methods(namespace, route, frame)
            self.route.emitted.update(one.list_emitted(prefix))

    def list_handlers(self) -> Iterator[Registered]:
        """List what is registered, functions first."""
        for namespace, handlers in self._server.handlers.items():
            for event, handler in handlers.items():
                yield self._take_over(event, namespace, handler)
        yield from self._methods.values()

    def list_called(self) -> Sequence[Handler]:
        """List handlers, middlewares and exception handlers, each of them once."""
        found: dict[Handler, None] = {}
        for made in self.list_handlers():
            for route in made.route.from_outermost():
                found |= dict.fromkeys([*route.middlewares, *route.answers.values()])
            found[made.handler] = None
        return list(found)

    def list_injected(self) -> list[Callable[..., Any]]:
        """List the functions of all handlers, injected where they have markers."""
        return [handler.called for handler in self.list_called()]

    def find_problems(self, registry: Registry) -> Iterator[WaresError]:
        """Find what handlers need that a registry cannot give them."""
        self.hook.prepare(registry)
        yield from find_missing(self.list_injected(), registry)
        for handler in self.list_called():
            for parameter in handler.reading.parameters:
                is_given = parameter.payload is not None or parameter.default is not MISSING
                if parameter.key is not MISSING and not is_given:
                    yield from find_missing_below(parameter.key, [handler.function], registry)

    def _get_event_handler(self, event: str, namespace: str, args: Any) -> tuple[Any, Any]:
        """Do what ``_get_event_handler`` does, and give the wrapper of what was found."""
        handler, arguments = self._find_event_handler(event, namespace, args)
        if not handler:
            if event == CONNECT and self.route.middlewares and not self._connects(namespace):
                return self._take_over(event, namespace, _let_in).wrapper, args
            return handler, arguments
        handlers = self._server.handlers
        one_namespace, one_event = next(
            (one_namespace, one_event)
            for one_namespace in (namespace, "*")
            for one_event in (event, "*")
            if handlers.get(one_namespace, {}).get(one_event) is handler
        )
        return self._take_over(one_event, one_namespace, handler).wrapper, arguments

    def _connects(self, namespace: str) -> bool:
        """Tell whether a class for the namespace has a connect handler."""
        handlers = self._server.namespace_handlers
        return hasattr(handlers.get(namespace) or handlers.get("*"), "on_connect")

    def _take_over(self, event: str, namespace: str, function: Any) -> Registered:
        """Find what was made of a handler; it may have been put there without `on`."""
        made = self._functions.get((namespace, event))
        if made is None or made.handler.function is not function:
            made = self._make(function, place_of(event, namespace), self.route)
            self._functions[namespace, event] = made
        return made

    def _wrap_methods(
        self, namespace: Any, route: Route, frame: types.FrameType | None
    ) -> None:
        if namespace in self._namespaces:
            return
        self._namespaces.add(namespace)
        for name in dir(type(namespace)):
            method = getattr(namespace, name)
            if name.startswith("on_") and callable(method):
                place = place_of_method(name.removeprefix("on_"), namespace.namespace)
                made = self._make(method, place, route, frame=frame)
                self._methods[place.namespace, place.event] = made
                setattr(namespace, name, made.wrapper)

    def _make(
        self,
        function: Callable[..., Any],
        place: Place,
        route: Route,
        response_model: Any = MISSING,
        frame: types.FrameType | None = None,
    ) -> Registered:
        routes = list(route.from_outermost())
        dependencies = [marker for one in routes for marker in one.dependencies]
        handler = Handler(function, place, dependencies=dependencies, frame=frame)
        handler.check_server(can_await=self.hook.can_await)
        self.hook.checked.clear()
        return Registered(self, handler, route, response_model)


def _let_in(sid: str, environ: Any, auth: Any) -> None:  # a connect handler is passed them
    """Stand in for a connect handler that is not there, so that middlewares are asked."""


class Registered:
    """A handler that has been registered.

    Attributes:
        handler: How it is called.
        route: What it has in common with others.
        response: The type of what it answers, or `MISSING`.
        wrapper: What python-socketio calls in its place.
    """

    def __init__(
        self, dispatch: Dispatch, handler: Handler, route: Route, response_model: Any
    ) -> None:
        self.handler = handler
        self.route = route
        self._dispatch = dispatch
        returns = None if handler.reading.is_plain else handler.reading.returns
        if response_model is not MISSING:
            returns = response_model
        self.response = MISSING if returns in (None, types.NoneType, Any) else returns
        is_written = self.response is not MISSING and not handler.reading.is_plain
        self._adapter = find_adapter(self.response) if is_written else None
        self.wrapper = self._wrap(handler.function)

    def _wrap(self, function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        async def serve_async(*raw: Any) -> Any:
            return await self._serve(raw)

        @functools.wraps(function)
        def serve_sync(*raw: Any) -> Any:
            return run(self._serve(raw))

        return serve_async if self._dispatch.hook.can_await else serve_sync

    async def _serve(self, raw: tuple[Any, ...]) -> Any:
        """Serve an event; called by the program itself, just call the handler."""
        serving = find_serving()
        if serving is None or serving.hook is not self._dispatch.hook:
            return await self._call_back(raw)
        if serving.registered is not None:
            error = serving.error
            if isinstance(error, TypeError) and serving.event.name == DISCONNECT:
                # python-socketio tries again, with an argument less.
                raise error
            return await self._call_back(raw)
        serving.registered = self
        try:
            # As they are now: some may be added or removed while this event is being served.
            middlewares = tuple(self.route.list_middlewares())
            result = await self._go_through(serving, serving.event, raw, middlewares)
            # What the handler has returned is written; a middleware may have answered instead.
            return self._write_answer(serving, None, result) if middlewares else result
        except BaseException as error:
            # python-socketio swallows cancellations.
            serving.error = error
            raise

    async def _call_back(self, raw: tuple[Any, ...]) -> Any:
        result = self.handler.function(*raw)
        is_awaited = self._dispatch.hook.can_await and inspect.isawaitable(result)
        return await result if is_awaited else result

    async def answer(self, serving: Serving, error: Exception) -> Any:
        """Give the acknowledgement for an exception of the handler, or of its services."""
        answer = self.route.find_answer(error)
        if answer is not None:
            result = await answer.call(serving, ())
        elif isinstance(error, PayloadError | AnswerError):
            is_ours = isinstance(error, AnswerError)
            _log.log(logging.ERROR if is_ours else logging.INFO, "%s", error)
            result = error.as_answer()
        else:
            raise error
        # Whatever an exception handler returns, nobody is let in by it.
        is_connecting = serving.event.name == CONNECT
        return False if is_connecting else self._write_answer(serving, None, result)

    async def _go_through(
        self,
        serving: Serving,
        event: SocketEvent,
        raw: tuple[Any, ...],
        middlewares: Sequence[Handler],
    ) -> Any:
        """Go through the middlewares, then to the handler."""
        if event is not serving.event:
            serving.replace_event(event)
            raw = raw_arguments(self.handler.place, event)
        if not middlewares:
            shows_input = self._dispatch.shows_input
            result = await self.handler.call(serving, raw, shows_input=shows_input)
            return self._write_answer(serving, self._adapter, result)
        come: list[Any] = []

        async def go_on(following: SocketEvent) -> Any:
            come[:] = [await self._go_through(serving, following, raw, middlewares[1:])]
            return come[0]

        def call_next(following: SocketEvent = event) -> Any:
            rest = go_on(following)
            return rest if self._dispatch.hook.can_await else run(rest)

        result = await middlewares[0].call(serving, (), call_next, event)
        if event.name != CONNECT:
            return result
        return _judge(come, result, lambda answer: self._write(CONNECT, None, answer))

    def _write_answer(self, serving: Serving, adapter: Any, result: Any) -> Any:
        """Write an acknowledgement, if it is sent at all."""
        name = serving.event.name
        is_sent = name not in (CONNECT, DISCONNECT) and is_answered()
        return self._write(name, adapter, result) if is_sent else result

    def _write(self, event: str, adapter: Any, result: Any) -> Any:
        packet_class = self._dispatch.hook.server.packet_class
        return write_answer(packet_class, event, adapter, result)


def _judge(come: list[Any], result: Any, write: Callable[[Any], Any]) -> Any:
    """Tell whether a client is let in, by what a middleware has returned.

    The connect handler lets it in, and each middleware may refuse it by False. A middleware that
    did not go on to the handler, or answers its exception, lets nobody in but by True; the client
    is told what it answers.
    """
    if result is False or any(one is False for one in come):
        return False
    if come or result is True:
        return result
    if result is None:
        return False
    raise Refusal("The connection is refused.", write(result))
