"""A container for each request of a Django project, and for its commands and tasks."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from typing_extensions import Unpack

from wares._adapters.extras import needs_extra
from wares._adapters.health_endpoint import HealthEndpoint, HealthOptions
from wares._adapters.lifespan import REGISTRY_KEY
from wares._adapters.streams import Holding
from wares._adapters.units import Unit, check, may_await, note_failure, with_unit
from wares._core.container import Container, Registry
from wares.asgi import ASGIApp, Receive, Scope, Send, _serve_lifespan
from wares.exceptions import (
    NoContainerError,
    NoRegistryError,
    PendingAsyncCleanupError,
    ResponseFailed,
)

with needs_extra("wares.django", "django"):
    from asgiref.sync import (
        async_to_sync,
        iscoroutinefunction,
        markcoroutinefunction,
        sync_to_async,
    )
    from django.apps import apps as installed
    from django.http import HttpRequest, HttpResponse
    from django.http.response import HttpResponseBase

__all__ = [
    "WaresMiddleware",
    "aclose_registry",
    "close_registry",
    "get_registry",
    "health_view",
    "wares_from",
    "with_container",
    "with_lifespan",
]

F = TypeVar("F", bound=Callable[..., Any])

#: Where the container is found on a request.
CONTAINER_NAME = "wares_container"


class WaresMiddleware:
    """Open a container for each request, and close it when the response has been sent.

    The container is given the `django.http.HttpRequest`, is found by `wares_from`, and is current
    (`wares.current_container`) in everything further inside: synchronous and asynchronous views,
    under WSGI and ASGI. A streamed response keeps it open until its last chunk.

    The exception that ended the request reaches the cleanups, also where Django or an exception
    handler of Django REST Framework has answered it. A response whose status is 500 or more is
    failed work as well. What the ``process_exception`` of a middleware further inside answers
    stays unseen, so that this middleware belongs as far inside as its users allow.

    Args:
        get_response: What answers requests; Django gives it.

    Raises:
        InvalidRegistryError: Something that is registered cannot be made, so that the project does
            not start. The setting ``WARES = {"validate": False}`` turns this off.
    """

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        self._get_response = get_response
        self._is_async = iscoroutinefunction(get_response)
        if self._is_async:
            markcoroutinefunction(self)
        registry = get_registry()
        if _get_config().validates:
            check(registry, "The project does not start")
        self._awaits = may_await(registry)

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        """Serve one request.

        Raises:
            RegistryClosedError: The registry is closed.
        """
        unit = _open({HttpRequest: request, type(request): request})
        setattr(request, CONTAINER_NAME, unit.container)
        if self._is_async:
            return self._aserve(request, unit, self._get_response)
        if self._awaits:
            # Under WSGI, each asynchronous view has an event loop, whose end ends generators. One
            # around the whole request, which Django's own then is, keeps services until they close.
            get_response = sync_to_async(self._get_response)
            served: HttpResponseBase = async_to_sync(self._aserve)(request, unit, get_response)
            return served
        with Holding(unit) as holding:
            return _finish(holding, unit, self._get_response(request))

    async def _aserve(
        self, request: HttpRequest, unit: Unit, get_response: Callable[[HttpRequest], Any]
    ) -> HttpResponseBase:
        async with Holding(unit) as holding:
            return _finish(holding, unit, await get_response(request))

    def process_exception(self, request: HttpRequest, exception: Exception) -> None:
        """Note the exception that a view has raised; Django answers it."""
        note_failure(wares_from(request), exception)


def wares_from(request: HttpRequest) -> Container:
    """Get the container of a request.

    Args:
        request: The request, or that of Django REST Framework around it.

    Returns:
        The container.

    Raises:
        NoContainerError: The request did not come through `WaresMiddleware`.
    """
    container: Container | None = getattr(request, CONTAINER_NAME, None)
    if container is None:
        raise NoContainerError(
            "This request has no container: it did not come through the middleware. Add "
            '"wares.django.WaresMiddleware" to the setting MIDDLEWARE.'
        )
    return container


def get_registry() -> Registry:
    """Get the registry of the project.

    Raises:
        NoRegistryError: ``"wares.django"`` is not among the installed applications, or these are
            not ready yet.
    """
    registry: Registry = _get_config().registry
    return registry


def close_registry() -> None:
    """Close the registry of the project; Python's end does that, too."""
    try:
        get_registry().close()
    except PendingAsyncCleanupError:
        _run(get_registry().aclose())


