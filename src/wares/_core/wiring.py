"""Wiring: which recipe fills which parameter, which dependencies are shared, which are circular.

The dependencies of a key are walked once for each state of the registrations, and without
recursion, because chains may be long. This module raises no error for a missing, circular or
too short-lived dependency, because a container may have been given an object in its place.
The maker raises the error if the dependency is really needed.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from typing import Any, Literal, TypeAlias

import attrs

from wares._core.keys import MISSING
from wares._core.marks import Need
from wares._core.recipes import Recipe
from wares._core.registrations import Registrations
from wares._core.signatures import Reader
from wares.exceptions import WaresError

#: Where the service of a wire comes from.
Source: TypeAlias = Literal[
    "container",  # the container itself is the service
    "absent",  # nothing is registered, but an object may be given
    "ready",  # a registered value
    "registry",  # the registry keeps it
    "outermost",  # the outermost container keeps it
    "request",  # the container around that of a function keeps it
    "outlived",  # it ends before the service that needs it
    "too short",  # it ends with a function, and the service that needs it does not
    "here",  # the container that is asked makes it
]

#: The lifetime of the services that are made: their dependencies live at least as long.
Keeper: TypeAlias = Literal["scoped", "connection", "singleton"]

#: The depth at which a dependency gets a maker of its own: Python allows 100 indentations.
LEVELS = 32


@attrs.frozen
class Node:
    """A service that is made.

    Attributes:
        recipe: How the service is made.
        is_fresh: Whether it is made anew each time, and not kept.
    """

    recipe: Recipe
    is_fresh: bool


@attrs.frozen(eq=False)
class Wire:
    """One parameter of a factory, and the service that fills it.

    Attributes:
        need: The parameter.
        source: Where the service comes from.
        node: The service; `None` if the source is ``"container"``, ``"absent"`` or ``"too short"``.
    """

    need: Need
    source: Source
    node: Node | None = None


class Wiring:
    """Wires the needs of recipes, as one kind of container sees them.

    Args:
        registry: The registrations.
        local: The local registrations, the innermost container's first. They win.
        keeper: The lifetime of the services that are made (see `Keeper`).
        ends_with_function: Whether the container ends with a function. Marked dependencies of
            another scope are then kept by the container around it.
    """

    def __init__(
        self,
        registry: Registrations,
        local: tuple[Mapping[Hashable, Recipe], ...],
        keeper: Keeper,
        *,
        ends_with_function: bool = False,
    ) -> None:
        self.registry = registry
        self.keeper = keeper
        self._local = local
        self.ends_with_function = ends_with_function
        self._wires: dict[Recipe, tuple[Wire, ...] | WaresError] = {}

    def find(self, need: Need) -> Recipe | None:
        """Return the recipe for *need*, or `None` if there is none."""
        if need.key not in self.registry.overrides:
            for recipes in self._local:
                if need.key in recipes:
                    return recipes[need.key]
        return self.registry.find_recipe(need)

    def wires_of(self, recipe: Recipe) -> tuple[Wire, ...] | WaresError:
        """Return the wires of a recipe, or the error raised while its needs were read."""
        found = self._wires.get(recipe)
        if found is None:
            try:
                found = tuple([self.wire(need) for need in recipe.read()])
            except WaresError as problem:
                found = problem
            self._wires[recipe] = found
        return found

    def wire(self, need: Need) -> Wire:
        """Return the wire for *need*."""
        is_short = need.scope == "function" and not self.ends_with_function
        if is_short and need.is_marked:
            return Wire(need, "too short")
        if need.key is Reader.container:
            return Wire(need, "container")
        recipe = None if need.key is MISSING else self.find(need)
        if recipe is None:
            return Wire(need, "absent")
        is_fresh = not need.use_cache or recipe.lifetime == "transient"
        source = self._source_of(recipe, need)
        if need.is_late and source != "outlived":
            return Wire(need, "container")
        return Wire(need, source, Node(recipe, is_fresh))

    def asks_request(self, need: Need) -> bool:
        """Return whether the container around that of a function is asked for *need*."""
        return self.ends_with_function and need.is_marked and need.scope != "function"

    def _source_of(self, recipe: Recipe, need: Need) -> Source:
        """Return where the service of *recipe* comes from."""
        if recipe.is_ready:
            return "ready"
        if recipe.is_derived or recipe.lifetime in ("transient", self.keeper):
            return "request" if self.asks_request(need) else "here"
        if recipe.lifetime == "singleton":
            return "registry"
        if recipe.lifetime == "connection" and self.keeper == "scoped":
            return "outermost"
        return "outlived"

    def sources_of(self, recipe: Recipe) -> Iterator[tuple[Any, Recipe | None]]:
        """Yield the keys and recipes that a service is made from, also through fresh services."""
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
    """The dependencies of one node.

    Attributes:
        order: The nodes that get makers of their own, the deepest first.
        circles: The recipes of each circle, by the node that closes it and the node it leads to.
    """

    order: tuple[Node, ...] = ()
    circles: Mapping[tuple[Node, Node], tuple[Recipe, ...]] = attrs.field(factory=dict)


@attrs.define(eq=False)
class _Step:
    """A node on the path that is being walked, and its dependencies that are still to be walked."""

    node: Node
    nodes: Iterator[Node]
    depth: int = 0
    has_fresh: bool = False


def walk(first: Node, wiring: Wiring) -> Walk:
    """Walk the dependencies of a node that its own container makes.

    A node gets a maker of its own if several nodes need it, or if it lies deep. A fresh node is
    written into the maker of each node that needs it. But if it needs fresh nodes itself, it gets a
    maker of its own: the source could otherwise grow exponentially.
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
            # A fresh node may be written in several places, and its dependencies with it.
            uses.setdefault(node, 2 if step.node.is_fresh and len(path) > 1 else 1)
            on_path.add(node)
            path.append(_Step(node, _below(node, wiring)))

    def has_own_maker(node: Node) -> bool:
        is_shared = uses[node] > 1 and (not node.is_fresh or node in branching)
        return node == first or depths[node] == 0 or is_shared

    return Walk(tuple(filter(has_own_maker, order)), circles)


def _below(node: Node, wiring: Wiring) -> Iterator[Node]:
    wires = wiring.wires_of(node.recipe)
    for wire in () if isinstance(wires, WaresError) else wires:
        if wire.source == "here" and wire.node is not None:
            yield wire.node
