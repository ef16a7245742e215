"""The orders in the database."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from .errors import OrderNotFoundError
from .tables import Order


class OrderRepository:
    """Stores and finds orders."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def add(self, order: Order) -> None:
        """Store a new order; the session commits this, or rolls it back.

        Args:
            order: The order with its lines.
        """
        self._session.add(order)
        await self._session.flush()

    async def find(self, reference: UUID) -> Order:
        """Find one order.

        Args:
            reference: The reference that the customer got.

        Returns:
            The order with its lines.

        Raises:
            OrderNotFoundError: There is no such order.
        """
        order = await self._session.get(Order, reference)
        if order is None:
            raise OrderNotFoundError(reference)
        return order
