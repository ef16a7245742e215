"""What `wares.taskiq` promises to type checkers; read by them, not run."""

from typing import assert_type

from taskiq import InMemoryBroker

from wares import Registry
from wares.taskiq import aclose_registry, get_registry, init_broker

broker = init_broker(InMemoryBroker(), registry=Registry(), validate=False)
assert_type(broker, InMemoryBroker)
assert_type(get_registry(broker), Registry)


async def close() -> None:
    """Close the registry."""
    await aclose_registry(broker)


init_broker(3)  # type: ignore[type-var]  # no broker
