"""Fixtures: settings for tests, and the bookshop in three sizes.

``registry`` has the services without HTTP, ``client`` the application in this process, and
``server`` the application behind a real port.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncEngine

from wares import Registry

from ..application import create_application
from ..registrations import register_services
from ..seed import prepare_database
from ..settings import Settings
from .serving import Server

STAFF_KEY = "open sesame"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings with a new database, and without requests to other servers."""
    return Settings(
        database_url=SecretStr(f"sqlite:///{tmp_path / 'bookshop.db'}"),
        staff_key=SecretStr(STAFF_KEY),
        exchange_rates_url=None,
    )


@pytest.fixture
async def registry(settings: Settings) -> AsyncIterator[Registry]:
    """The services of a shop with a new database."""
    async with Registry() as registry:
        register_services(registry, settings)
        async with registry.container() as container:
            await prepare_database(await container.aget(AsyncEngine))
        yield registry


@pytest.fixture
def application(settings: Settings) -> FastAPI:
    """The application; a client or a server starts it."""
    return create_application(settings)


@pytest.fixture
def client(application: FastAPI) -> Iterator[TestClient]:
    """A client of the application, which runs during the test."""
    with TestClient(application) as client:
        yield client


@pytest.fixture
def server(application: FastAPI) -> Iterator[Server]:
    """The application, served on a port of this machine."""
    server = Server(application)
    yield server
    server.close()
