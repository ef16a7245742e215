"""Tests of the AsyncAPI document of a server, and of the applications that serve it."""

import asyncio
import dataclasses
import json
import shutil
import sys
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import httpx
import jsonschema
import pydantic
import pytest
import socketio
from fastapi import FastAPI
from fastapi.responses import PlainTextResponse
from pydantic_core import core_schema

from tests.adapters.socketio.serving import serve
from wares import Inject, Registry
from wares.exceptions import InvalidRegistrationError, MissingExtraError
from wares.socketio import (
    AsyncAPIApp,
    AsyncAPIWSGIApp,
    AsyncServer,
    Auth,
    Data,
    RouterSIO,
    Server,
    SocketID,
    asyncapi,
)

SCHEMA = json.loads(
    (Path(__file__).parent / "asyncapi" / "schema-3.0.0.json").read_text("utf-8")
)


class Author(pydantic.BaseModel):
    name: str


class Message(pydantic.BaseModel):
    text: str
    author: Author


class Receipt(pydantic.BaseModel):
    number: int
    of: Message


@dataclasses.dataclass
class Settings:
    """A service that pydantic would know as well."""

    name: str


def check(document):
    """Validate a document by the official schema; every reference has to lead somewhere."""
    jsonschema.Draft7Validator(SCHEMA).validate(document)
    for reference in references_in(document):
        follow(document, {"$ref": reference})


def follow(document, reference):
    """Find what a reference leads to."""
    found: Any = document
    for key in reference["$ref"].removeprefix("#/").split("/"):
        found = found[key]
    return found


def references_in(thing):
    """Go through all references of a document."""
    if isinstance(thing, dict):
        if "$ref" in thing:
            yield thing["$ref"]
        for item in thing.values():
            yield from references_in(item)
    elif isinstance(thing, list):
        for item in thing:
            yield from references_in(item)


@pytest.fixture
def sio():
    """A server with handlers of every kind."""
    registry = Registry()
    registry.register_value(Settings, Settings("shop"))
    sio = AsyncServer(registry=registry, async_mode="asgi")

    @sio.event
    async def connect(sid: SocketID, auth: Auth):
        """Let everybody in."""

    @sio.event
    async def say(message: Message, settings: Inject[Settings], made: Inject[str]) -> Receipt:
        """Say something.

        To everybody who is here.
        """

    @sio.on("several")
    async def several(first: Message, number: int, anything, *rest): ...

    @sio.on("raw")
    async def raw(data: Data) -> None: ...

    @sio.on("model", response_model=list[Receipt])
    async def model(sid: SocketID): ...

    sio.on("plain", lambda sid, data: data)
    sio.on("*", lambda event, sid: None)

    router = RouterSIO("/shop/orders")

    @router.on("*", namespace="*")
    async def anything(event, namespace, sid, message: Message): ...

    @router.event
    async def order(numbers: list[int]) -> dict[str, int]: ...

    router.emits("news", Message)

    class Chat(socketio.AsyncNamespace):
        async def on_join(self, author: Author) -> int:
            """Join."""

    router.register_namespace(Chat("/chat"))
    sio.add_router(router)
    sio.emits("update", Receipt)
    return sio


def test_valid(sio):
    """The document is valid by the official schema, and its references resolve."""
    document = asyncapi(sio, title="Shop", version="1", description="Sells *things*.")

    check(document)
    assert {"title": "Shop", "version": "1", "description": "Sells *things*."} == document[
        "info"
    ]


def test_empty():
    """A server without handlers has a valid document, too."""
    check(asyncapi(Server(async_mode="threading"), title="Nothing", version="0"))


def test_synchronous_server():
    """A synchronous server is described just so, with its classes for namespaces."""

    class Chat(socketio.Namespace):
        def on_join(self, author: Author) -> int: ...

    sio = Server(async_mode="threading")

    @sio.event
    def say(message: Message) -> Receipt: ...

    sio.register_namespace(Chat("/chat"))
    document = asyncapi(sio, title="Shop", version="1")

    check(document)
    assert {"root.say.receive", "chat.join.receive"} == set(document["operations"])


def test_channels(sio):
    """Namespaces are channels."""
    channels = asyncapi(sio, title="Shop", version="1")["channels"]

    assert {
        "root": "/",
        "shop.orders": "/shop/orders",
        "any": "*",
        "chat": "/chat",
    } == {name: channel["address"] for name, channel in channels.items()}


