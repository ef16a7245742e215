"""Clients that send the frames of the protocol themselves, so that a test can afford hundreds.

Engine.IO 4: https://github.com/socketio/engine.io-protocol; Socket.IO 5:
https://github.com/socketio/socket.io-protocol. A frame begins with its type in Engine.IO
(2 ping, 3 pong, 4 message). In a message, the type in Socket.IO follows
(0 connect, 1 disconnect, 2 event, 3 acknowledgement, 4 connect error).
"""

import contextlib
import json
from typing import Any

import aiohttp
import attrs
import websockets

from tests.adapters.socketio.serving import SESSIONS

PING, PONG, CLOSE = "2", "3", "1"
SEPARATOR = "\x1e"


class Gone(Exception):
    """The server no longer knows the client."""


@attrs.define
class OverWebSocket:
    """A transport over a WebSocket."""

    _websocket: websockets.ClientConnection

    @classmethod
    async def open(cls, address: str) -> "OverWebSocket":
        url = f"{address.replace('http', 'ws', 1)}/socket.io/?EIO=4&transport=websocket"
        websocket = await websockets.connect(url, proxy=None, open_timeout=60, compression=None)
        await websocket.recv()
        return cls(websocket)

    async def send(self, frame: str) -> None:
        with _telling_gone(websockets.ConnectionClosed):
            await self._websocket.send(frame)

    async def receive(self) -> list[str]:
        with _telling_gone(websockets.ConnectionClosed):
            return [str(await self._websocket.recv())]

    async def close(self) -> None:
        await self._websocket.close()

    async def vanish(self) -> None:
        """Abort the connection; the server notices by TCP."""
        self._websocket.transport.abort()


@attrs.define
class OverPolling:
    """A transport over HTTP requests, one after the other."""

    _session: aiohttp.ClientSession
    _url: str

    @classmethod
    async def open(cls, address: str) -> "OverPolling":
        url = f"{address}/socket.io/?EIO=4&transport=polling"
        opening = cls(SESSIONS[-1], url)
        (opened,) = await opening.receive()
        return cls(opening._session, f"{url}&sid={json.loads(opened[1:])['sid']}")

    async def send(self, frame: str) -> None:
        await self._request("POST", frame)

    async def receive(self) -> list[str]:
        return (await self._request("GET")).split(SEPARATOR)

    async def close(self) -> None:
        with contextlib.suppress(Gone):
            await self.send(CLOSE)

    async def vanish(self) -> None:
        """Stop sending requests; the server notices when a ping is not answered."""

    async def _request(self, method: str, frame: str | None = None) -> str:
        with _telling_gone(aiohttp.ClientError):
            async with self._session.request(method, self._url, data=frame) as response:
                if response.status != 200:
                    raise Gone(response.status)
                return await response.text()


TRANSPORT_CLASSES = {"websocket": OverWebSocket, "polling": OverPolling}


@attrs.define
class BareClient:
    """A client of the default namespace, over either transport."""

    _transport: OverWebSocket | OverPolling
    _received: list[str] = attrs.field(factory=list)

    @classmethod
    async def open(cls, address: str, transport: str) -> "BareClient":
        """Open the transport; the client is not connected to a namespace yet."""
        return cls(await TRANSPORT_CLASSES[transport].open(address))

    async def ask_in(self, auth: Any) -> None:
        """Send the request to connect, without waiting for the answer."""
        await self._transport.send(f"40{json.dumps(auth)}")

    async def connect(self, auth: Any) -> bool:
        """Connect; return whether the server has accepted the client."""
        await self.ask_in(auth)
        return (await self._receive("40", "44")).startswith("40")

    async def emit(self, event: str, *arguments: Any, number: str = "") -> None:
        """Send an event."""
        await self._transport.send(f"42{number}{json.dumps([event, *arguments])}")

    async def call(self, event: str, *arguments: Any) -> Any:
        """Send an event, and wait for the acknowledgement."""
        await self.emit(event, *arguments, number="7")
        return json.loads((await self._receive("437")).removeprefix("437"))

    async def disconnect(self) -> None:
        """Disconnect from the namespace, and close the transport."""
        await self._transport.send("41")
        await self.close()

    async def close(self) -> None:
        """Close the transport without disconnecting from the namespace."""
        await self._transport.close()

    async def vanish(self) -> None:
        """Disappear without closing anything."""
        await self._transport.vanish()

    async def _receive(self, *beginnings: str) -> str:
        """Wait for a frame with one of these *beginnings*, and drop other frames."""
        while True:
            while self._received:
                frame = self._received.pop(0)
                if frame == PING:
                    await self._transport.send(PONG)
                elif frame.startswith(beginnings):
                    return frame
            self._received += await self._transport.receive()


@contextlib.contextmanager
def _telling_gone(*kinds: type[Exception]):
    try:
        yield
    except kinds as error:
        raise Gone from error
