"""The names of fastsio, for applications that come from it.

Besides the names of python-socketio, these are middlewares that are classes, servers that take
such middlewares, and `register_dependency`.
"""

# ruff: noqa: ARG002  # subclasses may need the arguments of methods that they override

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
from wares.socketio._dispatch import DEFAULT
from wares.socketio._events import (
    DISCONNECT,
    Auth,
    Data,
    Environ,
    Event,
    Reason,
    SocketEvent,
    SocketID,
    has_payload,
)
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
    """Register a factory for ``Depends("name")`` on the default registry.

    A server uses the default registry if it was initialised without a registry and the lifespan of
    its application has none.

    Args:
        name: The key of the service.
        factory: The callable that makes the service.
        lifetime: As in `wares.Registry.register_factory`.
    """
    DEFAULT.register_factory(name, factory, lifetime=lifetime)


class BaseMiddleware:
    """A base class for middlewares: derive from it, and override the methods that you need.

    Each method gets the keyword arguments ``namespace``, ``environ``, ``auth`` and ``server``.
    Declare those that you use, and ``**context`` for the others.

    Args:
        events: The name or the names of the events to wrap; all events by default.
        namespace: The namespace whose events to wrap; all namespaces by default.
        global_middleware: Kept as an attribute, and otherwise without effect: a middleware without
            *events* and *namespace* wraps all events.
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
        """Tell whether the middleware wraps an event.

        Args:
            event: The name of the event.
            namespace: The namespace in which it happened.
        """
        is_near = self.namespace in (None, namespace)
        return is_near and (not self.events or event in self.events)

    async def before_event(self, event: str, sid: str, data: Any, **context: Any) -> Any:
        """Run before the handler.

        Args:
            event: The name of the event.
            sid: The client's id.
            data: The payload: one argument, a list of several, or None.
            context: The other facts of the event.

        Returns:
            The payload for the handler.
        """
        return data

    async def after_event(self, event: str, sid: str, response: Any, **context: Any) -> Any:
        """Run after the handler.

        Args:
            event: The name of the event.
            sid: The client's id.
            response: The answer of the handler.
            context: The other facts of the event.

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
            context: The other facts of the event.

        Returns:
            The acknowledgement.

        Raises:
            Exception: By default, *exc*.
        """
        raise exc

    async def __call__(
        self, event: str, sid: str, data: Any, handler: Callable[..., Any], **context: Any
    ) -> Any:
        """Call the methods above around the handler; override this method for complete control.

        Args:
            event: The name of the event.
            sid: The client's id.
            data: The payload.
            handler: Takes a payload, calls the inner middlewares and the handler, and returns the
                answer.
            context: The other facts of the event.

        Returns:
            The acknowledgement.
        """
        return await _go_around(self, event, sid, data, handler, context)


class SyncMiddleware(BaseMiddleware):
    """A `BaseMiddleware` with synchronous methods, for both kinds of server."""

    def before_event(self, event: str, sid: str, data: Any, **context: Any) -> Any:
        """Run before the handler; see `BaseMiddleware`."""
        return data

    def after_event(self, event: str, sid: str, response: Any, **context: Any) -> Any:
        """Run after the handler; see `BaseMiddleware`."""
        return response

    def handle_exception(
        self, exc: Exception, event: str, sid: str, data: Any, **context: Any
    ) -> Any:
        """Answer an exception; see `BaseMiddleware`."""
        raise exc

    def __call__(
        self, event: str, sid: str, data: Any, handler: Callable[..., Any], **context: Any
    ) -> Any:
        """Call these methods around the handler; on an asynchronous server, await the result."""
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
        changed = await _resolve(middleware.before_event(event, sid, data, **context))
        response = await _resolve(handler(changed))
        return await _resolve(middleware.after_event(event, sid, response, **context))
    except Exception as error:  # noqa: BLE001  # an application may raise anything
        answer = middleware.handle_exception(error, event, sid, data, **context)
        return await _resolve(answer)


async def _resolve(result: Any) -> Any:
    """Return *result*, awaited if it is awaitable."""
    return await result if inspect.isawaitable(result) else result


@attrs.frozen(eq=False)
class _Adapted:
    """A `BaseMiddleware` as a function of ``call_next`` and the event.

    Attributes:
        middleware: The middleware.
        can_await: Whether the server is asynchronous.
    """

    middleware: BaseMiddleware
    can_await: bool

    def __call__(self, call_next: Callable[..., Any], event: SocketEvent) -> Any:
        """Wrap an event, or pass it on if the middleware does not wrap it."""
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
    """The methods of servers for middlewares that are classes."""

    def add_middleware(
        self,
        middleware: BaseMiddleware,
        events: str | Iterable[str] | None = None,
        namespace: str | None = None,
        global_middleware: bool = False,
    ) -> None:
        """Add a middleware that is an instance of `BaseMiddleware`.

        Args:
            middleware: The middleware.
            events: The names of the events that it wraps from now on, instead of its own.
            namespace: The namespace whose events it wraps from now on, instead of its own.
            global_middleware: Whether to set its attribute of that name, which has no effect.

        Raises:
            InvalidRegistrationError: It is no `BaseMiddleware`, or it is asynchronous and the
                server is not.
        """
        if not isinstance(middleware, BaseMiddleware):
            raise InvalidRegistrationError(
                f"add_middleware takes an instance of BaseMiddleware, not of "
                f"{type(middleware).__qualname__}. A function of `call_next` and the event is "
                f"added by sio.middleware(...)."
            )
        can_await = self._dispatch.can_await
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
        """Remove a middleware that `add_middleware` has added, if it has."""
        added = self._route.middlewares
        for handler in added:
            if getattr(handler.function, "middleware", None) is middleware:
                added.remove(handler)
                return

    def get_middlewares(self) -> list[BaseMiddleware]:
        """List the middlewares that `add_middleware` has added."""
        functions = [handler.function for handler in self._route.middlewares]
        return [one.middleware for one in functions if isinstance(one, _Adapted)]


class AsyncServer(_Adapting, _servers.AsyncServer):
    """A `wares.socketio.AsyncServer` that also takes middlewares that are classes."""


class Server(_Adapting, _servers.Server):
    """A `wares.socketio.Server` that also takes middlewares that are classes."""


def _as_names(events: str | Iterable[str] | None) -> set[str]:
    """Return a set of event names, from one name or several."""
    if events is None:
        return set()
    return {events} if isinstance(events, str) else set(events)


def _with_payload(event: SocketEvent, data: Any) -> SocketEvent:
    """Return the event with the payload *data*, if it can have one."""
    if not has_payload(event.name) or (not event.arguments and data is None):
        return event
    is_several = isinstance(data, list | tuple) and len(event.arguments) > 1
    arguments = tuple(data) if is_several else (data,)
    return event if arguments == event.arguments else attrs.evolve(event, arguments=arguments)


class _BeforeDisconnect(SyncMiddleware):
    """A middleware that wraps every event except ``disconnect``, so that clients can leave."""

    def should_run(self, event: str, namespace: str | None = None) -> bool:
        return event != DISCONNECT and super().should_run(event, namespace)


class _RateLimit(_BeforeDisconnect):
    def __init__(self, max_requests: int, window_seconds: float) -> None:
        super().__init__()
        self._limit = max_requests
        self._window = window_seconds
        # The client that has been quiet for longest comes first.
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
        """Forget the clients whose last event came before the window."""
        while self._times and next(iter(self._times.values()))[-1] <= until:
            self._times.popitem(last=False)


def auth_middleware(auth_checker: Callable[[str, dict[str, Any]], bool]) -> BaseMiddleware:
    """Make a middleware that checks whether a client may send an event.

    Args:
        auth_checker: Takes the client's id and the environment of the request with which it
            connected. If it returns false, the middleware raises a `PermissionError`.

    Returns:
        The middleware, for both kinds of server.
    """

    class Authentication(_BeforeDisconnect):
        def before_event(self, event: str, sid: str, data: Any, **context: Any) -> Any:
            if not auth_checker(sid, context["environ"]):
                raise PermissionError(f"The client {sid} may not do that.")
            return data

    return Authentication()


def logging_middleware(logger: logging.Logger | None = None) -> BaseMiddleware:
    """Make a middleware that logs each event, without its payload, which may be secret.

    Args:
        logger: The logger; ``wares`` by default.

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
        max_requests: How many events a client may send within the window. For each further one,
            the middleware raises a `RuntimeError`.
        window_seconds: The length of the window, in seconds.

    Returns:
        The middleware, for both kinds of server.
    """
    return _RateLimit(max_requests, window_seconds)
