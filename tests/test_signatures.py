"""Which parameters factories of any shape may have."""

import dataclasses
import functools
import io
import threading
import typing
from collections.abc import Iterator
from typing import Annotated
from unittest.mock import AsyncMock, MagicMock, Mock

import pydantic
import pytest

from tests.support import derived, lookalike, lookalike_in_strings, only_for_types, shapes
from tests.support.loading import load_in_strings
from tests.support.messages import missing_parts
from tests.support.patch_releases import needs_signatures_of_mocks
from tests.support.services import Cache, Database, Mailer, Repository
from tests.support.ways import SYNC, use
from wares import (
    AsyncServiceError,
    Container,
    Inject,
    InvalidRegistryError,
    Registry,
    ServiceNotFoundError,
    UnresolvableParameterError,
    aautowire,
    autowire,
    inject,
)

shapes_in_strings = load_in_strings(shapes)

SYNC_SHAPES = [
    pytest.param(factory, id=f"{name}{suffix}")
    for module, suffix in [(shapes, ""), (shapes_in_strings, ", in strings")]
    for name, factory in module.SYNC_SHAPES.items()
]
ASYNC_SHAPES = [
    pytest.param(factory, id=f"{name}{suffix}")
    for module, suffix in [(shapes, ""), (shapes_in_strings, ", in strings")]
    for name, factory in module.ASYNC_SHAPES.items()
]


#: What the factories are registered under: it promises nothing of what they give.
Key = typing.NewType("Key", object)


class Root:
    """Makes the factories one step of a longer way."""

    def __init__(self, key: Key) -> None:
        self.key = key


@pytest.fixture
def registry():
    """A registry with a database, which is what most factories here need."""
    with Registry() as registry:
        registry.register_factory(Database, Database)
        yield registry


class TestEveryShape:
    """Every shape of callable is understood alike."""

    @pytest.mark.parametrize("factory", SYNC_SHAPES)
    async def test_sync_shapes(self, way, registry, factory):
        """Every shape of sync callable is given what its annotations ask for."""
        registry.register_factory(Key, factory)
        container = registry.container()

        service = await way.get(container, Key)

        assert container.get(Database) is service.database
        assert service is container.get(Key)
        await way.close(container)

    @pytest.mark.parametrize("factory", SYNC_SHAPES)
    async def test_sync_shapes_as_a_step(self, way, registry, factory):
        """Every shape of sync callable works where another service needs it."""
        registry.register_factory(Key, factory)
        registry.register_factory(Root, Root)
        container = registry.container()

        root = await way.get(container, Root)

        assert container.get(Database) is root.key.database
        await way.close(container)

    @pytest.mark.parametrize("factory", ASYNC_SHAPES)
    async def test_async_shapes(self, registry, factory):
        """Every shape of async callable is given what its annotations ask for."""
        registry.register_factory(Key, factory)
        registry.register_factory(Root, Root)
        container = registry.container()

        root = await container.aget(Root)

        assert container.get(Database) is root.key.database
        await container.aclose()

    @pytest.mark.parametrize("factory", ASYNC_SHAPES)
    @pytest.mark.parametrize("asked", [Key, Root])
    async def test_async_shapes_under_get(self, registry, factory, asked):
        """`get` refuses every shape of async callable, and leaves nothing un-awaited."""
        registry.register_factory(Key, factory)
        registry.register_factory(Root, Root)
        container = registry.container()

        with pytest.raises(AsyncServiceError) as caught:
            container.get(asked)

        assert Key is caught.value.key
        assert [] == missing_parts(str(caught.value), "Key", f"aget({asked.__name__})")
        await container.aclose()

    @pytest.mark.parametrize("factory", SYNC_SHAPES + ASYNC_SHAPES)
    def test_validate_reads_every_shape(self, registry, factory):
        """`validate` accepts every shape of callable once its needs are registered."""
        registry.register_factory(Key, factory)
        registry.register_factory(Root, Root)

        assert None is registry.validate()

    @pytest.mark.parametrize(
        "factory",
        [
            parameter
            for parameter in SYNC_SHAPES + ASYNC_SHAPES
            if "lambda" not in parameter.id
            and ("the container" not in parameter.id or "and more" in parameter.id)
        ],
    )
    def test_validate_sees_the_need_of_every_shape(self, factory):
        """`validate` misses the `Database` in every shape that declares that it needs one."""
        registry = Registry()
        registry.register_factory(Key, factory)

        with pytest.raises(InvalidRegistryError) as caught:
            registry.validate()

        (problem,) = caught.value.exceptions
        assert (ServiceNotFoundError, Database) == (type(problem), problem.key)


