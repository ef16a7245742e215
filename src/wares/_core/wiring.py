"""The walk below a key: which recipe fills which parameter, what is shared, what is a circle.

The walk is done once for a key and a set of registrations, and without recursion, because chains
may be long. Nothing is refused here: what is missing, circular or too short-lived becomes an
error only where it is really needed, because a container may have been given what is not
registered.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal, TypeAlias

import attrs

from wares._core.keys import MISSING
from wares._core.recipes import Recipe
from wares._core.signatures import Need
from wares.exceptions import WaresError

#: Finds how the service of a need is made, if it can be made.
FindRecipe: TypeAlias = Callable[[Need], Recipe | None]

#: Where the service of a wire comes from: it is the container itself; nothing is registered; the
#: object is ready; it is kept by the registry, the outermost container, or the container of the
#: request; it would end too early; it ends with a function; it is made here.
Source: TypeAlias = Literal[
    "container",
    "absent",
    "ready",
    "registry",
    "outermost",
    "request",
    "outlived",
    "too short",
    "here",
]

#: What lives at least as long as what a keeper keeps.
Keeper: TypeAlias = Literal["scoped", "connection", "singleton"]

#: A maker of its own is written for every so many levels, as Python allows 100 indentations.
LEVELS = 32


@attrs.frozen
class Node:
    """Something that is made.

    Attributes:
        recipe: How it is made.
        is_fresh: Whether it is made anew, whatever is there, and is not kept.
    """

    recipe: Recipe
    is_fresh: bool


@attrs.frozen(eq=False)
class Wire:
    """One parameter of a factory, and what fills it.

    Attributes:
        need: The parameter.
        source: Where the service comes from.
        node: What is made, unless the source is ``"container"`` or ``"absent"``.
    """

    need: Need
    source: Source
    node: Node | None = None


class Wiring:
    """Wires the needs of recipes, from one point of view.

    Args:
        find: Finds the recipe of a need.
        read: Reads what a recipe needs.
        container: The class that asks for the container itself.
        keeper: The lifetime of what everything here is made for.
        is_function: Whether the container ends with a function, so that what is marked otherwise
            is kept by the container around it.
    """

    def __init__(
        self,
        find: FindRecipe,
        read: Callable[[Recipe], tuple[Need, ...]],
        container: type,
        keeper: Keeper,
        *,
        is_function: bool = False,
    ) -> None:
        self._find = find
        self._read = read
        self._container = container
        self._keeper = keeper
        self.is_function = is_function
        self._wires: dict[Recipe, tuple[Wire, ...] | WaresError] = {}

    def wires_of(self, recipe: Recipe) -> tuple[Wire, ...] | WaresError:
        """Give the wires of a recipe, or the error that reading its needs has led to."""
        found = self._wires.get(recipe)
        if found is None:
            try:
                found = tuple([self.wire(need) for need in self._read(recipe)])
            except WaresError as problem:
                found = problem
            self._wires[recipe] = found
        return found

    def wire(self, need: Need) -> Wire:
        """Find what fills *need*."""
        is_short = need.scope == "function" and not self.is_function
        if is_short and need.is_marked:
            return Wire(need, "too short")
        if need.key is self._container:
            return Wire(need, "container")
        recipe = None if need.key is MISSING else self._find(need)
        if recipe is None:
            return Wire(need, "absent")
        is_fresh = not need.use_cache or recipe.lifetime == "transient"
        source = self._source_of(recipe, need)
        if need.is_late and source != "outlived":
            return Wire(need, "container")
        return Wire(need, source, Node(recipe, is_fresh))

    def _source_of(self, recipe: Recipe, need: Need) -> Source:
        """Tell where the service of *recipe* comes from."""
        if recipe.is_ready:
            return "ready"
        if recipe.is_derived or recipe.lifetime in ("transient", self._keeper):
            is_for_longer = need.is_marked and need.scope != "function"
            return "request" if self.is_function and is_for_longer else "here"
        if recipe.lifetime == "singleton":
            return "registry"
        if recipe.lifetime == "connection" and self._keeper == "scoped":
            return "outermost"
        return "outlived"

    def sources_of(self, recipe: Recipe) -> Iterator[tuple[Any, Recipe | None]]:
        """List the keys and recipes that a service is made from, through what nobody keeps."""
        todo = [recipe]
        seen = {recipe}
        yield recipe.key, recipe
        while todo:
            wires = self.wires_of(todo.pop())
            for wire in () if isinstance(wires, WaresError) else wires:
                if wire.source == "absent":
                    yield wire.need.key, None
                elif wire.node is not None and wire.node.recipe not in seen:
                    found = wire.node.recipe
                    seen.add(found)
                    yield found.key, found
                    todo += [found] if wire.node.is_fresh else []


@attrs.frozen(eq=False)
class Walk:
    """What lies below one node.

    Attributes:
        order: The nodes that get makers of their own, the deepest first.
        circles: The circles, each by the node and the one above that it leads back to.
    """

    order: tuple[Node, ...]
    circles: Mapping[tuple[Node, Node], tuple[Recipe, ...]]


@attrs.define(eq=False)
class _Step:
    """A node on the path that is being walked."""

    node: Node
    nodes: Iterator[Node]
    depth: int = 0
    has_fresh: bool = False


def walk(first: Node, wiring: Wiring) -> Walk:
    """Go over everything that is made here for a node.

    A node gets a maker of its own where several others need it, and where it lies deep. What
    is fresh is written into each of those that need it, unless that could make a text explode.
    """
    depths: dict[Node, int] = {}
    uses: dict[Node, int] = {first: 2}
    order: list[Node] = []
    circles: dict[tuple[Node, Node], tuple[Recipe, ...]] = {}
    branching: set[Node] = set()
    path: list[_Step] = [_Step(first, _below(first, wiring))]
    on_path = {first}
    while path:
        step = path[-1]
        node = next(step.nodes, None)
        if node is None:
            path.pop()
            on_path.discard(step.node)
            depths[step.node] = (step.depth + 1) % LEVELS
            order.append(step.node)
            if step.has_fresh:
                branching.add(step.node)
            if path:
                path[-1].depth = max(path[-1].depth, depths[step.node])
            continue
        step.has_fresh = step.has_fresh or node.is_fresh
        if node in on_path:
            above = [each.node for each in path]
            circle = above[above.index(node) :]
            circles[step.node, node] = tuple([each.recipe for each in circle])
        elif node in depths:
            uses[node] += 1
            step.depth = max(step.depth, depths[node])
        else:
            # What is fresh may be written in several places, and all that it needs with it.
            uses.setdefault(node, 2 if step.node.is_fresh and len(path) > 1 else 1)
            on_path.add(node)
            path.append(_Step(node, _below(node, wiring)))
    own = [
        node
        for node in order
        if node == first
        or depths[node] == 0
        or (uses[node] > 1 and (not node.is_fresh or node in branching))
    ]
    return Walk(tuple(own), circles)


def _below(node: Node, wiring: Wiring) -> Iterator[Node]:
    wires = wiring.wires_of(node.recipe)
    for wire in () if isinstance(wires, WaresError) else wires:
        if wire.source == "here" and wire.node is not None:
            yield wire.node
