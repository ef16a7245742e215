"""FastStream's brokers, each in memory: the order of things, and batches."""

import dataclasses
import importlib.util
from functools import partial
from typing import Any
from unittest.mock import AsyncMock

import pytest
from faststream import AckPolicy, BaseMiddleware
from faststream.mqtt import MQTTBroker, TestMQTTBroker
from faststream.nats import NatsBroker, PullSub, TestNatsBroker
from faststream.rabbit import RabbitBroker, TestRabbitBroker
from faststream.redis import ListSub, RedisBroker, StreamSub, TestRedisBroker

from tests.adapters.serving import Journal, Session, open_session
from wares import Inject, Registry, current_container
from wares.faststream import init_broker


@dataclasses.dataclass
class Kind:
    """A kind of broker, which calls things by names of its own."""

    make: Any
    test: Any
    #: What a subscriber whose messages are acknowledged takes, beside where they come from.
    options: dict = dataclasses.field(default_factory=dict)
    #: What else a message for it is published with.
    more: dict = dataclasses.field(default_factory=dict)


MQTT = Kind(MQTTBroker, TestMQTTBroker, {"ack_policy": AckPolicy.REJECT_ON_ERROR})
NATS = Kind(NatsBroker, TestNatsBroker, {"stream": "shop"}, {"stream": "shop"})
RABBIT = Kind(RabbitBroker, TestRabbitBroker)
REDIS = Kind(
    RedisBroker,
    TestRedisBroker,
    {"stream": StreamSub("work", group="shop", consumer="one")},
    {"stream": "work"},
)
BROKERS = {"mqtt": MQTT, "nats": NATS, "rabbit": RABBIT, "redis": REDIS}


async def publish_two(broker, **target):
    await broker.publish_batch("one", "two", **target)
    return 2


async def publish_one(broker, **target):
    """Publish what a broker in memory makes a batch of: a single message."""
    await broker.publish("one", **target)
    return 1


#: Which broker, what its subscriber takes, and what publishes a batch and tells its size.
BATCHES = {
    "nats": (
        NATS,
        {"subject": "work", "stream": "shop", "pull_sub": PullSub(batch=True)},
        partial(publish_one, subject="work", stream="shop"),
    ),
    "redis list": (
        REDIS,
        {"list": ListSub("work", batch=True)},
        partial(publish_two, list="work"),
    ),
    "redis stream": (
        REDIS,
        {"stream": StreamSub("work", batch=True)},
        partial(publish_one, stream="work"),
    ),
}


def add_kafka():
    """Add the two clients of Kafka: extensions in C, of which the newest Pythons have no wheels."""
    for name, module in {"aiokafka": "kafka", "confluent_kafka": "confluent"}.items():
        if importlib.util.find_spec(name):
            client = importlib.import_module(f"faststream.{module}")
            kind = Kind(client.KafkaBroker, client.TestKafkaBroker, {"group_id": "shop"})
            BROKERS[module] = kind
            BATCHES[module] = (
                kind,
                {"topics": "work", "batch": True},
                partial(publish_two, topic="work"),
            )


add_kafka()


@pytest.fixture
async def registry(journal):
    """A registry with a session that notes how it ends."""
    registry = Registry()
    registry.register_value(Journal, journal)
    registry.register_factory(Session, open_session)
    yield registry
    await registry.aclose()


@pytest.mark.parametrize("name", BROKERS)
async def test_commit_reply_ack(registry, journal, name):
    """Services end, then the reply is published, then the message is acknowledged."""
    one = BROKERS[name]
    watched = []

    class Watch(BaseMiddleware):
        async def publish_scope(self, call_next, cmd):
            if cmd.destination == "replies":
                journal.append("reply")
            return await call_next(cmd)

        async def consume_scope(self, call_next, msg):
            if not watched:  # the reply comes later
                watched.append(msg)
                msg.ack = AsyncMock(side_effect=lambda: journal.append("ack"))
            return await call_next(msg)

    broker = init_broker(one.make(middlewares=[Watch]), registry=registry)

    is_named = one is not REDIS
    source, reply = (["work"], ["replies"]) if is_named else ([], [])
    options = {"ack_policy": AckPolicy.NACK_ON_ERROR, **one.options}

    @broker.subscriber(*source, **options)
    @broker.publisher(*reply, **({} if is_named else {"stream": "replies"}))
    async def handle(text: str, session: Inject[Session]) -> str:
        return session.work(text)

    async with one.test(broker):
        await broker.publish("one", *source, **one.more)

    assert ["open", "one", "commit", "reply", "ack"] == journal


@pytest.mark.parametrize("name", BATCHES)
async def test_in_a_batch(registry, journal, name):
    """A batch has one container; an item has a child of it on request."""
    one, options, publish = BATCHES[name]
    broker = init_broker(one.make(), registry=registry)
    # Kafka's take topics by position only.
    topics = [options["topics"]] if "topics" in options else []
    rest = {key: value for key, value in options.items() if key != "topics"}

    @broker.subscriber(*topics, **rest)
    async def handle(texts: list[str], whole: Inject[Session]):
        whole.work(f"batch of {len(texts)}")
        for text in texts:
            async with current_container().child() as services:
                (await services.aget(Session)).work(text)

    async with one.test(broker):
        count = await publish(broker)

    items = [what for text in ("one", "two")[:count] for what in ("open", text, "commit")]
    assert ["open", f"batch of {count}", *items, "commit"] == journal
