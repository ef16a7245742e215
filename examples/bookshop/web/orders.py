"""The orders at ``/api/orders``: placing one, and reading it by its reference."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from http import HTTPStatus
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field, field_validator

from wares import Inject
from wares.fastapi import FunctionInject

from ..counter import Counter
from ..orders import OrderRepository
from .fields import BookId, Line, Quantity
from .problems import may_answer

routes = APIRouter(prefix="/api/orders", tags=["orders"])


class WantedBook(BaseModel):
    """Copies of one book."""

    book_id: BookId
    quantity: Quantity


class NewOrder(BaseModel):
    """The books that a customer orders."""

    customer: Annotated[Line, Field(min_length=1)]
    lines: list[WantedBook] = Field(min_length=1, max_length=50)

    @field_validator("lines")
    @classmethod
    def _name_each_book_once(cls, lines: list[WantedBook]) -> list[WantedBook]:
        if len({line.book_id for line in lines}) < len(lines):
            raise ValueError("each book may be named only once")
        return lines


class ShownLine(BaseModel):
    """Copies of one book in an order."""

    model_config = ConfigDict(from_attributes=True)

    book_id: int
    title: str
    quantity: int
    price: Decimal


class ShownOrder(BaseModel):
    """An order as its customer sees it; prices are in euros."""

    model_config = ConfigDict(from_attributes=True)

    reference: UUID
    customer: str
    placed_at: datetime
    lines: list[ShownLine]
    total: Decimal


@routes.post(
    "",
    status_code=HTTPStatus.CREATED,
    responses=may_answer(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT),
)
async def place(
    new: NewOrder, counter: FunctionInject[Counter], response: Response
) -> ShownOrder:
    """Place an order: all of it, or nothing."""
    # Because of FunctionInject, the container of the counter closes when this function returns, so
    # the session commits before the response is sent. "Created" is never sent for an order that
    # could not be committed.
    order = await counter.sell(
        new.customer, {line.book_id: line.quantity for line in new.lines}
    )
    response.headers["Location"] = f"{routes.prefix}/{order.reference}"
    return ShownOrder.model_validate(order)


@routes.get("/{reference}", responses=may_answer(HTTPStatus.NOT_FOUND))
async def show(reference: UUID, orders: Inject[OrderRepository]) -> ShownOrder:
    """Show an order."""
    return ShownOrder.model_validate(await orders.find(reference))
