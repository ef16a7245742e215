"""Checking the health of services: `get_pings` and `ServicePing`."""

import asyncio
import gc
import typing
import warnings

import pytest

from tests.support.messages import missing_parts
from tests.support.services import Cache, Database, Mailer, Session
from wares import AsyncServiceError, ServicePing, UnresolvableParameterError


class Boom(Exception):
    """The exception that the ping of an unwell service raises."""


async def run(way, ping):
    """Run *ping* the sync or the async way."""
    if way.is_async:
        await ping.aping()
    else:
        ping.ping()


def test_only_services_with_a_ping(registry, container):
    """Each service registered with a ping has one, in the order of registration."""
    registry.register_factory(Database, Database, ping=print)
    registry.register_factory(Cache, Cache)
    registry.register_value(Mailer, 1, ping=print)

    pings = container.get_pings()

    assert [Database, Mailer] == [ping.key for ping in pings]
    assert ["Database", "Mailer"] == [ping.name for ping in pings]
    assert {ServicePing} == set(map(type, pings))


def test_no_pings(container):
    """Without pings there is an empty list."""
    assert [] == container.get_pings()


async def test_the_ping_gets_the_service(way, registry, container):
    """A ping is called with the service, which the container makes."""
    seen = []
    registry.register_factory(Database, Database, ping=seen.append)
    (ping,) = container.get_pings()
    before = list(seen)

    await run(way, ping)

    assert [] == before
    assert [container.get(Database)] == seen


async def test_a_service_that_is_made_already(way, registry, container):
    """A ping gets the service that the container has made already."""
    seen = []
    registry.register_factory(Database, Database, ping=seen.append)
    made = await way.get(container, Database)

    await run(way, *container.get_pings())

    assert [made] == seen


async def test_the_services_are_cleaned_up(way, registry):
    """The services that pings make are cleaned up with the container."""
    events = []

    def session():
        yield "session"
        events.append("left")

    registry.register_factory(Session, session, ping=events.append)
    container = registry.container()
    (ping,) = container.get_pings()
    await run(way, ping)
    before = list(events)

    await way.close(container)

    assert (["session"], ["session", "left"]) == (before, events)


async def test_a_failing_ping(way, registry, container):
    """The exception of a ping arrives unchanged."""
    error = Boom()

    def ping(_):
        raise error

    registry.register_factory(Database, Database, ping=ping)

    with pytest.raises(Boom) as caught:
        await run(way, *container.get_pings())
    assert error is caught.value


async def test_a_failing_factory(way, registry, container):
    """A service that cannot be made is not well: its factory's error arrives."""

    def fail():
        raise Boom

    registry.register_factory(Database, fail, ping=print)

    with pytest.raises(Boom):
        await run(way, *container.get_pings())


@pytest.mark.parametrize("kind", ["async function", "lambda", "future", "awaitable", "method"])
async def test_any_awaitable_is_awaited(registry, container, kind):
    """`aping` awaits any awaitable that a ping returns."""
    seen = []

    async def check(service):
        await asyncio.sleep(0)
        seen.append(service)

    class Awaitable:
        def __init__(self, service):
            self.service = service

        def __await__(self):
            return check(self.service).__await__()

    class Service(str):
        __slots__ = ()

        async def check(self):
            await check(self)

    pings = {
        "async function": check,
        "lambda": lambda service: check(service),
        "future": lambda service: asyncio.ensure_future(check(service)),
        "awaitable": Awaitable,
        "method": Service.check,
    }
    registry.register_value(Database, Service("service"), ping=pings[kind])
    (ping,) = container.get_pings()

    await ping.aping()

    assert ["service"] == seen


async def test_an_error_of_an_awaitable(registry, container):
    """An error that comes by awaiting is the ping's error."""

    async def check(_):
        raise Boom

    registry.register_value(Database, 1, ping=lambda service: check(service))

    with pytest.raises(Boom):
        await container.get_pings()[0].aping()


def test_an_async_ping_under_ping(registry, container):
    """`ping` refuses an async ping, names it, and leaves nothing un-awaited."""

    async def check(_):
        raise AssertionError("must not run")

    class Awaitable:
        def __init__(self, _):
            """Take the service."""

        def __await__(self):
            raise AssertionError("must not run")

    registry.register_value(Database, 1, ping=check)
    registry.register_value(Cache, 1, ping=lambda service: check(service))
    registry.register_value(Mailer, 1, ping=Awaitable)
    errors = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for ping in container.get_pings():
            with pytest.raises(AsyncServiceError) as error:
                ping.ping()
            errors.append(str(error.value))
        gc.collect()

    assert [] == missing_parts(errors[0], "Database", "aping")
    assert [] == missing_parts(errors[1], "Cache", "aping")
    assert [] == missing_parts(errors[2], "Mailer", "aping")
    assert [] == [str(warning.message) for warning in caught]