class TestTheContainer:
    """The container is a need like any other, and never mistaken."""

    async def test_it_is_the_container_that_makes(self, way, registry):
        """A factory receives the very container that makes its service."""
        registry.register_factory(Key, lambda wares_container: [wares_container])
        first, second = registry.container(), registry.container()

        seen = [*await way.get(first, Key), *await way.get(second, Key)]

        assert [first, second] == seen

    async def test_it_is_a_child_in_a_child(self, way, registry):
        """Within a child, a scoped factory receives the child."""
        registry.register_factory(Key, lambda wares_container: [wares_container])
        child = registry.container().child()

        (seen,) = await way.get(child, Key)

        assert child is seen

    async def test_it_can_be_asked_for(self, way, container):
        """The container is itself a service: its own."""
        assert container is await way.get(container, Container)

    async def test_its_registry_can_be_asked_for(self, way, registry, container):
        """The registry is a service, too, for a singleton that opens containers itself."""

        class Reporter:
            def __init__(self, registry: Registry):
                self.registry = registry

        registry.register_factory(Reporter, Reporter, lifetime="singleton")
        registry.validate()

        reporter, asked, optional = await way.get(
            container, Reporter, Registry, Registry | None
        )

        assert [registry] * 3 == [reporter.registry, asked, optional]

    async def test_it_is_not_entered(self, way, registry):
        """A container that is needed by a service is not closed by that need."""
        registry.register_factory(Key, shapes.with_the_container)
        container = registry.container()

        await way.get(container, Key, Container)

        assert Database is type(await way.get(container, Database))
        await way.close(container)

    @pytest.mark.parametrize(
        "factory",
        [
            lambda wares_container: [wares_container],
            lambda wares_container, /: [wares_container],
            lambda wares_container=None: [wares_container],
            functools.partial(lambda wares_container: [wares_container]),
        ],
        ids=["plain", "positional only", "with a default", "partial"],
    )
    async def test_by_the_name_of_the_first_parameter(self, way, container, registry, factory):
        """A first parameter named `wares_container` needs no annotation."""
        registry.register_factory(Key, factory)

        assert [container] == await way.get(container, Key)

    def test_not_by_the_name_of_another_parameter(self, registry):
        """The name alone counts in the first place only."""

        def make(database: Database, wares_container):
            return wares_container

        def register_and_validate():
            registry.register_factory(Key, make)
            registry.validate()

        with pytest.raises((UnresolvableParameterError, InvalidRegistryError)) as caught:
            register_and_validate()

        assert "wares_container" in str(caught.value)

    @pytest.mark.parametrize("module", [lookalike, lookalike_in_strings])
    @pytest.mark.parametrize("name", ["load", "load_by_keyword", "load_by_string"])
    async def test_a_look_alike_is_a_service(self, way, registry, module, name):
        """A user's own class named `Container` is never taken for ours."""
        mine = module.Container()
        registry.register_value(module.Container, mine)
        registry.register_factory(Key, getattr(module, name))

        with registry.container() as container:
            assert [mine] == await way.get(container, Key)

    @pytest.mark.parametrize("module", [lookalike, lookalike_in_strings])
    async def test_a_look_alike_in_a_class(self, way, registry, container, module):
        """A look-alike in a constructor is the user's own, too."""
        mine = module.Container()
        registry.register_value(module.Container, mine)
        registry.register_factory(module.Ship, module.Ship)

        assert mine is (await way.get(container, module.Ship)).container

    @pytest.mark.parametrize("module", [lookalike, lookalike_in_strings])
    @pytest.mark.parametrize("name", ["load", "load_by_keyword", "load_by_string", "Ship"])
    async def test_a_look_alike_that_is_missing(self, way, registry, container, module, name):
        """An unregistered look-alike is missing, not replaced by our container."""
        registry.register_factory(Key, getattr(module, name))

        with pytest.raises(ServiceNotFoundError) as caught:
            await way.get(container, Key)

        assert module.Container is caught.value.key


