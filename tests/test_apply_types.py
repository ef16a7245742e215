"""Arguments, dependencies and results, validated and cast by pydantic."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Generator, Iterator
from typing import Annotated, Any, Required, Self, Unpack

import fast_depends
import pydantic
import pytest
from typing_extensions import TypedDict

from tests.support.forms import FORMS, AsyncForm
from tests.support.services import Cache, Database
from wares import (
    Depends,
    Inject,
    MissingExtraError,
    Registry,
    UnresolvableParameterError,
    ValidationError,
    WaresError,
    apply_types,
    inject,
)


@pytest.fixture(params=FORMS, ids=repr)
def form(request):
    """Plain functions, then asynchronous ones."""
    return request.param


def cast(form, function, **options):
    """Decorate a function in its form."""
    return apply_types(**options)(form.dependency(function))


class User(pydantic.BaseModel):
    name: str
    age: int = 0


class Tree(pydantic.BaseModel):
    branches: "list[Tree]" = []


class TestArguments:
    async def test_are_cast(self, form):
        """Arguments arrive as what they are annotated with."""

        def ask(number: int, user: User, plain, anything: Any, *, names: list[str] = ()):
            return number, user, plain, anything, names

        ask = cast(form, ask)

        assert (1, User(name="ada", age=3), "1", "1", ["a"]) == await form.call(
            ask, "1", {"name": "ada", "age": "3"}, "1", "1", names=("a",)
        )

    async def test_defaults_are_left_alone(self, form):
        """A default is the author's, and is not cast."""

        def ask(number: int = "one"):
            return number

        assert "one" == await form.call(cast(form, ask))

    async def test_variadic_ones_are_cast_each(self, form):
        """Each argument of *args and **kwargs is cast."""

        def ask(*numbers: int, **named: float):
            return numbers, named

        ask = cast(form, ask)

        assert ((1, 2), {"a": 3.0}) == await form.call(ask, "1", 2, a="3")
        with pytest.raises(ValidationError) as caught:
            await form.call(ask, 1, "x", a="y")
        assert [("numbers", 1), ("named", "a")] == [
            error["loc"] for error in caught.value.errors
        ]

    async def test_named_ones_of_a_typed_dict(self, form):
        """The types that `Unpack` gives to **kwargs (PEP 692) apply."""

        class Named(TypedDict, total=False):
            number: Required[int]
            name: str

        def ask(**named: Unpack[Named]):
            return named

        ask = cast(form, ask)

        assert {"number": 1, "name": "ada"} == await form.call(ask, number="1", name="ada")
        with pytest.raises(ValidationError, match=r"named\.number: Field required"):
            await form.call(ask, name="ada")

    async def test_constraints(self, form):
        """Constraints for pydantic in Annotated apply."""

        def ask(number: Annotated[int, pydantic.Field(gt=0)]):
            return number

        ask = cast(form, ask)

        assert 1 == await form.call(ask, "1")
        with pytest.raises(ValidationError, match="number: Input should be greater than 0"):
            await form.call(ask, -1)

    async def test_all_errors_at_once(self, form):
        """One ValidationError has all that is wrong, with the parameters, and no input."""

        def ask(number: int, user: User):
            raise AssertionError

        with pytest.raises(ValueError, match="number") as caught:
            await form.call(cast(form, ask), "secret", {"age": "secret"})

        error = caught.value
        assert isinstance(error, ValidationError | WaresError)
        assert [("number",), ("user", "name"), ("user", "age")] == [
            found["loc"] for found in error.errors
        ]
        assert "int_parsing" == error.errors[0]["type"]
        assert "test_apply_types.py" in str(error)
        assert "secret" not in str(error)

    async def test_classes_that_pydantic_does_not_know(self, form):
        """An object of an ordinary class is checked, and not changed."""

        def ask(database: Database):
            return database

        ask = cast(form, ask)
        database = Database()

        assert database is await form.call(ask, database)
        with pytest.raises(ValidationError, match="database"):
            await form.call(ask, "no database")

    async def test_fields(self, form):
        """A Field, as a default or in Annotated, brings constraints and defaults."""

        def ask(
            number: int = pydantic.Field(gt=0),
            text: str = pydantic.Field("short", max_length=5),
            names: list[str] = pydantic.Field(default_factory=list),
            plain=pydantic.Field("plain"),
        ):
            return number, text, names, plain

        ask = cast(form, ask)

        assert (1, "short", [], "plain") == await form.call(ask, "1")
        assert (1, "s", ["a"], 2) == await form.call(ask, 1, "s", ("a",), plain=2)
        with pytest.raises(ValidationError, match="number: Input should be greater than 0"):
            await form.call(ask, 0)
        with pytest.raises(ValidationError, match="number: Field required"):
            await form.call(ask, text="s")

    async def test_fields_in_annotated(self, form):
        """A Field in Annotated brings a default, too; Python's own default wins."""

        def ask(
            number: Annotated[int, pydantic.Field(default=7)],
            *,
            names: Annotated[list[str], pydantic.Field(default_factory=list)],
            text: Annotated[str, pydantic.Field(default="its")] = "ours",
        ):
            return number, names, text

        ask = cast(form, ask)

        assert (7, [], "ours") == await form.call(ask)
        assert (8, ["a"], "b") == await form.call(ask, "8", names=("a",), text="b")

    async def test_defaults_of_fields_are_left_alone(self, form):
        """The default of a Field is the author's, too, and is not validated."""

        def ask(number: int = pydantic.Field("many", le=5)):
            return number

        ask = cast(form, ask)

        assert "many" == await form.call(ask)
        with pytest.raises(ValidationError, match="less than or equal to 5"):
            await form.call(ask, 10)

    async def test_aliases(self, form):
        """A Field's alias is another name for the parameter."""

        def ask(
            first: int = pydantic.Field(alias="one"),
            second: Annotated[int, pydantic.Field(validation_alias="two")] = 2,
            third: Annotated[int, pydantic.Field(alias="no name")] = 3,
            fourth: int = pydantic.Field(
                4, validation_alias=pydantic.AliasChoices("from", pydantic.AliasPath("x", 0))
            ),
        ):
            return first, second, third, fourth

        ask = cast(form, ask)

        assert (1, 2, 3, 4) == await form.call(ask, one="1")
        assert (1, 3, 4, 5) == await form.call(ask, "1", two="3", third="4", fourth=5)
        assert (1, 2, 3, 4) == await form.call(ask, first="1")
        assert (1, 2, 4, 5) == await form.call(ask, 1, **{"no name": "4", "from": "5"})
        with pytest.raises(TypeError, match="unexpected keyword argument 'five'"):
            await form.call(ask, one="1", five=5)

    async def test_an_alias_that_is_another_parameter(self, form):
        """A name means the parameter of this name, even if it is the alias of another one."""

        def ask(first: int = pydantic.Field(1, alias="second"), second: int = 2):
            return first, second

        ask = cast(form, ask)

        assert [(1, 5), (3, 2), (3, 4)] == [
            await form.call(ask, second="5"),
            await form.call(ask, first="3"),
            await form.call(ask, "3", "4"),
        ]

    async def test_aliases_beside_further_names(self, form):
        """Keyword arguments that are no alias go to `**kwargs`."""

        def ask(first: int = pydantic.Field(alias="from"), **others: int):
            return first, others

        ask = cast(form, ask)

        assert (1, {"to": 2}) == await form.call(ask, **{"from": "1", "to": "2"})

    async def test_what_errors_call_an_argument(self, form):
        """Errors are located as pydantic locates them: at the alias, if there is one."""

        def ask(
            first: int = pydantic.Field(alias="one"),
            second: Annotated[int, pydantic.Field(validation_alias="two")] = 2,
            third: int = pydantic.Field(3, validation_alias=pydantic.AliasPath("x", 0)),
            fourth: User = pydantic.Field({}, alias="from"),
        ):
            raise AssertionError

        ask = cast(form, ask)

        with pytest.raises(ValidationError) as caught:
            await form.call(ask, "x", "y", "z", **{"from": {}})
        assert [("one",), ("two",), ("third",), ("from", "name")] == [
            error["loc"] for error in caught.value.errors
        ]
        with pytest.raises(ValidationError, match="one: Field required"):
            await form.call(ask)

    async def test_a_missing_argument(self, form):
        """A missing argument is a ValidationError like any other, with all that are missing."""

        def ask(
            first, /, second: int, third=3, *, fourth, it=Depends(form.dependency(lambda: 1))
        ):
            raise AssertionError

        with pytest.raises(ValidationError) as caught:
            await form.call(cast(form, ask), third=1)

        assert [("first",), ("second",), ("fourth",)] == [
            error["loc"] for error in caught.value.errors
        ]
        assert {"missing"} == {error["type"] for error in caught.value.errors}

    async def test_a_missing_argument_and_a_wrong_one(self, form):
        """One error lists all wrong and missing arguments, before any dependency is made."""

        def fail():
            raise AssertionError

        def ask(
            first: int, *rest: int, second: int, it=Depends(form.dependency(fail)), **more: int
        ):
            raise AssertionError

        with pytest.raises(ValidationError) as caught:
            await form.call(cast(form, ask), "x", "y", third="z")

        assert [
            ("int_parsing", ("first",)),
            ("int_parsing", ("rest", 0)),
            ("missing", ("second",)),
            ("int_parsing", ("more", "third")),
        ] == [(error["type"], error["loc"]) for error in caught.value.errors]

    async def test_a_missing_argument_without_types(self, form):
        """If no argument has a type, a missing argument is the same error."""
        ask = cast(form, lambda anything: anything)

        with pytest.raises(ValidationError, match="anything: Field required"):
            await form.call(ask)

    def test_methods(self):
        """Methods and constructors are cast, too; `self` is left alone."""

        class Service:
            @apply_types
            def __init__(self, number: int):
                self.number = number

            @apply_types
            def add(self, number: int):
                return self.number + number

        assert 3 == Service("1").add("2")

    @pytest.mark.parametrize("decorate", [inject, apply_types])
    def test_classes(self, decorate):
        """Classes can be decorated, too; a model's default factory makes missing values."""

        class Model(pydantic.BaseModel, extra="allow"):
            number: int = 0
            names: list[str] = pydantic.Field(default_factory=lambda: ["ada"])

        make = decorate(Model)
        get = decorate(lambda it=Depends(Model): it)

        assert Model(number=1) == make(number="1") == get(number="1")
        assert Model(names=[]) == make(names=[]) == get(names=[])
        assert Model(more=1) == make(more=1)

    def test_self(self):
        """`Self` may be any class, as far as a method can know, and is left alone."""

        class Service:
            @apply_types
            def pair(self, number: int, other: Self, rest: list[Self]) -> Self | None:
                return (self, number, other, rest)

        first, second = Service(), Service()

        assert (first, 1, second, [first]) == first.pair("1", second, [first])


