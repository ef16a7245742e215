"""Tests of the parameters of handlers, and what they receive."""

import contextlib
import dataclasses
import sys
from collections.abc import AsyncIterator
from typing import Annotated, Any, TypeVar

import pydantic
import pytest
import socketio
from typing_extensions import TypedDict

from tests.adapters.socketio.serving import (
    Event as Work,
)
from tests.adapters.socketio.serving import (
    Lasting,
    connected,
    connected_thread,
    open_connections,
    serving,
    serving_threads,
    until,
)
from wares import (
    AsyncServiceError,
    Container,
    Depends,
    Inject,
    InvalidRegistryError,
    Registry,
)
from wares.exceptions import InvalidRegistrationError, UnresolvableParameterError
from wares.socketio import (
    AsyncServer,
    Auth,
    Data,
    Environ,
    Event,
    PayloadError,
    Reason,
    Server,
    SocketEvent,
    SocketID,
    TestClient,
    expect,
    init_app,
    wares_from,
)
from wares.socketio.fastsio import register_dependency


class Message(pydantic.BaseModel):
    text: str
    number: int = 0


@dataclasses.dataclass
class Point:
    x: int
    y: int


class Options(TypedDict):
    loud: bool


AnyMessage = TypeVar("AnyMessage", bound=Message)


class Unknown:
    """A class that pydantic knows nothing of."""


@pytest.fixture
async def client(sio):
    """A client, connected."""
    async with serving(sio) as address, connected(address) as client:
        yield client


async def test_without_pydantic(sio, monkeypatch):
    """A handler that declares no payload works without pydantic."""
    monkeypatch.setitem(sys.modules, "pydantic", None)

    @sio.event
    async def work(sid, work: Inject[Work]):
        return type(work).__name__

    assert "Event" == await sio._trigger_event("work", "/", "sid")