class TestAnnotations:
    """The places where names in annotations are looked up."""

    @pytest.mark.parametrize(
        "factory",
        [
            only_for_types.by_name,
            only_for_types.by_another_name,
            only_for_types.by_a_nested_import,
            only_for_types.by_module,
            only_for_types.by_dotted_module,
            only_for_types.with_the_container,
            only_for_types.with_the_container_by_module,
            only_for_types.with_an_unknown_default,
            only_for_types.with_an_unknown_return,
            only_for_types.ByClass,
        ],
    )
    async def test_imports_for_type_checkers(self, way, registry, factory):
        """Names that are imported under `TYPE_CHECKING` only are understood, too."""
        registry.register_factory(Key, factory)

        with registry.container() as container:
            service = await way.get(container, Key)

            assert container.get(Database) is service.database

    async def test_relative_imports_for_type_checkers(self, way, registry, container):
        """A relative import under `TYPE_CHECKING` is understood."""
        registry.register_factory(Cache, Cache)
        registry.register_factory(Key, only_for_types.by_relative_import)

        service = await way.get(container, Key)

        assert container.get(Cache) is service.database

    async def test_annotated_imports_for_type_checkers(self, way, registry, container):
        """An `Annotated` of a type that is imported under `TYPE_CHECKING` is understood."""
        named = Database()
        registry.register_value(typing.Annotated[Database, "reporting"], named)
        registry.register_factory(Key, only_for_types.in_an_annotated)

        service = await way.get(container, Key)

        assert named is service.database

    async def test_unknown_names(self, way, registry, container):
        """A name that is found nowhere is an error that names parameter and annotation."""
        registry.register_factory(Key, only_for_types.with_an_unknown_parameter)

        with pytest.raises(UnresolvableParameterError) as caught:
            await way.get(container, Key)

        assert "unknown" == caught.value.parameter
        assert [] == missing_parts(
            str(caught.value),
            "'unknown'",
            "NobodyKnows",
            "with_an_unknown_parameter",
            "only_for_types.py:",
        )

    async def test_imports_of_what_is_not_installed(self, way, registry, container):
        """An import for type checkers that fails at run time is an error like an unknown name."""
        registry.register_factory(Key, only_for_types.from_nowhere)

        with pytest.raises(UnresolvableParameterError) as caught:
            await way.get(container, Key)

        assert [] == missing_parts(str(caught.value), "'nobody'", "Nobody", "from_nowhere")

    async def test_what_is_no_import(self, way, registry, container):
        """Under `TYPE_CHECKING` only imports are understood; an alias is an unknown name."""
        registry.register_factory(Key, only_for_types.with_an_alias)

        with pytest.raises(UnresolvableParameterError) as caught:
            await way.get(container, Key)

        assert [] == missing_parts(str(caught.value), "'alias'", "Alias", "with_an_alias")

    async def test_unknown_names_in_code_without_a_file(self, way, registry, container):
        """Code that was never in a file is read as far as that is possible."""
        namespace: dict = {"__name__": "nowhere.at_all", "Database": Database}
        exec('def make(database: "Database", unknown: "Nobody"): ...', namespace)
        registry.register_factory(Key, namespace["make"])

        with pytest.raises(UnresolvableParameterError) as caught:
            await way.get(container, Key)

        assert "unknown" == caught.value.parameter

    @pytest.mark.parametrize("base", ["Derived", "DerivedDataClass", "DerivedAttrsClass"])
    async def test_inherited_annotations(self, way, registry, base):
        """Annotations of a base class are read in the module that wrote them."""
        registry.register_factory(Cache, Cache)
        registry.register_factory(Key, getattr(derived, base))

        with registry.container() as container:
            service = await way.get(container, Key)

            assert container.get(Database) is service.database
            assert container.get(Cache) is getattr(service, "cache", container.get(Cache))

    async def test_local_classes(self, way, registry):
        """A class that is defined in a function is resolved by its annotation object."""

        class Local:
            pass

        class NeedsLocal:
            def __init__(self, local: Local) -> None:
                self.local = local

        registry.register_factory(Local, Local)
        registry.register_factory(NeedsLocal, NeedsLocal)

        with registry.container() as container:
            assert container.get(Local) is (await way.get(container, NeedsLocal)).local

    async def test_local_classes_in_strings(self, way, registry):
        """So is one that a string names, while that function runs."""

        class Local: ...

        def make(local: "Local"):
            return [local]

        registry.register_factory(Local, Local)
        registry.register_factory(Key, make)

        with registry.container() as container:
            assert [container.get(Local)] == await way.get(container, Key)

    async def test_annotations_of_a_closure(self, way, registry, container):
        """A string annotation finds the names that the function's closure holds."""

        class Local:
            pass

        def make(local: "Local"):
            return [local, Local]

        registry.register_factory(Local, Local)
        registry.register_factory(Key, make)

        made, _ = await way.get(container, Key)

        assert Local is type(made)

    async def test_a_class_that_names_itself(self, way, registry, container):
        """An annotation may name a class that is defined further down in the module."""
        registry.register_factory(Later, Later)
        registry.register_factory(Key, needs_what_comes_later)

        assert [container.get(Later)] == await way.get(container, Key)


