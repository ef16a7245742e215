"""Routers, exception handlers, middleware."""

from functools import partial

import pydantic
import pytest
import socketio
from attrs import evolve

from tests.adapters.socketio.serving import (
    Event as Work,
)
from tests.adapters.socketio.serving import (
    connected,
    open_connections,
    serving,
    until,
)
from wares import Depends, Inject, Registry
from wares.exceptions import InvalidRegistrationError, UnresolvableParameterError
from wares.socketio import (
    AsyncServer,
    Environ,
    Event,
    PayloadError,
    RouterSIO,
    Server,
    SocketEvent,
    SocketID,
    TestClient,
    include_router,
    init_app,
    wares_from,
)


class Message(pydantic.BaseModel):
    text: str


class NotAllowed(Exception):
    """An error of the application."""


class NotNow(NotAllowed):
    """A more specific one."""


@pytest.fixture
async def sio(registry):
    """A server of our own."""
    return AsyncServer(
        registry=registry, async_mode="asgi", ping_interval=0.2, ping_timeout=2, namespaces="*"
    )


class TestRouters:
    async def test_handlers(self, sio):
        """The handlers of a router are registered on the server to which it is added."""
        router = RouterSIO()

        @router.on("one")
        async def first(sid, data):
            return data

        @router.event
        async def two(message: Message):
            return message.text

        @router.event(namespace="/shop")
        async def three(event: Event, namespace_of: SocketEvent):
            return [event, namespace_of.namespace]

        @router.event(namespace="/shop", response_model=Message)
        async def five(sid):
            return 5

        router.on("four", lambda sid: 4)
        sio.add_router(router)

        async with serving(sio) as address:
            async with connected(address, namespaces=["/", "/shop"]) as client:
                assert 1 == await client.call("one", 1)
                assert "hi" == await client.call("two", {"text": "hi"})
                assert ["three", "/shop"] == await client.call("three", namespace="/shop")
                assert 4 == await client.call("four")
                assert 5 == await client.call("five", namespace="/shop")

    @pytest.mark.parametrize("register", [RouterSIO().event, partial(RouterSIO().on, "buy")])
    def test_what_is_no_handler(self, register):
        """A namespace in the place of the handler is refused, with what to write instead."""
        with pytest.raises(InvalidRegistrationError, match='namespace="/shop"'):
            register("/shop")

    @pytest.mark.parametrize("prefix", ["/", "/outer"])
    async def test_class_on_several_servers(self, prefix):
        """A class for a namespace serves each server to which its router is added."""
        calls = []

        class Shop(socketio.AsyncNamespace):
            async def on_say(self, message: Message, number: Inject[int]):
                return [message.text, number]

        async def count(call_next, event):
            calls.append(event.name)
            return await call_next(event)

        outer, router = RouterSIO(prefix), RouterSIO()
        outer.add_router(router)
        router.register_namespace(Shop("/"))
        router.middleware(count)
        answers = []
        for number in range(3):
            registry = Registry()
            registry.register_value(int, number)
            sio = AsyncServer(async_mode="asgi", registry=registry)
            sio.add_router(outer)
            async with TestClient(sio) as client:
                answers.append(await (await client.connect(prefix)).call("say", {"text": "hi"}))

        assert [["hi", 0], ["hi", 1], ["hi", 2]] == answers
        assert ["say"] * 3 == calls

    async def test_namespaces_nest(self, sio):
        """A router within a router is below its namespace, whenever it was added."""
        inner, outer = RouterSIO("/orders"), RouterSIO("/shop")
        outer.add_routers(inner)

        async def where(event: SocketEvent):
            return event.namespace

        inner.on("where", where)
        outer.on("where", where)
        inner.on("*", where, "*")
        inner.emits("news", Message)
        sio.add_routers(outer)

        assert {"/shop/orders": ["where"], "/shop": ["where"], "*": ["*"]} == {
            namespace: list(handlers) for namespace, handlers in sio.handlers.items()
        }
        assert "/shop/orders" == await sio._trigger_event("where", "/shop/orders", "sid")
        assert {("/shop/orders", "news"): Message} == sio._wares_dispatch.emitted

    async def test_classes(self, sio, journal):
        """Objects for namespaces are registered on routers, too, below their namespaces."""

        class Shop(socketio.AsyncNamespace):
            async def on_buy(self, message: Message, work: Inject[Work]):
                return [message.text, self.namespace]

        inner, outer = RouterSIO("/inner"), RouterSIO("/shop")
        outer.add_router(inner)
        same, below = Shop("/"), Shop("/orders")
        outer.register_namespace(same)
        inner.register_namespace(below)
        sio.add_router(outer)

        assert ["hi", "/"] == await sio._trigger_event("buy", "/", "sid", {"text": "hi"})
        assert ["hi", "/shop/orders"] == await sio._trigger_event(
            "buy", "/shop/orders", "sid", {"text": "hi"}
        )
        assert "/orders" == below.namespace

    async def test_class_in_two_places(self, sio):
        """An object may be registered on a server, and on a router below another namespace."""

        class Shop(socketio.AsyncNamespace):
            async def on_where(self, sid):
                return self.namespace

        shop, outer, inner = Shop("/shop"), RouterSIO("/outer"), RouterSIO()
        outer.add_router(inner)
        inner.register_namespace(shop)
        sio.register_namespace(shop)
        sio.add_router(outer)

        assert "/shop" == await sio._trigger_event("where", "/shop", "sid")
        assert "/outer/shop" == await sio._trigger_event("where", "/outer/shop", "sid")

    async def test_stock_server(self, registry):
        """`include_router` does it for an unmodified server."""
        sio = init_app(socketio.AsyncServer(async_mode="asgi"), registry)
        router = RouterSIO()
        router.on("one", lambda sid: 1)

        include_router(sio, router)

        assert 1 == await sio._trigger_event("one", "/", "sid")

    def test_synchronous_server(self):
        """A router does not care which kind of server it is added to."""
        sio = Server(registry=Registry(), async_mode="threading")
        router = RouterSIO()

        @router.event
        def work(message: Message, sid: SocketID):
            return [message.text, sid]

        sio.add_router(router)

        assert ["hi", "sid"] == sio._trigger_event("work", "/", "sid", {"text": "hi"})

    async def test_several_servers(self, registry):
        """A router may be added to several servers."""
        router = RouterSIO()
        router.on("one", lambda sid: 1)
        servers = [AsyncServer(registry=registry), AsyncServer(registry=registry)]
        for sio in servers:
            sio.add_router(router)

        assert [1, 1] == [await sio._trigger_event("one", "/", "sid") for sio in servers]

    def test_checked_when_added(self, sio):
        """A handler that cannot work is refused when the router is added."""
        router = RouterSIO()

        @router.event
        async def connect(sid: SocketID, number: int):
            """Never called."""

        with pytest.raises(UnresolvableParameterError):
            sio.add_router(router)

    def test_no_router(self, sio):
        """Only routers are added to routers, and none to itself."""
        router = RouterSIO()
        with pytest.raises(InvalidRegistrationError):
            router.add_router(sio)
        inner = RouterSIO()
        router.add_router(inner)
        with pytest.raises(InvalidRegistrationError):
            inner.add_router(router)

    async def test_dependencies(self, sio, journal):
        """The dependencies of a router are resolved before its handlers, the server's first."""
        sio._wares_dispatch._route.dependencies = (Depends(lambda: journal.append("server")),)
        outer = RouterSIO(dependencies=[Depends(lambda: journal.append("outer"))])
        inner = RouterSIO(dependencies=[Depends(lambda: journal.append("inner"))])
        outer.add_router(inner)
        inner.on("work", lambda sid: journal.append("work"))
        sio.add_router(outer)

        await sio._trigger_event("work", "/", "sid")

        assert ["server", "outer", "inner", "work"] == journal


