"""MCP servers: what `AdapterConformance` does not say."""

import asyncio
import dataclasses
import os
import subprocess
import sys
from typing import Annotated

import anyio
import fastmcp
import fastmcp.dependencies
import mcp
import pytest
from fastmcp.exceptions import ToolError
from fastmcp.server.middleware import Middleware
from mcp.server.context import ServerRequestContext
from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.resources import TextResource
from pydantic import PydanticSchemaGenerationError
from starlette.applications import Starlette
from starlette.routing import Mount

from tests.adapters.serving import (
    Journal,
    Session,
    open_session,
    open_slow_session,
    serve,
    until,
)
from tests.support.services import Cache
from wares import (
    Depends,
    Inject,
    InvalidRegistrationError,
    InvalidRegistryError,
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


@pytest.mark.parametrize("make", [fastmcp.FastMCP, MCPServer])
@pytest.mark.parametrize("marked", [Inject[dict[str, str]], Annotated[str, Depends("name")]])
def test_a_tool_that_nobody_injects(make, marked):
    """A tool whose service its clients would send is refused when it is added."""
    server = make("shop")

    def work(text: str, session: marked) -> str:
        raise AssertionError

    with pytest.raises(InvalidRegistrationError, match=r"for 'session', .* @inject"):
        server.tool()(work)


class TestFastMCP:
    async def test_asks_by_inject(self, start, journal):
        """Tools, resources and prompts are injected, and services are no part of their input."""
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
        """A request to a mounted server has one container, that of the outer server."""
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

    async def test_tools_that_are_clients(self, start, journal):
        """A request within a request has a container of its own, also on the same registry."""
        inner = fastmcp.FastMCP("inner", middleware=[WaresMiddleware(start.registry)])
        server = fastmcp.FastMCP("shop", lifespan=start, middleware=[WaresMiddleware()])

        @inner.tool
        @inject
        async def fail(session: Inject[Session]) -> str:
            raise LookupError(session.work("inner"))

        @server.tool
        @inject
        async def work(session: Inject[Session]) -> str:
            async with fastmcp.Client(inner) as client:
                await client.call_tool("fail", {}, raise_on_error=False)
            return session.work()

        async with fastmcp.Client(server) as client:
            await client.call_tool("work", {})

        inner_end = "rollback ToolError"
        assert ["open", "open", "inner", inner_end, "work", "commit"] == journal


class TestSDK:
    async def test_asks_by_inject(self, start, journal):
        """Injected parameters are no part of a tool's input."""
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

    async def test_a_resource_without_a_function(self, start):
        """A resource without a function needs no service."""
        server = MCPServer("shop", lifespan=start, middleware=[WaresMiddleware()])
        server.add_resource(TextResource(uri="shop://hours", name="hours", text="nine to five"))

        async with start(server) as state:
            assert start.registry is state["wares_registry"]

    async def test_without_the_managers_of_the_sdk(self, start):
        """If the functions of a server cannot be found, it starts nevertheless."""
        server = MCPServer("shop", lifespan=start, middleware=[WaresMiddleware()])

        @server.tool()
        @inject
        async def work(missing: Inject[complex]) -> str: ...

        for name in ("_tool_manager", "_resource_manager", "_prompt_manager"):
            delattr(server, name)

        async with start(server) as state:
            assert start.registry is state["wares_registry"]


async def test_notifications_pass():
    """A notification has no container."""

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
        method = "tools/call"
        lifespan_context = None

    class Result:
        is_error = True

    async def call_next(context):
        current_container().get(int)
        return Result()

    registry.register_factory(int, opened)
    await WaresMiddleware(registry)(Message(), call_next)

    assert ["ResponseFailed"] == ends


@dataclasses.dataclass
class User:
    """A service that clients could send."""

    name: str = "server"


#: A server of each kind, and the client for it.
KINDS = pytest.mark.parametrize(
    ("make", "client_of"),
    [(fastmcp.FastMCP, fastmcp.Client), (MCPServer, mcp.Client)],
    ids=["FastMCP", "SDK"],
)


async def call(client, name, **arguments):
    """Call a tool; give the texts of its result, also of an error."""
    try:
        result = await client.call_tool(name, arguments)
    except (ToolError, mcp.MCPError) as error:
        return str(error)
    return " ".join(part.text for part in result.content)


@KINDS
class TestEdgeCases:
    @pytest.mark.parametrize("key", [User, str, Session])
    def test_a_tool_that_nobody_injects(self, make, client_of, key):
        """A service is never read from the client: the tool is refused where it is defined."""
        server = make("shop")

        async def work(user: Inject[key]) -> str:
            """Never be reached."""

        with pytest.raises((InvalidRegistrationError, PydanticSchemaGenerationError)):
            server.tool()(work)

    async def test_an_asynchronous_service_in_a_synchronous_tool(self, make, client_of, start):
        """A tool that runs in a thread cannot await its services: the server does not start."""
        server = make("shop", lifespan=start, middleware=[WaresMiddleware()])

        @server.tool()
        @inject
        def work(session: Inject[Session]) -> str:
            """Never be reached."""

        with pytest.raises(InvalidRegistryError) as caught:
            async with start(server):
                pass
        assert "work" in str(caught.value)

    async def test_a_failed_commit(self, make, client_of, start):
        """A result is sent after the services have ended, so the call can still fail."""

        async def fail_at_the_end():
            yield 1.0
            raise LookupError("the commit failed")

        server = make("shop", lifespan=start, middleware=[WaresMiddleware()])

        @server.tool()
        @inject
        async def work(session: Inject[Session]) -> str:
            return "done"

        async with client_of(server) as client:
            with start.registry.override_factory(Session, fail_at_the_end):
                assert "done" != await call(client, "work")

    async def test_an_error_of_an_injected_tool(self, make, client_of, start, journal):
        """The exception of an injected tool reaches the cleanups, before FastMCP replaces it."""
        server = make("shop", lifespan=start, middleware=[WaresMiddleware()])

        @server.tool()
        @inject
        async def work(session: Inject[Session]) -> str:
            raise LookupError

        async with client_of(server) as client:
            await call(client, "work")

        error = "ToolError" if make is fastmcp.FastMCP else "LookupError"
        assert ["open", f"rollback {error}"] == journal

    async def test_a_client_that_cancels(self, make, client_of, start, journal):
        """A call that its client gives up is cancelled, and rolls back."""
        server = make("shop", lifespan=start, middleware=[WaresMiddleware()])

        @server.tool()
        @inject
        async def work(session: Inject[Session]) -> str:
            session.work()
            await anyio.sleep(10)

        async with client_of(server) as client:
            calling = asyncio.create_task(call(client, "work"))
            await until(lambda: "work" in journal)
            calling.cancel()
            await asyncio.wait({calling})
            await until(lambda: len(journal) > 2)

        assert ["open", "work", "rollback CancelledError"] == journal

    async def test_a_server_without_the_middleware(self, make, client_of, start):
        """Without the middleware, tools have no container."""
        server = make("shop", lifespan=start)

        @server.tool()
        @inject
        async def work(session: Inject[Session]) -> str:
            """Never be reached."""

        async with client_of(server) as client:
            assert "Error" in await call(client, "work")

    async def test_a_server_without_a_registry(self, make, client_of):
        """Without the lifespan of wares, clients can connect, and calls say what is missing."""
        server = make("shop", middleware=[WaresMiddleware()])

        @server.tool()
        @inject
        async def work(session: Inject[Session]) -> str:
            """Never be reached."""

        async with client_of(server) as client:
            await client.list_tools()

            assert "The server has no registry" in await call(client, "work")

    async def test_a_middleware_that_was_not_made(self, make, client_of, start):
        """A server does not start with a class in place of the middleware."""
        server = make("shop", lifespan=start, middleware=[WaresMiddleware])

        with pytest.raises(InvalidRegistryError) as caught:
            async with start(server):
                pass

        assert "middleware=[WaresMiddleware()]" in str(caught.value)

    async def test_an_override(self, make, client_of, start):
        """A test overrides services on the registry of the lifespan."""
        server = make("shop", lifespan=start, middleware=[WaresMiddleware()])

        @server.tool()
        @inject
        async def work(session: Inject[Session]) -> str:
            return session

        async with client_of(server) as client:
            with start.registry.override_value(Session, "fake"):
                assert "fake" == await call(client, "work")


async def test_dependencies_of_fastmcp(start, journal):
    """FastMCP's own dependencies find the current container."""
    server = fastmcp.FastMCP("shop", lifespan=start, middleware=[WaresMiddleware()])

    async def depend():
        return (await current_container().aget(Session)).work()

    @server.tool
    async def work(found: str = fastmcp.dependencies.Depends(depend)) -> str:
        return found

    async with fastmcp.Client(server) as client:
        assert "work" == await call(client, "work")

    assert ["open", "work", "commit"] == journal


async def test_mounted_in_a_web_application(start, journal):
    """A server within Starlette or FastAPI works if the application runs its lifespan."""
    server = fastmcp.FastMCP("shop", lifespan=start, middleware=[WaresMiddleware()])

    @server.tool
    @inject
    async def work(session: Inject[Session]) -> str:
        return session.work()

    mounted = server.http_app()
    app = Starlette(routes=[Mount("/shop", mounted)], lifespan=mounted.lifespan)
    async with serve(app) as address, fastmcp.Client(f"http://{address}/shop/mcp") as client:
        assert "work" == await call(client, "work")

    assert ["open", "work", "commit"] == journal


async def test_a_tool_of_a_server_in_a_web_application(start):
    """What a mounted server's tools ask for is checked when the application runs its lifespan."""
    server = fastmcp.FastMCP("shop", lifespan=start, middleware=[WaresMiddleware()])

    @server.tool
    @inject
    async def work(cache: Inject[Cache]) -> str: ...

    mounted = server.http_app()
    app = Starlette(routes=[Mount("/shop", mounted)], lifespan=mounted.lifespan)
    with pytest.raises(InvalidRegistryError) as caught:
        async with app.router.lifespan_context(app):
            raise AssertionError

    assert "Nothing is registered for Cache" in str(caught.value.exceptions[0])
