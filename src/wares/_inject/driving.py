"""Generators that are run from outside: in a container, with each item cast, up to their end.

This module knows what Python says of generators that delegate to others (PEP 380).
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Generator, Iterator
from contextlib import AbstractAsyncContextManager, AbstractContextManager, contextmanager
from typing import Any

from wares._core.container import Container
from wares._core.current import current


def relay(
    items: Generator[Any, Any, Any],
    cast: Callable[[Any], Any],
    block: AbstractContextManager[Any],
) -> Generator[Any, Any, Any]:
    """Give each item of a generator, cast, within *block*; what is sent to it or thrown arrives."""
    with block:
        try:
            item = next(items)
            while True:
                try:
                    sent = yield cast(item)
                except GeneratorExit:
                    raise
                except BaseException as error:  # noqa: BLE001  # it belongs to the generator
                    item = items.throw(error)
                else:
                    item = items.send(sent)
        except StopIteration as done:
            return done.value
        finally:
            items.close()


async def arelay(
    items: AsyncGenerator[Any, Any],
    cast: Callable[[Any], Any],
    block: AbstractAsyncContextManager[Any],
) -> AsyncGenerator[Any, Any]:
    """Do what `relay` does, for an async generator."""
    async with block:
        try:
            item = await anext(items)
            while True:
                try:
                    sent = yield cast(item)
                except GeneratorExit:
                    raise
                except BaseException as error:  # noqa: BLE001  # it belongs to the generator
                    item = await items.athrow(error)
                else:
                    item = await items.asend(sent)
        except StopAsyncIteration:
            return
        finally:
            await items.aclose()


@contextmanager
def _being_current(container: Container) -> Iterator[None]:
    """Make *container* current for one step of a generator."""
    outer = current.get()
    current.set(container)
    try:
        yield
    finally:
        # Not by a token: a generator may go on in another context.
        current.set(outer)


def drive(container: Container, steps: Generator[Any, Any, Any]) -> Generator[Any, Any, Any]:
    """Run a generator with *container* current while it runs, but not while it waits."""
    resume: Callable[[Any], Any] = steps.send
    argument: Any = None
    try:
        while True:
            with _being_current(container):
                try:
                    item = resume(argument)
                except StopIteration as done:
                    return done.value
            try:
                argument = yield item
            except GeneratorExit:
                raise
            except BaseException as error:  # noqa: BLE001  # it belongs to the generator
                resume, argument = steps.throw, error
            else:
                resume = steps.send
    finally:
        with _being_current(container):
            steps.close()


async def adrive(
    container: Container, steps: AsyncGenerator[Any, Any]
) -> AsyncGenerator[Any, Any]:
    """Run an async generator with *container* current while it runs."""
    resume: Callable[[Any], Any] = steps.asend
    argument: Any = None
    try:
        while True:
            with _being_current(container):
                try:
                    item = await resume(argument)
                except StopAsyncIteration:
                    return
            try:
                argument = yield item
            except GeneratorExit:
                raise
            except BaseException as error:  # noqa: BLE001  # it belongs to the generator
                resume, argument = steps.athrow, error
            else:
                resume = steps.asend
    finally:
        with _being_current(container):
            await steps.aclose()
