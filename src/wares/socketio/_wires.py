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
from engineio.payload import Payload
from socketio.exceptions import DisconnectedError

from wares.socketio._hook import FAILURES_KEY

#: Received instead of a frame when the application has closed the connection.
CLOSED: Any = object()


@attrs.frozen
class Address:
    """The application to talk to.

    Attributes:
        app: The application.
        path: The path of the Socket.IO server in the application.
        timeout: How long to wait for a frame, in seconds.
    """

    app: Any
    path: str
    timeout: float


class AsyncWire:
    """A WebSocket to an ASGI application."""

    def __init__(
        self, address: Address, headers: Mapping[str, str], state: Mapping[str, Any]
    ) -> None:
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
            "state": dict(state),
            FAILURES_KEY: self._received.put_nowait,
        }
        app = address.app(scope, self._to_app.get, self._take)
        self._task: asyncio.Task[None] = asyncio.ensure_future(app)
        self._task.add_done_callback(self._end)

    async def send(self, frame: str | bytes) -> None:
        """Send a frame."""
        self._send_packet(packet.Packet(packet.MESSAGE, frame))

    async def receive(self) -> Any:
        """Wait for a frame, for the exception of a handler, or for the end."""
        return await asyncio.wait_for(self._received.get(), self._timeout)

    async def close(self) -> list[Any]:
        """Close, wait for the application, and return the frames that were not received yet."""
        self._to_app.put_nowait({"type": "websocket.disconnect", "code": 1000})
        await asyncio.wait([self._task], timeout=self._timeout)
        return [self._received.get_nowait() for _ in range(self._received.qsize())]

    def _send_packet(self, sent: Any) -> None:
        encoded = sent.encode()
        key = "bytes" if isinstance(encoded, bytes) else "text"
        self._to_app.put_nowait({"type": "websocket.receive", key: encoded})

    async def _take(self, message: MutableMapping[str, Any]) -> None:
        """Receive a message that the application sends."""
        if message["type"] == "websocket.close":
            self._received.put_nowait(CLOSED)
        if message["type"] != "websocket.send":
            return
        text = message.get("text")
        received = packet.Packet(encoded_packet=message["bytes"] if text is None else text)
        if received.packet_type == packet.PING:
            self._send_packet(packet.Packet(packet.PONG))
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
        opened = self._request("GET").packets[0]
        if opened.packet_type != packet.OPEN:
            raise DisconnectedError(f"There is no Socket.IO server at {address.path}")
        self._query += f"&sid={opened.data['sid']}"
        self._is_closing = False
        self._thread = threading.Thread(
            target=self._poll, name="wares.socketio.TestClient", daemon=True
        )
        self._thread.start()

    async def send(self, frame: str | bytes) -> None:
        """Send a frame."""
        self._request("POST", packet.Packet(packet.MESSAGE, frame))

    async def receive(self) -> Any:
        """Wait for a frame, for the exception of a handler, or for the end."""
        try:
            return self._received.get(timeout=self._address.timeout)
        except queue.Empty:
            raise TimeoutError from None

    async def close(self) -> list[Any]:
        """Close, wait for the application, and return the frames that were not received yet."""
        self._is_closing = True
        if self._thread.is_alive():
            self._request("POST", packet.Packet(packet.CLOSE))
        self._thread.join(self._address.timeout)
        return list(self._received.queue)

    def _poll(self) -> None:
        while not self._is_closing:
            for received in self._request("GET").packets:
                if received.packet_type == packet.PING:
                    self._request("POST", packet.Packet(packet.PONG))
                elif received.packet_type == packet.MESSAGE:
                    self._received.put(received.data)
                else:
                    self._received.put(CLOSED)
                    return

    def _request(self, method: str, sent: Any = None) -> Any:
        """Make a request, and return the packets of the answer; a failed request ends the wire."""
        body = b"" if sent is None else Payload(packets=[sent]).encode().encode()
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

        def start_response(status: str, *_: Any) -> None:
            statuses.append(status)

        answer = b"".join(self._address.app(environ, start_response)).decode()
        if not statuses[0].startswith("200"):
            return Payload(packets=[packet.Packet(packet.CLOSE)])
        return Payload() if method == "POST" else Payload(encoded_payload=answer)
