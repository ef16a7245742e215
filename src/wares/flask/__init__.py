"""A container for each request, event and command of a Flask application.

Flask's application contexts keep the containers. A container opens when code first asks for it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Hashable
from typing import Any, TypeVar, cast

from typing_extensions import TypeForm, Unpack

from wares._adapters.absent_names import explain_svcs_names
from wares._adapters.applications import find_views
from wares._adapters.extras import needs_extra
from wares._adapters.health_endpoint import HealthEndpoint, HealthOptions
from wares._adapters.lifespan import REGISTRY_KEY
from wares._adapters.registries import choose_registry, close, demand_kind
from wares._adapters.units import check
from wares._core.container import Container, Registry
from wares._core.recipes import FactoryOptions, ValueOptions, is_context_manager
from wares.exceptions import NoContainerError, NoRegistryError

with needs_extra("wares.flask", "flask"):
    from flask import Blueprint, Flask, Response, g, has_app_context, request, signals
    from flask.ctx import _AppCtxGlobals
    from werkzeug.local import LocalProxy

    from wares.flask._hooks import install
    from wares.flask._units import end_unit, get_context, keeping, open_unit, run

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

#: The key, in `Flask.extensions`, of the receiver that validates the registry, until it has run.
_CHECK = "wares_check"
#: Flask's ``g``, because the parameter of `wares_from` has the same name.
_proxy = g


def init_app(
    app: FlaskApp, *, registry: Registry | None = None, validate: bool = True
) -> FlaskApp:
    """Give *app* a registry, and each of its requests, commands and contexts a container.

    The container is current (`wares.current_container`) in its context. It closes when its request
    or context is torn down, or after the last byte of a streamed response. The first request
    validates the registry, and the services that views with `wares.inject` ask for. If a service
    cannot be made, this request and all later ones fail with an `InvalidRegistryError`.

    Initialise an application again to give it another registry.

    Args:
        app: The application.
        registry: The registry to use. By default, the application keeps its registry, or gets a
            new one if it has none or a closed one.
        validate: Whether the first request validates the registry.

    Returns:
        The application.

    Raises:
        InvalidRegistrationError: *app* is no application of Flask, or *registry* no registry.
    """
    demand_kind(app, Flask, "init_app takes a Flask application")
    present = keeping.find(app)
    app.extensions[REGISTRY_KEY] = choose_registry(present, registry)
    if present is None:
        install(app)
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
    if not has_app_context():
        raise NoContainerError(
            "There is no application context, and so no container. Ask while a request, a command "
            "or a task is being served, or open a context: with app.app_context(): ..."
        )
    context = get_context()
    if g is not _proxy and g is not context.g:
        raise NoContainerError(
            f"wares_from takes no argument, or the `g` of the active application context, and this "
            f"is a {type(g).__qualname__}. Write: wares_from()"
        )
    return open_unit(context).container


register_factory = keeping.register_factory
register_value = keeping.register_value


def get_registry(app: Flask | None = None) -> Registry:
    """Get the registry of *app*, or of the application whose context is active.

    Args:
        app: The application.

    Returns:
        The registry.

    Raises:
        NoRegistryError: The application has not been initialised; or *app* is omitted, and there is
            no application context.
    """
    if app is None and not has_app_context():
        raise NoRegistryError(
            "There is no application context, and so no registry. Name the application, "
            "get_registry(app), or open a context: with app.app_context(): ..."
        )
    return keeping.get_registry(get_context().app if app is None else app)


#: The registry of the application whose context is active.
registry: Registry = cast("Registry", LocalProxy(get_registry))

#: The container of the request or, outside of requests, of the application context.
container: Container = cast("Container", LocalProxy(wares_from))


def overwrite_factory(
    svc_type: TypeForm[T] | Hashable,
    factory: Callable[..., Any],
    **options: Unpack[FactoryOptions],
) -> None:
    """Register another factory, as `register_factory` does, and reset the active container.

    Args:
        svc_type: The key of the service.
        factory: The callable that makes the service.
        options: As in `wares.Registry.register_factory`, with the same defaults.

    Raises:
        NoContainerError: There is no application context.
    """
    container = wares_from()
    container.registry.register_factory(svc_type, factory, **options)
    container.reset()


def overwrite_value(
    svc_type: TypeForm[T] | Hashable, value: T, **options: Unpack[ValueOptions]
) -> None:
    """Register another object, as `register_value` does, and reset the active container.

    If the object is a context manager, it is entered, unless ``enter=False`` is passed.

    Args:
        svc_type: The key of the service.
        value: The object.
        options: As in `wares.Registry.register_value`.

    Raises:
        NoContainerError: There is no application context.
    """
    container = wares_from()
    # As in svcs, the object takes the place of a factory, whose product would be entered.
    options.setdefault("enter", is_context_manager(type(value)))
    container.registry.register_value(svc_type, value, **options)
    container.reset()


def teardown(exc: BaseException | None) -> None:
    """Close the active container before its context ends.

    Args:
        exc: The exception that the cleanups see, if any.
    """
    if has_app_context():
        end_unit(exc)


def close_registry(app: Flask) -> None:
    """Close the registry of *app*, if it has one, and await asynchronous cleanups.

    Args:
        app: The application.

    Raises:
        PendingAsyncCleanupError: A cleanup must be awaited, and an event loop runs in this thread:
            there, ``await get_registry(app).aclose()``.
    """
    registry = keeping.find(app)
    if registry is not None:
        close(registry, functools.partial(run, app))


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


def _validate(app: Flask, **_: Any) -> None:
    """Validate the registry at the first request."""
    check(get_registry(app), "The application serves no request", find_views(app))
    # Several first requests may come at once: each of them validates, and one of them disconnects
    # the receiver.
    signals.request_started.disconnect(app.extensions.pop(_CHECK, _validate))
