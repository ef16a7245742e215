"""The AsyncAPI document of a server: its events, payloads and answers.

The document follows the AsyncAPI specification, version 3.0.0
(https://www.asyncapi.com/docs/reference/specification/v3.0.0).
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Hashable, Iterator, Sequence
from typing import Any, Literal

import attrs
import socketio

from wares._core.container import Registry
from wares._core.keys import MISSING
from wares.exceptions import MissingExtraError
from wares.socketio._dispatch import Dispatch
from wares.socketio._parameters import Parameter
from wares.socketio._payloads import find_adapter
from wares.socketio._servers import find_dispatch

#: The keys of a pydantic schema under which there are other schemas.
_SCHEMAS_IN = frozenset(
    {"items", "prefixItems", "additionalProperties", "anyOf", "oneOf", "allOf", "not"}
)


@attrs.frozen(eq=False)
class _Message:
    """A message in one direction.

    Attributes:
        namespace: The namespace.
        name: The name of the event.
        direction: ``"receive"`` if the client sends it, ``"send"`` if the server emits it,
            ``"answer"`` if it acknowledges another message.
        adapters: The pydantic adapters of its arguments; None stands for any type.
        required: How many of the arguments must be sent.
        summary: The first line of the handler's docstring.
    """

    namespace: str
    name: str
    direction: Literal["receive", "send", "answer"]
    adapters: Sequence[Any]
    required: int = 0
    summary: str = ""

    @property
    def channel(self) -> str:
        """The id of the channel, which describes the namespace."""
        return _as_id(self.namespace.strip("/") or "root")

    @property
    def id(self) -> str:
        """The id of the message within the channel."""
        return f"{_as_id(self.name)}.{self.direction}"


def asyncapi(
    sio: socketio.AsyncServer | socketio.Server,
    *,
    title: str,
    version: str,
    description: str | None = None,
    registry: Registry | None = None,
) -> dict[str, Any]:
    """Describe the events of a server in an AsyncAPI document.

    Each namespace is a channel. Each handler is an operation that receives a message and, if its
    return type is known, answers with another one. Each event that ``emits`` has declared is an
    operation that sends a message.

    Args:
        sio: The server, after `init_app`.
        title: The title of the document.
        version: The version of the application.
        description: A description of the application, in CommonMark.
        registry: The registry, which tells services from payloads; by default the one with which
            the server was initialised, or else the default registry.

    Returns:
        The document: AsyncAPI 3.0.0.

    Raises:
        InvalidRegistrationError: The server has not been initialised.
        MissingExtraError: pydantic is not installed.
    """
    dispatch = find_dispatch(sio)
    info = {"title": title, "version": version}
    if description is not None:
        info["description"] = description
    messages = list(_read_messages(dispatch, registry or dispatch.registry))
    return {
        "asyncapi": "3.0.0",
        "info": info,
        "defaultContentType": "application/json",
        **_write(messages),
    }


def _read_messages(dispatch: Dispatch, registry: Registry) -> Iterator[_Message]:
    for made in dispatch.handlers.values():
        place = made.handler.place
        parameters = [
            parameter
            for parameter in made.handler.parameters
            if _is_payload(parameter, registry)
        ]
        yield _Message(
            place.namespace,
            place.event,
            "receive",
            [parameter.adapter for parameter in parameters],
            sum(not parameter.is_optional for parameter in parameters),
            (inspect.getdoc(made.handler.function) or "").partition("\n")[0],
        )
        adapter = find_adapter(made.response)
        if adapter is not None:
            yield _Message(place.namespace, place.event, "answer", [adapter])
    for (namespace, event), model in dispatch.emitted.items():
        yield _Message(namespace, event, "send", [find_adapter(model)])


def _is_payload(parameter: Parameter, registry: Registry) -> bool:
    is_service = parameter.key is not MISSING and parameter.key in registry
    return parameter.is_argument and not is_service


def _write(messages: Sequence[_Message]) -> dict[str, Any]:
    schemas, definitions = _write_schemas(messages)
    channels: dict[str, Any] = {}
    operations: dict[str, Any] = {}
    written: dict[str, Any] = {}
    for number, message in enumerate(messages):
        channel, name = message.channel, f"{message.channel}.{message.id}"
        within = channels.setdefault(channel, {"address": message.namespace, "messages": {}})
        within["messages"][message.id] = {"$ref": f"#/components/messages/{name}"}
        written[name] = _write_message(message, schemas[number])
        references = {
            "channel": {"$ref": f"#/channels/{channel}"},
            "messages": [{"$ref": f"#/channels/{channel}/messages/{message.id}"}],
        }
        if message.direction == "answer":
            operations[f"{channel}.{_as_id(message.name)}.receive"]["reply"] = references
        else:
            operations[name] = {"action": message.direction, **references}
    components = {"messages": written, "schemas": definitions}
    return {"channels": channels, "operations": operations, "components": components}


def _write_message(message: _Message, schemas: list[Any]) -> dict[str, Any]:
    written: dict[str, Any] = {"name": message.name}
    if message.summary:
        written["summary"] = message.summary
    if len(schemas) == 1:
        written["payload"] = schemas[0]
    elif schemas:
        least = message.required
        written["payload"] = {"type": "array", "items": schemas, "minItems": least}
    return written


def _write_schemas(
    messages: Sequence[_Message],
) -> tuple[list[list[Any]], dict[str, Any]]:
    """Write the schemas of all messages' arguments, and the schemas to which they refer."""
    try:
        from pydantic import TypeAdapter  # noqa: PLC0415  # only the document needs it
    except ImportError:
        raise MissingExtraError("asyncapi()", "pydantic") from None
    inputs: list[tuple[Hashable, Any, Any]] = [
        (
            (number, position),
            "validation" if message.direction == "receive" else "serialization",
            adapter,
        )
        for number, message in enumerate(messages)
        for position, adapter in enumerate(message.adapters)
        if adapter is not None
    ]
    written, rest = TypeAdapter.json_schemas(
        inputs, ref_template="#/components/schemas/{model}"
    )
    by_place = {place: _as_draft_07(schema) for (place, _), schema in written.items()}
    schemas: list[list[Any]] = [
        [by_place.get((number, position), {}) for position in range(len(message.adapters))]
        for number, message in enumerate(messages)
    ]
    definitions = rest.get("$defs", {})
    return schemas, {name: _as_draft_07(schema) for name, schema in definitions.items()}


def _as_draft_07(schema: Any) -> Any:
    """Convert tuples to JSON Schema Draft 07 (https://json-schema.org/draft-07), as AsyncAPI needs.

    In Draft 07, the schema of a tuple has a list as ``items``; pydantic writes ``prefixItems``.
    """
    if isinstance(schema, list):
        return [_as_draft_07(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    written = dict(schema)
    for key in _SCHEMAS_IN.intersection(schema):
        written[key] = _as_draft_07(schema[key])
    if "properties" in schema:
        properties = schema["properties"].items()
        written["properties"] = {name: _as_draft_07(item) for name, item in properties}
    if "prefixItems" in written:
        # pydantic never writes both: a tuple has either a length or items of one type.
        written["items"] = written.pop("prefixItems")
    return written


def _as_id(name: str) -> str:
    """Convert a name to a valid key of the document."""
    if name == "*":
        return "any"
    return re.sub(
        r"[^\w.-]", lambda found: f"-{ord(found[0]):x}-", name.replace("/", "."), flags=re.ASCII
    )