class TestDependencies:
    async def test_take_cast_arguments(self, form):
        """The arguments that dependencies take by name are cast to their own annotations."""

        def double(number: int, factor: int = 2):
            return number * factor

        double = form.dependency(double)

        def ask(number: str, it: Annotated[int, Depends(double)]):
            return number, it

        ask = cast(form, ask)

        assert ("4", 8) == await form.call(ask, "4")
        with pytest.raises(ValidationError) as caught:
            await form.call(ask, "four")
        assert ("number",) == caught.value.errors[0]["loc"]
        assert "double" in caught.value.function

    async def test_what_they_return_is_cast(self, form):
        """Results are cast to the annotation of the parameter, or else of the dependency."""

        def get_number() -> int:
            return "5"

        def get_text():
            return "6"

        def get_yielded() -> Iterator[int]:
            yield "7"

        def ask(
            a: Annotated[str, Depends(form.dependency(get_text))],
            b: Annotated[float, Depends(form.dependency(get_number))],
            d: Annotated[Any, Depends(form.dependency(get_yielded))],
            c=Depends(form.dependency(get_number)),
        ):
            return a, b, c, d

        assert ("6", 5.0, 5, 7) == await form.call(cast(form, ask))

    async def test_take_models_that_contain_themselves(self, form):
        """A dependency may take a model of which others of its kind are parts."""
        grow = form.dependency(lambda: {"branches": [{}]})

        def count(tree: Annotated[Tree, Depends(grow)]):
            return 1 + len(tree.branches)

        ask = cast(form, lambda found=Depends(form.dependency(count)): found)

        assert 2 == await form.call(ask)

    async def test_nested_results(self, form):
        """A dependency gets the results of others as it wants them."""

        def get_text():
            return "5"

        get_text = form.dependency(get_text)

        def double(number: Annotated[int, Depends(get_text)], /, *, factor: int = 2):
            yield number * factor

        double = form.dependency(double)

        def ask(it: Annotated[int, Depends(double)], same: Annotated[int, Depends(double)]):
            return it, same

        ask = cast(form, ask)

        assert (10, 10) == await form.call(ask)

    async def test_what_is_cast_is_not_shared(self, form, registry):
        """A dependency with a cast result belongs to the call, and is not shared with others."""

        def get_text():
            return "5"

        get_text = form.dependency(get_text)

        def pair(
            number: Annotated[int, Depends(get_text)],
            text: Annotated[str, Depends(get_text)],
        ):
            return [number, text]

        pair = form.dependency(pair)

        def ask(it: Annotated[list, Depends(pair)]):
            return it

        casting, plain = cast(form, ask), form.inject(ask)

        with registry.container() as container, container.activate():
            found = [await form.call(one) for one in (plain, casting, plain, casting)]

        assert [["5", "5"], [5, "5"], ["5", "5"], [5, "5"]] == found
        assert found[0] is found[2]

    async def test_sessions_are_shared(self, form, registry):
        """A dependency without a cast belongs to the container, even in casting functions."""

        def get_database():
            return Database()

        get_database = form.dependency(get_database)

        def get_cache(
            database: Annotated[Database, Depends(get_database)], same=Depends(get_database)
        ):
            return Cache(), database, same

        get_cache = form.dependency(get_cache)

        def ask(number: int, cache: Annotated[Any, Depends(get_cache)]):
            return cache

        casting, plain = cast(form, ask), form.inject(ask)

        with registry.container() as container, container.activate():
            first, second = await form.call(casting, "1"), await form.call(plain, "1")

        assert first is second

    async def test_services_are_handed_over_as_they_are(self, form, registry):
        """A registered service is not looked at: a test may register anything."""
        registry.register_value(Database, "a mock")

        def ask(database: Inject[Database], number: int):
            return database, number

        ask = cast(form, ask, registry=registry)

        assert ("a mock", 1) == await form.call(ask, "1")

    async def test_what_is_passed_is_cast(self, form):
        """A dependency that is passed is cast as well, and others with it."""

        def get_text():
            return "5"

        def ask(
            a: Annotated[int, Depends(form.dependency(get_text))],
            b: Annotated[int, Depends(form.dependency(get_text))],
        ):
            return a, b

        assert (6, 5) == await form.call(cast(form, ask), a="6")

    async def test_their_fields(self, form):
        """A dependency's own parameters may have pydantic's Field as their default."""

        def page(limit: int = pydantic.Field(10, le=20), *, start: int = pydantic.Field(ge=1)):
            return start, limit

        ask = cast(form, lambda it=Depends(form.dependency(page)): it)

        assert (1, 10) == await form.call(ask, start="1")
        with pytest.raises(ValidationError, match="limit"):
            await form.call(ask, start=1, limit=30)
        with pytest.raises(ValidationError, match="start: Field required"):
            await form.call(ask)

    async def test_their_fields_without_types(self, form):
        """A Field as the default of a parameter without a type is never handed over itself."""

        def page(limit=pydantic.Field(10), *, start=pydantic.Field()):
            return start, limit

        page = form.dependency(page)
        ask = cast(form, lambda it=Depends(page): it)

        assert (1, 10) == await form.call(ask, start=1)
        with pytest.raises(ValidationError, match="start: Field required"):
            await form.call(ask)

    async def test_their_aliases(self, form):
        """Callers pass what a dependency takes by the alias of its Field, as by its name."""

        def page(limit: int = pydantic.Field(10, alias="from")):
            return limit

        page = form.dependency(page)

        def ask(first: int = pydantic.Field(alias="from"), it=Depends(page)):
            return first, it

        both = cast(form, ask)
        only = cast(form, lambda it=Depends(page): it)

        assert (3, 3) == await form.call(both, **{"from": "3"})
        assert [3, 4, 10] == [
            await form.call(only, **{"from": "3"}),
            await form.call(only, limit="4"),
            await form.call(only),
        ]
        with pytest.raises(ValidationError, match="from: Input should be a valid integer"):
            await form.call(only, limit="x")

    async def test_generators_that_replace_them(self, form, registry):
        """An override of a function that returns a generator may be a generator function."""

        def get() -> Generator[int, None, None]:
            raise AssertionError

        def override() -> Generator[int, None, None]:
            yield 2

        get = form.dependency(get)
        ask = cast(form, lambda it=Depends(get): it, registry=registry)

        with registry.override_factory(get, form.dependency(override)):
            assert 2 == await form.call(ask)

    @pytest.mark.parametrize("marker", [Depends, fast_depends.Depends])
    async def test_without_casting(self, form, marker):
        """A marker with cast=False leaves the result as it is."""

        def get_number() -> int:
            return "5"

        get_number = form.dependency(get_number)

        def ask(a: float = marker(get_number, cast=False), b: float = marker(get_number)):
            return a, b

        assert ("5", 5.0) == await form.call(cast(form, ask))
        assert "cast=False" in repr(Depends(get_number, cast=False))

    async def test_extra_dependencies(self, form):
        """Extra dependencies take cast arguments."""
        seen = []

        def check(number: int):
            seen.append(number)

        ask = cast(form, lambda number: number, dependencies=[Depends(form.dependency(check))])

        assert "5" == await form.call(ask, "5")
        assert [5] == seen


