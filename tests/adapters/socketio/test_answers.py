"""Tests of the answers of handlers, and of bytes in both directions."""

import dataclasses
import datetime as dt
import enum
import logging
from typing import Annotated, Any

import pydantic
import pytest
import socketio

from tests.adapters.socketio.serving import (
    Event as Work,
)
from tests.adapters.socketio.serving import (
    connected,
    connected_thread,
    register_both_sync,
    serving,
    serving_threads,
    until,
)
from wares import Inject, Registry
from wares.socketio import (
    AnswerError,
    AsyncServer,
    Data,
    Server,
    SocketID,
    TestClient,
    init_app,
)

#: Bytes that are no text.
BYTES = b"\xff\x00\xfe"


#: A list that is within itself.
CIRCLE: list[Any] = []
CIRCLE.append(CIRCLE)


class Color(enum.Enum):
    RED = "red"


class Picture(pydantic.BaseModel):
    name: str
    content: bytes
    taken: dt.date = dt.date(2026, 1, 2)
    colors: dict[Color, set[int]] = {}


class Price(pydantic.BaseModel):
    cents: int

    @pydantic.field_serializer("cents", when_used="json")
    def write(self, cents: int) -> str:
        return f"{cents / 100:.2f}"


@dataclasses.dataclass
class Note:
    text: str


PICTURE = {
    "name": "sea",
    "content": BYTES,
    "taken": "2026-01-02",
    "colors": {"red": [1]},
}


def add_handlers(sio: Any) -> None:
    """Register handlers that answer with bytes and with models; for either kind of server."""

    @sio.on("bytes")
    def send_bytes(data: bytes, sid: SocketID) -> bytes:
        return data

    @sio.on("raw")
    def send_raw(data: Data):
        return {"data": data, "several": [data]}

    @sio.on("picture")
    def send_picture(picture: Picture) -> Picture:
        assert isinstance(picture.content, bytes)
        return picture

    @sio.on("several")
    def send_several(picture: Picture) -> tuple[list[Picture], bytes]:
        return [picture], picture.content

    @sio.on("plain")
    def send_plain(sid, data) -> list[Picture]:
        return [Picture.model_validate(data)]

    @sio.on("undeclared")
    def send_undeclared(sid, data):
        return {"picture": Picture.model_validate(data)}, Price(cents=150)

    @sio.on("price")
    def send_price(sid: SocketID) -> list[Price]:
        return [Price(cents=150)]


EXPECTED = {
    "bytes": (BYTES, BYTES),
    "raw": (BYTES, {"data": BYTES, "several": [BYTES]}),
    "picture": (PICTURE, PICTURE),
    "several": (PICTURE, ([PICTURE], BYTES)),
    "plain": (PICTURE, [PICTURE]),
    "undeclared": (PICTURE, ({"picture": PICTURE}, {"cents": "1.50"})),
    "price": (None, [{"cents": "1.50"}]),
}


class TestBytes:
    @pytest.mark.parametrize("serializer", ["default", "msgpack"])
    async def test_in_process(self, registry, serializer):
        """Bytes stay bytes in payloads, models and answers, with each serializer."""
        sio = AsyncServer(async_mode="asgi", registry=registry, serializer=serializer)
        add_handlers(sio)

        async with TestClient(sio) as client:
            connection = await client.connect()
            answers = {
                event: (sent, await connection.call(event, sent))
                for event, (sent, _) in EXPECTED.items()
            }

        assert EXPECTED == answers

    async def test_over_the_wire(self, sio):
        """Bytes stay bytes between a real server and a real client."""
        add_handlers(sio)

        async with serving(sio) as address, connected(address) as client:
            answers = {
                event: (sent, await client.call(event, sent))
                for event, (sent, _) in EXPECTED.items()
            }

        assert EXPECTED == answers

    @pytest.mark.parametrize("kind", [bytearray, memoryview])
    async def test_what_is_like_bytes(self, sio, kind):
        """A bytearray or memoryview is sent as bytes, because servers accept only bytes."""
        sio.on("whole", lambda sid: kind(BYTES))
        sio.on("part", lambda sid: {"parts": [kind(BYTES)]})

        async with serving(sio) as address, connected(address) as client:
            answers = [await client.call("whole"), await client.call("part")]

        assert [BYTES, {"parts": [BYTES]}] == answers

    def test_synchronous_server(self):
        """Bytes stay bytes on a synchronous server."""
        sio = Server(async_mode="threading", registry=Registry(), ping_interval=1)
        add_handlers(sio)

        with serving_threads(sio) as address, connected_thread(address) as client:
            answers = {
                event: (sent, client.call(event, sent)) for event, (sent, _) in EXPECTED.items()
            }

        assert EXPECTED == answers


