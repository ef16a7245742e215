"""One straight-line function for each graph that is asked for often.

This module knows recipes and writes Python from them. It must not know more of making than the
order: whatever is out of the ordinary (somebody else makes the same thing, something has to be
entered, a local registration) it leaves to `_resolution`.

Reading a recipe, looking needs up and keeping a stack costs more than most factories do. So a key
that was asked for some times gets a plan: a function, generated from the recipes, that calls the
factories in order and keeps what they make. Registering anything drops all plans, and the slow
way is taken again at first.

A plan makes no claim for each key. It puts one object, its claim, where everybody sees it, and
says there which step it is at *before* it looks whether there is traffic. Whoever comes by the
slow way tells the traffic *before* it looks at the step. So at least one sees the other, and it
is that one who waits.
"""

from __future__ import annotations

import sys
import types
from _thread import get_ident
from collections.abc import Callable, Hashable, Iterator
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import attrs

from wares._calls import Call
from wares._cleanups import Cleanups, Entry, leave_async_generator, leave_generator
from wares._keys import MISSING
from wares._lock import LOCK
from wares._recipes import Recipe, give_all, is_context_manager
from wares._resolution import (
    CLAIM,
    CLEANUPS,
    CLOSED,
    Flow,
    begin_cleanups,
    clear_traffic,
    closed_error,
    current_flow,
    not_yielded,
    note_path,
    resolve,
    run,
    take_back,
    wake,
)
from wares._signatures import Need, Shape
from wares.exceptions import WaresError

if TYPE_CHECKING:
    from wares._container import Container
    from wares._registry import Registry

#: How often a key is asked for before it gets a plan: writing one takes as long as that many uses.
USES_BEFORE_PLAN = 16

#: A graph of more steps than this is left to the slow way: its function would be too long.
MOST_STEPS = 1000

#: How many classes of plain results are remembered for one factory.
_MOST_CLASSES = 16


#: What a claim says of itself where nothing out of the ordinary has happened.
_CLAIM_DEFAULTS: dict[str, Any] = {
    "step": -1,
    "place": -1,
    "outer": None,
    "parent": None,
    "is_over": False,
    "thread": -1,
}


class Claim:
    """One run of a plan, as others see it.

    One is made for each request. So only what is always there is set in it, and the rest is said
    by `_CLAIM_DEFAULTS`.

    Attributes:
        plan: The plan; each has a class of its own.
        code: The code of the plan's function.
        can_await: Whether the plan runs in an event loop.
        may_suspend: Whether other tasks may run while it makes something; then it is found by
            the context, otherwise on the stack.
        container: For whom it runs.
        step: The step that it makes right now; -1 while it makes none itself.
        place: The step that it has come to, where the slow way makes it.
        outer: The run of another plan, further up the stack, for the same container.
        parent: The making in whose factory this one was asked for.
        is_over: Whether it has ended.
        thread: Where it runs, if it may suspend.
    """

    __slots__ = ("container", "is_over", "outer", "parent", "place", "step", "thread")

    plan: ClassVar[Plan]
    code: ClassVar[types.CodeType]
    can_await: ClassVar[bool]
    may_suspend: ClassVar[bool]
    container: Container
    step: int
    place: int
    outer: Claim | None
    parent: Flow | Claim | None
    is_over: bool
    thread: int

    def __getattr__(self, name: str) -> Any:
        """Give the default of what was not set."""
        return _CLAIM_DEFAULTS[name]

    @property
    def kept_key(self) -> Hashable:
        """The key that is being made right now for all who ask, so that one may wait for it."""
        is_kept = self.step >= 0 and self.plan.steps[self.step].way == "kept"
        return self.current_key if is_kept else MISSING

    @property
    def current_key(self) -> Hashable:
        """The key that is being made right now."""
        return MISSING if self.step < 0 else self.plan.steps[self.step].recipe.key

    def own_steps(self) -> Iterator[tuple[Container, Recipe]]:
        """Go through what is being made right now: one thing at most."""
        if self.step >= 0:
            yield self.container, self.plan.steps[self.step].recipe

    def own_path(self) -> list[Recipe]:
        """List the recipes that led to what is being made right now."""
        if self.step >= 0:
            return self.plan.path_to(self.step)
        return [] if self.place < 0 else self.plan.path_to(self.place)[:-1]

    def is_on_this_stack(self) -> bool:
        """Tell whether it runs further up on the stack of who asks."""
        frame: types.FrameType | None = sys._getframe(1)
        while frame is not None:
            if frame.f_code is self.code and frame.f_locals.get("claim") is self:
                return True
            frame = frame.f_back
        return False


