"""Celery: what `AdapterConformance` does not say, with workers here and in other processes."""

import asyncio
import os
import signal
import subprocess
import sys
import threading
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated

import pydantic
import pytest
from celery import Celery, Task, chain, group, shared_task
from celery.app.task import Context
from celery.exceptions import Ignore, Reject

from tests.adapters.celery_worker import make_app, result_of, running
from tests.adapters.serving import Journal, Session, open_session_sync
from wares import (
    Depends,
    Inject,
    InvalidRegistrationError,
    InvalidRegistryError,
    NoContainerError,
    NoRegistryError,
    Registry,
    RegistryClosedError,
    ServiceNotFoundError,
    WaresError,
    current_container,
)
from wares._adapters.loops import Loops
from wares.celery import WaresTask, close_registry, get_registry, init_app, run

if TYPE_CHECKING:
    from decimal import Decimal as OnlyForTypes


class Connection:
    """A service that has to be awaited."""

    async def fetch(self):
        """Await something."""
        await asyncio.sleep(0)
        return "fetched"


async def open_connection(journal: Journal):
    """Open a connection, in whichever loop; it must be closed in the same."""
    loop = asyncio.get_running_loop()
    yield Connection()
    journal.append("same loop" if asyncio.get_running_loop() is loop else "another loop")


@pytest.fixture
def app(journal):
    """An application whose tasks run at once, where they are called."""
    app = init_app(make_app())
    app.conf.task_always_eager = True
    registry = get_registry(app)
    registry.register_value(Journal, journal)
    registry.register_factory(Session, open_session_sync)
    yield app
    close_registry(app)


class TestAsking:
    def test_without_a_decorator(self, app, journal):
        """A task asks by `Inject`; callers pass, and Celery checks, what remains."""

        @app.task(shared=False)
        def work(text: str, session: Inject[Session]):
            return session.work(text)

        assert "one" == work.delay("one").get()
        assert ["open", "one", "commit"] == journal
        with pytest.raises(TypeError):
            work.delay()

    def test_for_what_is_imported_for_type_checkers(self, app):
        """Annotations may name what only type checkers import, in synchronous tasks, too."""
        get_registry(app).register_value(Decimal, Decimal(5))

        @app.task(shared=False)
        def work(text: str, number: "Inject[OnlyForTypes]"):
            """Give both."""
            return f"{text} {number}"

        assert "number 5" == work.delay("number").get()

    def test_for_what_nobody_knows_yet(self, app, monkeypatch):
        """A name that is bound after the task was defined is found when the task runs."""

        @app.task(shared=False)
        def work(number: "Inject[Later]"):
            """Give it."""
            return number

        # Celery defines tasks as late as it can.
        app.finalize()

        class Later(int):
            """A service that is defined late."""

        monkeypatch.setattr(sys.modules[__name__], "Later", Later, raising=False)
        get_registry(app).register_value(Later, Later(5))

        assert 5 == work.delay().get()

    def test_in_a_bound_task(self, app, journal):
        """A bound task has itself as the first argument."""

        @app.task(bind=True, shared=False)
        def work(self, text: str, session: Inject[Session]):
            return session.work(
                f"{text} {self.name.rpartition('.')[2]} {self.request.is_eager}"
            )

        assert "one work True" == work.delay("one").get()
        with pytest.raises(TypeError):
            work.delay("one", "two")

    def test_in_a_class(self, app, journal):
        """A task that is a class asks in its method `run`."""

        class Work(app.Task):
            name = "work"

            def run(self, text: str, session: Inject[Session]):
                return session.work(text)

        work = app.register_task(Work())

        assert "one" == work.delay("one").get()
        assert ["open", "one", "commit"] == journal

    def test_by_a_base_of_ones_own(self, app):
        """A base class of the application's own remains one."""
        other = Celery("other", task_cls="tests.adapters.test_celery:OwnTask")
        registry = Registry()
        init_app(init_app(other), registry=registry)

        assert issubclass(other.Task, OwnTask)
        assert issubclass(other.Task, WaresTask)
        assert registry is get_registry(other)
        close_registry(other)

    def test_for_the_task_and_its_request(self, app):
        """Factories may need the task, and its request."""

        def describe(task: Task, request: Context) -> str:
            return f"{task.name.rpartition('.')[2]} {request.retries}"

        get_registry(app).register_factory(str, describe)

        @app.task(shared=False)
        def work(text: Inject[str]):
            return text

        assert "work 0" == work.delay().get()

    def test_for_what_has_to_be_awaited(self, app, journal):
        """A synchronous task has services that must be awaited, and closed in the same loop."""
        registry = get_registry(app)
        registry.register_factory(Connection, open_connection)

        @app.task(shared=False)
        def work(first: int, connection: Inject[Connection], *, second: int = 2):
            return f"{first} {second} {run(connection.fetch())}"

        assert "1 2 fetched" == work.delay(1).get()
        assert "1 3 fetched" == work.delay(1, second=3).get()
        assert ["same loop"] * 2 == journal

    def test_for_what_ends_with_the_function(self, app, journal):
        """A function-scoped service lives until the function of the task returns."""
        get_registry(app).register_factory(Connection, open_connection)

        @app.task(shared=False)
        def work(session: Annotated[Session, Depends(open_session_sync, scope="function")]):
            session.work()

        work.delay().get()

        assert ["open", "work", "commit"] == journal

    def test_in_an_asynchronous_task(self, app, journal):
        """An asynchronous task runs in the event loop of its thread."""
        get_registry(app).register_factory(Connection, open_connection)

        @app.task(shared=False)
        async def work(connection: Inject[Connection]):
            return await connection.fetch()

        assert "fetched" == work.delay().get()
        assert ["same loop"] == journal


