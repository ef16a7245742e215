"""`get` and `aget`: look up a service, or run its maker until no other `get` holds its keys."""

from __future__ import annotations

from _thread import get_ident
from collections.abc import Hashable
from typing import Any, ClassVar, NoReturn, overload

from typing_extensions import TypeForm, TypeVar

from wares._core.awkward import is_a
from wares._core.callables import describe_callable
from wares._core.claims import (
    CLEANUPS,
    Busy,
    Claim,
    begin_wait,
    end_wait,
    fail,
    fail_elsewhere,
    find_path,
    give_up,
)
from wares._core.cleanups import Cleanups
from wares._core.keys import describe_path
from wares._core.makers import Makers
from wares._core.recipes import Recipe, check_key
from wares._core.waiting import expect_in_the_event_loop, expect_in_thread
from wares.exceptions import (
    CircularDependencyError,
    ContainerClosedError,
    RegistryClosedError,
    WaresError,
)

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

#: The beginning of the note that is added to a factory's own exception.
_NOTE = "wares was making "


class Closed(dict[Hashable, Any]):
    """The dict of services of a closed container, which refuses to be read or written.

    Args:
        error: The error to raise.
    """

    def __init__(self, error: type[WaresError]) -> None:
        super().__init__()
        self._error = error

    def setdefault(self, *_: Any) -> NoReturn:
        """Raise the error.

        Raises:
            WaresError: Always.
        """
        raise self._error

    __setitem__ = __getitem__ = setdefault

    def __contains__(self, key: object) -> bool:
        """Report that there are no cleanups; raise the error for any other key.

        Raises:
            WaresError: For any other key.
        """
        if key is CLEANUPS:
            return False
        raise self._error


#: Shared by all closed containers.
CLOSED = Closed(ContainerClosedError)
#: Shared by the root containers of all closed registries.
ROOT_CLOSED = Closed(RegistryClosedError)


class Asking:
    """The part of `Container` that answers `get` and `aget`."""

    registry: Any
    _made: dict[Hashable, Any]
    _makers: Makers
    #: The class of the cleanups of this container.
    _make_cleanups: ClassVar[type[Cleanups]] = Cleanups
    _outermost: Any = None
    _request: Any = None

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

    def get(self, key: Any, /, *more: Any) -> Any:  # noqa: C901, PLR0912, PLR0915  # a call more costs each request
        """Get services, each made the first time and shared afterwards.

        Args:
            key: The key of a service.
            more: Keys of more services.

        Returns:
            The service; for several keys a tuple of services.

        Raises:
            ServiceNotFoundError: Nothing is registered under a key.
            AsyncServiceError: A factory must be awaited: use `aget`.
            CircularDependencyError: Services need each other in a circle.
            LifetimeError: A service would outlive what it needs.
            ContainerClosedError: This container is closed.
            Exception: Whatever a factory raises, with the path to it as a note.
        """
        if more:
            return tuple([self.get(one) for one in (key, *more)])
        made = self._made
        try:
            if key in made:
                service = made[key]
                if type(service) is not Claim:
                    return service
        except KeyError:
            # Another thread gave up its claim between the two look-ups.
            pass
        except TypeError:
            # If the key is not hashable, this raises an error that says so.
            check_key(key)
            raise
        makers, ready = self._makers.sync, self._makers.ready
        if key in makers:
            maker = makers[key]
        elif key in ready and type(service := made.setdefault(key, ready[key])) is not Claim:
            return service
        else:
            maker, _ = self._makers.link(key, self, can_await=False)
        claim = Claim()
        while True:
            try:
                if self._made is not made:
                    raise self._make_closed_error()  # noqa: TRY301  # a failure like any other
                service = maker(self, made, claim)
                if self._made is not made:
                    raise self._make_closed_error()  # noqa: TRY301  # a failure like any other
            except Busy as found:
                busy = found
            except BaseException as error:
                # First, because no signal handler can run between the exception and this line.
                claim.is_over = True
                try:
                    fail(claim, self, made, error)
                finally:
                    if claim.waiters:
                        fail_elsewhere(claim, self, made, error)
                explain(error)
                raise
            else:
                return service
            try:
                give_up(claim, self, made)
                wait_for_another(claim, busy)
            except BaseException as error:
                claim.is_over = True
                if claim.waiters:
                    fail_elsewhere(claim, self, made, error)
                raise
            finally:
                # An exception that its own frame refers to is left to the garbage collector.
                del busy

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

    async def aget(self, key: Any, /, *more: Any) -> Any:  # noqa: C901, PLR0912, PLR0915  # see `get`
        """Get services as `get` does, and await what must be awaited.

        Args:
            key: The key of a service.
            more: Keys of more services.

        Returns:
            The service; for several keys a tuple of services.

        Raises:
            WaresError: As `get` does, but for AsyncServiceError.
            Exception: Whatever a factory raises, with the path to it as a note.
        """
        if more:
            return tuple([await self.aget(one) for one in (key, *more)])
        made = self._made
        try:
            if key in made:
                service = made[key]
                if type(service) is not Claim:
                    return service
        except KeyError:
            # See `get`.
            pass
        except TypeError:
            check_key(key)
            raise
        makers, ready = self._makers.awaited, self._makers.ready
        if key in makers:
            maker, is_async = makers[key]
        elif key in ready and type(service := made.setdefault(key, ready[key])) is not Claim:
            return service
        else:
            maker, is_async = self._makers.link(key, self, can_await=True)
        claim = Claim()
        while True:
            try:
                if self._made is not made:
                    raise self._make_closed_error()  # noqa: TRY301  # see `get`
                if is_async:
                    # Before the coroutine exists, because this call may fail if the stack is full.
                    claim.thread = get_ident()
                service = maker(self, made, claim)
                if is_async:
                    claim.coroutine = service
                    service = await service
                if self._made is not made:
                    raise self._make_closed_error()  # noqa: TRY301  # see `get`
            except Busy as found:
                busy = found
            except BaseException as error:
                # See `get`.
                claim.is_over = True
                try:
                    fail(claim, self, made, error)
                finally:
                    if claim.waiters:
                        fail_elsewhere(claim, self, made, error)
                explain(error)
                raise
            else:
                return service
            try:
                give_up(claim, self, made)
                await await_another(claim, busy)
            except BaseException as error:
                claim.is_over = True
                if claim.waiters:
                    fail_elsewhere(claim, self, made, error)
                raise
            finally:
                del busy

    def _make_closed_error(self) -> WaresError:
        """Return the error that says that the container is closed."""
        return ContainerClosedError()


