"""Reading off the stack which recipes led to the service that is being made.

For each line of a maker it is known which recipes led there. So the frames of the makers, running
and suspended ones, show the whole path, and nothing has to be noted unless something fails.
"""

from __future__ import annotations

import sys
import types
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from wares._core.recipes import Recipe

#: Recipes, beginning with the one that was asked for first.
Path: TypeAlias = "list[Recipe]"

#: The recipes that led to each line of a maker, as indices into the `recipes` of its frame.
Chains: TypeAlias = Mapping[int, tuple[int, ...]]

#: The chains by the file name of the maker; makers with the same source share a file name.
_chains: dict[str, Chains] = {}


def remember_chains(file_name: str, chains: Chains) -> None:
    """Remember which recipes led to each line of a maker."""
    _chains[file_name] = chains


def find_claims_on_the_stack() -> Iterator[Any]:
    """Yield the claims of the makers that run on this stack, the innermost first."""
    return (frame.f_locals["claim"] for frame in _find_frames() if "claim" in frame.f_locals)


def read_path(claims: list[Any], traceback: types.TracebackType | None) -> Path:
    """Read the path from this stack, from suspended makers, and from a traceback.

    Args:
        claims: The claims of the context, the innermost first. Their makers may be suspended in
            other tasks.
        traceback: The traceback of an exception that was raised below this stack, if any.
    """
    frames = list(_find_frames())
    path = [recipe for frame in reversed(frames) for recipe in _read(frame, frame.f_lineno)]
    while traceback is not None:
        path += _read(traceback.tb_frame, traceback.tb_lineno)
        traceback = traceback.tb_next
    on_this_stack = {frame.f_locals.get("claim") for frame in frames}
    for claim in claims:
        if claim.coroutine is not None and claim not in on_this_stack:
            path = [*_read_suspended(claim.coroutine), *path]
    return path


def _find_frames() -> Iterator[types.FrameType]:
    frame: types.FrameType | None = sys._getframe(1)
    while frame is not None:
        if frame.f_code.co_filename in _chains:
            yield frame
        frame = frame.f_back


def _read(frame: types.FrameType, line: int) -> Path:
    chain = _chains.get(frame.f_code.co_filename, {}).get(line, ())
    recipes = frame.f_locals["recipes"] if chain else ()
    return [recipes[index] for index in chain]


def _read_suspended(awaitable: Any) -> Path:
    """Read the path of a suspended maker, from the coroutines that it awaits."""
    path: Path = []
    while isinstance(awaitable, types.CoroutineType):
        frame = awaitable.cr_frame
        # The coroutine may have ended meanwhile, in another thread.
        path += [] if frame is None else _read(frame, frame.f_lineno)
        awaitable = awaitable.cr_await
    return path
