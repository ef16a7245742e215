"""A container for each call of a command of Click or Typer.

This module knows what commands of both are: functions, called within a context. Typer brings a
copy of Click; neither has to be installed for the other.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from wares._adapters.injecting import Served
from wares._adapters.loops import Loops
from wares._adapters.units import Unit, check
from wares._core.container import Registry
from wares._core.keys import MISSING
from wares.exceptions import PendingAsyncCleanupError

__all__ = ["with_container"]

#: Where the registry of an invocation is found, in the `meta` of its outermost context.
_KEY = "wares.click"

#: Where the function of a command tells what it was given; Typer copies it with all attributes.
_SOURCE = "__wares_source__"


def with_container(
    registry: Registry | Callable[[], Registry],
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Give each call of a command a container.

    Put it between the command and its options, on one side, and the function on the other:

    .. code-block:: text

        @click.command()
        @click.argument("name")
        @with_container(make_registry)
        def greet(name: str, greeter: Inject[Greeter]) -> None: ...

    The function asks by `wares.Inject` and `wares.Depends`; Click and Typer see the rest of its
    parameters. It may be asynchronous. The container is current (`wares.current_container`), and is
    given the context: a `click.Context`, a `typer.Context`. The exception that ends the command
    reaches the cleanups: also an exit with a code that is not 0, and an abort.

    Args:
        registry: Where services are registered, or a function that makes it for each invocation of
            the program. What it makes is closed with the invocation, another one with the program.

    Returns:
        The decorator.
    """
    if isinstance(registry, Registry):
        lasting = _Program(registry)
        atexit.register(lasting.close)
        return functools.partial(_serve, registry, lambda: contextlib.nullcontext(lasting))
    return functools.partial(_serve, registry, functools.partial(_open_program, registry))


def find_source(function: Callable[..., Any]) -> Registry | Callable[[], Registry] | None:
    """Find what `with_container` was given for the function of a command, if it was."""
    source: Registry | Callable[[], Registry] | None = getattr(function, _SOURCE, None)
    return source


class _Program:
    """A registry, and the event loop of its services; or several, if threads run commands.

    Args:
        registry: The registry, which this closes.
    """

    def __init__(self, registry: Registry) -> None:
        self.registry = registry
        self.loops = Loops()

    def close(self) -> None:
        """End both."""
        try:
            self.registry.close()
        except PendingAsyncCleanupError:
            self.loops.run(self.registry.aclose())
        finally:
            self.loops.close()


def _open_program(make: Callable[[], Registry]) -> AbstractContextManager[_Program]:
    """Find what the outermost context has opened, or open it; without a context, for a call."""
    context = _find_context()
    if context is None:
        return contextlib.closing(_Program(make()))
    root = context.find_root()
    program: _Program | None = root.meta.get(_KEY)
    if program is None:
        program = root.meta[_KEY] = _Program(make())
        root.call_on_close(program.close)
    return contextlib.nullcontext(program)


def _serve(
    source: Registry | Callable[[], Registry],
    open_program: Callable[[], AbstractContextManager[_Program]],
    function: Callable[..., Any],
) -> Callable[..., Any]:
    """Have each call of *function* served."""
    served = Served(function)

    @functools.wraps(served.function)
    def call(*args: Any, **kwargs: Any) -> Any:
        with open_program() as program:
            registry, run = program.registry, program.loops.run
            given = describe_context(_find_context())
            registry.expect(*given)
            check(
                registry, f"The command {function.__name__!r} does not run", [served.function]
            )
            with Unit(registry.container(given), is_failure=_is_failure, run=run):
                return served.call(run, args, kwargs)

    setattr(call, _SOURCE, source)
    return call


def _is_failure(error: BaseException) -> bool:
    """Tell whether *error* is one: an exit with code 0 is none, of Click, of Typer, or Python's."""
    code: object = getattr(error, "exit_code", MISSING)
    if isinstance(error, SystemExit):
        code = error.code or 0
    return bool(code != 0)


def describe_context(context: Any) -> dict[Any, Any]:
    """List what a container is given: the context, if there is one, under all its classes."""
    if context is None:
        return {}
    kinds = [kind for kind in type(context).__mro__ if kind is not object]
    if any(kind.__module__.startswith("typer.") for kind in type(context.command).__mro__):
        # What annotates parameters is another class than what Typer makes.
        kinds.append(sys.modules["typer"].Context)
    return dict.fromkeys(kinds, context)


def _find_context() -> Any:
    """Find the context of the command that runs.

    Click documents how. Typer 0.26 to 0.29 has a copy of Click with no public name for this; older
    ones use Click itself. Without it, a container is not given the context.
    """
    for name in ("click.globals", "typer._click.globals"):
        find = getattr(sys.modules.get(name), "get_current_context", None)
        context = None if find is None else find(silent=True)
        if context is not None:
            return context
    return None
