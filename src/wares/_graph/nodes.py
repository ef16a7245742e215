"""The nodes and edges of a graph: services and their needs."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Protocol

import attrs


@attrs.frozen
class Node:
    """One service of the graph.

    Attributes:
        key: The key of the service.
        name: The key, printed; unique within the graph.
        kind: ``"factory"``, ``"value"``, ``"alias"``, ``"expected"``, ``"callable"`` or
            ``"missing"``; for an annotation that stands for other services, ``"optional"``,
            ``"function"``, ``"list"``, ``"tuple"`` or ``"mapping"``.
        lifetime: The lifetime; `None` if the service is given or missing.
        place: The file and line of the factory's definition, if it has one.
        has_ping: Whether its health can be checked.
        tags: The tags of the service.
        problems: Its problems, as indices into the graph's problems.
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
        source: The name of the node that needs the other.
        target: The name of the needed node.
        parameter: The parameter of the source's factory that it fills; `None` if it fills none.
        kind: ``"declared"`` by a parameter, or ``"seen"``: the factory asked for it during
            `Registry.record`.
        problems: Its problems, as indices into the graph's problems.
    """

    source: str
    target: str
    parameter: str | None
    kind: str = "declared"
    problems: tuple[int, ...] = ()


class Drawable(Protocol):
    """The parts of a graph that are drawn."""

    @property
    def nodes(self) -> tuple[Node, ...]:
        """The services."""
        raise NotImplementedError

    @property
    def edges(self) -> tuple[Edge, ...]:
        """The needs."""
        raise NotImplementedError
