"""Tests of invalid input, which is refused as early as possible, with a clear error."""

import abc
import asyncio
import functools
import operator
import sys
from typing import Protocol

import pytest

from tests.support.messages import missing_parts
from tests.support.services import Cache, Database
from wares import (
    Container,
    InvalidLifetimeError,
    InvalidRegistrationError,
    InvalidRegistryError,
    Registry,
    RegistryClosedError,
    UnresolvableParameterError,
    autowire,
)


async def work():
    """Do nothing, as a coroutine."""


class NotCallable:
    """An object that is no factory."""


class Misleading:
    """A factory whose `__signature__` is no signature."""

    __signature__ = 42

    def __call__(self): ...


@pytest.fixture(params=["factory", "local factory", "override"])
def register_factory(request, registry, container):
    """Every place that takes a factory."""
    return {
        "factory": registry.register_factory,
        "local factory": container.register_local_factory,
        "override": lambda *args, **options: registry.override_factory(
            *args, **options
        ).__enter__(),
    }[request.param]


@pytest.fixture(params=["value", "local value", "override"])
def register_value(request, registry, container):
    """Every place that takes a value."""
    return {
        "value": registry.register_value,
        "local value": container.register_local_value,
        "override": lambda *args, **options: registry.override_value(
            *args, **options
        ).__enter__(),
    }[request.param]


@pytest.mark.parametrize(
    "factory", [None, 42, "factory", NotCallable(), [], {}, (), object()], ids=repr
)
def test_a_factory_that_cannot_be_called(registry, register_factory, factory):
    """A factory that is no callable is refused, and the error names key and kind."""
    with pytest.raises(InvalidRegistrationError) as caught:
        register_factory(Database, factory)

    assert [] == missing_parts(
        str(caught.value), "Database", type(factory).__name__, "callable"
    )
    assert Database not in registry


def test_a_coroutine_as_a_factory(registry, register_factory):
    """A coroutine, for which somebody wrote one pair of parentheses too many, is refused."""
    coroutine = work()

    with pytest.raises(InvalidRegistrationError, match="callable"):
        register_factory(Database, coroutine)

    coroutine.close()
    assert Database not in registry


def test_a_value_for_a_factory_leads_to_the_right_method(register_factory):
    """The error for what cannot be called mentions the method for values."""
    with pytest.raises(InvalidRegistrationError, match="value"):
        register_factory(Database, NotCallable())


@pytest.mark.parametrize(
    "lifetime", ["forever", "Scoped", "", 42, True, ["scoped"], "request"], ids=repr
)
def test_an_unknown_lifetime(registry, register_factory, lifetime):
    """An unknown lifetime is refused, and the error lists those that there are."""
    with pytest.raises(InvalidLifetimeError) as caught:
        register_factory(Database, Database, lifetime=lifetime)

    assert [] == missing_parts(
        str(caught.value), "Database", "singleton", "connection", "scoped", "transient"
    )
    assert Database not in registry


def test_no_lifetime(registry):
    """A registration needs a lifetime; an override keeps that of the registration it replaces."""
    with pytest.raises(InvalidLifetimeError):
        registry.register_factory(Database, Database, lifetime=None)


@pytest.mark.parametrize("option", ["ping", "on_registry_close"])
@pytest.mark.parametrize("wrong", [42, "ping", True, NotCallable()], ids=repr)
def test_options_of_factories_that_cannot_be_called(registry, register_factory, option, wrong):
    """A ping, and a callback, must be callable."""
    with pytest.raises(InvalidRegistrationError) as caught:
        register_factory(Database, Database, **{option: wrong})

    assert [] == missing_parts(str(caught.value), "Database", option, "callable")
    assert Database not in registry


@pytest.mark.parametrize("option", ["ping", "on_registry_close"])
@pytest.mark.parametrize("wrong", [42, "ping", True, NotCallable()], ids=repr)
def test_options_of_values_that_cannot_be_called(registry, register_value, option, wrong):
    """A ping, and a callback, of a value must be callable, too."""
    with pytest.raises(InvalidRegistrationError) as caught:
        register_value(Database, 1, **{option: wrong})

    assert [] == missing_parts(str(caught.value), "Database", option, "callable")
    assert Database not in registry


