"""The container: asking it, giving it objects, making it the current one."""

import asyncio
import contextlib
import contextvars
import gc
import itertools
import weakref

import pytest

from tests.support.deadline import in_thread
from tests.support.messages import missing_parts
from tests.support.services import Cache, Database, Engine, Mailer, Repository, Session, Shop
from wares import (
    Container,
    InvalidLifetimeError,
    LifetimeError,
    NoContainerError,
    Registry,
    ServiceNotFoundError,
    autowire,
    current_container,
)

FALSY = [None, 0, False, "", (), 0.0]


class TestGet:
    async def test_one_key(self, way, registry):
        """One key gives the service itself."""
        registry.register_factory(Database, Database)

        with registry.container() as container:
            assert Database is type(await way.get(container, Database))

    async def test_several_keys(self, way, registry):
        """Several keys give a tuple in their order."""
        registry.register_value(Database, "database")
        registry.register_factory(Cache, lambda: "cache")
        registry.register_factory(Mailer, lambda: "mailer")

        with registry.container() as container:
            assert ("mailer", "database", "cache") == await way.get(
                container, Mailer, Database, Cache
            )

    async def test_one_key_several_times(self, way, registry, container):
        """A key that is named twice is there twice, and made once."""
        registry.register_factory(Database, Database)

        first, second = await way.get(container, Database, Database)

        assert first is second

    async def test_once_per_container(self, way, registry):
        """A scoped service is made once per container, and anew in the next."""
        registry.register_factory(Database, Database)
        containers = [registry.container() for _ in range(3)]

        made = [
            (await way.get(container, Database), await way.get(container, Database))
            for container in containers
        ]

        assert all(first is second for first, second in made)
        assert 3 == len({id(first) for first, _ in made})

    async def test_between_get_and_aget(self, registry, container):
        """`get` and `aget` share what they make."""
        registry.register_factory(Database, Database)
        registry.register_factory(Cache, Cache)

        made = container.get(Database), await container.aget(Cache)

        assert made == (await container.aget(Database), container.get(Cache))

    async def test_an_async_service_that_is_made(self, registry, container):
        """`get` gives an async service that `aget` has made before."""

        async def connect():
            return "connected"

        registry.register_factory(Database, connect)
        await container.aget(Database)

        assert "connected" == container.get(Database)

    async def test_a_sync_service_of_an_async_one(self, registry, container):
        """`get` makes a service whose async need `aget` has made before."""

        async def connect():
            return Database()

        registry.register_factory(Database, connect)
        registry.register_factory(Repository, Repository)
        database = await container.aget(Database)

        assert database is container.get(Repository).database

    async def test_a_sync_service_of_an_async_one_again_and_again(self, registry):
        """`get` works after an `aget` of the async service, and is an error without it."""

        async def connect():
            return Database()

        registry.register_factory(Database, connect)
        registry.register_factory(Repository, Repository)

    @pytest.mark.parametrize("falsy", FALSY, ids=repr)
    @pytest.mark.parametrize("lifetime", ["scoped", "singleton", "connection"])
    async def test_falsy_services(self, way, registry, falsy, lifetime):
        """`None`, `0`, `False` and `""` are services like any other, made once."""
        made = []

        def make():
            made.append(falsy)
            return falsy

        registry.register_factory(Database, make, lifetime=lifetime)
        container = registry.container()

        services = [await way.get(container, Database) for _ in range(3)]

        assert [falsy] * 3 == services
        assert len(made) <= 1
        assert Database in container

    @pytest.mark.parametrize("falsy", FALSY, ids=repr)
    async def test_falsy_needs(self, way, registry, falsy):
        """A falsy service is handed to the factory that needs it."""
        registry.register_factory(Database, lambda: falsy)
        registry.register_factory(Repository, Repository)

        with registry.container() as container:
            assert falsy is (await way.get(container, Repository)).database

    @pytest.mark.parametrize("falsy", FALSY, ids=repr)
    async def test_falsy_values_and_given_objects(self, way, registry, falsy):
        """A falsy value, registered or given, is there as it is."""
        registry.register_value(Database, falsy)

        with registry.container({Cache: falsy}) as container:
            assert (falsy, falsy) == await way.get(container, Database, Cache)

    async def test_a_diamond(self, way, registry):
        """A service that two others need is made once for both."""

        def make(first: Cache, second: Mailer):
            return [first, second]

        def need(database: Database):
            return [database]

        registry.register_factory(Database, Database)
        registry.register_factory(Cache, need)
        registry.register_factory(Mailer, need)
        registry.register_factory("both", make)

        with registry.container() as container:
            ((first,), (second,)) = await way.get(container, "both")

            assert first is second

    async def test_a_need_that_a_constructor_asked_for(self, way, registry):
        """A service that a factory asks for is not made again for the next need."""
        made = []

        def make_database():
            made.append("database")
            return Database()

        def make_cache(wares_container):
            return [wares_container.get(Database)]

        def make(cache: Cache, database: Database):
            return [*cache, database]

        registry.register_factory(Database, make_database)
        registry.register_factory(Cache, make_cache)
        registry.register_factory("both", make)

        with registry.container() as container:
            first, second = await way.get(container, "both")

        assert first is second
        assert ["database"] == made

    async def test_a_need_that_a_context_manager_asked_for_as_it_was_entered(
        self, way, registry
    ):
        """A service that `__enter__` asks for is not made again for the next need."""
        made = []

        def make_database():
            made.append("database")
            return Database()

        class Manager:
            def __init__(self, container: Container):
                self.container = container

            def __enter__(self):
                return [self.container.get(Database)]

            def __exit__(self, *details):
                pass

        def make(cache: Cache, database: Database):
            return [*cache, database]

        registry.register_factory(Database, make_database)
        registry.register_factory(Cache, Manager)
        registry.register_factory("both", make)

        with registry.container() as container:
            first, second = await way.get(container, "both")

        assert first is second
        assert ["database"] == made

    async def test_in_any_order(self, way, registry):
        """A container that has made some services makes only the others."""
        registry.register_factory(Database, Database)
        registry.register_factory(Repository, Repository)
        registry.register_factory(Shop, Shop)
        container = registry.container()
        repository = await way.get(container, Repository)

        shop = await way.get(container, Shop)

        assert repository is shop.repository
        assert container.get(Database) is repository.database

    async def test_without_an_event_loop(self, registry):
        """`get` works in a thread that has no event loop."""
        registry.register_factory(Repository, Repository)
        registry.register_factory(Database, Database)

        def work():
            with registry.container() as container:
                return type(container.get(Repository).database)

        assert Database is in_thread(work)

    async def test_two_event_loops(self, registry):
        """One registry serves several event loops, one after the other."""

        async def connect():
            return asyncio.get_running_loop()

        async def work():
            async with registry.container() as container:
                return await container.aget(Database) is asyncio.get_running_loop()

        registry.register_factory(Database, connect)

        assert [True, True] == [in_thread(lambda: asyncio.run(work())) for _ in range(2)]


