"""The rows that serve requests: by calling an application directly, and with a load generator."""

import json
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from functools import cache
from http.client import HTTPConnection
from importlib import import_module
from types import ModuleType

from benchmarks import letters, wiring
from benchmarks.applications import fastapi as seven_nodes
from benchmarks.applications import letters as wireup_application
from benchmarks.asgi import Client
from benchmarks.candidate import AsyncLoop, NotOfferedError
from benchmarks.figures import Figure, measured
from benchmarks.row import Row, Settings, read_figure
from benchmarks.wiring import expect
from benchmarks.work import Witness

Get = Callable[[str], Awaitable[tuple[int, bytes]]]
Check = Callable[[Get], Awaitable[None]]

LOAD_CONNECTIONS = 16
LOAD_SECONDS = 2
LOAD_ROUNDS = 5
_SERVE = (sys.executable, "-W", "ignore", "-m", "benchmarks.serve")


@cache
def _names(package: str, modules: Sequence[str]) -> dict[str, str]:
    """Find the modules of the applications, by the names of the applications."""
    names = {}
    for module in modules:
        full = f"{package}.{module}"
        try:
            names |= dict.fromkeys(import_module(full).NAMES, full)
        except Exception:  # noqa: BLE001 - the row reports the error
            names[module.replace("_", "-")] = full
    return names


@dataclass(frozen=True, kw_only=True)
class ApplicationRow(Row):
    """A row whose entrants are applications.

    Attributes:
        package: The package with the modules of the applications.
    """

    package: ModuleType

    def entrants(self) -> Sequence[str]:
        """List all applications."""
        return list(self._names)

    @property
    def _names(self) -> dict[str, str]:
        return _names(self.package.__name__, self.package.MODULES)


@dataclass(frozen=True, kw_only=True)
class WebRow(ApplicationRow):
    """A row whose entrants are ASGI applications.

    Attributes:
        path: The path to request.
        check: Checks the responses of an application.
    """

    path: str
    check: Check

    async def start(self, entrant: str, stack: AsyncExitStack) -> Client:
        """Make and start an application, and check its responses."""
        application = import_module(self._names[entrant]).make(entrant)
        client = await stack.enter_async_context(Client(application))
        await self.check(client.get)
        return client


@dataclass(frozen=True, kw_only=True)
class DirectRow(WebRow):
    """Call the application in this process, without a server."""

    async def prepare(self, entrant: str, stack: AsyncExitStack) -> AsyncLoop:
        """Check two responses."""
        client, path = await self.start(entrant, stack), self.path

        async def loop(times: Iterable[None]) -> None:
            for _ in times:
                await client.get(path)

        return loop


@dataclass(frozen=True, kw_only=True)
class LoadRow(WebRow):
    """Load the application with wrk, while uvicorn serves it in another process."""

    async def prepare(self, entrant: str, stack: AsyncExitStack) -> AsyncLoop:
        """Check the application in this process, then start it under uvicorn."""
        if shutil.which("wrk") is None:
            raise NotOfferedError("wrk, the load generator, is not installed")
        async with AsyncExitStack() as here:
            await self.start(entrant, here)
        url = stack.enter_context(_serve(self._names[entrant], entrant)) + self.path

        async def loop(times: Iterable[None]) -> float:
            return _load(url)

        return loop

    async def measure(
        self, loops: Mapping[str, AsyncLoop], settings: Settings
    ) -> dict[str, Figure]:
        """Load one application after the other, in several rounds."""
        samples: dict[str, list[float]] = {entrant: [] for entrant in loops}
        for _ in range(min(settings.rounds, LOAD_ROUNDS)):
            for entrant, loop in loops.items():
                samples[entrant].append(await read_figure(loop))
        return {entrant: measured(entrant, rounds) for entrant, rounds in samples.items()}


@contextmanager
def _serve(module: str, name: str) -> Iterator[str]:
    """Serve an application in another process during the block; yield its address."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        descriptor = listening.fileno()
        server = subprocess.Popen(  # noqa: S603 - our own module
            [*_SERVE, module, name, str(descriptor)],
            pass_fds=[descriptor],
        )
        port = listening.getsockname()[1]
        try:
            # The server answers this when the application has started.
            connection = HTTPConnection("127.0.0.1", port, timeout=30)
            connection.request("GET", "/openapi.json")
            expect(connection.getresponse().status == 200, "the server does not serve")
            connection.close()
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()
            server.wait()


def _load(url: str) -> float:
    """Run wrk for some seconds; return the nanoseconds per request."""
    wrk = shutil.which("wrk") or "wrk"
    output = subprocess.run(  # noqa: S603 - the load generator
        [wrk, "-t1", f"-c{LOAD_CONNECTIONS}", f"-d{LOAD_SECONDS}s", url],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    found = re.search(r"Requests/sec:\s*([\d.]+)", output)
    expect(found is not None and "Non-2xx" not in output, f"wrk says {output}")
    return 1e9 / float(found[1])  # type: ignore[index]  # `expect` has checked it


async def check_shop(get: Get) -> None:
    """Check that the endpoint works on one open session, which is then committed and closed."""
    shops = []
    for _ in range(2):
        status, body = await get("/")
        expect(status == 200, f"status {status}: {body[:100]!r}")
        expect(json.loads(body) == {"open": True, "shared": True}, f"it says {body!r}")
        shops.append(Witness.shop)
    wiring.check_shop(*shops)


async def check_letters(get: Get) -> None:
    """Check that both endpoints answer, and that H and I end once for each request."""
    status, body = await get("/singleton")
    expect((status, json.loads(body)) == (200, {"start": 10}), f"{status}: {body!r}")
    ended = letters.Ended.h, letters.Ended.i
    for number in (1, 2):
        status, body = await get("/scoped")
        expect(status == 200, f"status {status}: {body[:100]!r}")
        expect(
            (letters.Ended.h, letters.Ended.i) == (ended[0] + number, ended[1] + number),
            "H and I have not ended exactly once",
        )


ROWS: list[Row] = [
    DirectRow(
        name="fastapi",
        title="FastAPI in process, seven nodes, a session that awaits",
        package=seven_nodes,
        path=seven_nodes.PATH,
        check=check_shop,
    ),
    *[
        DirectRow(
            name=f"wireup-{path.strip('/')}",
            title=f"wireup's application in process, {path}",
            package=wireup_application,
            path=path,
            check=check_letters,
        )
        for path in wireup_application.PATHS
    ],
    LoadRow(
        name="load-fastapi",
        title="FastAPI under uvicorn, loaded by wrk, seven nodes, a session that awaits",
        package=seven_nodes,
        path=seven_nodes.PATH,
        check=check_shop,
        clock=time.perf_counter_ns,
    ),
    *[
        LoadRow(
            name=f"load-wireup-{path.strip('/')}",
            title=f"wireup's application under uvicorn, loaded by wrk, {path}",
            package=wireup_application,
            path=path,
            check=check_letters,
            clock=time.perf_counter_ns,
        )
        for path in wireup_application.PATHS
    ],
]
