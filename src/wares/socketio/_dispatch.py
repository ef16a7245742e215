"""Which handler an event goes to, through which middleware, and what answers its exceptions.

This module knows where python-socketio keeps handlers: ``handlers``, ``namespace_handlers``,
``_get_event_handler``. It must not know how a handler's parameters are filled.

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

import attrs

from wares._core.keys import MISSING
from wares._core.resolution import run
from wares.socketio._bindings import Binding, raw_arguments
from wares.socketio._events import CONNECT, DISCONNECT, SocketEvent, expected_keys
from wares.socketio._frames import find_frame
from wares.socketio._hook import Hook, Serving, find_serving
from wares.socketio._parameters import (
    PLACE_OF_ANSWER,
    PLACE_OF_MIDDLEWARE,
    Place,
    place_of,
    place_of_method,
)
from wares.socketio._payloads import PayloadError, dump, find_adapter
from wares.socketio._routes import Route, check_handler

_log = logging.getLogger("wares")


@attrs.frozen(eq=False)
class Handler:
    """A handler that has been registered.

    Attributes:
        binding: How it is called.
        route: What it has in common with others.
        response_model: What it answers, where that was said.
        wrapper: What python-socketio calls in its place.
    """

    binding: Binding
    route: Route
    response_model: Any
    wrapper: Callable[..., Any]

    @property
    def response(self) -> Any:
        """The type of what it answers, or `MISSING`."""
        if self.response_model is not MISSING:
            return self.response_model
        returns = self.binding.reading.returns
        return MISSING if returns in (None, types.NoneType, Any) else returns


class Dispatch:
    """The handlers of one server.

    Attributes:
        route: What all of them have in common.
        shows_input: Whether errors about payloads show what was sent.
        emitted: What the server emits, where that was declared: by namespace and event.
    """

    def __init__(self, hook: Hook) -> None:
        self.hook = hook
        self.route = Route()
        self.shows_input = False
        self.emitted: dict[tuple[str, str], Any] = {}
        self._given = expected_keys(hook.server)
        self._handlers: dict[tuple[str, str], Handler] = {}
        self._methods: dict[tuple[str, str], Handler] = {}
        self._namespaces: WeakSet[Any] = WeakSet()
        self._others: dict[Any, Binding] = {}
        server = hook.server
        self._on = server.on
        self._register_namespace = server.register_namespace
        self._find_event_handler = server._get_event_handler

    def install(self) -> None:
        """Take the places of the server's methods, and take over what is registered already."""
        server = self.hook.server
        own = vars(server)
        own["on"] = self.on
        own["register_namespace"] = self.register_namespace
        own["_get_event_handler"] = self._get_event_handler
        for namespace, handlers in server.handlers.items():
            for event, handler in handlers.items():
                self._take_over(event, namespace, handler)
        for handler in server.namespace_handlers.values():
            self._wrap_methods(handler, self.route)

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
        frame = find_frame()

        def register(function: Callable[..., Any]) -> Callable[..., Any]:
            self.add(place, function, self.route, response_model=response_model, frame=frame)
            return function

        return register if handler is None else register(handler)

    def add(
        self,
        place: Place,
        handler: Callable[..., Any],
        route: Route,
        *,
        response_model: Any = MISSING,
        frame: types.FrameType | None = None,
    ) -> None:
        """Register a handler.

        Raises:
            UnresolvableParameterError: A parameter that nothing can fill at that place.
            AsyncServiceError: The handler is synchronous, a dependency is not.
        """
        check_handler(handler)
        made = self._make(handler, place, route, response_model=response_model, frame=frame)
        self._handlers[place.namespace, place.event] = made
        self._on(place.event, handler, place.namespace)

    def register_namespace(self, namespace: Any) -> None:
        """Do what ``register_namespace`` does, and check the handlers."""
        self.add_namespace(namespace, self.route)

    def add_namespace(self, namespace: Any, route: Route) -> None:
        """Register the methods of an object for a namespace."""
        self._register_namespace(namespace)
        self._wrap_methods(namespace, route)

    def all_handlers(self) -> Iterator[Handler]:
        """List what is registered, functions first."""
        for namespace, handlers in self.hook.server.handlers.items():
            for event, handler in handlers.items():
                yield self._take_over(event, namespace, handler)
        yield from self._methods.values()

    def _get_event_handler(self, event: str, namespace: str, args: Any) -> tuple[Any, Any]:
        """Do what ``_get_event_handler`` does, and give the wrapper of what was found."""
        handler, arguments = self._find_event_handler(event, namespace, args)
        if not handler:
            return handler, arguments
        handlers = self.hook.server.handlers
        for one_namespace in (namespace, "*"):
            for one_event in (event, "*"):
                if handlers.get(one_namespace, {}).get(one_event) is handler:
                    return self._take_over(one_event, one_namespace, handler).wrapper, arguments
        return handler, arguments  # pragma: no cover  # a server that looks elsewhere

    def _take_over(self, event: str, namespace: str, handler: Callable[..., Any]) -> Handler:
        """Find what was made of a handler; it may have been put there without `on`."""
        made = self._handlers.get((namespace, event))
        if made is None or made.binding.handler is not handler:
            made = self._make(handler, place_of(event, namespace), self.route)
            self._handlers[namespace, event] = made
        return made

    def _wrap_methods(self, namespace: Any, route: Route) -> None:
        if namespace in self._namespaces:
            return
        self._namespaces.add(namespace)
        for name in dir(type(namespace)):
            method = getattr(namespace, name)
            if name.startswith("on_") and callable(method):
                place = place_of_method(name.removeprefix("on_"), namespace.namespace)
                made = self._make(method, place, route)
                self._methods[place.namespace, place.event] = made
                setattr(namespace, name, made.wrapper)

    def _make(
        self,
        handler: Callable[..., Any],
        place: Place,
        route: Route,
        *,
        response_model: Any = MISSING,
        frame: types.FrameType | None = None,
    ) -> Handler:
        binding = Binding(
            handler,
            place,
            self._given,
            dependencies=route.all_dependencies(),
            frame=frame,
        )
        made = Handler(binding, route, response_model, lambda: None)
        return attrs.evolve(made, wrapper=self._wrap(made))

    def _wrap(self, made: Handler) -> Callable[..., Any]:
        """Make what python-socketio calls."""
        handler = made.binding.handler
        serve = _Serve(self, made).serve

        @functools.wraps(handler)
        async def serve_async(*raw: Any) -> Any:
            return await serve(raw)

        @functools.wraps(handler)
        def serve_sync(*raw: Any) -> Any:
            return run(serve(raw))

        return serve_async if self.hook.can_await else serve_sync

    def bind_middleware(self, middleware: Callable[..., Any]) -> Binding:
        """Find how a middleware is called."""
        binding = self._others.get(middleware)
        if binding is None:
            binding = self._others[middleware] = Binding(
                middleware, PLACE_OF_MIDDLEWARE, self._given, may_be_plain=False, skip=2
            )
        return binding

    def bind_answer(self, answer: Callable[..., Any]) -> Binding:
        """Find how what answers exceptions is called."""
        binding = self._others.get(answer)
        if binding is None:
            binding = self._others[answer] = Binding(
                answer, PLACE_OF_ANSWER, self._given, may_be_plain=False
            )
        return binding


