"""A client that calls an ASGI application directly, with its lifespan and without a server."""

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

Application = Callable[..., Any]
Message = dict[str, Any]


class Client:
    """Runs an application's lifespan, and calls it as a server would.

    Args:
        application: The application.
    """

    def __init__(self, application: Application) -> None:
        self._application = application
        self._state: dict[str, Any] = {}
        self._events: asyncio.Queue[Message] = asyncio.Queue()
        self._answers: asyncio.Queue[Message] = asyncio.Queue()
        self._lifespan: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """Start the application."""
        scope = {"type": "lifespan", "asgi": {"version": "3.0"}, "state": self._state}
        self._lifespan = asyncio.ensure_future(
            self._application(scope, self._events.get, self._answers.put)
        )
        await self._tell("startup")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Shut the application down."""
        await self._tell("shutdown")

    async def _tell(self, what: str) -> None:
        await self._events.put({"type": f"lifespan.{what}"})
        answer = await self._answers.get()
        if answer["type"] != f"lifespan.{what}.complete":
            raise RuntimeError(f"{what} failed: {answer.get('message')}")

    async def get(self, path: str) -> tuple[int, bytes]:
        """Request a path.

        Args:
            path: The path, which begins with a slash.

        Returns:
            The status and the body of the response.
        """
        sent: list[Message] = []

        async def send(message: Message) -> None:
            sent.append(message)

        await self._application(
            {
                "type": "http",
                "asgi": {"version": "3.0", "spec_version": "2.3"},
                "http_version": "1.1",
                "method": "GET",
                "scheme": "http",
                "path": path,
                "raw_path": path.encode(),
                "query_string": b"",
                "root_path": "",
                "headers": [(b"host", b"localhost"), (b"accept", b"*/*")],
                "client": ("127.0.0.1", 50_000),
                "server": ("127.0.0.1", 8_000),
                "state": self._state.copy(),
            },
            _receive,
            send,
        )
        start, *bodies = sent
        return start["status"], b"".join(message.get("body", b"") for message in bodies)


async def _receive() -> Message:
    return {"type": "http.request", "body": b"", "more_body": False}
