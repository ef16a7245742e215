"""One unit of work, a request, message, task or command, and the container that serves it.

This module knows how a container is opened, made current, and closed with the exception of the
work. It must not know a framework: an adapter says where its units of work begin and end.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable
from types import TracebackType
from typing import Any
from weakref import WeakKeyDictionary

from wares._core.container import Container, _current
from wares._core.registry import Registry
from wares._inject.injected import find_missing
from wares.exceptions import PendingAsyncCleanupError, raise_problems

#: Failures that were answered, instead of raised, by the container of the work that failed.
_failures: WeakKeyDictionary[Container, BaseException] = WeakKeyDictionary()


def note_failure(container: Container, error: BaseException) -> None:
    """Note that the work of *container* failed, though nobody may raise *error* any more.

    Args:
        container: Whose unit of work failed.
        error: What the cleanups see.
    """
    _failures[container] = error


class Unit:
    """A unit of work: its container is current within the block, and closed after it.

    The cleanups see the exception that ends the block, or else what `note_failure` has noted.

    Args:
        container: The container; `Registry.container` opens it, or `Container.child`.
        is_failure: Tells which exceptions are failures; some frameworks raise what is none.
        run: Runs what has to be awaited, for a block that is not asynchronous.

    Attributes:
        container: The container.
    """

    def __init__(
        self,
        container: Container,
        *,
        is_failure: Callable[[BaseException], bool] | None = None,
        run: Callable[[Coroutine[Any, Any, None]], object] | None = None,
    ) -> None:
        self.container = container
        self._is_failure = is_failure
        self._run = run

    def __enter__(self) -> Container:
        self._outer = _current.get()
        _current.set(self.container)
        return self.container

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        failure = self._leave(error)
        try:
            self.container.__exit__(*_details(failure))
        except PendingAsyncCleanupError:
            if self._run is None:
                raise
            self._run(self.container.__aexit__(*_details(failure)))

    async def __aenter__(self) -> Container:
        return self.__enter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.container.__aexit__(*_details(self._leave(error)))

    def _leave(self, error: BaseException | None) -> BaseException | None:
        """Make the outer container current again; tell what the cleanups are to see."""
        # Not by a token: a stream may end in another context than it began in.
        _current.set(self._outer)
        if error is not None and self._is_failure is not None and not self._is_failure(error):
            error = None
        return error or _failures.pop(self.container, None)


def check(
    registry: Registry, what_it_does_not: str, functions: Iterable[Callable[..., Any]] = ()
) -> None:
    """Check that everything can be made that is registered, or that *functions* ask for.

    Args:
        registry: Where things are registered.
        what_it_does_not: The beginning of the message: ``"The application does not start"``.
        functions: Handlers; those that `wares.inject` has not decorated ask for nothing.

    Raises:
        InvalidRegistryError: Something cannot.
    """
    problems = [*registry.graph().problems, *find_missing(functions, registry)]
    raise_problems(f"{what_it_does_not}, because its registry has", problems)


def _details(
    error: BaseException | None,
) -> tuple[type[BaseException] | None, BaseException | None, TracebackType | None]:
    return (None, None, None) if error is None else (type(error), error, error.__traceback__)
