"""Tests of markers: what they may name, how results are shared, how long they live, overrides."""

import asyncio
import contextlib
import functools
import typing
from contextvars import ContextVar
from typing import Annotated, NewType
from unittest import mock

import pytest

from tests.support.forms import FORMS
from tests.support.services import Cache, Database, Settings
from wares import (
    AsyncServiceError,
    Container,
    ContainerClosedError,
    Depends,
    Inject,
    InvalidRegistrationError,
    LifetimeError,
    Registry,
    ServiceNotFoundError,
    UnresolvableParameterError,
    current_container,
    inject,
)

Port = NewType("Port", int)
T = typing.TypeVar("T")


@pytest.fixture(params=FORMS, ids=repr)
def form(request):
    """Plain functions, then asynchronous ones."""
    return request.param


@pytest.fixture
def log():
    """A record of what has happened, in order."""
    return []


class Greeter:
    def __init__(self, greeting="hello"):
        self.greeting = greeting

    def __call__(self):
        return self.greeting

    def method(self):
        return f"{self.greeting} from a method"

    @classmethod
    def from_class(cls):
        return "hello from a class method"

    @staticmethod
    def static():
        return "hello from a static method"


class Plain:
    def __eq__(self, other):
        return isinstance(other, Plain)

    def __hash__(self):
        return 0


class Generic(Plain, typing.Generic[T]): ...


def hello():
    return "hello"


def hello_generator():
    yield "hello"


@contextlib.contextmanager
def hello_context():
    yield "hello"


@functools.wraps(hello)
def wrapped(*args):
    return hello(*args)


SYNC_SHAPES = [
    pytest.param(hello, "hello", id="function"),
    pytest.param(lambda: "hello", "hello", id="lambda"),
    pytest.param(hello_generator, "hello", id="generator"),
    pytest.param(hello_context, "hello", id="contextmanager"),
    pytest.param(wrapped, "hello", id="wrapped"),
    pytest.param(Greeter(), "hello", id="instance"),
    pytest.param(Greeter().method, "hello from a method", id="method"),
    pytest.param(Greeter.from_class, "hello from a class method", id="class method"),
    pytest.param(Greeter.static, "hello from a static method", id="static method"),
    pytest.param(functools.partial(Greeter("hi").method), "hi from a method", id="partial"),
    pytest.param(Plain, Plain(), id="class"),
    pytest.param(Generic[str], Plain(), id="generic class"),
]


async def ahello():
    return "hello"


async def ahello_generator():
    yield "hello"


@contextlib.asynccontextmanager
async def ahello_context():
    yield "hello"


class AsyncGreeter:
    async def __call__(self):
        return "hello"


ASYNC_SHAPES = [
    pytest.param(ahello, id="function"),
    pytest.param(lambda: ahello(), id="lambda"),
    pytest.param(ahello_generator, id="generator"),
    pytest.param(ahello_context, id="contextmanager"),
    pytest.param(AsyncGreeter(), id="instance"),
    pytest.param(AsyncGreeter().__call__, id="method"),
    pytest.param(functools.partial(ahello), id="partial"),
]


