"""From what a client sent to what a handler declares, and back, by pydantic.

This module knows types, their validation, and what can be sent. pydantic is imported only where a
payload is declared: it takes long, and plain handlers need none of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from inspect import Parameter
from types import NoneType
from typing import Any

from socketio.packet import ACK

from wares._core.keys import MISSING
from wares.exceptions import WaresError

_BYTES = (bytes, bytearray, memoryview)

#: What every kind of packet can carry, whatever the value.
_SCALARS = frozenset({NoneType, bool, float, bytes})


class PayloadError(WaresError, ValueError):
    """What a client sent is not what the handler declares; the handler has not run.

    Attributes:
        event: The name of the event.
        detail: One entry for each problem: its ``type``, its ``loc``, which begins with the name
            of the parameter, and its ``msg``.
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
        """Give what the client is answered, unless an exception handler answers otherwise."""
        return {
            "error": {"type": "validation_error", "event": self.event, "detail": self.detail}
        }


class AnswerError(WaresError, TypeError):
    """What a handler has returned cannot be sent; its services have seen this error.

    Attributes:
        event: The name of the event.
        answer: The type of what was returned.
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
        """Give what the client is answered, unless an exception handler answers otherwise."""
        return {"error": {"type": "answer_error", "event": self.event}}


def find_adapter(annotation: Any) -> Any:
    """Make what validates values of a type, or None if pydantic does not know such values."""
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
    """Turn an argument into what is declared, or note what is wrong with it."""
    from pydantic import ValidationError  # noqa: PLC0415  # see above

    try:
        # What was not sent is None, where the type allows that.
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


def write_answer(packet_class: Any, event: str, adapter: Any, result: Any) -> Any:
    """Turn what a handler has returned into what can be sent; several values stay several."""
    try:
        if adapter is not None:
            return _dump(result, adapter.dump_python)
        if _can_be_sent(packet_class, result):
            return result
        written = _write(result, _write_model)
        written = tuple(written) if isinstance(result, tuple) else written
        if _can_be_sent(packet_class, written):
            return written
    except (TypeError, ValueError, RecursionError) as error:
        raise AnswerError(event, type(result)) from error
    raise AnswerError(event, type(result))


def _can_be_sent(packet_class: Any, result: Any) -> bool:
    """Tell whether an acknowledgement can be sent; encode it, if its types do not tell."""
    data = list(result) if isinstance(result, tuple) else [result]
    if all(map(_is_known, data)):
        return True
    try:
        encoded = packet_class(ACK, namespace="/", id=0, data=data).encode()
    except Exception:  # noqa: BLE001  # whatever an encoder raises
        return False
    # Servers take bytes, and nothing that is merely like them.
    frames = encoded if isinstance(encoded, list) else [encoded]
    return all(isinstance(frame, str | bytes) for frame in frames)


def _is_known(result: Any) -> bool:
    """Tell whether something consists of what every kind of packet can carry."""
    kind: Any = type(result)
    if kind in _SCALARS:
        return True
    if kind is str:
        return bool(result.isascii())  # msgpack has no surrogates
    if kind is dict:
        are_names = all(type(key) is str and key.isascii() for key in result)
        return are_names and all(map(_is_known, result.values()))
    if kind is list:  # python-socketio does not look for bytes in a tuple within something else
        return all(map(_is_known, result))
    return kind is int and -(1 << 63) <= result < 1 << 64  # as msgpack has it


def _write(result: Any, write_item: Callable[[Any], Any]) -> Any:
    """Write a structure: bytes as they are, and what is neither by *write_item*."""
    if isinstance(result, dict):
        keys = write_item(dict.fromkeys(result))
        values = [_write(item, write_item) for item in result.values()]
        return dict(zip(keys, values, strict=True))
    if isinstance(result, list | tuple):
        return [_write(item, write_item) for item in result]
    return bytes(result) if isinstance(result, _BYTES) else write_item(result)


def _write_model(item: Any) -> Any:
    return _dump(item, type(item).model_dump) if hasattr(item, "model_dump") else item


def _dump(result: Any, dump: Callable[..., Any]) -> Any:
    """Write something by its type: as JSON has it, but with bytes as they are.

    Socket.IO sends bytes, and pydantic's JSON does not: what holds bytes is therefore written in
    pydantic's other mode, and then whatever JSON does not have.
    """

    def dump_as(mode: str) -> Any:
        # A warning about something of another type than is declared would show its value.
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
