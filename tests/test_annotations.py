"""Tests of reading annotations: aliases, generics, constructors, and names of every kind."""

import contextlib
import dataclasses
import functools
import inspect
import sys
import types
import typing
from collections.abc import Callable, Mapping
from typing import Annotated, Generic, ParamSpec, Protocol, TypeVar
from unittest import mock

import attrs
import pytest
import typing_extensions

from tests.support import derived, new_syntax, only_for_types
from tests.support.loading import load_lazily, load_source
from tests.support.services import Cache, Database
from wares import Depends, Inject, Registry, UnresolvableParameterError, autowire, inject
from wares._core.annotations import expand_alias

T = TypeVar("T")
K = TypeVar("K")


class Key:
    """The key of the factories."""


@pytest.fixture
def registry():
    """A registry with a database, which is what most factories here need."""
    with Registry() as registry:
        registry.register_factory(Database, Database)
        yield registry


@pytest.fixture
def make(registry):
    """Make the service of a factory, in a container of its own."""
    with contextlib.ExitStack() as containers:

        def make(factory):
            registry.register_factory(Key, factory)
            return containers.enter_context(registry.container()).get(Key)

        yield make


@pytest.fixture(scope="module")
def module(tmp_path_factory):
    """The module in the syntax of PEP 695."""
    path = tmp_path_factory.mktemp("syntax") / "of_new_syntax.py"
    return load_source(path, new_syntax.SOURCE)


@pytest.fixture(scope="module")
def lazy():
    """Factories with annotations of PEP 649 that name imports for type checkers."""
    return load_lazily(only_for_types)


def get_port():
    return 5432


# `typing_extensions` has a class of its own before Python 3.14.
Port = typing_extensions.TypeAliasType("Port", Annotated[int, Depends(get_port)])
Main = typing_extensions.TypeAliasType("Main", Database)
Again = typing_extensions.TypeAliasType("Again", Main)
Named = typing_extensions.TypeAliasType("Named", Annotated[T, "named"], type_params=(T,))
Flipped = typing_extensions.TypeAliasType("Flipped", Mapping[K, T], type_params=(T, K))
Written = typing_extensions.TypeAliasType("Written", list["DefinedLater"])
Json = typing_extensions.TypeAliasType("Json", dict[str, "Json"])
Deep = typing_extensions.TypeAliasType("Deep", list["Deep[T]"], type_params=(T,))
Nowhere = typing_extensions.TypeAliasType("Nowhere", list["Nobody"])  # noqa: F821  # on purpose


class DefinedLater:
    pass


class TestAliases:
    """An alias means the type that it stands for."""

    def test_of_a_marker(self, make):
        """A parameter whose alias holds a marker is filled, though it has a default."""

        def factory(port: Port, other: Port = 1):
            return [port, other]

        assert [5432, 5432] == make(factory)

    def test_of_a_marker_in_an_injected_function(self):
        """`inject` sees the marker in an alias."""

        @inject
        def function(name, port: Port):
            return name, port

        assert ("ada", 5432) == function("ada")

    @pytest.mark.parametrize("alias", [Main, Again, "Again"])
    def test_of_a_class(self, registry, make, alias):
        """An alias of a class, also of another alias, asks for the class."""

        def factory(main):
            return [main]

        factory.__annotations__ = {"main": alias}

        assert Database is type(make(factory)[0])

    def test_of_a_named_key(self, registry, make):
        """A generic alias asks for its value with the types in the brackets."""
        registry.register_value(Annotated[Database, "named"], "the named one")

        def factory(named: Named[Database]):
            return [named]

        assert ["the named one"] == make(factory)

    def test_as_a_dependency(self):
        """A marker may name an alias."""

        @inject
        def function(main: Annotated[object, Depends(Main)]):
            return main

        assert Database is type(function())

    @pytest.mark.parametrize(
        ("key", "expanded"),
        [
            (Main, Database),
            (Again, Database),
            (Named[int], Annotated[int, "named"]),
            (Named[Main], Annotated[Database, "named"]),
            (Flipped[int, str], Mapping[str, int]),
            (list[Main], list[Database]),
            (list[list[Main]], list[list[Database]]),
            (Annotated[Main, "replica"], Annotated[Database, "replica"]),
            (Annotated[Database, Main], Annotated[Database, Main]),
            (Main | None, Database | None),
            (int | list[Main], int | list[Database]),
            (Callable[[Main], Again], Callable[[Database], Database]),
            (Written, list[DefinedLater]),
            (Json, dict[str, Json]),
            (Deep[int], list[Deep[int]]),
            (Nowhere, Nowhere),
            (typing.Literal["a"], typing.Literal["a"]),
            (typing.List[int], typing.List[int]),
            (Database, Database),
            ("Main", "Main"),
            (list["Main"], list["Main"]),
            (5432, 5432),
        ],
        ids=str,
    )
    def test_are_expanded(self, key, expanded):
        """A key is written without the aliases in it; metadata and strings stay as they are."""
        assert expanded == expand_alias(key)