def needs_what_comes_later(later: "Later"):
    return [later]


class Later:
    pass


class TestParameters:
    """Parameters that are filled, and parameters that are left alone."""

    async def test_defaults_are_left_alone(self, way, registry, container):
        """A parameter with a default keeps it, even if its annotation is registered."""

        def make(database: Database = "mine", *, also: Database = "mine, too"):
            return [database, also]

        registry.register_factory(Key, make)

        assert ["mine", "mine, too"] == await way.get(container, Key)

    async def test_markers_beside_defaults(self, way, registry, container):
        """A parameter whose annotation holds a marker is filled, though it has a default."""

        def make(database: Inject[Database] = None):
            return [database]

        registry.register_factory(Key, make)

        assert [container.get(Database)] == await way.get(container, Key)

    async def test_annotations_of_what_is_left_over(self, way, registry, container):
        """The annotation of `*rest` does not matter, even if its name does not exist."""

        def make(database: Database, *rest: "Nobody"):  # noqa: F821  # on purpose
            return [database, rest]

        registry.register_factory(Key, make)

        assert [container.get(Database), ()] == await way.get(container, Key)

    def test_a_bare_parameter_in_a_crowd(self, registry):
        """A parameter without annotation is an error when its factory is registered."""

        def make(nothing, *rest: Database):
            return [nothing, rest]

        with pytest.raises(UnresolvableParameterError, match="'nothing'"):
            registry.register_factory(Key, make)

    async def test_init_only_fields(self, way, registry, container):
        """A field of a data class that is there for its constructor only is filled."""

        @dataclasses.dataclass
        class Made:
            database: dataclasses.InitVar[Database]

            def __post_init__(self, database):
                self.same = database

        registry.register_factory(Key, Made)

        made = await way.get(container, Key)

        assert container.get(Database) is made.same

    async def test_order_of_arguments(self, way, registry):
        """Every parameter gets its own service, in any kind and place."""
        registry.register_factory(Cache, Cache)
        registry.register_factory(Mailer, Mailer)

        def make(
            first: Cache, /, second: Database, default=3, *rest, mailer: Mailer, last=5, **more
        ):
            return [first, second, default, rest, mailer, last, more]

        registry.register_factory(Key, make)
        container = registry.container()

        made = await way.get(container, Key)

        cache, database, mailer = container.get(Cache, Database, Mailer)
        assert [cache, database, 3, (), mailer, 5, {}] == made

    async def test_one_key_twice(self, way, registry):
        """Two parameters of one annotation get the same object."""

        def make(first: Database, second: Database):
            return [first, second]

        registry.register_factory(Key, make)
        container = registry.container()

        made = await way.get(container, Key)

        assert [container.get(Database)] * 2 == made

    async def test_arguments_bound_by_partial_are_left_alone(self, way, registry, container):
        """Arguments bound by `partial` are not replaced by services."""

        def make(database: Database, cache: Cache, *, mailer: Mailer):
            return [database, cache, mailer]

        registry.register_factory(Key, functools.partial(make, "mine", mailer=1, cache=2))

        assert ["mine", 2, 1] == await way.get(container, Key)

    @pytest.mark.parametrize("wrap", [lambda factory: factory, autowire])
    async def test_marked_arguments_bound_by_partial(self, way, registry, container, wrap):
        """Bound arguments stay even if the parameter is marked or the factory autowired."""

        def make(database: Inject[Database], cache: Cache, mailer: Mailer = None):
            return database, cache, mailer

        for key in (Database, Cache, Mailer):
            registry.register_factory(key, key)
        bound = functools.partial(make, database="mine", cache=None, mailer=3)
        registry.register_factory(Key, wrap(bound))

        assert ("mine", None, 3) == await way.get(container, Key)
        assert ("mine", None, 3) == inject(bound)()

    async def test_parameters_behind_one_bound_by_partial(self, way, registry, container):
        """Parameters after one that `partial` bound by name are filled by name."""

        def make(cache: Cache, database: Database):
            return [cache, database]

        registry.register_factory(Key, functools.partial(make, cache="mine"))

        assert ["mine", container.get(Database)] == await way.get(container, Key)

    @pytest.mark.parametrize("factory", [dict, list, object, str, io.BytesIO, Mock])
    async def test_builtins(self, way, registry, factory):
        """A builtin without required parameters is called without arguments."""
        registry.register_factory(Key, factory, enter=False)

        with registry.container() as container:
            assert isinstance(await way.get(container, Key), factory)

    async def test_a_builtin_function(self, way, registry, container):
        """A builtin function that Python tells nothing about is called without arguments."""
        registry.register_factory(Key, threading.Lock, enter=False)

        lock = await way.get(container, Key)

        assert False is lock.locked()

    async def test_a_context_manager_among_the_builtins(self, way, registry):
        """A builtin that is a context manager is entered and left."""
        registry.register_factory(Key, io.StringIO)
        container = registry.container()

        stream = await way.get(container, Key)
        await way.close(container)

        assert stream.closed

    async def test_a_mock(self, way, registry, container):
        """A mock is a factory like any other callable."""
        factory = Mock()
        registry.register_factory(Key, factory)

        made = await way.get(container, Key)

        assert factory.return_value is made
        factory.assert_called_once_with()

    @needs_signatures_of_mocks
    async def test_an_async_mock(self, registry, container):
        """An `AsyncMock` is an async factory."""
        factory = AsyncMock(return_value=1)
        registry.register_factory(Key, factory)

        assert 1 == await container.aget(Key)
        factory.assert_awaited_once_with()

    @pytest.mark.parametrize(
        "factory",
        [
            lambda nothing: None,
            lambda nothing, /: None,
            lambda *, nothing: None,
            functools.partial(lambda something, nothing: None, 1),
        ],
        ids=["plain", "positional only", "keyword only", "partial"],
    )
    async def test_nothing_to_go_by(self, way, registry, factory):
        """A required parameter without an annotation is an error that names it."""

        def register_and_get():
            registry.register_factory(Key, factory)
            return registry.container()

        with pytest.raises(UnresolvableParameterError) as caught:
            await way.get(register_and_get(), Key)

        assert "nothing" == caught.value.parameter
        assert [] == missing_parts(str(caught.value), "'nothing'", "test_signatures.py:")

    async def test_nothing_is_made_for_a_factory_that_cannot_be_called(
        self, way, registry, container
    ):
        """An unresolvable parameter is found before anything is made for the others."""
        made = []
        registry.register_factory(Cache, lambda: made.append("cache"))

        def make(cache: Cache, nothing: "NobodyKnows"):  # noqa: F821  # on purpose
            raise AssertionError("must not be called")

        registry.register_factory(Key, make)

        with pytest.raises(UnresolvableParameterError):
            await way.get(container, Key)
        assert [] == made


