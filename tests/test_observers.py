"""Observers of services that are made and cleaned up: `Registry.observe`."""

import asyncio
import inspect
import logging
import os
import subprocess
import sys
import typing
from pathlib import Path

import pytest

from tests.support.services import Cache, Database, Mailer, Repository, Session, Shop
from tests.support.ways import use
from wares import (
    Depends,
    InvalidRegistrationError,
    PendingAsyncCleanupError,
    Registry,
)
from wares.observers import LogObserver, Observer


class Boom(Exception):
    """The exception that a factory raises."""


class Journal:
    """An observer that writes all down."""

    def __init__(self):
        self.entries = []
        self.durations = []

    def making(self, key, lifetime):
        self.entries.append(("making", key, lifetime))

    def made(self, key, lifetime, duration):
        self.entries.append(("made", key, lifetime))
        self.durations.append(duration)

    def failed(self, key, lifetime, duration, error):
        self.entries.append(("failed", key, type(error)))
        self.durations.append(duration)

    def closing(self, key, lifetime):
        self.entries.append(("closing", key, lifetime))

    def closed(self, key, lifetime, duration):
        self.entries.append(("closed", key, lifetime))
        self.durations.append(duration)


@pytest.fixture
def journal(registry):
    """A journal that observes the test's registry."""
    journal = Journal()
    registry.observe(journal)
    return journal


def make_session():
    yield 1


async def make_cache():
    yield 2


async def test_making_and_closing(way, registry, journal):
    """An observer hears of each service that is made and cleaned up."""
    registry.register_factory(Session, make_session)
    registry.register_factory(Repository, Repository)
    registry.register_factory(Database, Database, lifetime="singleton")
    container = registry.container()
    await way.get(container, Session, Repository)
    await way.close(container)
    await way.close(registry)

    assert [
        ("making", Session, "scoped"),
        ("made", Session, "scoped"),
        ("making", Database, "singleton"),
        ("made", Database, "singleton"),
        ("making", Repository, "scoped"),
        ("made", Repository, "scoped"),
        ("closing", Session, "scoped"),
        ("closed", Session, "scoped"),
    ] == journal.entries


async def test_observing_that_begins_and_ends(way, registry):
    """Observing begins with the next service, though it was made before; and it ends."""
    registry.register_factory(Session, make_session)
    await use(way, registry, 1, Session)
    journal = Journal()
    stop = registry.observe(journal)
    container = registry.container()
    await way.get(container, Session)
    await way.close(container)
    stop()
    told = len(journal.entries)
    await use(way, registry, 1, Session)

    assert ("closed", Session, "scoped") == journal.entries[-1]
    assert told == len(journal.entries)


async def test_asynchronous_services(registry, journal):
    """Asynchronous making and cleaning up is observed, and a synchronous close still refused."""
    registry.register_factory(Cache, make_cache)
    container = registry.container()
    await container.aget(Cache)
    with pytest.raises(PendingAsyncCleanupError):
        container.close()
    await container.aclose()

    assert ["making", "made", "closing", "closed"] == [entry[0] for entry in journal.entries]


async def test_durations(registry, journal):
    """Durations are in seconds, and leave out the services that the signature needs."""

    async def make_database():
        await asyncio.sleep(0.05)
        yield 1
        await asyncio.sleep(0.05)

    def make_shop(database: Database):
        return 1

    registry.register_factory(Database, make_database)
    registry.register_factory(Shop, make_shop)
    async with registry.container() as container:
        await container.aget(Shop)

    made_database, made_shop, closed_database = journal.durations
    assert 0.04 < made_database < 1
    assert made_shop < 0.04
    assert 0.04 < closed_database < 1


async def test_failures(way, registry, journal):
    """A factory that fails is observed, with its error."""

    def fail():
        raise Boom

    registry.register_factory(Database, fail)
    with pytest.raises(Boom):
        await way.get(registry.container(), Database)

    assert [("making", Database, "scoped"), ("failed", Database, Boom)] == journal.entries


async def test_a_failing_cleanup(way, registry, journal):
    """A cleanup that fails has ended as well."""

    def make():
        yield 1
        raise Boom

    async def make_awaited():
        yield 1
        raise Boom

    registry.register_factory(Database, make_awaited if way.is_async else make)
    container = registry.container()
    await way.get(container, Database)
    with pytest.raises(Boom):
        await way.close(container)

    assert ("closed", Database, "scoped") == journal.entries[-1]


