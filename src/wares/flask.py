"""A container for each request, event and command of a Flask application.

Application contexts of Flask keep the containers, which are opened when code first asks for them.
"""

from __future__ import annotations

import contextlib
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

#: The attribute of a context that keeps its containers: under `None` that of the context, or of the
#: request that it was pushed for; under its request that of any other request. The WSGI environment
#: of a request has an entry of this name if the context is pushed for that request.
_KEY = "_wares_containers"
#: The entry of `Flask.extensions` for the receiver that validates the registry, until it has.
_CHECK = "wares_check"
#: The attribute of a context for the exception that closing has raised, until it is raised again.
_FAILURE = "_wares_failure"
#: The attribute of a request by which Flask-SocketIO tells its event.
_EVENT = "event"
#: The proxy of the active namespace: the parameter of `wares_from` has its name.
_proxy = g
#: What the proxies stand for.
_get_context: Callable[[], AppContext] = app_ctx._get_current_object  # type: ignore[attr-defined]  # a proxy has it
_get_request: Callable[[], Any] = request._get_current_object  # type: ignore[attr-defined]  # a proxy has it


def init_app(
    app: FlaskApp, *, registry: Registry | None = None, validate: bool = True
) -> FlaskApp:
    """Give *app* a registry, and each of its requests, commands and contexts a container.

    The container is current (`wares.current_container`) in its context. It is closed when that is
    torn down, or after the last byte of a response that is streamed. The first request validates
    the registry, and the views that ask by `wares.inject`. If something cannot be made, it fails
    with an `InvalidRegistryError`, and so do those after it.

    Initialise an application again to give it another registry.

    Args:
        app: The application.
        registry: Where services are registered. Left out, it is the one that the application has,
            or a new one, also where that has been closed.
        validate: Whether the registry is validated.

    Returns:
        The application.

    Raises:
        InvalidRegistrationError: It is no application of Flask.
    """
    demand_kind(app, Flask, "init_app takes a Flask application")
    present = _keeping.find(app)
    app.extensions[REGISTRY_KEY] = choose_registry(present, registry)
    if present is None:
        app.teardown_appcontext(_end_context)
        signals.got_request_exception.connect(_note, app)
        _put_around(app, "wsgi_app", _serve)
        _put_around(app, "handle_user_exception", _note_answered)
        _put_around(app, "process_response", _hold)
        _put_around(app, "async_to_sync", _leave_generators)
    # Each application has its own receiver: only one that is disconnected from all senders is free.
    signals.request_started.disconnect(app.extensions.pop(_CHECK, _validate))
    if validate:
        app.extensions[_CHECK] = functools.partial(_validate)
        signals.request_started.connect(app.extensions[_CHECK], app)
    return app


def wares_from(g: _AppCtxGlobals = g) -> Container:
    """Get the container of the request, or of the application context outside of requests.

    Args:
        g: The namespace of the active context.

    Returns:
        The container, which is the same as long as the request or the context lasts.

    Raises:
        NoContainerError: There is no application context, or *g* is that of another one.
        NoRegistryError: The application has not been initialised.
        RegistryClosedError: The registry is closed.
    """
    try:
        context = _get_context()
    except RuntimeError:
        context = None
    if context is None or (g is not _proxy and g is not context.g):
        raise NoContainerError(
            "There is no application context, and so no container. Ask while a request, a command "
            "or a task is being served, or open a context: with app.app_context(): ..."
        )
    containers, key = _get_containers(context), _get_key()
    served = containers.get(key)
    if served is None or served.is_closed:
        served = Served(_keeping.get_registry(context.app))
        served.app, served.around = context.app, sys.exception()
        served.is_request = key is not None or has_request_context()
        if key is not None:
            _end_with_request(containers, key, served)
        containers[key] = served
    return served


_keeping = Keeping[Flask](
    lambda app: app.extensions.get(REGISTRY_KEY),
    "The application has no registry. Initialise it: wares.flask.init_app(app)",
)
register_factory = _keeping.register_factory
register_value = _keeping.register_value


