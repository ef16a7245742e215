"""Tests of the pages with the graph and the source."""

from __future__ import annotations

import pytest
from fastapi.testclient import TestClient


def test_graph_shows_the_services(client: TestClient) -> None:
    """The graph is a page without other files, and names the services."""
    answer = client.get("/graph")

    assert 200 == answer.status_code
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert "BookRepository" in answer.text


def test_source_is_listed_and_shown(client: TestClient) -> None:
    """Each file is linked, and is sent as plain text."""
    listed = client.get("/source")
    shown = client.get("/source/web/orders.py")

    assert 'href="/source/web/orders.py"' in listed.text
    assert "text/plain; charset=utf-8" == shown.headers["Content-Type"]
    assert shown.text.startswith('"""The orders at')


@pytest.mark.parametrize(
    "name", ["nothing.py", "../../run.py", "%2e%2e/chat/events.py", ".env"]
)
def test_nothing_else_is_shown(name: str, client: TestClient) -> None:
    """Only the shop's own modules are files that can be read."""
    assert 404 == client.get(f"/source/{name}").status_code


def test_page_leads_there(client: TestClient) -> None:
    """The page links to the graph and to the source."""
    page = client.get("/").text

    assert ('href="/graph"' in page, 'href="/source"' in page) == (True, True)
