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

import asyncio
import contextlib
import functools
import inspect
import logging
from collections.abc import (
    Callable,
    Hashable,
    Iterable,
    Iterator,
    MutableMapping,
    Sequence,
)
from contextlib import AsyncExitStack
from typing import Annotated, Any, ClassVar, TypeAlias

import attrs
import fastapi.routing
from fastapi import Depends
from fastapi.dependencies.utils import get_dependant
from fastapi.routing import APIRoute, APIWebSocketRoute
from starlette.requests import HTTPConnection
from starlette.responses import Response

from wares._container import Container
from wares._keys import MISSING

_log = logging.getLogger("wares")

#: The key of the service that a dependency gives, or `MISSING`.
FindKey: TypeAlias = Callable[[Any], Hashable]

#: Makes what has the container of a connection, and is to be left when the response is out.
Visit: TypeAlias = Callable[[HTTPConnection], Any]

#: Arguments of our own that endpoints are called with, in between.
_CONNECTION = "wares_connection"
_SERVICES = "wares_services"


@attrs.frozen
class Shortcut:
    """How endpoints get what they ask a container for.

    Attributes:
        find_key: What tells the dependencies that a container can serve.
        visit: What has the ``container`` that is asked, and an ``__aexit__``.
    """

    find_key: FindKey
    visit: Visit

    def take(self, app: Any) -> None:
        """Have all endpoints of *app* get their services by the shortcut."""
        for dependant, provider in find_dependants(app.routes, app):
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
        _keep_place(dependant.call)

    def _fetching(
        self, endpoint: Callable[..., Any], name: str, wanted: dict[str, Hashable]
    ) -> Callable[..., Any]:
        """Wrap a coroutine function so that it fetches what it wants, in its own task."""
        visit = self.visit
        first = next(iter(wanted))
        services = [item for item in wanted.items() if item[1] is not Container]
        containers = wanted.keys() - dict(services)
        is_ours = name == _CONNECTION

        @functools.wraps(endpoint)
        async def fetching(**values: Any) -> Any:
            connection = values.pop(name, None) if is_ours else values.get(name)
            if connection is not None and first not in values:
                visiting = visit(connection)
                push_exit(connection, visiting)
                for parameter in containers:
                    values[parameter] = visiting.container
                for parameter, key in services:
                    values[parameter] = await visiting.container.aget(key)
            return await endpoint(**values)

        return fetching

    def _fetcher(self, wanted: dict[str, Hashable]) -> Callable[..., Any]:
        """Make a dependency that fetches what an endpoint wants that cannot await."""

        async def fetcher(connection: HTTPConnection) -> dict[str, Any]:
            visiting = self.visit(connection)
            push_exit(connection, visiting)
            return {name: await visiting.container.aget(key) for name, key in wanted.items()}

        return fetcher