@attrs.frozen(eq=False, repr=False)
class Step:
    """One thing that a plan needs.

    Attributes:
        recipe: How it is made.
        way: Where it comes from.
        need: What is asked for.
        arguments: The steps whose results its factory takes, each with the need that it fills;
            a name stands for the argument of that name of the call that is served.
        asker: The step that needs it first.
        plain: Classes whose objects its factory gives and that need nothing further.
    """

    recipe: Recipe
    way: Literal[
        "container", "given", "ready", "singleton", "connection", "request", "kept", "fresh"
    ]
    need: Need
    arguments: tuple[tuple[int | str, Need], ...]
    asker: int
    plain: set[type]


@attrs.frozen(eq=False, repr=False)
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

    @property
    def kept_keys(self) -> frozenset[Hashable]:
        """What it makes for all who ask."""
        return frozenset(step.recipe.key for step in self.steps if step.way == "kept")

    def path_to(self, step: int) -> list[Recipe]:
        """List the recipes that led to *step*, the one that was asked for first."""
        path = []
        while step >= 0:
            path.append(self.steps[step].recipe)
            step = self.askers[step]
        return path[::-1]


class PlanBook:
    """The plans of one registry, and how often keys without one were asked for.

    Attributes:
        sync: Plans for `get`, by key.
        awaited: Plans for `aget`, by key.
        generation: How often registrations have outdated what was planned.
    """

    __slots__ = (
        "_is_child",
        "_is_function",
        "_registry",
        "_uses",
        "awaited",
        "generation",
        "sync",
    )

    def __init__(
        self, registry: Registry, *, is_child: bool, is_function: bool = False
    ) -> None:
        self._registry = registry
        self._is_child = is_child
        self._is_function = is_function
        self.generation = 0
        self._uses: dict[tuple[Hashable, bool], int] = {}
        self.sync: dict[Hashable, Callable[[Container], Any]] = {}
        self.awaited: dict[Hashable, Callable[[Container], Any]] = {}

    def clear(self) -> None:
        """Drop all plans: what they were made from has changed."""
        self.generation += 1
        if not self._uses:
            return
        with LOCK:
            self._uses.clear()
            self.sync.clear()
            self.awaited.clear()

    def note_use(self, key: Hashable, *, can_await: bool) -> None:
        """Count one more use of *key* without a plan, and write one when it is time."""
        mark = (key, can_await)
        generation = self.generation
        uses = self._uses[mark] = self._uses.get(mark, 0) + 1
        if uses != USES_BEFORE_PLAN:
            return
        need = Need("", key, by_keyword=False, scope="function" if self._is_function else None)
        plan = self._plan(need, can_await=can_await)
        if plan is None:
            return
        function = _Writer(self._registry, plan, can_await=can_await).write()
        with LOCK:
            if generation == self.generation:
                (self.awaited if can_await else self.sync)[key] = function

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
        return _Writer(self._registry, plan, can_await=can_await).write_call(resolve_call)

    def _plan(self, need: Need, call: Call | None = None, *, can_await: bool) -> Plan | None:
        """List the steps, or give up where the slow way has to say what is wrong."""
        planner = _Planner(
            self._registry, call, is_child=self._is_child, is_function=self._is_function
        )
        try:
            plan = planner.plan(need)
        except (WaresError, _NoPlanError):
            return None
        if not can_await and any(_must_be_awaited(step) for step in plan.steps):
            return None
        return plan


