"""`Candidate`: the interface of all modules of `benchmarks.candidates`.

If a peer has nothing for a piece of work, its candidate does not override the method, and the
reason is printed with the results.
"""

from collections.abc import Awaitable, Callable, Iterable
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from typing import Any, ClassVar

from benchmarks.wiring import Wiring

Operation = Callable[[], object]
AsyncOperation = Callable[[], Awaitable[object]]
Loop = Callable[[Iterable[None]], object]
AsyncLoop = Callable[[Iterable[None]], Awaitable[object]]


class NotOfferedError(Exception):
    """A peer has nothing for a piece of work; the message says why."""


class Candidate:
    """One way to wire services, with the fastest means that its documentation shows.

    Attributes:
        name: Its name in the tables.
        distributions: The installed packages whose versions are printed.
        statement: The import statement of an application that uses it.
    """

    name: ClassVar[str]
    distributions: ClassVar[tuple[str, ...]] = ()
    statement: ClassVar[str]

    def register(self, wiring: Wiring) -> Any:
        """Register a wiring, ready for the first container.

        Args:
            wiring: The services to register.

        Returns:
            The object in which the peer keeps registrations.
        """
        raise NotOfferedError("it has no registry")

    def operation(self, wiring: Wiring) -> AbstractContextManager[Operation]:
        """Yield a function that opens a container, gets the root, and closes the container."""
        raise NotOfferedError("it has no containers for sync code")

    def operation_async(self, wiring: Wiring) -> AbstractAsyncContextManager[AsyncOperation]:
        """Do what `operation` does, in async code."""
        raise NotOfferedError("it has no containers for async code")

    def asking(self, wiring: Wiring) -> AbstractContextManager[Operation]:
        """Do what `operation` does, with factories that take the container and ask it."""
        raise NotOfferedError("its factories cannot ask")

    def asking_async(self, wiring: Wiring) -> AbstractAsyncContextManager[AsyncOperation]:
        """Do what `asking` does, in async code."""
        raise NotOfferedError("its factories cannot ask")

    def cached(self, wiring: Wiring) -> AbstractContextManager[Loop]:
        """Ask an open container again and again for a service that it has made already.

        Yields:
            A function that asks once for each item of its argument, and returns the last service.
            The candidate writes the loop itself, so that it contains nothing but the asking.
        """
        raise NotOfferedError("it keeps nothing between two questions")

    def cached_async(self, wiring: Wiring) -> AbstractAsyncContextManager[AsyncLoop]:
        """Do what `cached` does, in async code."""
        raise NotOfferedError("it keeps nothing between two questions")

    def opener(self) -> AbstractContextManager[Callable[[], AbstractContextManager[Any]]]:
        """Yield a function that makes a container, which `with` opens."""
        raise NotOfferedError("it has no container object")

    def injected(self, wiring: Wiring) -> AbstractContextManager[Operation]:
        """Yield a decorated function that is called without arguments and gets the root."""
        raise NotOfferedError("it has no decorator for plain functions")

    def injected_async(self, wiring: Wiring) -> AbstractAsyncContextManager[AsyncOperation]:
        """Do what `injected` does, for an async function."""
        raise NotOfferedError("it has no decorator for plain functions")
