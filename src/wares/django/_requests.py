"""The middleware of Django, which opens a container for each request.

It handles synchronous and asynchronous requests, streamed responses, and responses that Django has
made from an exception.
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
from wares._adapters.streams import hold
from wares._adapters.units import Unit, check, may_await, note_answer, note_failure
from wares._core.container import Container
from wares.django.apps import get_registry, open_unit, read_setting
from wares.exceptions import NoContainerError, ResponseFailed

#: The attribute of a request that keeps its container.
CONTAINER_NAME = "wares_container"


class WaresMiddleware:
    """Open a container for each request, and close it when the request has been answered.

    The container is given the `django.http.HttpRequest`. `wares_from` returns the container, which
    is current (`wares.current_container`) in inner middlewares and in views, synchronous and
    asynchronous, under WSGI and ASGI. A streamed response keeps it open until its last chunk.

    The cleanups see the exception that ended the request, even if Django has answered it. A
    response whose status is 500 or more, or that Django REST Framework has made from an exception,
    counts as a failure as well. Exceptions that the ``process_exception`` of an inner middleware
    answers cannot be seen, so put this middleware as far inside as possible.

    Args:
        get_response: The next middleware or the view; Django passes it.

    Raises:
        InvalidRegistryError: A registered service cannot be made, so the project does not start.
            The setting ``WARES = {"validate": False}`` turns this off.
    """

    sync_capable = True
    async_capable = True

    #: What ``manage.py check`` looks for; subclasses have it as well.
    opens_containers = True

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
            # Under WSGI, Django runs each asynchronous view in its own event loop, and a loop ends
            # its asynchronous generators when it closes. A loop around the whole request keeps the
            # generators of services alive until the container closes.
            get_response = sync_to_async(self._get_response)
            served: HttpResponseBase = async_to_sync(self._aserve)(request, unit, get_response)
            return served
        with unit:
            return _finish(unit, self._get_response(request))

    async def _aserve(
        self, request: HttpRequest, unit: Unit, get_response: Callable[[HttpRequest], Any]
    ) -> HttpResponseBase:
        async with unit:
            return _finish(unit, await get_response(request))

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
    """Note an exception that Django itself has answered."""
    container = getattr(request, CONTAINER_NAME, None)
    error = sys.exception()
    if container is not None and error is not None:
        note_failure(container, error)


def _finish(unit: Unit, response: Any) -> HttpResponseBase:
    """Keep the container open for a stream; note a failure that only the response shows."""
    status = response.status_code
    if status >= 500 or getattr(response, "exception", False) is True:  # noqa: PLR2004  # server errors begin there
        note_answer(unit.container, ResponseFailed(status))
    elif status >= 400:  # noqa: PLR2004  # other errors begin there
        note_answer(unit.container)
    # The server itself sends a file.
    if response.streaming and getattr(response, "file_to_stream", None) is None:
        response.streaming_content = hold(unit, _take_chunks(response))
    finished: HttpResponseBase = response
    return finished


def _take_chunks(response: Any) -> Any:
    """Take the iterator that a view has returned, so that it can be closed.

    ``streaming_content`` wraps it, and does not close it. Django 4.2 to 6.1 have this private
    name; without it, an abandoned asynchronous generator would end after its services.
    """
    return getattr(response, "_iterator", None) or response.streaming_content
