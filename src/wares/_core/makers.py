"""From a recipe to a service: a function is written for each key at its first use.

A *maker* gets what the factory needs, claims the key, calls the factory, notes the cleanup, and
keeps the service. What only one other service needs is written into the maker of that one; what
several need has a maker of its own. A maker is a coroutine function where something must be
awaited; nothing else differs. It never waits: where another `get` is making a key, it raises
`Busy` while it holds no claim, and `Container.get` or `aget` waits and begins again. What was
made by then is kept, so that beginning again is cheap.
"""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Callable, Hashable
from typing import Any
from weakref import WeakKeyDictionary

import attrs

from wares._core import steps
from wares._core.annotations import expand_alias
from wares._core.locking import LOCK
from wares._core.recipes import Recipe
from wares._core.registrations import Registrations
from wares._core.signatures import Need
from wares._core.wiring import FindRecipe, Keeper, Node, Walk, Wire, Wiring, walk
from wares._core.writing import Maker, Writer


class Makers:
    """The makers of the containers that see the same registrations, by key.

    Attributes:
        sync: The makers for `get`, by the key, or the node, that is asked for.
        awaited: The makers for `aget`, each with whether it is a coroutine function.
        ready: The registered values that were asked for.
        token: Another object after each change of what is registered.
        calls: What was written for calls of functions; for `inject`.
    """

    def __init__(
        self,
        registry: Registrations,
        find: FindRecipe | None = None,
        *,
        keeper: Keeper = "scoped",
        request: Makers | None = None,
    ) -> None:
        self.registry = registry
        self.find = find or registry.find_recipe
        self.keeper: Keeper = keeper
        self.request = request
        self.outermost: Makers | None = None
        self.for_functions: Makers | None = None
        self.forget()
        self.begin_anew()
        with LOCK:
            # Another thread may go over them because it registers something.
            registry.books.add(self)

    def forget(self) -> None:
        """Forget what was written, because something else is registered now."""
        # First this: what is written with an old wiring must not get into the new dict.
        self.wiring = self.make_wiring()
        self._written: tuple[dict[Node, Maker], dict[Node, Maker]] = ({}, {})

    def begin_anew(self) -> None:
        """Let everything be linked anew, after all books have forgotten what was written."""
        self.sync: dict[Any, Callable[..., Any]] = {}
        self.awaited: dict[Any, Maker] = {}
        self.ready: dict[Any, Any] = {}
        self.calls: WeakKeyDictionary[Any, Any] = WeakKeyDictionary()
        self.token = object()

    def link(self, key: Any, container: Any) -> Callable[..., Any]:
        """Write the maker of a key that *container* is asked for by `get`."""
        if type(key) is Order:
            return key.maker[0]
        return self._link(key, container, can_await=False)[0]

    def alink(self, key: Any, container: Any) -> Maker:
        """Write the maker of a key that *container* is asked for by `aget`."""
        if type(key) is Order:
            return key.maker
        return self._link(key, container, can_await=True)

    def _link(self, key: Any, container: Any, *, can_await: bool) -> Maker:
        token = self.token
        wire = self.wiring.wire(Need("", expand_alias(key), by_keyword=False))
        maker = self._write_asked(wire, container, can_await=can_await)
        with LOCK:
            if token is not self.token:
                # Something was registered meanwhile.
                return maker
            if wire.source == "ready" and self.keeper != "singleton":
                self.ready[key] = wire.node.recipe.value  # type: ignore[union-attr]  # it has one
            elif can_await:
                self.awaited[key] = maker
            else:
                self.sync[key] = maker[0]
        return maker

    def write(
        self, node: Node, *, can_await: bool, own: dict[Node, Maker] | None = None
    ) -> Maker:
        """Write the maker of a node, and of all below it that get one of their own.

        Args:
            node: What is made.
            can_await: Whether it is for `aget`.
            own: Where the makers of what nobody has registered are kept; left out, they are kept
                here.
        """
        here = self._written[can_await]
        written = here if own is None else ChainMap(own, here)
        if node not in written:
            wiring = self.wiring if own is None else self.make_wiring()
            found = walk(node, wiring)
            for each in found.order:
                if each not in written:
                    writer = Writer(self, wiring, found, written, can_await=can_await, own=own)
                    maker = writer.write(each)
                    place = here if own is None or not each.recipe.is_derived else own
                    place[each] = maker
        return written[node]

    def write_elsewhere(
        self, wire: Wire, *, can_await: bool, own: dict[Node, Maker] | None = None
    ) -> Maker:
        """Write the maker of something that a longer-lived container keeps."""
        assert wire.node is not None  # what comes from elsewhere is made there
        if wire.source == "registry":
            makers: Makers = self.registry.root_makers
        elif wire.source == "outermost":
            makers = self._for_outermost()
        else:
            assert self.request is not None  # its wiring knows of it
            makers = self.request
        return makers.write(wire.node, can_await=can_await, own=own)

    def make_wiring(self) -> Wiring:
        """Wire anew, from the point of view of these containers."""
        return Wiring(
            self.find,
            self.registry.read,
            self.registry.container_class,
            self.keeper,
            is_function=self.request is not None,
        )

    def make_for_functions(self) -> Makers:
        """Give the makers of containers that end with a function, within one of these."""
        makers = self.for_functions
        if makers is None:
            makers = self.for_functions = Makers(self.registry, self.find, request=self)
        return makers

    def _for_outermost(self) -> Makers:
        if self.outermost is None:
            self.outermost = Makers(self.registry, self.find, keeper="connection")
        return self.outermost

    def _write_asked(self, wire: Wire, container: Any, *, can_await: bool) -> Maker:
        if wire.source == "absent":
            raise steps.not_found(container, wire.need)
        if wire.source == "here":
            assert wire.node is not None  # it is made here
            return self.write(wire.node, can_await=can_await)
        writer = Writer(self, self.wiring, Walk((), {}), {}, can_await=can_await)
        return writer.write_hand_over(wire)


@attrs.frozen(eq=False)
class Order:
    """What an injected function asks a container for, though nobody has registered it.

    Attributes:
        maker: Its maker.
    """

    maker: Maker


class LocalMakers(Makers):
    """The makers of containers with registrations of their own, before those of the registry.

    Args:
        outer: The makers of the containers around them.
        recipes: What is registered locally.
    """

    def __init__(self, outer: Makers, recipes: dict[Hashable, Recipe]) -> None:
        def find(need: Need) -> Recipe | None:
            if need.key in recipes and need.key not in outer.registry.overrides:
                return recipes[need.key]
            return outer.find(need)

        super().__init__(outer.registry, find)
