"""The command that opens the chat: ``python -m examples.chat``.

Knows hosts, ports and workers. Must not know what is served there.
"""

from __future__ import annotations

import sys

import uvicorn

from .settings import Settings


def main() -> None:
    """Open the chat, and keep it open until somebody presses Ctrl-C."""
    settings = Settings()
    if settings.workers > 1 and settings.redis_url is None:
        sys.exit("Several workers hear each other by Redis only: set REDIS_URL.")
    print(f"The chat opens at http://{settings.host}:{settings.port}/")
    uvicorn.run(
        "examples.chat.application:create_application",
        factory=True,
        host=settings.host,
        port=settings.port,
        workers=settings.workers,
        ws="websockets-sansio",
        timeout_graceful_shutdown=5,
    )


if __name__ == "__main__":
    main()