# Python's warning about a coroutine that was never awaited names it.
Asking.aget.__qualname__ = "Container.aget"


def wait_for_another(claim: Claim, busy: Busy) -> None:
    """Wait for a service that another `get` makes; raise the error if that one failed."""
    give, wait_for_answer = expect_in_thread()
    wait = begin_wait(claim, busy, give, blocks=True)
    if wait is None:
        return
    try:
        raise_outcome(wait_for_answer())
    finally:
        end_wait(wait)
        # An exception that a frame of its own traceback refers to is left to the garbage collector.
        del wait, busy, give, wait_for_answer


async def await_another(claim: Claim, busy: Busy) -> None:
    """Wait as `wait_for_another` does, in an event loop."""
    give, wait_for_answer = expect_in_the_event_loop()
    wait = begin_wait(claim, busy, give, blocks=False)
    if wait is None:
        return
    try:
        raise_outcome(await wait_for_answer())
    finally:
        end_wait(wait)
        del wait, busy, give, wait_for_answer


def raise_outcome(error: BaseException | None) -> None:
    """Raise the error that another `get` failed with, if it did."""
    if error is not None:
        try:
            raise error
        finally:
            del error


def explain(error: BaseException) -> None:
    """Add a note to the error of a factory, with the path that led to it.

    Raises:
        CircularDependencyError: The stack overflowed because of a circle.
    """
    if is_a(error, WaresError) or not is_a(error, Exception):
        return
    try:
        path = find_path(error)
        if is_a(error, RecursionError):
            refuse_circle(path)
        notes = getattr(error, "__notes__", ())
        if path and not any(str(note).startswith(_NOTE) for note in notes):
            names = describe_path(recipe.key for recipe in path)
            error.add_note(f"{_NOTE}{names}, made by {describe_callable(path[-1].factory)}")
    except CircularDependencyError:
        raise
    except Exception:  # noqa: BLE001  # the error may be frozen, or refuse notes
        return


def refuse_circle(path: list[Recipe]) -> None:
    """Raise an error if a recipe occurs more than once on the path.

    Raises:
        CircularDependencyError: A recipe does.
    """
    for start, recipe in enumerate(path):
        if path.count(recipe) > 1:
            circle = path[start : path.index(recipe, start + 1)]
            raise CircularDependencyError(
                [*(one.key for one in circle), recipe.key],
                steps=[one.describe_step() for one in circle],
            ) from None
