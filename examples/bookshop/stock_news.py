"""Collects the changes of the stock in a request, and publishes them after the commit."""

from __future__ import annotations

from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncSession

from .broadcaster import StockBroadcaster


class StockNews:
    """Keeps changes of the stock until the session commits; a rollback drops them."""

    def __init__(self, session: AsyncSession, broadcaster: StockBroadcaster) -> None:
        self._stocks: dict[int, int] = {}
        self._broadcaster = broadcaster
        event.listen(session.sync_session, "after_commit", self._publish)

    def add(self, book_id: int, stock: int) -> None:
        """Note a change.

        Args:
            book_id: The book's number.
            stock: How many copies there will be.
        """
        self._stocks[book_id] = stock

    def _publish(self, _: object) -> None:
        if self._stocks:
            self._broadcaster.publish(self._stocks)
