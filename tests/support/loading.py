"""Loads a module a second time, as if it began with `from __future__ import annotations`."""

import __future__

import sys
import types
from pathlib import Path


def load_in_strings(module: types.ModuleType) -> types.ModuleType:
    """Compile *module* anew, so that all its annotations are strings at run time."""
    copy = types.ModuleType(f"{module.__name__}_in_strings", module.__doc__)
    copy.__file__ = module.__file__
    sys.modules[copy.__name__] = copy
    code = compile(
        Path(module.__file__).read_text(encoding="utf-8"),
        module.__file__,
        "exec",
        flags=__future__.annotations.compiler_flag,
        dont_inherit=True,
    )
    exec(code, copy.__dict__)
    return copy
