"""The books in the database."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import ColumnElement, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from .errors import BookNotFoundError, OutOfStockError
from .tables import Book


class BookRepository:
    """Finds books, and changes how many copies there are."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def find(self, book_id: int) -> Book:
        """Find one book.

        Args:
            book_id: The number of the book.

        Returns:
            The book, as the database has it now.

        Raises:
            BookNotFoundError: There is no such book.
        """
        book = await self._session.get(Book, book_id, populate_existing=True)
        if book is None:
            raise BookNotFoundError(book_id)
        return book

    async def search(self, words: str, *, limit: int, offset: int) -> Sequence[Book]:
        """Search titles, authors and subjects.

        Args:
            words: Words that must all occur, in upper or lower case; all books if there is none.
            limit: How many books to return at most.
            offset: How many books to leave out at the beginning.

        Returns:
            The books, ordered by title.
        """
        books = await self._session.scalars(
            select(Book)
            .where(*_mentioning(words))
            .order_by(Book.title, Book.id)
            .limit(limit)
            .offset(offset)
        )
        return books.all()

    async def count(self, words: str) -> int:
        """Count the books that ``search`` would find without a limit.

        Args:
            words: As for ``search``.

        Returns:
            The number of books.
        """
        books = select(func.count()).select_from(Book).where(*_mentioning(words))
        return await self._session.scalar(books) or 0

    async def stocks(self) -> dict[int, int]:
        """Read the stocks of all books.

        Returns:
            How many copies there are, by the number of the book.
        """
        rows = await self._session.execute(select(Book.id, Book.stock))
        return {row.id: row.stock for row in rows}

    async def take(self, book_id: int, quantity: int) -> Book:
        """Take copies from the shelf; the session commits this, or rolls it back.

        One statement checks the stock and reduces it, so that two customers cannot buy the same
        last copy.

        Args:
            book_id: The book's number.
            quantity: How many copies.

        Returns:
            The book, with its new stock.

        Raises:
            BookNotFoundError: There is no such book.
            OutOfStockError: There are not enough copies; none was taken.
        """
        taken = await self._session.scalar(
            update(Book)
            .where(Book.id == book_id, Book.stock >= quantity)
            .values(stock=Book.stock - quantity)
            .returning(Book)
            .execution_options(populate_existing=True)
        )
        if taken is not None:
            return taken
        book = await self.find(book_id)
        raise OutOfStockError(book.title, wanted=quantity, left=book.stock)

    async def put(self, book_id: int, quantity: int) -> Book:
        """Put copies on the shelf; the session commits this, or rolls it back.

        Args:
            book_id: The book's number.
            quantity: How many copies.

        Returns:
            The book, with its new stock.

        Raises:
            BookNotFoundError: There is no such book.
        """
        book = await self._session.scalar(
            update(Book)
            .where(Book.id == book_id)
            .values(stock=Book.stock + quantity)
            .returning(Book)
            .execution_options(populate_existing=True)
        )
        if book is None:
            raise BookNotFoundError(book_id)
        return book


def _mentioning(words: str) -> list[ColumnElement[bool]]:
    return [
        or_(
            Book.title.icontains(word, autoescape=True),
            Book.author.icontains(word, autoescape=True),
            Book.subject.icontains(word, autoescape=True),
        )
        for word in words.split()
    ]
