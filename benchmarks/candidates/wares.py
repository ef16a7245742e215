"""wares: classes and generator functions are registered as they are."""

from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from contextlib import (
    AbstractAsyncContextManager,
    AbstractContextManager,
    asynccontextmanager,
    contextmanager,
)
from typing import Any

import wares
from benchmarks import candidate, depends
from benchmarks.asking import make_asking
from benchmarks.candidate import AsyncLoop, AsyncOperation, Loop, Operation
from benchmarks.wiring import Wiring, key_of


def fill(registry: wares.Registry, wiring: Wiring) -> None:
    """Register values and factories that declare what they need."""
    _fill(registry, wiring, {key_of(factory): factory for factory in wiring.factories})


def _fill(
    registry: wares.Registry, wiring: Wiring, factories: Mapping[type, Callable[..., Any]]
) -> None:
    for key, value in wiring.values.items():
        registry.register_value(key, value)
    for key, factory in factories.items():
        registry.register_factory(key, factory)


class Candidate(candidate.Candidate):
    """wares, from this repository."""

    name = "wares"
    distributions = ("wares",)
    statement = "import wares"

    def register(self, wiring: Wiring) -> wares.Registry:
        """Make the application's registry."""
        registry = wares.Registry()
        fill(registry, wiring)
        return registry

    def register_asking(self, wiring: Wiring) -> wares.Registry:
        """Make the registry of an application whose factories ask the container."""
        registry = wares.Registry()
        _fill(registry, wiring, make_asking(wiring, wares.Container))
        return registry

    def operation(self, wiring: Wiring) -> AbstractContextManager[Operation]:
        """Use a container as a context manager."""
        return self._use(self.register(wiring), wiring.root)

    def operation_async(self, wiring: Wiring) -> AbstractAsyncContextManager[AsyncOperation]:
        """Use a container as an async context manager."""
        return self._use_async(self.register(wiring), wiring.root)

    def asking(self, wiring: Wiring) -> AbstractContextManager[Operation]:
        """Use a container whose factories ask it."""
        return self._use(self.register_asking(wiring), wiring.root)

    def asking_async(self, wiring: Wiring) -> AbstractAsyncContextManager[AsyncOperation]:
        """Use a container whose factories ask it, in async code."""
        return self._use_async(self.register_asking(wiring), wiring.root)

    @contextmanager
    def _use(self, registry: wares.Registry, root: type) -> Iterator[Operation]:
        with registry:

            def operation() -> object:
                with wares.Container(registry) as container:
                    return container.get(root)

            yield operation

    @asynccontextmanager
    async def _use_async(
        self, registry: wares.Registry, root: type
    ) -> AsyncIterator[AsyncOperation]:
        async with registry:

            async def operation() -> object:
                async with wares.Container(registry) as container:
                    return await container.aget(root)

            yield operation

    @contextmanager
    def cached(self, wiring: Wiring) -> Iterator[Loop]:
        """Ask with `get`."""
        root = wiring.root
        with self.register(wiring) as registry, wares.Container(registry) as container:

            def loop(times: Iterable[None]) -> object:
                for _ in times:
                    service = container.get(root)
                return service

            yield loop

    @asynccontextmanager
    async def cached_async(self, wiring: Wiring) -> AsyncIterator[AsyncLoop]:
        """Ask with `aget`."""
        root = wiring.root
        async with self.register(wiring) as registry, wares.Container(registry) as container:

            async def loop(times: Iterable[None]) -> object:
                for _ in times:
                    service = await container.aget(root)
                return service

            yield loop

    @contextmanager
    def opener(self) -> Iterator[Callable[[], AbstractContextManager[object]]]:
        """Open containers on one registry."""
        with wares.Registry() as registry:
            yield lambda: wares.Container(registry)

    @contextmanager
    def injected(self, wiring: Wiring) -> Iterator[Operation]:
        """Decorate a function with `inject`; its dependencies are functions."""
        yield wares.inject(depends.make_operation(wiring, wares.Depends))

    @asynccontextmanager
    async def injected_async(self, wiring: Wiring) -> AsyncIterator[AsyncOperation]:
        """Decorate an async function with `inject`; its dependencies are functions."""
        yield wares.inject(depends.make_async_operation(wiring, wares.Depends))
