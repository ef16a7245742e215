"""How one thing is made.

This module knows a recipe: the key, the factory, the lifetime, what the factory needs.
"""

from __future__ import annotations

import inspect
from _thread import TIMEOUT_MAX
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Any, ClassVar, Literal, TypeAlias, get_args
from weakref import WeakValueDictionary

import attrs

from wares._core.annotations import Viewpoint, expand_alias
from wares._core.callables import Shape, describe_callable, read_shape, without_autowire
from wares._core.keys import MISSING, describe, is_hashable
from wares._core.marks import is_derivable
from wares._core.results import entered, may_be_none, returns
from wares._core.signatures import Need, Signature, check_parameters, read_signature
from wares.exceptions import (
    InvalidLifetimeError,
    InvalidRegistrationError,
    UnresolvableParameterError,
)

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
        ping_timeout: How long the ping may take, in seconds, if it has a limit of its own.
        tags: Groups that the service belongs to, for health checks and the graph.
        is_call: Whether this stands for a call of a function that `inject` has decorated.
        is_eager: Whether it is made when the registry starts.
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
    is_eager: bool = False
    _signature: Signature | None = attrs.field(default=None, init=False)

    @property
    def is_value(self) -> bool:
        """Whether a ready-made object was registered."""
        return self.value is not MISSING

    #: Whether it gives what is asked for elsewhere, as it is.
    is_composed: ClassVar[bool] = False

    @property
    def is_kept(self) -> bool:
        """Whether some owner keeps the service, so that it may not need what ends earlier."""
        return self.lifetime != "transient" and not self.is_derived

    @property
    def may_return_generator(self) -> bool:
        """Whether a generator that the factory returns is its own ``yield``."""
        return self._signature is not None and self._signature.may_return_generator

    @property
    def is_ready(self) -> bool:
        """Whether there is nothing to do but hand the object out."""
        return self.value is not MISSING and not self.enter

    @property
    def shape(self) -> Shape:
        """What calling the factory leads to."""
        if self._signature is not None:
            return self._signature.shape
        return Shape.PLAIN if self.is_value else read_shape(without_autowire(self.factory))

    def read(self, container: type, viewpoint: Viewpoint | None = None) -> Signature:
        """Read what the factory needs; once, because reading is slow.

        Args:
            container: The class whose annotation asks for the container.
            viewpoint: From where annotations are read.

        Raises:
            UnresolvableParameterError: A required parameter that nothing can fill.
        """
        signature = self._signature
        if signature is None:
            signature = (
                Signature((), Shape.PLAIN, may_return_generator=False)
                if self.is_value
                else read_signature(
                    self.factory,
                    container,
                    is_dependency=self.is_derived,
                    viewpoint=viewpoint,
                )
            )
            _remember(self, signature)
        return signature

    def describe_step(self) -> str:
        """Tell which service this makes and where its factory is defined."""
        if self.is_value:
            return f"{describe(self.key)}, a registered value"
        if self.is_derived:
            dependency: Any = self.key
            return describe_callable(dependency)
        return (
            f"{describe(self.key)} ({self.lifetime}), made by {describe_callable(self.factory)}"
        )


def _remember(recipe: Recipe, signature: Signature) -> None:
    """Remember what a recipe needs: it is frozen for all but this, which threads write alike."""
    object.__setattr__(recipe, "_signature", signature)


def recipe_for_dependency(key: Hashable) -> Recipe | None:
    """Make the recipe of a callable that nobody registered, or `None` if it is no callable."""
    if not is_derivable(key):
        return None
    factory: Any = key
    return Recipe(key, factory, is_derived=True)


#: The recipes of callables that injected functions name, by the identity of their keys, which
#: they keep alive. They were read where the names around the function were known.
_dependencies: WeakValueDictionary[int, Recipe] = WeakValueDictionary()


def share_dependency(recipe: Recipe) -> Recipe:
    """Let others find *recipe* while it is in use; give the one that is shared already."""
    return _dependencies.setdefault(id(recipe.key), recipe)


def find_dependency(key: Hashable) -> Recipe | None:
    """Find the recipe of a callable that an injected function has read already."""
    return _dependencies.get(id(key))


