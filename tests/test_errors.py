"""Errors that help: what they say, and what they never say."""

import asyncio
import copy
import functools
import gc
import importlib
import logging
import pickle
import re
import typing
import warnings

import pytest

import wares
from tests.support.messages import location_of, missing_parts, notes_of, text_of
from tests.support.services import (
    Cache,
    Database,
    Mailer,
    Missing,
    NeedsNeedy,
    Needy,
    Repository,
    Session,
    Settings,
    Shop,
)
from tests.support.ways import ASYNC, SYNC
from wares import (
    AsyncServiceError,
    CircularDependencyError,
    Container,
    ContainerClosedError,
    FactoryError,
    InvalidLifetimeError,
    InvalidRegistrationError,
    InvalidRegistryError,
    LifetimeError,
    NoContainerError,
    NoRegistryError,
    PendingAsyncCleanupError,
    Registry,
    RegistryClosedError,
    ServiceNotFoundError,
    UnresolvableParameterError,
    WaresError,
    current_container,
)

SECRET = "s3cr3t-pa55word"


class Secret:
    """Something whose every text shows a password."""

    def __repr__(self):
        return SECRET

    __str__ = __repr__

    def __format__(self, specification):
        return SECRET


class Boom(Exception):
    """The exception of a factory."""


class Nowhere:
    """Another service that is never registered."""


def make_needy(missing: Missing) -> Needy:
    return Needy(missing)


async def make_needy_async(missing: Missing) -> Needy:
    return Needy(missing)


def make_needs_needy(wares_container: Container) -> NeedsNeedy:
    return NeedsNeedy(wares_container.get(Needy))


async def connect() -> Database:
    return Database()


def unresolvable(nothing: "NobodyKnows"):  # noqa: F821  # nothing can fill it
    return nothing


def with_a_secret_first(secret, missing: Missing):
    return secret


def with_a_secret_last(missing: Missing, secret=SECRET):
    return secret


class Maker(Secret):
    """Makes services, and holds a secret."""

    def make(self, missing: Missing):
        return self

    def __call__(self, missing: Missing):
        return self


@pytest.mark.parametrize(
    ("error", "parent"),
    [
        (ServiceNotFoundError, LookupError),
        (CircularDependencyError, RuntimeError),
        (LifetimeError, TypeError),
        (AsyncServiceError, TypeError),
        (InvalidRegistrationError, TypeError),
        (InvalidLifetimeError, ValueError),
        (UnresolvableParameterError, TypeError),
        (FactoryError, RuntimeError),
        (ContainerClosedError, RuntimeError),
        (RegistryClosedError, RuntimeError),
        (NoContainerError, RuntimeError),
        (NoRegistryError, RuntimeError),
        (NoRegistryError, LookupError),
        (PendingAsyncCleanupError, RuntimeError),
        (InvalidRegistryError, ExceptionGroup),
    ],
)
def test_every_error_has_two_bases(error, parent):
    """Every error is a `WaresError`, and the builtin that callers expect."""
    assert (True, True) == (issubclass(error, WaresError), issubclass(error, parent))
    assert error is getattr(wares, error.__name__)


