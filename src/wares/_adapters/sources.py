"""The argument of `wares.click.with_container`: a registry, or a function that makes one."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from wares._adapters.registries import describe_kind
from wares._core.callables import can_be_called, describe_callable
from wares._core.container import Registry
from wares.exceptions import InvalidRegistrationError

#: A registry, or a function that makes one.
Source: TypeAlias = Registry | Callable[[], Registry]


def demand_source(source: object) -> None:
    """Refuse a *source* that is not a function without arguments.

    Raises:
        InvalidRegistrationError: *source* cannot be called without arguments.
    """
    if not can_be_called(source):
        raise InvalidRegistrationError(
            "with_container takes a registry, or a function without arguments that makes one: "
            "@with_container(make_registry)"
        )


def make_registry(source: Source) -> Registry:
    """Return *source* if it is a registry, or else the registry that it makes.

    Raises:
        InvalidRegistrationError: The function returns something else.
        Exception: Any exception of the function.
    """
    if isinstance(source, Registry):
        return source
    made: object = source()
    if not isinstance(made, Registry):
        hint = " Is its `return` missing?" if made is None else ""
        raise InvalidRegistrationError(
            f"{describe_callable(source)} returned {describe_kind(made)}, not a Registry.{hint}"
        )
    return made
