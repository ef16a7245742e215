"""Streamed responses, which keep the container of their handler open until they end."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Generator, Iterator
from typing import Any

from wares._adapters.units import Unit


def hold(unit: Unit, chunks: Any) -> Any:
    """End a unit of work with a stream instead of its block.

    Args:
        unit: The unit of work.
        chunks: An iterator, asynchronous or not. If it has a method `close` or `aclose`, that is
            called before the unit of work ends.

    Returns:
        An iterator of the same kind, with a method `close` to abandon it.
    """
    unit.is_held = True
    return (_AsyncStream if hasattr(chunks, "__anext__") else _Stream)(chunks, unit)


class _Closed(GeneratorExit):
    """Somebody has closed a stream, as opposed to Python, which has collected it."""


class _Stream:
    """The chunks of a response from a synchronous iterator."""

    def __init__(self, chunks: Any, unit: Unit) -> None:
        self._chunks = _stream(unit, chunks)
        # A generator that has begun ends the unit of work even if it is dropped without being
        # closed.
        next(self._chunks)

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        return next(self._chunks)

    def close(self) -> None:
        """End the stream."""
        with contextlib.suppress(_Closed):
            self._chunks.throw(_Closed)

    def collect(self) -> None:
        """End the stream together with the one around it, which Python collects."""
        self._chunks.close()


def _stream(unit: Unit, chunks: Any) -> Generator[Any]:
    """Yield the chunks of a response; the unit of work ends after them, or when abandoned."""
    # A HEAD request asks for no chunk, and has succeeded nevertheless.
    outcome: BaseException | None = None
    close, end = getattr(chunks, "close", lambda: None), unit.close
    try:
        yield None
        outcome = GeneratorExit()
        while True:
            with unit.container.activate():
                chunk = next(chunks, unit)
            if chunk is unit:
                break
            yield chunk
        outcome = None
    except _Closed:
        raise
    except GeneratorExit:
        close = chunks.collect if isinstance(chunks, _Stream) else close
        end = unit.close_in_collection
        raise
    except BaseException as error:
        outcome = error
        raise
    finally:
        try:
            with unit.container.activate():
                close()
        finally:
            end(outcome)


class _AsyncStream:
    """The chunks of a response from an asynchronous iterator."""

    def __init__(self, chunks: Any, unit: Unit) -> None:
        self._chunks = chunks
        self._unit = unit
        self._has_begun = False
        self._is_over = False

    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    async def __anext__(self) -> Any:
        self._has_begun = True
        try:
            with self._unit.container.activate():
                return await anext(self._chunks)
        except StopAsyncIteration:
            await self._aend(None)
            raise
        except BaseException as error:
            await self._aend(error)
            raise

    def close(self) -> None:
        """End the stream; close the generator first, because nothing else closes it."""
        if not self._is_over:
            self._unit.run(self._give_up())

    async def _give_up(self) -> None:
        if hasattr(self._chunks, "aclose"):
            await self._chunks.aclose()
        await self._aend(GeneratorExit() if self._has_begun else None)

    async def _aend(self, error: BaseException | None) -> None:
        self._is_over = True
        await self._unit.aclose(error)
