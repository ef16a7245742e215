"""What is wrong with the dependencies of a function, as far as that is known before a call.

This module knows derived recipes: callables that markers name.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator

import attrs

from wares._core.annotations import Viewpoint, is_unknown, stand_in
from wares._core.callables import describe_callable, is_local
from wares._core.container import Container
from wares._core.keys import MISSING
from wares._core.recipes import (
    Recipe,
    cannot_fill,
    find_dependency,
    recipe_for_dependency,
    share_dependency,
)
from wares._core.signatures import Need, read_signature
from wares._inject.askers import Asker
from wares.exceptions import (
    AsyncServiceError,
    CircularDependencyError,
    LifetimeError,
    UnresolvableParameterError,
)


@attrs.frozen
class _Step:
    """A dependency on the path that is being looked at."""

    recipe: Recipe
    needs: Iterator[Need]
    ends_with_function: bool


class Check:
    """A check of the dependencies of a function, and of theirs.

    It goes down each path once, and without recursion, because a path may be long.

    Args:
        asker: The function.
        viewpoint: From where annotations are read.

    Attributes:
        open_needs: What dependencies take of the call and the function itself does not, by name.
        recipes: The recipes that were read; they are shared while somebody keeps them.
        has_unread: Whether some could not be read yet, because a name is not known.

    Raises:
        AsyncServiceError: A dependency is asynchronous, and the function is not.
        CircularDependencyError: Dependencies need each other in a circle.
        LifetimeError: Something that lives longer needs something that ends with a function.
        UnresolvableParameterError: A parameter of a dependency that nothing can fill.
    """

    def __init__(self, asker: Asker, viewpoint: Viewpoint) -> None:
        self.open_needs: dict[str, Need] = {}
        self.recipes: dict[Recipe, None] = {}
        self.has_unread = False
        self._asker = asker
        self._names = asker.names
        # No keyword parameter can be called like these.
        self._taken = {it.name for it in asker.parameters if it.kind is not it.VAR_KEYWORD}
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
        recipe = find_dependency(need.key) or recipe_for_dependency(need.key)
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
        """Check what a dependency takes of the call, and the function does not."""
        if need.name not in self._taken:
            # Of two, the one that has to be passed counts.
            known = self.open_needs.get(need.name)
            if known is None or known.default is not MISSING:
                self.open_needs[need.name] = need
            return
        # Something that makes a class may be registered.
        may_be_filled = isinstance(step.recipe.key, type) or need.key is not MISSING
        if not may_be_filled and need.default is MISSING:
            raise cannot_fill(need, step.recipe, self._names, self._describe_path())

    def _read(self, recipe: Recipe) -> tuple[Need, ...] | None:
        """Read what a dependency needs, or give up where that is not known yet."""
        try:
            signature = recipe.read(Container, self._view(recipe))
        except UnresolvableParameterError as error:
            if isinstance(recipe.key, type):
                return None
            if not isinstance(error.__cause__, NameError):
                raise
            self.has_unread = True
            return self._read_roughly(recipe)
        self.recipes[share_dependency(recipe)] = None
        return signature.needs

    def _read_roughly(self, recipe: Recipe) -> tuple[Need, ...]:
        """Read what a dependency needs, where a name is not known yet."""
        known_later = attrs.evolve(self._view(recipe), stand_in=stand_in)
        signature = read_signature(
            recipe.factory, Container, is_dependency=True, viewpoint=known_later
        )
        return tuple(
            need for need in signature.needs if not (need.is_marked and is_unknown(need.key))
        )

    def _view(self, recipe: Recipe) -> Viewpoint:
        """Show the names around the function to those defined next to it only."""
        if is_local(recipe.factory):
            return self._viewpoint
        return attrs.evolve(self._viewpoint, names={})

    def _describe_path(self) -> list[str]:
        return [step.recipe.describe_step() for step in self._path]
