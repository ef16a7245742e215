"""The conformance tests over HTTP: a real server, a client, and a client that hangs up."""

import asyncio

import httpx

from tests.adapters.serving import cut, hang_up
from wares.testing import AdapterConformance


class HTTPConformance(AdapterConformance):
    """`serve` yields the ``host:port`` of a server with ``/work``, ``/stream`` and ``/healthy``."""

    async def perform(self, served):
        await self._ask(served, "/work")

    async def stream(self, served):
        await self._ask(served, "/stream")

    async def abandon(self, served):
        await hang_up(served, self._path("/stream"), after=b"item 0")

    async def vanish(self, served, work):
        host, port = served.split(":")
        _, writer = await asyncio.open_connection(host, int(port))
        writer.write(f"GET {self._path('/work')} HTTP/1.1\r\nHost: {served}\r\n\r\n".encode())
        await self._mode.until(lambda: work.has_begun)
        await cut(writer)

    async def ask_health(self, served):
        return (await self._ask(served, "/healthy")).status_code

    async def _ask(self, served, path):
        async with httpx.AsyncClient(base_url=f"http://{served}", trust_env=False) as client:
            try:
                return await client.get(self._path(path))
            except httpx.RemoteProtocolError:
                # A server aborts the connection when a stream fails.
                return None

    def _path(self, path):
        return path