@pytest.mark.skipif(sys.version_info < (3, 12), reason="Python 3.11 has no such syntax")
class TestNewSyntax:
    """PEP 695: aliases whose values are read when they are needed, and generics."""

    @pytest.mark.parametrize("name", ["take_main", "take_again", "take_generic_function"])
    def test_aliases_of_a_class(self, make, module, name):
        """A parameter that is annotated with an alias gets the service of the aliased type."""
        assert Database is type(make(getattr(module, name))[0])

    def test_aliases_of_markers(self, make, module):
        """Markers in aliases count, in factories and in injected functions."""
        database, default = make(module.take_injected)

        assert Database is type(database) is type(default)
        assert [5432] == make(module.take_port) == inject(module.take_port)()

    def test_generic_aliases(self, registry, make, module):
        """A generic alias asks for its value with the types in the brackets."""
        registry.register_value(Annotated[Database, "named"], "the named one")

        assert ["the named one"] == make(module.take_named)

    def test_expanded(self, module):
        """Type parameters are distinguished by name, and a recursive alias comes to an end."""
        names = ["Json", "Later", "InAString", "Nowhere"]
        expanded = {name: expand_alias(getattr(module, name)) for name in names}

        assert Mapping[int, str] == expand_alias(module.Pair[int, str])
        assert Mapping[str, int] == expand_alias(module.Flipped[int, str])
        assert module.Several[int, str] == expand_alias(module.Several[int, str])
        assert list[module.Strings[int]] == expand_alias(module.Strings[int])
        assert {
            "Json": dict[str, module.Json] | None,
            "Later": Mapping[str, module.DefinedLater],
            "InAString": Annotated[module.DefinedLater, "x"],
            "Nowhere": module.Nowhere,
        } == expanded

    @pytest.mark.skipif(
        sys.version_info < (3, 14), reason="no Python before 3.14 shows the names"
    )
    def test_aliases_of_what_is_imported_for_type_checkers(self, registry, make, module):
        """The value of an alias may name what its module imports for type checkers only."""
        registry.register_value(Annotated[Cache, "named"], "the named one")

        def factory(cache: module.OnlyForTypes):
            return [cache]

        assert ["the named one"] == make(factory)

    @pytest.mark.parametrize(
        ("name", "argument"),
        [("UserRepo", Database), ("Deep", list[int])],
    )
    def test_generic_bases(self, registry, make, module, name, argument):
        """A type parameter stands for the type that a subclass puts in the brackets."""
        registry.register_value(module.Mapper[argument], "mapper")

        assert ["mapper", "mapper"] == make(getattr(module, name)).mappers

    def test_types_in_brackets(self, registry, make, module):
        """A generic class with types in brackets is a factory that knows its types."""
        registry.register_value(module.Mapper[list[int]], "mapper")

        assert ["mapper", "mapper"] == make(module.Renamed[int]).mappers


class Mapper(Generic[T]):
    pass


class Repo(Generic[T]):
    def __init__(self, mapper: Mapper[T], *, other: "Mapper[T] | None" = None) -> None:
        self.mapper = mapper
        self.other = other

    @classmethod
    def create(cls, mapper: Mapper[T]):
        return cls(mapper)

    def copy(self, mapper: Mapper[T]):
        return Repo(mapper)


class DatabaseRepo(Repo[Database]):
    pass


class SwappedRepo(Repo[list[T]], Generic[T, K]):
    pass


class NestedRepo(SwappedRepo[Cache, int]):
    pass


class Maker(Generic[T]):
    def __call__(self, mapper: Mapper[T]):
        return Repo(mapper)


class DatabaseMaker(Maker[Database]):
    pass