class TestFacts:
    async def test_of_an_event(self, sio, client):
        """A handler may ask for the facts of the event, in any order."""

        @sio.event
        async def ask(
            data: Data,
            server: socketio.AsyncServer,
            event: Event,
            sid: SocketID,
            environ: Environ,
            whole: SocketEvent,
            container: Container,
        ):
            assert server is sio
            assert container is wares_from()
            assert whole.sid == sid == container.get(SocketID)
            return [data, event, environ["REQUEST_METHOD"], whole.namespace]

        assert [{"a": 1}, "ask", "GET", "/"] == await client.call("ask", {"a": 1})

    async def test_data(self, sio, client):
        """The payload is one argument, a list of several, or None."""

        @sio.event
        async def ask(data: Data):
            return [data]

        assert [1] == await client.call("ask", 1)
        assert [[1, 2]] == await client.call("ask", (1, 2))
        assert [None] == await client.call("ask")

    async def test_connect_and_disconnect(self, sio, journal):
        """Connecting and disconnecting have facts of their own."""

        @sio.event
        async def connect(auth: Auth, environ: Environ, sid: SocketID, rest=None):
            journal.append(f"{auth} {environ['REQUEST_METHOD']} {rest}")

        @sio.event
        def disconnect(reason: Reason, sid: SocketID):
            journal.append(type(reason).__name__)

        async with serving(sio) as address:
            async with connected(address, auth={"token": 1}):
                pass
            await until(lambda: not open_connections(sio))

        assert ["{'token': 1} GET None", "str"] == journal

    async def test_the_server(self):
        """The server is asked for by its class, or by any class that that is derived from."""

        class Ours(AsyncServer):
            """A server of the application."""

        sio = Ours(registry=Registry(), async_mode="asgi")
        base = socketio.base_server.BaseServer

        @sio.event
        async def ask(
            first: Ours, second: AsyncServer, third: socketio.AsyncServer, last: base
        ):
            return first is second is third is last is sio

        assert await sio._trigger_event("ask", "/", "sid")

    async def test_in_dependencies(self, sio, journal):
        """Dependencies of a handler may have the same parameters as a handler."""

        def of_connect(auth: Auth, environ: Environ, sid: SocketID) -> str:
            return f"{sid} {auth} {environ['REQUEST_METHOD']}"

        async def of_event(
            data: Data, event: Event, whole: SocketEvent, server: socketio.AsyncServer
        ) -> str:
            return f"{data} {event} {whole.namespace} {server is sio}"

        def of_disconnect(reason: Reason, event: Event) -> str:
            return f"{event}: {reason}"

        @sio.event
        async def connect(text: Annotated[str, Depends(of_connect)]):
            journal.append(text)

        @sio.event
        async def ask(text: Annotated[str, Depends(of_event)]):
            journal.append(text)

        @sio.event
        async def disconnect(text: Annotated[str, Depends(of_disconnect)]):
            journal.append(text)

        environ = {"REQUEST_METHOD": "GET"}
        await sio._trigger_event("connect", "/", "sid", environ, "secret")
        await sio._trigger_event("ask", "/", "sid", 1, 2)
        await sio._trigger_event("disconnect", "/", "sid", "for no reason")

        assert [
            "sid secret GET",
            "[1, 2] ask / True",
            "disconnect: for no reason",
        ] == journal

    async def test_optional(self, sio, client, journal):
        """A fact that may be None is the same fact."""

        @sio.event
        async def ask(sid: SocketID | None, data: Data = None):
            return [sid is not None, data]

        assert [True, 1] == await client.call("ask", 1)

    @pytest.mark.parametrize(
        ("event", "annotation", "reason"),
        [
            ("work", Auth, "Auth is the data with which a client logs in"),
            ("disconnect", Auth, "Auth is the data with which a client logs in"),
            ("work", Reason, "Reason is why a client disconnected"),
            ("connect", Reason, "Reason is why a client disconnected"),
            ("connect", Data, "a client sends no payload with 'connect'"),
            ("disconnect", Data, "a client sends no payload with 'disconnect'"),
            ("connect", int, "the arguments that there are: sid, environ, auth."),
            ("work", LookupError, "only exception handlers receive an exception"),
        ],
    )
    def test_in_the_wrong_place(self, sio, event, annotation, reason):
        """A parameter for a fact that the event lacks is refused when the handler is registered."""

        async def handler(sid: SocketID, it):
            """Never called."""

        handler.__annotations__["it"] = annotation

        with pytest.raises(UnresolvableParameterError) as caught:
            sio.on(event, handler)

        assert "it" == caught.value.parameter
        assert reason in str(caught.value)
        assert {} == sio.handlers

    def test_one_argument_too_many(self, sio):
        """A connect handler with more parameters than there are arguments is refused."""
        with pytest.raises(UnresolvableParameterError):

            @sio.event
            def connect(sid: SocketID, environ, auth, more):
                """Never called."""

    def test_unknown_name(self, sio):
        """An annotation that means nothing is refused when the handler is registered."""
        with pytest.raises(UnresolvableParameterError) as caught:

            @sio.event
            async def work(sid: SocketID, it: "Nowhere"):  # noqa: F821  # that is the point
                """Never called."""

        assert "Nowhere" in str(caught.value)


