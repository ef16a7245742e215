"""The registry: its contents, and how it answers."""

import pytest

from tests.support.services import Cache, Database, Mailer, Session
from wares import Container, Registry, RegistryClosedError, ServiceNotFoundError


class TestAsACollection:
    def test_a_new_registry_is_empty(self, registry):
        """Nothing is registered in a new registry."""
        assert [] == list(registry)

    def test_registered_keys(self, registry):
        """Iterating a registry gives its keys; `in` tells whether one is registered."""
        registry.register_factory(Database, Database)
        registry.register_value("name", 1)

        assert [Database, "name"] == list(registry)
        assert [True, True, False] == [key in registry for key in [Database, "name", Cache]]

    def test_a_key_registered_twice_is_there_once(self, registry):
        """Registering a key again replaces its registration."""
        registry.register_factory(Database, Database)
        registry.register_value(Database, 1)

        assert [Database] == list(registry)

    def test_it_is_always_true(self, registry):
        """A registry is true even if it is empty, so that `registry or ...` does no harm."""
        assert True is bool(registry)

    def test_it_is_equal_only_to_itself(self, registry):
        """Two registries are never equal, and a registry can be a key of a dictionary."""
        assert [True, False] == [registry == registry, registry == Registry()]
        assert 1 == {registry: 1}[registry]

    def test_an_unhashable_object_is_not_in_it(self, registry):
        """`in` has an answer, or the error of a dictionary, for what can be no key."""
        with pytest.raises(TypeError, match="hashable"):
            [] in registry  # noqa: B015  # the comparison itself raises

    def test_registrations_can_be_made_while_iterating(self, registry):
        """Iterating goes through the keys that were registered when it began."""
        registry.register_value("first", 1)

        for key in registry:
            registry.register_value(f"another {key}", 2)

        assert ["first", "another first"] == list(registry)

    async def test_its_repr(self, way):
        """A registry's repr tells how much is registered, and whether it is closed."""
        registry = Registry()
        registry.register_value(Database, 1)
        registry.register_factory(Cache, Cache)
        shown = repr(registry)
        await way.close(registry)

        assert ("2",) == tuple(filter(str.isdigit, shown))
        assert ("closed" in repr(registry), "closed" in shown) == (True, False)

    def test_registering_returns_nothing(self, registry):
        """Registering is a command, without an answer."""
        answers = [
            registry.register_factory(Database, Database),
            registry.register_value(Cache, 1),
            registry.expect(Session),
        ]

        assert [None] * 3 == answers

    def test_entering_gives_the_registry(self):
        """The `with` statement binds the registry itself."""
        registry = Registry()

        with registry as entered:
            assert registry is entered

    async def test_entering_gives_the_registry_async(self):
        """The `async with` statement binds the registry itself."""
        registry = Registry()

        async with registry as entered:
            assert registry is entered


class TestContainers:
    def test_a_container_knows_its_registry(self, registry):
        """A container and its child know the registry they were opened on."""
        container = registry.container()

        assert [registry] * 3 == [
            container.registry,
            container.child().registry,
            Container(registry).registry,
        ]

    @pytest.mark.parametrize(
        "open_container",
        [
            lambda registry, given: registry.container(given),
            lambda registry, given: registry.container(given=given),
        ],
    )
    async def test_given_objects(self, way, registry, open_container):
        """Services given to `registry.container` are there from the start."""
        given = {Session: "session"}
        container = open_container(registry, given)

        assert "session" == await way.get(container, Session)
        assert {Session: "session"} == given

    def test_a_closed_registry_opens_no_container(self):
        """A container on a closed registry is refused at once."""
        registry = Registry()
        registry.close()

        for open_container in [registry.container, lambda: Container(registry)]:
            with pytest.raises(RegistryClosedError, match="closed"):
                open_container()