class TestPartlyMade:
    """A container may have made any part of a graph before it is asked for the rest."""

    KEYS = (Database, Cache, Mailer, Engine, Session, Shop)

    @pytest.fixture
    def runs(self):
        """How often each factory ran."""
        return []

    @pytest.fixture
    def failing(self):
        """The keys whose factories fail, once."""
        return []

    @pytest.fixture
    def registry(self, registry, way, runs, failing):
        """A registry with a graph in which every second service asks its container."""

        def note(key):
            runs.append(key)
            if key in failing:
                failing.remove(key)
                raise Boom

        def asking(key, *needed_keys):
            async def amake(wares_container):
                needs = [await wares_container.aget(needed) for needed in needed_keys]
                note(key)
                return [key, *needs]

            def make(wares_container):
                needs = [wares_container.get(needed) for needed in needed_keys]
                note(key)
                return [key, *needs]

            return amake if way.is_async else make

        def make_database():
            note(Database)
            return [Database]

        def make_mailer(cache: Cache, database: Database):
            note(Mailer)
            return [Mailer, cache, database]

        def make_session(engine: Engine, mailer: Mailer):
            note(Session)
            yield [Session, engine, mailer]

        registry.register_factory(Database, make_database)
        registry.register_factory(Cache, asking(Cache, Database))
        registry.register_factory(Mailer, make_mailer)
        registry.register_factory(Engine, asking(Engine, Mailer, Cache))
        registry.register_factory(Session, make_session)
        registry.register_factory(Shop, asking(Shop, Session, Engine))
        return registry

    @pytest.mark.parametrize("asked", [Engine, Session, Shop])
    @pytest.mark.parametrize("first", [(), *itertools.combinations(KEYS, 2), *zip(KEYS)])
    async def test_any_part(self, way, registry, runs, asked, first):
        """With any part of the graph made, the rest is made from it, each service once."""
        container = registry.container()
        for key in first:
            await way.get(container, key)

        await way.get(container, asked)
        services = await way.get(container, *self.KEYS)

        assert len(runs) == len(set(runs))
        database, cache, mailer, engine, session, shop = services
        assert database is cache[1] is mailer[2]
        assert cache is mailer[1] is engine[2]
        assert mailer is engine[1] is session[2]
        assert engine is session[1] is shop[2]
        assert session is shop[1]
        await way.close(container)

    @pytest.mark.parametrize("asked", KEYS)
    @pytest.mark.parametrize("failing_key", KEYS)
    async def test_after_a_failure(self, way, registry, runs, failing, asked, failing_key):
        """After a failure, the next attempt makes the services that are not made yet."""
        failing.append(failing_key)
        container = registry.container()
        with contextlib.suppress(Boom):
            await way.get(container, asked)

        with contextlib.suppress(Boom):
            await way.get(container, Shop)
        services = await way.get(container, *self.KEYS)

        assert [2 if key is failing_key else 1 for key in self.KEYS] == [
            runs.count(key) for key in self.KEYS
        ]
        assert services[4] is services[5][1]
        await way.close(container)


