"""Sells books, and takes deliveries.

Each method is part of one transaction, which the session commits or rolls back.
"""

from __future__ import annotations

from collections.abc import Mapping

from .books import BookRepository
from .orders import OrderRepository
from .stock_news import StockNews
from .tables import Book, Order, OrderLine


class Counter:
    """Sells books, and takes deliveries."""

    def __init__(
        self, books: BookRepository, orders: OrderRepository, stock_news: StockNews
    ) -> None:
        self._books = books
        self._orders = orders
        self._stock_news = stock_news

    async def sell(self, customer: str, wanted: Mapping[int, int]) -> Order:
        """Sell all of the wanted books, or none of them.

        Args:
            customer: The name of the customer.
            wanted: How many copies, by the number of the book.

        Returns:
            The order.

        Raises:
            BookNotFoundError: One of the books does not exist.
            OutOfStockError: There are not enough copies of one of the books.
        """
        # Books are taken in the same order for all customers. Otherwise, two customers of the same
        # two books could each hold one and wait for the other.
        lines = [await self._take(book_id, wanted[book_id]) for book_id in sorted(wanted)]
        order = Order(customer=customer, lines=lines)
        await self._orders.add(order)
        return order

    async def deliver(self, book_id: int, quantity: int) -> Book:
        """Put delivered copies on the shelf.

        Args:
            book_id: The book's number.
            quantity: How many copies were delivered.

        Returns:
            The book, with its new stock.

        Raises:
            BookNotFoundError: The shop does not carry this book.
        """
        book = await self._books.put(book_id, quantity)
        self._stock_news.add(book.id, book.stock)
        return book

    async def _take(self, book_id: int, quantity: int) -> OrderLine:
        book = await self._books.take(book_id, quantity)
        self._stock_news.add(book.id, book.stock)
        return OrderLine(
            book_id=book.id, title=book.title, quantity=quantity, price_cents=book.price_cents
        )
