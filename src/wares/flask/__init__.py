"""A container for each request, command and other application context of a Flask application.

This module is what one imports.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from typing import Any, TypeVar, cast

from typing_extensions import TypeForm, Unpack

from wares._adapters.applications import find_views
from wares._adapters.extras import needs_extra
from wares._adapters.health_endpoint import HealthEndpoint, HealthOptions
from wares._adapters.registries import choose_registry, demand_kind
from wares._core.compositions import FactoryOptions, ValueOptions
from wares._core.container import Container, Registry
from wares._core.recipes import is_context_manager
from wares._inject.injected import find_missing
from wares.exceptions import (
    NoContainerError,
    NoRegistryError,
    PendingAsyncCleanupError,
    RegistryClosedError,
    raise_problems,
)

with needs_extra("wares.flask", "flask"):
    from flask import Blueprint, Flask, g, request
    from flask import Response as FlaskResponse
    from flask.ctx import _AppCtxGlobals
    from flask.signals import (
        appcontext_pushed,
        got_request_exception,
        request_finished,
        request_started,
    )
    from werkzeug.local import LocalProxy

    from wares.flask import _units
    from wares.flask._units import REGISTRY_KEY

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

FlaskApp = TypeVar("FlaskApp", bound=Flask)

#: Where an application's extensions tell whether the registry is still to be validated.
UNCHECKED_KEY = "wares_unchecked"

#: Stands for the namespace of the context that is active.
_proxy = g

#: Held while a registry is validated.
_validating = threading.Lock()


def init_app(
    app: FlaskApp, *, registry: Registry | None = None, validate: bool = True
) -> FlaskApp:
    """Give *app* a registry, and each of its requests, commands and contexts a container.

    The container is current (`wares.current_container`) while its context is active. It is closed
    when the context ends, before the teardown functions that had been registered before, or after
    the last byte of a response that is streamed.

    The first request validates the registry, and the views that ask by `wares.inject`. If
    something cannot be made, that request and those after it fail with an `InvalidRegistryError`.

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
    present: Registry | None = app.extensions.get(REGISTRY_KEY)
    app.extensions[REGISTRY_KEY] = choose_registry(present, registry)
    app.extensions[UNCHECKED_KEY] = validate
    if present is None:
        appcontext_pushed.connect(_units.begin_context, app)
        request_started.connect(_begin_request, app)
        request_finished.connect(_units.hold, app)
        got_request_exception.connect(_units.note_unanswered, app)
        app.teardown_appcontext(_units.end_context)
        _units.put_around(app, "handle_user_exception", _units.note_answered)
        _units.put_around(app, "async_to_sync", _units.leave_generators)
    return app


def _begin_request(app: Flask, **_: Any) -> None:
    """Have the first request find out whether everything can be made; begin to serve it."""
    with _validating:
        # Several first requests may come at once: one of them looks, the others wait.
        if app.extensions[UNCHECKED_KEY]:
            _validate(app, get_registry(app))
            app.extensions[UNCHECKED_KEY] = False
    try:
        _units.serve(_units.get_context())
    except RegistryClosedError:
        # Whoever asks is told.
        return


def _validate(app: Flask, registry: Registry) -> None:
    """Check that everything can be made that is registered, or that a view asks for.

    Raises:
        InvalidRegistryError: Something cannot.
    """
    problems = [*registry.graph().problems, *find_missing(find_views(app), registry)]
    raise_problems("The application serves no request, because its registry has", problems)


def wares_from(g: _AppCtxGlobals = g) -> Container:
    """Get the container of the request, or of the application context outside of requests.

    Args:
        g: The namespace of the context.

    Returns:
        The container, which is the same as long as the request or the context lasts.

    Raises:
        NoContainerError: There is no application context.
        NoRegistryError: The application has not been initialised.
        RegistryClosedError: The registry is closed.
    """
    context = _units.find_context(None if g is _proxy else g)
    if context is None:
        raise NoContainerError(
            "There is no application context, and so no container. Ask while a request, a command "
            "or a task is being served, or open a context: with app.app_context(): ..."
        )
    return _units.serve(context)


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
        context = _units.find_context()
        if context is None:
            raise NoRegistryError(
                "There is no application context, and so no registry. Name the application, "
                "get_registry(app), or open a context: with app.app_context(): ..."
            )
        app = context.app
    return _units.get_registry_of(app)


