"""The base of the lifespans of adapters, which open and close a registry with an application."""

from __future__ import annotations

import contextlib
import contextvars
import functools
import inspect
import sys
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any, Generic, TypeAlias, TypeVar, overload

from wares._adapters.inside import Finder, find_finders, find_mounted
from wares._adapters.registries import demand_registry
from wares._core.callables import (
    Shape,
    can_be_called,
    describe_callable,
    name_callable,
    read_shape,
    unwrap,
)
from wares._core.container import Registry
from wares._core.keys import MISSING
from wares._core.locking import locked
from wares._inject.injected import find_missing
from wares.exceptions import (
    InvalidRegistrationError,
    NoRegistryError,
    ServiceNotFoundError,
    raise_problems,
)

App = TypeVar("App")
Other = TypeVar("Other")

#: The value that a lifespan function may yield.
State: TypeAlias = Mapping[str, object] | None

#: A lifespan function, before it is decorated.
LifespanFunction: TypeAlias = (
    Callable[[App, Registry], AsyncIterator[State]]
    | Callable[[App, Registry], AsyncIterator[None]]
    | Callable[[App, Registry], AsyncIterator[Mapping[str, object]]]
    | Callable[[App, Registry], AbstractAsyncContextManager[State]]
    | Callable[[App, Registry], AbstractAsyncContextManager[None]]
    | Callable[[App, Registry], AbstractAsyncContextManager[Mapping[str, object]]]
)

#: The key of the registry in the state of a lifespan.
REGISTRY_KEY = "wares_registry"

#: Whether applications refuse to start if a service cannot be made. `wares graph` turns this off,
#: to draw the problems.
VALIDATES: contextvars.ContextVar[bool] = contextvars.ContextVar(
    "wares_validates", default=True
)

#: Whether applications make their eager services when they start. Commands that only look at an
#: application turn this off, because a service may need a database that is not there.
MAKES_EAGER: contextvars.ContextVar[bool] = contextvars.ContextVar(
    "wares_makes_eager", default=True
)


async def make_eager(registry: Registry) -> None:
    """Make the eager services of an application that starts."""
    if MAKES_EAGER.get():
        await registry.astart()