class OwnTask(Task):
    """A base class of an application's own."""


class TestFailures:
    @pytest.mark.parametrize("error", [Ignore(), Reject(), LookupError()])
    def test_roll_back(self, app, journal, error):
        """Each exception that ends a task early rolls back."""

        @app.task(shared=False)
        def work(session: Inject[Session]):
            raise error

        with pytest.raises(type(error)):
            work()

        assert ["open", f"rollback {type(error).__name__}"] == journal

    @pytest.mark.parametrize("kind", ["synchronous", "asynchronous"])
    def test_that_are_retried(self, app, journal, kind):
        """Each attempt has a container; one that is tried again rolls back."""

        @app.task(bind=True, shared=False, autoretry_for=[LookupError], default_retry_delay=0)
        def work(self, session: Inject[Session]):
            if self.request.retries == 0:
                raise LookupError
            return session.work()

        @app.task(shared=False, bind=True, autoretry_for=[LookupError], default_retry_delay=0)
        async def awork(self, session: Inject[Session]):
            if self.request.retries == 0:
                raise LookupError
            return session.work()

        (work if kind == "synchronous" else awork).delay().get()

        assert sorted(["open", "open", "work", "commit", "rollback Retry"]) == sorted(journal)

    def test_in_a_worker(self, app, journal):
        """A worker stores the exception of a task that has rolled back."""
        app.conf.task_always_eager = False

        @app.task(shared=False)
        def work(session: Inject[Session]):
            raise LookupError("no such book")

        with running(app, pool="solo"):
            error = result_of(work)

        assert isinstance(error, LookupError)
        assert ["open", "rollback LookupError"] == journal

    def test_of_wares_in_a_worker(self, app):
        """The caller sees an error of wares as a `WaresError` with its message and the path."""
        init_app(app, validate=False)
        app.conf.task_always_eager = False
        get_registry(app).register_factory(Broken, Broken)

        @app.task(shared=False)
        def work():
            return current_container().get(Broken)

        with running(app, pool="solo"):
            error = result_of(work)

        assert WaresError is type(error)
        assert "ServiceNotFoundError: Nothing is registered for complex." in str(error)
        assert "It was needed on this path:\n  Broken (scoped)" in str(error)

    def test_of_wares_in_a_worker_for_the_cleanups(self, app, journal):
        """The cleanups see the error itself."""
        app.conf.task_always_eager = False

        @app.task(shared=False)
        def work(session: Inject[Session]):
            current_container().get(complex)

        with running(app, pool="solo"):
            result_of(work)

        assert ["open", "rollback ServiceNotFoundError"] == journal

    def test_of_wares_eagerly(self, app):
        """An eager task raises the error itself, where it is called."""

        @app.task(shared=False)
        def work():
            current_container().get(complex)

        with pytest.raises(ServiceNotFoundError):
            work.delay().get()
        with pytest.raises(ServiceNotFoundError):
            work()


