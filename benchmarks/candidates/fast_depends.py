"""FastDepends: its only scope is the call of an injected function; casting is off.

Dependencies of async functions are `async def`, because FastDepends runs plain ones in threads.
"""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from fast_depends import Depends, inject

from benchmarks import candidate, depends
from benchmarks.candidate import AsyncOperation, Operation
from benchmarks.wiring import Wiring


class Candidate(candidate.Candidate):
    """FastDepends by the authors of FastStream."""

    name = "FastDepends"
    distributions = ("fast-depends",)
    statement = "import fast_depends"

    @contextmanager
    def operation(self, wiring: Wiring) -> Iterator[Operation]:
        """Call an injected function."""
        yield inject(cast=False)(depends.make_operation(wiring, uncast))

    @asynccontextmanager
    async def operation_async(self, wiring: Wiring) -> AsyncIterator[AsyncOperation]:
        """Call an injected async function."""
        function = depends.make_async_operation(wiring, uncast, keyword="async def")
        yield inject(cast=False)(function)

    injected = operation
    injected_async = operation_async


def uncast(dependency: object) -> object:
    """Make a marker whose value pydantic does not check."""
    return Depends(dependency, cast=False)
