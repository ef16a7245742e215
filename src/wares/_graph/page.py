"""A graph as a page that needs nothing else.

This module knows HTML: what is put where in the template. It must not know how a graph comes
about; the page itself lays it out.
"""

from __future__ import annotations

import html
import json
from collections.abc import Mapping
from typing import Any

_TEMPLATE = "page.html"


def draw_page(graph: Mapping[str, Any], title: str) -> str:
    """Put *graph*, as plain data, and its title into the template."""
    import importlib.resources  # noqa: PLC0415  # takes long to import

    page = importlib.resources.files("wares._graph").joinpath(_TEMPLATE).read_text("utf-8")
    # Within a script, only "<" could end it.
    data = json.dumps(graph, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
    before, _, after = page.replace("{{title}}", html.escape(title)).partition("{{data}}")
    return before + data + after