class TestPayload:
    @pytest.mark.parametrize(
        ("annotation", "sent", "expected"),
        [
            (Message, {"text": "hi"}, Message(text="hi")),
            (Point, {"x": "1", "y": 2}, Point(1, 2)),
            (Options, {"loud": True}, {"loud": True}),
            (list[Message], [{"text": "hi"}], [Message(text="hi")]),
            (Message | None, None, None),
            (Annotated[int, pydantic.Field(gt=0)], "5", 5),
            (dict[str, int], {"a": "1"}, {"a": 1}),
            (Any, {"as": "it is"}, {"as": "it is"}),
        ],
    )
    async def test_validated(self, sio, client, journal, annotation, sent, expected):
        """A payload is converted to the type of its parameter."""

        async def work(it, sid: SocketID):
            journal.append(it)

        work.__annotations__["it"] = annotation
        sio.on("work", work)

        await client.call("work", sent)

        assert [expected] == journal

    async def test_several(self, sio, client):
        """Several parameters take several arguments in order, services standing between them."""

        @sio.event
        async def work(first: Message, work: Inject[Work], second: int, third, *rest):
            assert isinstance(work, Work)
            return [first.text, second, third, rest]

        assert ["hi", 2, "3", [4, 5]] == await client.call(
            "work", ({"text": "hi"}, "2", "3", 4, 5)
        )

    async def test_rest(self, sio, client):
        """A parameter that takes the rest of the arguments has each of them validated."""

        @sio.event
        async def work(sid: SocketID, *messages: Message):
            return [message.text for message in messages]

        assert [] == await client.call("work")
        assert ["hi", "ho"] == await client.call("work", ({"text": "hi"}, {"text": "ho"}))
        answer = await client.call("work", ({"text": "hi"}, {}))
        assert ["messages", 1, "text"] == answer["error"]["detail"][0]["loc"]

    async def test_beside_plain_parameters(self, sio, client):
        """Parameters without a type take what python-socketio would pass in their place."""

        @sio.on("*")
        async def work(name, sid, message: Message, more, last=9, *, word: str = "none"):
            return [name, sid == wares_from().get(SocketID), message.text, more, last, word]

        assert ["some", True, "hi", 2, 9, "none"] == await client.call(
            "some", ({"text": "hi"}, 2)
        )
        assert ["some", True, "hi", 2, 3, "yes"] == await client.call(
            "some", ({"text": "hi"}, 2, 3, "yes")
        )

    async def test_by_name(self, sio, client):
        """Parameters that are called as python-socketio calls its arguments get those."""

        @sio.on("*")
        async def work(message: Message, event: str, sid: str, **nothing: Any):
            return [message.text, event, sid == wares_from().get(SocketID), nothing]

        assert ["hi", "some", True, {}] == await client.call("some", {"text": "hi"})

    async def test_no_parameters(self, sio, client):
        """A handler may declare nothing at all."""

        @sio.event
        async def work():
            return "done"

        assert "done" == await client.call("work", {"any": "thing"})

    async def test_positional_only(self, sio, client):
        """Parameters that are passed by position only are filled, too."""

        @sio.event
        async def work(message: Message, sid: SocketID, /):
            return message.text

        assert "hi" == await client.call("work", {"text": "hi"})

    async def test_default(self, sio, client):
        """An argument that was not sent is the default, or None if the type allows that."""

        @sio.event
        async def work(message: Message | None, number: int = 3):
            return [message, number]

        assert [None, 3] == await client.call("work", timeout=5)

    async def test_not_sent(self, sio, client):
        """An argument that was not sent is None only if pydantic takes None for it."""

        @sio.event
        async def work(message: AnyMessage):
            """Never called."""

        answer = await client.call("work", timeout=5)

        assert [{"type": "missing", "loc": ["message"], "msg": "Field required"}] == answer[
            "error"
        ]["detail"]

    @pytest.mark.parametrize("is_method", [True, False])
    async def test_refused(self, sio, client, journal, is_method):
        """A payload that does not fit is answered; the handler does not run."""

        async def on_work(
            _, message: Message, number: int, more, sid: SocketID, work: Inject[Work]
        ):
            journal.append("handler")

        if is_method:
            kind = type("Shop", (socketio.AsyncNamespace,), {"on_work": on_work})
            sio.register_namespace(kind("/"))
        else:
            sio.on("work", on_work.__get__(object()))

        answer = await client.call("work", {"number": "password"})

        assert {
            "error": {
                "type": "validation_error",
                "event": "work",
                "detail": [
                    {"type": "missing", "loc": ["message", "text"], "msg": "Field required"},
                    {
                        "type": "int_parsing",
                        "loc": ["message", "number"],
                        "msg": "Input should be a valid integer, unable to parse string as an "
                        "integer",
                    },
                    {"type": "missing", "loc": ["number"], "msg": "Field required"},
                    {"type": "missing", "loc": ["more"], "msg": "Field required"},
                ],
            }
        } == answer
        assert [] == journal

    async def test_refused_with_input(self, registry):
        """Only an exception handler can repeat an invalid payload in the answer."""
        sio = AsyncServer(registry=registry, async_mode="asgi")

        @sio.event
        async def work(number: int):
            """Never called."""

        async with TestClient(sio) as client:
            connection = await client.connect()
            refused = await connection.call("work", "five")

            @sio.exception_handler(PayloadError)
            async def answer(error: PayloadError, data: Data):
                return {"sent": data, **error.as_answer()}

            answered = await connection.call("work", "five")

        assert "five" not in str(refused)
        assert {"sent": "five", **refused} == answered

    def test_error(self):
        """The error names the event and the problems, and nothing that was sent."""
        error = PayloadError("work", [{"type": "missing", "loc": ["a", 0], "msg": "Missing"}])

        assert "The payload of 'work' is not what its handler declares: a.0: Missing" == str(
            error
        )


