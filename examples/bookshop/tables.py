"""The tables of the database, as SQLAlchemy maps them."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID, uuid4

from sqlalchemy import CheckConstraint, DateTime, Dialect, ForeignKey, String, TypeDecorator
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship


def euros(cents: int) -> Decimal:
    """Convert cents to euros.

    Args:
        cents: An amount in cents.

    Returns:
        The amount in euros.
    """
    return Decimal(cents).scaleb(-2)


class Table(DeclarativeBase):
    """The base class of all tables."""


class UtcDateTime(TypeDecorator[datetime]):
    """A time in UTC. SQLite stores no time zone, so this adds it when a time is read."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_result_value(
        self,
        value: datetime | None,
        dialect: Dialect,  # noqa: ARG002  # SQLAlchemy passes it
    ) -> datetime | None:
        """Add the time zone."""
        return value.replace(tzinfo=UTC) if value and value.tzinfo is None else value


class Book(Table):
    """A book, with its price and the number of copies on the shelf."""

    __tablename__ = "books"
    # The code never sells more copies than there are; if it tried, the database would refuse.
    __table_args__ = (CheckConstraint("stock >= 0", name="books_stock_not_negative"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str] = mapped_column(String(200), index=True)
    author: Mapped[str] = mapped_column(String(200))
    year: Mapped[int]
    subject: Mapped[str] = mapped_column(String(50))
    price_cents: Mapped[int]
    stock: Mapped[int]

    @property
    def price(self) -> Decimal:
        """The price of one copy, in euros."""
        return euros(self.price_cents)


class Order(Table):
    """An order of a customer.

    Its reference cannot be guessed, because everyone who knows it can read the order.
    """

    __tablename__ = "orders"

    reference: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    customer: Mapped[str] = mapped_column(String(80))
    placed_at: Mapped[datetime] = mapped_column(UtcDateTime, default=lambda: datetime.now(UTC))
    lines: Mapped[list[OrderLine]] = relationship(
        order_by="OrderLine.book_id", lazy="selectin", cascade="all, delete-orphan"
    )

    @property
    def total(self) -> Decimal:
        """The price of the order, in euros."""
        return euros(sum(line.quantity * line.price_cents for line in self.lines))


class OrderLine(Table):
    """One book of an order, with the price of that day."""

    __tablename__ = "order_lines"
    __table_args__ = (CheckConstraint("quantity > 0", name="order_lines_quantity_positive"),)

    order_reference: Mapped[UUID] = mapped_column(
        ForeignKey("orders.reference"), primary_key=True
    )
    book_id: Mapped[int] = mapped_column(ForeignKey("books.id"), primary_key=True)
    title: Mapped[str] = mapped_column(String(200))
    quantity: Mapped[int]
    price_cents: Mapped[int]

    @property
    def price(self) -> Decimal:
        """The price of one copy, in euros."""
        return euros(self.price_cents)
