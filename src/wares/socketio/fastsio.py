"""What only users of fastsio need: its names, middlewares that are classes, `register_dependency`.

This module knows events, and how a middleware of that kind becomes a function of ``call_next``
and the event.
"""

# ruff: noqa: ARG002  # methods that are there to be overridden are passed what others may need

from __future__ import annotations

import inspect
import logging
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Mapping
from time import monotonic
from typing import Any

import attrs
from socketio import (
    ASGIApp,
    AsyncAioPikaManager,
    AsyncClient,
    AsyncClientNamespace,
    AsyncManager,
    AsyncNamespace,
    AsyncRedisManager,
    AsyncSimpleClient,
    Client,
    ClientNamespace,
    KafkaManager,
    KombuManager,
    Manager,
    Middleware,
    Namespace,
    PubSubManager,
    RedisManager,
    SimpleClient,
    WSGIApp,
    ZmqManager,
    get_tornado_handler,
)

from wares import Depends, Inject, Lifetime
from wares.exceptions import InvalidRegistrationError
from wares.socketio import _servers
from wares.socketio._coroutines import run
from wares.socketio._events import (
    CONNECT,
    DISCONNECT,
    Auth,
    Data,
    Environ,
    Event,
    Reason,
    SocketEvent,
    SocketID,
)
from wares.socketio._hook import DEFAULT
from wares.socketio._routers import RouterSIO

__all__ = [
    "ASGIApp",
    "AsyncAioPikaManager",
    "AsyncClient",
    "AsyncClientNamespace",
    "AsyncManager",
    "AsyncNamespace",
    "AsyncRedisManager",
    "AsyncServer",
    "AsyncSimpleClient",
    "Auth",
    "BaseMiddleware",
    "Client",
    "ClientNamespace",
    "Data",
    "Depends",
    "Environ",
    "Event",
    "Inject",
    "KafkaManager",
    "KombuManager",
    "Manager",
    "Middleware",
    "Namespace",
    "PubSubManager",
    "Reason",
    "RedisManager",
    "RouterSIO",
    "Server",
    "SimpleClient",
    "SocketID",
    "SyncMiddleware",
    "WSGIApp",
    "ZmqManager",
    "auth_middleware",
    "get_tornado_handler",
    "logging_middleware",
    "rate_limit_middleware",
    "register_dependency",
]


def register_dependency(
    name: str, factory: Callable[..., Any], *, lifetime: Lifetime = "scoped"
) -> None:
    """Register how ``Depends("name")`` is filled, on the default registry.

    The default registry serves the servers for which there is no other: neither one that they
    were initialised with nor one of a lifespan.

    Args:
        name: What is asked for.
        factory: What makes it.
        lifetime: As in `wares.Registry.register_factory`.
    """
    DEFAULT.register_factory(name, factory, lifetime=lifetime)


class BaseMiddleware:
    """What wraps the events that it is for: derive from it, and override what you need.

    Each method is told of the event by the keyword arguments ``namespace``, ``environ``, ``auth``
    and ``server``; take those that you use, and the others as ``**context``.

    Args:
        events: The name, or the names, of the events that it is for; left out, it is any.
        namespace: The namespace that it is for; left out, it is any.
        global_middleware: Whether it is for all events. It is only kept: without *events* and
            *namespace* that is so in any case.
    """

    def __init__(
        self,
        events: str | Iterable[str] | None = None,
        namespace: str | None = None,
        global_middleware: bool = True,
    ) -> None:
        self.events = _as_names(events)
        self.namespace = namespace
        self.global_middleware = global_middleware and not (events or namespace)

    def should_run(self, event: str, namespace: str | None = None) -> bool:
        """Tell whether it is for an event.

        Args:
            event: The name of the event.
            namespace: The namespace in which it happened.
        """
        is_near = self.namespace in (None, namespace)
        return is_near and (not self.events or event in self.events)

    async def before_event(self, event: str, sid: str, data: Any, **context: Any) -> Any:
        """Do something before the handler.

        Args:
            event: The name of the event.
            sid: The client's id.
            data: The payload: one argument, a list of several, or None.
            context: What else is known of the event.

        Returns:
            The payload to go on with.
        """
        return data

    async def after_event(self, event: str, sid: str, response: Any, **context: Any) -> Any:
        """Do something after the handler.

        Args:
            event: The name of the event.
            sid: The client's id.
            response: What the handler has answered.
            context: What else is known of the event.

        Returns:
            The acknowledgement.
        """
        return response

    async def handle_exception(
        self, exc: Exception, event: str, sid: str, data: Any, **context: Any
    ) -> Any:
        """Answer an exception of the handler, or of the methods of this middleware.

        Args:
            exc: The exception.
            event: The name of the event.
            sid: The client's id.
            data: The payload.
            context: What else is known of the event.

        Returns:
            The acknowledgement, unless it raises.
        """
        raise exc

    async def __call__(
        self, event: str, sid: str, data: Any, handler: Callable[..., Any], **context: Any
    ) -> Any:
        """Do all of it; override this one for complete control.

        Args:
            event: The name of the event.
            sid: The client's id.
            data: The payload.
            handler: What goes on with a payload, and gives what was answered.
            context: What else is known of the event.

        Returns:
            The acknowledgement.
        """
        return await _go_around(self, event, sid, data, handler, context)


