"""What a unit of work ended with, where Flask does not say.

This module knows what counts as a failure, what Click makes of exit codes, and the error handlers
of Flask-SocketIO.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from typing import Any

import attrs
import click
from click.exceptions import Exit
from flask import Flask
from werkzeug.exceptions import HTTPException

#: The statuses of answers from this one on are failures.
_FIRST_FAILURE = 400


def is_failure(error: BaseException) -> bool:
    """Tell whether *error*, which is answered, is a failure: a redirection that is raised is none."""
    if not isinstance(error, HTTPException):
        return True
    status = error.code if error.response is None else error.response.status_code
    return status is None or status >= _FIRST_FAILURE


def read_outcome(
    error: BaseException | None, surrounding: BaseException | None, request: object
) -> BaseException | None:
    """Tell what a unit of work ended with, so far as its cleanups are concerned.

    Args:
        error: What is known of it.
        surrounding: The exception that was being handled as the work began.
        request: The request that was served; a command serves none.
    """
    if request is not None or click.get_current_context(silent=True) is None:
        return error
    under_way = sys.exception()
    if error is None and under_way is not surrounding:
        # Click, before 8.2, does not tell the context of a command about it.
        error = under_way
    if isinstance(error, Exit):
        return error if error.exit_code else None
    if isinstance(error, SystemExit):
        return error if error.code else None
    return error or _find_exit()


def _find_exit() -> Exit | None:
    """Find the exit code in ``ctx.exit(code)``, which closes everything before it raises.

    Click does so since 8.2, and keeps the code in a local variable only (8.2.0 to 8.5.1). Where
    it is not found, the command has succeeded.
    """
    frame = inspect.currentframe()
    while frame is not None and _get_package(frame.f_globals) in _BETWEEN:
        if frame.f_code is click.Context.exit.__code__:
            code = frame.f_locals["code"]
            return Exit(code) if code else None
        frame = frame.f_back
    return None


#: Whose functions call one another between ``ctx.exit`` and the end of the context.
_BETWEEN = ("wares", "flask", "contextlib", "click")


def _get_package(module: dict[str, Any]) -> str:
    return str(module.get("__name__", "")).partition(".")[0]


@attrs.frozen
class _NotingHandler:
    """An error handler that notes the exception before it answers."""

    handler: Callable[[BaseException], Any]
    note: Callable[[BaseException], None]

    def __call__(self, error: BaseException) -> Any:
        self.note(error)
        return self.handler(error)


def watch_events(app: Flask, note: Callable[[BaseException], None]) -> None:
    """Have the error handlers of Flask-SocketIO note the exceptions that they answer.

    Flask-SocketIO keeps them in ``exception_handlers`` and ``default_exception_handler`` (5.3.7 to
    5.7.0), and tells nobody else. Where those are missing, only functions that ask by `inject`
    are known to have failed.
    """
    server = app.extensions.get("socketio")
    if server is None:
        return
    handlers: dict[str, Any] = getattr(server, "exception_handlers", {})
    for namespace, handler in list(handlers.items()):
        if not isinstance(handler, _NotingHandler):
            handlers[namespace] = _NotingHandler(handler, note)
    default = getattr(server, "default_exception_handler", None)
    if default is not None and not isinstance(default, _NotingHandler):
        server.default_exception_handler = _NotingHandler(default, note)
