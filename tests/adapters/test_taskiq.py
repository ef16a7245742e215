"""TaskIQ: what `AdapterConformance` does not say, on the broker that runs in memory."""

import asyncio
from collections import Counter
from typing import Annotated

import pytest
from taskiq import (
    AsyncBroker,
    Context,
    InMemoryBroker,
    SimpleRetryMiddleware,
    TaskiqDepends,
    TaskiqMessage,
    TaskiqMiddleware,
    TaskiqResult,
    async_shared_broker,
)
from taskiq.api import run_receiver_task
from taskiq.brokers.inmemory_broker import InmemoryResultBackend

from tests.adapters.serving import Journal, Session, open_session, until
from wares import (
    AsyncServiceError,
    Inject,
    InvalidRegistrationError,
    InvalidRegistryError,
    NoContainerError,
    NoRegistryError,
    RegistryClosedError,
    WaresError,
    current_container,
    inject,
)
from wares.taskiq import aclose_registry, get_registry, init_broker


@pytest.fixture
async def broker(journal):
    """A broker whose tasks run in memory."""
    broker = init_broker(InMemoryBroker())
    registry = get_registry(broker)
    registry.register_value(Journal, journal)
    registry.register_factory(Session, open_session)
    yield broker
    await broker.shutdown()


async def result_of(task, *args, **kwargs):
    """Have a task run; give what comes of it."""
    return await (await task.kiq(*args, **kwargs)).wait_result(timeout=10)


class TestAsking:
    async def test_without_a_decorator(self, broker, journal):
        """A task asks by `Inject`; the other parameters are cast and passed by TaskIQ."""

        @broker.task
        async def work(number: int, session: Inject[Session]) -> str:
            return session.work(str(number + 1))

        await broker.startup()

        assert "2" == (await result_of(work, 1)).return_value
        assert "3" == (await result_of(work, number=2)).return_value
        assert ["open", "2", "commit", "open", "3", "commit"] == journal

    async def test_beside_what_taskiq_has(self, broker, journal):
        """`TaskiqDepends` is TaskIQ's, in both notations, and sees the current container."""

        async def look(context: Annotated[Context, TaskiqDepends()]) -> str:
            (await current_container().aget(Session)).work("depend")
            return context.message.task_name

        @broker.task("work")
        async def work(
            session: Inject[Session],
            first: Annotated[str, TaskiqDepends(look)],
            second: str = TaskiqDepends(look),
        ) -> str:
            return session.work(f"{first} {second}")

        assert "work work" == (await result_of(work)).return_value
        assert ["open", "depend", "work work", "commit"] == journal

    async def test_in_a_synchronous_task(self, broker):
        """A synchronous task, which runs in a thread, has the same container."""
        get_registry(broker).register_value(int, 3)

        @broker.task
        def work(number: Inject[int]) -> bool:
            return current_container().get(int) is number

        assert (await result_of(work)).return_value is True

    async def test_for_the_message(self, broker):
        """Factories may need the message."""

        def describe(message: TaskiqMessage) -> str:
            return message.task_name

        get_registry(broker).register_factory(str, describe)

        @broker.task("work")
        async def work(text: Inject[str]) -> str:
            return text

        assert "work" == (await result_of(work)).return_value


class TestFailures:
    async def test_are_the_result(self, broker, journal):
        """The exception of a task is its result, and rolls back before the result is saved."""

        @broker.task
        async def work(session: Inject[Session]):
            raise LookupError("no such book")

        result = await result_of(work)

        assert result.is_err
        assert ["open", "rollback LookupError"] == journal

    async def test_of_the_commit(self, broker, journal):
        """If closing fails, that is the result."""

        async def fail_at_the_end():
            yield 1.0
            raise LookupError("the commit failed")

        get_registry(broker).register_factory(float, fail_at_the_end)

        @broker.task
        async def work(number: Inject[float]) -> float:
            return number

        result = await result_of(work)

        assert result.is_err
        assert result.return_value is None

    async def test_requeuing_is_none(self, broker, journal):
        """A task that is requeued commits, and runs again."""
        runs = []

        @broker.task
        async def work(
            session: Inject[Session], context: Annotated[Context, TaskiqDepends()]
        ) -> None:
            runs.append(session.work(f"run {len(runs)}"))
            if len(runs) == 1:
                await context.requeue()

        await result_of(work)

        assert ["open", "run 0", "commit"] == journal[:3]


