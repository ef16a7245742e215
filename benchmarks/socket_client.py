"""A client that calls a Socket.IO server directly, without a network.

It calls the handlers that python-socketio registers with Engine.IO. They have no public names, but
everything else needs a server and a client.
"""

import json
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    import socketio


class Client:
    """Connects to a server, and emits events that are acknowledged.

    Args:
        server: The server, with `async_handlers=False`, so that an event has been handled when the
            call returns.
    """

    _engine_id = "benchmark"

    def __init__(self, server: "socketio.AsyncServer") -> None:
        self._server = server
        self._sent: list[Any] = []
        server.eio.send = self._keep
        server.eio.send_packet = self._keep

    async def _keep(self, engine_id: str, packet: Any) -> None:
        self._sent.append(packet)

    async def __aenter__(self) -> Self:
        """Connect to the default namespace."""
        environ = {"asgi.scope": {"state": {}}}
        await self._server._handle_eio_connect(self._engine_id, environ)  # noqa: SLF001 - see above
        await self._server._handle_eio_message(self._engine_id, "0")  # noqa: SLF001 - see above
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Disconnect."""
        handler = self._server._handle_eio_disconnect  # noqa: SLF001 - see above
        await handler(self._engine_id, self._server.reason.CLIENT_DISCONNECT)

    async def emit(self, event: str) -> Any:
        """Emit an event with an empty payload.

        Args:
            event: The name of the event.

        Returns:
            The acknowledgement of the handler.
        """
        self._sent.clear()
        packet = "21" + json.dumps([event, {}])
        await self._server._handle_eio_message(self._engine_id, packet)  # noqa: SLF001 - see above
        encoded = self._sent[-1]
        data = getattr(encoded, "data", encoded)
        return json.loads(data[2:])[0]
