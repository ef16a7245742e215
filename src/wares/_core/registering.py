"""How services are registered: what `Registry` offers for it."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Hashable, Iterable, Iterator
from typing import Any

from typing_extensions import TypeForm, TypeVar, Unpack

from wares._core.annotations import expand_alias
from wares._core.cleanups import RegistryCleanups, leave_callback
from wares._core.compositions import (
    FactoryOptions,
    Part,
    ValueOptions,
    bind_types,
    check_generic,
    recipe_for_alias,
    recipes_for_decoration,
)
from wares._core.keys import describe
from wares._core.marks import is_derivable
from wares._core.observation import EVENTS
from wares._core.recipes import (
    Lifetime,
    Ping,
    Recipe,
    check_callback,
    check_key,
    recipe_for_factory,
    recipe_for_value,
)
from wares._core.registrations import Override, Registrations
from wares.exceptions import InvalidRegistrationError

T = TypeVar("T")

#: What runs when a registry closes: a callable, or an awaitable that is there already.
OnRegistryClose = Callable[[], object] | Awaitable[object]


class Registering:
    """Registers services, and lets tests override them."""

    def __init__(self) -> None:
        self._known = Registrations(self)
        self._callbacks = RegistryCleanups()
        self._parts: dict[Hashable, int] = {}
        self._decorations = 0

    def __contains__(self, key: object) -> bool:
        """Tell whether something is registered under *key*."""
        return expand_alias(key) in self._known.recipes

    def __iter__(self) -> Iterator[Hashable]:
        """Go through the keys in the order of their registration."""
        return iter(list(self._known.recipes))

    def __bool__(self) -> bool:
        """Be true, also where nothing is registered."""
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

        A factory may be any callable. Its required parameters are filled by their annotations, a
        first parameter named ``wares_container`` with the container. What it yields, or a context
        manager that it returns, is cleaned up when the owner of the service closes.

        Args:
            svc_type: What the service is asked for by: a type, or anything hashable.
            factory: What makes it.
            lifetime: Which owner keeps it: ``"scoped"``, each container its own;
                ``"connection"``, the outermost of a chain of containers; ``"singleton"``, the
                registry; ``"transient"``, no owner: a new one is made each time.
            enter: Whether a context manager that the factory returns is entered.
            ping: What checks the service's health: it takes the service and raises if it is not
                well.
            ping_timeout: How many seconds the ping may take, if not as many as others.
            tags: Groups that the service belongs to, as ``"live"`` or ``"ready"``: a health check
                can be of one group only.
            eager: Whether a singleton is made when the registry starts; see `Registry.start`.
            on_registry_close: What is called when the registry closes; an awaitable that it
                returns is awaited.
            suppress_context_exit: Whether an exception under way is kept from the cleanup.

        Raises:
            InvalidRegistrationError: The key is not hashable, the factory or the ping not
                callable, or what is eager is no singleton.
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
        )
        self._register(recipe, on_registry_close)

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
            svc_type: What the service is asked for by: a type, or anything hashable.
            value: The object.
            enter: Whether each container enters it as a context manager.
            ping: What checks the service's health: it takes the service and raises if it is not
                well.
            ping_timeout: How many seconds the ping may take, if not as many as others.
            tags: Groups that the service belongs to, as ``"live"`` or ``"ready"``: a health check
                can be of one group only.
            on_registry_close: What is called when the registry closes; an awaitable that it
                returns is awaited.
            suppress_context_exit: Whether an exception under way is kept from the exit.

        Raises:
            InvalidRegistrationError: The key is not hashable, the ping not callable, or the value
                is to be entered and is no context manager.
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
        )
        self._register(recipe, on_registry_close)

    def register_alias(
        self, key: TypeForm[T] | Hashable, target: TypeForm[Any] | Hashable
    ) -> None:
        """Let *key* give the service of *target*: the same object, kept by the same owner.

        >>> registry = Registry()
        >>> registry.register_value(int, 5)
        >>> registry.register_alias(float, int)
        >>> with registry.container() as container:
        ...     container.get(float)
        5

        Args:
            key: What is asked for.
            target: What is given.

        Raises:
            InvalidRegistrationError: A key is not hashable, or both are the same.
            RegistryClosedError: The registry is closed.
        """
        self._register(recipe_for_alias(key, target), None)

    def add_factory(
        self,
        key: TypeForm[T] | Hashable,
        factory: Callable[..., Any],
        **options: Unpack[FactoryOptions],
    ) -> None:
        """Register one of several services of *key*; all are asked for as ``list[key]``.

        >>> registry = Registry()
        >>> registry.add_factory(str, lambda: "first")
        >>> registry.add_value(str, "second")
        >>> with registry.container() as container:
        ...     container.get(list[str])
        ['first', 'second']

        Args:
            key: What the services have in common.
            factory: What makes one of them.
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
            key: What the services have in common.
            value: One of them.
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
        brackets, as a tuple. What is registered under one ``key[...]`` by itself wins.

        >>> registry = Registry()
        >>> registry.register_generic(set, lambda wares_types=(): {wares_types})
        >>> with registry.container() as container:
        ...     container.get(set[int])
        {(<class 'int'>,)}

        Args:
            key: The class, without brackets.
            factory: What makes the services.
            options: As in `register_factory`. What is to be called when the registry closes is
                called for each ``key[...]`` that was made.

        Raises:
            InvalidRegistrationError: As in `register_factory`, or the class is not generic.
            InvalidLifetimeError: There is no such lifetime.
            UnresolvableParameterError: A required parameter has no annotation.
            RegistryClosedError: The registry is closed.
        """
        self._known.check_open()
        if not hasattr(key, "__class_getitem__"):
            raise InvalidRegistrationError(
                f"{describe(key)} is not generic. Use register_factory, or name a generic class."
            )
        check_generic(key, factory, options)

        def register(full_key: Hashable, types: tuple[Any, ...]) -> None:
            self.register_factory(full_key, bind_types(factory, types), **options)

        self._known.generics[key] = register
        self._known.change()

    def decorate(self, key: TypeForm[T] | Hashable, decorator: Callable[..., Any]) -> None:
        """Put *decorator* around what is registered under *key*.

        Its first parameter receives the service as it was; the others are filled as those of a
        factory. The result has the lifetime, the ping and the tags of what it decorates, whose
        cleanup stays. It is not entered itself, but it may yield, and clean up so.

        >>> registry = Registry()
        >>> registry.register_factory(str, lambda: "service")
        >>> def praise(service: str) -> str:
        ...     return f"good {service}"
        >>> registry.decorate(str, praise)
        >>> with registry.container() as container:
        ...     container.get(str)
        'good service'

        Args:
            key: What is decorated.
            decorator: What makes the service from the one before.

        Raises:
            ServiceNotFoundError: Nothing is registered under *key*.
            InvalidRegistrationError: The decorator is not callable.
            UnresolvableParameterError: A required parameter has no annotation.
            RegistryClosedError: The registry is closed.
        """
        self._known.check_open()
        recipe = self._known.get_registered(check_key(key))
        self._decorations += 1
        for part in recipes_for_decoration(recipe, decorator, self._decorations):
            self._register(part, None)

    def expect(self, *keys: Hashable) -> None:
        """Announce *keys* that each container is given when it is opened, as a request is.

        `validate` then takes them for registered.

        Args:
            keys: What containers are given.

        Raises:
            InvalidRegistrationError: A key is not hashable.
        """
        self._known.expected.update(dict.fromkeys(map(check_key, keys)))
        self._known.change()

    def override_factory(
        self,
        key: TypeForm[T] | Hashable,
        factory: Callable[..., Any],
        *,
        lifetime: Lifetime | None = None,
        enter: bool = True,
        ping: Ping | None = None,
        ping_timeout: float | None = None,
        tags: Iterable[str] = (),
        on_registry_close: OnRegistryClose | None = None,
        suppress_context_exit: bool = False,
    ) -> Override:
        """Put another factory in the place of *key*'s while the ``with`` block lasts.

        Overrides nest. They win over registrations, local and later ones too, and singletons made
        from what they replace are set aside until the block ends. *key* may also be a callable
        that `Depends` names.

        Args:
            key: What is replaced.
            factory: What makes the service instead.
            lifetime: As in `register_factory`; left out, it is that of what is replaced.
            enter: As in `register_factory`.
            ping: As in `register_factory`.
            ping_timeout: As in `register_factory`.
            tags: As in `register_factory`.
            on_registry_close: As in `register_factory`.
            suppress_context_exit: As in `register_factory`.
        """
        known: Any = check_key(key)
        replaced = self._known.recipes.get(known)
        if lifetime is None:
            is_kept = replaced is not None and not replaced.is_value
            lifetime = replaced.lifetime if replaced is not None and is_kept else "scoped"
        recipe = recipe_for_factory(
            known,
            factory,
            lifetime=lifetime,
            enter=enter,
            ping=ping,
            suppress_context_exit=suppress_context_exit,
            ping_timeout=ping_timeout,
            tags=tags,
            is_derived=known not in self._known.registered and is_derivable(known),
        )
        return self._override(recipe, on_registry_close)

    def override_value(
        self,
        key: TypeForm[T] | Hashable,
        value: T,
        *,
        enter: bool = False,
        ping: Ping | None = None,
        ping_timeout: float | None = None,
        tags: Iterable[str] = (),
        on_registry_close: OnRegistryClose | None = None,
        suppress_context_exit: bool = False,
    ) -> Override:
        """Put an object in the place of *key*'s service while the ``with`` block lasts.

        Args:
            key: What is replaced.
            value: The object that replaces it.
            enter: As in `register_value`.
            ping: As in `register_value`.
            ping_timeout: As in `register_value`.
            tags: As in `register_value`.
            on_registry_close: As in `register_value`.
            suppress_context_exit: As in `register_value`.
        """
        recipe = recipe_for_value(
            key,
            value,
            enter=enter,
            ping=ping,
            suppress_context_exit=suppress_context_exit,
            ping_timeout=ping_timeout,
            tags=tags,
        )
        return self._override(recipe, on_registry_close)

    def observe(self, observer: object) -> Callable[[], None]:
        """Tell *observer* what is made and cleaned up from now on, and how long it took.

        Nothing is paid for it while there is none.

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
            A function that ends it.

        Raises:
            InvalidRegistrationError: It has none of these methods.
        """
        if not any(callable(getattr(observer, event, None)) for event in EVENTS):
            raise InvalidRegistrationError(
                f"An instance of {type(observer).__qualname__} observes nothing: it has no method "
                f"called {', '.join(EVENTS)}."
            )
        known = self._known
        known.observers = (*known.observers, observer)
        known.change()

        def stop() -> None:
            known.observers = tuple(one for one in known.observers if one is not observer)
            known.change()

        return stop

    def _next_part(self, key: Any) -> Part:
        key = check_key(key)
        number = self._parts[key] = self._parts.get(key, 0) + 1
        return Part(key, "part", number)

    def _register(self, recipe: Recipe, on_close: OnRegistryClose | None) -> None:
        self._known.check_open()
        self._note_callback(recipe, on_close)
        self._known.put(recipe)

    def _override(self, recipe: Recipe, on_close: OnRegistryClose | None) -> Override:
        check_callback(recipe.key, on_close)
        return Override(
            self._known, recipe, functools.partial(self._note_callback, recipe, on_close)
        )

    def _note_callback(self, recipe: Recipe, on_close: OnRegistryClose | None) -> None:
        check_callback(recipe.key, on_close)
        if on_close is not None:
            self._callbacks.must_await = True
            self._callbacks.append((leave_callback, on_close, recipe))
