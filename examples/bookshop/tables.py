"""The tables of the database, as SQLAlchemy maps them."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID, uuid4

from sqlalchemy import CheckConstraint, DateTime, Dialect, ForeignKey, String, TypeDecorator
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship


def euros(cents: int) -> Decimal:
    """Write cents as euros, to the cent.

    Args:
        cents: An amount in cents.

    Returns:
        The amount in euros.
    """
    return Decimal(cents).scaleb(-2)


class Table(DeclarativeBase):
    """What all tables have in common."""


class UtcDateTime(TypeDecorator[datetime]):
    """A moment, in UTC; SQLite keeps no time zone, so it is put back when read."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_result_value(
        self,
        value: datetime | None,
        dialect: Dialect,  # noqa: ARG002  # SQLAlchemy says which; it is right for all
    ) -> datetime | None:
        """Give a moment its time zone back."""
        return value.replace(tzinfo=UTC) if value and value.tzinfo is None else value


class Book(Table):
    """A title, its price, and how many copies are on the shelf."""

    __tablename__ = "books"
    # Nothing in the code may sell what is not there; should it try, the database refuses.
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
    """What one customer bought at one time.

    Its reference cannot be guessed, because it is all one needs to read the order.
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
        """What the customer pays, in euros."""
        return euros(sum(line.quantity * line.price_cents for line in self.lines))


class OrderLine(Table):
    """One title of an order, at the price of that day."""

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
