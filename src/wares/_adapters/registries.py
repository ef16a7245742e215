"""The functions of adapters that initialise an application and get its registry.

`Keeping` makes the public functions, such as `get_registry` and `register_value`, of an adapter.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Hashable, Iterable
from functools import partial
from types import UnionType
from typing import Any, Generic, TypeVar

import attrs
from typing_extensions import TypeForm, Unpack

from wares._core.compositions import FactoryOptions, ValueOptions
from wares._core.container import Registry
from wares.exceptions import InvalidRegistrationError, NoRegistryError, PendingAsyncCleanupError

T = TypeVar("T")
App = TypeVar("App")


def demand(found: T | None, error: type[Exception], message: str) -> T:
    """Return an object found on an application or a request, or raise an error.

    Args:
        found: The object, or `None`.
        error: The class of the error if there is no object.
        message: The message of the error: why there is nothing, and what to do.
    """
    if found is None:
        raise error(message)
    return found


def demand_kind(
    thing: object, kind: type[Any] | UnionType, rule: str, advice: str = ""
) -> None:
    """Refuse an object that an adapter cannot initialise.

    Args:
        thing: The object.
        kind: The class of objects that the adapter can initialise.
        rule: The beginning of the message: ``"init_app takes a FastStream"``.
        advice: The end of the message.

    Raises:
        InvalidRegistrationError: *thing* is no instance of *kind*.
    """
    if not isinstance(thing, kind):
        message = f"{rule}, not a {type(thing).__qualname__}. {advice}"
        raise InvalidRegistrationError(message.rstrip())


def choose_registry(present: Registry | None, given: Registry | None) -> Registry:
    """Choose the registry of an application that is initialised, perhaps not for the first time.

    Args:
        present: The registry that the application has, if any. It is kept unless it is closed, so
            that an application that has ended can be initialised and started again.
        given: The registry that the user passed, if any.
    """
    if given is not None:
        return given
    return Registry() if present is None or present._is_closed else present


def close(registry: Registry, run: Callable[[Coroutine[Any, Any, None]], object]) -> None:
    """Close a registry in synchronous code; *run* runs a coroutine, if one is needed."""
    try:
        registry.close()
    except PendingAsyncCleanupError:
        run(registry.aclose())


@attrs.frozen
class Keeping(Generic[App]):
    """The functions of an adapter for the registry of an application, with svcs' names.

    Args:
        find: Returns the registry of an application, or `None`.
        message: The message of the error if there is none.
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
        """Choose the registry of *app*, and prepare a new one for *app*.

        Args:
            app: The application, or the broker.
            given: The registry that the user passed, if any.
            expected: The keys of the objects that containers are given.
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
            NoRegistryError: *app* has not been initialised.
        """
        return demand(self.find(app), NoRegistryError, self.message)

    async def aclose_registry(self, app: App) -> None:
        """Close the registry of *app*, if it has one; this also happens when *app* ends.

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
        """Register a factory for *svc_type* on the registry of *app*.

        Args:
            app: The application.
            svc_type: The key of the service.
            factory: The callable that makes the service.
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
        """Register a ready-made object under *svc_type* on the registry of *app*.

        Args:
            app: The application.
            svc_type: The key of the service.
            value: The object.
            options: As in `wares.Registry.register_value`, with the same defaults.

        Raises:
            NoRegistryError: The application has not been initialised.
        """
        self.get_registry(app).register_value(svc_type, value, **options)