class TestProducts:
    """The result of a factory, and the service that it becomes."""

    async def test_a_context_manager_is_entered(self, way, registry):
        """The service is what `__enter__` returns, `None` included."""

        class Manager:
            def __enter__(self):
                return None

            def __exit__(self, *details):
                return None

        registry.register_factory(Key, Manager)

        with registry.container() as container:
            assert None is await way.get(container, Key)

    async def test_enter_may_be_switched_off(self, way, registry):
        """With `enter=False` a context manager is a service as it is."""
        manager = MagicMock()
        registry.register_factory(Key, lambda: manager, enter=False)
        container = registry.container()

        service = await way.get(container, Key)
        await way.close(container)

        assert manager is service
        manager.__enter__.assert_not_called()
        manager.__exit__.assert_not_called()

    async def test_a_product_of_changing_kind(self, way, registry):
        """Each product is looked at: a factory may return a context manager now and then."""
        left = []

        class Manager:
            def __enter__(self):
                return "entered"

            def __exit__(self, *details):
                left.append("left")

        products = ["plain"] * 200
        registry.register_factory(Key, lambda: products.pop())
        products.append(Manager())
        container = registry.container()

        service = await way.get(container, Key)
        await way.close(container)

        assert ("entered", ["left"]) == (service, left)

    async def test_a_product_that_turns_into_a_context_manager(self, way, registry):
        """A subclass that adds `__enter__` is entered even if its base never was."""
        left = []

        class Plain:
            pass

        class Manager(Plain):
            def __enter__(self):
                return self

            def __exit__(self, *details):
                left.append(self)

        kinds = [Manager, *[Plain] * 100]
        registry.register_factory(Key, lambda: kinds.pop()())
        kinds[1:] = []
        container = registry.container()

        service = await way.get(container, Key)
        await way.close(container)

        assert [service] == left

    async def test_an_instance_attribute_makes_no_context_manager(
        self, way, registry, container
    ):
        """`__enter__` counts on the type, as it does for the `with` statement."""

        class Odd:
            def __init__(self):
                self.__enter__ = self.__exit__ = lambda *details: None

        registry.register_factory(Key, Odd)

        assert Odd is type(await way.get(container, Key))

    async def test_half_a_context_manager_is_none(self, way, registry, container):
        """An object with `__enter__` but without `__exit__` is a service as it is."""

        class Half:
            def __enter__(self):
                raise AssertionError("must not be entered")

        registry.register_factory(Key, Half)

        assert Half is type(await way.get(container, Key))

    async def test_a_coroutine_is_awaited(self, registry):
        """`aget` awaits a coroutine that a plain function returns."""

        async def connect():
            return "connected"

        registry.register_factory(Key, lambda: connect())

        async with registry.container() as container:
            assert "connected" == await container.aget(Key)

    async def test_a_coroutine_of_a_context_manager_is_entered(self, registry):
        """The result of an awaited coroutine is entered like any product."""
        events = []

        class Manager:
            async def __aenter__(self):
                events.append("entered")
                return "service"

            async def __aexit__(self, *details):
                events.append("left")

        async def connect():
            return Manager()

        registry.register_factory(Key, lambda: connect())
        events.clear()

        async with registry.container() as container:
            service = await container.aget(Key)

        assert ("service", ["entered", "left"]) == (service, events)

    @pytest.mark.parametrize("key", [Database, Annotated[Database, "main"]])
    async def test_a_generator_is_advanced(self, way, registry, key):
        """A factory may return the generator of a function that it calls, for a class as key."""
        events = []

        def connect(name):
            yield Database()
            events.append(f"left {name}")

        registry.register_factory(key, lambda: connect("main"))
        container = registry.container()

        service = await way.get(container, key)
        await way.close(container)

        assert (Database, ["left main"]) == (type(service), events)

    async def test_an_async_generator_is_advanced(self, registry):
        """Asynchronous generators are advanced, too; `get` says to use `aget`."""
        events = []

        async def connect(name):
            yield Database()
            events.append(f"left {name}")

        registry.register_factory(Database, lambda: connect("main"))

        with registry.container() as container, pytest.raises(AsyncServiceError):
            container.get(Database)
        async with registry.container() as container:
            service = await container.aget(Database)

        assert (Database, ["left main"]) == (type(service), events)

    @pytest.mark.parametrize("key", [Iterator[int], Iterator, object, "numbers"])
    async def test_a_generator_that_may_be_the_service(self, way, registry, container, key):
        """A returned generator is the service itself if the key allows that."""
        registry.register_factory(key, lambda: (number for number in (1, 2)))

        assert [1, 2] == list(await way.get(container, key))

    @pytest.mark.parametrize("is_async", [False, True])
    async def test_other_awaitables_are_left_alone(self, registry, is_async):
        """An awaitable that is no coroutine is a service as it is."""

        class Awaitable:
            def __await__(self):
                raise AssertionError("must not be awaited")

        async def make():
            return Awaitable()

        registry.register_factory(Key, make if is_async else Awaitable)

        async with registry.container() as container:
            assert Awaitable is type(await container.aget(Key))

    async def test_other_awaitables_under_get(self, registry):
        """An awaitable that is no coroutine is no reason for `get` to refuse."""

        class Awaitable:
            def __await__(self):
                raise AssertionError("must not be awaited")

        registry.register_factory(Key, Awaitable)

        with registry.container() as container:
            assert Awaitable is type(container.get(Key))

    async def test_a_class_is_a_product(self, way, registry, container):
        """A factory may return a class, a function or a module: they are not called."""
        registry.register_factory(Key, lambda: Database)
        registry.register_factory("function", lambda: len)

        assert (Database, len) == await way.get(container, Key, "function")

    async def test_a_type_is_not_a_context_manager(self, way, registry, container):
        """A factory that returns a context manager *class* has its class as its service."""
        registry.register_factory(Key, lambda: io.StringIO)

        assert io.StringIO is await way.get(container, Key)