async def test_an_async_service_under_ping(registry, container):
    """`ping` refuses a service whose making must be awaited; `aping` takes it."""
    seen = []

    async def connect():
        return "connected"

    registry.register_factory(Database, connect, ping=seen.append)
    (ping,) = container.get_pings()

    with pytest.raises(AsyncServiceError):
        ping.ping()
    await ping.aping()

    assert ["connected"] == seen


async def test_is_async(registry, container):
    """`is_async` tells whether `aping` has to be used, as far as one can see beforehand."""

    async def check(_):
        pass

    async def connect():
        return 1

    async def session():
        yield 1

    registry.register_factory("sync", Database, ping=print)
    registry.register_value("value", 1, ping=print)
    registry.register_factory("async ping", Database, ping=check)
    registry.register_factory("async factory", connect, ping=print)
    registry.register_factory("async generator", session, ping=print)

    pings = {ping.name.strip("'"): ping.is_async for ping in container.get_pings()}

    assert {
        "sync": False,
        "value": False,
        "async ping": True,
        "async factory": True,
        "async generator": True,
    } == pings


async def test_a_factory_that_cannot_be_read(way, registry, container):
    """A ping whose service cannot be made is listed, and raises the error when it runs."""

    def make(unknown: "NobodyKnows"):  # noqa: F821  # nothing can fill it
        return unknown

    registry.register_factory(Database, make, ping=print)

    (ping,) = container.get_pings()

    with pytest.raises(UnresolvableParameterError):
        await run(way, ping)


def test_names_are_unique(registry, container):
    """Names of pings are unique, even if keys have the same name."""
    keys = [
        Database,
        "Database",
        type("Database", (), {}),
        type("Database", (), {}),
        typing.Annotated[Database, "first"],
        typing.Annotated[Database, "second"],
        typing.NewType("Database", int),
    ]
    for key in keys:
        registry.register_value(key, 1, ping=print)

    names = [ping.name for ping in container.get_pings()]

    assert len(keys) == len(set(names))
    assert [] == [name for name in names if "Database" not in name]


def test_names_have_modules_where_they_must(registry, container):
    """Keys that are called the same are named with their modules, also in pings and drawings."""
    there = type("Database", (), {"__module__": "there"})
    elsewhere = type("Database", (), {"__module__": "elsewhere"})
    keys = [there, list[there], list[elsewhere], typing.Annotated[there | None, "first"], Cache]
    for key in keys:
        registry.register_value(key, 1, ping=print)
    registry.register_value(elsewhere, 1)

    names = [ping.name for ping in container.get_pings()]

    assert [
        "there.Database",
        "list[there.Database]",
        "list[elsewhere.Database]",
        "Annotated[Database | None, 'first']",
        "Cache",
    ] == names
    assert [*names, "elsewhere.Database"] == [node.name for node in registry.graph().nodes]


def test_names_stay(registry):
    """A service keeps its ping's name from one container to the next: monitors know it by that."""
    for key in (type("Database", (), {}), type("Database", (), {})):
        registry.register_value(key, 1, ping=print)

    names = [{it.key: it.name for it in registry.container().get_pings()} for _ in range(2)]

    assert names[0] == names[1]


async def test_local_registrations(way, registry, container):
    """A local registration's ping is there, and stands for the registry's of the same key."""
    seen = []
    registry.register_value(Database, "registered", ping=print)
    container.register_local_value(Database, "local", ping=seen.append)
    container.register_local_factory(Cache, lambda: "cache", ping=seen.append)

    for ping in container.get_pings():
        await run(way, ping)

    assert ["cache", "local"] == sorted(seen)
    assert 1 == len(registry.container().get_pings())


async def test_in_a_child(way, registry, container):
    """A child's pings make the child's services."""
    seen = []
    registry.register_factory(Database, Database, ping=seen.append)
    child = container.child()

    await run(way, *child.get_pings())

    assert [child.get(Database)] == seen


async def test_a_registration_that_was_replaced(way, registry, container):
    """Only the registration in force has a ping."""
    registry.register_value(Database, 1, ping=print)
    registry.register_value(Database, 2)

    assert [] == container.get_pings()


async def test_concurrently(registry, container):
    """Pings of one container may run at once; what both need is made once."""
    made = []
    both = asyncio.Barrier(2)

    async def connect():
        made.append("engine")
        await asyncio.sleep(0)
        return "engine"

    async def check(_):
        await both.wait()

    def need(database: Database):
        return [database]

    registry.register_factory(Database, connect)
    registry.register_factory(Cache, need, ping=check)
    registry.register_factory(Mailer, need, ping=check)

    async with asyncio.timeout(5):
        await asyncio.gather(*[ping.aping() for ping in container.get_pings()])

    assert ["engine"] == made


async def test_a_closed_container(way, registry):
    """A closed container gives no pings, or pings that refuse."""
    registry.register_value(Database, 1, ping=print)
    container = registry.container()
    (ping,) = container.get_pings()
    await way.close(container)

    with pytest.raises(RuntimeError, match="closed"):
        await run(way, ping)
