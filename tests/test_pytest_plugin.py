"""The pytest plugin, in test runs of its own."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

CONFTEST = """
import asyncio
import pytest
from wares import Registry

log = []

class Boom(Exception): ...
"""

ASYNCIO = ["-p", "pytest_asyncio.plugin", "-o", "asyncio_default_fixture_loop_scope=function"]

#: How asynchronous tests are run: by which plugin, told how.
RUNNERS = {
    "asyncio-auto": [*ASYNCIO, "-o", "asyncio_mode=auto"],
    "asyncio-strict": [*ASYNCIO, "-o", "asyncio_mode=strict"],
    # Old versions of anyio import a name that pytest 9.2 has renamed.
    "anyio": ["-p", "anyio", "-W", "ignore:_pytest.python.CallSpec2"],
}


#: What marks an asynchronous test for them.
MARKS = {"anyio": "anyio", "asyncio-strict": "asyncio"}

ANYIO_BACKEND = """
@pytest.fixture
def anyio_backend():
    return "asyncio"
"""


@pytest.fixture
def run(pytester, monkeypatch):
    """Write a test module, run it in a test run of its own, and return what came of it."""
    pytester.syspathinsert()
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")

    def run(source, *options):
        pytester.makeconftest(CONFTEST)
        pytester.makepyfile("from conftest import *\nfrom wares import *\n" + source)
        return pytester.runpytest_inprocess(
            *("-p", "no:cacheprovider", "-p", "wares.pytest_plugin", "-W", "error"),
            # This run has imported it already.
            *("-W", "ignore::pytest.PytestAssertRewriteWarning"),
            *options,
        )

    return run


@pytest.fixture(params=RUNNERS)
def run_async(request, run):
    """Return a function that runs asynchronous tests under one of the plugins for them."""

    def run_async(source):
        mark = MARKS.get(request.param, "skipif(False, reason='')")
        marked = re.sub(
            r"^( *)async def test_",
            rf"\1@pytest.mark.{mark}\n\g<0>",
            source,
            flags=re.MULTILINE,
        )
        return run(ANYIO_BACKEND + marked, *RUNNERS[request.param])

    return run_async


def text_of(result):
    return result.stdout.str()


class TestRegistryAndContainer:
    """The fixtures `registry` and `container`."""

    def test_one_belongs_to_the_other(self, run):
        """`container` is one of `registry`, and both are new for each test."""
        result = run("""
def test_first(registry, container):
    assert container.registry is registry
    registry.register_value(int, 5)
    assert 5 == container.get(int)

def test_second(registry):
    assert int not in registry
""")

        result.assert_outcomes(passed=2)

    def test_closed_after_the_test(self, run):
        """Both are closed after the test, the container first."""
        result = run("""
def scoped():
    yield 1
    log.append("scoped")

def single():
    yield 1.0
    log.append("singleton")

def test_use(registry, container):
    registry.register_factory(int, scoped)
    registry.register_factory(float, single, lifetime="singleton")
    container.get(float, int)
    assert [] == log

def test_after():
    assert ["scoped", "singleton"] == log
""")

        result.assert_outcomes(passed=2)

    def test_a_registry_of_ones_own(self, run):
        """A project that overrides `registry` gets containers of its own one, and closes it."""
        result = run("""
@pytest.fixture(scope="session")
def registry():
    with Registry() as registry:
        registry.register_value(int, 7)
        yield registry

def test_use(container):
    assert 7 == container.get(int)

def test_again(container, overrides):
    assert 7 == container.get(int)
""")

        result.assert_outcomes(passed=2)

    def test_a_failing_cleanup(self, run):
        """A cleanup that fails fails the test."""
        result = run("""
def make():
    yield 1
    raise Boom("no")

def test_it(registry, container):
    registry.register_factory(int, make)
    container.get(int)
""")

        result.assert_outcomes(passed=1, errors=1)
        assert "Boom: no" in text_of(result)

    def test_a_leak(self, run):
        """A container with cleanups that was not closed fails the test, and is named."""
        result = run("""
