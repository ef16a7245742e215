"""A browser for tests: Chromium without a window, driven over its DevTools protocol."""

from __future__ import annotations

import itertools
import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from websockets.sync.client import ClientConnection, connect

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
_OPTIONS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--remote-debugging-port=0",
)
_SECONDS_TO_WAIT = 20


def find_chromium() -> str | None:
    """Find a Chromium on this machine.

    Returns:
        Its path, or None.
    """
    return next(filter(None, map(shutil.which, _NAMES)), None)


class ChromiumError(Exception):
    """Chromium cannot be used on this machine."""


class Page:
    """One page in a browser."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self._numbers = itertools.count(1)

    def tell(self, method: str, **parameters: object) -> dict[str, Any]:
        """Send a command of the DevTools protocol.

        Returns:
            Its result.
        """
        number = next(self._numbers)
        command = {"id": number, "method": method, "params": parameters}
        self._connection.send(json.dumps(command))
        while True:
            answer = json.loads(self._connection.recv(timeout=_SECONDS_TO_WAIT))
            if answer.get("id") == number:
                assert "error" not in answer, answer
                return dict(answer["result"])

    def run(self, script: str) -> Any:
        """Run a script on the page.

        Returns:
            The value of its last expression.
        """
        answer = self.tell(
            "Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def wait_for(self, condition: str) -> Any:
        """Run a script until its value is true.

        Returns:
            That value.
        """
        deadline = time.monotonic() + _SECONDS_TO_WAIT
        while not (value := self.run(condition)):
            assert time.monotonic() < deadline, f"it never became true: {condition}"
            time.sleep(0.05)
        return value


@contextmanager
def open_page(chromium: str, address: str, profile: Path) -> Iterator[Page]:
    """Open a page during the ``with`` block."""
    command = [chromium, *_OPTIONS, f"--user-data-dir={profile}", "about:blank"]
    output = subprocess.DEVNULL
    with subprocess.Popen(command, stdout=output, stderr=output) as process:
        try:
            with connect(_find_page(profile, process), max_size=None, proxy=None) as connection:
                page = Page(connection)
                page.tell("Page.enable")
                page.tell("Page.navigate", url=address)
                yield page
        finally:
            process.terminate()


def _find_page(profile: Path, process: subprocess.Popen[bytes]) -> str:
    """Wait until Chromium prints its address, and ask it for its first page."""
    port_file = profile / "DevToolsActivePort"
    deadline = time.monotonic() + _SECONDS_TO_WAIT
    while not (port_file.exists() and port_file.read_text().count("\n")):
        if process.poll() is not None or time.monotonic() > deadline:
            raise ChromiumError("there is a Chromium, but it does not start")
        time.sleep(0.05)
    port = port_file.read_text().split("\n")[0]
    targets = httpx.get(f"http://127.0.0.1:{port}/json/list", trust_env=False).json()
    return next(
        str(target["webSocketDebuggerUrl"]) for target in targets if target["type"] == "page"
    )