@pytest.mark.parametrize("method", ["register_factory", "register_value", "expect"])
def test_an_unhashable_key(registry, method):
    """An unhashable key is refused, and the error names its type."""
    arguments = [[]] if method == "expect" else [[], Database]

    with pytest.raises(InvalidRegistrationError) as caught:
        getattr(registry, method)(*arguments)

    assert [] == missing_parts(str(caught.value), "hashable", "list")
    assert [] == list(registry)


def test_an_unhashable_key_among_others(registry):
    """`expect` announces either all its keys or none."""
    with pytest.raises(InvalidRegistrationError):
        registry.expect(Database, [])

    registry.register_factory("needs", _needs_database)
    with pytest.raises(InvalidRegistryError):
        registry.validate()


def _needs_database(database: Database):
    return database


def test_options_are_keyword_only(registry):
    """Options are keyword-only, so that their order does not matter."""
    with pytest.raises(TypeError):
        registry.register_factory(Database, Database, "singleton")
    with pytest.raises(TypeError):
        registry.register_value(Database, 1, True)

    assert [] == list(registry)


@pytest.mark.parametrize(
    "factory",
    [lambda nothing, /: None, lambda nothing: None, lambda *, nothing: None],
    ids=["positional only", "plain", "keyword only"],
)
def test_a_parameter_that_nothing_can_fill(registry, factory):
    """A required parameter without annotation is refused no later than by `validate`."""

    def register_and_validate():
        registry.register_factory(Database, factory)
        registry.validate()

    with pytest.raises((UnresolvableParameterError, InvalidRegistryError)) as caught:
        register_and_validate()

    (problem,) = getattr(caught.value, "exceptions", [caught.value])
    assert (UnresolvableParameterError, "nothing") == (type(problem), problem.parameter)
    assert [] == missing_parts(str(problem), "'nothing'", "test_bad_input.py:")


def _with_annotated_result(nothing) -> Database:
    return nothing


class _WithAnnotatedParameter:
    def __init__(self, database: Database, nothing) -> None:
        self.made = [database, nothing]


class _Nameless:
    def __call__(self, nothing):
        return nothing


@pytest.mark.parametrize(
    "factory",
    [
        lambda nothing: None,
        _with_annotated_result,
        _WithAnnotatedParameter,
        _WithAnnotatedParameter(1, 2).__init__,
        _Nameless(),
        pytest.param(
            operator.itemgetter("nothing"),
            marks=pytest.mark.skipif(
                sys.version_info < (3, 13), reason="Python tells nothing of its parameters yet"
            ),
        ),
        functools.partial(_WithAnnotatedParameter, 1),
    ],
    ids=["lambda", "function", "class", "method", "nameless", "builtin", "partial"],
)
def test_a_parameter_without_annotation(registry, container, factory):
    """A required parameter that says nothing of itself is refused when it is registered."""
    for register_factory in [registry.register_factory, container.register_local_factory]:
        with pytest.raises(UnresolvableParameterError) as caught:
            register_factory(Database, factory)

        assert [] == missing_parts(str(caught.value), caught.value.parameter, "annotation")
        assert Database not in registry


def test_a_signature_that_is_none(registry, container):
    """A factory whose `__signature__` is something else is refused, and the error says so."""
    factory = Misleading()

    for register_factory in [registry.register_factory, container.register_local_factory]:
        with pytest.raises(InvalidRegistrationError, match="parameters of Misleading"):
            register_factory(Database, factory)


@pytest.mark.parametrize("wrong", [None, 42, "factory", NotCallable()], ids=repr)
def test_autowiring_what_cannot_be_called(wrong):
    """An object that is not callable cannot be autowired, and the error names its type."""
    with pytest.raises(InvalidRegistrationError) as caught:
        autowire(wrong)

    assert [] == missing_parts(str(caught.value), type(wrong).__name__, "callable")


def test_entering_a_value_that_cannot_be_entered(registry, register_value):
    """A value that is to be entered must be a context manager."""
    with pytest.raises(InvalidRegistrationError) as caught:
        register_value(Database, NotCallable(), enter=True)

    assert [] == missing_parts(
        str(caught.value), "Database", "NotCallable", "context manager", "enter=True"
    )
    assert Database not in registry