class TestWhatAMarkerNames:
    @pytest.mark.parametrize(("dependency", "expected"), SYNC_SHAPES)
    async def test_a_callable_of_any_shape(self, form, dependency, expected):
        """Depends calls functions, classes, instances, methods, partials; it enters contexts."""
        greet = form.inject(lambda greeting=Depends(dependency): greeting)

        assert expected == await form.call(greet)

    @pytest.mark.parametrize("dependency", ASYNC_SHAPES)
    async def test_an_asynchronous_callable_of_any_shape(self, dependency):
        """An async function awaits all dependencies, even plain ones that return a coroutine."""

        @inject
        async def greet(greeting: Annotated[str, Depends(dependency)]):
            return greeting

        assert "hello" == await greet()

    @pytest.mark.parametrize(
        "key", ["a name", Database, Port, Annotated[int, "port"], list[int], ("a", 1)], ids=str
    )
    async def test_any_registered_key(self, form, registry, key):
        """Depends takes a key of the registry like any other dependency."""
        registry.register_value(key, "the service")
        ask = form.inject(lambda service=Depends(key): service, registry=registry)

        assert "the service" == await form.call(ask)

    async def test_the_annotation(self, form, registry):
        """Depends without a dependency, and Inject, ask for what the annotation says."""
        registry.register_value(Database, "the database")
        registry.register_value(Annotated[int, "port"], 5432)

        def ask(
            first: Annotated[Database, Depends()],
            second: Inject[Database],
            port: Inject[Annotated[int, "port"]],
            third: Database = Depends(),
        ):
            return first, second, port, third

        found = await form.call(form.inject(ask, registry=registry))

        assert ("the database", "the database", 5432, "the database") == found

    async def test_the_container(self, form, registry):
        """Inject[Container] is the container of the call."""
        ask = form.inject(lambda it=Depends(Container): (it, current_container()))

        with registry.container() as container, container.activate():
            found = await form.call(ask)

        assert (container, container) == found

    async def test_what_is_registered_wins_over_calling(self, form, registry):
        """A class or function that is registered is made as the registry says."""
        registry.register_value(Database, "registered")
        registry.register_factory(hello, lambda: "replaced")
        ask = form.inject(
            lambda database=Depends(Database), greeting=Depends(hello): (database, greeting),
            registry=registry,
        )

        assert ("registered", "replaced") == await form.call(ask)

    async def test_what_is_given_wins(self, form, registry):
        """An object that the container was given under a callable takes precedence over a call."""
        told = form.dependency(lambda name: name)
        ask = form.inject(lambda name, greeting=Depends(told): greeting)

        with registry.container({told: "given"}) as container, container.activate():
            first = await form.call(ask, "ada")
        with registry.container() as container, container.activate():
            second = await form.call(ask, "ada")

        assert ("given", "ada") == (first, second)

    async def test_what_is_registered_locally_wins(self, form, registry):
        """A local registration replaces a dependency in its container only."""
        ask = form.inject(lambda greeting=Depends(hello): greeting)

        with registry.container() as container, container.activate():
            container.register_local_factory(hello, lambda: "local")
            first = await form.call(ask)
        with registry.container() as container, container.activate():
            second = await form.call(ask)

        assert ("local", "hello") == (first, second)

    async def test_a_dependency_of_a_registered_factory(self, form, registry):
        """A registered factory may have marked parameters, too."""
        get_settings = form.dependency(lambda: "settings")

        def connect(settings: Annotated[str, Depends(get_settings)]):
            return ("database", settings)

        registry.register_factory(Database, connect)
        ask = form.inject(lambda database=Depends(Database): database, registry=registry)

        assert ("database", "settings") == await form.call(ask)

    async def test_a_dependency_that_is_injected_itself(self, form, registry):
        """A dependency may be an injected function; it shares the container."""
        get_database = form.dependency(Database)
        inner = form.inject(lambda name, database=Depends(get_database): (name, database))
        outer = form.inject(
            lambda name, pair=Depends(inner), database=Depends(get_database): (*pair, database)
        )

        name, first, second = await form.call(outer, "ada")

        assert ("ada", True) == (name, first is second)

    async def test_a_mock_is_no_marker(self, form):
        """A mock as a default has every attribute, and is a default all the same."""
        default = mock.Mock()
        ask = form.inject(lambda thing=default: thing)

        assert default is await form.call(ask)


