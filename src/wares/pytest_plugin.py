"""Fixtures and a marker for the tests of applications that use wares.

They work with every plugin that runs asynchronous tests. Pytest loads this module in every run, so
it imports nothing that is slow to import.
"""

from __future__ import annotations

import functools
import inspect
import sys
import time
import types
from collections.abc import Callable, Coroutine, Generator, Hashable, Iterable, Iterator
from contextlib import AsyncExitStack, ExitStack, contextmanager
from typing import Any

import attrs
import pytest
from typing_extensions import TypeForm, TypeVar

from wares._adapters.applications import find_registry
from wares._core.cleanups import aleave_all
from wares._core.container import Container, Registry, Root
from wares._core.keys import describe
from wares._core.starting import Before
from wares.exceptions import NoRegistryError, PendingAsyncCleanupError

T = TypeVar("T")

__all__ = ["Overrides"]

#: The marker of tests that must leave no container open.
MARKER = "closes_containers"

#: The containers that a test closes in its own event loop.
_ACONTAINERS = pytest.StashKey[list[Container]]()

#: The registry of our fixture `wares_registry`, unless a user's fixture overrides it.
_REGISTRY = pytest.StashKey[Registry]()

#: The registry of our fixture `registry`, unless a user's fixture overrides it.
_SHORT_REGISTRY = pytest.StashKey[Registry]()


class Overrides:
    """Replaces services of an application until the test is over.

    Args:
        registry: Returns the registry whose services are replaced.
        stack: Undoes the replacements.
    """

    def __init__(self, registry: Callable[[], Registry], stack: ExitStack) -> None:
        self._registry = registry
        self._stack = stack

    def override_value(self, key: TypeForm[T] | Hashable, value: T, **options: Any) -> None:
        """Replace the service of *key* with *value*.

        Args:
            key: The key of the service.
            value: The object that replaces it.
            options: As in `wares.Registry.override_value`.
        """
        self._stack.enter_context(self._registry().override_value(key, value, **options))

    def override_factory(
        self, key: TypeForm[T] | Hashable, factory: Callable[..., Any], **options: Any
    ) -> None:
        """Replace the factory of *key* with *factory*.

        Args:
            key: The key of the service.
            factory: The factory that makes the service instead.
            options: As in `wares.Registry.override_factory`.
        """
        self._stack.enter_context(self._registry().override_factory(key, factory, **options))

    def on(self, target: object) -> Overrides:
        """Replace services of another registry, or of the registry of an application.

        Args:
            target: A registry, an application, or its test client. An application that makes its
                registry when it starts must be running.

        Returns:
            Overrides of that registry, undone after the same test.

        Raises:
            NoRegistryError: *target* has no registry.
        """
        registry = find_registry(target)
        if registry is None:
            raise NoRegistryError(
                f"The {type(target).__qualname__} has no registry. If the application creates it "
                f"when it starts, start the application first."
            )
        return Overrides(lambda: registry, self._stack)


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker."""
    config.addinivalue_line(
        "markers",
        f"{MARKER}(within=1.0): fail if a wares container that the test opened is still open "
        f"this many seconds after it.",
    )


@pytest.fixture
def wares_registry(request: pytest.FixtureRequest) -> Iterator[Registry]:
    """A registry, closed after the test. Override this fixture to return your application's.

    The test fails if it leaves a container open that has services to clean up, or if a cleanup
    fails.
    """
    registry = request.node.stash[_REGISTRY] = Registry()
    with _watching() as opened:
        yield registry
    registry.close()
    _fail_for_open(one for one in opened if one.container.registry is registry and one.pending)


@pytest.fixture
def wares_container(wares_registry: Registry) -> Iterator[Container]:
    """A container of `wares_registry`, closed after the test."""
    yield from _open(wares_registry)


@pytest.fixture
def wares_acontainer(
    wares_registry: Registry, request: pytest.FixtureRequest
) -> Iterator[Container]:
    """A container of `wares_registry` for asynchronous tests.

    It closes as with ``async with``, in the task of the test, when the test function ends and
    before fixtures are torn down. The cleanups see the exception of the test.
    """
    yield from _open_for_test(wares_registry, request)


@pytest.fixture
def wares_overrides(request: pytest.FixtureRequest) -> Iterator[Overrides]:
    """`Overrides` on the fixture `wares_registry`, or on others, undone after the test."""
    with ExitStack() as stack:
        yield Overrides(lambda: request.getfixturevalue("wares_registry"), stack)


def _open(registry: Registry) -> Iterator[Container]:
    container = registry.container()
    yield container
    container.close()


def _open_for_test(registry: Registry, request: pytest.FixtureRequest) -> Iterator[Container]:
    container = registry.container()
    request.node.stash.setdefault(_ACONTAINERS, []).append(container)
    yield container
    # It is closed already, unless the test is synchronous or did not run.
    container.close()


class _ShortNames:
    """The fixtures under short names, for each name that no other plugin uses."""

    @staticmethod
    def registry(request: pytest.FixtureRequest, wares_registry: Registry) -> Registry:
        """The registry of `wares_registry`. Override this fixture to return your application's."""
        request.node.stash[_SHORT_REGISTRY] = wares_registry
        return wares_registry

    @staticmethod
    def container(request: pytest.FixtureRequest, registry: Registry) -> Iterator[Container]:
        """A container of `registry`, closed after the test; see `wares_container`."""
        if _is_ours(registry, request):
            yield request.getfixturevalue("wares_container")
        else:
            yield from _open(_check(registry, "container"))

    @staticmethod
    def acontainer(request: pytest.FixtureRequest, registry: Registry) -> Iterator[Container]:
        """A container of `registry` for asynchronous tests; see `wares_acontainer`."""
        if _is_ours(registry, request):
            yield request.getfixturevalue("wares_acontainer")
        else:
            yield from _open_for_test(_check(registry, "acontainer"), request)

    @staticmethod
    def overrides(request: pytest.FixtureRequest) -> Iterator[Overrides]:
        """`Overrides` on the fixture `registry`, or on others; see `wares_overrides`."""

        def find() -> Registry:
            return _check(request.getfixturevalue("registry"), "overrides")

        with ExitStack() as stack:
            yield Overrides(find, stack)


