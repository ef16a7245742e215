"""The code that somebody who knows the standard library writes without a container."""

from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import (
    AbstractAsyncContextManager,
    AbstractContextManager,
    AsyncExitStack,
    ExitStack,
    asynccontextmanager,
    contextmanager,
)

from benchmarks import candidate, work
from benchmarks.candidate import AsyncLoop, AsyncOperation, Loop, NotOfferedError, Operation
from benchmarks.wiring import Wiring, chain_by_hand, wide_by_hand
from benchmarks.work import CONFIG, Engine, Orders, Pair, Products, Session, Shop, Users

opened_session = contextmanager(work.open_session)
opened_async_session = asynccontextmanager(work.open_async_session)
opened_instant_session = asynccontextmanager(work.open_instant_session)
opened_pool = contextmanager(work.open_pool)
opened_unit = contextmanager(work.open_unit)
opened_async_pool = asynccontextmanager(work.open_async_pool)
opened_async_unit = asynccontextmanager(work.open_async_unit)


def make_shop(session: Session) -> Shop:
    """Make a service that needs a session."""
    return Shop(Users(session), Orders(session), Products(session))


def factory() -> Engine:
    """Make one service, ready to clean up afterwards."""
    with ExitStack():
        return Engine(CONFIG)


async def factory_async() -> Engine:
    """Make one service in async code, ready to clean up afterwards."""
    async with AsyncExitStack():
        return Engine(CONFIG)


def order() -> Pair:
    """Make a unit of work on a pool."""
    with opened_pool(CONFIG) as pool, opened_unit(pool) as unit:
        return Pair(pool, unit)


async def order_async() -> Pair:
    """Make a unit of work on a pool, in async code."""
    async with opened_async_pool(CONFIG) as pool, opened_async_unit(pool) as unit:
        return Pair(pool, unit)


def three_levels() -> Users:
    """Make a repository on a session on an engine."""
    with opened_session(Engine(CONFIG)) as session:
        return Users(session)


async def three_levels_async() -> Users:
    """Make a repository on an async session on an engine."""
    async with opened_async_session(Engine(CONFIG)) as session:
        return Users(session)


async def three_levels_instant() -> Users:
    """Make a repository on an async session that never awaits."""
    async with opened_instant_session(Engine(CONFIG)) as session:
        return Users(session)


def graph() -> Shop:
    """Make the seven nodes."""
    with opened_session(Engine(CONFIG)) as session:
        return make_shop(session)


async def graph_async() -> Shop:
    """Make the seven nodes on an async session."""
    async with opened_async_session(Engine(CONFIG)) as session:
        return make_shop(session)


async def graph_instant() -> Shop:
    """Make the seven nodes on an async session that never awaits."""
    async with opened_instant_session(Engine(CONFIG)) as session:
        return make_shop(session)


async def chain_async() -> object:
    """Make the chain in async code."""
    return chain_by_hand()


async def wide_async() -> object:
    """Make the leaves and their root in async code."""
    return wide_by_hand()


# The functions, by the names of the wirings.
OPERATIONS: dict[str, Operation] = {
    "factory": factory,
    "order": order,
    "three levels": three_levels,
    "graph": graph,
    "chain": chain_by_hand,
    "wide": wide_by_hand,
}
ASYNC_OPERATIONS: dict[str, AsyncOperation] = {
    "factory": factory_async,
    "order async": order_async,
    "three levels async": three_levels_async,
    "three levels instant": three_levels_instant,
    "graph async": graph_async,
    "graph instant": graph_instant,
    "chain": chain_async,
    "wide": wide_async,
}


class Candidate(candidate.Candidate):
    """No container at all."""

    name = "by hand"
    statement = "pass"

    def register(self, wiring: Wiring) -> dict[type, object]:
        """Put the factories into a dict, the least that a registry can be."""
        return {factory: factory for factory in wiring.factories}

    @contextmanager
    def operation(self, wiring: Wiring) -> Iterator[Operation]:
        """Call the hand-written code."""
        if wiring.name in OPERATIONS:
            yield OPERATIONS[wiring.name]
        elif wiring.factories:
            yield self._leaf(wiring)
        else:
            raise NotOfferedError("there is nothing to open")

    @asynccontextmanager
    async def operation_async(self, wiring: Wiring) -> AsyncIterator[AsyncOperation]:
        """Call the hand-written async code."""
        if wiring.name not in ASYNC_OPERATIONS:
            raise NotOfferedError("there is nothing to open")
        yield ASYNC_OPERATIONS[wiring.name]

    def _leaf(self, wiring: Wiring) -> Operation:
        registry, root = self.register(wiring), wiring.root

        def operation() -> object:
            with ExitStack():
                return registry[root](CONFIG)  # type: ignore[operator]  # classes are callable

        return operation

    @contextmanager
    def cached(self, wiring: Wiring) -> Iterator[Loop]:
        """Look up in a dict."""
        services = {Engine: Engine(CONFIG)}

        def loop(times: Iterable[None]) -> object:
            for _ in times:
                service = services[Engine]
            return service

        yield loop

    @asynccontextmanager
    async def cached_async(self, wiring: Wiring) -> AsyncIterator[AsyncLoop]:
        """Look up in a dict, in async code."""
        services = {Engine: Engine(CONFIG)}

        async def loop(times: Iterable[None]) -> object:
            for _ in times:
                service = services[Engine]
            return service

        yield loop

    def asking(self, wiring: Wiring) -> AbstractContextManager[Operation]:
        """Do the same work: there is no container to ask."""
        return self.operation(wiring)

    def asking_async(self, wiring: Wiring) -> AbstractAsyncContextManager[AsyncOperation]:
        """Do the same work in async code."""
        return self.operation_async(wiring)

    def injected(self, wiring: Wiring) -> AbstractContextManager[Operation]:
        """Call a function that makes the services it needs."""
        return self.operation(wiring)

    def injected_async(self, wiring: Wiring) -> AbstractAsyncContextManager[AsyncOperation]:
        """Call an async function that makes the services it needs."""
        return self.operation_async(wiring)
