"""What `wares.faststream` promises to type checkers; read by them, not run."""

from typing import assert_type

from faststream import FastStream
from faststream.asgi import AsgiFastStream
from faststream.nats import NatsBroker

from wares import Registry
from wares.faststream import aclose_registry, get_registry, init_app, init_broker

broker = init_broker(NatsBroker(), registry=Registry())
assert_type(broker, NatsBroker)
app = init_app(FastStream(broker), registry=Registry(), validate=False)
assert_type(app, FastStream)
assert_type(init_app(AsgiFastStream(broker)), AsgiFastStream)
assert_type(get_registry(app), Registry)
assert_type(get_registry(broker), Registry)


async def close() -> None:
    """Close the registry."""
    await aclose_registry(app)


init_app(3)  # type: ignore[type-var]  # no application
init_broker(NatsBroker())  # type: ignore[call-arg]  # a broker by itself needs a registry