@pytest.mark.parametrize("is_async", [False, True])
def test_a_container_on_a_closed_registry(is_async):
    """A closed registry opens no container, neither by its method nor by the class."""
    registry = Registry()
    if is_async:
        asyncio.run(registry.aclose())
    else:
        registry.close()

    for open_container in [registry.container, lambda: Container(registry)]:
        with pytest.raises(RegistryClosedError, match="closed"):
            open_container()


async def test_asking_for_an_unhashable_key(way, container):
    """An unhashable key is refused here as at its registration."""
    with pytest.raises(
        InvalidRegistrationError, match="must be hashable, and an instance of dict"
    ):
        await way.get(container, {})


async def test_a_key_that_cannot_be_compared(way, registry):
    """An exception that the comparison of a key raises arrives unchanged."""

    class Odd:
        def __hash__(self):
            return hash("taken")

        def __eq__(self, other):
            raise TypeError("incomparable")

    async with registry.container({"taken": 1}) as container:
        with pytest.raises(TypeError, match="incomparable"):
            await way.get(container, Odd())


def test_giving_what_is_no_mapping():
    """The objects that a container is given must be in a mapping."""
    with Registry() as registry, registry.container({int: 1}) as container:
        for give in (registry.container, container.child):
            with pytest.raises(InvalidRegistrationError, match="a mapping of keys to objects"):
                give(Database())


class Abstract(abc.ABC):
    @abc.abstractmethod
    def work(self): ...


class Described(Protocol):
    def work(self): ...


class Choosing(Abstract):
    """An abstract class that gives an object of another one."""

    def __new__(cls):
        return object.__new__(Chosen)


class Chosen(Choosing):
    def work(self): ...


@pytest.mark.parametrize("kind", [Abstract, Described])
def test_an_abstract_class_as_its_own_factory(register_factory, kind):
    """A class of which Python makes no objects is no factory, wired or not."""
    for factory in (kind, autowire(kind)):
        with pytest.raises(InvalidRegistrationError, match=f"{kind.__name__} is abstract"):
            register_factory(kind, factory)


async def test_an_abstract_class_that_makes_another(way, registry, container):
    """An abstract class with its own constructor may make objects."""
    registry.register_factory(Choosing, Choosing)

    assert Chosen is type(await way.get(container, Choosing))


def test_given_objects_under_unhashable_keys():
    """An unhashable object cannot be the key of a given object: Python itself refuses."""
    with pytest.raises(TypeError):
        Registry().container({[]: 1})
    with pytest.raises(TypeError):
        Container()


async def test_get_without_a_key(way, container):
    """Asking for nothing is a mistake, or an empty answer, but never a service."""
    try:
        answer = await way.get(container)
    except TypeError:
        answer = ()

    assert () == answer


def test_a_registration_that_fails_changes_nothing(registry, container):
    """A refused registration leaves the one before it in force."""
    registry.register_value(Database, "registered")
    for attempt in [
        lambda: registry.register_factory(Database, 42),
        lambda: registry.register_factory(Database, Database, lifetime="forever"),
        lambda: registry.register_value(Database, 1, ping=42),
        lambda: container.register_local_factory(Database, 42),
    ]:
        with pytest.raises((InvalidRegistrationError, InvalidLifetimeError)):
            attempt()

    assert "registered" == container.get(Database)


class TestAClassAsValue:
    """A class in the place of its instance would fail at the first call of a method."""

    def test_is_refused(self, registry, container):
        """A class, or a subclass of it, is refused as its own value, in every registration."""

        class Fake(Database): ...

        for register in (
            registry.register_value,
            registry.override_value,
            container.register_local_value,
        ):
            for value in (Database, Fake):
                with pytest.raises(InvalidRegistrationError, match="not an instance of it"):
                    register(Database, value)

    @pytest.mark.parametrize(
        ("key", "value"),
        [(type, Database), (object, Database), (Database, Cache), ("name", Database)],
    )
    def test_where_a_class_may_be_the_service(self, registry, container, key, value):
        """A class that is no subclass of the key may stand for its instance, and be one."""
        registry.register_value(key, value)

        assert value is container.get(key)
