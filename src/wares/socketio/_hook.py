"""The hook in a server, which opens and closes the containers of connections and events.

All connections and events pass through four methods of python-socketio's servers, which the hook
replaces: ``_trigger_event``, ``_handle_event_internal``, ``_handle_eio_disconnect`` and
``shutdown``; checked with versions 5.12 to 5.18. One implementation serves both kinds of server:
see `_coroutines`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from socketio.exceptions import ConnectionRefusedError as Refusal

from wares.exceptions import InvalidRegistryError
from wares.socketio._connections import Connection, Key, logging_failure
from wares.socketio._coroutines import as_coroutine_function, close
from wares.socketio._dispatch import Dispatch, find_in_scope
from wares.socketio._events import (
    CONNECT,
    DISCONNECT,
    Environ,
    SocketEvent,
    SocketID,
    give_event,
    read_event,
)
from wares.socketio._payloads import REFUSALS
from wares.socketio._serving import Serving, enter, is_awaited, leave

_log = logging.getLogger("wares")

#: The key in the ASGI scope of a test client's function that receives exceptions of handlers.
FAILURES_KEY = "wares.socketio.failures"


class Hook:
    """Opens and closes the containers of one server.

    Args:
        dispatch: The handlers of the server.
    """

    def __init__(self, dispatch: Dispatch) -> None:
        self._dispatch = dispatch
        self._server = dispatch.server
        self._connections = dispatch.connections
        self._can_await = dispatch.can_await

    def install(self) -> None:
        """Replace the methods of the server."""
        handlers, own = self._server.eio.handlers, self._server._handle_eio_disconnect
        self._trigger = self._replace("_trigger_event", self._serve)
        self._handle_received = self._replace("_handle_event_internal", self._receive)
        self._disconnect_transport = self._replace(
            "_handle_eio_disconnect", self._end_transport
        )
        self._shut_down = self._replace("shutdown", self._end)
        if handlers["disconnect"] == own:
            # If they differ, the server is instrumented, and the instrumentation looks the method
            # up on the server.
            handlers["disconnect"] = self._server._handle_eio_disconnect

    def _replace(
        self, name: str, work: Callable[..., Coroutine[Any, Any, Any]]
    ) -> Callable[..., Awaitable[Any]]:
        """Replace a method of the server with *work*; return the method as a coroutine function."""
        method: Callable[..., Any] = getattr(self._server, name)
        vars(self._server)[name] = self._dispatch.as_method(work)
        return method if self._can_await else as_coroutine_function(method)

    async def _receive(self, *received: Any) -> Any:
        """Replace ``_handle_event_internal``; note whether the client waits for an answer."""
        _, sid, _, (name, *_), _, number = received
        if name in (CONNECT, DISCONNECT, "*"):
            # The handlers would take what the client sends for the environment, or for its id.
            _log.warning("The client %s sent an event with the reserved name %r.", sid, name)
            return None
        token = is_awaited.set(number is not None)
        try:
            return await self._handle_received(*received)
        finally:
            is_awaited.reset(token)

    def _serve(self, name: str, namespace: str, *raw: Any) -> Coroutine[Any, Any, Any]:
        """Replace ``_trigger_event``: handle an event, in containers."""
        # This is no coroutine function, so that each event takes one coroutine, not two.
        key = (namespace, raw[0])
        if name == CONNECT:
            return self._connect(key, raw)
        connection = self._connections.find(key)
        if connection is None:
            # The connection is over, or older than the hook, so each of its events gets a
            # connection container of its own.
            environ = self._server.environ.get(self._find_transport(key), {})
            connection = self._open(key, environ)
            connection.is_over = True
        return self._handle(connection, name, raw)

    async def _connect(self, key: Key, raw: tuple[Any, ...]) -> Any:
        environ = raw[1]
        try:
            self._dispatch.check(self._dispatch.find_registry(environ))
        except InvalidRegistryError as error:
            if _tell_test_client(environ, error):
                return False
            _log.exception("The client %s is refused.", key[1])
            raise Refusal("The server is not ready.") from error
        connection = self._open(key, environ)
        self._connections.add(connection)
        try:
            return await self._handle(connection, CONNECT, raw)
        except TypeError as error:
            # python-socketio would take this for a wrong signature, and call the handler again.
            raise RuntimeError(f"The connect handler raised a TypeError: {error}") from error

    async def _handle(self, connection: Connection, name: str, raw: tuple[Any, ...]) -> Any:
        """Handle an event; after the last one, close the container of the connection."""
        if name == DISCONNECT and self._can_await:
            # Let the tasks of earlier events begin first.
            await asyncio.sleep(0)
        self._connections.begin_event(connection)
        result: Any = False if name == CONNECT else self._server.not_handled
        error: BaseException | None = None
        try:
            event = read_event(self._server, name, connection.key[0], connection.environ, raw)
            result, error = await self._handle_event(connection, event, raw)
        except BaseException as raised:
            error = raised
            is_refusal = name == CONNECT and isinstance(raised, REFUSALS)
            if is_refusal or not _tell_test_client(connection.environ, raised):
                raise
        finally:
            is_refused = name == CONNECT and result is False
            is_last = name == DISCONNECT or is_refused
            if self._connections.end_event(connection, is_last=is_last):
                await self._connections.close([connection], error if is_refused else None)
        return result

    async def _handle_event(
        self, connection: Connection, event: SocketEvent, raw: tuple[Any, ...]
    ) -> tuple[Any, BaseException | None]:
        """Handle an event, and answer the exceptions of the handler and of the cleanups.

        Returns:
            The acknowledgement, and the exception that it answers, if there was one.
        """
        serving = self._begin(connection, event)
        try:
            result = await self._in_container(serving, self._call_handler(serving, raw))
        except Exception as error:
            if error is serving.error or serving.answer is None:
                raise
            # A cleanup has failed, or has replaced the exception of the handler.
            again = self._begin(connection, event)
            again.error = error
            return await self._in_container(again, serving.answer(again, error)), error
        return result, serving.error

    def _begin(self, connection: Connection, event: SocketEvent) -> Serving:
        container = connection.container.child(give_event(event))
        return Serving(event, container, self._can_await)

    async def _call_handler(self, serving: Serving, raw: tuple[Any, ...]) -> Any:
        event = serving.event
        try:
            result = await self._trigger(event.name, event.namespace, *raw)
            if event.name == CONNECT and serving.answer is None and result is not False:
                result = await self._dispatch.let_in(serving)
        except Exception as error:
            serving.error = error
            if serving.answer is None:
                raise
            return await serving.answer(serving, error)
        return result

    async def _in_container(self, serving: Serving, work: Awaitable[Any]) -> Any:
        """Await *work*, and close the container with the exception, answered or not."""
        token = enter(serving)
        try:
            with serving.container.activate():
                try:
                    return await work
                except BaseException as error:
                    serving.error = error
                    raise
                finally:
                    await self._close(serving)
        finally:
            leave(token)

    async def _close(self, serving: Serving) -> None:
        if serving.event.name != DISCONNECT:
            await close(serving.container, serving.error, can_await=self._can_await)
            return
        # An exception here would keep python-socketio from forgetting the client.
        with logging_failure(f"the disconnect event of {serving.event.sid}"):
            await close(serving.container, serving.error, can_await=self._can_await)

    async def _end_transport(self, transport: str, *reason: Any) -> Any:
        """Replace ``_handle_eio_disconnect``; afterwards, close what is left of the client."""
        try:
            return await self._disconnect_transport(transport, *reason)
        finally:
            await self._connections.end(lambda one: one.transport == transport)

    async def _end(self) -> None:
        """Replace ``shutdown``; afterwards, close the connections of clients that were polling."""
        try:
            await self._shut_down()
        finally:
            await self._connections.end(lambda _: True)

    def _open(self, key: Key, environ: dict[str, Any]) -> Connection:
        registry = self._dispatch.find_registry(environ)
        self._dispatch.prepare(registry)
        given = {**self._dispatch.given, SocketID: key[1], Environ: environ}
        return Connection(key, self._find_transport(key), registry.container(given), environ)

    def _find_transport(self, key: Key) -> str | None:
        transport: str | None = self._server.manager.eio_sid_from_sid(key[1], key[0])
        return transport


def _tell_test_client(environ: Any, error: BaseException) -> bool:
    """Pass an exception to the test client that sent the event, if one did."""
    note = find_in_scope(environ, FAILURES_KEY)
    if note is None or not isinstance(error, Exception):
        return False
    note(error)
    return True
