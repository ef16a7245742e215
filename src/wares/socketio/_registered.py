"""A handler that has been registered, with the middlewares and exception handlers around it.

One implementation serves both kinds of server: see `_coroutines`.
"""

from __future__ import annotations

import logging
import types
from collections.abc import Sequence
from typing import Any

from socketio.exceptions import ConnectionRefusedError as Refusal

from wares._core.keys import MISSING
from wares.socketio._coroutines import run
from wares.socketio._events import CONNECT, DISCONNECT, SocketEvent
from wares.socketio._handlers import Handler
from wares.socketio._payloads import (
    REFUSALS,
    AnswerError,
    PayloadError,
    find_adapter,
    write_answer,
)
from wares.socketio._routers import Routes
from wares.socketio._serving import Serving, find_serving, finish, is_awaited

_log = logging.getLogger("wares")


class Registered:
    """A handler that has been registered.

    Args:
        handler: The handler.
        routes: The routes that it belongs to, the innermost last.
        response_model: The type of its answers, or `MISSING` for its return annotation.
        can_await: Whether the server is asynchronous.

    Attributes:
        handler: The handler, and how to call it.
        routes: The routes that it belongs to.
        adapter: The `pydantic.TypeAdapter` of its answers, if their type is known.
    """

    def __init__(
        self, handler: Handler, routes: Routes, response_model: Any, *, can_await: bool
    ) -> None:
        self.handler = handler
        self.routes = routes
        self._can_await = can_await
        returns = handler.returns if response_model is MISSING else response_model
        is_known = returns not in (None, types.NoneType, Any)
        self.adapter = find_adapter(returns) if is_known else None

    async def take(self, *raw: Any) -> Any:
        """Take a call of python-socketio; if the application calls the handler, just call it."""
        serving = find_serving()
        if serving is not None:
            if serving.event.name == DISCONNECT and isinstance(serving.error, TypeError):
                # python-socketio calls the handler again, without the last argument.
                raise serving.error
            # A `trigger_event` of the application may pass on an event several times.
            is_again = raw == serving.raw
            if serving.answer is None or (is_again and serving.answer == self._answer):
                serving.raw, serving.error = raw, None
                self.handler.read(serving, raw)
                return await self.take_over(serving)
            if is_again and not self.handler.is_plain:
                # It must never get what the client has sent in place of its services.
                return await self._go_through(serving, serving.event, [])
        function = self.handler.function
        return await finish(function(*raw), function, can_await=self._can_await)

    async def take_over(self, serving: Serving) -> Any:
        """Pass an event through the middlewares to the handler."""
        serving.answer = self._answer
        # This copies the lists, which may change while the event is being handled.
        middlewares = [one for route in self.routes for one in route.middlewares]
        result = await self._go_through(serving, serving.event, middlewares)
        # The answer of the handler has been converted, but that of a middleware has not.
        return _write(serving, result) if middlewares else result

    async def _answer(self, serving: Serving, error: Exception) -> Any:
        """Return the acknowledgement for an exception of the handler or of its services.

        Raises:
            Exception: *error*, if no exception handler is registered for it.
        """
        answer = self._find_answer(serving.event, error)
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
        return False if serving.event.name == CONNECT else _write(serving, result)

    def _find_answer(self, event: SocketEvent, error: Exception) -> Handler | None:
        """Find the exception handler: innermost route first, then most specific class first."""
        if event.name == CONNECT and isinstance(error, REFUSALS):
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
            return _write(serving, await self.handler.call(serving), self.adapter)
        except BaseException as error:
            # A middleware may answer it, and python-socketio swallows cancellations.
            serving.error = error
            raise

    async def _call_middleware(
        self, serving: Serving, event: SocketEvent, middlewares: Sequence[Handler]
    ) -> Any:
        """Call the first middleware, which calls the others and the handler by ``call_next``."""
        inner: list[Any] = []

        async def go_on(following: SocketEvent) -> Any:
            # An earlier attempt, by a middleware that tries again, may have failed.
            serving.error = None
            inner[:] = [await self._go_through(serving, following, middlewares[1:])]
            return inner[0]

        def call_next(following: SocketEvent = event) -> Any:
            rest = go_on(following)
            return rest if serving.can_await else run(rest)

        result = await middlewares[0].call(serving, call_next, event)
        return _decide_on_client(event, inner, result) if event.name == CONNECT else result


def _decide_on_client(event: SocketEvent, inner: list[Any], result: Any) -> Any:
    """Decide whether a client may connect, after a middleware has returned.

    The client is refused if the connect handler or any middleware returns False. If the middleware
    did not call the handler, or answers an exception of it, the client is refused unless the
    middleware returns True; any other answer goes to the client.

    Args:
        event: The event.
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
    raise Refusal("The connection is refused.", write_answer(event, result))


def _write(serving: Serving, result: Any, adapter: Any = None) -> Any:
    """Convert an acknowledgement, if one will be sent."""
    event = serving.event
    if event.name in (CONNECT, DISCONNECT) or not is_awaited.get():
        return result
    return write_answer(event, result, adapter)
