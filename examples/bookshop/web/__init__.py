"""The shop as it is seen over HTTP: one file for each thing that can be addressed."""

from __future__ import annotations

from fastapi import FastAPI

from wares.fastapi import health_router

from . import books, inside, orders, page, problems, stock

__all__ = ["add_to"]


def add_to(application: FastAPI) -> None:
    """Give an application all the shop's addresses.

    Args:
        application: The application.
    """
    problems.add_to(application)
    for routes in (books.routes, orders.routes, stock.routes, inside.routes):
        application.include_router(routes)
    application.include_router(health_router("/healthy"))
    page.add_to(application)
