"""What was entered, left in reverse, as nested ``with`` blocks leave it.

An entry is a tuple, because one is made for each request: how to leave, what to leave, and the
recipe that it was made by. A cleanup is noted only after entering has succeeded.

Closing does what `contextlib.ExitStack` does with the same entries: each cleanup runs once,
whatever the others raise, and sees the exception that is under way at its turn. It may replace
that exception, but it may not swallow it.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import AsyncGenerator, Callable, Generator, Hashable, Iterator
from contextlib import AbstractAsyncContextManager, AbstractContextManager, suppress
from typing import Any, ClassVar, NoReturn, TypeAlias

from wares._core.awkward import get_cause, get_context, get_traceback, is_a, set_context
from wares._core.callables import describe_callable
from wares._core.keys import describe
from wares._core.log import log_closing, log_lost
from wares._core.observation import observe_leaving
from wares._core.recipes import Recipe
from wares.exceptions import FactoryError, PendingAsyncCleanupError

#: How to leave; what to leave; what it was made by.
Entry: TypeAlias = tuple[Callable[[Any, Recipe, BaseException | None], Any], Any, Recipe]

#: Those that are told of cleanups.
Observers: TypeAlias = tuple[object, ...]


class Cleanups(list[Entry]):
    """The cleanups of one owner, in the order in which their services were finished.

    They warn where they are dropped, so that a container needs no finalizer.

    Attributes:
        must_await: Whether one of them may have to be awaited.
    """

    # No __init__, because one is made for each request.

    owner: ClassVar[str] = "container"

    must_await = False

    def find_pending(self) -> list[Hashable]:
        """List the services whose cleanups must be awaited."""
        if not self.must_await:
            return []
        return [recipe.key for leave, thing, recipe in self if _must_await(leave, thing)]

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

    owner = "registry"


def leave_generator(
    generator: Generator[Any, Any, Any], recipe: Recipe, error: BaseException | None
) -> None:
    """End a generator factory after its ``yield``, with *error* thrown in there if there is one."""
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
    """End an async generator factory after its ``yield``, with *error* thrown in."""
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
    """Call what was to be called when the registry closes."""
    log_closing(recipe)
    result = callback()
    if inspect.isawaitable(result):
        if inspect.iscoroutine(result):
            result.close()
        raise PendingAsyncCleanupError([recipe.key], "registry")


async def leave_async_callback(
    callback: Any, recipe: Recipe, _error: BaseException | None
) -> None:
    """Call, and where that is needed await, what was to be called when the registry closes."""
    log_closing(recipe)
    result = callback() if callable(callback) else callback
    if inspect.isawaitable(result):
        await result


#: The ways of leaving that must be awaited.
_ASYNC_LEAVES = frozenset({leave_async_generator, leave_async_context})


def _must_await(leave: Callable[..., Any], thing: Any) -> bool:
    if leave is leave_callback:
        return inspect.iscoroutinefunction(thing) or inspect.isawaitable(thing)
    return leave in _ASYNC_LEAVES


def leave_all(
    entries: list[Entry], error: BaseException | None, observers: Observers = ()
) -> BaseException | None:
    """Leave *entries*, none of which must be awaited, the last one first.

    Args:
        entries: What is left; it is empty afterwards.
        error: The exception that is under way.
        observers: Those that are told.

    Returns:
        The exception that is under way afterwards.
    """
    while entries:
        leave, thing, recipe = entries.pop()
        try:
            if observers:
                with observe_leaving(observers, recipe):
                    leave(thing, recipe, error)
            elif leave is leave_generator and error is None:
                # Written out, as it is what nearly every request comes to.
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
    """Leave *entries* as `leave_all` does, awaiting what has to be awaited."""
    while entries:
        leave, thing, recipe = entries.pop()
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
    """Take *callbacks* away, to be left with ``await``."""
    taken: list[Entry] = [
        (leave_async_callback, callback, recipe) for _, callback, recipe in callbacks
    ]
    callbacks.clear()
    return taken


def replace(
    old: BaseException | None, new: BaseException, recipe: Recipe | None = None
) -> BaseException:
    """Let *new* be under way in the place of *old*, which becomes its context.

    An *old* that was not replaced on purpose, by ``raise new from old``, is logged, as it is no
    longer on its way to anybody.

    Args:
        old: The exception that was under way.
        new: What a cleanup has raised.
        recipe: Whose cleanup that was.

    Returns:
        *new*.
    """
    if old is None or old is new:
        return new
    _put_at_the_end(new, old)
    if is_a(old, Exception) and not _names(new, old):
        # A record that cannot be logged must not keep the other cleanups from running.
        with suppress(Exception):
            log_lost(old, recipe)
    return new


def raise_as_it_is(error: BaseException) -> NoReturn:
    """Raise *error* with the context that it has; Python would put what is handled now there."""
    context = get_context(error)
    try:
        raise error
    finally:
        set_context(error, context)


def _put_at_the_end(new: BaseException, old: BaseException) -> None:
    """Let *old* be the context of *new*, or of what *new* has as its context."""
    known = set(map(id, _contexts(old)))
    for link in [*_contexts(new)]:
        context = get_context(link)
        if context is None or id(context) in known:
            set_context(link, old)
            return


def _contexts(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = get_context(error)


def _names(new: BaseException, old: BaseException) -> bool:
    """Tell whether *new* was raised from *old*, and is going to be printed."""
    link: BaseException | None = new if is_a(new, Exception) else None
    seen: set[int] = set()
    while link is not None and link is not old and id(link) not in seen:
        seen.add(id(link))
        link = get_cause(link)
    return link is old


def _details(recipe: Recipe, error: BaseException | None) -> tuple[Any, Any, Any]:
    """Give what ``__exit__`` takes."""
    if error is None or recipe.suppress_context_exit:
        return None, None, None
    return type(error), error, get_traceback(error)


def _is_same(raised: BaseException, error: BaseException) -> bool:
    """Tell whether a generator let *error* pass; Python wraps a thrown-in StopIteration."""
    return raised is error or (
        is_a(raised, RuntimeError)
        and is_a(error, StopIteration, StopAsyncIteration)
        and get_cause(raised) is error
    )


def _second_yield(recipe: Recipe) -> FactoryError:
    return FactoryError(recipe.key, describe_callable(recipe.factory), "yielded a second time")
