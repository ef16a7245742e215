"""Random graphs of factories of random shapes, which note everything that happens to them."""

import asyncio
import contextlib
import dataclasses
import inspect
from typing import Any

from hypothesis import strategies

from wares import Registry

SYNC_SHAPES = [
    "function",
    "class",
    "generator",
    "context manager",
    "managed generator",
    "asking function",
    "asking generator",
]
ASYNC_SHAPES = [
    "async function",
    "async generator",
    "async context manager",
    "managed async generator",
    "lambda",
    "asking async function",
    "asking async generator",
]
CLOSING = {
    "generator",
    "context manager",
    "managed generator",
    "asking generator",
    "async generator",
    "async context manager",
    "managed async generator",
    "asking async generator",
}
LIFETIMES = ["scoped", "connection", "singleton"]
SPAN = {"scoped": 0, "connection": 1, "singleton": 2}


class Failure(Exception):
    """The exception of a factory that fails on purpose."""


@dataclasses.dataclass(frozen=True)
class Node:
    """One service of a random graph: its needs, its factory, and where it fails."""

    number: int
    needs: tuple[int, ...]
    shape: str
    lifetime: str
    failing: str | None

    @property
    def is_async(self) -> bool:
        """Whether only `aget` can make it."""
        return self.shape in ASYNC_SHAPES

    @property
    def is_closing(self) -> bool:
        """Whether it has a cleanup."""
        return self.shape in CLOSING


@strategies.composite
def graphs(draw, *, shapes=(*SYNC_SHAPES, *ASYNC_SHAPES), failing=True, lifetimes=LIFETIMES):
    """Draw a graph without circles, in which no service needs a shorter-lived one."""
    nodes: list[Node] = []
    awaited: set[int] = set()
    for number in range(draw(strategies.integers(1, 8))):
        lifetime = draw(strategies.sampled_from(lifetimes))
        shape = draw(strategies.sampled_from(shapes))
        fitting = [
            node.number
            for node in nodes
            if SPAN[node.lifetime] >= SPAN[lifetime]
            # A factory that calls `get` must not need a service that has to be awaited.
            and not (
                shape in {"asking function", "asking generator"} and node.number in awaited
            )
        ]
        needs = (
            draw(strategies.lists(strategies.sampled_from(fitting), unique=True, max_size=4))
            if fitting
            else []
        )
        if shape in ASYNC_SHAPES or not awaited.isdisjoint(needs):
            awaited.add(number)
        stages = [None, None, None, "make"]
        if shape in CLOSING:
            stages += ["enter", "exit"]
        stage = draw(strategies.sampled_from(stages)) if failing else None
        nodes.append(Node(number, tuple(needs), shape, lifetime, stage))
    return tuple(nodes)


