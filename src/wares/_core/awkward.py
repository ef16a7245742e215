"""What an exception is and carries, asked past what its own class makes of that.

An exception may be frozen, and its attributes may raise. Claims are given up, and cleanups run,
whatever it is like.
"""

from __future__ import annotations

from typing import Any

_fields: Any = vars(BaseException)

get_traceback = _fields["__traceback__"].__get__
get_cause = _fields["__cause__"].__get__
get_context = _fields["__context__"].__get__
set_context = _fields["__context__"].__set__


def is_a(error: BaseException | None, *kinds: type[BaseException]) -> bool:
    """Tell whether *error* is of one of *kinds*; `isinstance` may ask the error itself."""
    return issubclass(type(error), kinds)
