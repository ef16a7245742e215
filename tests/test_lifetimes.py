"""Which owner keeps a service, and which services it may need."""

import itertools

import pytest

from tests.support.messages import missing_parts
from tests.support.services import Cache, Database, Engine, Mailer, Repository, Session, Shop
from tests.support.ways import use
from wares import (
    AsyncServiceError,
    Container,
    InvalidRegistryError,
    LifetimeError,
    Registry,
    RegistryClosedError,
    ServiceNotFoundError,
    WaresError,
)

LIFETIMES = ["singleton", "connection", "scoped"]
TOO_SHORT = [
    (longer, shorter) for longer, shorter in itertools.combinations(LIFETIMES, 2)
]  # what comes first in the list lives longer


def session_factory(events, name="session"):
    """Return a generator factory that notes in *events* when it is entered and left."""

    def session():
        events.append(f"{name} entered")
        yield Session()
        events.append(f"{name} left")

    return session


class TestScoped:
    async def test_it_is_the_default(self, way, registry):
        """Without a lifetime, a service is made once per container."""
        registry.register_factory(Session, Session)
        registry.register_factory(Database, Database, lifetime="scoped")
        first, second = registry.container(), registry.container()

        made = [await way.get(container, Session, Database) for container in (first, second)]

        assert 4 == len({id(service) for services in made for service in services})

    async def test_it_ends_with_its_container(self, way, registry):
        """A scoped service is cleaned up when its container closes."""
        events = []
        registry.register_factory(Session, session_factory(events))
        container = registry.container()

        await way.get(container, Session)
        before = list(events)
        await way.close(container)

        assert (["session entered"], ["session entered", "session left"]) == (before, events)


class TestSingleton:
    async def test_once_per_registry(self, way, registry):
        """A singleton is made once, and is the same object in every container."""
        made = []
        registry.register_factory(
            Engine, lambda: made.append("made") or Engine(), lifetime="singleton"
        )

        engines = []
        for _ in range(100):
            container = registry.container()
            engines.append(await way.get(container, Engine))
            await way.close(container)

        assert ["made"] == made
        assert 1 == len(set(map(id, engines)))

    async def test_lazily(self, way, registry, container):
        """A singleton is made when it is first needed, not before."""
        made = []
        registry.register_factory(Engine, lambda: made.append("made"), lifetime="singleton")
        registry.validate()
        before = list(made)

        await way.get(container, Engine)

        assert ([], ["made"]) == (before, made)

    async def test_it_ends_with_the_registry(self, way, registry):
        """A singleton outlives the container that made it, and is cleaned up with its registry."""
        events = []
        registry.register_factory(Engine, session_factory(events), lifetime="singleton")
        container = registry.container()

        await way.get(container, Engine)
        await way.close(container)
        before = list(events)
        await way.close(registry)

        assert ["session entered"] == before
        assert ["session entered", "session left"] == events

    async def test_as_a_need(self, way, registry):
        """A scoped service may need a singleton."""
        registry.register_factory(Database, Database, lifetime="singleton")
        registry.register_factory(Repository, Repository)
        registry.register_factory(Shop, Shop)
        first, second = registry.container(), registry.container()

        shops = [await way.get(container, Shop) for container in (first, second)]

        assert shops[0].repository is not shops[1].repository
        assert shops[0].repository.database is shops[1].repository.database

    async def test_evicted_below_what_needs_it(self, way, registry):
        """A singleton that is registered anew below what needs it is made again, once."""
        made = []

        def make():
            made.append("made")
            return Database()

        registry.register_factory(Repository, Repository)
        registry.register_factory(Database, make, lifetime="singleton")
        await use(way, registry, 2, Repository)
        registry.register_factory(Database, make, lifetime="singleton")
        await use(way, registry, 2, Repository)

        assert ["made", "made"] == made

    async def test_its_needs_live_as_long(self, way, registry):
        """The singletons that a singleton needs are made once, too, and close after it."""
        events = []

        def make_engine(database: Database):
            events.append("engine entered")
            yield Engine()
            events.append("engine left")

        registry.register_factory(
            Database, session_factory(events, "database"), lifetime="singleton"
        )
        registry.register_factory(Engine, make_engine, lifetime="singleton")
        await use(way, registry, 3, Engine, Database)

        await way.close(registry)

        assert [
            "database entered",
            "engine entered",
            "engine left",
            "database left",
        ] == events

    async def test_registered_again(self, way, registry):
        """A new registration of a singleton counts for every container that opens later."""
        events = []
        registry.register_factory(
            Engine, session_factory(events, "first"), lifetime="singleton"
        )
        await use(way, registry, 2, Engine)
        registry.register_factory(
            Engine, session_factory(events, "second"), lifetime="singleton"
        )
        await use(way, registry, 2, Engine)
        await way.close(registry)

        assert [1, 1, 1, 1] == [
            events.count(event)
            for event in ("first entered", "first left", "second entered", "second left")
        ]
        assert len(events) == 4

    async def test_of_an_async_factory(self, registry):
        """An async singleton made by one container is there for `get` in another."""

        async def connect():
            return Engine()

        registry.register_factory(Engine, connect, lifetime="singleton")
        async with registry.container() as first:
            engine = await first.aget(Engine)

        with registry.container() as second:
            assert engine is second.get(Engine)

    async def test_a_failure_is_not_kept(self, way, registry, container):
        """A singleton whose factory failed is made at the next attempt."""
        attempts = []

        def connect():
            attempts.append("attempt")
            if len(attempts) == 1:
                raise ConnectionError
            return Engine()

        registry.register_factory(Engine, connect, lifetime="singleton")
        with pytest.raises(ConnectionError):
            await way.get(container, Engine)

        assert Engine is type(await way.get(container, Engine))

    async def test_after_the_registry_closed(self, way):
        """An open container makes no singleton for a registry that is closed."""
        events = []
        registry = Registry()
        registry.register_factory(Engine, session_factory(events), lifetime="singleton")
        container = registry.container()
        await way.close(registry)

        with pytest.raises(RegistryClosedError):
            await way.get(container, Engine)
        assert [] == events

    async def test_it_may_ask_its_container_for_singletons(self, way, registry):
        """A singleton factory may ask imperatively for what lives as long."""
        registry.register_factory(Database, Database, lifetime="singleton")
        registry.register_factory(
            Engine,
            lambda wares_container: [wares_container.get(Database)],
            lifetime="singleton",
        )
        registry.register_value(Cache, "value")
        registry.register_factory(
            Mailer, lambda wares_container: [wares_container.get(Cache)], lifetime="singleton"
        )
        await use(way, registry, 2, Engine, Mailer)

        with registry.container() as container:
            (database,), (cache,) = await way.get(container, Engine, Mailer)

            assert container.get(Database) is database
            assert "value" == cache

    async def test_what_it_asked_for_outlives_it(self, way, registry):
        """A service that a singleton's factory asks for is cleaned up after the singleton."""
        events = []

        def make_engine(wares_container):
            wares_container.get(Database)
            yield Engine()
            events.append("engine left")

        registry.register_factory(
            Database, session_factory(events, "database"), lifetime="singleton"
        )
        registry.register_factory(Engine, make_engine, lifetime="singleton")
        await use(way, registry, 1, Engine)
        await way.close(registry)

        assert ["database entered", "engine left", "database left"] == events


