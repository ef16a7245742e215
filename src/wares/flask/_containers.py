"""The containers of a Flask application, which its contexts keep.

A container opens when code first asks for it. It closes when its request or its context ends, or
after the last byte of a streamed response.
"""

from __future__ import annotations

import logging
import sys
import weakref
from collections.abc import Callable, Generator
from types import FrameType, NoneType
from typing import Any

import click
from flask import Flask, has_app_context, has_request_context, request, signals
from flask.ctx import AppContext
from flask.globals import app_ctx
from werkzeug.exceptions import HTTPException

from wares._adapters.lifespan import REGISTRY_KEY
from wares._adapters.registries import Keeping
from wares._core.container import Container
from wares._core.current import finders
from wares.click import _is_failure as is_failed_exit
from wares.exceptions import NoRegistryError, PendingAsyncCleanupError, RegistryClosedError

#: The attribute of a context that keeps its containers. The key of a container is its request, or
#: `None` for the context itself and for the request for which the context was pushed. The WSGI
#: environment of a request has an entry of this name, which is true if the context was pushed for
#: that request.
CONTAINERS_KEY = "_wares_containers"
#: The attribute of a context that keeps an exception of closing until it is raised again.
_FAILURE = "_wares_failure"
#: The attribute that Flask-SocketIO adds to a request that stands for an event.
_EVENT = "event"
#: These return the objects behind Flask's proxies.
get_context: Callable[[], AppContext] = app_ctx._get_current_object  # type: ignore[attr-defined]  # a proxy has it
_get_request: Callable[[], Any] = request._get_current_object  # type: ignore[attr-defined]  # a proxy has it

#: Keeps the registry of an application.
keeping = Keeping[Flask](
    lambda app: app.extensions.get(REGISTRY_KEY),
    "The application has no registry. Initialise it: wares.flask.init_app(app)",
)


class FlaskContainer(Container):
    """The container of a request, or of an application context.

    Attributes:
        app: The application.
        outer_error: The exception that was being handled when the container was opened.
        is_request: Whether a request was being served when the container was opened.
        stream: The streamed response that closes the container when it ends, if there is one.
    """

    app: Flask
    outer_error: BaseException | None
    is_request: bool
    stream: weakref.ref[Generator[Any]] | None = None
    _failure: BaseException | None = None
    _escaped: BaseException | None

    def find_failure(self, error: BaseException | None) -> BaseException | None:
        """Find the exception that has ended a request, a command or a context.

        Args:
            error: The exception that Flask reports. Flask reports none if a command exits with a
                code, or if a teardown function raises.
        """
        if error is not None:
            return error
        if not self.is_request:
            error = _find_exit()
        if error is None:
            error = sys.exception()
        # Exceptions that were being handled when the container was opened have not ended it.
        before = self.outer_error
        while before is not None:
            if before is error:
                return None
            before = before.__context__
        return error

    def drop_stream(self) -> None:
        """End a streamed response that is not sent."""
        stream = self.stream and self.stream()
        self.stream = None
        if stream:
            stream.close()

    def end(self, error: BaseException | None) -> None:
        """Close the container; cleanups see *error*, or else the exception that was answered."""
        if error is None:
            error = self._failure
        if error is None:
            error = getattr(self, "_escaped", None)
        if error is not None and not _is_failure(error, self.is_request):
            error = None
        # The frames of exceptions may refer to the container.
        self._failure = self.outer_error = None
        is_answered = error is not None and sys.exception() is not error
        kind = None if error is None else type(error)
        try:
            try:
                self.__exit__(kind, error, None)
            except PendingAsyncCleanupError:
                # `__exit__` has closed nothing yet. Flask can run asynchronous functions.
                self.app.async_to_sync(self.__aexit__)(kind, error, None)
        except Exception:
            if not is_answered:
                raise
            message = "A cleanup has failed after the request had been answered."
            logging.getLogger("wares").exception(message)


def _is_failure(error: BaseException, is_request: bool) -> bool:
    """Tell whether *error* is a failure; a redirection and an exit with code 0 are none."""
    if isinstance(error, HTTPException):
        status = error.code if error.response is None else error.response.status_code
        return status is None or status >= 400  # noqa: PLR2004  # errors begin there
    # When a server stops, it may interrupt a request with an exit whose code is 0.
    return is_request or is_failed_exit(error)


def open_container(context: AppContext) -> FlaskContainer:
    """Return the active container of a context; open it if necessary."""
    containers, key = get_containers(context), get_key()
    opened = containers.get(key)
    if opened is None or opened.is_closed:
        opened = FlaskContainer(keeping.get_registry(context.app))
        opened.app, opened.outer_error = context.app, sys.exception()
        opened.is_request = key is not None or has_request_context()
        if key is not None:
            _end_with_request(containers, key, opened)
        containers[key] = opened
    return opened


