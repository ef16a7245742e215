"""An MCP server that a client starts and talks to over standard input and output."""

from mcp.server.mcpserver import MCPServer

from wares import Inject, inject
from wares.mcp import WaresMiddleware, lifespan


class Shouter:
    """A service."""

    def shout(self, text):
        return text.upper()


@lifespan
async def start(server, registry):
    registry.register_factory(Shouter, Shouter)
    yield


server = MCPServer("shop", lifespan=start, middleware=[WaresMiddleware()])


@server.tool()
@inject
def work(text: str, shouter: Inject[Shouter]) -> str:
    """Shout."""
    return shouter.shout(text)


if __name__ == "__main__":
    server.run()
