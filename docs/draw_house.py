"""Draws the layers of the source, read from its imports, into `docs/_static/house.svg`.

Run `python docs/draw_house.py` after a part of the source has come, gone or moved; a test fails
while the picture is not that of the code.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TypeAlias
from xml.sax.saxutils import escape

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "src" / "wares"
PICTURE = ROOT / "docs" / "_static" / "house.svg"

#: What each part of the source, a file or package at its top, imports.
Parts: TypeAlias = "Mapping[str, set[str]]"

#: Parts that import one another are drawn as one box.
Box: TypeAlias = "tuple[str, ...]"

# Pixels.
WIDTH = 760
HEIGHT = 32
GAP = 10
LETTER = 8
PADDING = 24


def read_parts(source: Path) -> dict[str, set[str]]:
    """Read which parts each part imports when it runs.

    Args:
        source: The folder of the package.
    """
    parts: dict[str, set[str]] = {}
    for path in sorted(source.rglob("*.py")):
        part = path.relative_to(source).parts[0].removesuffix(".py")
        imported = {find_part(name, source) for name in find_imports(path)}
        parts.setdefault(part, set()).update(imported - {part})
    return parts


def find_part(name: str, source: Path) -> str:
    """Name the part that a module, or something in it, belongs to."""
    first = [*name.split("."), ""][1]
    is_part = bool(first) and ((source / first).is_dir() or (source / f"{first}.py").exists())
    return first if is_part else "__init__"


def find_imports(path: Path) -> Iterator[str]:
    """Yield the full names of our own that a file imports, but not for type checkers only."""
    pending: list[ast.AST] = [ast.parse(path.read_text("utf-8"))]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            pending.extend(node.orelse)
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if is_ours(alias.name))
        if isinstance(node, ast.ImportFrom) and is_ours(node.module or ""):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        pending.extend(ast.iter_child_nodes(node))


def is_ours(name: str) -> bool:
    """Tell whether a module belongs to wares."""
    return name.split(".", maxsplit=1)[0] == "wares"


def reach(parts: Parts) -> dict[str, set[str]]:
    """Find what each part imports, directly or through others; itself belongs to it."""
    reached = {}
    for part in parts:
        reached[part] = {part}
        pending = [part]
        while pending:
            new = parts.get(pending.pop(), set()) - reached[part]
            reached[part] |= new
            pending += new
    return reached


def arrange(parts: Parts) -> list[list[Box]]:
    """Arrange parts in rows, the lowest first: each box imports from lower rows only."""
    reached = reach(parts)
    boxes = {
        part: tuple(sorted(other for other in reached[part] if part in reached[other]))
        for part in parts
    }
    rows: dict[Box, int] = {}
    # A part that imports another reaches more than that one, unless both are in one box.
    for part in sorted(parts, key=lambda part: len(reached[part])):
        lower = [rows[boxes[other]] for other in reached[part] - set(boxes[part])]
        rows[boxes[part]] = max(lower, default=-1) + 1
    return [
        sorted(box for box in rows if rows[box] == number)
        for number in sorted({*rows.values()})
    ]


def draw(parts: Parts) -> str:
    """Draw the parts in rows, the lowest at the bottom; the title of a box lists its imports."""
    lines = []
    top = 0
    for row in reversed(arrange(parts)):
        left = 0
        for box in row:
            name = ", ".join(map(entitle, box))
            width = LETTER * len(name) + PADDING
            if left and left + width > WIDTH:
                left, top = 0, top + HEIGHT + GAP
            imports = sorted(set().union(*(parts[part] for part in box)) - set(box))
            lines += draw_box(left, top, width, name, ", ".join(imports) or "nothing of ours")
            left += width + GAP
        top += HEIGHT + 2 * GAP
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {top}" role="img" '
        f'aria-label="The parts of the source" fill="currentColor" '
        f'style="width: 100%; height: auto; font: 13px ui-monospace, monospace">'
    )
    return "\n".join([head, *lines, "</svg>", ""])


def entitle(part: str) -> str:
    """Name a part in the picture."""
    return "import wares" if part == "__init__" else part


def draw_box(left: int, top: int, width: int, name: str, imports: str) -> list[str]:
    """Draw one box."""
    size = f'width="{width}" height="{HEIGHT}"'
    return [
        f"  <g><title>{escape(name)} imports {escape(imports)}</title>",
        f'    <rect x="{left}" y="{top}" {size} rx="4" fill-opacity="0.1"/>',
        f'    <text x="{left + PADDING // 2}" y="{top + 21}">{escape(name)}</text></g>',
    ]


if __name__ == "__main__":
    PICTURE.write_text(draw(read_parts(SOURCE)), "utf-8")
