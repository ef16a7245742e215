"""Adapters of queues with a real broker: Redis, in a process of its own, where it is installed."""

import asyncio
import contextlib
import gc
import shutil
import signal
import socket
import subprocess
import sys

import pytest
from faststream import ExceptionMiddleware, FastStream, StreamMessage
from faststream.redis import RedisBroker, StreamSub

from tests.adapters import test_celery
from tests.adapters.serving import Journal, Session, until
from wares import Inject, Registry, current_container
from wares.faststream import init_app
from wares.testing import AdapterConformance, AnsweredError

SECONDS = 60


@pytest.fixture(scope="module")
def redis_url(tmp_path_factory):
    """The address of a server that nobody else uses."""
    program = shutil.which("redis-server")
    if program is None:
        pytest.skip("redis-server is not installed")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    folder = tmp_path_factory.mktemp("redis")
    options = ["--bind", "127.0.0.1", "--port", str(port), "--save", "", "--dir", str(folder)]
    server = subprocess.Popen([program, *options], stdout=subprocess.PIPE, text=True)
    for line in server.stdout:
        if "Ready to accept connections" in line:
            break
    yield f"redis://127.0.0.1:{port}/0"
    server.terminate()
    server.communicate(timeout=SECONDS)


# FastStream 0.7.0 names itself to newer clients of Redis in a way that they warn of, and does not
# close the streams between its workers.
as_faststream_does = pytest.mark.filterwarnings(
    "ignore:Call to '__init__' function with deprecated usage:DeprecationWarning",
    "ignore:Unclosed <MemoryObject:ResourceWarning",
    "ignore:Exception ignored in.*MemoryObject:pytest.PytestUnraisableExceptionWarning",
)


@as_faststream_does
class TestFastStream(AdapterConformance):
    """A subscriber that gets its messages from Redis; who publishes waits for nothing."""

    adapter = "wares.faststream"
    framework = "faststream"
    given = (StreamMessage,)

    @pytest.fixture(autouse=True)
    def _connect(self, redis_url):
        self.url = redis_url
        yield
        # Within this test, which expects the warnings above.
        gc.collect()

    @contextlib.asynccontextmanager
    async def serve(self, registry, work):
        answer = ExceptionMiddleware({AnsweredError: lambda error: None})
        broker = RedisBroker(
            self.url, middlewares=[answer], graceful_timeout=SECONDS, logger=None
        )
        app = init_app(FastStream(broker), registry=registry)
        ends = []

        @broker.subscriber("work", max_workers=2)
        async def do(text: str):
            try:
                await work.arun(current_container())
            finally:
                ends.append(text)

        try:
            await app.start()
            yield broker, ends
        finally:
            await app.stop()

    async def perform(self, served):
        broker, ends = served
        count = len(ends)
        await broker.publish("please", "work")
        await self._mode.until(lambda: len(ends) > count)

    async def vanish(self, served, work):
        await served[0].publish("please", "work")
        await self._mode.until(lambda: work.has_begun)


@as_faststream_does
class TestFastStreamStreams:
    async def test_a_failed_commit(self, redis_url):
        """A message whose commit fails stays pending; one that is done is acknowledged."""
        journal = Journal()
        registry = Registry()
        registry.register_value(Journal, journal)

        async def open_failing(journal: Journal):
            yield Session(journal)
            journal.append("commit")
            if journal.count("commit") == 1:
                raise OSError("the database is gone")

        registry.register_factory(Session, open_failing)
        broker = RedisBroker(redis_url, graceful_timeout=SECONDS, logger=None)
        app = init_app(FastStream(broker), registry=registry)
        stream = StreamSub("orders", group="shop", consumer="one", last_id=">")

        @broker.subscriber(stream=stream)
        async def take(text: str, session: Inject[Session]):
            session.work(text)

        await app.start()
        try:
            await broker.publish("first", stream="orders")
            await until(lambda: "commit" in journal)
            await broker.publish("second", stream="orders")
            await until(lambda: journal.count("commit") == 2)
            connection = await broker.connect()

            async def count_pending():
                return (await connection.xpending("orders", "shop"))["pending"]

            async with asyncio.timeout(SECONDS):
                while await count_pending() != 1:
                    await asyncio.sleep(0.01)
        finally:
            await app.stop()

        assert ["first", "commit", "second", "commit"] == journal


@pytest.fixture
def _served_by_redis(redis_url, monkeypatch):
    monkeypatch.setenv("SHOP_BROKER", redis_url)


@pytest.mark.usefixtures("_served_by_redis")
class TestCelery(test_celery.TestWorkerProcesses):
    """Workers of Celery in processes of their own, over Redis."""


class TestTaskIQ:
    async def test_a_worker(self, redis_url, tmp_path, monkeypatch):
        """A worker process commits or rolls back each task, and closes its singletons."""
        journal = tmp_path / "journal"
        journal.touch()
        monkeypatch.setenv("SHOP_BROKER", redis_url)
        monkeypatch.setenv("SHOP_JOURNAL", str(journal))
        sys.modules.pop("tests.adapters.taskiq_shop", None)
        from tests.adapters import taskiq_shop as shop

        command = [
            sys.executable,
            "-m",
            "taskiq",
            "worker",
            "tests.adapters.taskiq_shop:broker",
        ]
        worker = await asyncio.create_subprocess_exec(
            *command, "--workers", "1", stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        await shop.broker.startup()
        try:
            for task in (shop.work, shop.work_in_thread):
                for number in range(4):
                    await task.kiq(number)
            async with asyncio.timeout(SECONDS):
                while len(journal.read_text().splitlines()) < 8:
                    await asyncio.sleep(0.05)
        finally:
            await shop.broker.shutdown()
            worker.send_signal(signal.SIGTERM)
            async with asyncio.timeout(SECONDS):
                output, _ = await worker.communicate()

        *ends, last = journal.read_text().splitlines()
        assert ["commit"] * 4 + ["rollback LookupError"] * 4 == sorted(ends), output
        assert "engine closed" == last
