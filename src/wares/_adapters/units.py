"""A unit of work (a request, message, task or command) and its container.

This module makes the container current, and closes it with the exception of the work. An adapter
decides where a unit of work begins and ends.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, cast

from wares._adapters.lifespan import VALIDATES
from wares._adapters.shielding import leaving, open_shield
from wares._core.container import Container, Registry
from wares._core.current import current
from wares._core.waiting import runs_event_loop
from wares._inject.injected import find_missing
from wares.exceptions import (
    PendingAsyncCleanupError,
    RegistryClosedError,
    WaresError,
    raise_problems,
)


def note_failure(container: Container, error: BaseException | None) -> None:
    """Note that the work of *container* failed, so that its cleanups see *error*.

    Args:
        container: The container of the unit of work that failed.
        error: The error that the cleanups will see; `None` if the work has succeeded after all.
    """
    unit: Any = container
    unit._failure = error


def note_answer(container: Container, error: BaseException | None = None) -> None:
    """Note that the work of *container* was answered with an error.

    The cleanups will see the failure that was noted before; or else the exception that left an
    injected function, because an error answer shows that it was not handled; or else *error*.

    Args:
        container: The container of the unit of work.
        error: The error that the cleanups will see if there is no better one.
    """
    unit: Any = container
    unit._failure = unit._failure or unit._escaped or error


def keep_message(error: WaresError) -> WaresError:
    """Make an error whose only argument is the message of *error*.

    Task queues store the arguments of an exception as JSON, and make the exception again from them.
    The arguments of wares' errors are keys, which JSON cannot hold.
    """
    return WaresError(f"{type(error).__name__}: {error}")


@contextmanager
def noting(container: Container) -> Iterator[None]:
    """Note the exception that leaves the block, because outer code may answer it or try again.

    Args:
        container: The container of the unit of work to which the block belongs.
    """
    # This may be another attempt, after one that has failed.
    note_failure(container, None)
    try:
        yield
    except BaseException as error:
        note_failure(container, error)
        raise


class Unit:
    """A unit of work: its container is current within the block, and closes after it.

    The cleanups see the exception that ends the block, or else the one that `note_failure` or
    `note_answer` has noted. If a cancel scope around an asynchronous block is cancelled, its
    cleanups are not interrupted.

    Args:
        container: The container, from `Registry.container` or `Container.child`.
        is_failure: Tells which exceptions are failures; by default all are.
        run: Runs a coroutine, for asynchronous cleanups after a synchronous block.

    Attributes:
        container: The container.
        run: Runs a coroutine.
        is_held: Whether something other than the end of the block closes the container.
    """

    is_held = False

    def __init__(
        self,
        container: Container,
        *,
        is_failure: Callable[[BaseException], bool] | None = None,
        run: Callable[[Coroutine[Any, Any, None]], object] = asyncio.run,
    ) -> None:
        self.container = container
        self._noted = cast("Any", container)
        # From now on, injected functions note there the exceptions that leave them.
        self._noted._failure = self._noted._escaped = None
        self.run = run
        self._is_failure = is_failure

    def __enter__(self) -> Container:
        self._outer = current.get()
        current.set(self.container)
        return self.container

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.leave()
        if not self.is_held:
            self.close(error)

    async def __aenter__(self) -> Container:
        self._shield = open_shield()
        return self.__enter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.leave()
        with leaving(self._shield):
            if not self.is_held:
                await self.aclose(error)

    def leave(self) -> None:
        """Make the outer container current again; the unit's container stays open, for a stream."""
        # A token would fail: a block may end in another context than the one in which it began.
        current.set(self._outer)

    def close(self, error: BaseException | None = None) -> None:
        """Close the container, and run asynchronous cleanups unless an event loop runs already.

        Args:
            error: The exception that ended the work, if one did.

        Raises:
            PendingAsyncCleanupError: A cleanup must be awaited, and an event loop runs in this
                thread; nothing has been touched.
            BaseException: Whatever a cleanup raises.
        """
        failure = self._find_failure(error)
        try:
            self.container.__exit__(*_details(failure))
        except PendingAsyncCleanupError:
            if runs_event_loop():
                raise
            self.run(self.container.__aexit__(*_details(failure)))

    def close_in_collection(self, error: BaseException | None = None) -> None:
        """Close the container while Python collects garbage, unless cleanups must be awaited.

        Python does so at any time, even while the thread holds a lock that a new event loop needs.
        """
        self.container.__exit__(*_details(self._find_failure(error)))

    async def aclose(self, error: BaseException | None = None) -> None:
        """Close the container as `close` does, and await cleanups."""
        await self.container.__aexit__(*_details(self._find_failure(error)))

    def _find_failure(self, error: BaseException | None) -> BaseException | None:
        noted = self._noted._failure
        # The frames of exceptions may refer to the container.
        self._noted._failure = self._noted._escaped = None
        for failure in (error, noted):
            if failure is not None and (self._is_failure is None or self._is_failure(failure)):
                return failure
        return None


def check(
    registry: Registry, consequence: str, functions: Iterable[Callable[..., Any]] = ()
) -> None:
    """Check that all services can be made that are registered or that *functions* ask for.

    Args:
        registry: The registry.
        consequence: The beginning of the message: ``"The application does not start"``.
        functions: The handlers. A handler with a marked parameter that nothing injects is a
            problem as well.

    Raises:
        InvalidRegistryError: A service cannot be made. `wares graph` starts applications without
            this check.
        RegistryClosedError: The registry is closed.
    """
    if registry._is_closed:
        raise RegistryClosedError(
            f"{consequence}, because its registry is closed: the application has been started and "
            f"ended before. Make a new application for each start; or initialise this one again "
            f"before each start, which gives it a new registry, and register the services there."
        )
    if not VALIDATES.get():
        return
    problems = [*registry.graph().problems, *find_missing(functions, registry)]
    raise_problems(f"{consequence}, because its registry has", problems)


def may_await(registry: Registry) -> bool:
    """Tell whether a registered service has to be awaited."""
    return any(
        recipe.shape.is_async for recipe in list(registry._registrations.recipes.values())
    )


def _details(
    error: BaseException | None,
) -> tuple[type[BaseException] | None, BaseException | None, TracebackType | None]:
    return (None, None, None) if error is None else (type(error), error, error.__traceback__)
