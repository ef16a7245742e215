"""Reading exceptions without running code of their classes.

An exception class may be frozen, or define attributes that raise errors. Claims must be given up
and cleanups must run all the same.
"""

from __future__ import annotations

from typing import Any

_fields: Any = vars(BaseException)

get_traceback = _fields["__traceback__"].__get__
get_cause = _fields["__cause__"].__get__
get_context = _fields["__context__"].__get__
set_context = _fields["__context__"].__set__


def is_a(error: BaseException | None, *kinds: type[BaseException]) -> bool:
    """Return whether *error* is of one of *kinds*; `isinstance` could run code of its class."""
    return issubclass(type(error), kinds)
