"""Who makes what, and who waits for whom.

A `get` that makes something has one `Claim`. It claims a key by putting the claim under the key
into its container's dict of claims, with one `dict.setdefault`. Nothing else is locked. Whoever
finds the claim of another there waits, while holding no claim of its own, and begins again.

Before anybody waits, one look at who waits for whom, under the only lock, finds circles, also
through several threads and event loops. What a `get` is a part of, and the path that led to a
key, are read off the stack (see `paths`), so that they cost nothing until they are needed.
"""

from __future__ import annotations

import gc
import os
from _thread import get_ident, start_new_thread
from collections.abc import Coroutine, Hashable, Iterator
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import attrs

from wares._core.awkward import get_traceback, is_a
from wares._core.locking import LOCK
from wares._core.paths import Path, find_claims_on_the_stack, read_path
from wares.exceptions import AsyncServiceError, CircularDependencyError

if TYPE_CHECKING:
    from concurrent.futures import Future

#: The key under which a container's dict holds its cleanups, once it has some. Of several threads
#: one begins them, and of several that close one takes them.
CLEANUPS = object()


class Claim:
    """One `get` that makes services, one at a time."""

    # Without an __init__, because one is made for each `get` that makes something.

    #: The thread whose event loop runs it, if it may suspend.
    thread: int | None = None
    #: What makes the service then, once it has begun.
    coroutine: Coroutine[Any, Any, Any] | None = None
    #: Whether it has failed; what it may still hold is nobody's.
    is_over = False
    #: Those that wait for a key that this one has claimed.
    waiters: list[Wait] | tuple[()] = ()
    #: What this one waits for, or a `get` within one of its factories.
    waits: list[Wait] | tuple[()] = ()
    #: What a singleton's factory has asked for in its body.
    sources: list[Any] | tuple[()] = ()


#: Stands for what is not made.
NOT_MADE = Claim()


class Busy(Exception):  # noqa: N818  # it tells what is going on, and is no error
    """Another `get` is making a key."""

    def __init__(self, made: dict[Hashable, Any], key: Hashable, holder: Claim) -> None:
        self.made = made
        self.key = key
        self.holder = holder


class Making:
    """The call of an asynchronous factory that can ask the container for more.

    Args:
        claim: The claim of the `aget` that has called it.
        outer: The call around this one.

    Attributes:
        is_over: Whether the factory has come to its end. A task may outlive the one that has
            started it.
    """

    __slots__ = ("claim", "is_over", "outer")

    def __init__(self, claim: Claim, outer: Making | None) -> None:
        self.claim = claim
        self.outer = outer
        self.is_over = False


#: The call of a factory that this context belongs to. Tasks and threads that a factory starts
#: inherit it; within one task, the stack tells more.
current_making: ContextVar[Making | None] = ContextVar("wares_making", default=None)


@attrs.frozen(eq=False, repr=False)
class Wait:
    """One `get` that waits for a key which another one makes.

    Attributes:
        made: The services of the container that is going to keep it.
        key: The key.
        holder: The claim of the one that makes it.
        lineage: The claims that cannot go on until it is made.
        thread: The thread that stands still meanwhile, if one does.
        future: Gives the error that the making failed with, or `None`.
    """

    made: dict[Hashable, Any]
    key: Hashable
    holder: Claim
    lineage: tuple[Claim, ...]
    thread: int | None
    future: Future[BaseException | None]

    def is_over(self) -> bool:
        """Tell whether the key is made, or is no longer being made.

        A holder that has failed holds nothing, even if the key is kept by a container that was
        closed or reset meanwhile, so that the claim stays in there.
        """
        return self.holder.is_over or self.made.get(self.key) is not self.holder


#: The waits by which threads stand still.
_blocked: dict[int, Wait] = {}


def begin_wait(claim: Claim, busy: Busy, *, blocks: bool) -> Wait | None:
    """Announce that *claim* waits; it holds nothing meanwhile.

    Args:
        claim: The claim of the one that waits.
        busy: What it has met.
        blocks: Whether its thread stands still meanwhile.

    Returns:
        What to wait for; `None` where there is nothing to wait for any more.

    Raises:
        CircularDependencyError: The other one waits for this one, directly or through others.
        AsyncServiceError: The wait would block an event loop that has to run for it to end.
    """
    import concurrent.futures  # noqa: PLC0415  # takes long to import, and waiting is rare

    holder = busy.holder
    thread = get_ident() if blocks else None
    lineage = tuple(find_lineage(claim))
    wait = Wait(busy.made, busy.key, holder, lineage, thread, concurrent.futures.Future())
    with LOCK:
        if wait.is_over():
            if holder.is_over and busy.made.get(busy.key) is holder:
                # It was interrupted before it could give this up.
                del busy.made[busy.key]
            return None
        _refuse_deadlock(busy, lineage, thread)
        holder.waiters = holder.waiters or []
        holder.waiters.append(wait)
        for link in lineage:
            link.waits = link.waits or []
            link.waits.append(wait)
        if thread is not None:
            _blocked[thread] = wait
    if wait.is_over():
        # The holder publishes first, and then looks whether anybody waits.
        wake(holder)
    return wait


