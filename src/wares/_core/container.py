"""One request's services.

This module knows how a container is opened, asked, handed down and closed. It must not know how
services are made (that is `_resolution`), nor any framework.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Coroutine, Hashable, Iterable, Iterator, Mapping
from contextvars import ContextVar, Token
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self, TypeVar, overload

import attrs

from wares._core.cleanups import (
    ASYNC_LEAVES,
    CALLED,
    SHIELDED,
    Cleanups,
    Entry,
    Failure,
    RegistryCleanups,
    aattempt,
    aleave_all,
    attempt,
    awaited_callbacks,
    ayielded_again,
    leave_all,
    leave_async_generator,
    leave_callback,
    leave_generator,
    report,
    yielded_again,
)
from wares._core.keys import describe
from wares._core.lock import LOCK
from wares._core.log import log_registration
from wares._core.plans import NoPlans, PlanBook
from wares._core.recipes import Ping, Recipe, check_callback, recipe_for_factory, recipe_for_value
from wares._core.records import (
    CLOSED,
    NOTHING_TO_CLEAN,
    RECORD,
    Record,
    give_spare,
    new_record,
    publish_if_any,
)
from wares._core.registry import OnRegistryClose, Registry
from wares._core.resolution import LOCAL, Traffic, closed_error, resolve, run
from wares._core.signatures import Need
from wares.exceptions import (
    InvalidLifetimeError,
    NoContainerError,
    PendingAsyncCleanupError,
    RegistryClosedError,
)

if TYPE_CHECKING:
    from typing_extensions import TypeForm

    from wares._core.pings import ServicePing

T1 = TypeVar("T1")
T2 = TypeVar("T2")
T3 = TypeVar("T3")
T4 = TypeVar("T4")
T5 = TypeVar("T5")
T6 = TypeVar("T6")
T7 = TypeVar("T7")
T8 = TypeVar("T8")
T9 = TypeVar("T9")
T10 = TypeVar("T10")

_current: ContextVar[Container | None] = ContextVar("wares_container", default=None)


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

    __slots__ = ("_container", "_token")

    _token: Token[Container | None]

    def __init__(self, container: Container) -> None:
        self._container = container

    def __enter__(self) -> Container:
        self._token = _current.set(self._container)
        return self._container

    def __exit__(self, *_: object) -> None:
        _current.reset(self._token)


@attrs.define(eq=False, repr=False)
class Family:
    """What a container has that most have not: relatives, and registrations of its own.

    Attributes:
        parent: The container that it is a child of.
        outermost: The first of the chain.
        children: The children that are open, in the order in which they were opened.
        recipes: What was registered locally.
        callbacks: What runs when the container closes, for its local registrations.
        locals: The keys that are registered locally, here or in a parent.
    """

    parent: Container | None
    outermost: Container
    children: dict[Container, None] = attrs.field(factory=dict)
    recipes: dict[Hashable, Recipe] = attrs.field(factory=dict)
    callbacks: list[Entry] = attrs.field(factory=list)
    locals: set[Hashable] = attrs.field(factory=set)

    def leave(self, container: Container) -> None:
        """Take *container*, whose family this is, from its parent's open children."""
        if self.parent is not None:
            self.parent._get_family().children.pop(container, None)


