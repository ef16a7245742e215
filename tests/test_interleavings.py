"""Whatever another thread does in the very middle of something, at any line (1, 2, 15 and 22).

Stress tests meet a race now and then; these go to every line of ours on purpose.
"""

import threading
import time

import pytest

from tests.support.interleaving import SECONDS, Halt, explore
from tests.support.services import Database, Engine, Repository, Session, Shop
from wares import ContainerClosedError, Registry, WaresError


class Scene:
    """A registry that counts, with containers, used before as often as a test wants."""

    def __init__(self, uses, *keys):
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
        self.warm(uses, [key for key in keys if key is not Engine])

    def warm(self, uses, keys):
        """Use *keys* in containers and in children."""
        for _ in range(uses):
            for key in keys:
                with self.registry.container() as container:
                    container.get(key)
                with self.registry.container() as container, container.child() as child:
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
        """Close everything, and see that whatever was entered was left, once, in reverse."""
        for container in containers:
            container.close()
        self.registry.close()
        assert sorted(map(str, self.entered)) == sorted(map(str, self.left))


#: As few as make a key hot: every scene is warmed anew.
USES_OF_HOT = 18
USES = pytest.mark.parametrize("uses", [0, USES_OF_HOT], ids=["cold", "hot"])


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
#: What two threads ask for, and which of it was asked for often before.
QUESTIONS = [
    pytest.param(first, second, warm, id=f"{number}, {len(warm)} warm")
    for number, (first, second) in enumerate(PAIRS)
    for warm in ([], [*first, *second], first, second)
    if warm in ([], [*first, *second]) or first != second
]


@pytest.mark.parametrize(("first_keys", "second_keys", "warm_keys"), QUESTIONS)
def test_get_and_get(first_keys, second_keys, warm_keys):
    """Two threads that ask one container share what they make, and make it once."""
    shared = Scene(USES_OF_HOT, *warm_keys)

    def prepare():
        scene = shared
        if Engine in first_keys:
            scene = Scene(USES_OF_HOT, *warm_keys)
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

    assert explore(prepare) > 10
    shared.close()


def test_get_while_a_plan_publishes():
    """Wherever a thread is as a plan publishes what it asks for, it gets that very thing."""
    gates = []

    def make():
        if gates:
            inside, gate = gates
            inside.set()
            gate.wait(SECONDS)
        return Database()

    registry = Registry()
    registry.register_factory(Database, make)
    registry.register_factory(Repository, Repository)
    registry.register_factory(Shop, Shop)
    for _ in range(USES_OF_HOT):
        with registry.container() as container:
            container.get(Shop)
    for line in range(1, 200):
        gates[:] = inside, gate = threading.Event(), threading.Event()
        container = registry.container()
        shops, asked = [], {}
        planned = threading.Thread(target=lambda: shops.append(container.get(Shop)))  # noqa: B023  # it ends in this round
        planned.start()
        inside.wait(SECONDS)
        halt = Halt(line)
        asking = threading.Thread(
            target=halt.run,
            args=(lambda: container.get(Database), asked),  # noqa: B023  # it ends in this round
        )
        asking.start()
        halt.reached.wait(0.05)
        gate.set()
        while Database not in container:
            time.sleep(0)
        halt.go_on.set()
        planned.join(SECONDS)
        asking.join(SECONDS)

        assert shops[0].repository.database is asked["first"]
        container.close()
        if len(halt.seen) < line:
            break

    assert line > 20
    registry.close()


@USES
@pytest.mark.parametrize("key", [Engine, "connection"])
def test_get_in_two_containers(uses, key):
    """Two threads with containers, or children, of their own share what lives longer."""

    def prepare():
        scene = Scene(uses, key)
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

    assert explore(prepare) > 10


@USES
@pytest.mark.parametrize("key", [Session, Shop, Engine, "connection"])
@pytest.mark.parametrize("closes_first", [False, True])
def test_get_and_close(uses, key, closes_first):
    """A service that is made while another thread closes is handed out or refused, never leaked."""
    shared = Scene(uses, key)

    def prepare():
        scene = Scene(uses, key) if key is Engine else shared
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

    assert explore(prepare) > 5
    shared.close()


@USES
def test_close_and_close(uses):
    """Two threads that close one container run each cleanup once."""
    scene = Scene(uses, Session)

    def prepare():
        scene.forget()
        container = scene.registry.container()
        container.get(Session, "connection")
        container.child().get(Session)

        def check(first, second):
            assert (None, None) == (first, second)
            assert 3 == len(scene.left)

        return container.close, container.close, check

    assert explore(prepare) > 5
    scene.close()


@USES
def test_reset_and_get(uses):
    """A service that is made while another thread resets belongs to before or to after."""
    scene = Scene(uses, Session)

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

    assert explore(prepare) > 5
    scene.close()


@USES
@pytest.mark.parametrize("closes_first", [False, True])
def test_child_and_close(uses, closes_first):
    """A child that is opened while its parent closes is refused, or closed with it."""
    scene = Scene(uses, Session)

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

    assert explore(prepare) > 5
    scene.close()