class TestSharing:
    async def test_once_per_container(self, form, registry):
        """A dependency is made once per container, however many ask, and anew in the next."""
        get_database = form.dependency(lambda: Database())
        get_cache = form.dependency(lambda database=Depends(get_database): database)
        ask = form.inject(
            lambda first=Depends(get_cache), second=Depends(get_database): (first, second)
        )

        with registry.container() as container, container.activate():
            one = await form.call(ask)
            two = await form.call(ask)
        three = await form.call(ask)

        assert one[0] is one[1] is two[0] is two[1]
        assert three[0] is three[1] is not one[0]

    @pytest.mark.parametrize("value", [None, 0, False, ""])
    async def test_empty_results_are_results(self, form, log, value):
        """None and other false results are shared like any other."""
        get = form.dependency(lambda: log.append("made") or value)
        ask = form.inject(
            lambda first=Depends(get), second=Depends(lambda it=Depends(get): it): second
        )

        assert value == await form.call(ask)
        assert ["made"] == log

    async def test_a_long_chain(self, form):
        """Dependencies may need one another 4,000 deep."""
        length = 4_000
        needed = form.dependency(lambda: 0)
        for _ in range(length):
            needed = form.dependency(lambda it=Depends(needed): it + 1)

        assert length == await form.call(form.inject(lambda it=Depends(needed): it))

    async def test_use_cache_is_a_property_of_one_edge(self, form):
        """With use_cache=False that one parameter gets its own; all others share."""
        get = form.dependency(lambda: Database())
        get_inner = form.dependency(
            lambda own=Depends(get, use_cache=False), shared=Depends(get): (own, shared)
        )
        ask = form.inject(
            lambda first=Depends(get), pair=Depends(get_inner), last=Depends(get): (
                first,
                *pair,
                last,
            )
        )

        first, own, shared, last = await form.call(ask)

        assert first is shared is last
        assert own is not first

    async def test_equal_instances_share(self, form, log):
        """Callable instances that are equal are one dependency, as equal keys are."""

        class Scale:
            def __init__(self, factor):
                self.factor = factor

            def __eq__(self, other):
                return isinstance(other, Scale) and self.factor == other.factor

            def __hash__(self):
                return hash(self.factor)

            def __call__(self):
                log.append(self.factor)
                return self.factor

        ask = form.inject(
            lambda one=Depends(Scale(1)), two=Depends(Scale(2)), again=Depends(Scale(1)): (
                one,
                two,
                again,
            )
        )

        assert (1, 2, 1) == await form.call(ask)
        assert [1, 2] == log

    def test_what_cannot_be_hashed(self, form):
        """A callable that cannot be hashed is no dependency, and the error says why."""

        class Unhashable:
            __hash__ = None

            def __call__(self):
                raise AssertionError

        with pytest.raises(UnresolvableParameterError, match="not hashable"):
            form.inject(lambda it=Depends(Unhashable()): it)

    async def test_concurrent_calls_share(self, registry, log):
        """Concurrent calls in one container make a dependency once."""

        async def get():
            log.append("made")
            await asyncio.sleep(0)
            return Database()

        @inject
        async def ask(database: Annotated[Database, Depends(get)]):
            return database

        async with registry.container() as container:
            with container.activate():
                found = await asyncio.gather(*(ask() for _ in range(10)))

        assert 1 == len(set(found))
        assert ["made"] == log

    async def test_a_fresh_one_keeps_nobody_waiting(self, registry):
        """While one call makes its own, another that shares makes its own, too: none waits."""
        both = asyncio.Event()
        count = 0

        async def get():
            nonlocal count
            count += 1
            if count == 2:
                both.set()
            await both.wait()
            return Database()

        @inject
        async def fresh(database: Annotated[Database, Depends(get, use_cache=False)]):
            return database

        @inject
        async def shared(database: Annotated[Database, Depends(get)]):
            return database

        async with registry.container() as container:
            with container.activate():
                async with asyncio.timeout(5):
                    one, two = await asyncio.gather(fresh(), shared())

        assert one is not two


