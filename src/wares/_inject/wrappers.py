"""Writing the wrapper of an injected function.

The wrapper has the parameters that are left to callers. It opens a container if none is current,
gets the dependencies, and calls the function. It is of the function's own kind: synchronous,
asynchronous, or a generator function of either sort.

It is written as source, once, when the function is decorated. So Python itself sorts the arguments,
and a call costs no more than the same lines written by hand.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Mapping
from inspect import Parameter
from typing import Any

from wares._core.annotations import show_annotations
from wares._core.callables import (
    Shape,
    describe_callable,
    leave_out_shown_defaults,
    read_raw,
    read_shape,
)
from wares._core.container import Container, Registry
from wares._core.current import current, find_served
from wares._core.keys import MISSING
from wares._core.marks import Need
from wares._core.waiting import runs_event_loop
from wares._inject.askers import Asker
from wares._inject.calls import link
from wares._inject.casting import has_no_default
from wares._inject.reading import read_rest
from wares._inject.unfinished import (
    FunctionContainer,
    Opened,
    adrive,
    drive,
    finish,
    open_for_call,
    read_hidden_shape,
    wait,
)


def write_wrapper(
    asker: Asker, registry: Registry, *, casts_result: bool = False
) -> Callable[..., Any]:
    """Write the wrapper of an injected function.

    Args:
        asker: The function and its needs.
        registry: The registry that opens a container if none is current.
        casts_result: Whether the result is cast, if the arguments are.

    Returns:
        A function of the same kind, whose signature has only the parameters that callers fill.
    """
    wrapper = _Writer(asker, registry, casts_result=casts_result).write()
    _show(wrapper, asker)
    return wrapper


def choose_wrapper(now: Callable[..., Any], later: Any) -> Callable[..., Any]:
    """Return a function that calls *later* if an event loop is running, and otherwise *now*.

    Args:
        now: The synchronous wrapper.
        later: The asynchronous wrapper.
    """

    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return (later if runs_event_loop() else now)(*args, **kwargs)

    _show(wrapper, later.__wares_asker__)
    return wrapper


def _show(wrapper: Any, asker: Asker) -> None:
    """Give a wrapper the attributes of the function, and the signature that callers see."""
    function = asker.function
    functools.update_wrapper(wrapper, function)
    wrapper.__wares_asker__ = asker
    marked = {need.name for need in asker.needs}
    left = [parameter for parameter in asker.parameters if parameter.name not in marked]
    # At the end: a function with open needs has no `**kwargs`, which would have to come last.
    shown = asker.open_names
    left += [_as_parameter(need) for need in asker.open_needs if need.name in shown]
    wrapper.__signature__ = read_raw(function).replace(parameters=left)
    show_annotations(wrapper, function, marked)


def _as_parameter(need: Need) -> Parameter:
    return Parameter(
        need.name,
        Parameter.KEYWORD_ONLY,
        default=Parameter.empty if need.default is MISSING else need.default,
        annotation=Parameter.empty if need.key is MISSING else need.key,
    )


def complete(asker: Asker, arguments: Mapping[str, Any]) -> list[Any]:
    """Fill arguments that were not passed with the defaults of pydantic's ``Field``."""
    read_rest(asker)
    return asker.casts.complete(arguments)


def refuse_unknown(function: Callable[..., Any], arguments: Collection[str]) -> None:
    """Raise an error for keyword arguments that are neither a parameter nor an alias.

    Raises:
        TypeError: There is one.
    """
    for argument in arguments:
        name = describe_callable(function)
        raise TypeError(f"{name} got an unexpected keyword argument {argument!r}")


#: The objects that the source uses, by name without the prefix.
_NAMES = {
    "Container": Container,
    "FunctionContainer": FunctionContainer,
    "complete": complete,
    "current": current.get,
    "finish": finish,
    "link": link,
    "make_current": current.set,
    "nothing": {},
    "read_rest": read_rest,
    "refuse": refuse_unknown,
    "served": find_served,
    "unset": MISSING,
    "wait": wait,
}

#: The source with which an async generator delegates to another one, as ``yield from`` does.
_ASYNC_DELEGATION = """\
    try:
        $item = await $items.__anext__()
        while True:
            try:
                $sent = yield $item
            except GeneratorExit:
                raise
            except BaseException as $error:
                $item = await $items.athrow($error)
            else:
                $item = await $items.asend($sent)
    except StopAsyncIteration:
        pass
    finally:
        await $items.aclose()"""