def test_values_are_not_made(registry, container, journal):
    """An observer does not hear of values, nor of services made before."""
    registry.register_value(Database, 1)
    registry.register_factory(Cache, Cache)
    container.get(Database, Cache, Cache)

    assert {Cache} == {entry[1] for entry in journal.entries}


def test_dependencies(registry, container, journal):
    """Callables that markers name are observed as services are."""

    def find_user():
        return "user"

    def make(user: typing.Annotated[str, Depends(find_user)]):
        return user

    registry.register_factory(Mailer, make)
    container.get(Mailer)

    assert ["made", "made"] == [entry[0] for entry in journal.entries if entry[0] == "made"]


def test_what_a_call_needs_is_no_service(registry, journal):
    """An observer does not hear of an injected call, only of the services made for it."""
    from wares import Inject, inject

    @inject(registry=registry)
    def call(database: Inject[Database]):
        return database

    registry.register_factory(Database, Database)
    call()

    assert {Database} == {entry[1] for entry in journal.entries}


def test_some_methods_are_enough(registry):
    """An observer has the methods that it cares for; there may be several observers."""

    class Counter:
        count = 0

        def made(self, key, lifetime, duration):
            self.count += 1

    counters = Counter(), Counter()
    for counter in counters:
        registry.observe(counter)
    registry.observe(Observer())
    registry.register_factory(Session, make_session)
    with registry.container() as container:
        container.get(Session)

    assert [1, 1] == [counter.count for counter in counters]


def test_a_failing_service_tells_the_base(registry):
    """The methods of the base class for observers do nothing."""

    def fail():
        raise Boom

    registry.observe(Observer())
    registry.register_factory(Database, fail)

    with pytest.raises(Boom):
        registry.container().get(Database)


def test_an_observer_that_fails(registry, container, caplog):
    """An exception in an observer is logged, and has no other effect."""

    class Broken:
        def made(self, key, lifetime, duration):
            raise Boom

    registry.observe(Broken())
    registry.register_factory(Database, Database)
    caplog.clear()
    service = container.get(Database)

    assert Database is type(service)
    assert [Boom] == [record.exc_info[0] for record in caplog.records]


def test_something_that_observes_nothing(registry):
    """An object without any of the methods is a mistake."""
    with pytest.raises(InvalidRegistrationError) as caught:
        registry.observe(object())

    assert "object observes nothing" in str(caught.value)
    assert "making, made, failed, closing, closed" in str(caught.value)


class TestLog:
    """`LogObserver`."""

    def test_what_it_says(self, registry, caplog):
        """`LogObserver` logs each event at level DEBUG, with fields, and never a service."""

        def make():
            yield "hunter2"

        def fail():
            raise Boom("hunter2")

        registry.observe(LogObserver())
        registry.register_factory(Database, make)
        registry.register_factory(Cache, fail)
        caplog.set_level(logging.DEBUG, "wares")
        caplog.clear()
        with registry.container() as container:
            container.get(Database)
            with pytest.raises(Boom):
                container.get(Cache)

        assert [
            "Making Database.",
            "Made Database.",
            "Making Cache.",
            "Making Cache failed with Boom.",
            "Cleaning up Database.",
            "Cleaned up Database.",
        ] == [record.getMessage() for record in caplog.records]
        assert {("Database", "scoped"), ("Cache", "scoped")} == {
            (record.wares_service_name, record.wares_lifetime) for record in caplog.records
        }
        assert 3 == sum(hasattr(record, "wares_duration") for record in caplog.records)
        assert "hunter2" not in caplog.text

    def test_a_logger_of_ones_own(self, registry, caplog):
        """`LogObserver` logs to the given logger, as far as its level allows."""
        caplog.set_level(logging.INFO, "quiet")
        caplog.set_level(logging.DEBUG, "shop")
        registry.observe(LogObserver(logging.getLogger("shop")))
        registry.observe(LogObserver(logging.getLogger("quiet")))
        registry.register_factory(Database, Database)
        caplog.clear()
        with registry.container() as container:
            container.get(Database)

        assert {"shop"} == {record.name for record in caplog.records}


