"""Streamed responses, which keep the container of their handler open until they end."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any, Self

from wares._adapters.units import Unit


class Holding:
    """A block for a unit of work, which a streamed response may prolong.

    Args:
        unit: The unit of work.
    """

    def __init__(self, unit: Unit) -> None:
        self._unit = unit
        self._is_held = False

    def hold(self, chunks: Any) -> Any:
        """Let the unit of work end with a stream, not with the block.

        Args:
            chunks: The stream: an iterator, asynchronous or not.

        Returns:
            An iterator of the same kind, with a method `close` to abandon it.
        """
        self._is_held = True
        kind = _AsyncStream if hasattr(chunks, "__anext__") else _Stream
        return kind(chunks, self._unit)

    def __enter__(self) -> Self:
        self._unit.__enter__()
        return self

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        self._unit.leave()
        if not self._is_held:
            self._unit.close(error)

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(
        self, kind: object, error: BaseException | None, traceback: object
    ) -> None:
        self._unit.leave()
        if not self._is_held:
            await self._unit.aclose(error)


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