#: The registry of the application whose context is active.
registry: Registry = cast("Registry", LocalProxy(get_registry))

#: The container of the application context that is active.
container: Container = cast("Container", LocalProxy(wares_from))


def register_factory(
    app: Flask,
    svc_type: TypeForm[T] | Hashable,
    factory: Callable[..., Any],
    **options: Unpack[FactoryOptions],
) -> None:
    """Register how the service of *svc_type* is made, on the registry of *app*.

    Args:
        app: The application.
        svc_type: What the service is asked for by.
        factory: What makes it.
        options: As in `wares.Registry.register_factory`, with the same defaults: ``lifetime``,
            ``enter``, ``ping``, ``ping_timeout``, ``tags``, ``on_registry_close`` and
            ``suppress_context_exit``.

    Raises:
        NoRegistryError: The application has not been initialised.
    """
    get_registry(app).register_factory(svc_type, factory, **options)


def register_value(
    app: Flask, svc_type: TypeForm[T] | Hashable, value: T, **options: Unpack[ValueOptions]
) -> None:
    """Register a ready-made object under *svc_type*, on the registry of *app*.

    Args:
        app: The application.
        svc_type: What the service is asked for by.
        value: The object.
        options: As in `wares.Registry.register_value`, with the same defaults: ``enter``,
            ``ping``, ``ping_timeout``, ``tags``, ``on_registry_close`` and
            ``suppress_context_exit``.

    Raises:
        NoRegistryError: The application has not been initialised.
    """
    get_registry(app).register_value(svc_type, value, **options)


def overwrite_factory(
    svc_type: TypeForm[T] | Hashable,
    factory: Callable[..., Any],
    **options: Unpack[FactoryOptions],
) -> None:
    """Register another factory for *svc_type* and reset the container of the application context.

    It stays registered. `wares.Registry.override_factory` takes itself back.

    Args:
        svc_type: What the service is asked for by.
        factory: What makes it from now on.
        options: As in `register_factory`.
    """
    container = wares_from()
    container.registry.register_factory(svc_type, factory, **options)
    container.reset()


def overwrite_value(
    svc_type: TypeForm[T] | Hashable, value: T, **options: Unpack[ValueOptions]
) -> None:
    """Register another object under *svc_type* and reset the container of the application context.

    It stays registered, and is entered if it is a context manager, unless ``enter=False`` is
    passed. `wares.Registry.override_value` takes itself back.

    Args:
        svc_type: What the service is asked for by.
        value: The object that replaces the service from now on.
        options: As in `register_value`.
    """
    container = wares_from()
    # As in svcs, where this stands for a factory that a test replaces.
    options.setdefault("enter", is_context_manager(type(value)))
    container.registry.register_value(svc_type, value, **options)
    container.reset()


def teardown(exc: BaseException | None) -> None:
    """Close the container of the request or of the application context before that ends.

    `init_app` sees to it, so there is rarely a reason to call this.

    Args:
        exc: The exception that the work ends with.

    Raises:
        Exception: Whatever cleanups raise.
    """
    unit = _units.find_unit(_units.find_context())
    if unit is not None:
        unit.end(exc)


def close_registry(app: Flask) -> None:
    """Close the registry of *app*, if it has one.

    Args:
        app: The application.

    Raises:
        Exception: Whatever cleanups raise.
    """
    registry: Registry | None = app.extensions.get(REGISTRY_KEY)
    if registry is None:
        return
    try:
        registry.close()
    except PendingAsyncCleanupError:
        app.async_to_sync(registry.aclose)()


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
