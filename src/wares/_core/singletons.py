"""What a registry's singletons were made from, so that an override finds those that it outdates."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import attrs

from wares._core.claims import Claim, find_lineage, wake
from wares._core.locking import LOCK
from wares._core.recipes import Recipe
from wares._core.registrations import Registrations

#: A key, and the recipe that was in force for it, or `None` where there was none.
Source = tuple[Hashable, Recipe | None]


@attrs.frozen(eq=False, repr=False)
class Kept:
    """A singleton, and what it was made from.

    Attributes:
        recipe: How it was made.
        sources: What its factory declares, and what it has asked for in its body.
        parts: The singletons among them.
        service: The singleton.
    """

    recipe: Recipe
    sources: tuple[Source, ...]
    parts: tuple[Kept, ...]
    service: Any


class Singletons:
    """Keeps book of a registry's singletons.

    What an override outdates is set aside, and taken up again after the override.
    """

    def __init__(self, registry: Registrations) -> None:
        self._registry = registry
        # All that may be handed out, now or after an override, in the order of their making.
        self._all: list[Kept] = []
        self._in_force: dict[Hashable, Kept] = {}

    def keep(
        self,
        claim: Claim,
        made: dict[Hashable, Any],
        recipe: Recipe,
        service: Any,
        declared: tuple[Source, ...],
    ) -> Any:
        """Keep a singleton that was made just now, but aside if it is outdated already.

        Raises:
            RegistryClosedError: The registry was closed meanwhile.
        """
        root = self._registry.root
        with LOCK:
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
                # If it is not there any more, an earlier singleton was taken up again.
                del made[recipe.key]
        if claim.waiters:
            wake(claim)
        return service

    def note_source(self, key: Hashable) -> None:
        """Note that a singleton's factory asks for *key* in its body."""
        recipe = self._registry.get_in_force(key)
        for claim in find_lineage(None):
            if isinstance(claim.sources, list):
                claim.sources.append((key, recipe))
                if recipe is not None and recipe.lifetime == "transient":
                    claim.sources += self._registry.root_makers.wiring.sources_of(recipe)
                return

    def revise(self) -> None:
        """Set aside what registrations have outdated, and take up again what fits."""
        root = self._registry.root
        if not self._all:
            return
        with LOCK:
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
        """Find those that may be handed out, now or after an override."""
        return set(self._all)

    def forget_all_but(self, those: set[Kept]) -> None:
        """Forget the others: the start that made them has failed."""
        with LOCK:
            self._all = [kept for kept in self._all if kept in those]
            for key in [key for key, kept in self._in_force.items() if kept not in those]:
                del self._in_force[key]
                self._registry.root._made.pop(key, None)

    def forget(self) -> None:
        """Forget all of them: the registry is closed, or this is another process."""
        self._all = []
        self._in_force = {}

    def _fits(self, kept: Kept, others: dict[Hashable, Kept]) -> bool:
        """Tell whether all that a singleton was made from is in force."""
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
        """Tell whether it may fit again after an override."""
        return all(
            recipe is None
            or recipe.is_derived
            or recipe.is_composed
            or self._registry.may_return(recipe)
            for _, recipe in kept.sources
        )
