"""Tests of the command that starts the bookshop."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

ROOT = Path(__file__).parents[3]

COMPLAINTS = re.compile(r".*(?:warning|error|traceback).*", re.IGNORECASE)

needs_ctrl_c = pytest.mark.skipif(
    sys.platform == "win32", reason="Windows sends Ctrl-C to no single process"
)


@contextmanager
def started(
    directory: Path, *arguments: str, warnings: str = "error"
) -> Iterator[subprocess.Popen[str]]:
    """Run the command in a new directory, with only the settings of the test."""
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    environment = os.environ | {"PYTHONPATH": path, "PYTHONWARNINGS": warnings}
    for name in ("DATABASE_URL", "BOOKSHOP_DATABASE_URL", "BOOKSHOP_PORT", "BOOKSHOP_HOST"):
        environment.pop(name, None)
    with subprocess.Popen(
        [sys.executable, "-m", "examples.bookshop", *arguments],
        cwd=directory,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
    ) as process:
        try:
            yield process
        finally:
            process.terminate()


def find_address(process: subprocess.Popen[str]) -> str:
    """Read the output of the command until it contains an address."""
    assert process.stdout is not None
    for line in process.stdout:
        if found := re.search(r"http://\S+", line):
            return found[0]
    pytest.fail("the command named no address")


def wait_for_answer(address: str) -> httpx.Response:
    """Send a request until the server listens."""
    transport = httpx.HTTPTransport(retries=8)  # it waits longer each time, up to 32 seconds
    with httpx.Client(transport=transport, timeout=30) as client:
        return client.get(address)


def close(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Press Ctrl-C; return the exit code and the output of the command."""
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate(timeout=30)
    return process.returncode, said


@needs_ctrl_c
def test_command_opens_the_shop_and_ctrl_c_closes_it(tmp_path: Path) -> None:
    """It prints its address, answers there, and ends without an error."""
    with started(tmp_path, "--port", "0") as process:
        address = find_address(process)
        books = wait_for_answer(f"{address}/api/books").json()
        health = wait_for_answer(f"{address}/healthy").status_code
        status, said = close(process)

    assert (16, 200) == (books["total"], health)
    assert 0 == status
    assert [] == COMPLAINTS.findall(said)
    assert (tmp_path / "bookshop.db").exists()


@needs_ctrl_c
def test_several_workers_open_one_shop(tmp_path: Path) -> None:
    """Several workers share one database, and fill it once."""
    # uvicorn leaves a socket for the end of the process to close.
    quiet = "error,ignore::ResourceWarning"
    with started(tmp_path, "--port", "0", "--workers", "2", warnings=quiet) as process:
        address = find_address(process)
        books = wait_for_answer(f"{address}/api/books").json()
        status, said = close(process)

    assert 16 == books["total"]
    assert 0 == status
    assert [] == COMPLAINTS.findall(said)


def test_taken_port_is_explained(tmp_path: Path) -> None:
    """If the port is taken, the command says what to do, without a traceback."""
    with socket.create_server(("127.0.0.1", 0)) as somebody_else:
        port = somebody_else.getsockname()[1]
        with started(tmp_path, "--port", str(port)) as process:
            said, _ = process.communicate(timeout=30)

    assert 1 == process.returncode
    assert (
        f"Port {port} of 127.0.0.1 is taken: another program listens there.\n"
        f"Stop it, or choose another port: python -m examples.bookshop --port {port + 1}\n"
    ) == said


def test_settings_that_do_not_fit_are_explained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A wrong setting is named with the reason, without a traceback."""
    monkeypatch.setenv("BOOKSHOP_EXCHANGE_RATES_TIMEOUT", "0")

    with started(tmp_path) as process:
        said, _ = process.communicate(timeout=30)

    assert 1 == process.returncode
    assert (
        "The bookshop cannot open with these settings:\n"
        "  exchange_rates_timeout: Input should be greater than 0\n"
    ) == said
