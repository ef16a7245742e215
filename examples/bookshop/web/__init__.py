"""The bookshop over HTTP, with one module for each part of the API and the page."""

from __future__ import annotations

from fastapi import FastAPI

from wares.fastapi import health_router

from . import books, inside, orders, page, problems, stock

__all__ = ["add_to"]


def add_to(application: FastAPI) -> None:
    """Add all routes of the shop to an application.

    Args:
        application: The application.
    """
    problems.add_to(application)
    for routes in (books.routes, orders.routes, stock.routes, inside.routes):
        application.include_router(routes)
    application.include_router(health_router("/healthy"))
    page.add_to(application)