def get_registry(app: Flask | None = None) -> Registry:
    """Get the registry of *app*, or of the application whose context is active.

    Raises:
        NoRegistryError: The application has not been initialised, or there is none.
    """
    if app is None and not has_app_context():
        raise NoRegistryError(
            "There is no application context, and so no registry. Name the application, "
            "get_registry(app), or open a context: with app.app_context(): ..."
        )
    return _keeping.get_registry(_get_context().app if app is None else app)


#: The registry of the application whose context is active.
registry: Registry = cast("Registry", LocalProxy(get_registry))

#: The container of the request, or of the application context outside of requests.
container: Container = cast("Container", LocalProxy(wares_from))


def overwrite_factory(
    svc_type: TypeForm[T] | Hashable,
    factory: Callable[..., Any],
    **options: Unpack[FactoryOptions],
) -> None:
    """Register another factory as `register_factory` does, and reset the active container."""
    container = wares_from()
    container.registry.register_factory(svc_type, factory, **options)
    container.reset()


def overwrite_value(
    svc_type: TypeForm[T] | Hashable, value: T, **options: Unpack[ValueOptions]
) -> None:
    """Register another object as `register_value` does, and reset the active container.

    If the object is a context manager, it is entered, unless ``enter=False`` is passed.
    """
    container = wares_from()
    # As in svcs, where this stands for a factory that a test replaces.
    options.setdefault("enter", is_context_manager(type(value)))
    container.registry.register_value(svc_type, value, **options)
    container.reset()


def teardown(exc: BaseException | None) -> None:
    """Close the active container before its context ends; its cleanups see *exc*."""
    if has_app_context():
        _end(_get_containers(_get_context()), _get_key(), exc)


def close_registry(app: Flask) -> None:
    """Close the registry of *app*, if it has one; await what has to be awaited."""
    registry = _keeping.find(app)
    try:
        if registry is not None:
            registry.close()
    except PendingAsyncCleanupError:
        app.async_to_sync(_keeping.aclose_registry)(app)


