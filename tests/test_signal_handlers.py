"""A signal handler that raises in the midst of making leaves no claim behind."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

#: Interrupts itself at random moments, and tells how often it could not go on afterwards.
PROGRAM = """
import asyncio, faulthandler, random, signal, sys
from wares import Registry

class Interrupt(BaseException):
    pass

def interrupt(*_):
    raise Interrupt

class Database: ...

class Repository:
    def __init__(self, database: Database) -> None: ...

class Shop:
    def __init__(self, repository: Repository, database: Database) -> None: ...

def make_engine(wares_container):
    return [wares_container.get(Shop)]

async def amake_engine(wares_container):
    return [await wares_container.aget(Shop)]

is_async = sys.argv[1] == "async"
signal.signal(signal.SIGALRM, interrupt)
faulthandler.dump_traceback_later(100, exit=True)
chance = random.Random(0)
registry = Registry()
for key in (Database, Repository, Shop):
    registry.register_factory(key, key)
registry.register_factory("engine", amake_engine if is_async else make_engine)
registry.register_factory("singleton", lambda: 1, lifetime="singleton")

async def aask(container):
    await container.aget("engine", "singleton")

def ask(container):
    if is_async:
        # It waits for nothing, so it needs no event loop.
        try:
            aask(container).send(None)
        except StopIteration:
            pass
    else:
        container.get("engine", "singleton")

ask(registry.container())
interrupted = failed = 0
for _ in range(1_500):
    container = registry.container()
    if chance.random() < 0.2:
        registry.register_factory("singleton", lambda: 1, lifetime="singleton")
    try:
        signal.setitimer(signal.ITIMER_REAL, chance.uniform(1e-6, 120e-6))
        ask(container)
        signal.setitimer(signal.ITIMER_REAL, 0)
    except Interrupt:
        interrupted += 1
    except RuntimeError as error:
        # Python's own word for an interrupted generator or coroutine.
        if not isinstance(error.__cause__ or error.__context__, Interrupt):
            raise
        interrupted += 1
    signal.setitimer(signal.ITIMER_REAL, 0)
    try:
        ask(container)
    except Exception:
        failed += 1
print(interrupted > 100, failed)
"""


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="this system has no such timers")
@pytest.mark.parametrize("way", ["sync", "async"])
def test_what_is_interrupted_can_be_made(way):
    """Wherever it was interrupted, the container can make the service afterwards."""
    answer = subprocess.run(
        [sys.executable, "-c", PROGRAM, way],
        cwd=ROOT,
        capture_output=True,
        encoding="utf-8",
        timeout=150,
        check=False,
    )

    assert ("True 0", 0) == (answer.stdout.strip(), answer.returncode), answer.stderr