@pytest.mark.parametrize("has_made", [False, True])
def test_child_and_aclose(has_made):
    """The same where the parent is closed in an event loop."""
    scene = Scene(0)

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

    assert explore(prepare) > 5
    scene.close()


def test_registry_close_and_close():
    """Two threads that close one registry run each cleanup once."""

    def prepare():
        scene = Scene(0)
        closed = []
        scene.registry.register_value("value", 1, on_registry_close=lambda: closed.append(1))
        scene.registry.container().get(Engine)

        def check(first, second):
            assert (None, None, [1], 1) == (first, second, closed, len(scene.left))

        return scene.registry.close, scene.registry.close, check

    assert explore(prepare) > 5


@USES
@pytest.mark.parametrize("closes_first", [False, True])
def test_registry_close_and_singleton(uses, closes_first):
    """A singleton that is made while its registry closes is refused, or closed with it."""

    def prepare():
        scene = Scene(uses)
        container = scene.registry.container()

        def check(first, second):
            closed, got = (first, second) if closes_first else (second, first)
            assert None is closed
            assert not isinstance(got, BaseException) or isinstance(got, WaresError)
            assert sorted(map(str, scene.entered)) == sorted(map(str, scene.left))
            container.close()

        functions = [lambda: container.get(Engine), scene.registry.close]
        return *(functions[::-1] if closes_first else functions), check

    assert explore(prepare) > 5


@USES
@pytest.mark.parametrize("registers_first", [False, True])
def test_get_and_register(uses, registers_first):
    """Whoever asks after a registration gets what was registered last."""

    def prepare():
        scene = Scene(uses, Shop)
        container = scene.registry.container()

        def register():
            scene.registry.register_factory(Database, lambda: "new")
            with scene.registry.container() as fresh:
                return fresh.get(Shop).repository.database

        def check(first, second):
            registered, got = (first, second) if registers_first else (second, first)
            assert "new" == registered
            assert got.repository.database is container.get(Database)
            for _ in range(uses):
                with scene.registry.container() as fresh:
                    assert "new" == fresh.get(Shop).repository.database
            scene.close(container)

        functions = [lambda: container.get(Shop), register]
        return *(functions[::-1] if registers_first else functions), check

    assert explore(prepare) > 5


@USES
@pytest.mark.parametrize("overrides_first", [False, True])
@pytest.mark.parametrize("lifetime", ["scoped", "singleton"])
def test_get_and_override(uses, overrides_first, lifetime):
    """An override that comes and goes meanwhile counts within its block, and leaves no trace."""

    def prepare():
        scene = Scene(uses)
        registry = scene.registry
        registry.register_factory(Database, scene.counted(Database), lifetime="singleton")
        registry.register_factory(Repository, Repository, lifetime=lifetime)
        with registry.container() as container:
            before = container.get(Shop).repository.database
        for _ in range(uses):
            with registry.container() as container:
                container.get(Shop)

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

    assert explore(prepare) > 5


@USES
def test_get_and_local_registration(uses):
    """A local registration that comes meanwhile counts for what is not made yet."""
    scene = Scene(uses, Shop)

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

    assert explore(prepare) > 5
    scene.close()


@USES
def test_close_and_another_container(uses):
    """What is made as its container closes does not come into one that is opened right then."""
    scene = Scene(uses, Session)

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

    assert explore(prepare) > 5
    scene.close()


def test_a_plan_that_ends_while_another_begins():
    """A record goes on to the next plan, also where somebody waits for the first one."""
    gates = []

    def wait(number):
        if gates:
            gates[number].set()
            gates[number + 1].wait(SECONDS)
        return number

    def make():
        wait(0)
        return Database()

    scene = Scene(0)
    scene.registry.register_factory(Database, make)
    scene.registry.register_factory("slow", lambda: wait(2))
    scene.registry.register_factory("waits", lambda wares_container: wares_container.get(Shop))
    scene.warm(USES_OF_HOT, [Shop])
    scene.warm(USES_OF_HOT, ["slow"])
    for line in range(1, 200):
        gates[:] = [threading.Event() for _ in range(4)]
        container = scene.registry.container()
        got = {}
        halt = Halt(line)
        planned = threading.Thread(
            target=halt.run, args=(lambda it=container: it.get(Shop), got), daemon=True
        )
        waiting, asking = (
            threading.Thread(
                target=lambda key=key, it=container, got=got: got.update({key: it.get(key)}),
                daemon=True,
            )
            for key in ("waits", "slow")
        )
        planned.start()
        gates[0].wait(0.02)
        waiting.start()
        waiting.join(0.002)
        gates[1].set()
        halt.reached.wait(SECONDS)
        asking.start()
        gates[2].wait(0.02)
        halt.go_on.set()
        planned.join(0.002)
        gates[3].set()
        for thread in (planned, waiting, asking):
            thread.join(SECONDS)

        assert got["first"] is got["waits"] is container.get(Shop)
        assert 2 == got["slow"] == container.get("slow")
        container.close()
        if len(halt.seen) < line:
            break

    assert line > 15
    scene.registry.close()
