"""Writing the source of makers, and compiling it.

Makers with the same source share their code object. Factories, keys and other objects are
variables of a function around the maker, so they do not appear in the source.
"""

from __future__ import annotations

import itertools
import linecache
from collections.abc import Callable, Mapping
from typing import Any

import attrs

from wares._core import steps
from wares._core.callables import leave_out_shown_defaults, without_autowire
from wares._core.keys import MISSING
from wares._core.marks import Need
from wares._core.paths import remember_chains
from wares._core.recipes import Recipe, is_plain, never_returns_none
from wares._core.wiring import Node, Walk, Wire, Wiring
from wares.exceptions import WaresError

#: A maker, and whether it is a coroutine function.
Maker = tuple[Callable[..., Any], bool]


@attrs.frozen
class FreshCall:
    """A dependency that is made anew: its factory is called only after all else is gathered.

    Attributes:
        gathered: The arguments of its factory, as `Writer._gather` returns them.
        service: The variable that holds an object given in its place, if one can be given.
    """

    gathered: list[Any]
    service: str = ""


class Writer:
    """Writes one maker: for each service, how its dependencies are gathered, and how it is built.

    Args:
        wiring: Tells what fills each parameter.
        write_elsewhere: Returns the maker of a service that a longer-lived container keeps.
        found: The dependencies of the node for which makers are being written.
        written: The makers of the nodes that have one.
        can_await: Whether the maker is for `aget`.
    """

    def __init__(
        self,
        wiring: Wiring,
        write_elsewhere: Callable[[Wire], Maker],
        found: Walk,
        written: Mapping[Node, Maker],
        *,
        can_await: bool,
    ) -> None:
        self.wiring = wiring
        self._write_elsewhere = write_elsewhere
        self.walk = found
        self.written = written
        self.can_await = can_await
        self.is_async = False
        self.recipes: list[Recipe] = []
        # `names` are those of the arguments that a dependency may take.
        self.constants: dict[str, Any] = {"registry": wiring.registry, "names": ()}
        self.observers = wiring.registry.observers
        self._lines: list[str] = []
        self._chain: list[int] = []
        self._chains: dict[int, tuple[int, ...]] = {}
        self._names: dict[tuple[str, int], str] = {}
        self._count = 0

    def write(self, node: Node) -> Maker:
        """Write the maker of *node*."""
        if node.is_fresh:
            result = self._build(node, self._gather(node, 2), 2)
        else:
            result = self._make(node.recipe, 2)
        self.put(2, f"return {result}")
        return self.compile("c, made, claim"), self.is_async

    def write_hand_over(self, wire: Wire) -> Maker:
        """Write a maker that fetches a registered value, or a service of another container."""
        asker = Node(wire.node.recipe if wire.node else _ASKED, is_fresh=True)
        if wire.source == "ready":
            service = self.define("value", asker.recipe.value)
        else:
            service = self.get(wire, 2, asker)
        if wire.source != "container" and self.wiring.keeper != "singleton":
            # The registry itself keeps only what it makes: an override may replace anything else.
            service = self._hand_over(self.define("k", wire.need.key), service, 2)
        self.put(2, f"return {service}")
        return self.compile("c, made, claim"), self.is_async

    def compile(self, parameters: str) -> Callable[..., Any]:
        """Compile the source, or reuse the code of a maker with the same source."""
        # This line never runs, but it makes `recipes` a variable of the frame, for `read_path`.
        self.put(2, "recipes")
        self.constants["recipes"] = tuple(self.recipes)
        definition = f"{'async ' * self.is_async}def make({parameters}):"
        source = "\n".join(
            [f"def write({', '.join(self.constants)}):", f"    {definition}", *self._lines]
        )
        return _compile(f"{source}\n    return make\n", self._chains)(*self.constants.values())

    def put(self, indent: int, line: str) -> None:
        """Write one line, and note which recipes led to it."""
        self._lines.append("    " * indent + line)
        self._chains[len(self._lines) + 2] = tuple(self._chain)

    def define(self, name: str, value: Any) -> str:
        """Return the variable that holds *value*; the first use of a value defines it."""
        numbered = self._names.get((name, id(value)))
        if numbered is None:
            self._count += 1
            numbered = self._names[name, id(value)] = f"{name}{self._count}"
            self.constants[numbered] = value
        return numbered

    def new_variable(self) -> str:
        """Return the name of a new local variable for a service."""
        self._count += 1
        return f"s{self._count}"

    def get(self, wire: Wire, indent: int, asker: Node) -> str:
        """Write how the argument for *wire* is fetched or made; return the expression for it."""
        service = self._get(wire, indent, asker)
        # A need that is asked for later was only checked; its factory takes the container.
        return "c" if wire.need.is_late else service

    def _get(self, wire: Wire, indent: int, asker: Node) -> str:
        need = wire.need
        if wire.source == "container":
            return self.owner_of(need)
        if wire.source == "absent":
            return self._get_absent(wire, indent, asker)
        if wire.source == "too short":
            self.put(indent, f"raise_too_short({self.define('need', need)})")
            return "None"
        assert wire.node is not None  # all other sources have a recipe
        recipe = wire.node.recipe
        key = self.define("k", recipe.key)
        if wire.source == "ready":
            return self._get_or(key, self.define("value", recipe.value), indent)
        service = self.new_variable()
        if wire.source == "outlived":
            call = f"raise_outlived({self._name(asker.recipe)}, {self._name(recipe)})"
            self.put(indent, f"{service} = c._given[{key}] if {key} in c._given else {call}")
        elif wire.source == "here":
            return self._get_here(wire.node, key, indent, asker)
        else:
            self._get_elsewhere(wire, key, service, indent)
        return service

    def owner_of(self, need: Need) -> str:
        """Return the expression for the container that is asked for *need*."""
        return "c._request" if self.wiring.asks_request(need) else "c"

    def _get_here(self, node: Node, key: str, indent: int, asker: Node) -> str:
        circle = self.walk.circles.get((asker, node))
        if circle is None and node not in self.written:
            return self._make(node.recipe, indent)
        if circle is not None:
            otherwise = f"raise_circular({', '.join(map(self._name, circle))})"
        else:
            otherwise = self._call_maker(self.written[node])
        if not node.is_fresh:
            return self._get_or(key, otherwise, indent)
        service = self.new_variable()
        self.put(indent, f"{service} = {otherwise}")
        return service

    def _get_or(self, key: str, otherwise: str, indent: int, made: str = "made") -> str:
        """Write that a service is taken from *made*, or from the expression *otherwise*."""
        service = self.new_variable()
        # A claim counts as absent. One look-up, because a claim may be given up between two.
        self.put(indent, f"{service} = {made}.get({key}, claim)")
        self.put(indent, f"if type({service}) is Claim: {service} = {otherwise}")
        return service

    def _hand_over(self, key: str, service: str, indent: int) -> str:
        """Write that this container keeps a service that it got from elsewhere."""
        kept = self.new_variable()
        self.put(indent, f"{kept} = made.setdefault({key}, {service})")
        # A claim is there if the key was registered anew while its service was being made.
        self.put(indent, f"if type({kept}) is Claim: raise Busy(made, {key}, {kept})")
        return kept

    def _get_elsewhere(self, wire: Wire, key: str, service: str, indent: int) -> None:
        """Write that a service is fetched from the container that keeps it."""
        maker = self._write_elsewhere(wire)
        if wire.source == "registry":
            root = self.define("root", self.wiring.registry.root)
            kept = self.define("kept", self.wiring.registry.root._made)
            # First this container: it keeps a singleton that an override has removed from the root.
            self.put(indent, f"{service} = made.get({key}, claim)")
            self.put(
                indent, f"if type({service}) is Claim: {service} = {kept}.get({key}, claim)"
            )
            call = self._call_maker(maker, f"{root}, {root}._made, claim")
            self.put(indent, f"if type({service}) is Claim: {service} = {call}")
            return
        make = self._call_maker(maker, "owner, its, claim")
        if wire.source == "request":
            self.put(indent, "owner = c._request; its = owner._made")
            if wire.node is not None and wire.node.is_fresh:
                # Claiming a key fails in a closed container; a fresh service claims none.
                self.put(indent, "if owner.is_closed: raise owner._make_closed_error()")
                self.put(indent, f"{service} = {make}")
            else:
                self.put(indent, f"{service} = {self._get_or(key, make, indent, 'its')}")
            return
        self.put(indent, f"{service} = made.get({key}, claim)")
        self.put(indent, f"if type({service}) is Claim:")
        self.put(indent + 1, "owner = c if c._outermost is None else c._outermost")
        self.put(indent + 1, "its = owner._made")
        got = self._get_or(key, make, indent + 1, "its")
        self.put(indent + 1, f"{service} = {self._hand_over(key, got, indent + 1)}")

    def _get_absent(self, wire: Wire, indent: int, asker: Node) -> str:
        """Write what fills a parameter without a recipe: a given object, or its default."""
        service = self.new_variable()
        need = wire.need
        if need.default is not MISSING:
            otherwise = self.define("default", need.default)
        else:
            name = self.define("need", need)
            otherwise = f"raise_missing(c, {name}, {self._name(asker.recipe)}, names)"
        if need.key is MISSING:
            self.put(indent, f"{service} = {otherwise}")
        else:
            key = self.define("k", need.key)
            # `Inject` takes given objects only, not the result of an unregistered dependency.
            return self._get_or(
                key, otherwise, indent, "c._given" if need.is_service else "made"
            )
        return service

    def _call_maker(self, maker: Maker, arguments: str = "c, made, claim") -> str:
        function, is_async = maker
        name = self.define("make", function)
        return f"{self._await() if is_async else ''}{name}({arguments})"

    def _await(self) -> str:
        """Return ``await``, and note that the maker must be a coroutine function."""
        self.is_async = True
        return "await "

    def _index_of(self, recipe: Recipe) -> int:
        if recipe not in self.recipes:
            self.recipes.append(recipe)
        return self.recipes.index(recipe)

    def _name(self, recipe: Recipe) -> str:
        """Return the expression for a recipe."""
        return f"recipes[{self._index_of(recipe)}]"

    def _gather(self, node: Node, indent: int) -> list[Any]:
        """Write how the dependencies of a factory are fetched or made, except for fresh ones.

        Returns:
            For each parameter the wire, and the expression for its argument or a `FreshCall`.
        """
        recipe = node.recipe
        self._chain.append(self._index_of(recipe))
        gathered: list[Any] = []
        wires = self.wiring.wires_of(recipe)
        if isinstance(wires, WaresError):
            self.put(indent, f"raise_unreadable(c, {self._name(recipe)})")
            wires = ()
        if recipe.shape.is_async and not self.can_await:
            wires = ()
        for wire in wires:
            if self._is_built_fresh(wire, node):
                gathered.append((wire, self._gather_fresh(wire.node, indent)))  # type: ignore[arg-type]  # a fresh wire has a node
            else:
                gathered.append((wire, self.get(wire, indent, node)))
        self._chain.pop()
        return gathered

    def _gather_fresh(self, node: Node, indent: int) -> FreshCall:
        """Gather the dependencies of a fresh service; a composed one may be given instead."""
        if not node.recipe.composition:
            return FreshCall(self._gather(node, indent))
        service = self.new_variable()
        self.put(indent, f"{service} = made.get({self.define('k', node.recipe.key)}, claim)")
        self.put(indent, f"if type({service}) is Claim:")
        self.put(indent + 1, "pass")
        return FreshCall(self._gather(node, indent + 1), service)

    def _is_built_fresh(self, wire: Wire, asker: Node) -> bool:
        node = wire.node
        if node is None or wire.source != "here" or not node.is_fresh:
            return False
        return node not in self.written and (asker, node) not in self.walk.circles

    def _make(self, recipe: Recipe, indent: int) -> str:
        """Write how a service is made and kept, unless it exists already."""
        key, index = self.define("k", recipe.key), self._index_of(recipe)
        self._chain.append(index)
        if recipe.shape.is_async and not self.can_await:
            service = self._get_or(key, f"refuse_async(made, {self._name(recipe)})", indent)
            self._chain.pop()
            return service
        service = self.new_variable()
        self.put(indent, f"{service} = made.setdefault({key}, claim)")
        self.put(indent, f"if {service} is claim:")
        self._chain.pop()
        node = Node(recipe, is_fresh=False)
        gathered = self._gather(node, indent + 1)
        is_root = self.wiring.keeper == "singleton"
        if is_root:
            self.put(indent + 1, "claim.sources = []")
            if self.can_await:
                self.put(indent + 1, "claim.loop = find_event_loop()")
        result = self._build(node, gathered, indent + 1)
        self._chain.append(index)
        if is_root:
            sources = self.define("sources", tuple(self.wiring.sources_of(recipe)))
            arguments = f"claim, made, {self._name(recipe)}, {result}, {sources}"
            self.put(indent + 1, f"{service} = registry.singletons.keep({arguments})")
        else:
            self.put(indent + 1, f"made[{key}] = {service} = {result}")
        self.put(indent + 1, "if claim.waiters: wake(claim)")
        self.put(indent, f"elif type({service}) is Claim: raise Busy(made, {key}, {service})")
        self._chain.pop()
        return service

    def _build(self, node: Node, gathered: list[Any], indent: int) -> str:
        """Write the call of a factory, after those of its fresh dependencies."""
        recipe = node.recipe
        self._chain.append(self._index_of(recipe))
        arguments = []
        for wire, got in gathered:
            is_fresh = isinstance(got, FreshCall)
            argument = self._build_fresh(wire.node, got, indent) if is_fresh else got
            arguments.append(
                f"{wire.need.name}={argument}" if wire.need.by_keyword else argument
            )
        if recipe.shape.is_async and not self.can_await:
            self.put(indent, f"refuse_async(made, {self._name(recipe)})")
        result = self.call(node, ", ".join(arguments), indent)
        self._chain.pop()
        return result

    def _build_fresh(self, node: Node, fresh: FreshCall, indent: int) -> str:
        if not fresh.service:
            return self._build(node, fresh.gathered, indent)
        self.put(indent, f"if type({fresh.service}) is Claim:")
        self.put(
            indent + 1, f"{fresh.service} = {self._build(node, fresh.gathered, indent + 1)}"
        )
        return fresh.service

    def call(self, node: Node, arguments: str, indent: int) -> str:
        """Write the call of a factory, and how its product becomes the service."""
        if not self.observers:
            return self._call(node, arguments, indent)
        told = f"{self.define('observers', self.observers)}, {self._name(node.recipe)}"
        self.put(indent, f"begin = observe_beginning({told})")
        self.put(indent, "try:")
        service = self._call(node, arguments, indent + 1)
        self.put(indent, "except BaseException as error:")
        self.put(indent + 1, f"observe_end({told}, begin, error)")
        self.put(indent + 1, "raise")
        self.put(indent, f"observe_end({told}, begin)")
        return service

    def _can_ask(self, recipe: Recipe) -> bool:
        """Return whether a factory receives the container, or a function that asks it."""
        wires = self.wiring.wires_of(recipe)
        return not isinstance(wires, WaresError) and any(
            wire.source == "container"
            or (wire.node is not None and wire.node.recipe.composition is not None)
            for wire in wires
        )

    def find_factory(self, recipe: Recipe) -> Callable[..., Any]:
        """Return the callable to call for a recipe."""
        return leave_out_shown_defaults(without_autowire(recipe.factory))

    def _call(self, node: Node, arguments: str, indent: int) -> str:
        recipe = node.recipe
        if not (recipe.shape.is_async and self.can_await and self._can_ask(recipe)):
            return self._call_and_settle(node, arguments, indent)
        # A task that the factory starts may ask for services: it must know the claim it is within.
        making = f"making{len(self._lines)}"
        self.put(indent, f"{making} = Making(claim, current_making.get())")
        self.put(indent, f"current_making.set({making})")
        self.put(indent, "try:")
        service = self._call_and_settle(node, arguments, indent + 1)
        self.put(indent, "finally:")
        self.put(indent + 1, f"{making}.is_over = True")
        # No token: a coroutine that is closed from outside ends in another context.
        self.put(indent + 1, f"current_making.set({making}.outer)")
        return service

    def _call_and_settle(self, node: Node, arguments: str, indent: int) -> str:
        recipe, name = node.recipe, self._name(node.recipe)
        service = self.new_variable()
        factory = self.define("factory", self.find_factory(recipe))
        call = f"{factory}({arguments})"
        is_async = recipe.shape.is_async and self.can_await
        if recipe.shape.yields:
            if is_async:
                self._await()
            self.put(indent, f"generator = {call}")
            self.put(indent, f"{'async ' * is_async}for {service} in generator: break")
            self.put(indent, f"else: raise_not_yielded({name})")
            self._note_cleanup(name, indent, is_async=is_async)
            self._write_none_check(recipe, service, indent)
            return service
        if is_async:
            call = f"{self._await()}{call}"
        self.put(indent, f"{service} = {call}")
        if is_async:
            self.put(indent, "if c._made is not made: check_open(c, made)")
        if not is_plain(recipe):
            plain = self.define("plain", set[type]())
            settle = f"{self._await()}asettle" if self.can_await else "settle"
            settled = f"{settle}(c, made, {name}, {plain}, {service})"
            self.put(indent, f"if type({service}) not in {plain}: {service} = {settled}")
        self._write_none_check(recipe, service, indent)
        return service

    def _write_none_check(self, recipe: Recipe, service: str, indent: int) -> None:
        """Write a check for `None`, if the annotation of the factory rules it out."""
        if never_returns_none(recipe):
            call = f"raise_returned_none({self._name(recipe)})"
            self.put(indent, f"if {service} is None: {call}")

    def _note_cleanup(self, recipe: str, indent: int, *, is_async: bool) -> None:
        """Write that the cleanup of a generator is noted."""
        begin = "made.setdefault(CLEANUPS, c._make_cleanups())"
        # One look-up, because a closing thread may take the cleanups between two.
        self.put(indent, f"cleanups = made.get(CLEANUPS) or {begin}")
        if is_async:
            self.put(indent, "cleanups.must_await = True")
        leave = f"leave_{'async_' * is_async}generator"
        self.put(indent, f"cleanups.append(({leave}, generator, {recipe}))")
        clean_up = f"{'await a' * is_async}clean_up_and_raise(c, cleanups, generator)"
        self.put(indent, f"if c._made is not made: {clean_up}")


#: The asking recipe, where a container is asked for a key that has no recipe.
_ASKED = Recipe("a container", object, "transient", is_derived=True)

#: The functions that return makers, by their source.
_shapes: dict[str, Callable[..., Callable[..., Any]]] = {}

#: Counts file names; two threads that compile at the same time get different ones.
_numbers = itertools.count(1)


def _compile(
    source: str, chains: dict[int, tuple[int, ...]]
) -> Callable[..., Callable[..., Any]]:
    shape = _shapes.get(source)
    if shape is None:
        file_name = f"<maker {next(_numbers)} of wares>"
        names = dict(steps.NAMES)
        exec(compile(source, file_name, "exec"), names)  # noqa: S102  # our own source
        remember_chains(file_name, chains)
        # Tracebacks and debuggers read the source from here.
        linecache.cache[file_name] = (
            len(source),
            None,
            source.splitlines(keepends=True),
            file_name,
        )
        shape = _shapes.setdefault(source, names["write"])
    return shape