def make():
    yield 1

def test_it(registry):
    registry.register_factory(int, make)
    registry.container().get(int)
    registry.container()
""")

        result.assert_outcomes(passed=1, errors=1)
        assert "A container was left open:" in text_of(result)
        assert "test_a_leak.py:9, to be cleaned up: int" in text_of(result)

    def test_what_must_be_awaited(self, run):
        """Asynchronous cleanups in a synchronous fixture are an error, which says so."""
        result = run("""
async def make():
    yield 1

def test_it(registry, container):
    registry.register_factory(int, make)
    with asyncio.Runner() as runner:
        runner.run(container.aget(int))
""")

        assert "PendingAsyncCleanupError" in text_of(result)


#: A project's own fixtures, by names that ours have, too.
THEIRS = """
import pytest

class Registry:
    "Of another library."

@pytest.fixture(scope="session")
def registry():
    return Registry()

@pytest.fixture(scope="session")
def container(registry):
    return "theirs"

@pytest.fixture
def overrides(container):
    return [container]
"""

USES_THEIRS = """
def test_theirs(registry, container, overrides):
    assert "Of another library." == type(registry).__doc__
    assert ("theirs", ["theirs"]) == (container, overrides)

def test_ours(wares_registry, wares_container, wares_overrides):
    wares_registry.register_value(int, 1)
    wares_overrides.override_value(int, 2)
    assert 2 == wares_container.get(int)
"""


class TestNames:
    """Fixtures by names that do not collide, and short ones that yield."""

    def test_they_are_the_same(self, run):
        """The short names give what the long ones give."""
        result = run("""
def test_it(registry, container, acontainer, wares_registry, wares_container, wares_acontainer):
    assert registry is wares_registry
    assert container is wares_container
    assert acontainer is wares_acontainer
