"""The services of a graph, and who needs whom."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Protocol

import attrs


@attrs.frozen
class Node:
    """One service of the graph.

    Attributes:
        key: What it is asked for by.
        name: The key, printed; unique within the graph.
        kind: ``"factory"``, ``"value"``, ``"alias"``, ``"expected"``, ``"callable"`` or
            ``"missing"``; of an annotation that stands for other services ``"optional"``,
            ``"function"``, ``"list"``, ``"tuple"`` or ``"mapping"``.
        lifetime: Which owner keeps it; `None` for what is given or missing.
        place: The file and line of the factory's definition, if it has one.
        has_ping: Whether its health can be checked.
        tags: The groups that it belongs to.
        problems: What is wrong with it, by the places of the graph's problems.
    """

    key: Hashable
    name: str
    kind: str
    lifetime: str | None
    place: str | None
    has_ping: bool
    tags: tuple[str, ...] = ()
    problems: tuple[int, ...] = ()


@attrs.frozen
class Edge:
    """One service needs another.

    Attributes:
        source: The name of the node that needs.
        target: The name of the node that is needed.
        parameter: The parameter of the source's factory that it fills; `None` if it fills none.
        kind: ``"declared"`` by a parameter, or ``"seen"``: asked for by the factory while
            `Registry.record` was at work.
        problems: What is wrong with it, by the places of the graph's problems.
    """

    source: str
    target: str
    parameter: str | None
    kind: str = "declared"
    problems: tuple[int, ...] = ()


class Drawable(Protocol):
    """A graph, as far as it is drawn."""

    @property
    def nodes(self) -> tuple[Node, ...]:
        """The services."""
        raise NotImplementedError

    @property
    def edges(self) -> tuple[Edge, ...]:
        """Who needs whom."""
        raise NotImplementedError
