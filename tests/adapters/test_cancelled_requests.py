"""Tests of cleanups in cancelled and failed requests, on asyncio and on trio.

Each rule holds for every way to ask for a service on ASGI, in requests and in WebSockets.
"""

import asyncio
import contextlib
import sys
import tempfile
from collections.abc import AsyncIterator
from functools import partial
from types import SimpleNamespace
from typing import Annotated, Any

import anyio
import anyio.lowlevel
import anyio.to_thread
import attrs
import pytest
from fastapi import Depends, FastAPI, WebSocket
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.routing import Route, WebSocketRoute

from tests.adapters.serving import serve, until
from tests.support.deadline import in_thread
from tests.support.patch_releases import TIMES_OUT_ONCE_CANCELLED
from wares import Registry, asgi, fastapi, starlette
from wares._adapters.shielding import open_shield
from wares.fastapi import DepContainer, FunctionInject, Inject
from wares.fastapi._trial import Trial

SECONDS = 30


class Service:
    """The service of the endpoints."""


class Conflict(Exception):
    """The exception with which a cleanup replaces another one."""


class Boom(Exception):
    """The exception of a failure."""


@attrs.define
class Case:
    """One application, and what happens in it.

    Attributes:
        register: Registers how the service is made.
        work: What the endpoint does once it has its service.
        events: What happened, in order.
        entered: Set when the endpoint works.
        sent: The messages of the application.
        answered: The errors that an exception handler has answered.
    """

    register: Any
    work: Any = anyio.sleep_forever
    events: list[Any] = attrs.field(factory=list)
    entered: anyio.Event = attrs.field(factory=anyio.Event)
    sent: list[dict[str, Any]] = attrs.field(factory=list)
    answered: list[Exception] = attrs.field(factory=list)

    async def serve(self, _: object = None) -> None:
        """Do the work of an endpoint."""
        self.entered.set()
        await self.work()

    @property
    def statuses(self) -> list[int]:
        """The statuses of the responses that have begun."""
        return [message["status"] for message in self.sent if "status" in message]


def make_fastapi(case: Case, need: Any) -> tuple[Any, Any]:
    """Make an application of FastAPI whose endpoints ask by the annotation *need*."""

    @fastapi.lifespan
    async def start(app: FastAPI, registry: Registry) -> AsyncIterator[None]:
        case.register(registry)
        yield

    async def view(service: need):
        await ask(service)
        await case.serve()

    async def view_websocket(websocket: WebSocket, service: need):
        await ask(service)
        await websocket.accept()
        await case.serve()

    async def ask(service):
        if need is DepContainer:
            await service.aget(Service)

    async def answer(request, error):
        case.answered.append(error)
        return JSONResponse(type(error).__name__, status_code=409)

    handled = (Conflict, TimeoutError, ExceptionGroup)
    app = FastAPI(lifespan=start, exception_handlers=dict.fromkeys(handled, answer))
    app.add_api_route("/", view)
    app.add_api_websocket_route("/", view_websocket)
    return app, start(app)


def make_starlette(case: Case) -> tuple[Any, Any]:
    """Make an application of Starlette."""

    @starlette.lifespan
    async def start(app: Starlette, registry: Registry) -> AsyncIterator[None]:
        case.register(registry)
        yield

    async def view(request: Request):
        await starlette.wares_from(request).aget(Service)
        await case.serve()
        return PlainTextResponse("")

    async def view_websocket(websocket: WebSocket):
        await starlette.wares_from(websocket).aget(Service)
        await websocket.accept()
        await case.serve()

    app = Starlette(
        lifespan=start, routes=[Route("/", view), WebSocketRoute("/", view_websocket)]
    )
    app.add_middleware(starlette.WaresMiddleware)
    return app, start(app)


def make_asgi(case: Case) -> tuple[Any, Any]:
    """Make an application without a framework."""

    @asgi.lifespan
    async def start(app: Any, registry: Registry) -> AsyncIterator[None]:
        case.register(registry)
        yield

    async def app(scope, receive, send):
        await asgi.wares_from(scope).aget(Service)
        await case.serve()
        if scope["type"] == "http":
            await send({"type": "http.response.start", "status": 200, "headers": []})

    return asgi.WaresMiddleware(app), start(app)


MAKERS = {
    "Inject": partial(make_fastapi, need=Inject[Service]),
    "DepContainer": partial(make_fastapi, need=DepContainer),
    "FunctionInject": partial(make_fastapi, need=FunctionInject[Service]),
    "Starlette": make_starlette,
    "ASGI": make_asgi,
}
FASTAPI = ("Inject", "DepContainer", "FunctionInject")


