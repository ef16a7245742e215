"""The plans of a registry, and how often keys without one were asked for.

This module knows when a plan is worth writing, and when it has to be dropped. It must not know
how it is written: `_planning` lists the steps, `_plan_writer` writes them down.

Reading a recipe, looking needs up and keeping a stack costs more than most factories do. So a key
that was asked for some times gets a plan: a function, generated from the recipes, that calls the
factories in order and keeps what they make. Registering anything drops all plans, and the slow
way is taken again at first.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING, Any

import attrs

from wares._inject.calls import Call
from wares._core.lock import LOCK
from wares._core.plan_writer import PlanWriter
from wares._core.planning import NoPlanError, Plan, Planner
from wares._core.recipes import recipe_for_several
from wares._core.signatures import Need
from wares.exceptions import WaresError

if TYPE_CHECKING:
    from wares._core.container import Container
    from wares._core.registry import Registry

#: How often a key is asked for before it gets a plan: writing one takes as long as that many uses.
USES_BEFORE_PLAN = 16


class PlanBook:
    """The plans of one registry for containers of one kind.

    Attributes:
        sync: Plans for `get`, by key.
        awaited: Plans for `aget`, by key.
        several: Plans for several keys at once, for `get`.
        awaited_several: The same for `aget`.
        generation: How often registrations have outdated what was planned.
    """

    __slots__ = (
        "_has_given",
        "_is_child",
        "_is_function",
        "_registry",
        "_uses",
        "awaited",
        "awaited_several",
        "generation",
        "several",
        "sync",
    )

    def __init__(
        self,
        registry: Registry,
        *,
        has_given: bool = False,
        is_child: bool = False,
        is_function: bool = False,
    ) -> None:
        """Begin a book.

        Args:
            registry: What is planned from.
            has_given: Whether something may be given to the containers, or registered locally.
            is_child: Whether they are children.
            is_function: Whether they end with a function.
        """
        self._registry = registry
        self._has_given = has_given
        self._is_child = is_child
        self._is_function = is_function
        self.generation = 0
        self._uses: dict[tuple[object, int], int] = {}
        self.sync: dict[Hashable, Callable[[Container], Any]] = {}
        self.awaited: dict[Hashable, Callable[[Container], Any]] = {}
        self.several: dict[tuple[Any, ...], Callable[[Container], Any]] = {}
        self.awaited_several: dict[tuple[Any, ...], Callable[[Container], Any]] = {}

    def clear(self) -> None:
        """Drop all plans: what they were made from has changed."""
        self.generation += 1
        if not self._uses:
            return
        with LOCK:
            self._uses.clear()
            for plans in (self.sync, self.awaited, self.several, self.awaited_several):
                plans.clear()

    def note_use(self, key: Hashable, *, can_await: bool) -> None:
        """Count one more use of *key* without a plan, and write one when it is time."""

        def write() -> Callable[..., Any] | None:
            plan = self._plan(self._need(key), can_await=can_await)
            if plan is None:
                return None
            return self._make_writer(plan, can_await=can_await).write()

        self._note(key, self.awaited if can_await else self.sync, write)

    def note_several(
        self, keys: tuple[Any, ...], get_slowly: Callable[..., Any], *, can_await: bool
    ) -> None:
        """Count one more use of several keys at once, and write a plan when it is time.

        Args:
            keys: What was asked for.
            get_slowly: The slow way; it takes the container and the keys.
            can_await: Whether they were asked for by `aget`.
        """

        def write() -> Callable[..., Any] | None:
            recipe = recipe_for_several(keys)
            need = attrs.evolve(self._need(recipe), is_marked=True, use_cache=False)
            plan = self._plan(need, Call({}, {recipe: recipe}), can_await=can_await)
            if plan is None:
                return None
            writer = self._make_writer(plan, can_await=can_await)
            return writer.write_several(keys, get_slowly)

        self._note(keys, self.awaited_several if can_await else self.several, write)

    def _need(self, key: Hashable) -> Need:
        return Need("", key, by_keyword=False, scope="function" if self._is_function else None)

    def _note(
        self,
        key: Any,
        plans: dict[Any, Callable[[Container], Any]],
        write: Callable[[], Callable[..., Any] | None],
        /,
    ) -> None:
        """Count a use, and put what *write* gives into the *plans* when it is time."""
        mark = (key, id(plans))
        generation = self.generation
        uses = self._uses[mark] = self._uses.get(mark, 0) + 1
        if uses != USES_BEFORE_PLAN:
            return
        function = write()
        with LOCK:
            if function is not None and generation == self.generation:
                plans[key] = function

    def write_call(
        self,
        need: Need,
        call: Call,
        resolve_call: Callable[..., Any],
        *,
        can_await: bool,
    ) -> Callable[..., Any] | None:
        """Write a function that gets what a call needs, if that can be done.

        Args:
            need: The need whose key is the recipe of the call.
            call: A call whose arguments have the names that others will have.
            resolve_call: The slow way; it takes the container and the arguments.
            can_await: Whether the function is a coroutine function.

        Returns:
            A function that takes the container and the arguments by name.
        """
        plan = self._plan(need, call, can_await=can_await)
        if plan is None:
            return None
        return self._make_writer(plan, can_await=can_await).write_call(resolve_call)

    def _make_writer(self, plan: Plan, *, can_await: bool) -> PlanWriter:
        return PlanWriter(self._registry, plan, can_await=can_await, has_given=self._has_given)

    def _plan(self, need: Need, call: Call | None = None, *, can_await: bool) -> Plan | None:
        """List the steps, or give up where the slow way has to say what is wrong."""
        planner = Planner(
            self._registry,
            call,
            has_given=self._has_given,
            is_child=self._is_child,
            is_function=self._is_function,
        )
        try:
            plan = planner.plan(need)
        except (WaresError, NoPlanError):
            return None
        if not can_await and any(step.must_be_awaited for step in plan.steps):
            return None
        return plan


class NoPlans(PlanBook):
    """The plans of a container that is to have none."""

    __slots__ = ()

    def _note(self, *_: Any) -> None:
        """Write none."""