class TestNesting:
    def test_tasks_within_tasks(self, app, journal):
        """A task that is run, or called, within another has a container of its own."""
        seen = []

        @app.task(shared=False)
        def inner(session: Inject[Session]):
            seen.append(current_container())
            session.work("inner")

        @app.task(shared=False)
        def outer(session: Inject[Session]):
            inner.delay().get(disable_sync_subtasks=False)
            inner()
            seen.append(current_container())
            session.work("outer")

        outer.delay().get()

        assert 3 == len(set(map(id, seen)))
        inside = ["open", "inner", "commit"]
        assert ["open", *inside, *inside, "outer", "commit"] == journal


class TestLoops:
    def test_are_one_for_each_thread(self):
        """Each thread has an event loop, which lasts until all are closed."""
        loops = Loops()
        seen = []

        async def look():
            seen.append(asyncio.get_running_loop())

        loops.run(look())
        loops.run(look())
        thread = threading.Thread(target=lambda: loops.run(look()))
        thread.start()
        thread.join()
        loops.close()

        assert seen[0] is seen[1]
        assert seen[0] is not seen[2]
        assert all(loop.is_closed() for loop in seen)

    def test_cancel_what_a_signal_interrupts(self):
        """An exception from a signal handler, such as a time limit, cancels the coroutine."""
        loops = Loops()
        seen = []

        class TimeLimitError(Exception):
            pass

        def interrupt(*_):
            raise TimeLimitError

        async def wait():
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                seen.append("cancelled")
                raise

        before = signal.signal(signal.SIGALRM, interrupt)
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        try:
            with pytest.raises(TimeLimitError):
                loops.run(wait())
        finally:
            signal.signal(signal.SIGALRM, before)
            loops.close()

        assert ["cancelled"] == seen

    def test_do_not_survive_a_fork(self, monkeypatch):
        """A child process has loops of its own."""
        loops = Loops()

        async def look():
            return asyncio.get_running_loop()

        first = loops.run(look())
        runners = loops._runners
        monkeypatch.setattr("os.getpid", lambda: -1)
        second = loops.run(look())
        loops.close()
        for runner in runners:
            runner.close()

        assert first is not second


class TestEnds:
    def test_closing(self, app, journal):
        """An application's registry is closed by hand where no worker does it."""
        registry = get_registry(app)
        registry.register_factory(Connection, open_connection, lifetime="singleton")

        @app.task(shared=False)
        def work(connection: Inject[Connection]):
            """Have a connection."""

        work.delay()
        close_registry(app)

        assert ["same loop"] == journal
        with pytest.raises(RegistryClosedError):
            get_registry(app).container()

    def test_without_a_registry(self):
        """An application that was not initialised says how to do that."""
        with pytest.raises(NoRegistryError, match="init_app"):
            get_registry(Celery("other"))

    def test_of_another_application(self, app):
        """The worker of another application starts without a check of this one."""
        other = make_app()
        get_registry(app).register_factory(bytes, Broken)

        with running(other, pool="solo"):
            pass

    def test_that_come_early(self, app):
        """A worker in this process does not start on a registry that cannot work, either."""
        get_registry(app).register_factory(bytes, Broken)

        with pytest.raises(SystemExit, match="complex"), running(app, pool="solo"):
            pass

    def test_without_validation(self):
        """With `validate=False`, a worker starts despite mistakes."""
        app = init_app(make_app(), validate=False)
        get_registry(app).register_factory(bytes, Broken)

        with running(app, pool="solo"):
            pass
        close_registry(app)