class TestNesting:
    async def test_tasks_within_tasks(self, journal):
        """A task that runs in place within another has a container of its own."""
        broker = init_broker(InMemoryBroker(await_inplace=True))
        registry = get_registry(broker)
        registry.register_value(Journal, journal)
        registry.register_factory(Session, open_session)

        @broker.task
        async def inner(session: Inject[Session]) -> None:
            session.work("inner")

        @broker.task
        async def outer(session: Inject[Session]) -> None:
            await inner.kiq()
            (await current_container().aget(Session)).work("outer")

        await result_of(outer)
        await broker.shutdown()

        assert ["open", "open", "inner", "commit", "outer", "commit"] == journal

    async def test_other_middlewares_are_inside(self, broker, journal):
        """Other middlewares find the container before and after the task."""

        class Watch(TaskiqMiddleware):
            async def pre_execute(self, message):
                (await current_container().aget(Session)).work("before")
                return message

            async def post_execute(self, message, result):
                (await current_container().aget(Session)).work("after")

        broker.add_middlewares(Watch())

        @broker.task
        async def work(session: Inject[Session]) -> None:
            session.work()

        await result_of(work)

        assert ["open", "before", "work", "after", "commit"] == journal

    async def test_a_task_that_is_not_known_any_more(self, broker, journal):
        """A middleware may run for a task that the broker does not find."""
        middleware = broker.middlewares[0]
        message = TaskiqMessage(task_id="1", task_name="unknown", labels={}, args=[], kwargs={})

        middleware.pre_execute(message)
        (await current_container().aget(Session)).work()
        result = TaskiqResult(is_err=False, return_value=None, execution_time=0)
        await middleware.post_execute(message, result)

        assert ["open", "work", "commit"] == journal


class QueueBroker(AsyncBroker):
    """A broker whose messages a receiver takes, as a worker process does."""

    def __init__(self):
        super().__init__()
        self.queue = asyncio.Queue()

    async def kick(self, message):
        await self.queue.put(message.message)

    async def listen(self):
        while True:
            yield await self.queue.get()


class TestWorkers:
    async def test_read_tasks_before_they_start(self, journal):
        """A worker, which reads tasks before its start, takes no service for a dependency."""
        import fastapi  # noqa: F401  # whose markers TaskIQ understands, and ours are among them

        broker = init_broker(QueueBroker())
        get_registry(broker).register_value(Journal, journal)
        get_registry(broker).register_factory(Session, open_session)

        @broker.task
        async def work(number: int, session: Inject[Session]) -> None:
            session.work(str(number))

        await broker.startup()
        worker = asyncio.create_task(run_receiver_task(broker))
        await work.kiq(1)
        await work.kiq(number=2)
        await until(lambda: len(journal) == 6)
        worker.cancel()
        await asyncio.wait({worker})
        await broker.shutdown()

        assert {"open": 2, "1": 1, "2": 1, "commit": 2} == Counter(journal)

    async def test_store_errors_of_wares_with_their_message(self):
        """A result, which carries the arguments of an exception, has the message and the path."""
        results = InmemoryResultBackend()
        broker = init_broker(QueueBroker().with_result_backend(results), validate=False)
        get_registry(broker).register_factory(Needy, Needy)

        @broker.task
        async def work() -> None:
            await current_container().aget(Needy)

        await broker.startup()
        worker = asyncio.create_task(run_receiver_task(broker))
        error = (await result_of(work)).error
        worker.cancel()
        await asyncio.wait({worker})
        await broker.shutdown()

        assert WaresError is type(error)
        assert "ServiceNotFoundError: Nothing is registered for complex." in str(error)
        assert "It was needed on this path:\n  Needy (scoped)" in str(error)


class Needy:
    """A service that cannot be made."""

    def __init__(self, number: complex) -> None:
        self.number = number


class TestStart:
    @pytest.mark.parametrize("validate", [True, False])
    async def test_validates_what_tasks_ask_for(self, validate):
        """A worker does not start if a task lacks a service, unless `validate` is false."""
        broker = init_broker(InMemoryBroker(), validate=validate)

        @broker.task
        async def work(missing: Inject[complex]) -> None:
            """Never be reached."""

        if validate:
            with pytest.raises(InvalidRegistryError):
                await broker.startup()
        else:
            await broker.startup()
        await broker.shutdown()

    async def test_closing_by_hand(self, broker):
        """A registry can be closed early."""
        await aclose_registry(broker)

        with pytest.raises(RegistryClosedError):
            get_registry(broker).container()

    def test_without_a_registry(self):
        """A broker that was not initialised says how to do that."""
        with pytest.raises(NoRegistryError, match="init_broker"):
            get_registry(InMemoryBroker())


