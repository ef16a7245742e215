"""Tests of injected functions: their kind, explicit arguments, and errors."""

import asyncio
import contextlib
import functools
import gc
import inspect
import subprocess
import sys
import typing
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated

import fast_depends
import fastapi
import pydantic
import pytest

from tests.support.forms import FORMS
from tests.support.services import Cache, Database, Settings
from wares import (
    AsyncServiceError,
    CircularDependencyError,
    Container,
    ContainerClosedError,
    Depends,
    Inject,
    InvalidRegistrationError,
    InvalidRegistryError,
    NoContainerError,
    Registry,
    ServiceNotFoundError,
    UnresolvableParameterError,
    apply_types,
    current_container,
    inject,
)


@pytest.fixture(params=FORMS, ids=repr)
def form(request):
    """Plain functions, then asynchronous ones."""
    return request.param


@pytest.fixture
def log():
    """A record of what has happened, in order."""
    return []


def hello():
    return "hello"


async def ahello():
    return "hello"


def annotated(annotation):
    """Make a function with one parameter of that annotation."""

    def function(it: annotation):
        raise AssertionError

    return function


class TestTheContainer:
    async def test_the_current_one(self, form, registry):
        """The services come from the current container, if there is one."""
        registry.register_factory(Database, Database)
        ask = form.inject(lambda database=Depends(Database): database)

        with registry.container() as container, container.activate():
            assert container.get(Database) is await form.call(ask)

    async def test_one_for_the_call(self, form, registry, log):
        """Without a current container, one is opened for the call, and closed after it."""

        def connect():
            yield Database()
            log.append("closed")

        registry.register_factory(Database, connect)

        def ask(database: Inject[Database]):
            log.append("called")
            return current_container()

        container = await form.call(form.inject(ask, registry=registry))

        assert ["called", "closed"] == log
        with pytest.raises(ContainerClosedError):
            container.get(Database)
        with pytest.raises(NoContainerError):
            current_container()

    async def test_a_function_that_needs_nothing(self, form):
        """A function without markers has a container, too."""
        ask = form.inject(
            lambda first, *rest, **named: (first, rest, named, current_container())
        )

        *arguments, container = await form.call(ask, 1, 2, named=3)

        assert [1, (2,), {"named": 3}] == arguments
        assert isinstance(container, Container)

    async def test_nested_calls_share(self, form):
        """Injected functions that call each other share the container."""
        get = form.dependency(Database)
        inner = inject(lambda database=Depends(Database): database)
        outer = form.inject(lambda database=Depends(Database): (database, inner()))

        first, second = await form.call(outer)

        assert first is second
        assert get is not None

    async def test_a_closed_one(self, form, registry):
        """A current container that is closed is an error, as it is for everybody."""
        ask = form.inject(lambda database=Depends(Database): database)
        container = registry.container()
        container.close()

        with container.activate(), pytest.raises(ContainerClosedError):
            await form.call(ask)

    async def test_a_closed_one_and_what_is_ready(self, form, registry):
        """It is an error for what nobody has to make, too."""
        registry.register_value(Database, "ready")
        by_value = form.inject(lambda database=Depends(Database): database)
        by_argument = form.inject(
            lambda name, it=Depends(form.dependency(lambda name: name)): it
        )
        container = registry.container()
        container.close()

        with container.activate():
            for ask, arguments in [(by_value, []), (by_argument, ["ada"])]:
                with pytest.raises(ContainerClosedError):
                    await form.call(ask, *arguments)

    async def test_registrations_are_seen_at_once(self, form, registry):
        """Later registrations count in the next call."""
        ask = form.inject(lambda it=Depends(hello): it, registry=registry)
        found = []

        for service in ("one", "two"):
            found += [await form.call(ask), await form.call(ask)]
            registry.register_value(hello, service)
        found.append(await form.call(ask))

        assert ["hello", "hello", "one", "one", "two"] == found

    async def test_children(self, form, registry):
        """In a child the services of the connection are the outermost container's."""
        registry.register_factory(Database, Database, lifetime="connection")
        registry.register_factory(Cache, Cache)
        ask = form.inject(lambda a=Depends(Database), b=Depends(Cache): (a, b))

        with registry.container() as parent:
            found = []
            for container in (parent, parent.child(), parent.child()):
                with container.activate():
                    found.append(await form.call(ask))

        assert 1 == len({database for database, _ in found})
        assert 3 == len({cache for _, cache in found})

    async def test_many_registries(self, form):
        """One function serves many registries, each with its own services."""
        ask = form.inject(lambda it=Depends("name"): it)
        found = []

        for number in (1, 2, 1, 2):
            with Registry() as registry:
                registry.register_value("name", number)
                with registry.container() as container, container.activate():
                    found += [await form.call(ask), await form.call(ask)]

        assert [1, 1, 2, 2, 1, 1, 2, 2] == found

    async def test_singletons_and_values(self, form, registry):
        """Services of every lifetime may be asked for."""
        registry.register_factory(Database, Database, lifetime="singleton")
        registry.register_factory(Cache, Cache, lifetime="transient")
        registry.register_value(Settings, "settings")
        ask = form.inject(
            lambda a=Depends(Database), b=Depends(Cache), c=Depends(Settings): (a, b, c),
            registry=registry,
        )

        one, two = await form.call(ask), await form.call(ask)

        assert one[0] is two[0]
        assert one[1] is not two[1]
        assert "settings" == one[2] == two[2]

    async def test_functions_that_nobody_keeps_are_collected(self, form, registry):
        """A function that was injected and called within a request lives no longer than that."""

        async def handle():
            get = form.dependency(lambda: Database())
            function = form.inject(lambda database=Depends(get): database)
            with registry.container() as container, container.activate():
                await form.call(function)
            return weakref.ref(get)

        reference = await asyncio.create_task(handle())
        # The loop lets go of a task, and of its context, only after it woke who waits.
        await asyncio.sleep(0)
        gc.collect()

        assert reference() is None


