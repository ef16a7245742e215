"""Another thread does something in the very middle of a call, at any line.

Stress tests meet a race now and then; these go to every line of ours on purpose.
"""

import contextlib

import pytest

from tests.support.interleaving import explore, explore_pairs
from tests.support.services import Database, Engine, Repository, Session, Shop
from wares import ContainerClosedError, Registry, WaresError


class Scene:
    """A registry that counts, whose *keys* were asked for before."""

    def __init__(self, *keys):
        self.runs = {}
        self.entered = []
        self.left = []
        self.registry = Registry()
        self.registry.register_factory(Engine, self.generator(Engine), lifetime="singleton")
        self.registry.register_factory(
            "connection", self.generator("connection"), lifetime="connection"
        )
        self.registry.register_factory(Database, self.counted(Database))
        self.registry.register_factory(Repository, Repository)
        self.registry.register_factory(Shop, Shop)
        self.registry.register_factory(Session, self.session)
        for key in keys:
            with self.registry.container() as container, container.child() as child:
                if key is not Engine:
                    child.get(key)
        self.forget()

    def forget(self):
        """Count from the beginning."""
        self.runs.clear()
        self.entered.clear()
        self.left.clear()

    def count(self, key):
        self.runs[key] = self.runs.get(key, 0) + 1

    def counted(self, kind):
        def make():
            self.count(kind)
            return kind()

        return make

    def generator(self, key):
        def make():
            self.count(key)
            service = object()
            self.entered.append((key, id(service)))
            try:
                yield service
            finally:
                self.left.append((key, id(service)))

        return make

    def session(self, database: Database):
        self.count(Session)
        self.entered.append((Session, id(database)))
        try:
            yield database
        finally:
            self.left.append((Session, id(database)))

    def close(self, *containers):
        """Close everything; check that each entered service was left, once, in reverse."""
        for container in containers:
            container.close()
        self.registry.close()
        assert sorted(map(str, self.entered)) == sorted(map(str, self.left))


PAIRS = [
    ([Database], [Database]),
    ([Shop], [Shop]),
    ([Shop], [Database]),
    ([Database], [Shop]),
    ([Shop], [Repository, Session]),
    ([Session], [Session]),
    ([Engine], [Engine]),
    (["connection"], ["connection"]),
    ([Session, Engine], [Engine, Session]),
]
#: What two threads ask for, and whether it is asked for the first time in this registry.
QUESTIONS = [
    pytest.param(first, second, is_first, id=f"{number}{', first time' * is_first}")
    for number, (first, second) in enumerate(PAIRS)
    for is_first in (False, True)
]


@pytest.mark.parametrize(("first_keys", "second_keys", "is_first"), QUESTIONS)
def test_get_and_get(first_keys, second_keys, is_first):
    """Two threads that ask one container share what they make, and make it once."""
    keys = () if is_first else (*first_keys, *second_keys)
    shared = Scene(*keys)

    def prepare():
        scene = Scene(*keys) if is_first or Engine in first_keys else shared
        scene.forget()
        container = scene.registry.container()

        def ask(keys):
            return dict(zip(keys, [container.get(key) for key in keys], strict=True))

        def check(first, second):
            services = {
                key: container.get(key) for key in (Database, *first_keys, *second_keys)
            }
            assert first.items() <= services.items()
            assert second.items() <= services.items()
            assert {1} == set(scene.runs.values())
            if Shop in services:
                assert services[Database] is services[Shop].repository.database
            container.close()
            if scene is not shared:
                scene.close()

        return lambda: ask(first_keys), lambda: ask(second_keys), check

    assert explore(prepare) > 3
    shared.close()


@pytest.mark.parametrize("key", [Engine, "connection"])
def test_get_in_two_containers(key):
    """Two threads with containers, or children, of their own share what lives longer."""

    def prepare():
        scene = Scene(key)
        parent = scene.registry.container()
        if key is Engine:
            containers = [scene.registry.container(), scene.registry.container()]
        else:
            containers = [parent.child(), parent.child()]

        def check(first, second):
            assert first is second
            assert {key: 1} == scene.runs
            scene.close(*containers, parent)

        return (
            lambda: containers[0].get(key),
            lambda: containers[1].get(key),
            check,
        )

    assert explore(prepare) > 3