class Broken:
    """A service that cannot be made."""

    def __init__(self, number: complex) -> None:
        self.number = number


class TestWorkerProcesses:
    """A worker as it is run, with processes of its own and a queue of files."""

    @pytest.fixture
    def shop(self, tmp_path, monkeypatch):
        """The application, for callers in this process."""
        monkeypatch.setenv("SHOP_FOLDER", str(tmp_path))
        sys.modules.pop("tests.adapters.celery_shop", None)
        import tests.adapters.celery_shop as shop

        yield shop
        close_registry(shop.app)

    def start(self, **environment):
        command = [sys.executable, "-m", "celery", "-A", "tests.adapters.celery_shop", "worker"]
        options = ["--pool", "prefork", "--concurrency", "2", "--without-mingle"]
        return subprocess.Popen(
            [*command, *options, "--without-gossip", "--without-heartbeat"],
            env={**os.environ, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def test_have_singletons_of_their_own(self, shop, tmp_path):
        """Each process makes its singletons, and closes them when the worker stops."""
        # The worker starts afterwards, because it may read a file before its writer has finished.
        done = [shop.work.delay() for _ in range(8)]
        failed = shop.work.delay(fail=True)
        stopped = shop.sleep.delay()
        worker = self.start()
        try:
            processes = {result.get(timeout=60) for result in done}
            with pytest.raises(LookupError):
                failed.get(timeout=60)
            with pytest.raises(Exception, match="SoftTimeLimitExceeded"):
                stopped.get(timeout=60)
        finally:
            worker.send_signal(signal.SIGTERM)
            output, _ = worker.communicate(timeout=60)

        lines = (tmp_path / "journal").read_text().splitlines()
        journal = [line.split(" ", 1)[1] for line in lines]
        opened = {line.split()[0] for line in lines if line.endswith("engine open")}
        closed = {line.split()[0] for line in lines if line.endswith("engine closed")}
        assert processes <= {int(process) for process in opened}, output
        assert opened == closed
        assert str(worker.pid) not in opened
        assert 8 == journal.count("commit")
        assert 1 == journal.count("rollback LookupError")
        assert 2 == sum(line.startswith("rollback") for line in journal), journal

    def test_do_not_start_on_a_registry_that_cannot_work(self, shop):
        """A worker whose registry cannot work says why, and ends."""
        worker = self.start(SHOP_IS_BROKEN="1")
        output, _ = worker.communicate(timeout=60)

        assert "The worker does not start, because its registry has 1 problem" in output
        assert 0 != worker.returncode


class TestEdgeCases:
    def test_chains_and_groups(self, app, journal):
        """Each task of a chain or a group has a container of its own."""

        @app.task(shared=False)
        def work(text: str, session: Inject[Session]):
            return session.work(text.upper())

        chain(work.s("a"), work.s())().get(disable_sync_subtasks=False)
        group(work.s("b"), work.s("c"))().get()

        assert [["open", text, "commit"] for text in "AABC"] == [
            journal[start : start + 3] for start in range(0, 12, 3)
        ]

    def test_the_hooks_of_a_task(self, app):
        """The functions that Celery calls before and after a task have no container."""
        seen = []

        class Work(app.Task):
            name = "work"

            def run(self, session: Inject[Session]):
                session.work()

            def before_start(self, *_):
                seen.append(find_container())

            def on_success(self, *_):
                seen.append(find_container())

            def after_return(self, *_):
                seen.append(find_container())

        app.register_task(Work()).delay()

        assert [None, None, None] == seen

    @pytest.mark.parametrize("scope", ["request", "function"])
    def test_a_failed_commit(self, app, scope):
        """A failed commit fails the task; only a function-scoped one is retried."""
        attempts = []

        def fail_once():
            yield 1.0
            attempts.append(1)
            if len(attempts) == 1:
                raise LookupError("the commit failed")

        get_registry(app).register_factory(float, fail_once)

        @app.task(shared=False, autoretry_for=[LookupError], default_retry_delay=0)
        def work(number: Annotated[float, Depends(float, scope=scope)]):
            return number

        if scope == "function":
            assert work.delay().get() == 1.0
        else:
            with pytest.raises(LookupError, match="the commit failed"):
                work.delay().get()

        assert (2 if scope == "function" else 1) == len(attempts)

    def test_a_thread_that_a_task_starts(self, app):
        """A thread of the task's own has no container."""
        seen = []

        @app.task(shared=False)
        def work(session: Inject[Session]):
            thread = threading.Thread(target=lambda: seen.append(find_container()))
            thread.start()
            thread.join()

        work.delay()

        assert [None] == seen

    def test_tasks_of_no_application(self, app, journal, monkeypatch):
        """`shared_task` works as `app.task` does."""
        # Otherwise the task would be one of all later applications, too.
        monkeypatch.setattr("celery._state._on_app_finalizers", set())

        @shared_task(name="test_tasks_of_no_application")
        def work(session: Inject[Session]):
            session.work()

        app.tasks["test_tasks_of_no_application"].delay()

        assert ["open", "work", "commit"] == journal

    def test_arguments_that_pydantic_reads(self, app, journal):
        """Celery's `pydantic=True` reads the other arguments."""

        @app.task(shared=False, pydantic=True)
        def work(book: Book, session: Inject[Session]) -> Book:
            return Book(title=session.work(book.title.upper()))

        assert {"title": "EMMA"} == work.delay({"title": "emma"}).get()
        assert ["open", "EMMA", "commit"] == journal

    def test_a_service_as_an_argument(self, app):
        """`delay` refuses an argument for a service; `apply` lets an explicit argument win."""

        @app.task(shared=False)
        def work(session: Inject[Session]):
            return session

        with pytest.raises(TypeError, match="session"):
            work.delay(session="theirs")
        assert "theirs" == work.apply(kwargs={"session": "theirs"}).get()

    def test_a_task_that_was_made_before(self):
        """An application whose tasks were made as Celery's own cannot be initialised any more."""
        app = make_app()

        @app.task(shared=False)
        def work(session: Inject[Session]):
            """Never be reached."""

        app.finalize()
        with pytest.raises(InvalidRegistryError) as caught:
            init_app(app)

        assert "Call init_app before the first task" in str(caught.value)

    def test_a_base_class_that_is_none_of_ours(self, app):
        """A worker does not start if the base class of a task keeps it from being served."""

        @app.task(shared=False, base=Task)
        def work(session: Inject[Session]):
            """Never be reached."""

        @app.task(shared=False, base=Task)
        def ignore(session: "Later"):  # noqa: F821  # nobody knows what it is
            """Never be reached."""

        with (
            pytest.raises(SystemExit, match=r"1 problem\n.*work.*derive that from wares"),
            running(app, pool="solo"),
        ):
            pass

    def test_an_application_that_is_initialised_twice(self, app):
        """An application that is initialised again keeps its registry, unless it is closed."""
        registry = get_registry(app)

        assert registry is get_registry(init_app(app))
        close_registry(app)
        assert registry is not get_registry(init_app(app))

    def test_an_application_whose_registry_is_closed(self, app):
        """A worker does not start on a registry that was closed."""
        close_registry(app)

        with pytest.raises(SystemExit, match="initialise this one again"), running(app):
            pass

    def test_what_is_no_application(self):
        """Nothing but an application can be initialised; the error says so."""
        with pytest.raises(InvalidRegistrationError, match="a Celery application, not a str"):
            init_app("x")

    async def test_in_an_event_loop(self, app, journal):
        """In an async test, tasks run eagerly if they and their services are synchronous."""

        @app.task(shared=False)
        def work(session: Inject[Session]):
            return session.work()

        @app.task(shared=False)
        async def awork():
            """Never be reached."""

        assert "work" == work.delay().get()
        with pytest.raises(RuntimeError, match="another event loop"):
            awork.delay().get()


class Book(pydantic.BaseModel):
    """An argument."""

    title: str


def find_container():
    """Find the current container, if there is one."""
    try:
        return current_container()
    except NoContainerError:
        return None
