"""The units of work of a Flask application: its requests, events, commands and contexts.

The application context of a unit of work keeps it. It begins when code asks for its container.
"""

from __future__ import annotations

import logging
import sys
import traceback
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

import click
import flask.globals
from flask import Flask, has_app_context, has_request_context
from flask.ctx import AppContext
from flask.globals import app_ctx

from wares._adapters.commands import is_failure
from wares._adapters.lifespan import REGISTRY_KEY
from wares._adapters.registries import Keeping
from wares._adapters.units import Unit, note_failure
from wares._core.container import Container
from wares._core.current import finders
from wares.exceptions import NoRegistryError, RegistryClosedError

#: The attribute of an application context that keeps its units of work.
_UNITS = "_wares_units"
#: These return the objects behind Flask's proxies. From Flask 3.2 on, they are the same.
get_context: Callable[[], AppContext] = app_ctx._get_current_object  # type: ignore[attr-defined]  # a proxy has it
_get_request_context = vars(flask.globals).get("request_ctx", app_ctx)._get_current_object

#: Keeps the registry of an application.
keeping = Keeping[Flask](
    lambda app: app.extensions.get(REGISTRY_KEY),
    "The application has no registry. Initialise it: wares.flask.init_app(app)",
)


class FlaskUnit(Unit):
    """A unit of work of *app*.

    The *units* of an application context keep it, by its *key* (see `_get_key`), until it ends.
    """

    #: Closes the streamed response that holds the unit of work, if there is one.
    close_response: Callable[[], None]

    def __init__(self, app: Flask, units: dict[object, FlaskUnit], key: object) -> None:
        self._units, self._key = units, key
        # A function that Click calls while it closes a command may use a context of its own.
        self._may_exit = not has_request_context() and _find_failure_of_command() is None
        super().__init__(
            Container(keeping.get_registry(app)),
            # When a server stops, it may interrupt a request with an exit whose code is 0.
            is_failure=None if has_request_context() else is_failure,
            run=partial(run, app),
        )

    def close(self, error: BaseException | None = None) -> None:
        """Close the container as `Unit.close` does; log what fails after a request was answered."""
        self._units.pop(self._key, None)
        if error is None and self._may_exit:
            error = _find_failure_of_command()
        failure, unanswered = error or self._noted._failure, sys.exception()
        try:
            super().close(error)
        except Exception:
            if self._is_failure or failure is None or failure is unanswered:
                raise
            logging.getLogger("wares").exception("A cleanup failed after an answered error.")


def open_unit(context: AppContext) -> FlaskUnit:
    """Return the active unit of work of a context; begin it if necessary."""
    units: dict[object, FlaskUnit] = vars(context).setdefault(_UNITS, {})
    key = _get_key()
    unit = units.get(key)
    if unit is None or unit.container.is_closed:
        unit = units[key] = FlaskUnit(context.app, units, key)
        _watch_answers(context.app.extensions.get("socketio"))
    return unit


def _get_key() -> object:
    """Return what the active unit of work belongs to: a request, or else an application context.

    Several requests may share an application context that other code has pushed.
    """
    return _get_request_context() if has_request_context() else get_context()


def find_unit() -> FlaskUnit | None:
    """Return the active unit of work, as `open_unit` does; `None` if none can begin here."""
    try:
        return open_unit(get_context()) if has_app_context() else None
    except (NoRegistryError, RegistryClosedError):
        return None


# `wares.current_container` finds the container of the active unit of work.
finders.append(lambda: getattr(find_unit(), "container", None))


def run(app: Flask, coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine as Flask runs an asynchronous view."""
    return app.async_to_sync(lambda: coroutine)()


def note_error(_: Flask, exception: BaseException | None, **__: Any) -> None:
    """Note an exception for the cleanups, and close the streamed response that it replaces."""
    unit = find_unit()
    if unit is not None:
        note_failure(unit.container, exception)
        if unit.is_held:
            unit.is_held = False
            unit.close_response()


def end_unit(error: BaseException | None) -> None:
    """End the active unit of work, unless a streamed response will end it."""
    units: dict[object, FlaskUnit] | None = vars(get_context()).get(_UNITS)
    unit = units.get(_get_key()) if units else None
    if unit is not None and not unit.is_held:
        unit.close(error)


def _find_failure_of_command() -> BaseException | None:
    """Find what ends a command whose context Click closes without telling why.

    Before 8.2, Click does so with every exception; from then on, before ``ctx.exit(code)`` raises.
    In 8.2.0 to 8.5.1, only the argument of that call has the code.
    """
    is_closing = False
    for frame, _ in traceback.walk_stack(sys._getframe()):
        if frame.f_code is click.Context.exit.__code__:
            return click.exceptions.Exit(frame.f_locals.get("code", 0))
        is_closing = is_closing or frame.f_code is click.Context.close.__code__
    return sys.exception() if is_closing else None


def _watch_answers(server: Any) -> None:
    """Make Flask-SocketIO note the exceptions that its error handlers answer.

    It has no signal for them. Versions 5.3.7 to 5.7.0 look the handler up in this attribute. If
    another version does not, an event whose exception is answered has succeeded.
    """
    handlers = getattr(server, "exception_handlers", None)
    if type(handlers) is dict:
        server.exception_handlers = _NotingHandlers(handlers)


class _NotingHandlers(dict[str, Any]):
    """The error handlers of Flask-SocketIO, which it looks up when it handles an exception."""

    def get(self, namespace: str, default: Any = None) -> Any:
        """Note the exception, and return the handler of a namespace."""
        note_error(get_context().app, sys.exception())
        return super().get(namespace, default)
