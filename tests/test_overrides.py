"""Overrides: another service while a block lasts."""

import asyncio
import contextlib
from typing import Annotated

import pytest

from tests.support.deadline import in_thread
from tests.support.messages import missing_parts
from tests.support.services import Cache, Database, Engine, Mailer, Repository, Session, Shop
from wares import InvalidLifetimeError, InvalidRegistrationError, Registry, ServiceNotFoundError


class Boom(Exception):
    """The exception that a test fails with."""


def leaving(events, name):
    """Return a generator factory that notes in *events* when its service is left."""

    def make():
        yield name
        events.append(name)

    return make


async def ask(way, registry, *keys):
    """Return what a container of its own gives for *keys*."""
    container = registry.container()
    service = await way.get(container, *keys)
    await way.close(container)
    return service


@pytest.fixture(params=["factory", "value"])
def override(request):
    """Override a key by an object, by way of a factory and as a value."""

    def override(registry, key, service):
        if request.param == "value":
            return registry.override_value(key, service)
        return registry.override_factory(key, lambda: service, lifetime="singleton")

    return override


class TestWhileItLasts:
    async def test_the_service_is_another(self, way, registry, override):
        """Within the block the override is used, after it the registration again."""
        registry.register_factory(Database, lambda: "registered")

        with override(registry, Database, "override") as bound:
            within = await ask(way, registry, Database)
        after = await ask(way, registry, Database)

        assert (None, "override", "registered") == (bound, within, after)

    async def test_deep_below(self, way, registry, override):
        """The override is used where others need the service, too."""
        registry.register_factory(Database, lambda: "registered")
        registry.register_factory(Repository, Repository)
        registry.register_factory(Shop, Shop)
        seen = []

        with override(registry, Database, "override"):
            seen.append((await ask(way, registry, Shop)).repository.database)
        seen.append((await ask(way, registry, Shop)).repository.database)

        assert ["override", "registered"] == seen

    async def test_in_the_middle(self, way, registry, override):
        """The needs of an overridden service are not made."""
        made = []
        registry.register_factory(Database, lambda: made.append("database"))
        registry.register_factory(Repository, Repository)
        registry.register_factory(Shop, Shop)

        with override(registry, Repository, "override"):
            shop = await ask(way, registry, Shop)

        assert ("override", []) == (shop.repository, made)

    async def test_a_value(self, way, registry, override):
        """A registered value may be overridden."""
        registry.register_value(Database, "registered")

        with override(registry, Database, "override"):
            within = await ask(way, registry, Database)

        assert ["override", "registered"] == [within, await ask(way, registry, Database)]

    async def test_what_is_not_registered(self, way, registry, override):
        """A key that was not registered is not registered afterwards."""
        with override(registry, Database, "override"):
            within = (await ask(way, registry, Database), Database in registry)

        assert ("override", True) == within
        assert Database not in registry
        assert [] == list(registry)
        with pytest.raises(ServiceNotFoundError):
            await ask(way, registry, Database)

    async def test_nesting(self, way, registry, override):
        """Overrides nest: the end of each block brings back the registration from before."""
        registry.register_factory(Database, lambda: 0)
        registry.register_factory(Repository, Repository)
        seen = []

        async def look():
            seen.append((await ask(way, registry, Repository)).database)

        with override(registry, Database, 1):
            await look()
            with override(registry, Database, 2):
                await look()
                with override(registry, Database, 3):
                    await look()
                await look()
            await look()
        await look()

        assert [1, 2, 3, 2, 1, 0] == seen

    async def test_several_keys(self, way, registry, override):
        """Overrides of several keys know nothing of each other."""
        registry.register_value(Database, "database")
        registry.register_value(Cache, "cache")

        with contextlib.ExitStack() as stack:
            stack.enter_context(override(registry, Database, "first"))
            stack.enter_context(override(registry, Cache, "second"))
            stack.enter_context(override(registry, Mailer, "third"))
            within = await ask(way, registry, Database, Cache, Mailer)

        assert ("first", "second", "third") == within
        assert ("database", "cache") == await ask(way, registry, Database, Cache)

    async def test_an_exception(self, way, registry, override):
        """An exception undoes the override, and goes on."""
        registry.register_value(Database, "registered")
        error = Boom()

        with pytest.raises(Boom) as caught, override(registry, Database, "override"):
            raise error

        assert error is caught.value
        assert "registered" == await ask(way, registry, Database)

    async def test_before_the_start(self, way, registry, override):
        """An override stays in force where an application registers its own later."""
        registry.register_value(Database, "registered")

        with override(registry, Database, "override"):
            registry.register_value(Database, "by the application")
            within = await ask(way, registry, Database)
        after = await ask(way, registry, Database)

        assert ["override", "by the application"] == [within, after]

    async def test_live_containers(self, way, registry, override):
        """A live container sees the override for services that it has not made yet."""
        registry.register_factory(Database, lambda: "registered")
        registry.register_factory(Repository, Repository)
        fresh, used = registry.container(), registry.container()
        await way.get(used, Database)

        with override(registry, Database, "override"):
            seen = [(await way.get(it, Repository)).database for it in (fresh, used)]

        assert ["override", "registered"] == seen

    async def test_another_thread(self, registry, override):
        """An override counts for every thread."""
        registry.register_value(Database, "registered")

        with override(registry, Database, "override"):
            within = in_thread(lambda: registry.container().get(Database))

        assert "override" == within

    async def test_an_override_that_is_not_entered(self, way, registry, override):
        """Only the block overrides, not the call, which says so."""
        registry.register_value(Database, "registered")

        with pytest.warns(RuntimeWarning, match="Database has no effect") as caught:
            override(registry, Database, "override")

        assert __file__ == caught[0].filename
        assert "registered" == await ask(way, registry, Database)

    def test_of_a_function(self, registry):
        """An override is a decorator, too: it lasts while the function runs."""
        registry.register_value(str, "real")

        @registry.override_value(str, "fake")
        def ask_once():
            with registry.container() as container:
                return container.get(str)

        found = [ask_once(), ask_once()]

        assert ["fake", "fake"] == found
        with registry.container() as container:
            assert "real" == container.get(str)

    async def test_of_an_asynchronous_function(self, registry):
        """The same for one that is awaited."""
        registry.register_value(str, "real")

        @registry.override_value(str, "fake")
        async def ask_once():
            await asyncio.sleep(0)
            with registry.container() as container:
                return container.get(str)

        found = [await ask_once(), await ask_once()]

        assert ["fake", "fake"] == found
        with registry.container() as container:
            assert "real" == container.get(str)

    @pytest.mark.parametrize("is_async", [False, True])
    def test_of_a_generator_function(self, registry, is_async):
        """It would end before the body of the function begins, so it is refused."""

        def generator():
            yield

        async def agenerator():
            yield

        function = agenerator if is_async else generator

        with pytest.raises(InvalidRegistrationError) as caught:
            registry.override_value(str, "fake")(function)

        assert [] == missing_parts(str(caught.value), function.__name__, "generator", "`with`")

    async def test_across_an_await(self, registry, override):
        """An override of one test lasts across its awaits."""
        registry.register_value(Database, "registered")

        with override(registry, Database, "override"):
            await asyncio.sleep(0)
            async with registry.container() as container:
                assert "override" == await container.aget(Database)

    async def test_validate(self, registry, override):
        """`validate` checks the registrations in force."""
        registry.register_factory(Repository, Repository)

        with override(registry, Database, "override"):
            assert None is registry.validate()

    async def test_of_what_is_registered_locally_within(self, way, registry, override):
        """A local registration that came meanwhile counts after the override."""
        container = registry.container()
        with override(registry, Database, "override"):
            container.register_local_value(Database, "local")
            child = container.child()
            within = await way.get(child, Database)

        assert "override" == within
        assert "local" == await way.get(container, Database)

    async def test_of_what_a_container_is_given(self, way, registry, override):
        """Given services come before registered ones, overrides included."""
        registry.expect(Database)
        with override(registry, Database, "override"):
            container = registry.container({Database: "given"})

            assert "given" == await way.get(container, Database)


