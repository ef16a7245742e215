"""What source files tell that running objects do not.

This module knows how source is parsed, and where classes stand in it.
"""

from __future__ import annotations

import ast
import inspect
import sys
from _thread import RLock
from collections.abc import Iterator

#: Python 3.11 counts the depth of its recursion for all threads together, and raises a SystemError
#: where two parse at once. Re-entrant, because the garbage collector may run anything.
_PARSING = RLock()


def parse(source: str) -> ast.Module:
    """Parse the *source* of a module.

    Raises:
        SyntaxError: It cannot be parsed.
    """
    with _PARSING:
        return ast.parse(source)


if sys.version_info >= (3, 13):

    def find_line_of_class(kind: type) -> int | None:
        """Find the line of the source file in which the definition of a class begins."""
        line: int | None = vars(kind).get("__firstlineno__")
        return line


if sys.version_info < (3, 13):
    import functools
    import linecache

    def find_line_of_class(kind: type) -> int | None:
        """Find the line of the source file in which the definition of a class begins."""
        return _find_classes(inspect.getsourcefile(kind) or "").get(kind.__qualname__)

    @functools.lru_cache(maxsize=256)
    def _find_classes(file: str) -> dict[str, int]:
        """Find the lines of all classes in a file; at once, because parsing takes long."""
        try:
            return dict(_go_through(parse("".join(linecache.getlines(file))), ""))
        except SyntaxError:
            # Somebody is editing it.
            return {}

    def _go_through(tree: ast.AST, prefix: str) -> Iterator[tuple[str, int]]:
        for node in ast.iter_child_nodes(tree):
            inner = prefix
            if isinstance(node, ast.ClassDef):
                lines = [decorator.lineno for decorator in node.decorator_list]
                yield f"{prefix}{node.name}", min([node.lineno, *lines])
                inner = f"{prefix}{node.name}."
            elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                inner = f"{prefix}{node.name}.<locals>."
            yield from _go_through(node, inner)


def find_place_of_class(kind: type) -> str | None:
    """Find where a class is defined, as ``file:line``."""
    try:
        file = inspect.getsourcefile(kind)
    except (OSError, TypeError):
        # Written in C, or at a prompt.
        return None
    line = find_line_of_class(kind)
    return f"{file}:{line}" if file and line else None
