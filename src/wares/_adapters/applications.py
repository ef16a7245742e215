"""The registry and the handlers of an application, whatever its framework.

This module looks where the adapters keep registries. It recognises applications by their
attributes, because it must not import a framework.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping
from typing import Any

from wares._adapters.commands import find_commands
from wares._adapters.inside import Finder, find_finders, find_mounted, look_inside
from wares._adapters.lifespan import REGISTRY_KEY, Lifespan
from wares._core.container import Registry
from wares._inject.injected import Served, find_missing, find_needed
from wares.exceptions import ServiceNotFoundError

#: The attributes of a Flask application that keep the functions that run around its views.
_AROUND_VIEWS = (
    "before_request_funcs",
    "after_request_funcs",
    "teardown_request_funcs",
    "template_context_processors",
)


def find_registry(thing: object) -> Registry | None:
    """Find the registry of an application.

    Args:
        thing: A registry; or an application, running or not, or an object that wraps one.

    Returns:
        The registry, or `None` if there is none yet: some applications make it when they start.
    """
    return next(_find_registries(thing), None)


def find_lifespan(thing: object) -> Lifespan[Any] | None:
    """Find the lifespan of an MCP server."""
    inside = (one for one in look_inside(thing) if one is not thing)
    return next((one for one in inside if isinstance(one, Lifespan)), None)


def find_views(app: object) -> Iterator[Callable[..., Any]]:
    """Find the functions that serve the requests of a Flask or Starlette application.

    They include the methods of class-based views, the functions that Flask calls around its views
    and for errors, and the handlers of Flask-SocketIO.
    """
    yield from _find_endpoints(app)
    yield from _find_views_of_flask(app)
    yield from _find_functions_around(app)
    sockets = getattr(getattr(app, "extensions", {}).get("socketio"), "server", None)
    # `wares.socketio` checks the handlers of its servers itself.
    if sockets is not None and not hasattr(sockets, "_wares_dispatch"):
        for handlers in sockets.handlers.values():
            yield from handlers.values()


def _find_endpoints(app: object) -> Iterator[Callable[..., Any]]:
    for route in getattr(app, "routes", None) or ():
        endpoint = getattr(route, "endpoint", None)
        # FastAPI injects its own endpoints.
        if endpoint is not None and not hasattr(route, "dependant"):
            yield endpoint
        yield from _find_endpoints(
            route if getattr(route, "routes", None) else find_mounted(route)
        )


def _find_views_of_flask(app: object) -> Iterator[Callable[..., Any]]:
    views: Mapping[str, Any] = getattr(app, "view_functions", {})
    for endpoint, view in views.items():
        kind = getattr(view, "view_class", None)
        names = ("dispatch_request", *(getattr(kind, "methods", None) or ()))
        rules = app.url_map.iter_rules(endpoint)  # type: ignore[attr-defined]  # of Flask
        parts = {part for rule in rules for part in rule.arguments}
        yield from with_methods(view, kind, names, parts)


def _find_functions_around(app: object) -> Iterator[Callable[..., Any]]:
    """Find the functions that Flask calls before and after views, for templates and for errors."""
    for name in _AROUND_VIEWS:
        for functions in getattr(app, name, {}).values():
            yield from functions
    for codes in getattr(app, "error_handler_spec", {}).values():
        for handlers in codes.values():
            yield from handlers.values()


def with_methods(
    view: Callable[..., Any], kind: object, names: Iterable[str], parts: Collection[str] = ()
) -> Iterator[Callable[..., Any]]:
    """Yield a view and, if it is class-based, the methods of its class.

    Args:
        view: The view.
        kind: The class of a class-based view.
        names: The names that methods may have, in upper or lower case.
        parts: The names of the variable parts of its URLs, which are passed as keyword arguments.
    """
    methods = (getattr(kind, name.lower(), None) for name in names if isinstance(kind, type))
    for handler in (view, *filter(None, methods)):
        yield handler
        if parts:
            served = Served(handler)
            served.names = parts
            yield served


def find_problems(app: object, registry: Registry) -> Iterator[Exception]:
    """Find the services that handlers of an application ask for and that *registry* lacks."""
    for find in _list_finders(app, registry):
        yield from find(registry)
    yield from find_missing(_find_handlers(app, registry), registry)


def find_wanted(app: object, registry: Registry) -> Iterator[Hashable]:
    """Find the keys that the handlers of an application ask for, as far as they can be seen."""
    yield from find_needed(_find_handlers(app, registry), registry)
    with Registry() as empty:
        # With an empty registry, handlers miss everything that they ask for.
        problems = [problem for find in _list_finders(app, registry) for problem in find(empty)]
    yield from (one.key for one in problems if isinstance(one, ServiceNotFoundError))


def _list_finders(app: object, registry: Registry) -> Iterable[Finder]:
    """List the finders of an application; its lifespans have added some of them to *registry*."""
    return dict.fromkeys([*registry._finders, *find_finders(app, registry)])


def _find_handlers(app: object, registry: Registry) -> Iterable[Callable[..., Any]]:
    """Find all handlers of requests, messages, commands and the like, each of them once."""
    added = [handler for find in registry._handlers for handler in find()]
    found = [*find_views(app), *find_commands(app), *added]
    # Compare by identity, because handlers need not be hashable.
    return {id(handler): handler for handler in found}.values()


def _find_registries(thing: object) -> Iterator[Registry]:
    for current in look_inside(thing):
        if isinstance(current, Registry):
            yield current
        yield from filter(_is_registry, _kept_by(current))


def _kept_by(thing: Any) -> Iterator[Any]:
    """Yield the objects where adapters keep registries, those of a running application first."""
    yield getattr(getattr(thing, "state", None), REGISTRY_KEY, None)  # Starlette, while it runs
    yield _get(getattr(thing, "extensions", None))  # Flask
    yield getattr(thing, REGISTRY_KEY, None)  # Celery, FastStream
    if isinstance(thing, Mapping):  # aiohttp, whose keys are not strings
        yield from thing.values()
    lifespan = getattr(getattr(thing, "router", None), "lifespan_context", None)
    yield getattr(lifespan, "registry", None)  # Starlette, before it starts
    yield getattr(thing, "registry", None)  # the middleware, lifespans and hooks of wares


def _get(mapping: object) -> Any:
    return mapping.get(REGISTRY_KEY) if isinstance(mapping, Mapping) else None


def _is_registry(thing: object) -> bool:
    # Look at the class only: Flask's proxies raise if there is no application.
    return issubclass(type(thing), Registry)