def end_wait(wait: Wait) -> None:
    """Take back the announcement, whether the wait was successful or was interrupted."""
    with LOCK:
        _forget(wait)
        if wait in wait.holder.waiters:
            wait.holder.waiters.remove(wait)  # type: ignore[union-attr]  # it is in there


def wake(claim: Claim, error: BaseException | None = None) -> None:
    """Wake those that wait for what *claim* has made by now, or has given up.

    Args:
        claim: The claim that they wait for.
        error: What its factory failed with.
    """
    _check_room(_ROOM)
    with LOCK:
        woken = [wait for wait in claim.waiters if wait.is_over()]
        claim.waiters = [wait for wait in claim.waiters if wait not in woken]
        for wait in woken:
            _forget(wait)
    try:
        for wait in woken:
            if wait.future.running() or wait.future.set_running_or_notify_cancel():
                # That `get` cannot await something is no reason for `aget` to fail.
                is_own = wait.thread is None and is_a(error, AsyncServiceError)
                # An error is passed as a result: futures refuse a StopIteration.
                wait.future.set_result(None if is_own else error)
    except BaseException:
        with LOCK:
            # A signal handler has raised: the others are still to be woken.
            claim.waiters = [*claim.waiters, *[one for one in woken if not one.future.done()]]
        raise


#: How many calls deep waking goes, at most.
_ROOM = 32


def _check_room(calls: int) -> None:
    """Raise a RecursionError where *calls* within each other have no room on the stack."""
    if calls:
        _check_room(calls - 1)


def give_up(claim: Claim, container: Any, made: dict[Hashable, Any]) -> None:
    """Give up the keys that *claim* holds.

    Args:
        claim: The claim.
        container: What was asked.
        made: What it keeps, as it was when it was asked.
    """
    owners = (container, container._outermost, container._request, container.registry._root)
    with LOCK:
        for kept in (made, *(owner._made for owner in owners if owner is not None)):
            for key, holder in kept.copy().items():
                if holder is claim:
                    kept.pop(key, None)
        for owner in owners:
            if owner is not None and owner._given and not owner.is_closed:
                # A value that was registered locally meanwhile takes the place.
                for key, value in owner._given.items():
                    owner._made.setdefault(key, value)


def fail(claim: Claim, container: Any, made: dict[Hashable, Any], error: BaseException) -> None:
    """Give up what *claim* holds, as making it has failed; those that wait get the error, too."""
    give_up(claim, container, made)
    if claim.waiters:
        wake(claim, error if is_a(error, Exception) else None)


def fail_elsewhere(
    claim: Claim, container: Any, made: dict[Hashable, Any], error: BaseException
) -> None:
    """Do what `fail` could not finish, because the stack was full, or a signal handler raised.

    A new thread has a stack of its own, and runs no signal handlers.
    """
    start_new_thread(fail, (claim, container, made, error))


def find_lineage(claim: Claim | None) -> Iterator[Claim]:
    """Find the claims that cannot go on until *claim* does: its own, and those it is within."""
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
    """List the recipes that led to what is being made here, the first one asked for first.

    Args:
        error: What was raised below here, if the path goes on to where that happened.
    """
    return read_path(
        list(_find_claims_of_the_context()), None if error is None else get_traceback(error)
    )


def _forget(wait: Wait) -> None:
    """Let nobody find *wait* any more. Called with the lock held, maybe twice."""
    for link in wait.lineage:
        if wait in link.waits:
            link.waits.remove(wait)  # type: ignore[union-attr]  # it is in there
    if wait.thread is not None and _blocked.get(wait.thread) is wait:
        del _blocked[wait.thread]


def _refuse_deadlock(busy: Busy, lineage: tuple[Claim, ...], thread: int | None) -> None:
    """Refuse a wait that could not end. Called with the lock held.

    It follows what the holder waits for, and what that waits for. A claim of an event loop also
    waits for whatever blocks the loop's thread.
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
    """Give up, in a forked process, what the other threads of its parent were making."""
    _blocked.clear()
    own = set(find_claims_on_the_stack())
    for thing in gc.get_objects():
        if type(thing) is Claim and thing not in own:
            thing.is_over = True


def _end_imports() -> None:
    """Wait, before a fork, for a thread that imports this: the child would wait for it forever."""
    import concurrent.futures  # noqa: F401, PLC0415  # see begin_wait


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_end_imports, after_in_child=_begin_in_child)
