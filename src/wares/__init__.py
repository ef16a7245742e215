"""A service container: a registry of how services are made, and containers that share them.

The public names. What starts with an underscore may change at any time.
"""

from wares._container import Container, current_container
from wares._graph import Edge, Graph, Node
from wares._pings import ServicePing
from wares._recipes import Lifetime
from wares._registry import Registry
from wares._signatures import autowire
from wares.exceptions import (
    AsyncServiceError,
    CircularDependencyError,
    CleanupError,
    ContainerClosedError,
    FactoryError,
    InvalidLifetimeError,
    InvalidRegistrationError,
    InvalidRegistryError,
    LifetimeError,
    NoContainerError,
    NoRegistryError,
    PendingAsyncCleanupError,
    RegistryClosedError,
    ServiceNotFoundError,
    UnresolvableParameterError,
    WaresError,
)

#: The same as `autowire`, by the name that svcs gives it for asynchronous factories.
aautowire = autowire

__all__ = [
    "AsyncServiceError",
    "CircularDependencyError",
    "CleanupError",
    "Container",
    "ContainerClosedError",
    "Edge",
    "FactoryError",
    "Graph",
    "InvalidLifetimeError",
    "InvalidRegistrationError",
    "InvalidRegistryError",
    "Lifetime",
    "LifetimeError",
    "NoContainerError",
    "NoRegistryError",
    "Node",
    "PendingAsyncCleanupError",
    "Registry",
    "RegistryClosedError",
    "ServiceNotFoundError",
    "ServicePing",
    "UnresolvableParameterError",
    "WaresError",
    "aautowire",
    "autowire",
    "current_container",
]
