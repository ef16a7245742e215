"""Loads a module a second time, with annotations that are evaluated in another way."""

import __future__

import sys
import types
from pathlib import Path

_IN_STRINGS = "from __future__ import annotations\n"


def load_in_strings(module: types.ModuleType) -> types.ModuleType:
    """Compile *module* again, so that all its annotations are strings at run time."""
    flag = __future__.annotations.compiler_flag
    return _load(module, f"{module.__name__}_in_strings", _read(module), flag)


def load_lazily(module: types.ModuleType) -> types.ModuleType:
    """Compile *module* again without its `from __future__ import annotations`.

    From Python 3.14 on, its annotations are then evaluated when they are read (PEP 649).
    """
    source = _read(module)
    assert _IN_STRINGS in source
    return _load(module, f"{module.__name__}_lazily", source.replace(_IN_STRINGS, "\n"), 0)


def load_source(path: Path, source: str) -> types.ModuleType:
    """Write a module to *path* and load it; its syntax may be too new for some Pythons."""
    path.write_text(source, encoding="utf-8")
    module = types.ModuleType(f"tests.support.{path.stem}")
    module.__file__ = str(path)
    return _load(module, module.__name__, source, 0)


def _read(module: types.ModuleType) -> str:
    return Path(module.__file__).read_text(encoding="utf-8")


def _load(module: types.ModuleType, name: str, source: str, flags: int) -> types.ModuleType:
    copy = types.ModuleType(name, module.__doc__)
    copy.__file__ = module.__file__
    copy.__package__ = module.__package__
    sys.modules[name] = copy
    code = compile(source, module.__file__, "exec", flags=flags, dont_inherit=True)
    exec(code, copy.__dict__)
    return copy