class TestExceptionHandlers:
    async def test_answers(self, sio, journal):
        """The result of an exception handler is the acknowledgement; it may have any parameter."""

        @sio.exception_handler(NotAllowed)
        async def answer(sid: SocketID, error: NotAllowed, work: Inject[Work], event: Event):
            assert isinstance(work, Work)
            return {"error": f"{error} {event} {sid == wares_from().get(SocketID)}"}

        @sio.event
        async def work(message: Message):
            raise NotNow(message.text)

        async with serving(sio) as address, connected(address) as client:
            assert {"error": "hi work True"} == await client.call("work", {"text": "hi"})

        assert ["open event", "event saw NotNow", "close event"] == journal

    async def test_most_specific(self, sio):
        """The most specific class wins, but a router's come before the server's."""
        outer, inner = RouterSIO("/outer"), RouterSIO("/inner")
        outer.add_router(inner)
        sio.exception_handler(NotNow)(lambda error: "server: not now")
        sio.exception_handler(Exception)(lambda error: "server: anything")
        outer.exception_handler(NotAllowed)(lambda error: "outer: not allowed")
        inner.exception_handler(LookupError)(lambda error: "inner: lookup")

        def fail(sid, data):
            raise data

        sio.on("fail", fail)
        outer.on("fail", fail)
        inner.on("fail", fail)
        sio.add_router(outer)

        async def answer(namespace, error):
            return await sio._trigger_event("fail", namespace, "sid", error)

        assert "server: not now" == await answer("/", NotNow)
        assert "server: anything" == await answer("/", NotAllowed)
        assert "outer: not allowed" == await answer("/outer", NotNow)
        assert "server: anything" == await answer("/outer", LookupError)
        assert "inner: lookup" == await answer("/outer/inner", KeyError)
        assert "outer: not allowed" == await answer("/outer/inner", NotNow)

    async def test_models(self, sio):
        """An exception handler may answer with a model, too."""

        @sio.exception_handler(NotAllowed)
        def answer(error):
            return Message(text=str(error))

        @sio.event
        async def work(sid):
            raise NotAllowed("no")

        assert {"text": "no"} == await sio._trigger_event("work", "/", "sid")

    async def test_nobody_answers(self, sio):
        """An exception without an exception handler is raised."""
        sio.exception_handler(NotAllowed)(lambda error: "never")

        @sio.event
        async def work(sid):
            raise LookupError

        with pytest.raises(LookupError):
            await sio._trigger_event("work", "/", "sid")

    async def test_payload_errors(self, sio):
        """The answer to a payload that does not fit can be another one."""

        @sio.exception_handler(PayloadError)
        async def answer(error: PayloadError):
            return [error.event, len(error.detail)]

        @sio.event
        async def work(message: Message):
            """Never called."""

        assert ["work", 1] == await sio._trigger_event("work", "/", "sid", {})

    async def test_connect(self, sio, journal):
        """If the connect handler fails, the client is refused, whatever the answer is."""

        @sio.exception_handler(NotAllowed)
        async def answer(error: NotAllowed):
            journal.append("answered")
            return True

        @sio.event
        async def connect(sid, environ):
            raise NotAllowed

        async with serving(sio) as address:
            with pytest.raises(socketio.exceptions.ConnectionError):
                async with connected(address):
                    pass

        assert ["answered"] == journal
        assert 0 == open_connections(sio)

    async def test_refusals(self, sio, journal):
        """A refusal is an answer already: no exception handler sees it."""
        sio.exception_handler(Exception)(lambda error: journal.append("never"))

        @sio.event
        async def connect(sid, environ):
            raise socketio.exceptions.ConnectionRefusedError("no")

        with pytest.raises(socketio.exceptions.ConnectionRefusedError):
            await sio._trigger_event("connect", "/", "sid", {}, None)

        assert [] == journal

    @pytest.mark.parametrize("is_answered", [True, False])
    async def test_refusals_in_events(self, sio, is_answered):
        """In other events, an exception of the same class is an exception as any other."""
        if is_answered:
            sio.exception_handler(OSError)(lambda error: "the database is down")

        @sio.event
        async def work(sid):
            raise ConnectionRefusedError("no")

        async with TestClient(sio) as client:
            connection = await client.connect()

            if is_answered:
                assert "the database is down" == await connection.call("work")
            else:
                with pytest.raises(ConnectionRefusedError):
                    await connection.call("work")

    @pytest.mark.parametrize("kind", [BaseException, "Exception", KeyboardInterrupt])
    def test_no_exception_class(self, sio, kind):
        """Only classes of exceptions are answered."""
        with pytest.raises(InvalidRegistrationError):
            sio.exception_handler(kind)

    def test_synchronous_server(self):
        """A synchronous server answers just the same."""
        sio = Server(registry=Registry(), async_mode="threading")

        @sio.exception_handler(LookupError)
        def answer(error: LookupError, sid: SocketID):
            return [sid]

        @sio.event
        def work(sid):
            raise KeyError

        assert ["sid"] == sio._trigger_event("work", "/", "sid")