class TestYield:
    async def test_left_in_reverse(self, form, log):
        """Dependencies are entered in order and left in reverse, after the function."""

        def first():
            log.append("enter first")
            yield 1
            log.append("leave first")

        first = form.dependency(first)

        def second(one=Depends(first)):
            log.append("enter second")
            yield one + 1
            log.append("leave second")

        second = form.dependency(second)
        ask = form.inject(lambda two=Depends(second), one=Depends(first): log.append("call"))

        await form.call(ask)

        assert log == [
            "enter first",
            "enter second",
            "call",
            "leave second",
            "leave first",
        ]

    async def test_one_order_over_services_and_dependencies(self, form, log, registry):
        """Services and dependencies of one container are left in one order."""

        def connect():
            log.append("open database")
            yield "database"
            log.append("close database")

        registry.register_factory(Database, form.dependency(connect))

        def begin(database: Inject[Database]):
            log.append("begin")
            yield database
            log.append("commit")

        begin = form.dependency(begin)
        registry.register_factory(Cache, form.dependency(lambda it=Depends(begin): it))
        ask = form.inject(
            lambda cache=Depends(Cache), own=Depends(Database): log.append("call"),
            registry=registry,
        )

        await form.call(ask)

        assert log == ["open database", "begin", "call", "commit", "close database"]

    async def test_the_exception_is_thrown_in(self, form, log):
        """The function's exception arrives at the yield, and cannot be swallowed there."""

        def get():
            try:
                yield
            except KeyError as error:
                log.append(error)

        get = form.dependency(get)

        def fail(it=Depends(get)):
            raise KeyError("lost")

        with pytest.raises(KeyError) as caught:
            await form.call(form.inject(fail))

        assert [caught.value] == log

    async def test_an_exception_of_a_later_dependency(self, form, log):
        """A dependency that fails leaves those before it with its exception."""

        def first():
            try:
                yield
            except KeyError:
                log.append("rolled back")
                raise

        first = form.dependency(first)

        def second(it=Depends(first)):
            raise KeyError("lost")

        second = form.dependency(second)
        ask = form.inject(lambda it=Depends(second): None)

        with pytest.raises(KeyError, match="lost"):
            await form.call(ask)

        assert ["rolled back"] == log

    async def test_cancellation_cleans_up(self, log):
        """A function that is cancelled leaves its dependencies."""
        started = asyncio.Event()

        async def get():
            try:
                yield
            finally:
                await asyncio.sleep(0)
                log.append("left")

        @inject
        async def wait(it: Annotated[None, Depends(get)]):
            started.set()
            await asyncio.Event().wait()

        task = asyncio.create_task(wait())
        await started.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

        assert ["left"] == log

    async def test_context_variables_are_seen(self, form):
        """The function sees context variables of its dependencies, which can reset them."""
        variable = ContextVar("variable", default="outside")

        def get():
            token = variable.set("inside")
            yield
            variable.reset(token)

        get = form.dependency(get)
        ask = form.inject(lambda it=Depends(get): variable.get())

        assert ("inside", "outside") == (await form.call(ask), variable.get())

    async def test_lives_as_long_as_the_container(self, form, log, registry):
        """A dependency of scope "request", the default, outlives the function."""

        def get(name="nobody"):
            yield
            log.append(f"left {name}")

        get = form.dependency(get)
        ask = form.inject(lambda name, a=Depends(get), b=Depends(get, scope="request"): None)

        async with registry.container() as container:
            with container.activate():
                await form.call(ask, "ada")
                before = list(log)

        assert ([], ["left ada"]) == (before, log)