@dataclasses.dataclass
class DataRepo(Generic[T]):
    mapper: Mapper[T]


@dataclasses.dataclass
class DatabaseDataRepo(DataRepo[Database]):
    database: Database


class TestGenerics:
    """Type parameters stand for the types in the brackets."""

    @pytest.mark.parametrize(
        ("factory", "argument"),
        [
            (Repo[Database], Database),
            (functools.partial(Repo[Database]), Database),
            (DatabaseRepo, Database),
            (DatabaseRepo.create, Database),
            (DatabaseRepo(None).copy, Database),
            (SwappedRepo[Database, int], list[Database]),
            (NestedRepo, list[Cache]),
            (DatabaseMaker(), Database),
            (DataRepo[Database], Database),
            (DatabaseDataRepo, Database),
        ],
        ids=str,
    )
    def test_nested(self, registry, make, factory, argument):
        """`Mapper[T]` is asked for with what `T` stands for, in brackets or in a base."""
        registry.register_value(Mapper[argument], "mapper")

        assert "mapper" == make(factory).mapper

    def test_bare(self, registry, make):
        """A parameter that is annotated with the type parameter itself is given that type."""

        class Holder(Generic[T]):
            def __init__(self, held: T, named: Annotated[T, "named"]) -> None:
                self.held = [held, named]

        registry.register_value(Annotated[Database, "named"], "named")

        held, named = make(Holder[Database]).held

        assert (Database, "named") == (type(held), named)

    def test_defaults(self, registry, make):
        """A string with a type parameter is read where the class was defined."""
        registry.register_value(Mapper[Database], "mapper")

        made = make(autowire(Repo[Database]))

        assert ("mapper", "mapper") == (made.mapper, made.other)

    def test_several_types(self, registry, make):
        """A type parameter for several types is left as it is."""
        many = typing_extensions.TypeVarTuple("many")

        class Several(Generic[typing_extensions.Unpack[many]]):  # noqa: UP044  # an older form
            def __init__(self, database: Database) -> None:
                self.database = database

        assert Database is type(make(Several[int, str]).database)

    def test_parameters_of_a_function(self, registry, make):
        """A type parameter for the parameters of a function works like any other."""
        many = ParamSpec("many")

        class Called(Generic[many, T]):
            def __init__(self, function: Callable[many, T], mapper: Mapper[T]) -> None:
                self.made = (function, mapper)

        class CalledWithText(Called[[str, int], Database]): ...

        registry.register_value(Callable[[str, int], Database], "function")
        registry.register_value(Mapper[Database], "mapper")

        assert ("function", "mapper") == make(CalledWithText).made
        assert ("function", "mapper") == make(Called[[str, int], Database]).made


class Runs(Protocol):
    def run(self) -> None: ...


class Stops(Protocol[T]):
    def __init__(self, cache: Cache) -> None:
        self.cache = cache

    def stop(self) -> None: ...


class Base:
    def __init__(self, database: Database) -> None:
        self.database = database


class Job(Runs, Base):
    def run(self) -> None: ...


class Stopping(Runs, Stops[int]):
    def run(self) -> None: ...

    def stop(self) -> None: ...


class OnlyRuns(Runs):
    def run(self) -> None: ...


class Meta(type):
    def __call__(cls, *args, **kwargs):
        return super().__call__(*args, **kwargs)


class ByMeta(Base, metaclass=Meta):
    pass


class MetaWithParameters(type):
    def __call__(cls, database: Database):
        made = super().__call__()
        made.database = database
        return made


class ByMetaWithParameters(metaclass=MetaWithParameters):
    def __init__(self) -> None:
        self.database = None


class ByNew(Base):
    def __new__(cls, *args, **kwargs):
        return super().__new__(cls)


class ByMetaAndNew(metaclass=Meta):
    def __new__(cls, database: Database):
        made = super().__new__(cls)
        made.database = database
        return made


class ByWrappedInit:
    @functools.wraps(Base.__init__)
    def __init__(self, *args, **kwargs) -> None:
        Base.__init__(self, *args, **kwargs)


def shows_a_keyword(*, database: Database): ...


