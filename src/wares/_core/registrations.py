"""Which recipe is in force for a key: what is registered, under what overrides it."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Hashable
from contextlib import ContextDecorator
from typing import Any, ClassVar, get_args, get_origin
from weakref import WeakSet, WeakValueDictionary

import attrs

from wares._core.compositions import compose
from wares._core.keys import MISSING, describe, find_nearest
from wares._core.locking import LOCK
from wares._core.log import log_registration
from wares._core.recipes import (
    Recipe,
    find_dependency,
    recipe_for_dependency,
    recipe_for_value,
)
from wares._core.signatures import Need
from wares.exceptions import RegistryClosedError, ServiceNotFoundError


class Registrations:
    """What is registered in one registry, and what follows from it.

    It stands for its registry where that has to be hashable, which subclasses need not be.

    Attributes:
        registry: The registry itself, which may be asked for, too.
        registered: The recipes as they were registered.
        overrides: The recipes that override others, the last of each key being in force.
        recipes: The recipes that are in force.
        expected: The keys that containers are given.
        seen: Who was seen to ask for what.
        observers: Those that are told what is made and cleaned up.
        all_makers: Whatever has to be told when something changes.
        root: The container that keeps the singletons.
        root_makers: Its makers.
        singletons: What they were made from.
        is_makeshift: Whether it is an empty one, which stands in where no container is current.
    """

    #: The class that asks for the container itself.
    container_class: ClassVar[type] = object

    def __init__(self, registry: Any) -> None:
        self.registry = registry
        self.registered: dict[Hashable, Recipe] = {}
        self.overrides: dict[Hashable, list[Recipe]] = {}
        self.recipes: dict[Hashable, Recipe] = {}
        self.expected: dict[Hashable, None] = {}
        self.seen: dict[tuple[Hashable, Hashable], None] = {}
        self.observers: tuple[object, ...] = ()
        self.all_makers: WeakSet[Any] = WeakSet()
        self.root: Any = None
        self.root_makers: Any = None
        self.singletons: Any = None
        self.is_makeshift = False
        # How the services of generic classes are registered once the types are known.
        self.generics: dict[Any, Callable[[Hashable, tuple[Any, ...]], None]] = {}
        # Callables that are named for one request only do not stay.
        self._derived: WeakValueDictionary[Hashable, Recipe] = WeakValueDictionary()
        # What annotations stand for, with what they need; two that are alike are one.
        self._composed: WeakValueDictionary[Hashable, Recipe] = WeakValueDictionary()

    def check_open(self) -> None:
        """Refuse to go on after the end.

        Raises:
            RegistryClosedError: The registry is closed.
        """
        if self.registry._is_closed:
            raise RegistryClosedError

    def put(self, recipe: Recipe) -> None:
        """Register a recipe; it is in force unless its key is overridden."""
        self.check_open()
        log_registration(recipe)
        with LOCK:
            self.registered[recipe.key] = recipe
            if recipe.key not in self.overrides:
                self._put_in_force(recipe.key, recipe)

    def begin_override(self, recipe: Recipe) -> None:
        """Let a recipe override what is registered under its key."""
        self.check_open()
        log_registration(recipe)
        with LOCK:
            self.overrides.setdefault(recipe.key, []).append(recipe)
            self._put_in_force(recipe.key, recipe)

    def end_override(self, recipe: Recipe) -> None:
        """Let what it has overridden be in force again."""
        key = recipe.key
        with LOCK:
            stack = self.overrides[key]
            stack.remove(recipe)
            if not stack:
                del self.overrides[key]
            self._put_in_force(key, stack[-1] if stack else self.registered.get(key))

    def change(self) -> None:
        """Let everything be found anew."""
        with LOCK:
            all_makers = list(self.all_makers)
            for makers in all_makers:
                makers.drop_written()
            # After that loop: a maker written during it may call an outdated one of other `Makers`.
            for makers in all_makers:
                makers.drop_linked()
            self.singletons.revise()

    def get_registered(self, key: Hashable) -> Recipe:
        """Give what is registered under *key*.

        Raises:
            ServiceNotFoundError: There is nothing.
        """
        recipe = self.registered.get(key)
        if recipe is None:
            raise ServiceNotFoundError(key, nearest=find_nearest(key, self.registered))
        return recipe

    def find_recipe(self, need: Need) -> Recipe | None:
        """Find how the service of *need* is made, if it can be made."""
        recipe = self.recipes.get(need.key)
        if recipe is None and self.generics:
            recipe = self._make_generic(need.key)
        if recipe is None and need.key not in self.expected:
            recipe = self._compose(need)
            if recipe is None and need.is_marked:
                return self.derive(need)
        return recipe

    def get_in_force(self, key: Hashable) -> Recipe | None:
        """Give what is registered under *key*, or what *key* stands for, if either is there."""
        recipe = self.recipes.get(key)
        return recipe or self._find_composed(key)

    def _compose(self, need: Need) -> Recipe | None:
        """Compose what a need stands for; where there is another way, only of what is there."""
        recipe = self._find_composed(need.key)
        if recipe is None or (need.default is MISSING and not need.takes_argument):
            return recipe
        parts = [attrs.evolve(part, takes_argument=True) for part in self.read(recipe)]
        is_there = any(part.key in self.expected or self.find_recipe(part) for part in parts)
        return recipe if is_there else None

    def _find_composed(self, key: Hashable) -> Recipe | None:
        recipe = compose(key, (*self.recipes, *self.expected))
        if recipe is None:
            return None
        return self._composed.setdefault((key, self.read(recipe)), recipe)

    def derive(self, need: Need) -> Recipe | None:
        """Make the recipe of what nobody registered, or `None` if *need* names no callable."""
        key = need.key
        registry_class: object = type(self.registry)
        if key is registry_class:
            return recipe_for_value(
                key, self.registry, enter=False, ping=None, suppress_context_exit=False
            )
        if need.is_service:
            return None
        recipe = self._derived.get(key) or find_dependency(key) or recipe_for_dependency(key)
        return None if recipe is None else self._derived.setdefault(key, recipe)

    def read(self, recipe: Recipe) -> tuple[Need, ...]:
        """Read what a recipe needs.

        Raises:
            WaresError: It cannot be read.
        """
        return recipe.read(self.container_class).needs

    def may_return(self, recipe: Recipe) -> bool:
        """Tell whether a recipe may be in force again after an override."""
        key = recipe.key
        return self.registered.get(key) is recipe or recipe in self.overrides.get(key, ())

    def _make_generic(self, key: Hashable) -> Recipe | None:
        """Register what a generic class with types in brackets asks for, at its first use."""
        register = self.generics.get(get_origin(key))
        if register is None:
            return None
        with LOCK:
            # Of two threads, the second finds what the first has registered.
            if key not in self.recipes:
                register(key, get_args(key))
            return self.recipes[key]

    def _put_in_force(self, key: Hashable, recipe: Recipe | None) -> None:
        """Let a recipe be in force, or nothing. Called with the lock held."""
        if recipe is None:
            self.recipes.pop(key, None)
        else:
            self.recipes[key] = recipe
        self.change()


class Override(ContextDecorator):
    """An override, in force while a ``with`` block lasts; also a decorator.

    It warns if it is dropped without having been either, because it has had no effect then.

    Args:
        registrations: What is overridden.
        recipe: What overrides.
        prepare: What is called each time before that.
    """

    _is_used = False

    def __init__(
        self, registrations: Registrations, recipe: Recipe, prepare: Callable[[], None]
    ) -> None:
        self._registrations = registrations
        self._recipe = recipe
        self._prepare = prepare

    def __enter__(self) -> None:
        self._is_used = True
        self._registrations.check_open()
        self._prepare()
        self._registrations.begin_override(self._recipe)

    def __exit__(self, *_: object) -> None:
        self._registrations.end_override(self._recipe)

    def __call__(self, function: Any) -> Any:
        """Override while *function* runs."""
        self._is_used = True
        return super().__call__(function)

    def __del__(self) -> None:
        if not self._is_used:
            message = (
                f"The override of {describe(self._recipe.key)} has no effect, because it was "
                f"never entered. Write: with registry.override_value(...): ..."
            )
            warnings.warn(message, RuntimeWarning, stacklevel=2)