class SyncMiddleware(BaseMiddleware):
    """The same with synchronous methods, for both kinds of server."""

    def before_event(self, event: str, sid: str, data: Any, **context: Any) -> Any:
        """Do something before the handler; see `BaseMiddleware`."""
        return data

    def after_event(self, event: str, sid: str, response: Any, **context: Any) -> Any:
        """Do something after the handler; see `BaseMiddleware`."""
        return response

    def handle_exception(
        self, exc: Exception, event: str, sid: str, data: Any, **context: Any
    ) -> Any:
        """Answer an exception; see `BaseMiddleware`."""
        raise exc

    def __call__(
        self, event: str, sid: str, data: Any, handler: Callable[..., Any], **context: Any
    ) -> Any:
        """Do all of it; on an asynchronous server the result is to be awaited."""
        rest = _go_around(self, event, sid, data, handler, context)
        return rest if inspect.iscoroutinefunction(handler) else run(rest)


async def _go_around(
    middleware: BaseMiddleware,
    event: str,
    sid: str,
    data: Any,
    handler: Callable[..., Any],
    context: Mapping[str, Any],
) -> Any:
    """Call the methods around a handler; nothing suspends if all are synchronous."""
    try:
        changed = await _settle(middleware.before_event(event, sid, data, **context))
        response = await _settle(handler(changed))
        return await _settle(middleware.after_event(event, sid, response, **context))
    except Exception as error:  # noqa: BLE001  # whatever the application raises
        answer = middleware.handle_exception(error, event, sid, data, **context)
        return await _settle(answer)


async def _settle(result: Any) -> Any:
    """Await what is to be awaited."""
    return await result if inspect.isawaitable(result) else result


@attrs.frozen(eq=False)
class _Adapted:
    """A middleware of this kind, as a function of ``call_next`` and the event.

    Attributes:
        middleware: The middleware.
        can_await: Whether the server is asynchronous.
    """

    middleware: BaseMiddleware
    can_await: bool

    def __call__(self, call_next: Callable[..., Any], event: SocketEvent) -> Any:
        """Wrap an event, if the middleware is for it."""
        if not self.middleware.should_run(event.name, event.namespace):
            return call_next(event)

        def go_on(data: Any = event.data, **_: Any) -> Any:
            return call_next(_with_payload(event, data))

        async def go_on_async(data: Any = event.data, **_: Any) -> Any:
            return await call_next(_with_payload(event, data))

        return self.middleware(
            event.name,
            event.sid,
            event.data,
            go_on_async if self.can_await else go_on,
            namespace=event.namespace,
            environ=event.environ,
            auth=event.auth,
            server=event.server,
        )


class _Adapting(_servers.Declaring):
    """What the servers have for middlewares that are classes."""

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
        if not isinstance(middleware, BaseMiddleware):
            raise InvalidRegistrationError(
                f"add_middleware takes an instance of BaseMiddleware, not of "
                f"{type(middleware).__qualname__}. A function of `call_next` and the event is "
                f"added by sio.middleware(...)."
            )
        can_await = self._dispatch.hook.can_await
        if not can_await and not isinstance(middleware, SyncMiddleware):
            raise InvalidRegistrationError(
                f"{type(middleware).__qualname__} is asynchronous, and the server is not: derive "
                f"it from SyncMiddleware."
            )
        if events is not None:
            middleware.events = _as_names(events)
        if namespace is not None:
            middleware.namespace = namespace
        if global_middleware:
            middleware.global_middleware = True
        self.middleware(_Adapted(middleware, can_await))

    def remove_middleware(self, middleware: BaseMiddleware) -> None:
        """Wrap events no longer by what `add_middleware` has added, if it has."""
        added = self._route.middlewares
        for handler in added:
            if getattr(handler.function, "middleware", None) is middleware:
                added.remove(handler)
                return

    def get_middlewares(self) -> list[BaseMiddleware]:
        """List what `add_middleware` has added."""
        functions = [handler.function for handler in self._route.middlewares]
        return [one.middleware for one in functions if isinstance(one, _Adapted)]


