"""Registers all services of the bookshop, in one place."""

from __future__ import annotations

import httpx
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from wares import Registry

from .books import BookRepository
from .broadcaster import StockBroadcaster
from .counter import Counter
from .database import open_engine, open_session, ping_database
from .exchange_rates import ExchangeRates
from .orders import OrderRepository
from .settings import Settings
from .stock_news import StockNews


def register_services(registry: Registry, settings: Settings) -> None:
    """Register the services of the shop.

    Args:
        registry: The registry.
        settings: The settings of the shop, which become a service, too.
    """
    registry.register_value(Settings, settings)

    # Services of the application, made when they are first needed, and closed when it ends.
    registry.register_factory(
        AsyncEngine, open_engine, lifetime="singleton", ping=ping_database
    )
    registry.register_factory(httpx.AsyncClient, open_http_client, lifetime="singleton")
    registry.register_factory(ExchangeRates, ExchangeRates, lifetime="singleton")
    registry.register_factory(StockBroadcaster, StockBroadcaster, lifetime="singleton")

    # Services of a request: a session, and the services that use it.
    registry.register_factory(AsyncSession, open_session)
    registry.register_factory(BookRepository, BookRepository)
    registry.register_factory(OrderRepository, OrderRepository)
    registry.register_factory(StockNews, StockNews)
    registry.register_factory(Counter, Counter)


def open_http_client() -> httpx.AsyncClient:
    """Open the pool of outgoing connections.

    Returns:
        The client. It is an async context manager, so the registry closes it.
    """
    return httpx.AsyncClient(
        follow_redirects=True, headers={"User-Agent": "bookshop (an example of wares)"}
    )