class NoPlans(PlanBook):
    """The plans of a container that is to have none."""

    __slots__ = ()

    def note_use(self, key: Hashable, *, can_await: bool) -> None:
        """Write none."""


def _must_be_awaited(step: Step) -> bool:
    return step.way in ("kept", "fresh") and step.recipe.shape.is_async


def _may_be_awaited(step: Step) -> bool:
    """Tell whether making this may let other tasks run."""
    is_made = step.way in ("kept", "fresh")
    recipe = step.recipe
    return is_made and recipe.shape is not Shape.GENERATOR and not _is_surely_plain(recipe)


class _NoPlanError(Exception):
    """This graph is better left to the slow way."""


class _Planner:
    """Puts what is needed in order."""

    def __init__(
        self, registry: Registry, call: Call | None, *, is_child: bool, is_function: bool
    ) -> None:
        self._registry = registry
        self._call = call
        self._is_child = is_child
        self._is_function = is_function
        self._steps: list[Step] = []
        self._askers: list[int] = []
        # Steps that others share: all of them, or those that are bound to the call.
        self._shared: dict[Hashable, int] = {}
        self._bound: dict[Hashable, int] = {}
        self._around: dict[Hashable, int] = {}
        self._absent: set[Hashable] = set()

    def plan(self, first: Need) -> Plan:
        """List the steps to what is asked for; without recursion: a chain may be long."""
        if self._registry._observers:
            # A plan tells nobody of what it makes.
            raise _NoPlanError
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
                    raise _NoPlanError
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
            raise _NoPlanError
        self._check_lifetime(stack[-1], found)
        if len(self._steps) + len(stack) >= MOST_STEPS:
            raise _NoPlanError
        return _Draft(found, self._registry._container_class, self._registry)

    def _finish(self, draft: _Draft) -> int:
        step = Step(draft.recipe, draft.way, draft.need, tuple(draft.arguments), -1, set())
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
            raise _NoPlanError
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
            raise _NoPlanError
        return recipe, self._choose_way(recipe, need), need

    def _choose_way(self, recipe: Recipe, need: Need) -> str:
        if self._is_asked_around(need):
            return "request"
        if need.scope == "function" and not self._is_function:
            raise _NoPlanError
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
            raise _NoPlanError


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


