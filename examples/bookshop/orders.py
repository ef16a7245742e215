"""The orders that have been placed, as they are kept in the database."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from .errors import OrderNotFoundError
from .tables import Order


class OrderRepository:
    """Keeps orders and finds them again."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def add(self, order: Order) -> None:
        """Keep a new order, for good once the session commits.

        Args:
            order: The order with its lines.
        """
        self._session.add(order)
        await self._session.flush()

    async def find(self, reference: UUID) -> Order:
        """Find one order.

        Args:
            reference: What the customer was given.

        Returns:
            The order with its lines.

        Raises:
            OrderNotFoundError: There is none.
        """
        order = await self._session.get(Order, reference)
        if order is None:
            raise OrderNotFoundError(reference)
        return order
