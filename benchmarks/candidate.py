"""What a candidate offers: the one shape that every module of `benchmarks.candidates` has.

Knows no peer. A method that a candidate leaves as it is here says that the peer has nothing
of the kind; the reason is printed with the results.
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
    """One way to wire services, by its own fastest documented means.

    Attributes:
        name: What it is called in the tables.
        distributions: The installed packages whose versions are printed.
        statement: What an application that uses it imports.
    """

    name: ClassVar[str]
    distributions: ClassVar[tuple[str, ...]] = ()
    statement: ClassVar[str]

    def register(self, wiring: Wiring) -> Any:
        """Register a wiring, ready for the first container.

        Args:
            wiring: What to register.

        Returns:
            Whatever the peer keeps registrations in.
        """
        raise NotOfferedError("it has no registry")

    def operation(self, wiring: Wiring) -> AbstractContextManager[Operation]:
        """Open a container, get the root, close; yields the function that does so."""
        raise NotOfferedError("it has no containers for sync code")

    def operation_async(self, wiring: Wiring) -> AbstractAsyncContextManager[AsyncOperation]:
        """Do what `operation` does, in async code."""
        raise NotOfferedError("it has no containers for async code")

    def asking(self, wiring: Wiring) -> AbstractContextManager[Operation]:
        """Do what `operation` does, by factories that take the container and ask it."""
        raise NotOfferedError("its factories cannot ask")

    def asking_async(self, wiring: Wiring) -> AbstractAsyncContextManager[AsyncOperation]:
        """Do what `asking` does, in async code."""
        raise NotOfferedError("its factories cannot ask")

    def cached(self, wiring: Wiring) -> AbstractContextManager[Loop]:
        """Ask an open container again and again for what it has made already.

        Yields:
            A function that asks once for each item it is given, and returns the last
            service. The loop is the candidate's own so that nothing but the asking is in it.
        """
        raise NotOfferedError("it keeps nothing between two questions")

    def cached_async(self, wiring: Wiring) -> AbstractAsyncContextManager[AsyncLoop]:
        """Do what `cached` does, in async code."""
        raise NotOfferedError("it keeps nothing between two questions")

    def opener(self) -> AbstractContextManager[Callable[[], AbstractContextManager[Any]]]:
        """Yield the function that makes a container to be opened by `with`."""
        raise NotOfferedError("it has no container object")

    def injected(self, wiring: Wiring) -> AbstractContextManager[Operation]:
        """Yield a decorated function that is called without arguments and gets the root."""
        raise NotOfferedError("it has no decorator for plain functions")

    def injected_async(self, wiring: Wiring) -> AbstractAsyncContextManager[AsyncOperation]:
        """Do what `injected` does, for an async function."""
        raise NotOfferedError("it has no decorator for plain functions")
