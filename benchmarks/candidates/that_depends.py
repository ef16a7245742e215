"""that-depends: shared services and those to close are context resources, the rest factories."""

from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import (
    AbstractAsyncContextManager,
    AbstractContextManager,
    asynccontextmanager,
    contextmanager,
)
from inspect import iscoroutinefunction
from itertools import count
from typing import Any

from that_depends import BaseContainer, Provide, container_context, inject, providers

from benchmarks import candidate
from benchmarks.asking import make_asking
from benchmarks.candidate import AsyncLoop, AsyncOperation, Loop, Operation
from benchmarks.wiring import VALUE, Factory, Wiring, is_generator, key_of, needs_of

NUMBERS = count()


def declare(wiring: Wiring, *, keeping: bool = False) -> type[BaseContainer]:
    """Declare the container of a wiring.

    Args:
        wiring: The wiring.
        keeping: Whether the context keeps the root as well, because it is asked for twice.
    """
    uses = Counter(need for factory in wiring.factories for need in needs_of(factory).values())
    declared: dict[type, Any] = {
        key: providers.Object(value) for key, value in wiring.values.items()
    }
    for factory in wiring.factories:
        key = key_of(factory)
        needs = [declared[need] for need in needs_of(factory).values()]
        if is_generator(factory):
            declared[key] = providers.ContextResource(factory, *needs)
        elif uses[key] > 1 or (keeping and key is wiring.root):
            declared[key] = providers.ContextResource(keep(factory), *needs)
        else:
            declared[key] = providers.Factory(factory, *needs)
    return make_box(declared, wiring.root)


def declare_asking(wiring: Wiring, *, get: str, aget: str) -> type[BaseContainer]:
    """Declare the container of factories that ask its providers; the context keeps them all.

    Args:
        wiring: The wiring.
        get: The expression that asks a provider for a service that is made synchronously.
        aget: The expression that asks a provider for a service that is made asynchronously.
    """
    declared: dict[type, Any] = {
        key: providers.Object(value) for key, value in wiring.values.items()
    }
    asking = make_asking(wiring, dict, get=get, aget=aget, at_once=False)
    for key, factory in asking.items():
        kept = factory if is_generator(factory) else keep(factory)
        declared[key] = providers.ContextResource(kept, providers.Object(declared))
    return make_box(declared, wiring.root)


def make_box(declared: dict[type, Any], root: type) -> type[BaseContainer]:
    """Make a container class, with a new name, because that-depends warns if two have the same."""
    members = {key.__name__.lower(): provider for key, provider in declared.items()}
    members["root"] = declared[root]
    return type(BaseContainer)(f"Box{next(NUMBERS)}", (BaseContainer,), members)


def keep(factory: Factory) -> Callable[..., Iterator[Any] | AsyncIterator[Any]]:
    """Turn a factory into a generator function, because a context keeps only their services."""
    if iscoroutinefunction(factory):

        async def kept_async(*needs: Any) -> AsyncIterator[Any]:
            yield await factory(*needs)

        return kept_async

    def kept(*needs: Any) -> Iterator[Any]:
        yield factory(*needs)

    return kept


class Candidate(candidate.Candidate):
    """that-depends by Modern Python."""

    name = "that-depends"
    distributions = ("that-depends",)
    statement = "import that_depends"

    def register(self, wiring: Wiring) -> type[BaseContainer]:
        """Declare a container."""
        return declare(wiring)

    def operation(self, wiring: Wiring) -> AbstractContextManager[Operation]:
        """Enter the container's context."""
        return self._use(declare(wiring))

    def operation_async(self, wiring: Wiring) -> AbstractAsyncContextManager[AsyncOperation]:
        """Enter the container's async context."""
        return self._use_async(declare(wiring))

    def asking(self, wiring: Wiring) -> AbstractContextManager[Operation]:
        """Enter the context of factories that ask providers."""
        ask = "container[{}].resolve_sync()"
        return self._use(declare_asking(wiring, get=ask, aget=ask))

    def asking_async(self, wiring: Wiring) -> AbstractAsyncContextManager[AsyncOperation]:
        """Enter the async context of factories that ask providers."""
        get, aget = "container[{}].resolve_sync()", "await container[{}].resolve()"
        return self._use_async(declare_asking(wiring, get=get, aget=aget))

    @contextmanager
    def _use(self, box: type[BaseContainer]) -> Iterator[Operation]:
        def operation() -> object:
            with container_context(box):
                return box.root.resolve_sync()

        yield operation

    @asynccontextmanager
    async def _use_async(self, box: type[BaseContainer]) -> AsyncIterator[AsyncOperation]:
        async def operation() -> object:
            async with container_context(box):
                return await box.root.resolve()

        yield operation

    @contextmanager
    def cached(self, wiring: Wiring) -> Iterator[Loop]:
        """Ask a context resource with `resolve_sync`."""
        box = declare(wiring, keeping=True)
        with container_context(box):

            def loop(times: Iterable[None]) -> object:
                for _ in times:
                    service = box.root.resolve_sync()
                return service

            yield loop

    @asynccontextmanager
    async def cached_async(self, wiring: Wiring) -> AsyncIterator[AsyncLoop]:
        """Ask a context resource with `resolve`."""
        box = declare(wiring, keeping=True)
        async with container_context(box):

            async def loop(times: Iterable[None]) -> object:
                for _ in times:
                    service = await box.root.resolve()
                return service

            yield loop

    @contextmanager
    def opener(self) -> Iterator[Callable[[], AbstractContextManager[object]]]:
        """Open contexts of a container that has one value."""
        box = declare(VALUE)
        yield lambda: container_context(box)

    @contextmanager
    def injected(self, wiring: Wiring) -> Iterator[Operation]:
        """Decorate a function with `inject`, which enters the contexts that it needs."""
        box = declare(wiring)

        @inject
        def handle(root: object = Provide[box.root]) -> object:
            return root

        yield handle

    @asynccontextmanager
    async def injected_async(self, wiring: Wiring) -> AsyncIterator[AsyncOperation]:
        """Decorate an async function with `inject`."""
        box = declare(wiring)

        @inject
        async def handle(root: object = Provide[box.root]) -> object:
            return root

        yield handle
