"""`Container`, which keeps the services of one request, and `Registry`, which opens containers.

Each is spread over several modules, one class on top of another: `Container` is made of `asking`
and `families`, `Registry` of `registering` and `closing`.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Hashable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, overload

import attrs
from typing_extensions import TypeVar

from wares._core.annotations import expand_alias
from wares._core.asking import CLOSED
from wares._core.claims import CLEANUPS, NOT_MADE, Claim
from wares._core.cleanups import RegistryCleanups, aleave_all, leave_all, raise_as_it_is
from wares._core.closing import Closing, forget_in_children
from wares._core.current import Activation, find_current
from wares._core.families import Related, take_cleanups
from wares._core.makers import Makers
from wares._core.pings import ServicePing, list_pings
from wares._core.signatures import Reader
from wares._core.singletons import Singletons
from wares._core.starting import Start
from wares._graph.graph import Graph
from wares.exceptions import NoContainerError, RegistryClosedError, WaresError, raise_problems

T = TypeVar("T")


def current_container() -> Container:
    """Return the container of the request, event or call that is being served.

    Returns:
        The container that was last activated in this task or thread.

    Raises:
        NoContainerError: There is no current container.
    """
    container: Container | None = find_current()
    if container is None:
        raise NoContainerError
    return container


@attrs.define(these={"registry": attrs.field()}, init=False, repr=False, eq=False, slots=False)
class Container(Related):
    """The services of one request, event or job: made when asked for, shared, cleaned up.

    Use it as a context manager: when the block ends, the services are cleaned up in the exact
    reverse of the order in which they were finished, and the cleanups see the exception, if any.

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

    # One parameter without a default: Python calls such an `__init__` faster.
    def __init__(self, registry: Registry) -> None:
        if registry._is_closed:
            raise RegistryClosedError
        self.registry = registry
        self._made = {}
        self._makers = registry._makers

    def __attrs_pre_init__(self, registry: Registry, *_args: Any, **_fields: Any) -> None:
        """Initialize a subclass that attrs defines, whose own `__init__` calls this first."""
        Container.__init__(self, registry)

    def __repr__(self) -> str:
        if self.is_closed:
            return "<wares.Container(closed)>"
        made = sum(key in self for key in self._made.copy())
        return f"<wares.Container(made={made}, cleanups={len(self._cleanups or ())})>"

    def __contains__(self, key: object) -> bool:
        """Return whether the service of *key* is made already."""
        made = self._made.get(expand_alias(key), NOT_MADE)
        return key is not CLEANUPS and not isinstance(made, Claim)

    def __bool__(self) -> bool:
        """Be true, also if no service is made."""
        return True

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
        # Close before taking the cleanups and children. A thread that adds one does so first, and
        # then checks whether the container is closed, so none is missed.
        self._made = CLOSED
        if self._family is not None:
            after = self._close_family(made, error)
        elif CLEANUPS in made:
            after = leave_all(
                take_cleanups(made), error, self.registry._registrations.observers
            )
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
            # Not a coroutine function itself, so that closing needs one coroutine, not two.
            made = self._made
            self._made = CLOSED
            if self._family is not None:
                return self._aclose_family(made, error)
            return _aleave(made, error, self.registry._registrations.observers)

    def child(self, given: Mapping[Hashable, Any] | None = None) -> Container:
        """Open a container within this one: for an event of a connection, or an item of a batch.

        The child has scoped services of its own, shares those of lifetime ``"connection"`` with the
        outermost container, and sees the given objects and local registrations of this one. A
        container that closes closes its open children first.

        Args:
            given: Objects that the child has from the start, by their keys, in addition to
                those that were given to this container.

        Returns:
            The child, which must be closed like any container.

        Raises:
            ContainerClosedError: This container is closed.
        """
        if self._made is CLOSED:
            raise self._make_closed_error()
        child = Container(self.registry)
        child._become_child_of(self, given)
        if self._made is CLOSED:
            # Another thread has closed this container, and may not have seen the child.
            child.close()
            raise self._make_closed_error()
        return child

    def call(self, function: Callable[..., T], /, *args: Any, **kwargs: Any) -> T:
        """Call a function, and fill the parameters that the call leaves open from this container.

        These are the parameters that `Inject` or `Depends` marks, and those without a default whose
        annotation is registered, or was given to this container. Arguments that are passed win.
        The container is the current one during the call.

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
            AsyncServiceError: The function is asynchronous, or a service must be awaited.
            TypeError: An argument is missing, or there is one too many.
            Exception: Whatever the function, or a factory, raises.
        """
        from wares._inject.calling import call  # noqa: PLC0415  # that module imports this one

        result: T = call(self, function, args, kwargs)
        return result

    @overload
    async def acall(
        self, function: Callable[..., Coroutine[Any, Any, T]], /, *args: Any, **kwargs: Any
    ) -> T: ...

    @overload
    async def acall(self, function: Callable[..., T], /, *args: Any, **kwargs: Any) -> T: ...

    async def acall(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """Call a function as `call` does, and await factories and the function's coroutine.

        Args:
            function: Any callable, asynchronous or not.
            args: Its arguments by position.
            kwargs: Its arguments by keyword.

        Returns:
            What the function returns.

        Raises:
            TypeError: An argument is missing, or there is one too many.
            Exception: Whatever the function, or a factory, raises.
        """
        from wares._inject.calling import acall  # noqa: PLC0415  # that module imports this one

        return await acall(self, function, args, kwargs)

    def get_pings(self) -> list[ServicePing]:
        """List the pings of the registered services, without making the services.

        Returns:
            The pings, in the order of registration.

        >>> from wares import Registry
        >>> registry = Registry()
        >>> registry.register_value(int, 5, ping=lambda number: None)
        >>> with registry.container() as container:
        ...     [ping.name for ping in container.get_pings()]
        ['int']
        """
        registered = self.registry._registrations.recipes
        recipes = {**registered, **self._find_local_recipes()}
        return list_pings(self, recipes)

    def activate(self) -> Activation[Container]:
        """Make this the current container while a ``with`` block lasts, without closing it.

        >>> from wares import Registry, current_container
        >>> with Registry() as registry, registry.container() as container:
        ...     with container.activate():
        ...         current_container() is container
        True

        Returns:
            A context manager that returns the container when it is entered.
        """
        return Activation(self)

    def close(self) -> None:
        """Clean up the services, the last finished first; the container is then closed for good.

        Closing a second time does nothing.

        Raises:
            PendingAsyncCleanupError: A cleanup must be awaited; nothing has been touched.
            BaseException: Whatever a cleanup raises, after all others have run.
        """
        self.__exit__(None, None, None)

    async def aclose(self) -> None:
        """Clean up as `close` does, and await asynchronous cleanups.

        Raises:
            BaseException: Whatever a cleanup raises, after all others have run.
        """
        await self.__aexit__(None, None, None)

    def reset(self) -> None:
        """Close and open again, with the given objects and without local registrations.

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
            # Another task may have reset the container meanwhile, and may have made services.
            if self._made is CLOSED:
                self._reopen()


async def _aleave(
    made: dict[Hashable, Any], error: BaseException | None, observers: tuple[object, ...]
) -> None:
    """Run the cleanups of a container, and raise the exception that is under way afterwards."""
    if CLEANUPS in made:
        after = await aleave_all(take_cleanups(made), error, observers)
        if after is not error and after is not None:
            raise_as_it_is(after)


class Root(Container):
    """The container that keeps a registry's singletons.

    It notes the keys that singletons ask it for, so that an override finds outdated ones.
    """

    _make_cleanups = RegistryCleanups

    def __init__(self, registry: Registry) -> None:
        super().__init__(registry)
        self._makers = Makers(registry._registrations, keeper="singleton")

    def get(self, key: Any, /, *more: Any) -> Any:
        """Get singletons, and note the key as a source of the singleton that is being made."""
        # More keys come here one by one, because `Asking.get` calls this method for each.
        self.registry._registrations.singletons.note_source(key)
        return super().get(key, *more)

    async def aget(self, key: Any, /, *more: Any) -> Any:
        """Get singletons as `get` does, and await asynchronous factories."""
        # See `get`.
        self.registry._registrations.singletons.note_source(key)
        return await super().aget(key, *more)

    def _make_closed_error(self) -> WaresError:
        return RegistryClosedError()


class Registry(Closing):
    """The services that an application has, and how they are made.

    Register services at the start of the application, open a container for each request, and close
    the registry at the end, or use it in a ``with`` or ``async with`` block, which closes it.

    >>> registry = Registry()
    >>> registry.register_factory(list, lambda: ["made", "once"])
    >>> with registry.container() as container:
    ...     container.get(list) is container.get(list)
    True
    """

    def __init__(self) -> None:
        super().__init__()
        registrations = self._registrations
        self._handlers: list[Callable[[], Iterable[Callable[..., Any]]]] = []
        self._finders: list[Callable[[Registry], Iterable[Exception]]] = []
        self._makers = Makers(registrations)
        self._root = registrations.root = Root(self)
        registrations.singletons = Singletons(registrations)
        forget_in_children(self)

    #: A subclass that attrs defines has an `__init__` of its own, which calls this first.
    __attrs_pre_init__ = __init__

    def __repr__(self) -> str:
        state = ", closed" if self._is_closed else ""
        return f"<wares.Registry(services={len(self._registrations.recipes)}{state})>"

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            """Raise an AttributeError, which says for `get` that containers have that method."""
            hint = (
                ". Ask a container: with registry.container() as container: container.get(...)"
                if name in ("get", "aget")
                else ""
            )
            message = f"{type(self).__qualname__!r} object has no attribute {name!r}{hint}"
            raise AttributeError(message, name=name, obj=self)

    def container(self, given: Mapping[Hashable, Any] | None = None) -> Container:
        """Open a container for one request, event or job.

        Args:
            given: Objects that the container has from the start, by their keys; they are never
                entered, awaited or closed.

        Returns:
            The container, which must be closed when the request, event or job ends.

        Raises:
            RegistryClosedError: The registry is closed.
        """
        container = Container(self)
        if given:
            container._give(given)
        return container

    def start(self) -> None:
        """Make the singletons that are registered with ``eager=True``.

        They are made in the order of registration, each after the singletons that it needs. If one
        of them fails, those made since are cleaned up; those made before stay. If several threads
        or tasks start the registry at the same time, only the last one that fails cleans up, and
        none does if one succeeds. The lifespans and ``init_app`` of the adapters call this method.

        >>> registry = Registry()
        >>> registry.register_factory(list, list, lifetime="singleton", eager=True)
        >>> registry.start()

        Raises:
            AsyncServiceError: A factory must be awaited: use `astart`.
            RegistryClosedError: The registry is closed.
            Exception: Whatever a factory raises, with the path to it as a note.
        """
        start = Start(self._registrations)
        try:
            for key in start.keys:
                self._root.get(key)
        except BaseException as error:  # noqa: BLE001  # raised again below
            raise_as_it_is(start.undo(error))
        start.succeed()

    async def astart(self) -> None:
        """Make the eager singletons as `start` does, and await asynchronous factories.

        Raises:
            WaresError: As `start` does, but for AsyncServiceError.
            Exception: Whatever a factory raises, with the path to it as a note.
        """
        start = Start(self._registrations)
        try:
            for key in start.keys:
                await self._root.aget(key)
        except BaseException as error:  # noqa: BLE001  # raised again below
            raise_as_it_is(await start.aundo(error))
        start.succeed()

    def validate(self) -> None:
        """Check that every registered service can be made, without running a factory.

        The lifespans of the adapters call this method after the registrations.

        Raises:
            InvalidRegistryError: All problems at once: missing services, circles, lifetimes that
                do not fit, parameters that nothing can fill.
        """
        raise_problems("The registry has", self.graph().problems)

    def graph(self) -> Graph:
        """Return which services need which, as the factories declare it, without running one.

        Returns:
            The graph, with its problems.
        """
        registrations = self._registrations
        return Graph.over(
            registrations.recipes,
            registrations.expected,
            registrations.find_recipe,
            registrations.seen,
        )

    @contextmanager
    def record(self) -> Iterator[None]:
        """Record which keys factories ask for in their bodies, while the ``with`` block lasts.

        Signatures do not show these needs, so `graph` only knows them from such a recording. `get`
        is slower meanwhile.

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


Reader.container = Container