class _Writer:
    """Writes the function of one plan.

    There are two texts. The first is for a container that has made nothing yet: it need not look
    whether what it is about to make is there. The second, for any other, looks; it is written
    only when it is first needed.
    """

    def __init__(self, registry: Registry, plan: Plan, *, can_await: bool) -> None:
        self._plan = plan
        self._can_await = can_await
        self._awaiting = "await " if can_await else ""
        self._lines: list[str] = []
        self._is_first = False
        keys = plan.absent.union(
            step.recipe.key for step in plan.steps if step.way != "container"
        )
        self._may_suspend = can_await and any(map(_may_be_awaited, plan.steps))
        self._sets_flow = self._may_suspend or any(
            step.way == "container" for step in plan.steps
        )
        self._has_claim = any(step.way in ("kept", "fresh") for step in plan.steps)
        self._names: dict[str, Any] = {
            "CLAIM": CLAIM,
            "CLOSED": CLOSED,
            "CLEANUPS": CLEANUPS,
            "Cleanups": Cleanups,
            "MISSING": MISSING,
            "again": self._write_again,
            "begin_cleanups": begin_cleanups,
            "closed_error": closed_error,
            "detour": adetour if can_await else detour,
            "end_nested": end_nested,
            "end_traffic": end_traffic,
            "fail": fail,
            "flow": current_flow,
            "get_ident": get_ident,
            "keys": keys,
            "leave_async_generator": leave_async_generator,
            "leave_generator": leave_generator,
            "may_nest": may_nest,
            "not_yielded": not_yielded,
            "resolve": aresolve if can_await else resolve_sync,
            "root": registry._get_root(),
            "settle": asettle if can_await else settle,
            "take_back": atake_back if can_await else take_back_sync,
        }
        self._parameters = "container"
        self._slow_way = f"resolve(container, need{len(plan.steps) - 1})"

    def write(self) -> Callable[..., Any]:
        """Write and compile it."""
        for number, step in enumerate(self._plan.steps):
            self._name(number, step)
        self._is_first = self._has_claim
        return self._compile()

    def write_call(self, resolve_call: Callable[..., Any]) -> Callable[..., Any]:
        """Write and compile the function that gets what a call needs."""
        self._names["resolve_call"] = resolve_call
        self._parameters = "container, arguments"
        self._slow_way = "resolve_call(container, arguments)"
        return self.write()

    def _write_again(self, *arguments: Any) -> Any:
        """Write the text for a container that has made something, and take it from now on."""
        with LOCK:
            if self._is_first:
                self._is_first = False
                self._names["again"] = self._compile()
        return self._names["again"](*arguments)

    def _compile(self) -> Callable[..., Any]:
        names = self._names
        claim = type(
            "PlanClaim",
            (Claim,),
            {
                "__slots__": (),
                "plan": self._plan,
                "can_await": self._can_await,
                "may_suspend": self._may_suspend,
            },
        )
        claim_name = "FirstClaim" if self._is_first else "Claim"
        names[claim_name] = claim
        self._lines = []
        self._write_function(claim_name)
        source = "\n".join(self._lines) + "\n"
        exec(compile(source, "<a plan of wares>", "exec"), names)  # noqa: S102  # our own source
        function: Callable[..., Any] = names.pop("plan")
        setattr(claim, "code", function.__code__)  # noqa: B010  # the class is made by type()
        return function

    def _write_function(self, claim_name: str) -> None:
        last = len(self._plan.steps) - 1
        definition = "async def" if self._can_await else "def"
        self._put(0, f"{definition} plan({self._parameters}):")
        self._put(1, "made = container._made")
        self._put(1, "given = container._given")
        if not self._is_first:
            self._put(
                1, "if made is CLOSED or given is not None and not keys.isdisjoint(given):"
            )
            self._put(2, f"return {self._awaiting}{self._slow_way}")
        if self._has_claim:
            self._write_claimed(last, claim_name)
        else:
            self._write_steps(1)
            self._write_return(1, last)

    def _write_claimed(self, last: int, claim_name: str) -> None:
        self._put(1, f"claim = {claim_name}()")
        self._put(1, "claim.container = container")
        if self._may_suspend:
            self._put(1, "claim.thread = get_ident()")
        if self._is_first:
            self._write_look_for_others()
        else:
            self._put(1, "other = made.setdefault(CLAIM, claim)")
            self._put(1, "if other is not claim and not may_nest(claim, other, made, keys):")
            self._put(2, f"return {self._awaiting}{self._slow_way}")
        if self._sets_flow:
            self._put(1, "outer = flow.get()")
            self._put(1, "if outer is not None:")
            # One that is over serves as well as none, and setting takes long.
            self._put(2, "if outer.is_over: outer = None")
            self._put(2, "else: claim.parent = outer")
            self._put(1, "flow.set(claim)")
        self._put(1, "cleanups = None")
        self._put(1, "try:")
        self._write_steps(2)
        self._write_return(2, last)
        self._put(1, "except BaseException as error:")
        self._put(2, "fail(claim, error)")
        self._put(2, "raise")
        self._put(1, "finally:")
        if self._sets_flow:
            self._put(2, "claim.is_over = True")
            # It may stay in the context for long, and must not keep the container alive.
            self._put(2, "del claim.container")
            self._put(2, "if outer is not None: flow.set(outer)")
        self._write_end()

    def _write_look_for_others(self) -> None:
        """Leave it to the other text where something is made, or being made, already."""
        call = f"return {self._awaiting}again({self._parameters})"
        self._put(1, f"if made.setdefault(CLAIM, claim) is not claim: {call}")
        # The claim itself stands among what is made; what is given does so, too. In what a closed
        # container has made, nothing stands.
        self._put(1, "if given is None: is_first = len(made) == 1")
        self._put(1, "else: is_first = len(made) == len(given) + 1 and keys.isdisjoint(given)")
        self._put(1, "if not is_first:")
        self._put(2, "made.pop(CLAIM, None)")
        self._put(2, call)

    def _write_end(self) -> None:
        if self._is_first:
            self._put(2, "del made[CLAIM]")
        else:
            self._put(2, "if other is claim: del made[CLAIM]")
            self._put(2, "else: end_nested(claim, other, made)")
        # First the end, then the look: who comes between finds what was made.
        self._put(2, "if container._traffic is not None: end_traffic(container, made)")

    def _write_return(self, indent: int, last: int) -> None:
        if self._plan.steps[last].way in ("ready", "singleton", "connection"):
            self._put(indent, f"made[key{last}] = it{last}")
        if self._has_claim:
            self._put(indent, "if container._made is not made: raise closed_error(container)")
        self._put(indent, f"return it{last}")

    def _write_steps(self, indent: int) -> None:
        for number, step in enumerate(self._plan.steps):
            getattr(self, f"_write_{step.way}")(indent, number, step)

    def _name(self, number: int, step: Step) -> None:
        self._names[f"key{number}"] = step.recipe.key
        self._names[f"need{number}"] = step.need
        self._names[f"recipe{number}"] = step.recipe
        self._names[f"make{number}"] = step.recipe.factory
        self._names[f"plain{number}"] = step.plain
        self._names[f"value{number}"] = step.recipe.value

    def _write_container(self, indent: int, number: int, _step: Step) -> None:
        self._put(indent, f"it{number} = container")

    def _write_given(self, indent: int, number: int, _step: Step) -> None:
        self._put(indent, f"if key{number} in made: it{number} = made[key{number}]")
        self._put(indent, f"else: it{number} = {self._resolve(number)}")

    def _write_ready(self, indent: int, number: int, _step: Step) -> None:
        if self._is_first:
            self._put(indent, f"it{number} = value{number}")
        else:
            self._put(indent, f"if key{number} in made: it{number} = made[key{number}]")
            self._put(indent, f"else: it{number} = value{number}")

    def _write_singleton(self, indent: int, number: int, _step: Step) -> None:
        if not self._is_first:
            self._put(indent, f"if key{number} in made: it{number} = made[key{number}]")
            self._put(indent, "else:")
            indent += 1
        # Asked for and taken in one: an override may take away what was there just now.
        self._put(indent, f"it{number} = root._made.get(key{number}, MISSING)")
        self._put(indent, f"if it{number} is MISSING: it{number} = {self._resolve(number)}")

    def _write_connection(self, indent: int, number: int, _step: Step) -> None:
        self._put(indent, f"if key{number} in made: it{number} = made[key{number}]")
        self._put(indent, f"else: it{number} = {self._resolve(number)}")

    def _write_request(self, indent: int, number: int, step: Step) -> None:
        if step.need.use_cache:
            self._put(indent, "around = container._request_container._made")
            self._put(indent, f"if key{number} in around: it{number} = around[key{number}]")
            self._put(indent, f"else: it{number} = {self._resolve(number)}")
        else:
            self._put(indent, f"it{number} = {self._resolve(number)}")

    def _resolve(self, number: int) -> str:
        if self._has_claim:
            return f"{self._awaiting}detour(claim, {number})"
        return f"{self._awaiting}resolve(container, need{number})"

    def _write_kept(self, indent: int, number: int, step: Step) -> None:
        if self._is_first:
            self._put(indent, f"claim.step = {number}")
            # Traffic lasts until this plan ends. So one look tells both whether somebody made
            # this meanwhile, and whether somebody waits for the step before.
            self._put(indent, "if container._traffic is None:")
        else:
            self._put(indent, f"if key{number} in made: it{number} = made[key{number}]")
            self._put(indent, "else:")
            indent += 1
            self._put(indent, f"claim.step = {number}")
            self._put(indent, f"if container._traffic is None and key{number} not in made:")
        self._write_making(indent + 1, number, step)
        self._put(indent + 1, f"made[key{number}] = it{number}")
        self._put(indent, f"else: it{number} = {self._resolve(number)}")

    def _write_fresh(self, indent: int, number: int, step: Step) -> None:
        self._put(indent, f"claim.step = {number}")
        self._write_making(indent, number, step)

    def _write_making(self, indent: int, number: int, step: Step) -> None:
        shape = step.recipe.shape
        call = f"make{number}({self._arguments(step)})"
        if step.recipe.factory is give_all:
            call = f"({self._arguments(step)},)" if step.arguments else "()"
        if shape is Shape.GENERATOR:
            self._put(indent, f"generator = {call}")
            self._put(indent, f"it{number} = next(generator, MISSING)")
            self._put(indent, f"if it{number} is MISSING: raise not_yielded(recipe{number})")
            self._write_cleanup(indent, number, "leave_generator")
        elif shape is Shape.ASYNC_GENERATOR:
            self._put(indent, f"generator = {call}")
            self._put(indent, f"try: it{number} = await generator.__anext__()")
            self._put(
                indent,
                f"except StopAsyncIteration: raise not_yielded(recipe{number}) from None",
            )
            self._write_cleanup(indent, number, "leave_async_generator")
        else:
            if shape is Shape.COROUTINE:
                call = f"await {call}"
            self._put(indent, f"it{number} = {call}")
            if not _is_surely_plain(step.recipe):
                settle = f"{self._awaiting}settle(claim, {number}, it{number}, made)"
                self._put(indent, f"if type(it{number}) not in plain{number}:")
                self._put(indent + 1, f"it{number} = {settle}")

    def _write_cleanup(self, indent: int, number: int, leave: str) -> None:
        if self._is_first:
            # Nobody else has begun any, or somebody else is about to: whoever is first.
            begin = "made.setdefault(CLEANUPS, Cleanups())"
        else:
            begin = "begin_cleanups(made)"
        self._put(indent, f"if cleanups is None: cleanups = {begin}")
        self._put(indent, f"entry = ({leave}, generator, recipe{number})")
        self._put(indent, "cleanups.append(entry)")
        self._put(indent, "if container._made is not made:")
        self._put(indent + 1, f"{self._awaiting}take_back(container, cleanups, entry)")

    def _arguments(self, step: Step) -> str:
        values = (
            (f"it{argument}" if isinstance(argument, int) else f"arguments[{argument!r}]", need)
            for argument, need in step.arguments
        )
        return ", ".join(
            f"{need.name}={value}" if need.by_keyword else value for value, need in values
        )

    def _put(self, indent: int, line: str) -> None:
        self._lines.append("    " * indent + line)