def test_operations(sio):
    """Handlers are operations that receive, and declared events are operations that send."""
    operations = asyncapi(sio, title="Shop", version="1")["operations"]

    assert {
        "root.connect.receive",
        "root.say.receive",
        "root.several.receive",
        "root.raw.receive",
        "root.model.receive",
        "root.plain.receive",
        "root.any.receive",
        "shop.orders.order.receive",
        "any.any.receive",
        "chat.join.receive",
        "root.update.send",
        "shop.orders.news.send",
    } == set(operations)
    assert {
        "action": "receive",
        "channel": {"$ref": "#/channels/root"},
        "messages": [{"$ref": "#/channels/root/messages/say.receive"}],
        "reply": {
            "channel": {"$ref": "#/channels/root"},
            "messages": [{"$ref": "#/channels/root/messages/say.answer"}],
        },
    } == operations["root.say.receive"]
    assert "send" == operations["root.update.send"]["action"]


def test_ids_are_distinct(registry):
    """Namespaces and events have ids of their own, even if only their punctuation differs."""
    sio = Server(registry=registry, async_mode="threading")
    places = [(place, event) for place in ("*", "/any", "/", "/root") for event in ("*", "any")]
    places += [("/a/b", "c"), ("/a.b", "c"), ("/a", "b/c"), ("/a", "b.c"), ("/a", "b-2f-c")]
    for place, event in places:
        sio.on(event, lambda *_: 1, namespace=place)

    document = asyncapi(sio, title="Shop", version="1")

    check(document)
    found = [
        (
            follow(document, operation["channel"])["address"],
            follow(document, follow(document, *operation["messages"]))["name"],
        )
        for operation in document["operations"].values()
    ]
    assert sorted(places) == sorted(found)


def test_messages(sio):
    """Messages have the payload that is declared; services are no payload."""
    components = asyncapi(sio, title="Shop", version="1")["components"]
    messages = components["messages"]

    assert {
        "name": "say",
        "summary": "Say something.",
        "payload": {"$ref": "#/components/schemas/Message"},
    } == messages["root.say.receive"]
    assert {
        "type": "array",
        "items": [{"$ref": "#/components/schemas/Message"}, {"type": "integer"}, {}],
        "minItems": 3,
    } == messages["root.several.receive"]["payload"]
    assert {"name": "connect", "summary": "Let everybody in."} == messages[
        "root.connect.receive"
    ]
    assert "array" == messages["root.model.answer"]["payload"]["type"]
    assert "Join." == messages["chat.join.receive"]["summary"]
    assert {"Author", "Message", "Receipt"} == set(components["schemas"])


def test_optional_arguments():
    """Arguments that a client may leave out do not have to be there."""
    sio = AsyncServer(async_mode="asgi")

    @sio.event
    async def say(first: Message, second: Author | None, third: int = 5, fourth=None): ...

    document = asyncapi(sio, title="Shop", version="1")

    payload = document["components"]["messages"]["root.say.receive"]["payload"]
    assert (4, 1) == (len(payload["items"]), payload["minItems"])


def test_any_number_of_arguments():
    """Annotated ``*args`` describe all arguments that other parameters leave."""
    sio = AsyncServer(async_mode="asgi")

    @sio.event
    async def several(first: int, *rest: Message): ...

    @sio.event
    async def only(sid: SocketID, *messages: Message, late: int = 5): ...

    @sio.event
    async def untyped(first: int, *rest): ...

    document = asyncapi(sio, title="Shop", version="1")

    check(document)
    messages = document["components"]["messages"]
    message = {"$ref": "#/components/schemas/Message"}
    assert {
        "type": "array",
        "items": [{"type": "integer"}],
        "additionalItems": message,
        "minItems": 1,
    } == messages["root.several.receive"]["payload"]
    assert {"type": "array", "items": message} == messages["root.only.receive"]["payload"]
    assert {"type": "integer"} == messages["root.untyped.receive"]["payload"]


class Settled(pydantic.BaseModel, extra="allow"):
    """A model whose schema has more than one boolean in the place of a schema."""


class Pair(NamedTuple):
    left: int
    right: str


class Route:
    """A tuple of a name and any number of steps."""

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        items = [core_schema.str_schema(), core_schema.int_schema()]
        return core_schema.tuple_schema(items, variadic_item_index=1)


def test_tuples():
    """Tuples are written in the dialect of the document, Draft 07."""
    sio = AsyncServer(async_mode="asgi")

    @sio.event
    async def say(pair: Pair) -> tuple[int, Message]: ...

    @sio.event
    async def more(pairs: dict[str, list[Pair | tuple[int, ...]]]) -> Settled: ...

    @sio.event
    async def go(route: Route) -> None: ...

    document = asyncapi(sio, title="Shop", version="1")

    check(document)
    messages = document["components"]["messages"]
    assert [{"type": "integer"}, {"$ref": "#/components/schemas/Message"}] == messages[
        "root.say.answer"
    ]["payload"]["items"]
    assert 2 == len(document["components"]["schemas"]["Pair"]["items"])
    assert {
        "type": "array",
        "items": [{"type": "string"}],
        "additionalItems": {"type": "integer"},
        "minItems": 1,
    } == messages["root.go.receive"]["payload"]
    assert "prefixItems" not in json.dumps(document)


