"""The text of a maker, written from recipes and compiled.

Makers of one shape share their code: what they differ in are the variables of the function
around them.
"""

from __future__ import annotations

import itertools
import linecache
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import attrs

from wares._core import steps
from wares._core.callables import without_autowire
from wares._core.cleanups import Cleanups, RegistryCleanups
from wares._core.keys import MISSING
from wares._core.paths import know_maker
from wares._core.recipes import Recipe, is_plain, never_gives_none
from wares._core.registrations import Registrations
from wares._core.wiring import Keeper, Node, Walk, Wire, Wiring
from wares.exceptions import WaresError

#: A maker, and whether it is a coroutine function.
Maker = tuple[Callable[..., Any], bool]


class Book(Protocol):
    """Where makers are kept, as far as a writer asks it for others."""

    @property
    def registry(self) -> Registrations:
        """What is registered."""
        raise NotImplementedError

    @property
    def keeper(self) -> Keeper:
        """The lifetime of what everything here is made for."""
        raise NotImplementedError

    def write_elsewhere(
        self, wire: Wire, *, can_await: bool, own: dict[Node, Maker] | None = None
    ) -> Maker:
        """Write the maker of something that a longer-lived container keeps."""
        raise NotImplementedError


@attrs.frozen
class Late:
    """What is made anew, as late as can be.

    Attributes:
        gathered: What was gathered for it.
        service: The variable that holds what was given instead, if that is possible.
    """

    gathered: list[Any]
    service: str = ""


