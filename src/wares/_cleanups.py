"""What was entered, left in reverse, with every error gathered.

This module knows generators and context managers that are to be left. It must not know keys'
meaning, registries or containers: an entry carries its recipe only to name it.

An entry is a tuple, because one is made for each request: how to leave, what to leave, the
recipe. A cleanup is noted only after entering succeeded.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from typing import Any, TypeAlias

from wares._keys import describe
from wares._recipes import Recipe
from wares._signatures import describe_callable
from wares.exceptions import CleanupError, FactoryError, PendingAsyncCleanupError

#: How to leave; what to leave; what it was made from.
Entry: TypeAlias = tuple[Callable[[Any, Recipe, BaseException | None], Any], Any, Recipe]

_FINISHED = object()


class Cleanups:
    """The cleanups of one owner, in the order in which their services were finished."""

    __slots__ = ("entries", "owner")

    def __init__(self, owner: str) -> None:
        self.owner = owner
        self.entries: list[Entry] = []

    def __del__(self) -> None:
        if self.entries:
            names = ", ".join(describe(recipe.key) for _, _, recipe in reversed(self.entries))
            message = (
                f"A {self.owner} was dropped without being closed; not cleaned up: {names}. "
                f"Use it in a `with` or `async with` block, or close it."
            )
            warnings.warn(message, ResourceWarning, stacklevel=1, source=self)


def leave_generator(
    generator: Generator[Any, Any, Any], recipe: Recipe, error: BaseException | None
) -> None:
    """End a generator factory after its ``yield``, with *error* thrown in there if there is one."""
    if error is None:
        if next(generator, _FINISHED) is not _FINISHED:
            generator.close()
            raise _yielded_again(recipe)
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
    generator.close()
    raise _yielded_again(recipe)


async def leave_async_generator(
    generator: AsyncGenerator[Any, Any], recipe: Recipe, error: BaseException | None
) -> None:
    """End an async generator factory after its ``yield``, with *error* thrown in."""
    if error is None:
        async for _ in generator:
            await generator.aclose()
            raise _yielded_again(recipe)
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
    await generator.aclose()
    raise _yielded_again(recipe)


def leave_context(
    manager: AbstractContextManager[Any], recipe: Recipe, error: BaseException | None
) -> None:
    """Exit a context manager; it cannot swallow *error*."""
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
    kind = None if error is None else type(error)
    traceback = None if error is None else error.__traceback__
    try:
        await type(manager).__aexit__(manager, kind, error, traceback)
    except BaseException as raised:
        if raised is not error:
            raise


def leave_callback(callback: Any, recipe: Recipe, error: BaseException | None) -> None:
    """Call what was to be called when the registry closes."""
    result = callback()
    if inspect.isawaitable(result):
        if inspect.iscoroutine(result):
            result.close()
        raise PendingAsyncCleanupError([recipe.key], "registry")


async def leave_async_callback(
    callback: Any, recipe: Recipe, error: BaseException | None
) -> None:
    """Call, and where that is needed await, what was to be called when the registry closes."""
    result = callback() if callable(callback) else callback
    if inspect.isawaitable(result):
        await result


#: The ways of leaving that must be awaited.
ASYNC_LEAVES = frozenset({leave_async_generator, leave_async_context, leave_async_callback})


def _is_same(raised: BaseException, error: BaseException) -> bool:
    """Tell whether a generator let *error* pass; Python wraps a thrown-in StopIteration."""
    return raised is error or (
        isinstance(raised, RuntimeError)
        and isinstance(error, StopIteration | StopAsyncIteration)
        and raised.__cause__ is error
    )


def _yielded_again(recipe: Recipe) -> FactoryError:
    return FactoryError(recipe.key, describe_callable(recipe.factory), "yielded a second time")


class Unwinding:
    """One close of one owner: leaves its entries and gathers what they raise."""

    __slots__ = ("_error", "_failures", "_owner")

    def __init__(self, owner: str, error: BaseException | None) -> None:
        self._owner = owner
        self._error = error
        self._failures: list[tuple[str, BaseException]] = []

    def leave(self, entries: list[Entry]) -> None:
        """Leave *entries*, none of which must be awaited, the last one first."""
        while entries:
            leave, thing, recipe = entries.pop()
            try:
                leave(thing, recipe, None if recipe.suppress_context_exit else self._error)
            except BaseException as failure:  # noqa: BLE001  # every other cleanup must run
                self.note(describe(recipe.key), failure)

    async def aleave(self, entries: list[Entry]) -> None:
        """Leave *entries*, the last one first; a cancellation meanwhile is raised at the end."""
        from wares._shield import Shield  # noqa: PLC0415  # asyncio takes long to import

        shield = Shield()
        while entries:
            leave, thing, recipe = entries.pop()
            try:
                left = leave(thing, recipe, None if recipe.suppress_context_exit else self._error)
                if leave in ASYNC_LEAVES:
                    await shield.hold(left)
            except BaseException as failure:  # noqa: BLE001  # every other cleanup must run
                self.note(describe(recipe.key), failure)
        if shield.cancellation is not None:
            self.note("the cancelled task", shield.cancellation)

    def run(self, name: str, close: Callable[[BaseException | None], None]) -> None:
        """Close something else as part of this."""
        try:
            close(self._error)
        except BaseException as failure:  # noqa: BLE001  # every other cleanup must run
            self.note(name, failure)

    async def arun(
        self, name: str, close: Callable[[BaseException | None], Awaitable[object] | object]
    ) -> None:
        """Close something else as part of this, awaiting it if need be."""
        try:
            result = close(self._error)
            if inspect.isawaitable(result):
                await result
        except BaseException as failure:  # noqa: BLE001  # every other cleanup must run
            self.note(name, failure)

    def note(self, name: str, failure: BaseException) -> None:
        """Keep what the cleanup of *name* raised."""
        self._failures.append((name, failure))

    def finish(self) -> None:
        """Raise what is to be raised.

        Raises:
            CleanupError: Cleanups failed, and no exception was under way.
            BaseException: A cleanup was interrupted, as by KeyboardInterrupt, or the task was
                cancelled.
        """
        if not self._failures:
            return
        leading = self._choose_leading()
        if leading is None:
            message = f"Cleaning up a {self._owner} failed"
            raise CleanupError(message, self._errors())
        for name, failure in self._failures:
            if failure is not leading:
                _tell(leading, self._owner, name, failure)
        if leading is not self._error:
            raise leading

    def _errors(self) -> list[Exception]:
        return [failure for _, failure in self._failures if isinstance(failure, Exception)]

    def _choose_leading(self) -> BaseException | None:
        """Choose what propagates: an interruption before the exception that is under way."""
        if self._error is not None and not isinstance(self._error, Exception):
            return self._error
        interruptions = (
            failure for _, failure in self._failures if not isinstance(failure, Exception)
        )
        return next(interruptions, self._error)


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