class TestTheLastRegistrationWins:
    """The last registration wins, at any time."""

    async def test_before_first_use(self, way, registry, container):
        """The last of several registrations is used."""
        registry.register_value(Database, 1)
        registry.register_factory(Database, lambda: 2)
        registry.register_value(Database, 3)

        assert 3 == await way.get(container, Database)

    async def test_after_use(self, way, registry):
        """A registration replaces an earlier one even after its use."""
        registry.register_factory(Database, lambda: "first")
        registry.register_factory(Database, lambda: "second")

        with registry.container() as container:
            assert "second" == await way.get(container, Database)

    async def test_deep_below(self, way, registry):
        """A registration replaces an earlier one for the services that need it, too."""

        def make_cache(database: Database):
            return [database]

        def make_mailer(cache: Cache):
            return [cache]

        registry.register_factory(Database, lambda: "first")
        registry.register_factory(Cache, make_cache)
        registry.register_factory(Mailer, make_mailer)
        registry.register_factory(Database, lambda: "second")

        with registry.container() as container:
            assert [["second"]] == await way.get(container, Mailer)

    async def test_new_needs(self, way, registry):
        """A registration may need other services than the one it replaces."""

        def make_from_database(database: Database):
            return database

        def make_from_cache(cache: Cache):
            return cache

        registry.register_value(Database, "database")
        registry.register_factory(Mailer, make_from_database)
        registry.register_value(Cache, "cache")
        registry.register_factory(Mailer, make_from_cache)

        with registry.container() as container:
            assert "cache" == await way.get(container, Mailer)

    async def test_live_containers(self, way, registry):
        """A live container sees a new registration for services that it has not made yet."""

        def make_cache(database: Database):
            return [database]

        registry.register_value(Database, "first")
        registry.register_factory(Cache, make_cache)
        container = registry.container()
        registry.register_value(Database, "second")

        assert ["second"] == await way.get(container, Cache)

    async def test_what_a_container_has_made_stays(self, way, registry):
        """A live container keeps the services that it has made, for later ones, too."""

        def make_cache(database: Database):
            return [database]

        registry.register_factory(Database, lambda: "first")
        registry.register_factory(Cache, make_cache)
        container = registry.container()
        await way.get(container, Database)
        registry.register_factory(Database, lambda: "second")

        assert ("first", ["first"]) == await way.get(container, Database, Cache)

    async def test_late_registration(self, way, registry):
        """A missing service is found as soon as it is registered."""

        def make_cache(database: Database):
            return [database]

        registry.register_factory(Cache, make_cache)
        container = registry.container()
        for _ in range(3):
            with pytest.raises(ServiceNotFoundError):
                await way.get(container, Cache)
        registry.register_value(Database, "late")

        assert ["late"] == await way.get(container, Cache)

    async def test_from_within_a_factory(self, way, registry, container):
        """A factory may register a service and then ask for it."""

        def make(wares_container):
            wares_container.registry.register_value(Database, "registered by a factory")
            return [wares_container.get(Database)]

        registry.register_factory(Cache, make)

        assert ["registered by a factory"] == await way.get(container, Cache)

    async def test_to_and_fro(self, way, registry):
        """Use and registration may alternate for as long as one likes."""
        seen = []
        for turn in range(5):
            registry.register_factory(Database, lambda turn=turn: turn)
            with registry.container() as container:
                seen.append(await way.get(container, Database))

        assert list(range(5)) == seen

    async def test_another_kind(self, way, registry):
        """A factory may be replaced by a value, by an entered value, and by a factory again."""
        seen = []

        class Manager:
            def __enter__(self):
                return "entered"

            def __exit__(self, *details):
                seen.append("left")

        def make_cache(database: Database):
            return [database]

        registry.register_factory(Cache, make_cache)
        for register in [
            lambda: registry.register_factory(Database, lambda: "factory"),
            lambda: registry.register_value(Database, "value"),
            lambda: registry.register_value(Database, Manager(), enter=True),
            lambda: registry.register_factory(Database, Manager, lifetime="transient"),
            lambda: registry.register_factory(Database, lambda: "again"),
        ]:
            register()
            seen.clear()
            container = registry.container()
            made = await way.get(container, Cache)
            await way.close(container)
            seen.append(made[0])
            assert ["left"] * (seen[-1] == "entered") == seen[:-1]

        assert ["again"] == seen
