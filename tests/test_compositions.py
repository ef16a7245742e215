"""Services that are made of others: aliases, several of one key, decorated ones."""

import typing

import pytest

from tests.support.deadline import in_threads
from tests.support.services import Cache, Database, Mailer, Repository, Session, Settings, Shop
from wares import (
    CircularDependencyError,
    InvalidRegistrationError,
    InvalidRegistryError,
    LifetimeError,
    Registry,
    RegistryClosedError,
    ServiceNotFoundError,
    UnresolvableParameterError,
    WaresError,
)


class Storage(typing.Protocol):
    """The interface of a database."""


class TestAlias:
    """`register_alias`."""

    async def test_the_same_object(self, way, registry, container):
        """An alias gives the very service that it stands for, whichever is asked for first."""
        registry.register_factory(Database, Database)
        registry.register_alias(Storage, Database)

        first = await way.get(container, Storage)

        assert first is await way.get(container, Database)
        assert first is await way.get(container, Storage)

    @pytest.mark.parametrize("lifetime", ["singleton", "connection", "scoped", "transient"])
    async def test_the_lifetime_is_that_of_the_target(self, way, registry, container, lifetime):
        """The alias has no lifetime of its own: owners and cleanups are those of the target."""
        made = []
        registry.register_factory(
            Database, lambda: made.append(1) or Database(), lifetime=lifetime
        )
        registry.register_alias(Storage, Database)
        child = container.child()
        for one in (container, container, child):
            await way.get(one, Storage)

        count = {"singleton": 1, "connection": 1, "scoped": 2, "transient": 3}[lifetime]
        assert count == len(made)

    async def test_it_can_be_needed(self, way, registry, container):
        """A factory may need a service by its alias, also a singleton."""

        def make(storage: Storage):
            return storage

        registry.register_factory(Shop, make, lifetime="singleton")
        registry.register_factory(Database, Database, lifetime="singleton")
        registry.register_alias(Storage, Database)
        registry.validate()

        shop, database = await way.get(container, Shop, Database)

        assert shop is database

    def test_lifetimes_are_looked_at_behind_it(self, registry):
        """A singleton may not need a scoped service through an alias."""

        def make(storage: Storage): ...

        registry.register_factory(Shop, make, lifetime="singleton")
        registry.register_factory(Database, Database)
        registry.register_alias(Storage, Database)

        with pytest.raises(InvalidRegistryError) as caught:
            registry.validate()

        assert [LifetimeError] == [type(error) for error in caught.value.exceptions]

    async def test_overrides(self, way, registry, container):
        """An override of the target overrides the alias; the alias can be overridden alone."""
        registry.register_factory(Database, Database)
        registry.register_alias(Storage, Database)
        with registry.override_value(Database, 1):
            both = await way.get(container, Storage)
        with registry.override_value(Storage, 2):
            alone = await way.get(container, Storage)

        assert (1, 2) == (both, alone)

    async def test_something_missing(self, way, registry, container):
        """A target that is not registered is missing, and the path tells of the alias."""
        registry.register_alias(Storage, Database)

        with pytest.raises(ServiceNotFoundError) as caught:
            await way.get(container, Storage)
        with pytest.raises(InvalidRegistryError):
            registry.validate()

        assert (Storage, Database) == caught.value.path
        assert "Storage, registered as an alias" in str(caught.value)

    async def test_a_circle(self, way, registry, container):
        """Aliases of each other are a circle."""
        registry.register_alias(Storage, Database)
        registry.register_alias(Database, Storage)

        with pytest.raises(CircularDependencyError):
            await way.get(container, Storage)

    @pytest.mark.parametrize(
        ("key", "target"), [(Database, Database), ([], Database), (Database, [])]
    )
    def test_bad_keys(self, registry, key, target):
        """A key that is none, or an alias of itself, is refused."""
        with pytest.raises(InvalidRegistrationError):
            registry.register_alias(key, target)

    def test_in_the_graph(self, registry):
        """The graph shows what an alias stands for."""
        registry.register_value(Database, 1)
        registry.register_alias(Storage, Database)
        graph = registry.graph()

        assert ["value", "alias"] == [node.kind for node in graph.nodes]
        assert [("Storage", "Database")] == [(edge.source, edge.target) for edge in graph.edges]
        assert graph.nodes[1].place is None


