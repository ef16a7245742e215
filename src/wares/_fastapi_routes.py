"""The way around FastAPI's solving of dependencies, for what an endpoint asks a container for.

FastAPI solves each dependency of each request by walking through what it has read from its
signature, and enters generators as context managers; that takes several times as long as an
empty endpoint. What comes from a container needs none of it: the endpoint's arguments can be
fetched right before the endpoint is called.

This module knows how FastAPI keeps what it has read from an endpoint: a `Dependant`, whose
``dependencies`` are solved, and whose ``call`` is then called with their values. FastAPI does not
document that, so `shorten` is the only place that touches it, and `try_out` sees beforehand
whether it does as it should; if not, FastAPI's documented way stays. It must not know what is
fetched, nor from where.
"""

import functools
import inspect
from collections.abc import Awaitable, Callable, Hashable, Iterable, Iterator, Sequence
from contextlib import AsyncExitStack
from typing import Any, TypeAlias

import attrs
import fastapi.routing
from fastapi.dependencies.utils import get_dependant
from starlette.requests import HTTPConnection

from wares._keys import MISSING

#: The key of the service that a dependency gives, or `MISSING`.
FindKey: TypeAlias = Callable[[Any], Hashable]

#: Gets the services of some keys, for a connection.
Fetch: TypeAlias = Callable[[HTTPConnection, Sequence[Hashable]], Awaitable[Sequence[Any]]]

#: Arguments of our own that endpoints are called with, in between.
_CONNECTION = "wares_connection"
_SERVICES = "wares_services"


@attrs.frozen
class Shortcut:
    """How endpoints get what they ask a container for.

    Attributes:
        find_key: What tells the dependencies that a container can serve.
        fetch: What gets their services.
    """

    find_key: FindKey
    fetch: Fetch

    def take(self, app: Any) -> None:
        """Have all endpoints of *app* get their services by the shortcut."""
        for dependant, provider in _find_dependants(app.routes, app):
            self.shorten(dependant, provider)

    def shorten(self, dependant: Any, provider: Any) -> None:
        """Have one endpoint get its services by the shortcut.

        Args:
            dependant: What FastAPI has read from the endpoint's signature.
            provider: The application whose ``dependency_overrides`` are to be heeded.
        """
        found = dependant.dependencies
        if isinstance(found, Dependencies) or not inspect.isroutine(dependant.call):
            return
        wanted = {
            inner.name: key
            for inner in found
            if inner.name is not None
            and inner.scope != "function"
            and (key := self.find_key(inner.call)) is not MISSING
        }
        if not wanted:
            return
        rest = [inner for inner in found if inner.name not in wanted]
        if inspect.iscoroutinefunction(dependant.call):
            if dependant.http_connection_param_name is None:
                dependant.http_connection_param_name = _CONNECTION
            dependant.call = self._fetching(
                dependant.call, dependant.http_connection_param_name, wanted
            )
        else:
            rest.append(
                get_dependant(path=dependant.path, call=self._fetcher(wanted), name=_SERVICES)
            )
            dependant.call = _spreading(dependant.call)
        dependant.dependencies = Dependencies(found, rest, provider)

    def _fetching(
        self, endpoint: Callable[..., Any], name: str, wanted: dict[str, Hashable]
    ) -> Callable[..., Any]:
        """Wrap a coroutine function so that it fetches what it wants, in its own task."""
        fetch = self.fetch
        names, keys = tuple(wanted), tuple(wanted.values())
        first = names[0]
        is_ours = name == _CONNECTION

        @functools.wraps(endpoint)
        async def fetching(**values: Any) -> Any:
            connection = values.pop(name, None) if is_ours else values.get(name)
            if connection is not None and first not in values:
                values.update(zip(names, await fetch(connection, keys), strict=True))
            return await endpoint(**values)

        return fetching

    def _fetcher(self, wanted: dict[str, Hashable]) -> Callable[..., Any]:
        """Make a dependency that fetches what an endpoint wants that cannot await."""
        names, keys = tuple(wanted), tuple(wanted.values())

        async def fetcher(connection: HTTPConnection) -> dict[str, Any]:
            return dict(zip(names, await self.fetch(connection, keys), strict=True))

        return fetcher


def _spreading(endpoint: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap a function so that what was fetched for it becomes its arguments."""

    @functools.wraps(endpoint)
    def spreading(**values: Any) -> Any:
        return endpoint(**values, **values.pop(_SERVICES, {}))

    return spreading


class Dependencies(list[Any]):
    """All dependencies of an endpoint; FastAPI is shown those that it has to solve.

    Those are all of them while any is overridden: then FastAPI decides.
    """

    def __init__(self, all_of_them: Iterable[Any], rest: Sequence[Any], provider: Any) -> None:
        super().__init__(all_of_them)
        self._rest = rest
        self._provider = provider

    def __iter__(self) -> Iterator[Any]:
        if self._provider.dependency_overrides:
            return super().__iter__()
        return iter(self._rest)


def _find_dependants(routes: Iterable[Any], provider: Any) -> Iterator[tuple[Any, Any]]:
    """Find what FastAPI has read from endpoints, also of mounted applications."""
    # FastAPI began to keep the routers that are included into others as they are.
    flatten: Callable[[Any], Iterable[Any]] = getattr(fastapi.routing, "iter_route_contexts", iter)
    for route in flatten(routes):
        dependant = getattr(route, "dependant", None)
        if dependant is not None:
            yield dependant, provider
        inner = getattr(route, "app", None)
        yield from _find_dependants(
            getattr(route, "routes", ()),
            inner if hasattr(inner, "dependency_overrides") else provider,
        )