class TestLogOfRegistrations:
    """The messages of the registry itself, at level `DEBUG`."""

    async def test_registering(self, registry, container, caplog):
        """Each registration is logged, with its names in the record's fields."""
        with caplog.at_level(logging.DEBUG, "wares"):
            registry.register_factory(Database, Database, lifetime="singleton")
            registry.register_value(Cache, "secret")
            container.register_local_factory(Mailer, Mailer)
            with registry.override_value(Session, "secret"):
                container.get(Session)

        assert ["Database", "Cache", "Mailer", "Session"] == [
            record.wares_service_name for record in caplog.records
        ]
        assert "singleton" == caplog.records[0].wares_lifetime
        assert "Database (services.py:" in caplog.records[0].wares_factory_name.replace(
            str(Path(inspect.getfile(Database)).parent) + os.sep, ""
        )
        assert "Registered a value for Cache." == caplog.records[1].getMessage()

    def test_values_stay_secret(self, registry, caplog):
        """No record holds a registered value, as it may be a password."""
        with caplog.at_level(logging.DEBUG, "wares"):
            registry.register_value(Cache, "secret")

        assert "secret" not in str(vars(caplog.records[0]))

    async def test_closing(self, way, registry, caplog):
        """The callbacks that run as the registry closes are logged."""
        registry.register_value(Cache, 1, on_registry_close=list)
        caplog.clear()

        with caplog.at_level(logging.DEBUG, "wares"):
            await way.close(registry)

        assert ["Calling on_registry_close of Cache."] == caplog.messages

    def test_higher_levels(self, registry, caplog):
        """Above `DEBUG` nothing is written."""
        with caplog.at_level(logging.INFO, "wares"):
            registry.register_factory(Database, Database)
            registry.register_value(Cache, 1, on_registry_close=list)
            registry.close()

        assert [] == caplog.messages

    def test_without_logging(self):
        """Registering does not import `logging`, which takes long."""
        program = (
            "import sys, wares; wares.Registry().register_value(int, 1);"
            "print('logging' in sys.modules)"
        )
        command = [sys.executable, "-c", program]
        answer = subprocess.run(command, capture_output=True, text=True, check=True)

        assert "False" == answer.stdout.strip()


class TestOpenTelemetry:
    """`wares.opentelemetry`."""

    def test_spans_and_histogram(self):
        """A span for each made service lies under the current one, and a histogram counts."""
        export = pytest.importorskip("opentelemetry.sdk.trace.export.in_memory_span_exporter")
        from opentelemetry.sdk.metrics import MeterProvider
        from opentelemetry.sdk.metrics.export import InMemoryMetricReader
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import SimpleSpanProcessor

        from wares.opentelemetry import OpenTelemetryObserver

        def fail():
            raise Boom

        exporter, reader = export.InMemorySpanExporter(), InMemoryMetricReader()
        tracers, meters = TracerProvider(), MeterProvider([reader])
        tracers.add_span_processor(SimpleSpanProcessor(exporter))
        registry = Registry()
        registry.observe(OpenTelemetryObserver(tracers, meters))
        registry.register_factory(Database, Database)
        registry.register_factory(Cache, fail)
        tracer = tracers.get_tracer("test")
        with tracer.start_as_current_span("request"), registry.container() as container:
            container.get(Database)
            with pytest.raises(Boom):
                container.get(Cache)

        made, failed, request = exporter.get_finished_spans()
        assert ("make Database", "make Cache") == (made.name, failed.name)
        assert [request.context.span_id] * 2 == [made.parent.span_id, failed.parent.span_id]
        assert {
            "wares.service.name": "Database",
            "wares.service.lifetime": "scoped",
        } == dict(made.attributes)
        assert "Boom" == failed.attributes["error.type"]
        assert (True, False) == (made.status.is_ok, failed.status.is_ok)
        assert made.start_time <= made.end_time
        (metric,) = reader.get_metrics_data().resource_metrics[0].scope_metrics[0].metrics
        assert ("wares.service.make.duration", "s") == (metric.name, metric.unit)
        assert 2 == sum(point.count for point in metric.data.data_points)
        meters.shutdown()
        tracers.shutdown()
