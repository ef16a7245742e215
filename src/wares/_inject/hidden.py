"""Functions whose decorators hide what they are: asynchronous, a generator, a context manager.

A plain function that wraps an asynchronous one gives an awaitable, and its body runs later. This
module keeps services open until then.
"""

from __future__ import annotations

import contextlib
import inspect
import sys
from collections.abc import AsyncGenerator, Callable, Generator, Iterator, Sequence
from typing import Any, NoReturn

from wares._core.callables import Shape, read_shape
from wares._core.container import Container
from wares._core.waiting import runs_trio
from wares._inject.driving import adrive, arelay, drive, relay


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


async def wait(result: Any) -> Any:
    """Wait for what a function has given, if it is to be waited for."""
    return await result if inspect.isawaitable(result) else result


def leave(opened: Sequence[Container], error: BaseException) -> NoReturn:
    """Close containers, because a call has failed."""
    with _leaving(opened):
        raise error


def finish(
    container: Container,
    opened: Sequence[Container],
    result: Any,
    cast: Callable[[Any], Any],
) -> Any:
    """Close containers when what a function has given has come to its end.

    Args:
        container: What is current while it goes on.
        opened: The containers to close, the outermost first.
        result: An awaitable, a generator, a context manager, or something finished.
        cast: Casts what comes out of it.
    """
    if inspect.isgenerator(result):
        return drive(container, relay(result, cast, _leaving(opened)))
    if inspect.isasyncgen(result):
        return adrive(container, arelay(result, cast, _aleaving(opened)))
    if inspect.isawaitable(result):
        return _await(container, opened, result, cast)
    if hasattr(type(result), "__aexit__"):
        return _aenter(container, opened, result)
    if hasattr(type(result), "__exit__"):
        return _enter(container, opened, result)
    with container.activate(), _leaving(opened):
        return cast(result)


def _leaving(opened: Sequence[Container]) -> contextlib.ExitStack:
    stack = contextlib.ExitStack()
    for container in opened:
        stack.push(container)
    return stack


def _aleaving(opened: Sequence[Container]) -> contextlib.AsyncExitStack:
    stack = contextlib.AsyncExitStack()
    for container in opened:
        stack.push_async_exit(container.__aexit__)
    return stack


async def _await(
    container: Container, opened: Sequence[Container], result: Any, cast: Callable[[Any], Any]
) -> Any:
    with container.activate():
        async with _aleaving(opened):
            return cast(await result)


def _enter(
    container: Container, opened: Sequence[Container], block: Any
) -> contextlib.AbstractContextManager[Any]:
    def steps() -> Generator[Any, None, None]:
        with _leaving(opened), block as entered:
            yield entered

    return contextlib.contextmanager(lambda: drive(container, steps()))()


def _aenter(
    container: Container, opened: Sequence[Container], block: Any
) -> contextlib.AbstractAsyncContextManager[Any]:
    async def steps() -> AsyncGenerator[Any, None]:
        async with _aleaving(opened), block as entered:
            yield entered

    return contextlib.asynccontextmanager(lambda: adrive(container, steps()))()
