"""Functions whose decorators hide what they are: asynchronous, a generator, a context manager."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from typing import Any

from wares._core.callables import Shape, read_shape
from wares._core.waiting import runs_trio


def read_hidden_shape(function: Callable[..., Any]) -> Shape:
    """Tell what a decorator hides: the shape of the function that a plain function wraps."""
    for wrapped in _list_wrapped(function):
        shape = read_shape(wrapped)
        if shape is not Shape.PLAIN:
            return shape
    return Shape.PLAIN


def hides_block(function: Callable[..., Any]) -> bool:
    """Tell whether a generator function somewhere within is one of a context manager."""
    return any(map(find_block, _list_wrapped(function)))


def find_block(function: Callable[..., Any]) -> Callable[..., Any] | None:
    """Find what of `contextlib` has decorated *function*, if something has."""
    return _BLOCKS.get(getattr(function, "__code__", None))


def _list_wrapped(function: Any) -> Iterator[Callable[..., Any]]:
    while function is not None:
        yield function
        function = getattr(function, "__wrapped__", None)


def _make_blocks() -> dict[Any, Callable[..., Any]]:
    """List the decorators of context managers, by the code of the functions that they make."""
    decorators: list[Any] = [contextlib.contextmanager, contextlib.asynccontextmanager]
    return {decorator(read_shape).__code__: decorator for decorator in decorators}


#: `contextlib` tells of what it has made only by `__wrapped__`, as all decorators do.
_BLOCKS = _make_blocks()


def runs_event_loop() -> bool:
    """Tell whether an event loop runs in this thread, so that an awaitable would be awaited."""
    # Who runs one has imported it.
    with contextlib.suppress(KeyError, RuntimeError):
        sys.modules["asyncio"].get_running_loop()
        return True
    return runs_trio()
