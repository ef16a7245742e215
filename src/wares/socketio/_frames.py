"""Where a handler is being registered: annotations may use the names of that place.

This module knows the call stack. It must not know what is registered.
"""

from __future__ import annotations

import sys
import types


def find_frame() -> types.FrameType | None:
    """Find the function in which a handler is being registered, behind all that helps with it.

    Returns:
        Its frame, or None where a module itself registers: its names are known anyway.
    """
    frame: types.FrameType | None = sys._getframe(1)
    while frame is not None and _is_helper(frame.f_globals.get("__name__", "")):
        frame = frame.f_back
    is_module = frame is None or frame.f_code.co_name == "<module>"
    return None if is_module else frame


def _is_helper(module: str) -> bool:
    return module.partition(".")[0] == "socketio" or module.startswith("wares.socketio")