class TestTransient:
    async def test_new_each_time(self, way, registry):
        """A transient service is made for each `get`, and for each that needs it."""

        def need(database: Database):
            return [database]

        def need_two(first: Cache, second: Mailer, third: Database):
            return [*first, *second, third]

        registry.register_factory(Database, Database, lifetime="transient")
        registry.register_factory(Cache, need)
        registry.register_factory(Mailer, need)
        registry.register_factory("three", need_two)

        with registry.container() as container:
            made = [
                *await way.get(container, "three"),
                await way.get(container, Database),
                await way.get(container, Database),
                *await way.get(container, Database, Database),
            ]

            assert 7 == len(set(map(id, made)))
            assert Database not in container

    @pytest.mark.parametrize("is_needed", [False, True])
    def test_an_asynchronous_one(self, registry, container, is_needed):
        """`get` cannot make an asynchronous service, even if another one needs it."""

        async def make():
            raise AssertionError

        registry.register_factory(Database, make, lifetime="transient")
        registry.register_factory(Repository, Repository)

        with pytest.raises(AsyncServiceError, match="Database"):
            container.get(Repository if is_needed else Database)

    async def test_it_ends_with_the_container_that_asked(self, way, registry):
        """Every transient service is cleaned up when the container closes, newest first."""
        events = []
        numbers = itertools.count()

        def make():
            number = next(numbers)
            yield number
            events.append(number)

        registry.register_factory(Session, make, lifetime="transient")
        container = registry.container()

        made = [await way.get(container, Session) for _ in range(3)]
        before = list(events)
        await way.close(container)

        assert ([], made[::-1]) == (before, events)

    async def test_in_a_child(self, way, registry):
        """A transient service that a child asked for ends with the child."""
        events = []
        registry.register_factory(Session, session_factory(events), lifetime="transient")
        parent = registry.container()
        child = parent.child()
        await way.get(child, Session)

        await way.close(child)

        assert ["session entered", "session left"] == events
        await way.close(parent)

    @pytest.mark.parametrize("lifetime", ["singleton", "connection"])
    async def test_needed_by_what_lives_longer(self, way, registry, lifetime):
        """A transient service never ends before the longer-lived service that needs it.

        Either the need is refused, by `validate` and at run time alike, or the transient
        service ends together with the one that it was made for.
        """
        events = []

        def make_repository(session: Session):
            yield session
            events.append("repository left")

        registry.register_factory(Session, session_factory(events), lifetime="transient")
        registry.register_factory(Repository, make_repository, lifetime=lifetime)
        container = registry.container()
        child = container.child()
        try:
            registry.validate()
        except InvalidRegistryError:
            refused_by_validate = True
        else:
            refused_by_validate = False
        try:
            await way.get(child, Repository)
        except LifetimeError:
            refused_at_run_time = True
        else:
            refused_at_run_time = False
        await way.close(child)
        events_of_the_child = events.copy()
        await way.close(container)
        await way.close(registry)

        assert refused_by_validate == refused_at_run_time
        assert "session left" not in events_of_the_child
        assert ["repository left", "session left"] == events[1:] or refused_at_run_time


