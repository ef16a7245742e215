"""The commands of Click, Typer and Flask, which have the same attributes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from wares._core.keys import MISSING
from wares._inject.injected import Served


def find_served(command: Any) -> list[Callable[..., Any]]:
    """Return the function of a command, if it has one, with the names of what Click passes."""
    function = getattr(command, "callback", None)
    if function is None:
        return []
    served = Served(function)
    served.names = {parameter.name for parameter in command.params}
    served.sender = "an option or an argument of the command"
    return [served]


def find_functions(command: Any) -> Iterator[Callable[..., Any]]:
    """Find the function of a command, as it is and as `find_served` returns it."""
    if command.callback is not None:
        yield command.callback
        yield from find_served(command)


def find_commands(app: object) -> Iterator[Callable[..., Any]]:
    """Find the functions of the commands that a Flask application or a blueprint has added."""
    # Not `list_commands`, because a group may import its commands there.
    todo = [*getattr(getattr(app, "cli", None), "commands", {}).values()]
    for command in todo:
        yield from find_functions(command)
        todo += getattr(command, "commands", {}).values()


def is_failure(error: BaseException) -> bool:
    """Tell whether *error* is a failure; an exit of any class with code 0 is none."""
    code: object = getattr(error, "exit_code", MISSING)
    if isinstance(error, SystemExit):
        code = 0 if error.code is None else error.code
    return bool(code != 0)
