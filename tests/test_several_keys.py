"""Several keys at once: `get(A, B)` gives what `get(A)` and `get(B)` do."""

import pytest

from tests.support.messages import missing_parts
from tests.support.services import Cache, Database, Engine, Mailer, Repository, Session, Shop
from wares import Registry, ServiceNotFoundError


@pytest.fixture
def shop(registry: Registry) -> Registry:
    """A registry with a session that is entered, and what stands on it."""

    def open_session(database: Database):
        yield Session()

    registry.register_factory(Database, Database)
    registry.register_factory(Session, open_session)
    registry.register_factory(Repository, Repository)
    registry.register_factory(Shop, Shop)
    registry.register_factory(Engine, Engine, lifetime="singleton")
    registry.register_value(Cache, Cache())
    return registry


KEYS = (Shop, Session, Cache, Repository, Engine, Shop)


async def test_the_same_as_one_by_one(way, shop, container):
    """All services are those that each key gives by itself, in the order of the keys."""
    services = await way.get(container, *KEYS)

    assert type(services) is tuple
    assert [await way.get(container, key) for key in KEYS] == list(services)
    assert services[0].repository is services[3]


async def test_where_something_is_made_already(way, shop, container):
    """A service made already is used, whichever key comes first."""
    session = await way.get(container, Session)

    first = await way.get(container, *KEYS)
    again = await way.get(container, *KEYS)

    assert session is first[1]
    assert first == again


async def test_cleanups(way, registry):
    """Services close in the reverse of the order in which they were finished."""
    events = []

    def leaving(name):
        def make():
            yield name
            events.append(name)

        return make

    for name in ("one", "two", "three"):
        registry.register_factory(name, leaving(name))
    container = registry.container()
    await way.get(container, "two", "one", "three")

    await way.close(container)

    assert ["three", "one", "two"] == events


async def test_a_tuple_is_another_key(way, registry, container):
    """A tuple that is itself a key is not several keys."""
    registry.register_value((Database, Cache), "tuple")
    registry.register_value(Database, "database")
    registry.register_value(Cache, "cache")

    services = (
        await way.get(container, Database, Cache),
        await way.get(container, (Database, Cache)),
    )

    assert (("database", "cache"), "tuple") == services


async def test_an_override(way, shop, container):
    """The last registration counts."""
    with shop.override_value(Cache, "override"):
        _, cache = await way.get(container, Shop, Cache)

    assert "override" == cache


async def test_a_local_registration(way, shop):
    """A local registration counts in its container."""
    container = shop.container()
    container.register_local_value(Cache, "local")

    _, cache = await way.get(container, Shop, Cache)

    assert "local" == cache
    await way.close(container)


async def test_what_is_given(way, shop):
    """A given service counts in its container, even if others are given other keys."""
    for number in range(2):
        container = shop.container({str: number})
        services = await way.get(container, Shop, str)
        assert number == services[1]
        await way.close(container)
    container = shop.container({str: "given", Cache: "given, too"})

    services = [await way.get(container, Shop, str), await way.get(container, Shop, Cache)]

    assert ["given", "given, too"] == [service for _, service in services]
    await way.close(container)


async def test_a_local_registration_where_something_is_given(way, shop):
    """A local registration counts even if other containers were given services."""
    for _ in range(2):
        container = shop.container({str: "given"})
        await way.get(container, Session, Cache)
        await way.close(container)
    container = shop.container({str: "given"})
    container.register_local_value(Cache, "local")

    _, cache = await way.get(container, Session, Cache)

    assert "local" == cache
    await way.close(container)


async def test_in_the_factory_of_a_singleton(way, registry, container):
    """A factory of a singleton may ask for several others at once."""
    registry.register_factory(Database, Database, lifetime="singleton")
    registry.register_factory(Cache, Cache, lifetime="singleton")

    async def amake(wares_container):
        return await wares_container.aget(Database, Cache)

    make = (
        amake if way.is_async else lambda wares_container: wares_container.get(Database, Cache)
    )
    registry.register_factory(Mailer, make, lifetime="singleton")

    parts = await way.get(container, Mailer)

    assert parts == await way.get(container, Database, Cache)


async def test_a_child(way, shop, container):
    """A child gets several services as its parent does, its own where they are scoped."""
    for _ in range(2):
        with container.child() as child:
            shops = await way.get(child, Shop, Engine), await way.get(container, Shop, Engine)

            assert shops[0][0] is not shops[1][0]
            assert shops[0][1] is shops[1][1]


async def test_what_fails(way, registry):
    """A factory's own exception has its own path as a note, and no word of the others."""

    def make() -> Mailer:
        raise OSError("no mail")

    def need(mailer: Mailer) -> Engine:
        return Engine()

    registry.register_factory(Mailer, make)
    registry.register_factory(Engine, need)
    registry.register_value(Cache, Cache())

    with pytest.raises(OSError, match="no mail") as caught:
        await way.get(registry.container(), Cache, Engine)

    [note] = caught.value.__notes__
    assert [] == missing_parts(note, "wares was making Engine -> Mailer, made by ")
    assert "Cache" not in note


async def test_what_is_missing(way, shop, container):
    """A key that is not registered is named, and what came before it is kept."""
    for _ in range(2):
        with pytest.raises(ServiceNotFoundError, match="Mailer"):
            await way.get(container, Database, Mailer)

    assert Database in container


async def test_a_singleton_that_is_not_there_yet(way, shop, container):
    """Singletons that are not there yet are made and shared."""
    with shop.override_factory(Database, Database):
        _, engine = await way.get(container, Shop, Engine)

    assert engine is await way.get(shop.container(), Engine)
