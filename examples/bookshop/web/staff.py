"""Lets only the staff pass, by the key that they send."""

from __future__ import annotations

from http import HTTPStatus
from secrets import compare_digest
from typing import Annotated

from fastapi import Depends, HTTPException
from fastapi.security import APIKeyHeader

from wares import Inject

from ..settings import Settings

_staff_key = APIKeyHeader(name="X-Staff-Key", auto_error=False)


def require_staff(
    settings: Inject[Settings], given: Annotated[str | None, Depends(_staff_key)]
) -> None:
    """Let only the staff pass.

    Args:
        settings: The shop's settings, which hold the key.
        given: The key that came with the request.

    Raises:
        HTTPException: It is not the right one, or there is none.
    """
    if settings.staff_key is None:
        raise HTTPException(
            HTTPStatus.FORBIDDEN, "This shop has no staff key: set BOOKSHOP_STAFF_KEY."
        )
    expected = settings.staff_key.get_secret_value()
    if not compare_digest((given or "").encode(), expected.encode()):
        raise HTTPException(HTTPStatus.FORBIDDEN, "Only staff may do this: send X-Staff-Key.")
