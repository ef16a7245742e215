"""What `wares.litestar` promises to type checkers; read by them, not run."""

from typing import Any, assert_type

from litestar import Litestar, Request, WebSocket

from wares import Container, Registry
from wares.litestar import WaresPlugin, get_registry, health_handler, wares_from

plugin = WaresPlugin(registry=Registry(), validate=False)
assert_type(plugin.registry, Registry)
app = Litestar([health_handler("/healthy", timeout=1.0)], plugins=[plugin])
assert_type(get_registry(app), Registry)


async def handle(request: Request[Any, Any, Any], socket: WebSocket[Any, Any, Any]) -> None:
    """Take containers from both kinds of connections."""
    assert_type(wares_from(request), Container)
    assert_type(wares_from(socket), Container)


get_registry(3)  # type: ignore[arg-type]  # no application
