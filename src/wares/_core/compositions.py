"""Services that are made of others: aliases, decorated ones, what annotations stand for.

An annotation may stand for more than one key: an optional service, a function that gives one,
several services of one type.
"""

from __future__ import annotations

import collections.abc
import functools
import types
import typing
from collections.abc import Awaitable, Callable, Collection, Hashable, Iterable, Iterator
from typing import Annotated, Any, ClassVar, TypedDict, get_args, get_origin

import attrs

from wares._core.annotations import Viewpoint
from wares._core.callables import Shape, describe_callable, read_parameters
from wares._core.keys import UNIONS, Missing, describe
from wares._core.recipes import (
    Lifetime,
    Ping,
    Recipe,
    check_callback,
    check_key,
    recipe_for_factory,
)
from wares._core.signatures import Need, Signature
from wares.exceptions import InvalidRegistrationError, UnresolvableParameterError


class ValueOptions(TypedDict, total=False):
    """How one of several values is registered; as in `Registry.register_value`."""

    enter: bool
    ping: Ping | None
    ping_timeout: float | None
    tags: Iterable[str]
    on_registry_close: Callable[[], object] | Awaitable[object] | None
    suppress_context_exit: bool


class FactoryOptions(ValueOptions, total=False):
    """How one of several factories is registered; as in `Registry.register_factory`."""

    lifetime: Lifetime
    eager: bool


@attrs.frozen(repr=False)
class Part:
    """The key of a service that nobody asks for by itself.

    Attributes:
        key: What it is a part of.
        role: Which part it is: one of a list, or what was decorated.
        number: Which one of them.
    """

    key: Hashable
    role: str
    number: int

    def __repr__(self) -> str:
        return f"{describe(self.key)} ({self.role} {self.number})"


def give(service: Any) -> Any:
    """Give another service, under an alias."""
    return service


@attrs.frozen(eq=False)
class ComposedRecipe(Recipe):
    """How what is made of other services is made, by no factory of the user's.

    Attributes:
        composition: ``"alias"``, or what an annotation stands for (see `compose`).
    """

    is_composed: ClassVar[bool] = True
    composition: str = "alias"

    def describe_step(self) -> str:
        """Tell which service this makes, and that no factory of the user's does."""
        if self.composition == "alias":
            return f"{describe(self.key)}, registered as an alias"
        return describe(self.key)


def recipe_for_alias(key: Any, target: Any) -> Recipe:
    """Make the recipe of what gives *target*'s service: kept there, so it is not kept here.

    Raises:
        InvalidRegistrationError: One of the keys is not hashable, or both are the same.
    """
    key, target = check_key(key), check_key(target)
    if key == target:
        raise InvalidRegistrationError(f"{describe(key)} cannot be an alias of itself.")
    return recipe_for_composition(key, "alias", give, [Need("target", target)])


def recipe_for_composition(
    key: Hashable, composition: str, give: Callable[..., Any], needs: Iterable[Need]
) -> ComposedRecipe:
    """Make the recipe of what is made of other services, each of which its own owner keeps."""
    recipe = ComposedRecipe(key, give, "transient", enter=False, composition=composition)
    signature = Signature(tuple(needs), Shape.PLAIN, may_return_generator=False)
    # Frozen for all but this: what is otherwise read from the factory.
    object.__setattr__(recipe, "_signature", signature)
    return recipe


@attrs.frozen(eq=False)
class DecoratingRecipe(Recipe):
    """How a decorated service is made: the first parameter of the factory is what it decorates.

    Attributes:
        inner: The key of what is decorated.
    """

    inner: Hashable = None

    def read(self, container: type, viewpoint: Viewpoint | None = None) -> Signature:
        """Read what the factory needs; the first parameter is annotated with what it decorates.

        Raises:
            UnresolvableParameterError: A required parameter that nothing can fill.
        """
        signature = Recipe.read(self, container, viewpoint)
        return attrs.evolve(signature, needs=self._bind_first(signature.needs))

    def _bind_first(self, needs: tuple[Need, ...]) -> tuple[Need, ...]:
        if not needs:
            raise UnresolvableParameterError(
                "1",
                describe_callable(self.factory),
                "a decorator takes what it decorates first.",
            )
        return (attrs.evolve(needs[0], key=self.inner, is_marked=False), *needs[1:])


def recipes_for_decoration(
    recipe: Recipe, decorator: Callable[..., Any], number: int
) -> tuple[Recipe, Recipe]:
    """Make the recipes of what is decorated, under a key of its own, and of what decorates it.

    Raises:
        InvalidRegistrationError: The decorator is not callable, or takes nothing.
        UnresolvableParameterError: A required parameter has no annotation.
    """
    checked = recipe_for_factory(
        recipe.key,
        decorator,
        # What is registered ready-made lives as long as the registry.
        lifetime="singleton" if recipe.is_ready else recipe.lifetime,
        # What was entered is not entered once more, if the decorator gives that.
        enter=False,
        ping=recipe.ping,
        suppress_context_exit=recipe.suppress_context_exit,
        ping_timeout=recipe.ping_timeout,
        tags=recipe.tags,
        eager=recipe.is_eager,
    )
    key = Part(recipe.key, "decorated", number)
    inner = attrs.evolve(recipe, key=key, ping=None, ping_timeout=None, tags=(), is_eager=False)
    # What was read, or written, of it does not depend on its key.
    object.__setattr__(inner, "_signature", recipe._signature)
    facts = attrs.asdict(checked, recurse=False, filter=lambda field, _: field.init)
    return inner, DecoratingRecipe(**facts, inner=key)


