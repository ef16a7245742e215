"""Claims: which `get` makes a service, and which ones wait for it.

Each `get` that makes services has one `Claim`. It claims a key by putting the claim under the key
into the container's dict of services, with one `dict.setdefault`; nothing else is locked. A `get`
that finds a claim of another `get` gives up its own claims, waits, and begins again.

Before a `get` waits, it checks under the only lock that no circle of waits arises, also through
several threads and event loops. The `get` calls that enclose another one, and the path that led
to a key, are read off the stack (see `paths`), so they cost nothing until they are needed.
"""

from __future__ import annotations

import gc
import os
from _thread import get_ident, start_new_thread
from collections.abc import Callable, Coroutine, Hashable, Iterator
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import attrs

from wares._core.awkward import get_traceback, is_a
from wares._core.locking import LOCK, locked
from wares._core.paths import Path, find_claims_on_the_stack, read_path
from wares.exceptions import AsyncServiceError, CircularDependencyError

if TYPE_CHECKING:
    import asyncio

#: The key of a container's cleanups in its dict of services. They are in that dict so that exactly
#: one of several threads creates them, and exactly one of several that close takes them out.
CLEANUPS = object()


class Claim:
    """A `get` that makes services, one at a time."""

    # No __init__, for speed: a claim is made for each `get` that makes a service.

    #: The thread of the event loop that runs an `aget` that may suspend; else `None`.
    thread: int | None = None
    #: The event loop in which an `aget` makes a singleton, if it is one of asyncio.
    loop: asyncio.AbstractEventLoop | None = None
    #: The coroutine of the maker of such an `aget`, once it has begun.
    coroutine: Coroutine[Any, Any, Any] | None = None
    #: Whether the `get` has failed, or can never go on. Keys that it may still hold then count as
    #: not claimed.
    is_over = False
    #: The waits of other `get` calls for keys that this one has claimed.
    waiters: dict[Wait, None] | tuple[()] = ()
    #: The waits of this `get`, and of those within its factories.
    waits: list[Wait] | tuple[()] = ()
    #: The keys and recipes that a singleton's factory has asked for in its body.
    sources: list[Any] | tuple[()] = ()


#: Stands for a service that is not made.
NOT_MADE = Claim()


class Busy(Exception):  # noqa: N818  # a signal to wait, not an error
    """Another `get` is making the service of a key.

    Args:
        made: The services of the container that will keep it.
        key: The key.
        holder: The claim of the other `get`.
    """

    def __init__(self, made: dict[Hashable, Any], key: Hashable, holder: Claim) -> None:
        self.made = made
        self.key = key
        self.holder = holder


class Making:
    """The call of an asynchronous factory that can ask the container for services.

    Args:
        claim: The claim of the `aget` that calls the factory.
        outer: The call around this one.

    Attributes:
        is_over: Whether the factory has ended. A task that it started may outlive it.
    """

    __slots__ = ("claim", "is_over", "outer")

    def __init__(self, claim: Claim, outer: Making | None) -> None:
        self.claim = claim
        self.outer = outer
        self.is_over = False


#: The call of a factory that this context is within. Tasks and threads that a factory starts
#: inherit it; within one task, the stack shows more.
current_making: ContextVar[Making | None] = ContextVar("wares_making", default=None)


@attrs.frozen(eq=False, repr=False)
class Wait:
    """A `get` that waits for a service which another `get` makes.

    Attributes:
        made: The services of the container that will keep the service.
        key: The key of the service.
        holder: The claim of the `get` that makes it.
        lineage: The claims that cannot go on until it is made: that of the waiting `get`, and those
            of the `get` calls around it.
        thread: The thread that is blocked meanwhile; `None` for an `aget`.
        answer: Ends the wait, with the error that making the service failed with, or `None`.
    """

    made: dict[Hashable, Any]
    key: Hashable
    holder: Claim
    lineage: tuple[Claim, ...]
    thread: int | None
    answer: Callable[[BaseException | None], None]

    def is_over(self) -> bool:
        """Return whether the service is made, or is no longer being made.

        The claim of a holder that has failed does not count. It may remain in the dict of a
        container that was closed or reset meanwhile.
        """
        return self.holder.is_over or self.made.get(self.key) is not self.holder


