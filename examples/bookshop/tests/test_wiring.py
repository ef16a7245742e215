"""Tests of the wiring, which make no service."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from wares import Registry

from ..registrations import register_services
from ..settings import Settings

README = Path(__file__).parents[1] / "README.md"


@pytest.fixture
def registry(settings: Settings) -> Iterator[Registry]:
    """The registry of the shop, before any service is made."""
    with Registry() as registry:
        register_services(registry, settings)
        yield registry


def test_wiring_is_complete(registry: Registry) -> None:
    """Everything that a service needs is registered, and lives long enough."""
    registry.validate()


def test_drawing_in_the_readme_is_true(registry: Registry) -> None:
    """The graph has an arrow for each service that another one needs, and no other."""
    arrows = re.findall(r"^ +(\w+) --> (\w+)$", README.read_text("utf-8"), re.MULTILINE)

    edges = [(edge.source, edge.target) for edge in registry.graph().edges]

    assert sorted(edges) == sorted(arrows)
