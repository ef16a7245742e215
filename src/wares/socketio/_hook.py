"""What `init_app` puts into a server: containers around whatever python-socketio triggers.

This module knows the places of python-socketio where connections and events pass: the server's
``_trigger_event``, ``_get_event_handler``, ``_handle_eio_disconnect`` and ``shutdown``. It must
not know what a handler asks for.

It is written once for both kinds of server. On a synchronous one nothing in it suspends, and
`run` takes it to its end.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextvars import ContextVar
from typing import Any
from weakref import WeakSet

import attrs

from wares._core.container import Container
from wares._core.container import Registry
from wares._core.resolution import run
from wares.exceptions import CleanupError, NoContainerError, PendingAsyncCleanupError
from wares.socketio._connections import Connection, Connections
from wares.socketio._events import (
    CONNECT,
    DISCONNECT,
    SocketEvent,
    expected_keys,
    give_connection,
    give_event,
    read_event,
)
from wares.socketio._registries import find_registry

_log = logging.getLogger("wares")


@attrs.define(eq=False)
class Serving:
    """An event that is being handled.

    Attributes:
        hook: What it came through.
        event: The event.
        container: Its services.
        answered: The exception that was answered, instead of raised.
        is_pending: Whether a handler has yet to be called.
        type_error: What a handler has raised that python-socketio takes for a wrong signature,
            and tries again.
    """

    hook: Hook
    event: SocketEvent
    container: Container
    answered: BaseException | None = None
    is_pending: bool = True
    type_error: TypeError | None = None

    def replace_event(self, event: SocketEvent) -> None:
        """Go on with another event."""
        self.event = event
        self.container._give(give_event(event))


_serving: ContextVar[Serving | None] = ContextVar("wares_socketio_serving", default=None)


def find_serving() -> Serving | None:
    """Find what is being handled."""
    return _serving.get()


def current_serving() -> Serving:
    """Give what is being handled.

    Raises:
        NoContainerError: No event is.
    """
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
    """

    def __init__(self, server: Any, registry: Registry | None) -> None:
        self.server = server
        self.registry = registry
        self.can_await: bool = server.is_asyncio_based()
        self.connections = Connections()
        self._trigger = server._trigger_event
        self._disconnect_transport = server._handle_eio_disconnect
        self._shut_down = server.shutdown
        self._known: WeakSet[Registry] = WeakSet()
        # python-socketio calls a connect handler again that has raised a TypeError.
        self._refused: dict[tuple[str, str], TypeError] = {}

    def install(self) -> None:
        """Take the places of the server's methods."""
        own = vars(self.server)
        own["_trigger_event"] = self._as_method(self._serve)
        own["_handle_eio_disconnect"] = self._as_method(self._end_transport)
        own["shutdown"] = self._as_method(self._end)
        handlers = self.server.eio.handlers
        if handlers["disconnect"] == self._disconnect_transport:
            # Otherwise somebody stands before it who looks for it on the server.
            handlers["disconnect"] = own["_handle_eio_disconnect"]

    def _as_method(self, work: Callable[..., Coroutine[Any, Any, Any]]) -> Callable[..., Any]:
        if self.can_await:
            return work

        def work_to_the_end(*args: Any, **kwargs: Any) -> Any:
            return run(work(*args, **kwargs))

        return work_to_the_end

    async def settle(self, result: Any) -> Any:
        """Await what a method of the server has given, if the server is asynchronous."""
        return await result if self.can_await else result

    def _serve(self, name: str, namespace: str, *raw: Any) -> Coroutine[Any, Any, Any]:
        """Do what ``_trigger_event`` does, with containers."""
        # No coroutine function itself, so that there is one coroutine, not two.
        key = (namespace, raw[0])
        if name == CONNECT:
            return self._connect(key, raw)
        connection = self.connections.find(key)
        if connection is None:
            # It is over, or older than the hook: whatever still comes has a container of its own.
            connection = self._open(key, self._find_environ(key))
            connection.is_over = True
        if name == DISCONNECT:
            return self._disconnect(connection, raw)
        return self._handle(connection, name, raw)

    async def _connect(self, key: tuple[str, str], raw: tuple[Any, ...]) -> Any:
        again = self._refused.pop(key, None)
        if again is not None:
            raise again
        connection = self._open(key, raw[1])
        self.connections.add(connection)
        self.connections.begin_event(connection)
        success: Any = False
        error: BaseException | None = None
        try:
            success = await self._handle(connection, CONNECT, raw)
        except BaseException as raised:
            error = raised
            if isinstance(raised, TypeError) and raw[2:] in ((), (None,)):
                self._refused[key] = raised
            raise
        finally:
            if success is False:
                self.connections.end(connection)
            await self._end_event(connection, error)
        return success

    async def _disconnect(self, connection: Connection, raw: tuple[Any, ...]) -> Any:
        if self.can_await:
            # Let the tasks begin of the events that came before.
            await asyncio.sleep(0)
        self.connections.begin_event(connection)
        self.connections.end(connection)
        try:
            return await self._handle(connection, DISCONNECT, raw)
        except CleanupError:
            # Raised here it would keep python-socketio from forgetting the client.
            _log.exception("Cleaning up after the disconnecting of %s failed.", raw[0])
            return None
        finally:
            await self._end_event(connection, None)

    async def _handle(self, connection: Connection, name: str, raw: tuple[Any, ...]) -> Any:
        """Have an event handled, in a container of its own."""
        namespace = connection.key[0]
        self.connections.begin_event(connection)
        try:
            event = read_event(self.server, name, namespace, connection.environ, raw)
            container = connection.container.child(give_event(event))
            serving = Serving(self, event, container)
            token = _serving.set(serving)
            try:
                with container.activate():
                    return await self._handle_in(serving, raw)
            finally:
                _serving.reset(token)
        finally:
            if self.connections.end_event(connection):
                await self._close_connections([connection])

    async def _handle_in(self, serving: Serving, raw: tuple[Any, ...]) -> Any:
        event = serving.event
        try:
            result = self._trigger(event.name, event.namespace, *raw)
            if self.can_await:
                result = await result
        except BaseException as error:
            await self._close(serving.container, error)
            raise
        await self._close(serving.container, serving.answered)
        return result

    async def _close(self, container: Container, error: BaseException | None) -> None:
        kind = None if error is None else type(error)
        traceback = None if error is None else error.__traceback__
        if self.can_await:
            await container.__aexit__(kind, error, traceback)
        else:
            container.__exit__(kind, error, traceback)

    async def _end_event(self, connection: Connection, error: BaseException | None) -> None:
        if self.connections.end_event(connection):
            await self._close_connections([connection], error)

    async def _close_connections(
        self, connections: Sequence[Connection], error: BaseException | None = None
    ) -> None:
        for connection in connections:
            try:
                await self._close(connection.container, error)
            except Exception:  # noqa: BLE001  # whatever a cleanup raises
                _log_failed_cleanup(connection)

    async def _end_transport(self, transport: str, *reason: Any) -> Any:
        """Do what ``_handle_eio_disconnect`` does; after it, nothing of a client is left."""
        try:
            return await self.settle(self._disconnect_transport(transport, *reason))
        finally:
            await self._close_connections(self.connections.take_unused(transport))

    async def _end(self) -> None:
        """Do what ``shutdown`` does, and close what polling clients have left behind."""
        try:
            await self.settle(self._shut_down())
        finally:
            await self._close_connections(self.connections.take_all())

    def _open(self, key: tuple[str, str], environ: dict[str, Any]) -> Connection:
        registry = find_registry(self.registry, environ)
        self.prepare(registry)
        given = give_connection(self.server, key[1], environ)
        container = registry.container(given)
        transport = self.server.manager.eio_sid_from_sid(key[1], key[0])
        return Connection(key, transport, container, environ)

    def _find_environ(self, key: tuple[str, str]) -> dict[str, Any]:
        namespace, sid = key
        transport = self.server.manager.eio_sid_from_sid(sid, namespace)
        environ: dict[str, Any] = self.server.environ.get(transport, {})
        return environ

    def prepare(self, registry: Registry) -> None:
        """Announce what containers are given, and be told when *registry* closes; once."""
        if registry not in self._known:
            self._known.add(registry)
            registry.expect(*expected_keys(self.server))
            registry._before_close.append(lambda: self._leave(registry))

    def _leave(self, registry: Registry) -> Awaitable[None] | None:
        """Close the connections that *registry* serves, awaiting only if need be."""
        waiting = []
        for connection in self.connections.take_all(registry):
            try:
                connection.container.close()
            except PendingAsyncCleanupError:
                waiting.append(connection)
            except Exception:  # noqa: BLE001  # whatever a cleanup raises
                _log_failed_cleanup(connection)
        return self._close_connections(waiting) if waiting else None


def _log_failed_cleanup(connection: Connection) -> None:
    """Tell of the exception that is being handled: raised, it would keep others from ending."""
    _log.exception(
        "Cleaning up the connection of %s to %s failed.", connection.key[1], connection.key[0]
    )
