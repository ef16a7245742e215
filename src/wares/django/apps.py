"""The Django application that a project installs, which keeps the registry.

It makes the registry when Django starts, and adds a check of the services to ``manage.py check``.
"""

from __future__ import annotations

import atexit
import importlib
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

from asgiref.sync import async_to_sync
from django.apps import AppConfig, apps
from django.conf import settings
from django.core import checks
from django.http import HttpRequest
from django.urls import URLPattern, get_resolver
from django.utils.module_loading import import_string, module_has_submodule

from wares._adapters.applications import with_methods
from wares._adapters.registries import close, demand
from wares._adapters.units import Unit, check
from wares._core.container import Registry
from wares._inject.injected import find_needed
from wares.exceptions import InvalidOptionError, InvalidRegistryError, NoRegistryError

#: The entries of the setting ``WARES``.
_ENTRIES = {"register", "validate"}


class WaresConfig(AppConfig):
    """The application; it makes the registry when all applications are ready.

    Two kinds of functions register services, and get the registry as their argument: the function
    ``register`` in the module ``wares`` of each installed application that has this module, and the
    function that the setting ``WARES = {"register": "shop.services.register"}`` names.

    Attributes:
        registry: The registry of the project, once applications are ready.
    """

    name = "wares.django"
    label = "wares"
    verbose_name = "Services"
    registry: Registry | None = None

    def ready(self) -> None:
        """Make the registry, and call the functions that register services.

        Raises:
            InvalidOptionError: The setting ``WARES`` has an unknown entry.
        """
        _check_setting()
        registry = self.registry = Registry()
        kinds: Any = HttpRequest.__subclasses__()
        registry.expect(HttpRequest, *kinds)
        registry._handlers.append(_find_views)
        for register in _find_registrations():
            register(registry)
        checks.register(_check_services)
        atexit.register(close_registry)


def get_registry() -> Registry:
    """Get the registry of the project.

    Raises:
        NoRegistryError: ``"wares.django"`` is not among the installed applications, or these are
            not ready yet.
    """
    config: Any = apps.app_configs.get(WaresConfig.label)
    registry: Registry | None = getattr(config, "registry", None)
    return demand(
        registry,
        NoRegistryError,
        'There is no registry. Add "wares.django" to the setting INSTALLED_APPS, and ask when all '
        "applications are ready.",
    )


def close_registry() -> None:
    """Close the registry of the project; it also closes when Python exits.

    Raises:
        PendingAsyncCleanupError: A cleanup must be awaited, and an event loop runs in this thread:
            use `aclose_registry`.
    """
    close(get_registry(), _run)


async def aclose_registry() -> None:
    """Close the registry of the project, in an event loop; `with_lifespan` does this."""
    await get_registry().aclose()


def open_unit(given: dict[Any, object] | None = None) -> Unit:
    """Open a container for a unit of work."""
    return Unit(get_registry().container(given), run=_run)


def read_setting(name: str, *, default: Any = None) -> Any:
    """Read an entry of the setting ``WARES``."""
    return getattr(settings, "WARES", {}).get(name, default)


def _check_setting() -> None:
    setting = getattr(settings, "WARES", {})
    unknown = sorted(set(setting) - _ENTRIES) if isinstance(setting, dict) else [repr(setting)]
    if unknown:
        raise InvalidOptionError(
            f"The setting WARES is a dictionary that may have the entries 'register' and "
            f"'validate', and not {', '.join(map(str, unknown))}. Write, for example, "
            f'WARES = {{"register": "shop.services.register"}}.'
        )


def _run(coroutine: Coroutine[Any, Any, None]) -> None:
    async def wait() -> None:
        await coroutine

    async_to_sync(wait)()


def _find_registrations() -> Iterator[Callable[[Registry], object]]:
    for config in apps.get_app_configs():
        if config.name != WaresConfig.name and module_has_submodule(config.module, "wares"):
            yield importlib.import_module(f"{config.name}.wares").register
    named = read_setting("register")
    if named is not None:
        yield import_string(named)


def _check_services(**_: object) -> list[checks.CheckMessage]:
    """Report services that are missing or cannot be made, and a missing middleware."""
    registry = get_registry()
    found: list[checks.CheckMessage] = []
    if any(True for _ in find_needed(_find_views(), registry)) and not _has_middleware():
        advice = 'Add "wares.django.WaresMiddleware" to the setting MIDDLEWARE.'
        message = (
            "Views ask for services, and no middleware opens containers for their requests."
        )
        found.append(checks.Error(message, hint=advice, id="wares.E002"))
    try:
        check(registry, "The project has", _find_views())
    except InvalidRegistryError as error:
        found += [checks.Error(str(problem), id="wares.E001") for problem in error.exceptions]
    return found


def _has_middleware() -> bool:
    return any(hasattr(import_string(name), "opens_containers") for name in settings.MIDDLEWARE)


def _find_views() -> Iterator[Callable[..., Any]]:
    """Find the views of the project, including the methods of class-based views."""
    resolver: Any = get_resolver()
    todo: list[tuple[Any, frozenset[str]]] = [
        (one, frozenset()) for one in resolver.url_patterns
    ]
    for pattern, outer in todo:
        parts = outer.union(pattern.pattern.regex.groupindex)
        if isinstance(pattern, URLPattern):
            view: Any = pattern.callback
            kind = getattr(view, "view_class", getattr(view, "cls", None))
            # A viewset of Django REST Framework maps HTTP methods to actions, which are methods.
            actions = getattr(view, "actions", None) or {}
            names = [*getattr(kind, "http_method_names", ()), *actions.values()]
            yield from with_methods(view, kind, names, parts)
        else:
            todo += [(one, parts) for one in pattern.url_patterns]
