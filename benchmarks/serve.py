"""Serve one application under uvicorn: `python -m benchmarks.serve MODULE NAME DESCRIPTOR`."""

import socket
import sys
from importlib import import_module

import uvicorn


def serve(module: str, name: str, descriptor: int) -> None:
    """Serve an application on a socket that the parent process has opened.

    Args:
        module: The module with the function `make`.
        name: The name of the application, for `make`.
        descriptor: The file descriptor of the socket.
    """
    application = import_module(module).make(name)
    config = uvicorn.Config(application, access_log=False, log_level="warning")
    uvicorn.Server(config).run(sockets=[socket.socket(fileno=descriptor)])


if __name__ == "__main__":
    serve(sys.argv[1], sys.argv[2], int(sys.argv[3]))
