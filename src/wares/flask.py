"""A container for each application context of a Flask application.

This module knows Flask: its contexts, its signals, its responses. It must not know another
framework, nor how services are made.
"""

from __future__ import annotations

import asyncio
import functools
import sys
from collections.abc import Callable, Hashable, Iterable, Iterator
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, TypeVar, cast
from weakref import WeakSet

import attrs
from flask import Blueprint, Flask, current_app, g, has_app_context, request
from flask import Response as FlaskResponse
from flask.ctx import AppContext, _AppCtxGlobals
from flask.globals import app_ctx
from flask.signals import appcontext_popped, appcontext_pushed, request_finished
from typing_extensions import Unpack
from werkzeug.local import LocalProxy
from werkzeug.wrappers import Response

from wares._container import Activation, Container
from wares._health_endpoint import HealthEndpoint, HealthOptions
from wares._recipes import Lifetime, Ping
from wares._registry import OnRegistryClose, Registry
from wares._resolution import CLOSED
from wares.exceptions import NoContainerError, NoRegistryError, PendingAsyncCleanupError

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

#: Where the services of an application context are found on its `g`.
SERVING_KEY = "wares_serving"


@attrs.define(eq=False)
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

    app: Flask
    container: Container
    surrounding: BaseException | None
    error: BaseException | None = None
    failure: BaseException | None = None
    is_held: bool = False

    def close(self) -> None:
        """Close the container; its cleanups see the exception that the request ended with.

        Raises:
            CleanupError: Cleanups failed; every other one ran.
        """
        error = self.error
        kind = None if error is None else type(error)
        traceback = None if error is None else error.__traceback__
        try:
            self.container.__exit__(kind, error, traceback)
        except PendingAsyncCleanupError:
            # Nothing has been touched. Flask runs an event loop for whatever is asynchronous.
            self.app.async_to_sync(self.container.__aexit__)(kind, error, traceback)

    def finish(self) -> None:
        """Raise what closing the container has raised; close it first, if nobody has."""
        if self.failure is not None:
            raise self.failure
        if not self.is_held:
            self.close()


@attrs.frozen(eq=False)
class _Pushed:
    """An application context that is active, and the container that it made current.

    Attributes:
        context: The context.
        serving: Its services.
        activation: What makes the container current.
        outer: What was active before.
    """

    context: AppContext
    serving: _Serving
    activation: Activation
    outer: _Pushed | None

    def is_active_below(self) -> bool:
        """Tell whether the context had been pushed before, and has not been popped since."""
        pushed = self.outer
        while pushed is not None and pushed.context is not self.context:
            pushed = pushed.outer
        return pushed is not None


_pushed: ContextVar[_Pushed | None] = ContextVar("wares_flask_pushed", default=None)


def init_app(app: FlaskApp, *, registry: Registry | None = None) -> FlaskApp:
    """Give *app* a registry, and each of its application contexts a container.

    The container is current (`wares.current_container`) wherever the context is, and is closed
    when the context ends, before the teardown functions that had been registered before. A
    response that is streamed keeps the container open until it has been sent.

    Initialise an application again to give it another registry.

    Args:
        app: The application.
        registry: Where services are registered. Left out, it is a new one.

    Returns:
        The application.
    """
    is_new = REGISTRY_KEY not in app.extensions
    app.extensions[REGISTRY_KEY] = Registry() if registry is None else registry
    if is_new:
        app.teardown_appcontext(_tear_down)
        appcontext_pushed.connect(_follow_push, app)
        appcontext_popped.connect(_follow_pop, app)
        request_finished.connect(_hold_while_streaming, app)
        _watch_answered(app)
        _keep_generators_open(app)
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
    if not has_app_context():
        raise NoContainerError(
            "There is no application context, and so no container. Ask while a request, a command "
            "or a task is being served, or open a context: with app.app_context(): ..."
        )
    return _serving_of(g).container


