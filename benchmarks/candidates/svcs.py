"""svcs: factories take the container and ask it; its `autowire` is slower, so it is not used."""

from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager

import svcs

from benchmarks import candidate
from benchmarks.asking import make_asking
from benchmarks.candidate import AsyncLoop, AsyncOperation, Loop, Operation
from benchmarks.wiring import Wiring


def fill(registry: svcs.Registry, wiring: Wiring) -> None:
    """Register values and factories."""
    for key, value in wiring.values.items():
        registry.register_value(key, value)
    for key, factory in make_asking(wiring, svcs.Container).items():
        registry.register_factory(key, factory)


class Candidate(candidate.Candidate):
    """svcs by Hynek Schlawack."""

    name = "svcs"
    distributions = ("svcs",)
    statement = "import svcs"

    def register(self, wiring: Wiring) -> svcs.Registry:
        """Make the application's registry."""
        registry = svcs.Registry()
        fill(registry, wiring)
        return registry

    @contextmanager
    def operation(self, wiring: Wiring) -> Iterator[Operation]:
        """Use a container as a context manager."""
        root = wiring.root
        with self.register(wiring) as registry:

            def operation() -> object:
                with svcs.Container(registry) as container:
                    return container.get(root)

            yield operation

    @asynccontextmanager
    async def operation_async(self, wiring: Wiring) -> AsyncIterator[AsyncOperation]:
        """Use a container as an async context manager."""
        root = wiring.root
        async with self.register(wiring) as registry:

            async def operation() -> object:
                async with svcs.Container(registry) as container:
                    return await container.aget(root)

            yield operation

    asking = operation
    asking_async = operation_async

    @contextmanager
    def cached(self, wiring: Wiring) -> Iterator[Loop]:
        """Ask with `get`."""
        root = wiring.root
        with self.register(wiring) as registry, svcs.Container(registry) as container:

            def loop(times: Iterable[None]) -> object:
                for _ in times:
                    service = container.get(root)
                return service

            yield loop

    @asynccontextmanager
    async def cached_async(self, wiring: Wiring) -> AsyncIterator[AsyncLoop]:
        """Ask with `aget`."""
        root = wiring.root
        async with self.register(wiring) as registry, svcs.Container(registry) as container:

            async def loop(times: Iterable[None]) -> object:
                for _ in times:
                    service = await container.aget(root)
                return service

            yield loop

    @contextmanager
    def opener(self) -> Iterator[Callable[[], svcs.Container]]:
        """Open containers on one registry."""
        with svcs.Registry() as registry:
            yield lambda: svcs.Container(registry)
