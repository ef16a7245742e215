"""A signal handler that raises, at every moment at which Python lets one run.

At any of these moments, no thread waits for ever afterwards, and the registry works.
"""

import collections
import contextlib
import sys
import threading
from pathlib import Path

import pytest

import wares
from tests.support.deadline import in_threads
from tests.support.services import Database, Repository
from wares import Registry

pytestmark = pytest.mark.skipif(
    sys.version_info < (3, 12), reason="Python tells of these moments from 3.12 on"
)

FOLDER = str(Path(wares.__file__).parent)
#: A number for `sys.monitoring` that neither debuggers, nor coverage, nor profilers use.
TOOL = 3


class Interrupt(BaseException):
    """The exception that a signal handler raises, as for Ctrl+C."""


@contextlib.contextmanager
def interrupted_at(number):
    """Raise in this thread when Python could run signal handlers for the *number*-th time.

    That is where a loop begins its next round, and where a function begins.
    """
    thread = threading.get_ident()
    seen = []
    monitoring = sys.monitoring
    events = monitoring.events.JUMP | monitoring.events.PY_START

    def note(code, offset, destination=0):
        is_ours = code.co_filename.startswith(FOLDER) or "of wares" in code.co_filename
        if not is_ours:
            return monitoring.DISABLE
        # An exception out of a finalizer reaches nobody.
        if (
            threading.get_ident() == thread
            and destination <= offset
            and code.co_name != "__del__"
        ):
            seen.append(code)
            if len(seen) == number:
                raise Interrupt
        return None

    monitoring.use_tool_id(TOOL, "interrupts")
    for event in (monitoring.events.JUMP, monitoring.events.PY_START):
        monitoring.register_callback(TOOL, event, note)
    monitoring.set_events(TOOL, events)
    try:
        yield seen
    finally:
        monitoring.set_events(TOOL, 0)
        monitoring.free_tool_id(TOOL)
        monitoring.restart_events()


def interrupt_everywhere(prepare):
    """Run what *prepare* gives, interrupted at one moment after the other; return how many."""
    number = 0
    while True:
        number += 1
        run, check = prepare()
        with interrupted_at(number) as seen, contextlib.suppress(Interrupt):
            run()
        assert [None] == in_threads(check, seconds=10), (number, seen[-1])
        if len(seen) < number:
            return number


def make_registry():
    """Make a registry with services of several kinds."""

    def generator():
        yield object()

    registry = Registry()
    registry.register_factory(Database, Database, lifetime="singleton")
    registry.register_factory("engine", generator, lifetime="singleton")
    registry.register_factory(Repository, Repository)
    registry.register_factory("session", generator)
    registry.register_factory(
        "shop", lambda wares_container: wares_container.get(Repository, "session", "engine")
    )
    return registry


def use(registry):
    """See that everything can be made and registered, and overridden."""
    with registry.container() as container, container.child() as child:
        child.get("shop")
        child.register_local_value(int, 1)
        assert 1 == child.get(int)
    with registry.override_value(Database, "fake"), registry.container() as container:
        assert "fake" == container.get(Repository).database
    registry.close()


def test_a_factory_that_fails():
    """A failed `get` gives up its claims, and nothing stays locked."""

    def prepare():
        registry = make_registry()

        def fail(repository: Repository):
            raise ValueError(repository)

        registry.register_factory("failing", fail)
        container = registry.container()
        container.get(Repository)

        def run():
            with pytest.raises(ValueError, match="Repository"):
                container.get("failing")

        def check():
            with pytest.raises(ValueError, match="Repository"):
                container.get("failing")
            container.close()
            use(registry)

        return run, check

    assert 20 < interrupt_everywhere(prepare)


def test_a_service_that_others_wait_for():
    """Threads that wait for an interrupted service make it themselves."""
    begun = collections.deque()

    def make(wares_container):
        if not begun:
            begun.append(threading.Event())
            threads[0].start()
            begun[0].wait(0.005)
        return wares_container.get(Repository)

    threads = []

    def prepare():
        registry = make_registry()
        registry.register_factory("slow", make)
        container = registry.container()
        container.get("session", Repository)
        begun.clear()
        found = []
        threads[:] = [
            threading.Thread(target=lambda: found.append(container.get("slow")), daemon=True)
        ]

        def check():
            if begun:
                threads[0].join(5)
                assert [container.get(Repository)] == found
            container.close()
            use(registry)

        return lambda: container.get("slow"), check

    assert 10 < interrupt_everywhere(prepare)


def test_a_registration():
    """Singletons that a registration outdates, and others, can be made again."""

    def prepare():
        registry = make_registry()
        with registry.container() as container:
            container.get("shop")

        def check():
            use(registry)

        return lambda: registry.register_factory(Database, Database), check

    assert 20 < interrupt_everywhere(prepare)


def test_a_local_registration():
    """Containers can go on with a local registration, or without it."""

    def prepare():
        registry = make_registry()
        container = registry.container({str: "given"})
        child = container.child()
        child.get("shop")

        def check():
            child.get("shop")
            container.register_local_factory(bytes, bytes)
            assert b"" == child.get(bytes)
            container.close()
            use(registry)

        def run():
            container.register_local_value(str, "local")
            container.register_local_factory(float, float)

        return run, check

    assert 20 < interrupt_everywhere(prepare)


def test_a_start_that_fails():
    """A service that a failed start has made can be made again."""

    def prepare():
        registry = make_registry()
        fails = [True]

        def make():
            if fails:
                raise ValueError("second")
            return 1

        registry.register_factory("first", Database, lifetime="singleton", eager=True)
        registry.register_factory("second", make, lifetime="singleton", eager=True)
        with registry.container() as container:
            container.get("engine")

        def run():
            with pytest.raises(ValueError, match="second"):
                registry.start()

        def check():
            fails.clear()
            registry.start()
            use(registry)

        return run, check

    assert 20 < interrupt_everywhere(prepare)
