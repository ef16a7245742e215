"""From what a client sent to what a handler declares, by pydantic.

This module knows types and their validation. It must not know handlers, events or containers.
pydantic is imported only where a payload is declared: it takes long, and plain handlers need
none of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from wares._core.keys import MISSING
from wares.exceptions import WaresError


class PayloadError(WaresError, ValueError):
    """What a client sent is not what the handler declares; the handler has not run.

    Attributes:
        event: The name of the event.
        detail: One entry for each problem: its ``type``, its ``loc``, which begins with the name
            of the parameter, and its ``msg``; with the ``input`` if that was asked for.
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


@attrs.frozen(eq=False)
class Payload:
    """One argument of an event, as it is declared.

    Attributes:
        name: The name of the parameter.
        adapter: What validates it.
        default: What stands for an argument that was not sent, or `MISSING`.
    """

    name: str
    adapter: Any
    default: Any = MISSING

    def validate(self, value: Any, problems: list[dict[str, Any]], *, shows_input: bool) -> Any:
        """Turn what was sent into what is declared.

        Args:
            value: The argument, or `MISSING` if it was not sent.
            problems: Where what is wrong with it is noted.
            shows_input: Whether what was sent is noted as well.
        """
        from pydantic import ValidationError  # noqa: PLC0415  # see above

        if value is MISSING and self.default is not MISSING:
            return self.default
        try:
            return self.adapter.validate_python(None if value is MISSING else value)
        except ValidationError as error:
            if value is MISSING:
                problems.append(
                    {"type": "missing", "loc": [self.name], "msg": "Field required"}
                )
                return MISSING
            problems += [
                {**problem, "loc": [self.name, *problem["loc"]]}
                for problem in error.errors(
                    include_url=False, include_context=False, include_input=shows_input
                )
            ]
            return MISSING


def find_adapter(annotation: Any) -> Any:
    """Make what validates values of a type, or None if pydantic does not know such values.

    Raises:
        pydantic.errors.PydanticUserError: pydantic knows it, but it is not written properly.
    """
    try:
        from pydantic import TypeAdapter  # noqa: PLC0415  # see above
        from pydantic.errors import PydanticSchemaGenerationError  # noqa: PLC0415  # see above
    except ImportError:  # pragma: no cover  # the tests have pydantic
        return None
    try:
        return TypeAdapter(annotation)
    except PydanticSchemaGenerationError:
        return None


def dump(adapter: Any, result: Any) -> Any:
    """Turn what a handler returned into what can be sent; several values stay several.

    Args:
        adapter: What knows the type, or None: then a model of pydantic knows it itself.
        result: What the handler returned.
    """
    if adapter is None:
        return result.model_dump(mode="json") if hasattr(result, "model_dump") else result
    dumped = adapter.dump_python(result, mode="json")
    return tuple(dumped) if isinstance(result, tuple) else dumped