class Boom(Exception):
    """The exception of a factory."""


class TestChains:
    """Graphs that are deeper than Python's stack."""

    LENGTH = 4_000

    @pytest.mark.parametrize("length", [50, 900])
    async def test_a_chain_in_two_containers(self, way, registry, length):
        """A chain of some length is made anew for each container."""
        keys = [type(f"Link{number}", (), {}) for number in range(length)]
        registry.register_factory(keys[0], lambda: [0])
        for needed_key, key in zip(keys, keys[1:], strict=False):

            def link(needed):
                return [needed[0] + 1]

            link.__annotations__ = {"needed": needed_key}
            registry.register_factory(key, link)

        with registry.container() as first, registry.container() as second:
            made = await way.get(first, keys[-1]), await way.get(second, keys[-1])

            assert ([length - 1], [length - 1]) == made
            assert made[0] is not made[1]

    @pytest.fixture
    def chain(self, registry):
        """Register `LENGTH` services, each of which needs the one before; return their keys."""
        keys = [type(f"Link{number}", (), {}) for number in range(self.LENGTH)]
        registry.register_factory(keys[0], lambda: 1)
        for needed_key, key in zip(keys, keys[1:], strict=False):

            def link(needed):
                return needed + 1

            link.__annotations__ = {"needed": needed_key}
            registry.register_factory(key, link)
        return keys

    async def test_a_long_chain(self, way, registry, chain):
        """A chain of 4,000 declared factories is made, without a `RecursionError`."""
        with registry.container() as container:
            assert self.LENGTH == await way.get(container, chain[-1])

    async def test_a_long_async_chain(self, registry, chain):
        """A long chain that begins with an async factory is made by `aget`."""

        async def connect():
            return 1

        registry.register_factory(chain[0], connect)

        async with registry.container() as container:
            assert self.LENGTH == await container.aget(chain[-1])

    def test_validate_and_graph(self, registry, chain):
        """`validate` and `graph` read a chain of any length."""
        assert None is registry.validate()
        assert chain[-1].__name__ in registry.graph().to_mermaid()

    async def test_a_long_chain_of_generators(self, way, registry):
        """A chain of 4,000 generator factories is made and cleaned up."""
        keys = [type(f"Link{number}", (), {}) for number in range(self.LENGTH)]
        left = []

        def first():
            yield 1
            left.append(1)

        registry.register_factory(keys[0], first)
        for needed_key, key in zip(keys, keys[1:], strict=False):

            def link(needed):
                yield needed + 1
                left.append(needed + 1)

            link.__annotations__ = {"needed": needed_key}
            registry.register_factory(key, link)
        container = registry.container()

        made = await way.get(container, keys[-1])
        await way.close(container)

        assert self.LENGTH == made
        assert list(range(self.LENGTH, 0, -1)) == left

    async def test_a_wide_service(self, way, registry):
        """A factory may need 300 services."""
        keys = [type(f"Need{number}", (), {}) for number in range(300)]
        for number, key in enumerate(keys):
            registry.register_factory(key, lambda number=number: number)
        names = [f"need_{number}" for number in range(300)]
        namespace: dict = {}
        exec(f"def make({', '.join(names)}): return [{', '.join(names)}]", namespace)
        make = namespace["make"]
        make.__annotations__ = dict(zip(names, keys, strict=True))
        registry.register_factory("wide", make)

        with registry.container() as container:
            assert list(range(300)) == await way.get(container, "wide")