class TestServices:
    """`Inject` gives only services of the registry or the container."""

    @pytest.mark.parametrize("key", [Database, str, "a name"], ids=str)
    async def test_are_never_invented(self, form, registry, key):
        """A service that is not registered is an error, even if it could be made."""
        marked = Annotated[object, Depends(key)] if key == "a name" else Inject[key]

        def ask(service: marked):
            raise AssertionError

        ask = form.inject(ask)

        with registry.container() as container, container.activate():
            with pytest.raises(ServiceNotFoundError, match="'service'"):
                await form.call(ask)

    async def test_take_no_arguments(self, form, registry):
        """An argument of the call never flows into a service that is not registered."""

        class Client:
            def __init__(self, url: str) -> None:
                raise AssertionError

        def get(client: Inject[Client]):
            raise AssertionError

        def ask(url: str, client: Inject[Client]):
            raise AssertionError

        def ask_deep(url: str, client: Inject[str], it=Depends(form.dependency(get))):
            raise AssertionError

        with registry.container({str: "a"}) as container, container.activate():
            for function in (ask, ask_deep):
                with pytest.raises(ServiceNotFoundError, match="Client"):
                    await form.call(form.inject(function), "http://mallory")

    async def test_what_a_dependency_has_made_is_none(self, form, registry):
        """An object that Depends has made for itself is no service for Inject."""

        def ask(first: Annotated[Database, Depends()], second: Inject[Database]):
            raise AssertionError

        with registry.container() as container, container.activate():
            for _ in range(2):
                with pytest.raises(ServiceNotFoundError, match="'second'"):
                    await form.call(form.inject(ask))

    @pytest.mark.parametrize("is_given", [True, False])
    async def test_given_objects(self, form, registry, is_given):
        """Given objects and local registrations are services, in children, too."""

        def ask(service: Inject[str], it=Depends(hello, scope="function")):
            return service

        with registry.container({str: "given"} if is_given else None) as outer:
            if not is_given:
                outer.register_local_value(str, "given")
            with outer.child() as container, container.activate():
                assert "given" == await form.call(form.inject(ask))

    def test_in_factories(self, registry):
        """A factory gets no invented service either, and validation says so."""

        def connect(cache: Inject[Cache]):
            raise AssertionError

        registry.register_factory(Database, connect)

        with registry.container() as container:
            with pytest.raises(ServiceNotFoundError, match="Cache"):
                container.get(Database)
        with pytest.raises(InvalidRegistryError):
            registry.validate()

    async def test_the_registry_itself(self, form, registry):
        """The registry itself is a service, in every way to ask."""

        def get(registry: Registry):
            return registry

        get = form.dependency(get)

        def ask(it: Inject[Registry], container: Inject[Container], also=Depends(get)):
            return container.registry is it is also is container.get(Registry)

        assert await form.call(form.inject(ask, registry=registry))

    async def test_without_a_container(self, form):
        """Without a current container or a registry of its own, a function gets no service."""

        def get(database: Database):
            raise AssertionError

        def by_inject(it: Inject[Database]): ...
        def by_name(it: Annotated[object, Depends("a name")]): ...
        def by_annotation(it=Depends(form.dependency(get))): ...

        for function in (by_inject, by_name, by_annotation):
            with pytest.raises(NoContainerError, match=r"@inject\(registry=registry\)"):
                await form.call(form.inject(function))

    async def test_without_a_container_for_a_dependency(self, form):
        """Nor does a dependency, for a parameter that a service could fill."""

        def get(database: Database):
            raise AssertionError

        ask = form.inject(lambda it=Depends(form.dependency(get)): it)

        with pytest.raises(NoContainerError, match="Database"):
            await form.call(ask)

    async def test_where_no_container_is_current(self, registry):
        """A container that is open but not current serves nothing, and neither does a thread's."""
        registry.register_factory(Database, Database, lifetime="singleton")

        async def ask(database: Inject[Database]):
            return database

        def ask_plainly(database: Inject[Database]):
            return database

        with registry.container() as container:
            with pytest.raises(NoContainerError):
                await inject(ask)()
            with container.activate():
                database = await inject(ask)()
                with ThreadPoolExecutor() as pool, pytest.raises(NoContainerError):
                    pool.submit(inject(ask_plainly)).result()

        assert database is registry.container().get(Database)

    async def test_by_a_registry_within_a_call_without(self, form, registry):
        """A function with a registry gets services, also called by one that has no container."""
        registry.register_value(str, "service")
        inner = inject(registry=registry)(lambda it=Depends(str): (it, current_container()))

        def steps(it=Depends(str)):
            yield it

        items = inject(registry=registry)(steps)

        def ask(greeting=Depends(hello)):
            before = current_container()
            found, container = inner()
            return found, [*items()], container is before, current_container() is before

        assert ("service", ["service"], False, True) == await form.call(form.inject(ask))


