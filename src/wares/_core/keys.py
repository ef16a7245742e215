"""Keys: what a service is registered under and asked for by, and how a key is printed."""

from __future__ import annotations

import types
import typing
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Any


class Missing:
    """The type of `MISSING`."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "MISSING"


#: Stands for a missing object, where `None` is an object like any other.
MISSING: Any = Missing()


#: The classes of ``A | B``, as `typing.get_origin` returns them.
UNIONS = (typing.Union, types.UnionType)


def is_hashable(key: object) -> bool:
    """Return whether *key* can be a key at all."""
    try:
        hash(key)
    except TypeError:
        return False
    return True


#: The modules that define the types of plain values.
_PLAIN_MODULES = ("builtins", "datetime", "decimal", "pathlib", "uuid")


def is_plain(key: object) -> bool:
    """Return whether *key* is a type of plain values, such as `str`, rather than of services."""
    arguments = typing.get_args(key)
    origin = typing.get_origin(key)
    if origin is typing.Annotated:
        return is_plain(arguments[0])
    if origin in UNIONS:
        return all(map(is_plain, arguments))
    if origin is typing.Literal or key in (typing.Any, types.NoneType):
        return True
    if origin is not None:
        return is_plain(origin) and all(map(is_plain, arguments))
    return isinstance(key, type) and key.__module__.partition(".")[0] in _PLAIN_MODULES


def is_instance(key: object) -> bool:
    """Return whether *key* is a plain object: no class, no callable, and without its own `repr`."""
    kind = type(key)
    return kind.__repr__ is object.__repr__ and not isinstance(key, type) and not callable(key)


def describe(key: object) -> str:
    """Return *key* as it is written in a program, without its module."""
    try:
        return _describe(key)
    except Exception:  # noqa: BLE001  # the attributes of a key may raise anything
        return f"<{type(key).__qualname__}>"


def _describe(key: object) -> str:
    if isinstance(key, str):
        return repr(key)
    if key is types.NoneType:
        return "None"
    if _is_alias(key):
        return _describe_alias(key, describe)
    name = getattr(key, "__qualname__", None) or getattr(key, "__name__", None)
    if isinstance(name, str):
        return name.rpartition("<locals>.")[2]
    return _show(key) if is_hashable(key) else _name_type(key)


def _show(thing: object) -> str:
    """Return the `repr` of *thing*, or the name of its class if it has no useful one."""
    if type(thing).__repr__ is object.__repr__:
        # It would contain an address, which differs each time.
        return _name_type(thing)
    try:
        return repr(thing)
    except Exception:  # noqa: BLE001  # a message must not fail, whatever `repr` raises
        return _name_type(thing)


def _name_type(thing: object) -> str:
    return f"<{type(thing).__qualname__}>"


def _is_alias(key: object) -> bool:
    return isinstance(key, types.GenericAlias) or typing.get_origin(key) is not None


def _describe_alias(key: Any, name: Callable[[object], str]) -> str:
    """Return an alias as it is written in a program, with the names that *name* gives."""
    origin = typing.get_origin(key)
    arguments = typing.get_args(key)
    if origin is typing.Annotated:
        # An adapter makes such keys itself; they carry the name that the user has written.
        names = [getattr(extra, "__wares_name__", None) for extra in arguments[1:]]
        if isinstance(names[0], str):
            return names[0]
        inner = [name(arguments[0]), *map(_show, arguments[1:])]
        return f"Annotated[{', '.join(inner)}]"
    if origin in UNIONS:
        return " | ".join(map(name, arguments))
    inner = [_describe_argument(argument, name) for argument in arguments]
    return f"{name(origin)}[{', '.join(inner)}]"


def _describe_argument(argument: Any, name: Callable[[object], str]) -> str:
    if isinstance(argument, list):
        return f"[{', '.join([_describe_argument(each, name) for each in argument])}]"
    if isinstance(argument, type) or typing.get_origin(argument) is not None:
        return name(argument)
    return "..." if argument is ... else repr(argument)


def describe_path(path: Iterable[Hashable]) -> str:
    """Return the keys of *path*, separated by arrows."""
    return " -> ".join(map(describe, path))


def describe_fully(key: object) -> str:
    """Return *key* as `describe` does, with the modules of its classes."""
    if _is_alias(key):
        return _describe_alias(key, describe_fully)
    module = getattr(key, "__module__", None)
    has_module = isinstance(module, str) and module != "builtins"
    return f"{module}.{describe(key)}" if has_module else describe(key)


def name_uniquely(keys: Iterable[Hashable]) -> dict[Hashable, str]:
    """Name each of *keys*: with its module if others are called the same, else with a number."""
    short = {key: describe(key) for key in keys}
    counts = Counter(short.values())
    names: dict[Hashable, str] = {}
    taken: set[str] = set()
    for key, name in short.items():
        full = unique = name if counts[name] == 1 else describe_fully(key)
        number = 1
        while unique in taken:
            number += 1
            unique = f"{full} ({number})"
        taken.add(unique)
        names[key] = unique
    return names


def find_nearest(key: Hashable, keys: Iterable[Hashable]) -> Sequence[str]:
    """Return the names of at most three keys like *key*, with modules if the names are the same."""
    import difflib  # noqa: PLC0415  # only an error needs it, and importing it takes long

    keys = list(keys)
    same = [describe_fully(other) for other in keys if describe(other) == describe(key)]
    if same:
        return same[:3]
    names = {describe(candidate): None for candidate in keys}
    folded = {name.casefold(): name for name in names}
    wanted = describe(key)
    close = difflib.get_close_matches(wanted.casefold(), folded, n=3, cutoff=0.6)
    found = {folded[name]: None for name in close}
    same_inside = (name for name in names if wanted in name or name in wanted)
    return [*found, *(name for name in same_inside if name not in found)][:3]