class TestLongerNeedsShorter:
    """A longer-lived service may not need a shorter-lived one."""

    @pytest.fixture(params=TOO_SHORT, ids=" needs ".join)
    def too_short(self, request, registry):
        """Register a `Repository` that lives longer than the `Database` it needs."""
        longer, shorter = request.param
        registry.register_factory(Database, Database, lifetime=shorter)
        registry.register_factory(Repository, Repository, lifetime=longer)
        return longer, shorter

    def test_found_by_validate(self, registry, too_short):
        """`validate` names both services and both lifetimes."""
        with pytest.raises(InvalidRegistryError) as caught:
            registry.validate()

        (problem,) = caught.value.exceptions
        assert LifetimeError is type(problem)
        assert [] == missing_parts(str(problem), "Repository", "Database", *too_short)

    async def test_found_at_run_time(self, way, registry, container, too_short):
        """The attempt is an error that names both services and both lifetimes."""
        with pytest.raises(LifetimeError) as caught:
            await way.get(container, Repository)

        assert [] == missing_parts(str(caught.value), "Repository", "Database", *too_short)
        assert (Repository, Database) == (caught.value.key, caught.value.needed_key)

    async def test_found_though_it_is_made_already(self, way, registry, container, too_short):
        """The attempt is an error even if the container has made the other service already."""
        await way.get(container, Database)

        with pytest.raises(LifetimeError):
            await way.get(container, Repository)

    async def test_found_in_a_child(self, way, registry, container, too_short):
        """The attempt is an error in a child as well."""
        child = container.child()
        await way.get(child, Database)

        with pytest.raises(LifetimeError):
            await way.get(child, Repository)

    @pytest.mark.parametrize("shorter", ["connection", "scoped"])
    async def test_found_where_a_singleton_asks(self, way, registry, container, shorter):
        """A singleton's factory may not ask for what ends earlier in its body, either."""
        registry.register_factory(Database, Database, lifetime=shorter)

        async def amake(wares_container):
            return [await wares_container.aget(Database)]

        def make(wares_container):
            return [wares_container.get(Database)]

        registry.register_factory(Shop, amake if way.is_async else make, lifetime="singleton")

        with pytest.raises(LifetimeError) as caught:
            await way.get(container, Shop)

        assert [] == missing_parts(str(caught.value), "Shop", "Database", "singleton", shorter)

    async def test_a_connection_may_ask_the_container_that_keeps_it(self, way, registry):
        """A service that a connection's factory asks for ends with the same container."""
        events = []
        registry.register_factory(Session, session_factory(events))

        async def amake(wares_container):
            return [await wares_container.aget(Session)]

        def make(wares_container):
            return [wares_container.get(Session)]

        registry.register_factory(Shop, amake if way.is_async else make, lifetime="connection")
        outermost = registry.container()
        child = outermost.child()
        (session,) = await way.get(child, Shop)
        await way.close(child)

        assert session is await way.get(outermost, Session)
        await way.close(outermost)

    async def test_found_two_steps_away(self, way, registry, container, too_short):
        """The attempt is an error at any depth."""
        longer, _ = too_short
        registry.register_factory(Shop, Shop, lifetime=longer)

        with pytest.raises(LifetimeError):
            await way.get(container, Shop)

    async def test_found_where_it_is_asked_for_two_steps_away(
        self, way, registry, container, too_short
    ):
        """The attempt is an error if a factory asks for a service that declares the need."""
        longer, _ = too_short
        registry.register_factory(
            Shop, lambda wares_container: [wares_container.get(Repository)], lifetime=longer
        )

        with pytest.raises(LifetimeError):
            await way.get(container, Shop)

    async def test_nothing_is_made(self, way, registry, container):
        """The error comes before anything is made for the longer-lived service."""
        made = []
        registry.register_factory(Database, lambda: made.append("database"))
        registry.register_factory(Repository, Repository, lifetime="singleton")

        with pytest.raises(LifetimeError):
            await way.get(container, Repository)
        assert [] == made


