"""A shortcut around FastAPI's dependency solving, for services that come from a container.

For each request, FastAPI walks through the dependencies that it has read from signatures, and
enters generators as context managers; that takes several times as long as an empty endpoint.
Services from a container need none of this. An endpoint that is a coroutine function gets a
wrapper, which fetches its services right before it calls the endpoint. For other endpoints, and for
dependencies, FastAPI gets simpler dependencies to solve.

FastAPI keeps what it has read from an endpoint in a `Dependant`: it solves the ``dependencies``,
and then calls ``call`` with their values. FastAPI does not document this, so only this module
relies on it, and `_trial` checks beforehand whether it works. If it does not, FastAPI solves the
dependencies in its documented way.
"""

import contextlib
import functools
import inspect
from collections.abc import (
    Awaitable,
    Callable,
    Collection,
    Hashable,
    Iterable,
    Iterator,
    Sequence,
)
from typing import Annotated, Any, NamedTuple, TypeAlias, get_origin

import attrs
import fastapi.routing
from fastapi.dependencies.utils import get_dependant
from starlette.requests import HTTPConnection

from wares._adapters.inside import find_mounted
from wares._adapters.lifespan import Lifespan
from wares._core.callables import describe_callable, read_shape
from wares._core.container import Container
from wares._core.keys import MISSING, describe
from wares._core.signatures import find_overlooked_markers
from wares.exceptions import UnresolvableParameterError

#: Finds the key of the service that a dependency returns, or `MISSING`.
FindKey: TypeAlias = Callable[[Any], Hashable]

#: Closes a container when the response has been sent; takes the arguments of ``__aexit__``.
Leave: TypeAlias = Callable[..., Awaitable[None]]

#: Arranges that the container of a connection is closed in time.
PushExit: TypeAlias = Callable[[HTTPConnection, Leave], object]

#: Returns the container of a connection, and arranges that it is closed.
Visit: TypeAlias = Callable[[HTTPConnection, PushExit], Any]

#: The extra argument through which the wrapper of an endpoint gets the connection.
_CONNECTION = "wares_connection"


@attrs.frozen
class Shortcut:
    """The shortcut by which endpoints and their dependencies get services from a container.

    Attributes:
        find_key: Recognises the dependencies that a container can serve.
        visit: Returns the container, and arranges that it is closed.
    """

    find_key: FindKey
    visit: Visit

    def take(self, app: Any) -> None:
        """Use the shortcut for all endpoints of *app*."""
        for dependant, provider in find_dependants(app.routes, app):
            self.shorten(dependant, provider)

    def shorten(self, endpoint: Any, provider: Any) -> None:
        """Use the shortcut for one endpoint.

        Args:
            endpoint: The `Dependant` that FastAPI has read from the endpoint's signature.
            provider: The application whose ``dependency_overrides`` apply.
        """
        if isinstance(endpoint.dependencies, Dependencies):
            return  # the application has been started before
        wanted = {
            inner.name: key
            for inner in endpoint.dependencies
            if inner.name is not None and (key := self._find_key(inner)) is not MISSING
        }
        if not wanted or not inspect.iscoroutinefunction(endpoint.call):
            self._replace(endpoint, provider)
            return
        if endpoint.http_connection_param_name is None:
            endpoint.http_connection_param_name = _CONNECTION
        endpoint.call = self._fetching(
            endpoint.call, endpoint.http_connection_param_name, wanted
        )
        self._replace(endpoint, provider, hidden=wanted)

    def _replace(
        self, dependant: Any, provider: Any, hidden: Collection[str | None] = ()
    ) -> None:
        """Show FastAPI simpler dependencies instead of those that a container can serve.

        Args:
            dependant: The `Dependant` that needs them.
            provider: The application whose ``dependency_overrides`` apply.
            hidden: The names of dependencies that FastAPI must not see.
        """
        found = dependant.dependencies
        for inner in found:
            self._replace(inner, provider)
        rest = [self._simplify(inner) for inner in found if inner.name not in hidden]
        if [*map(id, rest)] != [*map(id, found)]:
            dependant.dependencies = Dependencies(found, rest, provider)

    def _simplify(self, dependant: Any) -> Any:
        key = self._find_key(dependant)
        if key is MISSING:
            return dependant
        fetch = Fetch(key, self.visit)
        return get_dependant(path=dependant.path, call=fetch, name=dependant.name)

    def _find_key(self, dependant: Any) -> Any:
        """Find the key of the service that can replace a dependency."""
        if dependant.scope == "function" or getattr(dependant, "concurrency", None) is not None:
            return MISSING
        return self.find_key(dependant.call)

    def _fetching(
        self, endpoint: Callable[..., Any], name: str, wanted: dict[str, Hashable]
    ) -> Callable[..., Any]:
        """Wrap a coroutine function in one that fetches its services.

        Args:
            endpoint: The coroutine function.
            name: The argument through which FastAPI passes the connection.
            wanted: The arguments to fetch, and their keys.
        """
        services = {each: key for each, key in wanted.items() if key is not Container}
        targets = "".join(f"values[{each!r}], " for each in services)
        is_ours = name == _CONNECTION
        lines = [
            f"async def fetching({f'{name}=None, ' if is_ours else ''}**values):",
            f"    connection = {name if is_ours else f'values.get({name!r})'}",
            # If a dependency is overridden, FastAPI has solved all of them.
            "    if connection is None or first in values: return await endpoint(**values)",
            "    container = visit(connection, push_exit)",
            *[f"    values[{each!r}] = container" for each in wanted.keys() - services],
        ]
        if len(services) == 1:
            lines.append(f"    values[{next(iter(services))!r}] = await container.aget(*keys)")
        elif services:
            lines.append(f"    {targets} = await container.aget(*keys)")
        lines.append("    return await endpoint(**values)\n")
        names: dict[str, Any] = {
            "endpoint": endpoint,
            "first": next(iter(wanted)),
            "keys": tuple(services.values()),
            "push_exit": push_exit,
            "visit": self.visit,
        }
        # Compiled source is faster, and this runs for each request.
        exec(compile("\n".join(lines), "<an endpoint of wares>", "exec"), names)  # noqa: S102  # our own source
        fetching: Callable[..., Any] = functools.wraps(endpoint)(names["fetching"])
        _keep_place(fetching, endpoint)
        return fetching