class Lifespan(Generic[App]):
    """Pass a registry to a lifespan function, and close the registry after it.

    An application may be started again after it has ended, as tests do. Each start has a new, empty
    registry.

    Args:
        function: An async generator function, or a function that returns an async context
            manager. It takes the application and the registry, and yields a mapping, which
            becomes the state of the lifespan, or nothing. If omitted, the result is a decorator.
        registry: A registry to use instead of a new one for each start. It closes as well, so the
            application cannot be started again.
        validate: Whether the start fails if a registered service cannot be made.

    Attributes:
        registry: The registry of the current start, or of the next one.

    Raises:
        InvalidRegistrationError: *function* cannot be a lifespan function.
    """

    registry: Registry

    #: Whether another lifespan runs this one, so that both share its registry.
    _is_nested = False

    if not TYPE_CHECKING:

        def __new__(cls, /, *function: Any, **options: Any) -> Any:
            """Make a decorator of options alone: ``@lifespan(validate=False)``."""
            return super().__new__(cls) if function else functools.partial(cls, **options)

    @overload
    def __init__(
        self,
        function: LifespanFunction[App],
        /,
        *,
        registry: Registry | None = None,
        validate: bool = True,
    ) -> None: ...

    @overload
    def __init__(
        self: Lifespan[Any], /, *, registry: Registry | None = None, validate: bool = True
    ) -> None: ...

    def __init__(
        self,
        function: Any = None,
        /,
        *,
        registry: Registry | None = None,
        validate: bool = True,
    ) -> None:
        demand_registry(registry)
        self._function = function
        self._validates = validate
        self._enter = _as_context_function(function)
        self._is_given = registry is not None
        self._is_taken = False
        self.registry = Registry() if registry is None else registry

    @overload
    def __call__(  # type: ignore[overload-overlap]  # no application is such a function
        self: Lifespan[Any], app: LifespanFunction[Other]
    ) -> Lifespan[Other]: ...

    @overload
    def __call__(self, app: App) -> AbstractAsyncContextManager[dict[str, object]]: ...

    def __call__(self, app: Any = MISSING) -> Any:
        """Start *app*, and end it.

        Args:
            app: The first argument of the lifespan function.

        Returns:
            A context manager that gives the state: the mapping that the lifespan function yielded,
            with the registry.

        Raises:
            InvalidRegistrationError: There is no application, because the lifespan was called where
                it should have been passed; or the lifespan function returned no async context
                manager, or yielded neither a mapping nor None.
            InvalidRegistryError: A registered service cannot be made.
        """
        if app is MISSING:
            name = describe_callable(self._function)
            raise InvalidRegistrationError(
                f"The lifespan {name} was called without an application. The framework calls it "
                f"when the application starts: pass it without parentheses, "
                f"lifespan={name_callable(self._function)}"
            )
        return self._start(app)

    @contextlib.asynccontextmanager
    async def _start(self, app: Any) -> AsyncIterator[dict[str, object]]:
        async with self._open(app) as registry, self._run(app, registry) as state:
            whole_state = {**self._check(state), REGISTRY_KEY: registry}
            handlers = [*await self._find_handlers(app)]
            registry._handlers.append(lambda: handlers)
            if self._is_last(app):
                own: Finder = functools.partial(self._find_problems, app)
                finders = [own, *find_finders(app, registry)]
                if self._validates and VALIDATES.get():
                    self._validate(app, registry, handlers, finders)
                registry._finders += finders
                await make_eager(registry)
            await self._prepare(app)
            yield whole_state

    def _is_last(self, app: App) -> bool:  # noqa: ARG002  # adapters need it
        """Tell whether this lifespan is the last one to register services."""
        return not self._is_nested

    def _validate(
        self,
        app: App,
        registry: Registry,
        handlers: Iterable[Callable[..., Any]],
        finders: Iterable[Finder],
    ) -> None:
        # This comes first, because mounted servers announce here what their containers are given.
        others = [problem for find in finders for problem in find(registry)]
        problems = [*registry.graph().problems, *others, *find_missing(handlers, registry)]
        if any(isinstance(problem, ServiceNotFoundError) for problem in problems):
            problems += map(NoRegistryError, find_idle_lifespans(app))
        raise_problems("The application does not start, because its registry has", problems)

    async def _find_handlers(self, app: App) -> Iterable[Callable[..., Any]]:  # noqa: ARG002  # adapters need it
        """Find the functions that may use `wares.inject`; for adapters that can see them."""
        return ()

    def _find_problems(self, app: App, registry: Registry) -> Iterable[Exception]:  # noqa: ARG002  # adapters need them
        """Find problems that only the adapter can see."""
        return ()

    async def _prepare(self, app: App) -> None:
        """Prepare the application for its first request; for adapters to override."""

    @contextlib.asynccontextmanager
    async def _open(self, app: App) -> AsyncIterator[Registry]:  # noqa: ARG002  # adapters need it
        """Yield the registry of this start, and close it afterwards."""
        registry = self._take_registry()
        try:
            async with registry:
                yield registry
        finally:
            self._replace_registry(registry)

    @locked
    def _take_registry(self) -> Registry:
        """Return the registry of this start."""
        if self._is_taken and not self._is_given:
            # Another application with the same lifespan is running, perhaps in another thread.
            self.registry = Registry()
        self._is_taken = True
        return self.registry

    @locked
    def _replace_registry(self, closed: Registry) -> None:
        """Make a registry for the next start, unless another one has begun meanwhile."""
        if closed is self.registry and not self._is_given:
            self.registry = Registry()
            self._is_taken = False

    def _run(self, app: App, registry: Registry) -> AbstractAsyncContextManager[Any]:
        manager: AbstractAsyncContextManager[Any] = self._enter(app, registry)
        if not hasattr(type(manager), "__aenter__"):
            raise _invalid(
                self._function,
                f"returned a {type(manager).__qualname__}, which cannot be entered",
            )
        return manager

    def _check(self, state: object) -> Mapping[str, object]:
        if state is None:
            return {}
        if not isinstance(state, Mapping):
            raise _invalid(
                self._function,
                f"yielded a {type(state).__qualname__}; "
                f"it may yield a mapping, which becomes the state, or nothing",
            )
        return state