def get_registry(app: Flask | None = None) -> Registry:
    """Get the registry of *app*.

    Args:
        app: The application. Left out, it is the one whose context is active.

    Returns:
        The registry that `init_app` has put there.

    Raises:
        NoRegistryError: The application has not been initialised, or there is none.
    """
    if app is None and not has_app_context():
        raise NoRegistryError(
            "There is no application context, and so no registry. Name the application, "
            "get_registry(app), or open a context: with app.app_context(): ..."
        )
    registry: Registry | None = (app or current_app).extensions.get(REGISTRY_KEY)
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
    *,
    lifetime: Lifetime = "scoped",
    enter: bool = True,
    ping: Ping | None = None,
    on_registry_close: OnRegistryClose | None = None,
    suppress_context_exit: bool = False,
) -> None:
    """Register how the service of *key* is made, on the registry of *app*.

    Args:
        app: The application.
        key: What the service is asked for by.
        factory: What makes it.
        lifetime: As in `wares.Registry.register_factory`.
        enter: As in `wares.Registry.register_factory`.
        ping: As in `wares.Registry.register_factory`.
        on_registry_close: As in `wares.Registry.register_factory`.
        suppress_context_exit: As in `wares.Registry.register_factory`.

    Raises:
        NoRegistryError: The application has not been initialised.
    """
    get_registry(app).register_factory(
        key,
        factory,
        lifetime=lifetime,
        enter=enter,
        ping=ping,
        on_registry_close=on_registry_close,
        suppress_context_exit=suppress_context_exit,
    )


def register_value(
    app: Flask,
    key: TypeForm[T] | Hashable,
    value: T,
    *,
    enter: bool = False,
    ping: Ping | None = None,
    on_registry_close: OnRegistryClose | None = None,
    suppress_context_exit: bool = False,
) -> None:
    """Register a ready-made object under *key*, on the registry of *app*.

    Args:
        app: The application.
        key: What the service is asked for by.
        value: The object.
        enter: As in `wares.Registry.register_value`.
        ping: As in `wares.Registry.register_value`.
        on_registry_close: As in `wares.Registry.register_value`.
        suppress_context_exit: As in `wares.Registry.register_value`.

    Raises:
        NoRegistryError: The application has not been initialised.
    """
    get_registry(app).register_value(
        key,
        value,
        enter=enter,
        ping=ping,
        on_registry_close=on_registry_close,
        suppress_context_exit=suppress_context_exit,
    )


def overwrite_factory(
    key: TypeForm[T] | Hashable,
    factory: Callable[..., Any],
    *,
    lifetime: Lifetime = "scoped",
    enter: bool = True,
    ping: Ping | None = None,
    on_registry_close: OnRegistryClose | None = None,
    suppress_context_exit: bool = False,
) -> None:
    """Register another factory for *key* and reset the container of the application context.

    It stays registered. `wares.Registry.override_factory` takes itself back.

    Args:
        key: What the service is asked for by.
        factory: What makes it from now on.
        lifetime: As in `wares.Registry.register_factory`.
        enter: As in `wares.Registry.register_factory`.
        ping: As in `wares.Registry.register_factory`.
        on_registry_close: As in `wares.Registry.register_factory`.
        suppress_context_exit: As in `wares.Registry.register_factory`.
    """
    container = wares_from()
    container.registry.register_factory(
        key,
        factory,
        lifetime=lifetime,
        enter=enter,
        ping=ping,
        on_registry_close=on_registry_close,
        suppress_context_exit=suppress_context_exit,
    )
    container.reset()


def overwrite_value(
    key: TypeForm[T] | Hashable,
    value: T,
    *,
    enter: bool = False,
    ping: Ping | None = None,
    on_registry_close: OnRegistryClose | None = None,
    suppress_context_exit: bool = False,
) -> None:
    """Register another object under *key* and reset the container of the application context.

    It stays registered. `wares.Registry.override_value` takes itself back.

    Args:
        key: What the service is asked for by.
        value: What is handed out from now on.
        enter: As in `wares.Registry.register_value`.
        ping: As in `wares.Registry.register_value`.
        on_registry_close: As in `wares.Registry.register_value`.
        suppress_context_exit: As in `wares.Registry.register_value`.
    """
    container = wares_from()
    container.registry.register_value(
        key,
        value,
        enter=enter,
        ping=ping,
        on_registry_close=on_registry_close,
        suppress_context_exit=suppress_context_exit,
    )
    container.reset()


def teardown(exc: BaseException | None) -> None:
    """Close the container of the application context, if it has one, before the context ends.

    `init_app` sees to it, so there is rarely a reason to call this.

    Args:
        exc: The exception that the context ends with.

    Raises:
        CleanupError: Cleanups failed; every other one ran.
    """
    serving: _Serving | None = g.get(SERVING_KEY) if has_app_context() else None
    if serving is not None:
        serving.error = exc or serving.error or _find_unspoken(serving)
        serving.close()


def _find_unspoken(serving: _Serving) -> BaseException | None:
    """Find the exception that ends a context without being said so.

    Click, before 8.2, does not tell the context of a command about it.
    """
    error = sys.exception()
    return None if error is serving.surrounding else error


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