class TestValues:
    """A value is never entered, awaited, called or closed unless asked."""

    async def test_a_context_manager(self, way, registry):
        """A value that is a context manager is handed out untouched."""
        events = []

        class Both:
            def __enter__(self):
                events.append("entered")

            def __exit__(self, *details):
                events.append("left")

            async def __aenter__(self):
                events.append("entered")

            async def __aexit__(self, *details):
                events.append("left")

        value = Both()
        registry.register_value(Database, value)
        container = registry.container()

        service = await way.get(container, Database)
        await way.close(container)
        await way.close(registry)

        assert value is service
        assert [] == events

    async def test_awaitables(self, way, registry, container):
        """A value that can be awaited is not."""

        async def work():
            return "worked"

        coroutine = work()
        future = asyncio.get_running_loop().create_future()
        registry.register_value("coroutine", coroutine)
        registry.register_value("future", future)

        services = await way.get(container, "coroutine", "future")

        assert (coroutine, future) == services
        assert "worked" == await coroutine

    async def test_callables(self, way, registry, container):
        """A value that can be called is not."""

        def explode():
            raise AssertionError("must not be called")

        registry.register_value("function", explode)
        registry.register_value("class", Session)

        assert (explode, Session) == await way.get(container, "function", "class")

    async def test_generators(self, way, registry, container):
        """A value that is a generator is neither started nor ended."""

        def count():
            yield 1

        generator = count()
        registry.register_value("generator", generator)
        await way.get(container, "generator")
        await way.close(container)

        assert [1] == list(generator)

    async def test_shared_by_all_containers(self, way, registry):
        """All containers hand out the same value."""
        value = Database()
        registry.register_value(Database, value)

        services = [await way.get(registry.container(), Database) for _ in range(3)]

        assert [value] * 3 == services

    async def test_entered_if_asked(self, way, registry):
        """With `enter=True` a value is entered for each container, and left with it."""
        events = []

        class Pool:
            def __enter__(self):
                events.append("entered")
                return "connection"

            def __exit__(self, *details):
                events.append("left")

        registry.register_value(Database, Pool(), enter=True)
        for _ in range(2):
            container = registry.container()
            events.append(await way.get(container, Database))
            await way.get(container, Database)
            await way.close(container)

        assert ["entered", "connection", "left"] * 2 == events


