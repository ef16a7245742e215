"""A service container: a registry of how services are made, and containers that share them.

These are the public names. Names that begin with an underscore may change at any time.
"""

import importlib
import importlib.util
from typing import TYPE_CHECKING, Any

from wares._core.autowiring import aautowire, autowire
from wares._core.container import Container, Registry, current_container
from wares._core.recipes import Lifetime
from wares._inject.markers import Depends, Inject
from wares.exceptions import (
    AsyncServiceError,
    CircularDependencyError,
    ContainerClosedError,
    FactoryError,
    InvalidLifetimeError,
    InvalidOptionError,
    InvalidRegistrationError,
    InvalidRegistryError,
    LifetimeError,
    MissingExtraError,
    NoContainerError,
    NoRegistryError,
    PendingAsyncCleanupError,
    RegistryClosedError,
    ResponseFailed,
    ServiceNotFoundError,
    UnresolvableParameterError,
    ValidationError,
    WaresError,
)

if TYPE_CHECKING:
    # What `import wares` shows to type checkers: they report any other name.
    from wares import aiohttp as aiohttp
    from wares import asgi as asgi
    from wares import celery as celery
    from wares import click as click
    from wares import django as django
    from wares import exceptions as exceptions
    from wares import fastapi as fastapi
    from wares import faststream as faststream
    from wares import flask as flask
    from wares import health as health
    from wares import litestar as litestar
    from wares import mcp as mcp
    from wares import observers as observers
    from wares import opentelemetry as opentelemetry
    from wares import pytest_plugin as pytest_plugin
    from wares import socketio as socketio
    from wares import starlette as starlette
    from wares import taskiq as taskiq
    from wares import testing as testing
    from wares._core.pings import ServicePing
    from wares._graph.graph import Graph
    from wares._graph.nodes import Edge, Node
    from wares._inject.injection import apply_types, inject

__all__ = [
    "AsyncServiceError",
    "CircularDependencyError",
    "Container",
    "ContainerClosedError",
    "Depends",
    "Edge",
    "FactoryError",
    "Graph",
    "Inject",
    "InvalidLifetimeError",
    "InvalidOptionError",
    "InvalidRegistrationError",
    "InvalidRegistryError",
    "Lifetime",
    "LifetimeError",
    "MissingExtraError",
    "NoContainerError",
    "NoRegistryError",
    "Node",
    "PendingAsyncCleanupError",
    "Registry",
    "RegistryClosedError",
    "ResponseFailed",
    "ServiceNotFoundError",
    "ServicePing",
    "UnresolvableParameterError",
    "ValidationError",
    "WaresError",
    "aautowire",
    "apply_types",
    "autowire",
    "current_container",
    "inject",
]

#: The modules of public names that not every application uses; imported at first use (PEP 562).
_LATER = {
    "Edge": "_graph.nodes",
    "Graph": "_graph.graph",
    "Node": "_graph.nodes",
    "ServicePing": "_core.pings",
    "apply_types": "_inject.injection",
    "inject": "_inject.injection",
}


if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        """Import a name or an adapter at its first use."""
        if name in _LATER:
            found = getattr(importlib.import_module(f"{__name__}.{_LATER[name]}"), name)
        elif not name.startswith("_") and importlib.util.find_spec(f"{__name__}.{name}"):
            found = importlib.import_module(f"{__name__}.{name}")
        else:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        globals()[name] = found
        return found


def __dir__() -> list[str]:
    return sorted({*globals(), *_LATER})