@pytest.fixture(params=["asyncio", "trio"])
def run(request):
    """Run an async function on one of the event loops, in a thread that may get stuck."""

    async def limited(function):
        with anyio.fail_after(SECONDS):
            return await function()

    return lambda function: in_thread(
        lambda: anyio.run(limited, function, backend=request.param)
    )


@pytest.fixture
def run_on_asyncio():
    """Run an async function on asyncio."""

    async def limited(function):
        async with asyncio.timeout(SECONDS):
            return await function()

    return lambda function: in_thread(lambda: asyncio.run(limited(function)))


@pytest.fixture(params=[*MAKERS, *(f"{name}, documented" for name in FASTAPI)])
def make(request, monkeypatch):
    """One way to ask for a service; where it is FastAPI's, by the shortcut and without it."""
    name, _, documented = request.param.partition(", ")
    monkeypatch.setattr(Trial, "is_passed", False if documented else None)
    return MAKERS[name]


@pytest.fixture(params=["http", "websocket"])
def kind(request):
    """The kind of connection."""
    return request.param


async def call(case: Case, make: Any, kind: str, end: Any = None) -> BaseException | None:
    """Start an application, connect once, and give the error that the server sees.

    Args:
        case: What happens.
        make: Makes the application.
        kind: What connects.
        end: A middleware that cancels.
    """
    app, lifespan = make(case)
    if end is not None:
        app = partial(end, app, case)
    first = {"http": "http.request", "websocket": "websocket.connect"}[kind]
    incoming = [{"type": first, "body": b"", "more_body": False}]

    async def receive():
        if incoming:
            return incoming.pop()
        await case.entered.wait()
        return {"type": f"{kind}.disconnect", "code": 1006}

    async def send(message):
        case.sent.append(message)

    async with lifespan as state:
        scope = {
            "type": kind,
            "method": "GET",
            "path": "/",
            "query_string": b"",
            "headers": [],
            "state": dict(state),
        }
        try:
            await app(scope, receive, send)
        except Exception as error:  # noqa: BLE001  # what the server sees
            return error
    return None


async def time_out(app, case, scope, receive, send):
    """Be a middleware that gives up."""
    with anyio.move_on_after(0.02):
        await app(scope, receive, send)


async def disconnect(app, case, scope, receive, send):
    """A middleware that cancels a request when its client disconnects."""
    async with anyio.create_task_group() as group:

        async def listen():
            while not (await receive())["type"].endswith("disconnect"):
                pass
            group.cancel_scope.cancel()

        incoming = [await receive()]

        async def receive_first():
            return incoming.pop() if incoming else await anyio.sleep_forever()

        group.start_soon(listen)
        await app(scope, receive_first, send)


async def fail_beside(app, case, scope, receive, send):
    """Be a middleware with something else in its task group, which fails."""

    async def fail():
        await case.entered.wait()
        raise Boom

    async with anyio.create_task_group() as group:
        group.start_soon(fail)
        await app(scope, receive, send)


@pytest.fixture(params=[time_out, disconnect, fail_beside], ids=lambda end: end.__name__)
def end(request):
    """How a request is cancelled."""
    return request.param


async def time_out_natively(app, case, scope, receive, send):
    """Be a middleware of asyncio's own that gives up."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(0.02):
            await app(scope, receive, send)


async def cancel_task(app, case, scope, receive, send):
    """Be a server that cancels the task of a request."""
    task = asyncio.ensure_future(app(scope, receive, send))
    await case.entered.wait()
    task.cancel()
    await asyncio.wait([task])


def cleaning(events: list[Any], *cleanups: Any) -> Any:
    """Register a service whose cleanups, each of a service of its own, note their end."""

    def register(registry: Registry) -> None:
        for number, cleanup in enumerate(cleanups):
            registry.register_factory(number, partial(make_cleaned, cleanup))

        async def make_service(wares_container):
            for number in range(len(cleanups)):
                await wares_container.aget(number)
            return Service()

        registry.register_factory(Service, make_service)

    async def make_cleaned(cleanup: Any):
        error = None
        try:
            yield cleanup
        except BaseException as caught:
            error = caught
            raise
        finally:
            await cleanup()
            events.append((cleanup.__name__, type(error)))

    return register


def make_cleanups() -> list[Any]:
    """Make one cleanup for each thing of anyio's that waits, each of which has to wait."""
    lock, semaphore = anyio.Lock(), anyio.Semaphore(1)
    limiter = anyio.CapacityLimiter(1)

    async def lock_it():
        await wait_for(lock)

    async def count_down():
        await wait_for(semaphore)

    async def limit():
        await wait_for(limiter)

    cleanups = [lock_it, count_down, limit, run_in_thread, write_file, give_up]
    return [*cleanups, *[give_up_natively] * TIMES_OUT_ONCE_CANCELLED]


