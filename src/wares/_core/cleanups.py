"""Cleanups: generators and context managers that were entered, left in reverse order.

An entry is a tuple, for speed: a function that leaves, the object to leave, and the recipe of the
service. A cleanup is noted only after entering has succeeded.

Closing does what `contextlib.ExitStack` does with the same entries: each cleanup runs once,
whatever the others raise, and sees the exception that is under way at its turn. A cleanup may
replace that exception, but it may not swallow it.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import AsyncGenerator, Callable, Generator, Iterable, Iterator
from contextlib import AbstractAsyncContextManager, AbstractContextManager, suppress
from typing import Any, ClassVar, NoReturn, TypeAlias

from wares._core.awkward import get_cause, get_context, get_traceback, is_a, set_context
from wares._core.callables import describe_callable
from wares._core.keys import describe
from wares._core.log import log_closing, log_lost
from wares._core.observation import observe_leaving
from wares._core.recipes import Recipe
from wares.exceptions import FactoryError, PendingAsyncCleanupError

#: A function that leaves, the object to leave, and the recipe of its service.
Entry: TypeAlias = tuple[Callable[[Any, Recipe, BaseException | None], Any], Any, Recipe]

#: The observers that are told of cleanups.
Observers: TypeAlias = tuple[object, ...]


class Cleanups(list[Entry]):
    """The cleanups of one owner, in the order in which their services were finished.

    The list itself warns when it is dropped with entries, so that a container needs no finalizer.

    Attributes:
        owner: What the warning calls the owner.
        must_await: Whether a cleanup may have to be awaited.
    """

    # No __init__, for speed: a list is made for each request.

    owner: ClassVar[str] = "container"

    must_await = False

    def note_callback(self, recipe: Recipe) -> None:
        """Note the ``on_registry_close`` callback of a recipe, if it has one."""
        if recipe.on_registry_close is not None:
            self.must_await = True
            self.append((leave_callback, recipe.on_registry_close, recipe))

    def __del__(self) -> None:
        if self:
            names = ", ".join(describe(recipe.key) for _, _, recipe in reversed(self))
            message = (
                f"A {self.owner} was dropped without being closed; not cleaned up: {names}. "
                f"Use it in a `with` or `async with` block, or close it."
            )
            warnings.warn(message, ResourceWarning, stacklevel=1, source=self)


class RegistryCleanups(Cleanups):
    """The cleanups of a registry's singletons, or its callbacks."""

    owner = "registry"


def leave_generator(
    generator: Generator[Any, Any, Any], recipe: Recipe, error: BaseException | None
) -> None:
    """Resume a generator factory after its ``yield``, and throw *error* in if there is one."""
    if error is None or recipe.suppress_context_exit:
        for _ in generator:
            generator.close()
            raise _second_yield(recipe)
        return
    traceback = get_traceback(error)
    try:
        generator.throw(error)
    except StopIteration:
        return
    except BaseException as raised:
        if _is_same(raised, error):
            return
        raise
    finally:
        BaseException.with_traceback(error, traceback)
    generator.close()
    raise _second_yield(recipe)


async def leave_async_generator(
    generator: AsyncGenerator[Any, Any], recipe: Recipe, error: BaseException | None
) -> None:
    """Resume an async generator factory after its ``yield``, as `leave_generator` does."""
    if error is None or recipe.suppress_context_exit:
        async for _ in generator:
            await generator.aclose()
            raise _second_yield(recipe)
        return
    traceback = get_traceback(error)
    try:
        await generator.athrow(error)
    except StopAsyncIteration:
        return
    except BaseException as raised:
        if _is_same(raised, error):
            return
        raise
    finally:
        BaseException.with_traceback(error, traceback)
    await generator.aclose()
    raise _second_yield(recipe)


def leave_context(
    manager: AbstractContextManager[Any], recipe: Recipe, error: BaseException | None
) -> None:
    """Exit a context manager."""
    try:
        type(manager).__exit__(manager, *_details(recipe, error))
    except BaseException as raised:
        if raised is not error:
            raise


async def leave_async_context(
    manager: AbstractAsyncContextManager[Any], recipe: Recipe, error: BaseException | None
) -> None:
    """Exit an async context manager."""
    try:
        await type(manager).__aexit__(manager, *_details(recipe, error))
    except BaseException as raised:
        if raised is not error:
            raise


def leave_callback(callback: Any, recipe: Recipe, _error: BaseException | None) -> None:
    """Call an ``on_registry_close`` callback."""
    log_closing(recipe)
    result = callback()
    if inspect.isawaitable(result):
        if inspect.iscoroutine(result):
            result.close()
        raise PendingAsyncCleanupError([recipe.key], "registry")


async def leave_async_callback(
    callback: Any, recipe: Recipe, _error: BaseException | None
) -> None:
    """Call an ``on_registry_close`` callback, and await its result if needed."""
    log_closing(recipe)
    result = callback() if callable(callback) else callback
    if inspect.isawaitable(result):
        await result


#: The functions that leave asynchronously.
_ASYNC_LEAVES = frozenset({leave_async_generator, leave_async_context})


