"""The singletons of a registry, and what each was made from.

An override sets the singletons aside that it outdates.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import attrs

from wares._core.claims import Claim, find_lineage
from wares._core.locking import locked
from wares._core.recipes import Recipe
from wares._core.registrations import Registrations

#: A key, and the recipe that was in force for it; `None` if there was none.
Source = tuple[Hashable, Recipe | None]


@attrs.frozen(eq=False, repr=False)
class Kept:
    """A singleton, and what it was made from.

    Attributes:
        recipe: Its recipe.
        sources: The dependencies that its factory declares, and those that it has asked for.
        parts: The singletons among its dependencies.
        service: The singleton itself.
    """

    recipe: Recipe
    sources: tuple[Source, ...]
    parts: tuple[Kept, ...]
    service: Any


class Singletons:
    """The singletons of a registry, with what each was made from.

    A singleton that an override outdates is set aside, and is in force again after the override.
    """

    def __init__(self, registry: Registrations) -> None:
        self._registry = registry
        # Those in force, and those that may be after an override, in the order of their making.
        self._all: list[Kept] = []
        self._in_force: dict[Hashable, Kept] = {}

    @locked
    def keep(
        self,
        claim: Claim,
        made: dict[Hashable, Any],
        recipe: Recipe,
        service: Any,
        declared: tuple[Source, ...],
    ) -> Any:
        """Keep a singleton that was just made; set it aside if it is outdated already.

        Raises:
            RegistryClosedError: The registry was closed meanwhile.
        """
        root = self._registry.root
        if root._made is not made:
            raise root._make_closed_error()
        sources = (*declared, *claim.sources)
        found = (self._in_force.get(key) for key, _ in sources)
        kept = Kept(recipe, sources, tuple([one for one in found if one]), service)
        self._all.append(kept)
        if self._fits(kept, self._in_force):
            self._in_force[recipe.key] = kept
            made[recipe.key] = service
        elif made.get(recipe.key) is claim:
            # If the claim is gone, an earlier singleton has come into force again.
            del made[recipe.key]
        return service

    def note_source(self, key: Hashable) -> None:
        """Note *key* as a source of the singleton whose factory asks for it in its body, if any."""
        recipe = self._registry.get_in_force(key)
        for claim in find_lineage(None):
            if isinstance(claim.sources, list):
                claim.sources.append((key, recipe))
                if recipe is not None and recipe.lifetime == "transient":
                    claim.sources += self._registry.root._makers.wiring.sources_of(recipe)
                return

    @locked
    def revise(self) -> None:
        """Set outdated singletons aside, and put those that fit the registrations in force."""
        root = self._registry.root
        if not self._all:
            return
        before = self._in_force
        self._in_force = {}
        for kept in self._all:
            if self._fits(kept, self._in_force):
                self._in_force[kept.recipe.key] = kept
        for key, kept in before.items():
            if self._in_force.get(key) is not kept:
                root._made.pop(key, None)
        for key, kept in self._in_force.items():
            root._made[key] = kept.service
        self._all = [
            kept
            for kept in self._all
            if self._in_force.get(kept.recipe.key) is kept or self._may_return(kept)
        ]

    def find_all(self) -> set[Kept]:
        """Return the singletons that are in force, or may be after an override."""
        return set(self._all)

    @locked
    def forget_all_but(self, those: set[Kept]) -> None:
        """Forget the singletons made by a start that has failed; keep *those*."""
        self._all = [kept for kept in self._all if kept in those]
        for key in [key for key, kept in self._in_force.items() if kept not in those]:
            del self._in_force[key]
            self._registry.root._made.pop(key, None)

    def forget(self) -> None:
        """Forget all singletons: the registry is closed, or this is a forked process."""
        self._all = []
        self._in_force = {}

    def _fits(self, kept: Kept, others: dict[Hashable, Kept]) -> bool:
        """Return whether everything that a singleton was made from is in force."""
        return (
            kept.recipe.key not in others
            and all(self._is_in_force(key, recipe) for key, recipe in kept.sources)
            and all(others.get(part.recipe.key) is part for part in kept.parts)
        )

    def _is_in_force(self, key: Hashable, recipe: Recipe | None) -> bool:
        current = self._registry.get_in_force(key)
        if recipe is None or recipe.is_derived:
            return current is None
        return current is recipe

    def _may_return(self, kept: Kept) -> bool:
        """Return whether a singleton may fit again after an override."""
        return all(
            recipe is None
            or recipe.is_derived
            or recipe.composition is not None
            or self._registry.may_return(recipe)
            for _, recipe in kept.sources
        )
