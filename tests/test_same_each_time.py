"""The first use and the thousandth do exactly the same."""

import pytest

from tests.support.services import Cache, Database, Engine, Mailer, Repository, Session, Shop
from wares import AsyncServiceError, ServiceNotFoundError, WaresError

#: Which uses are compared with the first.
USES = [2, 17, 1000]


class Log:
    """The names and numbers that factories and cleanups note in the current use."""

    def __init__(self):
        self.entries = []
        self.numbers = {}

    def number(self, service):
        """Number services in the order in which they turn up, so that uses can be compared."""
        return self.numbers.setdefault(id(service), (len(self.numbers), service))[0]

    def write(self, *entry):
        self.entries.append(entry)

    def take(self):
        """Return what happened since the last time, and begin anew."""
        taken = self.entries
        self.entries, self.numbers = [], {}
        return taken


@pytest.fixture
def log():
    """The log of a use."""
    return Log()


@pytest.fixture
def world(way, registry, log):
    """A registry with services of every lifetime, declared and asked for, some with cleanups."""

    def made(key, *needs):
        log.write("made", key.__name__, *map(log.number, needs))
        return key() if key not in (Repository, Shop) else key(needs[0])

    def make_cache(database: Database):
        return made(Cache, database)

    def open_session(database: Database, cache: Cache):
        try:
            yield made(Session, database, cache)
        except BaseException as error:
            log.write("failed", type(error).__name__)
            raise
        finally:
            log.write("left", "Session")

    async def aopen_mailer(wares_container):
        yield made(Mailer, *await wares_container.aget(Database, Session, Cache))
        log.write("left", "Mailer")

    def open_mailer(wares_container):
        yield made(Mailer, *wares_container.get(Database, Session, Cache))
        log.write("left", "Mailer")

    def make_shop(database: Database, mailer: Mailer, session: Session):
        return made(Shop, database, mailer, session)

    def fail(session: Session):
        raise ValueError("no repository")

    registry.register_factory(Database, lambda: made(Database), lifetime="transient")
    registry.register_factory(Cache, make_cache, lifetime="connection")
    registry.register_factory(Session, open_session)
    registry.register_factory(Mailer, aopen_mailer if way.is_async else open_mailer)
    registry.register_factory(Shop, make_shop)
    registry.register_factory(Repository, fail)
    return registry


async def compare(use):
    """Run *use* a thousand times, and return what the first did, and which others differ."""
    outcomes = {}
    for number in range(1, max(USES) + 1):
        outcome = await use()
        if number in (1, *USES):
            outcomes[number] = outcome
    return outcomes[1], [number for number in USES if outcomes[number] != outcomes[1]]


async def test_making_and_closing(way, world, log):
    """The same calls make the same objects, and close them in the same order."""

    async def use():
        container = world.container()
        asked = [
            await way.get(container, key) for key in (Cache, Shop, Database, Session, Shop)
        ]
        several = await way.get(container, Shop, Mailer, Database)
        numbers = [log.number(service) for service in (*asked, *several)]
        await way.close(container)
        return numbers, log.take()

    (numbers, entries), different = await compare(use)

    assert [] == different
    assert numbers[1] == numbers[4] == numbers[5]
    assert [("left", "Mailer"), ("left", "Session")] == entries[-2:]


async def test_in_children(way, world, log):
    """A parent and its children share the same things each time."""

    async def use():
        parent = world.container()
        services = [
            await way.get(container, key)
            for container in (parent.child(), parent, parent.child())
            for key in (Session, Mailer, Cache)
        ]
        numbers = [log.number(service) for service in services]
        await way.close(parent)
        return numbers, log.take()

    (numbers, _), different = await compare(use)

    assert [] == different
    assert numbers[2] == numbers[5] == numbers[8]


async def test_a_transient_need_of_two_services(way, registry):
    """A transient service is made once for each service that needs it, and not oftener."""
    opened = []

    def connect():
        opened.append(Database())
        return opened[-1]

    registry.register_factory(Database, connect, lifetime="transient")
    registry.register_factory(Repository, Repository)
    registry.register_factory(Shop, Shop)

    async def use():
        opened.clear()
        container = registry.container()
        repository = await way.get(container, Repository)
        shop = await way.get(container, Shop)
        await way.close(container)
        return len(opened), shop.repository is repository

    first, different = await compare(use)

    assert ((1, True), []) == (first, different)


async def test_a_factory_that_fails(way, world, log):
    """A failure has the same notes each time, and the same cleanups in the same order."""

    async def use():
        container = world.container()
        with pytest.raises(ValueError, match="no repository") as caught:
            await way.get(container, Repository)
        await way.close(container)
        return caught.value.__notes__, log.take()

    (notes, _), different = await compare(use)

    assert [] == different
    assert 1 == len(notes)


async def test_work_that_fails(way, world, log):
    """An error of the work reaches the cleanups in the same way."""

    async def use():
        container = world.container()
        await way.get(container, Session)
        with pytest.raises(OSError, match="the work"):
            await way.within(container, fail_the_work)
        return log.take()

    def fail_the_work(container):
        raise OSError("the work")

    entries, different = await compare(use)

    assert [] == different
    assert [("failed", "OSError"), ("left", "Session")] == entries[-2:]


@pytest.mark.parametrize("error", [ServiceNotFoundError, AsyncServiceError])
def test_errors_of_ours(registry, error):
    """An error of ours says the same each time."""

    async def connect():
        return Database()

    registry.register_factory(Repository, Repository)
    if error is AsyncServiceError:
        registry.register_factory(Database, connect)
    texts = set()

    for _ in range(max(USES)):
        with registry.container() as container, pytest.raises(WaresError) as caught:
            container.get(Repository)
        texts.add((type(caught.value), str(caught.value)))

    assert {error} == {kind for kind, _ in texts}
    assert 1 == len(texts)


async def test_a_singleton(way, world, registry, log):
    """A singleton is made at the first use, stays the same, and closes once."""

    def open_engine():
        log.write("made")
        yield Engine()
        log.write("left")

    registry.register_factory(Engine, open_engine, lifetime="singleton")

    async def use():
        container = registry.container()
        engine = await way.get(container, Engine)
        await way.get(container, Session)
        await way.close(container)
        return id(engine)

    _, different = await compare(use)
    await way.close(registry)

    assert [] == different
    assert [("made",), ("left",)] == [entry for entry in log.take() if len(entry) == 1]