def cannot_fill(
    need: Need, recipe: Recipe, names: Iterable[str], steps: Sequence[str]
) -> UnresolvableParameterError:
    """Make the error for a dependency's parameter that neither a call nor a service fills."""
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
    *,
    lifetime: Lifetime = "scoped",
    enter: bool = True,
    ping: Ping | None = None,
    suppress_context_exit: bool = False,
    ping_timeout: float | None = None,
    tags: Iterable[str] = (),
    is_derived: bool = False,
    eager: bool = False,
) -> Recipe:
    """Make the recipe of a registered factory, or of one for a callable that markers name.

    Raises:
        InvalidRegistrationError: The key is not hashable, the factory or ping not callable, the
            timeout no positive number, the tags not strings, or what is eager is no singleton.
        InvalidLifetimeError: There is no such lifetime.
        UnresolvableParameterError: A required parameter has no annotation.
    """
    key = check_key(key)
    _check_factory(key, factory)
    _check_lifetime(key, lifetime, eager=eager)
    _check_ping(key, ping, ping_timeout)
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
    )


def recipe_for_value(
    key: Any,
    value: object,
    *,
    enter: bool,
    ping: Ping | None,
    suppress_context_exit: bool,
    ping_timeout: float | None = None,
    tags: Iterable[str] = (),
) -> Recipe:
    """Make the recipe of a registered object.

    Raises:
        InvalidRegistrationError: The key is not hashable, the ping not callable, its timeout no
            positive number, the tags not strings, or the value is to be entered and cannot be.
    """
    key = check_key(key)
    _check_ping(key, ping, ping_timeout)
    if enter and not is_context_manager(type(value)):
        message = (
            f"The value of {describe(key)} has enter=True, but its class, "
            f"{type(value).__qualname__}, is no context manager. Leave out enter=True, or register "
            f"a factory."
        )
        raise InvalidRegistrationError(message)
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
    )


def recipe_for_call(function: Callable[..., Any], needs: tuple[Need, ...]) -> Recipe:
    """Make the recipe that stands for a call of *function*, and for what the call needs."""
    recipe = Recipe(function, function, "transient", is_derived=True, is_call=True)
    _remember(recipe, Signature(needs, Shape.PLAIN, may_return_generator=False))
    return recipe


def is_plain(recipe: Recipe) -> bool:
    """Tell whether the product of a factory is surely the service itself, as it is."""
    if recipe.is_composed:
        return True
    factory: Any = without_autowire(recipe.factory)
    if not isinstance(factory, type):
        return False
    metaclass: Any = type(factory)
    constructor: Any = factory.__new__
    return (
        metaclass.__call__ is type.__call__
        and constructor is object.__new__
        and not hasattr(factory, "__await__")
        and not (recipe.enter and is_context_manager(factory))
    )


def promise_of(recipe: Recipe) -> Any:
    """Tell what the annotations of a factory promise, once it is entered, or `MISSING`."""
    if recipe.is_value or recipe.is_composed:
        return MISSING
    promise = returns(recipe.factory)
    return entered(promise) if recipe.enter else promise


def never_returns_none(recipe: Recipe) -> bool:
    """Tell whether a factory is annotated to give something else than `None`, but still may."""
    if is_plain(recipe):
        return False
    promise = promise_of(recipe)
    return promise is not MISSING and not may_be_none(promise)


def is_context_manager(kind: type) -> bool:
    """Tell whether objects of the class *kind* can be entered, with or without ``await``."""
    return is_sync_context_manager(kind) or is_async_context_manager(kind)


def is_sync_context_manager(kind: type) -> bool:
    """Tell whether objects of the class *kind* work with ``with``."""
    return _has(kind, "__enter__") and _has(kind, "__exit__")


def is_async_context_manager(kind: type) -> bool:
    """Tell whether objects of the class *kind* work with ``async with``."""
    return _has(kind, "__aenter__") and _has(kind, "__aexit__")


def _has(kind: type, name: str) -> bool:
    """Tell whether a class has a method; by convention, `None` says that it has not."""
    return getattr(kind, name, None) is not None