class _Writer:
    """Writes the source of one wrapper."""

    def __init__(self, asker: Asker, registry: Registry, *, casts_result: bool) -> None:
        self._asker = asker
        self._registry = registry
        self._is_hidden = read_shape(asker.function) is not read_hidden_shape(asker.function)
        self._casts_result = casts_result
        self._marked = [need.name for need in asker.needs]
        self._shape = asker.shape
        self._open = [need.name for need in asker.open_needs]
        names = [
            *self._open,
            *(parameter.name for parameter in asker.parameters),
        ]
        self._prefix = "_wares_"
        while any(name.startswith(self._prefix) for name in names):
            self._prefix = f"_{self._prefix}"
        self._lines: list[str] = []
        self._names: dict[str, Any] = {}
        self._define(
            **_NAMES,
            asker=asker,
            cast=self._cast_result if casts_result else lambda result: result,
            drive=adrive if self._shape is Shape.ASYNC_GENERATOR else drive,
            function=leave_out_shown_defaults(asker.function),
            note=note_escape,
            open=self._open_for_call,
            registry=registry,
        )

    def write(self) -> Callable[..., Any]:
        """Write and compile the wrapper."""
        self._put(0, f"{self._definition} $wrapper({self._parameters()}):")
        self._write_aliases()
        if self._shape.yields or (self._is_hidden and self._shape is Shape.PLAIN):
            self._write_unfinished()
        else:
            self._write_function()
        source = "\n".join(self._lines) + "\n"
        exec(compile(source, "<inject of wares>", "exec"), self._names)  # noqa: S102  # our own source
        wrapper: Callable[..., Any] = self._names[f"{self._prefix}wrapper"]
        return wrapper

    def _cast_result(self, result: Any) -> Any:
        return self._asker.casts.cast_result(result)

    def _open_for_call(self) -> Opened:
        return open_for_call(self._registry, has_function_scope=self._asker.has_function_scope)

    def _define(self, **things: Any) -> None:
        self._names.update({f"{self._prefix}{name}": thing for name, thing in things.items()})

    def _put(self, indent: int, line: str) -> None:
        """Write a line, in which ``$`` stands for the prefix of wares' own names."""
        self._lines.append("    " * indent + line.replace("$", self._prefix))

    @property
    def _awaiting(self) -> str:
        return "await " if self._asker.can_await else ""

    @property
    def _definition(self) -> str:
        return "async def" if self._asker.can_await else "def"

    def _write_function(self) -> None:
        self._put(1, "$container = $outer = $current()")
        self._put(1, "if $container is None: $container = $served()")
        condition = "$container is None"
        if not self._registry._registrations.is_makeshift:
            # That container belongs to a function without a registry, and has no services to share.
            condition += " or $container.registry._registrations.is_makeshift"
        self._put(1, f"if {condition}:")
        self._put(2, "$container = $Container($registry)")
        self._put(2, "$make_current($container)")
        close = "__aexit__" if self._asker.can_await else "__exit__"
        self._put(2, "try:")
        # Spelled out, because a `with` block costs two more calls.
        self._put(3, "try:")
        self._write_body(4, "$result =")
        self._put(3, "except BaseException as $error:")
        self._put(4, f"{self._awaiting}$container.{close}(None, $error, None)")
        self._put(4, "raise")
        self._put(3, f"{self._awaiting}$container.{close}(None, None, None)")
        self._put(3, "return $result")
        self._put(2, "finally:")
        self._put(3, "$make_current($outer)")
        self._put(1, "try:")
        self._write_body(2, "return")
        self._put(1, "except BaseException as $error:")
        self._put(2, "$note($container, $error)")
        self._put(2, "raise")

    def _write_unfinished(self) -> None:
        """Write a function whose work continues after it has returned."""
        self._put(1, f"{self._definition} $begin($asked):")
        if self._asker.parameters:
            self._put(2, f"nonlocal {', '.join(p.name for p in self._asker.parameters)}")
        self._write_arguments(2, "$asked")
        self._put(2, f"return $function({self._arguments()})")
        if self._shape is Shape.ASYNC_GENERATOR:
            self._put(1, "$items = $drive($open(), $begin, $cast)")
            self._put(0, _ASYNC_DELEGATION)
        elif self._shape is Shape.GENERATOR:
            self._put(1, "return (yield from $drive($open(), $begin, $cast))")
        else:
            self._put(1, "return $finish($open(), $begin, $cast)")

    def _write_body(self, indent: int, result: str) -> None:
        """Write what happens in a container: get the dependencies, then call the function."""
        asked = "$container"
        if self._asker.has_function_scope:
            asked = "$asked"
            block = "async with" if self._asker.can_await else "with"
            self._put(indent, f"{block} $FunctionContainer($container) as $asked:")
            indent += 1
        self._write_arguments(indent, asked)
        call = f"$function({self._arguments()})"
        if self._is_hidden:
            call = f"$wait({call})"
        call = f"{self._awaiting}{call}"
        self._put(indent, f"{result} {f'$cast({call})' if self._casts_result else call}")

    def _write_arguments(self, indent: int, asked: str) -> None:
        """Write how the arguments of the call are fetched from the container *asked*."""
        self._write_completion(indent)
        self._write_asking(indent, asked)
        if self._asker.casts_arguments and self._asker.parameters:
            names = "".join(f"{parameter.name}, " for parameter in self._asker.parameters)
            self._put(indent, f"{names}= $asker.casts.cast_values({names})")

    def _write_asking(self, indent: int, asked: str) -> None:
        if not (self._asker.extras or self._marked):
            if self._asker.unread is not None:
                self._put(indent, "if $asker.unread is not None: $read_rest($asker)")
            return
        more = self._variadic(Parameter.VAR_KEYWORD) or self._write_open(indent)
        self._put(indent, "$token, $make = $asker.hot")
        is_other = f"$token is not {asked}._makers.token"
        if more:
            self._put(
                indent, f"if {is_other} or {more}: $make = $link($asker, {asked}, {more})"
            )
        else:
            self._put(indent, f"if {is_other}: $make = $link($asker, {asked})")
        targets = "".join(f"{name}, " for name in self._marked)
        arguments = [asked, *self._asker.names, *self._marked, more or "$nothing"]
        call = f"{self._awaiting}$make({', '.join(arguments)})"
        self._put(indent, f"{targets}= {call}" if targets else call)

    def _write_open(self, indent: int) -> str:
        """Write how the arguments that only dependencies take are put into a dict."""
        if not self._open:
            return ""
        is_passed = " or ".join(f"{name} is not $unset" for name in self._open)
        pairs = ", ".join(f"({name!r}, {name})" for name in self._open)
        gathered = f"{{$name: $value for $name, $value in ({pairs},) if $value is not $unset}}"
        self._put(indent, f"$more = {gathered} if {is_passed} else $nothing")
        return "$more"

    def _write_completion(self, indent: int) -> None:
        """Write that pydantic, rather than Python, reports missing arguments."""
        unsure = [p.name for p in self._asker.parameters if self._is_completed(p)]
        if unsure:
            left = [p.name for p in self._asker.parameters if p.name not in self._marked]
            targets = "".join(f"{name}, " for name in left)
            pairs = ", ".join(f"{name!r}: {name}" for name in left)
            self._put(indent, f"if {' or '.join(f'{name} is $unset' for name in unsure)}:")
            self._put(indent + 1, f"{targets}= $complete($asker, {{{pairs}}})")

    def _write_aliases(self) -> None:
        """Write that arguments passed under an alias get their names."""
        if not self._asker.aliases:
            return
        named = self._variadic(Parameter.VAR_KEYWORD) or "$named"
        self._put(1, f"if {named}:")
        for alias, names in self._asker.aliases.items():
            self._put(2, f"if {alias!r} in {named}:")
            self._put(3, f"{' = '.join(names)} = {named}.pop({alias!r})")
        if not self._asker.takes_any_name:
            self._put(2, f"$refuse($function, {named})")

    def _is_completed(self, parameter: Parameter) -> bool:
        """Return whether pydantic fills or reports an argument that is missing."""
        if not self._asker.casts_arguments or parameter.name not in self._asker.names:
            return False
        return has_no_default(parameter)

    def _parameters(self) -> str:
        """Return the parameters: those left to callers, then the marked ones, by keyword only."""
        left = [p for p in self._asker.parameters if p.name not in self._marked]
        hidden = (*self._marked, *self._open)

        def write(kind: Any, form: str = "{}") -> list[str]:
            return [form.format(self._parameter(p)) for p in left if p.kind is kind]

        by_position = write(Parameter.POSITIONAL_ONLY)
        by_keyword = write(Parameter.KEYWORD_ONLY) + [f"{name}=$unset" for name in hidden]
        rest = write(Parameter.VAR_POSITIONAL, "*{}")
        written = [
            *by_position,
            *(["/"] if by_position else []),
            *write(Parameter.POSITIONAL_OR_KEYWORD),
            *(rest or (["*"] if by_keyword else [])),
            *by_keyword,
            *(write(Parameter.VAR_KEYWORD, "**{}") or ["**$named"] * bool(self._asker.aliases)),
        ]
        return ", ".join(written)

    def _parameter(self, parameter: Parameter) -> str:
        if self._is_completed(parameter):
            return f"{parameter.name}=$unset"
        if parameter.default is parameter.empty:
            return parameter.name
        self._define(**{f"default_{parameter.name}": parameter.default})
        return f"{parameter.name}=$default_{parameter.name}"

    def _variadic(self, kind: Any) -> str:
        return next((p.name for p in self._asker.parameters if p.kind is kind), "")

    def _arguments(self) -> str:
        """Return the arguments of the call, in the order of the function's own parameters."""
        written = {
            Parameter.POSITIONAL_ONLY: "{0}",
            Parameter.POSITIONAL_OR_KEYWORD: "{0}",
            Parameter.VAR_POSITIONAL: "*{0}",
            Parameter.KEYWORD_ONLY: "{0}={0}",
            Parameter.VAR_KEYWORD: "**{0}",
        }
        return ", ".join(written[p.kind].format(p.name) for p in self._asker.parameters)


def note_escape(container: Container, error: BaseException) -> None:
    """Note the exception that leaves a function, for an adapter whose framework may answer it.

    The caller may handle it, so that it is no failure of the whole work.

    Args:
        container: The one that is current. It is noted on the outermost one, if an adapter that
            wants to know has given that one an ``_escaped``.
        error: The exception.
    """
    unit: Any = container if container._outermost is None else container._outermost
    if hasattr(unit, "_escaped"):
        unit._escaped = error