class TestGivenObjects:
    async def test_they_are_services(self, way, registry):
        """An object that a container was given is like a service that it has made."""
        registry.register_factory(Database, Database)
        registry.register_factory(Repository, Repository)
        given = Database()
        container = registry.container({Database: given})

        assert given is (await way.get(container, Repository)).database
        assert given is await way.get(container, Database)
        assert Database in container

    async def test_expected_ones(self, way, registry):
        """Each container returns the expected object that it was given, or misses it."""
        registry.expect(Session)
        registry.register_factory(Cache, _need_session)
        registry.register_factory(Mailer, _need_cache)
        for number in range(2):
            container = registry.container({Session: number})
            assert [[number]] == await way.get(container.child(), Mailer)
            assert [[number]] == await way.get(container, Mailer)
            await way.close(container)

        for given in (None, {"another": "object"}):
            with registry.container(given) as container:
                with pytest.raises(ServiceNotFoundError) as caught:
                    await way.get(container, Mailer)

                assert (Mailer, Cache, Session) == caught.value.path

    async def test_one_that_was_handed_out_stays(self, way, registry):
        """A container keeps using an expected object that it has got from an override."""
        registry.expect(Session)
        registry.register_factory(Cache, _need_session, lifetime="transient")
        container = registry.container()
        with registry.override_value(Session, "override"):
            await way.get(container, Session)

        caches = [await way.get(container, Cache) for _ in range(2)]

        assert [["override"]] * 2 == caches
        with pytest.raises(ServiceNotFoundError):
            await way.get(registry.container(), Cache)

    async def test_an_expected_one_may_be_missing_where_there_is_a_default(self, way, registry):
        """An expected object that was not given leaves an autowired default in place."""

        class Page:
            def __init__(self, session: Session | None = None) -> None:
                self.session = session

        registry.expect(Session)
        registry.register_factory(Page, autowire(Page))
        givens = [{Session: "given"}, {"another": "object"}, None] * 2

        pages = [await way.get(registry.container(given), Page) for given in givens]

        assert ["given", None, None] * 2 == [page.session for page in pages]

    async def test_what_is_registered_locally_takes_the_place_of_an_expected_one(
        self, way, registry
    ):
        """A local registration takes precedence over an object that the container was given."""
        registry.expect(Session)
        registry.register_factory(Cache, _need_session)
        for number in range(2):
            await way.get(registry.container({Session: number}), Cache)
        container = registry.container({Session: "given"})
        container.register_local_factory(Session, lambda: "local")

        assert ["local"] == await way.get(container.child(), Cache)

    async def test_a_connection_is_not_made_with_a_local_one_that_was_expected(
        self, way, registry
    ):
        """A local registration has a lifetime, unlike an object that the container was given."""
        registry.expect(Session)
        registry.register_factory(Cache, _need_session, lifetime="connection")
        for number in range(2):
            container = registry.container({Session: number})
            assert [number] == await way.get(container, Cache)
        container = registry.container({Session: "given"})
        container.register_local_factory(Session, lambda: "local")
        await way.get(container, Session)

        with pytest.raises(LifetimeError):
            await way.get(container, Cache)

    async def test_they_belong_to_one_container(self, way, registry):
        """An object that one container was given is unknown to others."""
        registry.register_value(Database, "registered")
        first, second = registry.container({Database: "given"}), registry.container()

        assert ["given", "registered"] == [
            await way.get(first, Database),
            await way.get(second, Database),
        ]

    async def test_they_are_left_alone(self, way, registry):
        """A given object is neither entered nor closed."""
        events = []

        class Manager:
            def __enter__(self):
                events.append("entered")

            def __exit__(self, *details):
                events.append("left")

        given = Manager()
        container = registry.container({Database: given})

        service = await way.get(container, Database)
        await way.close(container)

        assert given is service
        assert [] == events

    async def test_one_that_is_needed_deep_below(self, way, registry):
        """If a need deep below is given, the service and its own needs are not made."""
        registry.register_factory(Database, Database)
        registry.register_factory(Repository, Repository)
        registry.register_factory(Shop, Shop)
        repository = Repository(Database())

        with registry.container({Repository: repository}) as container:
            assert repository is (await way.get(container, Shop)).repository
            assert Database not in container

    def test_a_later_change_of_the_mapping_does_nothing(self, registry):
        """The container copies the mapping of given objects."""
        given = {Database: "given"}
        container = registry.container(given)
        given[Database] = "changed"
        given[Cache] = "added"

        assert "given" == container.get(Database)
        assert Cache not in container