class TestConstructors:
    """The parameters of classes."""

    @pytest.mark.parametrize(
        "factory",
        [
            Job,
            functools.partial(Job),
            functools.wraps(Job)(lambda *args: Job(*args)),
            ByMeta,
            ByMetaWithParameters,
            ByNew,
            functools.partial(ByNew),
            ByMetaAndNew,
            ByWrappedInit,
        ],
        ids=str,
    )
    def test_that_are_hidden(self, make, factory):
        """The real constructor is found where others only pass `*args, **kwargs` on."""
        assert Database is type(make(factory).database)

    def test_of_a_protocol(self, registry, make):
        """A constructor that a protocol itself defines counts."""
        registry.register_factory(Cache, Cache)

        assert Cache is type(make(Stopping).cache)

    def test_that_are_not_there(self, make):
        """A class of nothing but protocols takes nothing."""
        assert OnlyRuns is type(make(OnlyRuns))

    def test_that_are_not_written_in_python(self, make):
        """A class that takes its constructor from a builtin is called without arguments."""

        class Items(Runs, dict):
            def run(self) -> None: ...

        assert {} == make(Items)

    def test_without_an_annotation(self, registry):
        """A hidden constructor is checked as soon as its class is registered."""

        class Bare:
            def __init__(self, nothing) -> None:
                raise AssertionError

        class Hidden(Runs, Bare):
            def run(self) -> None: ...

        with pytest.raises(UnresolvableParameterError, match="'nothing'"):
            registry.register_factory(Key, Hidden)

    def test_with_a_signature_of_their_own(self, make):
        """The `__signature__` of a class takes precedence over `__init__`."""

        class Said:
            __signature__ = inspect.signature(shows_a_keyword)

            def __init__(self, **fields) -> None:
                self.database = fields["database"]

        assert Database is type(make(Said).database)

    def test_of_a_method_of_no_class(self, make):
        """A function that is bound to an object by hand takes its own parameters."""

        def factory(self, database: Database):
            return [self, database]

        bound, database = make(types.MethodType(factory, "anything"))

        assert ("anything", Database) == (bound, type(database))

    def test_fields_of_the_constructor_only(self, make):
        """A field that is there for the constructor only may be written as a string."""

        @dataclasses.dataclass
        class Made:
            database: "dataclasses.InitVar[Database]"

            def __post_init__(self, database):
                self.same = database

        assert Database is type(make(Made).same)

    def test_final_fields(self, make):
        """A field of a data class may be final."""

        @dataclasses.dataclass
        class Made:
            database: typing.Final[Database]
            other: "typing.Final[Database]"

        made = make(Made)

        assert Database is type(made.database)
        assert made.database is made.other


