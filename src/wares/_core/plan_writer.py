"""A plan, written down as one straight-line function.

This module knows the steps of a plan, and writes Python from them. It must not know more of making
than the order: whatever is out of the ordinary (somebody else makes the same thing, something has
to be entered, what lives longer is not there yet) it leaves to `_claims`, and so to the slow way.

There are two texts where anything but inert steps is made. The first is for a container that has
made nothing yet: it need not look whether what it is about to make is there. The second, for any
other, looks; it is written only when it is first needed. Inert steps alone need no claim: if two
threads make such a thing at once, the first one that is kept counts, and nobody can tell.
"""

from __future__ import annotations

from _thread import get_ident
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

from wares._core.claims import (
    Claim,
    FirstClaim,
    FurtherClaim,
    adetour,
    afetch,
    aresolve,
    asettle,
    begin_again,
    detour,
    end,
    fail,
    fetch,
    resolve_sync,
    settle,
    settle_record,
    take_back_sync,
)
from wares._core.cleanups import (
    AWAITED,
    CALLED,
    SHIELDED,
    Cleanups,
    leave_async_generator,
    leave_generator,
)
from wares._core.keys import MISSING
from wares._core.lock import LOCK
from wares._core.planning import Plan, Step, is_surely_plain
from wares._core.recipes import give_all
from wares._core.records import NOTHING_TO_CLEAN, RECORD, give_spare, take_spare
from wares._core.resolution import LOCAL, current_flow, not_yielded, take_back
from wares._core.signatures import Shape

if TYPE_CHECKING:
    from wares._core.registry import Registry


#: What every text may name.
NAMES: dict[str, Any] = {
    "CALLED": CALLED,
    "Cleanups": Cleanups,
    "LOCAL": LOCAL,
    "MISSING": MISSING,
    "NOTHING_TO_CLEAN": NOTHING_TO_CLEAN,
    "RECORD": RECORD,
    "begin_again": begin_again,
    "end": end,
    "fail": fail,
    "flow": current_flow,
    "get_ident": get_ident,
    "give_spare": give_spare,
    "leave_async_generator": leave_async_generator,
    "leave_generator": leave_generator,
    "not_yielded": not_yielded,
    "settle_record": settle_record,
    "take_spare": take_spare,
}

#: What a synchronous text names besides.
_SYNC_NAMES = {
    "detour": detour,
    "fetch": fetch,
    "resolve": resolve_sync,
    "settle": settle,
    "take_back": take_back_sync,
}

#: What stands for the same in an asynchronous one.
_AWAITED_NAMES = {
    "detour": adetour,
    "fetch": afetch,
    "resolve": aresolve,
    "settle": asettle,
    "take_back": take_back,
}


