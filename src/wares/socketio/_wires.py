"""The transport of the test client: a WebSocket over ASGI, or polling over WSGI.

This module calls applications as servers do (https://asgi.readthedocs.io, PEP 3333), and reads and
writes the packets of Engine.IO.
"""

from __future__ import annotations

import asyncio
import io
import queue
import threading
from collections.abc import Mapping, MutableMapping
from typing import Any
from wsgiref.util import setup_testing_defaults

import attrs
from engineio import packet
from socketio.exceptions import DisconnectedError

from wares.socketio._hook import FAILURES_KEY

#: Between the packets in the answer to a request.
_SEPARATOR = "\x1e"

#: Received instead of a frame when the application has closed the connection.
CLOSED: Any = object()


@attrs.frozen
class Address:
    """The application to talk to.

    Attributes:
        app: The application.
        path: The path of the Socket.IO server in the application.
        timeout: How long to wait for a frame, in seconds.
        state: The state of the application's lifespan.
    """

    app: Any
    path: str
    timeout: float
    state: Mapping[str, Any] = attrs.field(factory=dict)


class AsyncWire:
    """A WebSocket to an ASGI application."""

    def __init__(self, address: Address, headers: Mapping[str, str]) -> None:
        self._timeout = address.timeout
        self._to_app: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._received: asyncio.Queue[Any] = asyncio.Queue()
        self._to_app.put_nowait({"type": "websocket.connect"})
        all_headers = {"host": "test", "connection": "upgrade", "upgrade": "websocket"}
        all_headers |= {name.lower(): value for name, value in headers.items()}
        scope = {
            "type": "websocket",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "scheme": "ws",
            "path": address.path,
            "query_string": b"EIO=4&transport=websocket",
            "headers": [(name.encode(), value.encode()) for name, value in all_headers.items()],
            "client": ("127.0.0.1", 0),
            "server": ("127.0.0.1", 80),
            "state": dict(address.state),
            FAILURES_KEY: self._received.put_nowait,
        }
        app = address.app(scope, self._to_app.get, self._take)
        self._task: asyncio.Task[None] = asyncio.ensure_future(app)
        self._task.add_done_callback(self._end)

    def send(self, frame: str | bytes, kind: int = packet.MESSAGE) -> None:
        """Send a frame."""
        encoded = packet.Packet(kind, frame).encode()
        key = "bytes" if isinstance(encoded, bytes) else "text"
        self._to_app.put_nowait({"type": "websocket.receive", key: encoded})

    async def receive(self) -> Any:
        """Wait for a frame, for the exception of a handler, or for the end."""
        return await asyncio.wait_for(self._received.get(), self._timeout)

    async def close(self) -> list[Any]:
        """Close, wait for the application, and return the frames that were not received yet."""
        self._to_app.put_nowait({"type": "websocket.disconnect", "code": 1000})
        await asyncio.wait([self._task], timeout=self._timeout)
        return [self._received.get_nowait() for _ in range(self._received.qsize())]

    async def _take(self, message: MutableMapping[str, Any]) -> None:
        """Receive a message that the application sends."""
        if message["type"] == "websocket.close":
            self._received.put_nowait(CLOSED)
        if message["type"] != "websocket.send":
            return
        received = packet.Packet(encoded_packet=message.get("text") or message["bytes"])
        if received.packet_type == packet.PING:
            self.send("", packet.PONG)
        elif received.packet_type == packet.MESSAGE:
            self._received.put_nowait(received.data)

    def _end(self, task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        self._received.put_nowait(error or CLOSED)


class SyncWire:
    """Requests to a WSGI application, one after the other."""

    def __init__(self, address: Address, headers: Mapping[str, str]) -> None:
        self._address = address
        self._headers = headers
        self._received: queue.Queue[Any] = queue.Queue()
        self._query = "EIO=4&transport=polling"
        opened = self._poll()[0]
        if opened.packet_type != packet.OPEN:
            raise DisconnectedError(f"There is no Socket.IO server at {address.path}")
        self._query += f"&sid={opened.data['sid']}"
        self._is_closing = False
        self._thread = threading.Thread(
            target=self._run, name="wares.socketio.TestClient", daemon=True
        )
        self._thread.start()

    def send(self, frame: str | bytes, kind: int = packet.MESSAGE) -> None:
        """Send a frame."""
        self._request("POST", packet.Packet(kind, frame))

    async def receive(self) -> Any:
        """Wait for a frame, for the exception of a handler, or for the end."""
        return self._received.get(timeout=self._address.timeout)

    async def close(self) -> list[Any]:
        """Close, wait for the application, and return the frames that were not received yet."""
        self._is_closing = True
        if self._thread.is_alive():
            self.send("", packet.CLOSE)
        self._thread.join(self._address.timeout)
        return [self._received.get_nowait() for _ in range(self._received.qsize())]

    def _run(self) -> None:
        while not self._is_closing:
            for received in self._poll():
                if received.packet_type == packet.PING:
                    self.send("", packet.PONG)
                elif received.packet_type == packet.MESSAGE:
                    self._received.put(received.data)
                else:
                    self._received.put(CLOSED)
                    return

    def _poll(self) -> list[Any]:
        encoded = self._request("GET").split(_SEPARATOR)
        # An answer may be empty.
        return [packet.Packet(encoded_packet=one) for one in encoded if one]

    def _request(self, method: str, sent: Any = None) -> str:
        """Make a request, and return the answer; a failed request ends the wire."""
        body = b"" if sent is None else sent.encode(b64=True).encode()
        environ: dict[str, Any] = {
            f"HTTP_{name.upper().replace('-', '_')}": value
            for name, value in self._headers.items()
        }
        environ |= {
            "REQUEST_METHOD": method,
            "PATH_INFO": self._address.path,
            "QUERY_STRING": self._query,
            "CONTENT_LENGTH": str(len(body)),
            "wsgi.input": io.BytesIO(body),
            "asgi.scope": {FAILURES_KEY: self._received.put},
        }
        setup_testing_defaults(environ)
        statuses: list[str] = []
        chunks = self._address.app(environ, lambda status, *_: statuses.append(status))
        answer = b"".join(chunks).decode()
        return answer if statuses[0].startswith("200") else str(packet.CLOSE)
