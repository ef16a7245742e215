"""Recipes: how one service is made.

A recipe holds the key, the factory, the lifetime and the other options of a registration, and
reads what the factory needs. The checks of these options are here, too.
"""

from __future__ import annotations

import inspect
from _thread import TIMEOUT_MAX
from collections.abc import Awaitable, Callable, Hashable, Iterable, Sequence
from typing import Any, Literal, TypeAlias, TypedDict, get_args
from weakref import WeakValueDictionary

import attrs

from wares._core.annotations import Viewpoint, expand_alias
from wares._core.callables import Shape, describe_callable, read_shape, without_autowire
from wares._core.keys import MISSING, describe, is_hashable
from wares._core.marks import Need, is_derivable
from wares._core.results import may_be_none, read_entered, read_promise
from wares._core.signatures import Signature, check_parameters, read_signature
from wares.exceptions import (
    InvalidLifetimeError,
    InvalidRegistrationError,
    UnresolvableParameterError,
)

#: Which owner keeps a service: the registry, the outermost container, the container, or none.
Lifetime: TypeAlias = Literal["singleton", "connection", "scoped", "transient"]

LIFETIMES: tuple[str, ...] = get_args(Lifetime)

Ping: TypeAlias = Callable[[Any], object]

#: A callable that is called, or an awaitable that is awaited, when a registry closes.
OnRegistryClose: TypeAlias = Callable[[], object] | Awaitable[object]


class ValueOptions(TypedDict, total=False):
    """The options of `Registry.register_value`."""

    enter: bool
    ping: Ping | None
    ping_timeout: float | None
    tags: Iterable[str]
    on_registry_close: OnRegistryClose | None
    suppress_context_exit: bool


class FactoryOptions(ValueOptions, total=False):
    """The options of `Registry.register_factory`."""

    lifetime: Lifetime
    eager: bool


@attrs.frozen(eq=False)
class Recipe:
    """How the service of one key is made.

    Attributes:
        key: The key of the service.
        factory: The callable that makes the service; for a registered value, one that returns it.
        lifetime: Which owner keeps the service.
        enter: Whether a context manager that the factory returns is entered.
        ping: A callable that checks the service's health, if there is one.
        suppress_context_exit: Whether the exception of the request is hidden from the cleanup.
        value: The registered object, or `MISSING`.
        is_derived: Whether the factory is not registered, but named by a marker.
        ping_timeout: How long the ping may take, in seconds, if it has a limit of its own.
        tags: Groups that the service belongs to, for health checks and the graph.
        is_call: Whether the recipe stands for a call of an injected function.
        registry: For such a call, the registry that `inject` was given, if any.
        is_eager: Whether the service is made when the registry starts.
        on_registry_close: What is called or awaited when the registry closes, if there is such.
        composition: How the service consists of other services: ``"alias"``, ``"optional"``,
            ``"function"``, ``"mapping"``, ``"list"`` or ``"tuple"``; `None` if it does not.
        decorated: For a decorating service, the key of the decorated one, which the first parameter
            of the factory receives.
    """

    key: Hashable
    factory: Callable[..., Any]
    lifetime: Lifetime = "scoped"
    enter: bool = True
    ping: Ping | None = None
    suppress_context_exit: bool = False
    value: Any = attrs.field(default=MISSING, repr=False)
    is_derived: bool = False
    ping_timeout: float | None = None
    tags: tuple[str, ...] = ()
    is_call: bool = False
    registry: Any = None
    is_eager: bool = False
    on_registry_close: OnRegistryClose | None = None
    composition: str | None = None
    decorated: Hashable = None
    _signature: Signature | None = attrs.field(default=None, alias="signature")

    @property
    def is_value(self) -> bool:
        """Whether a ready-made object was registered."""
        return self.value is not MISSING

    @property
    def is_kept(self) -> bool:
        """Whether an owner keeps the service, so that it may not need shorter-lived ones."""
        return self.lifetime != "transient" and not self.is_derived

    @property
    def may_return_generator(self) -> bool:
        """Whether the factory wraps a generator function, and may return its generator."""
        return self._signature is not None and self._signature.may_return_generator

    @property
    def is_ready(self) -> bool:
        """Whether the service is a registered object that needs not be entered."""
        return self.value is not MISSING and not self.enter

    @property
    def shape(self) -> Shape:
        """What calling the factory returns."""
        if self._signature is not None:
            return self._signature.shape
        return read_shape(without_autowire(self.factory))

    def read(self, viewpoint: Viewpoint | None = None) -> tuple[Need, ...]:
        """Read what the factory needs; only once, because that is slow.

        Args:
            viewpoint: Where annotations are evaluated, besides the factory's own surroundings.

        Raises:
            UnresolvableParameterError: Nothing can fill a required parameter.
        """
        signature = self._signature
        if signature is None:
            signature = read_signature(
                self.factory, is_dependency=self.is_derived, viewpoint=viewpoint
            )
            if self.decorated is not None:
                needs = _pass_decorated(self, signature.needs)
                signature = attrs.evolve(signature, needs=needs)
            # The recipe is frozen. Two threads would store equal signatures.
            object.__setattr__(self, "_signature", signature)
        return signature.needs

    def describe_step(self) -> str:
        """Describe the service and where its factory is defined, in one line of a path."""
        if self.is_value:
            return f"{describe(self.key)}, a registered value"
        if self.composition == "alias":
            return f"{describe(self.key)}, registered as an alias"
        if self.composition is not None:
            return describe(self.key)
        if self.is_derived:
            dependency: Any = self.key
            return describe_callable(dependency)
        return (
            f"{describe(self.key)} ({self.lifetime}), made by {describe_callable(self.factory)}"
        )