def _is_ours(registry: object, request: pytest.FixtureRequest) -> bool:
    """Tell whether the fixture `registry` is ours, not one that overrides it."""
    return request.node.stash.get(_SHORT_REGISTRY, None) is registry


def _check(registry: object, fixture: str) -> Registry:
    """Refuse the registry of another library."""
    if isinstance(registry, Registry):
        return registry
    kind = type(registry)
    return pytest.fail(
        f"The fixture {fixture!r} of wares takes the fixture 'registry', which is a "
        f"{kind.__module__}.{kind.__qualname__} here, and not a wares.Registry. Ask for "
        f"'wares_{fixture}' instead, which takes 'wares_registry'.",
        pytrace=False,
    )


@pytest.hookimpl(trylast=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    """Register the fixtures under short names, unless another plugin uses these names.

    The plugin that registers a fixture last wins, so ours are registered only if no other plugin
    has a fixture of that name. Fixtures in a project's modules and conftest files always win.
    """
    plugin = types.ModuleType("wares.short_names")
    for name in ("registry", "container", "acontainer", "overrides"):
        if not _is_taken(name, session):
            setattr(plugin, name, pytest.fixture(getattr(_ShortNames, name)))
    session.config.pluginmanager.register(plugin, plugin.__name__)


def _is_taken(name: str, session: pytest.Session) -> bool:
    """Tell whether a plugin has a fixture of that name.

    Pytest documents no way to find out; this was checked with pytest 8.0 to 9.2. In other versions,
    the name may count as taken, and only the long name works.
    """
    try:
        return bool(session._fixturemanager.getfixturedefs(name, session))
    except (AttributeError, TypeError):
        return True


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Close the containers of an asynchronous test within it, then check that none is open."""
    with ExitStack() as stack:
        if _ACONTAINERS in item.stash and isinstance(item, pytest.Function):
            stack.enter_context(_closing_within(item, item.stash[_ACONTAINERS]))
        marker = item.get_closest_marker(MARKER)
        opened = [] if marker is None else stack.enter_context(_watching())
        result = yield
    if marker is not None:
        # The check comes last, so that the test's own failure comes first.
        _wait_and_fail_for_open(opened, *marker.args, **marker.kwargs)
    return result


@contextmanager
def _closing_within(item: pytest.Function, containers: list[Container]) -> Iterator[None]:
    """Wrap an asynchronous test so that it closes *containers* itself.

    The test function always runs in the right event loop and task, whichever plugin runs the test.
    """
    # For a test of hypothesis, wrap the function that runs for each example:
    # https://hypothesis.readthedocs.io, "Custom function execution".
    holder, name = getattr(item.obj, "hypothesis", None), "inner_test"
    is_repeated = holder is not None
    if holder is None:
        holder, name = item, "obj"
    function = getattr(holder, name)
    registry = item.stash.get(_REGISTRY, None)
    if not inspect.iscoroutinefunction(function):
        yield
        return

    @functools.wraps(function)
    async def closing(*args: Any, **kwargs: Any) -> None:
        try:
            async with AsyncExitStack() as stack:
                if is_repeated and registry is not None:
                    stack.push_async_exit(_end_singletons(registry))
                for container in containers:
                    await stack.enter_async_context(container)
                await function(*args, **kwargs)
        finally:
            for container in containers if is_repeated else ():
                container.reset()
        if not is_repeated:
            await _close(registry)

    setattr(holder, name, closing)
    try:
        yield
    finally:
        setattr(holder, name, function)


def _end_singletons(registry: Registry) -> Callable[..., Coroutine[Any, Any, None]]:
    """Return a function that ends the singletons made from now on; *registry* stays open."""
    registrations = registry._registrations
    before = Before(registrations)

    async def end(_: object, error: BaseException | None, __: object) -> None:
        after = await aleave_all(before.take_rest(), error, registrations.observers)
        if after is not None and after is not error:
            raise after

    return end


async def _close(registry: Registry | None) -> None:
    """Close the plugin's registry while the event loop that made its singletons runs."""
    if registry is None:
        return
    try:
        registry.close()
    except PendingAsyncCleanupError:
        await registry.aclose()


@attrs.frozen(eq=False)
class _Opened:
    """A container, and where it was opened."""

    container: Container
    place: str

    @property
    def is_open(self) -> bool:
        """Whether the container is open."""
        return not self.container.is_closed

    @property
    def pending(self) -> list[Hashable]:
        """The keys of services that it has to clean up."""
        return [recipe.key for _, _, recipe in self.container._cleanups or ()]

    def describe(self) -> str:
        """Describe where it was opened, and what it has to clean up."""
        pending = ", ".join(map(describe, self.pending))
        return f"opened at {self.place}" + (f", to be cleaned up: {pending}" if pending else "")


#: The lists to which containers are added when they are opened.
_watchers: list[list[_Opened]] = []

_open_container = Container.__init__


def _note_opening(self: Container, *args: Any, **kwargs: Any) -> None:
    _open_container(self, *args, **kwargs)
    if not isinstance(self, Root):
        opened = _Opened(self, _find_place())
        for watcher in _watchers:
            watcher.append(opened)


def _find_place() -> str:
    """Find the line that opened a container: the first one outside of wares."""
    frame = sys._getframe(2)
    while frame.f_back is not None and _is_inside(frame.f_globals.get("__name__", "")):
        frame = frame.f_back
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"


def _is_inside(module: str) -> bool:
    return module.partition(".")[0] in ("wares", "contextlib")


@contextmanager
def _watching() -> Iterator[list[_Opened]]:
    """Collect the containers that are opened during the block."""
    opened: list[_Opened] = []
    _watchers.append(opened)
    Container.__init__ = _note_opening  # type: ignore[method-assign]  # costs nothing unless watched
    try:
        yield opened
    finally:
        _watchers.remove(opened)
        if not _watchers:
            Container.__init__ = _open_container  # type: ignore[method-assign]  # restores it


def _wait_and_fail_for_open(opened: list[_Opened], within: float = 1.0) -> None:
    """Wait until servers in other threads have ended their requests, then check."""
    end = time.monotonic() + within
    while any(one.is_open for one in opened) and time.monotonic() < end:
        time.sleep(0.005)
    _fail_for_open(opened)


def _fail_for_open(opened: Iterable[_Opened]) -> None:
    left = [one for one in opened if one.is_open]
    if not left:
        return
    count = "A container was" if len(left) == 1 else f"{len(left)} containers were"
    lines = "".join(f"\n  {one.describe()}" for one in left)
    for one in left:
        # This failure is enough: avoid a ResourceWarning on top of it.
        (one.container._cleanups or []).clear()
    pytest.fail(f"{count} left open:{lines}", pytrace=False)