async def wait_for(thing: Any) -> None:
    """Acquire *thing* while somebody else holds it."""
    async with anyio.create_task_group() as group:
        await group.start(hold, thing)
        async with thing:
            pass


async def hold(thing: Any, task_status: Any) -> None:
    """Hold *thing* for a moment."""
    async with thing:
        task_status.started()
        await anyio.sleep(0.001)


async def run_in_thread() -> None:
    """Wait for a thread."""
    await anyio.to_thread.run_sync(lambda: None)


async def write_file() -> None:
    """Wait for a file."""
    with tempfile.TemporaryDirectory() as folder:
        await (anyio.Path(folder) / "file").write_text("text")


async def give_up() -> None:
    """Wait for something that does not come."""
    with anyio.move_on_after(0.001) as scope:
        await anyio.sleep_forever()
    assert scope.cancelled_caught


async def give_up_natively() -> None:
    """Do the same by asyncio's means, on asyncio."""
    if anyio.get_cancelled_exc_class() is asyncio.CancelledError:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.001):
                await asyncio.sleep(SECONDS)


class TestCleanups:
    """In a cancelled request, a cleanup may await anything, as in any other request."""

    def test_of_a_cancelled_request(self, run, make, kind, end):
        """Every cleanup runs to its end, and sees the cancellation."""

        async def test():
            events = []
            cleanups = make_cleanups()
            case = Case(cleaning(events, *cleanups))
            await call(case, make, kind, end)
            return events, [
                (cleanup.__name__, anyio.get_cancelled_exc_class())
                for cleanup in reversed(cleanups)
            ]

        events, expected = run(test)

        assert expected == events

    @pytest.mark.parametrize("end", [time_out_natively, cancel_task])
    def test_of_a_natively_cancelled_request(self, run_on_asyncio, make, kind, end):
        """A cleanup may await anything in a request that asyncio cancels."""

        async def test():
            events = []
            cleanups = make_cleanups()
            await call(Case(cleaning(events, *cleanups)), make, kind, end)
            return events, [
                (cleanup.__name__, asyncio.CancelledError) for cleanup in reversed(cleanups)
            ]

        events, expected = run_on_asyncio(test)

        assert expected == events

    def test_while_the_container_closes(self, run, make, kind):
        """A cancellation that comes while cleanups run waits until all have run."""

        async def test():
            events = []

            async def first():
                scope.cancel()
                await anyio.sleep(0.001)

            async def second():
                await anyio.sleep(0.001)

            case = Case(cleaning(events, second, first), work=partial(anyio.sleep, 0))
            with anyio.CancelScope() as scope:
                await call(case, make, kind)
            return events, scope.cancelled_caught

        events, _ = run(test)

        assert [("first", type(None)), ("second", type(None))] == events

    def test_go_on_where_a_request_was_not_cancelled(self, run, make, kind):
        """Code after a cancelled request is not cancelled, and not shielded."""

        async def test():
            events = []

            async def cleanup():
                await anyio.lowlevel.checkpoint()

            case = Case(cleaning(events, cleanup))
            await call(case, make, kind, time_out)
            with anyio.move_on_after(0.001) as scope:
                await anyio.sleep_forever()
            return events and scope.cancelled_caught

        assert run(test)


@contextlib.asynccontextmanager
async def hold_task_group():
    """Hold a task group open, with a task that runs until it is stopped."""
    async with anyio.create_task_group() as group:
        group.start_soon(anyio.sleep_forever)
        try:
            yield
        finally:
            group.cancel_scope.cancel()


@contextlib.asynccontextmanager
async def hold_cancel_scope():
    """Hold a cancel scope open."""
    with anyio.CancelScope():
        yield


@contextlib.asynccontextmanager
async def hold_time_limit():
    """Hold a limit open that is never reached."""
    with anyio.fail_after(SECONDS):
        yield