def health_blueprint(path: str = "/healthy", **options: Unpack[HealthOptions]) -> Blueprint:
    """Make a blueprint that pings the services and answers whether all are well.

    It answers by ``{"ok": [...], "failing": [...]}``, or in more detail where
    ``application/health+json`` is accepted. ``?tag=ready`` narrows it down to services with that
    tag. Pings run in threads; those that must be awaited are failing.

    Args:
        path: Where it is found. It also names the blueprint, so there may be several.
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


class Served(Container):
    """The container of a request, or of an application context.

    Attributes:
        app: The application whose context it is.
        around: The exception that was being handled when the container was opened.
        is_request: Whether a request was being served then.
        stream: The streamed response that closes the container when it ends, if there is one.
    """

    app: Flask
    around: BaseException | None
    is_request: bool
    stream: weakref.ref[Generator[Any]] | None = None
    _failure: BaseException | None
    _escaped: BaseException | None

    def find_failure(self, error: BaseException | None) -> BaseException | None:
        """Find what has ended a request, a command or a context.

        Args:
            error: What Flask tells. That is `None` for the exit code of a command, and for the
                exception of a function that is called at the end of the request.
        """
        if error is not None:
            return error
        if not self.is_request and click.get_current_context(silent=True):
            error = _find_exit()
        if error is None:
            error = sys.exception()
        # What was handled before the container was opened, and around that, has not ended it.
        before = self.around
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
        self.around = None
        if error is None:
            error = vars(self).get("_failure") or vars(self).get("_escaped")
        if error is not None and not _is_failure(error, is_request=self.is_request):
            error = None
        is_answered = error is not None and sys.exception() is not error
        kind = None if error is None else type(error)
        try:
            try:
                self.__exit__(kind, error, None)
            except PendingAsyncCleanupError:
                # Nothing has been touched. Flask runs an event loop for whatever is asynchronous.
                self.app.async_to_sync(self.__aexit__)(kind, error, None)
        except Exception:
            if not is_answered:
                raise
            message = "A cleanup has failed after the request had been answered."
            logging.getLogger("wares").exception(message)


def _is_failure(error: BaseException, *, is_request: bool) -> bool:
    """Tell whether *error* is a failure; a redirection and an exit with code 0 are none."""
    if isinstance(error, HTTPException):
        status = error.code if error.response is None else error.response.status_code
        return status is None or status >= 400  # noqa: PLR2004  # errors begin there
    # A server that stops interrupts a request by an exit with code 0.
    return is_request or is_failed_exit(error)


def _end_with_request(containers: dict[Any, Served], key: Any, served: Served) -> None:
    """Close a container when its request ends, because the context may go on for long."""
    signals.request_tearing_down.connect(_end_request, served.app)
    for ended in [one for one, other in containers.items() if other.is_closed]:
        del containers[ended]
    if _EVENT in vars(key):
        _watch_answers(served.app.extensions.get("socketio"), served)


def _watch_answers(server: Any, served: Served) -> None:
    """Have the error handlers of Flask-SocketIO note what they answer; it tells nobody else.

    It keeps them in these two attributes (5.3.7 to 5.7.0). Without these, what leaves an injected
    handler is still noted.
    """
    if not hasattr(server, "exception_handlers"):
        # Injected functions note there what leaves them.
        served._escaped = None
        return
    handlers: dict[str, Any] = server.exception_handlers
    handlers.update({namespace: _noting(handler) for namespace, handler in handlers.items()})
    default = getattr(server, "default_exception_handler", None)
    if default is not None:
        server.default_exception_handler = _noting(default)


def _noting(handler: Any) -> Callable[[Exception], Any]:
    is_noting = isinstance(handler, functools.partial) and handler.func is _note_and_answer
    return handler if is_noting else functools.partial(_note_and_answer, handler)


def _note_and_answer(handler: Callable[[Exception], Any], error: Exception) -> Any:
    _note(_get_context().app, error)
    return handler(error)


def _get_containers(context: AppContext) -> dict[Any, Served]:
    containers: dict[Any, Served] = vars(context).setdefault(_KEY, {})
    return containers


def _get_key() -> Any:
    """Get the active request; `None` without one, or if its context was pushed for it alone."""
    try:
        request = _get_request()
    except RuntimeError:
        return None
    # Flask-SocketIO keeps the environment of the request that connects, for all events.
    is_alone = request.environ.get(_KEY) and _EVENT not in vars(request)
    return None if is_alone else request


def _find() -> Served | None:
    """Find the container of the active context, for `wares.current_container`."""
    try:
        return cast("Served", wares_from()) if has_app_context() else None
    except (NoRegistryError, RegistryClosedError):
        return None


finders.append(_find)


def _serve(call: Callable[..., Any], find: Any, environ: Any, start_response: Any) -> Any:
    """Serve a request in which no container of the surrounding code is current."""
    outer, is_marked = current.get(), environ.get(_KEY, False)
    environ[_KEY] = not has_app_context()
    if outer is None and not is_marked:
        return call(find(), environ, start_response)
    current.set(None)
    try:
        return call(find(), environ, start_response)
    finally:
        current.set(outer)
        # A view may pass the environment of its request on to another request.
        environ[_KEY] |= is_marked


def _validate(app: Flask, **_: Any) -> None:
    """Check, at the first request, that everything can be made."""
    check(get_registry(app), "The application serves no request", find_views(app))
    # Several first requests may come at once: each of them looks, and one takes the receiver away.
    signals.request_started.disconnect(app.extensions.pop(_CHECK, _validate))


def _note(_: Flask, exception: BaseException, **__: Any) -> None:
    """Note an exception for the cleanups, and drop the streamed response that it replaces."""
    served = _find()
    if served is not None:
        served._failure = exception
        served.drop_stream()


def _note_answered(call: Callable[..., Any], find: Any, *args: Any) -> Any:
    """Note an exception before an error handler answers it; Flask tells nobody else."""
    # From Flask 3.2 on, the context comes before the exception.
    _note(find(), args[-1])
    return call(find(), *args)


def _end(containers: dict[Any, Served], key: Any, error: BaseException | None) -> None:
    """Close a container, unless a streamed response is to close it."""
    served = containers.get(key)
    if served is None:
        return
    failure = served.find_failure(error)
    may_be_sent = failure is error and isinstance(error, (Exception, GeneratorExit, NoneType))
    if served.stream and may_be_sent:
        return
    del containers[key]
    try:
        served.drop_stream()
    finally:
        served.end(failure)


def _find_exit() -> click.exceptions.Exit | None:
    """Find the exit code of ``ctx.exit(code)``, which closes everything before it raises.

    Click does so from 8.2 on, and has the code only as the argument of that call (8.2.0 to 8.5.1).
    If it is not found, the command has succeeded.
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
    containers, active = _get_containers(context), _get_key()
    try:
        with contextlib.ExitStack() as stack:
            for key, served in list(containers.items()):
                # If the container of another request is left, a teardown function has failed.
                is_left = key not in {None, active} and not served.stream
                failure = GeneratorExit() if is_left and error is None else error
                stack.callback(_end, containers, key, failure)
    except BaseException as failure:  # noqa: BLE001  # it is raised again
        # Raised at once, it would keep the teardown functions of others from running.
        vars(context)[_FAILURE] = failure
        signals.appcontext_tearing_down.connect(_raise_failure, context.app)