class TestFunctionScope:
    async def test_ends_with_the_function(self, form, log, registry):
        """A dependency of scope "function" ends right after the function returns."""

        def get():
            yield
            log.append("left")

        get = form.dependency(get)
        ask = form.inject(lambda it=Depends(get, scope="function"): log.append("call"))

        async with registry.container() as container:
            with container.activate():
                await form.call(ask)
                log.append("request goes on")

        assert ["call", "left", "request goes on"] == log

    async def test_each_call_has_its_own(self, form, registry):
        """A function-scoped dependency is shared within a call, not between calls."""
        get = form.dependency(lambda: Database())
        other = form.dependency(lambda it=Depends(get, scope="function"): it)
        ask = form.inject(
            lambda one=Depends(get, scope="function"), two=Depends(other, scope="function"): (
                one,
                two,
            )
        )

        async with registry.container() as container:
            with container.activate():
                first = await form.call(ask)
                second = await form.call(ask)

        assert first[0] is first[1]
        assert first[0] is not second[0]

    async def test_may_need_what_lives_longer(self, form, log, registry):
        """A function-scoped dependency may need a request-scoped one, which lives on."""

        def get_session():
            yield Database()
            log.append("session left")

        get_session = form.dependency(get_session)

        def begin(session=Depends(get_session)):
            yield session
            log.append("transaction left")

        begin = form.dependency(begin)
        ask = form.inject(
            lambda name, one=Depends(begin, scope="function"), two=Depends(get_session): (
                one is two
            )
        )

        async with registry.container() as container:
            with container.activate():
                same = await form.call(ask, "ada")
                log.append("request goes on")

        assert same
        assert ["transaction left", "request goes on", "session left"] == log

    async def test_what_it_needs_without_a_marker_ends_with_it(self, form, log, registry):
        """The unmarked needs of a function-scoped dependency are function-scoped, too."""

        def connect():
            yield Database()
            log.append("database left")

        registry.register_factory(Database, form.dependency(connect))
        registry.register_value(Settings, "settings")

        def begin(database: Database, settings: Settings):
            return database, settings

        begin = form.dependency(begin)

        def ask(
            mine: Annotated[tuple, Depends(begin, scope="function")],
            shared: Inject[Database],
        ):
            return mine[0] is shared, mine[1]

        ask = form.inject(ask)
        async with registry.container() as container:
            with container.activate():
                found = await form.call(ask)
                log.append("request goes on")

        assert (False, "settings") == found
        assert ["database left", "request goes on", "database left"] == log

    async def test_a_registered_service(self, form, log, registry):
        """A registered service may end with the function, with all that it needs unmarked."""

        def connect():
            yield Database()
            log.append("database left")

        def make(database: Database):
            return ("cache", database)

        registry.register_factory(Database, form.dependency(connect))
        registry.register_factory(Cache, form.dependency(make))
        ask = form.inject(lambda it=Depends(Cache, scope="function"): it[0])

        async with registry.container() as container:
            with container.activate():
                assert "cache" == await form.call(ask)
                log.append("request goes on")

        assert ["database left", "request goes on"] == log

    async def test_takes_arguments(self, form, registry):
        """Function-scoped and request-scoped dependencies take arguments of the call."""
        short = form.dependency(lambda name: f"short {name}")
        long = form.dependency(lambda name: f"long {name}")
        ask = form.inject(
            lambda name, a=Depends(short, scope="function"), b=Depends(long): (a, b)
        )

        assert ("short ada", "long ada") == await form.call(ask, "ada")
        assert ("short bob", "long bob") == await form.call(ask, "bob")

    async def test_a_fresh_one_that_lives_longer(self, form):
        """`use_cache=False` makes a separate result next to a function-scoped one."""
        get = form.dependency(lambda: Database())
        own = Depends(get, use_cache=False)
        short = Depends(get, scope="function")
        ask = form.inject(lambda a=own, b=Depends(get), c=short: {a, b, c})

        assert 3 == len(await form.call(ask))

    async def test_the_container_around(self, form, registry):
        """Inject[Container] is the request's container; unmarked it is the function's own."""

        def get(container: Container):
            return container

        get = form.dependency(get)

        def ask(
            around: Inject[Container],
            inner: Annotated[Container, Depends(get, scope="function")],
        ):
            return around, inner

        ask = form.inject(ask)
        async with registry.container() as container:
            with container.activate():
                around, inner = await form.call(ask)

        assert container is around is not inner

    def test_what_lives_longer_may_not_need_it(self, form):
        """A request-scoped dependency that needs a function-scoped one is refused at once."""
        short = form.dependency(lambda: None)
        middle = form.dependency(lambda it=Depends(short, scope="function"): it)
        long = form.dependency(lambda it=Depends(middle): it)

        with pytest.raises(LifetimeError) as caught:
            form.inject(lambda it=Depends(long): it)

        assert ("request", "function") == (
            caught.value.lifetime,
            caught.value.needed_lifetime,
        )
        assert "scope='function'" in str(caught.value)

    async def test_a_service_may_not_need_it(self, form, registry):
        """A service of the request that needs a function-scoped one is refused."""
        short = form.dependency(lambda: None)

        def make(it: Annotated[None, Depends(short, scope="function")]):
            return Cache()

        registry.register_factory(Cache, make)
        ask = form.inject(lambda cache=Depends(Cache): cache, registry=registry)

        for _ in range(2):
            with pytest.raises(LifetimeError, match="Cache"):
                await form.call(ask)
        with registry.container() as container:
            for _ in range(20):
                with pytest.raises(LifetimeError):
                    container.get(Cache)

    async def test_a_closed_container(self, form, registry):
        """In a closed container nothing function-scoped is made."""
        ask = form.inject(lambda it=Depends(hello, scope="function"): it)
        container = registry.container()
        container.close()

        with container.activate(), pytest.raises(ContainerClosedError):
            await form.call(ask)

    @pytest.mark.parametrize("use_cache", [True, False])
    async def test_a_container_closed_meanwhile(self, form, registry, log, use_cache):
        """Nothing is made in the container around the function once that is closed."""

        def session():
            log.append("made")
            yield "session"

        def work(
            closed: Annotated[None, Depends(lambda: container.close())],
            session: Annotated[str, Depends(session, use_cache=use_cache)],
        ):
            return session

        ask = form.inject(lambda it=Depends(work, scope="function"): it)
        container = registry.container()

        with container.activate(), pytest.raises(ContainerClosedError):
            await form.call(ask)
        assert [] == log


