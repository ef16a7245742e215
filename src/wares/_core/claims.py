"""One run of a plan, as others see it, and what it does where something is out of the ordinary.

This module knows a plan while it runs: which steps it is at, who has called it, and how it leaves
something to the slow way. It must not know how a plan is written (that is `_plan_writer`).

A plan makes no claim for each key. It puts one object, its claim, where everybody sees it, and
says there which steps it is at *before* it looks whether there is traffic. Whoever comes by the
slow way tells the traffic *before* it looks at the steps. So at least one sees the other, and it
is that one who waits.
"""

from __future__ import annotations

import inspect
import sys
import types
from _thread import get_ident
from collections.abc import Awaitable, Hashable, Iterator
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from wares._core.cleanups import Cleanups, Entry, leave_async_context, leave_context
from wares._core.keys import MISSING
from wares._core.lock import LOCK
from wares._core.planning import Plan
from wares._core.recipes import Recipe, is_async_context_manager
from wares._core.records import (
    Record,
    begin_list,
    find_claim,
    own_record,
    publish,
)
from wares._core.resolution import (
    Flow,
    Link,
    clear_traffic,
    closed_error,
    current_flow,
    find_parent,
    note_path,
    resolve,
    run,
    take_back,
    wake,
)
from wares._core.signatures import Need
from wares.exceptions import WaresError

if TYPE_CHECKING:
    from wares._core.container import Container

T = TypeVar("T")

#: How many classes of results are remembered for one factory.
_MOST_CLASSES = 16


class Claim(Record):
    """One run of a plan, as others see it.

    What is seldom needed is read with a default, and not set for each request.

    Attributes:
        plan: The plan; each has a class of its own.
        code: The code of the plan's function.
        can_await: Whether the plan runs in an event loop.
        may_suspend: Whether other tasks may run while it makes something; then it is found by
            the context, otherwise on the stack.
        container: For whom it runs; `None` when it has ended.
        record: What the container keeps beside its services.
        outer: The run of another plan for the same container, of whose factory this is a part.
    """

    __slots__ = ("_group", "_parent", "_place", "_thread", "container")

    plan: ClassVar[Plan]
    code: ClassVar[types.CodeType]
    can_await: ClassVar[bool]
    may_suspend: ClassVar[bool]
    container: Any
    record: Record
    outer: Claim | None
    _group: int
    _parent: Link | None
    _place: int
    _thread: int

    @property
    def group(self) -> int:
        """The steps that it is making right now; -1 while it makes none itself."""
        return getattr(self, "_group", 0)

    @property
    def parent(self) -> Link | None:
        """The making in whose factory this one was asked for."""
        return getattr(self, "_parent", None)

    @property
    def thread(self) -> int:
        """Where it runs, if it may suspend."""
        return getattr(self, "_thread", -1)

    @property
    def is_over(self) -> bool:
        """Whether it has ended; its record may be that of another run by now."""
        return self.container is None

    def is_making(self, key: Hashable, made: dict[Hashable, Any]) -> bool:
        """Tell whether it is making *key* right now for all who ask, so that one may wait."""
        group = -1 if self.is_over else self.group
        return group >= 0 and key in self.plan.groups[group].keys and key not in made

    def takes_time(self, key: Hashable) -> bool:
        """Tell whether making *key* takes longer than a moment."""
        return self.current_key == key

    @property
    def current_key(self) -> Hashable:
        """The key whose factory runs right now for all who ask."""
        group = self.group
        step = -1 if group < 0 else self.plan.groups[group].working
        is_kept = step >= 0 and self.plan.steps[step].way == "kept"
        return self.plan.steps[step].recipe.key if is_kept else MISSING

    def own_steps(self) -> Iterator[tuple[Container, Recipe]]:
        """Go through what is being made right now: one thing at most."""
        group = self.group
        if group >= 0:
            step = self.plan.groups[group].last
            yield self.container, self.plan.steps[step].recipe

    def own_path(self) -> list[Recipe]:
        """List the recipes that led to what is being made right now."""
        group = self.group
        if group >= 0:
            return self.plan.path_to(self.plan.groups[group].last)
        return self.plan.path_to(self._place)[:-1]

    def is_on_this_stack(self) -> bool:
        """Tell whether it runs further up on the stack of who asks."""
        frame: types.FrameType | None = sys._getframe(1)
        while frame is not None:
            if frame.f_code is self.code and frame.f_locals.get("claim") is self:
                return True
            frame = frame.f_back
        return False


class FirstClaim(Claim):
    """The first run for a container that has made nothing; it is the record itself."""

    __slots__ = ()

    outer: ClassVar[None] = None  # type: ignore[misc]  # never set

    @property
    def record(self) -> Record:  # type: ignore[override]  # never set
        """What the container keeps beside its services: this."""
        return self