class _Serve:
    """The serving of events by one handler."""

    def __init__(self, dispatch: Dispatch, made: Handler) -> None:
        self._dispatch = dispatch
        self._handler = made
        self._binding = made.binding
        response = made.response
        is_written = response is not MISSING and not made.binding.reading.is_plain
        self._adapter = find_adapter(response) if is_written else None

    async def serve(self, raw: tuple[Any, ...]) -> Any:
        """Serve an event; called by the program itself, just call the handler."""
        serving = find_serving()
        if serving is None or serving.hook is not self._dispatch.hook or not serving.is_pending:
            result = self._binding.handler(*raw)
            is_awaited = self._dispatch.hook.can_await and inspect.isawaitable(result)
            return await result if is_awaited else result
        if serving.type_error is not None:
            # python-socketio tries again, with an argument less.
            raise serving.type_error
        serving.is_pending = False
        try:
            return await self._answer(serving, raw)
        except BaseException as error:
            # python-socketio swallows cancellations.
            serving.answered = error
            if isinstance(error, TypeError) and serving.event.name == DISCONNECT:
                serving.is_pending, serving.type_error = True, error
            raise

    async def _answer(self, serving: Serving, raw: tuple[Any, ...]) -> Any:
        """Serve an event; give the acknowledgement, that of an exception handler too."""
        try:
            middlewares = self._handler.route.all_middlewares()
            if not middlewares:
                return await self._call(serving, raw)
            # As they are now: some may be added or removed while this event is being served.
            return await self._go_through(serving, serving.event, raw, tuple(middlewares))
        except Exception as error:
            answer = self._handler.route.find_answer(error)
            if answer is None:
                if not isinstance(error, PayloadError):
                    raise
                _log.info("%s", error)
                serving.answered = error
                return error.as_answer()
            serving.answered = error
            result = await self._dispatch.bind_answer(answer).call(serving, (), error=error)
            # Whatever an exception handler returns, nobody is let in by it.
            return False if serving.event.name == CONNECT else dump(None, result)

    async def _go_through(
        self,
        serving: Serving,
        event: SocketEvent,
        raw: tuple[Any, ...],
        middlewares: Sequence[Callable[..., Any]],
    ) -> Any:
        """Go through the middlewares, then to the handler."""
        if event is not serving.event:
            serving.replace_event(event)
            raw = raw_arguments(self._binding.place, event)
        if not middlewares:
            return await self._call(serving, raw)

        def call_next(following: SocketEvent = event) -> Any:
            rest = self._go_through(serving, following, raw, middlewares[1:])
            return rest if self._dispatch.hook.can_await else run(rest)

        binding = self._dispatch.bind_middleware(middlewares[0])
        return await binding.call(serving, (), call_next, event)

    async def _call(self, serving: Serving, raw: tuple[Any, ...]) -> Any:
        result = await self._binding.call(serving, raw, shows_input=self._dispatch.shows_input)
        return dump(self._adapter, result)
