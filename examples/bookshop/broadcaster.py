"""Tells everyone who watches the stock in this process what has changed."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager


class StockBroadcaster:
    """Tells every watcher of every change, and waits for none of them.

    One per process: with several workers, a watcher hears of what was sold by the worker
    that it is connected to. (PostgreSQL's LISTEN, or Redis, would carry it further.)
    """

    def __init__(self) -> None:
        self._watchers: set[StockWatcher] = set()

    @property
    def watching(self) -> int:
        """How many are watching now."""
        return len(self._watchers)

    @contextmanager
    def watch(self) -> Iterator[StockWatcher]:
        """Watch for as long as the ``with`` block lasts.

        Yields:
            The one who watches, and is told of all changes from now on.
        """
        watcher = StockWatcher()
        self._watchers.add(watcher)
        try:
            yield watcher
        finally:
            self._watchers.discard(watcher)

    def publish(self, stocks: Mapping[int, int]) -> None:
        """Tell all watchers.

        Args:
            stocks: How many copies there are now, by the book's number.
        """
        for watcher in self._watchers:
            watcher.tell(stocks)


class StockWatcher:
    """One who watches, at their own pace.

    What changes twice before they look is told once: only the latest number matters, and
    so what waits for a slow watcher never grows beyond one number for each book.
    """

    def __init__(self) -> None:
        self._news: dict[int, int] = {}
        self._has_news = asyncio.Event()

    def tell(self, stocks: Mapping[int, int]) -> None:
        """Keep changes until the watcher looks.

        Args:
            stocks: How many copies there are now, by the book's number.
        """
        self._news.update(stocks)
        self._has_news.set()

    def begin_with(self, stocks: Mapping[int, int]) -> None:
        """Keep what was found on the shelves, except where there are news already.

        Args:
            stocks: How many copies there were, by the book's number.
        """
        self._news = {**stocks, **self._news}
        self._has_news.set()

    async def look(self) -> dict[int, int]:
        """Wait until something has changed since the last look.

        Returns:
            How many copies there are now of what changed, by the book's number.
        """
        await self._has_news.wait()
        self._has_news.clear()
        news, self._news = self._news, {}
        return news
