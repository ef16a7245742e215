"""Middlewares that are classes, as applications written for fastsio have them."""

import asyncio
import contextlib
import logging

import pytest
import socketio

import wares.socketio.fastsio
from tests.adapters.socketio.serving import Event, connected, register_both, serving
from wares import Inject, Registry
from wares.exceptions import InvalidRegistrationError
from wares.socketio.fastsio import (
    AsyncServer,
    BaseMiddleware,
    RouterSIO,
    Server,
    SocketID,
    SyncMiddleware,
    auth_middleware,
    logging_middleware,
    rate_limit_middleware,
)

#: The public names of fastsio 0.3.6.
NAMES_OF_FASTSIO = """
ASGIApp AsyncAPIConfig AsyncAioPikaManager AsyncClient AsyncClientNamespace AsyncManager
AsyncNamespace AsyncRedisManager AsyncServer AsyncSimpleClient Auth BaseMiddleware Client
ClientNamespace Data Depends Environ Event KafkaManager KombuManager Manager Middleware
MiddlewareChain Namespace PubSubManager Reason RedisManager RouterSIO Server SimpleClient SocketID
SyncMiddleware WSGIApp ZmqManager auth_middleware get_tornado_handler logging_middleware
rate_limit_middleware register_dependency
"""


class Noting(BaseMiddleware):
    """An asynchronous middleware that notes its calls."""

    def __init__(self, journal, name="noting", **filters):
        super().__init__(**filters)
        self.journal = journal
        self.name = name

    async def before_event(self, event, sid, data, **context):
        self.journal.append(f"{self.name} before {event} {data}")
        return data

    async def after_event(self, event, sid, response, **context):
        self.journal.append(f"{self.name} after {event} {response}")
        return response


class Doubling(SyncMiddleware):
    """Changes the payload and the answer, synchronously."""

    def before_event(self, event, sid, data, **context):
        return None if data is None else data * 2

    def after_event(self, event, sid, response, **context):
        return [response]


@pytest.fixture
def registry():
    """A registry that nothing is asked of."""
    with Registry() as registry:
        yield registry


@pytest.fixture
async def sio(registry):
    """An asynchronous server of our own."""
    return AsyncServer(registry=registry, async_mode="asgi")


@pytest.fixture
def threaded(registry):
    """A synchronous server of our own."""
    return Server(registry=registry, async_mode="threading")


async def echo(sid, *data):
    """Answer with the payload."""
    return list(data)


def test_names():
    """This module has all names that an application imports from fastsio."""
    unmoved = {"AsyncAPIConfig", "MiddlewareChain"}  # the page on fastsio tells what to use

    missing = {
        name for name in NAMES_OF_FASTSIO.split() if not hasattr(wares.socketio.fastsio, name)
    }

    assert unmoved == missing
    assert set() == set(NAMES_OF_FASTSIO.split()) - unmoved - set(
        wares.socketio.fastsio.__all__
    )


