"""The command that starts the chat: ``python -m examples.chat``."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from collections.abc import Sequence

import uvicorn

from .settings import Settings


def main(arguments: Sequence[str] | None = None) -> None:
    """Start the chat, and serve it until Ctrl-C is pressed.

    Args:
        arguments: The arguments of the command.
    """
    settings = Settings()
    parser = ArgumentParser(prog="python -m examples.chat", description="Open the chat.")
    parser.add_argument("--host", default=settings.host, help="default: %(default)s")
    parser.add_argument("--port", type=int, default=settings.port, help="default: %(default)s")
    parser.add_argument(
        "--workers",
        type=int,
        default=settings.workers,
        help="number of processes; several need Redis: set REDIS_URL; default: %(default)s",
    )
    options = parser.parse_args(arguments)
    if options.workers > 1 and settings.redis_url is None:
        sys.exit("Several workers need Redis to reach each other's clients: set REDIS_URL.")
    print(f"The chat opens at http://{options.host}:{options.port}/", flush=True)
    uvicorn.run(
        "examples.chat.application:create_application",
        factory=True,
        host=options.host,
        port=options.port,
        workers=options.workers,
        ws="websockets-sansio",
        timeout_graceful_shutdown=5,
    )


if __name__ == "__main__":
    main()