class TestMissing:
    """The error for a missing service: the path, the nearest names, the line to add."""

    @pytest.fixture
    def needing(self, registry):
        """Register three services, the last of which needs a missing one."""
        registry.register_factory(Needy, make_needy)
        registry.register_factory(NeedsNeedy, NeedsNeedy)

    async def test_it_is_named(self, way, container):
        """The error names the missing service, and is a `LookupError`."""
        with pytest.raises(LookupError) as caught:
            await way.get(container, Missing)

        assert (Missing, (Missing,)) == (caught.value.key, caught.value.path)
        assert "Missing" in str(caught.value)

    async def test_the_path(self, way, container, needing):
        """The error names each step that led to the missing service, in order."""
        with pytest.raises(ServiceNotFoundError) as caught:
            await way.get(container, NeedsNeedy)

        assert (NeedsNeedy, Needy, Missing) == caught.value.path
        places = [text_of(caught.value).find(f" {name}") for name in ("NeedsNeedy", "Needy")]
        assert -1 not in places

    async def test_where_factories_are_defined(self, way, container, needing):
        """The error names file and line of every step's factory."""
        with pytest.raises(ServiceNotFoundError) as caught:
            await way.get(container, NeedsNeedy)

        assert [] == missing_parts(
            text_of(caught.value), location_of(make_needy), location_of(NeedsNeedy)
        )

    async def test_the_path_of_imperative_steps(self, way, registry, container):
        """The path goes on through factories that ask their container."""
        registry.register_factory(Needy, make_needy_async if way.is_async else make_needy)

        async def aask(wares_container):
            return await wares_container.aget(Needy)

        asking = aask if way.is_async else make_needs_needy
        registry.register_factory(NeedsNeedy, asking)
        registry.register_factory("start", _needing(NeedsNeedy))
        registry.register_value(Missing, "there")
        override = registry.override_factory(Missing, _needing(Nowhere))

        with override, pytest.raises(ServiceNotFoundError) as caught:
            await way.get(container, "start")

        assert ("start", NeedsNeedy, Needy, Missing, Nowhere) == caught.value.path
        assert [] == missing_parts(
            text_of(caught.value),
            "'start'",
            "NeedsNeedy",
            "Needy",
            "Missing",
            "Nowhere",
            location_of(asking),
            location_of(make_needy_async if way.is_async else make_needy),
        )

    async def test_the_path_is_of_this_attempt(self, way, container, needing):
        """A second attempt, by another way, shows its own path."""
        paths = []
        for key in (NeedsNeedy, Needy, Missing):
            with pytest.raises(ServiceNotFoundError) as caught:
                await way.get(container, key)
            paths.append(caught.value.path)

        assert [(NeedsNeedy, Needy, Missing), (Needy, Missing), (Missing,)] == paths

    @pytest.mark.parametrize(
        ("registered", "asked", "name"),
        [
            ("database", "databas", "'database'"),
            ("database", "Database", "'database'"),
            (Database, "Database", "Database"),
            (Repository, type("Repositry", (), {}), "Repository"),
            (Repository, type("RepositoryProtocol", (), {}), "Repository"),
            (typing.Annotated[Database, "reporting"], Database, "reporting"),
        ],
        ids=str,
    )
    async def test_the_nearest_names(self, way, registry, container, registered, asked, name):
        """The error names registered services with a similar name."""
        registry.register_value(registered, 1)
        registry.register_value("quite another thing", 2)

        with pytest.raises(ServiceNotFoundError) as caught:
            await way.get(container, asked)

        assert 1 == len(caught.value.nearest)
        assert name in caught.value.nearest[0]
        assert caught.value.nearest[0] in str(caught.value)

    async def test_no_near_names(self, way, registry, container):
        """If no name is similar, the error suggests none."""
        registry.register_value("quite another thing", 1)

        with pytest.raises(ServiceNotFoundError) as caught:
            await way.get(container, Missing)

        assert () == tuple(caught.value.nearest)
        assert "quite another thing" not in str(caught.value)

    async def test_local_names_are_near(self, way, container):
        """Local registrations are suggested as well."""
        container.register_local_value("database", 1)

        with pytest.raises(ServiceNotFoundError) as caught:
            await way.get(container, "databse")

        assert ["'database'"] == list(caught.value.nearest)

    async def test_the_line_to_add(self, way, container):
        """The error shows the line that would mend it."""
        with pytest.raises(ServiceNotFoundError) as caught:
            await way.get(container, Missing)

        assert re.search(r"register_(factory|value)\(Missing, ", str(caught.value))

    async def test_an_expected_object(self, way, registry, container):
        """An expected object that was not given is missing from this container."""
        registry.expect(Missing)
        registry.register_factory(Needy, make_needy)

        with pytest.raises(ServiceNotFoundError) as caught:
            await way.get(container, Needy)

        assert [] == missing_parts(str(caught.value), "Missing", "expect", "container(")
        assert "register_factory(" not in str(caught.value)

    async def test_a_missing_service_in_a_chain_of_any_length(self, way, registry, container):
        """The error at the end of 2,000 steps is no `RecursionError`, and can be read."""
        keys = [type(f"Link{number}", (), {}) for number in range(2_000)]
        for needed_key, key in zip(keys, keys[1:], strict=False):
            registry.register_factory(key, _needing(needed_key))

        with pytest.raises(ServiceNotFoundError) as caught:
            await way.get(container, keys[-1])

        assert (keys[-1], keys[0]) == (caught.value.path[0], caught.value.path[-1])
        assert "Link0" in text_of(caught.value)

    async def test_nothing_is_made_for_it(self, way, registry, container):
        """If a declared need is missing, the other needs are not made."""
        events = []

        def make_database():
            yield Database()
            events.append("left")

        def make(database: Database, missing: Missing):
            raise AssertionError("must not be called")

        registry.register_factory(Database, make_database)
        registry.register_factory("both", make)
        with pytest.raises(ServiceNotFoundError):
            await way.get(container, "both")
        was_made = Database in container

        await way.close(container)

        assert ["left"] * was_made == events

    async def test_two_keys_of_one_name(self, way, registry, container):
        """A class is not suggested instead of another of the same name without a difference."""
        other = type("Database", (), {"__module__": "another.module"})
        registry.register_factory(Database, Database)

        with pytest.raises(ServiceNotFoundError) as caught:
            await way.get(container, other)

        assert "another.module" in text_of(caught.value)