class TestOptions:
    async def test_cleanups(self, way, registry):
        """A service of an override is cleaned up by the container that made it."""
        events = []
        registry.register_factory(Session, leaving(events, "registered"))

        with registry.override_factory(Session, leaving(events, "override")):
            container = registry.container()
            await way.get(container, Session)
        await way.close(container)

        assert ["override"] == events

    async def test_needs(self, way, registry):
        """An override may need other services, the overridden one's needs among them."""
        registry.register_value(Database, "database")
        registry.register_factory(Session, Session)

        def make(database: Database):
            return [database]

        with registry.override_factory(Session, make):
            assert ["database"] == await ask(way, registry, Session)

    async def test_lifetime(self, way, registry):
        """An override has a lifetime of its own."""
        registry.register_factory(Database, Database, lifetime="transient")

        with registry.override_factory(Database, Database, lifetime="singleton"):
            first = await ask(way, registry, Database)
            second = await ask(way, registry, Database)

        assert first is second
        assert first is not await ask(way, registry, Database)

    async def test_enter(self, way, registry):
        """An overriding value is entered only if asked."""
        events = []

        @contextlib.contextmanager
        def manage():
            events.append("entered")
            yield "entered service"
            events.append("left")

        manager = manage()
        with registry.override_value(Session, manager):
            untouched = await ask(way, registry, Session)
        with registry.override_value(Session, manager, enter=True):
            entered = await ask(way, registry, Session)

        assert (manager, "entered service") == (untouched, entered)
        assert ["entered", "left"] == events

    async def test_ping(self, way, registry):
        """An override may have a ping; the ping of the replaced registration does not run."""
        registry.register_value(Database, 1, ping=lambda _: None)
        seen = []

        with registry.override_value(Database, 2):
            without = registry.container().get_pings()
        with registry.override_value(Database, 3, ping=seen.append):
            (ping,) = registry.container().get_pings()
            await ping.aping()

        assert ([], [3]) == (without, seen)
        assert 1 == len(registry.container().get_pings())

    @pytest.mark.parametrize(
        ("override", "error"),
        [
            (lambda it: it.override_factory(Database, 42), InvalidRegistrationError),
            (lambda it: it.override_factory([], Database), InvalidRegistrationError),
            (lambda it: it.override_value([], 1), InvalidRegistrationError),
            (lambda it: it.override_value(Database, 1, ping=1), InvalidRegistrationError),
            (
                lambda it: it.override_factory(Database, Database, lifetime="forever"),
                InvalidLifetimeError,
            ),
        ],
    )
    async def test_bad_input(self, way, registry, override, error):
        """An override that cannot work is refused, and leaves the registration in force."""
        registry.register_value(Database, "registered")

        with pytest.raises(error), override(registry):
            pass

        assert "registered" == await ask(way, registry, Database)


