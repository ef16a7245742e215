"""Tests of the advice in messages, in places where readers would otherwise do the wrong thing."""

import datetime as dt
import gc
import pathlib
import warnings
from typing import Generic, TypeVar

import pydantic_settings
import pytest

from tests.support.forms import FORMS
from tests.support.services import Database
from wares import (
    Depends,
    Inject,
    InvalidRegistrationError,
    InvalidRegistryError,
    Registry,
    ServiceNotFoundError,
    inject,
)

T = TypeVar("T")


class Settings(pydantic_settings.BaseSettings):
    """Settings from the environment."""

    url: str


@pytest.mark.parametrize("kind", [str, int, pathlib.Path, dt.timedelta])
def test_a_parameter_for_a_setting(registry, kind):
    """If a parameter takes a string or a number, the error does not advise to register `str`."""

    def connect(url: kind):
        raise AssertionError

    registry.register_factory(Database, connect)

    with registry.container() as container, pytest.raises(ServiceNotFoundError) as caught:
        container.get(Database)

    assert "give the parameter a default and no marker" in str(caught.value)
    assert f'Annotated[{kind.__name__}, "name"]' in str(caught.value)
    assert "register_factory(" not in str(caught.value)


@pytest.mark.parametrize(
    ("count", "services"), [(0, "no services"), (1, "1 service"), (2, "2 services")]
)
@pytest.mark.parametrize("form", FORMS, ids=repr)
async def test_the_registry_of_a_function(registry, form, count, services):
    """If `inject` was given a registry and asked that, the error says so, and how much it has."""
    for number in range(count):
        registry.register_value(f"number {number}", number)
    ask = form.inject(lambda it=Depends("database"): it, registry=registry)

    with pytest.raises(ServiceNotFoundError) as caught:
        await form.call(ask)

    expected = (
        f"It was asked for in the registry that @inject(registry=...) was given, which has "
        f"{services}."
    )
    assert expected == caught.value.asked
    assert expected in str(caught.value).splitlines()


def test_the_registry_of_the_current_container(container):
    """If a container of another registry than that of `inject` is current, the error says so."""
    own = Registry()
    own.register_value("database", 1)
    ask = inject(registry=own)(lambda it=Depends("database"): it)

    with container.activate(), pytest.raises(ServiceNotFoundError) as caught:
        ask()

    assert "A current container comes first, so its registry was asked, and not" in str(
        caught.value
    )
    assert 1 == ask()


def test_the_registry_of_a_function_without(container):
    """If `inject` was given no registry, or was not used, the error says nothing of the kind."""
    ask = inject(lambda it=Depends("database"): it)
    errors = []

    for call in (ask, lambda: container.get("database")):
        with container.activate(), pytest.raises(ServiceNotFoundError) as caught:
            call()
        errors.append(caught.value)

    assert ["", ""] == [error.asked for error in errors]
    assert not any("asked" in str(error) for error in errors)


def test_asked_for_by_hand(registry):
    """If code asks the container for a string, the error advises to register it."""
    with registry.container() as container, pytest.raises(ServiceNotFoundError) as caught:
        container.get(str)

    assert "registry.register_factory(str, ...)" in str(caught.value)


def test_an_instance_as_the_key(registry):
    """If code asks for an object instead of its class, the error says so."""
    with registry.container() as container, pytest.raises(ServiceNotFoundError) as caught:
        container.get(object())

    assert "You have asked for an instance of object. To fix it, ask for the class" in str(
        caught.value
    )


def test_two_classes_of_one_name(registry):
    """A class that was made anew, by a reload, say, is not the one that is registered."""

    def define():
        class Service: ...

        return Service

    registry.register_factory(define(), object)
    with registry.container() as container, pytest.raises(ServiceNotFoundError) as caught:
        container.get(define())

    assert "Another class of the same name is registered" in str(caught.value)
    assert "register_factory" not in str(caught.value)


@pytest.mark.parametrize("name", ["get", "aget"])
def test_asking_a_registry(registry, name):
    """A registry says that a container gives services."""
    with pytest.raises(AttributeError, match=r"Ask a container: with registry.container\(\)"):
        getattr(registry, name)
    with pytest.raises(AttributeError, match=r"'Registry' object has no attribute 'git'$"):
        getattr(registry, "git")  # noqa: B009  # nothing is done with it


def test_markers_with_the_wrong_brackets():
    """`Inject` takes brackets, and `Depends` takes parentheses."""
    with pytest.raises(InvalidRegistrationError, match=r"Write Inject\[Type\]"):
        Inject(Database)
    with pytest.raises(InvalidRegistrationError, match=r"Write Depends\(dependency\)"):
        Depends[Database]


def test_settings_of_pydantic(registry):
    """If a class of settings is registered as its own factory, a function is advised."""
    registry.register_factory(Settings, Settings)

    with registry.container() as container, pytest.raises(ServiceNotFoundError) as found:
        container.get(Settings)
    with pytest.raises(InvalidRegistryError) as caught:
        registry.validate()

    advice = "registry.register_factory(Settings, lambda: Settings())"
    assert advice in str(found.value)
    assert advice in str(caught.value.exceptions[0])


def test_a_class_of_svcs(registry):
    """A factory that still asks for the container of svcs is told so."""

    class Container:
        __module__ = "svcs._core"

    def make(services: Container): ...

    registry.register_factory(Database, make)
    with registry.container() as container, pytest.raises(ServiceNotFoundError) as caught:
        container.get(Database)

    assert "annotate the parameter with wares.Container" in str(caught.value)


def test_a_generic_class(registry):
    """If the class without brackets is registered, the error names the method for all types."""

    class Mapper(Generic[T]): ...

    registry.register_factory(Mapper, Mapper)
    with registry.container() as container, pytest.raises(ServiceNotFoundError) as caught:
        container.get(Mapper[int])

    assert "registry.register_factory(Mapper[int], ...)" in str(caught.value)
    assert "registry.register_generic(Mapper, ...)" in str(caught.value)


def test_none_in_a_key(registry):
    """A union with None is printed as one writes it."""
    with registry.container() as container, pytest.raises(ServiceNotFoundError) as caught:
        container.get(tuple[Database | None, int])

    assert "for tuple[Database | None, int]." in str(caught.value)


def test_a_forgotten_await():
    """Python's warning about an `aget` that was not awaited names the method."""
    with Registry() as registry, registry.container() as container:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            container.aget(Database)
            gc.collect()

    assert ["coroutine 'Container.aget' was never awaited"] == [
        str(warning.message) for warning in caught
    ]