def _needing(key):
    """Return a sync factory with one declared need."""

    def make(need):
        return [need]

    make.__annotations__ = {"need": key}
    return make


class TestAsyncServices:
    """`get` refuses async services, and leaves nothing un-awaited."""

    def test_an_async_factory(self, registry, container):
        """`get` names the service, the path that led to it, and the call that helps."""
        registry.register_factory(Database, connect)
        registry.register_factory(Repository, Repository)
        registry.register_factory(Shop, Shop)

        with pytest.raises(TypeError) as caught:
            container.get(Shop)

        assert AsyncServiceError is type(caught.value)
        assert (Database, (Shop, Repository, Database)) == (
            caught.value.key,
            caught.value.path,
        )
        assert [] == missing_parts(
            str(caught.value), "Database", "Shop", "Repository", "aget(Shop)"
        )

    def test_nothing_is_left_un_awaited(self, registry, container):
        """No coroutine is made that is never awaited."""
        registry.register_factory(Database, connect)
        registry.register_factory(Cache, lambda: connect())
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            for key in (Database, Cache):
                with pytest.raises(AsyncServiceError):
                    container.get(key)
            gc.collect()

        assert [] == [str(warning.message) for warning in caught]

    def test_a_coroutine_of_a_lambda_is_closed(self, registry, container):
        """The coroutine that a plain function returned is closed, and never begun."""
        coroutines = []

        def make():
            coroutines.append(connect())
            return coroutines[-1]

        registry.register_factory(Database, make)

        with pytest.raises(AsyncServiceError, match="aget"):
            container.get(Database)
        with pytest.raises(RuntimeError, match="already awaited"):
            coroutines[0].send(None)

    def test_a_coroutine_of_a_lambda_after_use(self, registry):
        """A plain function that suddenly returns a coroutine is refused, too."""
        products = [1]
        registry.register_factory(Database, lambda: products.pop() if products else connect())
        registry.register_factory(Repository, Repository)
        with registry.container() as container:
            container.get(Repository)

        with registry.container() as container, pytest.raises(AsyncServiceError) as caught:
            container.get(Repository)
        assert (Repository, Database) == caught.value.path

    def test_sync_needs_of_an_async_factory(self, registry, container):
        """`get` refuses before it makes what an async factory would need."""
        made = []

        async def make(cache: Cache):
            return Database()

        registry.register_factory(Cache, lambda: made.append("cache"))
        registry.register_factory(Database, make)

        with pytest.raises(AsyncServiceError):
            container.get(Database)
        assert [] == made

    async def test_the_container_goes_on(self, registry, container):
        """After the error, `aget` makes the service."""
        registry.register_factory(Database, connect)
        registry.register_factory(Repository, Repository)
        with pytest.raises(AsyncServiceError):
            container.get(Repository)

        made = await container.aget(Repository)

        assert Database is type(made.database)


