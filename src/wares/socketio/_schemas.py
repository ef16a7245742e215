"""The schemas of payloads, in the dialect that an AsyncAPI document has by default.

This module knows what JSON Schema Draft 07 (https://json-schema.org/draft-07) lacks of what
pydantic writes. It must not know events.
"""

from __future__ import annotations

from typing import Any

from pydantic.json_schema import GenerateJsonSchema


class Draft07(GenerateJsonSchema):
    """Writes tuples as Draft 07 does, where ``items`` is a list and ``prefixItems`` is unknown."""

    def generate_inner(self, schema: Any) -> dict[str, Any]:
        """Write the schema of one type, and of what it consists of."""
        written = super().generate_inner(schema)
        if "prefixItems" in written:
            if "items" in written:
                written["additionalItems"] = written["items"]
            written["items"] = written.pop("prefixItems")
        return written