class TestServices:
    async def test_marked(self, sio, client):
        """Services are asked for by markers, in annotations or as defaults."""

        def greet(message: Message, sid: SocketID, event: Event) -> str:
            return f"{event} {message.text} {sid == wares_from().get(SocketID)}"

        @sio.event
        async def work(
            message: Message,
            work: Annotated[Work, Depends()],
            lasting: Inject[Lasting],
            greeting: str = Depends(greet),
        ):
            return [type(work).__name__, type(lasting).__name__, greeting]

        assert ["Event", "Lasting", "work hi True"] == await client.call("work", {"text": "hi"})

    @pytest.mark.parametrize("kind", [Point, Unknown])
    async def test_registered(self, sio, registry, kind):
        """A service is not asked for by its type alone, because a client could send it."""
        registry.register_factory(kind, lambda: None)

        @sio.event
        async def work(it: kind | None = None):
            """Never called."""

        with pytest.raises(InvalidRegistryError) as caught:
            async with TestClient(sio):
                pass

        assert f"write Inject[{kind.__name__}]" in str(caught.value)

    def test_no_payload(self, sio):
        """A parameter that can be neither fact nor payload is refused when it is registered."""
        with pytest.raises(UnresolvableParameterError, match=r"write Inject\[Unknown\]"):

            @sio.event
            async def work(it: Unknown):
                """Never called."""

        with pytest.raises(UnresolvableParameterError, match=r"write Inject\[Point\]"):

            @sio.event
            async def connect(point: Point, sid: SocketID):
                """Never called."""

    async def test_default(self, sio):
        """A parameter that can be neither fact nor payload keeps its default."""

        @sio.event
        async def leave(number: int, it: Unknown | None = None):
            return [number, it]

        async with TestClient(sio) as client:
            connection = await client.connect()

            assert [1, None] == await connection.call("leave", 1, {"sent": "by a client"})

    async def test_when_connecting(self, sio, registry, journal):
        """Connect handlers ask for services as well."""
        registry.register_value(Point, Point(1, 2))

        @sio.event
        async def connect(point: Inject[Point], sid: SocketID):
            journal.append(point)

        async with TestClient(sio) as client:
            await client.connect()

        assert [Point(1, 2)] == journal

    async def test_no_key(self, sio):
        """An annotation that is not hashable is a payload, if pydantic knows it."""

        @sio.event
        async def work(number: Annotated[int, []]):
            return number

        async with TestClient(sio) as client:
            assert 5 == await (await client.connect()).call("work", "5")

    async def test_dependencies_of_the_server(self, registry, journal):
        """The dependencies of a server are resolved before each handler, including plain ones."""

        async def check(event: Event) -> AsyncIterator[None]:
            journal.append(f"check {event}")
            yield
            journal.append("checked")

        sio = AsyncServer(registry=registry, dependencies=[Depends(check)], async_mode="asgi")

        @sio.event
        async def plain(sid, data):
            journal.append(data)

        @sio.event
        async def typed(message: Message):
            journal.append(message.text)

        await sio._trigger_event("plain", "/", "sid", "hello")
        await sio._trigger_event("typed", "/", "sid", {"text": "hi"})

        assert ["check plain", "hello", "checked", "check typed", "hi", "checked"] == journal

    def test_async_dependency_of_a_sync_handler(self, sio):
        """A synchronous handler cannot need what must be awaited: refused at registration."""

        async def make() -> int:
            return 5

        with pytest.raises(AsyncServiceError):

            @sio.event
            def work(it: Annotated[int, Depends(make)]):
                """Never called."""

    async def test_a_dependency_that_swallows(self, sio, client, journal):
        """The exception of a handler reaches dependencies that yield."""

        async def transaction() -> AsyncIterator[None]:
            try:
                yield
            except LookupError:
                journal.append("rollback")
                raise

        @sio.event
        async def work(_: Annotated[None, Depends(transaction)]):
            raise LookupError

        await client.emit("work")
        await until(lambda: journal)

        assert ["rollback"] == journal

    async def test_register_dependency(self, journal):
        """Names that are registered on the default registry serve servers without another."""
        register_dependency("greeting", lambda: "hello")
        sio = init_app(socketio.AsyncServer(async_mode="asgi"))

        @sio.event
        async def work(greeting: Annotated[str, Depends("greeting")]):
            return greeting

        async with serving(sio) as address, connected(address) as client:
            assert "hello" == await client.call("work", timeout=5)

    async def test_connection_lifetime_by_socket(self, sio, registry, client):
        """A service of a connection may need the facts of the connection."""

        def name(sid: SocketID, environ: Environ, server: socketio.AsyncServer) -> str:
            assert server is sio
            return sid

        registry.register_factory("name", name, lifetime="connection")

        @sio.event
        async def work(sid: SocketID, name: Annotated[str, Depends("name")]):
            return sid == name

        assert await client.call("work", timeout=5)

    async def test_validate(self, sio, registry, client):
        """`validate` knows what every container is given."""

        class Named:
            def __init__(self, sid: SocketID, server: socketio.AsyncServer) -> None:
                self.sid = sid

        registry.register_factory("name", Named)

        registry.validate()

    def test_expect(self):
        """A registry may know it before there is a server."""

        class Named:
            def __init__(self, sid: SocketID, server: socketio.Server) -> None:
                self.sid = sid

        registry = Registry()
        registry.register_factory(Named, Named)
        expect(registry)

        registry.validate()


