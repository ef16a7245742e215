"""FastStream, with the brokers that run in memory."""

import asyncio
import contextlib

from faststream import ExceptionMiddleware, FastStream, StreamMessage
from faststream.mqtt import MQTTBroker, TestMQTTBroker
from faststream.nats import NatsBroker, TestNatsBroker
from faststream.rabbit import RabbitBroker, TestRabbitBroker
from faststream.redis import RedisBroker, TestRedisBroker

from wares import current_container
from wares.faststream import init_app
from wares.testing import AdapterConformance, AnsweredError, WorkError


class TestNats(AdapterConformance):
    adapter = "wares.faststream"
    framework = "faststream"
    given = (StreamMessage,)

    broker, test_broker = NatsBroker, TestNatsBroker

    @contextlib.asynccontextmanager
    async def serve(self, registry, work):
        answer = ExceptionMiddleware({AnsweredError: lambda error: None})
        broker = self.broker(middlewares=[answer])
        app = init_app(FastStream(broker), registry=registry)

        self.subscribe(broker, work)
        async with self.test_broker(broker, connect_only=True):
            try:
                await app.start()
                yield broker
            finally:
                await app.stop()

    def subscribe(self, broker, work):
        @broker.subscriber("work")
        async def do(text: str):
            return await work.arun(current_container())

    async def perform(self, served):
        with contextlib.suppress(WorkError):
            await served.publish("please", "work")

    async def vanish(self, served, work):
        task = asyncio.create_task(served.publish("please", "work"))
        await self._mode.until(lambda: work.has_begun)
        task.cancel()
        await asyncio.wait({task})


class TestMQTT(TestNats):
    broker, test_broker = MQTTBroker, TestMQTTBroker


class TestRabbit(TestNats):
    broker, test_broker = RabbitBroker, TestRabbitBroker


class TestRedis(TestNats):
    broker, test_broker = RedisBroker, TestRedisBroker


class TestSynchronousSubscribers(TestNats):
    has_async_services = False

    def subscribe(self, broker, work):
        @broker.subscriber("work")
        def do(text: str):
            return work.run(current_container())

    vanish = AdapterConformance.vanish  # a thread cannot be cancelled
