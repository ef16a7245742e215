"""Everything that an application wraps, or that is mounted in it, whatever its framework."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from wares._core.container import Registry

#: Finds problems of handlers: the services that they ask for and that a registry lacks.
Finder = Callable[[Registry], Iterable[Exception]]

#: The attributes in which servers, test clients and middlewares keep what they wrap.
_INSIDE = (
    "app",
    "application",
    "lifespan",
    "engineio_server",  # of an application of Socket.IO: the server
    "_wares_dispatch",  # of a server of Socket.IO: its handlers
    "_lifespan",  # of FastMCP
    "settings",  # of the MCP SDK: the settings, which have the lifespan
    "other_asgi_app",
)


def look_inside(thing: object) -> Iterator[object]:
    """Yield *thing* and everything that it wraps."""
    return _walk(thing, _find_wrapped)


def find_mounted(route: object) -> Any:
    """Return the application that is mounted at *route*, even inside of middlewares, if any."""
    inside = look_inside(getattr(route, "app", None))
    return next((one for one in inside if hasattr(one, "routes")), None)


def find_finders(app: object, registry: Registry) -> list[Finder]:
    """List the finders of the Socket.IO servers in an application, also of mounted ones.

    Args:
        app: The application, or an object that wraps one.
        registry: The registry of the application; servers with another one are left out.
    """
    return list(dict.fromkeys(_find_finders(app, registry)))


def _find_finders(app: object, registry: Registry) -> Iterator[Finder]:
    for current in _walk(app, _find_wrapped_and_mounted):
        dispatch: Any = getattr(current, "_wares_dispatch", None)
        if dispatch is not None and (dispatch.own_registry or registry) is registry:
            yield dispatch.find_problems


def _walk(start: object, find_next: Callable[[object], list[Any]]) -> Iterator[object]:
    seen: set[int] = set()
    todo = [start]
    for current in todo:
        if current is not None and id(current) not in seen:
            seen.add(id(current))
            yield current
            todo += find_next(current)


def _find_wrapped(thing: object) -> list[Any]:
    return [getattr(thing, name, None) for name in _INSIDE]


def _find_wrapped_and_mounted(app: object) -> list[Any]:
    routes = getattr(app, "routes", None) or ()
    return [*_find_wrapped(app), *(getattr(route, "app", None) for route in routes)]
