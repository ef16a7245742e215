"""The registrations of a registry, and the overrides that hide them: which recipe is in force."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Hashable
from contextlib import ContextDecorator
from typing import Any, get_args, get_origin
from weakref import WeakSet, WeakValueDictionary

import attrs

from wares._core.callables import describe_callable, read_shape
from wares._core.cleanups import RegistryCleanups
from wares._core.compositions import compose
from wares._core.keys import MISSING, describe, find_nearest
from wares._core.locking import LOCK, locked
from wares._core.log import log_registration
from wares._core.marks import Need, is_derivable
from wares._core.recipes import Recipe, recipe_for_dependency, recipe_for_value
from wares.exceptions import InvalidRegistrationError, RegistryClosedError


class Registrations:
    """The registrations of one registry, and the state that depends on them.

    This object is hashable; a registry need not be, because users may subclass `Registry`.

    Attributes:
        registry: The registry, which is also a service.
        registered: The registered recipes, by key.
        overrides: The overriding recipes, by key; the last one of a key is in force.
        recipes: The recipes in force, by key.
        expected: The keys that containers are given.
        unasked: The overridden keys without a registration that have not been asked for yet.
        seen: The needs that `Registry.record` has seen, as pairs of keys.
        observers: The observers.
        callbacks: The ``on_registry_close`` callbacks.
        all_makers: The makers of all containers, which are dropped when a registration changes.
        root: The container that keeps the singletons.
        singletons: The singletons, with what they were made from.
        starts: What was made before the starts that are under way, if there are any.
        is_makeshift: Whether the registry is an empty one, which `inject` uses where there is
            neither a current container nor a registry.
    """

    def __init__(self, registry: Any) -> None:
        self.registry = registry
        self._own_key: object = type(registry)
        self.registered: dict[Hashable, Recipe] = {}
        self.overrides: dict[Hashable, list[Recipe]] = {}
        self.recipes: dict[Hashable, Recipe] = {}
        self.expected: dict[Hashable, None] = {}
        self.unasked: set[Hashable] = set()
        self.seen: dict[tuple[Hashable, Hashable], None] = {}
        self.observers: tuple[object, ...] = ()
        self.callbacks = RegistryCleanups()
        self.all_makers: WeakSet[Any] = WeakSet()
        self.root: Any = None
        self.singletons: Any = None
        self.starts: Any = None
        self.is_makeshift = False
        # By generic class: registers the service of one `key[...]`, given that key and the types.
        self.generics: dict[Any, Callable[[Hashable, tuple[Any, ...]], None]] = {}
        # Weak, because a marker may name a callable that lives for one request only.
        self._derived: WeakValueDictionary[Hashable, Recipe] = WeakValueDictionary()
        # By key and needs, so that equal compositions share a recipe.
        self._composed: WeakValueDictionary[Hashable, Recipe] = WeakValueDictionary()

    def check_open(self) -> None:
        """Raise an error if the registry is closed.

        Raises:
            RegistryClosedError: The registry is closed.
        """
        if self.registry._is_closed:
            raise RegistryClosedError

    def put(self, recipe: Recipe) -> None:
        """Register a recipe, and put it in force unless its key is overridden."""
        self.check_open()
        self.callbacks.note_callback(recipe)
        log_registration(recipe)
        with LOCK:
            self._put(recipe)

    def put_decorated(self, decorated: Recipe, inner: Recipe, outer: Recipe) -> bool:
        """Register both recipes of a decoration, unless *decorated* was replaced meanwhile.

        Returns:
            Whether they are registered.
        """
        with LOCK:
            if self.registered[decorated.key] is not decorated:
                return False
            self._put(inner)
            self._put(outer)
        log_registration(inner)
        log_registration(outer)
        return True

    def begin_override(self, recipe: Recipe) -> None:
        """Put an overriding recipe in force."""
        self.check_open()
        self.callbacks.note_callback(recipe)
        log_registration(recipe)
        with LOCK:
            if recipe.key not in self.recipes and recipe.key not in self.expected:
                self.unasked.add(recipe.key)
            self.overrides.setdefault(recipe.key, []).append(recipe)
            self._put_in_force(recipe.key, recipe)

    def end_override(self, recipe: Recipe) -> None:
        """Remove an overriding recipe, and put the one below it in force again."""
        key = recipe.key
        with LOCK:
            stack = self.overrides[key]
            stack.remove(recipe)
            if not stack:
                del self.overrides[key]
                self.unasked.discard(key)
            self._put_in_force(key, stack[-1] if stack else self.registered.get(key))

    @locked
    def add_observer(self, observer: object) -> None:
        """Tell *observer* of services from now on."""
        self.observers = (*self.observers, observer)
        self.change()

    @locked
    def remove_observer(self, observer: object) -> None:
        """Tell *observer* of nothing any more."""
        self.observers = tuple(one for one in self.observers if one is not observer)
        self.change()

    @locked
    def change(self) -> None:
        """Drop all makers, and set outdated singletons aside, because a registration changed."""
        all_makers = list(self.all_makers)
        for makers in all_makers:
            makers.drop_written()
        # After that loop: a maker written during it may call an outdated one of other `Makers`.
        for makers in all_makers:
            makers.drop_linked()
        self.singletons.revise()

    def find_recipe(self, need: Need) -> Recipe | None:
        """Return the recipe for *need*, or `None` if there is none."""
        self.unasked.discard(need.key)
        recipe = self.recipes.get(need.key)
        if recipe is None and self.generics:
            recipe = self._make_generic(need.key)
        if recipe is None and need.key not in self.expected:
            recipe = self._compose(need)
            if recipe is None and need.key is self._own_key:
                # The registry is itself a service of its containers.
                return recipe_for_value(need.key, self.registry)
            if recipe is None and need.is_marked:
                return self.derive(need)
        return recipe

    def get_in_force(self, key: Hashable) -> Recipe | None:
        """Return the recipe in force for *key*: the registered one, or a composed one."""
        recipe = self.recipes.get(key)
        return recipe or self._find_composed(key)

    def _compose(self, need: Need) -> Recipe | None:
        """Compose a recipe; if the need can also be filled otherwise, only if a part exists."""
        recipe = self._find_composed(need.key)
        if recipe is None or (need.default is MISSING and not need.takes_argument):
            return recipe
        parts = [attrs.evolve(part, takes_argument=True) for part in recipe.read()]
        is_there = any(part.key in self.expected or self.find_recipe(part) for part in parts)
        return recipe if is_there else None

    def _find_composed(self, key: Hashable) -> Recipe | None:
        recipe = compose(key, (*self.recipes, *self.expected))
        if recipe is None:
            return None
        return self._composed.setdefault((key, recipe.read()), recipe)

    def derive(self, need: Need) -> Recipe | None:
        """Return a recipe for an unregistered callable; `None` if *need* names none."""
        key = need.key
        if need.is_service:
            return None
        recipe = self._derived.get(key) or recipe_for_dependency(key)
        return None if recipe is None else self._derived.setdefault(key, recipe)

    def may_return(self, recipe: Recipe) -> bool:
        """Return whether a recipe may be in force again after an override."""
        key = recipe.key
        return self.registered.get(key) is recipe or recipe in self.overrides.get(key, ())

    def _make_generic(self, key: Hashable) -> Recipe | None:
        """Register the service of one ``key[...]`` of a generic class, at its first use."""
        register = self.generics.get(get_origin(key))
        if register is None:
            return None
        with LOCK:
            # Another thread may have registered it meanwhile.
            if key not in self.recipes:
                register(key, get_args(key))
            return self.recipes[key]

    def _put(self, recipe: Recipe) -> None:
        """Register a recipe, as `put` does. Called with the lock held."""
        self.registered[recipe.key] = recipe
        if recipe.key not in self.overrides:
            self._put_in_force(recipe.key, recipe)

    def _put_in_force(self, key: Hashable, recipe: Recipe | None) -> None:
        """Put a recipe in force, or leave none in force. Called with the lock held."""
        if recipe is None:
            self.recipes.pop(key, None)
        else:
            self.recipes[key] = recipe
        self.change()


class Override(ContextDecorator):
    """An override, in force while a ``with`` block lasts; also a decorator.

    An override warns if it has had no effect: because it was dropped without having been entered,
    or because its key is neither registered nor was asked for.

    Args:
        registrations: The registrations that are overridden.
        recipe: The overriding recipe.
    """

    _is_used = False

    def __init__(self, registrations: Registrations, recipe: Recipe) -> None:
        self._registrations = registrations
        self._recipe = recipe

    def __enter__(self) -> None:
        self._is_used = True
        self._registrations.begin_override(self._recipe)

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        advice = _explain_unasked(self._registrations, self._recipe.key)
        self._registrations.end_override(self._recipe)
        # A block that fails may not have come to what asks for the key.
        if advice is not None and kind is None:
            warnings.warn(advice, RuntimeWarning, stacklevel=2)

    def __call__(self, function: Any) -> Any:
        """Override while *function* runs, which may be asynchronous.

        Raises:
            InvalidRegistrationError: It is a generator function, which runs after it was called.
        """
        self._is_used = True
        shape = read_shape(function)
        if shape.yields:
            raise InvalidRegistrationError(
                f"An override cannot decorate {describe_callable(function)}, a generator function. "
                f"Write the `with` block in its body."
            )
        if not shape.is_async:
            return super().__call__(function)

        @functools.wraps(function)
        async def run(*args: Any, **kwargs: Any) -> Any:
            with self:
                return await function(*args, **kwargs)

        return run

    def __del__(self) -> None:
        if not self._is_used:
            message = (
                f"The override of {describe(self._recipe.key)} has no effect, because it was "
                f"never entered. Write: with registry.override_value(...): ..."
            )
            warnings.warn(message, RuntimeWarning, stacklevel=2)


def _explain_unasked(registrations: Registrations, key: Hashable) -> str | None:
    """Return why an override of *key* has had no effect; `None` if it may have had one."""
    if key not in registrations.unasked or key in registrations.registered:
        return None
    made = [one.key for one in registrations.registered.values() if one.factory is key]
    # A test need not run the code whose `Depends` names an unregistered function.
    if not made and is_derivable(key) and not isinstance(key, type):
        return None
    others = [describe(one) for one in made] or find_nearest(key, registrations.registered)
    advice = f" Similar keys are registered: {', '.join(others)}." if others else ""
    if not registrations.registered:
        advice = " The registry is empty: get_registry(app) returns that of an application."
    name = describe(key)
    return (
        f"The override of {name} has had no effect: nothing is registered for {name}, and nothing "
        f"has asked for it.{advice}"
    )
