"""The graph of services and their needs, and its problems.

This module reads recipes and their needs. It makes no service, and prints no registered value.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from typing import Any

import attrs

from wares._core.callables import describe_callable, find_place
from wares._core.compositions import Part
from wares._core.keys import MISSING, describe, find_nearest, name_uniquely
from wares._core.marks import Need
from wares._core.recipes import Recipe, cannot_fill, promise_of
from wares._core.results import fits
from wares._core.signatures import Reader
from wares._graph.nodes import Edge, Node
from wares.exceptions import (
    CircularDependencyError,
    InvalidRegistrationError,
    LifetimeError,
    ServiceNotFoundError,
    WaresError,
)

#: The lifetimes, as numbers: services with a higher number live longer.
_SPANS = {"singleton": 3, "connection": 2, "given": 2, "scoped": 1}


@attrs.frozen
class Graph:
    """Services and their needs, in the order of registration.

    Attributes:
        nodes: The services. Objects that containers are given are among them if a service needs
            them.
        edges: The needs that factories declare, and those that were seen at run time.
        problems: The problems, each as the error that it would cause.
    """

    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    problems: tuple[Exception, ...] = attrs.field(repr=False)

    @classmethod
    def over(
        cls,
        recipes: Mapping[Hashable, Recipe],
        expected: Iterable[Hashable],
        find: Callable[[Need], Recipe | None],
        seen: Iterable[tuple[Hashable, Hashable]] = (),
    ) -> Graph:
        """Make the graph of *recipes*."""
        return _Surveyor(recipes, expected, find).survey(seen)

    def to_dict(self) -> dict[str, Any]:
        """Return the graph as plain data for JSON."""
        return {
            "nodes": [
                {
                    "name": node.name,
                    "kind": node.kind,
                    "lifetime": node.lifetime,
                    "place": node.place,
                    "has_ping": node.has_ping,
                    "tags": list(node.tags),
                    "problems": list(node.problems),
                }
                for node in self.nodes
            ],
            "edges": [
                {
                    "source": edge.source,
                    "target": edge.target,
                    "parameter": edge.parameter,
                    "kind": edge.kind,
                    "problems": list(edge.problems),
                }
                for edge in self.edges
            ],
            "problems": [str(problem) for problem in self.problems],
        }

    def to_mermaid(self) -> str:
        """Draw the graph as a Mermaid flowchart."""
        from wares._graph.drawing import draw_mermaid  # noqa: PLC0415  # few programs draw

        return draw_mermaid(self)

    def to_dot(self) -> str:
        """Draw the graph in the language of Graphviz."""
        from wares._graph.drawing import draw_dot  # noqa: PLC0415  # few programs draw

        return draw_dot(self)

    def to_html(self, title: str = "Services") -> str:
        """Draw the graph as a self-contained HTML page, with search and zoom.

        Args:
            title: The title of the page.
        """
        from wares._graph.page import draw_page  # noqa: PLC0415  # few programs draw

        return draw_page(self.to_dict(), title)


class _Surveyor:
    """Goes through the recipes once, and collects nodes, edges and problems."""

    def __init__(
        self,
        recipes: Mapping[Hashable, Recipe],
        expected: Iterable[Hashable],
        find: Callable[[Need], Recipe | None],
    ) -> None:
        self._recipes = dict(recipes)
        self._registered = tuple(self._recipes)
        self._expected = dict.fromkeys(expected)
        self._find = find
        self._needs: dict[Hashable, tuple[Need, ...]] = {}
        self._missing: dict[Hashable, None] = {}
        # The keys of unregistered services, each with the key of the first service that needs it.
        self._askers: dict[Hashable, Hashable] = {}
        self._problems: list[Exception] = []
        self._blamed: dict[Hashable, dict[int, None]] = {}
        self._seen: list[tuple[Hashable, Hashable]] = []

    def survey(self, seen: Iterable[tuple[Hashable, Hashable]]) -> Graph:
        """Go through the recipes, and add the needs that were seen at run time."""
        todo = list(self._recipes)
        for key in todo:
            todo += self._read(self._recipes[key])
        self._find_missing()
        self._find_lifetimes()
        self._find_circles()
        self._find_misfits()
        self._seen += [pair for pair in list(seen) if pair[0] in self._recipes]
        names = name_uniquely(self._all_keys())
        return Graph(
            tuple(self._nodes(names)), tuple(self._edges(names)), tuple(self._problems)
        )

    def _read(self, recipe: Recipe) -> Iterator[Hashable]:
        """Read the needs of a recipe; yield the keys of unregistered services that can be made."""
        try:
            needs = recipe.read()
        except WaresError as problem:
            self._note(problem, recipe.key)
            needs = ()
        for need in needs:
            if need.key is MISSING and need.default is MISSING:
                # A service is not made for a call, so there are no arguments to take.
                step = recipe.describe_step()
                self._note(cannot_fill(need, recipe, (), [step]), recipe.key)
        self._needs[recipe.key] = tuple(
            need
            for need in needs
            if need.key is not Reader.container and need.key is not MISSING
        )
        for need in self._needs[recipe.key]:
            if need.key not in self._expected:
                found = self._find(need)
                if found is not None and need.key not in self._recipes:
                    self._recipes[need.key] = found
                    self._askers[need.key] = recipe.key
                    yield need.key

    def _note(self, problem: Exception, *path: Hashable) -> None:
        """Note a problem, its services, and the edges between services that follow each other."""
        number = len(self._problems)
        self._problems.append(problem)
        for blamed in [*path, *itertools.pairwise(path)]:
            self._blamed.setdefault(blamed, {})[number] = None

    def _problems_of(self, blamed: Hashable) -> tuple[int, ...]:
        """List the problems of a service, or of an edge."""
        return tuple(self._blamed.get(blamed, ()))

    def _is_there(self, key: Hashable) -> bool:
        return key in self._recipes or key in self._expected

    def _needs_of(self, key: Hashable) -> tuple[Need, ...]:
        """List the needs of a service, without optional ones that are not registered."""
        return tuple(
            need
            for need in self._needs.get(key, ())
            if need.default is MISSING or self._is_there(need.key)
        )

    def _find_missing(self) -> None:
        for key in self._needs:
            for need in self._needs_of(key):
                if not self._is_there(need.key):
                    self._missing[need.key] = None
                    self._note(self._make_missing(key, need), key, need.key)

    def _make_missing(self, key: Hashable, need: Need) -> ServiceNotFoundError:
        path = [key]
        while path[0] in self._askers:
            path.insert(0, self._askers[path[0]])
        name = describe(need.key)
        last = f"{name}, not registered, for the parameter {need.name!r}"
        return ServiceNotFoundError(
            need.key,
            path=[*path, need.key],
            steps=[*(self._recipes[each].describe_step() for each in path), last],
            nearest=find_nearest(need.key, self._registered),
        )

    def _find_lifetimes(self) -> None:
        for key in self._needs:
            recipe = self._recipes[key]
            span = 0 if recipe.is_derived else _SPANS.get(recipe.lifetime, 0)
            for needed in self._kept_needs_of(key) if span else ():
                lifetime = self._lifetime_of(needed)
                if _SPANS.get(lifetime, span) < span:
                    problem = LifetimeError(
                        key, recipe.lifetime, needed, lifetime, steps=[recipe.describe_step()]
                    )
                    self._note(problem, key, needed)

    def _kept_needs_of(self, key: Hashable) -> list[Hashable]:
        """List the needs of a service, and those of transient services among them."""
        found: dict[Hashable, None] = {}
        todo = [key]
        for current in todo:
            for need in self._needs_of(current):
                if need.key in found:
                    continue
                found[need.key] = None
                recipe = self._recipes.get(need.key)
                if recipe is not None and (recipe.is_derived or recipe.lifetime == "transient"):
                    todo.append(need.key)
        return list(found)

    def _lifetime_of(self, key: Hashable) -> str:
        """Return the lifetime of a needed service; values outlive all, given objects do not."""
        recipe = self._recipes.get(key)
        if recipe is None:
            return "given" if key in self._expected else "transient"
        return "transient" if recipe.is_derived or recipe.is_ready else recipe.lifetime

    def _find_circles(self) -> None:
        """Find circles, without recursion, because a path may be long.

        Of circles that have keys in common, not all need be found: there may be very many.
        """
        done: set[Hashable] = set()
        for start in self._needs:
            path: list[Hashable] = []
            todo: list[tuple[Hashable, Iterator[Need]]] = []
            self._step_into(start, path, todo, done)
            while todo:
                key, needs = todo[-1]
                need = next(needs, None)
                if need is None:
                    todo.pop()
                    path.pop()
                    done.add(key)
                elif need.key in path:
                    self._note_circle(path[path.index(need.key) :])
                else:
                    self._step_into(need.key, path, todo, done)

    def _step_into(
        self,
        key: Hashable,
        path: list[Hashable],
        todo: list[tuple[Hashable, Iterator[Need]]],
        done: set[Hashable],
    ) -> None:
        if key not in done and key in self._needs:
            path.append(key)
            # A service that is asked for later closes no circle.
            needs = [need for need in self._needs_of(key) if not need.is_late]
            todo.append((key, iter(needs)))

    def _note_circle(self, circle: list[Hashable]) -> None:
        steps = [self._recipes[key].describe_step() for key in circle]
        path = [*circle, circle[0]]
        self._note(CircularDependencyError(path, steps=steps), *path)

    def _find_misfits(self) -> None:
        """Find factories and aliases that do not return the type that they are registered under."""
        for key, recipe in self._recipes.items():
            asked = key.key if isinstance(key, Part) else key
            if recipe.composition is not None:
                self._find_wrong_alias(recipe, key)
                continue
            if recipe.is_derived or recipe.decorated is not None:
                # A decorating service often only looks like the decorated one.
                continue
            promise = promise_of(recipe)
            if promise is not MISSING and not fits(promise, asked):
                problem = InvalidRegistrationError(
                    f"The factory of {describe(asked)}, {describe_callable(recipe.factory)}, gives "
                    f"{describe(promise)}, which is no {describe(asked)}. Register it under "
                    f"{describe(promise)}, or correct the annotation of its result."
                )
                self._note(problem, key)

    def _find_wrong_alias(self, recipe: Recipe, key: Hashable) -> None:
        target = self._needs[key][0].key if recipe.composition == "alias" else key
        if not fits(target, key):
            problem = InvalidRegistrationError(
                f"{describe(key)} is registered as an alias of {describe(target)}, which is no "
                f"{describe(key)}. Name a class that derives from it."
            )
            self._note(problem, key, target)

    def _all_keys(self) -> list[Hashable]:
        seen = [target for _, target in self._seen]
        needed = {need.key for key in self._needs for need in self._needs_of(key)}
        # Adapters announce all objects that a framework may give, and few applications need many.
        given = [key for key in self._expected if key in needed]
        return list(dict.fromkeys([*self._recipes, *given, *self._missing, *seen]))

    def _nodes(self, names: Mapping[Hashable, str]) -> Iterator[Node]:
        for key, name in names.items():
            recipe = self._recipes.get(key)
            problems = self._problems_of(key)
            if recipe is None:
                kind = "expected" if key in self._expected else "missing"
                yield Node(key, name, kind, None, None, has_ping=False, problems=problems)
            else:
                yield _node_for(recipe, name, problems)

    def _edges(self, names: Mapping[Hashable, str]) -> Iterator[Edge]:
        declared: set[tuple[Hashable, Hashable]] = set()
        for key in self._needs:
            for need in self._needs_of(key):
                declared.add((key, need.key))
                problems = self._problems_of((key, need.key))
                yield Edge(names[key], names[need.key], need.name, problems=problems)
        for source, target in self._seen:
            if (source, target) not in declared:
                yield Edge(names[source], names[target], None, "seen")


def _node_for(recipe: Recipe, name: str, problems: tuple[int, ...]) -> Node:
    has_place = not recipe.is_value and recipe.composition is None
    place = find_place(recipe.factory) if has_place else None
    return Node(
        recipe.key,
        name,
        _kind_of(recipe),
        recipe.lifetime,
        place,
        has_ping=recipe.ping is not None,
        tags=recipe.tags,
        problems=problems,
    )


def _kind_of(recipe: Recipe) -> str:
    if recipe.is_value:
        return "value"
    if recipe.composition is not None:
        return recipe.composition
    return "callable" if recipe.is_derived else "factory"
