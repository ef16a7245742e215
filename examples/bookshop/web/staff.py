"""The access of staff, who send a key."""

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
    """Refuse requests without the key of the staff.

    Args:
        settings: The settings of the shop, which contain the key.
        given: The key in the request.

    Raises:
        HTTPException: The key is wrong or missing.
    """
    if settings.staff_key is None:
        raise HTTPException(
            HTTPStatus.FORBIDDEN, "This shop has no staff key: set BOOKSHOP_STAFF_KEY."
        )
    expected = settings.staff_key.get_secret_value()
    if not compare_digest((given or "").encode(), expected.encode()):
        raise HTTPException(HTTPStatus.FORBIDDEN, "Only staff may do this: send X-Staff-Key.")
