"""A container for each application context of a Flask application.

This module knows Flask: its contexts, its signals, its responses. It must not know another
framework, nor how services are made.
"""

from __future__ import annotations

import asyncio
import functools
import sys
import threading
from collections.abc import Callable, Hashable, Iterable, Iterator
from contextvars import Token
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar, cast
from weakref import WeakSet

from flask import Blueprint, Flask, g, request
from flask import Response as FlaskResponse
from flask.ctx import AppContext, _AppCtxGlobals
from flask.globals import app_ctx
from typing_extensions import Unpack
from werkzeug.local import LocalProxy
from werkzeug.wrappers import Response

from wares._adapters.applications import find_views
from wares._core.compositions import FactoryOptions, ValueOptions
from wares._core.container import Container, _current
from wares._adapters.health_endpoint import HealthEndpoint, HealthOptions
from wares._inject.injected import find_missing
from wares._core.container import Registry
from wares._core.recipes import is_context_manager
from wares.exceptions import (
    NoContainerError,
    NoRegistryError,
    PendingAsyncCleanupError,
    raise_problems,
)

if TYPE_CHECKING:
    from typing_extensions import TypeForm

    T = TypeVar("T")

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

FlaskApp = TypeVar("FlaskApp", bound=Flask)

#: Where the registry is found in an application's extensions.
REGISTRY_KEY = "wares_registry"

#: Where an application's extensions tell whether the registry is still to be validated.
UNCHECKED_KEY = "wares_unchecked"

#: Where the services of an application context are found on its `g`.
SERVING_KEY = "wares_serving"

#: What stands for the namespace of the context that is active.
_proxy = g

#: Held while a registry is validated.
_validating = threading.Lock()

#: Stands for an exception of which nothing was said.
_UNSAID: Any = object()

#: Gives the application context that is active. A proxy would find it anew for each attribute.
_get_context: Callable[[], AppContext] = app_ctx._get_current_object  # type: ignore[attr-defined]  # a proxy has it


class _Serving:
    """The container of one application context, and how the context is getting on.

    Attributes:
        app: Whose context it is.
        container: The context's services.
        surrounding: The exception that was being handled when the context began.
        error: The exception that was answered, instead of raised.
        failure: What closing the container raised.
        is_held: Whether a streamed response has yet to be sent, which closes the container.
    """

    # One is made for each request: what is rarely set costs nothing as a class's attribute.
    error: BaseException | None = None
    failure: BaseException | None = None
    is_held: bool = False

    def __init__(self, app: Flask, container: Container) -> None:
        self.app = app
        self.container = container
        self.surrounding = sys.exception()

    def end(self, error: BaseException | None) -> None:
        """Close the container of a context that ends with *error*, if with any.

        Raises:
            CleanupError: Cleanups failed; every other one ran.
        """
        error = error or self.error
        if error is None:
            # Click, before 8.2, does not tell the context of a command about it.
            unspoken = sys.exception()
            error = None if unspoken is self.surrounding else unspoken
        try:
            self.container.__exit__(None, error, None)
        except PendingAsyncCleanupError:
            # Nothing has been touched. Flask runs an event loop for whatever is asynchronous.
            self.app.async_to_sync(self.container.__aexit__)(None, error, None)

    def close(self, error: BaseException | None = None) -> None:
        """Close the container outside of its context, where no other error than *error* counts.

        Raises:
            CleanupError: Cleanups failed; every other one ran.
        """
        self.surrounding = sys.exception()
        self.end(error)

    def finish(self, error: BaseException | None) -> None:
        """Raise what closing the container has raised; close it first, if nobody has."""
        if self.failure is not None:
            raise self.failure
        if not self.container.is_closed and not self.is_held:
            # A teardown function of somebody else has failed, and ours was not called.
            self.close(error)


_Pushed: TypeAlias = "tuple[Token[Container | None], _Pushed | None]"


class _ServedContext(AppContext):
    """An application context with a container, which is current while the context is active."""

    #: How to make current again what was so before; and the same of when it was pushed before.
    _wares_pushed: _Pushed | None = None

    def push(self) -> None:
        """Push the context; the first time, with a container of its own."""
        pushed = self._wares_pushed
        serving: _Serving | None = self.g.__dict__.get(SERVING_KEY)
        if serving is None or (pushed is None and serving.container.is_closed):
            # It is new; or it was torn down, and is pushed again, as streamed responses do.
            registry = self.app.extensions[REGISTRY_KEY]
            # If nothing is left to serve from, whoever asks is told.
            serving = None if registry._is_closed else _serve(self.app, registry, self.g)
        container = _current.get() if serving is None else serving.container
        self._wares_pushed = (_current.set(container), pushed)
        super().push()

    def pop(self, exc: Any = _UNSAID) -> None:
        """Pop the context; the last time, raise what its teardown has kept back."""
        error = sys.exception() if exc is _UNSAID else exc
        try:
            super().pop(error)
        finally:
            token, self._wares_pushed = self._wares_pushed  # type: ignore[misc]  # it was pushed
            _current.reset(token)
            if self._wares_pushed is None:
                serving = self.g.__dict__.get(SERVING_KEY)
                if serving is not None:
                    serving.finish(error)