""")

        result.assert_outcomes(passed=1)

    @pytest.mark.parametrize("is_first", [True, False])
    def test_a_plugin_of_ones_own_wins(self, run, pytester, monkeypatch, is_first):
        """A plugin's fixtures win, whether it is loaded before this one or after it."""
        pytester.makepyfile(theirs=THEIRS)
        if is_first:
            monkeypatch.setenv("PYTEST_ADDOPTS", "-p theirs")
            result = run(USES_THEIRS)
        else:
            result = run(USES_THEIRS, "-p", "theirs")

        result.assert_outcomes(passed=2)

    def test_a_plugin_that_is_named_in_a_conftest_file_wins(self, pytester, monkeypatch):
        """A plugin of `pytest_plugins` wins, too."""
        monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
        pytester.makepyfile(theirs=THEIRS)
        pytester.makeconftest("pytest_plugins = ['theirs']")
        pytester.makepyfile(USES_THEIRS)

        result = pytester.runpytest_subprocess("-p", "wares.pytest_plugin")

        result.assert_outcomes(passed=2)

    @pytest.mark.parametrize("place", ["conftest", "test_it", "folder/conftest"])
    def test_those_of_a_project_win(self, pytester, monkeypatch, place):
        """Fixtures of a conftest file and of a test module win."""
        monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
        folder = pytester.mkdir("folder")
        tests = folder / "test_it.py"
        tests.write_text((THEIRS if place == "test_it" else "") + USES_THEIRS, "utf-8")
        if place != "test_it":
            (pytester.path / f"{place}.py").write_text(THEIRS, "utf-8")

        result = pytester.runpytest_subprocess("-p", "wares.pytest_plugin")

        result.assert_outcomes(passed=2)

    def test_only_one_name_is_taken(self, run, pytester):
        """The other short names remain, and use the fixture that took one."""
        pytester.makepyfile(
            theirs="""
import pytest
from wares import Registry

@pytest.fixture
def registry():
    with Registry() as registry:
        registry.register_value(int, 7)
        yield registry
"""
        )
        result = run(
            """
def test_it(registry, container, acontainer, overrides):
    assert registry is container.registry is acontainer.registry
    assert (7, 7) == (container.get(int), acontainer.get(int))
    overrides.override_value(int, 8)
    assert 8 == registry.container().get(int)
""",
            "-p",
            "theirs",
        )

        result.assert_outcomes(passed=1)

    def test_a_pytest_that_does_not_tell(self, pytester, monkeypatch):
        """Only the long names remain if pytest cannot say which names are taken."""
        monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
        pytester.makepyfile(
            silent="""
import pytest

@pytest.hookimpl(trylast=True)
def pytest_sessionstart(session):
    # As if it took other arguments.
    session._fixturemanager.getfixturedefs = lambda: None

def pytest_collection(session):
    del session._fixturemanager.getfixturedefs
"""
        )
        pytester.makepyfile("""
def test_long(wares_registry): ...
def test_short(registry): ...
""")

        result = pytester.runpytest_subprocess("-p", "silent", "-p", "wares.pytest_plugin")

        result.assert_outcomes(passed=1, errors=1)
        assert "fixture 'registry' not found" in text_of(result)

    def test_a_registry_of_another_library(self, run):
        """A container of another library's registry is refused in words that help."""
        result = run("""
class Foreign: ...

@pytest.fixture
def registry():
    return Foreign()

def test_container(container): ...
def test_acontainer(acontainer): ...
def test_overrides(overrides):
    ours = Registry()
    ours.register_value(int, 0)
    overrides.on(ours).override_value(int, 1)
    overrides.override_value(int, 1)
def test_long_names(registry, wares_container, wares_acontainer, wares_overrides): ...
""")

        result.assert_outcomes(passed=1, errors=2, failed=1)
        for name in ("container", "acontainer", "overrides"):
            assert (
                f"The fixture '{name}' of wares takes the fixture 'registry', which is a "
                f"test_a_registry_of_another_library.Foreign here, and not a wares.Registry. Ask "
                f"for 'wares_{name}' instead, which takes 'wares_registry'."
            ) in text_of(result)


