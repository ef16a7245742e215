"""One call of an injected function, and which dependencies take its arguments by name.

This module knows recipes and what they need. It must not know how a service is made, nor where
it is kept.

A dependency that takes an argument of the call, or needs one that does, belongs to that call:
another call in the same container has other arguments. So it is shared within the call only,
though it is cleaned up with the container, as every dependency is.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from typing import Any

from wares._core.recipes import Recipe
from wares._core.signatures import Need


class Call:
    """One call: its arguments, and what has been made for it alone.

    Attributes:
        arguments: The arguments that dependencies may take, by name.
        bound: The recipes of the dependencies that take some, by their keys.
        made: What they have made, by container and key.
    """

    __slots__ = ("arguments", "bound", "made")

    def __init__(self, arguments: Mapping[str, Any], bound: Mapping[Hashable, Recipe]) -> None:
        self.arguments = arguments
        self.bound = bound
        self.made: dict[tuple[object, Hashable], Any] = {}


def find_bound(
    root: Recipe,
    takes: Callable[[Recipe], bool],
    find: Callable[[Need], Recipe | None],
    read: Callable[[Recipe], tuple[Need, ...]],
) -> dict[Hashable, Recipe]:
    """Find the dependencies that take something of the call, and what needs those.

    Args:
        root: What the call itself needs.
        takes: Tells of a recipe whether it takes something of the call.
        find: Finds the recipe that is in force.
        read: Reads what a recipe needs.

    Returns:
        The recipes, by the keys that they are asked for by; the call's own is always there.
    """
    recipes: dict[Hashable, Recipe] = {root: root}
    askers: dict[Hashable, list[Hashable]] = {}
    takers: list[Hashable] = []
    unread: list[Hashable] = [root]
    while unread:
        asker = unread.pop()
        if takes(recipes[asker]):
            takers.append(asker)
        for need in read(recipes[asker]):
            recipe = find(need) if need.is_marked else None
            if recipe is None or not recipe.is_derived:
                continue
            askers.setdefault(need.key, []).append(asker)
            if need.key not in recipes:
                recipes[need.key] = recipe
                unread.append(need.key)
    bound: dict[Hashable, Recipe] = {root: root}
    while takers:
        key = takers.pop()
        bound[key] = recipes[key]
        takers += [asker for asker in askers.get(key, ()) if asker not in bound]
    return bound
