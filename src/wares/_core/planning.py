"""What has to be done for a service, in order: the steps of a plan.

This module knows recipes, and looks up whatever is needed. It must not know how steps are
carried out: `_plan_writer` writes Python from them.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import attrs

from wares._core.bodies import cannot_wait, keeps_its_arguments_only
from wares._inject.calls import Call
from wares._core.keys import MISSING
from wares._core.recipes import SEVERAL, Recipe, give_all, is_context_manager
from wares._core.signatures import Autowired, Need, Shape

if TYPE_CHECKING:
    from wares._core.registry import Registry

#: A graph of more steps than this is left to the slow way: its function would be too long.
MOST_STEPS = 1000


@attrs.frozen(eq=False, repr=False)
class Step:
    """One thing that a plan needs.

    Attributes:
        recipe: How it is made.
        way: Where it comes from.
        need: What is asked for.
        arguments: The steps whose results its factory takes, each with the need that it fills;
            a name stands for the argument of that name of the call that is served.
        is_inert: Whether making it runs no code but what keeps its arguments.
        plain: Classes whose objects its factory gives and that need nothing further.
        leaves: Classes whose objects are entered, and how they are left.
    """

    recipe: Recipe
    way: Literal[
        "container", "given", "ready", "singleton", "connection", "request", "kept", "fresh"
    ]
    need: Need
    arguments: tuple[tuple[int | str, Need], ...]
    is_inert: bool
    plain: set[type] = attrs.field(factory=set)
    leaves: dict[type, Callable[..., Any]] = attrs.field(factory=dict)

    @property
    def is_made(self) -> bool:
        """Whether the plan makes it, or else finds it somewhere."""
        return self.way in ("kept", "fresh")

    @property
    def is_generator(self) -> bool:
        """Whether it is made by a generator, which is to be left."""
        return self.is_made and self.recipe.shape in (Shape.GENERATOR, Shape.ASYNC_GENERATOR)

    @property
    def must_be_awaited(self) -> bool:
        """Whether making it takes an ``await``."""
        return self.is_made and self.recipe.shape.is_async

    @property
    def may_suspend(self) -> bool:
        """Whether calling its factory, in async code, may let other tasks run."""
        return self.must_be_awaited and not _never_waits(self.recipe)


@attrs.frozen(eq=False, repr=False)
class Group:
    """Steps that are made without a look at others in between.

    All but the last are inert, so that nothing else can happen before that one.

    Attributes:
        steps: Their numbers.
        keys: What they make for all who ask.
        working: The one that is not inert; -1 if all are.
    """

    steps: tuple[int, ...]
    keys: frozenset[Hashable]
    working: int

    @property
    def last(self) -> int:
        """The one that takes longest."""
        return self.steps[-1]


@attrs.frozen(eq=False, repr=False, slots=False)
class Plan:
    """The steps to a service, what is needed first.

    Attributes:
        steps: The steps.
        askers: The step that needs a step, for each of them.
        absent: What is used where it is there, and was not when the plan was made.
    """

    steps: tuple[Step, ...]
    askers: tuple[int, ...]
    absent: frozenset[Hashable]

    @cached_property
    def keys(self) -> frozenset[Hashable]:
        """All that it makes, finds, or does without: none of it may be given, nor local."""
        return self.absent.union(
            step.recipe.key for step in self.steps if step.way not in ("container", "given")
        )

    @cached_property
    def kept_keys(self) -> frozenset[Hashable]:
        """What it makes for all who ask."""
        return frozenset(step.recipe.key for step in self.steps if step.way == "kept")

    @cached_property
    def groups(self) -> tuple[Group, ...]:
        """What it makes, in groups."""
        groups = []
        numbers: list[int] = []
        for number, step in enumerate(self.steps):
            if step.is_made:
                numbers.append(number)
                if not step.is_inert:
                    groups.append(self._group(numbers, number))
                    numbers = []
        if numbers:
            groups.append(self._group(numbers, -1))
        return tuple(groups)

    @cached_property
    def has_cleanups(self) -> bool:
        """Whether it enters generators."""
        return any(step.is_generator for step in self.steps)

    @cached_property
    def lives_longer(self) -> bool:
        """Whether it makes what may live longer than other things that its container makes."""
        return any(step.is_made and step.recipe.lifetime == "connection" for step in self.steps)

    @property
    def is_inert(self) -> bool:
        """Whether nobody can tell when, or how often, it makes what it makes."""
        return all(step.is_inert for step in self.steps if step.is_made)

    @property
    def may_suspend(self) -> bool:
        """Whether, in async code, other tasks may run before it ends."""
        return any(step.may_suspend for step in self.steps)

    def path_to(self, step: int) -> list[Recipe]:
        """List the recipes that led to *step*, the one that was asked for first."""
        path = []
        while step >= 0:
            path.append(self.steps[step].recipe)
            step = self.askers[step]
        return [recipe for recipe in reversed(path) if recipe.key is not SEVERAL]

    def _group(self, numbers: list[int], working: int) -> Group:
        kept = (self.steps[number] for number in numbers if self.steps[number].way == "kept")
        return Group(tuple(numbers), frozenset(step.recipe.key for step in kept), working)


def _never_waits(recipe: Recipe) -> bool:
    factory = recipe.factory
    return cannot_wait(factory.factory if isinstance(factory, Autowired) else factory)


def is_surely_plain(recipe: Recipe) -> bool:
    """Tell whether calling the factory gives an object that needs nothing further, for sure."""
    factory: Any = recipe.factory
    return factory is give_all or (
        isinstance(factory, type)
        and getattr(type(factory), "__call__", None) is type.__call__  # noqa: B004  # which one
        and getattr(factory, "__new__", None) is object.__new__
        and not hasattr(factory, "__await__")
        and not (recipe.enter and is_context_manager(factory))
    )


def _is_inert(recipe: Recipe) -> bool:
    """Tell whether nobody can tell when, or how often, something is made."""
    factory: Any = recipe.factory
    return factory is give_all or (
        is_surely_plain(recipe) and keeps_its_arguments_only(factory)
    )


class NoPlanError(Exception):
    """This graph is better left to the slow way."""


class Planner:
    """Puts what is needed in order."""

    def __init__(
        self,
        registry: Registry,
        call: Call | None,
        *,
        has_given: bool,
        is_child: bool,
        is_function: bool,
    ) -> None:
        self._registry = registry
        self._call = call
        self._has_given = has_given
        self._is_child = is_child
        self._is_function = is_function
        self._steps: list[Step] = []
        # Steps that others share: all of them, or those that are bound to the call.
        self._shared: dict[Hashable, int] = {}
        self._bound: dict[Hashable, int] = {}
        self._around: dict[Hashable, int] = {}
        self._absent: set[Hashable] = set()

    def plan(self, first: Need) -> Plan:
        """List the steps to what is asked for; without recursion: a chain may be long."""
        if self._registry._observers:
            # A plan tells nobody of what it makes.
            raise NoPlanError
        stack = [_Draft(self._look_up(first), self._registry._container_class, self._registry)]
        stack[0].is_bound = self._call is not None
        finished = -1
        while stack:
            draft = stack[-1]
            if finished >= 0:
                draft.arguments.append((finished, draft.waiting_for))
                finished = -1
            need = next(draft.needs, None)
            if need is None:
                finished = self._finish(stack.pop())
                continue
            if self._takes_argument(draft, need):
                draft.arguments.append((need.name, need))
                continue
            if need.default is not MISSING and not self._can_find(need):
                if not need.by_keyword:
                    raise NoPlanError
                self._absent.add(need.key)
                continue
            draft.waiting_for = need
            is_bound = self._is_bound(draft, need)
            shared = self._shared_by(need, is_bound=is_bound)
            if need.use_cache and need.key in shared:
                finished = shared[need.key]
                continue
            stack.append(self._begin(need, stack))
            stack[-1].is_bound = is_bound
        return self._with_askers()

    def _begin(self, need: Need, stack: list[_Draft]) -> _Draft:
        """Begin what the last one on the stack needs."""
        found = self._look_up(need)
        if any(found[0] is other.recipe for other in stack):
            raise NoPlanError
        self._check_lifetime(stack[-1], found)
        if len(self._steps) + len(stack) >= MOST_STEPS:
            raise NoPlanError
        return _Draft(found, self._registry._container_class, self._registry)

    def _finish(self, draft: _Draft) -> int:
        recipe, way = draft.recipe, draft.way
        is_made = way in ("kept", "fresh")
        is_inert = is_made and _is_inert(recipe)
        step = Step(recipe, way, draft.need, tuple(draft.arguments), is_inert)
        self._steps.append(step)
        position = len(self._steps) - 1
        if draft.need.use_cache and (draft.is_bound or draft.way != "fresh"):
            shared = self._shared_by(draft.need, is_bound=draft.is_bound)
            shared[draft.recipe.key] = position
        return position

    def _shared_by(self, need: Need, *, is_bound: bool) -> dict[Hashable, int]:
        """Choose where to look for what somebody else in the plan has asked for already."""
        if is_bound:
            return self._bound
        return self._around if self._is_asked_around(need) else self._shared

    def _is_asked_around(self, need: Need) -> bool:
        """Tell whether a function's container leaves this to the one around it."""
        return self._is_function and need.is_marked and need.scope != "function"

    def _takes_argument(self, draft: _Draft, need: Need) -> bool:
        """Tell whether a parameter is filled by an argument of the call."""
        return (
            need.takes_argument
            and draft.is_bound
            and self._call is not None
            and need.name in self._call.arguments
        )

    def _is_bound(self, draft: _Draft, need: Need) -> bool:
        """Tell whether what is needed is made for the call alone."""
        if not (draft.is_bound and need.is_marked):
            return False
        if self._call is None or need.key not in self._call.bound:
            return False
        if self._is_asked_around(need):
            # Its cleanup belongs to the request, and a plan knows one container only.
            raise NoPlanError
        return True

    def _with_askers(self) -> Plan:
        askers = [-1] * len(self._steps)
        for position in reversed(range(len(self._steps))):
            for argument, _ in self._steps[position].arguments:
                if isinstance(argument, int):
                    askers[argument] = position
        return Plan(tuple(self._steps), tuple(askers), frozenset(self._absent))

    def _can_find(self, need: Need) -> bool:
        return (
            need.key in self._registry._recipes
            or need.key is self._registry._container_class
            or (self._has_given and need.key in self._registry._expected)
            or (need.is_marked and self._registry._derive(need.key) is not None)
        )

    def _look_up(self, need: Need) -> tuple[Recipe, Any, Need]:
        registry = self._registry
        key = need.key
        if key is registry._container_class and not self._is_asked_around(need):
            return Recipe(key, object), "container", need
        if self._call is not None and need.is_marked and key in self._call.bound:
            return self._call.bound[key], self._choose_way(self._call.bound[key], need), need
        recipe = registry._recipes.get(key)
        if recipe is None and key in registry._expected:
            return Recipe(key, object), "given", need
        if recipe is None and need.is_marked:
            recipe = registry._derive(key)
        if recipe is None:
            raise NoPlanError
        return recipe, self._choose_way(recipe, need), need

    def _choose_way(self, recipe: Recipe, need: Need) -> str:
        if self._is_asked_around(need):
            return "request"
        if need.scope == "function" and not self._is_function:
            raise NoPlanError
        if self._call is not None and need.key in self._call.bound:
            return "fresh"
        if recipe.lifetime == "transient" or not need.use_cache:
            return "fresh"
        if recipe.is_ready:
            return "ready"
        if recipe.lifetime == "singleton":
            return "singleton"
        if recipe.lifetime == "connection" and self._is_child:
            return "connection"
        return "kept"

    def _check_lifetime(self, asker: _Draft, found: tuple[Recipe, Any, Need]) -> None:
        recipe, way, _ = found
        is_long = asker.recipe.lifetime == "connection"
        if is_long and way == "kept" and recipe.lifetime == "scoped" and not recipe.is_derived:
            raise NoPlanError


class _Draft:
    """A step whose needs are still being looked up."""

    __slots__ = ("arguments", "is_bound", "need", "needs", "recipe", "waiting_for", "way")

    def __init__(
        self, found: tuple[Recipe, Any, Need], container: type, registry: Registry
    ) -> None:
        self.recipe, self.way, self.need = found
        is_made = self.way in ("kept", "fresh")
        needs = self.recipe.read(container, registry._find_name).needs if is_made else ()
        self.needs: Iterator[Need] = iter(needs)
        self.arguments: list[tuple[int | str, Need]] = []
        self.waiting_for = self.need
        self.is_bound = False
