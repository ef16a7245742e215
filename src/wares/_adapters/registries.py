"""The functions for the registry that an adapter keeps on an application."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, Generic, TypeVar

import attrs
from typing_extensions import TypeForm, Unpack

from wares._core.compositions import FactoryOptions, ValueOptions
from wares._core.container import Registry
from wares.exceptions import NoRegistryError

T = TypeVar("T")
App = TypeVar("App")


def demand(found: T | None, error: type[Exception], message: str) -> T:
    """Return what was found on an application or a request, or raise an error.

    Args:
        found: What was found, or `None`.
        error: The class of the error if nothing was found.
        message: The message of the error: why there is nothing, and what to do.
    """
    if found is None:
        raise error(message)
    return found


@attrs.frozen
class Keeping(Generic[App]):
    """The functions of an adapter about the registry of an application, under svcs' names.

    Args:
        find: Finds the registry of an application, if it has one.
        message: The message of the error if it has none.
    """

    find: Callable[[App], Registry | None]
    message: str

    def get_registry(self, app: App) -> Registry:
        """Get the registry of *app*.

        Args:
            app: The application, or the broker.

        Raises:
            NoRegistryError: It has not been initialised.
        """
        return demand(self.find(app), NoRegistryError, self.message)

    async def aclose_registry(self, app: App) -> None:
        """Close the registry of *app*, if it has one; the end of the application does that, too.

        Args:
            app: The application, or the broker.
        """
        registry = self.find(app)
        if registry is not None:
            await registry.aclose()

    def register_factory(
        self,
        app: App,
        svc_type: TypeForm[T] | Hashable,
        factory: Callable[..., Any],
        **options: Unpack[FactoryOptions],
    ) -> None:
        """Register how the service of *svc_type* is made, on the registry of *app*.

        Args:
            app: The application.
            svc_type: What the service is asked for by.
            factory: What makes it.
            options: As in `wares.Registry.register_factory`, with the same defaults.

        Raises:
            NoRegistryError: The application has not been initialised.
        """
        self.get_registry(app).register_factory(svc_type, factory, **options)

    def register_value(
        self,
        app: App,
        svc_type: TypeForm[T] | Hashable,
        value: T,
        **options: Unpack[ValueOptions],
    ) -> None:
        """Register a ready-made object under *svc_type*, on the registry of *app*.

        Args:
            app: The application.
            svc_type: What the service is asked for by.
            value: The object.
            options: As in `wares.Registry.register_value`, with the same defaults.

        Raises:
            NoRegistryError: The application has not been initialised.
        """
        self.get_registry(app).register_value(svc_type, value, **options)