class World:
    """A registry made from a graph, and a list of events."""

    def __init__(self, nodes: tuple[Node, ...]) -> None:
        self.nodes = nodes
        self.keys = [type(f"Key{node.number}", (), {}) for node in nodes]
        self.events: list[tuple[str, int]] = []
        self.failing = True
        self.registry = Registry()
        for node in nodes:
            self.register(node)

    def register(self, node: Node) -> None:
        """Register the factory of *node*."""
        self.registry.register_factory(
            self.keys[node.number], self.make_factory(node), lifetime=node.lifetime
        )

    def note(self, event: str, node: Node) -> None:
        """Note an event of *node*, and fail if the graph says so."""
        self.events.append((event, node.number))
        if self.failing and node.failing == event:
            raise Failure(node.number, event)

    def begin(self, node: Node, needs: tuple[Any, ...]) -> tuple[int, ...]:
        """Note that *node* is being made; return a service with the services it needs."""
        self.note("make", node)
        return (node.number, *needs)

    def make_factory(self, node: Node) -> Any:
        """Make a factory of the shape of *node*, whose signature asks for the services it needs."""
        maker = getattr(self, "make_" + node.shape.replace(" ", "_"))
        factory = maker(node)
        if not node.shape.startswith("asking"):
            factory.__signature__ = inspect.Signature(
                inspect.Parameter(
                    f"need_{need}",
                    inspect.Parameter.POSITIONAL_ONLY,
                    annotation=self.keys[need],
                )
                for need in node.needs
            )
        if node.shape == "managed generator":
            return contextlib.contextmanager(factory)
        if node.shape == "managed async generator":
            return contextlib.asynccontextmanager(factory)
        return factory

    def make_function(self, node: Node) -> Any:
        """A plain function."""
        return lambda *needs: self.begin(node, needs)

    def make_class(self, node: Node) -> Any:
        """A class whose objects are equal if they got equal services."""
        world = self

        class Service:
            def __init__(self, *needs):
                self.needs = world.begin(node, needs)

            def __eq__(self, other):
                return self.needs == getattr(other, "needs", None)

            __hash__ = None

        return Service

    def make_lambda(self, node: Node) -> Any:
        """A plain function that returns a coroutine."""
        make = self.make_async_function(node)
        return lambda *needs: make(*needs)

    def make_async_function(self, node: Node) -> Any:
        """An async function that lets other tasks run meanwhile."""

        async def make(*needs):
            service = self.begin(node, needs)
            await asyncio.sleep(0)
            return service

        return make

    def make_generator(self, node: Node) -> Any:
        """A generator."""

        def make(*needs):
            service = self.begin(node, needs)
            self.note("enter", node)
            try:
                yield service
            finally:
                self.note("exit", node)

        return make

    make_managed_generator = make_generator

    def make_async_generator(self, node: Node) -> Any:
        """An async generator that lets other tasks run meanwhile."""

        async def make(*needs):
            service = self.begin(node, needs)
            await asyncio.sleep(0)
            self.note("enter", node)
            try:
                yield service
            finally:
                await asyncio.sleep(0)
                self.note("exit", node)

        return make

    make_managed_async_generator = make_async_generator

    def make_context_manager(self, node: Node) -> Any:
        """A function that returns a context manager."""
        world = self

        class Manager:
            def __init__(self, *needs):
                self.service = world.begin(node, needs)

            def __enter__(self):
                world.note("enter", node)
                return self.service

            def __exit__(self, *details):
                world.note("exit", node)

        return Manager

    def make_async_context_manager(self, node: Node) -> Any:
        """A function that returns an async context manager."""
        world = self

        class Manager:
            def __init__(self, *needs):
                self.service = world.begin(node, needs)

            async def __aenter__(self):
                await asyncio.sleep(0)
                world.note("enter", node)
                return self.service

            async def __aexit__(self, *details):
                await asyncio.sleep(0)
                world.note("exit", node)

        return Manager

    def make_asking_function(self, node: Node) -> Any:
        """A function that asks its container for the services it needs."""

        def make(wares_container):
            needs = tuple(wares_container.get(self.keys[need]) for need in node.needs)
            return self.begin(node, needs)

        return make

    def make_asking_generator(self, node: Node) -> Any:
        """A generator that asks its container for the services it needs."""
        generator = self.make_generator(node)

        def make(wares_container):
            needs = tuple(wares_container.get(self.keys[need]) for need in node.needs)
            yield from generator(*needs)

        return make

    def make_asking_async_function(self, node: Node) -> Any:
        """An async function that asks its container for the services it needs."""

        async def make(wares_container):
            needs = [await wares_container.aget(self.keys[need]) for need in node.needs]
            return self.begin(node, tuple(needs))

        return make

    def make_asking_async_generator(self, node: Node) -> Any:
        """An async generator that asks its container for the services it needs."""

        async def make(wares_container):
            needs = [await wares_container.aget(self.keys[need]) for need in node.needs]
            service = self.begin(node, tuple(needs))
            self.note("enter", node)
            try:
                yield service
            finally:
                self.note("exit", node)

        return make
