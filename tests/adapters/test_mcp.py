"""MCP servers: what `AdapterConformance` does not say."""

import os
import subprocess
import sys

import anyio
import fastmcp
import mcp
import pytest
from fastmcp.exceptions import ToolError
from fastmcp.server.middleware import Middleware
from mcp.server.context import ServerRequestContext
from mcp.server.mcpserver import MCPServer

from tests.adapters.serving import Journal, Session, open_session, open_slow_session
from wares import (
    Inject,
    InvalidRegistryError,
    NoRegistryError,
    Registry,
    current_container,
    inject,
)
from wares.mcp import WaresMiddleware, lifespan


@pytest.fixture
def start(journal):
    """A lifespan that registers a session."""

    @lifespan
    async def start(server, registry):
        registry.register_value(Journal, journal)
        registry.register_factory(Session, open_session)
        yield

    return start


class TestFastMCP:
    async def test_asks_by_inject(self, start, journal):
        """What is injected is no part of a tool's input; resources and prompts ask, too."""
        server = fastmcp.FastMCP("shop", lifespan=start, middleware=[WaresMiddleware()])

        @server.tool
        @inject
        async def work(text: str, session: Inject[Session]) -> str:
            return session.work(text)

        @server.resource("shop://books")
        @inject
        async def books(session: Inject[Session]) -> str:
            return session.work("books")

        @server.prompt
        @inject
        async def ask(session: Inject[Session]) -> str:
            return session.work("ask")

        async with fastmcp.Client(server) as client:
            (tool,) = await client.list_tools()
            result = await client.call_tool("work", {"text": "one"})
            await client.read_resource("shop://books")
            await client.get_prompt("ask")

        schema = getattr(tool, "input_schema", None) or tool.inputSchema
        assert ["text"] == list(schema["properties"])
        assert "one" == result.data
        assert [
            *["open", "one", "commit"],
            *["open", "books", "commit"],
            *["open", "ask", "commit"],
        ] == journal

    async def test_cancelled_by_a_scope(self, journal):
        """A cancel scope around a request does not interrupt its cleanups."""
        registry = Registry()
        registry.register_value(Journal, journal)
        registry.register_factory(Session, open_slow_session)

        class Limit(Middleware):
            async def on_call_tool(self, context, call_next):
                with anyio.CancelScope() as self.scope:
                    return await call_next(context)
                raise ToolError("too late")

        limit = Limit()
        server = fastmcp.FastMCP("shop", middleware=[limit, WaresMiddleware(registry)])

        @server.tool
        @inject
        async def work(session: Inject[Session]) -> str:
            session.work()
            limit.scope.cancel()
            await anyio.sleep(10)

        async with fastmcp.Client(server) as client:
            with pytest.raises(ToolError, match="too late"):
                await client.call_tool("work", {})

        assert ["work", "rollback CancelledError"] == journal

    async def test_mounted_servers(self, start, journal):
        """A request to a mounted server has one container, that of the outer one."""
        inner = fastmcp.FastMCP("inner", middleware=[WaresMiddleware(start.registry)])
        server = fastmcp.FastMCP("shop", lifespan=start, middleware=[WaresMiddleware()])

        @inner.tool
        @inject
        async def work(session: Inject[Session]) -> str:
            return session.work()

        server.mount(inner, "inner")
        async with fastmcp.Client(server) as client:
            await client.call_tool("inner_work", {})

        assert ["open", "work", "commit"] == journal


class TestSDK:
    async def test_asks_by_inject(self, start, journal):
        """What is injected is no part of a tool's input."""
        server = MCPServer("shop", lifespan=start, middleware=[WaresMiddleware()])

        @server.tool()
        @inject
        async def work(text: str, session: Inject[Session]) -> str:
            given = current_container().get(ServerRequestContext)
            return session.work(f"{text} {given.method}")

        async with mcp.Client(server) as client:
            (tool,) = (await client.list_tools()).tools
            await client.call_tool("work", {"text": "one"})

        assert ["text"] == list(tool.input_schema["properties"])
        assert ["open", "one tools/call", "commit"] == journal

    async def test_over_standard_input(self):
        """A server whose client starts it is served like any."""
        command = mcp.StdioServerParameters(
            command=sys.executable,
            args=["-m", "tests.adapters.mcp_server"],
            env=dict(os.environ),
        )
        async with mcp.Client(mcp.stdio_client(command)) as client:
            result = await client.call_tool("work", {"text": "one"})

        assert "ONE" == result.content[0].text


def test_without_fastmcp():
    """The SDK's server needs no FastMCP."""
    program = (
        "import sys, asyncio\n"
        "sys.modules['fastmcp'] = None\n"
        "import mcp, tests.adapters.mcp_server as shop\n"
        "async def call():\n"
        "    async with mcp.Client(shop.server) as client:\n"
        "        print((await client.call_tool('work', {'text': 'one'})).content[0].text)\n"
        "asyncio.run(call())\n"
    )
    answer = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    assert "ONE\n" == answer.stdout


class TestStart:
    @pytest.mark.parametrize("kind", [fastmcp.FastMCP, MCPServer])
    async def test_a_tool_asks_for_what_is_not_there(self, start, kind):
        """A server does not start if a tool asks for something that is not registered."""
        server = kind("shop", lifespan=start, middleware=[WaresMiddleware()])

        @server.tool()
        @inject
        async def work(missing: Inject[complex]) -> str: ...

        with pytest.raises(InvalidRegistryError) as caught:
            async with start(server):
                pass

        assert "work" in str(caught.value)
        assert "complex" in str(caught.value)

    async def test_without_the_managers_of_the_sdk(self, start):
        """Where the functions of a server cannot be found, it starts all the same."""
        server = MCPServer("shop", lifespan=start, middleware=[WaresMiddleware()])

        @server.tool()
        @inject
        async def work(missing: Inject[complex]) -> str: ...

        for name in ("_tool_manager", "_resource_manager", "_prompt_manager"):
            delattr(server, name)

        async with start(server) as state:
            assert start.registry is state["wares_registry"]


async def test_notifications_pass():
    """A message that nobody waits for has no container."""

    class Message:
        type = "notification"

    async def call_next(context):
        return context

    message = Message()

    assert message is await WaresMiddleware()(message, call_next)


async def test_results_that_are_errors():
    """A result that says it is an error is failed work, in the form of either server."""
    registry = Registry()
    ends = []

    def opened():
        try:
            yield 1
        except BaseException as error:
            ends.append(type(error).__name__)
            raise

    class Message:
        type = "request"
        lifespan_context = None

    class Result:
        is_error = True

    async def call_next(context):
        current_container().get(int)
        return Result()

    registry.register_factory(int, opened)
    await WaresMiddleware(registry)(Message(), call_next)

    assert ["ResponseFailed"] == ends
    with pytest.raises(NoRegistryError):
        await WaresMiddleware()(Message(), call_next)
