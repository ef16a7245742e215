"""TaskIQ, with the broker that runs in memory."""

import asyncio
import contextlib

from taskiq import InMemoryBroker, TaskiqMessage

from wares import current_container
from wares.taskiq import init_broker
from wares.testing import AdapterConformance


class TestTaskIQ(AdapterConformance):
    adapter = "wares.taskiq"
    framework = "taskiq"
    given = (TaskiqMessage,)

    @contextlib.asynccontextmanager
    async def serve(self, registry, work):
        broker = init_broker(InMemoryBroker(), registry=registry)
        task = self.define(broker, work)
        try:
            await broker.startup()
            yield task
        finally:
            await broker.shutdown()

    def define(self, broker, work):
        @broker.task("work")
        async def do():
            return await work.arun(current_container())

        return do

    async def perform(self, served):
        await (await served.kiq()).wait_result()

    async def vanish(self, served, work):
        # A worker cancels what runs as it shuts down.
        await served.kiq()
        await self._mode.until(lambda: work.has_begun)
        for task in asyncio.all_tasks():
            if "callback" in repr(task.get_coro()):
                task.cancel()


class TestSynchronousTasks(TestTaskIQ):
    has_async_services = False

    def define(self, broker, work):
        @broker.task("work")
        def do():
            return work.run(current_container())

        return do

    vanish = AdapterConformance.vanish  # a thread cannot be cancelled