class Writer:
    """Writes one maker.

    Args:
        makers: The book that it belongs to.
        wiring: What fills the parameters.
        found: What lies below the node that is asked for.
        written: The makers of the nodes that have one.
        can_await: Whether it is for `aget`.
        own: Where the makers of what nobody has registered are kept, if not with the others.
    """

    def __init__(
        self,
        makers: Book,
        wiring: Wiring,
        found: Walk,
        written: Mapping[Node, Maker],
        *,
        can_await: bool,
        own: dict[Node, Maker] | None = None,
    ) -> None:
        self.own = own
        self.makers = makers
        self.wiring = wiring
        self.walk = found
        self.written = written
        self.can_await = can_await
        self.is_async = False
        self.recipes: list[Recipe] = []
        cleanups = RegistryCleanups if makers.keeper == "singleton" else Cleanups
        self.constants: dict[str, Any] = {"registry": makers.registry, "Cleanups": cleanups}
        self.observers = makers.registry.observers
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
        """Write what hands over a service that is ready, or is kept by another container."""
        asker = Node(wire.node.recipe if wire.node else _ASKED, is_fresh=True)
        if wire.source == "ready":
            service = self.define("value", asker.recipe.value)
        else:
            service = self.get(wire, 2, asker)
        if wire.source != "container" and self.makers.keeper != "singleton":
            # The registry keeps what it has made, and nothing that an override may replace.
            service = self._hand_over(self.define("k", wire.need.key), service, 2)
        self.put(2, f"return {service}")
        return self.compile("c, made, claim"), self.is_async

    def compile(self, parameters: str) -> Callable[..., Any]:
        """Compile what was written; makers of one shape are compiled once."""
        # What follows the return is never run: it lets the frame know the recipes.
        self.put(2, "recipes")
        self.constants["recipes"] = tuple(self.recipes)
        definition = f"{'async ' * self.is_async}def make({parameters}):"
        text = "\n".join(
            [f"def write({', '.join(self.constants)}):", f"    {definition}", *self._lines]
        )
        return _compile(f"{text}\n    return make\n", self._chains)(*self.constants.values())

    def put(self, indent: int, line: str) -> None:
        """Write one line."""
        self._lines.append("    " * indent + line)
        self._chains[len(self._lines) + 2] = tuple(self._chain)

    def define(self, name: str, value: Any) -> str:
        """Give a name to something that the text needs."""
        numbered = self._names.get((name, id(value)))
        if numbered is None:
            self._count += 1
            numbered = self._names[name, id(value)] = f"{name}{self._count}"
            self.constants[numbered] = value
        return numbered

    def new_variable(self) -> str:
        """Give a name for what was got."""
        self._count += 1
        return f"s{self._count}"

    def get(self, wire: Wire, indent: int, asker: Node) -> str:
        """Write how what fills a parameter is got; give the expression for it."""
        service = self._get(wire, indent, asker)
        # What is asked for later was only checked.
        return "c" if wire.need.is_late else service

    def _get(self, wire: Wire, indent: int, asker: Node) -> str:
        need = wire.need
        if wire.source == "container":
            is_around = self.wiring.is_function and need.is_marked and need.scope != "function"
            return "c._request" if is_around else "c"
        if wire.source == "absent":
            return self._get_absent(wire, indent, asker)
        if wire.source == "too short":
            self.put(indent, f"too_short({self.define('need', need)})")
            return "None"
        assert wire.node is not None  # all others are made by something
        recipe = wire.node.recipe
        key = self.define("k", recipe.key)
        if wire.source == "ready":
            return self._get_or(key, self.define("value", recipe.value), indent)
        service = self.new_variable()
        if wire.source == "outlived":
            call = self._raising("outlived", asker.recipe, recipe)
            self.put(indent, f"{service} = c._given[{key}] if {key} in c._given else {call}")
        elif wire.source == "here":
            return self._get_here(wire.node, key, indent, asker)
        else:
            self._get_elsewhere(wire, key, service, indent)
        return service

    def _get_here(self, node: Node, key: str, indent: int, asker: Node) -> str:
        circle = self.walk.circles.get((asker, node))
        if circle is None and node not in self.written:
            return self._make(node.recipe, indent)
        if circle is not None:
            otherwise = self._raising("circular", *circle)
        else:
            otherwise = self._call_maker(self.written[node])
        if not node.is_fresh:
            return self._get_or(key, otherwise, indent)
        service = self.new_variable()
        self.put(indent, f"{service} = {otherwise}")
        return service

    def _get_or(self, key: str, otherwise: str, indent: int, made: str = "made") -> str:
        """Write that something is taken from where it is kept, or else comes from elsewhere."""
        service = self.new_variable()
        # What is being made counts as not there. One look-up, as it may be given up between two.
        self.put(indent, f"{service} = {made}.get({key}, claim)")
        self.put(indent, f"if type({service}) is Claim: {service} = {otherwise}")
        return service

    def _hand_over(self, key: str, service: str, indent: int) -> str:
        """Write that this container keeps what comes from elsewhere, unless it is making it."""
        kept = self.new_variable()
        self.put(indent, f"{kept} = made.setdefault({key}, {service})")
        # The key was registered anew while its service was being made.
        self.put(indent, f"if type({kept}) is Claim: raise Busy(made, {key}, {kept})")
        return kept

    def _get_elsewhere(self, wire: Wire, key: str, service: str, indent: int) -> None:
        """Write that something is got from the container that keeps it."""
        maker = self.makers.write_elsewhere(wire, can_await=self.can_await, own=self.own)
        if wire.source == "registry":
            root = self.define("root", self.makers.registry.root)
            kept = self.define("kept", self.makers.registry.root._made)
            # An override may take it away from there; what this container has got, it keeps.
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
                # What is kept shows by its claim that the container is open; this has none.
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
        """Write what fills a parameter for which nothing is registered: it may be given."""
        service = self.new_variable()
        need = wire.need
        if need.default is not MISSING:
            otherwise = self.define("default", need.default)
        else:
            name = self.define("need", need)
            otherwise = f"missing(c, {name}, recipes[{self._place(asker.recipe)}])"
        if need.key is MISSING:
            self.put(indent, f"{service} = {otherwise}")
        else:
            key = self.define("k", need.key)
            # An object that a dependency has made for itself is no service.
            return self._get_or(
                key, otherwise, indent, "c._given" if need.is_service else "made"
            )
        return service

    def _raising(self, function: str, *recipes: Recipe) -> str:
        """Write the call of a function that raises."""
        places = ", ".join(f"recipes[{self._place(recipe)}]" for recipe in recipes)
        return f"{function}({places})"

    def _call_maker(self, maker: Maker, arguments: str = "c, made, claim") -> str:
        function, is_async = maker
        name = self.define("make", function)
        return f"{self._await() if is_async else ''}{name}({arguments})"

    def _await(self) -> str:
        self.is_async = True
        return "await "

    def _place(self, recipe: Recipe) -> int:
        if recipe not in self.recipes:
            self.recipes.append(recipe)
        return self.recipes.index(recipe)

    def _gather(self, node: Node, indent: int) -> list[Any]:
        """Write how everything is got that a factory needs and that is kept.

        Returns:
            For each parameter the wire, and the expression for its argument, or `Late`.
        """
        recipe = node.recipe
        self._chain.append(self._place(recipe))
        gathered: list[Any] = []
        wires = self.wiring.wires_of(recipe)
        if isinstance(wires, WaresError):
            self.put(indent, f"unreadable(registry, recipes[{self._place(recipe)}])")
            wires = ()
        if recipe.shape.is_async and not self.can_await:
            wires = ()
        for wire in wires:
            if self._is_built_late(wire, node):
                gathered.append((wire, self._gather_late(wire.node, indent)))  # type: ignore[arg-type]  # it has one
            else:
                gathered.append((wire, self.get(wire, indent, node)))
        self._chain.pop()
        return gathered

    def _gather_late(self, node: Node, indent: int) -> Late:
        """Write the same for what is made anew; what is composed may have been given instead."""
        if not node.recipe.is_composed:
            return Late(self._gather(node, indent))
        service = self.new_variable()
        self.put(indent, f"{service} = made.get({self.define('k', node.recipe.key)}, claim)")
        self.put(indent, f"if type({service}) is Claim:")
        self.put(indent + 1, "pass")
        return Late(self._gather(node, indent + 1), service)

    def _is_built_late(self, wire: Wire, asker: Node) -> bool:
        node = wire.node
        if node is None or wire.source != "here" or not node.is_fresh:
            return False
        return node not in self.written and (asker, node) not in self.walk.circles

    def _make(self, recipe: Recipe, indent: int) -> str:
        """Write how something that is kept is made, unless it is there."""
        key, place = self.define("k", recipe.key), self._place(recipe)
        self._chain.append(place)
        if recipe.shape.is_async and not self.can_await:
            service = self._get_or(key, f"refuse(made, recipes[{place}])", indent)
            self._chain.pop()
            return service
        service = self.new_variable()
        self.put(indent, f"{service} = made.setdefault({key}, claim)")
        self.put(indent, f"if {service} is claim:")
        self._chain.pop()
        node = Node(recipe, is_fresh=False)
        gathered = self._gather(node, indent + 1)
        is_root = self.makers.keeper == "singleton"
        if is_root:
            self.put(indent + 1, "claim.sources = []")
        result = self._build(node, gathered, indent + 1)
        self._chain.append(place)
        if is_root:
            sources = self.define("sources", tuple(self.wiring.sources_of(recipe)))
            arguments = f"claim, made, recipes[{place}], {result}, {sources}"
            self.put(indent + 1, f"{service} = registry.singletons.keep({arguments})")
        else:
            self.put(indent + 1, f"made[{key}] = {service} = {result}")
        self.put(indent + 1, "if claim.waiters: wake(claim)")
        self.put(indent, f"elif type({service}) is Claim: raise Busy(made, {key}, {service})")
        self._chain.pop()
        return service

    def _build(self, node: Node, gathered: list[Any], indent: int) -> str:
        """Write the call of a factory, after the calls for what it needs anew."""
        recipe = node.recipe
        place = self._place(recipe)
        self._chain.append(place)
        arguments = []
        for wire, got in gathered:
            is_late = isinstance(got, Late)
            argument = self._build_late(wire.node, got, indent) if is_late else got
            arguments.append(
                f"{wire.need.name}={argument}" if wire.need.by_keyword else argument
            )
        if recipe.shape.is_async and not self.can_await:
            self.put(indent, f"refuse(made, recipes[{place}])")
        result = self.call(node, ", ".join(arguments), indent)
        self._chain.pop()
        return result

    def _build_late(self, node: Node, late: Late, indent: int) -> str:
        if not late.service:
            return self._build(node, late.gathered, indent)
        self.put(indent, f"if type({late.service}) is Claim:")
        self.put(indent + 1, f"{late.service} = {self._build(node, late.gathered, indent + 1)}")
        return late.service

    def call(self, node: Node, arguments: str, indent: int) -> str:
        """Write the call of a factory, and what turns its product into the service."""
        place = self._place(node.recipe)
        if not self.observers:
            return self._call(node, arguments, indent)
        observers = self.define("observers", self.observers)
        self.put(indent, f"begin = observe_beginning({observers}, recipes[{place}])")
        self.put(indent, "try:")
        service = self._call(node, arguments, indent + 1)
        self.put(indent, "except BaseException as error:")
        self.put(indent + 1, f"observe_end({observers}, recipes[{place}], begin, error)")
        self.put(indent + 1, "raise")
        self.put(indent, f"observe_end({observers}, recipes[{place}], begin)")
        return service

    def _can_ask(self, recipe: Recipe) -> bool:
        """Tell whether a factory is given what it can ask for more by, maybe in a task."""
        wires = self.wiring.wires_of(recipe)
        return not isinstance(wires, WaresError) and any(
            wire.source == "container"
            or (wire.node is not None and wire.node.recipe.is_composed)
            for wire in wires
        )

    def find_factory(self, recipe: Recipe) -> Callable[..., Any]:
        """Give what is called for a recipe."""
        return without_autowire(recipe.factory)

    def _call(self, node: Node, arguments: str, indent: int) -> str:
        recipe = node.recipe
        if not (recipe.shape.is_async and self.can_await and self._can_ask(recipe)):
            return self._call_and_settle(node, arguments, indent)
        # Tasks that the factory starts may ask for more: they are to know what they belong to.
        making = f"making{len(self._lines)}"
        self.put(indent, f"{making} = Making(claim, current_making.get())")
        self.put(indent, f"current_making.set({making})")
        self.put(indent, "try:")
        service = self._call_and_settle(node, arguments, indent + 1)
        self.put(indent, "finally:")
        self.put(indent + 1, f"{making}.is_over = True")
        # Not by a token: a coroutine that is closed ends in another context.
        self.put(indent + 1, f"current_making.set({making}.outer)")
        return service

    def _call_and_settle(self, node: Node, arguments: str, indent: int) -> str:
        recipe, place = node.recipe, self._place(node.recipe)
        service = self.new_variable()
        factory = self.define("factory", self.find_factory(recipe))
        call = f"{factory}({arguments})"
        is_async = recipe.shape.is_async and self.can_await
        if recipe.shape.yields:
            if is_async:
                self._await()
            self.put(indent, f"generator = {call}")
            self.put(indent, f"{'async ' * is_async}for {service} in generator: break")
            self.put(indent, f"else: not_yielded(recipes[{place}])")
            self._note_cleanup(node, indent, is_async=is_async)
            self._refuse_none(recipe, service, indent)
            return service
        if is_async:
            call = f"{self._await()}{call}"
        self.put(indent, f"{service} = {call}")
        if is_async:
            self.put(indent, "if c._made is not made: check_open(c, made)")
        if not is_plain(recipe):
            plain = self.define("plain", set[type]())
            settle = f"{self._await()}asettle" if self.can_await else "settle"
            settled = f"{settle}(c, made, Cleanups, recipes[{place}], {plain}, {service})"
            self.put(indent, f"if type({service}) not in {plain}: {service} = {settled}")
        self._refuse_none(recipe, service, indent)
        return service

    def _refuse_none(self, recipe: Recipe, service: str, indent: int) -> None:
        """Write that a factory that promises a service may not give `None`."""
        if never_gives_none(recipe):
            place = self._place(recipe)
            self.put(indent, f"if {service} is None: gave_none(recipes[{place}])")

    def _note_cleanup(self, node: Node, indent: int, *, is_async: bool) -> None:
        """Write that a generator is going to be left."""
        place = self._place(node.recipe)
        begin = "made.setdefault(CLEANUPS, Cleanups())"
        self.put(indent, f"cleanups = made[CLEANUPS] if CLEANUPS in made else {begin}")
        if is_async:
            self.put(indent, "cleanups.must_await = True")
        leave = f"leave_{'async_' * is_async}generator"
        self.put(indent, f"cleanups.append(({leave}, generator, recipes[{place}]))")
        take_back = f"{'await a' * is_async}take_back(c, cleanups, generator)"
        self.put(indent, f"if c._made is not made: {take_back}")


#: Stands for what a container is asked by.
_ASKED = Recipe("a container", object, "transient", is_derived=True)

#: The functions within which makers are made, by their text.
_shapes: dict[str, Callable[..., Callable[..., Any]]] = {}

#: Threads that compile at the same time must not give two shapes one file name.
_numbers = itertools.count(1)


def _compile(
    text: str, chains: dict[int, tuple[int, ...]]
) -> Callable[..., Callable[..., Any]]:
    shape = _shapes.get(text)
    if shape is None:
        file_name = f"<maker {next(_numbers)} of wares>"
        names = dict(steps.NAMES)
        exec(compile(text, file_name, "exec"), names)  # noqa: S102  # our own source
        know_maker(file_name, chains)
        # Tracebacks and debuggers show it.
        linecache.cache[file_name] = (
            len(text),
            None,
            text.splitlines(keepends=True),
            file_name,
        )
        shape = _shapes.setdefault(text, names["write"])
    return shape