def refuse_pending(those: Iterable[Cleanups | None], owner: str) -> None:
    """Raise an error if one of those cleanups must be awaited.

    Args:
        those: The cleanups of containers or of a registry, as far as they have any.
        owner: What would be closed: ``"container"`` or ``"registry"``.

    Raises:
        PendingAsyncCleanupError: One must be awaited.
    """
    pending = [
        recipe.key
        for cleanups in those
        if cleanups and cleanups.must_await
        for leave, thing, recipe in cleanups
        if _must_await(leave, thing)
    ]
    if pending:
        raise PendingAsyncCleanupError(pending, owner)


def _must_await(leave: Callable[..., Any], thing: Any) -> bool:
    if leave is leave_callback:
        return inspect.iscoroutinefunction(thing) or inspect.isawaitable(thing)
    return leave in _ASYNC_LEAVES


def leave_all(
    entries: list[Entry], error: BaseException | None, observers: Observers = ()
) -> BaseException | None:
    """Run cleanups, none of which must be awaited, the last one first.

    Args:
        entries: The cleanups; the list is empty afterwards.
        error: The exception that is under way.
        observers: The observers that are told.

    Returns:
        The exception that is under way afterwards.
    """
    while entries:
        try:
            leave, thing, recipe = entries.pop()
        except IndexError:
            # A thread that had noted a cleanup too late has taken it back, and runs it itself.
            break
        try:
            if observers:
                with observe_leaving(observers, recipe):
                    leave(thing, recipe, error)
            elif leave is leave_generator and error is None:
                # `leave_generator`, written out for speed: nearly every request comes here.
                for _ in thing:
                    thing.close()
                    raise _second_yield(recipe)  # noqa: TRY301  # a failure like any other
            else:
                leave(thing, recipe, error)
        except BaseException as raised:  # noqa: BLE001  # every other cleanup must run
            error = replace(error, raised, recipe)
    return error


async def aleave_all(
    entries: list[Entry], error: BaseException | None, observers: Observers = ()
) -> BaseException | None:
    """Run cleanups as `leave_all` does, and await asynchronous ones."""
    while entries:
        try:
            leave, thing, recipe = entries.pop()
        except IndexError:
            # See `leave_all`.
            break
        try:
            if observers:
                with observe_leaving(observers, recipe):
                    left = leave(thing, recipe, error)
                    if left is not None:
                        await left
            elif leave is leave_async_generator and error is None:
                # See `leave_all`.
                async for _ in thing:
                    await thing.aclose()
                    raise _second_yield(recipe)  # noqa: TRY301  # see there
            else:
                left = leave(thing, recipe, error)
                if left is not None:
                    await left
        except BaseException as raised:  # noqa: BLE001  # every other cleanup must run
            error = replace(error, raised, recipe)
    return error


def awaited_callbacks(callbacks: list[Entry]) -> list[Entry]:
    """Empty *callbacks*, and return entries for them that are awaited."""
    taken: list[Entry] = [
        (leave_async_callback, callback, recipe) for _, callback, recipe in callbacks
    ]
    callbacks.clear()
    return taken


def replace(
    old: BaseException | None, new: BaseException, recipe: Recipe | None = None
) -> BaseException:
    """Replace the exception that is under way, which becomes the context of the new one.

    *old* is logged unless it was replaced on purpose, by ``raise new from old``, because no caller
    will receive it.

    Args:
        old: The exception that was under way.
        new: The exception that a cleanup has raised.
        recipe: The recipe of the service that was cleaned up.

    Returns:
        *new*.
    """
    if old is None or old is new:
        return new
    _put_at_the_end(new, old)
    if is_a(old, Exception) and not _was_raised_from(new, old):
        # An error while logging must not keep the other cleanups from running.
        with suppress(Exception):
            log_lost(old, recipe)
    return new


def raise_as_it_is(error: BaseException) -> NoReturn:
    """Raise *error* with its own context; Python would set it to the exception being handled."""
    context = get_context(error)
    try:
        raise error
    finally:
        set_context(error, context)


def _put_at_the_end(new: BaseException, old: BaseException) -> None:
    """Make *old* the context of *new*, or of the last exception in its chain of contexts."""
    known = set(map(id, _follow(get_context, old)))
    for link in [*_follow(get_context, new)]:
        context = get_context(link)
        if context is None or id(context) in known:
            set_context(link, old)
            return


def _was_raised_from(new: BaseException, old: BaseException) -> bool:
    """Return whether *new* is an `Exception` raised from *old*: its traceback then shows *old*."""
    return is_a(new, Exception) and any(link is old for link in _follow(get_cause, new))


def _follow(
    find_next: Callable[[BaseException], BaseException | None], error: BaseException | None
) -> Iterator[BaseException]:
    """Yield *error* and the exceptions that follow it, until one comes a second time."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = find_next(error)


def _details(recipe: Recipe, error: BaseException | None) -> tuple[Any, Any, Any]:
    """Return the arguments of ``__exit__``."""
    if error is None or recipe.suppress_context_exit:
        return None, None, None
    return type(error), error, get_traceback(error)


def _is_same(raised: BaseException, error: BaseException) -> bool:
    """Return whether a generator let *error* pass; Python wraps a StopIteration thrown in."""
    return raised is error or (
        is_a(raised, RuntimeError)
        and is_a(error, StopIteration, StopAsyncIteration)
        and get_cause(raised) is error
    )


def _second_yield(recipe: Recipe) -> FactoryError:
    return FactoryError(recipe.key, describe_callable(recipe.factory), "yielded a second time")
