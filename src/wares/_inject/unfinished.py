"""Calls whose work continues after they have returned: generators, awaitables, context managers.

The container of such a call is closed when the work has ended. It is current while the call runs,
but not while a generator is suspended. Decorators may hide the kind of the function.
"""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import AsyncGenerator, Callable, Generator
from typing import Any

import attrs

from wares._core.callables import Shape, read_shape, unwrap
from wares._core.container import Container, Registry
from wares._core.current import find_current


class FunctionContainer(Container):
    """The container of the services of scope ``"function"``, which end when a function returns.

    It is a child of the container of the request, event or call in which the function is called.
    That one is asked for dependencies whose marker has another scope.
    """

    def __init__(self, request: Container) -> None:
        if request.is_closed:
            raise request._make_closed_error()
        super().__init__(request.registry)
        self._request = request
        self._become_child_of(request)

    def _use_makers(self) -> None:
        super()._use_makers()
        self._makers = self._makers.make_for_functions()


@attrs.frozen(eq=False)
class Opened:
    """The containers of one call. Those opened for the call are closed at the end of the block.

    Attributes:
        container: The current container, or one that was opened for the call.
        asked: The container that is asked for services: *container*, or one within it that ends
            with the function.
        closing: The container that is closed, with its children.
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
    """Find or open the container of a call, and open one within it for function-scoped services.

    Args:
        registry: The registry that opens a container if none is current.
        has_function_scope: Whether the function needs function-scoped services.
    """
    container = find_current()
    closing: Any = contextlib.nullcontext()
    # The current one may belong to a function without a registry, and have no services to share.
    if container is None or (
        container.registry._registrations.is_makeshift
        and not registry._registrations.is_makeshift
    ):
        container = closing = Container(registry)
    if not has_function_scope:
        return Opened(container, container, closing)
    asked = FunctionContainer(container)
    return Opened(container, asked, container if closing is container else asked)


def drive(
    opened: Opened, begin: Callable[[Container], Any], cast: Callable[[Any], Any]
) -> Generator[Any, Any, Any]:
    """Run a generator, and pass on what is sent to it or thrown into it (PEP 380).

    Args:
        opened: The containers of the call.
        begin: Returns the generator.
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
    """Run an async generator as `drive` does, or one that an awaitable returns."""
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
    """Await the result of a function, if it can be awaited."""
    return await result if inspect.isawaitable(result) else result


def finish(
    opened: Opened, begin: Callable[[Container], Any], cast: Callable[[Any], Any]
) -> Any:
    """Call a function whose decorators hide its kind.

    Args:
        opened: The containers of the call.
        begin: Calls the function, which returns an awaitable, a generator, a context manager, or a
            finished result.
        cast: Casts the finished result, or each item.
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
    """Return the shape of the function that *function* wraps, which its decorators may hide."""
    for wrapped in unwrap(function):
        shape = read_shape(wrapped)
        if shape is not Shape.PLAIN:
            return shape
    return Shape.PLAIN


def hides_block(function: Callable[..., Any]) -> bool:
    """Return whether *function* wraps one that `contextlib` has made a context manager."""
    return any(map(find_block, unwrap(function)))


def find_block(function: Callable[..., Any]) -> Callable[..., Any] | None:
    """Return the decorator of `contextlib` that has made *function*, if one has."""
    return _BLOCKS.get(getattr(function, "__code__", None))


def _make_blocks() -> dict[Any, Callable[..., Any]]:
    """Map the code of the functions that the decorators of `contextlib` make to the decorators."""
    decorators: list[Any] = [contextlib.contextmanager, contextlib.asynccontextmanager]
    return {decorator(read_shape).__code__: decorator for decorator in decorators}


#: By code, because functions made by `contextlib` have no other distinguishing mark.
_BLOCKS = _make_blocks()
