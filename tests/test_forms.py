"""Annotations that stand for more than one key: optional services, functions, collections."""

import sys
import textwrap
import typing
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Annotated, Optional

import pytest
from typing_extensions import TypeAliasType

from tests.support.services import Cache, Database, Mailer, Session, Shop
from wares import (
    CircularDependencyError,
    ContainerClosedError,
    Depends,
    Inject,
    InvalidRegistryError,
    LifetimeError,
    RegistryClosedError,
    ServiceNotFoundError,
    UnresolvableParameterError,
    autowire,
    inject,
)

T = typing.TypeVar("T")

#: Every annotation that stands for other services, of any type.
GENERIC_FORMS = (
    Optional[T],  # the other way of writing it takes no type variables
    Callable[[], T],
    Callable[[], Awaitable[T]],
    list[T],
    Sequence[T],
    Iterable[T],
    tuple[T, ...],
    Mapping[str, T],
)

FORMS = tuple(form[Database] for form in GENERIC_FORMS)


def shop_of(annotation):
    """Make a factory that gives what its only parameter receives."""

    def make(needed):
        return needed

    make.__annotations__["needed"] = annotation
    return make


@pytest.mark.parametrize("form", FORMS, ids=str)
class TestEachForm:
    """The rules that hold for all annotations with a special meaning."""

    async def test_the_very_annotation_wins(self, way, registry, container, form):
        """A registration under the annotation itself takes precedence."""
        registry.register_value(form, "own")
        registry.register_value(Database, "database")
        registry.register_factory(Shop, shop_of(form))

        assert ("own", "own") == await way.get(container, Shop, form)

    async def test_overrides(self, way, registry, container, form):
        """A test overrides the annotation, also for singletons, which are made anew."""
        registry.register_value(Database, "database")
        registry.register_factory(Shop, shop_of(form), lifetime="singleton")
        before = await way.get(container, Shop)
        with registry.override_value(form, "fake"):
            during = await way.get(registry.container(), Shop)
        after = await way.get(registry.container(), Shop)

        assert "fake" == during
        assert before is after

    @pytest.mark.parametrize("is_announced", [True, False])
    async def test_given(self, way, registry, form, is_announced):
        """An object given under the annotation itself takes precedence."""
        if is_announced:
            registry.expect(form)
        registry.register_factory(Database, Database)
        registry.register_factory(Shop, shop_of(form))
        registry.register_factory(Cache, shop_of(Shop))
        container = registry.container({form: "given"})

        assert ["given"] * 3 == list(await way.get(container, Shop, Cache, form))

    async def test_registered_locally(self, way, registry, container, form):
        """A local registration under the annotation itself takes precedence."""
        registry.register_factory(Shop, shop_of(form))
        container.register_local_factory(form, lambda: "local")

        assert "local" == await way.get(container, Shop)

    async def test_by_a_marker(self, way, registry, container, form):
        """`inject` understands it, marked by `Inject`."""
        registry.register_value(Database, 1)
        expected = await way.get(container, form)

        @inject
        def job(needed: Inject[form]):
            return needed

        with container.activate():
            assert str(expected) == str(job())

    def test_in_the_graph(self, registry, form):
        """The graph shows the services behind the annotation, and `validate` checks them."""
        registry.register_value(Annotated[Database, "main"], 1)
        registry.register_value(Database, 1)
        registry.register_factory(Shop, shop_of(form))
        registry.validate()
        graph = registry.graph()

        (first, second) = graph.edges
        assert ("Shop", second.source) == (first.source, first.target)
        assert "Database" in second.target
        assert graph.nodes[-1].kind in ("optional", "function", "list", "tuple", "mapping")
        assert [] == list(graph.problems)

    def test_too_short_a_life(self, registry, form):
        """Lifetimes of the services behind the annotation are checked like those of any need."""
        registry.register_factory(Annotated[Database, "main"], Database)
        registry.register_factory(Database, Database)
        registry.register_factory(Shop, shop_of(form), lifetime="singleton")

        with pytest.raises(InvalidRegistryError) as caught:
            registry.validate()
        with pytest.raises(LifetimeError):
            registry.container().get(Shop)

        assert [LifetimeError] == [type(error) for error in caught.value.exceptions]


@pytest.mark.parametrize("form", GENERIC_FORMS, ids=str)
async def test_type_variables(way, container, form):
    """A form with a type variable in it stands for nothing."""
    with pytest.raises(ServiceNotFoundError) as caught:
        await way.get(container, form)

    assert (form,) == caught.value.path


