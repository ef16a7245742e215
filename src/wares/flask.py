"""A container for each request, event and command of a Flask application.

Flask's application contexts keep the containers. A container opens when code first asks for it.
"""

from __future__ import annotations

import functools
import logging
import sys
import weakref
from collections.abc import Callable, Generator, Hashable
from types import FrameType, NoneType
from typing import Any, TypeVar, cast

from typing_extensions import TypeForm, Unpack

from wares._adapters.applications import find_views
from wares._adapters.extras import needs_extra
from wares._adapters.health_endpoint import HealthEndpoint, HealthOptions
from wares._adapters.lifespan import REGISTRY_KEY
from wares._adapters.registries import Keeping, choose_registry, demand_kind
from wares._adapters.svcs_names import explain_svcs_names
from wares._adapters.units import check
from wares._core.compositions import FactoryOptions, ValueOptions
from wares._core.container import Container, Registry
from wares._core.current import current, finders
from wares._core.recipes import is_context_manager
from wares.click import _is_failure as is_failed_exit
from wares.exceptions import (
    NoContainerError,
    NoRegistryError,
    PendingAsyncCleanupError,
    RegistryClosedError,
)

with needs_extra("wares.flask", "flask"):
    import click
    from flask import (
        Blueprint,
        Flask,
        Response,
        g,
        has_app_context,
        has_request_context,
        request,
        signals,
    )
    from flask.ctx import AppContext, _AppCtxGlobals
    from flask.globals import app_ctx
    from werkzeug.exceptions import HTTPException
    from werkzeug.local import LocalProxy
    from werkzeug.wsgi import ClosingIterator

__all__ = [
    "close_registry",
    "container",
    "get_registry",
    "health_blueprint",
    "init_app",
    "overwrite_factory",
    "overwrite_value",
    "register_factory",
    "register_value",
    "registry",
    "teardown",
    "wares_from",
]

T = TypeVar("T")

explain_svcs_names(__name__, "wares_from()")
FlaskApp = TypeVar("FlaskApp", bound=Flask)

#: The attribute of a context that keeps its containers. The key of a container is its request, or
#: `None` for the context itself and for the request for which the context was pushed. The WSGI
#: environment of a request has an entry of this name, which is true if the context was pushed for
#: that request.
_KEY = "_wares_containers"
#: The key, in `Flask.extensions`, of the receiver that validates the registry, until it has run.
_CHECK = "wares_check"
#: The attribute of a context that keeps an exception of closing until it is raised again.
_FAILURE = "_wares_failure"
#: The attribute that Flask-SocketIO adds to a request that stands for an event.
_EVENT = "event"
#: Flask's ``g``, because the parameter of `wares_from` has the same name.
_proxy = g
#: These return the objects behind Flask's proxies.
_get_context: Callable[[], AppContext] = app_ctx._get_current_object  # type: ignore[attr-defined]  # a proxy has it
_get_request: Callable[[], Any] = request._get_current_object  # type: ignore[attr-defined]  # a proxy has it


def init_app(
    app: FlaskApp, *, registry: Registry | None = None, validate: bool = True
) -> FlaskApp:
    """Give *app* a registry, and each of its requests, commands and contexts a container.

    The container is current (`wares.current_container`) in its context. It closes when the context
    is torn down, or after the last byte of a streamed response. The first request validates the
    registry, and the services that views with `wares.inject` ask for. If a service cannot be made,
    this request and all later ones fail with an `InvalidRegistryError`.

    Initialise an application again to give it another registry.

    Args:
        app: The application.
        registry: The registry to use. By default, the application keeps its registry, or gets a
            new one if it has none or a closed one.
        validate: Whether the first request validates the registry.

    Returns:
        The application.

    Raises:
        InvalidRegistrationError: *app* is no application of Flask.
    """
    demand_kind(app, Flask, "init_app takes a Flask application")
    present = _keeping.find(app)
    app.extensions[REGISTRY_KEY] = choose_registry(present, registry)
    if present is None:
        app.teardown_appcontext(_end_context)
        signals.got_request_exception.connect(_note_failure, app)
        _wrap_method(app, "wsgi_app", _serve)
        _wrap_method(app, "handle_user_exception", _note_answered)
        _wrap_method(app, "process_response", _let_stream_close)
        _wrap_method(app, "async_to_sync", _keep_generators)
    # Each application has its own receiver, because a signal forgets a receiver only when it is
    # disconnected from all senders.
    signals.request_started.disconnect(app.extensions.pop(_CHECK, _validate))
    if validate:
        app.extensions[_CHECK] = functools.partial(_validate)
        signals.request_started.connect(app.extensions[_CHECK], app)
    return app