class TestAcontainer:
    """The fixture `acontainer`, whichever plugin runs asynchronous tests."""

    def test_closed_in_the_task_of_the_test(self, run_async):
        """`acontainer` is closed in the test's task, where asynchronous services were made."""
        result = run_async("""
async def make():
    task = asyncio.current_task()
    async with asyncio.TaskGroup():
        yield 5
    log.append(asyncio.current_task() is task)

async def test_use(registry, acontainer):
    registry.register_factory(int, make)
    assert 5 == await acontainer.aget(int)
    assert [] == log

async def test_after():
    assert [True] == log
""")

        result.assert_outcomes(passed=2)

    def test_asynchronous_singletons(self, run_async):
        """The cleanups of singletons are awaited, too."""
        result = run_async("""
async def make():
    yield 5
    log.append("closed")

class TestIt:
    async def test_use(self, registry, acontainer):
        registry.register_factory(int, make, lifetime="singleton")
        assert 5 == await acontainer.aget(int)

    async def test_after(self):
        assert ["closed"] == log
""")

        result.assert_outcomes(passed=2)

    def test_a_registry_of_ones_own_stays_open(self, run_async):
        """A registry that the plugin did not make stays open."""
        result = run_async("""
own = Registry()

@pytest.fixture
def registry():
    return own

async def make():
    yield 5
    log.append("closed")

async def test_use(registry, acontainer):
    registry.register_factory(int, make, lifetime="singleton")
    assert 5 == await acontainer.aget(int)

async def test_after():
    assert [] == log
    await own.aclose()
""")

        result.assert_outcomes(passed=2)

    def test_the_exception_of_the_test(self, run_async):
        """The exception of the test reaches the cleanups, so that a transaction rolls back."""
        result = run_async("""
async def make():
    try:
        yield 5
    except Boom:
        log.append("rolled back")
        raise

async def test_use(registry, acontainer):
    registry.register_factory(int, make)
    await acontainer.aget(int)
    raise Boom

async def test_after():
    assert ["rolled back"] == log
""")

        result.assert_outcomes(passed=1, failed=1)

    def test_a_failing_cleanup(self, run_async):
        """A cleanup that fails fails the test."""
        result = run_async("""
async def make():
    yield 1
    raise Boom("no")

async def test_it(registry, acontainer):
    registry.register_factory(int, make)
    await acontainer.aget(int)
""")

        result.assert_outcomes(failed=1)
        assert "Boom: no" in text_of(result)

    def test_trio(self, run):
        """Under trio it is closed in the task of the test, too."""
        result = run(
            """
import trio

pytestmark = pytest.mark.anyio

@pytest.fixture
def anyio_backend():
    return "trio"

async def make():
    async with trio.open_nursery():
        yield 5
    log.append("closed")

async def test_use(registry, acontainer):
    registry.register_factory(int, make)
    assert 5 == await acontainer.aget(int)

async def test_after():
    assert ["closed"] == log
""",
            *RUNNERS["anyio"],
        )

        result.assert_outcomes(passed=2)

    def test_examples_of_hypothesis(self, run_async):
        """Each example of hypothesis gets new services."""
        result = run_async("""
from hypothesis import HealthCheck, given, settings, strategies

async def make():
    task = asyncio.current_task()
    yield object()
    log.append(asyncio.current_task() is task)

@settings(max_examples=5, suppress_health_check=list(HealthCheck), database=None)
@given(number=strategies.integers())
async def test_use(registry, acontainer, number):
    if int not in registry:
        registry.register_factory(int, make)
    assert int not in acontainer
    await acontainer.aget(int)

async def test_after():
    assert [True] * 5 == log

@settings(max_examples=5, suppress_health_check=list(HealthCheck), database=None)
@given(number=strategies.integers())
@pytest.mark.parametrize("twice", [1, 2])
def test_synchronous(acontainer, twice, number):
    acontainer.registry.register_value(int, number)
    assert number == acontainer.registry.container().get(int)
""")

        result.assert_outcomes(passed=4)

    def test_singletons_of_examples(self, run_async):
        """Each example has its own singletons, which are closed in the event loop of the test."""
        result = run_async("""
from hypothesis import HealthCheck, given, settings, strategies

async def connect():
    task = asyncio.current_task()
    yield object()
    log.append(("database", asyncio.current_task() is task))

def make(database: int):
    yield object()
    log.append(("cache", True))

@settings(max_examples=3, suppress_health_check=list(HealthCheck), database=None)
@given(number=strategies.integers())
async def test_use(registry, acontainer, number):
    if int not in registry:
        registry.register_factory(int, connect, lifetime="singleton", eager=True)
        registry.register_factory(str, make, lifetime="singleton")
        registry.register_value(list, log)
    before = len(log)
    await registry.astart()
    assert await acontainer.aget(str) is await registry.container().aget(str)
    assert before == len(log)

async def test_after():
    assert [("cache", True), ("database", True)] * 3 == log
""")

        result.assert_outcomes(passed=2)

    def test_a_singleton_of_an_example_that_cannot_be_closed(self, run_async):
        """A singleton's cleanup that fails fails the example; one sees the example's exception."""
        result = run_async("""
from hypothesis import HealthCheck, given, settings, strategies

async def seeing():
    try:
        yield 1
    except Boom:
        log.append("rolled back")
        raise

async def failing():
    yield 1
    raise LookupError("not closed")

@settings(max_examples=3, suppress_health_check=list(HealthCheck), database=None)
@given(number=strategies.integers(1, 3))
async def test_fail(registry, acontainer, number):
    registry.register_factory(int, seeing, lifetime="singleton")
    await acontainer.aget(int)
    raise Boom("the end")

@settings(max_examples=3, suppress_health_check=list(HealthCheck), database=None)
@given(number=strategies.integers(1, 3))
async def test_close(registry, acontainer, number):
    registry.register_factory(int, failing, lifetime="singleton")
    await acontainer.aget(int)

async def test_after():
    assert {"rolled back"} == set(log)
""")

        result.assert_outcomes(passed=1, failed=2)
        assert "Boom: the end" in text_of(result)
        assert "LookupError: not closed" in text_of(result)

    def test_a_failing_example_of_hypothesis(self, run_async):
        """The exception of an example reaches the cleanups; the next example begins anew."""
        result = run_async("""
from hypothesis import HealthCheck, given, settings, strategies

async def make():
    try:
        yield 5
    except Boom:
        log.append("rolled back")
        raise

@settings(max_examples=5, suppress_health_check=list(HealthCheck), database=None)
@given(number=strategies.integers(1, 3))
async def test_use(registry, acontainer, number):
    registry.register_factory(int, make)
    await acontainer.aget(int)
    raise Boom("the end")

async def test_after():
    assert {"rolled back"} == set(log)
""")

        result.assert_outcomes(passed=1, failed=1)
        assert "Boom: the end" in text_of(result)
        assert "ContainerClosedError" not in text_of(result)

    def test_in_a_synchronous_test(self, run):
        """A synchronous test may have it as well; it is closed as `container` is."""
        result = run("""
def make():
    yield 1
    log.append("closed")

def test_use(registry, acontainer):
    registry.register_factory(int, make)
    acontainer.get(int)

def test_after():
    assert ["closed"] == log
""")

        result.assert_outcomes(passed=2)