class TestArguments:
    async def test_arguments_that_are_passed_win(self, form, log):
        """A dependency that is passed by name is not made."""
        get = form.dependency(lambda: log.append("made") or "made")

        def ask(first, one=Depends(get), second="two", *, three=Depends(get)):
            return first, one, second, three

        ask = form.inject(ask)

        assert (1, "a", 2, "b") == await form.call(ask, 1, 2, one="a", three="b")
        assert [] == log
        assert (1, "made", "two", "b") == await form.call(ask, 1, three="b")
        assert (1, "a", "two", "made") == await form.call(ask, 1, one="a")
        assert (1, None, "two", "made") == await form.call(ask, 1, one=None)
        assert ["made"] * 3 == log

    async def test_a_marked_parameter_before_others(self, form):
        """Positional arguments fill the other parameters, wherever they stand."""
        ask = form.inject(lambda it=Depends(hello), name="nobody": (it, name))

        assert ("hello", "ada") == await form.call(ask, "ada")
        assert ("hello", "nobody") == await form.call(ask)
        assert ("ciao", "ada") == await form.call(ask, "ada", it="ciao")

    async def test_some_passed_with_a_function_scope(self, form):
        """A function-scoped dependency may be passed, too, next to others that are made."""
        ask = form.inject(
            lambda a=Depends(hello, scope="function"), b=Depends(hello): (a, b),
            dependencies=[Depends(hello)],
        )

        assert ("passed", "hello") == await form.call(ask, a="passed")
        assert ("hello", "passed") == await form.call(ask, b="passed")

    @pytest.mark.parametrize(
        ("args", "kwargs", "problem"),
        [
            ((), {}, "first"),
            ((1, 2, 3), {}, "positional"),
            ((1, 2, 3), {"one": 4}, "positional"),
            ((1,), {"unknown": 1}, "unknown"),
            ((1,), {"first": 1}, "first"),
        ],
    )
    async def test_arguments_that_do_not_fit(self, form, args, kwargs, problem):
        """Wrong arguments are Python's own error, and nothing is made."""

        def ask(first, one: Annotated[str, Depends(hello)], second=2):
            raise AssertionError

        ask = form.inject(ask)

        with pytest.raises(TypeError, match=problem):
            await form.call(ask, *args, **kwargs)

    @pytest.mark.parametrize("marked", [Inject[str], Annotated[str, Depends(hello)]])
    async def test_never_filled_by_position(self, form, registry, marked):
        """Frameworks pass what clients send by position: it never fills a marked parameter."""
        registry.register_value(str, "hello")

        def show(data, user: marked, note="none", *, more: marked):
            return data, user, note, more

        show = form.inject(show, registry=registry)

        assert ("data", "hello", "note", "hello") == await form.call(show, "data", "note")
        with pytest.raises(TypeError, match="positional"):
            await form.call(show, "data", "note", "mallory")

    async def test_every_kind_of_parameter(self, form):
        """All kinds of parameters reach the function as they were passed."""

        def ask(a, /, b, it=Depends(hello), *rest, c, d=4, own: Inject[Container], **named):
            return a, b, it, rest, c, d, named

        ask = form.inject(ask)

        assert (1, 2, "hello", (3, 4), 5, 4, {"a": 6}) == await form.call(
            ask, 1, 2, 3, 4, c=5, a=6
        )

    async def test_names_of_ours(self, form):
        """A parameter may have any name, also one that looks like ours."""

        def ask(_wares_container, *, _wares_plan=1, it=Depends(hello)):
            return _wares_container, _wares_plan, it

        assert ("x", 1, "hello") == await form.call(form.inject(ask), "x")