class TestMethods:
    async def test_order(self, sio, journal):
        """The first middleware is called first before the event, and last after it."""
        sio.add_middleware(Noting(journal, "outer"))
        sio.add_middleware(Noting(journal, "inner"))
        sio.on("work", echo)

        assert [5] == await sio._trigger_event("work", "/", "sid", 5)
        assert [
            "outer before work 5",
            "inner before work 5",
            "inner after work [5]",
            "outer after work [5]",
        ] == journal

    def test_asynchronous_ones_on_a_synchronous_server(self, threaded):
        """A method that awaits something cannot work there, and is an error that says so."""

        class Slow(SyncMiddleware):
            async def before_event(self, event, sid, data, **context):
                await asyncio.sleep(0)

        threaded.add_middleware(Slow())
        threaded.on("work", lambda sid, data: data)

        with pytest.raises(RuntimeError, match="suspended on a synchronous"):
            threaded._trigger_event("work", "/", "sid", 5)

    async def test_context(self, sio):
        """Methods get the facts of the event by name, in any order."""

        class Told(BaseMiddleware):
            async def before_event(self, event, sid, data, environ, server, **context):
                return [event, sid, data, environ, server is sio, context]

        sio.add_middleware(Told())
        sio.on("work", echo)

        context = {"namespace": "/", "auth": None}
        (told,) = await sio._trigger_event("work", "/", "sid", 5)
        assert ["work", "sid", 5, {}, True, context] == told

    async def test_auth(self, sio, journal):
        """Middlewares get the login data of a client, and cannot change it."""

        class Told(BaseMiddleware):
            async def before_event(self, event, sid, data, auth, **context):
                journal.append(f"{event} {data} {auth}")
                return "something else"

        sio.add_middleware(Told())
        sio.on("connect", lambda sid, environ, auth: journal.append(f"handler {auth}"))

        async with serving(sio) as address, connected(address, auth="secret"):
            pass

        assert ["connect None secret", "handler secret"] == journal

    @pytest.mark.parametrize(
        ("sent", "expected"),
        [((), []), ((1,), [2]), ((1, 2), [1, 2, 1, 2]), (("ab",), ["abab"])],
    )
    async def test_payload(self, sio, sent, expected):
        """The result of `before_event` is the payload; several arguments are a list."""
        sio.add_middleware(Doubling())
        sio.on("work", echo)

        assert [expected] == await sio._trigger_event("work", "/", "sid", *sent)

    async def test_payload_changed_in_place(self, sio):
        """A payload may be changed in place, too; one value in place of several is one."""

        class Growing(SyncMiddleware):
            def before_event(self, event, sid, data, **context):
                data.append(3)
                return data

        class Adding(SyncMiddleware):
            def before_event(self, event, sid, data, **context):
                return sum(data)

        sio.add_middleware(Growing())
        sio.add_middleware(Adding(), events="add")
        sio.on("work", echo)
        sio.on("add", echo)

        assert [1, 2, 3] == await sio._trigger_event("work", "/", "sid", 1, 2)
        assert [6] == await sio._trigger_event("add", "/", "sid", 1, 2)

    async def test_exception(self, sio, journal):
        """`handle_exception` answers what a handler raises; by default it goes on."""

        class Answering(BaseMiddleware):
            async def handle_exception(self, exc, event, sid, data, **context):
                return f"{event} {data}: {exc!r}"

        @sio.exception_handler(LookupError)
        async def answer(error: LookupError):
            return "answered by the exception handler"

        sio.add_middleware(Answering(), events="work")
        sio.add_middleware(Noting(journal))
        sio.add_middleware(Doubling())

        async def fail(sid, data):
            raise LookupError

        sio.on("work", fail)
        sio.on("other", fail)

        assert "work 5: LookupError()" == await sio._trigger_event("work", "/", "sid", 5)
        assert "answered by the exception handler" == await sio._trigger_event(
            "other", "/", "sid", 5
        )
        assert ["noting before work 5", "noting before other 5"] == journal

    async def test_answered_exceptions_roll_back(self, sio, registry, journal):
        """The cleanups see an exception that a middleware answers."""
        register_both(registry, journal)

        class Answering(BaseMiddleware):
            async def handle_exception(self, exc, event, sid, data, **context):
                return "answered"

        @sio.on("work")
        async def work(service: Inject[Event]):
            raise LookupError

        sio.add_middleware(Noting(journal))
        sio.add_middleware(Answering())

        assert "answered" == await sio._trigger_event("work", "/", "sid")
        assert [
            "noting before work None",
            "open event",
            "event saw LookupError",
            "close event",
        ] == [entry for entry in journal if "after" not in entry]

    async def test_another_attempt(self, sio, registry, journal):
        """Services of an event that succeeds in the end do not see an earlier exception."""
        register_both(registry, journal)
        attempts = iter([LookupError, None])

        @sio.middleware
        async def retry(call_next, event):
            with contextlib.suppress(LookupError):
                return await call_next(event)
            return await call_next(event)

        @sio.on("work")
        async def work(service: Inject[Event]):
            error = next(attempts)
            if error is not None:
                raise error
            return "done"

        assert "done" == await sio._trigger_event("work", "/", "sid")
        assert ["open event", "close event"] == journal

    async def test_complete_control(self, sio):
        """`__call__` may be overridden, and call the handler as often as it likes."""

        class Trying(BaseMiddleware):
            async def __call__(self, event, sid, data, handler, **context):
                return [await handler(data), await handler()]

        class Inherited(BaseMiddleware):
            async def __call__(self, event, sid, data, handler, **context):
                return [await super().__call__(event, sid, "more", handler, **context)]

        sio.add_middleware(Trying())
        sio.add_middleware(Inherited())
        sio.on("work", echo)

        assert [[["more"]], [["more"]]] == await sio._trigger_event("work", "/", "sid", 5)

    async def test_over_the_wire(self, sio):
        """A client is answered what comes out of the middlewares."""
        sio.add_middleware(Doubling())

        @sio.event
        async def work(sid: SocketID, number: int):
            return number + 1

        async with serving(sio) as address, connected(address) as client:
            assert [11] == await client.call("work", 5)

    async def test_classes_for_namespaces(self, sio, journal):
        """Middlewares wrap the methods of namespace classes, and the handlers of routers."""

        class Shop(socketio.AsyncNamespace):
            async def on_buy(self, sid, data):
                return "sold"

        router = RouterSIO("/orders")
        router.on("list", echo)
        sio.add_middleware(Noting(journal))
        sio.register_namespace(Shop("/shop"))
        sio.add_router(router)

        await sio._trigger_event("buy", "/shop", "sid", 5)
        await sio._trigger_event("list", "/orders", "sid")

        assert [
            "noting before buy 5",
            "noting after buy sold",
            "noting before list None",
            "noting after list []",
        ] == journal


