"""The errors of the bookshop as HTTP responses."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from ..errors import BookNotFoundError, BookshopError, OrderNotFoundError, OutOfStockError

STATUSES: dict[type[Exception], HTTPStatus] = {
    BookNotFoundError: HTTPStatus.NOT_FOUND,
    OrderNotFoundError: HTTPStatus.NOT_FOUND,
    OutOfStockError: HTTPStatus.CONFLICT,
}


class Problem(BaseModel):
    """A problem in the format of RFC 9457."""

    status: int
    title: str
    detail: str


def add_to(application: FastAPI) -> None:
    """Make an application answer the errors of the shop.

    Args:
        application: The application.
    """
    application.add_exception_handler(BookshopError, _answer)


def may_answer(*statuses: HTTPStatus) -> dict[int | str, dict[str, Any]]:
    """Describe the problems of a route for its documentation.

    Args:
        *statuses: The statuses with which the route may answer.

    Returns:
        The argument ``responses`` of the route.
    """
    return {
        status.value: {"model": Problem, "description": status.phrase} for status in statuses
    }


async def _answer(_: Request, error: Exception) -> JSONResponse:
    status = STATUSES[type(error)]
    problem = Problem(status=status, title=status.phrase, detail=str(error))
    return JSONResponse(
        problem.model_dump(), status_code=status, media_type="application/problem+json"
    )
