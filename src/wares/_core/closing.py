"""How a registry gives up its singletons: by closing, or in a forked process."""

from __future__ import annotations

import inspect
import os
from _thread import allocate_lock
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self
from weakref import WeakValueDictionary

from wares._core.asking import ROOT_CLOSED
from wares._core.cleanups import (
    Entry,
    aleave_all,
    awaited_callbacks,
    leave_all,
    raise_as_it_is,
    refuse_pending,
    replace,
)
from wares._core.families import take_cleanups
from wares._core.locking import locked
from wares._core.registering import Registering
from wares.exceptions import PendingAsyncCleanupError


class Closing(Registering):
    """The part of `Registry` that closes."""

    _is_closed = False
    _root: Any

    def __init__(self) -> None:
        super().__init__()
        self._close_claim = allocate_lock()
        self._before_close: list[Callable[[], object]] = []

    def __enter__(self) -> Self:
        self._registrations.check_open()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._close(error)

    async def __aenter__(self) -> Self:
        self._registrations.check_open()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._aclose(error)

    def close(self) -> None:
        """Clean up the singletons, then call ``on_registry_close``, each in reverse order.

        Closing a second time does nothing.

        Raises:
            PendingAsyncCleanupError: A cleanup must be awaited; nothing has been touched.
            BaseException: Whatever a cleanup raises, after all others have run.
        """
        self._close(None)

    async def aclose(self) -> None:
        """Close the registry as `close` does, and await asynchronous cleanups and callbacks.

        Raises:
            BaseException: Whatever a cleanup raises, after all others have run.
        """
        await self._aclose(None)

    def _close(self, error: BaseException | None) -> None:
        if self._is_closed:
            return
        refuse_pending([self._root._cleanups, self._registrations.callbacks], "registry")
        if not self._close_claim.acquire(blocking=False):
            return
        after = error
        for callback in self._start_closing():
            try:
                _refuse_coroutine(callback())
            except BaseException as raised:  # noqa: BLE001  # everything else must be closed
                after = replace(after, raised)
        after = leave_all(self._mark_root_closed(), after, self._registrations.observers)
        after = leave_all(self._registrations.callbacks, after)
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
        after = await aleave_all(self._mark_root_closed(), after, self._registrations.observers)
        after = await aleave_all(awaited_callbacks(self._registrations.callbacks), after)
        if after is not error and after is not None:
            raise_as_it_is(after)

    def _start_closing(self) -> list[Callable[[], object]]:
        """Refuse new containers; return the callbacks to run before the singletons close."""
        self._is_closed = True
        callbacks = self._before_close[::-1]
        self._before_close.clear()
        return callbacks

    @locked
    def _mark_root_closed(self) -> list[Entry]:
        """Mark the root container as closed, and return its cleanups."""
        root = self._root
        made = root._made
        root._made = ROOT_CLOSED
        cleanups = take_cleanups(made)
        # Makers hold a reference to this dict.
        made.clear()
        self._registrations.singletons.forget()
        return cleanups

    def _forget_singletons(self) -> None:
        """Forget the singletons without closing them: they live on in the parent process."""
        if self._is_closed:
            return
        if self._root._cleanups:
            self._root._cleanups.clear()
        self._root._made = {}
        self._registrations.singletons.forget()
        self._registrations.change()


def _refuse_coroutine(result: object) -> None:
    if inspect.iscoroutine(result):
        result.close()
        raise PendingAsyncCleanupError(["an adapter"], "registry")


#: The registries by their `id`, because a subclass need not be hashable.
_registries: WeakValueDictionary[int, Closing] = WeakValueDictionary()


def forget_in_children(registry: Closing) -> None:
    """Make forked processes start without the singletons of *registry*."""
    _registries[id(registry)] = registry


def _begin_in_child() -> None:
    for registry in list(_registries.values()):
        registry._forget_singletons()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_in_child)