class TestByName:
    @pytest.mark.parametrize("passed", [((1,), {"b": 2}), ((), {"a": 1, "b": 2}), ((1, 2), {})])
    async def test_however_it_is_passed(self, form, passed):
        """A dependency's unmarked parameter takes the call's argument of that name."""
        args, kwargs = passed
        add = form.dependency(lambda a, b: a + b)
        ask = form.inject(lambda a, b, total=Depends(add): total)

        assert 3 == await form.call(ask, *args, **kwargs)

    async def test_defaults_of_the_function(self, form):
        """A default of the function is an argument like any other, and wins over its own."""
        page = form.dependency(lambda limit=10: limit)
        ask = form.inject(lambda limit=20, it=Depends(page): it)

        assert (20, 30) == (await form.call(ask), await form.call(ask, 30))

    async def test_nested(self, form):
        """Arguments reach dependencies of dependencies."""
        inner = form.dependency(lambda name: name.title())
        outer = form.dependency(lambda name, it=Depends(inner): f"{name} {it}")
        ask = form.inject(lambda name, it=Depends(outer): it)

        assert "ada Ada" == await form.call(ask, "ada")

    async def test_each_call_has_its_own(self, form, registry, log):
        """A dependency with an argument of the call is shared only within the call."""

        def get_user(name):
            log.append(f"made {name}")
            yield name
            log.append(f"left {name}")

        get_user = form.dependency(get_user)
        get_rights = form.dependency(lambda user=Depends(get_user): f"rights of {user}")
        shared = form.dependency(lambda: Database())
        ask = form.inject(
            lambda name, rights=Depends(get_rights), user=Depends(get_user), it=Depends(shared): (
                rights,
                it,
            )
        )

        async with registry.container() as container:
            with container.activate():
                one, first = await form.call(ask, "ada")
                two, second = await form.call(ask, "bob")

        assert ("rights of ada", "rights of bob") == (one, two)
        assert first is second
        assert ["made ada", "made bob", "left bob", "left ada"] == log

    async def test_shared_by_what_one_parameter_needs(self, form, log):
        """A dependency with an argument is made once, even if two dependencies need it."""

        def get_user(name):
            log.append(name)
            return name

        get_user = form.dependency(get_user)
        get_rights = form.dependency(lambda user=Depends(get_user): f"rights of {user}")
        get_page = form.dependency(
            lambda user=Depends(get_user), rights=Depends(get_rights): (user, rights)
        )
        ask = form.inject(lambda name, page=Depends(get_page): page)

        assert ("ada", "rights of ada") == await form.call(ask, "ada")
        assert ["ada"] == log

    async def test_an_exception(self, form):
        """An exception of a dependency has the path to it as a note, with each function once."""

        def inner(name):
            raise OSError

        inner = form.dependency(inner)

        def outer(it=Depends(inner)):
            raise AssertionError

        outer = form.dependency(outer)

        def ask(name, it=Depends(outer)):
            raise AssertionError

        with pytest.raises(OSError) as caught:
            await form.call(form.inject(ask), "ada")

        (note,) = caught.value.__notes__
        assert f" {ask.__name__} -> {outer.__name__} -> {inner.__name__}, made by" in note
        assert 1 == note.count("ask")

    async def test_needed_in_many_ways(self, form):
        """A dependency with an argument may be needed in a million ways."""
        needed = form.dependency(lambda name: 1)
        for _ in range(20):
            needed = form.dependency(lambda a=Depends(needed), b=Depends(needed): a + b)
        ask = form.inject(lambda name, number=Depends(needed): number)

        assert 2**20 == await form.call(ask, "ada")

    async def test_without_the_argument_it_is_shared(self, form, registry):
        """If the call has no such argument, the dependency belongs to the container."""
        page = form.dependency(lambda limit=10: [limit])
        with_limit = form.inject(lambda limit, it=Depends(page): it)
        without = form.inject(lambda it=Depends(page): it)

        with registry.container() as container, container.activate():
            first = await form.call(without)
            own = await form.call(with_limit, 20)
            second = await form.call(without)

        assert ([10], [20]) == (first, own)
        assert first is second

    async def test_a_fresh_one(self, form):
        """use_cache=False makes another one of what takes arguments, too."""
        get = form.dependency(lambda name: [name])
        ask = form.inject(
            lambda name, a=Depends(get), b=Depends(get, use_cache=False), c=Depends(get): (
                a is c,
                a is b,
                a == b,
            )
        )

        assert (True, False, True) == await form.call(ask, "ada")

    async def test_the_annotation_where_it_is_registered(self, form, registry):
        """Without an argument, the annotation counts, where it is registered or given."""
        registry.register_value(Database, "registered")

        def get(database: Database, cache: Cache, settings: Settings | None = None):
            return database, cache, settings

        get = form.dependency(get)
        ask = form.inject(lambda it=Depends(get): it)

        with registry.container({Cache: "given"}) as container, container.activate():
            first = await form.call(ask)
        with registry.container({Cache: 1, Settings: 2}) as container, container.activate():
            second = await form.call(ask)

        assert ("registered", "given", None) == first
        assert ("registered", 1, 2) == second

    async def test_the_argument_wins_over_the_annotation(self, form, registry):
        """An argument of that name is taken, even where the annotation is registered."""
        registry.register_value(str, "registered")

        def get(name: str):
            return name

        get = form.dependency(get)
        ask = form.inject(lambda name, it=Depends(get): it, registry=registry)

        assert "ada" == await form.call(ask, "ada")

    async def test_a_class_takes_arguments(self, form):
        """A class that is called as a dependency takes arguments by name."""

        class Page:
            def __init__(self, offset: int, limit: int = 10):
                self.shown = (offset, limit)

        ask = form.inject(lambda offset, page=Depends(Page): page.shown)

        assert (5, 10) == await form.call(ask, 5)

    async def test_registered_services_take_none(self, form, registry):
        """A service that is registered never takes an argument: others share it."""

        def get(name: Annotated[str, "a name"] = "nobody"):
            return name

        def connect(user: Annotated[str, Depends(get)]):
            return user

        registry.register_factory(Database, connect)
        ask = form.inject(
            lambda name, database=Depends(Database), it=Depends(get): (database, it),
            registry=registry,
        )

        assert ("nobody", "ada") == await form.call(ask, "ada")

    async def test_keyword_arguments_of_any_name(self, form):
        """In a function with **kwargs, dependencies take its keyword arguments."""
        get = form.dependency(lambda name="nobody": name)
        ask = form.inject(lambda it=Depends(get), **named: (it, named))

        assert ("nobody", {}) == await form.call(ask)
        assert ("ada", {"name": "ada"}) == await form.call(ask, name="ada")
        assert ("nobody", {"age": 3}) == await form.call(ask, age=3)

    async def test_annotations_that_cannot_be_keys(self, form):
        """A parameter annotated with something that is no key still takes arguments."""

        def get(name: Annotated[str, []], age: Annotated[int, []] = 3):
            return name, age

        get = form.dependency(get)
        ask = form.inject(lambda name, it=Depends(get): it)

        assert ("ada", 3) == await form.call(ask, "ada")

    async def test_positional_only(self, form):
        """Positional-only parameters of a dependency are filled, too."""

        def get(name, cache="own", it=Depends(hello), /, *, more=1):
            return name, cache, it, more

        get = form.dependency(get)
        ask = form.inject(lambda name, more=2, it=Depends(get): it)

        assert ("ada", "own", "hello", 2) == await form.call(ask, "ada")

    async def test_nothing_fills_it(self, form):
        """A parameter that nothing fills, and that was not passed, is an error at the call."""
        inner = form.dependency(lambda user_id: user_id)
        outer = form.dependency(lambda it=Depends(inner): it)
        ask = form.inject(lambda name, it=Depends(outer): it)

        with pytest.raises(UnresolvableParameterError) as caught:
            await form.call(ask, "ada")

        assert "user_id" == caught.value.parameter
        assert "Pass user_id=..." in str(caught.value)
        assert 3 == str(caught.value).count("\n")

    def test_a_marked_parameter_is_no_argument(self, form):
        """A dependency cannot take an argument that has the name of a marked parameter."""
        inner = form.dependency(lambda it: it)

        with pytest.raises(UnresolvableParameterError, match="'it'"):
            form.inject(lambda it=Depends(inner): it)

    def test_variadic_parameters_are_none(self, form):
        """A variadic parameter of the call gives a dependency no argument."""
        inner = form.dependency(lambda it: it)

        def ask(*it, that=Depends(inner)):
            raise AssertionError

        with pytest.raises(UnresolvableParameterError, match="'it'"):
            form.inject(ask)

    async def test_a_variadic_parameter_and_a_default(self, form):
        """A dependency's parameter of that name keeps its default, too."""
        inner = form.dependency(lambda it="default": it)

        def ask(*it, that=Depends(inner)):
            return it, that

        assert ((1, 2), "default") == await form.call(form.inject(ask), 1, 2)

    async def test_a_marked_parameter_and_a_default(self, form):
        """A dependency's parameter of that name keeps its default."""
        inner = form.dependency(lambda it="default": it)

        assert "default" == await form.call(form.inject(lambda it=Depends(inner): it))

    async def test_one_of_two_is_passed(self, form, registry):
        """An error about a parameter that lacks an argument names those that the call has."""
        inner = form.dependency(lambda name, user_id: (name, user_id))
        ask = form.inject(lambda name, it=Depends(inner): it, registry=registry)

        with pytest.raises(UnresolvableParameterError, match="the call has only name"):
            await form.call(ask, "ada")

    @pytest.mark.parametrize("scope", ["request", "function"])
    async def test_what_only_dependencies_take(self, form, scope):
        """Callers may pass what only dependencies take, by keyword; it is shared in the call."""
        inner = form.dependency(lambda limit=10, start=0: range(start, limit))
        outer = form.dependency(lambda name, page=Depends(inner): (name, page))

        def ask(first, found=Depends(outer, scope=scope), *, page=Depends(inner)):
            return first, found, page

        ask = form.inject(ask)

        expected = (1, ("ada", range(2, 10)), range(2, 10))
        assert expected == await form.call(ask, 1, name="ada", start=2)
        assert (1, ("ada", range(10)), range(10)) == await form.call(ask, 1, name="ada")

    async def test_what_is_annotated_as_a_value(self, form):
        """Callers may also pass parameters that are annotated with plain values."""

        def inner(limit: Annotated[int, "at most"], name: int | str, page: list[int] = ()):
            return limit, name, page

        ask = form.inject(lambda it=Depends(form.dependency(inner)): it)

        assert (3, "ada", ()) == await form.call(ask, limit=3, name="ada")
        assert (3, "ada", [1]) == await form.call(ask, limit=3, name="ada", page=[1])

    async def test_of_generators(self, form):
        """Callers of injected generators may pass what only a dependency takes, too."""

        def count(to=Depends(form.dependency(lambda limit: limit))):
            yield from range(to)

        count = form.inject(count)

        assert [0, 1, 2] == await form.items(count, limit=3)

    def test_what_callers_are_shown(self, form, registry):
        """Callers are shown what dependencies take, but not what may be a service."""

        def inner(name: str, database: Database, limit: int | None = None, *, kind="any"):
            raise AssertionError

        def other(limit: int, name: str = "nobody"):
            raise AssertionError

        def ask(
            first, it=Depends(form.dependency(inner)), that=Depends(form.dependency(other))
        ):
            raise AssertionError

        signature = inspect.signature(form.inject(ask))

        assert "(first, *, name: str, limit: int, kind='any')" == str(signature)

    async def test_what_could_be_a_service(self, form):
        """An argument may be passed even if a service of its type could be registered."""

        def get(database: Database):
            return database

        ask = form.inject(lambda it=Depends(form.dependency(get)): it)

        assert 1 == await form.call(ask, database=1)

    def test_others_are_refused(self, form):
        """Unknown arguments are refused, as by any function."""
        ask = form.inject(lambda it=Depends(form.dependency(lambda name: name)): it)

        with pytest.raises(TypeError, match="nome"):
            ask(nome="ada")

    async def test_nothing_fills_it_at_the_call(self, form, registry):
        """A parameter that only a registration could fill is an error at the call."""

        def get(user: Database):
            raise AssertionError

        get = form.dependency(get)
        ask = form.inject(lambda it=Depends(get): it, registry=registry)

        for _ in range(2):
            with pytest.raises(UnresolvableParameterError, match="Database"):
                await form.call(ask)

    async def test_nothing_fills_it_without_a_call(self, registry):
        """A dependency of a service has no call to take arguments from."""

        def connect(it: Annotated[str, Depends(lambda name: name)]):
            raise AssertionError

        registry.register_factory(Database, connect)

        with registry.container() as container:
            with pytest.raises(UnresolvableParameterError, match="no arguments"):
                container.get(Database)
        with pytest.raises(InvalidRegistryError) as caught:
            registry.validate()
        assert "no arguments" in str(caught.value.exceptions[0])

    async def test_nothing_fills_a_class(self, form):
        """A class that cannot be made is an error at the call, for it might be registered."""

        class Page:
            def __init__(self, offset):
                raise AssertionError

        ask = form.inject(lambda page=Depends(Page): page)

        with pytest.raises(UnresolvableParameterError, match="offset"):
            await form.call(ask)