class TestWhatCannotBeSent:
    @pytest.mark.parametrize(
        ("serializer", "answer", "is_sent"),
        [
            ("default", {"a": [1, 2.5, None, True, (b"b",)]}, True),
            ("default", {1: "a number as a key"}, True),
            ("default", [bytearray(b"bytes")], True),
            ("default", [(bytearray(b"bytes"), b"bytes")], True),
            ("default", 1 << 64, True),
            ("default", {"a": {1, 2}}, False),
            ("default", [Picture], False),
            ("msgpack", 1 << 64, False),
            ("msgpack", [(1 << 64) - 1, -(1 << 63)], True),
            ("default", "\ud800", True),
            ("msgpack", "\ud800", False),
            ("msgpack", {"\ud800": "no text"}, False),
            ("default", CIRCLE, False),
            ("msgpack", CIRCLE, False),
        ],
    )
    async def test_kinds(self, serializer, answer, is_sent):
        """The serializer decides which answers can be sent."""
        sio = AsyncServer(async_mode="asgi", registry=Registry(), serializer=serializer)
        sio.on("work", lambda sid: answer)

        async with TestClient(sio) as client:
            answered = await (await client.connect()).call("work")

        assert is_sent == ("answer_error" not in str(answered))

    @pytest.mark.parametrize(("serializer", "is_sent"), [("default", True), ("msgpack", False)])
    async def test_declared(self, serializer, is_sent):
        """The serializer decides which answers of a declared type can be sent."""
        sio = AsyncServer(async_mode="asgi", registry=Registry(), serializer=serializer)

        @sio.event
        def work(sid: SocketID) -> int:
            return 1 << 64

        async with TestClient(sio) as client:
            answered = await (await client.connect()).call("work")

        assert is_sent == (1 << 64 == answered)

    @pytest.mark.parametrize("annotation", [None, list[Any]])
    async def test_answered(self, sio, journal, caplog, annotation):
        """An answer that cannot be sent fails the event before its services commit."""

        async def work(sid: SocketID, service: Inject[Work]):
            return [object()]

        if annotation is not None:
            work.__annotations__["return"] = annotation
        sio.on("work", work)

        with caplog.at_level(logging.ERROR, "wares"):
            async with serving(sio) as address, connected(address) as client:
                answer = await client.call("work")

        assert {"error": {"type": "answer_error", "event": "work"}} == answer
        assert ["open event", "event saw AnswerError", "close event"] == journal
        assert "The handler of 'work' returned a list that cannot be sent" in caplog.text

    async def test_exception_handler(self, sio, registry):
        """An exception handler may answer `AnswerError`, but not with data that cannot be sent."""
        sio = AsyncServer(async_mode="asgi", registry=registry)
        answers = [{"error": "mine"}, object()]

        @sio.exception_handler(AnswerError)
        def answer(error: AnswerError):
            assert error.answer is Note
            return answers.pop(0)

        @sio.event
        async def work(sid):
            return Note("no model")

        async with TestClient(sio) as client:
            connection = await client.connect()

            assert {"error": "mine"} == await connection.call("work")
            with pytest.raises(AnswerError):
                await connection.call("work")

    async def test_not_asked_for(self, sio, journal):
        """If a client waits for no answer, the handler may return anything."""

        @sio.event
        async def work(sid: SocketID, service: Inject[Work]):
            return object()

        async with serving(sio) as address, connected(address) as client:
            await client.emit("work")
            await until(lambda: "close event" in journal)

        assert ["open event", "close event"] == journal

    def test_synchronous_server(self, journal):
        """On a synchronous server, an answer that cannot be sent fails the event, too."""
        registry = Registry()
        register_both_sync(registry, journal)
        sio = Server(async_mode="threading", registry=registry)

        @sio.event
        def work(sid: SocketID, service: Inject[Work]):
            return {"note": Note("no model")}

        with TestClient(sio) as client:
            answer = client.connect().call("work")

        assert {"error": {"type": "answer_error", "event": "work"}} == answer
        registry.close()

    async def test_a_json_of_the_application(self, registry):
        """An answer that only the server's own encoder can write is sent as it writes it."""

        class Json:
            dumps = staticmethod(lambda data, **options: '["note"]')
            loads = staticmethod(__import__("json").loads)

        class Packet(socketio.packet.Packet):
            json = Json

        sio = init_app(socketio.AsyncServer(async_mode="asgi", serializer=Packet), registry)
        sio.on("work", lambda sid: Note("no model"))

        assert isinstance(await sio._trigger_event("work", "/", "sid"), Note)


class TestCommit:
    async def test_answered(self, registry):
        """An exception that a cleanup raises at the end reaches the exception handlers."""
        sio = AsyncServer(async_mode="asgi", registry=registry)
        seen = []

        def transaction():
            yield 5
            raise RuntimeError("cannot commit")

        registry.register_factory(int, transaction)

        @sio.exception_handler(Exception)
        async def answer(error: Exception, sid: SocketID, work: Inject[Work]):
            seen.append(error)
            return {"error": type(work).__name__}

        @sio.event
        async def work(number: Annotated[int, pydantic.Field(gt=0)], made: Inject[int]):
            return number

        async with TestClient(sio) as client:
            answered = await (await client.connect()).call("work", 1)

        assert {"error": "Event"} == answered
        assert 1 == len(seen)

    async def test_not_answered(self, registry):
        """If no exception handler answers the exception of a cleanup, the event fails."""
        sio = AsyncServer(async_mode="asgi", registry=registry)

        def transaction():
            yield 5
            raise RuntimeError("cannot commit")

        registry.register_factory(int, transaction)

        @sio.event
        async def work(made: Inject[int]):
            return made

        async with TestClient(sio) as client:
            connection = await client.connect()
            with pytest.raises(Exception, match=r"commit|Cleaning"):
                await connection.call("work")
