"""The types of request fields, with limits that every database can store."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

BookId = Annotated[int, Field(ge=1, le=2**31 - 1)]

Quantity = Annotated[int, Field(ge=1, le=100)]

# One line of text, without control characters such as NUL, which PostgreSQL refuses.
Line = Annotated[
    str, StringConstraints(strip_whitespace=True, max_length=80, pattern=r"^[^\x00-\x1f\x7f]*$")
]