def get_containers(context: AppContext) -> dict[Any, FlaskContainer]:
    """Return the containers that a context keeps, by their keys."""
    containers: dict[Any, FlaskContainer] = vars(context).setdefault(CONTAINERS_KEY, {})
    return containers


def get_key() -> Any:
    """Return the key of the active container: the request, or `None` (see `CONTAINERS_KEY`)."""
    try:
        request = _get_request()
    except RuntimeError:
        return None
    # All events of a Flask-SocketIO client have the environment of the request that connected.
    has_own_context = request.environ.get(CONTAINERS_KEY) and _EVENT not in vars(request)
    return None if has_own_context else request


def find_container() -> FlaskContainer | None:
    """Find the container of the active context, for `wares.current_container`."""
    try:
        return open_container(get_context()) if has_app_context() else None
    except (NoRegistryError, RegistryClosedError):
        return None


finders.append(find_container)


def _end_with_request(
    containers: dict[Any, FlaskContainer], key: Any, opened: FlaskContainer
) -> None:
    """Close a container when its request ends, because its context may last longer."""
    signals.request_tearing_down.connect(_end_request, opened.app)
    for ended in [one for one, other in containers.items() if other.is_closed]:
        del containers[ended]
    if _EVENT in vars(key):
        _watch_answers(opened.app.extensions.get("socketio"), opened)


def _watch_answers(server: Any, opened: FlaskContainer) -> None:
    """Make the error handlers of Flask-SocketIO note the exceptions that they answer.

    Flask-SocketIO has no signal for them. Versions 5.3.7 to 5.7.0 keep the handlers in these two
    attributes. If another version does not, exceptions that leave injected functions are noted.
    """
    if not hasattr(server, "exception_handlers"):
        # Injected functions note the exceptions that leave them in this attribute, if it exists.
        opened._escaped = None
        return
    handlers: dict[str, Any] = server.exception_handlers
    handlers.update({namespace: _Noting(handler) for namespace, handler in handlers.items()})
    default = getattr(server, "default_exception_handler", None)
    if default is not None:
        server.default_exception_handler = _Noting(default)


class _Noting:
    """An error handler of Flask-SocketIO that notes the exception before it answers."""

    def __init__(self, handler: Any) -> None:
        self._handler: Any = handler._handler if isinstance(handler, _Noting) else handler

    def __call__(self, error: Exception) -> Any:
        note_failure(get_context().app, error)
        return self._handler(error)


def note_failure(_: Flask, exception: BaseException, **__: Any) -> None:
    """Note an exception for the cleanups, and drop the streamed response that it replaces."""
    opened = find_container()
    if opened is not None:
        opened._failure = exception
        opened.drop_stream()


def end_container(
    containers: dict[Any, FlaskContainer], key: Any, error: BaseException | None
) -> None:
    """Close a container, unless a streamed response will close it."""
    opened = containers.get(key)
    if opened is None:
        return
    failure = opened.find_failure(error)
    may_be_sent = failure is error and isinstance(error, (Exception, GeneratorExit, NoneType))
    if opened.stream is None or not may_be_sent:
        try:
            opened.drop_stream()
        finally:
            opened.end(failure)


def _find_exit() -> click.exceptions.Exit | None:
    """Find the code of ``ctx.exit(code)``, which closes the contexts before it raises.

    Click does this from 8.2 on. In 8.2.0 to 8.5.1, only the argument of that call has the code. If
    no such call is found, the command has succeeded.
    """
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_code is not click.Context.exit.__code__:
        frame = frame.f_back
    return None if frame is None else click.exceptions.Exit(frame.f_locals.get("code", 0))


def _end_request(_: Flask, *, exc: BaseException | None, **__: Any) -> None:
    """Close the container of a request that shares its context."""
    key = get_key()
    if key is not None:
        end_container(get_containers(get_context()), key, exc)


def end_context(error: BaseException | None) -> None:
    """Close the containers of the active context."""
    context = get_context()
    containers: dict[Any, FlaskContainer] | None = vars(context).get(CONTAINERS_KEY)
    if not containers:
        return
    try:
        for key in containers.keys() - {None}:
            # If the container of a request that is over is still open, its end has failed.
            end_container(containers, key, error if key is get_key() else GeneratorExit())
        end_container(containers, None, error)
    except BaseException as failure:  # noqa: BLE001  # it is raised again
        # If this raised the exception now, other teardown functions would not run.
        vars(context)[_FAILURE] = failure
        signals.appcontext_tearing_down.connect(_raise_failure, context.app)


def _raise_failure(_: Flask, **__: Any) -> None:
    failure = vars(get_context()).pop(_FAILURE, None)
    if failure is not None:
        raise failure
