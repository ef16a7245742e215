"""Answers to HTTP requests that wares sends itself, without a framework."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Any

import attrs


@attrs.frozen
class Answer:
    """The answer to send.

    Attributes:
        status: The HTTP status.
        headers: The HTTP headers, with lower-case names.
        body: The content.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes = b""


#: The answer to other methods than ``GET`` and ``HEAD``.
NOT_ALLOWED = Answer(405, {"allow": "GET, HEAD"})


async def send_answer(
    scope: Mapping[str, Any], send: Callable[[Any], Awaitable[None]], answer: Answer
) -> None:
    """Answer a request of ASGI, without the body if the method is ``HEAD``."""
    headers = [(name.encode(), value.encode()) for name, value in _complete(answer)]
    start = {"type": "http.response.start", "status": answer.status, "headers": headers}
    await send(start)
    body = b"" if scope["method"] == "HEAD" else answer.body
    await send({"type": "http.response.body", "body": body})


def start_answer(
    environ: Mapping[str, Any], start_response: Callable[..., Any], answer: Answer
) -> list[bytes]:
    """Answer a request of WSGI (PEP 3333), without the body if the method is ``HEAD``."""
    status = HTTPStatus(answer.status)
    start_response(f"{status.value} {status.phrase}", _complete(answer))
    return [] if environ["REQUEST_METHOD"] == "HEAD" else [answer.body]


def _complete(answer: Answer) -> list[tuple[str, str]]:
    """Return the headers with the length of the content, which is the same for ``HEAD``."""
    return [*answer.headers.items(), ("content-length", str(len(answer.body)))]