#: The waits that block a thread, by the thread.
_blocked: dict[int, Wait] = {}


def begin_wait(
    claim: Claim,
    busy: Busy,
    answer: Callable[[BaseException | None], None],
    *,
    blocks: bool,
) -> Wait | None:
    """Register that a `get` waits. It must hold no key meanwhile.

    First the waiters for services that are made by now, or for keys given up, are woken.

    Args:
        claim: The claim of the `get` that waits.
        busy: The signal that its maker raised.
        answer: Ends the wait; see `Wait`.
        blocks: Whether the wait blocks its thread.

    Returns:
        The wait; `None` if there is nothing to wait for any more.

    Raises:
        CircularDependencyError: The holder waits for this `get`, directly or through others.
        AsyncServiceError: The wait would block an event loop that must run for it to end.
    """
    if claim.waiters:
        wake(claim)
    holder = busy.holder
    if holder.loop is not None and holder.loop.is_closed():
        # Its task will never go on.
        holder.is_over = True
        wake(holder)
    thread = get_ident() if blocks else None
    lineage = tuple(find_lineage(claim))
    wait = Wait(busy.made, busy.key, holder, lineage, thread, answer)
    with LOCK:
        if wait.is_over():
            if holder.is_over and busy.made.get(busy.key) is holder:
                # The holder was interrupted before it could give up the key, or cannot go on.
                del busy.made[busy.key]
            return None
        _refuse_deadlock(busy, lineage, thread)
        _register(wait)
    if wait.is_over():
        # The holder stores the service before it looks for waiters, so it may have missed this one.
        wake(holder)
    return wait


def _register(wait: Wait) -> None:
    """Let other `get` calls find *wait*. Called with the lock held."""
    wait.holder.waiters = wait.holder.waiters or {}
    wait.holder.waiters[wait] = None
    for link in wait.lineage:
        link.waits = link.waits or []
        link.waits.append(wait)
    if wait.thread is not None:
        _blocked[wait.thread] = wait


def end_wait(wait: Wait) -> None:
    """Unregister a wait, whether it succeeded or was interrupted."""
    with LOCK:
        _forget(wait)
        wait.holder.waiters.pop(wait, None)  # type: ignore[union-attr]  # a dict, since *wait* was registered there


def wake(claim: Claim, error: BaseException | None = None) -> None:
    """Wake the waiters of *claim* whose service is made by now, or whose key was given up.

    Args:
        claim: The claim.
        error: The error that its factory failed with.
    """
    over = _end_waits(claim)
    for wait in over:
        # A `get` fails where it cannot await a factory; a waiting `aget` can, and tries itself.
        is_own = wait.thread is None and is_a(error, AsyncServiceError)
        wait.answer(None if is_own else error)
    for wait in over:
        # Only now: if a signal handler raises, the waiters must still be woken.
        claim.waiters.pop(wait, None)  # type: ignore[union-attr]  # a dict, since they were registered there


@locked
def _end_waits(claim: Claim) -> list[Wait]:
    """Return the waits for *claim* that are over, and no longer count them as waits."""
    over = [wait for wait in claim.waiters if wait.is_over()]
    for wait in over:
        _forget(wait)
    return over


