"""What `init_app` puts into a server: containers around whatever python-socketio triggers.

This module knows the places of python-socketio where connections and events pass: the server's
``_trigger_event``, ``_handle_event_internal``, ``_handle_eio_disconnect`` and ``shutdown``, in
the versions 5.12 to 5.18.

It is written once for both kinds of server: see `_coroutines`.
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

#: What python-socketio understands as a refusal; that is an answer already.
REFUSALS = (socketio.exceptions.ConnectionRefusedError, ConnectionRefusedError)

#: Under this name a test client puts into the scope what wants to know of failed handlers.
FAILURES_KEY = "wares.socketio.failures"

#: What serves connections for which nobody has given a registry.
DEFAULT = Registry()


class Registered(Protocol):
    """The handler that an event goes to."""

    async def answer(self, serving: Serving, error: Exception) -> Any:
        """Give the acknowledgement for an exception, or raise it."""


@attrs.define(eq=False)
class Serving:
    """An event that is being handled.

    Attributes:
        hook: The hook that it came through.
        event: The event.
        container: Its services.
        registered: The handler that it went to, once there is one.
        error: The exception that the handler has ended with, answered or not.
    """

    hook: Hook
    event: SocketEvent
    container: Container
    registered: Registered | None = None
    error: BaseException | None = None

    def replace_event(self, event: SocketEvent) -> None:
        """Go on with another event, which a middleware has passed on."""
        self.event = event
        self.container._give(give_event(event))


_serving: ContextVar[Serving | None] = ContextVar("wares_socketio_serving", default=None)

#: Whether the client waits for an acknowledgement of the event.
_is_answered: ContextVar[bool] = ContextVar("wares_socketio_is_answered", default=True)

find_serving = _serving.get
is_answered = _is_answered.get


def current_serving() -> Serving:
    """Give the event that is being handled."""
    serving = _serving.get()
    if serving is None:
        raise NoContainerError(
            "No Socket.IO event is being handled, and so there is no container. Initialise the "
            "server, wares.socketio.init_app(sio), and ask within a handler; elsewhere open a "
            "container: with registry.container() as container: ..."
        )
    return serving


class Hook:
    """Containers for one server.

    Attributes:
        server: The server.
        registry: Where services are registered, unless it is left to each connection.
        can_await: Whether the server is asynchronous.
        connections: The connections that are open.
        checked: The registries that can make all that they have, and have what handlers need.
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
        # python-socketio calls a connect handler again that has raised a TypeError.
        self._refused: dict[Key, TypeError] = {}

    def install(self) -> None:
        """Take the places of the server's methods."""
        handlers, own = self.server.eio.handlers, self.server._handle_eio_disconnect
        self._trigger = self._replace("_trigger_event", self._serve)
        self._handle_received = self._replace("_handle_event_internal", self._receive)
        self._disconnect_transport = self._replace(
            "_handle_eio_disconnect", self._end_transport
        )
        self._shut_down = self._replace("shutdown", self._end)
        if handlers["disconnect"] == own:
            # Otherwise an instrumented server stands before it, and calls the method on the server.
            handlers["disconnect"] = self.server._handle_eio_disconnect

    def _replace(
        self, name: str, work: Callable[..., Coroutine[Any, Any, Any]]
    ) -> Callable[..., Awaitable[Any]]:
        """Have *work* done in place of a method of the server; give the method, awaitable."""
        method: Callable[..., Any] = getattr(self.server, name)
        vars(self.server)[name] = self.as_method(work)
        return method if self.can_await else as_coroutine_function(method)

    def as_method(self, work: Callable[..., Coroutine[Any, Any, Any]]) -> Callable[..., Any]:
        """Give *work* as a server of this kind calls it."""
        return work if self.can_await else as_function(work)

    def prepare(self, registry: Registry) -> None:
        """Announce what containers are given, and be told when *registry* closes; once."""
        if registry._known not in self._announced:
            self._announced.add(registry._known)
            registry.expect(*FACTS, SocketEvent, *self._given)
            registry._before_close.append(lambda: self._leave(registry))

    def check(self, registry: Registry) -> None:
        """Check that *registry* can make all that it has, and what handlers need; once, if so."""
        self.prepare(registry)
        if self._validates and registry._known not in self.checked:
            problems = [*registry.graph().problems, *self._find_problems(registry)]
            raise_problems("The Socket.IO server does not start, because there is", problems)
            self.checked.add(registry._known)

    async def finish(self, result: Any, called: Callable[..., Any]) -> Any:
        """Await what the application has returned, where it can be awaited."""
        if not inspect.isawaitable(result):
            return result
        if self.can_await:
            return await result
        if inspect.iscoroutine(result):
            result.close()
        raise refuse_async(called)

    async def _receive(self, *received: Any) -> Any:
        """Do what ``_handle_event_internal`` does; the id of what is received comes last."""
        token = _is_answered.set(received[-1] is not None)
        try:
            return await self._handle_received(*received)
        finally:
            _is_answered.reset(token)

    def _serve(self, name: str, namespace: str, *raw: Any) -> Coroutine[Any, Any, Any]:
        """Do what ``_trigger_event`` does, with containers."""
        # No coroutine function itself, so that there is one coroutine, not two.
        key = (namespace, raw[0])
        if name == CONNECT:
            return self._connect(key, raw)
        connection = self.connections.find(key)
        if connection is None:
            # It is over, or older than the hook: whatever still comes has a container of its own.
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
        """Have an event handled, and close the connection's container if it was the last."""
        if name == DISCONNECT and self.can_await:
            # Let the tasks begin of the events that came before.
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
        """Have an event handled, and the exceptions of the handler and of the cleanups answered."""
        serving = Serving(self, event, connection.container.child(give_event(event)))
        try:
            return await self._in_container(serving, self._call_handler(serving, raw))
        except Exception as error:
            if error is serving.error or serving.registered is None:
                raise
            # A cleanup has failed, or has put another exception in the place of the first.
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
        """Do some work, and close the container with the exception, answered or not."""
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
        # Raised here it would keep python-socketio from forgetting the client.
        with _logging_failure(f"after the disconnecting of {serving.event.sid}"):
            await self._close(serving.container, serving.error)

    async def _close(self, container: Container, error: BaseException | None) -> None:
        if self.can_await:
            await container.__aexit__(None, error, None)
        else:
            container.__exit__(None, error, None)

    async def _close_all(
        self, connections: Sequence[Connection], error: BaseException | None = None
    ) -> None:
        """Close connections; what cleanups raise would keep the others from ending."""
        for connection in connections:
            with _logging_failure(connection):
                await self._close(connection.container, error)

    async def _end_transport(self, transport: str, *reason: Any) -> Any:
        """Do what ``_handle_eio_disconnect`` does; after it, nothing of a client is left."""
        try:
            return await self._disconnect_transport(transport, *reason)
        finally:
            await self._close_all(self.connections.end(lambda one: one.transport == transport))

    async def _end(self) -> None:
        """Do what ``shutdown`` does, and close what polling clients have left behind."""
        try:
            await self._shut_down()
        finally:
            await self._close_all(self.connections.end(lambda _: True))

    def _leave(self, registry: Registry) -> Awaitable[None] | None:
        """Close the connections that *registry* serves, awaiting only if need be."""
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
    except Exception:  # noqa: BLE001  # whatever a cleanup raises
        _log.exception("Cleaning up %s failed.", what)


def find_registry(given: Registry | None, environ: Any) -> Registry:
    """Find the registry of a connection."""
    if given is not None:
        return given
    registry: Registry = _look_up(_find_in_scope(environ, "state"), REGISTRY_KEY) or DEFAULT
    return registry


def refuse_async(called: Callable[..., Any]) -> InvalidRegistrationError:
    """Make the error about something asynchronous on a synchronous server."""
    return InvalidRegistrationError(
        f"{describe_callable(called)} has to be awaited, and a socketio.Server awaits nothing. "
        f"Write it without `async`, or use a socketio.AsyncServer."
    )


def _find_in_scope(environ: Any, key: str) -> Any:
    return _look_up(_look_up(environ, "asgi.scope"), key)


def _look_up(mapping: Any, key: str) -> Any:
    """Look up what may be there; python-socketio takes anything for an environment."""
    return mapping.get(key) if isinstance(mapping, Mapping) else None


def _tell_test_client(environ: Any, error: BaseException) -> bool:
    """Hand an exception to the test client that the event came from, if it came from one."""
    note = _find_in_scope(environ, FAILURES_KEY)
    if note is None or isinstance(error, REFUSALS) or not isinstance(error, Exception):
        return False
    note(error)
    return True