def _pass_decorated(recipe: Recipe, needs: tuple[Need, ...]) -> tuple[Need, ...]:
    """Return the *needs* of a decorator, of which the first is that for the decorated service.

    Raises:
        UnresolvableParameterError: There is no first one.
    """
    if not needs:
        raise UnresolvableParameterError(
            "1",
            describe_callable(recipe.factory),
            "a decorator takes the decorated service as its first parameter.",
        )
    return (attrs.evolve(needs[0], key=recipe.decorated, is_marked=False), *needs[1:])


#: The recipes of callables that injected functions name, by the `id` of their keys, which the
#: recipes keep alive. They were read while the names around the injected function were known.
_dependencies: WeakValueDictionary[int, Recipe] = WeakValueDictionary()


def share_dependency(recipe: Recipe) -> Recipe:
    """Share *recipe* while it is in use, and return it, or the one that is shared already."""
    return _dependencies.setdefault(id(recipe.key), recipe)


def recipe_for_dependency(key: Any) -> Recipe | None:
    """Find or make the recipe of an unregistered callable; `None` if *key* cannot be called."""
    shared = _dependencies.get(id(key))
    if shared is not None or not is_derivable(key):
        return shared
    return Recipe(key, key, is_derived=True)


def cannot_fill(
    need: Need, recipe: Recipe, names: Iterable[str], steps: Sequence[str]
) -> UnresolvableParameterError:
    """Return the error for a dependency's parameter that no argument and no service fills."""
    asked = f"nothing is registered for {describe(need.key)}"
    if need.key is MISSING:
        asked = "it has neither an annotation nor a default"
    passed = ", ".join(names)
    called = f"the call has only {passed}" if passed else "the call has no arguments to take"
    path = "".join(f"\n  {step}" for step in steps)
    return UnresolvableParameterError(
        need.name,
        describe_callable(recipe.factory),
        f"{asked}, and no argument of the call has this name: {called}. Pass "
        f"{need.name}=..., mark the parameter with Depends(...), or give it a default. It was "
        f"needed on this path:{path}",
    )


def recipe_for_factory(
    key: Any,
    factory: Callable[..., Any],
    is_derived: bool = False,
    /,
    *,
    lifetime: Lifetime = "scoped",
    enter: bool = True,
    ping: Ping | None = None,
    suppress_context_exit: bool = False,
    ping_timeout: float | None = None,
    tags: Iterable[str] = (),
    eager: bool = False,
    on_registry_close: OnRegistryClose | None = None,
) -> Recipe:
    """Make the recipe of a registered factory, or of an override of an unregistered callable.

    Raises:
        InvalidRegistrationError: The key is not hashable, the factory, ping or callback not
            callable, the timeout no positive number, the tags not strings, or an eager service no
            singleton.
        InvalidLifetimeError: There is no such lifetime.
        UnresolvableParameterError: A required parameter has no annotation.
    """
    key = check_key(key)
    _check_factory(key, factory)
    _check_lifetime(key, lifetime, eager=eager)
    _check_ping(key, ping, ping_timeout)
    _check_callback(key, on_registry_close)
    if not is_derived:
        check_parameters(factory)
    return Recipe(
        key,
        factory,
        lifetime,
        enter,
        ping,
        suppress_context_exit,
        is_derived=is_derived,
        ping_timeout=ping_timeout,
        tags=_read_tags(key, tags),
        is_eager=eager,
        on_registry_close=on_registry_close,
    )


