"""The services of a container as dependencies of FastAPI.

This module knows FastAPI's dependencies. It must not know what FastAPI does with them beyond
what FastAPI documents; what it has in common with Starlette is in `wares.starlette`.

The annotations here are read by FastAPI, so they are objects, not strings.
"""

import contextlib
from collections.abc import AsyncGenerator, Hashable, Iterator
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import attrs
from fastapi import Depends, params
from starlette.requests import HTTPConnection

from wares._container import Container
from wares._keys import is_hashable
from wares._registry import Registry
from wares.asgi import ANSWERED_KEY, CONTAINER_KEY
from wares.exceptions import InvalidRegistrationError
from wares.starlette import find_registry, get_registry, given_by, lifespan

__all__ = [
    "DepContainer",
    "DepFunctionContainer",
    "DepRegistry",
    "FunctionInject",
    "Inject",
    "container",
    "function_container",
    "get_registry",
    "lifespan",
    "registry",
]

T = TypeVar("T")


async def container(connection: HTTPConnection) -> AsyncGenerator[Container, None]:
    """Get the container of the request or WebSocket: a dependency.

    It is closed when the response has been sent and background tasks have run, and is current
    (`wares.current_container`) until then. There is one for each request: if
    `wares.starlette.WaresMiddleware` is installed, this is its container.

    Args:
        connection: The request or WebSocket; FastAPI gives it.

    Yields:
        The container.

    Raises:
        NoRegistryError: The application does not run, or its lifespan has no registry.
    """
    shared: Container | None = connection.scope.get(CONTAINER_KEY)
    if shared is not None:
        with _telling(connection):
            yield shared
        return
    opened = Container(find_registry(connection.scope), given_by(connection))
    connection.scope[CONTAINER_KEY] = opened
    with opened.activate():
        try:
            async with opened:
                yield opened
        finally:
            connection.scope[CONTAINER_KEY] = None


@contextlib.contextmanager
def _telling(connection: HTTPConnection) -> Iterator[None]:
    """Tell the middleware of an exception, because a handler may answer it on the way there."""
    try:
        yield
    except BaseException as error:
        connection.scope.get(ANSWERED_KEY, []).append(error)
        raise


DepContainer = Annotated[Container, Depends(container)]
"""The container of the request: ``services: DepContainer``."""


async def function_container(services: DepContainer) -> AsyncGenerator[Container, None]:
    """Get a container that is closed before the response is sent: a dependency.

    It is a child of the request's container, with services of its own, and is current until
    it is closed. Use it as `DepFunctionContainer`, or with ``scope="function"``.

    Args:
        services: The container of the request; FastAPI gives it.

    Yields:
        The child.
    """
    child = services.child()
    with child.activate():
        async with child:
            yield child


DepFunctionContainer = Annotated[Container, Depends(function_container, scope="function")]
"""A container that is closed before the response is sent: ``services: DepFunctionContainer``."""


async def registry(connection: HTTPConnection) -> Registry:
    """Get the registry of the application: a dependency.

    Args:
        connection: The request or WebSocket; FastAPI gives it.

    Returns:
        The registry that `lifespan` keeps.

    Raises:
        NoRegistryError: The application does not run, or its lifespan has no registry.
    """
    return find_registry(connection.scope)


DepRegistry = Annotated[Registry, Depends(registry)]
"""The registry of the application: ``registry: DepRegistry``."""


@attrs.frozen
class GetService:
    """The dependency that makes one service; equal for the same key, so that FastAPI shares it."""

    key: Hashable

    async def __call__(self, services: DepContainer) -> Any:
        return await services.aget(self.key)


@attrs.frozen
class GetFunctionService:
    """The same, out of the container that is closed before the response is sent."""

    key: Hashable

    async def __call__(self, services: DepFunctionContainer) -> Any:
        return await services.aget(self.key)


class ServiceMarker(params.Depends):
    """What FastAPI finds in an annotation, and `wares.inject`, too.

    FastAPI calls `dependency`. Who resolves markers without FastAPI asks a container for `key`.
    """

    dependency: GetService | GetFunctionService

    @property
    def key(self) -> Hashable:
        """What a container is asked for."""
        return self.dependency.key

    def __hash__(self) -> int:
        # FastAPI 0.121 has markers that are equal by value, and so not hashable.
        return hash((self.dependency, self.use_cache, self.scope))


if TYPE_CHECKING:
    Inject = Annotated[T, Depends()]
    FunctionInject = Annotated[T, Depends(scope="function")]
else:

    class Inject:
        """The service ``T`` of the request: ``database: Inject[Database]``.

        It works in path operations, in their dependencies, and in WebSocket endpoints, and lives
        until the response has been sent and background tasks have run.
        """

        def __class_getitem__(cls, key: Any) -> Any:
            return Annotated[key, ServiceMarker(GetService(_check_key(key)))]

    class FunctionInject:
        """A service that ends before the response is sent: ``session: FunctionInject[Session]``.

        All of them in one request come from one container, that of `DepFunctionContainer`.
        """

        def __class_getitem__(cls, key: Any) -> Any:
            marker = ServiceMarker(GetFunctionService(_check_key(key)), scope="function")
            return Annotated[key, marker]


def _check_key(key: Any) -> Hashable:
    if not is_hashable(key):
        raise InvalidRegistrationError(
            f"{key!r} cannot be a key, because it is not hashable. Name a type, "
            f"or something hashable in Annotated."
        )
    return key
