"""The hook in a server, which opens and closes the containers of connections and events.

All connections and events pass through four methods of python-socketio's servers, which the hook
replaces: ``_trigger_event``, ``_handle_event_internal``, ``_handle_eio_disconnect`` and
``shutdown``; checked with versions 5.12 to 5.18. One implementation serves both kinds of server:
see `_coroutines`.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import logging
from collections.abc import (
    Awaitable,
    Callable,
    Coroutine,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from contextvars import ContextVar
from typing import Any, Protocol
from weakref import WeakSet

import attrs
import socketio.exceptions

from wares._adapters.lifespan import REGISTRY_KEY
from wares._core.callables import describe_callable
from wares._core.container import Container, Registry
from wares._core.registrations import Registrations
from wares.exceptions import (
    InvalidRegistrationError,
    InvalidRegistryError,
    NoContainerError,
    PendingAsyncCleanupError,
    WaresError,
    raise_problems,
)
from wares.socketio._connections import Connection, Connections, Key
from wares.socketio._coroutines import as_coroutine_function, as_function
from wares.socketio._events import (
    CONNECT,
    DISCONNECT,
    FACTS,
    Environ,
    SocketEvent,
    SocketID,
    give_event,
    read_event,
)

_log = logging.getLogger("wares")

#: The exceptions with which python-socketio refuses a client; they need no exception handler.
REFUSALS = (socketio.exceptions.ConnectionRefusedError, ConnectionRefusedError)

#: The key in the ASGI scope of a test client's function that receives exceptions of handlers.
FAILURES_KEY = "wares.socketio.failures"

#: The registry of connections for which neither `init_app` nor a lifespan has one.
DEFAULT = Registry()


class Registered(Protocol):
    """The handler of an event."""

    async def answer(self, serving: Serving, error: Exception) -> Any:
        """Return the acknowledgement for an exception, or raise the exception."""


@attrs.define(eq=False)
class Serving:
    """An event that is being handled.

    Attributes:
        hook: The hook of its server.
        event: The event.
        container: The container of the event.
        registered: The handler of the event, when it has been called.
        error: The exception that has left the handler, answered or not.
    """

    hook: Hook
    event: SocketEvent
    container: Container
    registered: Registered | None = None
    error: BaseException | None = None

    def replace_event(self, event: SocketEvent) -> None:
        """Handle *event* instead; a middleware has passed it on."""
        self.event = event
        self.container._give(give_event(event))


_serving: ContextVar[Serving | None] = ContextVar("wares_socketio_serving", default=None)

#: Whether the client waits for an acknowledgement of the event.
_is_answered: ContextVar[bool] = ContextVar("wares_socketio_is_answered", default=True)

find_serving = _serving.get
is_answered = _is_answered.get


def current_serving() -> Serving:
    """Return the event that is being handled."""
    serving = _serving.get()
    if serving is None:
        raise NoContainerError(
            "No Socket.IO event is being handled, and so there is no container. Initialise the "
            "server, wares.socketio.init_app(sio), and ask within a handler; elsewhere open a "
            "container: with registry.container() as container: ..."
        )
    return serving


class Hook:
    """The containers of one server.

    Args:
        server: The server.
        registry: The registry to use, or None to find one for each connection.
        find_problems: Finds the services that handlers need and a registry lacks.
        let_in: Decides on a client that connects to a namespace without a connect handler.
        validates: Whether registries are checked.

    Attributes:
        server: The server.
        registry: The registry to use, or None to find one for each connection.
        can_await: Whether the server is asynchronous.
        connections: The connections that are open.
        checked: The registries that have passed the check.
    """

    def __init__(
        self,
        server: Any,
        registry: Registry | None,
        *,
        find_problems: Callable[[Registry], Iterable[WaresError]],
        let_in: Callable[[Serving], Awaitable[Any]],
        validates: bool,
    ) -> None:
        self.server = server
        self.registry = registry
        self.can_await: bool = server.is_asyncio_based()
        self.connections = Connections()
        # Handlers may ask for the server by each of its classes.
        self._given: dict[Any, Any] = dict.fromkeys(type(server).__mro__[:-1], server)
        self._find_problems = find_problems
        self._let_in = let_in
        self._validates = validates
        self._announced: WeakSet[Registrations] = WeakSet()
        self.checked: WeakSet[Registrations] = WeakSet()
        # If a connect handler raises a TypeError, python-socketio calls it again, with one argument
        # less. Instead, the second call raises the error that is kept here.
        self._refused: dict[Key, TypeError] = {}

    def install(self) -> None:
        """Replace the methods of the server."""
        handlers, own = self.server.eio.handlers, self.server._handle_eio_disconnect
        self._trigger = self._replace("_trigger_event", self._serve)
        self._handle_received = self._replace("_handle_event_internal", self._receive)
        self._disconnect_transport = self._replace(
            "_handle_eio_disconnect", self._end_transport
        )
        self._shut_down = self._replace("shutdown", self._end)
        if handlers["disconnect"] == own:
            # If they differ, the server is instrumented, and the instrumentation looks the method
            # up on the server.
            handlers["disconnect"] = self.server._handle_eio_disconnect

    def _replace(
        self, name: str, work: Callable[..., Coroutine[Any, Any, Any]]
    ) -> Callable[..., Awaitable[Any]]:
        """Replace a method of the server with *work*; return the method as a coroutine function."""
        method: Callable[..., Any] = getattr(self.server, name)
        vars(self.server)[name] = self.as_method(work)
        return method if self.can_await else as_coroutine_function(method)

    def as_method(self, work: Callable[..., Coroutine[Any, Any, Any]]) -> Callable[..., Any]:
        """Return *work* as a method for the server, synchronous if the server is."""
        return work if self.can_await else as_function(work)

    def prepare(self, registry: Registry) -> None:
        """Announce given objects to *registry*, and close its connections with it; only once."""
        if registry._known not in self._announced:
            self._announced.add(registry._known)
            registry.expect(*FACTS, SocketEvent, *self._given)
            registry._before_close.append(lambda: self._close_connections_of(registry))

    def check(self, registry: Registry) -> None:
        """Check once that *registry* can make its services, and those that handlers need."""
        self.prepare(registry)
        if self._validates and registry._known not in self.checked:
            problems = [*registry.graph().problems, *self._find_problems(registry)]
            raise_problems("The Socket.IO server does not start, because of", problems)
            self.checked.add(registry._known)

    async def finish(self, result: Any, called: Callable[..., Any]) -> Any:
        """Await *result*, which the application's function *called* has returned, if it must be.

        Raises:
            InvalidRegistrationError: It must be awaited, but the server is synchronous.
        """
        if not inspect.isawaitable(result):
            return result
        if self.can_await:
            return await result
        if inspect.iscoroutine(result):
            result.close()
        raise refuse_async(called)

    async def _receive(self, *received: Any) -> Any:
        """Replace ``_handle_event_internal``; note whether the packet has an id (last argument)."""
        token = _is_answered.set(received[-1] is not None)
        try:
            return await self._handle_received(*received)
        finally:
            _is_answered.reset(token)

    def _serve(self, name: str, namespace: str, *raw: Any) -> Coroutine[Any, Any, Any]:
        """Replace ``_trigger_event``: handle an event, in containers."""
        # This is no coroutine function, so that each event takes one coroutine, not two.
        key = (namespace, raw[0])
        if name == CONNECT:
            return self._connect(key, raw)
        connection = self.connections.find(key)
        if connection is None:
            # The connection is over, or older than the hook, so each of its events gets a
            # connection container of its own.
            connection = self._open(key, self.server.environ.get(self._find_transport(key), {}))
            connection.is_over = True
        return self._handle(connection, name, raw)

    async def _connect(self, key: Key, raw: tuple[Any, ...]) -> Any:
        again = self._refused.pop(key, None)
        if again is not None:
            raise again
        environ = raw[1]
        try:
            self.check(find_registry(self.registry, environ))
        except InvalidRegistryError as error:
            if _tell_test_client(environ, error):
                return False
            _log.exception("The client %s is refused.", key[1])
            refusal = socketio.exceptions.ConnectionRefusedError("The server is not ready.")
            raise refusal from error
        connection = self._open(key, environ)
        self.connections.add(connection)
        try:
            return await self._handle(connection, CONNECT, raw)
        except TypeError as raised:
            if raw[2:] in ((), (None,)):
                self._refused[key] = raised
            raise

    async def _handle(self, connection: Connection, name: str, raw: tuple[Any, ...]) -> Any:
        """Handle an event; after the last one, close the container of the connection."""
        if name == DISCONNECT and self.can_await:
            # Let the tasks of earlier events begin first.
            await asyncio.sleep(0)
        self.connections.begin_event(connection)
        result, error = None, None
        try:
            event = read_event(self.server, name, connection.key[0], connection.environ, raw)
            result = await self._handle_event(connection, event, raw)
        except BaseException as raised:
            error = raised
            if not _tell_test_client(connection.environ, raised):
                raise
            return False if name == CONNECT else self.server.not_handled
        else:
            return result
        finally:
            is_refused = name == CONNECT and (error is not None or result is False)
            is_last = name == DISCONNECT or is_refused
            if self.connections.end_event(connection, is_last=is_last):
                await self._close_all([connection], error if is_refused else None)

    async def _handle_event(
        self, connection: Connection, event: SocketEvent, raw: tuple[Any, ...]
    ) -> Any:
        """Handle an event, and answer the exceptions of the handler and of the cleanups."""
        serving = Serving(self, event, connection.container.child(give_event(event)))
        try:
            return await self._in_container(serving, self._call_handler(serving, raw))
        except Exception as error:
            if error is serving.error or serving.registered is None:
                raise
            # A cleanup has failed, or has replaced the exception of the handler.
            container = connection.container.child(give_event(event))
            again = Serving(self, event, container, error=error)
            return await self._in_container(again, serving.registered.answer(again, error))

    async def _call_handler(self, serving: Serving, raw: tuple[Any, ...]) -> Any:
        event = serving.event
        try:
            result = await self._trigger(event.name, event.namespace, *raw)
            if event.name == CONNECT and serving.registered is None and result is not False:
                result = await self._let_in(serving)
        except Exception as error:
            serving.error = error
            if serving.registered is None:
                raise
            return await serving.registered.answer(serving, error)
        return result

    async def _in_container(self, serving: Serving, work: Coroutine[Any, Any, Any]) -> Any:
        """Await *work*, and close the container with the exception, answered or not."""
        token = _serving.set(serving)
        try:
            with serving.container.activate():
                try:
                    return await work
                except BaseException as error:
                    serving.error = error
                    raise
                finally:
                    await self._close_event(serving)
        finally:
            _serving.reset(token)

    async def _close_event(self, serving: Serving) -> None:
        if serving.event.name != DISCONNECT:
            await self._close(serving.container, serving.error)
            return
        # An exception here would keep python-socketio from forgetting the client.
        with _logging_failure(f"the disconnect event of {serving.event.sid}"):
            await self._close(serving.container, serving.error)

    async def _close(self, container: Container, error: BaseException | None) -> None:
        if self.can_await:
            await container.__aexit__(None, error, None)
        else:
            container.__exit__(None, error, None)

    async def _close_all(
        self, connections: Sequence[Connection], error: BaseException | None = None
    ) -> None:
        """Close the containers of connections, and only log errors, so that all of them close."""
        for connection in connections:
            with _logging_failure(connection):
                await self._close(connection.container, error)

    async def _end_transport(self, transport: str, *reason: Any) -> Any:
        """Replace ``_handle_eio_disconnect``; afterwards, close what is left of the client."""
        try:
            return await self._disconnect_transport(transport, *reason)
        finally:
            await self._close_all(self.connections.end(lambda one: one.transport == transport))

    async def _end(self) -> None:
        """Replace ``shutdown``; afterwards, close the connections of clients that were polling."""
        try:
            await self._shut_down()
        finally:
            await self._close_all(self.connections.end(lambda _: True))

    def _close_connections_of(self, registry: Registry) -> Awaitable[None] | None:
        """Close the connections that *registry* serves; return an awaitable only if needed."""
        waiting = []
        for connection in self.connections.end(lambda one: one.container.registry is registry):
            with _logging_failure(connection):
                try:
                    connection.container.close()
                except PendingAsyncCleanupError:
                    waiting.append(connection)
        return self._close_all(waiting) if waiting else None

    def _open(self, key: Key, environ: dict[str, Any]) -> Connection:
        registry = find_registry(self.registry, environ)
        self.prepare(registry)
        given = {**self._given, SocketID: key[1], Environ: environ}
        container = registry.container(given)
        return Connection(key, self._find_transport(key), container, environ)

    def _find_transport(self, key: Key) -> str | None:
        transport: str | None = self.server.manager.eio_sid_from_sid(key[1], key[0])
        return transport


@contextlib.contextmanager
def _logging_failure(what: object) -> Iterator[None]:
    try:
        yield
    except Exception:  # noqa: BLE001  # a cleanup may raise anything
        _log.exception("Cleaning up %s failed.", what)


def find_registry(given: Registry | None, environ: Any) -> Registry:
    """Find the registry of a connection: *given*, that of the lifespan, or the default one."""
    if given is not None:
        return given
    registry: Registry = _look_up(_find_in_scope(environ, "state"), REGISTRY_KEY) or DEFAULT
    return registry


def refuse_async(called: Callable[..., Any]) -> InvalidRegistrationError:
    """Make the error for an asynchronous function on a synchronous server."""
    return InvalidRegistrationError(
        f"{describe_callable(called)} has to be awaited, and a socketio.Server awaits nothing. "
        f"Write it without `async`, or use a socketio.AsyncServer."
    )


def _find_in_scope(environ: Any, key: str) -> Any:
    return _look_up(_look_up(environ, "asgi.scope"), key)


def _look_up(mapping: Any, key: str) -> Any:
    """Look up a key in *mapping*, which may be no mapping: python-socketio accepts any environ."""
    return mapping.get(key) if isinstance(mapping, Mapping) else None


def _tell_test_client(environ: Any, error: BaseException) -> bool:
    """Pass an exception to the test client that sent the event, if one did."""
    note = _find_in_scope(environ, FAILURES_KEY)
    if note is None or isinstance(error, REFUSALS) or not isinstance(error, Exception):
        return False
    note(error)
    return True