def recipe_for_value(
    key: Any,
    value: object,
    *,
    enter: bool = False,
    ping: Ping | None = None,
    suppress_context_exit: bool = False,
    ping_timeout: float | None = None,
    tags: Iterable[str] = (),
    on_registry_close: OnRegistryClose | None = None,
) -> Recipe:
    """Make the recipe of a registered object.

    Raises:
        InvalidRegistrationError: The key is not hashable, the ping or callback not callable, the
            timeout no positive number, the tags not strings, the value a class instead of an
            instance, or an entered value no context manager.
    """
    key = check_key(key)
    _check_value(key, value)
    _check_ping(key, ping, ping_timeout)
    _check_callback(key, on_registry_close)
    if enter and not is_context_manager(type(value)):
        raise InvalidRegistrationError(
            f"The value of {describe(key)} has enter=True, but its class, "
            f"{type(value).__qualname__}, is no context manager. Leave out enter=True, or register "
            f"a factory."
        )
    return Recipe(
        key,
        lambda: value,
        "scoped",
        enter,
        ping,
        suppress_context_exit,
        value,
        ping_timeout=ping_timeout,
        tags=_read_tags(key, tags),
        on_registry_close=on_registry_close,
        signature=Signature(),
    )


def recipe_for_call(
    function: Callable[..., Any], needs: tuple[Need, ...], registry: Any = None
) -> Recipe:
    """Make the recipe that stands for a call of an injected function, with its needs."""
    return Recipe(
        function,
        function,
        "transient",
        is_derived=True,
        is_call=True,
        registry=registry,
        signature=Signature(needs),
    )


def is_plain(recipe: Recipe) -> bool:
    """Return whether the product of a factory is certainly the service, with nothing to enter."""
    if recipe.composition:
        return True
    factory: Any = without_autowire(recipe.factory)
    if not isinstance(factory, type):
        return False
    is_entered = recipe.enter and is_context_manager(factory)
    return _makes_own_objects(factory) and not hasattr(factory, "__await__") and not is_entered


def promise_of(recipe: Recipe) -> Any:
    """Return the type of the service that a factory's annotations promise, or `MISSING`."""
    if recipe.is_value or recipe.composition:
        return MISSING
    promise = read_promise(recipe.factory)
    return read_entered(promise) if recipe.enter else promise


def never_returns_none(recipe: Recipe) -> bool:
    """Return whether a factory is annotated not to return `None`, but may do so by mistake."""
    if is_plain(recipe):
        return False
    promise = promise_of(recipe)
    return promise is not MISSING and not may_be_none(promise)


def is_context_manager(kind: type) -> bool:
    """Return whether objects of the class *kind* can be entered, with or without ``await``."""
    return is_sync_context_manager(kind) or is_async_context_manager(kind)


def is_sync_context_manager(kind: type) -> bool:
    """Return whether objects of the class *kind* work with ``with``."""
    return _has(kind, "__enter__") and _has(kind, "__exit__")


def is_async_context_manager(kind: type) -> bool:
    """Return whether objects of the class *kind* work with ``async with``."""
    return _has(kind, "__aenter__") and _has(kind, "__aexit__")


def _has(kind: type, name: str) -> bool:
    """Return whether a class has a method; by convention, `None` means that it has not."""
    return getattr(kind, name, None) is not None


def check_key(key: Any) -> Any:
    """Return *key*, or the value of a PEP 695 alias.

    Raises:
        InvalidRegistrationError: The key is not hashable.
    """
    if not is_hashable(key):
        raise InvalidRegistrationError(
            f"A key must be hashable, and an instance of {type(key).__qualname__} is not. "
            f"Use a type, Annotated[T, 'name'], a NewType or a string."
        )
    return expand_alias(key)