@functools.cache
def _served(kind: type[AppContext]) -> type[_ServedContext]:
    """Make the class of contexts that are served, otherwise the same as *kind*."""
    return type(kind.__name__, (_ServedContext, kind), {})


def init_app(
    app: FlaskApp, *, registry: Registry | None = None, validate: bool = True
) -> FlaskApp:
    """Give *app* a registry, and each of its application contexts a container.

    The container is current (`wares.current_container`) wherever the context is, and is closed
    when the context ends, before the teardown functions that had been registered before. A
    response that is streamed keeps the container open until it has been sent.

    As the first request comes, when everything has been registered, the registry is validated,
    and with it the views that ask by `wares.inject`. If something cannot be made, that request
    and those after it fail with an `InvalidRegistryError`, which Flask logs as any other.

    Initialise an application again to give it another registry.

    Args:
        app: The application.
        registry: Where services are registered. Left out, it is a new one.
        validate: Whether the registry is validated.

    Returns:
        The application.
    """
    is_new = REGISTRY_KEY not in app.extensions
    app.extensions[REGISTRY_KEY] = Registry() if registry is None else registry
    app.extensions[UNCHECKED_KEY] = validate
    if is_new:
        app.teardown_appcontext(_tear_down)
        for name, override in _OVERRIDES.items():
            _override(app, name, override)
    if validate:
        _override(app, "full_dispatch_request", _override_dispatch)
    return app


def wares_from(g: _AppCtxGlobals = g) -> Container:
    """Get the container of the application context.

    Args:
        g: The namespace of the context.

    Returns:
        The container, which is the same as long as the context lasts.

    Raises:
        NoContainerError: There is no application context.
        NoRegistryError: The application has not been initialised.
        RegistryClosedError: The registry is closed.
    """
    try:
        context = _get_context()
    except RuntimeError:
        raise NoContainerError(
            "There is no application context, and so no container. Ask while a request, a command "
            "or a task is being served, or open a context: with app.app_context(): ..."
        ) from None
    namespace = context.g if g is _proxy else g
    serving: _Serving | None = namespace.__dict__.get(SERVING_KEY)
    if serving is None:
        serving = _serve(context.app, get_registry(context.app), namespace)
    return serving.container


def get_registry(app: Flask | None = None) -> Registry:
    """Get the registry of *app*.

    Args:
        app: The application. Left out, it is the one whose context is active.

    Returns:
        The registry that `init_app` has put there.

    Raises:
        NoRegistryError: The application has not been initialised, or there is none.
    """
    if app is None:
        context = _find_context()
        if context is None:
            raise NoRegistryError(
                "There is no application context, and so no registry. Name the application, "
                "get_registry(app), or open a context: with app.app_context(): ..."
            )
        app = context.app
    registry: Registry | None = app.extensions.get(REGISTRY_KEY)
    if registry is None:
        raise NoRegistryError(
            "The application has no registry. Initialise it: wares.flask.init_app(app)"
        )
    return registry


#: The registry of the application whose context is active.
registry: Registry = cast("Registry", LocalProxy(get_registry))

#: The container of the application context that is active.
container: Container = cast("Container", LocalProxy(wares_from))


def register_factory(
    app: Flask,
    key: TypeForm[T] | Hashable,
    factory: Callable[..., Any],
    **options: Unpack[FactoryOptions],
) -> None:
    """Register how the service of *key* is made, on the registry of *app*.

    Args:
        app: The application.
        key: What the service is asked for by.
        factory: What makes it.
        options: As in `wares.Registry.register_factory`, with the same defaults: ``lifetime``,
            ``enter``, ``ping``, ``ping_timeout``, ``tags``, ``on_registry_close`` and
            ``suppress_context_exit``.

    Raises:
        NoRegistryError: The application has not been initialised.
    """
    get_registry(app).register_factory(key, factory, **options)