class AsyncServer(_Adapting, _servers.AsyncServer):
    """`wares.socketio.AsyncServer`, which takes middlewares that are classes as well."""


class Server(_Adapting, _servers.Server):
    """`wares.socketio.Server`, which takes middlewares that are classes as well."""


def _as_names(events: str | Iterable[str] | None) -> set[str]:
    """Give the names of events that somebody may have written as one."""
    if events is None:
        return set()
    return {events} if isinstance(events, str) else set(events)


def _with_payload(event: SocketEvent, data: Any) -> SocketEvent:
    """Give the same event with another payload, if there is one."""
    if event.name in (CONNECT, DISCONNECT) or (not event.arguments and data is None):
        return event
    is_several = isinstance(data, list | tuple) and len(event.arguments) > 1
    arguments = tuple(data) if is_several else (data,)
    return event if arguments == event.arguments else attrs.evolve(event, arguments=arguments)


class _WhileThere(SyncMiddleware):
    """A middleware that keeps nobody from leaving."""

    def should_run(self, event: str, namespace: str | None = None) -> bool:
        return event != DISCONNECT and super().should_run(event, namespace)


class _RateLimit(_WhileThere):
    def __init__(self, max_requests: int, window_seconds: float) -> None:
        super().__init__()
        self._limit = max_requests
        self._window = window_seconds
        # Who has been quiet for longest comes first.
        self._times: OrderedDict[str, deque[float]] = OrderedDict()

    def before_event(self, event: str, sid: str, data: Any, **context: Any) -> Any:
        now = monotonic()
        self._forget(now - self._window)
        times = self._times.setdefault(sid, deque())
        while times and times[0] <= now - self._window:
            times.popleft()
        if len(times) >= self._limit:
            raise RuntimeError(
                f"The client {sid} has sent more than {self._limit} events in {self._window} s."
            )
        times.append(now)
        self._times.move_to_end(sid)
        return data

    def _forget(self, until: float) -> None:
        """Forget the clients whose last event is too old to count."""
        while self._times and next(iter(self._times.values()))[-1] <= until:
            self._times.popitem(last=False)


def auth_middleware(auth_checker: Callable[[str, dict[str, Any]], bool]) -> BaseMiddleware:
    """Make a middleware that asks whether a client may do what it does.

    Args:
        auth_checker: A function of the client's id and the environment of the request by which
            it connected. Where it says no, a `PermissionError` is raised.

    Returns:
        The middleware, for both kinds of server.
    """

    class Authentication(_WhileThere):
        def before_event(self, event: str, sid: str, data: Any, **context: Any) -> Any:
            if not auth_checker(sid, context["environ"]):
                raise PermissionError(f"The client {sid} may not do that.")
            return data

    return Authentication()


def logging_middleware(logger: logging.Logger | None = None) -> BaseMiddleware:
    """Make a middleware that logs each event, without its payload, which may be secret.

    Args:
        logger: Where to; left out, it is the logger ``wares``.

    Returns:
        The middleware, for both kinds of server.
    """
    log = logger or logging.getLogger("wares")

    class Logging(SyncMiddleware):
        def before_event(self, event: str, sid: str, data: Any, **context: Any) -> Any:
            log.info("The event %s came from %s.", event, sid)
            return data

        def after_event(self, event: str, sid: str, response: Any, **context: Any) -> Any:
            log.info("The event %s from %s was handled.", event, sid)
            return response

    return Logging()


def rate_limit_middleware(max_requests: int, window_seconds: float) -> BaseMiddleware:
    """Make a middleware that limits how often a client may send events.

    Args:
        max_requests: How many there may be within the window; one more, and a `RuntimeError` is
            raised.
        window_seconds: How long the window is, in seconds.

    Returns:
        The middleware, for both kinds of server.
    """
    return _RateLimit(max_requests, window_seconds)
