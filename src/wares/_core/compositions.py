"""Services that are made of others: aliases, one of several, decorated ones."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Hashable, Iterable
from typing import Any, ClassVar, TypedDict

import attrs

from wares._core.annotations import FindName, Viewpoint
from wares._core.callables import Shape, describe_callable, read_parameters
from wares._core.keys import describe
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
        composition: ``"alias"``, or what an annotation stands for (see `forms`).
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
    return recipe_for_composition(
        key, "alias", give, [Need("target", target, by_keyword=False)]
    )


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

    def read(
        self, container: type, find_name: FindName, viewpoint: Viewpoint | None = None
    ) -> Signature:
        """Read what the factory needs; the first parameter is annotated with what it decorates.

        Raises:
            UnresolvableParameterError: A required parameter that nothing can fill.
        """
        signature = Recipe.read(self, container, find_name, viewpoint)
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