class TestSingletons:
    async def test_one_that_is_overridden(self, way, registry, override):
        """A singleton that was made before is overridden, and there again afterwards."""
        registry.register_factory(Engine, lambda: ["registered"], lifetime="singleton")
        await ask(way, registry, Engine)

        with override(registry, Engine, ["override"]):
            within = await ask(way, registry, Engine)
        after = [await ask(way, registry, Engine) for _ in range(2)]

        assert ["override"] == within
        assert [["registered"]] * 2 == after
        assert after[0] is after[1]

    async def test_one_made_from_what_is_overridden(self, way, registry, override):
        """A singleton made from an overridden service is made anew, within and after."""
        registry.register_factory(Database, lambda: "registered", lifetime="singleton")
        registry.register_factory(Repository, Repository, lifetime="singleton")
        registry.register_factory(Shop, Shop, lifetime="singleton")
        seen = []

        async def look():
            seen.append((await ask(way, registry, Shop)).repository.database)

        await look()
        with override(registry, Database, "override"):
            await look()
            with override(registry, Database, "inner"):
                await look()
            await look()
        await look()

        assert ["registered", "override", "inner", "override", "registered"] == seen

    async def test_one_is_made_once_for_each(self, way, registry, override):
        """A singleton made from an overridden service is made once before, within and after."""
        made = []

        def make(database: Database):
            made.append(database)
            return [database]

        registry.register_factory(Database, lambda: "registered", lifetime="singleton")
        registry.register_factory(Engine, make, lifetime="singleton")
        registry.register_factory(Session, lambda: "session")
        before = [await ask(way, registry, Engine, Session) for _ in range(3)]
        with override(registry, Database, "override"):
            within = [await ask(way, registry, Engine, Session) for _ in range(3)]
        after = [await ask(way, registry, Engine, Session) for _ in range(3)]

        for group in (before, within, after):
            assert 1 == len({id(engine) for engine, _ in group})
        assert ["registered", "override"] == made[:2]
        assert len(made) <= 3

    @pytest.mark.parametrize("kind", ["declared", "asked for"])
    async def test_an_overridden_singleton_below(self, way, registry, override, kind):
        """An overridden singleton is the same afterwards, even if asked for meanwhile."""

        def declared(database: Database):
            return [database]

        async def aasking(wares_container):
            return [await wares_container.aget(Database)]

        def asking(wares_container):
            return [wares_container.get(Database)]

        registry.register_factory(Database, lambda: "registered", lifetime="singleton")
        factory = declared if kind == "declared" else aasking if way.is_async else asking
        registry.register_factory(Engine, factory, lifetime="singleton")
        seen = []

        async def look():
            seen.append(await ask(way, registry, Engine, Database))

        await look()
        with override(registry, Database, "override"):
            await look()
        await look()

        assert [
            (["registered"], "registered"),
            (["override"], "override"),
            (["registered"], "registered"),
        ] == seen

    async def test_one_that_asked_for_what_is_overridden(self, way, registry, override):
        """A singleton whose factory asked for an overridden service is made anew, too."""
        registry.register_value(Database, "registered")

        async def amake(wares_container):
            return [await wares_container.aget(Database)]

        def make(wares_container):
            return [wares_container.get(Database)]

        registry.register_factory(Engine, amake if way.is_async else make, lifetime="singleton")
        seen = [await ask(way, registry, Engine)]
        with override(registry, Database, "override"):
            seen.append(await ask(way, registry, Engine))
        seen.append(await ask(way, registry, Engine))

        assert [["registered"], ["override"], ["registered"]] == seen

    async def test_one_that_asked_through_another(self, way, registry, override):
        """A singleton that needs an overridden service indirectly is made anew, too."""
        registry.register_value(Database, "registered")
        registry.register_factory(Repository, Repository, lifetime="singleton")

        async def amake(wares_container):
            return (await wares_container.aget(Repository)).database

        def make(wares_container):
            return wares_container.get(Repository).database

        registry.register_factory(Engine, amake if way.is_async else make, lifetime="singleton")
        seen = [await ask(way, registry, Engine)]
        with override(registry, Database, "override"):
            seen.append(await ask(way, registry, Engine))
        seen.append(await ask(way, registry, Engine))

        assert ["registered", "override", "registered"] == seen

    async def test_one_that_asked_within_another_container(self, way, registry, override):
        """A singleton that asked while it had something scoped made is made anew, too."""
        registry.register_factory(Database, lambda: "registered", lifetime="singleton")
        asked = {}

        async def amake(wares_container):
            asked["get"] = wares_container.aget
            async with registry.container() as inner:
                return await inner.aget(Repository)

        async def amake_inner():
            return await asked["get"](Database)

        def make(wares_container):
            asked["get"] = wares_container.get
            with registry.container() as inner:
                return inner.get(Repository)

        registry.register_factory(Engine, amake if way.is_async else make, lifetime="singleton")
        registry.register_factory(
            Repository, amake_inner if way.is_async else lambda: asked["get"](Database)
        )
        seen = [await ask(way, registry, Engine)]
        with override(registry, Database, "override"):
            seen.append(await ask(way, registry, Engine))

        assert ["registered", "override"] == seen

    async def test_one_made_with_a_key_that_was_absent(self, way, registry, override):
        """A singleton that did without a service is made anew where an override brings it."""
        from wares import autowire

        def make(cache: Cache = "default"):
            return [cache]

        registry.register_factory(Engine, autowire(make), lifetime="singleton")
        seen = [await ask(way, registry, Engine)]
        with override(registry, Cache, "override"):
            seen.append(await ask(way, registry, Engine))
        seen.append(await ask(way, registry, Engine))

        assert [["default"], ["override"], ["default"]] == seen

    async def test_others_stay(self, way, registry, override):
        """A singleton independent of the overridden service stays as it is."""
        made = []
        registry.register_value(Database, "registered")
        registry.register_factory(
            Cache, lambda: made.append("made") or Cache(), lifetime="singleton"
        )
        before = await ask(way, registry, Cache)
        with override(registry, Database, "override"):
            within = await ask(way, registry, Cache)
        after = await ask(way, registry, Cache)

        assert before is within
        assert before is after
        assert ["made"] == made

    async def test_cleanups(self, way):
        """Every singleton, evicted or not, is cleaned up exactly once."""
        events = []
        numbers = iter(range(100))
        registry = Registry()

        def make_database():
            number = next(numbers)
            yield f"database {number}"
            events.append(f"database {number}")

        def make_repository(database: Database):
            number = next(numbers)
            yield database
            events.append(f"repository {number} of {database}")

        registry.register_factory(Database, make_database, lifetime="singleton")
        registry.register_factory(Repository, make_repository, lifetime="singleton")
        await ask(way, registry, Repository)
        with registry.override_factory(Database, make_database, lifetime="singleton"):
            await ask(way, registry, Repository)
        await ask(way, registry, Repository)
        await way.close(registry)

        assert len(events) == len(set(events)) == next(numbers)
        for event in events:
            if event.startswith("repository"):
                needed = event.split(" of ")[1]
                assert events.index(event) < events.index(needed)

    async def test_an_exception(self, way, registry, override):
        """An exception evicts the services made from the override as well."""
        registry.register_value(Database, "registered")
        registry.register_factory(Repository, Repository, lifetime="singleton")

        async def fail():
            with override(registry, Database, "override"):
                await ask(way, registry, Repository)
                raise Boom

        with pytest.raises(Boom):
            await fail()

        assert "registered" == (await ask(way, registry, Repository)).database

    async def test_a_singleton_that_is_being_made(self, registry):
        """A singleton whose making began before the override is not kept under it."""
        entered, released = asyncio.Event(), asyncio.Event()

        async def make(database: Database):
            entered.set()
            await released.wait()
            return [database]

        registry.register_value(Database, "registered")
        registry.register_factory(Engine, make, lifetime="singleton")
        task = asyncio.create_task(registry.container().aget(Engine))
        await entered.wait()
        with registry.override_value(Database, "override"):
            released.set()
            await task
            within = await registry.container().aget(Engine)
        after = await registry.container().aget(Engine)

        assert [["override"], ["registered"]] == [within, after]

    async def test_a_scoped_service_that_is_being_made(self, registry):
        """A graph whose making began before the override is whole, of whichever time."""
        entered, released = asyncio.Event(), asyncio.Event()

        async def wait():
            entered.set()
            await released.wait()
            return "cache"

        def make(cache: Cache, first: Database, second: Repository):
            return [first, second.database]

        registry.register_factory(Database, lambda: "registered")
        registry.register_factory(Cache, wait)
        registry.register_factory(Repository, Repository)
        registry.register_factory(Shop, make)
        task = asyncio.create_task(registry.container().aget(Shop))
        await entered.wait()
        with registry.override_factory(Database, lambda: "override"):
            released.set()
            first, second = await task

        assert first == second


