"""A service container: a registry of how services are made, and containers that share them.

The public names. What starts with an underscore may change at any time.
"""

import importlib
from typing import TYPE_CHECKING, Any

from wares._core.container import Container, Registry, current_container
from wares._inject.markers import Depends, Inject
from wares._core.recipes import Lifetime


from wares._core.signatures import autowire
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
    from wares._graph.graph import Edge, Graph, Node
    from wares._inject.injection import apply_types, inject
    from wares._core.pings import ServicePing

#: The same as `autowire`, by the name that svcs gives it for asynchronous factories.
aautowire = autowire

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

#: What not every application uses, and its module: imported at the first use (PEP 562).
_LATER = {
    "Edge": "_graph.graph",
    "Graph": "_graph.graph",
    "Node": "_graph.graph",
    "ServicePing": "_core.pings",
    "apply_types": "_inject.injection",
    "inject": "_inject.injection",
}


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = getattr(importlib.import_module(f"{__name__}.{_LATER[name]}"), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *_LATER})