class TestEdgeCases:
    async def test_retries(self, broker, journal):
        """An attempt that is tried again rolls back; the next one has a container of its own."""
        broker.add_middlewares(SimpleRetryMiddleware())
        attempts = []

        @broker.task(retry_on_error=True)
        async def work(session: Inject[Session]) -> None:
            attempts.append(session.work(f"attempt {len(attempts)}"))
            if len(attempts) == 1:
                raise LookupError

        await result_of(work)
        await until(lambda: len(journal) == 6)

        assert ["open", "attempt 0", "rollback LookupError"] == journal[:3]
        assert ["open", "attempt 1", "commit"] == journal[3:]

    async def test_a_timeout(self, broker, journal):
        """A task that takes longer than its label `timeout` rolls back."""

        @broker.task(timeout=0.01)
        async def work(session: Inject[Session]) -> None:
            session.work()
            await asyncio.sleep(10)

        assert (await result_of(work)).is_err
        assert ["open", "work", "rollback TimeoutError"] == journal

    async def test_an_asynchronous_service_in_a_synchronous_task(self, broker):
        """A task that runs in a thread cannot await its services."""

        @broker.task
        def work(session: Inject[Session]) -> None:
            """Never be reached."""

        error = (await result_of(work)).error

        assert isinstance(error, AsyncServiceError)
        assert "Write `async def work`, or make" in str(error)

    async def test_calling_a_task(self, broker):
        """A task that is called, and not sent, uses the current container."""

        @broker.task
        async def work(session: Inject[Session]) -> str:
            return session.work()

        await broker.startup()
        with pytest.raises(NoContainerError):
            await work()
        async with get_registry(broker).container() as container:
            with container.activate():
                assert "work" == await work()

    async def test_a_dependency_of_taskiq_asks(self, broker, journal):
        """A function for `TaskiqDepends` asks by `inject`."""

        @inject
        async def depend(session: Inject[Session]) -> str:
            return session.work("depend")

        @broker.task
        async def work(found: Annotated[str, TaskiqDepends(depend)]) -> str:
            return found

        assert "depend" == (await result_of(work)).return_value
        assert ["open", "depend", "commit"] == journal

    async def test_a_service_as_an_argument(self, broker):
        """An explicit argument wins, also one of a message."""

        @broker.task
        async def work(session: Inject[Session]) -> str:
            return session

        assert "theirs" == (await result_of(work, session="theirs")).return_value

    async def test_tasks_of_no_broker(self, broker, journal):
        """A task of `async_shared_broker` works like those of the broker."""

        @async_shared_broker.task("test_tasks_of_no_broker")
        async def work(session: Inject[Session]) -> None:
            session.work()

        async_shared_broker.default_broker(broker)
        try:
            await result_of(work)
        finally:
            async_shared_broker.global_task_registry.pop("test_tasks_of_no_broker")

        assert ["open", "work", "commit"] == journal

    async def test_what_runs_after_the_result_is_saved(self, broker, journal):
        """A middleware's `post_save` runs after the services have ended."""

        class Watch(TaskiqMiddleware):
            async def post_save(self, message, result):
                with pytest.raises(NoContainerError):
                    current_container()
                journal.append("saved")

        broker.add_middlewares(Watch())

        @broker.task
        async def work(session: Inject[Session]) -> None:
            session.work()

        await result_of(work)
        await until(lambda: "saved" in journal)

        assert ["open", "work", "commit", "saved"] == journal

    async def test_a_broker_that_is_started_twice(self, broker):
        """A broker's shutdown closes the registry; the next start says so."""

        @broker.task
        async def work(session: Inject[Session]) -> None:
            """Never be reached."""

        await broker.startup()
        await broker.shutdown()
        with pytest.raises(RegistryClosedError, match="initialise this one again"):
            await broker.startup()

    async def test_a_broker_that_is_initialised_for_each_start(self):
        """A broker that has been shut down is initialised again, and has a new registry."""
        broker = InMemoryBroker()
        results = []

        @broker.task
        async def work(number: Inject[int]) -> int:
            return number

        for number in (1, 2):
            get_registry(init_broker(broker)).register_value(int, number)
            await broker.startup()
            results.append((await result_of(work)).return_value)
            await broker.shutdown()

        assert [1, 2] == results

    async def test_a_broker_that_is_initialised_twice(self, broker, journal):
        """A broker that is initialised again keeps its registry, and one container a task."""

        @broker.task
        async def work(session: Inject[Session]) -> None:
            session.work("one")

        init_broker(broker)
        await broker.startup()
        await result_of(work)

        assert ["open", "one", "commit"] == journal

    async def test_a_broker_that_was_not_initialised(self):
        """A task whose broker has no registry says what to do."""
        broker = InMemoryBroker()

        @broker.task
        async def work(session: Inject[Session]) -> None:
            """Never be reached."""

        error = (await result_of(work)).error

        assert isinstance(error, NoContainerError)
        assert "wares.taskiq.init_broker(broker)" in str(error)

    def test_what_is_no_broker(self):
        """Nothing but a broker of TaskIQ can be initialised; the error says so."""
        with pytest.raises(
            InvalidRegistrationError, match="takes a broker of TaskIQ, not a str"
        ):
            init_broker("x")