#: The name of a parameter that receives the types in the brackets.
TYPES_NAME = "wares_types"


def bind_types(factory: Callable[..., Any], types: tuple[Any, ...]) -> Callable[..., Any]:
    """Give the factory of a generic class that knows the *types*, if it wants to."""
    if all(parameter.name != TYPES_NAME for parameter in read_parameters(factory)):
        return factory
    return functools.partial(factory, **{TYPES_NAME: types})


def check_generic(key: Hashable, factory: Any, options: FactoryOptions) -> None:
    """Refuse what could not be registered under *key* with types in brackets.

    Raises:
        WaresError: As in `Registry.register_factory`.
    """
    known: dict[str, Any] = {**options}
    check_callback(key, known.pop("on_registry_close", None))
    recipe_for_factory(key, bind_types(factory, ()) if callable(factory) else factory, **known)


#: Stands for one of several services that a container does not have after all.
_ABSENT = Missing()

_LISTS = (list, collections.abc.Sequence, collections.abc.Iterable)


def compose(key: Any, known: Collection[Hashable]) -> ComposedRecipe | None:
    """Make the recipe of what an annotation stands for.

    Args:
        key: What is asked for.
        known: The keys that something is registered under, in that order, and those that
            containers are given.

    Returns:
        The recipe, or `None` where *key* is a key like any other.
    """
    origin, arguments = get_origin(key), get_args(key)
    if not arguments or getattr(key, "__parameters__", None):
        return None
    if origin in UNIONS:
        return _compose_optional(key, arguments)
    if origin is collections.abc.Callable:
        return _compose_function(key, *arguments)
    if origin is collections.abc.Mapping and arguments[0] is str:
        return _compose_mapping(key, arguments[1], known)
    kind = list if origin in _LISTS else tuple
    if kind is list or (origin is tuple and arguments[1:] == (...,)):
        give_all = functools.partial(_give_all, kind)
        needs = _need_all(arguments[0], known)
        return recipe_for_composition(key, kind.__name__, give_all, needs)
    return None


def _compose_optional(key: Any, kinds: Iterable[Any]) -> ComposedRecipe | None:
    rest = tuple(kind for kind in kinds if kind is not types.NoneType)
    if len(rest) == len(get_args(key)):
        return None
    need = Need("service", typing.Union[rest], default=None)  # noqa: UP007  # of a tuple
    return recipe_for_composition(key, "optional", give, [need])


def _compose_function(key: Any, parameters: Any, result: Any) -> ComposedRecipe | None:
    if parameters != [] or result in (None, types.NoneType):
        return None
    is_async = get_origin(result) is collections.abc.Awaitable
    target = get_args(result)[0] if is_async else result
    give = functools.partial(_give_function, "aget" if is_async else "get", target)
    need = Need("result", target, is_late=True)
    return recipe_for_composition(key, "function", give, [need])


def _compose_mapping(key: Any, kind: Any, known: Iterable[Hashable]) -> ComposedRecipe:
    named = dict(_find_named(kind, known))
    needs = [_need(name, service) for name, service in named.items()]
    give = functools.partial(_give_mapping, tuple(named))
    return recipe_for_composition(key, "mapping", give, needs)


def _find_named(kind: Any, known: Iterable[Hashable]) -> Iterator[tuple[str, Hashable]]:
    for key in known:
        if get_origin(key) is Annotated and get_args(key)[0] == kind:
            _, *names = get_args(key)
            if len(names) == 1 and isinstance(names[0], str):
                yield names[0], key


def _need_all(kind: Any, known: Collection[Hashable]) -> list[Need]:
    """Need all that is registered for *kind* itself; what is only given comes last."""
    # In a set, keys are compared as in the dict of registrations: by hash first.
    wanted = {kind}
    keys = [key for key in known if _what_it_is_one_of(key) in wanted]
    keys = keys if kind in keys else [*keys, kind]
    return [_need(f"service {number}", key) for number, key in enumerate(keys, 1)]


def _what_it_is_one_of(key: Hashable) -> Hashable:
    return key.key if isinstance(key, Part) and key.role == "part" else key


def _need(name: str, key: Hashable) -> Need:
    # A default, because what is announced need not be given to each container.
    return Need(name, key, default=_ABSENT)


def _give_all(kind: Callable[[Iterable[Any]], Any], *services: Any) -> Any:
    return kind(service for service in services if service is not _ABSENT)


def _give_mapping(names: Iterable[str], *services: Any) -> dict[str, Any]:
    pairs = zip(names, services, strict=True)
    return {name: service for name, service in pairs if service is not _ABSENT}


def _give_function(method: str, key: Hashable, container: Any) -> Callable[[], Any]:
    return functools.partial(getattr(container, method), key)