async def aclose_registry() -> None:
    """Close the registry of the project, in an event loop; `with_lifespan` does that."""
    await get_registry().aclose()


def with_container(function: F) -> F:
    """Open a container for each call of *function*: of a command, or a task.

    The container is current within the call, and is closed with the exception that ends it. Put
    this over `wares.inject`:

    .. code-block:: text

        @with_container
        @inject
        def handle(self, *args, shop: Inject[Shop], **options): ...

    Args:
        function: A function or a method, asynchronous or not.

    Returns:
        The same, with a container.
    """
    return with_unit(_open, function)


def with_lifespan(app: ASGIApp) -> ASGIApp:
    """Have an ASGI application of Django close the registry when the server ends it.

    Args:
        app: What ``django.core.asgi.get_asgi_application`` gives.

    Returns:
        The application, which also answers the lifespan events of the server.
    """

    @asynccontextmanager
    async def run() -> AsyncIterator[dict[str, object]]:
        try:
            yield {REGISTRY_KEY: get_registry()}
        finally:
            await aclose_registry()

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _serve_lifespan(run(), {"state": {}, **scope}, receive, send)
        else:
            await app(scope, receive, send)

    return serve


def health_view(**options: Unpack[HealthOptions]) -> Callable[[HttpRequest], Any]:
    """Make a view that pings the services and answers whether all are well.

    Args:
        options: How it checks and answers: ``timeout`` (5 seconds), ``tags`` (all), ``ok_status``
            (200), ``failing_status`` (503), ``show_errors`` (False), ``max_age`` (0 seconds).

    Returns:
        The view: ``path("healthy", health_view())``.

    Raises:
        InvalidOptionError: An option cannot work.
    """
    endpoint = HealthEndpoint(**options)

    async def health(request: Any) -> HttpResponse:
        answer = await endpoint.arespond(
            get_registry(),
            tags=request.GET.getlist("tag"),
            accept=request.headers.get("accept", ""),
        )
        return HttpResponse(answer.body, status=answer.status, headers=dict(answer.headers))

    return health


def _get_config() -> Any:
    config: Any = installed.app_configs.get("wares")
    if config is None or config.registry is None:
        raise NoRegistryError(
            'There is no registry. Add "wares.django" to the setting INSTALLED_APPS, and ask when '
            "all applications are ready."
        )
    return config


def _open(given: dict[Any, object] | None = None) -> Unit:
    return Unit(get_registry().container(given), run=_run)


def _run(coroutine: Coroutine[Any, Any, None]) -> None:
    async def wait() -> None:
        await coroutine

    async_to_sync(wait)()


def _finish(holding: Holding, unit: Unit, response: Any) -> HttpResponseBase:
    """Have the services kept for a stream; note failures that only the response tells."""
    if response.status_code >= 500 or getattr(response, "exception", False) is True:  # noqa: PLR2004  # server errors begin there
        note_failure(unit.container, ResponseFailed(response.status_code), replace=False)
    # A file is sent by the server itself.
    if response.streaming and getattr(response, "file_to_stream", None) is None:
        response.streaming_content = holding.hold(_take_chunks(response))
    finished: HttpResponseBase = response
    return finished


def _take_chunks(response: Any) -> Any:
    """Take the iterator that a view has returned, so that it can be closed.

    What ``streaming_content`` gives, in its place, is around it and does not close it; without the
    private name, of Django 4.2 to 6.1, an abandoned asynchronous generator ends after its services.
    """
    return getattr(response, "_iterator", None) or response.streaming_content