def _need_session(session: Session):
    return [session]


def _need_cache(cache: Cache):
    return [cache]


class TestAsACollection:
    async def test_what_was_made(self, way, registry):
        """`in` tells whether a container has made a service already."""
        registry.register_factory(Database, Database)
        registry.register_factory(Repository, Repository)
        registry.register_factory(Shop, Shop)
        container = registry.container()
        before = [key in container for key in (Database, Repository, Shop)]

        await way.get(container, Repository)

        assert [False, False, False] == before
        assert [True, True, False] == [key in container for key in (Database, Repository, Shop)]

    def test_it_is_always_true(self, container):
        """An empty container is true."""
        assert True is bool(container)

    def test_it_is_equal_only_to_itself(self, registry, container):
        """Two containers are never equal, and a container can be a key of a dictionary."""
        assert [True, False] == [container == container, container == registry.container()]
        assert 1 == {container: 1}[container]

    def test_entering_gives_the_container(self, registry):
        """The `with` statement binds the container itself."""
        container = registry.container()

        with container as entered:
            assert container is entered

    async def test_entering_gives_the_container_async(self, registry):
        """The `async with` statement binds the container itself."""
        container = registry.container()

        async with container as entered:
            assert container is entered

    async def test_its_repr(self, way, registry):
        """A container's repr tells how much is made and pending, and whether it is closed."""

        def session():
            yield

        registry.register_factory(Database, Database)
        registry.register_factory(Session, session)
        container = registry.container()
        await way.get(container, Database, Session)
        shown = repr(container)
        await way.close(container)

        assert ("2", "1") == tuple(filter(str.isdigit, shown))
        assert "closed" in repr(container)
        assert "closed" not in shown

    async def test_it_is_no_work_for_the_garbage_collector(self, way, registry):
        """A container and its services are freed as soon as they are dropped."""

        def session(repository: Repository):
            yield [repository]

        registry.register_factory(Repository, Repository)
        registry.register_factory(Database, Database)
        registry.register_factory(Session, session)
        container = registry.container()
        await way.get(container, Session)
        references = [weakref.ref(container), weakref.ref(container.get(Repository))]
        await way.close(container)
        gc.collect()
        gc.disable()
        try:
            del container
            left = [reference() for reference in references]
        finally:
            gc.enable()

        assert [None, None] == left

    async def test_it_is_not_kept(self, way, registry):
        """Nobody keeps a container that was closed: its memory is free at once."""
        registry.register_factory(Repository, Repository)
        registry.register_factory(Database, Database)
        container = registry.container()
        service = weakref.ref(await way.get(container, Repository))
        await way.close(container)
        del container
        gc.collect()

        assert None is service()


