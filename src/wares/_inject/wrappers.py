"""What callers of an injected function call: it opens a container if need be, asks, and calls.

This module writes a wrapper of the function's own kind, with the parameters that are left to its
callers. `askers` knows what the function needs.

The wrapper is written as source, once, when the function is decorated: so Python itself sorts
the arguments, and a call costs no more than the lines that one would have written by hand.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection
from contextlib import nullcontext
from inspect import Parameter
from typing import Any

from wares._core.annotations import show_annotations
from wares._core.callables import read_raw
from wares._core.container import Container, Registry
from wares._core.current import current, find_served
from wares._core.keys import MISSING
from wares._core.signatures import Need, Shape, describe_callable, read_shape
from wares._inject.askers import Asker, CastingAsker
from wares._inject.casting import is_field
from wares._inject.driving import adrive, arelay, drive, relay
from wares._inject.functions import FunctionContainer
from wares._inject.hidden import finish, leave, read_hidden_shape, runs_event_loop, wait


def write_wrapper(
    asker: Asker, registry: Registry, *, casts_result: bool = False
) -> Callable[..., Any]:
    """Write the wrapper of an injected function.

    Args:
        asker: The function and its needs.
        registry: Where a container is opened if none is current.
        casts_result: Whether the result is cast, if the arguments are.

    Returns:
        A function of the same kind, which shows only the parameters that callers fill.
    """
    wrapper = _Writer(asker, registry, casts_result=casts_result).write()
    _show(wrapper, asker)
    return wrapper


def choose_wrapper(
    now: Callable[..., Any], later: Callable[..., Any], asker: Asker
) -> Callable[..., Any]:
    """Give a function that calls *later* where an event loop runs, and *now* elsewhere.

    Args:
        now: What asks for services without waiting.
        later: What gives an awaitable, or an async generator, that asks for them.
        asker: The function.
    """

    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return (later if runs_event_loop() else now)(*args, **kwargs)

    _show(wrapper, asker)
    return wrapper


def _show(wrapper: Any, asker: Asker) -> None:
    """Let a wrapper look like the function, with the parameters that are left to callers."""
    function = asker.function
    functools.update_wrapper(wrapper, function)
    wrapper.__wares_asker__ = asker
    marked = {need.name for need in asker.needs}
    left = [parameter for parameter in asker.parameters if parameter.name not in marked]
    # Where there are open ones, there is no `**kwargs` that they would have to stand before.
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


class _Writer:
    """Writes the source of one wrapper."""

    def __init__(self, asker: Asker, registry: Registry, *, casts_result: bool) -> None:
        self._asker = asker
        self._registry = registry
        self._is_hidden = read_shape(asker.function) is not read_hidden_shape(asker.function)
        self._casts_arguments = isinstance(asker, CastingAsker)
        self._casts_result = casts_result
        self._aliases = asker.aliases
        self._marked = [need.name for need in asker.needs]
        self._shape = asker.shape
        self._open = [need.name for need in asker.open_needs]
        self._prefix = "_wares_"
        names = [
            *self._open,
            *(parameter.name for parameter in asker.parameters),
        ]
        while any(name.startswith(self._prefix) for name in names):
            self._prefix = f"_{self._prefix}"
        self._lines: list[str] = []
        self._names: dict[str, Any] = {}
        self._define(
            Container=Container,
            FunctionContainer=FunctionContainer,
            asker=asker,
            current=current.get,
            finish=finish,
            leave=leave,
            wait=wait,
            drive=adrive if self._shape is Shape.ASYNC_GENERATOR else drive,
            function=asker.function,
            make_current=current.set,
            note=note_failure,
            nothing={},
            refuse=refuse_unknown,
            registry=registry,
            served=find_served,
            relay=arelay if self._shape is Shape.ASYNC_GENERATOR else relay,
            within=nullcontext(),
            unchanged=_give_back,
            unset=MISSING,
        )

    def write(self) -> Callable[..., Any]:
        """Write and compile it."""
        if self._shape.yields:
            self._write_generator()
        elif self._is_hidden and self._shape is Shape.PLAIN:
            self._write_unfinished()
        else:
            self._write_function()
        source = "\n".join(self._lines) + "\n"
        exec(compile(source, "<inject of wares>", "exec"), self._names)  # noqa: S102  # our own source
        wrapper: Callable[..., Any] = self._names[self._own("wrapper")]
        return wrapper

    def _define(self, **things: Any) -> None:
        self._names.update({self._own(name): thing for name, thing in things.items()})

    def _own(self, name: str) -> str:
        return f"{self._prefix}{name}"

    def _put(self, indent: int, line: str) -> None:
        """Write a line, in which ``$`` stands before a name of ours."""
        self._lines.append("    " * indent + line.replace("$", self._prefix))

    @property
    def _awaiting(self) -> str:
        return "await " if self._asker.can_await else ""

    @property
    def _definition(self) -> str:
        return "async def" if self._asker.can_await else "def"

    @property
    def _asked(self) -> str:
        """The container that is asked: one that ends with the function, if there is one."""
        return "$inside" if self._asker.has_function_scope else "$container"

    @property
    def _with(self) -> str:
        return "async with" if self._asker.can_await else "with"

    def _write_function(self) -> None:
        self._put(0, f"{self._definition} $wrapper({self._parameters()}):")
        self._write_renaming()
        self._write_look()
        self._put(2, "$container = $Container($registry)")
        self._put(2, "$make_current($container)")
        close = "__aexit__" if self._asker.can_await else "__exit__"
        self._put(2, "try:")
        # Spelled out, because a `with` block costs two calls more.
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
        """Write a function whose result may go on after it has returned."""
        self._put(0, f"def $wrapper({self._parameters()}):")
        self._write_renaming()
        self._put(1, "$opened = ()")
        self._write_look()
        self._put(2, "$container = $Container($registry)")
        self._put(2, "$opened = ($container,)")
        self._put(1, "$make_current($container)")
        self._put(1, "try:")
        if self._asker.has_function_scope:
            self._put(2, f"{self._asked} = $FunctionContainer($container)")
            self._put(2, f"$opened += ({self._asked},)")
        self._write_arguments(2)
        self._put(2, f"$result = $function({self._arguments()})")
        self._put(1, "except BaseException as $error:")
        self._put(2, "$leave($opened, $error)")
        self._put(1, "finally:")
        self._put(2, "$make_current($outer)")
        cast = "$asker.casts.cast_result" if self._casts_result else "$unchanged"
        self._put(1, f"return $finish($container, $opened, $result, {cast})")

    def _write_look(self) -> None:
        """Write the look at the current container, and the condition under which one is opened."""
        self._put(1, "$container = $outer = $current()")
        self._put(1, "if $container is None:")
        self._put(2, "$container = $served()")
        condition = "$container is None"
        if not self._registry._known.is_makeshift:
            # A function around this one has no services that it could share.
            condition += " or $container.registry._known.is_makeshift"
        self._put(1, f"if {condition}:")

    def _write_generator(self) -> None:
        names = (p.name for p in self._asker.parameters)
        variables = ", ".join(["$container", *names, *self._open])
        self._put(0, f"{self._definition} $steps({variables}):")
        self._put(1, f"{self._with} $container:")
        self._write_body(2)
        self._put(0, f"{self._definition} $wrapper({self._parameters()}):")
        self._write_renaming()
        self._write_look()
        self._put(2, "$container = $Container($registry)")
        self._write_delegation(2, f"$drive($container, $steps({variables}))")
        if self._shape is Shape.GENERATOR:
            self._write_body(1)
        else:
            self._put(1, "else:")
            self._write_body(2)

    def _write_body(self, indent: int, result: str = "") -> None:
        """Write what happens within a container: ask, then call."""
        if self._asker.has_function_scope:
            self._put(indent, f"{self._with} $FunctionContainer($container) as {self._asked}:")
            indent += 1
        self._write_arguments(indent)
        call = f"$function({self._arguments()})"
        if self._shape.yields:
            if self._casts_result:
                call = f"$relay({call}, $asker.casts.cast_result, $within)"
            self._write_delegation(indent, call)
            return
        if self._is_hidden:
            call = f"$wait({call})"
        if self._casts_result:
            self._put(indent, f"{result} $asker.casts.cast_result({self._awaiting}{call})")
        else:
            self._put(indent, f"{result} {self._awaiting}{call}")

    def _write_arguments(self, indent: int) -> None:
        """Write how all arguments of the call are got."""
        self._write_completion(indent)
        self._write_asking(indent)
        if self._casts_arguments and self._asker.parameters:
            names = "".join(f"{parameter.name}, " for parameter in self._asker.parameters)
            self._put(indent, f"{names}= $asker.casts.cast_values({names})")

    def _write_asking(self, indent: int) -> None:
        count = len(self._asker.extras) + len(self._marked)
        if not count:
            if self._asker.has_unread:
                self._put(indent, "if $asker.has_unread: $asker.read_rest($container)")
            return
        keywords = self._variadic(Parameter.VAR_KEYWORD) or self._write_open(indent)
        self._put(indent, "$token, $make = $asker.hot")
        is_other = f"$token is not {self._asked}._makers.token"
        if keywords:
            self._put(indent, f"if {is_other} or {keywords}:")
            self._put(indent + 1, f"$make = $asker.link({self._asked}, {keywords})")
        else:
            self._put(indent, f"if {is_other}: $make = $asker.link({self._asked})")
        targets = "".join(f"{name}, " for name in self._marked)
        arguments = [self._asked, *self._asker.names, *self._marked, keywords or "$nothing"]
        call = f"{self._awaiting}$make({', '.join(arguments)})"
        self._put(indent, f"{targets}= {call}" if targets else call)

    def _write_open(self, indent: int) -> str:
        """Write how the arguments are gathered that only dependencies take."""
        if not self._open:
            return ""
        is_passed = " or ".join(f"{name} is not $unset" for name in self._open)
        pairs = ", ".join(f"({name!r}, {name})" for name in self._open)
        gathered = f"{{$name: $value for $name, $value in ({pairs},) if $value is not $unset}}"
        self._put(indent, f"$open = {gathered} if {is_passed} else $nothing")
        return self._own("open")

    def _write_delegation(self, indent: int, inner: str) -> None:
        """Write that everything goes to an inner generator and comes from it."""
        if self._shape is Shape.GENERATOR:
            self._put(indent, f"return (yield from {inner})")
            return
        self._put(indent, f"$inner = {inner}")
        self._put(indent, "try:")
        self._put(indent + 1, "$item = await $inner.__anext__()")
        self._put(indent + 1, "while True:")
        self._put(indent + 2, "try:")
        self._put(indent + 3, "$sent = yield $item")
        self._put(indent + 2, "except GeneratorExit:")
        self._put(indent + 3, "raise")
        self._put(indent + 2, "except BaseException as $error:")
        self._put(indent + 3, "$item = await $inner.athrow($error)")
        self._put(indent + 2, "else:")
        self._put(indent + 3, "$item = await $inner.asend($sent)")
        self._put(indent, "except StopAsyncIteration:")
        self._put(indent + 1, "pass")
        self._put(indent, "finally:")
        self._put(indent + 1, "await $inner.aclose()")

    def _write_completion(self, indent: int) -> None:
        """Write that pydantic, and not Python, says that arguments are missing."""
        if unsure := [p.name for p in self._asker.parameters if self._is_completed(p)]:
            left = [p.name for p in self._asker.parameters if p.name not in self._marked]
            pairs = ", ".join(f"{name!r}: {name}" for name in left)
            self._put(indent, f"if {' or '.join(f'{name} is $unset' for name in unsure)}:")
            targets = "".join(f"{name}, " for name in left)
            self._put(indent + 1, f"{targets}= $asker.complete($container, {{{pairs}}})")

    def _write_renaming(self) -> None:
        """Write what moves arguments that were passed by an alias to their names."""
        if not self._aliases:
            return
        named = self._variadic(Parameter.VAR_KEYWORD) or "$named"
        self._put(1, f"if {named}:")
        for alias, names in self._aliases.items():
            self._put(2, f"if {alias!r} in {named}:")
            self._put(3, f"{' = '.join(names)} = {named}.pop({alias!r})")
        if not self._asker.takes_any_name:
            self._define(name=describe_callable(self._asker.function))
            self._put(2, f"$refuse($name, {named})")

    def _is_completed(self, parameter: Parameter) -> bool:
        """Tell whether pydantic fills an argument that is missing, or says so."""
        if not self._casts_arguments or parameter.name not in self._asker.names:
            return False
        return parameter.default is parameter.empty or is_field(parameter.default)

    def _parameters(self) -> str:
        """Write the parameters: those that are left, then the marked ones, by keyword only."""
        written = []
        left = [p for p in self._asker.parameters if p.name not in self._marked]
        for kind in (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD):
            written += [self._parameter(p) for p in left if p.kind is kind]
            if kind is Parameter.POSITIONAL_ONLY and written:
                written.append("/")
        rest = self._variadic(Parameter.VAR_POSITIONAL)
        by_keyword = [self._parameter(p) for p in left if p.kind is Parameter.KEYWORD_ONLY]
        by_keyword += [f"{name}=$unset" for name in (*self._marked, *self._open)]
        if rest:
            written.append(f"*{rest}")
        elif by_keyword:
            written.append("*")
        written += by_keyword
        if self._asker.takes_any_name:
            written.append(f"**{self._variadic(Parameter.VAR_KEYWORD)}")
        elif self._aliases:
            written.append("**$named")
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
        """Write the arguments of the call, in the order of the function's own parameters."""
        written = {
            Parameter.POSITIONAL_ONLY: "{0}",
            Parameter.POSITIONAL_OR_KEYWORD: "{0}",
            Parameter.VAR_POSITIONAL: "*{0}",
            Parameter.KEYWORD_ONLY: "{0}={0}",
            Parameter.VAR_KEYWORD: "**{0}",
        }
        return ", ".join(written[p.kind].format(p.name) for p in self._asker.parameters)


def note_failure(container: Container, error: BaseException) -> None:
    """Note the exception that leaves a function, for an adapter whose framework may answer it.

    Args:
        container: The one that is current. It is noted on the outermost one, if an adapter that
            wants to know has given that one a ``_failure``.
        error: The exception.
    """
    unit: Any = container if container._outermost is None else container._outermost
    if hasattr(unit, "_failure"):
        unit._failure = error


def refuse_unknown(name: str, arguments: Collection[str]) -> None:
    """Refuse what was passed by name and is neither a parameter nor an alias.

    Args:
        name: What the function is called.
        arguments: The names that nobody knows.

    Raises:
        TypeError: There is one.
    """
    for argument in arguments:
        message = f"{name} got an unexpected keyword argument {argument!r}"
        raise TypeError(message)


def _give_back(value: Any) -> Any:
    return value
