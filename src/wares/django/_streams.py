"""Streamed responses, which keep the container of their handler open until they end."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

from wares._adapters.units import Unit


def hold(unit: Unit, chunks: Any) -> Any:
    """End a unit of work with a stream instead of its block.

    Args:
        unit: The unit of work, within its block.
        chunks: An iterator, asynchronous or not.

    Returns:
        An iterator of the same kind, with a method `close` to abandon it.
    """
    unit.is_held = True
    kind = _AsyncStream if hasattr(chunks, "__anext__") else _Stream
    return kind(chunks, unit)


class _Stream:
    """The chunks of a response; the unit of work ends after the last one."""

    def __init__(self, chunks: Any, unit: Unit) -> None:
        self._chunks = chunks
        self._unit = unit
        self._has_begun = False
        self._is_over = False

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        self._has_begun = True
        try:
            with self._unit.container.activate():
                return next(self._chunks)
        except StopIteration:
            self._end(None)
            raise
        except BaseException as error:
            self._end(error)
            raise

    def close(self) -> None:
        """End a stream that was abandoned or, for a HEAD request, never begun; Django calls it."""
        self._end(GeneratorExit() if self._has_begun else None)

    def _end(self, error: BaseException | None) -> None:
        if not self._is_over:
            self._is_over = True
            self._unit.close(error)


class _AsyncStream(_Stream):
    """The chunks of a response from an asynchronous iterator."""

    # This marks it as no synchronous iterator.
    __iter__ = None  # type: ignore[assignment]  # as the protocol prescribes

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