class Circle(pydantic.BaseModel):
    kind: Literal["circle"]


class Square(pydantic.BaseModel):
    kind: Literal["square"]


def test_unions():
    """A union whose members have a tag is written without OpenAPI's discriminator."""
    sio = AsyncServer(async_mode="asgi")

    @sio.event
    async def draw(shape: Annotated[Circle | Square, pydantic.Discriminator("kind")]): ...

    document = asyncapi(sio, title="Shop", version="1")

    check(document)
    members = [{"$ref": f"#/components/schemas/{name}"} for name in ("Circle", "Square")]
    assert {"oneOf": members} == document["components"]["messages"]["root.draw.receive"][
        "payload"
    ]


def test_names(sio):
    """Names that could not be keys are written in another way."""
    sio.on("say hello/now", lambda sid: None)

    document = asyncapi(sio, title="Shop", version="1")

    check(document)
    assert "root.say-20-hello.now.receive" in document["operations"]


def test_without_pydantic(monkeypatch):
    """Without pydantic, the document says which package to install."""
    monkeypatch.setitem(sys.modules, "pydantic", None)

    with pytest.raises(MissingExtraError, match="pydantic"):
        asyncapi(Server(async_mode="threading"), title="Nothing", version="0")


def test_not_initialised():
    """A server without `init_app` has no document."""
    with pytest.raises(InvalidRegistrationError):
        asyncapi(socketio.AsyncServer(), title="Shop", version="1")


async def test_mounted(sio):
    """The document is served where it is mounted, as JSON and a page."""
    app = FastAPI()
    app.mount("/docs/chat", AsyncAPIApp(sio, title="<Shop> & more", version="1"))
    document = asyncapi(sio, title="<Shop> & more", version="1")

    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(
        transport=transport, base_url="http://test/docs/chat"
    ) as client:
        answers = [await client.get(path) for path in ("/asyncapi.json", "/")]
        missing = await client.get("/other")
        wrong = await client.post("/asyncapi.json")
        head = await client.head("/asyncapi.json")

    assert document == answers[0].json()
    assert "<title>&lt;Shop&gt; &amp; more</title>" in answers[1].text
    assert [404, 405, 200] == [missing.status_code, wrong.status_code, head.status_code]
    assert "GET, HEAD" == wrong.headers["allow"]
    assert b"" == head.content
    assert len(answers[0].content) == int(head.headers["content-length"])
    # The hash of the file that `npm pack @asyncapi/web-component@2.6.5` brings.
    assert 'integrity="sha384-ok1YBWy2+' in answers[1].text


def test_wsgi(sio):
    """The WSGI application serves the document and the page."""
    app = AsyncAPIWSGIApp(sio, title="Shop", version="1", script_url='/"local".js')
    with httpx.Client(transport=httpx.WSGITransport(app), base_url="http://test") as client:
        page = client.get("/asyncapi.html")
        document = client.get("/asyncapi.json")
        head = client.head("/asyncapi.json")

    assert 'src="/&quot;local&quot;.js"' in page.text
    assert "integrity" not in page.text
    assert "Shop" == document.json()["info"]["title"]
    assert b"" == head.content


SCRIPT = """
customElements.define("asyncapi-component", class extends HTMLElement {
  async connectedCallback() {
    const answer = await fetch(this.getAttribute("schemaUrl"));
    this.textContent = "Drawn: " + (await answer.json()).info.title;
  }
});
"""


@pytest.mark.skipif(shutil.which("chromium") is None, reason="there is no Chromium here")
async def test_page_in_a_browser(sio, tmp_path):
    """A browser draws the page, also with a script from somewhere else."""
    app = FastAPI()
    app.mount("/docs", AsyncAPIApp(sio, title="Shop", version="1", script_url="/local.js"))

    @app.get("/local.js")
    async def local():
        return PlainTextResponse(SCRIPT, media_type="text/javascript")

    async with serve(app) as address:
        process = await asyncio.create_subprocess_exec(
            "chromium",
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            f"--user-data-dir={tmp_path}",
            "--virtual-time-budget=5000",
            "--dump-dom",
            f"{address}/docs/",
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
        async with asyncio.timeout(60):
            page, _ = await process.communicate()

    assert "Drawn: Shop" in page.decode()
