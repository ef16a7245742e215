"""`Registry.record`: note which keys factories ask for in their bodies.

While a registry records, `get` and `aget` of all containers are replaced; otherwise they are as
fast as ever.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from typing import Any

from wares._core.asking import Asking
from wares._core.claims import find_path
from wares._core.locking import locked
from wares._core.registrations import Registrations

_get, _aget = Asking.get, Asking.aget

#: The registries that record, by their registrations, and how many blocks of each are open.
_recording: Counter[Registrations] = Counter()


@contextmanager
def record(registry: Any) -> Iterator[None]:
    """Note which keys factories ask the containers of *registry* for, while the block lasts."""
    _begin(registry._registrations)
    try:
        yield
    finally:
        _end(registry._registrations)


@locked
def _begin(registrations: Registrations) -> None:
    _recording[registrations] += 1
    Asking.get = _get_and_note  # type: ignore[method-assign]  # put back by `_end`
    Asking.aget = _aget_and_note  # type: ignore[method-assign]  # the same


@locked
def _end(registrations: Registrations) -> None:
    _recording.subtract([registrations])
    if not +_recording:
        Asking.get = _get  # type: ignore[method-assign]  # as it was
        Asking.aget = _aget  # type: ignore[method-assign]  # the same
        _recording.clear()


def _get_and_note(self: Any, key: Any, /, *more: Any) -> Any:
    _note(self, (key, *more))
    return _get(self, key, *more)


async def _aget_and_note(self: Any, key: Any, /, *more: Any) -> Any:
    _note(self, (key, *more))
    return await _aget(self, key, *more)


def _note(container: Any, keys: tuple[Hashable, ...]) -> None:
    """Note the asking service and the keys, if a factory asks."""
    registrations = container.registry._registrations
    path = find_path()
    if path and _recording[registrations]:
        registrations.seen.update(((path[-1].key, key), None) for key in keys)
