"""What the body of a function cannot do, as far as its instructions tell.

This module knows CPython's instructions by their names (`dis`; checked on 3.11 to 3.13), and
counts whatever it does not know as able to do anything. It must not know services: all it says
is what a plan need not reckon with.
"""

from __future__ import annotations

import contextlib
import dataclasses
import dis
import functools
import inspect
import types
from collections.abc import Callable
from itertools import takewhile
from typing import Any

import attrs

#: Every ``await``, ``async with`` and ``async for`` comes to this.
_WAITS = "SEND"

#: What puts a parameter on the stack, or two at once, and does nothing else.
_PUSHES = frozenset(
    {
        "LOAD_FAST",
        "LOAD_FAST_LOAD_FAST",
        "LOAD_FAST_BORROW",
        "LOAD_FAST_BORROW_LOAD_FAST_BORROW",
    }
)

#: What puts a constant there.
_CONSTANTS = frozenset({"LOAD_CONST", "LOAD_SMALL_INT"})

#: What makes an empty one, without elements that could be asked anything.
_BUILDS = frozenset({"BUILD_LIST", "BUILD_MAP"})

_RETURNS = frozenset({"RETURN_VALUE", "RETURN_CONST"})

_BESIDE_THE_POINT = frozenset({"RESUME", "NOP"})


def cannot_wait(function: Callable[..., Any]) -> bool:
    """Tell whether an async function never lets other tasks run: it awaits nothing.

    Args:
        function: A coroutine function, or an async generator function.

    Returns:
        Whether that is sure. What wraps another function, an object that can be called, and
        whatever else cannot be looked into may wait.
    """
    while True:
        if isinstance(function, functools.partial):
            function = function.func
        elif isinstance(function, types.MethodType):
            function = function.__func__
        else:
            break
    code = getattr(function, "__code__", None)
    flags = inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR
    return (
        isinstance(code, types.CodeType)
        and bool(code.co_flags & flags)
        and not _has_await(code)
        and _sees_await()
    )


def keeps_its_arguments_only(kind: type) -> bool:
    """Tell whether making an object of a class does no more than keep the arguments in it.

    Then nobody can tell whether, or when, it was made: no other code runs meanwhile, and nothing
    else has changed.

    Args:
        kind: A class that is called in the way of `type.__call__`.

    Returns:
        Whether that is sure.
    """
    plain: Any = object
    if (
        kind.__new__ is not plain.__new__
        or hasattr(kind, "__del__")
        or inspect.isabstract(kind)
    ):
        return False
    make = getattr(kind, "__init__")  # noqa: B009  # that of the class, whatever it is
    if make is plain.__init__:
        return True
    if not isinstance(make, types.FunctionType):
        return False
    names = _frozen_names(kind, make)
    if names is None and kind.__setattr__ is plain.__setattr__:
        names = _kept_names(make.__code__)
    return names is not None and all(_is_free(kind, name) for name in names)


def _frozen_names(kind: type, make: types.FunctionType) -> list[str] | None:
    """List the attributes in which a frozen class keeps its arguments.

    Such a class cannot just assign to them in its ``__init__``, which is generated.

    Returns:
        Their names; `None` where it does anything else, or where it is no such class.
    """
    code = make.__code__
    if (code.co_names, code.co_freevars) == (
        ("__setattr__",),
        ("__dataclass_builtins_object__",),
    ):
        return [field.name for field in dataclasses.fields(kind)]
    if code.co_filename.startswith("<attrs generated") and not any(
        hasattr(kind, f"__attrs_{when}_init__") for when in ("pre", "post")
    ):
        fields = attrs.fields(kind)
        if not any(map(_does_more, fields)):
            return [field.name for field in fields]
    return None


def _does_more(field: attrs.Attribute[Any]) -> bool:
    """Tell whether keeping an argument in *field* runs other code."""
    has_factory = isinstance(field.default, attrs.Factory)  # type: ignore[arg-type]  # it is a class
    return (
        has_factory
        or field.validator is not None
        or field.converter is not None
        or field.on_setattr is not None
    )


def _has_await(code: types.CodeType) -> bool:
    return any(instruction.opname == _WAITS for instruction in dis.get_instructions(code))


@functools.cache
def _sees_await() -> bool:
    """Tell whether an ``await`` comes to what is looked for, also in this version of Python."""
    return _has_await(contextlib.AsyncExitStack.aclose.__code__)


def _kept_names(code: types.CodeType) -> list[str] | None:
    """List the attributes under which an ``__init__`` keeps its arguments, and constants.

    Returns:
        Their names; `None` where it does anything else.
    """
    if not code.co_argcount:
        return None
    names: list[str] = []
    # Of what is on the stack, the names of parameters; constants have none.
    stack: list[str | None] = []
    for instruction in takewhile(_goes_on, dis.get_instructions(code)):
        kind, value = instruction.opname, instruction.argval
        if kind in _PUSHES:
            stack.extend(value if isinstance(value, tuple) else (value,))
        elif kind in _CONSTANTS or (kind in _BUILDS and instruction.arg == 0):
            stack.append(None)
        elif kind == "STORE_ATTR" and stack.pop() == code.co_varnames[0]:
            stack.pop()
            names.append(value)
        elif kind not in _BESIDE_THE_POINT:
            return None
    return names


def _goes_on(instruction: dis.Instruction) -> bool:
    return instruction.opname not in _RETURNS


def _is_free(kind: type, name: str) -> bool:
    """Tell whether an object of the class keeps what is stored under *name*, and does no more."""
    found = inspect.getattr_static(kind, name, None)
    if isinstance(found, types.MemberDescriptorType):
        return True
    return bool(kind.__dictoffset__) and not hasattr(type(found), "__set__")