def register_value(
    app: Flask, key: TypeForm[T] | Hashable, value: T, **options: Unpack[ValueOptions]
) -> None:
    """Register a ready-made object under *key*, on the registry of *app*.

    Args:
        app: The application.
        key: What the service is asked for by.
        value: The object.
        options: As in `wares.Registry.register_value`, with the same defaults: ``enter``,
            ``ping``, ``ping_timeout``, ``tags``, ``on_registry_close`` and
            ``suppress_context_exit``.

    Raises:
        NoRegistryError: The application has not been initialised.
    """
    get_registry(app).register_value(key, value, **options)


def overwrite_factory(
    key: TypeForm[T] | Hashable, factory: Callable[..., Any], **options: Unpack[FactoryOptions]
) -> None:
    """Register another factory for *key* and reset the container of the application context.

    It stays registered. `wares.Registry.override_factory` takes itself back.

    Args:
        key: What the service is asked for by.
        factory: What makes it from now on.
        options: As in `register_factory`.
    """
    container = wares_from()
    container.registry.register_factory(key, factory, **options)
    container.reset()


def overwrite_value(
    key: TypeForm[T] | Hashable, value: T, **options: Unpack[ValueOptions]
) -> None:
    """Register another object under *key* and reset the container of the application context.

    It stays registered, and is entered if it is a context manager, unless ``enter=False`` is passed.
    `wares.Registry.override_value` takes itself back.

    Args:
        key: What the service is asked for by.
        value: What is handed out from now on.
        options: As in `register_value`.
    """
    container = wares_from()
    # As in svcs, where this stands for a factory that a test replaces.
    options.setdefault("enter", is_context_manager(type(value)))
    container.registry.register_value(key, value, **options)
    container.reset()


def teardown(exc: BaseException | None) -> None:
    """Close the container of the application context, if it has one, before the context ends.

    `init_app` sees to it, so there is rarely a reason to call this.

    Args:
        exc: The exception that the context ends with.

    Raises:
        CleanupError: Cleanups failed; every other one ran.
    """
    serving = _find_serving()
    if serving is not None:
        serving.end(exc)


def close_registry(app: Flask) -> None:
    """Close the registry of *app*, if it has one.

    Args:
        app: The application.

    Raises:
        CleanupError: Cleanups failed; every other one ran.
    """
    registry: Registry | None = app.extensions.get(REGISTRY_KEY)
    if registry is None:
        return
    try:
        registry.close()
    except PendingAsyncCleanupError:
        app.async_to_sync(registry.aclose)()


def _find_context() -> AppContext | None:
    """Find the application context that is active."""
    try:
        return _get_context()
    except RuntimeError:
        return None


def _find_serving() -> _Serving | None:
    """Find what serves the application context that is active."""
    context = _find_context()
    return None if context is None else context.g.__dict__.get(SERVING_KEY)


def _serve(app: Flask, registry: Registry, g: _AppCtxGlobals) -> _Serving:
    """Open a container for a context of *app*, and put it into its namespace, *g*."""
    serving = _Serving(app, Container(registry))
    # Not as an attribute: the class of `g` may be the application's own, and be strict.
    g.__dict__[SERVING_KEY] = serving
    return serving


def _tear_down(error: BaseException | None) -> None:
    """Close the container where nothing is being streamed; keep what that raises for later."""
    context = _get_context()
    serving: _Serving | None = context.g.__dict__.get(SERVING_KEY)
    if serving is None or serving.is_held:
        return
    try:
        serving.end(error)
    except BaseException as failure:
        if not isinstance(context, _ServedContext):
            raise
        # At once, it would keep the teardown functions of others from running.
        serving.failure = failure


def _override(
    app: Flask, name: str, override: Callable[[Flask, Callable[..., Any]], Callable[..., Any]]
) -> None:
    """Override a method that Flask has for subclasses: what is there is no subclass of ours."""
    method = getattr(app, name)
    vars(app)[name] = functools.wraps(method)(override(app, method))


def _override_context(app: Flask, make: Callable[..., Any]) -> Callable[..., Any]:
    """Have the contexts that are made serve."""
    if getattr(make, "__func__", None) is Flask.app_context:
        return lambda: _ServedContext(app)

    def make_context(*args: Any, **options: Any) -> Any:
        context: Any = make(*args, **options)
        kind: Any = type(context)
        context.__class__ = _served(kind)
        return context

    return make_context