class TestResults:
    async def test_are_cast(self, form):
        """A result is cast to the annotation, unless it is not to be."""

        def ask(value) -> int:
            return value

        assert 5 == await form.call(cast(form, ask), "5")
        assert "5" == await form.call(cast(form, ask, cast_result=False), "5")
        assert "five" == await form.call(cast(form, lambda value: value), "five")

    async def test_that_do_not_fit(self, form):
        """A result that does not fit is a ValidationError at "return"."""

        def ask() -> int:
            return "five"

        with pytest.raises(ValidationError) as caught:
            await form.call(cast(form, ask))

        assert [("return",)] == [error["loc"] for error in caught.value.errors]

    @pytest.mark.parametrize(("cast_result", "expected"), [(True, [1, 2]), (False, ["1", "2"])])
    async def test_items_of_generators(self, form, cast_result, expected):
        """Each item of a generator is cast."""

        def count(*items: str) -> Iterator[int]:
            yield from items

        function = cast(form, count, cast_result=cast_result)

        assert expected == await form.items(function, "1", "2")

    async def test_items_by_their_own_type(self, form):
        """A generator may be annotated with the type of its items, too."""

        def count(to: str) -> int:
            yield to

        assert [3] == await form.items(cast(form, count), "3")

    async def test_generators_without_a_type(self, form):
        """A generator whose items have no type is left alone."""

        def count() -> Iterator:
            yield "1"

        assert ["1"] == await form.items(cast(form, count))

    def test_sending_and_throwing(self):
        """Values and exceptions that are sent to a generator pass through the cast."""

        @apply_types
        def ask() -> Iterator[int]:
            received = yield "1"
            try:
                yield received
            except KeyError:
                yield "3"
            return "done"

        generator = ask()

        assert [1, 2, 3] == [
            next(generator),
            generator.send("2"),
            generator.throw(KeyError()),
        ]
        with pytest.raises(StopIteration, match="done"):
            next(generator)

    async def test_sending_and_throwing_async(self):
        """Values and exceptions that are sent to an async generator pass through the cast."""

        @apply_types
        async def ask() -> AsyncIterator[int]:
            received = yield "1"
            try:
                yield received
            except KeyError:
                yield "3"

        generator = ask()

        assert [1, 2, 3] == [
            await anext(generator),
            await generator.asend("2"),
            await generator.athrow(KeyError()),
        ]
        with pytest.raises(StopAsyncIteration):
            await anext(generator)

    def test_closing_early(self):
        """A generator that is closed early is closed through the cast."""
        log = []

        @apply_types
        def ask() -> Iterator[int]:
            try:
                yield "1"
            finally:
                log.append("closed")

        generator = ask()
        next(generator)
        generator.close()

        assert ["closed"] == log

    async def test_closing_early_async(self):
        """An async generator that is closed early is closed through the cast."""
        log = []

        @apply_types
        async def ask() -> AsyncIterator[int]:
            try:
                yield "1"
            finally:
                await asyncio.sleep(0)
                log.append("closed")

        generator = ask()
        await anext(generator)
        await generator.aclose()

        assert ["closed"] == log


