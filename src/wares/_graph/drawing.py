"""Graphs in the languages of Mermaid and Graphviz."""

from __future__ import annotations

import re

from wares._graph.nodes import Drawable, Edge, Node

#: The styles of nodes in Mermaid; the colours are those of the page.
_MERMAID_STYLES = {
    "singleton": "stroke:#7c3aed,stroke-width:2px",
    "connection": "stroke:#0891b2,stroke-width:2px",
    "scoped": "stroke:#2563eb",
    "transient": "stroke:#ca8a04,stroke-dasharray:4",
    "given": "stroke:#6b7280",
    "missing": "stroke:#dc2626,color:#dc2626,stroke-width:3px",
    "problem": "stroke:#dc2626,stroke-width:3px",
}

_DOT_COLORS = {
    "singleton": "purple",
    "connection": "darkcyan",
    "scoped": "blue",
    "transient": "goldenrod",
    "given": "gray",
    "missing": "red",
}


#: Characters that Mermaid may interpret between quotes.
_MEANINGFUL = re.compile(r"[^\w .,()\[\]|'=/+*-]")

#: Line breaks of every kind, and other invisible characters.
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")

_PICTURES = {chr(code): chr(0x2400 + code) for code in range(0x20)}


def draw_mermaid(graph: Drawable) -> str:
    """Draw *graph* as a Mermaid flowchart (https://mermaid.js.org/syntax/flowchart.html)."""
    numbers = {node.name: f"n{number}" for number, node in enumerate(graph.nodes)}
    edges = _without_doubles(graph)
    lines = ["flowchart LR"]
    for node in graph.nodes:
        label = _escape_mermaid(node.name)
        lines.append(f'    {numbers[node.name]}["{label}"]:::{_style_of(node)}')
    for edge in edges:
        arrow = "-.->" if edge.kind == "seen" else "-->"
        lines.append(f"    {numbers[edge.source]} {arrow} {numbers[edge.target]}")
    lines += [f"    classDef {name} {style}" for name, style in _MERMAID_STYLES.items()]
    wrong = [numbers[node.name] for node in graph.nodes if node.problems]
    if wrong:
        lines.append(f"    class {','.join(wrong)} problem")
    lines += [
        f"    linkStyle {number} stroke:#dc2626,stroke-width:3px"
        for number, edge in enumerate(edges)
        if edge.problems
    ]
    return "\n".join(lines) + "\n"


def draw_dot(graph: Drawable) -> str:
    """Draw *graph* in the language of Graphviz (https://graphviz.org/doc/info/lang.html)."""
    lines = ["digraph wares {", "    rankdir=LR;", "    node [shape=box, style=rounded];"]
    for node in graph.nodes:
        color = f"color={_DOT_COLORS[_style_of(node)]}"
        mark = ", color=red, penwidth=2" if node.problems else ""
        lines.append(f"    {_quote_dot(node.name)} [{color}{mark}];")
    for edge in _without_doubles(graph):
        styles = [
            *(["style=dashed"] if edge.kind == "seen" else []),
            *(["color=red"] if edge.problems else []),
        ]
        style = f" [{', '.join(styles)}]" if styles else ""
        lines.append(f"    {_quote_dot(edge.source)} -> {_quote_dot(edge.target)}{style};")
    return "\n".join([*lines, "}"]) + "\n"


def _without_doubles(graph: Drawable) -> list[Edge]:
    """List the edges, but only the first one between the same two nodes."""
    edges: dict[tuple[str, str], Edge] = {}
    for edge in graph.edges:
        edges.setdefault((edge.source, edge.target), edge)
    return list(edges.values())


def _style_of(node: Node) -> str:
    if node.kind == "missing":
        return "missing"
    return "given" if node.kind in ("value", "expected") else str(node.lifetime)


def _escape_mermaid(text: str) -> str:
    """Write *text* so that it cannot end its label, and contains no markup or Markdown.

    Everything except letters, digits and characters that are harmless between quotes becomes an
    entity code (https://mermaid.js.org/syntax/flowchart.html#entity-codes-to-escape-characters).
    """
    return _MEANINGFUL.sub(_write_entity, _one_line(text))


def _write_entity(found: re.Match[str]) -> str:
    return f"#{ord(found[0])};"


def _quote_dot(text: str) -> str:
    # Graphviz interprets HTML entities in labels; in names, only quotes need an escape.
    escaped = _one_line(text).replace("\\", "\\\\").replace('"', '\\"').replace("&", "&amp;")
    return f'"{escaped}"'


def _one_line(text: str) -> str:
    """Replace line breaks and other control characters with Unicode's pictures of them."""
    return _CONTROL.sub(lambda found: _PICTURES.get(found[0], "\ufffd"), text)
