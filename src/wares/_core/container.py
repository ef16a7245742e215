"""A container, which keeps one request's services, and the registry that opens containers."""

from __future__ import annotations

import inspect
import os
from _thread import allocate_lock
from collections.abc import Callable, Coroutine, Hashable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar, Token
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self, overload
from weakref import WeakValueDictionary

import attrs
from typing_extensions import TypeForm, TypeVar

from wares._core.asking import CLOSED, ROOT_CLOSED, Asking, Closed
from wares._core.claims import CLEANUPS, NOT_MADE, Claim
from wares._core.cleanups import (
    Cleanups,
    Entry,
    aleave_all,
    awaited_callbacks,
    leave_all,
    leave_callback,
    raise_as_it_is,
    replace,
)
from wares._core.keys import MISSING, describe
from wares._core.locking import LOCK
from wares._core.log import log_registration
from wares._core.makers import LocalMakers, Makers
from wares._core.pings import ServicePing, name_pings
from wares._core.recipes import (
    Ping,
    Recipe,
    check_callback,
    recipe_for_factory,
    recipe_for_value,
)
from wares._core.registering import OnRegistryClose, Registering
from wares._core.registrations import Registrations
from wares._core.singletons import Singletons
from wares._core.starting import Start
from wares._graph.graph import Graph
from wares.exceptions import (
    InvalidLifetimeError,
    NoContainerError,
    PendingAsyncCleanupError,
    RegistryClosedError,
    WaresError,
    raise_problems,
)

T = TypeVar("T")

_current: ContextVar[Container | None] = ContextVar("wares_container", default=None)

#: What is given to most containers.
_NOTHING: Mapping[Hashable, Any] = {}


def current_container() -> Container:
    """Give the container of the request, event or call that is being served.

    Returns:
        The container that was last activated in this task or thread.

    Raises:
        NoContainerError: There is none.
    """
    container = _current.get()
    if container is None:
        raise NoContainerError
    return container


class Activation:
    """A container that is the current one while a ``with`` block lasts."""

    __slots__ = ("_container", "_outer", "_token")

    _token: Token[Container | None]

    def __init__(self, container: Container) -> None:
        self._container = container

    def __enter__(self) -> Container:
        self._outer = _current.get()
        self._token = _current.set(self._container)
        return self._container

    def __exit__(self, *_: object) -> None:
        try:
            _current.reset(self._token)
        except ValueError:
            # It was entered in another context, as frameworks do that run both in threads.
            if _current.get() is self._container:
                _current.set(self._outer)


@attrs.define(eq=False, repr=False)
class Family:
    """What a container has that most have not: relatives, and registrations of its own.

    Attributes:
        parent: The container that it is a child of.
        children: The children that are open, in the order in which they were opened.
        given: What the container was given before anything was registered locally.
        recipes: What was registered locally.
        callbacks: What runs when the container closes, for its local registrations.
    """

    parent: Container | None = None
    children: dict[Container, None] = attrs.field(factory=dict)
    given: Mapping[Hashable, Any] | None = None
    recipes: dict[Hashable, Recipe] = attrs.field(factory=dict)
    callbacks: Cleanups = attrs.field(factory=Cleanups)


