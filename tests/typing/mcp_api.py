"""What `wares.mcp` promises to type checkers; read by them, not run."""

from collections.abc import AsyncIterator
from typing import Any, assert_type

from fastmcp import FastMCP
from mcp.server.mcpserver import MCPServer

from wares import Registry
from wares.mcp import WaresMiddleware, lifespan


@lifespan
async def start(server: FastMCP[Any], registry: Registry) -> AsyncIterator[None]:
    """Be the lifespan of a server of FastMCP."""
    yield


@lifespan
async def start_sdk(server: MCPServer[Any], registry: Registry) -> AsyncIterator[None]:
    """Be the lifespan of a server of the SDK."""
    yield


assert_type(start.registry, Registry)
FastMCP("shop", lifespan=start, middleware=[WaresMiddleware()])
MCPServer("shop", lifespan=start_sdk, middleware=[WaresMiddleware(Registry())])
WaresMiddleware(3)  # type: ignore[arg-type]  # no registry
