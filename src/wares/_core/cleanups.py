"""What was entered, left in reverse, with every error gathered.

This module knows generators and context managers that are to be left. It must not know keys'
meaning, registries or containers: an entry carries its recipe only to name it.

An entry is a tuple, because one is made for each request: how to leave, what to leave, the
recipe. A cleanup is noted only after entering succeeded.
"""

from __future__ import annotations

import inspect
import types
import warnings
from collections.abc import AsyncGenerator, Callable, Generator, Hashable
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

from wares._core.keys import describe
from wares._core.log import log_closing
from wares._core.observation import aleave_observed
from wares._core.recipes import Recipe
from wares._core.signatures import describe_callable
from wares.exceptions import CleanupError, FactoryError, PendingAsyncCleanupError

if TYPE_CHECKING:
    from wares._core.shield import Shield

#: How to leave; what to leave; what it was made from. Who leaves heeds what the recipe says of
#: the exception that is under way.
Entry: TypeAlias = tuple[Callable[[Any, Recipe, BaseException | None], Any], Any, Recipe]

#: What failed, by name, and how.
Failure: TypeAlias = tuple[str, BaseException]

_FINISHED = object()

#: The steps of a cleanup that was done when it was called.
_NO_STEPS: Any = iter(())

#: The mark of the cleanups that run, as seen by whatever a cleanup starts: timers and tasks inherit
#: it. By it a shield tells a cancellation from within a cleanup from one that comes from outside.
#: A mark is a list of its own, which is empty once they are over.
leaving: ContextVar[list[object] | None] = ContextVar("wares_leaving", default=None)

#: `Shield`, once it is needed.
_shield_class: type[Shield] | None = None

#: Shared, so that a close that goes well makes no list. Nobody appends to it.
_NO_FAILURES: list[Failure] = []


#: What it takes to leave all of something: to call, to await what lets no other task run, or to
#: await under a shield what may wait.
CALLED, AWAITED, SHIELDED = range(3)


class Cleanups(list[Entry]):
    """The cleanups of one owner, in the order in which their services were finished.

    They watch over themselves, so that a container needs no finalizer, and warn where they are
    dropped.

    Attributes:
        way: What it takes to leave them: `CALLED`, `AWAITED` or `SHIELDED`.
    """

    __slots__ = ("way",)

    owner: ClassVar[str] = "container"

    def __init__(self) -> None:
        super().__init__()
        self.way = CALLED

    def add(self, entry: Entry) -> None:
        """Note a cleanup, of whatever kind."""
        if entry[0] in ASYNC_LEAVES:
            # First this: whoever closes looks at it before the entries.
            self.way = SHIELDED
        self.append(entry)

    def __del__(self) -> None:
        if self:
            names = ", ".join(describe(recipe.key) for _, _, recipe in reversed(self))
            message = (
                f"A {self.owner} was dropped without being closed; not cleaned up: {names}. "
                f"Use it in a `with` or `async with` block, or close it."
            )
            warnings.warn(message, ResourceWarning, stacklevel=1, source=self)


class RegistryCleanups(Cleanups):
    """The cleanups of a registry: of its singletons, or what it calls when it closes."""

    __slots__ = ()

    owner = "registry"


def leave_generator(
    generator: Generator[Any, Any, Any], recipe: Recipe, error: BaseException | None
) -> None:
    """End a generator factory after its ``yield``, with *error* thrown in there if there is one."""
    if error is None or recipe.suppress_context_exit:
        for _ in generator:
            raise yielded_again(generator, recipe)
        return
    traceback = error.__traceback__
    try:
        generator.throw(error)
    except StopIteration:
        return
    except BaseException as raised:
        if _is_same(raised, error):
            return
        raise
    finally:
        error.__traceback__ = traceback
    raise yielded_again(generator, recipe)


async def leave_async_generator(
    generator: AsyncGenerator[Any, Any], recipe: Recipe, error: BaseException | None
) -> None:
    """End an async generator factory after its ``yield``, with *error* thrown in."""
    if error is None or recipe.suppress_context_exit:
        async for _ in generator:
            raise await ayielded_again(generator, recipe)
        return
    traceback = error.__traceback__
    try:
        await generator.athrow(error)
    except StopAsyncIteration:
        return
    except BaseException as raised:
        if _is_same(raised, error):
            return
        raise
    finally:
        error.__traceback__ = traceback
    raise await ayielded_again(generator, recipe)