@attrs.define(these={"registry": attrs.field()}, init=False, repr=False, eq=False, slots=False)
class Container(Asking):
    """The services of one request, event or job: made when asked for, shared, cleaned up.

    Use it as a context manager: when the block ends, what was made is cleaned up in the exact
    reverse of the order in which it was finished, and the cleanups see the exception under way.

    >>> from wares import Registry
    >>> registry = Registry()
    >>> registry.register_value(str, "hello")
    >>> with registry.container() as container:
    ...     container.get(str)
    'hello'

    Args:
        registry: Where services are registered. `Registry.container` opens containers that are
            given objects from the start.

    Raises:
        RegistryClosedError: The registry is closed.

    Attributes:
        registry: Where services are registered.
    """

    registry: Registry
    _family: Family | None = None
    _given: Mapping[Hashable, Any] = _NOTHING

    # One parameter, and no default: Python makes objects faster where it has nothing to fill in.
    def __init__(self, registry: Registry) -> None:
        if registry._is_closed:
            raise RegistryClosedError
        self.registry = registry
        self._made = {}
        self._makers = registry._makers

    def __attrs_pre_init__(self, registry: Registry, *_args: Any, **_fields: Any) -> None:
        """Begin where a subclass that attrs defines has an `__init__` of its own."""
        Container.__init__(self, registry)

    def __repr__(self) -> str:
        if self.is_closed:
            return "<wares.Container(closed)>"
        made = sum(key in self for key in self._made.copy())
        return f"<wares.Container(made={made}, cleanups={len(self._cleanups or ())})>"

    def __contains__(self, key: object) -> bool:
        """Tell whether the service of *key* is made already."""
        return key is not CLEANUPS and not isinstance(self._made.get(key, NOT_MADE), Claim)

    def __bool__(self) -> bool:
        """Be true, also where nothing is made."""
        return True

    @property
    def is_closed(self) -> bool:
        """Whether the container is closed."""
        return isinstance(self._made, Closed)

    def __enter__(self) -> Self:
        if self._made is CLOSED:
            raise self._make_closed_error()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        made = self._made
        cleanups = made.get(CLEANUPS)
        if self._family is not None or (cleanups and cleanups.must_await):
            self._refuse_pending()
        # First this, then the look: whoever notes a cleanup or opens a child does it the other
        # way round.
        self._made = CLOSED
        if self._family is not None:
            after = self._close_family(made, error)
        elif CLEANUPS in made:
            after = leave_all(take_cleanups(made), error, self.registry._known.observers)
        else:
            return
        if after is not error and after is not None:
            raise_as_it_is(after)

    async def __aenter__(self) -> Self:
        if self._made is CLOSED:
            raise self._make_closed_error()
        return self

    if TYPE_CHECKING:

        async def __aexit__(
            self,
            kind: type[BaseException] | None,
            error: BaseException | None,
            traceback: TracebackType | None,
        ) -> None:
            """Close the container."""

    else:

        def __aexit__(
            self,
            kind: type[BaseException] | None,
            error: BaseException | None,
            traceback: TracebackType | None,
        ) -> Coroutine[Any, Any, None]:
            # No coroutine function itself, so that there is one coroutine, not two.
            made = self._made
            self._made = CLOSED
            if self._family is not None:
                return self._aclose_family(made, error)
            return _aleave(made, error, self.registry._known.observers)

    def child(self, given: Mapping[Hashable, Any] | None = None) -> Container:
        """Open a container within this one: an event of a connection, an item of a batch.

        It has scoped services of its own, shares those of lifetime ``"connection"`` with the
        outermost container, and sees what is given to and locally registered in this one. A
        container that closes closes its open children first.

        Args:
            given: Objects that the child has from the start, by their keys, in addition to
                those that were given to this container.

        Returns:
            The child, which is to be closed as any container is.

        Raises:
            ContainerClosedError: This container is closed.
        """
        if self._made is CLOSED:
            raise self._make_closed_error()
        child = Container(self.registry)
        child._become_child_of(self, given)
        if self._made is CLOSED:
            # Closed in the meantime, so that nobody will close the child.
            child.close()
            raise self._make_closed_error()
        return child

    def register_local_factory(
        self,
        svc_type: TypeForm[T] | Hashable,
        factory: Callable[..., Any],
        *,
        lifetime: Literal["connection", "scoped", "transient"] = "scoped",
        enter: bool = True,
        ping: Ping | None = None,
        ping_timeout: float | None = None,
        tags: Iterable[str] = (),
        on_registry_close: OnRegistryClose | None = None,
        suppress_context_exit: bool = False,
    ) -> None:
        """Register how a service is made, for this container and its children only.

        Args:
            svc_type: What the service is asked for by.
            factory: What makes it.
            lifetime: Which owner keeps it; ``"singleton"`` cannot be local.
            enter: As in `Registry.register_factory`.
            ping: As in `Registry.register_factory`.
            ping_timeout: As in `Registry.register_factory`.
            tags: As in `Registry.register_factory`.
            on_registry_close: What is called when this container closes.
            suppress_context_exit: As in `Registry.register_factory`.

        Raises:
            ContainerClosedError: This container is closed.
            InvalidRegistrationError: The key is not hashable, the factory or the ping not
                callable.
            InvalidLifetimeError: There is no such lifetime, or not locally.
            UnresolvableParameterError: A required parameter has no annotation.
        """
        _refuse_singleton(svc_type, lifetime)
        recipe = recipe_for_factory(
            svc_type,
            factory,
            lifetime=lifetime,
            enter=enter,
            ping=ping,
            suppress_context_exit=suppress_context_exit,
            ping_timeout=ping_timeout,
            tags=tags,
        )
        self._register_locally(recipe, on_registry_close)

    def register_local_value(
        self,
        svc_type: TypeForm[T] | Hashable,
        value: T,
        *,
        enter: bool = False,
        ping: Ping | None = None,
        ping_timeout: float | None = None,
        tags: Iterable[str] = (),
        on_registry_close: OnRegistryClose | None = None,
        suppress_context_exit: bool = False,
    ) -> None:
        """Register a ready-made object, for this container and its children only.

        Args:
            svc_type: What the service is asked for by.
            value: The object.
            enter: As in `Registry.register_value`.
            ping: As in `Registry.register_value`.
            ping_timeout: As in `Registry.register_value`.
            tags: As in `Registry.register_value`.
            on_registry_close: What is called when this container closes.
            suppress_context_exit: As in `Registry.register_value`.

        Raises:
            ContainerClosedError: This container is closed.
            InvalidRegistrationError: The key is not hashable, the ping not callable, or the value
                is to be entered and is no context manager.
        """
        recipe = recipe_for_value(
            svc_type,
            value,
            enter=enter,
            ping=ping,
            suppress_context_exit=suppress_context_exit,
            ping_timeout=ping_timeout,
            tags=tags,
        )
        self._register_locally(recipe, on_registry_close)

    def call(self, function: Callable[..., T], /, *args: Any, **kwargs: Any) -> T:
        """Call a function, and fill from this container what the call leaves open.

        Filled are parameters that are marked with `Inject` or `Depends`, and those without a
        default whose annotation is registered, or was given to this container. What is passed
        wins. The container is the current one during the call.

        >>> from wares import Registry
        >>> registry = Registry()
        >>> registry.register_value(int, 5)
        >>> def multiply(number: int, factor: float) -> float:
        ...     return number * factor
        >>> with registry.container() as container:
        ...     container.call(multiply, factor=0.5)
        2.5

        Args:
            function: Any callable that is not asynchronous.
            args: Its arguments by position.
            kwargs: Its arguments by keyword.

        Returns:
            What the function returns, as it is.

        Raises:
            AsyncServiceError: The function is asynchronous, or a service has to be awaited.
            TypeError: An argument is missing, or there is one too many.
            Exception: Whatever the function, or the making of a service, raises.
        """
        from wares._inject.calling import call  # noqa: PLC0415  # it stands upon containers

        result: T = call(self, function, args, kwargs)
        return result

    @overload
    async def acall(
        self, function: Callable[..., Coroutine[Any, Any, T]], /, *args: Any, **kwargs: Any
    ) -> T: ...

    @overload
    async def acall(self, function: Callable[..., T], /, *args: Any, **kwargs: Any) -> T: ...

    async def acall(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """Call a function as `call` does, and await what has to be awaited, its coroutine too.

        Args:
            function: Any callable, asynchronous or not.
            args: Its arguments by position.
            kwargs: Its arguments by keyword.

        Returns:
            What the function returns.

        Raises:
            TypeError: An argument is missing, or there is one too many.
            Exception: Whatever the function, or the making of a service, raises.
        """
        from wares._inject.calling import acall  # noqa: PLC0415  # it stands upon containers

        return await acall(self, function, args, kwargs)

    def get_pings(self) -> list[ServicePing]:
        """List a check for each registered service that has a ping.

        Returns:
            The checks, in the order of registration. Making a list of them makes no service.

        >>> from wares import Registry
        >>> registry = Registry()
        >>> registry.register_value(int, 5, ping=lambda number: None)
        >>> with registry.container() as container:
        ...     [ping.name for ping in container.get_pings()]
        ['int']
        """
        recipes = dict(self.registry._known.recipes)
        for container in reversed(list(self._line())):
            if container._family is not None:
                recipes.update(container._family.recipes)
        pinged = [recipe for recipe in recipes.values() if recipe.ping is not None]
        return list(name_pings(self, pinged))

    def activate(self) -> Activation:
        """Make this the current container while a ``with`` block lasts; that does not close it.

        >>> from wares import Registry, current_container
        >>> with Registry() as registry, registry.container() as container:
        ...     with container.activate():
        ...         current_container() is container
        True

        Returns:
            A context manager that gives the container.
        """
        return Activation(self)

    def close(self) -> None:
        """Clean up what was made, the last finished first; the container is then closed for good.

        Closing twice does nothing the second time.

        Raises:
            PendingAsyncCleanupError: A cleanup must be awaited; nothing has been touched.
            BaseException: Whatever a cleanup raises, after all others have run.
        """
        self.__exit__(None, None, None)

    async def aclose(self) -> None:
        """Clean up as `close` does, and await what has to be awaited.

        Raises:
            BaseException: Whatever a cleanup raises, after all others have run.
        """
        await self.__aexit__(None, None, None)

    def reset(self) -> None:
        """Close, and open again, with the given objects and without local registrations.

        Raises:
            PendingAsyncCleanupError: A cleanup must be awaited; nothing has been touched.
            BaseException: Whatever a cleanup raises; the container is open again all the same.
        """
        try:
            self.close()
        finally:
            if self._made is CLOSED:
                self._reopen()

    async def areset(self) -> None:
        """Close as `aclose` does, and open again as `reset` does.

        Raises:
            BaseException: Whatever a cleanup raises; the container is open again all the same.
        """
        try:
            await self.aclose()
        finally:
            # Another task may have reset it meanwhile, and have made something.
            if self._made is CLOSED:
                self._reopen()

    def _give(self, given: Mapping[Hashable, Any]) -> None:
        """Put in objects as if they had been there from the start, in the place of others."""
        if self._made is CLOSED:
            raise self._make_closed_error()
        self._given = {**self._given, **given}
        self._made.update(given)

    def _become_child_of(
        self, parent: Container, given: Mapping[Hashable, Any] | None = None
    ) -> None:
        """Be given what *parent* is given, and beside it *given*; close with it."""
        family = parent._get_family()
        self._family = Family(parent)
        self._outermost = parent if parent._outermost is None else parent._outermost
        self._use_makers(parent._makers.request or parent._makers)
        # From here on the parent may close it, and shows it what is registered there.
        family.children[self] = None
        with LOCK:
            if self._made is not CLOSED and (parent._given or given):
                self._give({**parent._given, **(given or {})})

    def _reopen(self) -> None:
        """Start anew: what was given stays, what was registered locally goes."""
        family, given = self._family, self._given
        if family is not None and family.given is not None:
            given = family.given
        self._family = None
        self._given = _NOTHING
        self._made = {}
        self._makers = self.registry._makers
        if family is not None and family.parent is not None:
            self._become_child_of(family.parent, given)
        elif given:
            self._give(given)

    def _find_local_keys(self) -> list[Hashable]:
        """List what is registered locally, here and in the containers around this one."""
        families = [container._family for container in self._line()]
        return [key for family in families if family is not None for key in family.recipes]

    def _get_family(self) -> Family:
        if self._family is None:
            with LOCK:
                # Another thread may have been first.
                family: Family | None = self._family
                self._family = family or Family()
        return self._family

    def _line(self) -> Iterator[Container]:
        """Go through this container and those around it."""
        container: Container | None = self
        while container is not None:
            yield container
            family = container._family
            container = None if family is None else family.parent

    def _descend(self) -> list[Container]:
        """List this container and the open ones within it, each before its own children."""
        found: list[Container] = []
        todo: list[Container] = [self]
        while todo:
            container = todo.pop()
            found.append(container)
            if container._family is not None:
                todo += reversed(list(container._family.children))
        return found

    def _register_locally(self, recipe: Recipe, on_close: OnRegistryClose | None) -> None:
        if self._made is CLOSED:
            raise self._make_closed_error()
        check_callback(recipe.key, on_close)
        family = self._get_family()
        log_registration(recipe)
        if on_close is not None:
            family.callbacks.must_await = True
            family.callbacks.append((leave_callback, on_close, recipe))
        is_given = recipe.is_ready and recipe.key not in self.registry._known.overrides
        with LOCK:
            if family.given is None:
                family.given = self._given
            family.recipes[recipe.key] = recipe
            for container in self._descend():
                container._take_back(recipe.key)
                if is_given and not container.is_closed:
                    container._given = {**container._given, recipe.key: recipe.value}
                    container._made.setdefault(recipe.key, recipe.value)
            if not is_given:
                outer = family.parent._makers if family.parent else self.registry._makers
                self._use_makers(outer)

    def _take_back(self, key: Hashable) -> None:
        """Let what was given under *key* be given no longer, unless something was made of it."""
        before = self._given.get(key, MISSING)
        if before is not MISSING:
            self._given = {other: it for other, it in self._given.items() if other != key}
            if self._made.get(key) is before:
                del self._made[key]

    def _use_makers(self, outer: Makers) -> None:
        """Let what is registered locally, here and in the children, stand before *outer*."""
        family = self._get_family()
        has_factories = any(not recipe.is_ready for recipe in family.recipes.values())
        self._makers = LocalMakers(outer, family.recipes) if has_factories else outer
        for child in list(family.children):
            child._use_makers(self._makers)

    def _refuse_pending(self) -> None:
        """Refuse to close what must be awaited.

        Raises:
            PendingAsyncCleanupError: Something must be awaited.
        """
        pending: list[Hashable] = []
        for container in self._descend():
            pending += container._cleanups.find_pending() if container._cleanups else []
            pending += container._family.callbacks.find_pending() if container._family else []
        if pending:
            raise PendingAsyncCleanupError(pending, "container")

    def _end(self, made: dict[Hashable, Any]) -> tuple[list[Entry], list[Entry]]:
        """Be closed; give what is to be cleaned up, and what is to be called after that."""
        self._made = CLOSED
        family = self._get_family()
        if family.parent is not None and family.parent._family is not None:
            family.parent._family.children.pop(self, None)
        with LOCK:
            callbacks = list(family.callbacks)
            family.callbacks.clear()
        return take_cleanups(made), callbacks

    def _close_family(
        self, made: dict[Hashable, Any], error: BaseException | None
    ) -> BaseException | None:
        after = error
        for cleanups, callbacks in self._end_all(made):
            after = leave_all(cleanups, after, self.registry._known.observers)
            after = leave_all(callbacks, after)
        return after

    async def _aclose_family(
        self, made: dict[Hashable, Any], error: BaseException | None
    ) -> None:
        after = error
        for cleanups, callbacks in self._end_all(made):
            after = await aleave_all(cleanups, after, self.registry._known.observers)
            after = await aleave_all(awaited_callbacks(callbacks), after)
        if after is not error and after is not None:
            raise_as_it_is(after)

    def _end_all(self, made: dict[Hashable, Any]) -> list[tuple[list[Entry], list[Entry]]]:
        """End this container and the open ones within it; give what each has to clean up."""
        _, *children = self._descend()
        ended = [self._end(made), *(child._end(child._made) for child in children)]
        return ended[::-1]

    @property
    def _cleanups(self) -> Cleanups | None:
        """What is to be cleaned up, if anything is."""
        return self._made.get(CLEANUPS)


async def _aleave(
    made: dict[Hashable, Any], error: BaseException | None, observers: tuple[object, ...]
) -> None:
    """Leave what a container has had to clean up, awaiting what has to be awaited."""
    if CLEANUPS in made:
        after = await aleave_all(take_cleanups(made), error, observers)
        if after is not error and after is not None:
            raise_as_it_is(after)


def take_cleanups(made: dict[Hashable, Any]) -> list[Entry]:
    """Take the cleanups; of several that close at once, one gets them."""
    cleanups: list[Entry] = made.pop(CLEANUPS, [])
    return cleanups


def _refuse_singleton(key: object, lifetime: str) -> None:
    """Refuse a lifetime that is longer than a container's."""
    if lifetime == "singleton":
        message = (
            f"{describe(key)} cannot be registered locally with the lifetime 'singleton': a "
            f"container ends before the registry. Register it in the registry, or use "
            f"'connection'."
        )
        raise InvalidLifetimeError(message)


class Root(Container):
    """The container that keeps a registry's singletons."""

    def __init__(self, registry: Registry) -> None:
        super().__init__(registry)
        self._makers = Makers(registry._known, keeper="singleton")

    def get(self, key: Any, /, *more: Any) -> Any:
        """Get singletons, and note who asks for them."""
        # Of several, each is asked for by itself.
        self.registry._known.singletons.note_source(key)
        return super().get(key, *more)

    async def aget(self, key: Any, /, *more: Any) -> Any:
        """Get singletons as `get` does, awaiting."""
        # See `get`.
        self.registry._known.singletons.note_source(key)
        return await super().aget(key, *more)

    def _make_closed_error(self) -> WaresError:
        return RegistryClosedError()


class Registry(Registering):
    """What services there are and how they are made.

    Register at the start of the application, open a container for each request, and close the
    registry at the end. It is also a context manager, with and without ``async``, that closes it.

    >>> registry = Registry()
    >>> registry.register_factory(list, lambda: ["made", "once"])
    >>> with registry.container() as container:
    ...     container.get(list) is container.get(list)
    True
    """

    _is_closed = False

    def __init__(self) -> None:
        super().__init__()
        known = self._known
        self._close_claim = allocate_lock()
        self._before_close: list[Callable[[], object]] = []
        self._handlers: list[Callable[[], Iterable[Callable[..., Any]]]] = []
        self._makers = Makers(known)
        self._root = known.root = Root(self)
        known.root_makers = self._root._makers
        known.singletons = Singletons(known)
        _registries[id(self)] = self

    #: Subclasses that attrs defines have an `__init__` of their own, which calls this first.
    __attrs_pre_init__ = __init__

    def __repr__(self) -> str:
        state = ", closed" if self._is_closed else ""
        return f"<wares.Registry(services={len(self._known.recipes)}{state})>"

    def __enter__(self) -> Self:
        self._known.check_open()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._close(error)

    async def __aenter__(self) -> Self:
        self._known.check_open()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._aclose(error)

    def container(self, given: Mapping[Hashable, Any] | None = None) -> Container:
        """Open a container for one request, event or job.

        Args:
            given: Objects that are there from the start, by their keys; they are never entered,
                awaited or closed.

        Returns:
            The container, to be closed when the request, event or job ends.

        Raises:
            RegistryClosedError: The registry is closed.
        """
        container = Container(self)
        if given:
            container._give(given)
        return container

    def start(self) -> None:
        """Make the singletons that are registered with ``eager=True``.

        They are made in the order of registration, and what they need before them. If one of them
        fails, what this start has made is cleaned up again. The lifespans and ``init_app`` of the
        adapters do it; what is made already stays.

        >>> registry = Registry()
        >>> registry.register_factory(list, list, lifetime="singleton", eager=True)
        >>> registry.start()

        Raises:
            AsyncServiceError: Something has to be awaited: use `astart`.
            RegistryClosedError: The registry is closed.
            Exception: Whatever a factory raises, with the path to it as a note.
        """
        start = Start(self._known)
        try:
            for key in start.keys:
                self._root.get(key)
        except BaseException as error:  # noqa: BLE001  # it is raised again
            raise_as_it_is(start.undo(error))

    async def astart(self) -> None:
        """Make them as `start` does, and await what has to be awaited.

        Raises:
            WaresError: As `start` does, but for AsyncServiceError.
            Exception: Whatever a factory raises, with the path to it as a note.
        """
        start = Start(self._known)
        try:
            for key in start.keys:
                await self._root.aget(key)
        except BaseException as error:  # noqa: BLE001  # it is raised again
            raise_as_it_is(await start.aundo(error))

    def validate(self) -> None:
        """Check that everything that is registered can be made; runs no factory.

        The lifespans of the adapters call it once the registrations are done.

        Raises:
            InvalidRegistryError: All problems at once: missing services, circles, lifetimes that
                do not fit, parameters that nothing can fill.
        """
        raise_problems("The registry has", self.graph().problems)

    def graph(self) -> Graph:
        """Draw up what needs what, as the factories declare it; runs no factory.

        Returns:
            The graph, with its problems.
        """
        known = self._known
        return Graph.over(
            known.recipes,
            known.expected,
            Container,
            known.find_name,
            known.find_recipe,
            known.seen,
        )

    @contextmanager
    def record(self) -> Iterator[None]:
        """Note what factories ask for in their bodies, while the ``with`` block lasts.

        Signatures do not show this, so `graph` cannot know it otherwise. Asking is slower then.

        >>> registry = Registry()
        >>> registry.register_factory(list, lambda wares_container: [wares_container.get(int)])
        >>> registry.register_factory(int, int)
        >>> with registry.record(), registry.container() as container:
        ...     service = container.get(list)
        >>> [(edge.source, edge.target, edge.kind) for edge in registry.graph().edges]
        [('list', 'int', 'seen')]
        """
        from wares._core.recording import record  # noqa: PLC0415  # few programs record

        with record(self):
            yield

    def close(self) -> None:
        """End what the registry keeps: singletons, then ``on_registry_close``, each in reverse.

        Closing twice does nothing the second time.

        Raises:
            PendingAsyncCleanupError: A cleanup must be awaited; nothing has been touched.
            BaseException: Whatever a cleanup raises, after all others have run.
        """
        self._close(None)

    async def aclose(self) -> None:
        """End what the registry keeps, as `close` does, and await what has to be awaited.

        Raises:
            BaseException: Whatever a cleanup raises, after all others have run.
        """
        await self._aclose(None)

    def _close(self, error: BaseException | None) -> None:
        if self._is_closed:
            return
        pending = self._pending_async()
        if pending:
            raise PendingAsyncCleanupError(pending, "registry")
        if not self._close_claim.acquire(blocking=False):
            return
        after = error
        for callback in self._start_closing():
            try:
                _refuse_coroutine(callback())
            except BaseException as raised:  # noqa: BLE001  # everything else must be closed
                after = replace(after, raised)
        after = leave_all(self._end_root(), after, self._known.observers)
        after = leave_all(self._callbacks, after)
        if after is not error and after is not None:
            raise_as_it_is(after)

    async def _aclose(self, error: BaseException | None) -> None:
        if self._is_closed or not self._close_claim.acquire(blocking=False):
            return
        after = error
        for callback in self._start_closing():
            try:
                result = callback()
                if inspect.isawaitable(result):
                    await result
            except BaseException as raised:  # noqa: BLE001  # everything else must be closed
                after = replace(after, raised)
        after = await aleave_all(self._end_root(), after, self._known.observers)
        after = await aleave_all(awaited_callbacks(self._callbacks), after)
        if after is not error and after is not None:
            raise_as_it_is(after)

    def _start_closing(self) -> list[Callable[[], object]]:
        """Refuse new containers; give what closes before the singletons do, the last one first."""
        self._is_closed = True
        callbacks = self._before_close[::-1]
        self._before_close.clear()
        return callbacks

    def _end_root(self) -> list[Entry]:
        """Close the container that keeps the singletons; give what is to be cleaned up."""
        root = self._root
        made = root._made
        root._made = ROOT_CLOSED
        cleanups = take_cleanups(made)
        # Makers look in there.
        made.clear()
        self._known.singletons.forget()
        return cleanups

    def _pending_async(self) -> list[Hashable]:
        cleanups = self._root._cleanups
        return [
            *(cleanups.find_pending() if cleanups else ()),
            *self._callbacks.find_pending(),
        ]

    def _forget_singletons(self) -> None:
        """Start without the singletons of the parent process, in which they live on."""
        if self._is_closed:
            return
        if self._root._cleanups:
            self._root._cleanups.clear()
        self._root._made = {}
        self._known.singletons.forget()
        self._known.change()


def _refuse_coroutine(result: object) -> None:
    if inspect.iscoroutine(result):
        result.close()
        raise PendingAsyncCleanupError(["an adapter"], "registry")


#: By their number, because a subclass need not be hashable.
_registries: WeakValueDictionary[int, Registry] = WeakValueDictionary()


def _begin_in_child() -> None:
    for registry in list(_registries.values()):
        registry._forget_singletons()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_in_child)

Registrations.container_class = Container