class TestNames:
    """The places where names are looked up."""

    def test_the_container_without_an_import(self, registry):
        """`wares.Container` in a string needs no import of `wares`."""
        namespace = {"__name__": "nowhere.at_all"}
        exec("def make(it: 'wares.Container'): return [it]", namespace)
        registry.register_factory(Key, namespace["make"])
        container = registry.container()

        assert [container] == container.get(Key)

    def test_a_container_of_somebody_elses(self, registry):
        """A name `wares` that a module has itself is the module's."""
        mine = types.SimpleNamespace(Container=Cache)
        namespace = {"__name__": "nowhere.at_all", "wares": mine}
        exec("def make(it: 'wares.Container'): return [it]", namespace)
        registry.register_factory(Cache, Cache)
        registry.register_factory(Key, namespace["make"])

        assert Cache is type(registry.container().get(Key)[0])

    def test_just_container(self, registry):
        """A string `Container` that names nothing is an error, not our container."""
        namespace = {"__name__": "nowhere.at_all"}
        exec("def make(it: 'Container'): return [it]", namespace)
        registry.register_factory(Key, namespace["make"])

        with pytest.raises(UnresolvableParameterError, match="'it'"):
            registry.container().get(Key)

    async def test_that_is_defined_too_late(self, registry):
        """A name that is defined after the service was asked for is noticed the next time."""
        namespace = {"__name__": "nowhere.at_all"}
        exec("def make(it: 'Late'): return [it]", namespace)
        registry.register_factory(Key, namespace["make"])
        container = registry.container()
        with pytest.raises(UnresolvableParameterError, match="'Late' is not defined"):
            container.get(Key)
        namespace["Late"] = Database
        with pytest.raises(UnresolvableParameterError, match="ask again"):
            container.get(Key)

        assert [container.get(Database)] == container.get(Key)
        assert [container.get(Database)] == await container.aget(Key)

    def test_without_a_module(self, registry):
        """A function of no module at all is read as far as that is possible."""
        namespace = {}
        exec("def make(it: 'Nobody'): ...", namespace)
        del namespace["__builtins__"]
        registry.register_factory(Key, namespace["make"])

        with pytest.raises(UnresolvableParameterError, match="Nobody"):
            registry.container().get(Key)

    def test_of_a_nested_function(self, registry):
        """A name that a nested function hides from the search is an error, and no endless loop."""
        namespace = {"__name__": "nowhere.at_all"}
        exec("def make(it: '(lambda: Key)()'): ...", namespace)
        registry.register_factory(Key, namespace["make"])

        with pytest.raises(UnresolvableParameterError, match="Key"):
            registry.container().get(Key)

    def test_that_are_bound_later(self, make):
        """A function may refer to what the function around it defines only after registering it."""

        def factory(database: Database):
            return later, database

        with pytest.raises(NameError, match="later"):
            make(factory)
        later = "later"

        assert "later" == make(factory)[0]

    def test_of_a_decorated_function(self, make):
        """The names of the function count, not those of the module of its decorator."""
        namespace = {"__name__": "nowhere.at_all", "closing": Database}
        exec("def make(it: 'closing'): yield [it]", namespace)

        made = make(contextlib.contextmanager(namespace["make"]))

        assert Database is type(made[0])

    def test_of_the_body_of_a_class(self, make):
        """A string may name what stands in the body of its class, and the class itself."""

        class Outer:
            Inner = Database

            def __init__(self, it: "Inner", other: "Outer" = None) -> None:
                self.it = it

        class Inherits(Outer):
            pass

        assert Database is type(make(Outer).it) is type(make(Inherits).it)

    def test_a_class_that_names_itself(self, registry, make):
        """A class in a module that is not to be found may name itself."""
        namespace = {"__name__": "nowhere.at_all"}
        exec(
            "class Node:\n    def __init__(self, node: 'Node' = None): self.node = node",
            namespace,
        )
        node = namespace.pop("Node")
        registry.register_value(node, "another")

        assert "another" == make(autowire(node)).node

    def test_a_base_of_the_same_name(self, make):
        """A name of the module wins over a base that happens to be called so."""
        base = type("Database", (), {})

        class Made(base):
            def __init__(self, it: "Database") -> None:
                self.it = it

        assert Database is type(make(Made).it)

    @pytest.mark.parametrize("kind", ["DerivedDataClass", "DerivedAttrsClass"])
    def test_a_field_of_a_base_in_another_module(self, registry, make, monkeypatch, kind):
        """A field is read in the module that declares it, even if both modules have the name."""
        registry.register_factory(Cache, Cache)
        monkeypatch.setattr(derived, "Hidden", Cache, raising=False)

        assert Database is type(make(getattr(derived, kind)).database)

    def test_a_partial_of_a_class(self, registry, make):
        """A partial of a class knows the bases of the class."""
        registry.register_factory(Cache, Cache)

        made = make(functools.partial(derived.DerivedDataClass))

        assert (Database, Cache) == (type(made.database), type(made.cache))

    def test_a_private_field(self, make):
        """A private field of an attrs class is found by its name without the underscore."""

        @attrs.define
        class Made:
            _database: "Database"

        assert Database is type(make(Made)._database)

    def test_a_lambda_in_a_string(self, make, monkeypatch):
        """A lambda within a string sees its module as it is when it runs."""
        monkeypatch.setattr(sys.modules[__name__], "get_port", lambda: 1)

        def factory(port: "Annotated[int, Depends(lambda: get_port())]"):
            return [port]

        assert [1] == make(factory)

    def test_a_reload(self, tmp_path):
        """Imports for type checkers are read again after the module has changed."""
        names = ["Database", "Cache"]
        source = (
            "from typing import TYPE_CHECKING\n"
            "if TYPE_CHECKING:\n    from tests.support.services import {name} as It\n"
            "def make(it: 'It'): return [it]\n"
        )
        made = []
        for name in names:
            module = load_source(tmp_path / "reloaded.py", source.format(name=name))
            with Registry() as registry, registry.container() as container:
                registry.register_factory(Database, Database)
                registry.register_factory(Cache, Cache)
                registry.register_factory(Key, module.make)
                made += container.get(Key)

        assert names == [type(it).__name__ for it in made]


