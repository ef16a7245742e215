"""MCP servers: FastMCP's and the SDK's, with clients in memory and over HTTP."""

import asyncio
import contextlib

import fastmcp
import mcp
from fastmcp.exceptions import ToolError
from mcp.server.context import ServerRequestContext
from mcp.server.mcpserver import MCPServer

from tests.adapters.serving import serve
from wares import current_container
from wares.mcp import WaresMiddleware, lifespan
from wares.testing import AdapterConformance


async def start(server, registry):
    yield


class MCPConformance(AdapterConformance):
    adapter = "wares.mcp"
    framework = "mcp"
    sees_exceptions = False

    def add_tool(self, server, work):
        @server.tool(name="work")
        async def do() -> str:
            return await work.arun(current_container())

    async def perform(self, served):
        with contextlib.suppress(ToolError):
            await served.call_tool("work", {})

    async def vanish(self, served, work):
        task = asyncio.create_task(served.call_tool("work", {}))
        await self._mode.until(lambda: work.has_begun)
        task.cancel()
        await asyncio.wait({task})


class TestFastMCP(MCPConformance):
    given = (fastmcp.Context,)

    @contextlib.asynccontextmanager
    async def serve(self, registry, work):
        server = fastmcp.FastMCP(
            "shop", lifespan=lifespan(start, registry=registry), middleware=[WaresMiddleware()]
        )

        self.add_tool(server, work)
        async with self.connect(server) as client:
            yield client

    def connect(self, server):
        return fastmcp.Client(server)


class TestFastMCPOverHTTP(TestFastMCP):
    @contextlib.asynccontextmanager
    async def connect(self, server):
        async with serve(server.http_app()) as address:
            async with fastmcp.Client(f"http://{address}/mcp") as client:
                yield client


class TestSDK(MCPConformance):
    given = (ServerRequestContext,)

    @contextlib.asynccontextmanager
    async def serve(self, registry, work):
        server = MCPServer(
            "shop", lifespan=lifespan(start, registry=registry), middleware=[WaresMiddleware()]
        )

        self.add_tool(server, work)
        async with self.connect(server) as client:
            yield client

    def connect(self, server):
        return mcp.Client(server)


class TestSDKOverHTTP(TestSDK):
    @contextlib.asynccontextmanager
    async def connect(self, server):
        async with serve(server.streamable_http_app()) as address:
            async with mcp.Client(f"http://{address}/mcp") as client:
                yield client


class WithSynchronousTools:
    has_async_services = False

    def add_tool(self, server, work):
        @server.tool(name="work")
        def do() -> str:
            return work.run(current_container())

    vanish = AdapterConformance.vanish  # a thread cannot be cancelled


class TestFastMCPWithSynchronousTools(WithSynchronousTools, TestFastMCP):
    pass


class TestSDKWithSynchronousTools(WithSynchronousTools, TestSDK):
    pass
