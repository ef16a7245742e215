"""The errors of the bookshop; ``web.problems`` turns them into HTTP responses."""

from __future__ import annotations

from uuid import UUID


class BookshopError(Exception):
    """The shop refuses something; the message is for the customer."""


class BookNotFoundError(BookshopError):
    """There is no such book."""

    def __init__(self, book_id: int) -> None:
        super().__init__(f"There is no book number {book_id}.")
        self.book_id = book_id


class OrderNotFoundError(BookshopError):
    """There is no such order."""

    def __init__(self, reference: UUID) -> None:
        super().__init__(f"There is no order {reference}.")
        self.reference = reference


class OutOfStockError(BookshopError):
    """A customer wants more copies than there are."""

    def __init__(self, title: str, *, wanted: int, left: int) -> None:
        super().__init__(f"“{title}”: {wanted} wanted, {left or 'none'} left.")
        self.title = title
        self.wanted = wanted
        self.left = left
