"""dishka: everything is provided in its request scope, which takes no lock by default."""

from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import (
    AbstractAsyncContextManager,
    AbstractContextManager,
    asynccontextmanager,
    contextmanager,
)
from typing import Annotated, Any

from dishka import (
    AsyncContainer,
    Container,
    FromDishka,
    Provider,
    Scope,
    make_async_container,
    make_container,
)
from dishka.integrations.base import wrap_injection

from benchmarks import candidate
from benchmarks.asking import make_asking
from benchmarks.candidate import AsyncLoop, AsyncOperation, Loop, Operation
from benchmarks.wiring import Factory, Wiring


def provide(wiring: Wiring, factories: Iterable[Factory] | None = None) -> Provider:
    """Write the provider of a wiring, or of other factories for the same services."""
    provider = Provider(scope=Scope.REQUEST)
    for factory in wiring.factories if factories is None else factories:
        provider.provide(factory)
    for key, value in wiring.values.items():
        provider.provide(_giving(value), provides=key, scope=Scope.APP)
    return provider


def _giving(value: object) -> Callable[[], Any]:
    return lambda: value


class Candidate(candidate.Candidate):
    """dishka by Andrey Tikhonov."""

    name = "dishka"
    distributions = ("dishka",)
    statement = "import dishka"

    def register(self, wiring: Wiring) -> Container:
        """Make the application's container."""
        return make_container(provide(wiring))

    def operation(self, wiring: Wiring) -> AbstractContextManager[Operation]:
        """Enter the request scope."""
        return self._use(provide(wiring), wiring.root)

    def operation_async(self, wiring: Wiring) -> AbstractAsyncContextManager[AsyncOperation]:
        """Enter the request scope of an async container."""
        return self._use_async(provide(wiring), wiring.root)

    def asking(self, wiring: Wiring) -> AbstractContextManager[Operation]:
        """Enter the request scope, with factories that ask the container of their scope."""
        factories = make_asking(wiring, Container, at_once=False)
        return self._use(provide(wiring, factories.values()), wiring.root)

    def asking_async(self, wiring: Wiring) -> AbstractAsyncContextManager[AsyncOperation]:
        """Enter the request scope of an async container, with factories that await its answers."""
        ask = "await container.get({})"
        factories = make_asking(wiring, AsyncContainer, get=ask, aget=ask, at_once=False)
        return self._use_async(provide(wiring, factories.values()), wiring.root)

    @contextmanager
    def _use(self, provider: Provider, root: type) -> Iterator[Operation]:
        container = make_container(provider)

        def operation() -> object:
            with container() as request:
                return request.get(root)

        yield operation
        container.close()

    @asynccontextmanager
    async def _use_async(self, provider: Provider, root: type) -> AsyncIterator[AsyncOperation]:
        container = make_async_container(provider)

        async def operation() -> object:
            async with container() as request:
                return await request.get(root)

        yield operation
        await container.close()

    @contextmanager
    def cached(self, wiring: Wiring) -> Iterator[Loop]:
        """Ask with `get`."""
        root, container = wiring.root, self.register(wiring)
        with container() as request:

            def loop(times: Iterable[None]) -> object:
                for _ in times:
                    service = request.get(root)
                return service

            yield loop
        container.close()

    @asynccontextmanager
    async def cached_async(self, wiring: Wiring) -> AsyncIterator[AsyncLoop]:
        """Ask with `await get`."""
        root, container = wiring.root, make_async_container(provide(wiring))
        async with container() as request:

            async def loop(times: Iterable[None]) -> object:
                for _ in times:
                    service = await request.get(root)
                return service

            yield loop
        await container.close()

    @contextmanager
    def opener(self) -> Iterator[Callable[[], AbstractContextManager[object]]]:
        """Open request scopes."""
        container = make_container()
        yield container
        container.close()

    @contextmanager
    def injected(self, wiring: Wiring) -> Iterator[Operation]:
        """Wrap a function as its integrations do, with a scope for each call."""
        root, container = wiring.root, self.register(wiring)

        def handle(root: Annotated[root, FromDishka()]) -> object:
            return root

        yield wrap_injection(
            func=handle, container_getter=lambda _, __: container, manage_scope=True
        )
        container.close()

    @asynccontextmanager
    async def injected_async(self, wiring: Wiring) -> AsyncIterator[AsyncOperation]:
        """Wrap an async function as its integrations do, with a scope for each call."""
        root: Any = wiring.root
        container: AsyncContainer = make_async_container(provide(wiring))

        async def handle(root: Annotated[root, FromDishka()]) -> object:
            return root

        yield wrap_injection(
            func=handle,
            container_getter=lambda _, __: container,
            is_async=True,
            manage_scope=True,
        )
        await container.close()
