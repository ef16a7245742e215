"""A graph as a self-contained HTML page.

This module fills in the template. The page itself lays out the graph.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Mapping
from typing import Any

_TEMPLATE = "page.html"


def draw_page(graph: Mapping[str, Any], title: str) -> str:
    """Put *graph*, as plain data, and its title into the template."""
    import importlib.resources  # noqa: PLC0415  # takes long to import

    page = importlib.resources.files("wares._graph").joinpath(_TEMPLATE).read_text("utf-8")
    # In a script element, only a "<" could end the script.
    data = json.dumps(graph, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
    contents = {"title": html.escape(title), "data": data}
    # In one pass, because a title or a name may look like a placeholder of the template.
    return re.sub(r"\{\{(title|data)\}\}", lambda place: contents[place[1]], page)