class TestFilters:
    @pytest.mark.parametrize(
        ("filters", "expected"),
        [
            ({}, ["work /", "work /shop", "other /"]),
            ({"global_middleware": True}, ["work /", "work /shop", "other /"]),
            ({"events": "work"}, ["work /", "work /shop"]),
            ({"events": ["other", "more"]}, ["other /"]),
            ({"namespace": "/"}, ["work /", "other /"]),
            ({"namespace": "/", "events": ["work"]}, ["work /"]),
            ({"namespace": "/none"}, []),
        ],
    )
    @pytest.mark.parametrize("is_early", [True, False])
    async def test_filters(self, sio, filters, expected, is_early):
        """A middleware is for the events and the namespace that it, or its adding, names."""
        seen = []

        class Seeing(BaseMiddleware):
            async def before_event(self, event, sid, data, namespace, **context):
                seen.append(f"{event} {namespace}")

        if is_early:
            sio.add_middleware(Seeing(**filters))
        else:
            sio.add_middleware(Seeing("never", "/never"), **{"events": [], **filters})
            sio.get_middlewares()[0].namespace = filters.get("namespace")
        for event, namespace in (("work", "/"), ("work", "/shop"), ("other", "/")):
            sio.on(event, echo, namespace)
            await sio._trigger_event(event, namespace, "sid", 5)

        assert expected == seen

    async def test_own_filter(self, sio, journal):
        """`should_run` may be overridden."""

        class Picky(Noting):
            def should_run(self, event, namespace=None):
                return event.startswith("secret")

        sio.add_middleware(Picky(journal, "picky"))
        for event in ("secret", "public"):
            sio.on(event, echo)
            await sio._trigger_event(event, "/", "sid")

        assert ["picky before secret None", "picky after secret []"] == journal

    def test_global(self):
        """A middleware tells whether it is for all events."""
        assert BaseMiddleware().global_middleware
        assert not BaseMiddleware("work").global_middleware
        assert not BaseMiddleware(namespace="/").global_middleware

    async def test_removed(self, sio, journal):
        """A removed middleware wraps no more events, even if it is removed during one."""

        class Leaving(BaseMiddleware):
            async def before_event(self, event, sid, data, **context):
                sio.remove_middleware(self)
                return data

        leaving, noting = Leaving(), Noting(journal)
        sio.add_middleware(leaving)
        sio.add_middleware(noting)
        assert [leaving, noting] == sio.get_middlewares()
        sio.on("work", echo)

        assert [5] == await sio._trigger_event("work", "/", "sid", 5)
        assert ["noting before work 5", "noting after work [5]"] == journal
        sio.remove_middleware(leaving)
        assert [noting] == sio.get_middlewares()

    async def test_beside_functions(self, sio, journal):
        """Middlewares that are classes and functions run in the order of their registration."""

        @sio.middleware
        async def outer(call_next, event):
            return ["outer", await call_next(event)]

        sio.add_middleware(Doubling())

        @sio.middleware
        async def inner(call_next, event):
            return ["inner", await call_next(event)]

        sio.on("work", echo)

        assert ["outer", [["inner", [2]]]] == await sio._trigger_event("work", "/", "sid", 1)
        assert 1 == len(sio.get_middlewares())


