"""What factories ask for in their bodies, noted as it happens.

This module knows how a container is asked. It must not know what the notes are used for. Nothing
is paid while nobody records: only then are the methods of containers replaced.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from typing import Any

from wares._core.container import Container
from wares._core.registry import Registry
from wares._core.resolution import find_parent

_get, _aget = Container.get, Container.aget

#: The registries that record, and how often each was told to.
_recording: Counter[Registry] = Counter()


@contextmanager
def record(registry: Registry) -> Iterator[None]:
    """Note, while the block lasts, what factories ask the containers of *registry* for."""
    _recording[registry] += 1
    Container.get = _get_and_note  # type: ignore[method-assign]  # put back below
    Container.aget = _aget_and_note  # type: ignore[method-assign]  # the same
    try:
        yield
    finally:
        _recording.subtract([registry])
        if not +_recording:
            Container.get = _get  # type: ignore[method-assign]  # as it was
            Container.aget = _aget  # type: ignore[method-assign]  # the same
            _recording.clear()


def _get_and_note(self: Container, key: Any, /, *more: Any) -> Any:
    _note(self, (key, *more))
    return _get(self, key, *more)


async def _aget_and_note(self: Container, key: Any, /, *more: Any) -> Any:
    _note(self, (key, *more))
    return await _aget(self, key, *more)


def _note(container: Container, keys: tuple[Hashable, ...]) -> None:
    """Note who asks, if it is a factory."""
    registry = container.registry
    making = find_parent(container)
    path = [] if making is None or making.is_over else making.own_path()
    if path and _recording[registry]:
        registry._seen.update(((path[-1].key, key), None) for key in keys)


Registry._record = record
