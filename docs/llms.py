"""Writes `llms.txt`, which leads language models to the sources of the pages (llmstxt.org)."""

from __future__ import annotations

from collections.abc import Mapping

#: In which part of the list a page stands, by how its name begins; the first that fits counts.
PARTS = {
    "how-to/": "How to",
    "explanation/": "Explanation",
    "reference/": "Reference",
    "": "Begin",
}

HEAD = """\
# wares

> A service container for Python: an application registers once how each service is made, and asks
> for it in requests, events, jobs and commands. Services are made once, shared, cleaned up in
> reverse, checked by health endpoints, and replaced in tests.

The main names: `Registry` (how services are made), `Container` (the services of one request),
`Inject[T]` (asks for a service in a signature), and one adapter for each framework, such as
`wares.fastapi`.
"""


def write_index(titles: Mapping[str, str], address: str) -> str:
    """Write the list of all pages.

    Args:
        titles: The titles by the names of the pages, such as ``how-to/fastapi``.
        address: Where the documentation is, ending with a slash.

    Returns:
        The text, in Markdown.
    """
    lines = {
        part: [f"\n## {part}\n"] for part in ("Begin", "How to", "Explanation", "Reference")
    }
    for name, title in sorted(titles.items()):
        part = next(part for beginning, part in PARTS.items() if name.startswith(beginning))
        lines[part].append(f"- [{title}]({address}_sources/{name}.md.txt)")
    return "\n".join([HEAD.rstrip(), *(line for part in lines.values() for line in part), ""])