class TestSeveral:
    """`add_factory` and `add_value`."""

    async def test_in_the_order_of_registration(self, way, registry, container):
        """`list[key]` gives all of them, in the order in which they were added."""
        registry.add_factory(Mailer, lambda: "first")
        registry.add_value(Mailer, "second")
        registry.add_factory(Mailer, lambda: "third", lifetime="transient")

        assert ["first", "second", "third"] == await way.get(container, list[Mailer])

    async def test_needed_by_a_factory(self, way, registry, container):
        """A factory that needs the list names it in its annotation."""

        def make(mailers: list[Mailer]):
            return mailers

        registry.add_value(Mailer, 1)
        registry.register_factory(Shop, make)
        registry.validate()

        assert [1] == await way.get(container, Shop)

    async def test_each_has_its_own_lifetime(self, way, registry):
        """Each of several services is kept and cleaned up by its own owner."""
        events = []

        def make(name):
            def factory():
                yield name
                events.append(name)

            return factory

        registry.add_factory(Mailer, make("singleton"), lifetime="singleton")
        registry.add_factory(Mailer, make("scoped"))
        containers = [registry.container(), registry.container()]
        for container in containers:
            await way.get(container, list[Mailer])
            await way.close(container)
        await way.close(registry)

        assert ["scoped", "scoped", "singleton"] == events

    async def test_none(self, way, registry, container):
        """The list is empty where nothing was registered."""
        assert [] == await way.get(container, list[Mailer])

    async def test_a_list_of_ones_own(self, way, registry, container):
        """Each `get` gives a new list, which may be changed."""
        registry.add_value(Mailer, 1)
        (await way.get(container, list[Mailer])).clear()

        assert [1] == await way.get(container, list[Mailer])

    async def test_with_the_one(self, way, registry, container):
        """The service registered under the key itself is in the list, in its place."""
        registry.add_value(Mailer, "first")
        registry.register_value(Mailer, "replaced")
        registry.add_value(Mailer, "third")
        registry.register_value(Mailer, "the one")

        one, several = await way.get(container, Mailer, list[Mailer])

        assert "the one" == one
        assert ["first", "the one", "third"] == several

    async def test_overrides(self, way, registry, container):
        """A test overrides the whole list."""
        registry.add_value(Mailer, 1)
        with registry.override_value(list[Mailer], ["fake"]):
            overridden = await way.get(container, list[Mailer])

        assert ["fake"] == overridden

    def test_pings(self, registry, container):
        """Each may have its ping, whose name tells which of them it is."""
        registry.add_value(Mailer, 1, ping=print, ping_timeout=1, tags=["ready"])
        registry.add_factory(Mailer, Mailer, ping=print)

        assert ["Mailer (part 1)", "Mailer (part 2)"] == [
            ping.name for ping in container.get_pings()
        ]

    def test_bad_keys(self, registry):
        """A key that is not hashable is refused."""
        for add in (
            lambda: registry.add_value([], 1),
            lambda: registry.add_factory([], list),
        ):
            with pytest.raises(InvalidRegistrationError):
                add()

    def test_a_closed_registry(self):
        """Nothing can be added to a registry that is closed."""
        registry = Registry()
        registry.close()
        for add in (
            lambda: registry.add_value(Mailer, 1),
            lambda: registry.register_alias(Mailer, Cache),
            lambda: registry.decorate(Mailer, print),
        ):
            with pytest.raises(RegistryClosedError):
                add()

    def test_in_the_graph(self, registry):
        """The graph shows the parts, and the list where it is needed."""

        def make(mailers: list[Mailer]): ...

        registry.add_value(Mailer, 1)
        registry.register_factory(Shop, make)
        graph = registry.graph()

        assert [
            ("Mailer (part 1)", "value"),
            ("Shop", "factory"),
            ("list[Mailer]", "list"),
        ] == [(node.name, node.kind) for node in graph.nodes]


class Traced:
    """A decorator of a service."""

    def __init__(self, inner: object, settings: Settings) -> None:
        self.inner = inner
        self.settings = settings


