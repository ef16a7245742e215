"""The text of an error as users see it, and the place of a factory."""

import inspect
import traceback
from pathlib import Path


def text_of(error: BaseException) -> str:
    """Return the message and the notes of *error*, as a traceback ends with them."""
    return "".join(traceback.format_exception_only(error))


def notes_of(error: BaseException) -> str:
    """Return the notes of *error* only."""
    return "\n".join(getattr(error, "__notes__", []))


def location_of(factory) -> str:
    """Return the `file:line` of the definition of *factory*, without the file's directories."""
    if inspect.isclass(factory):
        line = inspect.getsourcelines(factory)[1]
    else:
        line = factory.__code__.co_firstlineno
    return f"{Path(inspect.getsourcefile(factory)).name}:{line}"


def missing_parts(text: str, *parts: str) -> list[str]:
    """Return those *parts* that do not occur in *text*."""
    return [part for part in parts if part not in text]
