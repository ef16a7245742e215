"""The books at ``/api/books``: search, and deliveries."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, ConfigDict, Field

from wares import Inject
from wares.fastapi import FunctionInject

from ..books import BookRepository
from ..counter import Counter
from ..exchange_rates import Currency, ExchangeRate, ExchangeRates
from ..tables import Book
from .fields import BookId, Line
from .problems import may_answer
from .staff import require_staff

routes = APIRouter(prefix="/api/books", tags=["books"])

_NO_RATE = "No exchange rate for {} at the moment."


class ShownBook(BaseModel):
    """A book, with its price in euros and in the customer's currency."""

    model_config = ConfigDict(from_attributes=True)

    id: int
    title: str
    author: str
    year: int
    subject: str
    stock: int
    price: Decimal
    converted_price: Decimal | None = None

    @classmethod
    def of(cls, book: Book, rate: ExchangeRate | None) -> ShownBook:
        """Make the response for a book.

        Args:
            book: The book.
            rate: The exchange rate for its price, if the customer has chosen a currency.

        Returns:
            The book as a customer sees it.
        """
        shown = cls.model_validate(book)
        shown.converted_price = rate.convert(book.price) if rate else None
        return shown


class ShownBooks(BaseModel):
    """One page of the books that a search has found."""

    books: list[ShownBook]
    total: int
    rates_as_of: date | None = None
    notice: str | None = None


@routes.get("")
async def search(
    repository: Inject[BookRepository],
    exchange_rates: Inject[ExchangeRates],
    words: Line = "",
    currency: Currency | None = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 50,
    offset: Annotated[int, Query(ge=0, le=1_000_000)] = 0,
) -> ShownBooks:
    """Search titles, authors and subjects; add prices in another currency if one is given."""
    rate = await exchange_rates.find(currency) if currency else None
    books = await repository.search(words, limit=limit, offset=offset)
    return ShownBooks(
        books=[ShownBook.of(book, rate) for book in books],
        total=await repository.count(words),
        rates_as_of=rate.as_of if rate else None,
        notice=_NO_RATE.format(currency) if currency and not rate else None,
    )


@routes.get("/{book_id}", responses=may_answer(HTTPStatus.NOT_FOUND))
async def show(book_id: BookId, repository: Inject[BookRepository]) -> ShownBook:
    """Show one book."""
    return ShownBook.model_validate(await repository.find(book_id))


class Delivery(BaseModel):
    """Copies that were delivered."""

    quantity: Annotated[int, Field(ge=1, le=10_000)]


@routes.post(
    "/{book_id}/deliveries",
    dependencies=[Depends(require_staff)],
    status_code=HTTPStatus.CREATED,
    responses=may_answer(HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND),
)
async def deliver(
    book_id: BookId, delivery: Delivery, counter: FunctionInject[Counter]
) -> ShownBook:
    """Put delivered copies on the shelf. For staff only."""
    book = await counter.deliver(book_id, delivery.quantity)
    return ShownBook.model_validate(book)
