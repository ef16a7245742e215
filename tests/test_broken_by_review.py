"""What a hostile review has broken: rare moments between two threads or tasks."""

import threading
import time

import pytest

from tests.support.deadline import SECONDS, in_threads


class Key:
    """What is asked for."""


class Other:
    """What else is asked for."""


class Held:
    """A factory that waits until it is let on, and then returns or raises *outcome*."""

    def __init__(self, outcome):
        self.outcome = outcome
        self.runs = 0
        self.entered = threading.Event()
        self.released = threading.Event()

    def __call__(self):
        self.runs += 1
        self.entered.set()
        assert self.released.wait(SECONDS)
        if isinstance(self.outcome, BaseException):
            raise self.outcome
        return self.outcome


def outcome_of(function, *arguments):
    """Call *function*; give what it returns, or the class of what it raises."""
    try:
        return function(*arguments)
    except Exception as error:
        return type(error)


def test_waiters_hear_of_a_failure_after_the_owner_has_closed(registry):
    """What waits for a service of the outermost container ends with it (2 and 18)."""
    held = Held(ValueError("no"))
    registry.register_factory(Key, held, lifetime="connection")
    parent = registry.container()
    first, second = parent.child(), parent.child()

    def close():
        assert held.entered.wait(SECONDS)
        time.sleep(0.05)
        parent.close()
        held.released.set()

    def ask_second():
        assert held.entered.wait(SECONDS)
        return outcome_of(second.get, Key)

    outcomes = in_threads(lambda: outcome_of(first.get, Key), ask_second, close)

    assert outcomes == [ValueError, ValueError, None]


@pytest.mark.parametrize("lifetime", ["value", "connection", "singleton"])
def test_a_key_that_is_registered_anew_while_it_is_made(registry, lifetime):
    """Whoever asks meanwhile gets the service of the container that makes it (1 and 4)."""
    held = Held(Key())
    registry.register_factory(Key, held)
    parent = registry.container()
    container = parent.child()

    def register_and_ask():
        assert held.entered.wait(SECONDS)
        if lifetime == "value":
            registry.register_value(Key, Key())
        else:
            registry.register_factory(Key, Key, lifetime=lifetime)
        # The second time, everything is linked.
        threading.Timer(0.05, held.released.set).start()
        return container.get(Key), container.get(Key)

    outcomes = in_threads(lambda: container.get(Key), register_and_ask)

    assert outcomes == [held.outcome, (held.outcome, held.outcome)]


def test_a_value_that_is_registered_while_its_key_is_made(registry):
    """Also where the value was asked for elsewhere before."""
    held = Held(Key())
    registry.register_factory(Key, held)
    container = registry.container()
    value = Key()

    def register_and_ask():
        assert held.entered.wait(SECONDS)
        registry.register_value(Key, value)
        threading.Timer(0.05, held.released.set).start()
        return registry.container().get(Key), container.get(Key)

    outcomes = in_threads(lambda: container.get(Key), register_and_ask)

    assert outcomes == [held.outcome, (value, held.outcome)]


def test_an_override_that_ends_while_its_singleton_is_made(registry):
    """The singleton from before is taken up again, and stays (1 and 24)."""
    made = []
    registry.register_factory(Key, lambda: made.append(1) or Key(), lifetime="singleton")
    before = registry.container().get(Key)
    held = Held(Key())
    thread = threading.Thread(target=lambda: registry.container().get(Key))
    with registry.override_factory(Key, held, lifetime="singleton"):
        thread.start()
        assert held.entered.wait(SECONDS)

    held.released.set()
    thread.join(SECONDS)
    after = [registry.container().get(Key) for _ in range(2)]

    assert ([before, before], [1]) == (after, made)