class TestAnswers:
    async def test_models(self, sio, client):
        """Models are sent as what they consist of, declared or not; tuples stay several values."""

        @sio.event
        async def one() -> Message:
            return Message(text="hi")

        @sio.event
        async def many() -> list[Point]:
            return [Point(1, 2)]

        @sio.event
        async def several() -> tuple[Message, int]:
            return Message(text="hi"), 5

        @sio.event
        async def undeclared(sid: SocketID):
            return Message(text="hi")

        @sio.on("model", response_model=Message)
        async def model(sid: SocketID):
            return Message(text="hi", number=3)

        @sio.on("plain", response_model=list[Point])
        async def plain(sid, data):
            return [Point(1, 2)]

        message = {"text": "hi", "number": 0}
        assert message == await client.call("one")
        assert [{"x": 1, "y": 2}] == await client.call("many")
        assert (message, 5) == await client.call("several")
        assert message == await client.call("undeclared")
        assert 3 == (await client.call("model"))["number"]
        assert [{"x": 1, "y": 2}] == await client.call("plain", "data")


def test_on_a_synchronous_server():
    """Everything that a handler may declare works on a synchronous server, too."""
    registry = Registry()
    registry.register_factory(Unknown, Unknown)
    sio = Server(registry=registry, async_mode="threading", ping_interval=1)

    def shout(message: Message) -> str:
        return message.text.upper()

    @sio.event
    def work(
        server: socketio.Server,
        sid: SocketID,
        message: Message,
        made: Inject[Unknown],
        again: Inject[Unknown],
        text: str = Depends(shout),
    ):
        assert server is sio
        return [message.number, made is again, text]

    with serving_threads(sio) as address, connected_thread(address) as client:
        answer = client.call("work", {"text": "hi", "number": "5"})
        refused = client.call("work", {})

    assert [5, True, "HI"] == answer
    assert "validation_error" == refused["error"]["type"]


