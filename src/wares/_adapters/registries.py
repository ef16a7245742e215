"""The functions for the registry that an adapter keeps on an application."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from functools import partial
from types import UnionType
from typing import Any, Generic, TypeVar

import attrs
from typing_extensions import TypeForm, Unpack

from wares._core.compositions import FactoryOptions, ValueOptions
from wares._core.container import Registry
from wares.exceptions import InvalidRegistrationError, NoRegistryError

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


def demand_kind(
    thing: object, kind: type[Any] | UnionType, rule: str, advice: str = ""
) -> None:
    """Refuse what an adapter cannot initialise.

    Args:
        thing: What is to be initialised.
        kind: What it has to be.
        rule: What the message says: ``"init_app takes a FastStream"``.
        advice: What else it says, if there is something.

    Raises:
        InvalidRegistrationError: It is something else.
    """
    if not isinstance(thing, kind):
        message = f"{rule}, not a {type(thing).__qualname__}. {advice}"
        raise InvalidRegistrationError(message.rstrip())


def choose_registry(present: Registry | None, given: Registry | None) -> Registry:
    """Choose the registry of an application that is initialised, perhaps not for the first time.

    Args:
        present: The registry that it has, if it has one. What is registered there stays, unless
            it is closed: so an application that has ended can be initialised and started again.
        given: The registry that it is to have, if one was given.
    """
    if given is not None:
        return given
    return Registry() if present is None or present._is_closed else present


@attrs.frozen
class Keeping(Generic[App]):
    """The functions of an adapter about the registry of an application, under svcs' names.

    Args:
        find: Finds the registry of an application, if it has one.
        message: The message of the error if it has none.
    """

    find: Callable[[App], Registry | None]
    message: str

    def prepare(
        self,
        app: App,
        given: Registry | None,
        expected: Iterable[Hashable],
        find_handlers: Callable[[App], Iterable[Callable[..., Any]]],
    ) -> Registry:
        """Choose the registry of *app*, and tell it what *app* does.

        Args:
            app: The application, or the broker.
            given: The registry to use, if one was given.
            expected: What containers are given.
            find_handlers: Finds the functions of *app* that may ask for services.
        """
        present = self.find(app)
        registry = choose_registry(present, given)
        if registry is not present:
            registry.expect(*expected)
            registry._handlers.append(partial(find_handlers, app))
        return registry

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
