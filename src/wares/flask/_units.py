"""The container of one request, one command, or whatever else an application context is for.

This module knows Flask's contexts and signals: when work begins, which container is current, and
when the container is closed. What the work ended with is told by `_outcomes`.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import sys
import weakref
from collections.abc import Callable, Iterable, Iterator
from contextvars import ContextVar
from typing import Any

import attrs
import flask
from flask import Flask, has_request_context
from flask.ctx import AppContext
from flask.globals import app_ctx
from flask.signals import appcontext_tearing_down
from werkzeug.wrappers import Response
from werkzeug.wsgi import ClosingIterator

from wares._core.container import Container, Registry, _current
from wares.exceptions import NoRegistryError, PendingAsyncCleanupError, RegistryClosedError
from wares.flask._outcomes import is_failure, read_outcome, watch_events

#: Where the registry is found in an application's extensions.
REGISTRY_KEY = "wares_registry"

#: Whether requests and application contexts are one: from Flask 3.2 on.
_IS_MERGED = hasattr(AppContext, "match_request")

#: Gives the active application context. The proxy itself would look it up for each attribute.
_get_context: Callable[[], AppContext] = app_ctx._get_current_object  # type: ignore[attr-defined]  # a proxy has it


class Unit:
    """One unit of work.

    Attributes:
        app: Whose work it is.
        container: Its services.
        context: The application context that it is done in.
        request: The request context that it is done for, once that is known.
        is_within: Whether *context* was there before the request, and outlives it.
        error: The exception that was answered instead of raised.
        failure: What closing the container raised, until it is raised again.
        stream: Stands for the response whose end is the end of the work.
        surrounding: The exception that was being handled before.
        is_over: Whether the container has been closed.
    """

    # A class attribute costs nothing where it is rarely set.
    request: weakref.ref[Any] | None = None
    is_within = False
    error: BaseException | None = None
    failure: BaseException | None = None
    stream: object = None
    is_over = False

    def __init__(self, context: AppContext) -> None:
        self.app = context.app
        registry: Registry | None = self.app.extensions.get(REGISTRY_KEY)
        if registry is None:
            raise NoRegistryError(
                "The application has no registry. Initialise it: wares.flask.init_app(app)"
            )
        self.container = Container(registry)
        self.context = weakref.ref(context)
        self.surrounding = sys.exception()

    def end(self, error: BaseException | None) -> None:
        """Close the container, once. Cleanups see *error*, or what else the work ended with."""
        if self.is_over:
            return
        self.is_over = True
        # An exception that is on its way to the caller may be replaced by what cleanups raise.
        is_answered = sys.exception() is self.surrounding
        error = read_outcome(error or self.error, self.surrounding, self.request)
        left = (None if error is None else type(error), error, None)
        try:
            try:
                self.container.__exit__(*left)
            except PendingAsyncCleanupError:
                # Nothing has been touched. Flask runs an event loop for whatever is asynchronous.
                self.app.async_to_sync(self.container.__aexit__)(*left)
        except Exception as failure:
            if error is None or not is_answered:
                raise
            if failure is not error:
                message = "A cleanup has failed after the request had been answered."
                logging.getLogger("wares").error(message, exc_info=failure)


@attrs.frozen(eq=False)
class _Entry:
    """A unit that is being worked on in this thread or task, and what was current before."""

    unit: Unit
    outer: _Entry | None
    previous: Container | None


#: The units that are being worked on here, the innermost first.
_entered: ContextVar[_Entry | None] = ContextVar("wares_flask_entered", default=None)

#: The unit of each application context.
_units: weakref.WeakKeyDictionary[AppContext, Unit] = weakref.WeakKeyDictionary()


def find_context() -> AppContext | None:
    """Find the active application context."""
    try:
        return _get_context()
    except RuntimeError:
        return None


def find_context_of(namespace: object) -> AppContext | None:
    """Find the application context whose ``g`` is *namespace*, active or not."""
    return next((context for context in list(_units) if context.g is namespace), None)


def find_unit(context: AppContext | None) -> Unit | None:
    """Find the innermost unit in *context*."""
    entry = _entered.get()
    if entry is not None and entry.unit.context() is context:
        return entry.unit
    return None if context is None else _units.get(context)


def serve(context: AppContext) -> Unit:
    """Find the innermost unit in *context*; begin it where nobody has.

    Raises:
        NoRegistryError: The application has not been initialised.
        RegistryClosedError: The registry is closed.
    """
    unit = find_unit(context)
    if unit is None:
        # The context was pushed before `init_app`.
        unit = _begin(context)
    if unit.request is not None or _IS_MERGED or not has_request_context():
        return unit
    request = _get_request()
    if not _is_within(request):
        unit.request = weakref.ref(request)
        return unit
    unit = Unit(context)
    unit.request, unit.is_within = weakref.ref(request), True
    _enter(unit)
    return unit


def _get_request() -> Any:
    """Get the active request context: an object of its own until Flask 3.2."""
    return flask.globals.request_ctx._get_current_object()  # type: ignore[attr-defined]  # a proxy has it


def _is_within(request: Any) -> bool:
    """Tell whether a request without a unit runs in a context that somebody else has pushed.

    Flask 3.0 and 3.1 push an application context for a request only where there is none. Which
    it was stands in ``_cv_tokens`` (3.0.0 to 3.1.3), and nowhere else. If that should be missing,
    such a request shares the container of the context.
    """
    entry = _entered.get()
    while entry is not None:
        if entry.unit.request is not None and entry.unit.request() is request:
            return False
        entry = entry.outer
    tokens = getattr(request, "_cv_tokens", None)
    return bool(tokens) and tokens[0][1] is None


def _begin(context: AppContext) -> Unit:
    unit = _units[context] = Unit(context)
    _enter(unit)
    return unit


def _enter(unit: Unit) -> None:
    """Make the container of *unit* current."""
    entry, previous = _skip_stale(_entered.get(), _current.get())
    _entered.set(_Entry(unit, entry, previous))
    _current.set(unit.container)


def _leave(entry: _Entry) -> None:
    """Make current again what was current before *entry*."""
    outer, previous = _skip_stale(entry.outer, entry.previous)
    _entered.set(outer)
    _current.set(previous)


def _skip_stale(
    entry: _Entry | None, previous: Container | None
) -> tuple[_Entry | None, Container | None]:
    """Skip what was never left: where a teardown function fails, Flask says nothing of the end."""
    while entry is not None and (entry.unit.is_over or entry.unit.context() is None):
        entry, previous = entry.outer, entry.previous
    return entry, previous


def begin_context(app: Flask, **_: Any) -> None:
    """Enter the unit of a context that has just been pushed, perhaps not for the first time."""
    context = _get_context()
    entry = _entered.get()
    if entry is not None and entry.unit.context() is context and not entry.unit.is_over:
        return
    unit = _units.get(context)
    if unit is not None and not unit.is_over:
        _enter(unit)
        return
    watch_events(app, note)
    # If the registry is closed, whoever asks is told.
    with contextlib.suppress(RegistryClosedError):
        _begin(context)


def begin_request() -> None:
    """Begin the unit of a request that runs in a context which somebody else has pushed."""
    with contextlib.suppress(RegistryClosedError):
        serve(_get_context())


def end_request(error: BaseException | None) -> None:
    """End the unit of a request that runs in a context which somebody else has pushed."""
    entry = _entered.get()
    if entry is None or not entry.unit.is_within or entry.unit.request() is not _get_request():
        return
    _leave(entry)
    if not _is_sent_later(entry.unit):
        entry.unit.end(error)


def end_context(error: BaseException | None) -> None:
    """End the unit of the context, but for a response that is yet to be sent."""
    unit = _units.get(_get_context())
    if unit is None or _is_sent_later(unit):
        return
    try:
        unit.end(error)
    except BaseException as failure:  # noqa: BLE001  # it is raised again
        # At once, it would keep the teardown functions of others from running.
        unit.failure = failure
        appcontext_tearing_down.connect(_raise_failure, unit.app)


def _raise_failure(_: Flask, **__: Any) -> None:
    """Raise what closing the container has raised, after all teardown functions."""
    unit = _units.get(_get_context())
    if unit is not None and unit.failure is not None:
        failure, unit.failure = unit.failure, None
        raise failure


def leave_context(_: Flask, **__: Any) -> None:
    """Leave the unit of a context that has just been popped."""
    entry = _entered.get()
    if entry is not None and entry.unit.context() is not find_context():
        _leave(entry)


def note(error: BaseException) -> None:
    """Have the container of the active unit closed with *error*, which somebody answers."""
    context = find_context()
    if context is not None and is_failure(error):
        with contextlib.suppress(RegistryClosedError):
            serve(context).error = error


def note_unanswered(_: Flask, exception: BaseException, **__: Any) -> None:
    """Note an exception that no error handler has answered: the response so far is dropped."""
    note(exception)
    unit = find_unit(find_context())
    if unit is not None:
        unit.stream = None


def note_answered(handle: Callable[..., Any], *args: Any) -> Any:
    """Note an exception before an error handler answers it."""
    # From Flask 3.2 on, the context comes before the exception.
    note(args[-1])
    return handle(*args)


def hold(_: Flask, response: Response, **__: Any) -> None:
    """Have a response that is sent piece by piece end the unit."""
    chunks: Any = response.response
    unit = find_unit(find_context())
    if unit is None or not response.is_streamed or response.direct_passthrough:
        return
    if unit.error is not None and isinstance(chunks, ClosingIterator) and response.content_length:
        # Flask's own answer to an exception is complete, although it looks like a stream.
        return
    response.response = stream = _Stream(chunks, unit)
    unit.stream = stream.token


def _is_sent_later(unit: Unit) -> bool:
    """Tell whether a response ends the unit: not if an exception is on its way instead of it."""
    return unit.stream is not None and sys.exception() is unit.surrounding


class _Stream:
    """The pieces of a response. The end of them is the end of the unit, and so is giving up."""

    def __init__(self, chunks: Iterable[Any], unit: Unit) -> None:
        self._chunks = chunks
        self._iterator = iter(chunks)
        self._unit = unit
        self._is_begun = False
        #: What the unit knows the stream by: knowing the stream itself would be a circle.
        self.token = object()

    def __iter__(self) -> _Stream:
        return self

    def __next__(self) -> Any:
        self._is_begun = True
        with self._entering():
            try:
                return next(self._iterator)
            except StopIteration:
                self._end(None)
                raise
            except BaseException as error:
                self._end(error)
                raise

    def close(self) -> None:
        """End the stream, perhaps before all of it was sent; a server does so in any case."""
        with self._entering():
            if not self._is_begun:
                # Nothing was asked for, as for HEAD: the work is done.
                self._end(None)
            try:
                getattr(self._chunks, "close", lambda: None)()
            finally:
                self._end(GeneratorExit())

    def __del__(self) -> None:
        self.close()

    @contextlib.contextmanager
    def _entering(self) -> Iterator[None]:
        before = _entered.get(), _current.get()
        self._unit.surrounding = sys.exception()
        _enter(self._unit)
        try:
            yield
        finally:
            _entered.set(before[0])
            _current.set(before[1])

    def _end(self, error: BaseException | None) -> None:
        # The response may have been replaced by another one.
        if self._unit.stream is self.token:
            self._unit.end(error)


def put_around(app: Flask, name: str, function: Callable[..., Any]) -> None:
    """Put *function* around a method of *app*, without keeping *app* alive."""
    method = getattr(app, name)
    if getattr(method, "__self__", None) is app:
        find_method = weakref.WeakMethod(method)

        def method(*args: Any) -> Any:
            return find_method()(*args)

    vars(app)[name] = functools.partial(function, method)


def leave_generators(make_sync: Callable[..., Any], function: Callable[..., Any]) -> Any:
    """Make an asynchronous function synchronous; leave its asynchronous generators open.

    Flask runs each asynchronous function in an event loop of its own. A loop that ends closes the
    asynchronous generators that were begun in it, which would roll a transaction back. Those of
    services are ended with the container; others are ended as they are dropped.
    """

    @functools.wraps(function)
    async def run(*args: Any, **kwargs: Any) -> Any:
        hooks = sys.get_asyncgen_hooks()
        sys.set_asyncgen_hooks(firstiter=None)
        try:
            return await function(*args, **kwargs)
        finally:
            if hooks.firstiter is not None:
                sys.set_asyncgen_hooks(firstiter=hooks.firstiter)

    return make_sync(run)