class TestExtraDependencies:
    async def test_run_first(self, form, log):
        """Extra dependencies are run before the function's own, and take arguments."""
        check = form.dependency(lambda name: log.append(f"check {name}"))
        get = form.dependency(lambda: log.append("get") or "it")
        ask = form.inject(
            lambda name, it=Depends(get): it, dependencies=[Depends(check), Depends("key")]
        )

        with Registry() as registry, registry.container({"key": 1}) as container:
            with container.activate():
                assert "it" == await form.call(ask, "ada")
                assert "other" == await form.call(ask, "bob", it="other")

        assert ["check ada", "get", "check bob"] == log

    async def test_that_refuse(self, form):
        """An extra dependency that fails keeps the function from being called."""

        def check():
            raise PermissionError

        ask = form.inject(lambda: pytest.fail("called"), dependencies=[Depends(check)])

        with pytest.raises(PermissionError):
            await form.call(ask)

    @pytest.mark.parametrize("extra", [hello, Depends()])
    def test_must_be_markers(self, form, extra):
        """Something that is no marker, or names nothing, is refused, with what to write."""
        with pytest.raises(InvalidRegistrationError, match=r"dependencies=\[Depends"):
            form.inject(lambda: None, dependencies=[extra])


class TestGenerators:
    async def test_stay_what_they_are(self, form):
        """A generator function stays one, and shows its own parameters only."""

        def count(to, it=Depends(hello)):
            yield from range(to)

        count = form.inject(count)

        assert form.is_async is inspect.isasyncgenfunction(count)
        assert form.is_async is not inspect.isgeneratorfunction(count)
        assert "(to)" == str(inspect.signature(count))
        assert [0, 1, 2] == await form.items(count, 3)

    @pytest.mark.parametrize("scope", ["request", "function"])
    async def test_open_until_exhausted(self, form, log, scope):
        """Dependencies are open while the generator runs, and no longer."""

        def get():
            yield "it"
            log.append("left")

        def ask(it=Depends(form.dependency(get), scope=scope)):
            log.append("first")
            yield it
            log.append("second")
            yield it

        assert ["it", "it"] == await form.items(form.inject(ask))
        assert ["first", "second", "left"] == log

    def test_closed(self, log):
        """A generator that is closed early leaves its dependencies."""

        def get():
            try:
                yield
            finally:
                log.append("left")

        @inject
        def ask(it=Depends(get)):
            yield 1
            yield 2

        generator = ask()
        next(generator)
        generator.close()

        assert ["left"] == log

    async def test_closed_async(self, log):
        """An async generator that is closed early leaves its dependencies."""

        async def get():
            try:
                yield
            finally:
                await asyncio.sleep(0)
                log.append("left")

        @inject
        async def ask(it=Depends(get)):
            yield 1
            yield 2

        generator = ask()
        await anext(generator)
        await generator.aclose()

        assert ["left"] == log

    async def test_failed(self, form, log):
        """The exception of a generator reaches its dependencies."""

        def get():
            try:
                yield
            except KeyError:
                log.append("rolled back")

        def ask(it=Depends(form.dependency(get))):
            yield 1
            raise KeyError

        with pytest.raises(KeyError):
            await form.items(form.inject(ask))

        assert ["rolled back"] == log

    @pytest.mark.parametrize("is_current", [False, True])
    def test_sending_and_throwing(self, registry, is_current):
        """Values and exceptions sent to a generator reach it; its result is returned."""

        @inject
        def ask(it=Depends(hello)):
            received = yield it
            try:
                yield received
            except KeyError:
                yield "caught"
            return "returned"

        with contextlib.ExitStack() as stack:
            if is_current:
                stack.enter_context(stack.enter_context(registry.container()).activate())
            generator = ask()
            found = [next(generator), generator.send("sent"), generator.throw(KeyError())]
            with pytest.raises(StopIteration) as done:
                next(generator)

        assert ["hello", "sent", "caught"] == found
        assert "returned" == done.value.value

    @pytest.mark.parametrize("is_current", [False, True])
    async def test_sending_and_throwing_async(self, registry, is_current):
        """Values and exceptions sent to an async generator reach it."""

        @inject
        async def ask(it=Depends(ahello)):
            received = yield it
            try:
                yield received
            except KeyError:
                yield "caught"

        async with contextlib.AsyncExitStack() as stack:
            if is_current:
                stack.enter_context(stack.enter_context(registry.container()).activate())
            generator = ask()
            found = [
                await anext(generator),
                await generator.asend("sent"),
                await generator.athrow(KeyError()),
            ]
            with pytest.raises(StopAsyncIteration):
                await anext(generator)

        assert ["hello", "sent", "caught"] == found

    async def test_the_container_is_current_inside_only(self, form):
        """The container of a generator is current while it runs, not while it waits."""
        inner = inject(lambda database=Depends(Database): database)
        get = form.dependency(lambda: current_container())

        def ask(database=Depends(Database), container=Depends(get)):
            yield database is inner()
            yield container is current_container()

        ask = form.inject(ask)
        found = []
        if form.is_async:
            async for item in ask():
                found.append(item)
                with pytest.raises(NoContainerError):
                    current_container()
        else:
            for item in ask():
                found.append(item)
                with pytest.raises(NoContainerError):
                    current_container()

        assert [True, True] == found