class FurtherClaim(Claim):
    """A run for a container that has made something already.

    Attributes:
        was_shared: Whether others than plans may have added cleanups before.
    """

    __slots__ = ("outer", "record", "was_shared")

    was_shared: bool


class Errand:
    """What a plan asks for before it makes anything: something that lives longer, and is not there.

    Attributes:
        parent: The making in whose factory the plan was asked for.
        is_over: Whether it has ended; nobody sees one that has.
    """

    __slots__ = ("_path", "parent")

    is_over = False

    def __init__(self, plan: Plan, step: int, parent: Link | None) -> None:
        self._path = plan.path_to(step)[:-1]
        self.parent = parent

    def own_steps(self) -> Iterator[tuple[Container, Recipe]]:
        """Go through what is being made right now: nothing yet."""
        return iter(())

    def own_path(self) -> list[Recipe]:
        """List the recipes that led here."""
        return self._path


def settle_record(container: Container, made: dict[Hashable, Any], plan: Plan) -> bool:
    """Make sure that all that is made can be seen by a plan that makes no claim.

    Returns:
        Whether it may go on, beside whatever is being made right now.
    """
    with LOCK:
        publish(made)
        return container._traffic is None and _is_free(plan.kept_keys, find_claim(made))


def begin_again(container: Container, made: dict[Hashable, Any], claim: FurtherClaim) -> bool:
    """Let a plan run on a container that has made something, or within the run of another.

    Returns:
        Whether it may; otherwise it is left to the slow way.
    """
    with LOCK:
        record = claim.record = own_record(made)
        publish(made)
        outer = find_claim(made)
        if outer is not None:
            if not _may_nest(claim, outer):
                return False
            claim._parent = outer
        else:
            claim.was_shared = record.state is True or container._traffic is not None
        claim.outer = outer
        record.state = claim
        # First this, then the look: whoever closes does it the other way round.
        if container._made is not made:
            raise closed_error(container)
        if claim.plan.has_cleanups:
            claim.cleanups = _own_cleanups(record)
    return True


def _may_nest(claim: Claim, other: Claim) -> bool:
    """Let a plan run within a factory that another plan for the same container has called."""
    if not _is_free(claim.plan.keys, other):
        # The outer plan does not look whether somebody makes what it is to make itself; or else
        # there is a circle, which the slow way finds and names.
        return False
    if not claim.can_await:
        return other.is_on_this_stack()
    # In one thread only, so that they begin and end one after the other.
    return current_flow.get() is other and other.thread == get_ident()


def _is_free(keys: frozenset[Hashable], claim: Claim | None) -> bool:
    """Tell whether no run, nor what it is nested in, has a say in the making of *keys*.

    It has if it makes one of them itself, or something that lives longer, and may not need them.
    """
    while claim is not None:
        if claim.plan.lives_longer or not keys.isdisjoint(claim.plan.kept_keys):
            return False
        claim = claim.outer
    return True


def finish(
    container: Container,
    made: dict[Hashable, Any],
    claim: Claim,
    error: BaseException | None = None,
) -> None:
    """End a run about which others know, or that was not the first, or that failed.

    Whoever waits for something that it was to make finds it made, or gets the error, or makes it.
    """
    told = error if isinstance(error, Exception) else None
    with LOCK:
        failed = MISSING if error is None else claim.current_key
        publish(made)
        _end_run(claim)
        if failed is not MISSING:
            wake(container, failed, told)
        traffic = container._traffic
        # Not those who wait for what another run makes: they are to get its error, if it fails.
        for key in claim.plan.kept_keys.intersection(traffic.waiters if traffic else ()):
            wake(container, key, None)
        clear_traffic(container, made)


def _end_run(claim: Claim) -> None:
    """Show that a plan has ended, and the outer one again. Called with the lock held."""
    # It may stay in a context for long, and must not keep the container alive.
    claim.container = None
    record = getattr(claim, "record", None)
    if record is None:
        # It has not even begun.
        return
    if record.is_idle:
        # It has ended before it saw that others have been here.
        record.state = True
    if (record.state or record) is not claim:
        # What was nested in it goes on, or this is another run's by now.
        return
    outer = claim.outer
    while outer is not None and outer.is_over:
        outer = outer.outer
    record.state = True if outer is None else None if outer is record else outer


def end(container: Container, made: dict[Hashable, Any], claim: Claim) -> None:
    """End a run that others have noticed.

    Raises:
        WaresError: The container was closed meanwhile.
    """
    finish(container, made, claim)
    if container._made is not made:
        raise closed_error(container)


def fail(
    container: Container, made: dict[Hashable, Any], claim: Claim, error: BaseException
) -> None:
    """Tell whoever waits that a step failed, and note the path to it."""
    if isinstance(error, Exception) and not isinstance(error, WaresError):
        note_path(error, _lineage(claim))
    finish(container, made, claim, error)


