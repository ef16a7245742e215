"""`Container.call` and `Container.acall`."""

from typing import Annotated

import pytest

from tests.support.services import Cache, Database, Mailer, Repository
from wares import (
    AsyncServiceError,
    Container,
    Depends,
    Inject,
    NoContainerError,
    ServiceNotFoundError,
    current_container,
    inject,
)


async def call(way, container, function, *args, **kwargs):
    """Call in one of the two ways."""
    if way.is_async:
        return await container.acall(function, *args, **kwargs)
    return container.call(function, *args, **kwargs)


@pytest.fixture(autouse=True)
def services(registry):
    """The services of the tests."""
    registry.register_factory(Database, Database)


class TestFilling:
    """The parameters that a call fills."""

    async def test_what_is_registered(self, way, container):
        """A parameter without a default whose annotation is registered is filled."""

        def job(database: Database, number: int, cache: Cache = "default"):
            return database, number, cache

        result = await call(way, container, job, number=5)

        assert (container.get(Database), 5, "default") == result

    async def test_what_is_given(self, way, registry):
        """A parameter is filled with an object that the container was given."""

        def job(cache: Cache):
            return cache

        assert "given" == await call(way, registry.container({Cache: "given"}), job)

    async def test_a_default_stays(self, way, container):
        """A parameter with a default keeps it, though its annotation is registered."""

        def job(database: Database = "default"):
            return database

        assert "default" == await call(way, container, job)

    async def test_what_is_passed_wins(self, way, container):
        """Explicit arguments win, by position and by keyword, marked or not."""

        def job(database: Database, marked: Inject[Database]):
            return database, marked

        def passing(database: Database, /, other: Database):
            return database, other

        assert (1, 2) == await call(way, container, job, 1, marked=2)
        assert (1, 2) == await call(way, container, job, database=1, marked=2)
        assert (1, container.get(Database)) == await call(way, container, passing, 1)

    async def test_of_an_injected_function(self, way, container):
        """An explicit argument wins in an injected function, too."""

        @inject
        def job(number: int, marked: Inject[Database]):
            return number, marked

        assert (1, 2) == await call(way, container, job, 1, marked=2)

    async def test_markers(self, way, container):
        """Marked parameters are filled as `inject` does, and take arguments of the call."""

        def double(number: int):
            return number * 2

        def job(number: int, doubled: Annotated[int, Depends(double)], found: Inject[Database]):
            return number, doubled, found

        found = container.get(Database)

        assert (2, 4, found) == await call(way, container, job, 2)
        assert (2, 4, found) == await call(way, container, job, number=2)

    async def test_the_container(self, way, container):
        """A call fills the container by annotation or name, and makes it current."""

        def job(wares_container, other: Container):
            return wares_container, other, current_container()

        assert (container,) * 3 == await call(way, container, job)

    async def test_positional_only(self, way, container):
        """Parameters that take arguments by position only are filled as well."""

        def job(database: Database, number: int = 3, /, *rest: int, **more: int):
            return database, number, rest, more

        found = container.get(Database)

        assert (found, 3, (), {"more": 1}) == await call(way, container, job, more=1)
        assert (1, 2, (3,), {}) == await call(way, container, job, 1, 2, 3)

    async def test_forms(self, way, container):
        """Annotations with a special meaning are filled only if a service is registered."""

        def job(databases: list[Database], names: list[str] | None):
            return databases, names

        def missing(names: list[str]): ...

        def passing(names: list[str]):
            return names

        with pytest.raises(TypeError, match="names"):
            await call(way, container, missing)

        assert ["a"] == await call(way, container, passing, ["a"])
        databases, names = await call(way, container, job, names=["a"])
        assert ([container.get(Database)], ["a"]) == (databases, names)

    async def test_classes_and_methods(self, way, container):
        """Any callable can be called."""

        class Job:
            def run(self, database: Database):
                return database

        made = await call(way, container, Repository)

        assert container.get(Database) is made.database
        assert made.database is await call(way, container, Job().run)

    async def test_builtins(self, way, container):
        """A builtin that does not tell its parameters is called as it is."""
        assert 2 == await call(way, container, max, 1, 2)
        assert 1 == await call(way, container, max, 1, 2, key=lambda number: -number)

    async def test_annotations_that_cannot_be_read(self, way, container):
        """A parameter whose annotation means nothing is the caller's business."""

        def job(first: "Nowhere", second, database: Database):  # noqa: F821  # that is the point
            return first, second, database

        assert (1, 2) == (await call(way, container, job, 1, second=2))[:2]


class TestErrors:
    """The calls that are refused."""

    async def test_something_missing(self, way, container):
        """An unregistered parameter is a missing argument; a marked one is a missing service."""

        def job(mailer: Mailer): ...

        def marked(mailer: Inject[Mailer | int]): ...

        with pytest.raises(TypeError, match="mailer"):
            await call(way, container, job)
        with pytest.raises(ServiceNotFoundError):
            await call(way, container, marked)

    async def test_one_too_many(self, way, container):
        """An argument that the function does not take is refused by Python."""

        def job(database: Database): ...

        with pytest.raises(TypeError):
            await call(way, container, job, 1, 2)
        with pytest.raises(TypeError, match=r"job\(\) got an unexpected .* 'other'"):
            await call(way, container, job, other=1)

    async def test_asynchronous(self, registry, container):
        """`acall` awaits; `call` refuses async functions and services."""

        async def make():
            return "cache"

        async def job(cache: Cache, found: Inject[Database]):
            return cache, found, current_container()

        def lazy(cache: Cache, database: Database):
            return job(cache, database)

        registry.register_factory(Cache, make)
        with pytest.raises(AsyncServiceError) as caught:
            container.call(job)
        with pytest.raises(AsyncServiceError):
            container.call(lazy)

        assert (
            "Cannot get job synchronously: it is asynchronous.\n"
            "Call it with: await container.acall(job, ...)"
        ) == str(caught.value)
        expected = ("cache", await container.aget(Database), container)
        assert expected == await container.acall(job)
        assert expected == await container.acall(lazy)

    def test_what_the_function_raises(self, container):
        """An exception of the function arrives unchanged, and the container is not current."""

        def job(database: Database):
            raise OSError

        with pytest.raises(OSError):
            container.call(job)
        with pytest.raises(NoContainerError):
            current_container()
