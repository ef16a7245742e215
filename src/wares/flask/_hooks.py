"""The hooks into a Flask application: functions around four of its public methods.

Flask documents that applications may override these methods. Its signals do not tell enough: not
which exception an error handler has answered, nor when a streamed response ends.
"""

from __future__ import annotations

import functools
import sys
import weakref
from collections.abc import Callable, Generator
from typing import Any

from flask import Flask, Response, has_app_context, signals
from werkzeug.wsgi import ClosingIterator

from wares._core.current import current
from wares.flask._containers import (
    CONTAINERS_KEY,
    FlaskContainer,
    end_context,
    find_container,
    note_failure,
)


def install(app: Flask) -> None:
    """Open and close the containers of *app*."""
    app.teardown_appcontext(end_context)
    signals.got_request_exception.connect(note_failure, app)
    _wrap_method(app, "wsgi_app", _serve)
    _wrap_method(app, "handle_user_exception", _note_answered)
    _wrap_method(app, "process_response", _let_stream_close)
    _wrap_method(app, "async_to_sync", _keep_generators)


def _wrap_method(app: Flask, name: str, function: Callable[..., Any]) -> None:
    """Wrap a method of *app* with *function*, without a cycle that keeps *app* alive."""
    method: Any = getattr(app, name)
    is_flasks = getattr(method, "__self__", None) is app
    call = method.__func__ if is_flasks else lambda _, *args: method(*args)
    vars(app)[name] = functools.partial(function, call, weakref.ref(app))


def _serve(call: Callable[..., Any], find_app: Any, environ: Any, start_response: Any) -> Any:
    """Serve a request; meanwhile, no container of the surrounding code is current."""
    outer, is_marked = current.get(), environ.get(CONTAINERS_KEY, False)
    environ[CONTAINERS_KEY] = not has_app_context()
    if outer is None and not is_marked:
        return call(find_app(), environ, start_response)
    current.set(None)
    try:
        return call(find_app(), environ, start_response)
    finally:
        current.set(outer)
        # A view may pass the environment of its request to another request.
        environ[CONTAINERS_KEY] |= is_marked


def _note_answered(call: Callable[..., Any], find_app: Any, *args: Any) -> Any:
    """Note an exception before an error handler answers it; Flask has no signal for it."""
    # From Flask 3.2 on, the context comes before the exception.
    note_failure(find_app(), args[-1])
    return call(find_app(), *args)


def _let_stream_close(call: Callable[..., Response], find_app: Any, *args: Any) -> Response:
    """Let a streamed response close the container."""
    response = call(find_app(), *args)
    chunks: Any = response.response
    if not response.is_streamed or response.direct_passthrough:
        return response
    # The response that Flask makes from a raised response is complete, but looks like a stream.
    is_complete = isinstance(chunks, ClosingIterator) and response.content_length is not None
    opened = None if is_complete else find_container()
    if opened is not None:
        response.response = stream = _stream(chunks, opened)
        # A generator that has begun closes the container even if the response is only dropped.
        next(stream)
        opened.stream = weakref.ref(stream)
    return response


def _stream(chunks: Any, opened: FlaskContainer) -> Generator[Any]:
    """Yield the chunks of a response; close the container after them, or when abandoned."""
    # A HEAD request asks for no chunk, and has succeeded nevertheless.
    outcome: BaseException | None = None
    try:
        yield None
        outcome = GeneratorExit()
        iterator = iter(chunks)
        while True:
            with opened.activate():
                chunk = next(iterator, opened)
            if chunk is opened:
                break
            yield chunk
        outcome = None
    except Exception as error:
        outcome = error
        raise
    finally:
        try:
            with opened.activate():
                getattr(chunks, "close", lambda: None)()
        finally:
            if opened.stream:
                opened.end(outcome)


def _keep_generators(
    call: Callable[..., Any], find_app: Any, function: Callable[..., Any]
) -> Any:
    """Make an asynchronous function synchronous, and keep the generators of services open.

    Flask runs each asynchronous function in a new event loop. At its end, the loop would close the
    asynchronous generators that were started in it, so transactions would roll back. The container
    closes these generators.
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
