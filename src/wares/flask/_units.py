"""The container of one request, one command, or whatever else an application context is for.

This module knows Flask's contexts, signals and responses, and how Click and Flask-SocketIO hide
that something has failed.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import logging
import sys
import weakref
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager
from typing import Any

import click
import flask
from click.exceptions import Exit
from flask import Flask, has_request_context
from flask.ctx import AppContext
from flask.globals import app_ctx
from flask.signals import appcontext_popped, appcontext_tearing_down, request_tearing_down
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response
from werkzeug.wsgi import ClosingIterator

from wares._core.container import Container, Registry
from wares._core.current import current
from wares.exceptions import NoRegistryError, PendingAsyncCleanupError, RegistryClosedError

#: Where the registry is found in an application's extensions.
REGISTRY_KEY = "wares_registry"

#: The lowest statuses of responses that redirect, and of those that tell of a failure.
_FIRST_REDIRECT, _FIRST_FAILURE = 300, 400

#: Whether a request is an application context of its own: from Flask 3.2 on.
_IS_MERGED = hasattr(AppContext, "match_request")

#: Gives the active application context. The proxy itself would look it up for each attribute.
get_context: Callable[[], AppContext] = app_ctx._get_current_object  # type: ignore[attr-defined]  # a proxy has it

#: The attribute of a context, of an application or of a request, that keeps its unit.
_KEY = "_wares_unit"


class Unit(Container):
    """The container of one unit of work.

    Attributes:
        app: Whose work it is.
        context: The application context that it is done in.
        request: The request context that it is done for, once that is known.
        before: What was current before, for each time that the context was pushed.
        surrounding: The exception that was being handled before.
        error: The exception that was answered instead of raised.
        failure: What closing raised, until it is raised again.
        stream: The response whose end is the end of the work.
        is_streaming: Whether pieces of it are being asked for.
        is_over: Whether the work has ended.
    """

    # A class attribute costs nothing where it is rarely set.
    request: Any = None
    error: BaseException | None = None
    failure: BaseException | None = None
    stream: weakref.ref[Generator[Any]] | None = None
    is_streaming = False
    is_over = False

    def __init__(self, context: AppContext) -> None:
        super().__init__(get_registry_of(context.app))
        self.app = context.app
        self.context = weakref.ref(context)
        self.before: list[Container | None] = []
        self.surrounding = sys.exception()

    def end(self, error: BaseException | None) -> None:
        """Close, once. Cleanups see *error*, or what else the work ended with."""
        if self.is_over:
            return
        self.is_over = True
        error = error or self.error
        if self.request is None and click.get_current_context(silent=True) is not None:
            error = _read_command(error, self.surrounding)
        # Nothing of the work is kept, least of all what keeps this, or the application.
        self.request = self.error = None
        if error is None:
            self.finish(None, None)
            return
        is_answered = sys.exception() is self.surrounding
        try:
            self.finish(type(error), error)
        except Exception:
            if not is_answered:
                raise
            message = "A cleanup has failed after the request had been answered."
            logging.getLogger("wares").exception(message)

    def finish(self, kind: type[BaseException] | None, error: BaseException | None) -> None:
        """Close with or without an event loop."""
        try:
            self.__exit__(kind, error, None)
        except PendingAsyncCleanupError:
            # Nothing has been touched. Flask runs an event loop for whatever is asynchronous.
            self.app.async_to_sync(self.__aexit__)(kind, error, None)

    def enter(self) -> None:
        """Become the current container."""
        self.before.append(current.get())
        current.set(self)

    def leave(self) -> None:
        """Make current again what was current before, if this is current."""
        if not self.before or current.get() is not self:
            return
        before = self.before.pop()
        while (
            isinstance(before, Unit)
            and before.before
            and (before.is_over or before.context() is None)
        ):
            # It was never left: Flask says nothing of the end of a context whose teardown fails.
            before = before.before.pop()
        current.set(before)

    def activate_once(self) -> AbstractContextManager[object]:
        """Make this the current container for a block, if it is not that already."""
        return contextlib.nullcontext() if current.get() is self else self.activate()

    @property
    def is_sent_later(self) -> bool:
        """Whether a response ends the work; no, if an exception is on its way instead of it."""
        is_dropped = not self.is_streaming and sys.exception() is not self.surrounding
        return self.stream is not None and not is_dropped


def get_registry_of(app: Flask) -> Registry:
    """Get the registry of *app*.

    Raises:
        NoRegistryError: The application has not been initialised.
    """
    registry: Registry | None = app.extensions.get(REGISTRY_KEY)
    if registry is None:
        raise NoRegistryError(
            "The application has no registry. Initialise it: wares.flask.init_app(app)"
        )
    return registry


def find_context(namespace: object = None) -> AppContext | None:
    """Find the active application context, or the one here whose ``g`` is *namespace*."""
    try:
        context: AppContext | None = get_context()
    except RuntimeError:
        return None
    unit = current.get()
    while namespace is not None and context is not None and context.g is not namespace:
        if not isinstance(unit, Unit):
            return None
        context, unit = unit.context(), unit.before[-1] if unit.before else None
    return context


def find_unit(context: AppContext | None) -> Unit | None:
    """Find the innermost unit in *context*."""
    if context is None:
        return None
    unit = current.get()
    if isinstance(unit, Unit) and unit.context() is context:
        return unit
    return _get_unit(context)


def _get_unit(owner: object) -> Unit | None:
    """Get the unit of a context."""
    return getattr(owner, _KEY, None)


def serve(context: AppContext) -> Unit:
    """Find the innermost unit in *context*; begin it where nobody has.

    Raises:
        NoRegistryError: The application has not been initialised.
        RegistryClosedError: The registry is closed.
    """
    unit = find_unit(context)
    if unit is None:
        # The context was pushed before `init_app`.
        unit = _begin(context, context)
    if _IS_MERGED or not has_request_context():
        return unit
    request = _get_request()
    if unit.request is request:
        return unit
    sharing = _get_unit(request)
    if sharing is not None:
        return sharing if sharing.context() is context else unit
    if _shares_context(request):
        unit = _begin(context, request)
        request_tearing_down.connect(_end_request, context.app)
    unit.request = request
    return unit


def _get_request() -> Any:
    """Get the active request context, which is an object of its own until Flask 3.2."""
    return flask.globals.request_ctx._get_current_object()  # type: ignore[attr-defined]  # a proxy has it


def _shares_context(request: Any) -> bool:
    """Tell whether a request runs in an application context that somebody else has pushed.

    Flask 3.0 and 3.1 push one for a request only where there is none, and keep it in
    ``_cv_tokens`` (3.0.0 to 3.1.3). If that is missing, the request shares the container, too.
    """
    tokens: list[Any] = getattr(request, "_cv_tokens", [])
    return bool(tokens) and tokens[0][1] is None


def _begin(context: AppContext, owner: object) -> Unit:
    if "socketio" in context.app.extensions:
        _watch_events(context.app.extensions["socketio"])
    unit = Unit(context)
    setattr(owner, _KEY, unit)
    unit.enter()
    return unit


def begin_context(_: Flask, **__: Any) -> None:
    """Begin the unit of a context that has just been pushed."""
    context = get_context()
    unit = find_unit(context)
    if unit is None or unit.is_over:
        try:
            _begin(context, context)
        except RegistryClosedError:
            # Whoever asks is told.
            return
    elif unit is not current.get():
        # It is pushed again, within another one. It is not torn down as it is popped.
        unit.enter()
        appcontext_popped.connect(_leave_context, unit.app)


def _end_request(_: Flask, *, exc: BaseException | None, **__: Any) -> None:
    """End the unit of a request that shares its context."""
    unit = _get_unit(_get_request())
    if unit is None:
        return
    unit.leave()
    if not unit.is_sent_later:
        unit.end(exc)


def end_context(error: BaseException | None) -> None:
    """End the unit of the context."""
    unit = _get_unit(get_context())
    if unit is None:
        return
    unit.leave()
    if unit.is_sent_later:
        return
    try:
        unit.end(error)
    except BaseException as failure:  # noqa: BLE001  # it is raised again
        # At once, it would keep the teardown functions of others from running.
        unit.failure = failure
        appcontext_tearing_down.connect(_raise_failure, unit.app)


def _raise_failure(_: Flask, **__: Any) -> None:
    """Raise what closing has raised, after all teardown functions."""
    unit = _get_unit(get_context())
    if unit is not None and unit.failure is not None:
        failure, unit.failure = unit.failure, None
        raise failure


def _leave_context(_: Flask, **__: Any) -> None:
    """Leave the unit of a context that was pushed again, and now has been popped."""
    unit = current.get()
    if isinstance(unit, Unit) and unit.context() is not find_context():
        unit.leave()


def note(error: BaseException) -> None:
    """Have the active unit end with *error*, although somebody answers it."""
    context = find_context()
    if context is None or not _is_failure(error):
        return
    with contextlib.suppress(RegistryClosedError):
        unit = serve(context)
        unit.error = error
        if unit.stream is not None and not unit.is_streaming:
            # The exception is answered instead of sending the response that there was.
            dropped, unit.stream = unit.stream(), None
            assert dropped is not None  # one that is gone has ended, and so was streaming
            dropped.close()


def _is_failure(error: BaseException) -> bool:
    """Tell whether *error* is a failure: a redirection that is raised is none."""
    if not isinstance(error, HTTPException):
        return True
    status = error.code if error.response is None else error.response.status_code
    return status is None or status >= _FIRST_FAILURE


def note_unanswered(_: Flask, exception: BaseException, **__: Any) -> None:
    """Note an exception that no error handler has answered."""
    note(exception)


def note_answered(handle: Callable[..., Any], *args: Any) -> Any:
    """Note an exception before an error handler answers it."""
    # From Flask 3.2 on, the context comes before the exception.
    note(args[-1])
    return handle(*args)


def _watch_events(server: Any) -> None:
    """Begin the units of Flask-SocketIO's events, and have its error handlers note exceptions.

    It keeps these in ``exception_handlers`` and ``default_exception_handler``, and calls the
    others in ``_handle_event`` (5.3.7 to 5.7.0), and tells nobody else. Where those are missing,
    an exception that is answered is no failure, and an event within a context that somebody else
    has pushed has a unit of its own only once it asks Flask for it.
    """
    if "_handle_event" not in vars(server) and hasattr(server, "_handle_event"):
        put_around(server, "_handle_event", _handle_event)
    handlers: dict[str, Any] = getattr(server, "exception_handlers", {})
    for namespace, handler in list(handlers.items()):
        handlers[namespace] = _noting(handler)
    if getattr(server, "default_exception_handler", None) is not None:
        server.default_exception_handler = _noting(server.default_exception_handler)


def _handle_event(handle: Callable[..., Any], handler: Callable[..., Any], *args: Any) -> Any:
    """Handle an event, with a unit of its own."""

    def serve_first(*given: Any) -> Any:
        with contextlib.suppress(RegistryClosedError):
            serve(get_context())
        return handler(*given)

    return handle(serve_first, *args)


def _noting(handler: Callable[..., Any]) -> Callable[..., Any]:
    if isinstance(handler, functools.partial) and handler.func is note_answered:
        return handler
    return functools.partial(note_answered, handler)


def _read_command(
    error: BaseException | None, surrounding: BaseException | None
) -> BaseException | None:
    """Tell what a command ended with: an exit code of 0 is no failure."""
    if error is None and sys.exception() is not surrounding:
        # Click, before 8.2, does not tell the context of a command about it.
        error = sys.exception()
    if isinstance(error, Exit):
        return error if error.exit_code else None
    if isinstance(error, SystemExit):
        return error if error.code else None
    return error or _find_exit()


def _find_exit() -> Exit | None:
    """Find the exit code in ``ctx.exit(code)``, which closes everything before it raises.

    Click does so from 8.2 on, and keeps the code in a local variable only (8.2.0 to 8.5.1). If
    it is not found, the command has succeeded.
    """
    frame = inspect.currentframe()
    while frame is not None and frame.f_code is not click.Context.exit.__code__:
        frame = frame.f_back
    code = frame.f_locals.get("code") if frame is not None else None
    return Exit(code) if code else None


def hold(_: Flask, response: Response, **__: Any) -> None:
    """Have a response that is sent piece by piece end the unit."""
    chunks: Any = response.response
    if type(chunks) is list or not response.is_streamed or response.direct_passthrough:
        return
    unit = find_unit(find_context())
    if unit is None:
        return
    is_raised = (
        unit.error is not None or _FIRST_REDIRECT <= response.status_code < _FIRST_FAILURE
    )
    if is_raised and isinstance(chunks, ClosingIterator) and response.content_length:
        # What Flask makes of a raised response is complete, although it looks like a stream.
        return
    response.response = stream = _stream(chunks, unit)
    # From here on, whoever drops it ends the work.
    next(stream)
    unit.stream = weakref.ref(stream)


def _stream(chunks: Any, unit: Unit) -> Generator[Any]:
    """Give the pieces of a response. The end of them ends the unit, and so does giving up."""
    iterator = iter(chunks)
    # If nothing is asked for, as for HEAD, the work is done nevertheless.
    outcome: BaseException | None = None
    try:
        yield None
        unit.is_streaming = True
        outcome = GeneratorExit()
        while True:
            with unit.activate_once():
                chunk = next(iterator, unit)
            if chunk is unit:
                break
            yield chunk
        outcome = None
    except Exception as error:
        outcome = error
        raise
    finally:
        unit.is_streaming = True
        with unit.activate_once():
            try:
                getattr(chunks, "close", lambda: None)()
            finally:
                if unit.stream is not None:
                    unit.end(outcome)


def put_around(owner: object, name: str, function: Callable[..., Any]) -> None:
    """Put *function* around a method of *owner*, without keeping *owner* alive."""
    method: Callable[..., Any] = getattr(owner, name)
    if getattr(method, "__self__", None) is owner:
        method = functools.partial(
            lambda find, *args: find()(*args), weakref.WeakMethod(method)
        )
    vars(owner)[name] = functools.partial(function, method)


def leave_generators(make_sync: Callable[..., Any], function: Callable[..., Any]) -> Any:
    """Make an asynchronous function synchronous, and leave asynchronous generators open.

    Flask runs each asynchronous function in an event loop of its own. A loop that ends closes the
    asynchronous generators that were begun in it, which would roll a transaction back. Those of
    services are ended with the container.
    """

    @functools.wraps(function)
    async def run(*args: Any, **kwargs: Any) -> Any:
        hook = sys.get_asyncgen_hooks().firstiter
        sys.set_asyncgen_hooks(firstiter=None)
        try:
            return await function(*args, **kwargs)
        finally:
            if hook is not None:
                sys.set_asyncgen_hooks(firstiter=hook)

    return make_sync(run)
