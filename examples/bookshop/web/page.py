"""The page at ``/``, which uses the API like any other client."""

from __future__ import annotations

from pathlib import Path

from fastapi import FastAPI
from fastapi.responses import FileResponse
from fastapi.staticfiles import StaticFiles

_FILES = Path(__file__).parent.parent / "page"

# With these headers, the browser lets the page talk to this server only.
_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; frame-ancestors 'none'; base-uri 'none'",
    "Referrer-Policy": "no-referrer",
}


def add_to(application: FastAPI) -> None:
    """Add the page and its files to an application.

    Args:
        application: The application.
    """
    application.mount("/page", StaticFiles(directory=_FILES), name="page")
    application.add_api_route("/", _show_page, include_in_schema=False)


async def _show_page() -> FileResponse:
    return FileResponse(_FILES / "index.html", headers=_HEADERS)
