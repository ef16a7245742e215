"""The methods of `Registry` that register, override and observe services."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Hashable, Iterable, Iterator
from typing import Any

from typing_extensions import TypeForm, TypeVar, Unpack

from wares._core.annotations import expand_alias
from wares._core.compositions import Part, bind_types, recipe_for_alias, recipes_for_decoration
from wares._core.keys import describe, find_nearest
from wares._core.marks import is_derivable
from wares._core.observation import EVENTS
from wares._core.recipes import (
    FactoryOptions,
    Lifetime,
    OnRegistryClose,
    Ping,
    ValueOptions,
    check_key,
    recipe_for_factory,
    recipe_for_value,
)
from wares._core.registrations import Override, Registrations
from wares.exceptions import InvalidRegistrationError, ServiceNotFoundError

T = TypeVar("T")


class Registering:
    """The part of `Registry` that registers services, and lets tests override them."""

    def __init__(self) -> None:
        self._registrations = Registrations(self)
        self._parts: dict[Hashable, itertools.count[int]] = {}
        self._decorations = itertools.count(1)

    def __contains__(self, key: object) -> bool:
        """Return whether a service is registered under *key*."""
        return expand_alias(key) in self._registrations.recipes

    def __iter__(self) -> Iterator[Hashable]:
        """Iterate over the keys in the order of their registration."""
        return iter(list(self._registrations.recipes))

    def __bool__(self) -> bool:
        """Be true, also if no service is registered."""
        return True

    def register_factory(
        self,
        svc_type: TypeForm[T] | Hashable,
        factory: Callable[..., Any],
        *,
        lifetime: Lifetime = "scoped",
        enter: bool = True,
        ping: Ping | None = None,
        ping_timeout: float | None = None,
        tags: Iterable[str] = (),
        eager: bool = False,
        on_registry_close: OnRegistryClose | None = None,
        suppress_context_exit: bool = False,
    ) -> None:
        """Register how the service of *svc_type* is made; the last registration wins.

        A factory may be any callable. Its required parameters are filled by their annotations; a
        first parameter named ``wares_container`` receives the container. If the factory yields the
        service, or returns a context manager, it is cleaned up when the owner closes.

        Args:
            svc_type: The key of the service: a type, or anything hashable.
            factory: The callable that makes the service.
            lifetime: Which owner keeps the service. ``"scoped"``: each container its own;
                ``"connection"``: the outermost of a chain of containers; ``"singleton"``: the
                registry; ``"transient"``: no owner, a new one is made each time.
            enter: Whether a context manager that the factory returns is entered.
            ping: A callable that takes the service, and raises an exception if the service is not
                healthy.
            ping_timeout: How many seconds the ping may take, if not the default.
            tags: Groups that the service belongs to, such as ``"live"`` or ``"ready"``: a health
                check can be limited to one group.
            eager: Whether a singleton is made when the registry starts; see `Registry.start`.
            on_registry_close: A callable that is called when the registry closes; an awaitable that
                it returns is awaited.
            suppress_context_exit: Whether an exception under way is hidden from the cleanup.

        Raises:
            InvalidRegistrationError: The key is not hashable, the factory or the ping not
                callable, or an eager service no singleton.
            InvalidLifetimeError: There is no such lifetime.
            UnresolvableParameterError: A required parameter has no annotation.
            RegistryClosedError: The registry is closed.
        """
        recipe = recipe_for_factory(
            svc_type,
            factory,
            lifetime=lifetime,
            enter=enter,
            ping=ping,
            suppress_context_exit=suppress_context_exit,
            ping_timeout=ping_timeout,
            tags=tags,
            eager=eager,
            on_registry_close=on_registry_close,
        )
        self._registrations.put(recipe)

    def register_value(
        self,
        svc_type: TypeForm[T] | Hashable,
        value: T,
        *,
        enter: bool = False,
        ping: Ping | None = None,
        ping_timeout: float | None = None,
        tags: Iterable[str] = (),
        on_registry_close: OnRegistryClose | None = None,
        suppress_context_exit: bool = False,
    ) -> None:
        """Register a ready-made object under *svc_type*; the last registration wins.

        The object is never awaited, and neither entered nor closed unless *enter* is set. Then
        each container enters it and exits it.

        Args:
            svc_type: The key of the service: a type, or anything hashable.
            value: The object.
            enter: Whether each container enters the object as a context manager.
            ping: A callable that takes the service, and raises an exception if the service is not
                healthy.
            ping_timeout: How many seconds the ping may take, if not the default.
            tags: Groups that the service belongs to, such as ``"live"`` or ``"ready"``: a health
                check can be limited to one group.
            on_registry_close: A callable that is called when the registry closes; an awaitable that
                it returns is awaited.
            suppress_context_exit: Whether an exception under way is hidden from the exit.

        Raises:
            InvalidRegistrationError: The key is not hashable, the ping not callable, or the value
                has ``enter=True`` and is no context manager.
            RegistryClosedError: The registry is closed.
        """
        recipe = recipe_for_value(
            svc_type,
            value,
            enter=enter,
            ping=ping,
            suppress_context_exit=suppress_context_exit,
            ping_timeout=ping_timeout,
            tags=tags,
            on_registry_close=on_registry_close,
        )
        self._registrations.put(recipe)

    def register_alias(
        self, key: TypeForm[T] | Hashable, target: TypeForm[Any] | Hashable
    ) -> None:
        """Make *key* another key for the service of *target*: the same object, with one owner.

        >>> registry = Registry()
        >>> registry.register_value(int, 5)
        >>> registry.register_alias(float, int)
        >>> with registry.container() as container:
        ...     container.get(float)
        5

        Args:
            key: The new key.
            target: The key of the service.

        Raises:
            InvalidRegistrationError: A key is not hashable, or both are the same.
            RegistryClosedError: The registry is closed.
        """
        self._registrations.put(recipe_for_alias(key, target))

    def add_factory(
        self,
        key: TypeForm[T] | Hashable,
        factory: Callable[..., Any],
        **options: Unpack[FactoryOptions],
    ) -> None:
        """Register one of several services of *key*; ``list[key]`` asks for all of them.

        >>> registry = Registry()
        >>> registry.add_factory(str, lambda: "first")
        >>> registry.add_value(str, "second")
        >>> with registry.container() as container:
        ...     container.get(list[str])
        ['first', 'second']

        Args:
            key: The key that the services have in common.
            factory: The callable that makes one of them.
            options: As in `register_factory`.

        Raises:
            InvalidRegistrationError: As in `register_factory`.
            InvalidLifetimeError: There is no such lifetime.
            UnresolvableParameterError: A required parameter has no annotation.
            RegistryClosedError: The registry is closed.
        """
        self.register_factory(self._next_part(key), factory, **options)

    def add_value(
        self, key: TypeForm[T] | Hashable, value: T, **options: Unpack[ValueOptions]
    ) -> None:
        """Register a ready-made object as one of several services of *key*.

        Args:
            key: The key that the services have in common.
            value: The object.
            options: As in `register_value`.

        Raises:
            InvalidRegistrationError: As in `register_value`.
            RegistryClosedError: The registry is closed.
        """
        self.register_value(self._next_part(key), value, **options)

    def register_generic(
        self, key: type, factory: Callable[..., Any], **options: Unpack[FactoryOptions]
    ) -> None:
        """Register how the services of all ``key[...]`` are made, for a generic class *key*.

        A parameter of the factory that is named ``wares_types`` receives the types in the
        brackets, as a tuple. A service registered under one ``key[...]`` wins.

        >>> registry = Registry()
        >>> registry.register_generic(set, lambda wares_types=(): {wares_types})
        >>> with registry.container() as container:
        ...     container.get(set[int])
        {(<class 'int'>,)}

        Args:
            key: The class, without brackets.
            factory: The callable that makes the services.
            options: As in `register_factory`. ``on_registry_close`` is called for each ``key[...]``
                that was made.

        Raises:
            InvalidRegistrationError: As in `register_factory`, or the class is not generic.
            InvalidLifetimeError: There is no such lifetime.
            UnresolvableParameterError: A required parameter has no annotation.
            RegistryClosedError: The registry is closed.
        """
        self._registrations.check_open()
        if not hasattr(key, "__class_getitem__"):
            raise InvalidRegistrationError(
                f"{describe(key)} is not generic. Use register_factory, or name a generic class."
            )
        # For its checks: each service is only registered at its first use.
        recipe_for_factory(key, bind_types(factory, ()), **options)

        def register(full_key: Hashable, types: tuple[Any, ...]) -> None:
            self.register_factory(full_key, bind_types(factory, types), **options)

        self._registrations.generics[key] = register
        self._registrations.change()

    def decorate(self, key: TypeForm[T] | Hashable, decorator: Callable[..., Any]) -> None:
        """Wrap the service registered under *key*.

        The first parameter of the decorator receives the service; the others are filled as those of
        a factory. The result takes over the lifetime, the ping and the tags; the cleanup of the
        decorated service remains. A context manager that the decorator returns is not entered, but
        the decorator may yield its result, and clean up afterwards.

        >>> registry = Registry()
        >>> registry.register_factory(str, lambda: "service")
        >>> def praise(service: str) -> str:
        ...     return f"good {service}"
        >>> registry.decorate(str, praise)
        >>> with registry.container() as container:
        ...     container.get(str)
        'good service'

        Args:
            key: The key of the decorated service.
            decorator: A callable that takes the service, and makes the one that replaces it.

        Raises:
            ServiceNotFoundError: Nothing is registered under *key*.
            InvalidRegistrationError: The decorator is not callable.
            UnresolvableParameterError: A required parameter has no annotation.
            RegistryClosedError: The registry is closed.
        """
        known: Any = check_key(key)
        is_registered = False
        # Another thread may decorate or replace the service meanwhile.
        while not is_registered:
            self._registrations.check_open()
            recipe = self._registrations.registered.get(known)
            if recipe is None:
                nearest = find_nearest(known, self._registrations.registered)
                raise ServiceNotFoundError(known, nearest=nearest)
            parts = recipes_for_decoration(recipe, decorator, next(self._decorations))
            is_registered = self._registrations.put_decorated(recipe, *parts)

    def expect(self, *keys: Hashable) -> None:
        """Declare keys under which each container is given an object, such as the request.

        `validate` then accepts them as if they were registered.

        Args:
            keys: The keys of the objects.

        Raises:
            InvalidRegistrationError: A key is not hashable.
        """
        self._registrations.expected.update(dict.fromkeys(map(check_key, keys)))
        self._registrations.change()

    def override_factory(
        self,
        key: TypeForm[T] | Hashable,
        factory: Callable[..., Any],
        *,
        lifetime: Lifetime | None = None,
        **options: Unpack[ValueOptions],
    ) -> Override:
        """Replace the factory of *key* while the ``with`` block lasts.

        Overrides nest. They win over all registrations, also over local and later ones. Singletons
        made from the replaced service are set aside until the block ends. *key* may also be a
        callable that `Depends` names.

        Args:
            key: The key of the replaced service.
            factory: The callable that makes the service instead.
            lifetime: As in `register_factory`; left out, that of the replaced service.
            options: The other options of `register_factory`, except for ``eager``.

        Raises:
            InvalidRegistrationError: As in `register_factory`.
            InvalidLifetimeError: There is no such lifetime.
            UnresolvableParameterError: A required parameter has no annotation.
        """
        known: Any = check_key(key)
        replaced = self._registrations.recipes.get(known)
        if lifetime is None:
            is_kept = replaced is not None and not replaced.is_value
            lifetime = replaced.lifetime if replaced is not None and is_kept else "scoped"
        is_derived = known not in self._registrations.registered and is_derivable(known)
        recipe = recipe_for_factory(known, factory, is_derived, lifetime=lifetime, **options)
        return Override(self._registrations, recipe)

    def override_value(
        self, key: TypeForm[T] | Hashable, value: T, **options: Unpack[ValueOptions]
    ) -> Override:
        """Replace the service of *key* by an object while the ``with`` block lasts.

        Args:
            key: The key of the replaced service.
            value: The object.
            options: As in `register_value`.

        Raises:
            InvalidRegistrationError: As in `register_value`.
        """
        return Override(self._registrations, recipe_for_value(key, value, **options))

    def observe(self, observer: object) -> Callable[[], None]:
        """Tell *observer* from now on which services are made and cleaned up, and how long it took.

        A registry without observers pays nothing for this.

        >>> class Counter:
        ...     count = 0
        ...     def made(self, key, lifetime, duration):
        ...         self.count += 1
        >>> counter = Counter()
        >>> registry = Registry()
        >>> registry.register_factory(list, list)
        >>> stop = registry.observe(counter)
        >>> with registry.container() as container:
        ...     service = container.get(list)
        >>> counter.count
        1

        Args:
            observer: An object with some of the methods of `wares.observers.Observer`.

        Returns:
            A function that removes the observer.

        Raises:
            InvalidRegistrationError: The observer has none of these methods.
        """
        if not any(callable(getattr(observer, event, None)) for event in EVENTS):
            raise InvalidRegistrationError(
                f"An instance of {type(observer).__qualname__} observes nothing: it has no method "
                f"called {', '.join(EVENTS)}."
            )
        self._registrations.add_observer(observer)
        return functools.partial(self._registrations.remove_observer, observer)

    def _next_part(self, key: Any) -> Part:
        key = check_key(key)
        # A counter, so that two threads do not get the same number.
        return Part(key, "part", next(self._parts.setdefault(key, itertools.count(1))))