def leave_context(
    manager: AbstractContextManager[Any], recipe: Recipe, error: BaseException | None
) -> None:
    """Exit a context manager; it cannot swallow *error*."""
    if recipe.suppress_context_exit:
        error = None
    kind = None if error is None else type(error)
    traceback = None if error is None else error.__traceback__
    try:
        type(manager).__exit__(manager, kind, error, traceback)
    except BaseException as raised:
        if raised is not error:
            raise


async def leave_async_context(
    manager: AbstractAsyncContextManager[Any], recipe: Recipe, error: BaseException | None
) -> None:
    """Exit an async context manager; it cannot swallow *error*."""
    if recipe.suppress_context_exit:
        error = None
    kind = None if error is None else type(error)
    traceback = None if error is None else error.__traceback__
    try:
        await type(manager).__aexit__(manager, kind, error, traceback)
    except BaseException as raised:
        if raised is not error:
            raise


def leave_callback(callback: Any, recipe: Recipe, _error: BaseException | None) -> None:
    """Call what was to be called when the registry closes."""
    log_closing(recipe)
    refuse_awaitable(callback(), recipe.key)


def refuse_awaitable(result: object, key: Hashable) -> None:
    """Refuse what would have to be awaited, where it cannot be.

    Raises:
        PendingAsyncCleanupError: *result* is awaitable; a coroutine is closed.
    """
    if inspect.isawaitable(result):
        if inspect.iscoroutine(result):
            result.close()
        raise PendingAsyncCleanupError([key], "registry")


async def leave_async_callback(
    callback: Any, recipe: Recipe, _error: BaseException | None
) -> None:
    """Call, and where that is needed await, what was to be called when the registry closes."""
    log_closing(recipe)
    result = callback() if callable(callback) else callback
    if inspect.isawaitable(result):
        await result


#: The ways of leaving that must be awaited.
ASYNC_LEAVES = frozenset(
    {leave_async_generator, leave_async_context, leave_async_callback, aleave_observed}
)


def _is_same(raised: BaseException, error: BaseException) -> bool:
    """Tell whether a generator let *error* pass; Python wraps a thrown-in StopIteration."""
    return raised is error or (
        isinstance(raised, RuntimeError)
        and isinstance(error, StopIteration | StopAsyncIteration)
        and raised.__cause__ is error
    )


def yielded_again(generator: Generator[Any, Any, Any], recipe: Recipe) -> FactoryError:
    """End a generator that has yielded once more, and make the error that says so."""
    generator.close()
    return _second_yield(recipe)


async def ayielded_again(generator: AsyncGenerator[Any, Any], recipe: Recipe) -> FactoryError:
    """End an async generator that has yielded once more, and make the error that says so."""
    await generator.aclose()
    return _second_yield(recipe)


def _second_yield(recipe: Recipe) -> FactoryError:
    return FactoryError(recipe.key, describe_callable(recipe.factory), "yielded a second time")


def leave_all(entries: list[Entry], error: BaseException | None) -> list[Failure]:
    """Leave *entries*, none of which must be awaited, the last one first.

    Returns:
        What failed. Whatever it was, the others were left all the same.
    """
    failures: list[Failure] = _NO_FAILURES
    while entries:
        leave, thing, recipe = entries.pop()
        try:
            leave(thing, recipe, error)
        except BaseException as failure:  # noqa: BLE001  # every other cleanup must run
            failures = [*failures, (describe(recipe.key), failure)]
    return failures