def _is_surely_plain(recipe: Recipe) -> bool:
    """Tell whether calling the factory gives an object that needs nothing further, for sure."""
    factory: Any = recipe.factory
    return factory is give_all or (
        isinstance(factory, type)
        and getattr(type(factory), "__call__", None) is type.__call__  # noqa: B004  # which one
        and getattr(factory, "__new__", None) is object.__new__
        and not hasattr(factory, "__await__")
        and not (recipe.enter and is_context_manager(factory))
    )


def may_nest(
    claim: Claim, other: Claim, made: dict[Hashable, Any], keys: frozenset[Hashable]
) -> bool:
    """Let a plan run within a factory that another plan for the same container has called."""
    if claim.can_await or other.can_await or not other.is_on_this_stack():
        return False
    outer: Claim | None = other
    while outer is not None:
        if not keys.isdisjoint(outer.plan.kept_keys):
            # The outer plan does not look whether somebody makes what it is to make itself; or
            # else there is a circle, which the slow way finds and names.
            return False
        outer = outer.outer
    claim.outer = claim.parent = other
    made[CLAIM] = claim
    return True


def end_nested(claim: Claim, other: Claim, made: dict[Hashable, Any]) -> None:
    """Show the outer plan again."""
    claim.is_over = True
    made[CLAIM] = other