@pytest.mark.parametrize("key", [Session, Shop, Engine, "connection"])
@pytest.mark.parametrize("closes_first", [False, True])
def test_get_and_close(key, closes_first):
    """A service that is made while another thread closes is handed out or refused, never leaked."""
    shared = Scene(key)

    def prepare():
        scene = Scene(key) if key is Engine else shared
        scene.forget()
        container = scene.registry.container()
        container.get(Database)

        def check(first, second):
            closed, got = (first, second) if closes_first else (second, first)
            assert None is closed
            assert not isinstance(got, BaseException) or isinstance(got, ContainerClosedError)
            with pytest.raises(ContainerClosedError):
                container.get(key)
            if key is Engine:
                scene.close()
            assert sorted(map(str, scene.entered)) == sorted(map(str, scene.left))

        functions = [lambda: container.get(key), container.close]
        return *(functions[::-1] if closes_first else functions), check

    assert explore(prepare) > 2
    shared.close()


def test_note_a_cleanup_and_close():
    """A cleanup that is noted next to others, while another thread runs those, runs as well."""
    scene = Scene(Session)

    def prepare():
        scene.forget()
        container = scene.registry.container()
        container.get("connection")

        def check(got, closed):
            assert None is closed
            assert not isinstance(got, BaseException) or isinstance(got, ContainerClosedError)
            assert sorted(map(str, scene.entered)) == sorted(map(str, scene.left))

        return lambda: container.get(Session), container.close, check

    assert explore(prepare, "instruction") > 50
    scene.close()


@pytest.mark.parametrize("awaits", [False, True])
@pytest.mark.parametrize("others", [[], ["connection"]])
def test_close_while_a_cleanup_is_noted(others, awaits):
    """Of the thread that closes and the one that notes a cleanup too late, one runs it."""
    scene = Scene(Session)

    def prepare():
        scene.forget()
        container = scene.registry.container()
        services = [container.get(key) for key in (Database, *others)]

        def aclose():
            # It waits for nothing, so it needs no event loop.
            with contextlib.suppress(StopIteration):
                container.aclose().send(None)

        def check(got, closed):
            assert None is closed
            assert got is services[0] or isinstance(got, ContainerClosedError)
            assert sorted(map(str, scene.entered)) == sorted(map(str, scene.left))

        return lambda: container.get(Session), aclose if awaits else container.close, check

    assert explore_pairs(prepare) > 100
    scene.close()


@pytest.mark.parametrize("place", ["line", "instruction"])
def test_close_and_close(place):
    """Two threads that close one container run each cleanup once."""
    scene = Scene(Session)

    def prepare():
        scene.forget()
        container = scene.registry.container()
        container.get(Session, "connection")
        container.child().get(Session)

        def check(first, second):
            assert (None, None) == (first, second)
            assert 3 == len(scene.left)

        return container.close, container.close, check

    assert explore(prepare, place) > 2
    scene.close()


def test_reset_and_get():
    """A service that is made while another thread resets belongs to before or to after."""
    scene = Scene(Session)

    def prepare():
        scene.forget()
        container = scene.registry.container()
        container.get(Session)

        def check(first, second):
            assert None is first
            assert not isinstance(second, BaseException) or isinstance(
                second, ContainerClosedError
            )
            assert container.get(Session) is container.get(Database)
            container.close()
            assert sorted(map(str, scene.entered)) == sorted(map(str, scene.left))

        return container.reset, lambda: container.get(Session), check

    assert explore(prepare) > 2
    scene.close()


@pytest.mark.parametrize("closes_first", [False, True])
def test_child_and_close(closes_first):
    """A child that is opened while its parent closes is refused, or closed with it."""
    scene = Scene(Session)

    def prepare():
        scene.forget()
        parent = scene.registry.container()
        parent.get("connection")

        def use_child():
            return parent.child().get(Session)

        def check(first, second):
            closed, got = (first, second) if closes_first else (second, first)
            assert None is closed
            assert not isinstance(got, BaseException) or isinstance(got, ContainerClosedError)
            assert sorted(map(str, scene.entered)) == sorted(map(str, scene.left))

        functions = [use_child, parent.close]
        return *(functions[::-1] if closes_first else functions), check

    assert explore(prepare) > 2
    scene.close()


@pytest.mark.parametrize("has_made", [False, True])
def test_child_and_aclose(has_made):
    """A child is used while its parent is closed in an event loop."""
    scene = Scene()

    def prepare():
        scene.forget()
        parent = scene.registry.container()
        if has_made:
            parent.get("connection")
        closing = parent.aclose()

        def check(closed, got):
            assert None is closed
            assert not isinstance(got, BaseException) or isinstance(got, ContainerClosedError)
            assert sorted(map(str, scene.entered)) == sorted(map(str, scene.left))

        def aclose():
            # It waits for nothing, so it needs no event loop.
            with pytest.raises(StopIteration):
                closing.send(None)

        return aclose, lambda: parent.child().get(Session), check

    assert explore(prepare) > 2
    scene.close()


