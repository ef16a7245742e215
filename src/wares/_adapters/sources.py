"""What makes the registry of a program: a function, or nothing, because it is there.

This module knows what a decorator of commands may be given.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from wares._core.callables import can_be_called_without_arguments, describe_callable
from wares._core.container import Registry
from wares.exceptions import InvalidRegistrationError

#: A registry, or a function that makes one.
Source: TypeAlias = Registry | Callable[[], Registry]


def demand_source(source: object) -> None:
    """Refuse what is no function that makes a registry.

    Raises:
        InvalidRegistrationError: *source* cannot be called without arguments.
    """
    if not can_be_called_without_arguments(source):
        raise InvalidRegistrationError(
            "with_container takes a registry, or a function without arguments that makes one: "
            "@with_container(make_registry)"
        )


def make_registry(source: Source) -> Registry:
    """Give the registry that `with_container` was given, or that the function makes.

    Raises:
        InvalidRegistrationError: It makes something else.
        Exception: Whatever the function raises.
    """
    if isinstance(source, Registry):
        return source
    made: object = source()
    if not isinstance(made, Registry):
        what = "None" if made is None else f"a {type(made).__qualname__}"
        hint = " Is its `return` missing?" if made is None else ""
        raise InvalidRegistrationError(
            f"{describe_callable(source)} returned {what}, not a Registry.{hint}"
        )
    return made