class TestOverrides:
    """The fixture `overrides`."""

    def test_undone_after_the_test(self, run_async):
        """Overrides last until the test is over, in asynchronous tests, too."""
        result = run_async("""
shared = Registry()
shared.register_value(int, 1)
shared.register_value(str, "a")

@pytest.fixture
def registry():
    return shared

async def test_override(overrides, acontainer):
    overrides.override_value(int, 2)
    overrides.override_factory(str, lambda: "b", lifetime="transient")
    assert (2, "b") == await acontainer.aget(int, str)

def test_after(container):
    assert (1, "a") == container.get(int, str)
""")

        result.assert_outcomes(passed=2)

    @pytest.mark.parametrize(
        "app",
        [
            "Starlette(lifespan=wares.starlette.lifespan(start))",
            "FastAPI(lifespan=wares.fastapi.lifespan(start))",
            "Starlette(lifespan=wares.starlette.lifespan(start), middleware=MIDDLEWARE)",
            "wares.asgi.WaresMiddleware(Starlette(), lifespan=wares.asgi.lifespan(start))",
        ],
    )
    def test_of_an_asgi_application(self, run, app):
        """`on` takes an application or a test client, before the start and after it."""
        result = run(f"""
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.middleware import Middleware
import warnings
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from starlette.testclient import TestClient
import wares.asgi, wares.fastapi, wares.starlette

MIDDLEWARE = [Middleware(wares.starlette.WaresMiddleware)]

async def start(app, registry):
    registry.register_value(int, 1)
    yield {{"it": registry}}

app = {app}

def test_before(overrides):
    overrides.on(app).override_value(int, 2)
    with TestClient(app) as client:
        with client.app_state["it"].container() as container:
            assert 2 == container.get(int)

def test_after(overrides):
    with TestClient(app) as client:
        overrides.on(client).override_value(int, 3)
        with client.app_state["it"].container() as container:
            assert 3 == container.get(int)
""")

        result.assert_outcomes(passed=2)

    def test_of_a_flask_application(self, run):
        """`on` takes a Flask application, or a test client of one."""
        result = run("""
from flask import Flask
import wares.flask

app = wares.flask.init_app(Flask("app"))
app.get("/")(lambda: str(wares.flask.container.get(int)))
wares.flask.register_value(app, int, 1)

def test_override(overrides):
    overrides.on(app).override_value(int, 2)
    overrides.on(app.test_client()).override_value(str, "b")
    with app.app_context():
        assert "b" == wares.flask.container.get(str)
    assert "2" == app.test_client().get("/").text

def test_after():
    assert "1" == app.test_client().get("/").text
    assert str not in wares.flask.get_registry(app)
""")

        result.assert_outcomes(passed=2)

    def test_of_nothing_of_ours(self, run):
        """`on` raises an error that explains itself for an object without a registry."""
        result = run("""
def test_it(overrides):
    with pytest.raises(NoRegistryError) as caught:
        overrides.on(object())
    assert "The object has no registry" in str(caught.value)
""")

        result.assert_outcomes(passed=1)


