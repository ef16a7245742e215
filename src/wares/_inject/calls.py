"""Writing the function that gets the dependencies of an injected function, as makers are written.

A dependency that takes an argument of the call, or needs one that does, is bound to the call,
because another call in the same container has other arguments. It is shared within the call only,
though it is cleaned up with the container. The container is asked for all other dependencies.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Collection
from typing import Any

from wares._core.asking import Closed, explain
from wares._core.claims import NOT_MADE
from wares._core.container import Container
from wares._core.makers import MakerKey, Makers
from wares._core.marks import Need
from wares._core.recipes import Recipe
from wares._core.wiring import Node, Walk, Wire
from wares._core.writing import Maker, Writer
from wares._inject.askers import Asker
from wares._inject.reading import read_rest
from wares.exceptions import CircularDependencyError


def link(asker: Asker, container: Container, more: Collection[str] = ()) -> Callable[..., Any]:
    """Return the function that gets the dependencies of an injected one; write it if necessary.

    Args:
        asker: The injected function.
        container: The container that will be asked.
        more: The names of arguments that callers have passed besides `Asker.names`.

    Returns:
        A function that takes the container, the arguments named in `Asker.names`, an argument for
        each need, which is `MISSING` if it was not passed, and a dict of further arguments. It
        returns the dependencies as a tuple.
    """
    read_rest(asker)
    makers = container._makers
    token = makers.token
    found: Any = makers.calls.get(asker)
    if found is None:
        needs = itertools.chain(*map(Recipe.read, _find_dependents(asker.recipe, makers)))
        taken = frozenset(need.name for need in needs if need.takes_argument)
        found = makers.calls[asker] = (taken, {})
    # Not looked up again, because another thread may register something and replace that dict.
    taken, written = found
    names = taken.intersection(more)
    if names not in written:
        written[names] = _CallWriter(asker, makers, names).write_call()
    if not names:
        asker.hot = (token, written[names])
    call: Callable[..., Any] = written[names]
    return call


def _find_dependents(call: Recipe, makers: Makers) -> dict[Recipe, list[Recipe]]:
    """Return the dependencies of a function at any depth, each with those that need it."""
    dependents: dict[Recipe, list[Recipe]] = {}
    todo = [call]
    for recipe in todo:
        for need in recipe.read():
            node = makers.wiring.wire(need).node if need.is_marked else None
            if node is not None and node.recipe.is_derived:
                if node.recipe not in dependents:
                    todo.append(node.recipe)
                dependents.setdefault(node.recipe, []).append(recipe)
    return dependents


class _CallWriter(Writer):
    """Writes the function that gets the dependencies of one injected function."""

    def __init__(self, asker: Asker, makers: Makers, more: Collection[str]) -> None:
        # The makers of unregistered dependencies belong to this function.
        self._unshared: dict[Node, Maker] = {}
        elsewhere = functools.partial(
            makers.write_elsewhere, can_await=asker.can_await, unshared=self._unshared
        )
        super().__init__(makers.make_wiring(), elsewhere, Walk(), {}, can_await=asker.can_await)
        self._asker = asker
        self._makers = makers
        self._arguments = {name: f"a_{name}" for name in asker.names}
        self._arguments |= {name: f"more[{name!r}]" for name in more}
        self._bound = self._find_bound()
        # For each bound dependency its variable, and the needs within whose `if` it is written.
        self._shared: dict[Recipe, tuple[str, set[Need | None]]] = {}
        self._within: Need | None = None
        self.is_async = asker.can_await

    def write_call(self) -> Callable[..., Any]:
        """Write the function."""
        asker = self._asker
        call = Node(asker.recipe, is_fresh=True)
        self._chain.append(self._index_of(asker.recipe))
        self.constants |= {"Closed": Closed, "explain": explain, "claim": NOT_MADE}
        self.constants["names"] = tuple(self._arguments)
        # In the source, `a_...` are arguments of the call, and `g_...` those for marked parameters.
        self.put(2, "try:")
        self.put(3, "made = c._made")
        self.put(3, "if type(made) is Closed: raise c._make_closed_error()")
        self.put(3, "")
        start = len(self._lines)
        for need in asker.extras:
            self._fill(need, call, 3)
        results = []
        for need in asker.needs:
            self._within = need
            self.put(3, f"if g_{need.name} is MISSING:")
            service = self._fill(need, call, 4)
            self.put(4, f"g_{need.name} = {service}")
            results.append(f"g_{need.name}")
        if self._shared:
            shared = "".join(f"{service} = " for service, _ in self._shared.values())
            self._lines[start - 1] = f"            {shared}MISSING"
        # Only once: the traceback of the error leads through this function, too.
        self._chain.pop()
        self.put(2, "except BaseException as error:")
        self.put(3, "explain(error)")
        self.put(3, "raise")
        self.put(2, f"return ({''.join(f'{result}, ' for result in results)})")
        parameters = ["c", *[f"a_{name}" for name in asker.names]]
        parameters += [f"g_{need.name}" for need in asker.needs]
        return self.compile(", ".join([*parameters, "more"]))

    def _fill(self, need: Need, asker: Node, indent: int) -> str:
        """Write how the argument for *need* is fetched or made; return the expression for it."""
        if need.takes_argument and need.name in self._arguments:
            return self._arguments[need.name]
        wire = self.wiring.wire(need)
        if wire.node is None or wire.source == "ready":
            return self.get(wire, indent, asker)
        if wire.node.recipe in self._bound:
            return self._fill_bound(wire, indent)
        service, key = self.new_variable(), self.define("k", need.key)
        owner, asked = self._choose_key(wire)
        get = f"await {owner}.aget({asked})" if self.can_await else f"{owner}.get({asked})"
        if owner == "c" and not wire.node.is_fresh:
            return self._get_or(key, get, indent)
        self.put(indent, f"{service} = {get}")
        return service

    def _choose_key(self, wire: Wire) -> tuple[str, str]:
        """Return the expressions for the container to ask, and for the key."""
        assert wire.node is not None  # else no container is asked
        recipe = wire.node.recipe
        owner = self.owner_of(wire.need)
        if not recipe.is_derived and (wire.need.use_cache or recipe.lifetime == "transient"):
            return owner, self.define("k", recipe.key)
        makers = self._makers if owner == "c" else self._makers.request
        assert makers is not None  # the makers of a function's container have it
        maker = makers.write(wire.node, can_await=self.can_await, unshared=self._unshared)
        return owner, self.define("maker_key", MakerKey(maker))

    def _fill_bound(self, wire: Wire, indent: int) -> str:
        """Write how a dependency that is bound to the call is made."""
        assert wire.node is not None  # a bound dependency has a recipe
        recipe = wire.node.recipe
        index = self._index_of(recipe)
        if index in self._chain:
            path = [self.recipes[each].key for each in self._chain[self._chain.index(index) :]]
            raise CircularDependencyError([*path, recipe.key])
        if not wire.need.use_cache:
            return self._call_bound(recipe, index, indent)
        service, written = self._shared.setdefault(recipe, (self.new_variable(), set()))
        if not written & {None, self._within}:
            # Code within the `if` of another need is skipped if the caller passes that argument.
            written.add(self._within)
            key = self.define("k", recipe.key)
            self.put(
                indent, f"if {service} is MISSING: {service} = c._given.get({key}, MISSING)"
            )
            self.put(indent, f"if {service} is MISSING:")
            result = self._call_bound(recipe, index, indent + 1)
            self.put(indent + 1, f"{service} = {result}")
        return service

    def _call_bound(self, recipe: Recipe, index: int, indent: int) -> str:
        """Write the call of a dependency; return the expression for its result."""
        node = Node(recipe, is_fresh=True)
        self._chain.append(index)
        gathered = [
            (Wire(need, "here"), self._fill(need, node, indent)) for need in recipe.read()
        ]
        self._chain.pop()
        return self._build(node, gathered, indent)

    def find_factory(self, recipe: Recipe) -> Callable[..., Any]:
        """Return the callable to call for a recipe, which casts its arguments if needed."""
        factory = super().find_factory(recipe)
        if not self._asker.casts_arguments:
            return factory
        return self._asker.casts_of(recipe).wrap(factory, recipe.read())

    def _find_bound(self) -> set[Recipe]:
        """Return the dependencies that are bound to the call."""
        dependents = _find_dependents(self._asker.recipe, self._makers)
        todo = [recipe for recipe in dependents if self._takes_arguments(recipe)]
        bound: set[Recipe] = set()
        for recipe in todo:
            if recipe not in bound:
                bound.add(recipe)
                todo += dependents.get(recipe, ())
        return bound

    def _takes_arguments(self, recipe: Recipe) -> bool:
        """Return whether a dependency takes an argument of the call, or casts one of its own."""
        return self._is_cast(recipe) or any(
            need.takes_argument and need.name in self._arguments for need in recipe.read()
        )

    def _is_cast(self, recipe: Recipe) -> bool:
        """Return whether casting may replace an argument of a dependency."""
        if not self._asker.casts_arguments:
            return False
        return self._asker.casts_of(recipe).may_change_any(recipe.read())