class TestAutowire:
    """`autowire` fills parameters that have defaults as well."""

    @pytest.mark.parametrize("wire", [autowire, aautowire])
    async def test_registered_defaults_are_filled(self, way, registry, wire):
        """A parameter whose annotation is registered is filled in spite of its default."""

        def make(database: Database = None, *, also: Database = None):
            return [database, also]

        registry.register_factory(Key, wire(make))

        with registry.container() as container:
            database = await way.get(container, Database)

            assert [database, database] == await way.get(container, Key)

    @pytest.mark.parametrize("wire", [autowire, aautowire])
    async def test_other_defaults_are_kept(self, way, registry, wire):
        """A parameter whose annotation is not registered keeps its default."""

        def make(cache: Cache = "default", database: Database = None, size: int = 3, name="n"):
            return [cache, database, size, name]

        registry.register_factory(Key, wire(make))

        with registry.container() as container:
            database = await way.get(container, Database)

            assert ["default", database, 3, "n"] == await way.get(container, Key)

    @pytest.mark.parametrize("wire", [autowire, aautowire])
    async def test_positional_only_defaults(self, way, registry, container, wire):
        """A default before a filled positional-only parameter is passed on as it is."""

        def make(cache: Cache = "default", database: Database = None, /):
            return [cache, database]

        registry.register_factory(Key, wire(make))

        assert ["default", container.get(Database)] == await way.get(container, Key)

    @pytest.mark.parametrize("wire", [autowire, aautowire])
    async def test_classes(self, way, registry, container, wire):
        """A class is autowired by its constructor."""
        registry.register_factory(Repository, wire(Repository))

        made = await way.get(container, Repository)

        assert container.get(Database) is made.database

    @pytest.mark.parametrize("wire", [autowire, aautowire])
    async def test_models(self, way, registry, container, wire):
        """The default factory of a pydantic field fills it if its type is not registered."""

        class Model(pydantic.BaseModel, arbitrary_types_allowed=True):
            database: Database = None
            names: list[str] = pydantic.Field(default_factory=lambda: ["ada"])

        registry.register_factory(Model, wire(Model))

        made = await way.get(container, Model)

        assert (container.get(Database), ["ada"]) == (made.database, made.names)

    @pytest.mark.parametrize("wire", [autowire, aautowire])
    async def test_async_factories(self, registry, container, wire):
        """An async factory stays one."""

        async def make(database: Database = None):
            return [database]

        registry.register_factory(Key, wire(make))

        assert [container.get(Database)] == await container.aget(Key)

    @pytest.mark.parametrize("wire", [autowire, aautowire])
    async def test_generators(self, way, registry, wire):
        """A generator factory stays one."""
        events = []

        def make(database: Database = None):
            yield database
            events.append("closed")

        registry.register_factory(Key, wire(make))
        container = registry.container()

        made = await way.get(container, Key)
        await way.close(container)

        assert (Database, ["closed"]) == (type(made), events)

    async def test_the_container(self, way, registry, container):
        """A container with a default is filled, for a container is always there."""

        def make(container: Container = None):
            return [container]

        registry.register_factory(Key, autowire(make))

        assert [container] == await way.get(container, Key)

    async def test_what_is_registered_later(self, way, registry, container):
        """The registrations count as they are when the service is made."""

        def make(cache: Cache = "default"):
            return [cache]

        registry.register_factory(Key, autowire(make), lifetime="transient")
        before = await way.get(container, Key)
        registry.register_value(Cache, "registered")

        after = await way.get(container, Key)

        assert (["default"], ["registered"]) == (before, after)

    async def test_what_is_given(self, way, registry):
        """A parameter with a default is filled by what the container was given."""

        def make(cache: Cache = "default"):
            return [cache]

        registry.register_factory(Key, autowire(make))

        with registry.container({Cache: "given"}) as container:
            assert ["given"] == await way.get(container, Key)

    async def test_what_is_given_after_much_use(self, way, registry):
        """A service of one container fills the default, even if other containers had none."""

        def make(cache: Cache = "default"):
            return [cache]

        registry.register_factory(Key, autowire(make))
        local = registry.container()
        local.register_local_value(Cache, "local")
        made = [
            await way.get(registry.container({Cache: "given"}), Key),
            await way.get(registry.container({Cache: "given"}).child(), Key),
            await way.get(local, Key),
            await way.get(local.child(), Key),
            await way.get(registry.container(), Key),
        ]

        assert [["given"], ["given"], ["local"], ["local"], ["default"]] == made

    async def test_an_error_in_a_filled_default_is_no_default(self, way, registry, container):
        """A registered service that cannot be made is an error, not a reason for the default."""

        def make(repository: Repository = "default"):
            return [repository]

        registry.register_factory(
            Repository, lambda wares_container: wares_container.get(Mailer)
        )
        registry.register_factory(Key, autowire(make))

        with pytest.raises(ServiceNotFoundError):
            await way.get(container, Key)

    async def test_a_default_whose_annotation_is_no_key(self, way, registry, container):
        """An optional parameter whose annotation cannot be a key keeps its default."""

        def make(first: [Cache] = 1, second: typing.Annotated[Cache, []] = 2):
            return [first, second]

        registry.register_factory(Key, autowire(make))

        assert [1, 2] == await way.get(container, Key)

    async def test_a_default_whose_annotation_cannot_be_read(self, way, registry, container):
        """An optional parameter with an annotation that is found nowhere keeps its default."""
        registry.register_factory(Key, autowire(only_for_types.with_an_unknown_default))

        made = await way.get(container, Key)

        assert container.get(Database) is made.database

    def test_called_with_a_container(self, container):
        """Called with a container, it gives what the factory returns, as it is."""
        entered = []

        class Manager:
            def __init__(self, database: Database = None, cache: Cache = "default"):
                self.needed = (database, cache)

            def __enter__(self):
                entered.append(1)

            def __exit__(self, *_):
                pass

        manager = autowire(Manager)(container)

        assert (container.get(Database), "default") == manager.needed
        assert [] == entered

    async def test_awaited_with_a_container(self, container):
        """`aautowire` returns an awaitable, for asynchronous factories and others."""

        async def make(database: Database = None):
            return [database]

        found = container.get(Database)

        assert [found] == await aautowire(make)(container)
        assert found is (await aautowire(Repository)(container)).database

    def test_called_where_something_is_missing(self, container):
        """A missing service is an error, as in a registered factory."""

        def make(mailer: Mailer): ...

        with pytest.raises(ServiceNotFoundError):
            autowire(make)(container)

    async def test_that_needs_the_container_only(self, way, registry, container):
        """Registered, it is called as its factory is, also with nothing but the container."""
        for wire in (autowire, aautowire):
            registry.register_factory(wire, wire(lambda wares_container: [wares_container]))

        assert ([container], [container]) == await way.get(container, autowire, aautowire)

    async def test_the_plan_is_dropped_with_its_time(self, registry):
        """A registration that comes late fills the default also after much use."""

        def make(cache: Cache = "default"):
            return [cache]

        registry.register_factory(Key, autowire(make))
        await use(SYNC, registry, 1, Key)
        registry.register_value(Cache, "registered")

        with registry.container() as container:
            assert ["registered"] == container.get(Key)