def fail(claim: Claim, error: BaseException) -> None:
    """Tell whoever waits that the current step failed, and note the path to it."""
    told = error if isinstance(error, Exception) else None
    if isinstance(error, Exception) and not isinstance(error, WaresError):
        note_path(error, _lineage(claim))
    if claim.step >= 0:
        with LOCK:
            wake(claim.container, claim.current_key, told)


def _lineage(claim: Claim) -> list[Recipe]:
    path: list[Recipe] = []
    link: Flow | Claim | None = claim
    while link is not None:
        if not link.is_over:
            path = [*link.own_path(), *path]
        link = link.parent
    return path


def end_traffic(container: Container, made: dict[Hashable, Any]) -> None:
    """Wake whoever waits, now that a plan has ended; what it has made is there."""
    with LOCK:
        traffic = container._traffic
        for key in list(traffic.waiters) if traffic is not None else ():
            wake(container, key, None)
        clear_traffic(container, made)


def resolve_sync(container: Container, need: Need) -> Any:
    """Take the slow way."""
    return run(resolve(container, need, can_await=False))


async def aresolve(container: Container, need: Need) -> Any:
    """Take the slow way, awaiting."""
    return await resolve(container, need, can_await=True)


def detour(claim: Claim, step: int) -> Any:
    """Take the slow way for one step of a plan."""
    return run(adetour(claim, step, can_await=False))