class TestOptional:
    """`T | None`."""

    async def test_registered_or_not(self, way, registry, container):
        """`T | None` receives the service, or `None` without a registration."""
        registry.register_factory(Shop, shop_of(Database | None))
        registry.validate()
        without = await way.get(container, Shop)
        registry.register_value(Database, "database")

        assert without is None
        assert "database" == await way.get(registry.container(), Shop)
        assert "database" == await way.get(registry.container(), Optional[Database])

    async def test_given_or_local(self, way, registry):
        """`T | None` receives a given or locally registered service."""
        registry.register_factory(Shop, shop_of(Database | None))
        container = registry.container()
        container.register_local_factory(Database, lambda: "local")

        assert "given" == await way.get(registry.container({Database: "given"}), Shop)
        assert "local" == await way.get(container, Shop)

    async def test_of_several_types(self, way, registry, container):
        """`A | B | None` asks for the service registered under `A | B`."""
        registry.register_value(Database | Cache, "either")

        assert "either" == await way.get(container, Database | Cache | None)
        assert (await way.get(container, Mailer | Cache | None)) is None
        with pytest.raises(ServiceNotFoundError):
            await way.get(container, Mailer | Cache)

    async def test_of_another_form(self, way, registry, container):
        """`list[T] | None` is `None` if no service for the list is registered."""
        without = await way.get(container, list[Database] | None)
        registry.add_value(Database, 1)

        assert without is None
        assert [1] == await way.get(container, list[Database] | None)

    async def test_a_failing_factory(self, way, registry, container):
        """The error of a factory that is there is no reason for `None`."""

        def fail():
            raise OSError

        registry.register_factory(Database, fail)
        with pytest.raises(OSError):
            await way.get(container, Database | None)

    async def test_a_singleton_hears_of_a_registration(self, way, registry):
        """A singleton that was made without is made anew when the service is registered."""
        registry.register_factory(Shop, shop_of(Database | None), lifetime="singleton")
        without = await way.get(registry.container(), Shop)
        registry.register_value(Database, "database")

        assert without is None
        assert "database" == await way.get(registry.container(), Shop)


class Parent:
    def __init__(self, get_child: "Callable[[], Child]"):
        self.get_child = get_child


class Child:
    def __init__(self, parent: Parent):
        self.parent = parent


class TestFunction:
    """`Callable[[], T]`."""

    async def test_asks_when_called(self, way, registry, container):
        """The service is made by the call, and shared with the container."""
        made = []
        registry.register_factory(Database, lambda: made.append(1) or Database())
        registry.register_factory(Shop, shop_of(Callable[[], Database]))

        get_database = await way.get(container, Shop)
        before = list(made)

        assert get_database() is get_database() is await way.get(container, Database)
        assert ([], [1]) == (before, made)

    async def test_a_transient_service(self, way, registry, container):
        """Each call makes another transient service."""
        registry.register_factory(Database, Database, lifetime="transient")
        get_database = await way.get(container, Callable[[], Database])

        assert get_database() is not get_database()

    async def test_awaiting(self, registry, container):
        """The asynchronous form awaits async services."""

        async def make():
            return "database"

        registry.register_factory(Database, make)
        get_database = container.get(Callable[[], Awaitable[Database]])

        assert "database" == await get_database()

    async def test_breaks_a_circle(self, way, registry, container):
        """Two services may need each other, if one of them asks later."""
        registry.register_factory(Parent, Parent)
        registry.register_factory(Child, Child)
        registry.validate()

        parent = await way.get(container, Parent)

        assert parent is parent.get_child().parent

    def test_asking_too_early(self, registry, container):
        """A factory that calls it at once closes the circle after all."""

        def make(get_cache: Callable[[], Cache]):
            return get_cache()

        registry.register_factory(Shop, make)
        registry.register_factory(Cache, shop_of(Shop))

        with pytest.raises(CircularDependencyError):
            container.get(Shop)

    async def test_after_the_end(self, way, registry):
        """After the container has closed, the call is refused."""
        registry.register_factory(Database, Database)
        container = registry.container()
        get_database = await way.get(container, Callable[[], Database])
        await way.close(container)

        with pytest.raises(ContainerClosedError):
            get_database()

    async def test_in_a_singleton(self, way, registry, container):
        """A singleton asks the registry, and so what lives as long as it does."""
        registry.register_factory(Database, Database, lifetime="singleton")
        registry.register_factory(Shop, shop_of(Callable[[], Database]), lifetime="singleton")
        registry.validate()
        get_database = await way.get(container, Shop)
        await way.close(container)

        assert get_database() is await way.get(registry.container(), Database)
        await way.close(registry)
        with pytest.raises(RegistryClosedError):
            get_database()

    async def test_in_a_connection(self, way, registry, container):
        """The function in a connection service asks the outermost container."""
        registry.register_factory(Database, Database, lifetime="connection")
        registry.register_factory(Shop, shop_of(Callable[[], Database]), lifetime="connection")
        with container.child() as child:
            get_database = await way.get(child, Shop)

        assert get_database() is await way.get(container, Database)

    async def test_given(self, way, registry):
        """The function returns a given object, announced or not."""
        registry.register_factory(Shop, shop_of(Callable[[], Database]))
        container = registry.container({Database: "given"})

        assert "given" == (await way.get(container, Shop))()

    async def test_something_missing(self, way, registry, container):
        """A missing service is an error when the function is needed, with the path to it."""
        registry.register_factory(Shop, shop_of(Callable[[], Database]))

        with pytest.raises(ServiceNotFoundError) as caught:
            await way.get(container, Shop)
        with pytest.raises(InvalidRegistryError):
            registry.validate()

        assert (Shop, Callable[[], Database], Database) == caught.value.path

    @pytest.mark.parametrize(
        "key", [Callable[[int], Database], Callable[..., Database], Callable[[], None]]
    )
    async def test_other_functions(self, way, registry, container, key):
        """A function that takes something, or gives nothing, is a key like any other."""
        registry.register_factory(Database, Database)

        with pytest.raises(ServiceNotFoundError) as caught:
            await way.get(container, key)

        assert (key,) == caught.value.path

    async def test_an_optional_one(self, way, registry, container):
        """The function may be optional, and so may its service."""
        without = await way.get(container, Callable[[], Database] | None)
        nothing = (await way.get(container, Callable[[], Database | None]))()
        registry.register_value(Database, "database")
        get_database = await way.get(container, Callable[[], Database] | None)

        assert without is nothing is None
        assert "database" == get_database()


