"""The validation of payloads and the serialisation of answers, with pydantic.

Only handlers that declare a payload need pydantic. Because its import takes long, the functions
that use it import it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from inspect import Parameter
from typing import Any

import socketio.exceptions
from socketio.packet import ACK

from wares._core.keys import MISSING
from wares.exceptions import WaresError
from wares.socketio._events import SocketEvent

#: The exceptions with which python-socketio refuses a client; they need no exception handler.
REFUSALS = (socketio.exceptions.ConnectionRefusedError, ConnectionRefusedError)
_BYTES = (bytes, bytearray, memoryview)


class PayloadError(WaresError, ValueError):
    """A payload does not match the parameters of its handler, which has not run.

    Attributes:
        event: The name of the event.
        detail: One entry for each problem, with its ``type``, its ``loc``, which begins with the
            name of the parameter, and its ``msg``.
    """

    def __init__(self, event: str, detail: Sequence[Mapping[str, Any]]) -> None:
        self.event = event
        self.detail = list(detail)
        super().__init__(event, self.detail)

    def __str__(self) -> str:
        problems = "; ".join(
            f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}" for problem in self.detail
        )
        return f"The payload of {self.event!r} is not what its handler declares: {problems}"

    def as_answer(self) -> dict[str, Any]:
        """Return the acknowledgement that the client gets if no exception handler answers."""
        return {
            "error": {"type": "validation_error", "event": self.event, "detail": self.detail}
        }


class AnswerError(WaresError, TypeError):
    """The return value of a handler cannot be sent; the cleanups of its services see this error.

    Attributes:
        event: The name of the event.
        answer: The type of the return value.
    """

    def __init__(self, event: str, answer: type) -> None:
        self.event = event
        self.answer = answer
        super().__init__(event, answer)

    def __str__(self) -> str:
        return (
            f"The handler of {self.event!r} returned a {self.answer.__qualname__} that cannot be "
            f"sent, or that contains something that cannot. Return JSON data, bytes or pydantic "
            f"models, or annotate the handler's return type, so that pydantic serialises it."
        )

    def as_answer(self) -> dict[str, Any]:
        """Return the acknowledgement that the client gets if no exception handler answers."""
        return {"error": {"type": "answer_error", "event": self.event}}


def find_adapter(annotation: Any) -> Any:
    """Make a `pydantic.TypeAdapter` for a type; return None if pydantic does not know the type."""
    try:
        from pydantic import TypeAdapter  # noqa: PLC0415  # see above
        from pydantic.errors import PydanticSchemaGenerationError  # noqa: PLC0415  # see above
    except ImportError:
        return None
    try:
        return None if annotation is Parameter.empty else TypeAdapter(annotation)
    except PydanticSchemaGenerationError:
        return None


def validate(adapter: Any, name: str, value: Any, problems: list[dict[str, Any]]) -> Any:
    """Convert an argument to the type of its parameter; add errors to *problems*."""
    from pydantic import ValidationError  # noqa: PLC0415  # see above

    try:
        # An argument that was not sent is None, if the type allows that.
        return adapter.validate_python(None if value is MISSING else value)
    except ValidationError as error:
        if value is MISSING:
            problems.append(missing(name))
            return MISSING
        found = error.errors(include_url=False, include_context=False, include_input=False)
        problems += [{**problem, "loc": [name, *problem["loc"]]} for problem in found]
        return MISSING


def missing(name: str) -> dict[str, Any]:
    """Describe an argument that was not sent."""
    return {"type": "missing", "loc": [name], "msg": "Field required"}


def write_answer(event: SocketEvent, result: Any, adapter: Any = None) -> Any:
    """Convert the return value of a handler to data that can be sent; a tuple stays a tuple.

    Raises:
        AnswerError: The value cannot be sent.
    """
    packet_class = event.server.packet_class
    try:
        if adapter is not None:
            written = _dump(result, adapter.dump_python)
        elif _can_be_sent(packet_class, result):
            return result
        else:
            written = _write(result, _write_model)
            written = tuple(written) if isinstance(result, tuple) else written
        if _can_be_sent(packet_class, written):
            return written
    except (TypeError, ValueError, RecursionError) as error:
        raise AnswerError(event.name, type(result)) from error
    raise AnswerError(event.name, type(result))


def _can_be_sent(packet_class: Any, result: Any) -> bool:
    """Encode an acknowledgement, to tell whether it can be sent."""
    data = list(result) if isinstance(result, tuple) else [result]
    try:
        encoded = packet_class(ACK, namespace="/", id=0, data=data).encode()
    except Exception:  # noqa: BLE001  # an encoder may raise anything
        return False
    # Servers accept bytes, but not bytearray or memoryview.
    frames = encoded if isinstance(encoded, list) else [encoded]
    return all(isinstance(frame, str | bytes) for frame in frames)


def _write(result: Any, write_item: Callable[[Any], Any]) -> Any:
    """Copy a structure: keep bytes, and convert everything else in it with *write_item*."""
    if isinstance(result, dict):
        keys = write_item(dict.fromkeys(result))
        values = [_write(item, write_item) for item in result.values()]
        return dict(zip(keys, values, strict=True))
    if isinstance(result, list | tuple):
        return [_write(item, write_item) for item in result]
    return bytes(result) if isinstance(result, _BYTES) else write_item(result)


def _write_model(item: Any) -> Any:
    return _dump(item, type(item).model_dump) if hasattr(type(item), "model_dump") else item


def _dump(result: Any, dump: Callable[..., Any]) -> Any:
    """Convert a value with *dump*, as for JSON, but keep bytes.

    Socket.IO can send bytes, but pydantic's JSON mode turns them into text. So a value that
    contains bytes is written in the Python mode; then everything in it that JSON lacks is
    converted, except for the bytes.
    """

    def dump_as(mode: str) -> Any:
        # pydantic's warning about a value of another type than declared would show the value.
        return dump(result, mode=mode, warnings=False)

    written = dump_as("python")
    holds_bytes = _holds_bytes(written)
    written = _write(written, _write_rest) if holds_bytes else dump_as("json")
    return tuple(written) if isinstance(result, tuple) else written


def _holds_bytes(written: Any) -> bool:
    if isinstance(written, dict):
        return any(map(_holds_bytes, written.values()))
    if isinstance(written, list | tuple | set | frozenset):
        return any(map(_holds_bytes, written))
    return isinstance(written, _BYTES)


def _write_rest(item: Any) -> Any:
    from pydantic_core import to_jsonable_python  # noqa: PLC0415  # see above

    is_set = isinstance(item, set | frozenset)
    return _write(list(item), _write_rest) if is_set else to_jsonable_python(item)