def holding(events: list[Any], hold: Any) -> Any:
    """Register a service that holds something open, and cleanups around it and within it."""

    async def make_service():
        try:
            async with hold():
                try:
                    yield Service()
                finally:
                    events.append("inner")
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.lowlevel.checkpoint()
            events.append("outer")

    return lambda registry: registry.register_factory(Service, make_service)


class TestHeldOpen:
    """A service may hold open across its ``yield`` what belongs to a task."""

    HOLDS = (hold_task_group, hold_cancel_scope, hold_time_limit)

    @pytest.mark.parametrize("hold", HOLDS, ids=lambda hold: hold.__name__)
    def test_in_a_cancelled_request(self, run, make, kind, end, hold):
        """Scopes of anyio are left as they were entered, in a cancelled request."""

        async def test():
            events = []
            error = await call(Case(holding(events, hold)), make, kind, end)
            return events, flatten(error)

        events, errors = run(test)

        assert ["inner", "outer"] == events
        assert errors in ([], [Boom])

    @pytest.mark.parametrize("hold", HOLDS, ids=lambda hold: hold.__name__)
    @pytest.mark.parametrize("is_within", [False, True], ids=["alone", "in a task group"])
    def test_in_a_request_that_ends(self, run, make, kind, hold, is_within):
        """And so they are in a request that ends as it should."""

        async def within(app, case, scope, receive, send):
            async with anyio.create_task_group():
                await app(scope, receive, send)

        async def test():
            events = []
            case = Case(holding(events, hold), work=partial(anyio.sleep, 0))
            error = await call(case, make, kind, within if is_within else None)
            return events, error

        assert (["inner", "outer"], None) == run(test)

    def test_anyio_errors(self, run, make, kind):
        """An exception in a task group that a service holds open reaches the error handlers."""

        @contextlib.asynccontextmanager
        async def hold():
            async with anyio.create_task_group() as group:
                group.start_soon(fail)
                yield

        async def fail():
            await case.entered.wait()
            raise Boom

        async def test():
            nonlocal case
            events = []
            case = Case(holding(events, hold))
            return await call(case, make, kind), case, events

        case = None
        error, case, events = run(test)

        assert ["inner", "outer"] == events
        assert_it_reached(error, case, make, ExceptionGroup)

    def test_asyncio_timeout(self, run_on_asyncio, make, kind):
        """`asyncio.timeout` turns its own cancellation into a `TimeoutError`."""

        @contextlib.asynccontextmanager
        async def hold():
            async with asyncio.timeout(0.01):
                yield

        async def test():
            events = []
            case = Case(holding(events, hold))
            return await call(case, make, kind), case, events

        error, case, events = run_on_asyncio(test)

        assert ["inner", "outer"] == events
        assert_it_reached(error, case, make, TimeoutError)

    def test_asyncio_task_group(self, run_on_asyncio, make, kind):
        """`asyncio.TaskGroup` cancels the request, and raises what went wrong."""

        @contextlib.asynccontextmanager
        async def hold():
            async with asyncio.TaskGroup() as group:
                group.create_task(fail())
                yield

        async def fail():
            await case.entered.wait()
            raise Boom

        async def test():
            nonlocal case
            events = []
            case = Case(holding(events, hold))
            return await call(case, make, kind), case, events

        case = None
        error, case, events = run_on_asyncio(test)

        assert ["inner", "outer"] == events
        assert_it_reached(error, case, make, ExceptionGroup)

    @pytest.mark.parametrize("is_first", [True, False])
    @pytest.mark.parametrize("is_passed", [None, False], ids=["shortcut", "documented"])
    def test_beside_what_ends_with_the_function(self, run, is_first, is_passed, monkeypatch):
        """A dependency that ends before the response may hold a scope, in any position."""
        monkeypatch.setattr(Trial, "is_passed", is_passed)

        async def limit():
            with anyio.fail_after(SECONDS):
                yield

        Limit = Annotated[None, Depends(limit, scope="function")]

        def make_limited(case):
            app, _ = make_fastapi(case, Inject[Service])
            if is_first:

                async def view(limit: Limit, service: Inject[Service]):
                    await case.serve()
            else:

                async def view(service: Inject[Service], limit: Limit):
                    await case.serve()

            app.router.routes.clear()
            app.add_api_route("/", view)
            return app, app.router.lifespan_context

        async def test():
            events = []

            async def cleanup():
                await anyio.sleep(0.001)

            case = Case(cleaning(events, cleanup), work=partial(anyio.sleep, 0))
            app, lifespan = make_limited(case)
            for _ in range(2):
                # An application that is started again, too.
                await call(case, lambda _: (app, lifespan(app)), "http", within_a_scope)
            return events, case.statuses

        events, statuses = run(test)

        assert [("cleanup", type(None))] * 2 == events
        assert [200, 200] == statuses


