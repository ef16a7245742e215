"""A trial of the shortcut of `_routes` with the installed version of FastAPI.

It checks that the shortcut does what FastAPI would do, in the same order.
"""

import asyncio
import logging
from collections.abc import Hashable, MutableMapping
from contextlib import AsyncExitStack
from typing import Annotated, Any, ClassVar

from fastapi import Depends
from fastapi.routing import APIRoute, APIWebSocketRoute
from starlette.requests import HTTPConnection
from starlette.responses import Response

from wares._core.keys import MISSING
from wares.fastapi._routes import PushExit, Shortcut

_log = logging.getLogger("wares")


async def try_out() -> bool:
    """Tell whether the shortcut works with this version of FastAPI.

    The trial serves endpoints of each kind with a shortcut that has no real container, and compares
    what happens with what is expected. It runs once per process.
    """
    if Trial.is_passed is None:
        trial = Trial()
        try:
            await trial.run()
        except Exception:  # noqa: BLE001  # after any error, the documented way is used
            _log.info("The shortcut does not work with this version of FastAPI.", exc_info=True)
        Trial.is_passed = trial.is_as_expected
    return Trial.is_passed


class Trial:
    """A few endpoints, and a shortcut for them. The trial is also the container.

    Attributes:
        is_passed: The result of the trial, if it has run.
        dependency_overrides: The overrides, which FastAPI reads.
    """

    is_passed: ClassVar[bool | None] = None

    def __init__(self) -> None:
        self.dependency_overrides: dict[Any, Any] = {}
        self._events: list[str] = []

    @property
    def is_as_expected(self) -> bool:
        """Whether the expected events have happened, in the expected order."""
        solved = ["work solved, nested solved", "response"]
        coroutine = ["work fetched, nested fetched", "response", "exit", "exit"]
        # Here, dependencies fetch the services, and FastAPI shares a dependency that occurs twice.
        function = ["work fetched, nested fetched", "response", "exit"]
        websocket = ["work fetched, nested fetched", "exit", "exit"]
        overridden = ["work overridden, nested overridden", "response"]
        return self._events == [*solved, *coroutine, *function, *websocket, *overridden]

    async def run(self) -> None:
        """Serve a request without the shortcut, one per endpoint with it, and one overridden."""

        async def nest(service: Annotated[str, Depends(self.solve)]) -> str:
            return f"nested {service}"

        async def awork(
            service: Annotated[str, Depends(self.solve)], nested: Annotated[str, Depends(nest)]
        ) -> Response:
            return self._work(service, nested)

        def work(
            service: Annotated[str, Depends(self.solve)], nested: Annotated[str, Depends(nest)]
        ) -> Response:
            return self._work(service, nested)

        routes: list[Any] = [
            APIRoute("/", awork, dependency_overrides_provider=self),
            APIRoute("/", work, dependency_overrides_provider=self),
            APIWebSocketRoute("/", awork, dependency_overrides_provider=self),
        ]
        await self._serve(routes[0])
        shortcut = Shortcut(self._find_key, self._visit)
        for route in routes:
            shortcut.shorten(route.dependant, self)
            await self._serve(route)
        self.dependency_overrides[self.solve] = self.override
        await self._serve(routes[0])

    async def _serve(self, route: Any) -> None:
        kind = "websocket" if isinstance(route, APIWebSocketRoute) else "http"
        async with AsyncExitStack() as stack:
            scope = {
                "type": kind,
                "method": "GET",
                "path": "/",
                "query_string": b"",
                "headers": [],
                "fastapi_middleware_astack": stack,
            }
            await route.app(scope, asyncio.Queue().get, self._send)

    async def solve(self) -> str:
        """Act as a dependency that the shortcut knows."""
        return "solved"

    async def override(self) -> str:
        """Act as the override."""
        return "overridden"

    async def aget(self, *keys: Hashable) -> object:
        """Act as the container."""
        return "fetched" if len(keys) == 1 else ["fetched" for _ in keys]

    async def leave(self, *_error: object) -> None:
        """Act as the exit of the container."""
        self._events.append("exit")

    def _find_key(self, call: Any) -> Hashable:
        return "key" if call == self.solve else MISSING

    def _visit(self, connection: HTTPConnection, push_exit: PushExit) -> "Trial":
        push_exit(connection, self.leave)
        return self

    def _work(self, service: str, nested: str) -> Response:
        self._events.append(f"work {service}, {nested}")
        return Response()

    async def _send(self, message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            self._events.append("response")
