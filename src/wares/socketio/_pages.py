"""Applications that serve the AsyncAPI document of a server, as JSON and as a page.

One application is for ASGI servers, and one for WSGI servers (PEP 3333).
"""

from __future__ import annotations

import html
import json
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any

import attrs
import socketio

from wares._adapters.answers import NOT_ALLOWED, Answer, send_answer, start_answer
from wares.socketio._asyncapi import asyncapi

#: The script that draws the page: AsyncAPI's own web component.
SCRIPT_URL = "https://unpkg.com/@asyncapi/web-component@2.6.5/lib/asyncapi-web-component.js"
#: The hash of that file; a browser refuses any other file (https://www.w3.org/TR/SRI/).
SCRIPT_HASH = "sha384-ok1YBWy2+bdybRDDY0xmOve6QMDNHL7G9MGePTMTEHz43tQvaurQCoEJIHauwo3l"

_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<script src="{script_url}"{integrity} defer></script>
</head>
<body>
<asyncapi-component schemaUrl="asyncapi.json"></asyncapi-component>
</body>
</html>
"""


@attrs.frozen(eq=False)
class _Pages:
    """The answers to requests for the document and the page."""

    sio: socketio.AsyncServer | socketio.Server
    title: str = attrs.field(kw_only=True)
    version: str = attrs.field(kw_only=True)
    description: str | None = attrs.field(default=None, kw_only=True)
    script_url: str = attrs.field(default=SCRIPT_URL, kw_only=True)

    def _answer(self, method: str, path: str) -> Answer:
        if method not in ("GET", "HEAD"):
            return NOT_ALLOWED
        name = path.strip("/")
        if name in ("", "asyncapi.html"):
            headers = {"content-type": "text/html; charset=utf-8"}
            return Answer(200, headers, self._write_page().encode())
        if name == "asyncapi.json":
            headers = {"content-type": "application/json"}
            return Answer(200, headers, self._write_json().encode())
        return Answer(404, {})

    def _write_page(self) -> str:
        is_default = self.script_url == SCRIPT_URL
        integrity = f' integrity="{SCRIPT_HASH}" crossorigin="anonymous"' if is_default else ""
        return _PAGE.format(
            title=html.escape(self.title),
            script_url=html.escape(self.script_url),
            integrity=integrity,
        )

    def _write_json(self) -> str:
        document = asyncapi(
            self.sio,
            title=self.title,
            version=self.version,
            description=self.description,
        )
        return json.dumps(document, indent=2)


@attrs.frozen(eq=False)
class AsyncAPIApp(_Pages):
    """An ASGI application that serves the AsyncAPI document of a server.

    The document is at ``/asyncapi.json``, and a page that shows it at ``/`` and
    ``/asyncapi.html``. Serve the application by itself, or mount it in another one.

    Args:
        sio: The server, after `init_app`.
        title: As in `asyncapi`.
        version: As in `asyncapi`.
        description: As in `asyncapi`.
        script_url: The URL of the script that draws the page, if browsers cannot reach the default
            one.
    """

    async def __call__(
        self,
        scope: MutableMapping[str, Any],
        receive: Callable[[], Awaitable[Any]],  # noqa: ARG002  # ASGI passes it
        send: Callable[[Any], Awaitable[None]],
    ) -> None:
        """Answer a request."""
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        await send_answer(scope, send, self._answer(scope["method"], path))


@attrs.frozen(eq=False)
class AsyncAPIWSGIApp(_Pages):
    """A WSGI application that serves the AsyncAPI document of a server; see `AsyncAPIApp`."""

    def __call__(
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        """Answer a request."""
        answer = self._answer(environ["REQUEST_METHOD"], environ.get("PATH_INFO", ""))
        return start_answer(environ, start_response, answer)