def find_idle_lifespans(app: object, path: str = "") -> Iterator[str]:
    """Find mounted applications with a lifespan of wares that does not run.

    Starlette and FastAPI run the lifespan of the outermost application only.
    """
    for route in getattr(app, "routes", None) or ():
        inner = find_mounted(route)
        inner_path = path + getattr(route, "path", "")
        text = explain_idle_lifespan(inner, inner_path)
        if text is not None:
            yield text
        yield from find_idle_lifespans(inner, inner_path)


def explain_idle_lifespan(app: Any, path: str) -> str | None:
    """Explain why services of a mounted application are missing, if its lifespan does not run."""
    lifespan = getattr(getattr(app, "router", None), "lifespan_context", None)
    if not isinstance(lifespan, Lifespan) or lifespan._is_taken:
        return None
    return (
        f"The application mounted at {path!r} has a lifespan of its own, which does not run: only "
        f"that of the outermost application does. So the services that it registers are missing. "
        f"Write a function that registers them, and call it in both lifespans."
    )


def refuse_undecorated(app: Any) -> None:
    """Refuse an undecorated lifespan function that takes a registry, because nothing passes one.

    Raises:
        InvalidRegistrationError: The lifespan is such a function.
    """
    function: Any = getattr(getattr(app, "router", None), "lifespan_context", None)
    if can_be_called(function, app, None) and not can_be_called(function, app):
        raise InvalidRegistrationError(
            f"The lifespan {describe_callable(function)} takes a registry, but is not decorated. "
            f"Decorate it with the lifespan of the adapter: @wares.fastapi.lifespan, for example."
        )


def refuse_fastapi(app: object) -> None:
    """Refuse an application of FastAPI whose lifespan is that of another adapter.

    Raises:
        InvalidRegistrationError: *app* is a FastAPI application.
    """
    kind = getattr(sys.modules.get("fastapi"), "FastAPI", None)
    if kind is not None and isinstance(app, kind):
        raise InvalidRegistrationError(
            "The lifespan of this FastAPI application is one of wares.starlette, which does not "
            "check what the endpoints ask for. Decorate it with wares.fastapi.lifespan."
        )


def _as_context_function(function: Any) -> Callable[[Any, Registry], Any]:
    """Turn the decorated function into one that returns an async context manager."""
    if not callable(function) or hasattr(function, "router"):
        # An application gets here if a framework was given the decorator instead of a lifespan.
        raise InvalidRegistrationError(
            f"A lifespan must be a function, and this is a {type(function).__qualname__}. "
            f"{_ADVICE}"
        )
    shape = read_shape(function)
    if shape is Shape.COROUTINE:
        raise _invalid(function, "is a coroutine function that yields nothing")
    if shape is Shape.GENERATOR or inspect.isgeneratorfunction(unwrap(function)[-1]):
        raise _invalid(function, "is synchronous")
    if isinstance(function, type) and not hasattr(function, "__aenter__"):
        raise _invalid(function, "is a class that is no async context manager")
    if inspect.isbuiltin(function) or not can_be_called(function, None, None):
        raise _invalid(function, "does not take two arguments")
    if next(iter(inspect.signature(function).parameters)) == "registry":
        raise _invalid(function, "takes the registry first, and would receive the application")
    enter: Callable[..., Any] = function
    return contextlib.asynccontextmanager(enter) if shape is Shape.ASYNC_GENERATOR else enter


_ADVICE = (
    "Write an async generator function, `async def start(app, registry): ...; yield`, or a "
    "function of the same arguments that returns an async context manager; decorate it, and pass "
    "what the decorator returns: lifespan=start"
)


def _invalid(function: Callable[..., Any], reason: str) -> InvalidRegistrationError:
    return InvalidRegistrationError(
        f"The lifespan {describe_callable(function)} {reason}. {_ADVICE}"
    )