async def test_a_registry_that_is_closed_within(way, override):
    """An override may end after its registry was closed; the registrations return."""
    registry = Registry()
    registry.register_factory(Engine, Engine, lifetime="singleton")

    with override(registry, Database, "override"):
        await ask(way, registry, Engine, Database)
        await way.close(registry)

    assert [Engine] == list(registry)


async def test_one_test_after_the_other(way, registry):
    """Overrides come and go as often as there are tests, and leave no trace."""
    registry.register_factory(Database, lambda: "registered")
    registry.register_factory(Repository, Repository)
    seen = []
    for number in range(20):
        with registry.override_value(Database, number):
            seen.append((await ask(way, registry, Repository)).database)
        seen.append((await ask(way, registry, Repository)).database)

    assert [x for number in range(20) for x in (number, "registered")] == seen


@pytest.mark.parametrize("lifetime", ["singleton", "connection", "scoped", "transient"])
async def test_the_lifetime_of_what_is_replaced(way, registry, lifetime):
    """An override keeps the lifetime of the registration it replaces, unless given one."""
    registry.register_factory(Database, Database, lifetime=lifetime)

    with registry.override_factory(Database, Database):
        node = next(node for node in registry.graph().nodes if node.key is Database)
        assert lifetime == node.lifetime
    with registry.override_factory(Database, Database, lifetime="scoped"):
        node = next(node for node in registry.graph().nodes if node.key is Database)
        assert node.lifetime == "scoped"