@attrs.frozen(cache_hash=True)
class Fetch:
    """A dependency that fetches one service; FastAPI shares those with the same key, as equal.

    FastAPI solves it quickly because it needs no other dependency and is no generator.

    Attributes:
        key: The key of the service.
        visit: Returns the container.
    """

    key: Hashable
    visit: Visit

    async def __call__(self, connection: HTTPConnection) -> Any:
        return await self.visit(connection, push_exit).aget(self.key)


def _keep_place(wrapped: Callable[..., Any], endpoint: Callable[..., Any]) -> None:
    """Make errors of FastAPI name the file of *endpoint*, not that of its wrapper."""
    routing: Any = fastapi.routing
    with contextlib.suppress(AttributeError):  # older versions name no places
        routing._endpoint_context_cache[id(wrapped)] = routing._extract_endpoint_context(
            endpoint
        )


class Dependencies(list[Any]):
    """All dependencies of an endpoint, of which FastAPI sees only those that it has to solve.

    While a dependency is overridden, FastAPI sees all of them.
    """

    __slots__ = ("_provider", "_rest")

    def __init__(self, all_of_them: Iterable[Any], rest: Sequence[Any], provider: Any) -> None:
        super().__init__(all_of_them)
        self._rest = rest
        self._provider = provider

    def __iter__(self) -> Iterator[Any]:
        if self._provider.dependency_overrides:
            return super().__iter__()
        return iter(self._rest)


def open_first(app: Any, container: Callable[..., Any], find_key: FindKey) -> None:
    """Open the container of a request first if FastAPI cannot know that it is needed first.

    This concerns functions that `wares.inject` decorates, because they ask the current container;
    and dependencies that FastAPI exits before the response, because they may hold a cancel scope
    open, which must lie within the scope of the container.

    Args:
        app: The application with the endpoints.
        container: The dependency that opens a container.
        find_key: Recognises the dependencies of wares.
    """
    for dependant, _ in find_dependants(app.routes, app):
        found = dependant.dependencies
        is_needed = any(map(_is_injected, _flatten(dependant))) or (
            any(_find_below(dependant, find_key)) and _has_function_scope(dependant, find_key)
        )
        is_there = isinstance(found, Dependencies) or (found and found[0].call is container)
        if is_needed and not is_there:
            found.insert(0, get_dependant(path=dependant.path, call=container))


def find_injected(app: Any) -> Iterator[Callable[..., Any]]:
    """Find the endpoints and dependencies that `wares.inject` has decorated."""
    for endpoint, _ in find_dependants(app.routes, app):
        yield from (one.call for one in filter(_is_injected, _flatten(endpoint)))


def _is_injected(dependant: Any) -> bool:
    return hasattr(dependant.call, "__wares_asker__")


def _has_function_scope(dependant: Any, find_key: FindKey) -> bool:
    """Tell whether FastAPI exits one of the user's dependencies before the response."""
    return any(
        (inner.scope == "function" and find_key(inner.call) is MISSING)
        or _has_function_scope(inner, find_key)
        for inner in dependant.dependencies
    )