class TestMarker:
    """The marker `closes_containers`."""

    def test_all_closed(self, run):
        """A test that closes its containers passes; containers opened before do not matter."""
        result = run("""
outer = Registry().container()

@pytest.mark.closes_containers
def test_it(container):
    with container.registry.container() as inner, inner.child():
        pass
    with Registry().container():
        pass
""")

        result.assert_outcomes(passed=1)

    def test_left_open(self, run_async):
        """A test that leaves containers open fails, and the message names them."""
        result = run_async("""
def make():
    yield 1

@pytest.mark.closes_containers(within=0.01)
def test_it():
    registry = Registry()
    registry.register_factory(int, make)
    registry.container().get(int)
    registry.container()

@pytest.mark.closes_containers(within=0)
async def test_it_too():
    Registry().container()
""")

        result.assert_outcomes(failed=2)
        assert "2 containers were left open:" in text_of(result)
        assert "A container was left open:" in text_of(result)

    def test_closed_soon_after(self, run):
        """A server in another thread may take a moment longer."""
        result = run("""
import threading

@pytest.mark.closes_containers
def test_it():
    container = Registry().container()
    threading.Timer(0.05, container.close).start()
""")

        result.assert_outcomes(passed=1)

    def test_a_failing_test_says_why(self, run):
        """A failing test shows its own failure."""
        result = run("""
@pytest.mark.closes_containers
def test_it():
    Registry().container()
    raise Boom("first")
""")

        result.assert_outcomes(failed=1)
        assert "Boom: first" in text_of(result)
        assert "left open" not in text_of(result)

    def test_it_is_known(self, run):
        """Pytest lists it, and takes it where markers are strict."""
        result = run("", "--markers", "--strict-markers")

        assert "@pytest.mark.closes_containers(within=1.0)" in text_of(result)


def test_the_plugin_is_an_entry_point():
    """An installation of wares has the plugin."""
    project = tomllib.loads(
        (Path(__file__).parent.parent / "pyproject.toml").read_text("utf-8")
    )

    assert {"wares": "wares.pytest_plugin"} == project["project"]["entry-points"]["pytest11"]


def test_the_plugin_imports_nothing_heavy():
    """Every test run loads the plugin, so it brings neither asyncio nor a framework."""
    before, after = (
        set(
            subprocess.run(
                [sys.executable, "-c", f"import sys, pytest, {module}; print(*sys.modules)"],
                capture_output=True,
                encoding="utf-8",
                check=True,
            ).stdout.split()
        )
        for module in ("attrs", "wares.pytest_plugin")
    )

    foreign = {name.partition(".")[0] for name in after - before} - sys.stdlib_module_names
    assert {"wares", "typing_extensions"} >= foreign
    assert "asyncio" not in after - before


def test_the_page_on_testing(pytester, monkeypatch):
    """The tests shown in docs/how-to/testing.md run."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    page = Path(__file__).parent / "documents" / "testing_with_the_plugin.py"
    pytester.makepyfile(page.read_text("utf-8"))

    # Newer releases of Starlette warn of the client that its test client still takes.
    result = pytester.runpytest_subprocess("-p", "wares.pytest_plugin", *ASYNCIO)

    result.assert_outcomes(passed=3)
