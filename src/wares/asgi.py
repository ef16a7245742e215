"""A container for each HTTP request and each WebSocket of an ASGI application.

This module works with every framework that follows the ASGI specification
(https://asgi.readthedocs.io, version 3.0). The adapters of Starlette, FastAPI and Litestar build
on it.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Awaitable, Callable, Hashable, Mapping, MutableMapping
from contextvars import ContextVar
from types import TracebackType
from typing import Any, TypeAlias, TypeVar
from urllib.parse import parse_qs

import attrs
from typing_extensions import Unpack

from wares._adapters.absent_names import explain_names
from wares._adapters.answers import NOT_ALLOWED, send_answer
from wares._adapters.health_endpoint import HealthEndpoint, HealthOptions
from wares._adapters.lifespan import REGISTRY_KEY, Lifespan, refuse_undecorated
from wares._adapters.registries import demand, demand_registry, describe_kind
from wares._adapters.shielding import CancelScope, leaving, open_shield
from wares._core.container import Container, Registry
from wares._core.current import current
from wares.exceptions import (
    InvalidOptionError,
    InvalidRegistrationError,
    NoContainerError,
    NoRegistryError,
    ResponseFailed,
)

__all__ = ["WaresMiddleware", "health_app", "lifespan", "wares_from"]

explain_names(
    __name__, {"init_app": "Wrap the application: WaresMiddleware(app, lifespan=start)"}
)
App = TypeVar("App")

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
ASGIApp: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

#: The key of a request's container in its scope.
CONTAINER_KEY = "wares_container"

#: The key, in a scope, of the list of exceptions that were answered instead of raised.
ANSWERED_KEY = "wares_answered"

#: The messages that answer or refuse a connection.
_ANSWERS = frozenset(
    {"http.response.start", "websocket.close", "websocket.http.response.start"}
)

#: The messages of errors about a missing registry: in Starlette and FastAPI, and elsewhere.
NOT_RUNNING = (
    "The application has no registry: it is not running, or its lifespan is not decorated with "
    "wares' `lifespan`. Decorate it, give it to the application (lifespan=...), and run the "
    "application: under a server that runs lifespans, or, in a test, in the block of `with "
    "TestClient(app) as client:`"
)
NO_STATE = (
    "There is no registry in the state of the lifespan. Pass one, "
    "WaresMiddleware(app, registry=registry), or a lifespan that makes one, "
    "WaresMiddleware(app, lifespan=lifespan), and use a server that runs lifespans."
)

#: The exceptions that a request handles (see `WaresMiddleware._watch`), in a task that was handling
#: one of them when it received the message that the client had gone away.
_deserted: ContextVar[list[BaseException] | None] = ContextVar("_deserted", default=None)

_CLIENT_ERROR = 400
_SERVER_ERROR = 500

#: The codes (RFC 6455, 7.4.1) of a WebSocket that closes because its work is done, or because the
#: server shuts down.
_NORMAL_CLOSURE = 1000
_GOOD_CLOSURES = (_NORMAL_CLOSURE, 1001)


class lifespan(Lifespan[App]):  # noqa: N801  # used as a decorator
    """Pass a registry to a lifespan function, and close the registry after it.

    `WaresMiddleware` calls it when the server starts and ends the application. You can also call it
    yourself: ``async with start(app) as state: ...``.

    Args:
        function: An async generator function, or a function that returns an async context
            manager. It takes the application and the registry, and yields a mapping, which
            becomes the state of the lifespan, or nothing. If omitted, the result is a decorator.
        registry: A registry to use instead of a new one for each start. It closes as well, so the
            application cannot be started again.
        validate: Whether the start fails if a registered service cannot be made.

    Attributes:
        registry: The registry of the current start, or of the next one.

    Raises:
        InvalidRegistrationError: *function* cannot be a lifespan function.
    """


class ConnectionContainer(Container):
    """The container of a request or WebSocket, which is current and is kept in the ASGI scope.

    Its cleanups are shielded from cancellation.

    Args:
        registry: The registry.
        scope: The ASGI scope of the connection.
        given: The objects that the container is given.
    """

    #: The exception that last left an injected function; exists if the middleware needs it.
    _escaped: BaseException | None

    _before: Container | None
    _outer: Container | None
    _scope: Scope

    def __init__(
        self, registry: Registry, scope: Scope, given: dict[Hashable, Any] | None = None
    ) -> None:
        super().__init__(registry)
        if given is not None:
            # This runs for each request; calling `_give` would cost as much.
            self._given = given
            self._made = given.copy()
        self._scope = scope
        self._before = scope.get(CONTAINER_KEY)
        self._outer = current.get()
        self._shield = open_shield()
        scope[CONTAINER_KEY] = self
        current.set(self)

    def leave(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> Awaitable[None]:
        """Close the container, and make the previous one current again."""
        # A token would fail: a coroutine that is closed ends in another context.
        current.set(self._outer)
        # A middleware that retries may serve the same scope again.
        self._scope[CONTAINER_KEY] = self._before
        self._escaped = None
        shield = self._shield
        if shield is None:
            return self.__aexit__(kind, error, traceback)
        return self._leave_shielded(shield, error)

    async def _leave_shielded(self, shield: CancelScope, error: BaseException | None) -> None:
        with leaving(shield):
            await self.__aexit__(None, error, None)


@attrs.frozen(eq=False)
class WaresMiddleware:
    """Open a container for each HTTP request and each WebSocket, and close it after them.

    `wares_from` returns the container, which is current (`wares.current_container`) in everything
    that the application calls. It closes once, when the application returns, so streamed responses
    and background tasks still have their services. Other scopes get no container.

    The cleanups see the exception that ended the request. If a framework answers an exception with
    a response, the cleanups see

    - the exception that is being handled when the response begins; otherwise,
    - if the response is an error, the exception that left a function with `wares.inject`;
      otherwise,
    - if *failed* says so, a `ResponseFailed` with the status.

    A response that begins in another task hides the exception, unless the task that handles it
    waits for a message from the client meanwhile, as Starlette's `StreamingResponse` does. So put
    this middleware as far inside as possible.

    Args:
        app: The ASGI application to serve.
        registry: The registry to use; by default, that in the state of the lifespan.
        lifespan: Starts and ends the application, if *app* has no lifespan of its own. The
            middleware handles the lifespan events of the server, and *app* sees none of them.
        failed: Takes the status of a response, and tells whether the request has failed. By
            default, it has failed if the status is 500 or more.

    Raises:
        InvalidRegistrationError: *registry* is no registry, or *lifespan* is not decorated, or was
            called.
    """

    app: ASGIApp
    registry: Registry | None = attrs.field(default=None, kw_only=True)
    lifespan: lifespan[Any] | None = attrs.field(default=None, kw_only=True)
    failed: Callable[[int], bool] | None = attrs.field(default=None, kw_only=True)

    #: Whether a framework may answer exceptions that this middleware cannot see. If so, exceptions
    #: that leave injected functions and the status of the response show a failure.
    _may_miss_exceptions = True

    def __attrs_post_init__(self) -> None:
        demand_registry(self.registry)
        given: object = self.lifespan
        if given is not None and not isinstance(given, Lifespan):
            raise InvalidRegistrationError(
                f"lifespan takes what @wares.asgi.lifespan returns, not "
                f"{describe_kind(given)}. Decorate the function, and pass it without calling "
                f"it: WaresMiddleware(app, lifespan=start)"
            )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one scope.

        Raises:
            NoRegistryError: There is no registry, neither as an argument nor in the state of the
                lifespan.
        """
        if scope["type"] not in ("http", "websocket"):
            await self._pass(scope, receive, send)
            return
        registry = self.registry
        if registry is None:
            try:
                registry = scope["state"][REGISTRY_KEY]
            except KeyError:
                registry = find_registry(scope)
        outer: Container | None = scope.get(CONTAINER_KEY)
        if outer is not None and outer.registry is registry:
            # A request has one container, even if the middleware is installed several times.
            await self.app(scope, receive, send)
            return
        container = ConnectionContainer(registry, scope, self._give(scope, receive, send))
        if self._may_miss_exceptions:
            container._escaped = None
        answered: list[BaseException] = []
        handled: list[BaseException] = []
        scope[ANSWERED_KEY] = answered
        try:
            await self.app(scope, *self._watch(scope, receive, send, answered, handled))
        except BaseException as error:
            answered.clear()
            handled.clear()
            self._explain(error, scope)
            await container.leave(None, error, None)
            raise
        answered[:0] = handled
        handled.clear()
        # In no variable, so that no frame of its traceback refers to the exception.
        await container.leave(None, answered.pop() if answered else None, None)

    async def _pass(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a scope that is neither a request nor a WebSocket."""
        if scope["type"] == "lifespan":
            if self.lifespan is not None:
                await _serve_lifespan(self.lifespan(self.app), scope, receive, send)
                return
            try:
                # Starlette puts itself there when its lifespan begins.
                refuse_undecorated(scope.get("app"))
            except InvalidRegistrationError as error:
                # A server would start an application that only raises, without a lifespan.
                await receive()
                await send({"type": "lifespan.startup.failed", "message": str(error)})
                raise
        await self.app(scope, receive, send)

    def _explain(self, error: BaseException, scope: Scope) -> None:
        """Add a note to an error; for adapters to override."""

    def _give(
        self,
        scope: Scope,  # noqa: ARG002  # adapters need it, and the next two
        receive: Receive,  # noqa: ARG002  # see above
        send: Send,  # noqa: ARG002  # see above
    ) -> dict[Hashable, Any] | None:
        """Return the objects to give to the container; none here, but adapters override this."""
        return None

    def _has_failed(self, status: int) -> bool:
        """Tell whether a response with *status* means that the request has failed."""
        if self.failed is None:
            return self._may_miss_exceptions and status >= _SERVER_ERROR
        return self.failed(status)

    def _watch(
        self,
        scope: Scope,
        receive: Receive,
        send: Send,
        answered: list[BaseException],
        handled: list[BaseException],
    ) -> tuple[Receive, Send]:
        """Wrap both functions so that they note exceptions that are answered instead of raised.

        While a framework handles an exception, it calls the exception handler and sends the
        response, so `sys.exception` returns the exception here. If another task sends the response,
        such as that of a stream, the one that handles the exception waits for a disconnect.

        Args:
            scope: The scope.
            receive: The function to wrap.
            send: The function to wrap.
            answered: Takes the exceptions that a response answers.
            handled: Takes the exceptions during which a task waits for a message. One that is still
                there at the end was being handled when the client went away.
        """
        outside = sys.exception()

        def find_handled() -> BaseException | None:
            error = sys.exception()
            if error is not None and error is not outside and not _serves_another(scope):
                return error
            if _deserted.get() is handled:
                # The application itself has handled the exception, and goes on.
                handled.clear()
            return None

        def listen() -> Awaitable[Message]:
            error = find_handled()
            return receive() if error is None else _listen(receive, error, handled)

        def watch(message: Message) -> Awaitable[None]:
            if message["type"] in _ANSWERS:
                error = find_handled()
                if error is None:
                    error = handled[-1] if handled else None
                if error is None:
                    # Look it up in the scope: the container may keep this function alive.
                    error = self._find_failure(message, scope[CONTAINER_KEY])
                if error is not None:
                    answered.append(error)
            return send(message)

        return listen, watch

    def _find_failure(
        self, message: Message, container: ConnectionContainer
    ) -> BaseException | None:
        """Find the error of a request, from the first message of its response."""
        status = message.get("status")
        if status is None:
            is_error = message.get("code", _NORMAL_CLOSURE) not in _GOOD_CLOSURES
        else:
            is_error = status >= _CLIENT_ERROR
        escaped: BaseException | None = getattr(container, "_escaped", None)
        if is_error and escaped is not None:
            return escaped
        return ResponseFailed(status) if status and self._has_failed(status) else None


def _serves_another(scope: Scope) -> bool:
    """Tell whether the running code serves another connection, and only sends through this one."""
    serving = current.get()
    if serving is None:
        return False
    while isinstance(serving, ConnectionContainer):
        if serving is scope[CONTAINER_KEY]:
            return False
        serving = serving._outer
    return serving is None


async def _listen(
    receive: Receive, error: BaseException, handled: list[BaseException]
) -> Message:
    """Receive a message, while *handled* has the exception that is being handled."""
    handled.append(error)
    message: Message = {}
    try:
        message = await receive()
    finally:
        if message.get("type") == "http.disconnect":
            # The task that sends the response may be cancelled before the response begins.
            _deserted.set(handled)
        else:
            handled.remove(error)
    return message


def wares_from(scope: Mapping[str, Any]) -> Container:
    """Get the container of a request or WebSocket.

    Args:
        scope: The ASGI scope of the connection.

    Returns:
        The container that `WaresMiddleware` has opened.

    Raises:
        NoContainerError: The connection did not come through `WaresMiddleware`.
    """
    container: Container | None = scope.get(CONTAINER_KEY)
    if container is None:
        raise NoContainerError(
            "This connection has no container: it is over, or it did not come through "
            "WaresMiddleware. Wrap the application in it: WaresMiddleware(app)"
        )
    return container


def find_registry(scope: Scope) -> Registry:
    """Find the registry of the application that serves *scope*.

    The server copies the state of the lifespan, which contains the registry, into each scope. Some
    test clients do not; then the registry is on the application, if that is Starlette or FastAPI.
    """
    app = scope.get("app")
    kept = getattr(getattr(app, "state", None), REGISTRY_KEY, None)
    registry: Registry | None = (scope.get("state") or {}).get(REGISTRY_KEY, kept)
    message = NO_STATE if app is None else NOT_RUNNING
    return demand(registry, NoRegistryError, message)


def health_app(registry: Registry | None = None, **options: Unpack[HealthOptions]) -> ASGIApp:
    """Make an application that pings the services and reports whether they are healthy.

    Mount it within another application, or serve it by itself. It answers ``GET`` and ``HEAD`` with
    ``{"ok": [...], "failing": [...]}``, or in more detail if the request accepts
    ``application/health+json``. With ``?tag=ready``, it checks only services with that tag.

    Args:
        registry: The registry whose services are pinged; by default, that of the request's
            container or of the lifespan's state.
        options: How it checks and answers: ``timeout`` (5 seconds), ``tags`` (all), ``ok_status``
            (200), ``failing_status`` (503), ``show_errors`` (False), ``max_age`` (0 seconds).

    Returns:
        The application.

    Raises:
        InvalidOptionError: An option is invalid.
    """
    endpoint = HealthEndpoint(**options)

    async def health(scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG001  # the protocol
        if scope["type"] != "http":
            raise InvalidOptionError(
                f"health_app answers HTTP requests only, and this is {scope['type']!r}. Mount it "
                f"at a path of an application that handles other scopes itself."
            )
        answer = NOT_ALLOWED
        if scope["method"] in ("GET", "HEAD"):
            kept = getattr(scope.get(CONTAINER_KEY), "registry", None)
            query = parse_qs(scope["query_string"].decode("latin-1"))
            answer = await endpoint.arespond(
                registry or kept or find_registry(scope),
                tags=query.get("tag", ()),
                accept=_read_accept(scope),
            )
        await send_answer(scope, send, answer)

    return health


def _read_accept(scope: Scope) -> str:
    values = [value for name, value in scope["headers"] if name == b"accept"]
    return b",".join(values).decode("latin-1")


async def _serve_lifespan(manager: Any, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer the server's events that start and end the application."""
    phase = "startup"
    await receive()
    try:
        async with manager as state:
            _keep(state, scope)
            await send({"type": "lifespan.startup.complete"})
            phase = "shutdown"
            await receive()
    except BaseException:
        await send({"type": f"lifespan.{phase}.failed", "message": traceback.format_exc()})
        raise
    await send({"type": "lifespan.shutdown.complete"})


def _keep(state: Mapping[str, object], scope: Scope) -> None:
    if "state" not in scope:
        raise NoRegistryError(
            "The server keeps no state of the lifespan, so no request would find the registry. "
            "Give it to the middleware: WaresMiddleware(app, registry=registry)"
        )
    scope["state"].update(state)