class Container:
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

    if sys.version_info < (3, 13):
        # From Python 3.13 on, an object with slots takes longer to make than one without.
        __slots__ = (
            "__weakref__",
            "_family",
            "_given",
            "_made",
            "_plans",
            "_traffic",
            "registry",
        )

    #: The class that asks for the container where it annotates a parameter.
    _own_class: ClassVar[Any]

    #: Whether this keeps the registry's singletons.
    _is_root: ClassVar[bool] = False

    #: The container around one that ends with a function; see `FunctionContainer`.
    _request_container: Container | None = None

    registry: Registry
    _made: dict[Hashable, Any]
    _given: Mapping[Hashable, Any] | None
    _plans: PlanBook
    _family: Family | None
    _traffic: Traffic | None

    # One parameter, and no default: Python makes objects faster where it has nothing to fill in.
    def __init__(self, registry: Registry) -> None:
        if registry._is_closed:
            raise RegistryClosedError
        self.registry = registry
        self._made = {}
        # What is given or registered locally under a key.
        self._given = None
        self._plans = registry._plans
        self._family = None
        self._traffic = None

    def __repr__(self) -> str:
        if self._made is CLOSED:
            return "<wares.Container(closed)>"
        publish_if_any(self._made)
        made = sum(key is not RECORD for key in list(self._made))
        return f"<wares.Container(made={made}, cleanups={len(self._cleanups or ())})>"

    def __contains__(self, key: object) -> bool:
        """Tell whether the service of *key* is made already."""
        made = self._made
        record: Record | None = made.get(RECORD)
        # What is held back is published before it is no longer held back.
        return key in made or (record is not None and record.holds(key)) or key in made

    def __bool__(self) -> bool:
        """Be true, also where nothing is made."""
        return True

    def __enter__(self) -> Self:
        if self._made is CLOSED:
            raise closed_error(self)
        return self

    def __exit__(  # noqa: C901  # in one, as a call more costs each request
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # What a closed container has made is empty, so closing it again comes to nothing.
        made = self._made
        self._made = CLOSED
        if self._family is not None:
            self._close_family(self._family, made, error)
            return
        # Of two threads that close at once, one gets it.
        record: Record = made.pop(RECORD, NOTHING_TO_CLEAN)
        if record is NOTHING_TO_CLEAN:
            return
        cleanups = record.cleanups
        # First this, then the look: whoever adds one by the slow way does it the other way round.
        record.cleanups = None
        state = record.state
        if state is not False and state is not True:
            self._stop_plan()
        if cleanups is None:
            return
        if cleanups and cleanups.way:
            self._undo_closing(made, record, cleanups)
            raise PendingAsyncCleanupError(self._pending_async(), "container")
        # As in `leave_all`, up to the first failure: that saves each request a call.
        while cleanups:
            leave, thing, recipe = cleanups.pop()
            try:
                if leave is leave_generator and error is None:
                    # As that does: to call it would take as long as to leave the generator.
                    for _ in thing:
                        raise yielded_again(thing, recipe)  # noqa: TRY301  # it is a failure
                else:
                    leave(thing, recipe, error)
            except BaseException as failure:  # noqa: BLE001  # every other cleanup must run
                failures = [(describe(recipe.key), failure), *leave_all(cleanups, error)]
                break
        else:
            if state is False:
                give_spare(cleanups)
            return
        report(failures, "container", error)

    async def __aenter__(self) -> Self:
        if self._made is CLOSED:
            raise closed_error(self)
        return self

    async def __aexit__(  # noqa: C901, PLR0912  # see `__exit__`
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        made = self._made
        self._made = CLOSED
        if self._family is not None:
            await self._aclose_family(self._family, made, error)
            return
        record: Record = made.pop(RECORD, NOTHING_TO_CLEAN)
        if record is NOTHING_TO_CLEAN:
            return
        cleanups = record.cleanups
        # First this, then the look: whoever adds one by the slow way does it the other way round.
        record.cleanups = None
        state = record.state
        if state is not False and state is not True:
            self._stop_plan()
        if cleanups is None:
            return
        if cleanups.way == SHIELDED:
            await aleave_all(cleanups, error, "container")
        while cleanups:
            leave, thing, recipe = cleanups.pop()
            try:
                if leave is leave_async_generator and error is None:
                    # See `__exit__`.
                    async for _ in thing:
                        raise await ayielded_again(thing, recipe)  # noqa: TRY301  # it is a failure
                else:
                    left = leave(thing, recipe, error)
                    if left is not None:
                        await left
            except BaseException as failure:  # noqa: BLE001  # every other cleanup must run
                rest = await aleave_all(cleanups, error)
                failures = [(describe(recipe.key), failure), *rest]
                break
        else:
            if state is False:
                cleanups.way = CALLED
                give_spare(cleanups)
            return
        report(failures, "container", error)

    @overload
    def get(self, key: TypeForm[T1], /) -> T1: ...

    @overload
    def get(self, key1: TypeForm[T1], key2: TypeForm[T2], /) -> tuple[T1, T2]: ...

    @overload
    def get(
        self, key1: TypeForm[T1], key2: TypeForm[T2], key3: TypeForm[T3], /
    ) -> tuple[T1, T2, T3]: ...

    @overload
    def get(
        self, key1: TypeForm[T1], key2: TypeForm[T2], key3: TypeForm[T3], key4: TypeForm[T4], /
    ) -> tuple[T1, T2, T3, T4]: ...

    @overload
    def get(
        self,
        key1: TypeForm[T1],
        key2: TypeForm[T2],
        key3: TypeForm[T3],
        key4: TypeForm[T4],
        key5: TypeForm[T5],
        /,
    ) -> tuple[T1, T2, T3, T4, T5]: ...

    @overload
    def get(
        self,
        key1: TypeForm[T1],
        key2: TypeForm[T2],
        key3: TypeForm[T3],
        key4: TypeForm[T4],
        key5: TypeForm[T5],
        key6: TypeForm[T6],
        /,
    ) -> tuple[T1, T2, T3, T4, T5, T6]: ...

    @overload
    def get(
        self,
        key1: TypeForm[T1],
        key2: TypeForm[T2],
        key3: TypeForm[T3],
        key4: TypeForm[T4],
        key5: TypeForm[T5],
        key6: TypeForm[T6],
        key7: TypeForm[T7],
        /,
    ) -> tuple[T1, T2, T3, T4, T5, T6, T7]: ...

    @overload
    def get(
        self,
        key1: TypeForm[T1],
        key2: TypeForm[T2],
        key3: TypeForm[T3],
        key4: TypeForm[T4],
        key5: TypeForm[T5],
        key6: TypeForm[T6],
        key7: TypeForm[T7],
        key8: TypeForm[T8],
        /,
    ) -> tuple[T1, T2, T3, T4, T5, T6, T7, T8]: ...

    @overload
    def get(
        self,
        key1: TypeForm[T1],
        key2: TypeForm[T2],
        key3: TypeForm[T3],
        key4: TypeForm[T4],
        key5: TypeForm[T5],
        key6: TypeForm[T6],
        key7: TypeForm[T7],
        key8: TypeForm[T8],
        key9: TypeForm[T9],
        /,
    ) -> tuple[T1, T2, T3, T4, T5, T6, T7, T8, T9]: ...

    @overload
    def get(
        self,
        key1: TypeForm[T1],
        key2: TypeForm[T2],
        key3: TypeForm[T3],
        key4: TypeForm[T4],
        key5: TypeForm[T5],
        key6: TypeForm[T6],
        key7: TypeForm[T7],
        key8: TypeForm[T8],
        key9: TypeForm[T9],
        key10: TypeForm[T10],
        /,
    ) -> tuple[T1, T2, T3, T4, T5, T6, T7, T8, T9, T10]: ...

    @overload
    def get(self, key: Any, /, *more: Any) -> Any: ...

    def get(self, key: Any, /, *more: Any) -> Any:
        """Get services, made on the first time and shared afterwards.

        Args:
            key: What to ask for.
            more: What else to ask for.

        Returns:
            The service; for several keys a tuple of services.

        Raises:
            ServiceNotFoundError: Nothing is registered under a key.
            AsyncServiceError: Something has to be awaited: use `aget`.
            CircularDependencyError: Services need each other in a circle.
            LifetimeError: A service would outlive what it needs.
            ContainerClosedError: This container is closed.
            Exception: Whatever a factory raises, with the path to it as a note.
        """
        if more:
            return self._get_several((key, *more))
        made = self._made
        if key in made:
            return made[key]
        try:
            plan = self._plans.sync[key]
        except KeyError:
            pass
        else:
            return plan(self)
        return self._get_slowly(key)

    @overload
    async def aget(self, key: TypeForm[T1], /) -> T1: ...

    @overload
    async def aget(self, key1: TypeForm[T1], key2: TypeForm[T2], /) -> tuple[T1, T2]: ...

    @overload
    async def aget(
        self, key1: TypeForm[T1], key2: TypeForm[T2], key3: TypeForm[T3], /
    ) -> tuple[T1, T2, T3]: ...

    @overload
    async def aget(
        self, key1: TypeForm[T1], key2: TypeForm[T2], key3: TypeForm[T3], key4: TypeForm[T4], /
    ) -> tuple[T1, T2, T3, T4]: ...

    @overload
    async def aget(
        self,
        key1: TypeForm[T1],
        key2: TypeForm[T2],
        key3: TypeForm[T3],
        key4: TypeForm[T4],
        key5: TypeForm[T5],
        /,
    ) -> tuple[T1, T2, T3, T4, T5]: ...

    @overload
    async def aget(
        self,
        key1: TypeForm[T1],
        key2: TypeForm[T2],
        key3: TypeForm[T3],
        key4: TypeForm[T4],
        key5: TypeForm[T5],
        key6: TypeForm[T6],
        /,
    ) -> tuple[T1, T2, T3, T4, T5, T6]: ...

    @overload
    async def aget(
        self,
        key1: TypeForm[T1],
        key2: TypeForm[T2],
        key3: TypeForm[T3],
        key4: TypeForm[T4],
        key5: TypeForm[T5],
        key6: TypeForm[T6],
        key7: TypeForm[T7],
        /,
    ) -> tuple[T1, T2, T3, T4, T5, T6, T7]: ...

    @overload
    async def aget(
        self,
        key1: TypeForm[T1],
        key2: TypeForm[T2],
        key3: TypeForm[T3],
        key4: TypeForm[T4],
        key5: TypeForm[T5],
        key6: TypeForm[T6],
        key7: TypeForm[T7],
        key8: TypeForm[T8],
        /,
    ) -> tuple[T1, T2, T3, T4, T5, T6, T7, T8]: ...

    @overload
    async def aget(
        self,
        key1: TypeForm[T1],
        key2: TypeForm[T2],
        key3: TypeForm[T3],
        key4: TypeForm[T4],
        key5: TypeForm[T5],
        key6: TypeForm[T6],
        key7: TypeForm[T7],
        key8: TypeForm[T8],
        key9: TypeForm[T9],
        /,
    ) -> tuple[T1, T2, T3, T4, T5, T6, T7, T8, T9]: ...

    @overload
    async def aget(
        self,
        key1: TypeForm[T1],
        key2: TypeForm[T2],
        key3: TypeForm[T3],
        key4: TypeForm[T4],
        key5: TypeForm[T5],
        key6: TypeForm[T6],
        key7: TypeForm[T7],
        key8: TypeForm[T8],
        key9: TypeForm[T9],
        key10: TypeForm[T10],
        /,
    ) -> tuple[T1, T2, T3, T4, T5, T6, T7, T8, T9, T10]: ...

    @overload
    async def aget(self, key: Any, /, *more: Any) -> Any: ...

    def aget(self, key: Any, /, *more: Any) -> Any:
        """Get services as `get` does, awaiting what has to be awaited.

        Args:
            key: What to ask for.
            more: What else to ask for.

        Returns:
            The service; for several keys a tuple of services.

        Raises:
            WaresError: As `get` does, but for AsyncServiceError.
            Exception: Whatever a factory raises, with the path to it as a note.
        """
        # No coroutine function itself, so that there is one coroutine, not two.
        if more:
            return self._aget_several((key, *more))
        made = self._made
        if key in made:
            return _return(made[key])
        try:
            plan = self._plans.awaited[key]
        except KeyError:
            pass
        else:
            return plan(self)
        return self._aget_slowly(key)

    def child(self, given: Mapping[Hashable, Any] | None = None) -> Container:
        """Open a container within this one: an event of a connection, an item of a batch.

        It has scoped services of its own, shares those of lifetime ``"connection"`` with the
        outermost container, and sees what is given to and locally registered in this one. A
        container that closes closes its open children first.

        Args:
            given: Objects that are there from the start, by their keys, beside those that are
                given to this one.

        Returns:
            The child, which is to be closed as any container is.

        Raises:
            ContainerClosedError: This container is closed.
        """
        if self._made is CLOSED:
            raise closed_error(self)
        child = Container(self.registry)
        child._become_child_of(self, given)
        if self._made is CLOSED:
            # Closed in the meantime, so that nobody will close the child.
            child.close()
            raise closed_error(self)
        return child

    def register_local_factory(
        self,
        key: TypeForm[T1] | Hashable,
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
            key: What the service is asked for by.
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
        _refuse_singleton(key, lifetime)
        recipe = recipe_for_factory(
            key,
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
        key: TypeForm[T1] | Hashable,
        value: T1,
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
            key: What the service is asked for by.
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
            key,
            value,
            enter=enter,
            ping=ping,
            suppress_context_exit=suppress_context_exit,
            ping_timeout=ping_timeout,
            tags=tags,
        )
        self._register_locally(recipe, on_registry_close)

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
        recipes = dict(self.registry._recipes)
        for container in reversed(list(self._line())):
            if container._family is not None:
                recipes.update(container._family.recipes)
        pinged = [recipe for recipe in recipes.values() if recipe.ping is not None]
        from wares._core.pings import name_pings  # noqa: PLC0415  # only health checks need it

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
            CleanupError: Cleanups failed; every other one ran.
        """
        self._close(None)

    async def aclose(self) -> None:
        """Clean up as `close` does, and await what has to be awaited.

        A cancellation meanwhile does not interrupt a cleanup: it is raised after the last one.

        Raises:
            CleanupError: Cleanups failed; every other one ran.
        """
        await self._aclose(None)

    def reset(self) -> None:
        """Close, and open again, with what had been given and without local registrations.

        Raises:
            PendingAsyncCleanupError: A cleanup must be awaited; nothing has been touched.
            CleanupError: Cleanups failed; it is open again all the same.
        """
        try:
            self._close(None)
        finally:
            if self._made is CLOSED:
                self._reopen()

    async def areset(self) -> None:
        """Close as `aclose` does, and open again as `reset` does.

        Raises:
            CleanupError: Cleanups failed; it is open again all the same.
        """
        try:
            await self._aclose(None)
        finally:
            self._reopen()

    @property
    def _cleanups(self) -> Cleanups | None:
        """What is to be cleaned up, if anything is."""
        record: Record | None = self._made.get(RECORD)
        return None if record is None else record.cleanups

    def _give(self, given: Mapping[Hashable, Any]) -> None:
        """Put in objects as if they had been there from the start, in the place of others."""
        made = self._made
        if made is CLOSED:
            raise closed_error(self)
        self._note_given(given)
        made.update(given)

    def _note_given(self, given: Mapping[Hashable, Any]) -> None:
        """Remember what is there without being made here: plans have to heed it."""
        self._given = {**(self._given or {}), **given}
        if self._plans is self.registry._plans:
            self._plans = self.registry._given_plans

    @property
    def _outermost(self) -> Container:
        """The first of the chain that this container belongs to; often itself."""
        return self if self._family is None else self._family.outermost

    def _find_local(self, key: Hashable) -> Recipe | None:
        """Find what is registered under *key* in this container, or else in its parents."""
        for container in self._line():
            if container._family is not None and key in container._family.recipes:
                return container._family.recipes[key]
        return None

    def _local_keys(self) -> list[Hashable]:
        """List the keys that are registered or given here and in the parents."""
        return list(self._given or ())

    def _line(self) -> Iterator[Container]:
        """Go from this container through its parents."""
        container: Container | None = self
        while container is not None:
            yield container
            family = container._family
            container = None if family is None else family.parent

    def _get_family(self) -> Family:
        family = self._family
        if family is None:
            with LOCK:
                family = self._family = self._family or Family(None, self)
        return family

    def _register_locally(self, recipe: Recipe, on_close: OnRegistryClose | None) -> None:
        if self._made is CLOSED:
            raise closed_error(self)
        check_callback(recipe.key, on_close)
        family = self._get_family()
        family.recipes[recipe.key] = recipe
        log_registration(recipe)
        if on_close is not None:
            family.callbacks.append((leave_callback, on_close, recipe))
        self._note_local(recipe.key)

    def _note_local(self, key: Hashable) -> None:
        """Let no plan pass by what is registered locally, here and in the children."""
        family = self._get_family()
        family.locals.add(key)
        self._note_given({key: LOCAL})
        for child in list(family.children):
            child._note_local(key)

    def _pending_async(self) -> list[Hashable]:
        """List the services whose cleanup must be awaited, also the children's."""
        return self._pending_async_in(self._made)

    def _pending_async_in(self, made: dict[Hashable, Any]) -> list[Hashable]:
        record: Record | None = made.get(RECORD)
        cleanups = () if record is None else record.cleanups or ()
        keys = [recipe.key for leave, _, recipe in cleanups if leave in ASYNC_LEAVES]
        family = self._family
        if family is not None:
            keys += [
                recipe.key
                for _, callback, recipe in family.callbacks
                if inspect.iscoroutinefunction(callback) or inspect.isawaitable(callback)
            ]
            for child in list(family.children):
                keys += child._pending_async()
        return keys

    def _close(self, error: BaseException | None) -> None:
        self.__exit__(None, error, None)

    def _aclose(self, error: BaseException | None) -> Coroutine[Any, Any, None]:
        return self.__aexit__(None, error, None)

    def _close_family(
        self, family: Family, made: dict[Hashable, Any], error: BaseException | None
    ) -> None:
        if made is CLOSED:
            return
        pending = self._pending_async_in(made)
        if pending:
            self._made = made
            raise PendingAsyncCleanupError(pending, "container")
        family.leave(self)
        failures: list[Failure] = []
        for child in reversed(list(family.children)):
            failures += attempt("a child", partial(child._close, error))
        failures += leave_all(self._take_entries(made), error)
        failures += leave_all(family.callbacks, error)
        report(failures, "container", error)

    async def _aclose_family(
        self, family: Family, made: dict[Hashable, Any], error: BaseException | None
    ) -> None:
        if made is CLOSED:
            return
        family.leave(self)
        failures: list[Failure] = []
        for child in reversed(list(family.children)):
            failures += await aattempt("a child", partial(child._aclose, error))
        entries = self._take_entries(made)
        if entries:
            failures += await aleave_all(entries, error)
        if family.callbacks:
            failures += await aleave_all(awaited_callbacks(family.callbacks), error)
        report(failures, "container", error)

    def _undo_closing(
        self, made: dict[Hashable, Any], record: Record, cleanups: Cleanups
    ) -> None:
        """Open again, because something has to be awaited."""
        record.cleanups = cleanups
        made[RECORD] = record
        self._made = made

    def _take_entries(self, made: dict[Hashable, Any]) -> list[Entry]:
        """Take what is to be cleaned up out of what a closed container has *made*."""
        record: Record | None = made.pop(RECORD, None)
        if record is None:
            return []
        cleanups = record.cleanups
        record.cleanups = None
        if not record.is_idle:
            self._stop_plan()
        return cleanups or []

    def _stop_plan(self) -> None:
        """Let a plan that runs see, before its next step, that the container is closed."""
        with LOCK:
            self._traffic = self._traffic or Traffic()

    def _reopen(self) -> None:
        """Start anew: what was given stays, what was registered locally goes."""
        family = self._family
        given = _given_only(self._given)
        self._family = None
        self._given = given or None
        self._made = _given_only(given)
        if family is not None and family.parent is not None:
            self._become_child_of(family.parent, given)

    def _become_child_of(
        self, parent: Container, given: Mapping[Hashable, Any] | None = None
    ) -> None:
        """Be given what *parent* is given, and beside it *given*; close with it."""
        made = self._made
        family = parent._get_family()
        self._family = Family(parent, family.outermost)
        self._plans = self.registry._child_plans
        # From here on the parent may close it; what it has made is another dictionary then.
        family.children[self] = None
        inherited: Mapping[Hashable, Any] | None = LOCAL
        # Once more if another thread registers something locally meanwhile.
        while inherited is not parent._given:
            inherited = parent._given
            self._given = {**(inherited or {}), **given} if given else inherited
            self._family.locals.update(family.locals)
            if self._given is not None:
                made.update(_given_only(self._given) if family.locals else self._given)

    def _get_several(self, keys: tuple[Any, ...]) -> tuple[Any, ...]:
        if keys[0] in self._made:
            # There is less to do than a plan for all of them reckons with.
            return tuple([self.get(key) for key in keys])
        plan = self._plans.several.get(keys)
        if plan is not None:
            services: tuple[Any, ...] = plan(self)
            return services
        services = tuple([self.get(key) for key in keys])
        self._plans.note_several(keys, _get_all_slowly, can_await=False)
        return services

    async def _aget_several(self, keys: tuple[Any, ...]) -> tuple[Any, ...]:
        if keys[0] in self._made:
            return tuple([await self.aget(key) for key in keys])
        plan = self._plans.awaited_several.get(keys)
        if plan is not None:
            services: tuple[Any, ...] = await plan(self)
            return services
        services = tuple([await self.aget(key) for key in keys])
        self._plans.note_several(keys, _aget_all_slowly, can_await=True)
        return services

    def _get_slowly(self, key: Hashable) -> Any:
        service = run(resolve(self, _need(key), can_await=False))
        self._plans.note_use(key, can_await=False)
        return service

    async def _aget_slowly(self, key: Hashable) -> Any:
        service = await resolve(self, _need(key), can_await=True)
        self._plans.note_use(key, can_await=True)
        return service

    def _keep(self, recipe: Recipe, service: Any, made: dict[Hashable, Any]) -> Any:
        """Keep what was made, where it belongs; give what is kept. Called with the lock held."""
        # What only keeps its arguments, a plan may have made at the same time: nobody can tell.
        return made.setdefault(recipe.key, service)

    def _begin(self, recipe: Recipe) -> None:
        """Begin to note what a service is made from, where that matters."""

    def _note_source(self, asker: Recipe, source: Recipe) -> None:
        """Note what a service was made from, where that matters."""


def _given_only(given: Mapping[Hashable, Any] | None) -> dict[Hashable, Any]:
    """Leave out the keys that stand there only because something is registered locally."""
    return {key: thing for key, thing in (given or {}).items() if thing is not LOCAL}


def _refuse_singleton(key: object, lifetime: str) -> None:
    """Refuse a lifetime that is longer than a container's."""
    if lifetime == "singleton":
        message = (
            f"{describe(key)} cannot be registered locally with the lifetime 'singleton': a "
            f"container ends before the registry. Register it in the registry, or use "
            f"'connection'."
        )
        raise InvalidLifetimeError(message)


async def _return(service: Any) -> Any:
    return service


def _get_all_slowly(container: Container, keys: tuple[Any, ...]) -> tuple[Any, ...]:
    """Get several services the slow way."""
    return tuple([container._get_slowly(key) for key in keys])


async def _aget_all_slowly(container: Container, keys: tuple[Any, ...]) -> tuple[Any, ...]:
    """Get several services the slow way, awaiting."""
    return tuple([await container._aget_slowly(key) for key in keys])


def _need(key: Hashable) -> Need:
    """Make the need of somebody who asks for *key* outright."""
    return Need("", key, by_keyword=False)


class GivenContainer(Container):
    """A container that is given objects from the start, by their keys."""

    if sys.version_info < (3, 13):
        __slots__ = ()

    def __init__(self, registry: Registry, given: Mapping[Hashable, Any]) -> None:
        super().__init__(registry)
        self._made = dict(given)
        self._given = given
        self._plans = registry._given_plans


class FunctionContainer(Container):
    """The services that end when a function returns: those of scope ``"function"``.

    It is a child of the container of the request, event or call that the function is called in.
    What a marker names with another scope is asked of that one.
    """

    if sys.version_info < (3, 13):
        __slots__ = ("_request_container",)

    def __init__(self, request: Container) -> None:
        if request._made is CLOSED:
            raise closed_error(request)
        super().__init__(request.registry)
        self._become_child_of(request)
        self._plans = request.registry._function_plans
        self._request_container = request


@attrs.frozen(eq=False, repr=False)
class Kept:
    """A singleton, and what it was made from.

    Attributes:
        recipe: How it was made.
        sources: Every recipe that had a part in it, however far away.
        service: The singleton.
    """

    recipe: Recipe
    sources: frozenset[Recipe]
    service: Any


class Root(Container):
    """The container that keeps a registry's singletons.

    It knows what each was made from, so that overriding something sets aside whatever was made
    from it, and takes it up again afterwards.
    """

    if sys.version_info < (3, 13):
        __slots__ = ("_aside", "_drafts", "_kept")

    _is_root = True

    def __init__(self, registry: Registry) -> None:
        super().__init__(registry)
        self._made[RECORD] = new_record(RegistryCleanups())
        # Nothing is asked of it often, and a plan would not note what it makes.
        self._plans = NoPlans(registry, is_child=False)
        self._kept: dict[Hashable, Kept] = {}
        self._aside: list[Kept] = []
        self._drafts: dict[Recipe, set[Recipe]] = {}

    def get(self, key: Any, /, *more: Any) -> Any:
        """Get a singleton the slow way: an override may take away what was there just now."""
        return _get_all_slowly(self, (key, *more)) if more else self._get_slowly(key)

    def aget(self, key: Any, /, *more: Any) -> Any:
        """Get a singleton the slow way, awaiting."""
        return _aget_all_slowly(self, (key, *more)) if more else self._aget_slowly(key)

    def _end(self) -> list[Entry]:
        """Close, and give what has to be cleaned up."""
        made = self._made
        self._made = CLOSED
        return self._take_entries(made)

    def _begin(self, recipe: Recipe) -> None:
        """Begin to note what is made from what."""
        self._drafts[recipe] = {recipe}

    def _note_source(self, asker: Recipe, source: Recipe) -> None:
        """Note that *asker*'s service, which is being made, is made from *source*'s."""
        self._drafts.get(asker, set()).add(source)

    def _keep(self, recipe: Recipe, service: Any, made: dict[Hashable, Any]) -> Any:
        """Keep a singleton, but aside if it is outdated already."""
        direct = self._drafts.pop(recipe)
        further = [self._kept[one.key].sources for one in direct if one.key in self._kept]
        kept = Kept(recipe, frozenset(direct.union(*further)), service)
        if self._is_outdated(kept):
            self._aside.append(kept)
        else:
            self._take_up(kept, made)
        return service

    def _take_up(self, kept: Kept, made: dict[Hashable, Any]) -> None:
        self._kept[kept.recipe.key] = kept
        made[kept.recipe.key] = kept.service

    def _revise(self) -> None:
        """Set aside the singletons that registrations have outdated; take back what fits again."""
        if not self._kept and not self._aside:
            return
        made = self._made
        if made is CLOSED:
            return
        with LOCK:
            for key, kept in list(self._kept.items()):
                if self._is_outdated(kept):
                    del self._kept[key]
                    made.pop(key, None)
                    self._aside.append(kept)
            aside = [kept for kept in self._aside if self._may_return(kept)]
            self._aside = []
            for kept in aside:
                if self._is_outdated(kept) or kept.recipe.key in self._kept:
                    self._aside.append(kept)
                else:
                    self._take_up(kept, made)

    def _is_outdated(self, kept: Kept) -> bool:
        return not all(map(self._is_in_force, kept.sources))

    def _is_in_force(self, recipe: Recipe) -> bool:
        current = self.registry._recipes.get(recipe.key)
        if current is None:
            return recipe.is_absent or self.registry._derive(recipe.key) is recipe
        return current is recipe

    def _may_return(self, kept: Kept) -> bool:
        """Tell whether it may fit again: its cleanup waits in any case."""
        registry = self.registry
        return all(
            recipe.is_absent
            or registry._derive(recipe.key) is recipe
            or registry._registered.get(recipe.key) is recipe
            or recipe in registry._overrides.get(recipe.key, ())
            for recipe in kept.sources
        )


if sys.version_info >= (3, 12):
    # For mocks and frameworks, which look whether they have to await.
    inspect.markcoroutinefunction(Container.aget)

Container._own_class = Container
Registry._container_class = Container
Registry._given_container_class = GivenContainer
Registry._root_class = Root
Registry._new_plans = PlanBook