def test_registry_close_and_close():
    """Two threads that close one registry run each cleanup once."""

    def prepare():
        scene = Scene()
        closed = []
        scene.registry.register_value("value", 1, on_registry_close=lambda: closed.append(1))
        scene.registry.container().get(Engine)

        def check(first, second):
            assert (None, None, [1], 1) == (first, second, closed, len(scene.left))

        return scene.registry.close, scene.registry.close, check

    assert explore(prepare) > 2


@pytest.mark.parametrize("closes_first", [False, True])
def test_registry_close_and_singleton(closes_first):
    """A singleton that is made while its registry closes is refused, or closed with it."""

    def prepare():
        scene = Scene()
        container = scene.registry.container()

        def check(first, second):
            closed, got = (first, second) if closes_first else (second, first)
            assert None is closed
            assert not isinstance(got, BaseException) or isinstance(got, WaresError)
            assert sorted(map(str, scene.entered)) == sorted(map(str, scene.left))
            container.close()

        functions = [lambda: container.get(Engine), scene.registry.close]
        return *(functions[::-1] if closes_first else functions), check

    assert explore(prepare) > 2


@pytest.mark.parametrize("registers_first", [False, True])
def test_get_and_register(registers_first):
    """A `get` that comes after a registration returns the service registered last."""

    def prepare():
        scene = Scene(Shop)
        container = scene.registry.container()

        def register():
            scene.registry.register_factory(Database, lambda: "new")
            with scene.registry.container() as fresh:
                return fresh.get(Shop).repository.database

        def check(first, second):
            registered, got = (first, second) if registers_first else (second, first)
            assert "new" == registered
            assert got.repository.database is container.get(Database)
            with scene.registry.container() as fresh:
                assert "new" == fresh.get(Shop).repository.database
            scene.close(container)

        functions = [lambda: container.get(Shop), register]
        return *(functions[::-1] if registers_first else functions), check

    assert explore(prepare) > 2


@pytest.mark.parametrize("overrides_first", [False, True])
@pytest.mark.parametrize("lifetime", ["scoped", "singleton"])
def test_get_and_override(overrides_first, lifetime):
    """An override that comes and goes meanwhile counts within its block, and leaves no trace."""

    def prepare():
        scene = Scene()
        registry = scene.registry
        registry.register_factory(Database, scene.counted(Database), lifetime="singleton")
        registry.register_factory(Repository, Repository, lifetime=lifetime)
        with registry.container() as container:
            before = container.get(Shop).repository.database

        def ask():
            with registry.container() as container:
                return container.get(Shop).repository.database

        def override():
            with registry.override_value(Database, "override"):
                return [ask(), ask()]

        def check(first, second):
            within, got = (first, second) if overrides_first else (second, first)
            assert ["override", "override"] == within
            # Who had looked up the registration before the override may still make it within.
            assert "override" == got or isinstance(got, Database)
            assert [before] * 2 == [ask(), ask()]
            scene.close()

        functions = [ask, override]
        return *(functions[::-1] if overrides_first else functions), check

    assert explore(prepare) > 2


def test_get_and_local_registration():
    """A local registration made during a `get` counts for services not made yet."""
    scene = Scene(Shop)

    def prepare():
        container = scene.registry.container()

        def check(first, second):
            assert None is second
            assert first.repository.database is container.get(Database)
            container.close()

        return (
            lambda: container.get(Shop),
            lambda: container.register_local_value(Database, "local"),
            check,
        )

    assert explore(prepare) > 2
    scene.close()


def test_local_registration_and_close():
    """A local registration is refused as its container closes, or its callback is called."""
    registry = Registry()

    def prepare():
        container = registry.container()
        called = []

        def check(registered, closed):
            assert None is closed
            if registered is None:
                assert ["called"] == called
            else:
                assert ([], True) == (called, isinstance(registered, ContainerClosedError))

        return (
            lambda: container.register_local_value(
                str, "local", on_registry_close=lambda: called.append("called")
            ),
            container.close,
            check,
        )

    assert explore(prepare) > 10


def test_close_and_another_container():
    """A service made as its container closes does not get into a container opened right then."""
    scene = Scene(Session)

    def prepare():
        scene.forget()
        container = scene.registry.container()
        # So that there is something to close, and a list that could go on to the next one; and kept
        # here, so that nothing else gets its identity.
        sessions = [container.get(Session)]

        def close_and_open():
            container.close()
            with scene.registry.container() as other:
                sessions.append(other.get(Session))
                return (Session, id(sessions[-1])) in scene.left

        def check(first, second):
            assert False is second
            assert not isinstance(first, BaseException) or isinstance(
                first, ContainerClosedError
            )
            assert sorted(map(str, scene.entered)) == sorted(map(str, scene.left))

        return lambda: container.get("connection"), close_and_open, check

    assert explore(prepare) > 2
    scene.close()


