"""What a hostile review has broken: rare moments between two threads or tasks."""

import threading

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


def wait_for_waiter(container, key):
    """Wait until somebody waits for *key*."""
    pause = threading.Event()
    while not container._made[key].waiters:
        assert not pause.wait(0.001)


def test_waiters_hear_of_a_failure_after_the_owner_has_closed(registry):
    """What waits for a service of the outermost container ends with it (2 and 18)."""
    held = Held(ValueError("no"))
    registry.register_factory(Key, held, lifetime="connection")
    parent = registry.container()
    first, second = parent.child(), parent.child()

    def close():
        assert held.entered.wait(SECONDS)
        wait_for_waiter(parent, Key)
        parent.close()
        held.released.set()

    def ask_second():
        assert held.entered.wait(SECONDS)
        return outcome_of(second.get, Key)

    outcomes = in_threads(lambda: outcome_of(first.get, Key), ask_second, close)

    assert outcomes == [ValueError, ValueError, None]