class TestWhereItIsDecorated:
    async def test_methods(self, form):
        """Methods, class methods and static methods can be injected, in any order."""

        class Service:
            name = "service"

            @form.inject
            def method(self, it=Depends(hello)):
                return self.name, it

            @classmethod
            @form.inject
            def on_class(cls, it=Depends(hello)):
                return cls.name, it

            @form.inject
            @classmethod
            def on_class_outside(cls, it=Depends(hello)):
                return cls.name, it

            @form.inject
            @staticmethod
            def on_nothing(name, it=Depends(hello)):
                return name, it

            @staticmethod
            @form.inject
            def on_nothing_inside(name, it=Depends(hello)):
                return name, it

        service = Service()

        assert [("service", "hello")] * 5 == [
            await form.call(service.method),
            await form.call(service.on_class),
            await form.call(service.on_class_outside),
            await form.call(service.on_nothing, "service"),
            await form.call(service.on_nothing_inside, "service"),
        ]

    def test_constructors(self, registry):
        """A class whose __init__ is injected is called with the rest."""
        registry.register_value(Database, "database")

        class Service:
            @inject(registry=registry)
            def __init__(self, name, database: Inject[Database]):
                self.parts = (name, database)

        assert ("ada", "database") == Service("ada").parts
        assert "(name)" == str(inspect.signature(Service))

    async def test_other_callables(self, form):
        """Partials and instances can be injected as well."""

        class Instance:
            def __call__(self, name, it=Depends(hello)):
                return name, it

        partial = functools.partial(lambda first, name, it=Depends(hello): (name, it), 1)

        assert ("ada", "hello") == inject(Instance())("ada")
        assert ("ada", "hello") == inject(partial)("ada")

    def test_what_others_see(self):
        """Name, docstring and module stay; signature and annotations lack injected parameters."""

        @inject
        def ask(name: str, it: Annotated[str, Depends(hello)], *, age: int = 3) -> str:
            """Ask."""
            raise AssertionError

        assert ("ask", "Ask.", __name__) == (ask.__name__, ask.__doc__, ask.__module__)
        assert "(name: str, *, age: int = 3) -> str" == str(inspect.signature(ask))
        assert {"name": str, "age": int, "return": str} == typing.get_type_hints(ask)
        assert "it" in inspect.signature(ask.__wrapped__).parameters

    async def test_kinds_stay(self, form):
        """A coroutine function stays one, and a plain one too."""
        ask = form.inject(lambda it=Depends(hello): it)

        assert form.is_async is inspect.iscoroutinefunction(ask)

    @pytest.mark.parametrize("decorate", [inject, apply_types])
    def test_what_is_no_registry(self, decorate):
        """A registry is passed by its name, and nothing else is one."""
        with Registry() as registry, registry.container() as container:
            with pytest.raises(
                InvalidRegistrationError, match="this is an instance of Container"
            ):
                decorate(registry=container)
            with pytest.raises(
                InvalidRegistrationError, match=r"Write @inject\(registry=...\)"
            ):
                decorate(registry)

    @pytest.mark.parametrize("thing", [3, "name", None])
    def test_what_is_not_callable(self, thing):
        """Something that cannot be called cannot be injected."""
        with pytest.raises(InvalidRegistrationError, match="not callable"):
            inject()(thing)