class PlanWriter:
    """Writes the function of one plan."""

    def __init__(
        self, registry: Registry, plan: Plan, *, can_await: bool, has_given: bool
    ) -> None:
        """Prepare to write.

        Args:
            registry: What keeps the singletons.
            plan: What is to be done.
            can_await: Whether it is for `aget`.
            has_given: Whether something may be given to the container, or registered locally.
        """
        self._plan = plan
        self._can_await = can_await
        self._awaiting = "await " if can_await else ""
        self._has_given = has_given
        self._may_suspend = can_await and plan.may_suspend
        # Whether others, who are called or started meanwhile, shall know what they are part of.
        self._sets_flow = self._may_suspend or any(
            step.way == "container" for step in plan.steps
        )
        self._lines: list[str] = []
        # Whether the text is for a container that has made nothing yet.
        self._is_first = True
        self._root = len(plan.steps) - 1
        self._way = self._choose_way()
        self._names: dict[str, Any] = {
            **NAMES,
            **(_AWAITED_NAMES if can_await else _SYNC_NAMES),
            "again": self._write_again,
            "keys": plan.keys,
            "own_plan": plan,
            "root": registry._get_root(),
        }
        self._parameters = "container"
        self._slow_way = f"resolve(container, need{self._root})"

    def write(self) -> Callable[..., Any]:
        """Write and compile it."""
        for number, step in enumerate(self._plan.steps):
            self._name(number, step)
        return self._compile()

    def write_call(self, resolve_call: Callable[..., Any]) -> Callable[..., Any]:
        """Write and compile the function that gets what a call needs."""
        self._names["resolve_call"] = resolve_call
        self._parameters = "container, arguments"
        self._slow_way = "resolve_call(container, arguments)"
        return self.write()

    def write_several(
        self, keys: tuple[Any, ...], get_slowly: Callable[..., Any]
    ) -> Callable[..., Any]:
        """Write and compile the function that gets several services at once."""
        self._names["several"] = keys
        self._names["get_slowly"] = get_slowly
        self._slow_way = "get_slowly(container, several)"
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
        self._lines = []
        self._write_function()
        source = "\n".join(self._lines) + "\n"
        exec(compile(source, "<a plan of wares>", "exec"), names)  # noqa: S102  # our own source
        function: Callable[..., Any] = names.pop("plan")
        if not self._plan.is_inert:
            names[self._claim_name].code = function.__code__
        return function

    @property
    def _claim_name(self) -> str:
        return "NewFirstClaim" if self._is_first else "NewClaim"

    def _make_claim_class(self) -> type[Claim]:
        steps = enumerate(self._plan.steps) if self._is_first else ()
        held_back = {
            f"it{number}": step.recipe.key
            for number, step in steps
            if step.way == "kept" and step.is_inert and number != self._root
        }
        base = FirstClaim if self._is_first else FurtherClaim
        members = {
            "__slots__": tuple(held_back),
            "plan": self._plan,
            "can_await": self._can_await,
            "may_suspend": self._may_suspend,
            "held_back": held_back,
        }
        return cast("type[Claim]", type("PlanClaim", (base,), members))

    def _choose_way(self) -> int:
        """Choose what it will take to leave the generators that the plan enters."""
        generators = [step for step in self._plan.steps if step.is_generator]
        if any(step.may_suspend for step in generators):
            return SHIELDED
        return AWAITED if any(step.must_be_awaited for step in generators) else CALLED

    def _write_function(self) -> None:
        definition = "async def" if self._can_await else "def"
        self._put(0, f"{definition} plan({self._parameters}):")
        self._put(1, "made = container._made")
        if self._has_given:
            self._put(1, "given = container._given")
            self._put(1, "if given is not None and not keys.isdisjoint(given):")
            self._put(2, f"return {self._awaiting}{self._slow_way}")
        if self._plan.is_inert:
            self._write_inert()
        else:
            self._write_found()
            self._write_claimed()

    def _write_inert(self) -> None:
        """Write the text that needs no claim."""
        self._is_first = False
        root = self._plan.steps[self._root]
        is_kept = root.way in ("ready", "singleton", "connection")
        if self._plan.kept_keys:
            self._put(1, "record = made.setdefault(RECORD, NOTHING_TO_CLEAN)")
            settling = "settle_record(container, made, own_plan)"
            self._put(1, f"if record is not NOTHING_TO_CLEAN and not {settling}:")
            self._put(2, f"return {self._awaiting}{self._slow_way}")
        for number, step in enumerate(self._plan.steps):
            if not step.is_made:
                self._write_finding(number, step)
            elif step.way == "fresh":
                self._put(1, f"it{number} = {self._call(number, step)}")
            elif number != self._root:
                self._put(1, f"if key{number} in made: it{number} = made[key{number}]")
                self._put(1, f"else: it{number} = {self._keeping(number, step)}")
        if root.way == "kept":
            self._put(1, f"return {self._keeping(self._root, root)}")
        elif is_kept:
            self._put(1, f"return made.setdefault(key{self._root}, it{self._root})")
        else:
            self._put(1, f"return it{self._root}")

    def _write_found(self) -> None:
        """Write how to get what the plan does not make."""
        for number, step in enumerate(self._plan.steps):
            if not step.is_made:
                self._write_finding(number, step)

    def _write_claimed(self) -> None:
        self._names[self._claim_name] = self._make_claim_class()
        self._put(1, f"claim = {self._claim_name}()")
        self._put(1, "claim.container = container")
        if self._may_suspend:
            self._put(1, "claim._thread = get_ident()")
        if self._is_first:
            self._put(1, "claim.state = None")
            self._write_list()
        # Within, so that whatever interrupts it ends the claim as well.
        self._put(1, "try:")
        if self._is_first:
            self._put(2, "if made.setdefault(RECORD, claim) is claim:")
        else:
            self._put(2, "if begin_again(container, made, claim):")
        self._write_run(3)
        self._put(2, "else: claim = None")
        self._put(1, "except BaseException as error:")
        self._put(2, "fail(container, made, claim, error)")
        self._put(2, "raise")
        self._put(1, "if claim is None:")
        if self._is_first and self._plan.has_cleanups:
            self._put(2, "cleanups.way = CALLED")
            self._put(2, "give_spare(cleanups)")
        another = f"again({self._parameters})" if self._is_first else self._slow_way
        self._put(2, f"return {self._awaiting}{another}")
        # First the end, then the look: who comes between finds what was made.
        not_over = "claim.container is not None or " if self._may_end_early else ""
        self._put(
            1, f"if {not_over}container._traffic is not None: end(container, made, claim)"
        )
        self._put(1, f"return it{self._root}")

    @property
    def _may_end_early(self) -> bool:
        """Whether a run that is nested in this one, in another task, may go on after it."""
        return not self._is_first or (self._can_await and self._sets_flow)

    def _write_list(self) -> None:
        """Write that there is a list for cleanups, before anybody else can see the claim."""
        if not self._plan.has_cleanups:
            self._put(1, "claim.cleanups = None")
            return
        self._put(1, "try: claim.cleanups = cleanups = take_spare()")
        self._put(1, "except IndexError: claim.cleanups = cleanups = Cleanups()")
        if self._way != CALLED:
            self._put(1, f"cleanups.way = {self._way}")

    def _write_run(self, indent: int) -> None:
        """Write what is done under a claim."""
        if not self._is_first and self._plan.has_cleanups:
            self._put(indent, "cleanups = claim.cleanups")
            if self._way != CALLED:
                self._put(indent, f"if cleanups.way < {self._way}: cleanups.way = {self._way}")
        if self._sets_flow:
            self._put(indent, "outer = flow.get()")
            self._put(indent, "if outer is not None:")
            self._put(indent + 1, "if outer.is_over: outer = None")
            self._put(indent + 1, "else: claim._parent = outer")
            self._put(indent, "flow.set(claim)")
        self._write_groups(indent)
        if self._sets_flow:
            self._put(indent, "flow.set(outer)")
        self._write_end(indent)

    def _write_end(self, indent: int) -> None:
        """Write how a run ends that nobody has noticed."""
        if not self._is_first:
            self._put(indent, "record, around = claim.record, claim.outer")
            self._put(indent, "if record.state is claim:")
            self._put(indent + 1, "if around is None:")
            self._put(indent + 2, "claim.container = None")
            self._put(indent + 2, "record.state = claim.was_shared")
            self._put(indent + 1, "elif around.container is not None:")
            self._put(indent + 2, "claim.container = None")
            self._put(indent + 2, "record.state = None if around is record else around")
            return
        if self._may_end_early:
            self._put(indent, "if claim.state is None:")
            indent += 1
        self._put(indent, "claim.container = None")
        self._put(indent, "claim.state = False")

    def _write_groups(self, indent: int) -> None:
        for number, group in enumerate(self._plan.groups):
            is_work = group.working >= 0
            if number and (group.keys or is_work):
                self._put(indent, f"claim._group = {number}")
            if not group.keys:
                # Nobody else asks for it.
                for step in group.steps:
                    self._write_made(indent, step)
                continue
            self._put(indent, "if container._traffic is None:")
            for step in group.steps:
                self._write_made(indent + 1, step)
            self._put(indent, "else:")
            for step in group.steps:
                if self._plan.steps[step].way == "kept":
                    self._put(indent + 1, f"it{step} = {self._awaiting}detour(claim, {step})")
                else:
                    self._put(indent + 1, f"claim._group = {number}")
                    self._write_made(indent + 1, step)

    def _write_made(self, indent: int, number: int) -> None:
        """Write how something is made, and kept."""
        step = self._plan.steps[number]
        if step.way == "kept" and not self._is_first:
            self._put(indent, f"if key{number} in made: it{number} = made[key{number}]")
            self._put(indent, "else:")
            indent += 1
        if step.way == "fresh":
            self._write_making(indent, number, step)
        elif not step.is_inert:
            self._write_making(indent, number, step)
            self._put(indent, f"made[key{number}] = it{number}")
        elif not self._is_first:
            self._put(indent, f"it{number} = {self._keeping(number, step)}")
        else:
            place = f"made[key{number}]" if number == self._root else f"claim.it{number}"
            self._put(indent, f"{place} = it{number} = {self._call(number, step)}")

    def _keeping(self, number: int, step: Step) -> str:
        """Write how something inert is kept, unless another thread has kept one just now."""
        return f"made.setdefault(key{number}, {self._call(number, step)})"

    def _name(self, number: int, step: Step) -> None:
        self._names[f"key{number}"] = step.recipe.key
        self._names[f"need{number}"] = step.need
        self._names[f"recipe{number}"] = step.recipe
        self._names[f"make{number}"] = step.recipe.factory
        self._names[f"plain{number}"] = step.plain
        self._names[f"value{number}"] = step.recipe.value

    def _write_finding(self, number: int, step: Step) -> None:
        """Write how to find something, or else get it the slow way.

        A container goes on with what it has handed out once, whatever is in force by now.
        """
        fetch = f"{self._awaiting}fetch(container, own_plan, {number})"
        key, it = f"key{number}", f"it{number}"
        if step.way == "container":
            self._put(1, f"{it} = container")
        elif step.way == "ready":
            self._put(1, f"{it} = made[{key}] if {key} in made else value{number}")
        elif step.way == "given" and self._has_given:
            # Not from what is made: what is registered locally under the key has a lifetime.
            self._put(1, f"{it} = LOCAL if given is None else given.get({key}, LOCAL)")
            self._put(1, f"if {it} is LOCAL: return {self._awaiting}{self._slow_way}")
        elif step.way == "given":
            self._put(1, f"{it} = made[{key}] if {key} in made else {fetch}")
        elif step.way == "request" and not step.need.use_cache:
            self._put(1, f"{it} = {fetch}")
        else:
            self._put(1, f"{it} = {self._place_of(step)}._made.get({key}, MISSING)")
            if step.way != "request":
                self._put(1, f"if {key} in made: {it} = made[{key}]")
            self._put(1, f"if {it} is MISSING: {it} = {fetch}")

    def _place_of(self, step: Step) -> str:
        """Write what keeps something that lives longer."""
        if step.way == "singleton":
            return "root"
        if step.way == "request":
            return "container._request_container"
        return "container._family.outermost"

    def _write_making(self, indent: int, number: int, step: Step) -> None:
        call = self._call(number, step)
        shape = step.recipe.shape
        if step.is_generator:
            loop, leave = ("for", "leave_generator")
            if shape is Shape.ASYNC_GENERATOR:
                loop, leave = ("async for", "leave_async_generator")
            self._put(indent, f"generator = {call}")
            self._put(indent, f"{loop} it{number} in generator: break")
            self._put(indent, f"else: raise not_yielded(recipe{number})")
            self._put(indent, f"cleanups.append(({leave}, generator, recipe{number}))")
            self._put(indent, "if container._made is not made:")
            self._put(indent + 1, f"{self._awaiting}take_back(container, cleanups, generator)")
            return
        if shape is Shape.COROUTINE:
            call = f"await {call}"
        self._put(indent, f"it{number} = {call}")
        if not is_surely_plain(step.recipe):
            settling = f"{self._awaiting}settle(claim, {number}, it{number}, made)"
            self._put(indent, f"if type(it{number}) not in plain{number}:")
            self._put(indent + 1, f"it{number} = {settling}")

    def _call(self, number: int, step: Step) -> str:
        """Write the call of a factory."""
        arguments = ", ".join(
            f"{need.name}={value}" if need.by_keyword else value
            for value, need in (
                (
                    f"it{argument}"
                    if isinstance(argument, int)
                    else f"arguments[{argument!r}]",
                    need,
                )
                for argument, need in step.arguments
            )
        )
        if step.recipe.factory is give_all:
            return f"({arguments},)" if arguments else "()"
        return f"make{number}({arguments})"

    def _put(self, indent: int, line: str) -> None:
        self._lines.append("    " * indent + line)