class TestCollections:
    """`list[T]`, `Sequence[T]`, `Iterable[T]`, `tuple[T, ...]`."""

    @pytest.mark.parametrize(
        ("form", "expected"),
        [
            (list[Mailer], ["first", "second"]),
            (Sequence[Mailer], ["first", "second"]),
            (Iterable[Mailer], ["first", "second"]),
            (typing.List[Mailer], ["first", "second"]),  # the old names, too
            (tuple[Mailer, ...], ("first", "second")),
        ],
        ids=str,
    )
    async def test_all_in_order(self, way, registry, container, form, expected):
        """All that is registered for the type itself, in the order of registration."""
        registry.register_factory(Mailer, lambda: "first")
        registry.add_value(Mailer, "second")
        registry.register_value(Annotated[Mailer, "named"], "not in there")

        assert expected == await way.get(container, form)

    async def test_given_and_local(self, way, registry):
        """Given objects and local registrations of a container come last in the list."""
        registry.add_value(Mailer, "added")
        container = registry.container()
        container.register_local_factory(Mailer, lambda: "local")

        assert ["added", "local"] == await way.get(container, list[Mailer])
        given = registry.container({Mailer: "given"})
        assert ["added", "given"] == await way.get(given, list[Mailer])

    @pytest.mark.parametrize(
        "key", [tuple[int, str], tuple[int], list, typing.List], ids=str
    )  # that is the point
    async def test_other_keys(self, way, container, key):
        """A tuple of a given length, or no type in brackets, is a key like any other."""
        with pytest.raises(ServiceNotFoundError):
            await way.get(container, key)

    async def test_a_singleton_hears_of_additions(self, way, registry):
        """A singleton that was made of a list is made anew when something is added."""
        registry.add_value(Mailer, 1)
        registry.register_factory(Shop, shop_of(list[Mailer]), lifetime="singleton")
        first = await way.get(registry.container(), Shop)
        again = await way.get(registry.container(), Shop)
        registry.add_value(Mailer, 2)

        assert first is again
        assert [1, 2] == await way.get(registry.container(), Shop)

    async def test_asked_for_in_a_body(self, way, registry):
        """A list that a singleton's factory asks for in its body obeys the same lifetimes."""
        registry.register_value(Mailer, 1)

        async def amake(wares_container):
            return await wares_container.aget(list[Mailer])

        def make(wares_container):
            return wares_container.get(list[Mailer])

        factory = amake if way.is_async else make
        registry.register_factory(Shop, factory, lifetime="singleton")
        first = await way.get(registry.container(), Shop)
        with registry.override_value(Mailer, 2):
            during = await way.get(registry.container(), Shop)

        assert [2] == during
        assert first is await way.get(registry.container(), Shop)

    async def test_made_once_after_a_wait(self, registry):
        """Transient parts are made as late as can be, so that they are made once."""
        made = []
        registry.add_factory(Mailer, lambda: made.append(1), lifetime="transient")

        def make(mailers: list[Mailer], session: Session):
            return mailers

        registry.register_factory(Session, Session)
        registry.register_factory(Shop, make)
        async with registry.container() as container:
            await container.aget(Shop)

        assert [1] == made


