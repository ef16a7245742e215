"""aioinject: scoped providers, resolved from a context."""

from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from contextlib import (
    AbstractAsyncContextManager,
    AbstractContextManager,
    asynccontextmanager,
    contextmanager,
)
from inspect import isasyncgenfunction, isgeneratorfunction
from typing import TypeVar

import aioinject
from aioinject import FromContext
from aioinject.scope import Scope

from benchmarks import candidate
from benchmarks.asking import make_asking
from benchmarks.candidate import AsyncLoop, AsyncOperation, Loop, Operation
from benchmarks.wiring import Factory, Wiring

Box = TypeVar("Box", aioinject.Container, aioinject.SyncContainer)


def fill(
    container: Box, wiring: Wiring, factories: Mapping[type, Factory] | None = None
) -> Box:
    """Register a wiring's providers, or other factories for the same services."""
    for key, value in wiring.values.items():
        container.register(aioinject.Object(value, interface=key))
    for factory in wiring.factories if factories is None else ():
        container.register(aioinject.Scoped(manage(factory)))
    for key, factory in (factories or {}).items():
        container.register(aioinject.Scoped(manage(factory), interface=key))
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

    def operation(self, wiring: Wiring) -> AbstractContextManager[Operation]:
        """Enter a context."""
        return self._use(self.register(wiring), wiring.root)

    def operation_async(self, wiring: Wiring) -> AbstractAsyncContextManager[AsyncOperation]:
        """Enter a context of an async container."""
        return self._use_async(fill(aioinject.Container(), wiring), wiring.root)

    def asking(self, wiring: Wiring) -> AbstractContextManager[Operation]:
        """Enter a context, with factories that ask it."""
        container = aioinject.SyncContainer()
        container.register(FromContext(aioinject.SyncContext, Scope.request))
        factories = make_asking(
            wiring, aioinject.SyncContext, get="container.resolve({})", at_once=False
        )
        return self._use(fill(container, wiring, factories), wiring.root)

    def asking_async(self, wiring: Wiring) -> AbstractAsyncContextManager[AsyncOperation]:
        """Enter a context of an async container, with factories that await its answers."""
        container = aioinject.Container()
        container.register(FromContext(aioinject.Context, Scope.request))
        ask = "await container.resolve({})"
        factories = make_asking(wiring, aioinject.Context, get=ask, aget=ask, at_once=False)
        return self._use_async(fill(container, wiring, factories), wiring.root)

    @contextmanager
    def _use(self, container: aioinject.SyncContainer, root: type) -> Iterator[Operation]:
        with container:

            def operation() -> object:
                with container.context() as context:
                    return context.resolve(root)

            yield operation

    @asynccontextmanager
    async def _use_async(
        self, container: aioinject.Container, root: type
    ) -> AsyncIterator[AsyncOperation]:
        async with container:

            async def operation() -> object:
                async with container.context() as context:
                    return await context.resolve(root)

            yield operation

    @contextmanager
    def cached(self, wiring: Wiring) -> Iterator[Loop]:
        """Ask with `resolve`."""
        root = wiring.root
        with self.register(wiring) as container, container.context() as context:

            def loop(times: Iterable[None]) -> object:
                for _ in times:
                    service = context.resolve(root)
                return service

            yield loop

    @asynccontextmanager
    async def cached_async(self, wiring: Wiring) -> AsyncIterator[AsyncLoop]:
        """Ask with `await resolve`."""
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
