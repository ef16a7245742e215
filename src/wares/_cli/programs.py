"""Find the registry of a program of Click or Typer, without running the program.

Typer contains a copy of Click, so the commands of both have the same attributes.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterator
from typing import Any

import attrs
import click

from wares._adapters.commands import find_functions
from wares._adapters.sources import Source, make_registry
from wares._core.container import Registry
from wares.click import describe_context, find_source


@attrs.frozen
class Program:
    """A program whose commands have containers.

    Attributes:
        registry: The registry of the commands.
    """

    registry: Registry


def find_command(thing: Any) -> Any:
    """Find the outermost command of a program; return `None` if *thing* is no program."""
    typer = sys.modules.get("typer")
    if typer is not None and isinstance(thing, typer.Typer):
        return typer.main.get_command(thing)
    return None if inspect.isclass(thing) or not hasattr(thing, "make_context") else thing


def open_program(thing: object) -> object:
    """Make the registry of a program, as its invocation does, and add its commands as handlers.

    Args:
        thing: A program, or anything else.

    Returns:
        The program; or *thing*, if it is no program, or none of its commands has a registry.

    Raises:
        click.BadParameter: Its commands have several registries.
        Exception: Any exception of the function that makes the registry.
    """
    command = find_command(thing)
    if command is None:
        return thing
    # As for shell completion, this prompts for nothing and calls no command.
    with command.make_context(command.name, [], resilient_parsing=True) as context:
        functions = [*_find_functions(command, context)]
        sources = _find_sources(functions)
        if not sources:
            return thing
        if len(sources) > 1:
            raise click.BadParameter(
                "The commands of this program have several registries. Name one of them, or a "
                "function that makes one.",
                param_hint="TARGET",
            )
        (source,) = sources
        registry = make_registry(source)
        if any(map(find_source, functions)):
            registry.expect(*describe_context(context))
    registry._handlers.append(lambda: functions)
    return Program(registry)


def _find_sources(functions: list[Callable[..., Any]]) -> list[Source]:
    """List the arguments of `with_container`, or else the registries that `inject` was given."""
    found = [find_source(function) for function in functions]
    if not any(found):
        found = [_find_registry(function) for function in functions]
    # By identity, because not all registries are hashable.
    sources = {id(source): source for source in found if source is not None}
    return list(sources.values())


def _find_registry(function: Callable[..., Any]) -> Source | None:
    asker = getattr(function, "__wares_asker__", None)
    registry: Source | None = getattr(asker, "registry", None)
    return registry


def _find_functions(command: Any, context: Any) -> Iterator[Callable[..., Any]]:
    """Find the functions of a command and of its subcommands."""
    yield from find_functions(command)
    for name in command.list_commands(context) if hasattr(command, "list_commands") else ():
        yield from _find_functions(command.get_command(context, name), context)