def _spreading(endpoint: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap a function so that what was fetched for it becomes its arguments."""

    @functools.wraps(endpoint)
    def spreading(**values: Any) -> Any:
        services = values.pop(_SERVICES, {})
        return endpoint(**values, **services)

    return spreading


def _keep_place(wrapped: Callable[..., Any]) -> None:
    """Have the errors of FastAPI name the file of the endpoint, and not of its wrapper."""
    routing: Any = fastapi.routing
    with contextlib.suppress(AttributeError):  # older versions name no places
        place = routing._extract_endpoint_context(inspect.unwrap(wrapped))  # see above
        routing._endpoint_context_cache[id(wrapped)] = place  # see above


class Dependencies(list[Any]):
    """All dependencies of an endpoint; FastAPI is shown those that it has to solve.

    Those are all of them while any is overridden: then FastAPI decides.
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


def find_dependants(routes: Iterable[Any], provider: Any) -> Iterator[tuple[Any, Any]]:
    """Find what FastAPI has read from endpoints, also of mounted applications."""
    # FastAPI began to keep the routers that are included into others as they are.
    flatten: Callable[[Any], Iterable[Any]] = getattr(
        fastapi.routing, "iter_route_contexts", iter
    )
    for route in flatten(routes):
        dependant = getattr(route, "dependant", None)
        if dependant is not None:
            yield dependant, provider
        inner = getattr(route, "app", None)
        yield from find_dependants(
            getattr(route, "routes", ()),
            inner if hasattr(inner, "dependency_overrides") else provider,
        )


def push_exit(connection: HTTPConnection, manager: Any) -> None:
    """Have *manager* exited when the response has been sent and background tasks have run."""
    # As AsyncExitStack.push_async_exit does, at a third of the price.
    stack = connection.scope["fastapi_inner_astack"]
    stack._exit_callbacks.append((False, manager.__aexit__))  # tried out


async def try_out() -> bool:
    """Tell whether this version of FastAPI is one that the shortcut leads through.

    Serves endpoints of each kind by a shortcut that fetches from nowhere, and sees that all
    happens as it should. Once: FastAPI does not change while a program runs.
    """
    if Trial.is_passed is None:
        trial = Trial()
        try:
            await trial.run()
        except Exception:  # noqa: BLE001  # whatever it is, the documented way remains
            _log.info("The shortcut does not lead through this FastAPI.", exc_info=True)
        Trial.is_passed = trial.is_as_expected
    return Trial.is_passed


class Trial:
    """A few endpoints, and a shortcut for them.

    Attributes:
        is_passed: How the trial has come out, if there has been one.
        dependency_overrides: What FastAPI looks at, too.
    """

    is_passed: ClassVar[bool | None] = None

    def __init__(self) -> None:
        self.dependency_overrides: dict[Any, Any] = {}
        self._events: list[str] = []

    @property
    def is_as_expected(self) -> bool:
        """Whether everything has happened, in order, in each endpoint."""
        solved = ["work solved", "http.response.start"]
        request = ["fetch", "work fetched", "http.response.start", "exit"]
        websocket = ["fetch", "work fetched", "exit"]
        overridden = ["work overridden", "http.response.start"]
        return self._events == [*solved, *request, *request, *websocket, *overridden]

    async def run(self) -> None:
        """Serve a request without the shortcut, one to each endpoint by it, one overridden."""

        async def awork(service: Annotated[str, Depends(self.solve)]) -> Response:
            return self._work(service)

        def work(service: Annotated[str, Depends(self.solve)]) -> Response:
            return self._work(service)

        routes: list[Any] = [
            APIRoute("/", awork, dependency_overrides_provider=self),
            APIRoute("/", work, dependency_overrides_provider=self),
            APIWebSocketRoute("/", awork, dependency_overrides_provider=self),
        ]
        await self._serve(routes[0])
        shortcut = Shortcut(self._find_key, self._visit)
        for route in routes:
            shortcut.shorten(route.dependant, self)
            await self._serve(route)
        self.dependency_overrides[self.solve] = self.override
        await self._serve(routes[0])

    async def _serve(self, route: Any) -> None:
        kind = "websocket" if isinstance(route, APIWebSocketRoute) else "http"
        async with AsyncExitStack() as stack:
            scope = {
                "type": kind,
                "method": "GET",
                "path": "/",
                "query_string": b"",
                "headers": [],
                "fastapi_middleware_astack": stack,
            }
            await route.app(scope, asyncio.Queue().get, self._send)

    async def solve(self) -> str:
        """Be a dependency that the shortcut knows."""
        return "solved"

    async def override(self) -> str:
        """Be what overrides it."""
        return "overridden"

    def _find_key(self, call: Any) -> Hashable:
        return "key" if call == self.solve else MISSING

    def _visit(self, _: HTTPConnection) -> "Trial":
        return self

    @property
    def container(self) -> "Trial":
        """Be what has a container."""
        return self

    async def aget(self, _: Hashable) -> str:
        """Be the container."""
        self._events.append("fetch")
        return "fetched"

    def _work(self, service: str) -> Response:
        self._events.append(f"work {service}")
        return Response()

    async def __aexit__(self, *error: object) -> None:
        self._events.append("exit")

    async def _send(self, message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            self._events.append("http.response.start")