class TestSynchronousServer:
    def test_methods(self, threaded):
        """Synchronous middlewares wrap the events of a synchronous server."""

        class Answering(SyncMiddleware):
            def handle_exception(self, exc, event, sid, data, **context):
                return repr(exc)

        threaded.add_middleware(Answering())
        threaded.add_middleware(Doubling())
        threaded.on("work", lambda sid, data: data)
        threaded.on("fail", lambda sid, data: data[5])

        assert [10] == threaded._trigger_event("work", "/", "sid", 5)
        assert "IndexError('list index out of range')" == threaded._trigger_event(
            "fail", "/", "sid", []
        )

    def test_complete_control(self, threaded):
        """`__call__` may be overridden there, too."""

        class Trying(SyncMiddleware):
            def __call__(self, event, sid, data, handler, **context):
                return [handler(data), super().__call__(event, sid, 6, handler, **context)]

        threaded.add_middleware(Trying())
        threaded.on("work", lambda sid, data: data)

        assert [5, 6] == threaded._trigger_event("work", "/", "sid", 5)

    def test_asynchronous_middleware(self, threaded, journal):
        """An asynchronous one cannot work there: refused when it is added."""
        with pytest.raises(InvalidRegistrationError) as caught:
            threaded.add_middleware(Noting(journal))

        assert "derive it from SyncMiddleware" in str(caught.value)

    def test_no_middleware(self, threaded):
        """Functions are added in another way: the error says how."""
        with pytest.raises(InvalidRegistrationError) as caught:
            threaded.add_middleware(lambda call_next, event: call_next(event))

        assert "sio.middleware" in str(caught.value)


class TestReadyMade:
    @pytest.mark.parametrize("is_allowed", [True, False])
    async def test_auth(self, sio, is_allowed):
        """A client without permission gets a `PermissionError`, and may still disconnect."""
        sio.add_middleware(auth_middleware(lambda sid, environ: is_allowed))
        sio.exception_handler(PermissionError)(lambda error: str(error))
        sio.on("work", echo)
        sio.on("disconnect", lambda sid, reason: "gone")

        expected = [] if is_allowed else "The client sid may not do that."
        assert expected == await sio._trigger_event("work", "/", "sid")
        assert "gone" == await sio._trigger_event("disconnect", "/", "sid", "reason")

    def test_logging(self, threaded, caplog):
        """Events are logged, but nothing that was sent, which may be secret."""
        other = logging.getLogger("other")
        threaded.add_middleware(logging_middleware())
        threaded.add_middleware(logging_middleware(other), events="work")
        threaded.on("work", lambda sid, data: data)

        with caplog.at_level(logging.INFO):
            threaded._trigger_event("work", "/", "sid", "password")

        assert [
            ("wares", "The event work came from sid."),
            ("other", "The event work came from sid."),
            ("other", "The event work from sid was handled."),
            ("wares", "The event work from sid was handled."),
        ] == [(record.name, record.getMessage()) for record in caplog.records]

    def test_rate_limit(self, threaded, monkeypatch):
        """A client that sends too many events gets an error, until time has passed."""
        now = [100.0]
        monkeypatch.setattr("wares.socketio.fastsio.monotonic", lambda: now[0])
        limit = rate_limit_middleware(2, 10)
        threaded.add_middleware(limit)
        threaded.exception_handler(RuntimeError)(lambda error: str(error))
        threaded.on("work", lambda sid: "done")

        def work(sid="sid"):
            return threaded._trigger_event("work", "/", sid)

        refused = "The client sid has sent more than 2 events in 10 s."
        assert ["done", "done", refused, refused] == [work(), work(), work(), work()]
        assert "done" == work("another")
        now[0] = 110.0
        assert ["done", "done", refused] == [work(), work(), work()]
        now[0] = 115.0
        assert "done" == work("another")
        now[0] = 120.0
        assert "done" == work()

    def test_rate_limit_slides(self, threaded, monkeypatch):
        """Each event counts during the window; clients without recent events are forgotten."""
        now = [0.0]
        monkeypatch.setattr("wares.socketio.fastsio.monotonic", lambda: now[0])
        limit = rate_limit_middleware(2, 10)
        threaded.add_middleware(limit)
        threaded.on("work", lambda sid: "done")

        for now[0] in (0.0, 6.0, 12.0, 18.0):
            assert "done" == threaded._trigger_event("work", "/", "sid")
        with pytest.raises(RuntimeError):
            threaded._trigger_event("work", "/", "sid")
        now[0] = 50.0
        threaded._trigger_event("work", "/", "another")

        assert ["another"] == list(limit._times)
