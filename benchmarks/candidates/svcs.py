"""svcs: factories take the container and ask it; its `autowire` is slower, so it is not used."""

from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from inspect import isasyncgenfunction
from typing import Any

import svcs

from benchmarks import candidate
from benchmarks.candidate import AsyncLoop, AsyncOperation, Loop, Operation
from benchmarks.wiring import Factory, Wiring, is_generator, key_of, needs_of


def asking(factory: Factory) -> Callable[[svcs.Container], Any]:
    """Write the factory that gets what the given one needs from the container."""
    if is_generator(factory):
        managed = asynccontextmanager if isasyncgenfunction(factory) else contextmanager
        factory, (need,) = managed(factory), needs_of(factory).values()
        return lambda svcs_container: factory(svcs_container.get(need))
    needs = tuple(needs_of(factory).values())
    if len(needs) == 1:
        need = needs[0]
        return lambda svcs_container: factory(svcs_container.get(need))
    return lambda svcs_container: factory(*svcs_container.get(*needs))


def asking_async(factory: Factory) -> Callable[[svcs.Container], Any]:
    """Write the same for a factory that needs something that is made asynchronously."""
    needs = tuple(needs_of(factory).values())
    if len(needs) == 1:
        need = needs[0]

        async def make_of_one(svcs_container: svcs.Container) -> Any:
            return factory(await svcs_container.aget(need))

        return make_of_one

    async def make(svcs_container: svcs.Container) -> Any:
        return factory(*await svcs_container.aget(*needs))

    return make


def fill(registry: svcs.Registry, wiring: Wiring) -> None:
    """Register values and factories."""
    for key, value in wiring.values.items():
        registry.register_value(key, value)
    asynchronous = wiring.asynchronous
    for factory in wiring.factories:
        waits = asynchronous.intersection(needs_of(factory).values())
        registry.register_factory(
            key_of(factory), asking_async(factory) if waits else asking(factory)
        )


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

    @contextmanager
    def cached(self, wiring: Wiring) -> Iterator[Loop]:
        """Ask by `get`."""
        root = wiring.root
        with self.register(wiring) as registry, svcs.Container(registry) as container:

            def loop(times: Iterable[None]) -> object:
                for _ in times:
                    service = container.get(root)
                return service

            yield loop

    @asynccontextmanager
    async def cached_async(self, wiring: Wiring) -> AsyncIterator[AsyncLoop]:
        """Ask by `aget`."""
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