class TestDecorating:
    """`decorate`."""

    async def test_around_a_service(self, way, registry, container):
        """`get` returns the decorator, whose other parameters are filled."""
        registry.register_factory(Database, Database)
        registry.register_value(Settings, "settings")
        registry.decorate(Database, Traced)
        registry.validate()

        database = await way.get(container, Database)

        assert (Traced, Database, "settings") == (
            type(database),
            type(database.inner),
            database.settings,
        )
        assert database is await way.get(container, Database)

    async def test_annotated_with_what_it_decorates(self, way, registry, container):
        """The first parameter is the decorated service, even if its annotation is the key."""

        def twice(number: int, factor: float) -> int:
            return int(number * factor)

        registry.register_factory(int, lambda: 5)
        registry.register_value(float, 2.0)
        registry.decorate(int, twice)
        registry.decorate(int, twice)

        assert 20 == await way.get(container, int)

    @pytest.mark.parametrize("lifetime", ["singleton", "connection", "scoped", "transient"])
    async def test_the_lifetime_stays(self, way, registry, container, lifetime):
        """A decorator has the lifetime of the decorated service."""
        made = []

        def decorate(database: Database):
            made.append(database)
            return database

        registry.register_factory(Database, Database, lifetime=lifetime)
        registry.decorate(Database, decorate)
        child = container.child()
        for one in (container, container, child):
            await way.get(one, Database)

        count = {"singleton": 1, "connection": 1, "scoped": 2, "transient": 3}[lifetime]
        assert count == len(made) == len(set(made))

    async def test_cleanups(self, way, registry):
        """The cleanup of the decorated service runs after that of the decorator."""
        events = []

        def make():
            yield "service"
            events.append("service")

        def decorate(service: str):
            yield f"decorated {service}"
            events.append("decorator")

        registry.register_factory(str, make)
        registry.decorate(str, decorate)
        container = registry.container()
        service = await way.get(container, str)
        await way.close(container)

        assert "decorated service" == service
        assert ["decorator", "service"] == events

    async def test_not_entered_twice(self, way, registry):
        """A context manager is entered once, though the decorator gives it back."""
        entered = []

        class Manager:
            def __enter__(self):
                entered.append(1)
                return self

            def __exit__(self, *_):
                pass

        def decorate(manager: Manager):
            return manager

        registry.register_factory(Manager, Manager)
        registry.decorate(Manager, decorate)
        container = registry.container()
        await way.get(container, Manager)
        await way.close(container)

        assert [1] == entered

    async def test_a_value(self, way, registry, container):
        """A value is decorated once for the registry's life, so that singletons may need it."""

        def make(number: int):
            return number

        registry.register_value(int, 5)
        registry.decorate(int, Double)
        registry.register_factory(Shop, make, lifetime="singleton")
        registry.validate()

        first = await way.get(container, Shop)

        assert 5 == first.number
        assert first is await way.get(registry.container(), int)

    async def test_an_alias(self, way, registry, container):
        """An alias can be decorated; its target is not affected."""
        registry.register_value(int, 5)
        registry.register_alias(float, int)
        registry.decorate(float, Double)

        decorated, number = await way.get(container, float, int)

        assert (5, 5) == (decorated.number, number)

    async def test_asynchronous(self, registry):
        """Both may be asynchronous."""

        async def make():
            yield 5

        async def decorate(number: int):
            return number + 1

        registry.register_factory(int, make)
        registry.decorate(int, decorate)
        async with registry.container() as container:
            assert 6 == await container.aget(int)

    async def test_overrides(self, way, registry, container):
        """An override replaces the service with its decoration."""
        registry.register_factory(Database, Database)
        registry.register_value(Settings, 1)
        registry.decorate(Database, Traced)
        with registry.override_value(Database, "fake"):
            overridden = await way.get(container, Database)

        assert "fake" == overridden

    def test_the_ping(self, registry, container):
        """The service has one ping, which gets the decorator."""
        seen = []
        registry.register_factory(
            Database, Database, ping=seen.append, ping_timeout=2, tags=["ready"]
        )
        registry.register_value(Settings, 1)
        registry.decorate(Database, Traced)
        (ping,) = container.get_pings()
        ping.ping()

        assert ("Database", 2, ("ready",)) == (ping.name, ping.timeout, ping.tags)
        assert [Traced] == [type(service) for service in seen]

    def test_something_that_is_not_there(self, registry):
        """A service that is not registered cannot be decorated."""
        registry.register_factory(Repository, Repository)

        with pytest.raises(ServiceNotFoundError) as caught:
            registry.decorate("Repositry", Traced)

        assert "Repository" in str(caught.value)

    def test_something_that_is_not_callable(self, registry):
        """A decorator is a callable."""
        registry.register_factory(Database, Database)

        with pytest.raises(InvalidRegistrationError):
            registry.decorate(Database, 5)

    async def test_a_decorator_that_takes_nothing(self, way, registry, container):
        """A decorator that takes nothing decorates nothing, which is a mistake."""
        registry.register_factory(Session, Session)
        registry.decorate(Session, lambda: 1)

        with pytest.raises(UnresolvableParameterError) as caught:
            await way.get(container, Session)
        with pytest.raises(InvalidRegistryError):
            registry.validate()

        assert "a decorator takes the decorated service as its first parameter" in str(
            caught.value
        )


