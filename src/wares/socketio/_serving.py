"""The event that is being handled.

One implementation serves both kinds of server: see `_coroutines`.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import Any

import attrs

from wares._adapters.registries import demand
from wares._core.callables import describe_callable
from wares._core.container import Container
from wares.exceptions import InvalidRegistrationError, NoContainerError
from wares.socketio._events import SocketEvent, give_event

#: Whether the client waits for an acknowledgement of the event.
is_awaited: ContextVar[bool] = ContextVar("wares_socketio_is_awaited", default=True)


@attrs.define(eq=False)
class Serving:
    """An event that is being handled.

    Attributes:
        event: The event.
        container: The container of the event.
        can_await: Whether the server is asynchronous.
        answer: Returns the acknowledgement for an exception, or raises the exception; None before
            the handler is called.
        raw: The arguments with which the handler was called.
        error: The exception that has left the handler, answered or not.
    """

    event: SocketEvent
    container: Container
    can_await: bool
    answer: Callable[[Serving, Exception], Awaitable[Any]] | None = None
    raw: tuple[Any, ...] | None = None
    error: BaseException | None = None

    def replace_event(self, event: SocketEvent) -> None:
        """Handle *event* instead; a middleware has passed it on."""
        self.event = event
        self.container._give(give_event(event))


_serving: ContextVar[Serving | None] = ContextVar("wares_socketio_serving", default=None)

find_serving, enter, leave = _serving.get, _serving.set, _serving.reset


def current_serving() -> Serving:
    """Return the event that is being handled."""
    advice = (
        "No Socket.IO event is being handled, and so there is no container. Initialise the "
        "server, wares.socketio.init_app(sio), and ask within a handler; elsewhere open a "
        "container: with registry.container() as container: ..."
    )
    return demand(find_serving(), NoContainerError, advice)


async def finish(result: Any, called: Callable[..., Any], *, can_await: bool) -> Any:
    """Await *result*, which the application's function *called* has returned, if it must be.

    Raises:
        InvalidRegistrationError: It must be awaited, but the server is synchronous.
    """
    if not inspect.isawaitable(result):
        return result
    if can_await:
        return await result
    if inspect.iscoroutine(result):
        result.close()
    raise refuse_async(called)


def refuse_async(called: Callable[..., Any]) -> InvalidRegistrationError:
    """Make the error for an asynchronous function on a synchronous server."""
    return InvalidRegistrationError(
        f"{describe_callable(called)} has to be awaited, and a socketio.Server awaits nothing. "
        f"Write it without `async`, or use a socketio.AsyncServer."
    )
