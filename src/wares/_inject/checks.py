"""What is wrong with the dependencies of a function, as far as that is known before a call.

This module knows derived recipes: callables that markers name.
"""

from __future__ import annotations

import inspect
from collections.abc import Collection, Hashable, Iterator, Mapping
from contextlib import suppress
from typing import Any

import attrs

from wares._core.annotations import Viewpoint, find_nothing
from wares._core.callables import is_local
from wares._core.container import Container
from wares._core.keys import MISSING
from wares._core.recipes import (
    Recipe,
    cannot_fill,
    find_dependency,
    recipe_for_dependency,
    share_dependency,
)
from wares._core.signatures import Need, describe_callable
from wares.exceptions import (
    AsyncServiceError,
    CircularDependencyError,
    LifetimeError,
    UnresolvableParameterError,
)


def check_dependencies(
    root: Recipe,
    names: Collection[str],
    viewpoint: Viewpoint,
    *,
    can_await: bool,
    takes_any_name: bool,
) -> Findings:
    """Go through the dependencies of a call, and through theirs.

    Args:
        root: The recipe of the call.
        names: The names of its arguments.
        viewpoint: From where annotations are read.
        can_await: Whether the function is asynchronous.
        takes_any_name: Whether it takes arguments of any name.

    Returns:
        What was found.

    Raises:
        AsyncServiceError: A dependency is asynchronous, and the function is not.
        CircularDependencyError: Dependencies need each other in a circle.
        LifetimeError: Something that lives longer needs something that ends with a function.
        UnresolvableParameterError: A parameter of a dependency that nothing can fill.
    """
    checker = _Checker(root, names, viewpoint, can_await)
    checker.check()
    open_needs = () if takes_any_name else tuple(checker.open_needs.values())
    return Findings(open_needs, tuple(checker.read), checker.has_unread)


@attrs.frozen
class Findings:
    """What the check has read.

    Attributes:
        open_needs: What dependencies take of the call and the function itself does not.
        recipes: The recipes that were read; they are shared while somebody keeps them.
        has_unread: Whether some could not be read yet, because a name is not known.
    """

    open_needs: tuple[Need, ...] = ()
    recipes: tuple[Recipe, ...] = ()
    has_unread: bool = False


@attrs.define
class _Step:
    """A dependency on the path that is being looked at."""

    recipe: Recipe
    needs: Iterator[Need]
    ends_with_function: bool


class _Checker:
    """Goes down each path once; without recursion, because a path may be long."""

    def __init__(
        self,
        root: Recipe,
        names: Collection[str],
        viewpoint: Viewpoint,
        can_await: bool,
    ) -> None:
        self._root = root
        self._names = names
        self._viewpoint = viewpoint
        self._can_await = can_await
        self._path: list[_Step] = []
        self._seen: set[tuple[Hashable, bool]] = set()
        self._marked: set[str] = set()
        self.open_needs: dict[str, Need] = {}
        self.read: dict[Recipe, None] = {}
        self.has_unread = False

    def check(self) -> None:
        """Do the walk."""
        self._enter(self._root, ends_with_function=True)
        while self._path:
            step = self._path[-1]
            need = next(step.needs, None)
            if need is None:
                self._path.pop()
            elif need.is_marked:
                self._check_marked(step, need)
            else:
                self._check_unmarked(step, need)

    def _enter(self, recipe: Recipe, *, ends_with_function: bool) -> None:
        needs = self._read(recipe)
        if recipe is self._root and needs is not None:
            self._marked = {need.name for need in needs}
        if needs is not None:
            self._path.append(_Step(recipe, iter(needs), ends_with_function))

    def _check_marked(self, asker: _Step, need: Need) -> None:
        if need.scope == "function" and not asker.ends_with_function:
            raise LifetimeError(
                asker.recipe.key, "request", need.key, "function", steps=self._describe_path()
            )
        if need.is_service:
            return
        recipe = find_dependency(need.key) or recipe_for_dependency(need.key)
        if recipe is None:
            return
        keys = [step.recipe.key for step in self._path]
        places = {key: place for place, key in enumerate(keys)}
        if need.key in places:
            raise CircularDependencyError(
                [*keys[places[need.key] :], need.key], steps=self._describe_path()
            )
        if recipe.shape.is_async and not self._can_await:
            raise self._is_async(need, [*keys, need.key])
        level = (need.key, need.scope == "function")
        if level not in self._seen:
            self._seen.add(level)
            self._enter(recipe, ends_with_function=need.scope == "function")

    def _check_unmarked(self, asker: _Step, need: Need) -> None:
        if not need.takes_argument or need.name in self._names:
            return
        if need.name not in self._marked:
            # Of two, the one that has to be passed counts.
            known = self.open_needs.get(need.name)
            if known is None or known.default is not MISSING:
                self.open_needs[need.name] = need
            return
        # Something that makes a class may be registered.
        may_be_filled = isinstance(asker.recipe.key, type) or need.key is not MISSING
        if may_be_filled or need.default is not MISSING:
            return
        raise cannot_fill(need, asker.recipe, self._names, self._describe_path())

    def _is_async(self, need: Need, path: list[Hashable]) -> AsyncServiceError:
        function = describe_callable(self._root.key)  # type: ignore[arg-type]  # a call's key is its function
        return AsyncServiceError(
            need.key, path, f"it is asynchronous, and {function} is not", asker=path[0]
        )

    def _read(self, recipe: Recipe) -> tuple[Need, ...] | None:
        """Read what a dependency needs, or give up where that is not known yet."""
        if isinstance(recipe.key, type) and _has_written_names(recipe.key):
            return None
        try:
            signature = recipe.read(Container, find_nothing, self._view(recipe))
        except UnresolvableParameterError as error:
            if isinstance(recipe.key, type):
                return None
            if isinstance(error.__cause__, NameError):
                self.has_unread = True
                return None
            raise
        if recipe is not self._root:
            self.read[share_dependency(recipe)] = None
        return signature.needs

    def _view(self, recipe: Recipe) -> Viewpoint:
        """Show the names around the function to those defined beside it only."""
        if is_local(recipe.factory):
            return self._viewpoint
        return attrs.evolve(self._viewpoint, names={})

    def _describe_path(self) -> list[str]:
        return [step.recipe.describe_step() for step in self._path]


def _has_written_names(kind: type) -> bool:
    """Tell whether the annotations of a constructor are strings: maybe of names to come."""
    annotations: Mapping[str, Any] = {"": "what cannot be evaluated, as Python 3.14 does here"}
    with suppress(NameError):
        annotations = getattr(inspect.getattr_static(kind, "__init__"), "__annotations__", {})
    return any(isinstance(annotation, str) for annotation in annotations.values())