@pytest.mark.parametrize(
    ("longer", "shorter"), [(b, a) for a, b in TOO_SHORT] + [(each, each) for each in LIFETIMES]
)
async def test_shorter_needs_longer(way, registry, longer, shorter):
    """A service may need what lives as long or longer."""
    registry.register_factory(Database, Database, lifetime=shorter)
    registry.register_factory(Repository, Repository, lifetime=longer)
    registry.validate()

    with registry.container() as container:
        assert container.get(Database) is (await way.get(container, Repository)).database


@pytest.mark.parametrize("lifetime", LIFETIMES)
async def test_anything_may_need_a_value(way, registry, lifetime):
    """A value lives as long as the registry."""
    registry.register_value(Database, "value")
    registry.register_factory(Repository, Repository, lifetime=lifetime)
    registry.validate()

    with registry.container() as container:
        assert "value" == (await way.get(container, Repository)).database


async def test_a_singleton_may_not_need_a_value_entered_per_container(way, registry, container):
    """A value that is entered for each container lives no longer than that."""

    class Manager:
        def __enter__(self):
            return "entered"

        def __exit__(self, *details):
            pass

    registry.register_value(Database, Manager(), enter=True)
    registry.register_factory(Repository, Repository, lifetime="singleton")

    with pytest.raises(InvalidRegistryError):
        registry.validate()
    with pytest.raises(LifetimeError):
        await way.get(container, Repository)


@pytest.mark.parametrize("expected", [False, True])
async def test_a_singleton_may_not_need_what_a_container_is_given(way, registry, expected):
    """A singleton cannot need a service that only one container is given."""
    if expected:
        registry.expect(Database)
    registry.register_factory(Repository, Repository, lifetime="singleton")
    container = registry.container({Database: Database()})

    with pytest.raises((LifetimeError, ServiceNotFoundError)):
        await way.get(container, Repository)
    with pytest.raises(InvalidRegistryError):
        registry.validate()


async def test_a_connection_that_is_given_needs_nothing(way, registry):
    """The needs of a connection service do not matter where the container is given it."""

    class Wire:
        def __init__(self, session: Session) -> None:
            self.session = session

    def use_wire(wire: Wire):
        return [wire]

    registry.register_factory(Session, Session)
    registry.register_factory(Wire, Wire, lifetime="connection")
    registry.register_factory(Shop, use_wire)
    for _ in range(2):
        container = registry.container({Wire: "given"})
        assert ["given"] == await way.get(container, Shop)

    with pytest.raises(LifetimeError):
        await way.get(registry.container(), Shop)


async def test_a_singleton_is_not_made_with_what_a_container_is_given_instead(way, registry):
    """A given object that stands for a registered singleton stays in its container."""
    registry.register_factory(Database, lambda: "registered", lifetime="singleton")
    registry.register_factory(Repository, Repository, lifetime="singleton")
    container = registry.container({Database: "given"})

    repository = await way.get(container, Repository)

    assert "registered" == repository.database
    assert "given" == await way.get(container, Database)


async def test_a_singleton_keeps_its_container_for_longer_lived_services(way, registry):
    """A singleton that kept the container it was made with cannot get a request's services."""
    registry.register_factory(Session, Session)
    registry.register_factory(
        Engine, lambda wares_container: [wares_container], lifetime="singleton"
    )
    first = registry.container()
    (kept,) = await way.get(first, Engine)
    await way.close(first)

    with pytest.raises(WaresError):
        await way.get(kept, Session)


async def test_a_lifetime_may_change(way, registry):
    """A new registration may have another lifetime, at any time."""
    counts = []
    for lifetime in ["scoped", "singleton", "transient", "scoped", "singleton"]:
        registry.register_factory(Database, Database, lifetime=lifetime)
        await use(way, registry, 2, Database)
        services = []
        for _ in range(2):
            container = registry.container()
            services += await way.get(container, Database, Database)
            await way.close(container)
        counts.append(len(set(map(id, services))))

    assert [2, 1, 4, 2, 1] == counts


async def test_a_container_is_no_service_of_a_singleton(way, registry):
    """A singleton that is handed a container cannot reach the request through it."""

    class Reporter:
        def __init__(self, container: Container):
            self.container = container

        def session(self):
            return self.container.get(Session)

    registry.register_factory(Session, Session)
    registry.register_factory(Reporter, Reporter, lifetime="singleton")
    container = registry.container()
    reporter = await way.get(container, Reporter)

    with pytest.raises(WaresError):
        reporter.session()
