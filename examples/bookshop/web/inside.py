"""The graph and the source of the bookshop, for readers who want to learn from it."""

from __future__ import annotations

from html import escape
from http import HTTPStatus
from pathlib import Path

from fastapi import APIRouter, HTTPException
from fastapi.responses import HTMLResponse, PlainTextResponse

from wares.fastapi import DepRegistry

_FOLDER = Path(__file__).parent.parent
_FILES = {
    path.relative_to(_FOLDER).as_posix(): path
    for path in sorted(_FOLDER.rglob("*.py"))
    if "tests" not in path.relative_to(_FOLDER).parts
}

# The page of the graph contains its script and style, and needs no other files.
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "
        "img-src data:; frame-ancestors 'none'; base-uri 'none'"
    ),
    "Referrer-Policy": "no-referrer",
}

routes = APIRouter(include_in_schema=False)


@routes.get("/graph", response_class=HTMLResponse)
async def show_graph(registry: DepRegistry) -> HTMLResponse:
    """Show the services of the shop, and what each needs."""
    page = registry.graph().to_html("The bookshop's services")
    return HTMLResponse(page, headers=_HEADERS)


@routes.get("/source", response_class=HTMLResponse)
async def list_source() -> HTMLResponse:
    """List the files of the shop; readers begin with registrations.py."""
    links = "".join(
        f'<li><a href="/source/{escape(name)}">{escape(name)}</a>' for name in _FILES
    )
    head = '<!doctype html><meta charset="utf-8"><title>The bookshop\'s source</title>'
    begin = '<p>Begin with <a href="/source/registrations.py">registrations.py</a>.</p>'
    return HTMLResponse(f"{head}<h1>The bookshop's source</h1>{begin}<ul>{links}</ul>")


@routes.get("/source/{name:path}", response_class=PlainTextResponse)
async def show_source(name: str) -> PlainTextResponse:
    """Show one file."""
    if name not in _FILES:  # no other path of a client is ever opened
        raise HTTPException(HTTPStatus.NOT_FOUND, "The bookshop has no such file.")
    return PlainTextResponse(_FILES[name].read_text("utf-8"))
