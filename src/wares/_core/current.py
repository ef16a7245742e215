"""The current container: that of the request, event or call that is being served."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar, Token
from typing import Any, Generic, TypeVar

#: A container.
C = TypeVar("C")

#: The current container, or `None`.
current: ContextVar[Any] = ContextVar("wares_container", default=None)

#: Functions of adapters whose frameworks know what is being served. Each returns the container of
#: that, or `None`, and is called only if no container is current.
finders: list[Callable[[], Any]] = []


def find_current() -> Any:
    """Return the current container, or that of what a framework is serving; `None` without both."""
    container = current.get()
    return find_served() if container is None else container


def find_served() -> Any:
    """Return the container of what a framework is serving, or `None`; see `finders`."""
    for find in finders:
        container = find()
        if container is not None:
            return container
    return None


class Activation(Generic[C]):
    """Makes a container the current one while a ``with`` block lasts."""

    __slots__ = ("_container", "_outer", "_token")

    _token: Token[Any]

    def __init__(self, container: C) -> None:
        self._container = container

    def __enter__(self) -> C:
        self._outer = current.get()
        self._token = current.set(self._container)
        return self._container

    def __exit__(self, *_: object) -> None:
        try:
            current.reset(self._token)
        except ValueError:
            # The block was entered in another context: some frameworks run both ends in threads.
            if current.get() is self._container:
                current.set(self._outer)