def _raise_failure(_: Flask, **__: Any) -> None:
    failure = vars(_get_context()).pop(_FAILURE, None)
    if failure is not None:
        raise failure


def _hold(call: Callable[..., Response], find: Any, *args: Any) -> Response:
    """Leave it to a streamed response to close the container."""
    response = call(find(), *args)
    chunks: Any = response.response
    if type(chunks) is list or not response.is_streamed or response.direct_passthrough:
        return response
    # What Flask makes of a raised response is complete, although it looks like a stream.
    is_complete = isinstance(chunks, ClosingIterator) and response.content_length is not None
    served = None if is_complete else _find()
    if served is not None:
        response.response = stream = _stream(chunks, served)
        # From here on, the container is closed even if the response is only dropped.
        next(stream)
        served.stream = weakref.ref(stream)
    return response


def _stream(chunks: Any, served: Served) -> Generator[Any]:
    """Yield the pieces of a response, and close the container at their end, or when abandoned."""
    # If no piece is asked for, as for HEAD, the request has succeeded nevertheless.
    outcome: BaseException | None = None
    try:
        yield None
        outcome = GeneratorExit()
        iterator = iter(chunks)
        while True:
            with served.activate():
                chunk = next(iterator, served)
            if chunk is served:
                break
            yield chunk
        outcome = None
    except Exception as error:
        outcome = error
        raise
    finally:
        try:
            with served.activate():
                getattr(chunks, "close", lambda: None)()
        finally:
            if served.stream:
                served.end(outcome)


def _put_around(app: Flask, name: str, function: Callable[..., Any]) -> None:
    """Wrap a method of *app* with *function*, without a cycle that keeps *app* alive."""
    method: Any = getattr(app, name)
    is_flasks = getattr(method, "__self__", None) is app
    call = method.__func__ if is_flasks else lambda _, *args: method(*args)
    vars(app)[name] = functools.partial(function, call, weakref.ref(app))


def _leave_generators(call: Callable[..., Any], find: Any, function: Callable[..., Any]) -> Any:
    """Make an asynchronous function synchronous, and leave asynchronous generators open.

    Flask runs each such function in a new event loop. At its end, the loop closes the generators
    that were started in it, so transactions would roll back. A container closes its own generators.
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

    return call(find(), run)