class TestFactoriesOwnErrors:
    """A factory's own exception arrives unchanged, with the path as a note."""

    @pytest.mark.parametrize(
        ("way", "is_async_factory"), [(SYNC, False), (ASYNC, False), (ASYNC, True)]
    )
    async def test_it_arrives_unchanged(self, way, registry, is_async_factory):
        """A factory's own exception is raised as it is, with the path as a note."""
        error = Boom("own text")

        def make():
            raise error

        async def amake():
            return make()

        factory = amake if is_async_factory else make
        registry.register_factory(Database, factory)
        registry.register_factory(Repository, Repository)
        registry.register_factory(Shop, Shop)
        container = registry.container()

        with pytest.raises(Boom) as caught:
            await way.get(container, Shop)

        assert error is caught.value
        assert ("own text",) == error.args
        assert [] == missing_parts(
            notes_of(error), "Shop", "Repository", "Database", location_of(factory)
        )

    async def test_a_class_that_cannot_be_made(self, way, registry, container):
        """A class of which no object can be made fails in its own words, with the path."""

        class Unmakeable:
            def __new__(cls):
                raise TypeError("abstract")

        def need(part: Unmakeable):
            return [part]

        registry.register_factory(Unmakeable, Unmakeable)
        registry.register_factory(Shop, need)

        with pytest.raises(TypeError, match="abstract") as caught:
            await way.get(container, Shop)

        assert "Shop -> " in notes_of(caught.value)
        assert "Unmakeable" in notes_of(caught.value)

    async def test_a_factory_without_a_name(self, way, registry, container):
        """The note calls a factory that has no name of its own after its class."""

        class Stack:
            __call__ = [].pop

        registry.register_factory(Database, Stack())

        with pytest.raises(IndexError) as caught:
            await way.get(container, Database)

        assert "made by" in notes_of(caught.value)
        assert "Stack" in notes_of(caught.value)

    async def test_in_what_lives_longer(self, way, registry):
        """The path includes services that need a missing longer-lived one."""

        def make() -> Database:
            raise Boom("not there")

        registry.register_factory(Database, make, lifetime="connection")
        registry.register_factory(Repository, Repository)
        registry.register_factory(Shop, Shop)

        with pytest.raises(Boom) as caught:
            await way.get(registry.container().child(), Shop)

        path = "wares was making Shop -> Repository -> Database, made by "
        assert [] == missing_parts(notes_of(caught.value), path)

    def test_a_file_that_is_being_edited(self, registry, tmp_path, monkeypatch):
        """A class whose file cannot be parsed any more is still called by its name."""
        file = tmp_path / "half_written.py"
        file.write_text(
            "class Needy:\n    def __init__(self, nothing: 'Nothing'): ...\n", "utf-8"
        )
        monkeypatch.syspath_prepend(tmp_path)
        module = importlib.import_module("half_written")
        file.write_text("class Needy:\n    def __init__(self, nothing:", "utf-8")
        registry.register_factory(module.Needy, module.Needy)

        with pytest.raises(InvalidRegistryError) as caught:
            registry.validate()

        assert "Needy" in str(caught.value.exceptions)

    async def test_one_note(self, way, registry, container):
        """A long path is one note, which is added only once."""
        error = Boom()

        def fail():
            raise error

        registry.register_factory(Database, fail)
        registry.register_factory(Repository, Repository)
        registry.register_factory(Shop, Shop)

        with pytest.raises(Boom):
            await way.get(container, Shop)

        assert 1 == notes_of(error).count("Repository ->") or 1 == len(error.__notes__)

    async def test_through_imperative_steps(self, way, registry, container):
        """The note shows the whole path where factories ask their container."""
        error = Boom()

        def fail():
            raise error

        async def aask(wares_container):
            return await wares_container.aget(Database)

        def ask(wares_container):
            return wares_container.get(Database)

        registry.register_factory(Database, fail)
        registry.register_factory(Repository, aask if way.is_async else ask)
        registry.register_factory(Shop, Shop)

        with pytest.raises(Boom):
            await way.get(container, Shop)

        assert [] == missing_parts(notes_of(error), "Shop", "Repository", "Database")

    async def test_through_the_current_container(self, way, registry):
        """The note shows the whole path where factories ask the current container."""
        error = Boom()

        def fail():
            raise error

        async def aask():
            return await current_container().aget(Database)

        def ask():
            return current_container().get(Database)

        registry.register_factory(Database, fail)
        registry.register_factory(Repository, aask if way.is_async else ask)
        registry.register_factory(Shop, Shop)
        container = registry.container()

        with container.activate(), pytest.raises(Boom):
            await way.get(container, Shop)

        assert [] == missing_parts(notes_of(error), "Shop", "Repository", "Database")

    async def test_through_closures(self, registry, container):
        """The note shows the whole path where each factory asks a container that it knows of."""

        def fail():
            raise Boom

        registry.register_factory(Settings, fail)
        registry.register_factory(Repository, lambda: container.get(Settings))
        registry.register_factory(Shop, lambda: container.get(Repository))

        with pytest.raises(Boom) as caught:
            container.get(Shop)

        assert [] == missing_parts(notes_of(caught.value), "Shop", "Repository", "Settings")

    async def test_after_the_asker_has_ended(self, registry):
        """The note leaves out a factory that has ended before its task fails."""
        tasks = []
        shop_is_made = asyncio.Event()

        async def open_database():
            await shop_is_made.wait()
            raise Boom

        async def open_shop(wares_container):
            tasks.append(asyncio.create_task(wares_container.aget(Database)))
            await asyncio.sleep(0)
            return object()

        registry.register_factory(Database, open_database)
        registry.register_factory(Shop, open_shop)
        container = registry.container()
        await container.aget(Shop)
        await asyncio.sleep(0)
        shop_is_made.set()

        with pytest.raises(Boom) as caught:
            await tasks[0]

        assert "Shop" not in notes_of(caught.value)
        assert "Database" in notes_of(caught.value)

    @pytest.mark.parametrize("stage", ["enter", "yield"])
    async def test_on_entering(self, way, registry, container, stage):
        """An exception on entering arrives unchanged, too."""
        error = Boom()

        class Manager:
            def __enter__(self):
                raise error

            def __exit__(self, *details):
                raise AssertionError("must not be exited")

        def generator():
            raise error
            yield

        registry.register_factory(Database, Manager if stage == "enter" else generator)
        registry.register_factory(Repository, Repository)

        with pytest.raises(Boom) as caught:
            await way.get(container, Repository)

        assert error is caught.value
        assert [] == missing_parts(notes_of(error), "Repository", "Database")

    @pytest.mark.parametrize(
        "kind",
        [
            TypeError,
            LookupError,
            KeyError,
            AttributeError,
            StopIteration,
            StopAsyncIteration,
            GeneratorExit,
            KeyboardInterrupt,
            SystemExit,
            asyncio.CancelledError,
            RecursionError,
        ],
    )
    async def test_any_kind(self, way, registry, container, kind):
        """No kind of exception is taken for something else on its way through the container."""
        error = kind("own text")

        def fail():
            raise error

        registry.register_factory(Database, fail)
        registry.register_factory(Repository, Repository)
        caught = []
        try:
            if way.is_async:
                await container.aget(Repository)
            else:
                container.get(Repository)
        except BaseException as other:  # noqa: BLE001  # an outcome like any other
            caught.append(other)

        # A coroutine cannot let a StopIteration pass: Python makes it a RuntimeError.
        if kind is StopIteration and way.is_async:
            caught = [other.__cause__ or other for other in caught]
        assert [error] == caught

    async def test_a_runtime_error_made_of_another(self, way, registry, container):
        """A `RuntimeError` that a factory made of a `StopIteration` is not unwrapped."""
        error = RuntimeError("own text")

        def fail():
            raise error from StopIteration("inner")

        registry.register_factory(Database, fail)
        registry.register_factory(Repository, Repository)

        with pytest.raises(RuntimeError) as caught:
            await way.get(container, Repository)

        assert error is caught.value
        assert [] == missing_parts(notes_of(error), "Repository", "Database")

    async def test_a_generator_that_lets_a_stop_iteration_out(self, way, registry, container):
        """The error that Python makes of a `StopIteration` in a generator arrives unchanged."""

        def fail():
            next(iter(()))
            yield

        registry.register_factory(Database, fail)

        with pytest.raises(RuntimeError, match="generator raised StopIteration"):
            await way.get(container, Database)

    async def test_an_error_of_ours_from_another_registry(self, way, registry, container):
        """A missing service of another registry keeps its own path."""
        other = Registry()

        def make():
            return other.container().get(Missing)

        registry.register_factory(Database, make)
        registry.register_factory(Repository, Repository)

        with pytest.raises(ServiceNotFoundError) as caught:
            await way.get(container, Repository)

        assert Missing is caught.value.path[-1]
        assert [] == missing_parts(text_of(caught.value), "Missing", "Database", "Repository")


