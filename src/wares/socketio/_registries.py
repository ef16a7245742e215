"""Which registry serves a connection.

This module knows where a registry can be found. It must not know what it is used for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import socketio

from wares._adapters.lifespan import REGISTRY_KEY
from wares._core.recipes import Lifetime
from wares._core.container import Registry
from wares.socketio._events import FACTS

#: What serves connections for which nobody has given a registry.
DEFAULT = Registry()


def find_registry(given: Registry | None, environ: Mapping[str, Any]) -> Registry:
    """Find the registry of a connection.

    Args:
        given: The one that the server was initialised with.
        environ: The environment of the request by which the client connected. Under ASGI it has
            the scope, and that the state of the lifespan.

    Returns:
        The one that was given, else the one of the lifespan, else the default one.
    """
    if given is not None:
        return given
    state = environ.get("asgi.scope", {}).get("state") or {}
    registry: Registry = state.get(REGISTRY_KEY, DEFAULT)
    return registry


def expect(registry: Registry) -> None:
    """Announce to a registry what containers of connections and events are given.

    Then `wares.Registry.validate`, which lifespans call, does not take for missing what factories
    need of Socket.IO. A registry that `init_app` was given knows already.

    Args:
        registry: Where services are registered.
    """
    registry.expect(*FACTS, socketio.AsyncServer, socketio.Server)


def register_dependency(
    name: str, factory: Callable[..., Any], *, lifetime: Lifetime = "scoped"
) -> None:
    """Register how ``Depends("name")`` is filled, on the default registry.

    The default registry serves the servers for which there is no other: neither one that they
    were initialised with nor one of a lifespan.

    Args:
        name: What is asked for.
        factory: What makes it.
        lifetime: As in `wares.Registry.register_factory`.
    """
    DEFAULT.register_factory(name, factory, lifetime=lifetime)