class TestOverrides:
    async def test_a_callable(self, form, registry):
        """An override replaces a Depends callable, nests, and ends, also after an exception."""
        ask = form.inject(lambda greeting=Depends(hello): greeting, registry=registry)
        found = []

        with contextlib.suppress(KeyError), registry.override_factory(hello, lambda: "one"):
            found.append(await form.call(ask))
            with registry.override_value(hello, "two"):
                found.append(await form.call(ask))
            found.append(await form.call(ask))
            raise KeyError
        found.append(await form.call(ask))

        assert ["one", "two", "one", "hello"] == found

    async def test_never_in_another_registry(self, form, registry):
        """An override concerns its own registry only."""
        ask = form.inject(lambda greeting=Depends(hello): greeting)
        found = []

        with Registry() as other, registry.override_factory(hello, lambda: "replaced"):
            for one in (registry, other):
                with one.container() as container, container.activate():
                    found.append(await form.call(ask))

        assert ["replaced", "hello"] == found

    async def test_what_replaces_is_a_dependency(self, form, registry):
        """A replacement takes arguments by name, and may have dependencies."""

        def replacement(name, greeting=Depends(Greeter("ciao"))):
            yield f"{greeting} {name}"

        ask = form.inject(lambda name, it=Depends(hello): it, registry=registry)

        with registry.override_factory(hello, form.dependency(replacement)):
            found = await form.call(ask, "ada"), await form.call(ask, "bob")

        assert ("ciao ada", "ciao bob") == found

    def test_by_an_asynchronous_one_that_takes_an_argument(self, registry):
        """An async replacement in a sync function is an error at the call."""

        async def replacement(name):
            raise AssertionError

        @inject(registry=registry)
        def ask(name, it=Depends(hello)):
            return it

        with (
            registry.override_factory(hello, replacement),
            pytest.raises(AsyncServiceError, match="hello"),
        ):
            ask("ada")
        assert "hello" == ask("ada")

    async def test_an_asynchronous_one_in_a_synchronous_function(self, registry):
        """An async replacement in a sync function is an error at the call, with its name."""

        async def areplacement():
            raise AssertionError

        ask = inject(registry=registry)(lambda greeting=Depends(hello): greeting)

        with registry.override_factory(hello, areplacement), pytest.raises(TypeError) as caught:
            ask()

        assert "hello" in str(caught.value)
        assert "areplacement" in str(caught.value)


class TestBadMarkers:
    def test_an_unknown_scope(self):
        """A scope other than "request" and "function" is refused."""
        with pytest.raises(InvalidRegistrationError, match="'session'"):
            Depends(hello, scope="session")

    def test_its_repr_names_the_dependency(self):
        """A marker prints as it is written."""
        markers = [Depends(), Depends(hello, use_cache=False), Depends("db", scope="function")]

        assert (
            "[Depends(), Depends(hello, use_cache=False), Depends('db', scope='function')]"
            == (repr(markers))
        )

    def test_markers_are_equal_by_value(self):
        """Markers that say the same are equal."""
        assert Depends(hello) == Depends(hello)
        assert Depends(hello) != Depends(hello, use_cache=False)

    async def test_nothing_registered(self, form, registry):
        """A name that is not registered: the path to it, and the nearest names."""
        registry.register_value("database", 1)
        inner = form.dependency(lambda it=Depends("databse"): it)

        def view(it: Annotated[object, Depends(inner)]):
            raise AssertionError

        view = form.inject(view, registry=registry)

        with pytest.raises(ServiceNotFoundError) as caught:
            await form.call(view)

        assert ["'database'"] == list(caught.value.nearest)
        assert "test_depends.py" in str(caught.value)
        assert "view" in str(caught.value)
