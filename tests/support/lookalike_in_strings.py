"""A user's own class called `Container`, with annotations that are strings at run time."""

from __future__ import annotations


class Container:
    """Holds goods, not services."""


def load(container: Container) -> list:
    return [container]


def load_by_keyword(*, container: Container) -> list:
    return [container]


def load_by_string(container: "Container") -> list:
    return [container]


class Ship:
    def __init__(self, container: Container) -> None:
        self.container = container
