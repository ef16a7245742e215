"""The application that a project installs: it has the registry.

This module knows how Django starts, and how it checks a project.
"""

from __future__ import annotations

import atexit
import importlib
import sys
from collections.abc import Callable, Iterator
from typing import Any

from django.apps import AppConfig, apps
from django.conf import settings
from django.core import checks
from django.core.signals import got_request_exception
from django.http import HttpRequest
from django.urls import URLPattern, get_resolver
from django.utils.module_loading import import_string, module_has_submodule

from wares._adapters.units import check, note_failure
from wares._core.container import Registry
from wares.django import CONTAINER_NAME, close_registry
from wares.exceptions import InvalidRegistryError


class WaresConfig(AppConfig):
    """Makes the registry when all applications are ready.

    The function that ``WARES = {"register": "shop.services.register"}`` names is called with the
    registry, and so is the function ``register`` of each installed application's module
    ``wares``, if there is one.

    Attributes:
        registry: The registry of the project, when applications are ready.
    """

    name = "wares.django"
    label = "wares"
    verbose_name = "Services"
    registry: Registry | None = None

    @property
    def validates(self) -> bool:
        """Whether the start fails if something that is registered cannot be made."""
        return bool(_read_setting().get("validate", True))

    def ready(self) -> None:
        """Make the registry, and have it filled."""
        registry = self.registry = Registry()
        kinds: Any = HttpRequest.__subclasses__()
        registry.expect(HttpRequest, *kinds)
        registry._handlers.append(_find_views)
        for register in _find_registrations():
            register(registry)
        checks.register(_check_services)
        got_request_exception.connect(_note_exception)
        atexit.register(close_registry)


def _read_setting() -> dict[str, Any]:
    return getattr(settings, "WARES", {})


def _find_registrations() -> Iterator[Callable[[Registry], object]]:
    for config in apps.get_app_configs():
        if config.name != WaresConfig.name and module_has_submodule(config.module, "wares"):
            yield importlib.import_module(f"{config.name}.wares").register
    named = _read_setting().get("register")
    if named is not None:
        yield import_string(named)


def _check_services(**_: object) -> list[checks.Error]:
    """Tell what cannot be made of what is registered, and of what views ask for."""
    try:
        check(apps.get_app_config("wares").registry, "The project has", _find_views())
    except InvalidRegistryError as error:
        return [checks.Error(str(problem), id="wares.E001") for problem in error.exceptions]
    return []


def _find_views() -> Iterator[Callable[..., Any]]:
    """Find the views of the project, the methods of classes, too."""
    resolver: Any = get_resolver()
    todo = list(resolver.url_patterns)
    for pattern in todo:
        if not isinstance(pattern, URLPattern):
            todo += pattern.url_patterns
            continue
        yield pattern.callback
        kind = getattr(pattern.callback, "view_class", getattr(pattern.callback, "cls", None))
        for name in getattr(kind, "http_method_names", ()):
            method = getattr(kind, name, None)
            if method is not None:
                yield method


def _note_exception(request: HttpRequest | None = None, **_: object) -> None:
    """Note an exception that nobody but Django itself has answered."""
    container = getattr(request, CONTAINER_NAME, None)
    error = sys.exception()
    if container is not None and error is not None:
        note_failure(container, error)
