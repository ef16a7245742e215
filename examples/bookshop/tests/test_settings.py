"""Tests of the settings: their sources, and that they show no secrets."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from ..settings import Settings


@pytest.mark.parametrize("name", ["DATABASE_URL", "BOOKSHOP_DATABASE_URL"])
@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+asyncpg"])
def test_database_address_is_read_as_it_is_usually_written(
    name: str, scheme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The usual spellings of addresses are accepted, and the async driver is added."""
    monkeypatch.setenv(name, f"{scheme}://clerk:hunter2@db.example/shop")

    settings = Settings()

    assert "postgresql+asyncpg://clerk:***@db.example/shop" == str(settings.database_address)


def test_secrets_are_not_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the settings nor the address of the database show a password."""
    monkeypatch.setenv("DATABASE_URL", "postgres://clerk:hunter2@db.example/shop")
    monkeypatch.setenv("BOOKSHOP_STAFF_KEY", "hunter3")

    settings = Settings()

    printed = f"{settings} {settings!r} {settings.database_address}"
    assert "hunter" not in printed


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("clerk:hunter2@db.example", "not a database address"),
        ("mysql://clerk:hunter2@db.example/shop", "not mysql"),
    ],
)
def test_secrets_are_not_printed_when_they_do_not_fit(
    address: str, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error about a wrong address gives the reason, and does not contain the address."""
    monkeypatch.setenv("DATABASE_URL", address)

    with pytest.raises(ValidationError) as caught:
        Settings()

    assert reason in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_empty_setting_means_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """With an empty key, nobody is staff; with an empty address, no server is asked."""
    monkeypatch.setenv("BOOKSHOP_STAFF_KEY", "")
    monkeypatch.setenv("BOOKSHOP_EXCHANGE_RATES_URL", "")

    settings = Settings()

    assert (None, None) == (settings.staff_key, settings.exchange_rates_url)