def wares_from(g: _AppCtxGlobals = g) -> Container:
    """Get the container of the request or, outside of requests, of the application context.

    Args:
        g: The ``g`` of the active context.

    Returns:
        The container, which is the same until the request or the context ends.

    Raises:
        NoContainerError: There is no application context, or *g* belongs to another context.
        NoRegistryError: The application has not been initialised.
        RegistryClosedError: The registry is closed.
    """
    try:
        context = _get_context()
    except RuntimeError:
        context = None
    if context is None:
        raise NoContainerError(
            "There is no application context, and so no container. Ask while a request, a command "
            "or a task is being served, or open a context: with app.app_context(): ..."
        )
    if g is not _proxy and g is not context.g:
        raise NoContainerError(
            f"wares_from takes no argument, or the `g` of the active application context, and this "
            f"is a {type(g).__qualname__}. Write: wares_from()"
        )
    containers, key = _get_containers(context), _get_key()
    opened = containers.get(key)
    if opened is None or opened.is_closed:
        opened = FlaskContainer(_keeping.get_registry(context.app))
        opened.app, opened.outer_error = context.app, sys.exception()
        opened.is_request = key is not None or has_request_context()
        if key is not None:
            _end_with_request(containers, key, opened)
        containers[key] = opened
    return opened


_keeping = Keeping[Flask](
    lambda app: app.extensions.get(REGISTRY_KEY),
    "The application has no registry. Initialise it: wares.flask.init_app(app)",
)
register_factory = _keeping.register_factory
register_value = _keeping.register_value


def get_registry(app: Flask | None = None) -> Registry:
    """Get the registry of *app*, or of the application whose context is active.

    Raises:
        NoRegistryError: The application has not been initialised; or *app* is omitted, and there is
            no application context.
    """
    if app is None and not has_app_context():
        raise NoRegistryError(
            "There is no application context, and so no registry. Name the application, "
            "get_registry(app), or open a context: with app.app_context(): ..."
        )
    return _keeping.get_registry(_get_context().app if app is None else app)


#: The registry of the application whose context is active.
registry: Registry = cast("Registry", LocalProxy(get_registry))

#: The container of the request or, outside of requests, of the application context.
container: Container = cast("Container", LocalProxy(wares_from))


def overwrite_factory(
    svc_type: TypeForm[T] | Hashable,
    factory: Callable[..., Any],
    **options: Unpack[FactoryOptions],
) -> None:
    """Register another factory, as `register_factory` does, and reset the active container."""
    container = wares_from()
    container.registry.register_factory(svc_type, factory, **options)
    container.reset()


def overwrite_value(
    svc_type: TypeForm[T] | Hashable, value: T, **options: Unpack[ValueOptions]
) -> None:
    """Register another object, as `register_value` does, and reset the active container.

    If the object is a context manager, it is entered, unless ``enter=False`` is passed.
    """
    container = wares_from()
    # As in svcs, the object takes the place of a factory, whose product would be entered.
    options.setdefault("enter", is_context_manager(type(value)))
    container.registry.register_value(svc_type, value, **options)
    container.reset()


def teardown(exc: BaseException | None) -> None:
    """Close the active container before its context ends; its cleanups see *exc*."""
    if has_app_context():
        _end(_get_containers(_get_context()), _get_key(), exc)


def close_registry(app: Flask) -> None:
    """Close the registry of *app*, if it has one, and await asynchronous cleanups."""
    registry = _keeping.find(app)
    try:
        if registry is not None:
            registry.close()
    except PendingAsyncCleanupError:
        app.async_to_sync(_keeping.aclose_registry)(app)


def health_blueprint(path: str = "/healthy", **options: Unpack[HealthOptions]) -> Blueprint:
    """Make a blueprint that pings the services and reports whether they are healthy.

    It answers with ``{"ok": [...], "failing": [...]}``, or in more detail if the request accepts
    ``application/health+json``. With ``?tag=ready``, it checks only services with that tag. Pings
    run in threads; a ping that must be awaited fails.

    Args:
        path: The path of the endpoint. The name of the blueprint contains the path, so an
            application may register several.
        options: How it checks and answers: ``timeout`` (5 seconds), ``tags`` (all), ``ok_status``
            (200), ``failing_status`` (503), ``show_errors`` (False), ``max_age`` (0 seconds).

    Returns:
        The blueprint, for the application to register.

    Raises:
        InvalidOptionError: An option is invalid.
    """
    endpoint = HealthEndpoint(**options)
    blueprint = Blueprint(f"wares_health_{path.replace('.', '_')}", __name__)

    @blueprint.get(path, endpoint="health")
    def health() -> Response:
        accept = request.headers.get("Accept", "")
        tags = request.args.getlist("tag")
        answer = endpoint.respond(get_registry(), tags=tags, accept=accept)
        return Response(answer.body, answer.status, answer.headers)

    return blueprint


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
        _note_failure(_get_context().app, error)
        return self._handler(error)