class TestOptions:
    async def test_never_affect_another_function(self, form, registry):
        """One function is decorated in many ways, each with its own options."""

        def double(number: int):
            return number * 2

        double = form.dependency(double)

        def ask(number, it: Annotated[Any, Depends(double)]) -> str:
            return it

        strict = cast(form, ask)
        loose = cast(form, ask, cast_result=False)
        plain = form.inject(ask)

        with registry.container() as container, container.activate():
            with pytest.raises(ValidationError, match="return"):
                await form.call(strict, "4")
            assert 8 == await form.call(loose, "4")
            assert "44" == await form.call(plain, "4")

    async def test_names_to_come(self, registry):
        """Annotations that are strings are read at the first call, if need be."""

        @apply_types(registry=registry)
        def ask(
            number: "Annotated[Number, pydantic.Field(alias='from')]",
            user: "User",
            it: Inject["Later"],
        ) -> "Number":
            return number

        class Later:
            pass

        Number = int
        registry.register_factory(Later, Later)

        assert 5 == ask("5", {"name": "ada"})
        assert 5 == ask(user={"name": "ada"}, **{"from": "5"})
        assert Later is not Number

    def test_a_result_to_come(self):
        """The annotation of a result is read at the first call, if need be."""

        @apply_types
        def ask() -> "Later":
            return {"name": "ada"}

        @apply_types(dependencies=[Depends(lambda: None)])
        def ask_with_dependencies() -> "Later":
            return {"name": "ada"}

        Later = User

        assert Later(name="ada") == ask() == ask_with_dependencies()

    @pytest.mark.parametrize("name", ["argument", "return"])
    async def test_names_that_never_come(self, form, name):
        """An annotation that cannot be read is an error at the first call; nothing is cast."""

        def ask(argument):
            raise AssertionError

        ask.__annotations__ = {name: "Nobody"}
        ask = cast(form, ask)

        with pytest.raises(UnresolvableParameterError, match=f"'{name}'.*'Nobody'"):
            await form.call(ask, 1)

    def test_the_adapters_are_made_once(self, monkeypatch):
        """TypeAdapters are made when the function is decorated, or at its first call."""
        made = []
        adapter = pydantic.TypeAdapter

        def count(*args, **kwargs):
            made.append(args)
            return adapter(*args, **kwargs)

        monkeypatch.setattr("pydantic.TypeAdapter", count)

        def double(number: int) -> int:
            return number * 2

        @apply_types
        def ask(number: int, it: Annotated[int, Depends(double)]) -> int:
            return it

        ask("1")
        first = len(made)
        for number in range(20):
            ask(str(number))

        assert first == len(made)