def naming(word):
    """Make a decorator that puts *word* in front of a text."""

    def decorate(service: str):
        return f"{word} {service}"

    return decorate


def test_decorate_and_decorate():
    """Of two decorators that are registered at the same time, none is lost."""

    def prepare():
        registry = Registry()
        registry.register_value(str, "service")

        def check(first, second):
            assert (None, None) == (first, second)
            with registry.container() as container:
                assert container.get(str) in ("a b service", "b a service")

        return (
            lambda: registry.decorate(str, naming("a")),
            lambda: registry.decorate(str, naming("b")),
            check,
        )

    assert explore(prepare) > 10


@pytest.mark.parametrize("registers_first", [False, True])
def test_decorate_and_register(registers_first):
    """A registration made while its key is decorated wins, decorated or not."""

    def prepare():
        registry = Registry()
        registry.register_value(str, "service")

        def check(first, second):
            assert (None, None) == (first, second)
            with registry.container() as container:
                assert container.get(str) in ("new", "good new")

        functions = [
            lambda: registry.decorate(str, naming("good")),
            lambda: registry.register_value(str, "new"),
        ]
        return *(functions[::-1] if registers_first else functions), check

    assert explore(prepare) > 10


def test_add_and_add():
    """Two services that are added to one key at the same time are both there."""

    def prepare():
        registry = Registry()

        def check(first, second):
            assert (None, None) == (first, second)
            with registry.container() as container:
                assert ["a", "b"] == sorted(container.get(list[str]))

        return (
            lambda: registry.add_value(str, "a"),
            lambda: registry.add_value(str, "b"),
            check,
        )

    assert explore(prepare, "instruction") > 100


def test_observe_and_observe():
    """Two observers that begin at the same time are both told, and not after they have ended."""

    class Observer:
        def __init__(self):
            self.made_keys = []

        def made(self, key, lifetime, duration):
            self.made_keys.append(key)

    def prepare():
        registry = Registry()
        registry.register_factory(Database, Database)
        observers = [Observer(), Observer(), Observer()]
        stop = registry.observe(observers[2])

        def observe_and_stop():
            registry.observe(observers[0])
            stop()

        def check(first, second):
            assert None is first
            with registry.container() as container:
                container.get(Database)
            assert [[Database], [Database], []] == [one.made_keys for one in observers]

        return observe_and_stop, lambda: registry.observe(observers[1]), check

    assert explore(prepare, "instruction") > 100


def test_record_and_record():
    """A recording that begins as another one ends records what is asked for after that."""

    def prepare():
        registry = Registry()
        registry.register_factory(list, lambda wares_container: [wares_container.get(int)])
        registry.register_factory(int, int)
        recording = registry.record()

        def record_nothing():
            with registry.record():
                pass

        def check(first, second):
            assert (None, None) == (first, second)
            with registry.container() as container:
                container.get(list)
            recording.__exit__(None, None, None)
            edges = [(edge.source, edge.target) for edge in registry.graph().edges]
            assert [("list", "int")] == edges

        return record_nothing, recording.__enter__, check

    assert explore(prepare) > 5


def test_start_and_start():
    """If one of two starts succeeds, everything is made; if none does, nothing is left open."""

    def prepare():
        scene = Scene()
        registry = scene.registry
        fails = [True]

        def make():
            if fails:
                fails.clear()
                raise ValueError
            return "made"

        options = {"lifetime": "singleton", "eager": True}
        registry.register_factory(Engine, scene.generator(Engine), **options)
        registry.register_factory("last", make, **options)

        def check(*outcomes):
            assert ValueError in map(type, outcomes)
            assert (None in outcomes) == (len(scene.entered) > len(scene.left))
            registry.start()
            assert "made" == registry.container().get("last")
            scene.close()

        return registry.start, registry.start, check

    assert explore(prepare) > 10


def test_start_and_registry_close():
    """A start that fails while its registry closes runs each cleanup once, or the registry does."""

    def prepare():
        scene = Scene()

        def fail():
            raise ValueError

        options = {"lifetime": "singleton", "eager": True}
        scene.registry.register_factory(Engine, scene.generator(Engine), **options)
        scene.registry.register_factory("last", fail, **options)

        def check(started, closed):
            assert isinstance(started, ValueError | WaresError)
            assert None is closed
            assert sorted(map(str, scene.entered)) == sorted(map(str, scene.left))

        return scene.registry.start, scene.registry.close, check

    assert explore(prepare) > 10