def check_key(key: Any) -> Any:
    """Refuse a *key* that is none; give what it stands for, if it is an alias of PEP 695.

    Raises:
        InvalidRegistrationError: It is not hashable.
    """
    if not is_hashable(key):
        message = (
            f"A key must be hashable, and an instance of {type(key).__qualname__} is not. "
            f"Use a type, Annotated[T, 'name'], a NewType or a string."
        )
        raise InvalidRegistrationError(message)
    return expand_alias(key)


def _check_factory(key: Hashable, factory: Any) -> None:
    target = without_autowire(factory)
    if isinstance(target, type) and is_abstract(target):
        message = (
            f"{describe(target)} is abstract, so it cannot be the factory of {describe(key)}. "
            f"Register a class that implements it: register_factory({describe(key)}, ...)"
        )
        raise InvalidRegistrationError(message)
    if not callable(factory):
        message = (
            f"The factory of {describe(key)} is not callable: it is an instance of "
            f"{type(factory).__qualname__}. Register a function or a class that makes the service, "
            f"or pass the object itself to register_value or override_value."
        )
        raise InvalidRegistrationError(message)


def _check_lifetime(key: Hashable, lifetime: object, *, eager: bool) -> None:
    if lifetime not in LIFETIMES:
        message = (
            f"The lifetime {lifetime!r} of {describe(key)} does not exist. "
            f"Use one of {', '.join(map(repr, LIFETIMES))}."
        )
        raise InvalidLifetimeError(message)
    if eager and lifetime != "singleton":
        message = (
            f"{describe(key)} cannot be eager: only singletons are made at the start, and its "
            f"lifetime is {lifetime!r}. Add lifetime='singleton', or leave out eager=True."
        )
        raise InvalidRegistrationError(message)


def _check_ping(key: Hashable, ping: object, timeout: object) -> None:
    if timeout is not None:
        _check_timeout(key, ping, timeout)
    if ping is not None and not callable(ping):
        message = (
            f"The ping of {describe(key)} is not callable: it is an instance of "
            f"{type(ping).__qualname__}. Pass a callable that takes the service, "
            f"and raises an exception if the service does not work."
        )
        raise InvalidRegistrationError(message)


def _check_timeout(key: Hashable, ping: object, timeout: object) -> None:
    if ping is None:
        message = (
            f"{describe(key)} has a ping_timeout and no ping. Pass a ping as well, or leave out "
            f"the timeout."
        )
        raise InvalidRegistrationError(message)
    if not is_positive_number(timeout):
        message = (
            f"The ping_timeout of {describe(key)} must be a positive number of seconds, "
            f"not {timeout!r}"
        )
        raise InvalidRegistrationError(message)


def is_abstract(kind: type) -> bool:
    """Tell whether a class surely cannot be called."""
    is_declared = getattr(kind, "_is_protocol", False) or inspect.isabstract(kind)
    # Constructors may make objects of other classes.
    constructor: Any = kind.__new__
    metaclass: Any = type(kind)
    return is_declared and constructor is object.__new__ and metaclass.__call__ is type.__call__


def is_positive_number(number: object) -> bool:
    """Tell whether *number* may be a length of time."""
    if isinstance(number, bool) or not isinstance(number, int | float):
        return False
    return 0 < number <= TIMEOUT_MAX


def _read_tags(key: Hashable, tags: Iterable[str]) -> tuple[str, ...]:
    if not tags:
        return ()
    # A string is an iterable of strings, too: nearly always a mistake.
    if isinstance(tags, str) or not isinstance(tags, Iterable):
        message = (
            f"The tags of {describe(key)} are an instance of {type(tags).__qualname__}. "
            f'Write them as a list: tags=["ready"]'
        )
        raise InvalidRegistrationError(message)
    read = tuple(dict.fromkeys(tags))
    if not all(isinstance(tag, str) for tag in read):
        message = f"The tags of {describe(key)} must be strings."
        raise InvalidRegistrationError(message)
    return read


def check_callback(key: Hashable, callback: object) -> None:
    """Refuse what cannot be called or awaited when the registry closes.

    Raises:
        InvalidRegistrationError: It is neither callable nor awaitable.
    """
    if callback is None or callable(callback) or inspect.isawaitable(callback):
        return
    message = (
        f"The on_registry_close of {describe(key)} is neither callable nor awaitable: it is an "
        f"instance of {type(callback).__qualname__}. Give a callable without parameters."
    )
    raise InvalidRegistrationError(message)