def test_without_pydantic(monkeypatch):
    """Without pydantic, decorating says which extra to install."""
    monkeypatch.setitem(sys.modules, "pydantic", None)

    with pytest.raises(MissingExtraError, match=r"pip install 'wares\[pydantic\]'") as caught:

        @apply_types
        def ask(number: int):
            raise AssertionError

    assert isinstance(caught.value, ImportError)
    assert "pydantic" == caught.value.extra


def test_pydantic_is_imported_only_when_used():
    """`inject` and `apply_types` themselves import no pydantic."""
    program = (
        "import sys, wares\n"
        "wares.inject(lambda name: name)('x')\n"
        "assert 'pydantic' not in sys.modules\n"
        "wares.apply_types(lambda name: name)('x')\n"
        "assert 'pydantic' not in sys.modules\n"
    )

    subprocess.run([sys.executable, "-c", program], check=True)


def test_both_decorators_with_options():
    """Without a function, both give a decorator that may be used many times."""
    with Registry() as registry:
        registry.register_value("name", "wares")
        for decorate in (inject(registry=registry), apply_types(registry=registry)):
            first = decorate(lambda name=Depends("name"): name)
            second = decorate(lambda name=Depends("name"): name.upper())

            assert ("wares", "WARES") == (first(), second())


def test_the_async_form_is_tested():
    """Every test above that takes a form runs in the asynchronous one, too."""
    assert any(isinstance(form, AsyncForm) for form in FORMS)
