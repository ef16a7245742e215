"""FastAPI's `Depends`, solved as FastAPI does for a request, but without routing.

Dependencies are `async def`, because FastAPI runs plain ones in threads.
"""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from fastapi import Depends, Request
from fastapi.dependencies.utils import get_dependant, solve_dependencies

from benchmarks import candidate, depends
from benchmarks.candidate import AsyncOperation
from benchmarks.wiring import Wiring


class Candidate(candidate.Candidate):
    """FastAPI by Sebastián Ramírez."""

    name = "FastAPI Depends"
    distributions = ("fastapi", "starlette", "pydantic")
    statement = "import fastapi"

    @asynccontextmanager
    async def operation_async(self, wiring: Wiring) -> AsyncIterator[AsyncOperation]:
        """Solve an endpoint's dependencies and call it."""
        endpoint = depends.make_async_operation(wiring, Depends, keyword="async def")
        dependant = get_dependant(path="/", call=endpoint)

        async def operation() -> object:
            async with AsyncExitStack() as request_stack, AsyncExitStack() as function_stack:
                scope = {
                    "type": "http",
                    "path_params": {},
                    "query_string": b"",
                    "headers": [],
                    "fastapi_inner_astack": request_stack,
                    "fastapi_function_astack": function_stack,
                }
                solved = await solve_dependencies(
                    request=Request(scope),
                    dependant=dependant,
                    async_exit_stack=request_stack,
                    embed_body_fields=False,
                )
                return await endpoint(**solved.values)

        yield operation

    injected_async = operation_async
