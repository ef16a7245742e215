"""A process made by `os.fork` starts without its parent's singletons and claims.

Each test runs a program of its own: what threads a test run has must not matter.
"""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")

ROOT = Path(__file__).parent.parent
HEAD = """
import os, signal, sys, threading, time
from wares import Registry

registry = Registry()
entered, released = threading.Event(), threading.Event()

def in_child(work):
    # Run *work* in a child process; tell how it ended, "hung" if it did not.
    sys.stdout.flush()
    process = os.fork()
    if process == 0:
        signal.alarm(5)
        try:
            print(work(), flush=True)
        finally:
            os._exit(0)
    _, status = os.waitpid(process, 0)
    if os.WIFSIGNALED(status):
        print("hung", flush=True)
"""


def run(program, environment=None):
    """Run a program, and return the lines that it prints."""
    command = [sys.executable, "-W", "ignore:.*fork:DeprecationWarning", "-c"]
    answer = subprocess.run(
        [*command, HEAD + textwrap.dedent(program)],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        encoding="utf-8",
        timeout=120,
        check=True,
    )
    return answer.stdout.splitlines()


def test_while_a_thread_makes_a_singleton():
    """The child makes its own, and does not wait for a thread that it has not got."""
    lines = run(
        """
        def make():
            entered.set()
            released.wait(10)
            return os.getpid()

        registry.register_factory(int, make, lifetime="singleton")
        thread = threading.Thread(target=lambda: registry.container().get(int))
        thread.start()
        entered.wait()

        def work():
            released.set()
            return registry.container().get(int) == os.getpid()

        in_child(work)
        released.set()
        thread.join()
        print(registry.container().get(int) == os.getpid())
        """
    )

    assert ["True", "True"] == lines


def test_while_a_thread_makes_something_scoped():
    """The child process goes on with a container in which a thread was making a service."""
    lines = run(
        """
        def make():
            entered.set()
            released.wait(10)
            return os.getpid()

        registry.register_factory(int, make)
        container = registry.container()
        thread = threading.Thread(target=lambda: container.get(int))
        thread.start()
        entered.wait()

        def work():
            released.set()
            return container.get(int) == os.getpid()

        in_child(work)
        released.set()
        thread.join()
        """
    )

    assert ["True"] == lines


def test_singletons_are_forgotten():
    """The child makes singletons anew, and leaves those of its parent alone."""
    lines = run(
        """
        closed = []

        def make():
            made_in = os.getpid()
            yield made_in
            closed.append(made_in == os.getpid())

        registry.register_factory(int, make, lifetime="singleton")
        before = registry.container().get(int)

        def work():
            after = registry.container().get(int)
            registry.close()
            return before != after, closed

        in_child(work)
        print(registry.container().get(int) == before)
        registry.close()
        print(closed)
        """
    )

    assert ["(True, [True])", "True", "[True]"] == lines


def test_a_closed_registry():
    """A registry that was closed before stays closed in the child."""
    lines = run(
        """
        registry.register_value(int, 1)
        registry.close()

        def work():
            try:
                registry.container()
            except RuntimeError as error:
                return type(error).__name__

        in_child(work)
        """
    )

    assert ["RegistryClosedError"] == lines


def test_while_threads_are_busy():
    """A child forked while threads are busy can register, make and close."""
    # A hundred children would write what they have covered, which others cover as well.
    environment = {name: value for name, value in os.environ.items() if "COVERAGE" not in name}
    lines = run(
        """
        sys.setswitchinterval(1e-6)
        stop = False
        registry.register_factory(int, lambda: 1, lifetime="singleton")

        def be_busy():
            number = 0
            while not stop:
                number += 1
                with registry.container() as container:
                    container.get(int)
                registry.register_factory(float, lambda: 1.0)
                with registry.override_value(int, 2), registry.container() as container:
                    container.get(int, float)

        def work():
            registry.register_factory(bytes, lambda: b"made")
            with registry.container() as container:
                return container.get(bytes, float)

        threads = [threading.Thread(target=be_busy) for _ in range(3)]
        for thread in threads:
            thread.start()
        time.sleep(0.05)
        for _ in range(100):
            in_child(work)
        stop = True
        for thread in threads:
            thread.join()
        """,
        environment,
    )

    assert ["(b'made', 1.0)"] * 100 == lines