def _lineage(claim: Claim) -> list[Recipe]:
    path: list[Recipe] = []
    link: Link | None = claim
    while link is not None:
        if not link.is_over:
            path = [*link.own_path(), *path]
        link = link.parent
    return path


def resolve_sync(container: Container, need: Need) -> Any:
    """Take the slow way."""
    return run(resolve(container, need, can_await=False))


async def aresolve(container: Container, need: Need) -> Any:
    """Take the slow way, awaiting."""
    return await resolve(container, need, can_await=True)


def fetch(container: Container, plan: Plan, step: int) -> Any:
    """Take the slow way for what a plan asks for before it makes anything."""
    return run(afetch(container, plan, step, can_await=False))


async def afetch(container: Container, plan: Plan, step: int, *, can_await: bool = True) -> Any:
    """Take the slow way for what a plan asks for before it makes anything, awaiting."""
    flow = Flow(Errand(plan, step, find_parent(container)), can_await=can_await)
    return await flow.run(container, plan.steps[step].need)


def detour(claim: Claim, step: int) -> Any:
    """Take the slow way for one step of a plan."""
    return run(adetour(claim, step, can_await=False))


async def adetour(claim: Claim, step: int, *, can_await: bool = True) -> Any:
    """Take the slow way for one step of a plan, awaiting."""
    # It makes nothing itself now, but says for the error message where it has come to.
    claim._group = -1
    claim._place = step
    parent = current_flow.get()
    if claim.parent is None and parent is not claim:
        claim._parent = parent
    container = claim.container
    made = container._made
    with LOCK:
        publish(made)
        traffic = container._traffic
        for key in [key for key in traffic.waiters if key in made] if traffic else ():
            wake(container, key, None)
    flow = Flow(claim, can_await=can_await)
    return await flow.run(container, claim.plan.steps[step].need)


def settle(claim: Claim, step: int, product: Any, made: dict[Hashable, Any]) -> Any:
    """Turn what a factory gave into the service: enter it, say."""
    if claim.plan.steps[step].leaves.get(type(product)) is leave_context:
        return _enter(claim, step, product, made)
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
    kind = type(product)
    known = claim.plan.steps[step]
    leave = known.leaves.get(kind)
    if leave is leave_context:
        return _enter(claim, step, product, made)
    flow = Flow(claim, can_await=can_await)
    entry: Entry | None
    if leave is leave_async_context:
        service = await _let_others_run(flow, claim, kind.__aenter__(product))
        entry = (leave_async_context, product, known.recipe)
    else:
        settling: Any = flow._settle(known.recipe, product)
        if can_await and (inspect.iscoroutine(product) or is_async_context_manager(kind)):
            settling = _let_others_run(flow, claim, settling)
        service, entry = await settling
    if entry is None:
        if service is product and len(known.plain) < _MOST_CLASSES:
            known.plain.add(kind)
        return service
    if entry[1] is product and len(known.leaves) < _MOST_CLASSES:
        known.leaves[kind] = entry[0]
    if _note(claim, made, entry):
        await take_back(claim.container, _cleanups_of_run(made), entry[1])
    return service


def _enter(claim: Claim, step: int, manager: Any, made: dict[Hashable, Any]) -> Any:
    """Enter a context manager of a class that is known already, and that takes no ``await``."""
    service = type(manager).__enter__(manager)
    recipe = claim.plan.steps[step].recipe
    if _note(claim, made, (leave_context, manager, recipe)):
        take_back_sync(claim.container, _cleanups_of_run(made), manager)
    return service


def _note(claim: Claim, made: dict[Hashable, Any], entry: Entry) -> bool:
    """Note a cleanup; tell whether the container was closed meanwhile."""
    _cleanups_of_run(made).add(entry)
    return claim.container._made is not made


async def _let_others_run(flow: Flow, claim: Claim, making: Awaitable[T]) -> T:
    """Await something in the midst of a plan, so that others know what they run within."""
    outer = current_flow.get()
    # While it waits, it is in the way of those of its own event loop who cannot.
    claim._thread = get_ident()
    current_flow.set(flow)
    try:
        return await making
    finally:
        flow.is_over = True
        # Not by a token: a coroutine that is closed ends in another context.
        current_flow.set(outer)


def _cleanups_of_run(made: dict[Hashable, Any]) -> Cleanups:
    """Give the list in which a plan that runs notes cleanups."""
    with LOCK:
        return _own_cleanups(own_record(made))


def _own_cleanups(record: Record) -> Cleanups:
    """Give the list of cleanups of a record, begun now if need be. Called with the lock held."""
    cleanups = record.cleanups
    if cleanups is None:
        cleanups = record.cleanups = begin_list()
    return cleanups


def take_back_sync(container: Container, cleanups: Cleanups, thing: Any) -> None:
    """Clean up what was finished after the container had been closed."""
    run(take_back(container, cleanups, thing))