class TestMapping:
    """`Mapping[str, T]`."""

    async def test_by_name(self, way, registry, container):
        """The services that are registered under `Annotated[T, "name"]`, by their names."""
        registry.register_value(Annotated[Database, "main"], 1)
        registry.register_factory(Annotated[Database, "reports"], lambda: 2)
        registry.register_value(Annotated[Cache, "main"], 3)
        registry.register_value(Annotated[Database, 5], 4)
        registry.register_value(Annotated[Database, "two", "names"], 5)
        registry.register_value(Database, 6)

        found = await way.get(container, Mapping[str, Database])

        assert {"main": 1, "reports": 2} == found
        assert ["main", "reports"] == list(found)

    async def test_none(self, way, container):
        """The mapping is empty if no service is registered by name."""
        assert {} == await way.get(container, Mapping[str, Database])

    async def test_announced(self, way, registry):
        """An announced object is in the mapping if the container is given it."""
        registry.expect(Annotated[Database, "main"])

        assert {} == await way.get(registry.container(), Mapping[str, Database])
        given = registry.container({Annotated[Database, "main"]: 1})
        assert {"main": 1} == await way.get(given, Mapping[str, Database])

    async def test_other_mappings(self, way, container):
        """Only names are strings."""
        with pytest.raises(ServiceNotFoundError):
            await way.get(container, Mapping[int, Database])


class TestWhereThereIsAnotherWay:
    """Defaults and arguments of calls take precedence over an empty list."""

    async def test_a_default(self, way, registry, container):
        """An autowired factory's default stays, unless something is registered."""

        def make(mailers: list[Mailer] = ("default",)):  # type: ignore[assignment]  # that is the point
            return mailers

        registry.register_factory(Shop, autowire(make))
        without = await way.get(container, Shop)
        registry.add_value(Mailer, 1)

        assert ("default",) == without
        assert [1] == await way.get(registry.container(), Shop)

    def test_an_argument(self, registry, container):
        """A dependency takes the argument of the call, or else the registered services."""

        def count(numbers: list[int]):
            return sum(numbers)

        @inject
        def job(total: Annotated[int, Depends(count)], numbers: list[int]):
            return total

        @inject
        def other(*, total: Annotated[int, Depends(count)], **more: object):
            return total

        with container.activate():
            assert 3 == job(numbers=[1, 2])
            with pytest.raises(UnresolvableParameterError):
                other()
            registry.add_value(int, 5)
            assert 5 == other()


class TestAliases:
    """Aliases of PEP 695."""

    Store = TypeAliasType("Store", Database)
    Stores = TypeAliasType("Stores", list[Database])

    async def test_registered_and_asked_for(self, way, registry, container):
        """An alias and its type are the same key, when registering and when asking."""
        registry.register_factory(self.Store, lambda: "database")
        registry.register_factory(Shop, shop_of(Database))

        assert self.Store in registry
        assert ("database",) * 3 == await way.get(container, self.Store, Database, Shop)

    async def test_a_value(self, way, registry, container):
        """Values, added services, expected objects and aliases accept an alias as the key."""
        registry.register_value(self.Store, 1)
        registry.add_value(self.Store, 2)
        registry.register_alias(Storage, self.Store)
        registry.expect(TypeAliasType("User", Cache))
        registry.register_factory(Shop, shop_of(Cache))
        registry.validate()

        assert (1, 1, [1, 2]) == await way.get(container, self.Store, Storage, self.Stores)

    async def test_decorated_and_overridden(self, way, registry, container):
        """Decorations and overrides accept an alias as the key."""
        registry.register_factory(Database, lambda: 1)

        def twice(number: Database):
            return number * 2

        registry.decorate(self.Store, twice)
        with registry.override_value(self.Store, "fake"):
            fake = await way.get(registry.container(), Database)

        assert "fake" == fake
        assert 2 == await way.get(container, Database)

    @pytest.mark.skipif(
        sys.version_info < (3, 12), reason="the statement is new in Python 3.12"
    )
    async def test_the_statement(self, way, registry, container):
        """The `type` statement makes such an alias."""
        names = {"Database": Database}
        exec(textwrap.dedent("type Store = Database"), names)  # older Pythons cannot read it
        registry.register_value(names["Store"], 1)

        assert 1 == await way.get(container, Database)


class Storage(typing.Protocol):
    """The interface of a database."""
