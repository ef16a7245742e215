"""dependency-injector: singletons, and resources that an injected function closes afterwards.

It has no container per request. A call of an injected function with `Closing`, on context-local
resources, comes closest; this is measured if there is something to close.
"""

from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import (
    AbstractAsyncContextManager,
    AbstractContextManager,
    asynccontextmanager,
    contextmanager,
)
from sys import modules
from types import ModuleType
from typing import Any

from dependency_injector import containers, providers
from dependency_injector.wiring import Closing, Provide, inject

from benchmarks import candidate
from benchmarks.candidate import AsyncLoop, AsyncOperation, Loop, NotOfferedError, Operation
from benchmarks.wiring import Wiring, is_generator, key_of, needs_of


def declare(wiring: Wiring, *, plain: type = providers.Factory) -> containers.DynamicContainer:
    """Declare the container of a wiring.

    Args:
        wiring: What to declare.
        plain: The provider of what needs no closing.
    """
    box = containers.DynamicContainer()
    declared: dict[type, Any] = {}
    for key, value in wiring.values.items():
        declared[key] = providers.Object(value)
    for factory in wiring.factories:
        kind = providers.ContextLocalResource if is_generator(factory) else plain
        needs = [declared[need] for need in needs_of(factory).values()]
        declared[key_of(factory)] = kind(factory, *needs)
    for key, provider in declared.items():
        box.set_provider(key.__name__.lower(), provider)
    box.set_provider("root", declared[wiring.root])
    return box


def wire(box: containers.DynamicContainer, function: Any) -> Any:
    """Wire a container to a function; it wires whole modules, so the function gets its own one."""
    module = ModuleType(f"{__name__}.wired_{id(function)}")
    function.__module__ = module.__name__
    module.handle = function  # type: ignore[attr-defined]  # a module takes any attribute
    modules[module.__name__] = module
    box.wire(modules=[module])
    return module.handle  # type: ignore[attr-defined]  # wiring may have replaced it


class Candidate(candidate.Candidate):
    """dependency-injector by ETS Labs, in Cython."""

    name = "dependency-injector"
    distributions = ("dependency-injector",)
    statement = "from dependency_injector import containers, providers"

    def register(self, wiring: Wiring) -> containers.DynamicContainer:
        """Declare a container."""
        return declare(wiring)

    @contextmanager
    def operation(self, wiring: Wiring) -> Iterator[Operation]:
        """Call an injected function that closes its resources."""
        if not any(map(is_generator, wiring.factories)):
            raise NotOfferedError("it has no container per request")
        with self.injected(wiring) as handle:
            yield handle

    @asynccontextmanager
    async def operation_async(self, wiring: Wiring) -> AsyncIterator[AsyncOperation]:
        """Call an injected async function that closes its resources."""
        if not any(map(is_generator, wiring.factories)):
            raise NotOfferedError("it has no container per request")
        async with self.injected_async(wiring) as handle:
            yield handle

    @contextmanager
    def cached(self, wiring: Wiring) -> Iterator[Loop]:
        """Call a singleton's provider."""
        box = declare(wiring, plain=providers.Singleton)

        def loop(times: Iterable[None]) -> object:
            for _ in times:
                service = box.root()
            return service

        yield loop

    @asynccontextmanager
    async def cached_async(self, wiring: Wiring) -> AsyncIterator[AsyncLoop]:
        """Call a singleton's provider, which needs no `await`."""
        box = declare(wiring, plain=providers.Singleton)

        async def loop(times: Iterable[None]) -> object:
            for _ in times:
                service = box.root()
            return service

        yield loop

    def asking(self, wiring: Wiring) -> AbstractContextManager[Operation]:
        """Refuse, because services that a factory asks for in its body would stay open."""
        raise NotOfferedError("`Closing` closes only what is declared")

    def asking_async(self, wiring: Wiring) -> AbstractAsyncContextManager[AsyncOperation]:
        """Refuse for the same reason."""
        raise NotOfferedError("`Closing` closes only what is declared")

    @contextmanager
    def injected(self, wiring: Wiring) -> Iterator[Operation]:
        """Decorate a function with `inject`."""

        @inject
        def handle(root: object = Closing[Provide["root"]]) -> object:
            return root

        box = declare(wiring)
        yield wire(box, handle)
        box.unwire()

    @asynccontextmanager
    async def injected_async(self, wiring: Wiring) -> AsyncIterator[AsyncOperation]:
        """Decorate an async function with `inject`."""

        @inject
        async def handle(root: object = Closing[Provide["root"]]) -> object:
            return root

        box = declare(wiring)
        yield wire(box, handle)
        box.unwire()