def _override_handler(_: Flask, handle: Callable[..., Any]) -> Callable[..., Any]:
    """Note the exceptions that are answered: the cleanups must see them."""

    def handle_exception(*args: Any) -> Any:
        serving = _find_serving()
        if serving is not None:
            # Flask is about to pass the context as well, before the exception.
            serving.error = args[-1]
        return handle(*args)

    return handle_exception


def _override_dispatch(app: Flask, dispatch: Callable[..., Any]) -> Callable[..., Any]:
    """Have the first request find out whether everything can be made."""

    def full_dispatch_request(*args: Any) -> Any:
        with _validating:
            # Several first requests may come at once: one of them looks, the others wait.
            if app.extensions[UNCHECKED_KEY]:
                _validate(app, get_registry(app))
                app.extensions[UNCHECKED_KEY] = False
        present = vars(app)["full_dispatch_request"]
        if getattr(present, "__wrapped__", None) is dispatch:
            # Nobody has put anything around this meanwhile: requests need not pass it any more.
            vars(app)["full_dispatch_request"] = dispatch
        return dispatch(*args)

    return full_dispatch_request


def _validate(app: Flask, registry: Registry) -> None:
    """Check that everything can be made that is registered, or that a view asks for.

    Raises:
        InvalidRegistryError: Something cannot.
    """
    problems = [*registry.graph().problems, *find_missing(find_views(app), registry)]
    raise_problems("The application serves no request, because its registry has", problems)


def _override_process_response(_: Flask, process: Callable[..., Any]) -> Callable[..., Any]:
    """Have the container of a streamed response closed when that has been sent, or given up."""

    def process_response(*args: Any) -> Any:
        response: Response = process(*args)
        if type(response.response) is not list:
            _hold_while_streaming(response)
        return response

    return process_response


def _hold_while_streaming(response: Response) -> None:
    serving: _Serving | None = _get_context().g.__dict__.get(SERVING_KEY)
    if serving is None or serving.error is not None:
        # Flask's own answers to exceptions look like streams.
        return
    if not response.is_streamed or response.direct_passthrough:
        return
    serving.is_held = True
    chunks: Any = response.response
    response.response = _watch_stream(chunks, serving)
    # What follows counts if the server asks for no chunk at all, as for HEAD.
    if hasattr(chunks, "close"):
        response.call_on_close(chunks.close)
    response.call_on_close(serving.close)


def _watch_stream(chunks: Iterable[Any], serving: _Serving) -> Iterator[Any]:
    """Send *chunks*, and close the container after them."""
    try:
        yield from chunks
    except BaseException as error:
        serving.close(error)
        raise
    else:
        serving.close()


def _override_async_to_sync(app: Flask, make_sync: Callable[..., Any]) -> Callable[..., Any]:
    """Keep the event loops of *app* from ending the generators that containers have yet to end.

    Flask runs each asynchronous function in an event loop of its own. A loop that ends closes the
    asynchronous generators that were begun in it, which would roll a transaction back.
    """

    def async_to_sync(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        async def run(*args: Any, **kwargs: Any) -> Any:
            try:
                return await function(*args, **kwargs)
            finally:
                _take_from_loop(app)

        result: Callable[..., Any] = make_sync(run)
        return result

    return async_to_sync


def _take_from_loop(app: Flask) -> None:
    """Have the running event loop forget the generators that containers will end."""
    # There is no public way; asyncio's loops and uvloop's know their generators by this name.
    known: WeakSet[Any] = getattr(asyncio.get_running_loop(), "_asyncgens", WeakSet())
    serving = _find_serving()
    owners = [get_registry(app)._get_root(), *([] if serving is None else [serving.container])]
    for owner in owners:
        for _, thing, _ in owner._cleanups or ():
            # A context manager made by contextlib has its generator in `gen`.
            known.discard(getattr(thing, "gen", thing))


_OVERRIDES = {
    "app_context": _override_context,
    # Flask is about to make its two kinds of contexts one.
    **({"request_context": _override_context} if hasattr(AppContext, "match_request") else {}),
    "handle_user_exception": _override_handler,
    "handle_exception": _override_handler,
    "process_response": _override_process_response,
    "async_to_sync": _override_async_to_sync,
}


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
        InvalidOptionError: An option cannot work.
    """
    endpoint = HealthEndpoint(**options)
    blueprint = Blueprint(f"wares_health_{path.replace('.', '_')}", __name__)

    @blueprint.get(path, endpoint="health")
    def health() -> FlaskResponse:
        answer = endpoint.respond(
            get_registry(),
            tags=request.args.getlist("tag"),
            accept=request.headers.get("Accept", ""),
        )
        return FlaskResponse(answer.body, answer.status, answer.headers)

    return blueprint