class TestMiddleware:
    async def test_order(self, sio, journal):
        """Middlewares wrap the event in order, those of the server outside."""

        def note(name):
            async def middleware(call_next, event):
                journal.append(f"{name} before")
                result = await call_next(event)
                journal.append(f"{name} after")
                return f"{result} {name}"

            return middleware

        router = RouterSIO()
        router.middleware(note("router"))
        sio.middleware(note("first"))
        sio.middleware(note("second"))

        @router.event
        async def work(sid):
            journal.append("work")
            return "done"

        sio.add_router(router)

        assert "done router second first" == await sio._trigger_event("work", "/", "sid")
        assert [
            "first before",
            "second before",
            "router before",
            "work",
            "router after",
            "second after",
            "first after",
        ] == journal

    async def test_injected(self, sio):
        """A middleware may have the parameters of a handler."""

        @sio.middleware
        async def authenticate(
            call_next, event, environ: Environ, sid: SocketID, work: Inject[Work]
        ):
            assert isinstance(work, Work)
            if "HTTP_AUTHORIZATION" not in environ:
                return False
            return await call_next()

        @sio.event
        async def connect(sid, environ):
            """Accept every client."""

        @sio.event
        async def work(sid):
            return "done"

        async with serving(sio) as address:
            with pytest.raises(socketio.exceptions.ConnectionError):
                async with connected(address):
                    pass
            headers = {"Authorization": "me"}
            async with connected(address, headers=headers) as client:
                assert "done" == await client.call("work")

    async def test_answers_itself(self, sio):
        """The answer of a middleware is sent as it is, whatever type the handler declares."""

        @sio.middleware
        async def limit(call_next, event):
            answer = await call_next(event)
            return {"error": Message(text="slow down")} if event.arguments else answer

        @sio.event
        async def work(*data) -> Message:
            return Message(text="done")

        @sio.event
        async def typed(sid: SocketID) -> Message:
            return {"text": "no model"}

        async with TestClient(sio) as client:
            connection = await client.connect()

            assert {"error": {"text": "slow down"}} == await connection.call("work", 1)
            assert {"text": "done"} == await connection.call("work")
            assert {"text": "no model"} == await connection.call("typed")

    async def test_another_event(self, sio):
        """A middleware may pass on another event, to plain and to typed handlers."""

        @sio.middleware
        async def double(call_next, event):
            return await call_next(evolve(event, arguments=(*event.arguments, "more")))

        @sio.event
        async def plain(sid, *data):
            return data

        @sio.event
        async def typed(first: int, second: str):
            return first, second

        assert (1, "more") == await sio._trigger_event("plain", "/", "sid", 1)
        assert (1, "more") == await sio._trigger_event("typed", "/", "sid", "1")

    async def test_another_event_of_any_name(self, sio):
        """A handler for all events gets the name of the event that a middleware passes on."""

        @sio.middleware
        async def rename(call_next, event):
            return await call_next(evolve(event, name="renamed"))

        sio.on("*", lambda event, namespace, sid: [event, namespace], "*")

        assert ["renamed", "/"] == await sio._trigger_event("work", "/", "sid")

    async def test_exceptions(self, sio):
        """Exceptions pass through middlewares before they are answered."""
        sio.exception_handler(NotAllowed)(lambda error: f"answered {error}")

        @sio.middleware
        async def change(call_next, event):
            try:
                return await call_next(event)
            except LookupError:
                raise NotAllowed("instead") from None

        @sio.event
        async def work(sid):
            raise LookupError

        assert "answered instead" == await sio._trigger_event("work", "/", "sid")

    @pytest.mark.parametrize("has_handler", ["function", "class", "no handler"])
    @pytest.mark.parametrize(
        ("answer", "told"),
        [
            (
                {"error": "no"},
                {"message": "The connection is refused.", "data": {"error": "no"}},
            ),
            (
                Message(text="no"),
                {"message": "The connection is refused.", "data": {"text": "no"}},
            ),
            (False, {"message": "Connection rejected by server"}),
            (None, {"message": "Connection rejected by server"}),
        ],
    )
    async def test_connect(self, sio, has_handler, answer, told):
        """If a middleware does not call the connect handler, the client gets its answer."""
        if has_handler == "function":
            sio.on("connect", lambda sid, environ: None)
        elif has_handler == "class":
            kind = type("Shop", (socketio.AsyncNamespace,), {"on_connect": lambda *_: None})
            sio.register_namespace(kind("/"))

        @sio.middleware
        async def refuse(call_next, event):
            return answer

        async with TestClient(sio) as client:
            with pytest.raises(socketio.exceptions.ConnectionRefusedError) as caught:
                await client.connect()

        assert told == caught.value.error_args
        assert 0 == open_connections(sio)

    @pytest.mark.parametrize(
        ("answered", "by_handler", "is_let_in"),
        [
            ("the same", None, True),
            ("the same", "hello", True),
            ("the same", False, False),
            (None, None, True),
            (None, False, False),
            (["something else"], None, True),
            (False, None, False),
            ("an exception", "raise", False),
        ],
    )
    async def test_connect_answered(self, sio, answered, by_handler, is_let_in):
        """The connect handler accepts a client, and each middleware may refuse it."""

        @sio.event
        async def connect(sid, environ):
            if by_handler == "raise":
                raise LookupError
            return by_handler

        @sio.middleware
        async def change(call_next, event):
            try:
                result = await call_next(event)
            except LookupError:
                return {"error": "no"}
            return result if answered == "the same" else answered

        async with TestClient(sio) as client:
            try:
                await client.connect()
            except socketio.exceptions.ConnectionRefusedError:
                was_let_in = False
            else:
                was_let_in = True

        assert is_let_in == was_let_in

    async def test_let_in(self, sio):
        """A middleware may let a client in without the connect handler, by True."""
        sio.middleware(lambda call_next, event: True)
        sio.on("connect", lambda sid, environ: False)

        async with TestClient(sio) as client:
            assert (await client.connect()).sid

    def test_connect_on_a_synchronous_server(self):
        """On a synchronous server, middlewares decide on clients in the same way."""
        sio = Server(registry=Registry(), async_mode="threading")
        sio.middleware(lambda call_next, event: {"error": "no"})
        sio.on("connect", lambda sid, environ: None)

        with TestClient(sio) as client:
            with pytest.raises(socketio.exceptions.ConnectionRefusedError):
                client.connect()

    def test_synchronous_server(self):
        """On a synchronous server a middleware is synchronous."""
        sio = Server(registry=Registry(), async_mode="threading")

        @sio.middleware
        def note(call_next, event, sid: SocketID):
            return [sid, call_next(event)]

        sio.on("work", lambda sid, data: data)

        assert ["sid", 1] == sio._trigger_event("work", "/", "sid", 1)

    def test_no_function(self, sio):
        """An object that is not callable is refused as a middleware."""
        with pytest.raises(InvalidRegistrationError):
            sio.middleware("logging")


async def test_wares_from_after_connect(sio):
    """The services of an event that has ended are gone, its connection's are not."""
    kept = []

    @sio.event
    async def work(sid):
        kept.append(sid)

    async with serving(sio) as address, connected(address) as client:
        await client.call("work")
        assert kept[0] == wares_from(kept[0], sio=sio).get(SocketID)
    await until(lambda: not open_connections(sio))