def test_class_on_a_synchronous_server():
    """Methods of classes for namespaces declare the same there."""

    class Shop(socketio.Namespace):
        def on_buy(self, message: Message, sid: SocketID, made: Inject[Unknown]):
            return [message.text, sid, type(made).__name__]

    registry = Registry()
    registry.register_factory(Unknown, Unknown)
    sio = Server(registry=registry, async_mode="threading")
    sio.register_namespace(Shop("/shop"))

    answer = sio._trigger_event("buy", "/shop", "sid", {"text": "hi"})

    assert ["hi", "sid", "Unknown"] == answer


class TestCatchAll:
    async def test_event(self, sio):
        """A handler for all events may have the parameters of others, with or without the name."""

        @sio.on("*")
        async def first(event: Event, message: Message, work: Inject[Work]):
            return [event, message.text, type(work).__name__]

        @sio.on("*", namespace="/plain")
        async def second(event, sid, message: Message, work: Inject[Work]):
            return [event, sid, message.text]

        assert ["any", "hi", "Event"] == await sio._trigger_event(
            "any", "/", "sid", {"text": "hi"}
        )
        assert ["any", "sid", "hi"] == await sio._trigger_event(
            "any", "/plain", "sid", {"text": "hi"}
        )

    async def test_namespace(self, sio):
        """A handler for all namespaces may have the same parameters."""

        @sio.on("known", namespace="*")
        async def known(message: Message, whole: SocketEvent):
            return [whole.namespace, message.text]

        @sio.on("*", namespace="*")
        async def anything(event, namespace, sid: SocketID, message: Message):
            return [event, namespace, sid, message.text]

        message = {"text": "hi"}
        assert ["/a", "hi"] == await sio._trigger_event("known", "/a", "sid", message)
        assert ["any", "/a", "sid", "hi"] == await sio._trigger_event(
            "any", "/a", "sid", message
        )

    async def test_class(self, sio):
        """A namespace class for all namespaces may have handlers with the same parameters."""

        class Anywhere(socketio.AsyncNamespace):
            async def on_buy(self, namespace, message: Message, work: Inject[Work]):
                return [namespace, message.text, type(work).__name__]

        sio.register_namespace(Anywhere("*"))

        answer = await sio._trigger_event("buy", "/a", "sid", {"text": "hi"})

        assert ["/a", "hi", "Event"] == answer


class TestOddHandlers:
    async def test_put_there_by_hand(self, sio):
        """A handler that was put among the server's own is called as before, in a container."""

        async def work(sid):
            return wares_from().get(SocketID)

        sio.handlers["/"] = {"work": work}

        assert "sid" == await sio._trigger_event("work", "/", "sid")

    async def test_builtin(self, sio):
        """Builtins that do not tell their parameters are called as before."""
        sio.on("work", max)

        assert "sid" == await sio._trigger_event("work", "/", "sid", "a")

    async def test_markers_as_defaults(self, sio):
        """A marker may stand as a default without any annotation."""

        @sio.event
        async def work(sid, five=Depends(lambda: 5)):  # a way of writing it
            return [sid, five]

        assert ["sid", 5] == await sio._trigger_event("work", "/", "sid")

    async def test_local_names(self, sio):
        """Annotations may name what only the surrounding function knows."""

        class Local(pydantic.BaseModel):
            text: str

        @sio.event
        async def work(local: "Local", sid: "SocketID"):
            return local.text

        assert "hi" == await sio._trigger_event("work", "/", "sid", {"text": "hi"})

    async def test_nothing_of_ours(self, sio):
        """A union of several types is a payload."""

        @sio.event
        async def work(it: Message | Point):
            return type(it).__name__

        assert "Point" == await sio._trigger_event("work", "/", "sid", {"x": 1, "y": 2})

    def test_not_callable(self, sio):
        """An object that is not callable is refused as a handler."""
        with pytest.raises(InvalidRegistrationError):
            sio.on("work", "handler")