class TestWithoutEffect:
    """An override of a key that is neither registered nor asked for is a mistake."""

    def test_of_another_key(self, registry, override):
        """The warning names similar keys that are registered."""
        registry.register_factory(Annotated[Database, "main"], Database)

        with pytest.warns(RuntimeWarning, match="no effect") as caught:
            with override(registry, Database, "override"):
                registry.validate()

        assert "Similar keys are registered: Annotated[Database, 'main']." in str(
            caught[0].message
        )
        assert __file__ == caught[0].filename

    def test_of_a_factory(self, registry, override):
        """The key is meant, not the function that is registered under it."""

        def connect(): ...

        registry.register_factory(Database, connect)

        with pytest.warns(RuntimeWarning, match="Similar keys are registered: Database"):
            with override(registry, connect, "override"):
                pass

    def test_in_an_empty_registry(self, registry, override):
        """The warning says that the registry may not be the application's."""
        with pytest.warns(RuntimeWarning, match="get_registry"):
            with override(registry, Database, "override"):
                pass

    async def test_that_may_have_one(self, way, registry, override):
        """Overrides of keys asked for, needed or given, and of dependencies, do not warn."""

        def find_user(): ...

        registry.expect(Cache)
        registry.register_factory(Repository, Repository)

        with override(registry, Cache, "override"), override(registry, find_user, "override"):
            pass
        with override(registry, Database, "override"):
            registry.validate()
        with override(registry, Database, "override"), override(registry, Database, "inner"):
            assert "inner" == await ask(way, registry, Database)
        with override(registry, Database, "override"):
            registry.register_factory(Database, Database)

    def test_that_a_failure_ends(self, registry, override):
        """A test that fails does not warn: its override may not have been needed yet."""
        with (
            pytest.raises(ValueError, match="failed"),
            override(registry, Database, "override"),
        ):
            raise ValueError("failed")