def _serving_of(g: _AppCtxGlobals) -> _Serving:
    """Get what serves a context, made at the first time."""
    serving: _Serving | None = g.get(SERVING_KEY)
    if serving is None:
        serving = _Serving(
            current_app._get_current_object(),  # type: ignore[attr-defined]  # a proxy has it
            Container(get_registry()),
            sys.exception(),
        )
        setattr(g, SERVING_KEY, serving)
    return serving


def _tear_down(exc: BaseException | None) -> None:
    """Close the container where nothing is being streamed; keep what that raises for later."""
    serving: _Serving | None = g.get(SERVING_KEY)
    if serving is None or serving.is_held:
        return
    try:
        teardown(exc)
    except BaseException as failure:  # noqa: BLE001  # raised when the context has been popped
        # Now it would keep the teardown functions of others from running.
        serving.failure = failure


def _follow_push(app: Flask, **_: object) -> None:
    """Make a container for the context that has been pushed, and make it current."""
    context: AppContext = app_ctx._get_current_object()  # type: ignore[attr-defined]  # a proxy has it
    outer = _pushed.get()
    if (outer is not None and outer.context is context) or get_registry(app)._is_closed:
        # Pushed once more; or nothing is left to serve from, which whoever asks is told.
        return
    serving: _Serving | None = context.g.get(SERVING_KEY)
    if serving is not None and serving.container._made is CLOSED:
        # The context was torn down, and is now pushed again, as streamed responses do.
        context.g.pop(SERVING_KEY)
    serving = _serving_of(context.g)
    activation = serving.container.activate()
    activation.__enter__()
    _pushed.set(_Pushed(context, serving, activation, outer))


def _follow_pop(app: Flask, **_: object) -> None:  # noqa: ARG001  # what the signal sends
    """Give up the containers of the contexts that are no longer active.

    There may be more than one: a context in which a teardown function of somebody else failed
    is popped without a signal, and its container may still be open.
    """
    context = app_ctx._get_current_object() if has_app_context() else None  # type: ignore[attr-defined]  # a proxy has it
    top = _pushed.get()
    popped = []
    while top is not None and top.context is not context:
        top.activation.__exit__()
        popped.append(top)
        top = top.outer
    _pushed.set(top)
    for pushed in popped:
        if not pushed.is_active_below():
            pushed.serving.finish()


def _watch_answered(app: Flask) -> None:
    """Note the exceptions that error handlers of *app* answer: the cleanups must see them."""
    handle = app.handle_user_exception

    def handle_user_exception(error: Exception) -> Any:
        serving: _Serving | None = g.get(SERVING_KEY)
        if serving is not None:
            serving.error = error
        return handle(error)

    # The hook that Flask has for subclasses; an application that exists is no subclass of ours.
    vars(app)["handle_user_exception"] = handle_user_exception


def _hold_while_streaming(app: Flask, *, response: Response, **_: object) -> None:  # noqa: ARG001  # what the signal sends
    """Have the container of a streamed response closed when that has been sent, or given up."""
    serving: _Serving | None = g.get(SERVING_KEY)
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
        serving.error = error
        raise
    finally:
        serving.close()


def _keep_generators_open(app: Flask) -> None:
    """Keep the event loops of *app* from ending the generators that containers have yet to end.

    Flask runs each asynchronous function in an event loop of its own. A loop that ends closes the
    asynchronous generators that were begun in it, which would roll a transaction back.
    """
    make_sync = app.async_to_sync

    def async_to_sync(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        async def run(*args: Any, **kwargs: Any) -> Any:
            try:
                return await function(*args, **kwargs)
            finally:
                _take_from_loop(app)

        return make_sync(run)

    # The hook that Flask has for subclasses; an application that exists is no subclass of ours.
    vars(app)["async_to_sync"] = async_to_sync


def _take_from_loop(app: Flask) -> None:
    """Have the running event loop forget the generators that containers will end."""
    # There is no public way; asyncio's loops and uvloop's know their generators by this name.
    known: WeakSet[Any] = getattr(asyncio.get_running_loop(), "_asyncgens", WeakSet())
    serving: _Serving | None = g.get(SERVING_KEY) if has_app_context() else None
    owners = [get_registry(app)._get_root(), *([] if serving is None else [serving.container])]
    for owner in owners:
        for _, thing, _ in owner._cleanups or ():
            # A context manager made by contextlib has its generator in `gen`.
            known.discard(getattr(thing, "gen", thing))


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