async def within_a_scope(app, case, scope, receive, send):
    """Be a middleware with a limit that is not reached."""
    with anyio.fail_after(SECONDS):
        await app(scope, receive, send)


def flatten(error: BaseException | None) -> list[type[BaseException]]:
    """List the kinds of errors within groups."""
    if isinstance(error, BaseExceptionGroup):
        return [kind for inner in error.exceptions for kind in flatten(inner)]
    return [] if error is None else [type(error)]


def assert_it_reached(error, case, make, expected) -> None:
    """Assert that an error was answered where the container closes before, or else raised."""
    if isinstance(make, partial):
        # FastAPI closes within its exception handlers.
        assert (None, [expected]) == (error, [type(error) for error in case.answered])
    else:
        assert isinstance(error, expected)


class TestReplacedErrors:
    def test_reach_the_handlers(self, run, make, kind):
        """A cleanup may raise another error from the one of the request; that one goes on."""

        async def make_service():
            try:
                yield Service()
            except Boom as error:
                raise Conflict from error

        async def fail():
            raise Boom

        async def test():
            case = Case(lambda registry: registry.register_factory(Service, make_service), fail)
            return await call(case, make, kind), case

        error, case = run(test)

        assert_it_reached(error, case, make, Conflict)
        assert isinstance((error or case.answered[0]).__cause__, Boom)

    def test_at_the_end(self, run, make):
        """A cleanup that fails is answered before the response has begun, or else raised."""

        async def make_service():
            yield Service()
            raise Conflict

        async def test():
            case = Case(
                lambda registry: registry.register_factory(Service, make_service),
                partial(anyio.sleep, 0),
            )
            error = await call(case, make, "http")
            # Starlette wraps what it would have had a handler for, had it come earlier.
            return type(error.__cause__ or error) if error else None, case.statuses

        outcome = run(test)

        is_before = (
            isinstance(make, partial) and make.keywords["need"] == FunctionInject[Service]
        )
        assert ((None, [409]) if is_before else (Conflict, [200])) == outcome


class TestOnAServer:
    async def test_a_disconnect(self, make):
        """A request whose client hangs up under uvicorn is cleaned up to the end."""
        events = []

        async def cleanup():
            await anyio.to_thread.run_sync(lambda: None)

        case = Case(cleaning(events, cleanup))
        app, lifespan = make(case)

        async with lifespan as state:

            async def with_state(scope, receive, send):
                await disconnect(app, case, {**scope, "state": dict(state)}, receive, send)

            async with serve(with_state, lifespan="off") as address:
                _, writer = await asyncio.open_connection(*address.split(":"))
                writer.write(f"GET / HTTP/1.1\r\nHost: {address}\r\n\r\n".encode())
                await case.entered.wait()
                writer.transport.abort()
                await until(lambda: events)

        assert [("cleanup", asyncio.CancelledError)] == events


class TestShield:
    """When a cancel scope is entered around a container, and when none is needed."""

    async def test_in_no_scope(self):
        """A task of asyncio that lies within no cancel scope needs none."""
        with anyio.CancelScope():
            await anyio.lowlevel.checkpoint()

        assert open_shield() is None

    async def test_without_anyio(self, monkeypatch):
        """A program that has not loaded anyio needs no cancel scope."""
        monkeypatch.delitem(sys.modules, "anyio._backends._asyncio")

        assert open_shield() is None

    async def test_with_an_anyio_that_tells_nothing(self, monkeypatch):
        """If anyio keeps its scopes elsewhere, a scope is always entered."""
        monkeypatch.setitem(sys.modules, "anyio._backends._asyncio", SimpleNamespace())

        shield = open_shield()
        shield.__exit__(None, None, None)

        assert shield.shield is False

    def test_without_an_event_loop(self):
        """A coroutine that runs without an event loop needs no cancel scope."""
        assert open_shield() is None

    def test_without_trio(self, monkeypatch):
        """A program that has not loaded trio needs no cancel scope of trio."""
        monkeypatch.delitem(sys.modules, "trio", raising=False)

        assert open_shield() is None
