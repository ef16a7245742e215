"""Checking the dependencies of an injected function when it is decorated.

Only the callables that markers name are checked; registered services are not known yet.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator

import attrs

from wares._core.annotations import Viewpoint, is_unknown, stand_in
from wares._core.callables import as_class, describe_callable
from wares._core.keys import MISSING
from wares._core.marks import Need
from wares._core.recipes import Recipe, cannot_fill, recipe_for_dependency, share_dependency
from wares._core.signatures import read_signature
from wares._inject.askers import Asker
from wares.exceptions import (
    AsyncServiceError,
    CircularDependencyError,
    LifetimeError,
    UnresolvableParameterError,
)


@attrs.frozen
class _Step:
    """A dependency on the path that is being checked, with its needs that are still unchecked."""

    recipe: Recipe
    needs: Iterator[Need]
    ends_with_function: bool


class Check:
    """A check of the dependencies of a function, and of their own.

    Each dependency is checked once, and without recursion, because a path may be long.

    Args:
        asker: The function.
        viewpoint: Where annotations are evaluated, besides the surroundings of each dependency.

    Attributes:
        open_needs: The arguments that dependencies take and the function itself does not, by name.
        recipes: The recipes that were read; they are shared for as long as they are kept.
        has_unread: Whether a dependency could not be read yet, because a name is undefined.

    Raises:
        AsyncServiceError: A dependency is asynchronous, and the function is not.
        CircularDependencyError: Dependencies need each other in a circle.
        LifetimeError: A dependency needs a function-scoped one, and lives longer.
        UnresolvableParameterError: Nothing can fill a parameter of a dependency.
    """

    def __init__(self, asker: Asker, viewpoint: Viewpoint) -> None:
        self.open_needs: dict[str, Need] = {}
        self.recipes: dict[Recipe, None] = {}
        self.has_unread = False
        self._asker = asker
        self._names = asker.names
        # The wrapper cannot have another keyword parameter of the same name.
        self._taken = {
            parameter.name
            for parameter in asker.parameters
            if parameter.kind is not parameter.VAR_KEYWORD
        }
        self._viewpoint = viewpoint
        self._path = [_Step(asker.recipe, iter((*asker.extras, *asker.needs)), True)]
        self._seen: set[tuple[Hashable, bool]] = set()
        while self._path:
            step = self._path[-1]
            need = next(step.needs, None)
            if need is None:
                self._path.pop()
            elif need.is_marked:
                self._check_marked(step, need)
            elif need.takes_argument and need.name not in self._names:
                self._check_open(step, need)

    def _check_marked(self, step: _Step, need: Need) -> None:
        ends_with_function = need.scope == "function"
        if ends_with_function and not step.ends_with_function:
            raise LifetimeError(
                step.recipe.key, "request", need.key, "function", steps=self._describe_path()
            )
        recipe = recipe_for_dependency(need.key)
        if need.is_service or recipe is None:
            return
        path = [each.recipe.key for each in self._path]
        circle = next((path[place:] for place, key in enumerate(path) if key == need.key), None)
        if circle is not None:
            raise CircularDependencyError([*circle, need.key], steps=self._describe_path())
        if recipe.shape.is_async and not self._asker.can_await:
            function = describe_callable(self._asker.function)
            reason = f"it is asynchronous, and {function} is not"
            raise AsyncServiceError(need.key, [*path, need.key], reason, asker=path[0])
        if (need.key, ends_with_function) not in self._seen:
            self._seen.add((need.key, ends_with_function))
            needs = self._read(recipe)
            if needs is not None:
                self._path.append(_Step(recipe, iter(needs), ends_with_function))

    def _check_open(self, step: _Step, need: Need) -> None:
        """Check an argument that a dependency takes, and the function itself does not."""
        if need.name not in self._taken:
            # If two dependencies take it, a required one wins.
            known = self.open_needs.get(need.name)
            if known is None or known.default is not MISSING:
                self.open_needs[need.name] = need
            return
        # A class may turn out to be registered.
        may_be_filled = as_class(step.recipe.key) is not None or need.key is not MISSING
        if not may_be_filled and need.default is MISSING:
            raise cannot_fill(need, step.recipe, self._names, self._describe_path())

    def _read(self, recipe: Recipe) -> tuple[Need, ...] | None:
        """Read the needs of a dependency; return `None` if they cannot be read yet."""
        try:
            needs = recipe.read(self._viewpoint)
        except UnresolvableParameterError as error:
            if as_class(recipe.key) is not None:
                return None
            if not isinstance(error.__cause__, NameError):
                raise
            self.has_unread = True
            return self._read_roughly(recipe)
        self.recipes[share_dependency(recipe)] = None
        return needs

    def _read_roughly(self, recipe: Recipe) -> tuple[Need, ...]:
        """Read the needs of a dependency with stand-ins for undefined names."""
        known_later = attrs.evolve(self._viewpoint, stand_in=stand_in)
        signature = read_signature(recipe.factory, is_dependency=True, viewpoint=known_later)
        return tuple(
            need for need in signature.needs if not (need.is_marked and is_unknown(need.key))
        )

    def _describe_path(self) -> list[str]:
        return [step.recipe.describe_step() for step in self._path]
