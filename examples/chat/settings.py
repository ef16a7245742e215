"""What can be set from outside, and where it is read from."""

from __future__ import annotations

from pydantic import AliasChoices, Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """The chat's settings, from the environment: ``CHAT_<NAME>``.

    The addresses of the database and of Redis are read from the customary names as well. They
    may hold passwords, so printing the settings does not show them.
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

    #: Without it, only clients of the same process hear each other.
    redis_url: SecretStr | None = Field(
        default=None, validation_alias=AliasChoices("CHAT_REDIS_URL", "REDIS_URL")
    )
