"""Tests of the health endpoint."""

from __future__ import annotations

import logging
from unittest.mock import Mock

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy.ext.asyncio import AsyncEngine

from wares.fastapi import get_registry


def test_healthy_shop_names_what_answered(client: TestClient) -> None:
    """The response has a status for load balancers, and names for people."""
    answer = client.get("/healthy")

    assert 200 == answer.status_code
    assert ([True], []) == (
        ["AsyncEngine" in name for name in answer.json()["ok"]],
        answer.json()["failing"],
    )


def test_failing_service_is_named_and_its_error_kept_inside(
    application: FastAPI, client: TestClient, caplog: pytest.LogCaptureFixture
) -> None:
    """Errors are not shown, because they may contain a password or an address."""
    ping = Mock(side_effect=ConnectionError("clerk:hunter2@db.example"))

    with get_registry(application).override_value(AsyncEngine, Mock(), ping=ping):
        answer = client.get("/healthy")

    assert 503 == answer.status_code
    assert "AsyncEngine" in answer.json()["failing"][0]
    assert "hunter2" not in answer.text
    # Other records depend on the log levels of this process.
    errors = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert [("wares", logging.ERROR)] == [(error.name, error.levelno) for error in errors]