@types.coroutine
def aleave_all(
    entries: list[Entry], error: BaseException | None, owner: str | None = None
) -> Generator[Any, Any, list[Failure]]:
    """Leave *entries*, the last one first, awaiting what has to be awaited.

    Args:
        entries: What is to be left.
        error: The exception that is under way.
        owner: Whose they are, if they are all that it has to clean up: then failures are raised,
            as by `report`. Left out, they are given back, because more is to be left.

    Returns:
        What failed, unless *owner* was named; also the cancellation of the task, if it was
        cancelled meanwhile.
    """
    failures: list[Failure] = _NO_FAILURES
    shield: Shield | None = None
    outer = leaving.get()
    mark: list[object] = [entries]
    leaving.set(mark)
    while entries:
        leave, thing, recipe = entries.pop()
        try:
            left = leave(thing, recipe, error)
            # Not awaited: what a cleanup waits on is not what the task is to wait on.
            steps = _NO_STEPS if left is None else left.__await__()
            waiting = next(steps, _FINISHED)
            while waiting is not _FINISHED:
                shield = shield or _make_shield(mark)
                try:
                    sent = yield shield.stand_in_for(waiting)
                except BaseException as thrown:  # noqa: BLE001  # it belongs to the cleanup
                    waiting = _resume(steps.throw, thrown)
                else:
                    # Tasks send nothing; and a default is much faster than to catch the end.
                    waiting = _resume(steps.send, sent) if sent else next(steps, _FINISHED)
        except BaseException as failure:  # noqa: BLE001  # every other cleanup must run
            failures = [*failures, (describe(recipe.key), failure)]
    mark.clear()
    if outer:
        # Not by a token: a coroutine that is closed ends in another context. What stays there
        # otherwise is an empty list, by which nobody is mistaken for somebody within.
        leaving.set(outer)
    if shield is not None and shield.held_back:
        # Of no service: that the task was cancelled is no failure to tell of.
        failures = [*failures, ("", (yield from shield.deliver().__await__()))]
    if failures and owner is not None:
        report(failures, owner, error)
        # What is true would, as the result of ``__aexit__``, swallow the exception under way.
        return _NO_FAILURES
    return failures


def _resume(resume: Callable[[Any], Any], argument: Any) -> Any:
    """Go on with a cleanup; give what it waits for next, or `_FINISHED`."""
    try:
        return resume(argument)
    except StopIteration:
        return _FINISHED


def attempt(name: str, close: Callable[[], object]) -> list[Failure]:
    """Close something else as well; give what failed."""
    try:
        refuse_awaitable(close(), name)
    except BaseException as failure:  # noqa: BLE001  # every other cleanup must run
        return [(name, failure)]
    return []


async def aattempt(name: str, close: Callable[[], object]) -> list[Failure]:
    """Close something else as well, awaiting it if need be; give what failed."""
    try:
        result = close()
        if inspect.isawaitable(result):
            await result
    except BaseException as failure:  # noqa: BLE001  # every other cleanup must run
        return [(name, failure)]
    return []


def awaited_callbacks(callbacks: list[Entry]) -> list[Entry]:
    """Take *callbacks* away, to be left with ``await``."""
    taken: list[Entry] = [
        (leave_async_callback, callback, recipe) for _, callback, recipe in callbacks
    ]
    callbacks.clear()
    return taken


def _make_shield(mark: list[object]) -> Shield:
    """Make a shield; asyncio is imported only now, because importing it takes long."""
    global _shield_class  # noqa: PLW0603  # an import statement for each request takes long, too
    if _shield_class is None:
        from wares._core.shield import Shield  # noqa: PLC0415  # see above

        _shield_class = Shield
    return _shield_class(leaving, mark)


def report(failures: list[Failure], owner: str, error: BaseException | None) -> None:
    """Raise what the closing of *owner* came to, with *error* under way.

    Raises:
        CleanupError: Cleanups failed, and no exception was under way.
        BaseException: A cleanup was interrupted, as by KeyboardInterrupt, or the task was
            cancelled.
    """
    if not failures:
        return
    leading = _choose_leading(failures, error)
    if leading is None:
        message = (
            f"Cleaning up a {owner} failed: {', '.join(name for name, _ in failures if name)}"
        )
        errors = [failure for _, failure in failures if isinstance(failure, Exception)]
        raise CleanupError(message, errors)
    for name, failure in failures:
        if failure is not leading and name:
            _tell(leading, owner, name, failure)
    if leading is not error:
        raise leading


def _choose_leading(
    failures: list[Failure], error: BaseException | None
) -> BaseException | None:
    """Choose what propagates: an interruption before the exception that is under way."""
    if error is not None and not isinstance(error, Exception):
        return error
    interruptions = (failure for _, failure in failures if not isinstance(failure, Exception))
    return next(interruptions, error)


def _tell(leading: BaseException, owner: str, name: str, failure: BaseException) -> None:
    """Tell of *failure* where another exception propagates: in a note and in the log."""
    import logging  # noqa: PLC0415  # only a failure needs it

    leading.add_note(
        f"While the {owner} was closed, the cleanup of {name} failed as well: "
        f"{type(failure).__name__}: {failure}"
    )
    logging.getLogger("wares").error(
        "The cleanup of %s failed while another exception was under way.",
        name,
        exc_info=failure,
        extra={"wares_service_name": name},
    )
