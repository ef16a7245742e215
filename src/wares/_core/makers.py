"""Makers: the functions that make services, one for each key, written at its first use.

A maker claims the key, gets the dependencies of the factory, calls the factory, notes the cleanup
and keeps the service. With full names, the maker of ``Users``, which needs a ``Database``, is::

    def make(container, made, claim):
        users = made.setdefault(Users, claim)
        if users is claim:
            database = ...  # in the same way
            users = made[Users] = factory(database)
            if claim.waiters: wake(claim)
        elif type(users) is Claim: raise Busy(made, Users, users)
        return users

A dependency that only one service needs is written into the maker of that service; a shared
dependency has a maker of its own. A maker is a coroutine function if something must be awaited.
A maker never waits: if another `get` has claimed a key, the maker raises `Busy`, and
`Container.get` or `aget` gives up its claims, waits, and calls the maker again. The services made
so far are kept, so the second call is cheap.
"""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Callable, Hashable, Mapping
from functools import partial
from typing import Any
from weakref import WeakKeyDictionary

import attrs

from wares._core import steps
from wares._core.annotations import expand_alias
from wares._core.locking import LOCK
from wares._core.marks import Need
from wares._core.recipes import Recipe
from wares._core.registrations import Registrations
from wares._core.wiring import Keeper, Node, Walk, Wire, Wiring, walk
from wares._core.writing import Maker, Writer


class Makers:
    """The makers of all containers that see the same registrations.

    Args:
        registry: The registrations.
        local: The local registrations, the innermost container's first. They win.
        keeper: The lifetime of the services made here (see `Keeper`).
        around: The makers of the containers around these, if they see other registrations.
        request: The makers of the containers around these, if these end with a function.

    Attributes:
        sync: The makers for `get`, by key.
        awaited: The makers for `aget`, by key, each with whether it is a coroutine function.
        ready: The registered values that containers were asked for, by key.
        token: An object that is replaced after each change of the registrations.
        calls: The functions that get the dependencies of injected functions; `inject` uses it.
    """

    def __init__(
        self,
        registry: Registrations,
        local: tuple[Mapping[Hashable, Recipe], ...] = (),
        *,
        keeper: Keeper = "scoped",
        around: Makers | None = None,
        request: Makers | None = None,
    ) -> None:
        self.registry = registry
        self.local = local
        self.keeper: Keeper = keeper
        self.around = around
        self.request = request
        self.outermost: Makers | None = None
        self.for_functions: Makers | None = None
        self.drop_written()
        self.drop_linked()
        with LOCK:
            # Another thread may register something, and then goes through this set.
            registry.all_makers.add(self)

    def drop_written(self) -> None:
        """Drop the makers of all nodes, because the registrations have changed."""
        # The wiring first: a maker written with the old one must not get into the new dicts.
        self.wiring = self.make_wiring()
        self._written: tuple[dict[Node, Maker], dict[Node, Maker]] = ({}, {})

    def drop_linked(self) -> None:
        """Drop the makers by key, after `drop_written` was called on all `Makers`."""
        self.sync: dict[Any, Callable[..., Any]] = {}
        self.awaited: dict[Any, Maker] = {}
        self.ready: dict[Any, Any] = {}
        self.calls: WeakKeyDictionary[Any, Any] = WeakKeyDictionary()
        self.token = object()

    def link(self, key: Any, container: Any, *, can_await: bool) -> Maker:
        """Return the maker of *key*, and keep it for the next time; write it if necessary.

        Args:
            key: The key.
            container: The container that was asked.
            can_await: Whether `aget` asks.
        """
        if type(key) is MakerKey:
            return key.maker
        token = self.token
        wire = self.wiring.wire(Need("", expand_alias(key)))
        maker = self._write_asked(wire, container, can_await=can_await)
        with LOCK:
            if token is not self.token:
                # Another thread has registered something: do not keep an outdated maker.
                return maker
            if wire.source == "ready" and self.keeper != "singleton":
                self.ready[key] = wire.node.recipe.value  # type: ignore[union-attr]  # a ready wire has a node
            elif can_await:
                self.awaited[key] = maker
            else:
                self.sync[key] = maker[0]
        return maker

    def write(
        self, node: Node, *, can_await: bool, unshared: dict[Node, Maker] | None = None
    ) -> Maker:
        """Return the maker of a node; write it, and those that it calls, if necessary.

        Args:
            node: The service to make.
            can_await: Whether the maker is for `aget`.
            unshared: Where to keep the makers of unregistered dependencies, which belong to one
                injected function; left out, they are kept with the others.
        """
        here = self._written[can_await]
        written = here if unshared is None else ChainMap(unshared, here)
        if node not in written:
            wiring = self.wiring if unshared is None else self.make_wiring()
            found = walk(node, wiring)
            elsewhere = partial(self.write_elsewhere, can_await=can_await, unshared=unshared)
            for each in found.order:
                if each not in written:
                    writer = Writer(wiring, elsewhere, found, written, can_await=can_await)
                    maker = writer.write(each)
                    store = here if unshared is None or not each.recipe.is_derived else unshared
                    store[each] = maker
        return written[node]

    def write_elsewhere(
        self, wire: Wire, *, can_await: bool, unshared: dict[Node, Maker] | None = None
    ) -> Maker:
        """Return the maker of a service that a longer-lived container keeps."""
        assert wire.node is not None  # a service from another container has a recipe
        if wire.source == "registry":
            makers: Makers = self.registry.root._makers
        elif wire.source == "outermost":
            makers = self._for_outermost()
        else:
            assert self.request is not None  # else no wire has the source "request"
            makers = self.request
        return makers.write(wire.node, can_await=can_await, unshared=unshared)

    def make_wiring(self) -> Wiring:
        """Make a wiring, as these containers see the registrations."""
        return Wiring(
            self.registry, self.local, self.keeper, ends_with_function=self.request is not None
        )

    def make_for_functions(self) -> Makers:
        """Return the makers of the containers of function-scoped services within these."""
        makers = self.for_functions
        if makers is None:
            makers = Makers(self.registry, self.local, around=self, request=self)
            self.for_functions = makers
        return makers

    def _for_outermost(self) -> Makers:
        if self.around is not None:
            return self.around._for_outermost()
        if self.outermost is None:
            self.outermost = Makers(self.registry, self.local, keeper="connection")
        return self.outermost

    def _write_asked(self, wire: Wire, container: Any, *, can_await: bool) -> Maker:
        # The container may have been given an object under the value of a PEP 695 alias.
        if wire.source == "absent" and wire.need.key not in container:
            raise steps.make_not_found(container, wire.need)
        if wire.source == "here":
            assert wire.node is not None  # a service that is made here has a recipe
            return self.write(wire.node, can_await=can_await)
        elsewhere = partial(self.write_elsewhere, can_await=can_await)
        writer = Writer(self.wiring, elsewhere, Walk(), {}, can_await=can_await)
        return writer.write_hand_over(wire)


@attrs.frozen(eq=False)
class MakerKey:
    """A key that carries its own maker.

    An injected function asks the container with it for a dependency that is not registered.
    """

    maker: Maker
