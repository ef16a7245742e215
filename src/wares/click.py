"""A container for each call of a command of Click or Typer.

`with_container` decorates the function of a command. Typer contains a copy of Click, so this module
imports neither of the two.
"""

from __future__ import annotations

import atexit
import functools
import sys
from collections.abc import Callable
from functools import partial
from typing import Any, Self

from wares._adapters.absent_names import explain_names
from wares._adapters.commands import find_served, is_failure
from wares._adapters.injecting import SynchronousHandler
from wares._adapters.loops import Loops
from wares._adapters.registries import close
from wares._adapters.sources import Source, demand_source, make_registry
from wares._adapters.units import Unit, check
from wares._core.container import Registry
from wares.exceptions import InvalidRegistrationError

__all__ = ["with_container"]

explain_names(
    __name__, {"init_app": "Decorate the functions of commands: @with_container(make_registry)"}
)

#: The key of an invocation's registries in the `meta` of its outermost context.
_KEY = "wares.click"

#: The attribute of a command's function that keeps the argument of `with_container`.
_SOURCE = "__wares_source__"


def with_container(
    registry: Source,
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Give each call of a command a container.

    Put it directly above the function, below the decorators of Click or Typer:

    .. code-block:: text

        @click.command()
        @click.argument("name")
        @with_container(make_registry)
        def greet(name: str, greeter: Inject[Greeter]) -> None: ...

    The function asks with `wares.Inject` and `wares.Depends`; Click and Typer see its other
    parameters. It may be asynchronous. The container is current (`wares.current_container`), and is
    given the context: a `click.Context` or a `typer.Context`. The cleanups see the exception that
    ends the command, including an abort and an exit with a code other than 0.

    Args:
        registry: A registry, which closes when Python exits; or a function that makes one for each
            invocation of the program, which closes when the invocation ends.

    Returns:
        The decorator.

    Raises:
        InvalidRegistrationError: *registry* is neither; or the decorator gets a command, because it
            is above the decorator that makes the command.
    """
    open_program = _find_opener(registry)

    # Without the parentheses after `with_container`, this would become the function of the command,
    # and Click would call it without an argument.
    def decorate(function: Callable[..., Any] | None = None) -> Callable[..., Any]:
        if function is None:
            raise InvalidRegistrationError("Write @with_container(make_registry).")
        if hasattr(function, "make_context"):
            raise InvalidRegistrationError(
                "with_container decorates the function of a command, not the command. Put "
                "@with_container(...) below the decorators of Click."
            )
        return _serve(registry, open_program, function)

    return decorate


def _find_opener(registry: Source) -> Callable[[], _Program]:
    """Return the function that gives each call of a command its program."""
    if isinstance(registry, Registry):
        lasting = _Program(registry)
        lasting.__enter__()
        atexit.register(lasting.__exit__)
        return lambda: lasting
    demand_source(registry)
    return partial(_open_program, registry)


def find_source(function: Callable[..., Any]) -> Source | None:
    """Find the argument of `with_container` for the function of a command, if it is decorated."""
    source: Source | None = getattr(function, _SOURCE, None)
    return source


class _Program:
    """A registry, and an event loop for each thread that runs commands.

    They close when the last ``with`` block ends. The calls of commands have such blocks, too,
    because ``ctx.exit(code)`` ends that of the outermost context before it raises the exit.
    """

    def __init__(self, registry: Registry) -> None:
        self.registry = registry
        self.loops = Loops()
        # One entry for each block. Several threads may run commands, and these methods are atomic.
        self._blocks: list[None] = []

    def __enter__(self) -> Self:
        self._blocks.append(None)
        return self

    def __exit__(self, *_: object) -> None:
        self._blocks.pop()
        if self._blocks:
            return
        try:
            close(self.registry, self.loops.run)
        finally:
            self.loops.close()


def _open_program(make: Callable[[], Registry]) -> _Program:
    """Return the program of the outermost context, or without a context one for this call only."""
    context = _find_context()
    if context is None:
        return _Program(make_registry(make))
    root = context.find_root()
    # Functions are compared by identity, because they need not be hashable.
    programs: dict[int, _Program] = root.meta.setdefault(_KEY, {})
    program = programs.get(id(make))
    if program is None:
        program = programs[id(make)] = root.with_resource(_Program(make_registry(make)))
    return program


def _serve(
    source: Source,
    open_program: Callable[[], _Program],
    function: Callable[..., Any],
) -> Callable[..., Any]:
    """Open a container for each call of *function*."""
    handler = SynchronousHandler(function)

    @functools.wraps(handler.function)
    def call(*args: Any, **kwargs: Any) -> Any:
        with open_program() as program:
            registry, run = program.registry, program.loops.run
            context = _find_context()
            given = describe_context(context)
            registry.expect(*given)
            functions = [handler.function, *find_served(getattr(context, "command", None))]
            check(registry, f"The command {function.__name__!r} does not run", functions)
            with Unit(registry.container(given), is_failure=is_failure, run=run):
                return handler.call(run, args, kwargs)

    setattr(call, _SOURCE, source)
    return call


def describe_context(context: Any) -> dict[Any, Any]:
    """Return the objects to give to a container: the context, if any, under all its classes."""
    if context is None:
        return {}
    kinds = [kind for kind in type(context).__mro__ if kind is not object]
    if any(kind.__module__.startswith("typer.") for kind in type(context.command).__mro__):
        # Users annotate parameters with this class, but Typer instantiates another one.
        kinds.append(sys.modules["typer"].Context)
    return dict.fromkeys(kinds, context)


def _find_context() -> Any:
    """Find the context of the command that runs.

    Click documents its function. Typer 0.26 to 0.29 has a copy of Click with no public name for it;
    older versions use Click itself. If this finds no context, the container is not given one.
    """
    for name in ("click.globals", "typer._click.globals"):
        find = getattr(sys.modules.get(name), "get_current_context", None)
        context = None if find is None else find(silent=True)
        if context is not None:
            return context
    return None
