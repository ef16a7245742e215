"""How one thing is made.

This module knows a recipe: the key, the factory, the lifetime, what the factory needs. It must
not know where recipes are kept, nor who makes something from them.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, Literal, TypeAlias, get_args

import attrs

from wares._annotations import FindName
from wares._keys import MISSING, describe, is_hashable
from wares._signatures import (
    Autowired,
    Shape,
    Signature,
    check_parameters,
    describe_callable,
    read_shape,
    read_signature,
)
from wares.exceptions import InvalidLifetimeError, InvalidRegistrationError

#: Which owner keeps a made service: the registry, the outermost container, the container, nobody.
Lifetime: TypeAlias = Literal["singleton", "connection", "scoped", "transient"]

LIFETIMES: tuple[str, ...] = get_args(Lifetime)

Ping: TypeAlias = Callable[[Any], object]


@attrs.frozen(eq=False)
class Recipe:
    """How the service of one key is made.

    Attributes:
        key: What the service is asked for by.
        factory: What makes it; for a registered value, what gives it.
        lifetime: Which owner keeps it.
        enter: Whether a context manager that the factory gives is entered.
        ping: What checks the service's health.
        suppress_context_exit: Whether the exception of the request is kept from its cleanup.
        value: The registered object, or `MISSING`.
        is_derived: Whether nobody registered it: a callable that a marker named.
    """

    key: Hashable
    factory: Callable[..., Any]
    lifetime: Lifetime = "scoped"
    enter: bool = True
    ping: Ping | None = None
    suppress_context_exit: bool = False
    value: Any = MISSING
    is_derived: bool = False
    _signature: Signature | None = attrs.field(default=None, init=False)

    @property
    def is_value(self) -> bool:
        """Whether a ready-made object was registered."""
        return self.value is not MISSING

    @property
    def is_ready(self) -> bool:
        """Whether there is nothing to do but hand the object out."""
        return self.value is not MISSING and not self.enter

    @property
    def shape(self) -> Shape:
        """What calling the factory leads to."""
        target = self.factory.factory if isinstance(self.factory, Autowired) else self.factory
        return Shape.PLAIN if self.is_value else read_shape(target)

    def read(self, container: type, find_name: FindName) -> Signature:
        """Read what the factory needs; once, because reading is slow.

        Raises:
            UnresolvableParameterError: A required parameter that nothing can fill.
        """
        signature = self._signature
        if signature is None:
            signature = (
                Signature((), Shape.PLAIN, may_return_generator=False)
                if self.is_value
                else read_signature(self.factory, container, find_name)
            )
            # Frozen for all but this: a memo that two threads may write alike.
            object.__setattr__(self, "_signature", signature)
        return signature

    def describe_step(self) -> str:
        """Tell which service this makes and where its factory is defined."""
        if self.is_value:
            return f"{describe(self.key)}, a registered value"
        return f"{describe(self.key)} ({self.lifetime}), made by {describe_callable(self.factory)}"


def recipe_for_factory(
    key: Hashable,
    factory: Callable[..., Any],
    *,
    lifetime: Lifetime,
    enter: bool,
    ping: Ping | None,
    suppress_context_exit: bool,
) -> Recipe:
    """Make the recipe of a registered factory.

    Raises:
        InvalidRegistrationError: The key is not hashable, the factory or ping not callable.
        InvalidLifetimeError: There is no such lifetime.
        UnresolvableParameterError: A required parameter has no annotation.
    """
    _check_key(key)
    if not callable(factory):
        message = (
            f"The factory of {describe(key)} is not callable: it is an instance of "
            f"{type(factory).__qualname__}. Register a function or a class that makes the service, "
            f"or register the object itself: register_value({describe(key)}, ...)"
        )
        raise InvalidRegistrationError(message)
    if lifetime not in LIFETIMES:
        message = (
            f"The lifetime {lifetime!r} of {describe(key)} does not exist. "
            f"Use one of {', '.join(map(repr, LIFETIMES))}."
        )
        raise InvalidLifetimeError(message)
    _check_ping(key, ping)
    check_parameters(factory)
    return Recipe(key, factory, lifetime, enter, ping, suppress_context_exit)


def recipe_for_value(
    key: Hashable,
    value: object,
    *,
    enter: bool,
    ping: Ping | None,
    suppress_context_exit: bool,
) -> Recipe:
    """Make the recipe of a registered object.

    Raises:
        InvalidRegistrationError: The key is not hashable, the ping not callable, or the value is
            to be entered and cannot be.
    """
    _check_key(key)
    _check_ping(key, ping)
    if enter and not is_context_manager(type(value)):
        message = (
            f"The value of {describe(key)} is to be entered, but its class, "
            f"{type(value).__qualname__}, is no context manager. Leave out enter=True, or register "
            f"a factory."
        )
        raise InvalidRegistrationError(message)
    return Recipe(key, lambda: value, "scoped", enter, ping, suppress_context_exit, value)


def is_context_manager(kind: type) -> bool:
    """Tell whether objects of the class *kind* can be entered, with or without ``await``."""
    return is_sync_context_manager(kind) or is_async_context_manager(kind)


def is_sync_context_manager(kind: type) -> bool:
    """Tell whether objects of the class *kind* work with ``with``."""
    return hasattr(kind, "__enter__") and hasattr(kind, "__exit__")


def is_async_context_manager(kind: type) -> bool:
    """Tell whether objects of the class *kind* work with ``async with``."""
    return hasattr(kind, "__aenter__") and hasattr(kind, "__aexit__")


def _check_key(key: object) -> None:
    if not is_hashable(key):
        message = (
            f"A key must be hashable, and an instance of {type(key).__qualname__} is not. "
            f"Use a type, Annotated[T, 'name'], a NewType or a string."
        )
        raise InvalidRegistrationError(message)


def _check_ping(key: Hashable, ping: object) -> None:
    if ping is not None and not callable(ping):
        message = (
            f"The ping of {describe(key)} is not callable: it is an instance of "
            f"{type(ping).__qualname__}. Give a callable that takes the service and raises if it is "
            f"not well."
        )
        raise InvalidRegistrationError(message)
