"""The functions of adapters that initialise an application and get its registry.

`Keeping` makes the public functions, such as `get_registry` and `register_value`, of an adapter.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Hashable, Iterable, Mapping
from functools import partial
from types import UnionType
from typing import Any, Generic, TypeVar, get_args

import attrs
from typing_extensions import TypeForm, Unpack

from wares._core.container import Registry
from wares._core.recipes import FactoryOptions, ValueOptions
from wares._core.waiting import runs_event_loop
from wares.exceptions import InvalidRegistrationError, NoRegistryError, PendingAsyncCleanupError

T = TypeVar("T")
App = TypeVar("App")

#: The adapters, by the package whose objects they are for.
_ADAPTERS = {
    "aiohttp": "aiohttp",
    "celery": "celery",
    "click": "click",
    "django": "django",
    "fastapi": "fastapi",
    "fastmcp": "mcp",
    "faststream": "faststream",
    "flask": "flask",
    "litestar": "litestar",
    "mcp": "mcp",
    "socketio": "socketio",
    "starlette": "starlette",
    "taskiq": "taskiq",
    "typer": "click",
}


def demand(found: T | None, error: type[Exception], message: str) -> T:
    """Return an object found on an application or a request, or raise an error.

    Args:
        found: The object, or `None`.
        error: The class of the error if there is no object.
        message: The message of the error: why there is nothing, and what to do.

    Raises:
        Exception: There is no object; an instance of *error*.
    """
    if found is None:
        raise error(message)
    return found


def demand_kind(
    thing: object,
    kind: type[Any] | UnionType,
    rule: str,
    advice: Mapping[str, str] | None = None,
    *,
    late: str = "",
) -> None:
    """Refuse an object that an adapter cannot initialise.

    Args:
        thing: The object.
        kind: The class of objects that the adapter can initialise.
        rule: The beginning of the message: ``"init_app takes a FastStream"``.
        advice: What to do, for objects of the packages that are named here.
        late: The name of an attribute that is true if it is too late to initialise the object.

    Raises:
        InvalidRegistrationError: *thing* is no instance of *kind*, or it is too late.
    """
    function = rule.partition(" ")[0]
    if not isinstance(thing, kind):
        kinds: Any = get_args(kind) or [kind]
        own = _find_package(*kinds)
        message = (
            f"{rule}, not {describe_kind(thing)}. {_advise(thing, function, own, advice or {})}"
        )
        raise InvalidRegistrationError(message.rstrip())
    if late and getattr(thing, late):
        raise InvalidRegistrationError(
            f"{function} comes too late: this {type(thing).__qualname__} has started, or is part "
            f"of another one. Call {function} before that, right after you have made it."
        )


def _advise(thing: object, function: str, own: str, advice: Mapping[str, str]) -> str:
    """Return what to do instead of passing *thing* to *function* of the adapter of *own*."""
    if thing is None:
        return "Perhaps a `return` is missing."
    if isinstance(thing, Registry):
        return f"Name the registry: {function}(..., registry=registry)"
    if isinstance(thing, type):
        return "Make an object of the class, and pass that."
    package = _find_package(type(thing))
    other = f"Its adapter is wares.{_ADAPTERS[package]}." if package not in ("", own) else ""
    return advice.get(package, other)


def _find_package(*kinds: type[Any]) -> str:
    """Return the package of the first class, or of a base class, that has an adapter."""
    packages = [base.__module__.partition(".")[0] for kind in kinds for base in kind.__mro__]
    return next((package for package in packages if package in _ADAPTERS), "")


def demand_registry(registry: object) -> None:
    """Refuse an argument *registry* that is neither a registry nor `None`.

    Raises:
        InvalidRegistrationError: It is something else.
    """
    if registry is not None and not isinstance(registry, Registry):
        raise InvalidRegistrationError(
            f"registry takes a Registry, not {describe_kind(registry)}. Make one, and pass that: "
            f"registry = wares.Registry()"
        )


def describe_kind(thing: object) -> str:
    """Describe an object by its class, because its `repr` may contain secrets."""
    if isinstance(thing, type):
        return f"the class {thing.__qualname__}"
    return "None" if thing is None else f"a {type(thing).__qualname__}"


def choose_registry(present: Registry | None, given: Registry | None) -> Registry:
    """Choose the registry of an application that is initialised, perhaps not for the first time.

    Args:
        present: The registry that the application has, if any. It is kept unless it is closed, so
            that an application that has ended can be initialised and started again.
        given: The registry that the user passed, if any.

    Raises:
        InvalidRegistrationError: The user passed something else.
    """
    demand_registry(given)
    if given is not None:
        return given
    return Registry() if present is None or present._is_closed else present


def close(registry: Registry, run: Callable[[Coroutine[Any, Any, None]], object]) -> None:
    """Close a registry in synchronous code.

    Args:
        registry: The registry.
        run: Runs a coroutine, if one is needed.

    Raises:
        PendingAsyncCleanupError: A cleanup must be awaited, and an event loop runs in this thread;
            nothing has been touched.
        BaseException: Whatever a cleanup raises.
    """
    try:
        registry.close()
    except PendingAsyncCleanupError:
        if runs_event_loop():
            raise
        run(registry.aclose())


@attrs.frozen
class Keeping(Generic[App]):
    """The functions of an adapter for the registry of an application, with svcs' names.

    Args:
        find: Returns the registry of an application, or `None`.
        message: The message of the error if there is none.
    """

    find: Callable[[App], Registry | None]
    message: str

    def prepare(
        self,
        app: App,
        given: Registry | None,
        expected: Iterable[Hashable],
        find_handlers: Callable[[App], Iterable[Callable[..., Any]]],
    ) -> Registry:
        """Choose the registry of *app*, and prepare a new one for *app*.

        Args:
            app: The application, or the broker.
            given: The registry that the user passed, if any.
            expected: The keys of the objects that containers are given.
            find_handlers: Finds the functions of *app* that may ask for services.
        """
        present = self.find(app)
        registry = choose_registry(present, given)
        if registry is not present:
            registry.expect(*expected)
            registry._handlers.append(partial(find_handlers, app))
        return registry

    def get_registry(self, app: App) -> Registry:
        """Get the registry of *app*.

        Args:
            app: The application, or the broker.

        Raises:
            NoRegistryError: *app* has not been initialised.
        """
        return demand(self.find(app), NoRegistryError, self.message)

    async def aclose_registry(self, app: App) -> None:
        """Close the registry of *app*, if it has one; this also happens when *app* ends.

        Args:
            app: The application, or the broker.
        """
        registry = self.find(app)
        if registry is not None:
            await registry.aclose()

    def register_factory(
        self,
        app: App,
        svc_type: TypeForm[T] | Hashable,
        factory: Callable[..., Any],
        **options: Unpack[FactoryOptions],
    ) -> None:
        """Register a factory for *svc_type* on the registry of *app*.

        Args:
            app: The application.
            svc_type: The key of the service.
            factory: The callable that makes the service.
            options: As in `wares.Registry.register_factory`, with the same defaults.

        Raises:
            NoRegistryError: The application has not been initialised.
        """
        self.get_registry(app).register_factory(svc_type, factory, **options)

    def register_value(
        self,
        app: App,
        svc_type: TypeForm[T] | Hashable,
        value: T,
        **options: Unpack[ValueOptions],
    ) -> None:
        """Register a ready-made object under *svc_type* on the registry of *app*.

        Args:
            app: The application.
            svc_type: The key of the service.
            value: The object.
            options: As in `wares.Registry.register_value`, with the same defaults.

        Raises:
            NoRegistryError: The application has not been initialised.
        """
        self.get_registry(app).register_value(svc_type, value, **options)
