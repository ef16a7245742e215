"""The settings: their names and defaults."""

from __future__ import annotations

from pydantic import AliasChoices, Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """The settings of the chat, from environment variables called ``CHAT_<NAME>``.

    The addresses of the database and of Redis may also be in variables with the usual names. They
    may contain passwords, so the printed settings do not show them.
    """

    model_config = SettingsConfigDict(
        env_prefix="CHAT_", populate_by_name=True, hide_input_in_errors=True
    )

    host: str = "127.0.0.1"
    port: int = Field(default=8001, ge=0, le=65535)
    workers: int = Field(default=1, ge=1)

    database_url: SecretStr = Field(
        default=SecretStr("sqlite+aiosqlite:///chat.db"),
        validation_alias=AliasChoices("CHAT_DATABASE_URL", "DATABASE_URL"),
    )

    #: Without Redis, only clients of the same process get each other's messages.
    redis_url: SecretStr | None = Field(
        default=None, validation_alias=AliasChoices("CHAT_REDIS_URL", "REDIS_URL")
    )
