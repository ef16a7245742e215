"""wireup: everything is scoped. By default, one task or thread uses a scope, so it has no locks."""

from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import (
    AbstractAsyncContextManager,
    AbstractContextManager,
    asynccontextmanager,
    contextmanager,
)
from typing import Any

import wireup
from wireup import Injected

from benchmarks import candidate
from benchmarks.asking import make_asking
from benchmarks.candidate import AsyncLoop, AsyncOperation, Loop, Operation
from benchmarks.wiring import Factory, Wiring


def declare(wiring: Wiring, factories: Iterable[Factory] | None = None) -> list[Any]:
    """Declare the injectables of a wiring, or of other factories for the same services."""
    scoped = wireup.injectable(lifetime="scoped")
    values = [wireup.instance(value, as_type=key) for key, value in wiring.values.items()]
    return [*values, *map(scoped, wiring.factories if factories is None else factories)]


class Candidate(candidate.Candidate):
    """wireup by Aldo Mateli."""

    name = "wireup"
    distributions = ("wireup",)
    statement = "import wireup"

    def register(self, wiring: Wiring) -> wireup.SyncContainer:
        """Make the application's container."""
        return wireup.create_sync_container(injectables=declare(wiring))

    def operation(self, wiring: Wiring) -> AbstractContextManager[Operation]:
        """Enter a scope."""
        return self._use(declare(wiring), wiring.root)

    def operation_async(self, wiring: Wiring) -> AbstractAsyncContextManager[AsyncOperation]:
        """Enter a scope of an async container."""
        return self._use_async(declare(wiring), wiring.root)

    def asking(self, wiring: Wiring) -> AbstractContextManager[Operation]:
        """Enter a scope, with factories that ask the container of their scope."""
        factories = make_asking(wiring, wireup.ScopedSyncContainer, at_once=False)
        return self._use(declare(wiring, factories.values()), wiring.root)

    def asking_async(self, wiring: Wiring) -> AbstractAsyncContextManager[AsyncOperation]:
        """Enter a scope of an async container, with factories that await its answers."""
        ask = "await container.get({})"
        factories = make_asking(
            wiring, wireup.ScopedAsyncContainer, get=ask, aget=ask, at_once=False
        )
        return self._use_async(declare(wiring, factories.values()), wiring.root)

    @contextmanager
    def _use(self, injectables: list[Any], root: type) -> Iterator[Operation]:
        container = wireup.create_sync_container(injectables=injectables)

        def operation() -> object:
            with container.enter_scope() as scope:
                return scope.get(root)

        yield operation
        container.close()

    @asynccontextmanager
    async def _use_async(
        self, injectables: list[Any], root: type
    ) -> AsyncIterator[AsyncOperation]:
        container = wireup.create_async_container(injectables=injectables)

        async def operation() -> object:
            async with container.enter_scope() as scope:
                return await scope.get(root)

        yield operation
        await container.close()

    @contextmanager
    def cached(self, wiring: Wiring) -> Iterator[Loop]:
        """Ask with `get`."""
        root, container = wiring.root, self.register(wiring)
        with container.enter_scope() as scope:

            def loop(times: Iterable[None]) -> object:
                for _ in times:
                    service = scope.get(root)
                return service

            yield loop
        container.close()

    @asynccontextmanager
    async def cached_async(self, wiring: Wiring) -> AsyncIterator[AsyncLoop]:
        """Ask with `await get`."""
        root = wiring.root
        container = wireup.create_async_container(injectables=declare(wiring))
        async with container.enter_scope() as scope:

            async def loop(times: Iterable[None]) -> object:
                for _ in times:
                    service = await scope.get(root)
                return service

            yield loop
        await container.close()

    @contextmanager
    def opener(self) -> Iterator[Callable[[], AbstractContextManager[object]]]:
        """Open scopes."""
        container = wireup.create_sync_container()
        yield container.enter_scope
        container.close()

    @contextmanager
    def injected(self, wiring: Wiring) -> Iterator[Operation]:
        """Decorate with `inject_from_container`, which enters a scope for each call."""
        root, container = wiring.root, self.register(wiring)

        @wireup.inject_from_container(container)
        def handle(root: Injected[root]) -> object:
            return root

        yield handle
        container.close()

    @asynccontextmanager
    async def injected_async(self, wiring: Wiring) -> AsyncIterator[AsyncOperation]:
        """Decorate an async function with `inject_from_container`."""
        root: Any = wiring.root
        container = wireup.create_async_container(injectables=declare(wiring))

        @wireup.inject_from_container(container)
        async def handle(root: Injected[root]) -> object:
            return root

        yield handle
        await container.close()