@pytest.mark.skipif(sys.version_info < (3, 14), reason="PEP 649 came with Python 3.14")
class TestLazily:
    """Annotations that are evaluated when they are read."""

    @pytest.mark.parametrize(
        "name",
        [
            "by_name",
            "by_another_name",
            "by_module",
            "by_dotted_module",
            "with_the_container",
            "with_the_container_by_module",
            "with_an_unknown_default",
            "with_an_unknown_return",
            "ByClass",
        ],
    )
    def test_imports_for_type_checkers(self, make, lazy, name):
        """Names that are imported under `TYPE_CHECKING` only are understood."""
        assert Database is type(make(getattr(lazy, name)).database)

    def test_in_an_annotated(self, registry, make, lazy):
        """A name that is unknown to Python may stand within brackets."""
        registry.register_value(Annotated[Database, "reporting"], "the named one")

        assert "the named one" == make(lazy.in_an_annotated).database

    @pytest.mark.parametrize(
        "name", ["with_an_unknown_parameter", "from_nowhere", "with_an_alias"]
    )
    def test_unknown_names(self, make, lazy, name):
        """A name that is found nowhere is an error at the first use, not before."""
        with pytest.raises(UnresolvableParameterError, match=name):
            make(getattr(lazy, name))

    def test_a_bare_parameter_beside_an_unknown_name(self, registry, lazy):
        """A parameter without annotation is found next to one that cannot be read yet."""
        namespace = {}
        exec("def make(known: NotYet, nothing): ...", namespace)

        with pytest.raises(UnresolvableParameterError, match="'nothing'"):
            registry.register_factory(Key, namespace["make"])

    def test_a_marker_that_names_what_is_imported_for_type_checkers(self, make, tmp_path):
        """The dependency in a marker may be imported for type checkers only."""
        module = load_source(
            tmp_path / "of_lazy_markers.py",
            "from typing import TYPE_CHECKING, Annotated\n"
            "from wares import Depends\n"
            "if TYPE_CHECKING:\n    from tests.test_annotations import get_port as hidden\n"
            "def make(port: Annotated[int, Depends(hidden)]): return [port]\n",
        )
        sys.modules.setdefault("tests.test_annotations", sys.modules[__name__])

        assert [5432] == make(module.make)

    def test_fields(self, registry, make, tmp_path):
        """Fields of data classes and attrs classes may name what comes later."""
        module = load_source(
            tmp_path / "of_lazy_fields.py",
            "import dataclasses, attrs\n"
            "from tests.support.services import Database\n"
            "@dataclasses.dataclass\n"
            "class Data:\n    later: Later\n    only: dataclasses.InitVar[Later]\n"
            "@attrs.define\n"
            "class Attrs:\n    later: Later\n"
            "class Later:\n    def __init__(self, it: Database): self.it = it\n",
        )
        registry.register_factory(module.Later, module.Later)

        made = [make(module.Data), make(module.Attrs)]

        assert [module.Later, module.Later] == [type(it.later) for it in made]

    def test_a_body_that_names_what_comes_later(self, registry):
        """A function may use, in its body, a local name that is bound after it was defined."""

        @inject(registry=registry)
        def ask(database: Inject[Database]):
            return database, later

        def make(database: Database):
            return database, later

        registry.register_factory(tuple, make)
        registry.validate()
        later = "later"

        with registry.container() as container:
            assert (later, later) == (ask()[1], container.get(tuple)[1])