def _check_factory(key: Hashable, factory: Any) -> None:
    target = without_autowire(factory)
    if isinstance(target, type) and is_abstract(target):
        raise InvalidRegistrationError(
            f"{describe(target)} is abstract, so it cannot be the factory of {describe(key)}. "
            f"Register a class that implements it: register_factory({describe(key)}, ...)"
        )
    if not callable(factory):
        raise InvalidRegistrationError(
            f"The factory of {describe(key)} is not callable: it is an instance of "
            f"{type(factory).__qualname__}. Register a function or a class that makes the service, "
            f"or pass the object itself to register_value or override_value."
        )


def _check_value(key: Hashable, value: Any) -> None:
    # With `type`, because a mock of a class claims to be a class.
    kind = type(value)
    if not (isinstance(key, type) and issubclass(kind, type)) or issubclass(kind, key):
        return
    if key in value.__mro__:
        raise InvalidRegistrationError(
            f"The value of {describe(key)} is the class {describe(value)}, not an instance of it. "
            f"Pass an instance, or register the class as a factory, so that it is called: "
            f"register_factory({describe(key)}, {describe(value)}), or override_factory."
        )


def _check_lifetime(key: Hashable, lifetime: object, *, eager: bool) -> None:
    if lifetime not in LIFETIMES:
        raise InvalidLifetimeError(
            f"The lifetime {lifetime!r} of {describe(key)} does not exist. "
            f"Use one of {', '.join(map(repr, LIFETIMES))}."
        )
    if eager and lifetime != "singleton":
        raise InvalidRegistrationError(
            f"{describe(key)} cannot be eager: only singletons are made at the start, and its "
            f"lifetime is {lifetime!r}. Add lifetime='singleton', or leave out eager=True."
        )


def _check_ping(key: Hashable, ping: object, timeout: object) -> None:
    if ping is not None and not callable(ping):
        raise InvalidRegistrationError(
            f"The ping of {describe(key)} is not callable: it is an instance of "
            f"{type(ping).__qualname__}. Pass a callable that takes the service, "
            f"and raises an exception if the service does not work."
        )
    if timeout is None:
        return
    if ping is None:
        raise InvalidRegistrationError(
            f"{describe(key)} has a ping_timeout and no ping. Pass a ping as well, or leave out "
            f"the timeout."
        )
    if not is_positive_number(timeout):
        raise InvalidRegistrationError(
            f"The ping_timeout of {describe(key)} must be a positive number of seconds, "
            f"not {timeout!r}"
        )


def is_abstract(kind: type) -> bool:
    """Return whether a class certainly cannot be called."""
    is_declared = getattr(kind, "_is_protocol", False) or inspect.isabstract(kind)
    return is_declared and _makes_own_objects(kind)


def _makes_own_objects(kind: Any) -> bool:
    """Return whether calling a class certainly makes an object of this class."""
    metaclass: Any = type(kind)
    return kind.__new__ is object.__new__ and metaclass.__call__ is type.__call__


def is_positive_number(number: object) -> bool:
    """Return whether *number* may be a number of seconds."""
    if isinstance(number, bool) or not isinstance(number, int | float):
        return False
    return 0 < number <= TIMEOUT_MAX


def _read_tags(key: Hashable, tags: Iterable[str]) -> tuple[str, ...]:
    if not tags:
        return ()
    # A string is an iterable of strings, but nearly always a mistake.
    if isinstance(tags, str) or not isinstance(tags, Iterable):
        raise InvalidRegistrationError(
            f"The tags of {describe(key)} are an instance of {type(tags).__qualname__}. "
            f'Write them as a list: tags=["ready"]'
        )
    read = tuple(dict.fromkeys(tags))
    if not all(isinstance(tag, str) for tag in read):
        raise InvalidRegistrationError(f"The tags of {describe(key)} must be strings.")
    return read


def _check_callback(key: Hashable, callback: object) -> None:
    if callback is None or callable(callback) or inspect.isawaitable(callback):
        return
    raise InvalidRegistrationError(
        f"The on_registry_close of {describe(key)} is neither callable nor awaitable: it is an "
        f"instance of {type(callback).__qualname__}. Give a callable without parameters."
    )