async def adetour(claim: Claim, step: int, *, can_await: bool = True) -> Any:
    """Take the slow way for one step of a plan, awaiting."""
    # It makes nothing itself now, but says for the error message where it has come to.
    claim.step = -1
    claim.place = step
    container = claim.container
    with LOCK:
        traffic = container._traffic
        made_now = [key for key in traffic.waiters if key in container._made] if traffic else []
        for key in made_now:
            wake(container, key, None)
    flow = Flow(claim, can_await=can_await)
    return await flow.run(claim.container, claim.plan.steps[step].need)


def settle(claim: Claim, step: int, product: Any, made: dict[Hashable, Any]) -> Any:
    """Turn what a factory gave into the service: enter it, say."""
    return run(asettle(claim, step, product, made, can_await=False))


async def asettle(
    claim: Claim,
    step: int,
    product: Any,
    made: dict[Hashable, Any],
    *,
    can_await: bool = True,
) -> Any:
    """Turn what a factory gave into the service: await it, enter it."""
    recipe = claim.plan.steps[step].recipe
    plain = claim.plan.steps[step].plain
    flow = Flow(claim, can_await=can_await)
    service, entry = await flow._settle(recipe, product)
    if entry is not None:
        container = claim.container
        cleanups = begin_cleanups(made)
        cleanups.append(entry)
        if container._made is not made:
            await take_back(container, cleanups, entry)
    elif service is product and len(plain) < _MOST_CLASSES:
        plain.add(type(product))
    return service


async def atake_back(container: Container, cleanups: Cleanups, entry: Entry) -> None:
    """Clean up what was finished after the container had been closed."""
    await take_back(container, cleanups, entry)


def take_back_sync(container: Container, cleanups: Cleanups, entry: Entry) -> None:
    """Clean up what was finished after the container had been closed."""
    run(take_back(container, cleanups, entry))
