"""A container for each request of a Django project, and for its commands and tasks.

A project adds this package to the setting ``INSTALLED_APPS``, and `WaresMiddleware` to
``MIDDLEWARE``.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncIterator, Callable
from typing import Any, TypeVar, cast

from typing_extensions import Unpack

from wares import asgi
from wares._adapters.absent_names import explain_names
from wares._adapters.extras import needs_extra
from wares._adapters.health_endpoint import HealthEndpoint, HealthOptions
from wares._adapters.injecting import inject_own
from wares._core.container import Registry
from wares._inject.injection import refuse_object
from wares.asgi import ASGIApp, Receive, Scope, Send

with needs_extra("wares.django", "django"):
    from django.http import HttpRequest, HttpResponse

    from wares.django._requests import WaresMiddleware, wares_from
    from wares.django.apps import aclose_registry, close_registry, get_registry, open_unit

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

explain_names(__name__, {"init_app": 'Add "wares.django" to the setting INSTALLED_APPS'})
T = TypeVar("T")


def with_container(function: Callable[..., T]) -> Callable[..., T]:
    """Open a container for each call of *function*, such as a command or a task.

    The container is current (`wares.current_container`) during the call, and fills the parameters
    that are marked with `wares.Inject` or `wares.Depends`. The cleanups see the exception that
    ends the call.

    .. code-block:: text

        @with_container
        def handle(self, *args, shop: Inject[Shop], **options): ...

    Args:
        function: A function or a method, asynchronous or not.

    Returns:
        A function of the same kind, whose calls have a container. For type checkers it takes any
        arguments, as an injected function does.

    Raises:
        InvalidRegistrationError: *function* is an object such as a task, whose methods would be
            lost.
    """
    refuse_object(function, "with_container", has_more_to_do=True)
    injected = inject_own(function)

    @functools.wraps(injected)
    def call(*args: Any, **kwargs: Any) -> Any:
        with open_unit():
            return injected(*args, **kwargs)

    @functools.wraps(injected)
    async def acall(*args: Any, **kwargs: Any) -> Any:
        async with open_unit():
            return await injected(*args, **kwargs)

    return cast("Callable[..., T]", acall if inspect.iscoroutinefunction(injected) else call)


def with_lifespan(app: ASGIApp) -> ASGIApp:
    """Make an ASGI application of Django close the registry when the server stops.

    Args:
        app: The result of ``django.core.asgi.get_asgi_application``.

    Returns:
        The application, which also answers the lifespan events of the server.
    """

    async def start(_app: ASGIApp, _registry: Registry) -> AsyncIterator[None]:
        yield

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            # `WaresMiddleware` validates the registry.
            run = asgi.lifespan(start, registry=get_registry(), validate=False)
            await asgi._serve_lifespan(run(app), {"state": {}, **scope}, receive, send)
        else:
            await app(scope, receive, send)

    return serve


def health_view(**options: Unpack[HealthOptions]) -> Callable[[HttpRequest], Any]:
    """Make a view that pings the services and reports whether they are healthy.

    Args:
        options: How it checks and answers: ``timeout`` (5 seconds), ``tags`` (all), ``ok_status``
            (200), ``failing_status`` (503), ``show_errors`` (False), ``max_age`` (0 seconds).

    Returns:
        The view: ``path("healthy", health_view())``.

    Raises:
        InvalidOptionError: An option is invalid.
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
