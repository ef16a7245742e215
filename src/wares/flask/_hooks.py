"""The hooks into a Flask application: functions around six of its documented methods.

Signals and decorated functions would not do: none learns which exception an error handler has
answered, or runs between the two kinds of teardown functions, whatever these raise.
"""

from __future__ import annotations

import sys
import weakref
from collections.abc import Callable
from contextlib import ExitStack
from functools import wraps
from types import MethodType
from typing import Any

from flask import Flask, request, signals
from werkzeug.exceptions import HTTPException
from werkzeug.wsgi import ClosingIterator

from wares._adapters.registries import demand
from wares._adapters.streams import hold
from wares._core.current import current
from wares.exceptions import NoRegistryError
from wares.flask._units import FlaskUnit, end_unit, find_unit, note_error

#: The entry of a WSGI environment being served: the requests that its response ends.
_STREAMED = "wares.flask.streamed"
#: The message of the error if something keeps a method of an application, but not the application.
_FREED = "The Flask application is gone. Keep and serve the application, not only its method."


def install(app: Flask) -> None:
    """Begin and end the units of work of *app*."""
    signals.got_request_exception.connect(note_error, app)
    _wrap_method(app, "wsgi_app", _serve)
    _wrap_method(app, "handle_user_exception", _note_answered)
    _wrap_method(app, "process_response", _let_stream_end)
    _wrap_method(app, "do_teardown_request", _end_request)
    _wrap_method(app, "do_teardown_appcontext", _end_context)
    _wrap_method(app, "async_to_sync", _keep_generators)


def _wrap_method(app: Flask, name: str, function: Callable[..., Any]) -> None:
    """Wrap a method of *app* with *function*, without a cycle that keeps *app* alive."""
    find_app: Any = weakref.ref(app)
    replaced = vars(app).get(name)

    def wrapper(*args: Any, **kwargs: Any) -> Any:
        app = demand(find_app(), NoRegistryError, _FREED)
        # The class is asked at each call, because instrumentation may wrap its methods at any time.
        call = replaced or MethodType(getattr(type(app), name), app)
        return function(app, call, *args, *kwargs.values())

    vars(app)[name] = wrapper


def _serve(_: Flask, call: Callable[..., Any], environ: Any, start_response: Any) -> Any:
    """Serve a request; meanwhile, no container of the surrounding code is current."""
    # A view may pass the environment to another request; a middleware may copy or reuse it.
    units: list[FlaskUnit] = []
    outer, environ[_STREAMED] = environ.get(_STREAMED), units
    token = current.set(None)
    try:
        chunks = call(environ, start_response)
    except BaseException as error:
        with ExitStack() as stack:
            for unit in units:
                stack.callback(unit.close, error)
        raise
    finally:
        current.reset(token)
        environ[_STREAMED] = outer
    # If the application was called again, its last answer is the one that is sent.
    for unit in reversed(units):
        chunks = hold(unit, iter(chunks))
    return chunks


def _note_answered(app: Flask, call: Callable[..., Any], *args: Any) -> Any:
    """Note the exception, in each version of Flask the last argument, before it is answered."""
    if not _is_redirection(args[-1]):
        note_error(app, args[-1])
    return call(*args)


def _is_redirection(error: Any) -> bool:
    """Tell whether an exception is answered with a status that is no error."""
    is_http = isinstance(error, HTTPException)
    status = getattr(error.response, "status_code", error.code) if is_http else None
    return status is not None and status < 400  # noqa: PLR2004  # errors begin there


def _let_stream_end(_: Flask, call: Callable[..., Any], *args: Any) -> Any:
    """Let a streamed response end the request."""
    response = args[-1]
    try:
        response = call(*args)
        return response
    finally:
        # If a function of `after_request` fails, Flask still sends the answer of an error handler.
        chunks, headers = response.response, response.headers
        # The response that Flask makes from a raised response is complete, but looks like a stream.
        is_complete = isinstance(chunks, ClosingIterator) and "Content-Length" in headers
        is_stream = response.is_streamed and not response.direct_passthrough and not is_complete
        is_served = is_stream and request.environ.get(_STREAMED) is not None
        unit = find_unit() if is_served else None
        if unit is not None:
            request.environ[_STREAMED].append(unit)
            unit.is_held, unit.close_response = True, response.close


def _end_request(app: Flask, call: Callable[..., Any], *args: Any) -> None:
    """End a request, or an event, after its teardown functions, even if one of them fails."""
    try:
        call(*args)
    except BaseException as error:
        note_error(app, error)
        end_unit(error)
        raise
    end_unit(args[-1] if args else sys.exception())


def _end_context(app: Flask, call: Callable[..., Any], *args: Any) -> None:
    """End the use of a context before its teardown functions, and what these ask for after."""
    try:
        end_unit(args[-1] if args else sys.exception())
    finally:
        _end_request(app, call, *args)


def _keep_generators(_: Flask, call: Callable[..., Any], function: Callable[..., Any]) -> Any:
    """Make an asynchronous function synchronous, and keep the generators of services open.

    Flask runs it in a new event loop. As the loop ends, it would close the generators that began
    in it, so transactions would roll back. The container closes them.
    """

    @wraps(function)
    async def run(*args: Any, **kwargs: Any) -> Any:
        hook = sys.get_asyncgen_hooks().firstiter
        sys.set_asyncgen_hooks(firstiter=None)
        try:
            return await function(*args, **kwargs)
        finally:
            sys.set_asyncgen_hooks(firstiter=hook)

    return call(run)