class TestClosedAndAbsent:
    """A closed registry and a closed container have errors of their own."""

    @pytest.mark.parametrize("kind", [NoContainerError, NoRegistryError])
    def test_an_adapter_may_say_it_better(self, kind):
        """An adapter may pass its own message to these errors, which have a default message."""
        assert "say it so" == str(kind("say it so"))
        assert [] == missing_parts(str(kind()), "There is no ")

    async def test_each_says_how_to_mend_it(self, way):
        """A closed registry, a closed container and no container: each its own advice."""
        registry = Registry()
        container = registry.container()
        await way.close(container)
        await way.close(registry)
        advice = {}
        for error, attempt in [
            (ContainerClosedError, lambda: container.get(Database)),
            (RegistryClosedError, registry.container),
            (NoContainerError, wares.current_container),
        ]:
            with pytest.raises(error) as caught:
                attempt()
            advice[error] = str(caught.value)

        assert 3 == len(set(advice.values()))
        assert [] == missing_parts(advice[ContainerClosedError], "container is closed", "open")
        assert [] == missing_parts(
            advice[RegistryClosedError], "registry is closed", "Registry"
        )
        assert [] == missing_parts(advice[NoContainerError], "container", "activate")


def collect_texts(things):
    """Return everything that a reader may get to see of *things*, as one text."""
    texts = []
    for thing in things:
        texts += [repr(thing), str(thing), f"{thing}", f"{thing!r:>5}"]
        if isinstance(thing, BaseException):
            texts += [text_of(thing), repr(thing.args)]
        if isinstance(thing, BaseExceptionGroup):
            texts += [collect_texts(thing.exceptions)]
    return "\n".join(texts)


