"""Sends changes of the stock to everyone who watches it in this process."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager


class StockBroadcaster:
    """Sends every change to every watcher, and waits for none of them.

    Each process has one, so with several workers, a watcher gets only the changes of the worker
    to which it is connected. (PostgreSQL's LISTEN, or Redis, would connect the workers.)
    """

    def __init__(self) -> None:
        self._watchers: set[StockWatcher] = set()

    @property
    def watching(self) -> int:
        """The number of watchers."""
        return len(self._watchers)

    @contextmanager
    def watch(self) -> Iterator[StockWatcher]:
        """Watch the stock during a ``with`` block.

        Yields:
            A watcher, which gets all changes from now on.
        """
        watcher = StockWatcher()
        self._watchers.add(watcher)
        try:
            yield watcher
        finally:
            self._watchers.discard(watcher)

    def publish(self, stocks: Mapping[int, int]) -> None:
        """Send changes to all watchers.

        Args:
            stocks: How many copies there are now, by the number of the book.
        """
        for watcher in self._watchers:
            watcher.tell(stocks)


class StockWatcher:
    """A watcher of the stock.

    If the stock of a book changes twice before the watcher looks, it gets only the latest number.
    So at most one number for each book waits for a slow watcher.
    """

    def __init__(self) -> None:
        self._news: dict[int, int] = {}
        self._has_news = asyncio.Event()

    def tell(self, stocks: Mapping[int, int]) -> None:
        """Keep changes until the watcher looks.

        Args:
            stocks: How many copies there are now, by the number of the book.
        """
        self._news.update(stocks)
        self._has_news.set()

    def begin_with(self, stocks: Mapping[int, int]) -> None:
        """Keep the stocks that were read first, except for books that have changed since.

        Args:
            stocks: How many copies there were, by the number of the book.
        """
        self._news = {**stocks, **self._news}
        self._has_news.set()

    async def look(self) -> dict[int, int]:
        """Wait until a stock has changed since the last call.

        Returns:
            How many copies there are now of the books that have changed, by number.
        """
        await self._has_news.wait()
        self._has_news.clear()
        news, self._news = self._news, {}
        return news
