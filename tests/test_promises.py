"""Factories that give something else than they promise, or than they are registered for."""

import contextlib
from collections.abc import AsyncIterator, Iterator
from typing import Annotated, Optional, Protocol

import pytest

from tests.support.forms import FORMS
from tests.support.services import Cache, Database
from wares import Depends, FactoryError, InvalidRegistryError


class Kind(Protocol):
    """A protocol that some class may fulfil."""


class Derived(Database):
    """A kind of database."""


class Entered:
    """A context manager whose `__enter__` returns another object."""

    def __enter__(self) -> Database:
        return None

    def __exit__(self, *_: object) -> None: ...


def forgets() -> Database: ...
def yields_nothing() -> Iterator[Database]:
    yield


@contextlib.contextmanager
def enters_nothing() -> Iterator[Database]:
    yield


def gives_nothing_to_enter() -> Entered:
    return Entered()


async def aforgets() -> Database: ...
async def ayields_nothing() -> AsyncIterator[Database]:
    yield


@contextlib.asynccontextmanager
async def aenters_nothing() -> AsyncIterator[Database]:
    yield


async def get(container, method):
    """Ask a container by one of its two methods."""
    return await container.aget(Database) if method == "aget" else container.get(Database)


class TestNone:
    @pytest.mark.parametrize("lifetime", ["singleton", "scoped", "transient"])
    @pytest.mark.parametrize(
        "factory", [forgets, yields_nothing, enters_nothing, gives_nothing_to_enter]
    )
    @pytest.mark.parametrize("method", ["get", "aget"])
    async def test_a_forgotten_return(self, registry, factory, lifetime, method):
        """None from a factory that is annotated otherwise is an error that names the factory."""
        registry.register_factory(Database, factory, lifetime=lifetime)

        async with registry.container() as container:
            for _ in range(2):
                with pytest.raises(FactoryError, match=r"returned None.*return") as caught:
                    await get(container, method)

        assert "test_promises.py" in str(caught.value)
        assert Database is caught.value.key

    @pytest.mark.parametrize("factory", [aforgets, ayields_nothing, aenters_nothing])
    async def test_an_asynchronous_factory(self, registry, factory):
        """An asynchronous factory may not give None, either."""
        registry.register_factory(Database, factory)

        async with registry.container() as container:
            with pytest.raises(FactoryError, match="returned None"):
                await container.aget(Database)

    def test_what_was_entered_is_left(self, registry):
        """A generator that yields None by mistake is cleaned up with the container."""
        left = []

        def connect() -> Iterator[Database]:
            yield
            left.append("left")

        registry.register_factory(Database, connect)

        with registry.container() as container, pytest.raises(FactoryError):
            container.get(Database)

        assert ["left"] == left

    @pytest.mark.parametrize("form", FORMS, ids=repr)
    async def test_a_dependency(self, form, registry):
        """A dependency may not give None, either."""

        def get() -> Database: ...

        get = form.dependency(get)

        with pytest.raises(FactoryError, match="returned None"):
            await form.call(form.inject(lambda it=Depends(get): it))

    def test_none_on_purpose(self, registry):
        """A factory that may give None, or does not tell, gives None."""

        def maybe() -> Database | None: ...
        def optional() -> Optional[Database]: ...
        def nothing() -> None: ...
        def anything(): ...
        def something() -> object: ...
        def unknown() -> "Nowhere": ...  # noqa: F821  # it is not there, on purpose

        for factory in (maybe, optional, nothing, anything, something, unknown):
            registry.register_factory(Database, factory)
            with registry.container() as container:
                assert container.get(Database) is None


def make_int() -> int:
    raise AssertionError


def make_derived() -> Derived:
    raise AssertionError


def make_base() -> object:
    raise AssertionError


def make_entered() -> Entered:
    raise AssertionError


class TestValidation:
    def problems_of(self, registry):
        with pytest.raises(InvalidRegistryError) as caught:
            registry.validate()
        return [str(problem) for problem in caught.value.exceptions]

    @pytest.mark.parametrize("factory", [make_int, Cache])
    def test_a_factory_of_something_else(self, registry, factory):
        """Validation finds a factory whose result cannot be the service of its key."""
        registry.register_factory(Database, factory)

        (problem,) = self.problems_of(registry)

        assert "which is no Database" in problem
        assert factory.__name__ in problem

    def test_an_override(self, registry):
        """Validation finds such an override while it is in force."""
        registry.register_factory(Database, Database)

        with registry.override_factory(Database, make_int):
            assert 1 == len(self.problems_of(registry))

        registry.validate()

    def test_an_alias(self, registry):
        """Validation finds an alias whose target is of another kind."""
        registry.register_factory(Cache, Cache)
        registry.register_alias(Database, Cache)

        (problem,) = self.problems_of(registry)

        assert "alias of Cache, which is no Database" in problem

    def test_one_of_several(self, registry):
        """Validation finds one wrong factory among several of one key."""
        registry.add_factory(Database, Derived)
        registry.add_factory(Database, make_int)

        (problem,) = self.problems_of(registry)

        assert "gives int, which is no Database" in problem

    def test_what_fits(self, registry):
        """Subclasses, bases, protocols and results of `__enter__` are accepted."""
        registry.register_factory(Database, make_derived)
        registry.register_factory(Annotated[Database, "base"], make_base)
        registry.register_factory(Annotated[Database, "entered"], make_entered)
        registry.register_factory(Kind, make_int)
        registry.register_factory("a name", make_int)
        registry.register_value(Cache, 1)
        registry.register_factory(Derived, Derived)
        registry.register_alias(Annotated[Database, "alias"], Derived)
        registry.register_alias("another name", Derived)
        registry.register_factory(Annotated[int, "dependency"], depends)

        registry.validate()

    def test_what_decorates(self, registry):
        """The result of a decorator may only look like the service."""
        registry.register_factory(Database, Database)
        registry.decorate(Database, make_around)

        registry.validate()


def make_around(inner: object) -> Cache:
    raise AssertionError


def depends(number: Annotated[str, Depends(make_int)]) -> int:
    raise AssertionError