def find_dependants(routes: Iterable[Any], provider: Any) -> Iterator[tuple[Any, Any]]:
    """Find the dependants of all endpoints, including those of mounted applications."""
    # Newer versions of FastAPI keep included routers as they are.
    flatten: Callable[[Any], Iterable[Any]] = getattr(
        fastapi.routing, "iter_route_contexts", iter
    )
    for route in flatten(routes):
        dependant = getattr(route, "dependant", None)
        if dependant is not None:
            yield dependant, provider
        inner = find_mounted(route)
        inner_routes: Any = getattr(route, "routes", None) or getattr(inner, "routes", ())
        yield from find_dependants(
            inner_routes,
            inner if hasattr(inner, "dependency_overrides") else provider,
        )


class Wanted(NamedTuple):
    """A dependency of an endpoint, or of one of its dependencies.

    Attributes:
        path: The endpoint, and the dependencies that lead to this one.
        parameter: The parameter of the last callable on the path; `None` for a dependency whose
            value is not used.
        call: The callable that FastAPI calls.
    """

    path: tuple[Callable[..., Any], ...]
    parameter: str | None
    call: Callable[..., Any]


def find_asked(app: Any, find_key: FindKey) -> Iterator[Sequence[Wanted]]:
    """Find the dependencies of each endpoint, and their dependencies."""
    for dependant, _ in find_dependants(app.routes, app):
        yield [wanted for _, wanted in _find_below(dependant, find_key)]


def find_kept(app: Any, find_key: FindKey) -> Iterator[tuple[Callable[..., Any], Wanted]]:
    """Find yielding dependencies that end after the response and need services of wares.

    Yields:
        A dependency, and a service that it needs.
    """
    for endpoint, _ in find_dependants(app.routes, app):
        for keeper, above in _find_below(endpoint, find_key):
            if keeper.scope != "function" and read_shape(keeper.call).yields:
                for _, wanted in _find_below(keeper, find_key, above.path):
                    if find_key(wanted.call) is not MISSING:
                        yield keeper.call, wanted


#: The attributes in which FastAPI keeps parameters that it reads from the request.
_READ = ("path_params", "query_params", "header_params", "cookie_params", "body_params")


def find_overlooked(app: Any) -> Iterator[Exception]:
    """Find parameters whose markers FastAPI overlooks, so that it would read them from requests."""
    for endpoint, _ in find_dependants(app.routes, app):
        for dependant in _flatten(endpoint):
            names = {field.name for where in _READ for field in getattr(dependant, where)}
            if names:
                yield from find_overlooked_markers(dependant.call, names)
            for inner in dependant.dependencies[:]:
                if get_origin(inner.call) is Annotated:
                    yield _named_by_annotation(inner, dependant.call)


def _named_by_annotation(inner: Any, asker: Callable[..., Any]) -> UnresolvableParameterError:
    return UnresolvableParameterError(
        inner.name or "dependencies",
        describe_callable(asker),
        f"Depends({describe(inner.call)}) names an annotation, which FastAPI would call with "
        f"parameters from the request. Write Inject[...] as the annotation of the parameter, "
        f"without Depends.",
    )


def _flatten(endpoint: Any) -> list[Any]:
    """List an endpoint, its dependencies, and their dependencies."""
    found = [endpoint]
    for dependant in found:
        # A copy of the list has all of them, including those that FastAPI does not see.
        found += dependant.dependencies[:]
    return found


def _find_below(
    dependant: Any, find_key: FindKey, above: tuple[Callable[..., Any], ...] = ()
) -> Iterator[tuple[Any, Wanted]]:
    path = (*above, dependant.call)
    # A copy of the list has all of them, including those that FastAPI does not see.
    for inner in dependant.dependencies[:]:
        yield inner, Wanted(path, inner.name, inner.call)
        if find_key(inner.call) is MISSING:
            yield from _find_below(inner, find_key, path)


def find_lifespans(context: Any) -> Iterator[Lifespan[Any]]:
    """Find the lifespans of wares that FastAPI has merged, in the order in which they start."""
    if isinstance(context, Lifespan):
        yield context
        return
    merged = inspect.unwrap(context)
    if inspect.isfunction(merged):
        enclosed = inspect.getclosurevars(merged).nonlocals
        for name in ("original_context", "nested_context"):
            yield from find_lifespans(enclosed.get(name))


def push_exit(connection: HTTPConnection, leave: Leave) -> None:
    """Call *leave* when the response has been sent and background tasks have run."""
    # This does the same as AsyncExitStack.push_async_exit, in a third of the time.
    stack = connection.scope["fastapi_inner_astack"]
    stack._exit_callbacks.append((False, leave))  # `_trial` checks this
