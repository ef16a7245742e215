"""The command that starts the bookshop: ``python -m examples.bookshop``."""

from __future__ import annotations

import errno
import logging
import socket
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence

import uvicorn
from pydantic import ValidationError

from .settings import Settings

_COMMAND = "python -m examples.bookshop"
_APPLICATION = "examples.bookshop.application:create_application"
_SECONDS_TO_FINISH = 5
_EVERYWHERE = {"0.0.0.0", "::", ""}  # noqa: S104  # recognises addresses of users


def main(arguments: Sequence[str] | None = None) -> None:
    """Start the bookshop, and serve it until Ctrl-C is pressed.

    Args:
        arguments: The arguments of the command.
    """
    settings = _read_settings()
    options = _read_options(settings, arguments)
    port = _find_port(options.host, options.port)
    _say_where_to_look(options.host, port, settings)
    logging.basicConfig(level=logging.INFO, format="%(levelname)s: %(name)s: %(message)s")
    uvicorn.run(
        _APPLICATION,
        factory=True,
        host=options.host,
        port=port,
        workers=options.workers,
        timeout_graceful_shutdown=_SECONDS_TO_FINISH,
    )


def _read_settings() -> Settings:
    try:
        return Settings()
    except ValidationError as error:
        problems = [f"  {problem['loc'][0]}: {problem['msg']}" for problem in error.errors()]
        sys.exit("\n".join(["The bookshop cannot open with these settings:", *problems]))


def _read_options(settings: Settings, arguments: Sequence[str] | None) -> Namespace:
    parser = ArgumentParser(prog=_COMMAND, description="Open the bookshop.")
    parser.add_argument("--host", default=settings.host, help="default: %(default)s")
    parser.add_argument(
        "--port",
        type=int,
        default=settings.port,
        help="0 means any free port; default: %(default)s",
    )
    parser.add_argument("--workers", type=int, default=1, help="default: %(default)s")
    return parser.parse_args(arguments)


def _find_port(host: str, port: int) -> int:
    """Check the port before the application starts, because uvicorn checks it only afterwards."""
    try:
        with socket.create_server((host, port), family=_family_of(host)) as listener:
            return int(listener.getsockname()[1])
    except (OSError, OverflowError) as error:
        sys.exit(_explain(error, host, port))


def _family_of(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def _explain(error: OSError | OverflowError, host: str, port: int) -> str:
    if isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
        return (
            f"Port {port} of {host} is taken: another program listens there.\n"
            f"Stop it, or choose another port: {_COMMAND} --port {port + 1}"
        )
    return f"The bookshop cannot listen at {host}, port {port}: {error}"


def _say_where_to_look(host: str, port: int, settings: Settings) -> None:
    visible_host = "localhost" if host in _EVERYWHERE else host
    address = (
        f"http://[{visible_host}]:{port}"
        if ":" in visible_host
        else f"http://{visible_host}:{port}"
    )
    print(
        f"The bookshop opens at  {address}\n"
        f"             its API   {address}/docs\n"
        f"          its health   {address}/healthy\n"
        f"        its services   {address}/graph\n"
        f"        its database   {settings.database_address}\n"
        "Ctrl-C closes it.\n",
        flush=True,
    )


if __name__ == "__main__":
    main()