class TestSecrets:
    """Nothing prints a registered value."""

    @pytest.fixture
    def registry(self):
        """A registry full of secrets."""
        registry = Registry()
        registry.register_value(Settings, Secret(), ping=print)
        registry.register_value("settings", Secret())
        registry.register_factory(Cache, Secret, ping=lambda _: None)
        registry.register_factory(Mailer, Secret, lifetime="singleton")
        with registry:
            yield registry

    async def test_of_living_things(self, way, registry):
        """Registry, container, child, ping and graph show names, never services."""
        container = registry.container({Session: Secret(), "given": Secret()})
        container.register_local_value(Database, Secret())
        child = container.child()
        await way.get(container, Settings, "settings", Cache, Mailer, Session, Database)
        await way.get(child, Cache)
        graph = registry.graph()

        shown = collect_texts(
            [
                registry,
                container,
                child,
                graph,
                *container.get_pings(),
                container.get_pings(),
                list(registry),
                graph.to_mermaid(),
                graph.to_dot(),
                graph.to_dict(),
            ]
        )

        assert SECRET not in shown
        await way.close(container)

    async def test_of_errors(self, way, registry):
        """No error shows a service that is made, given or registered."""
        container = registry.container({Session: Secret()})
        await way.get(container, Settings, Cache, Mailer)

        def fail(settings: Settings):
            raise Boom

        def needs_itself(settings: Settings, mine: Repository):
            raise AssertionError

        def yields_twice(settings: Settings):
            yield Secret()
            yield Secret()

        registry.register_factory(Needy, make_needy)
        registry.register_factory(Database, fail)
        registry.register_factory(Repository, needs_itself)
        registry.register_factory("lifetime", _needing(Cache), lifetime="singleton")
        registry.register_factory("unresolvable", unresolvable)
        registry.register_factory("twice", yields_twice)
        registry.register_factory("async", connect)
        errors = []
        for key in ["settngs", Needy, Database, Repository, "lifetime", "unresolvable"]:
            with pytest.raises((WaresError, Boom)) as caught:
                await way.get(container, key)
            errors.append(caught.value)
        with pytest.raises(AsyncServiceError) as caught:
            container.get("async")
        errors.append(caught.value)
        await way.get(container, "twice")
        for attempt in [way.close, lambda it: way.get(it, Settings)]:
            with pytest.raises(WaresError) as caught:
                await attempt(container)
            errors.append(caught.value)
        with pytest.raises(InvalidRegistryError) as caught:
            registry.validate()
        errors.append(caught.value)

        assert SECRET not in collect_texts(errors)

    @pytest.mark.parametrize(
        "attempt",
        [
            lambda registry: registry.register_factory(Database, Secret()),
            lambda registry: registry.register_factory(Database, SECRET),
            lambda registry: registry.override_factory(Database, Secret()).__enter__(),
            lambda registry: registry.container().register_local_factory(Database, Secret()),
            lambda registry: registry.register_value(Database, Secret(), ping=SECRET),
            lambda registry: registry.register_value(
                Database, Secret(), on_registry_close=SECRET
            ),
            lambda registry: registry.register_value([], Secret()),
        ],
    )
    def test_of_what_was_registered_wrongly(self, registry, attempt):
        """A value that was taken for a factory is not printed either."""
        with pytest.raises((InvalidRegistrationError, InvalidLifetimeError)) as caught:
            attempt(registry)

        assert SECRET not in collect_texts([caught.value])

    @pytest.mark.parametrize(
        "factory",
        [
            functools.partial(with_a_secret_first, SECRET),
            functools.partial(with_a_secret_first, Secret()),
            functools.partial(with_a_secret_last, secret=SECRET),
            functools.partial(Maker()),
            Maker().make,
            Maker(),
            with_a_secret_last,
        ],
        ids=["partial", "object", "keyword", "partial of one", "method", "callable", "default"],
    )
    async def test_of_what_a_factory_holds(self, way, registry, container, factory):
        """A factory that holds a secret is named by its code, not by its content."""
        registry.register_factory(Database, factory)
        registry.register_factory(Repository, Repository)
        errors = []
        for attempt in [
            lambda: way.get(container, Repository),
            lambda: way.get(registry.container(), Database),
            lambda: asyncio.to_thread(registry.validate),
        ]:
            try:
                await attempt()
            except WaresError as error:
                errors.append(error)
        shown = collect_texts([*errors, registry, registry.graph(), registry.graph().to_dict()])

        assert SECRET not in shown + registry.graph().to_mermaid() + registry.graph().to_dot()

    async def test_of_logs_and_warnings(self, way, registry, caplog):
        """No log line and no warning shows a service."""

        def failing(settings: Settings):
            try:
                yield Secret()
            except Boom:
                raise OSError("disk") from None

        registry.register_factory(Database, failing)
        with caplog.at_level(logging.DEBUG), pytest.raises(OSError, match="disk") as caught:
            await way.within(registry.container(), _get_and_fail)
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            container = registry.container()
            container.get(Database)
            del container
            gc.collect()

        shown = caplog.text + str(caplog.records) + collect_texts([caught.value])
        shown += "".join(str(warning.message) for warning in warned)
        assert "disk" in shown
        assert SECRET not in shown


