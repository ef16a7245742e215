"""The hooks into a Flask application: functions around six of its documented methods.

Signals and decorated functions would not do: none learns which exception an error handler has
answered, or runs between the two kinds of teardown functions, whatever these raise.
"""

from __future__ import annotations

import functools
import sys
import weakref
from collections.abc import Callable
from typing import Any, TypeAlias

from flask import Flask, Response, request, signals
from werkzeug.wsgi import ClosingIterator

from wares._adapters.streams import hold
from wares._core.current import current
from wares.flask._units import end_unit, find_unit, note_error

#: The entry of a WSGI environment being served: the request that its response ends, or `None`.
_STREAMED = "wares.flask.streamed"
#: A method of an application, or a function.
_Call: TypeAlias = Callable[..., Any]


def install(app: Flask) -> None:
    """Begin and end the units of work of *app*."""
    signals.got_request_exception.connect(note_error, app)
    _wrap_method(app, "wsgi_app", _serve)
    _wrap_method(app, "handle_user_exception", _note_answered)
    _wrap_method(app, "process_response", _let_stream_end)
    _wrap_method(app, "do_teardown_request", _end_request)
    _wrap_method(app, "do_teardown_appcontext", _end_context)
    _wrap_method(app, "async_to_sync", _keep_generators)


def _wrap_method(app: Flask, name: str, function: _Call) -> None:
    """Wrap a method of *app* with *function*, without a cycle that keeps *app* alive."""
    method: Any = getattr(app, name)
    is_flasks = getattr(method, "__self__", None) is app
    call = method.__func__ if is_flasks else lambda _, *args: method(*args)
    vars(app)[name] = functools.partial(function, call, weakref.ref(app))


def _serve(call: _Call, find_app: Any, environ: Any, start_response: Any) -> Any:
    """Serve a request; meanwhile, no container of the surrounding code is current."""
    # A view may pass the environment of its request to another request.
    outer, environ[_STREAMED] = environ.get(_STREAMED), None
    token = current.set(None)
    try:
        chunks = call(find_app(), environ, start_response)
        unit = environ[_STREAMED]
    except BaseException as error:
        if environ[_STREAMED] is not None:
            environ[_STREAMED].close(error)
        raise
    finally:
        current.reset(token)
        environ[_STREAMED] = outer
    return chunks if unit is None else hold(unit, iter(chunks))


def _note_answered(call: _Call, find_app: Any, *args: Any) -> Any:
    """Note the exception, in each version of Flask the last argument, before it is answered."""
    note_error(find_app(), args[-1])
    return call(find_app(), *args)


def _let_stream_end(call: _Call, find_app: Any, *args: Any) -> Response:
    """Let a streamed response end the request."""
    response: Response = call(find_app(), *args)
    chunks: Any = response.response
    # The response that Flask makes from a raised response is complete, but looks like a stream.
    is_complete = isinstance(chunks, ClosingIterator) and response.content_length is not None
    if response.is_streamed and not response.direct_passthrough and not is_complete:
        unit = find_unit()
        if unit is not None and _STREAMED in request.environ:
            request.environ[_STREAMED] = unit
            unit.is_held, unit.close_response = True, response.close
    return response


def _end_request(call: _Call, find_app: Any, *args: Any) -> None:
    """End a request, or an event, after its teardown functions, even if one of them fails."""
    try:
        call(find_app(), *args)
    except BaseException as error:
        end_unit(error)
        raise
    end_unit(args[-1] if args else None)


def _end_context(call: _Call, find_app: Any, *args: Any) -> None:
    """End the use of a context before its teardown functions, and what these ask for after."""
    error = args[-1] if args else None
    try:
        end_unit(error)
    finally:
        call(find_app(), *args)
        end_unit(error)


def _keep_generators(call: _Call, find_app: Any, function: _Call) -> Any:
    """Make an asynchronous function synchronous, and keep the generators of services open.

    Flask runs it in a new event loop. At its end, the loop would close the asynchronous generators
    that were started in it, so transactions would roll back. The container closes them.
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

    return call(find_app(), run)