class TestLocalRegistrations:
    async def test_they_win(self, way, registry):
        """A local registration wins over that of the registry, for services that need it, too."""
        registry.register_factory(Database, Database)
        registry.register_factory(Repository, Repository)
        container = registry.container()
        local = Database()
        container.register_local_value(Database, local)

        assert local is (await way.get(container, Repository)).database
        assert local is await way.get(container, Database)

    async def test_they_belong_to_one_container(self, way, registry):
        """A local registration is seen by its own container only."""
        registry.register_value(Database, "registered")
        first, second = registry.container(), registry.container()
        first.register_local_value(Database, "local")
        first.register_local_value(Cache, "local")

        assert ["local", "registered"] == [
            await way.get(first, Database),
            await way.get(second, Database),
        ]
        assert [Database] == list(registry)

    async def test_factories(self, way, registry, container):
        """A local factory may need what the registry has, and is cleaned up."""
        events = []
        registry.register_factory(Database, Database)

        def make(database: Database):
            yield database
            events.append("left")

        container.register_local_factory(Cache, make)

        database, cache = await way.get(container, Database, Cache)
        await way.close(container)

        assert database is cache
        assert ["left"] == events

    async def test_the_last_one_wins(self, way, registry, container):
        """The last of several local registrations is used."""
        container.register_local_value(Database, 1)
        container.register_local_factory(Database, lambda: 2)

        assert 2 == await way.get(container, Database)

    async def test_after_use(self, way, registry, container):
        """A local registration does not change services that are made already."""
        registry.register_factory(Database, lambda: "registered")
        await way.get(container, Database)
        container.register_local_value(Database, "local")

        assert "registered" == await way.get(container, Database)

    async def test_a_transient_need(self, way, registry):
        """A local registration of a transient service is used from then on."""
        registry.register_factory(Database, lambda: "registered", lifetime="transient")
        container = registry.container()
        before = await way.get(container, Database)
        container.register_local_value(Database, "local")

        assert ("registered", "local") == (before, await way.get(container, Database))

    async def test_callbacks(self, way, registry):
        """The callbacks of local registrations are called when their container closes."""
        events = []

        def session():
            yield
            events.append("session")

        def note(name):
            async def acallback():
                events.append(name)

            return acallback if way.is_async else lambda: events.append(name)

        container = registry.container()
        container.register_local_value(Database, 1, on_registry_close=note("first"))
        container.register_local_factory(Session, session, on_registry_close=note("second"))
        await way.get(container, Session)

        await way.close(container)
        await way.close(registry)

        assert ["session", "second", "first"] == events

    async def test_a_value_in_the_place_of_what_is_made(self, way, registry, container):
        """A service that is made stays, even if local values are registered under its key."""
        registry.register_factory(Database, Database)
        database = await way.get(container, Database)

        for value in ("first", "second"):
            container.register_local_value(Database, value)

        assert database is await way.get(container, Database)
        assert "second" == await way.get(container.child(), Database)

    def test_a_local_singleton(self, container):
        """A local registration cannot outlive its container."""
        with pytest.raises(InvalidLifetimeError) as caught:
            container.register_local_factory(Database, Database, lifetime="singleton")

        assert [] == missing_parts(str(caught.value), "Database", "singleton", "connection")

    async def test_a_singleton_does_not_see_them(self, way, registry):
        """A singleton is made from the registry, never from one container's registrations."""
        registry.register_factory(Database, lambda: "registered", lifetime="singleton")
        registry.register_factory(Repository, Repository, lifetime="singleton")
        container = registry.container()
        container.register_local_value(Database, "local")

        assert "registered" == (await way.get(container, Repository)).database
        assert "local" == await way.get(container, Database)


