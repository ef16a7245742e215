"""aioinject: scoped providers, resolved from a context."""

from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from inspect import isasyncgenfunction, isgeneratorfunction
from typing import TypeVar

import aioinject

from benchmarks import candidate
from benchmarks.candidate import AsyncLoop, AsyncOperation, Loop, Operation
from benchmarks.wiring import Factory, Wiring

Box = TypeVar("Box", aioinject.Container, aioinject.SyncContainer)


def fill(container: Box, wiring: Wiring) -> Box:
    """Register a wiring's providers."""
    for key, value in wiring.values.items():
        container.register(aioinject.Object(value, interface=key))
    for factory in wiring.factories:
        container.register(aioinject.Scoped(manage(factory)))
    return container


def manage(factory: Factory) -> Factory:
    """Decorate a generator function, as its documentation does."""
    if isasyncgenfunction(factory):
        return asynccontextmanager(factory)
    return contextmanager(factory) if isgeneratorfunction(factory) else factory


class Candidate(candidate.Candidate):
    """aioinject by Doctor."""

    name = "aioinject"
    distributions = ("aioinject",)
    statement = "import aioinject"

    def register(self, wiring: Wiring) -> aioinject.SyncContainer:
        """Make the application's container."""
        return fill(aioinject.SyncContainer(), wiring)

    @contextmanager
    def operation(self, wiring: Wiring) -> Iterator[Operation]:
        """Enter a context."""
        root = wiring.root
        with self.register(wiring) as container:

            def operation() -> object:
                with container.context() as context:
                    return context.resolve(root)

            yield operation

    @asynccontextmanager
    async def operation_async(self, wiring: Wiring) -> AsyncIterator[AsyncOperation]:
        """Enter a context of an async container."""
        root = wiring.root
        async with fill(aioinject.Container(), wiring) as container:

            async def operation() -> object:
                async with container.context() as context:
                    return await context.resolve(root)

            yield operation

    @contextmanager
    def cached(self, wiring: Wiring) -> Iterator[Loop]:
        """Ask by `resolve`."""
        root = wiring.root
        with self.register(wiring) as container, container.context() as context:

            def loop(times: Iterable[None]) -> object:
                for _ in times:
                    service = context.resolve(root)
                return service

            yield loop

    @asynccontextmanager
    async def cached_async(self, wiring: Wiring) -> AsyncIterator[AsyncLoop]:
        """Ask by `await resolve`."""
        root = wiring.root
        async with (
            fill(aioinject.Container(), wiring) as container,
            container.context() as context,
        ):

            async def loop(times: Iterable[None]) -> object:
                for _ in times:
                    service = await context.resolve(root)
                return service

            yield loop

    @contextmanager
    def opener(self) -> Iterator[Callable[[], AbstractContextManager[object]]]:
        """Open contexts."""
        with aioinject.SyncContainer() as container:
            yield container.context