class Double:
    """A decorator of a number."""

    def __init__(self, number: int) -> None:
        self.number = number


T = typing.TypeVar("T")


class Box(typing.Generic[T]):
    """A generic service."""

    def __init__(self, database: Database, wares_types: tuple[type, ...]) -> None:
        self.database = database
        self.types = wares_types


class TestGeneric:
    """`register_generic`."""

    async def test_the_types_in_the_brackets(self, way, registry, container):
        """One factory makes the services for all types, and gets the types."""
        registry.register_factory(Database, Database)
        registry.register_generic(Box, Box)

        number, text = await way.get(container, Box[int], Box[str])

        assert ((int,), (str,)) == (number.types, text.types)
        assert number.database is text.database
        assert number is await way.get(container, Box[int])

    async def test_needed_by_a_factory(self, way, registry, container):
        """A factory that needs one names it in its annotation; `validate` knows of it."""

        def make(box: Box[Box[int]]):
            return box

        registry.register_factory(Database, Database)
        registry.register_generic(Box, Box)
        registry.register_factory(Shop, make)
        registry.validate()

        assert (Box[int],) == (await way.get(container, Shop)).types

    def test_what_it_needs_is_checked(self, registry):
        """`validate` follows what generic services need."""

        def make(box: Box[int]): ...

        def unreadable(it: "Nowhere"): ...  # noqa: F821  # that is the point

        registry.register_generic(Box, Box)
        registry.register_factory(Shop, make)
        registry.register_factory(Cache, unreadable)

        with pytest.raises(InvalidRegistryError) as caught:
            registry.validate()

        assert {ServiceNotFoundError, UnresolvableParameterError} == {
            type(error) for error in caught.value.exceptions
        }
        assert "Box[int]" in str(caught.value)

    async def test_one_by_itself(self, way, registry, container):
        """A registration for one type wins, and so does an override."""
        registry.register_factory(Database, Database)
        registry.register_generic(Box, Box)
        registry.register_value(Box[int], "own")
        with registry.override_value(Box[str], "fake"):
            found = await way.get(container, Box[int], Box[str])

        assert ("own", "fake") == found

    async def test_a_factory_that_does_not_care(self, way, registry, container):
        """A factory need not take the types; options are as ever."""
        closed = []
        registry.register_generic(
            Box, object, lifetime="singleton", on_registry_close=lambda: closed.append(1)
        )
        first, other = await way.get(container, Box[int], Box[str])

        assert first is await way.get(registry.container(), Box[int])
        assert first is not other
        await way.close(registry)
        assert [1, 1] == closed

    @pytest.mark.usefixtures("busy_threads")
    def test_threads_at_once(self, registry):
        """Threads that ask for a new one at the same time get the same singleton."""
        registry.register_generic(Box, object, lifetime="singleton")
        found = []
        for number in range(50):
            key = Box[typing.Literal[number]]
            found.append(
                in_threads(*[lambda key=key: registry.container().get(key) for _ in range(4)])
            )

        assert [1] * 50 == [len(set(services)) for services in found]

    async def test_a_builtin(self, way, registry, container):
        """A builtin that does not tell its parameters is called as it is."""
        registry.register_generic(dict, dict)

        assert {} == await way.get(container, dict[str, int])

    async def test_others_stay_missing(self, way, registry, container):
        """A generic alias without a registered generic class is a missing service."""
        registry.register_generic(Box, Box)
        for key in (set[int], Mailer, Box):
            with pytest.raises(ServiceNotFoundError):
                await way.get(container, key)

    @pytest.mark.parametrize(
        ("key", "factory", "options"),
        [
            (Database, Database, {}),
            (Box, 5, {}),
            (Box, Box, {"lifetime": "for ever"}),
            (Box, Box, {"on_registry_close": 5}),
            (Box, Box, {"tags": "ready"}),
            (Box, lambda it: it, {}),
        ],
    )
    def test_bad_input(self, registry, key, factory, options):
        """Invalid arguments are refused at once."""
        with pytest.raises(WaresError):
            registry.register_generic(key, factory, **options)
