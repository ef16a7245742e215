"""How a registry ends: it is closed, or its process is forked."""

from __future__ import annotations

import inspect
import os
from _thread import allocate_lock
from collections.abc import Callable, Hashable
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
    replace,
)
from wares._core.families import take_cleanups
from wares._core.registering import Registering
from wares.exceptions import PendingAsyncCleanupError


class Closing(Registering):
    """A registry, as far as it ends."""

    _is_closed = False
    _root: Any

    def __init__(self) -> None:
        super().__init__()
        self._close_claim = allocate_lock()
        self._before_close: list[Callable[[], object]] = []

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
_registries: WeakValueDictionary[int, Closing] = WeakValueDictionary()


def forget_in_children(registry: Closing) -> None:
    """Let the processes that are forked from this one start without the singletons."""
    _registries[id(registry)] = registry


def _begin_in_child() -> None:
    for registry in list(_registries.values()):
        registry._forget_singletons()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_in_child)