class TestCurrentContainer:
    def test_there_is_none(self):
        """Outside of any activation there is no current container, and the error says so."""
        with pytest.raises(NoContainerError, match="activate"):
            current_container()

    def test_activation(self, container):
        """Within `activate()` the container is the current one, and bound by `with`."""
        with container.activate() as bound:
            seen = current_container()

        assert [container, container] == [bound, seen]
        with pytest.raises(NoContainerError):
            current_container()

    def test_nesting(self, registry):
        """After an inner activation the outer container is the current one again."""
        outer, inner = registry.container(), registry.container()
        seen = []

        with outer.activate():
            seen.append(current_container())
            with inner.activate():
                seen.append(current_container())
            seen.append(current_container())

        assert [outer, inner, outer] == seen

    def test_after_an_exception(self, container):
        """An exception ends the activation and goes on."""
        with pytest.raises(KeyError), container.activate():
            raise KeyError

        with pytest.raises(NoContainerError):
            current_container()

    def test_it_does_not_close(self, registry, container):
        """The end of an activation is not the end of the container."""
        registry.register_factory(Database, Database)
        with container.activate():
            database = container.get(Database)

        assert database is container.get(Database)

    async def test_tasks(self, registry):
        """Every task has its own current container; a new task starts with its maker's."""
        first, second = registry.container(), registry.container()
        both = asyncio.Barrier(2)

        async def work(container):
            with container.activate():
                await both.wait()
                return await asyncio.create_task(seen())

        async def seen():
            return current_container()

        assert [first, second] == await asyncio.gather(work(first), work(second))

    def test_left_in_a_copy_of_its_context(self, registry):
        """`activate` ends even if a framework enters and leaves it in different contexts."""
        outer, inner = registry.container(), registry.container()
        activation = inner.activate()
        entering = contextvars.copy_context()
        entering.run(outer.activate().__enter__)
        entering.run(activation.__enter__)
        leaving = entering.copy()

        leaving.run(activation.__exit__, None, None, None)

        assert outer is leaving.run(current_container)
        assert inner is entering.run(current_container)

    def test_left_in_another_context(self, registry):
        """If `activate` ends in another context, the current container there stays."""
        outer, inner = registry.container(), registry.container()
        activation = inner.activate()
        contextvars.copy_context().run(activation.__enter__)

        with outer.activate():
            activation.__exit__(None, None, None)
            assert outer is current_container()

    def test_threads(self, container):
        """Another thread does not see this one's current container."""
        with container.activate(), pytest.raises(NoContainerError):
            in_thread(current_container)

    def test_twice(self, container):
        """One container may be activated again within its own activation."""
        with container.activate(), container.activate():
            pass
        with container.activate():
            assert container is current_container()


def test_reused_memory_hands_over_nothing():
    """A new container is empty, though it may lie where a closed one lay."""
    registry = Registry()
    registry.register_factory(Database, Database)
    made = []
    for _ in range(200):
        with registry.container() as container:
            assert Database not in container
            made.append(container.get(Database))

    assert 200 == len({id(database) for database in made})


def test_two_registries_do_not_mix():
    """Two registries in one process know nothing of each other."""
    first, second = Registry(), Registry()
    first.register_factory(Database, lambda: "first")
    second.register_factory(Database, lambda: "second")
    seen = []
    for _ in range(2):
        for registry in (first, second):
            with registry.container() as container:
                seen.append(container.get(Database))

    assert ["first", "second"] * 2 == seen


async def test_sync_and_async_use_of_one_registry():
    """One registry may be used by `get` and by `aget`."""
    registry = Registry()
    registry.register_factory(Database, Database)
    registry.register_factory(Repository, Repository)
    with registry.container() as container:
        repository = container.get(Repository)

        assert repository is await container.aget(Repository)
        assert repository.database is await container.aget(Database)


class TestActivationAcrossContexts:
    """Frameworks may enter a context manager in one context and leave it in another."""

    def test_entered_and_left_in_different_contexts(self, registry):
        """An activation that is left in another context than it was entered in fails nowhere."""
        container = registry.container()
        activation = container.activate()
        entering, leaving = contextvars.copy_context(), contextvars.copy_context()

        entering.run(activation.__enter__)
        seen = entering.run(current_container)
        leaving.run(activation.__exit__, None, None, None)

        assert container is seen
        with pytest.raises(NoContainerError):
            leaving.run(current_container)

    def test_nested_ones(self, registry):
        """The outer container is current again, where the context knows of it."""
        outer, inner = registry.container(), registry.container()
        with outer.activate():
            activation = inner.activate()
            context = contextvars.copy_context()
            context.run(activation.__enter__)
            contextvars.copy_context().run(activation.__exit__, None, None, None)

            assert outer is current_container()
