"""The AsyncAPI document of a server: its events, payloads and answers.

The document follows the AsyncAPI specification, version 3.0.0
(https://www.asyncapi.com/docs/reference/specification/v3.0.0).
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal

import attrs
import socketio

from wares._adapters.extras import needs_extra
from wares.socketio._dispatch import Dispatch
from wares.socketio._parameters import Parameter
from wares.socketio._payloads import find_adapter
from wares.socketio._servers import find_dispatch


@attrs.frozen(eq=False)
class _Message:
    """A message in one direction.

    Attributes:
        namespace: The namespace.
        event: The name of the event.
        direction: ``"receive"`` if the client sends it, ``"send"`` if the server emits it,
            ``"answer"`` if it acknowledges another message.
        arguments: The arguments of its payload.
        summary: The first line of the handler's docstring.
    """

    namespace: str
    event: str
    direction: Literal["receive", "send", "answer"]
    arguments: Sequence[Parameter]
    summary: str = ""

    def list_schemas(self) -> list[tuple[Any, Any]]:
        """List, for each argument, its `pydantic.TypeAdapter`, and which of its schemas counts."""
        mode = "validation" if self.direction == "receive" else "serialization"
        return [(argument.adapter, mode) for argument in self.arguments]


def asyncapi(
    sio: socketio.AsyncServer | socketio.Server,
    *,
    title: str,
    version: str,
    description: str | None = None,
) -> dict[str, Any]:
    """Describe the events of a server in an AsyncAPI document.

    Each namespace is a channel. Each handler is an operation that receives a message and, if its
    return type is known, answers with another one. Each event that ``emits`` has declared is an
    operation that sends a message.

    The payload of a message is the schema of its argument, or an array of several arguments. All
    arguments that an annotated ``*args`` takes have the same schema.

    Args:
        sio: The server, after `init_app`.
        title: The title of the document.
        version: The version of the application.
        description: A description of the application, in CommonMark.

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
    return {
        "asyncapi": "3.0.0",
        "info": info,
        "defaultContentType": "application/json",
        **_write(list(_read_messages(dispatch))),
    }


def _read_messages(dispatch: Dispatch) -> Iterator[_Message]:
    for made in dispatch.handlers.values():
        namespace, event = made.handler.place.namespace, made.handler.place.event
        arguments = [*_find_arguments(made.handler.parameters)]
        summary = (inspect.getdoc(made.handler.function) or "").partition("\n")[0]
        yield _Message(namespace, event, "receive", arguments, summary)
        if made.adapter is not None:
            yield _Message(namespace, event, "answer", [_as_argument(made.adapter)])
    for (namespace, event), model in dispatch.emitted.items():
        yield _Message(namespace, event, "send", [_as_argument(find_adapter(model))])


def _find_arguments(parameters: Iterable[Parameter]) -> Iterator[Parameter]:
    """Find the parameters that take arguments of the payload, except for an untyped ``*args``."""
    for parameter in parameters:
        if parameter.fact is None and (parameter.adapter is not None or not parameter.is_rest):
            yield parameter
        if parameter.is_rest:
            # No argument is left for the parameters that follow.
            return


def _as_argument(adapter: Any) -> Parameter:
    return Parameter("", inspect.Parameter.POSITIONAL_ONLY, adapter=adapter)


def _write(messages: Sequence[_Message]) -> dict[str, Any]:
    schemas, definitions = _write_schemas(messages)
    channels: dict[str, Any] = {}
    operations: dict[str, Any] = {}
    written: dict[str, Any] = {}
    namespaces: dict[str, object] = {}
    events: dict[str, object] = {}
    for message in messages:
        place = message.namespace, message.event
        channel = _as_id(message.namespace.strip("/") or "root")
        channel = _make_unique(channel, namespaces, message.namespace)
        event = _make_unique(f"{channel}.{_as_id(message.event)}", events, place)
        name = f"{event.removeprefix(f'{channel}.')}.{message.direction}"
        within = channels.setdefault(channel, {"address": message.namespace, "messages": {}})
        within["messages"][name] = {"$ref": f"#/components/messages/{channel}.{name}"}
        written[f"{channel}.{name}"] = _write_message(message, schemas)
        references = {
            "channel": {"$ref": f"#/channels/{channel}"},
            "messages": [{"$ref": f"#/channels/{channel}/messages/{name}"}],
        }
        if message.direction == "answer":
            operations[f"{event}.receive"]["reply"] = references
        else:
            operations[f"{channel}.{name}"] = {"action": message.direction, **references}
    components = {"messages": written, "schemas": definitions}
    return {"channels": channels, "operations": operations, "components": components}


def _write_message(message: _Message, schemas: Mapping[Any, Any]) -> dict[str, Any]:
    written: dict[str, Any] = {"name": message.event}
    if message.summary:
        written["summary"] = message.summary
    items = [schemas.get(schema, {}) for schema in message.list_schemas()]
    if len(items) == 1:
        written["payload"] = items[0]
    elif items:
        has_rest = message.arguments[-1].is_rest
        rest = {"additionalItems": items.pop()["items"]} if has_rest else {}
        least = sum(not argument.is_optional for argument in message.arguments)
        written["payload"] = {"type": "array", "items": items, "minItems": least, **rest}
    return written


def _write_schemas(messages: Iterable[_Message]) -> tuple[Mapping[Any, Any], Mapping[str, Any]]:
    """Write the schemas of the arguments of messages, and the schemas to which they refer."""
    with needs_extra("asyncapi()", "pydantic"):
        from pydantic import TypeAdapter  # noqa: PLC0415  # only the document needs it
        from pydantic.json_schema import GenerateJsonSchema  # noqa: PLC0415  # see above

    class Draft07(GenerateJsonSchema):
        """Writes JSON Schema Draft 07 (https://json-schema.org/draft-07), as AsyncAPI needs."""

        def build_schema_type_to_method(self) -> dict[Any, Any]:
            methods: dict[Any, Any] = super().build_schema_type_to_method()
            return {kind: _in_draft_07(method) for kind, method in methods.items()}

    listed = [schema for message in messages for schema in message.list_schemas()]
    schemas, rest = TypeAdapter.json_schemas(
        [(adapter, mode, adapter) for adapter, mode in listed if adapter is not None],
        ref_template="#/components/schemas/{model}",
        schema_generator=Draft07,
    )
    return schemas, rest.get("$defs", {})


def _in_draft_07(write: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    """Wrap a method of pydantic's writer, which writes the Draft 2020-12 of JSON Schema."""

    def write_in_draft_07(schema: Any) -> dict[str, Any]:
        written = write(schema)
        # AsyncAPI has no discriminators like this, which only repeat what the members say.
        written.pop("discriminator", None)
        if "prefixItems" in written:
            names = {"prefixItems": "items", "items": "additionalItems"}
            return {names.get(key, key): value for key, value in written.items()}
        return written

    return write_in_draft_07


def _as_id(name: str) -> str:
    """Convert a name to a valid key of the document."""
    if name == "*":
        return "any"
    return re.sub(
        r"[^\w.-]", lambda found: f"-{ord(found[0]):x}-", name.replace("/", "."), flags=re.ASCII
    )


def _make_unique(name: str, taken: dict[str, object], owner: object) -> str:
    """Return *name*, with a number if another owner has *taken* it."""
    number, unique = 1, name
    while taken.setdefault(unique, owner) != owner:
        number += 1
        unique = f"{name}-{number}"
    return unique