class TestMarkers:
    """Whose markers are understood."""

    @pytest.fixture
    def look_alike(self):
        """A marker that has the attributes of ours."""
        return types.SimpleNamespace(dependency=get_port, use_cache=True, scope=None)

    def test_look_alikes_are_left_alone(self, look_alike):
        """An object that only has the attributes of a marker is left alone."""

        @inject
        def function(a=look_alike, b: Annotated[object, look_alike] = 2):
            return a, b

        assert (look_alike, 2) == function()

    def test_a_reference(self, make):
        """A marker may refer to its dependency by name, as Python 3.14 does on its own."""

        def factory(port: Annotated[int, Depends(typing.ForwardRef("get_port"))]):
            return [port]

        assert [5432] == make(factory)

    def test_mocks_are_left_alone(self):
        """A mock, also one of a marker, is none."""
        specified = mock.MagicMock(spec=Depends(get_port))
        specified.use_cache = True
        plain = mock.Mock(use_cache=True)

        @inject
        def function(a=specified, b=plain):
            return a, b

        assert (specified, plain) == function()

    def test_those_of_fastapi(self):
        """`Depends` and `Security` of FastAPI are understood."""
        fastapi = pytest.importorskip("fastapi", reason="an extra")

        @inject
        def function(
            a: Annotated[int, fastapi.Depends(get_port)],
            b: Annotated[int, fastapi.Security(get_port, scopes=["read"])],
            c: int = fastapi.Depends(get_port),
        ):
            return a, b, c

        assert (5432, 5432, 5432) == function()

    def test_those_of_fast_depends(self):
        """`Depends` of FastDepends is understood, in annotations and as a default."""
        fast_depends = pytest.importorskip("fast_depends", reason="of the test group")

        @inject
        def function(
            a: Annotated[int, fast_depends.Depends(get_port)], b=fast_depends.Depends(get_port)
        ):
            return a, b

        assert (5432, 5432) == function()

    def test_those_of_fast_depends_that_name_what_comes_later(self):
        """`Depends` of FastDepends may name a function that is defined later."""
        fast_depends = pytest.importorskip("fast_depends", reason="of the test group")

        @inject
        def function(a: "Annotated[int, fast_depends.Depends(get_later)]"):
            return a

        def get_later():
            return 5432

        assert 5432 == function()

    def test_those_of_taskiq_are_left_alone(self):
        """`TaskiqDepends` is TaskIQ's."""
        taskiq = pytest.importorskip("taskiq", reason="comes with its adapter")
        marker = taskiq.TaskiqDepends(get_port)

        @inject
        def function(a=marker, b: Annotated[int, marker] = 2):
            return a, b

        assert (marker, 2) == function()

    def test_those_of_fastmcp_are_left_alone(self):
        """`Depends` of FastMCP is FastMCP's."""
        dependencies = pytest.importorskip("fastmcp.dependencies", reason="not for the oldest")
        marker = dependencies.Depends(get_port)

        @inject
        def function(a=marker, b: Annotated[int, marker] = 2):
            return a, b

        assert (marker, 2) == function()


class TestFastDepends:
    """Functions that FastDepends calls, as FastStream does."""

    @pytest.fixture
    def library(self):
        """The class of FastStream's `Context`."""
        return pytest.importorskip("fast_depends.library", reason="of the test group")

    @pytest.fixture
    def field(self, library):
        """A marker like FastStream's `Context` and `Logger`."""

        class Field(library.CustomField):
            def use(self, /, **kwargs):
                raise AssertionError

        return Field()

    @pytest.mark.parametrize(
        "place", ["annotation", "default", "dependency", "deep dependency"]
    )
    def test_what_takes_a_field_of_its_own(self, library, field, place):
        """A function that takes what only FastDepends fills is left to it, dependencies too."""
        depends = __import__("fast_depends").Depends

        def by_annotation(logger: Annotated[object, field], name: "Nobody" = 1):  # noqa: F821  # on purpose
            raise AssertionError

        def deep(it=depends(by_annotation), again=depends(get_port)):
            raise AssertionError

        field_of = {
            "annotation": (Annotated[object, field], None),
            "default": (object, field),
            "dependency": (object, depends(by_annotation)),
            "deep dependency": (object, depends(deep)),
        }
        annotation, default = field_of[place]
        marker = depends(get_port)

        def function(first=marker, second: Annotated[int, marker] = 2, it=default):
            return first, second, it

        function.__annotations__["it"] = annotation

        assert (marker, 2, default) == inject(function)()

    def test_faststream(self):
        """FastStream's `Depends` is resolved, unless the function has a `Context` or `Logger`."""
        faststream = pytest.importorskip("faststream", reason="comes with its adapter")
        marker = faststream.Depends(get_port)

        @inject
        def plain(port=marker):
            return port

        @inject
        def handler(logger: faststream.Logger = None, port=marker):
            return port

        assert (5432, marker) == (plain(), handler())


def test_type_hints_of_what_is_public():
    """`typing.get_type_hints` can read the annotations of public names."""
    import wares.exceptions

    errors = [it for it in vars(wares.exceptions).values() if isinstance(it, type)]
    functions = [autowire, *(error.__init__ for error in errors if "__init__" in vars(error))]

    assert all(typing.get_type_hints(it) for it in functions)