class Shop(socketio.AsyncNamespace):
    """A class that passes on each event twice: to one method for all, then to the event's own."""

    async def trigger_event(self, event, *args):
        if event in ("connect", "disconnect"):
            return await super().trigger_event(event, *args)
        with contextlib.suppress(LookupError):
            await super().trigger_event("all", *args)
        return await super().trigger_event(event, *args)

    async def on_all(self, message: Message, work: Inject[Work]):
        assert isinstance(work, Work)
        if message.number:
            raise LookupError

    async def on_say(self, message: Message, work: Inject[Work]):
        return [message.text, type(work).__name__]


class TestOwnDispatch:
    async def test_services(self, registry, journal):
        """A service is never what a client sends, however often an event is passed on."""
        sio = AsyncServer(async_mode="asgi", registry=registry)
        sio.register_namespace(Shop("/"))

        async with TestClient(sio) as client:
            connection = await client.connect()

            assert ["hi", "Event"] == await connection.call("say", {"text": "hi"}, {"evil": 1})
            assert "event saw LookupError" not in journal

    async def test_instance_attributes(self, registry):
        """A method may be an attribute of the object only, and of a class that it replaces."""

        class Assigned(socketio.AsyncNamespace):
            def __init__(self, namespace):
                super().__init__(namespace)
                self.on_say = self.say
                self.on_said = self.say

            async def on_said(self, sid): ...

            async def say(self, message: Message, work: Inject[Work]):
                return [message.text, type(work).__name__]

        sio = AsyncServer(async_mode="asgi", registry=registry)
        sio.register_namespace(Assigned("/"))

        async with TestClient(sio) as client:
            connection = await client.connect()

            assert ["hi", "Event"] == await connection.call("say", {"text": "hi"})
            assert ["hi", "Event"] == await connection.call("said", {"text": "hi"})

    async def test_failure(self, registry, journal):
        """The failure of one handler rolls the event back, even if another one succeeds."""
        sio = AsyncServer(async_mode="asgi", registry=registry)
        sio.register_namespace(Shop("/"))

        async with TestClient(sio) as client:
            connection = await client.connect()

            assert ["hi", "Event"] == await connection.call("say", {"text": "hi", "number": 1})
            assert "event saw LookupError" in journal

    async def test_payload(self, registry):
        """A class may pass on another payload, and cannot change who sent it."""
        sio = AsyncServer(async_mode="asgi", registry=registry)

        class Upper(socketio.AsyncNamespace):
            async def trigger_event(self, event, sid, *args):
                if event == "say":
                    args = ({"text": args[0]["text"].upper()},)
                return await super().trigger_event(
                    event, sid if event == "say" else "me", *args
                )

            async def on_connect(self, sid: SocketID): ...

            async def on_say(self, message: Message):
                return message.text

            async def on_who(self, sid: SocketID, message: Message):
                return [sid, message.text]

        sio.register_namespace(Upper("/"))

        async with TestClient(sio) as client:
            connection = await client.connect()

            assert "HI" == await connection.call("say", {"text": "hi"})
            assert [connection.sid, "hi"] == await connection.call("who", {"text": "hi"})
