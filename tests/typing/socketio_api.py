"""The types of wares.socketio, as users' checkers see them."""

from typing import Annotated, Any, assert_type

import socketio
from fastapi import FastAPI
from flask import Flask

import wares.socketio
from wares import Container, Depends, Inject, Registry
from wares.socketio import (
    Auth,
    Data,
    Environ,
    Event,
    PayloadError,
    Reason,
    RouterSIO,
    SocketEvent,
    SocketID,
    TestClient,
    fastsio,
)
from wares.socketio.fastsio import (
    BaseMiddleware,
    SyncMiddleware,
    auth_middleware,
    logging_middleware,
    rate_limit_middleware,
)


class Database:
    """A service."""


registry = Registry()


def make_servers() -> tuple[socketio.AsyncServer, socketio.Server]:
    """Make servers of python-socketio, which has no types."""
    raise NotImplementedError


stock, threaded = make_servers()
sio = wares.socketio.init_app(stock, registry, dependencies=[Depends(print)])
assert_type(sio, socketio.AsyncServer)
assert_type(wares.socketio.init_app(threaded), socketio.Server)

wares.socketio.init_app(stock, validate=False)

ours = wares.socketio.AsyncServer(async_mode="asgi", registry=registry, validate=True)
router = RouterSIO("/shop", dependencies=[Depends(print)])
ours.add_router(router)
ours.add_routers(router, router)
wares.socketio.include_router(sio, router)


@router.on("buy")
async def buy(
    sid: SocketID,
    environ: Environ,
    event: Event,
    data: Data,
    database: Inject[Database],
    again: Annotated[Database, Depends()],
) -> int:
    """Declare what there is."""
    assert_type(sid, SocketID)
    text: str = sid
    assert_type(environ["REMOTE_ADDR"], Any)
    assert_type(data, Any)
    assert_type(database, Database)
    return len(text) + len(event)


@router.event
async def connect(sid: SocketID, auth: Auth) -> None:
    """Look at what a client sends to be let in."""
    assert_type(auth, Any)


@router.event
async def disconnect(reason: Reason) -> str:
    """Look at why a client is gone."""
    return reason


@router.event(namespace="/shop", response_model=int)
async def count(sid: SocketID) -> int:
    """Register under the function's name."""
    return len(sid)


@ours.event
async def ask(data: Data) -> None:
    """Register on the server itself."""


@ours.on("ask again", namespace="/shop")
async def ask_again(data: Data) -> None:
    """Register on the server itself, with arguments."""


assert_type(count.__name__, str)


@ours.exception_handler(PayloadError)
async def answer(error: PayloadError) -> dict[str, Any]:
    """Answer a payload that does not fit."""
    assert_type(error.event, str)
    return error.as_answer()


assert_type(answer.__name__, str)


@ours.middleware
async def note(call_next: Any, event: SocketEvent) -> Any:
    """Wrap an event."""
    assert_type(event.namespace, str)
    assert_type(event.arguments, tuple[Any, ...])
    return await call_next(event)


class Auditing(BaseMiddleware):
    """Take some of what a middleware is told, by name."""

    async def before_event(
        self, event: str, sid: str, data: Any, namespace: str | None = None, **context: Any
    ) -> Any:
        """Give other data."""
        return [data, namespace]

    async def handle_exception(
        self, exc: Exception, event: str, sid: str, data: Any, **context: Any
    ) -> str:
        """Answer in place of the handler."""
        return repr(exc)


class Counting(SyncMiddleware):
    """Be synchronous."""

    def after_event(self, event: str, sid: str, response: Any, **context: Any) -> Any:
        """Give another answer."""
        return len(response)


theirs = fastsio.AsyncServer(async_mode="asgi", registry=registry)
theirs.add_middleware(Auditing(events="work", namespace="/"))
theirs.add_middleware(Counting(events=["work"]), events={"other"}, global_middleware=True)
theirs.add_middleware(auth_middleware(lambda sid, environ: sid in environ))
theirs.add_middleware(logging_middleware())
theirs.add_middleware(rate_limit_middleware(5, 0.5))
assert_type(theirs.get_middlewares(), list[BaseMiddleware])
theirs.remove_middleware(theirs.get_middlewares()[0])

ours.emits("update", Database, namespace="/shop")
assert_type(wares.socketio.wares_from(), Container)
assert_type(wares.socketio.wares_from("sid", sio=ours, namespace="/"), Container)
assert_type(wares.socketio.asyncapi(ours, title="Shop", version="1"), dict[str, Any])
fastsio.register_dependency("name", Database, lifetime="singleton")

ours.exception_handler("no class")  # type: ignore[arg-type]  # a class is needed
theirs.add_middleware(note)  # type: ignore[arg-type]  # a function is added by `middleware`
wares.socketio.init_app(5)  # type: ignore[type-var]  # no server


async def test_asynchronously(app: FastAPI) -> None:
    """Talk to a server, or to an application."""
    async with TestClient(sio) as client, TestClient(app, path="/ws", timeout=1) as other:
        connection = await client.connect("/shop", auth={"name": "Ada"}, headers={"X": "y"})
        assert_type(await connection.call("buy", 1, 2), Any)
        assert_type(await connection.receive("news"), Any)
        await connection.emit("buy")
        await connection.disconnect()
        assert_type(connection.sid, str)
        await other.connect()
    async with TestClient(ours), TestClient(socketio.ASGIApp(sio)):
        pass


def test_synchronously(app: Flask) -> None:
    """Do the same in an ordinary function."""
    with TestClient(threaded) as client, TestClient(app) as other:
        connection = client.connect()
        assert_type(connection.call("buy"), Any)
        other.connect().disconnect()


TestClient(5)  # type: ignore[call-overload]  # no application
