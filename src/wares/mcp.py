"""A container for each request that an MCP server answers: FastMCP's, and the SDK's `MCPServer`.

`WaresMiddleware` works with both. FastMCP need not be installed.
"""

from __future__ import annotations

import contextlib
import inspect
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, TypeVar

from wares._adapters.absent_names import explain_names
from wares._adapters.extras import needs_extra
from wares._adapters.lifespan import REGISTRY_KEY, Lifespan
from wares._adapters.registries import demand_registry
from wares._adapters.units import Unit, note_answer
from wares._core.container import Container, Registry
from wares.exceptions import InvalidRegistrationError, ResponseFailed

with needs_extra("wares.mcp", "mcp"):
    from mcp import MCPError
    from mcp.server.context import ServerRequestContext

if TYPE_CHECKING:
    from fastmcp.server.middleware import Middleware
else:
    try:
        from fastmcp.server.middleware import Middleware
    except ImportError:
        # Only type checkers and FastMCP look at this class; the SDK takes any callable.
        Middleware = object

__all__ = ["WaresMiddleware", "lifespan"]

explain_names(
    __name__,
    {"init_app": "Write: FastMCP(..., lifespan=start, middleware=[WaresMiddleware()])"},
)
App = TypeVar("App")

#: The requests that call functions of the server, which may ask for services.
_CALLS = {"tools/call", "resources/read", "prompts/get"}

#: The code of an internal error (https://www.jsonrpc.org/specification#error_object).
_INTERNAL_ERROR = -32603

_NO_REGISTRY = (
    "The server has no registry. Give it the lifespan that wares.mcp.lifespan decorates, "
    "FastMCP(..., lifespan=start), or give the middleware a registry: WaresMiddleware(registry)"
)

#: The containers that are open in the current context, each with its request.
_serving: ContextVar[tuple[tuple[Container, object], ...]] = ContextVar(
    "wares_mcp_serving", default=()
)


class lifespan(Lifespan[App]):  # noqa: N801  # used as a decorator
    """Pass a registry to the lifespan function of a server, and close the registry after it.

    .. code-block:: text

        @lifespan
        async def start(server, registry):
            registry.register_factory(Shop, Shop)
            yield

        FastMCP("shop", lifespan=start, middleware=[WaresMiddleware()])

    The arguments, attributes and errors are those of `wares.asgi.lifespan`; the application is the
    server. The validation includes the services that tools, resources and prompts ask for.
    """

    async def _find_handlers(self, app: App) -> Iterable[Callable[..., Any]]:
        return [handler async for handler in _find_handlers(app)]

    def _find_problems(self, app: App, registry: Registry) -> Iterable[Exception]:  # noqa: ARG002  # see the base
        if WaresMiddleware in getattr(app, "middleware", ()):
            yield InvalidRegistrationError(
                "A middleware of the server is a class. Call it: middleware=[WaresMiddleware()]"
            )

    @contextlib.asynccontextmanager
    async def _open(self, app: App) -> AsyncIterator[Registry]:
        async with super()._open(app) as registry:
            registry.expect(ServerRequestContext)
            fastmcp = sys.modules.get("fastmcp")
            if fastmcp is not None:
                registry.expect(fastmcp.Context)
            yield registry


async def _find_handlers(server: Any) -> AsyncIterator[Callable[..., Any]]:
    """Find the functions of a server's own tools, resources and prompts.

    FastMCP lists them. The SDK has no public name for the functions of its `MCPServer`; in versions
    2.0 to 2.3, its managers keep them. In other versions, this may find nothing.
    """
    provider = getattr(server, "local_provider", None)
    for manager, lists in (
        ("_tool_manager", ["list_tools"]),
        ("_resource_manager", ["list_resources", "list_resource_templates", "list_templates"]),
        ("_prompt_manager", ["list_prompts"]),
    ):
        source = getattr(server, manager, None) if provider is None else provider
        for name in lists:
            listed: Any = getattr(source, name, list)()
            for one in await listed if inspect.isawaitable(listed) else listed:
                if hasattr(one, "fn"):
                    yield one.fn


class WaresMiddleware(Middleware):
    """Open a container for each request of a client, and close it when the request is answered.

    The container is current (`wares.current_container`) in tools, resources and prompts, which ask
    with `wares.inject`, below the server's decorator. Injected parameters are not part of their
    schemas. The container is given the context of the request: a `fastmcp.Context`, or the SDK's
    `mcp.server.context.ServerRequestContext`.

    The cleanups see the exception that ends a request. The SDK turns the exception of a tool into a
    result with ``isError``; then they see a `ResponseFailed`, unless the tool is injected.

    Args:
        registry: The registry to use; by default, that of the server's `lifespan`.

    Raises:
        InvalidRegistrationError: *registry* is no registry.
    """

    def __init__(self, registry: Registry | None = None) -> None:
        demand_registry(registry)
        self._registry = registry

    if TYPE_CHECKING:
        # The two kinds of servers use different names for the first parameter.
        def __call__(self, *args: Any, **kwargs: Any) -> Any: ...  # noqa: D102  # see below
    else:

        async def __call__(self, context: Any, call_next: Any) -> Any:
            """Serve one message.

            Raises:
                mcp.MCPError: A function of the server is to be called, and there is no registry:
                    none was given, and the lifespan has none.
            """
            return await self._serve(context, call_next)

    async def _serve(self, context: Any, call_next: Callable[[Any], Awaitable[Any]]) -> Any:
        if not _is_request(context):
            return await call_next(context)
        details = getattr(context, "fastmcp_context", None) or context
        kind: Any = type(details)
        registry = self._registry or _find_registry(details)
        if registry is None:
            if context.method in _CALLS:
                raise MCPError(_INTERNAL_ERROR, _NO_REGISTRY)
            # An error here would keep clients from connecting, and would not tell them why.
            return await call_next(context)
        outer = _serving.get()
        # A tool may itself be a client of this server, or of another server with its registry.
        request = getattr(details, "request_context", details)
        if any(one.registry is registry and other is request for one, other in outer):
            # A mounted server, for example, shares the container of the outer server.
            return await call_next(context)
        async with Unit(registry.container({kind: details})) as container:
            token = _serving.set(((container, request), *outer))
            try:
                result = await call_next(context)
            finally:
                _serving.reset(token)
            if _is_error(result):
                note_answer(container, ResponseFailed(None))
            return result


def _is_request(context: Any) -> bool:
    """Tell whether the client waits for an answer; FastMCP and the SDK mark this differently."""
    kind = getattr(context, "type", None)
    return kind == "request" or (kind is None and context.request_id is not None)


def _is_error(result: Any) -> bool:
    if isinstance(result, Mapping):
        return bool(result.get("isError"))
    return bool(getattr(result, "is_error", False))


def _find_registry(details: Any) -> Registry | None:
    state = details.lifespan_context
    return state.get(REGISTRY_KEY) if isinstance(state, Mapping) else None
