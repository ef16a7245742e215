"""Calls that go on after they have returned: generators, awaitables, context managers.

The container of such a call is closed when the call has ended. It is current while the call runs,
but not while a generator waits. What a function gives may be hidden by its decorators.
"""

from __future__ import annotations

import contextlib
import inspect
import sys
from collections.abc import AsyncGenerator, Callable, Generator, Iterator
from typing import Any

import attrs

from wares._core.callables import Shape, read_shape
from wares._core.container import Container, Registry
from wares._core.current import current, find_served
from wares._core.makers import Makers
from wares._core.waiting import runs_trio


class FunctionContainer(Container):
    """The services that end when a function returns: those of scope ``"function"``.

    It is a child of the container of the request, event or call that the function is called in.
    What a marker names with another scope is asked of that one.
    """

    def __init__(self, request: Container) -> None:
        if request.is_closed:
            raise request._make_closed_error()
        super().__init__(request.registry)
        self._request = request
        self._become_child_of(request)

    def _use_makers(self, outer: Makers) -> None:
        super()._use_makers(outer)
        self._makers = self._makers.make_for_functions()


@attrs.frozen(eq=False)
class Opened:
    """The containers of one call. What was opened for the call is closed at the end of the block.

    Attributes:
        container: The current one, or one that was opened.
        asked: What is asked for services: *container*, or one within it that ends with the
            function.
        closing: What is closed, and its children with it.
    """

    container: Container
    asked: Container
    closing: Any

    def __enter__(self) -> None:
        """Begin the call."""

    def __exit__(self, *details: object) -> None:
        with self.container.activate():
            self.closing.__exit__(*details)

    async def __aenter__(self) -> None:
        """Begin the call."""

    async def __aexit__(self, *details: object) -> None:
        with self.container.activate():
            await self.closing.__aexit__(*details)


def open_for_call(registry: Registry, *, has_function_scope: bool) -> Opened:
    """Find the current container, or open one, and one within it for the function.

    Args:
        registry: Where a container is opened if none is current.
        has_function_scope: Whether the function asks for something that ends with it.
    """
    container = current.get()
    if container is None:
        container = find_served()
    closing: Any = contextlib.nullcontext()
    # A function around this one may have no services that it could share.
    if container is None or (
        container.registry._known.is_makeshift and not registry._known.is_makeshift
    ):
        container = closing = Container(registry)
    if not has_function_scope:
        return Opened(container, container, closing)
    asked = FunctionContainer(container)
    return Opened(container, asked, container if closing is container else asked)


def drive(
    opened: Opened, begin: Callable[[Container], Any], cast: Callable[[Any], Any]
) -> Generator[Any, Any, Any]:
    """Run a generator; what is sent to it or thrown arrives (PEP 380).

    Args:
        opened: The containers of the call.
        begin: Gives the generator.
        cast: Casts each item.
    """
    with opened:
        with opened.container.activate():
            items = begin(opened.asked)
        resume, argument = items.send, None
        try:
            while True:
                with opened.container.activate():
                    try:
                        item = resume(argument)
                    except StopIteration as done:
                        return done.value
                try:
                    argument = yield cast(item)
                except GeneratorExit:
                    raise
                except BaseException as error:  # noqa: BLE001  # it belongs to the generator
                    resume, argument = items.throw, error
                else:
                    resume = items.send
        finally:
            with opened.container.activate():
                items.close()


async def adrive(
    opened: Opened, begin: Callable[[Container], Any], cast: Callable[[Any], Any]
) -> AsyncGenerator[Any, Any]:
    """Do what `drive` does, for an async generator, or an awaitable that gives one."""
    async with opened:
        with opened.container.activate():
            items = await wait(begin(opened.asked))
        resume, argument = items.asend, None
        try:
            while True:
                with opened.container.activate():
                    try:
                        item = await resume(argument)
                    except StopAsyncIteration:
                        return
                try:
                    argument = yield cast(item)
                except GeneratorExit:
                    raise
                except BaseException as error:  # noqa: BLE001  # it belongs to the generator
                    resume, argument = items.athrow, error
                else:
                    resume = items.asend
        finally:
            with opened.container.activate():
                await items.aclose()


async def wait(result: Any) -> Any:
    """Wait for what a function has given, if it is to be waited for."""
    return await result if inspect.isawaitable(result) else result


def finish(
    opened: Opened, begin: Callable[[Container], Any], cast: Callable[[Any], Any]
) -> Any:
    """Call a function whose decorators hide what it gives.

    Args:
        opened: The containers of the call.
        begin: Calls it. It gives an awaitable, a generator, a context manager, or something
            finished.
        cast: Casts what comes out in the end.
    """
    try:
        with opened.container.activate():
            result = begin(opened.asked)
    except BaseException:
        with opened:
            raise
    if inspect.isgenerator(result):
        return drive(opened, lambda _: result, cast)
    if inspect.isasyncgen(result):
        return adrive(opened, lambda _: result, cast)
    if inspect.isawaitable(result):
        return _await(opened, result, cast)
    if hasattr(type(result), "__aexit__"):
        return contextlib.asynccontextmanager(adrive)(opened, lambda _: _aenter(result), cast)
    if hasattr(type(result), "__exit__"):
        return contextlib.contextmanager(drive)(opened, lambda _: _enter(result), cast)
    with opened:
        return cast(result)


async def _await(opened: Opened, result: Any, cast: Callable[[Any], Any]) -> Any:
    async with opened:
        with opened.container.activate():
            return cast(await result)


def _enter(block: Any) -> Generator[Any, None, None]:
    with block as entered:
        yield entered


async def _aenter(block: Any) -> AsyncGenerator[Any, None]:
    async with block as entered:
        yield entered


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
