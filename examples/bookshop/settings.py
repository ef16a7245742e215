"""The settings: their names and defaults."""

from __future__ import annotations

from pydantic import AliasChoices, Field, HttpUrl, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict
from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

_ASYNC_DRIVERS = {
    "sqlite": "sqlite+aiosqlite",
    "postgres": "postgresql+asyncpg",
    "postgresql": "postgresql+asyncpg",
}


class Settings(BaseSettings):
    """The settings of the shop, from environment variables or a file named ``.env``.

    The variables are called ``BOOKSHOP_<NAME>``; the address of the database may also be in the
    usual ``DATABASE_URL``. Settings that may contain a password are of type ``SecretStr``, so that
    neither the printed settings nor errors about them show it.
    """

    model_config = SettingsConfigDict(
        env_prefix="BOOKSHOP_",
        env_file=".env",
        env_parse_none_str="",
        extra="ignore",
        populate_by_name=True,
        hide_input_in_errors=True,
    )

    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=0, le=65535)

    database_url: SecretStr = Field(
        default=SecretStr("sqlite+aiosqlite:///bookshop.db"),
        validation_alias=AliasChoices("BOOKSHOP_DATABASE_URL", "DATABASE_URL"),
    )

    # Clients that send this key may book deliveries. Without a key, nobody can.
    staff_key: SecretStr | None = None

    # The shop asks this server when a customer first chooses another currency. If this is empty,
    # it never asks.
    exchange_rates_url: HttpUrl | None = HttpUrl("https://api.frankfurter.dev/v1/latest")
    exchange_rates_timeout: float = Field(default=2.0, gt=0, description="seconds")
    exchange_rates_keep: float = Field(default=3600.0, ge=0, description="seconds")
    exchange_rates_retry: float = Field(default=60.0, ge=0, description="seconds")

    @field_validator("database_url")
    @classmethod
    def _name_the_async_driver(cls, value: SecretStr) -> SecretStr:
        """Accept the usual spellings (``postgres://…``), and add the name of the async driver."""
        try:
            url = make_url(value.get_secret_value())
        except ArgumentError:
            # SQLAlchemy's own message would show the address, and its password.
            raise ValueError("not a database address; write it as postgresql://…") from None
        if url.get_backend_name() not in _ASYNC_DRIVERS:
            raise ValueError(f"this shop knows SQLite and PostgreSQL, not {url.drivername}")
        driver = _ASYNC_DRIVERS.get(url.drivername, url.drivername)
        return SecretStr(url.set(drivername=driver).render_as_string(hide_password=False))

    @property
    def database_address(self) -> URL:
        """The address of the database, parsed; its ``str`` shows no password."""
        return make_url(self.database_url.get_secret_value())