@locked
def give_up(claim: Claim, container: Any, made: dict[Hashable, Any]) -> None:
    """Give up the keys that *claim* holds.

    Args:
        claim: The claim.
        container: The container that was asked.
        made: The services of the container when it was asked.
    """
    owners = (container, container._outermost, container._request, container.registry._root)
    for kept in (made, *(owner._made for owner in owners if owner is not None)):
        for key, holder in kept.copy().items():
            if holder is claim:
                kept.pop(key, None)
    for owner in owners:
        if owner is not None and owner._given and not owner.is_closed:
            # The claim kept out a value that was registered locally meanwhile.
            for key, value in owner._given.items():
                owner._made.setdefault(key, value)


def fail(claim: Claim, container: Any, made: dict[Hashable, Any], error: BaseException) -> None:
    """Give up the keys of a failed `get`, and pass the error on to its waiters."""
    give_up(claim, container, made)
    if claim.waiters:
        wake(claim, error if is_a(error, Exception) else None)


def fail_elsewhere(
    claim: Claim, container: Any, made: dict[Hashable, Any], error: BaseException
) -> None:
    """Call `fail` in a new thread, because the stack was full or a signal handler interrupted it.

    A new thread has a stack of its own, and runs no signal handlers.
    """
    start_new_thread(fail, (claim, container, made, error))


def find_lineage(claim: Claim | None) -> Iterator[Claim]:
    """Yield the claims that cannot go on until *claim* does: itself, and those around it."""
    seen: dict[Claim, None] = {} if claim is None else {claim: None}
    seen.update(dict.fromkeys(find_claims_on_the_stack()))
    seen.update(dict.fromkeys(_find_claims_of_the_context()))
    return iter(seen)


def _find_claims_of_the_context() -> Iterator[Claim]:
    making = current_making.get()
    while making is not None:
        if not making.is_over:
            yield making.claim
        making = making.outer


def find_path(error: BaseException | None = None) -> Path:
    """List the recipes that led to the service that is being made, the first one asked for first.

    Args:
        error: An exception; the path then goes on to where it was raised.
    """
    return read_path(
        list(_find_claims_of_the_context()), None if error is None else get_traceback(error)
    )


def _forget(wait: Wait) -> None:
    """Remove *wait* from everything that refers to it. Called with the lock held, maybe twice."""
    for link in wait.lineage:
        if wait in link.waits:
            link.waits.remove(wait)  # type: ignore[union-attr]  # it contains *wait*, so it is a list
    if wait.thread is not None and _blocked.get(wait.thread) is wait:
        del _blocked[wait.thread]


def _refuse_deadlock(busy: Busy, lineage: tuple[Claim, ...], thread: int | None) -> None:
    """Raise an error for a wait that could not end. Called with the lock held.

    The waits are followed from the holder on. An `aget` also waits for the wait that blocks the
    thread of its event loop.
    """
    todo = [busy.holder]
    seen = set()
    while todo:
        link = todo.pop()
        if link in lineage:
            raise _make_circle(busy)
        if thread is not None and link.thread == thread:
            direct = "another task of this thread's event loop is making it"
            indirect = "it waits for a task of the event loop that this call blocks"
            raise AsyncServiceError(
                busy.key,
                [recipe.key for recipe in find_path(busy)] or [busy.key],
                direct if link is busy.holder else indirect,
            )
        if link not in seen:
            seen.add(link)
            todo += [wait.holder for wait in link.waits]
            blocking = None if link.thread is None else _blocked.get(link.thread)
            todo += [] if blocking is None else [blocking.holder]


def _make_circle(busy: Busy) -> CircularDependencyError:
    recipes = find_path(busy)
    path = [recipe.key for recipe in recipes]
    before = path[:-1]
    start = before.index(busy.key) if busy.key in before else 0
    return CircularDependencyError(
        path[start:], steps=[recipe.describe_step() for recipe in recipes]
    )


def _begin_in_child() -> None:
    """Mark the claims of the parent's other threads as over, in a forked process."""
    _blocked.clear()
    own = set(find_claims_on_the_stack())
    for thing in gc.get_objects():
        if type(thing) is Claim and thing not in own:
            thing.is_over = True


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_in_child)