def _get_and_fail(container):
    container.get(Database)
    raise Boom


class TestErrorsAsObjects:
    @pytest.fixture
    def errors(self, registry):
        """Return one error of each kind that the core raises, as it was raised."""
        container = registry.container()
        registry.register_factory(Needy, make_needy)
        registry.register_factory(Database, connect)
        registry.register_factory(Repository, Repository, lifetime="singleton")
        registry.register_factory(Cache, _needing(Cache))
        registry.register_factory(Mailer, unresolvable)
        errors = []
        for key in (Needy, Database, Repository, Cache, Mailer):
            with pytest.raises(WaresError) as caught:
                container.get(key)
            errors.append(caught.value)
        container.close()
        with pytest.raises(WaresError) as caught:
            container.get(Database)
        return [*errors, caught.value]

    def test_their_texts_are_whole(self, errors):
        """Every error has a text and a repr of its own, which say the same again and again."""
        texts = [str(error) for error in errors]

        assert len(errors) == len(set(texts))
        assert texts == [str(error) for error in errors]
        assert all(repr(error).startswith(type(error).__name__) for error in errors)

    @pytest.mark.parametrize(
        "duplicate", [copy.copy, lambda it: pickle.loads(pickle.dumps(it))]
    )
    def test_they_can_be_copied(self, errors, duplicate):
        """Errors cross process borders: pytest-xdist and job queues pickle them."""
        copies = [duplicate(error) for error in errors]

        assert list(map(str, errors)) == list(map(str, copies))
        assert list(map(type, errors)) == list(map(type, copies))

    def test_groups_can_be_split(self, registry):
        """`except*` and `split` keep the kind of our groups."""
        registry.register_factory(Needy, make_needy)
        registry.register_factory(Mailer, unresolvable)
        with pytest.raises(InvalidRegistryError) as caught:
            registry.validate()

        missing, rest = caught.value.split(ServiceNotFoundError)

        assert (InvalidRegistryError, InvalidRegistryError) == (type(missing), type(rest))
        assert (1, 1) == (len(missing.exceptions), len(rest.exceptions))