def _get_containers(context: AppContext) -> dict[Any, FlaskContainer]:
    containers: dict[Any, FlaskContainer] = vars(context).setdefault(_KEY, {})
    return containers


def _get_key() -> Any:
    """Return the key of the active container: the request, or `None` as `_KEY` describes."""
    try:
        request = _get_request()
    except RuntimeError:
        return None
    # All events of a Flask-SocketIO client have the environment of the request that connected.
    has_own_context = request.environ.get(_KEY) and _EVENT not in vars(request)
    return None if has_own_context else request


def _find_container() -> FlaskContainer | None:
    """Find the container of the active context, for `wares.current_container`."""
    try:
        return cast("FlaskContainer", wares_from()) if has_app_context() else None
    except (NoRegistryError, RegistryClosedError):
        return None


finders.append(_find_container)


def _serve(call: Callable[..., Any], find_app: Any, environ: Any, start_response: Any) -> Any:
    """Serve a request; meanwhile, no container of the surrounding code is current."""
    outer, is_marked = current.get(), environ.get(_KEY, False)
    environ[_KEY] = not has_app_context()
    if outer is None and not is_marked:
        return call(find_app(), environ, start_response)
    current.set(None)
    try:
        return call(find_app(), environ, start_response)
    finally:
        current.set(outer)
        # A view may pass the environment of its request to another request.
        environ[_KEY] |= is_marked


def _validate(app: Flask, **_: Any) -> None:
    """Validate the registry at the first request."""
    check(get_registry(app), "The application serves no request", find_views(app))
    # Several first requests may come at once: each of them validates, and one of them disconnects
    # the receiver.
    signals.request_started.disconnect(app.extensions.pop(_CHECK, _validate))


def _note_failure(_: Flask, exception: BaseException, **__: Any) -> None:
    """Note an exception for the cleanups, and drop the streamed response that it replaces."""
    opened = _find_container()
    if opened is not None:
        opened._failure = exception
        opened.drop_stream()


def _note_answered(call: Callable[..., Any], find_app: Any, *args: Any) -> Any:
    """Note an exception before an error handler answers it; Flask has no signal for it."""
    # From Flask 3.2 on, the context comes before the exception.
    _note_failure(find_app(), args[-1])
    return call(find_app(), *args)


def _end(containers: dict[Any, FlaskContainer], key: Any, error: BaseException | None) -> None:
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
    key = _get_key()
    if key is not None:
        _end(_get_containers(_get_context()), key, exc)


def _end_context(error: BaseException | None) -> None:
    """Close the containers of the active context."""
    context = _get_context()
    containers: dict[Any, FlaskContainer] | None = vars(context).get(_KEY)
    if not containers:
        return
    try:
        for key in containers.keys() - {None}:
            # If the container of a request that is over is still open, its end has failed.
            _end(containers, key, error if key is _get_key() else GeneratorExit())
        _end(containers, None, error)
    except BaseException as failure:  # noqa: BLE001  # it is raised again
        # If this raised the exception now, other teardown functions would not run.
        vars(context)[_FAILURE] = failure
        signals.appcontext_tearing_down.connect(_raise_failure, context.app)


def _raise_failure(_: Flask, **__: Any) -> None:
    failure = vars(_get_context()).pop(_FAILURE, None)
    if failure is not None:
        raise failure


def _let_stream_close(call: Callable[..., Response], find_app: Any, *args: Any) -> Response:
    """Let a streamed response close the container."""
    response = call(find_app(), *args)
    chunks: Any = response.response
    if not response.is_streamed or response.direct_passthrough:
        return response
    # The response that Flask makes from a raised response is complete, but looks like a stream.
    is_complete = isinstance(chunks, ClosingIterator) and response.content_length is not None
    opened = None if is_complete else _find_container()
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


def _wrap_method(app: Flask, name: str, function: Callable[..., Any]) -> None:
    """Wrap a method of *app* with *function*, without a cycle that keeps *app* alive."""
    method: Any = getattr(app, name)
    is_flasks = getattr(method, "__self__", None) is app
    call = method.__func__ if is_flasks else lambda _, *args: method(*args)
    vars(app)[name] = functools.partial(function, call, weakref.ref(app))


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