class TestRefusedWhenDecorated:
    def test_an_asynchronous_dependency(self):
        """A sync function with an async dependency: an error that names it, and the way there."""

        def middle(it=Depends(ahello)):
            raise AssertionError

        with pytest.raises(AsyncServiceError) as caught:

            @inject
            def ask(it=Depends(middle)):
                raise AssertionError

        assert "ask -> middle -> ahello" in str(caught.value)
        assert "async def ask" in str(caught.value)

    @pytest.mark.parametrize("shape", ["async generator", "instance", "in a class"])
    def test_other_asynchronous_dependencies(self, shape):
        """Every kind of async dependency is refused."""

        async def generator():
            yield

        class Instance:
            async def __call__(self):
                raise AssertionError

        class Holder:
            def __init__(self, it=Depends(ahello)):
                raise AssertionError

        thing = {"async generator": generator, "instance": Instance(), "in a class": Holder}

        with pytest.raises(AsyncServiceError):
            inject(lambda it=Depends(thing[shape]): it)

    def test_an_injected_callable_that_cannot_be_hashed(self):
        """The function itself need not be hashable."""

        class Unhashable:
            __hash__ = None

            def __call__(self, it=Depends(hello)):
                return it

        assert "hello" == inject(Unhashable())()

    def test_what_only_turns_out_to_be_asynchronous(self):
        """A coroutine that a dependency returns is refused at the call, and closed."""

        @inject
        def ask(it=Depends(lambda: ahello())):
            raise AssertionError

        with pytest.raises(AsyncServiceError, match="coroutine"):
            ask()

    def test_a_circle(self, form):
        """Dependencies that need each other: an error with the path."""

        class First:
            pass

        def second(it: Annotated[object, Depends(First)]):
            raise AssertionError

        def start(self, it: Annotated[object, Depends(second)]):
            raise AssertionError

        First.__init__ = start

        with pytest.raises(CircularDependencyError, match="First -> second -> First"):
            form.inject(lambda it=Depends(First): it)

    async def test_a_circle_of_arguments(self, form, registry):
        """A circle that only overrides close is found at the call, also with arguments."""

        def first(name):
            raise AssertionError

        def second(name, it=Depends(first)):
            raise AssertionError

        def back(name, it=Depends(second)):
            raise AssertionError

        ask = form.inject(lambda name, it=Depends(first): it, registry=registry)

        with registry.override_factory(first, back):
            for _ in range(2):
                with pytest.raises(CircularDependencyError, match="first -> second -> first"):
                    await form.call(ask, "ada")

    def test_a_diamond_is_no_circle(self, form):
        """Two ways to one dependency are no circle."""
        a = form.dependency(lambda it=Depends(hello): it)
        b = form.dependency(lambda it=Depends(hello), other=Depends(a): it)

        form.inject(lambda a=Depends(a), b=Depends(b): None)

    @pytest.mark.parametrize(
        ("function", "parameter", "advice"),
        [
            pytest.param(lambda it=Depends([]): it, "it", "hashable", id="unhashable"),
            pytest.param(lambda it=Depends(): it, "it", "Annotate", id="no annotation"),
            pytest.param(lambda it=Depends: it, "it", "parentheses", id="Depends as default"),
            pytest.param(lambda it=Inject: it, "it", "has no brackets", id="Inject as default"),
            pytest.param(
                lambda it=Inject[int]: it, "it", "it: Inject", id="Inject[] as default"
            ),
            pytest.param(annotated(Inject), "it", "has no brackets", id="bare Inject"),
            *[
                pytest.param(
                    annotated(misplaced), "it", "Inject\\[T \\| None\\]", id=str(misplaced)
                )
                for misplaced in (
                    Inject[int] | None,
                    list[Inject[int]],
                    Callable[[Inject[int]], None],
                    Annotated[int, Inject[int]],
                    Inject[list[Inject[int]]],
                    Depends(int),
                )
            ],
            pytest.param(annotated(Depends), "it", "parentheses", id="bare Depends"),
            pytest.param(
                annotated(Annotated[int, Depends]),
                "it",
                "parentheses",
                id="Depends in Annotated",
            ),
            pytest.param(
                annotated(Annotated[int, fastapi.Depends]), "it", "parentheses", id="FastAPI's"
            ),
        ],
    )
    def test_markers_that_name_nothing(self, form, function, parameter, advice):
        """A marker that names nothing that could be asked for says what to write."""
        with pytest.raises(UnresolvableParameterError, match=advice) as caught:
            form.inject(function)

        assert parameter == caught.value.parameter
        assert "test_inject.py" in str(caught.value)

    def test_inject_of_no_key(self):
        """`Inject` of an unhashable object is refused."""
        with pytest.raises(InvalidRegistrationError, match="not hashable"):
            Inject[Annotated[int, []]]

    def test_markers_print_themselves(self):
        """Markers are printed as they are written, and are equal where they say the same."""
        written = "Depends(hello, use_cache=False, scope='function', cast=False)"
        (marker,) = Inject[Database].__metadata__

        assert ["Depends()", "Inject[Database]"] == [repr(Depends()), repr(marker)]
        assert written == repr(Depends(hello, use_cache=False, scope="function", cast=False))
        assert Depends(hello) == Depends(hello) != Depends(ahello)
        assert {Depends(hello)} == {Depends(hello), Depends(hello)}

    def test_markers_without_fastapi(self):
        """Without FastAPI, markers are of their own class and tell what they say."""
        program = (
            "import copy, sys, wares\n"
            "marker = wares.Depends('key', use_cache=False)\n"
            "assert marker.__class__ is wares.Depends is not type(wares.Depends)\n"
            "assert ('key', False, None) == (marker.dependency, marker.use_cache, marker.scope)\n"
            "assert copy.copy(marker) is marker\n"
            "assert not hasattr(marker, 'other')\n"
            "assert wares.Depends.__class__ is type(wares.Depends)\n"
            "assert not {'fastapi', 'asyncio'} & sys.modules.keys()\n"
        )

        subprocess.run([sys.executable, "-c", program], check=True)

    @pytest.mark.parametrize(
        ("annotation", "message"),
        [
            (Inject[str], "A marker asks for str"),
            (Annotated[str, Depends("name")], "A marker asks for str"),
            (Inject[Database | None], r"A marker asks for Database \| None"),
            (list[Inject[str]], "A marker asks for str"),
            (Annotated[str, Depends], "Depends has no parentheses"),
            (Inject, "Inject has no brackets. Write Inject"),
            (list[Inject], "Inject has no brackets. Write Inject"),
        ],
    )
    def test_by_pydantic(self, annotation, message):
        """Pydantic, and libraries that use it, refuse marked parameters and fields."""

        def ask(service: annotation): ...

        for read in (
            pydantic.validate_call,
            fast_depends.inject,
            lambda _: pydantic.create_model("Body", service=(annotation, ...)),
            lambda _: pydantic.TypeAdapter(annotation),
        ):
            with pytest.raises(InvalidRegistrationError, match=message):
                read(ask)

    def test_two_markers(self, form):
        """One parameter takes one marker."""

        def ask(it: Annotated[str, Depends(hello), Depends(ahello)]):
            raise AssertionError

        with pytest.raises(UnresolvableParameterError, match="Keep one"):
            form.inject(ask)

    def test_a_marker_twice(self, form):
        """One parameter takes a marker in its annotation, or as its default, not both."""

        def ask(it: Annotated[str, Depends(hello)] = Depends(hello)):
            raise AssertionError

        with pytest.raises(UnresolvableParameterError, match="Keep one"):
            form.inject(ask)

    def test_a_marker_on_a_variadic_parameter(self, form):
        """*args and **kwargs take no marker."""

        def one(*args: Inject[Database]):
            raise AssertionError

        def two(**kwargs: Inject[Database]):
            raise AssertionError

        with pytest.raises(UnresolvableParameterError, match=r"\*args"):
            form.inject(one)
        with pytest.raises(UnresolvableParameterError, match=r"\*\*kwargs"):
            form.inject(two)

    def test_a_positional_only_parameter(self, form):
        """A marked parameter must be one that can be passed by keyword."""

        def ask(name, it: Inject[Database], /):
            raise AssertionError

        with pytest.raises(UnresolvableParameterError, match="positional-only"):
            form.inject(ask)

    def test_in_a_dependency(self, form):
        """A marker that cannot work in a dependency is refused as well."""

        def get(it: Annotated[str, Depends([])]):
            raise AssertionError

        with pytest.raises(UnresolvableParameterError, match="get"):
            form.inject(lambda it=Depends(get): it)

    async def test_in_a_class(self, form, registry):
        """In a class it is refused at the call only: something else may be registered for it."""

        class Broken:
            def __init__(self, it: Annotated[str, Depends([])]):
                raise AssertionError

        ask = form.inject(lambda it=Depends(Broken): it, registry=registry)

        with pytest.raises(UnresolvableParameterError, match="Broken"):
            await form.call(ask)
        registry.register_value(Broken, "mended")
        assert "mended" == await form.call(ask)

    async def test_an_unregistered_protocol(self, form, registry):
        """A Protocol or ABC that is not registered is not called: the error says to register."""

        class Clock(typing.Protocol):
            pass

        def ask(clock: Inject[Clock]):
            raise AssertionError

        ask = form.inject(ask, registry=registry)

        for _ in range(2):
            with pytest.raises(
                ServiceNotFoundError, match=r"register_factory\(Clock"
            ) as caught:
                await form.call(ask)
        assert "ask" in str(caught.value)
        assert "'clock'" in str(caught.value)
