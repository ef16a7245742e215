"""The middleware, which opens a container for each request.

This module knows what Django does with requests and responses: synchronous or not, streamed, or
made of an exception.
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from typing import Any

from asgiref.sync import (
    async_to_sync,
    iscoroutinefunction,
    markcoroutinefunction,
    sync_to_async,
)
from django.core.signals import got_request_exception
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from wares._adapters.registries import demand
from wares._adapters.streams import Holding
from wares._adapters.units import Unit, check, may_await, note_failure
from wares._core.container import Container
from wares.django.apps import get_registry, open_unit, read_setting
from wares.exceptions import NoContainerError, ResponseFailed

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
        if read_setting("validate", default=True):
            check(registry, "The project does not start")
        self._awaits = may_await(registry)
        got_request_exception.connect(_note_unanswered)

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        """Serve one request.

        Raises:
            RegistryClosedError: The registry is closed.
        """
        unit = open_unit({HttpRequest: request, type(request): request})
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
    return demand(
        container,
        NoContainerError,
        "This request has no container: it did not come through the middleware. Add "
        '"wares.django.WaresMiddleware" to the setting MIDDLEWARE.',
    )


def _note_unanswered(request: HttpRequest | None = None, **_: object) -> None:
    """Note an exception that nobody but Django itself has answered."""
    container = getattr(request, CONTAINER_NAME, None)
    error = sys.exception()
    if container is not None and error is not None:
        note_failure(container, error)


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
