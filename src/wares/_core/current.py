"""Which container is the current one."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar, Token
from typing import Any, Generic, TypeVar

#: A container.
C = TypeVar("C")

#: The container of the request, event or call that is being served; `None` where there is none.
current: ContextVar[Any] = ContextVar("wares_container", default=None)

#: What adapters add whose frameworks know themselves what is being served. Each gives the container
#: of that, or `None`, and is called only where no container is current.
finders: list[Callable[[], Any]] = []


def find_served() -> Any:
    """Find the container of what a framework is serving, where no container is current."""
    for find in finders:
        container = find()
        if container is not None:
            return container
    return None


class Activation(Generic[C]):
    """A container that is the current one while a ``with`` block lasts."""

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
            # It was entered in another context, as frameworks do that run both in threads.
            if current.get() is self._container:
                current.set(self._outer)
