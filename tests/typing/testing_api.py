"""What `wares.testing` promises to type checkers; read by them, not run."""

import contextlib
from collections.abc import AsyncIterator, Iterator
from typing import assert_type

from wares import Registry
from wares.testing import AdapterConformance, Work


class Synchronous(AdapterConformance):
    """Fill the tests in for a synchronous framework."""

    given = (int, str)
    has_async_services = False

    @contextlib.contextmanager
    def serve(self, registry: Registry, work: Work) -> Iterator[Work]:
        """Serve nothing."""
        yield work

    def perform(self, served: Work) -> None:
        """Do the work."""
        with Registry().container() as container:
            assert_type(served.run(container), str)


class Asynchronous(AdapterConformance):
    """Fill the tests in for an asynchronous framework."""

    @contextlib.asynccontextmanager
    async def serve(self, registry: Registry, work: Work) -> AsyncIterator[Work]:
        """Serve nothing."""
        yield work

    async def perform(self, served: Work) -> None:
        """Do the work."""
        async with Registry().container() as container:
            assert_type(await served.arun(container), str)
