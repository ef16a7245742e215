"""The parameters of handlers, and where their values come from.

Parameters are read when a handler is registered. A *plain* handler asks for nothing from wares: it
takes its arguments by position, the sid first, as all handlers of python-socketio do.
"""

from __future__ import annotations

import inspect
import sys
import types
import typing
from collections.abc import Callable, Iterable, Iterator
from operator import attrgetter
from typing import Any

import attrs
from socketio.base_server import BaseServer

from wares._core.annotations import Viewpoint, inspect_signature
from wares._core.callables import VARIADIC
from wares._core.container import Container
from wares._core.keys import MISSING, UNIONS, describe, is_hashable
from wares._core.signatures import Reader, as_parameter, without_none
from wares.socketio._events import FACTS, SocketEvent, has_payload, labels_of
from wares.socketio._payloads import find_adapter, missing, validate
from wares.socketio._serving import Serving

#: Types that do not tell where a value comes from.
_BUILTINS = (
    *(str, int, float, bool, bytes, dict, list, tuple, set, object),
    *(Any, None, types.NoneType, inspect.Parameter.empty),
)

#: The facts that few handlers can have, and what messages say about them.
_RARE_FACTS = {
    "event.auth": "Auth is the data with which a client logs in: it exists in `connect` only.",
    "event.reason": "Reason is why a client disconnected: it exists in `disconnect` only.",
    "error": "only exception handlers receive an exception.",
}


@attrs.frozen
class Place:
    """The event and the namespace for which a handler is registered.

    Attributes:
        event: The name of the event; ``"*"`` stands for any other.
        namespace: The namespace; ``"*"`` stands for any other.
        labels: The usual names of the arguments that come before the payload.
        skip: How many arguments the caller itself passes before these.
        may_be_plain: Whether plain handlers can be registered here.
    """

    event: str
    namespace: str
    labels: tuple[str, ...]
    skip: int = 0
    may_be_plain: bool = True

    @property
    def has_payload(self) -> bool:
        """Whether the client can send a payload with the event."""
        return has_payload(self.event)


def place_of(event: str, namespace: str) -> Place:
    """Make the place of a handler that is registered for an event and a namespace."""
    first = ["event"] if event == "*" else []
    first += ["namespace"] if namespace == "*" else []
    return Place(event, namespace, (*first, *labels_of(event)))


#: The place of exception handlers, which receive the exception and may ask for facts of any event.
PLACE_OF_EXCEPTION_HANDLER = Place("*", "/", ("exception", "sid"), may_be_plain=False)

#: The place of middlewares, which may ask for the facts that every event has.
PLACE_OF_MIDDLEWARE = Place("*", "/", ("sid",), skip=2, may_be_plain=False)


def path_of(label: str) -> str:
    """Return the path of attributes from a `Serving` to the argument with this label."""
    return {"event": "event.name", "exception": "error"}.get(label, f"event.{label}")


@attrs.frozen(eq=False)
class Parameter:
    """A parameter that this package fills; `wares.inject` fills those with markers.

    Attributes:
        name: Its name.
        kind: How Python passes it, as in `inspect.Parameter`.
        key: Its type, which must be no key of a service, because it has no marker; or `MISSING`.
        fact: Returns the fact of the event that the parameter takes; None if it takes an argument
            of the payload.
        adapter: The `pydantic.TypeAdapter` that validates that argument, or None.
        default: Its default, or `MISSING`.
    """

    name: str
    kind: Any
    key: Any = MISSING
    fact: Callable[[Serving], Any] | None = None
    adapter: Any = None
    default: Any = MISSING

    @property
    def is_rest(self) -> bool:
        """Whether it takes all arguments that are left, as ``*args`` does."""
        return self.kind is inspect.Parameter.VAR_POSITIONAL

    @property
    def is_optional(self) -> bool:
        """Whether the client may leave the argument out."""
        problems: list[dict[str, Any]] = []
        self._read(iter(()), problems)
        return not problems

    def take(
        self, serving: Serving, sent: Iterator[Any], problems: list[dict[str, Any]]
    ) -> Any:
        """Return the argument for this parameter; add errors of validation to *problems*.

        Args:
            serving: The event that is being handled.
            sent: The arguments of the payload that no parameter has taken yet.
            problems: The list for errors of validation.
        """
        return self._read(sent, problems) if self.fact is None else self.fact(serving)

    def _read(self, sent: Iterator[Any], problems: list[dict[str, Any]]) -> Any:
        value = list(sent) if self.is_rest else next(sent, MISSING)
        if value is MISSING and self.default is not MISSING:
            return self.default
        if self.adapter is not None:
            return validate(self.adapter, self.name, value, problems)
        if value is MISSING:
            problems.append(missing(self.name))
        return value


class HandlerReader(Reader):
    """Reads the parameters of one handler.

    Args:
        handler: The handler.
        place: Where it is registered.
        viewpoint: The names that its annotations may use, besides those around it.

    Attributes:
        signature: The signature of the function that is called, with evaluated annotations.
    """

    def __init__(
        self, handler: Callable[..., Any], place: Place, viewpoint: Viewpoint | None
    ) -> None:
        super().__init__(handler, viewpoint)
        self._place = place
        signature = _read_called(handler)
        returned = as_parameter("return", signature.return_annotation)
        self.signature = signature.replace(
            parameters=list(map(self.with_annotation, signature.parameters.values())),
            return_annotation=self.with_annotation(returned).annotation,
        )

    def with_annotation(self, parameter: inspect.Parameter) -> inspect.Parameter:
        """Return a parameter with its annotation evaluated."""
        annotation = self.evaluate(parameter)
        return parameter if annotation is MISSING else parameter.replace(annotation=annotation)

    def read(self, parameters: Iterable[inspect.Parameter]) -> tuple[Parameter, ...]:
        """Read the parameters to fill."""
        filled = [one for one in parameters if one.kind is not one.VAR_KEYWORD]
        claimed = set(map(self._claim, filled))
        paths = map(path_of, self._place.labels)
        self._free = [path for path in paths if path not in claimed]
        return tuple(map(self._read_one, filled))

    def _claim(self, parameter: inspect.Parameter) -> str | None:
        """Return the path of the fact that a parameter takes by its type or its name."""
        annotation = parameter.annotation
        path = _find_path(without_none(annotation))
        if path is None and parameter.name in self._place.labels and is_builtin(annotation):
            return path_of(parameter.name)
        return path

    def _read_one(self, parameter: inspect.Parameter) -> Parameter:
        name, kind, annotation = parameter.name, parameter.kind, parameter.annotation
        has_payload = self._place.has_payload
        key = without_none(annotation)
        if is_builtin(key) or not is_hashable(key):
            key = MISSING
        if kind is parameter.VAR_POSITIONAL:
            is_typed = has_payload and annotation is not parameter.empty
            adapter = find_adapter(types.GenericAlias(list, annotation)) if is_typed else None
            return Parameter(name, kind, key, adapter=adapter)
        path = self._claim(parameter)
        if path is None and annotation is parameter.empty and self._free:
            path = self._free.pop(0)
        if path is not None:
            self._check_place(name, path)
            return Parameter(name, kind, fact=attrgetter(path))
        adapter = find_adapter(annotation) if has_payload else None
        if adapter is not None:
            # The payload has begun, so no parameter after this one takes the sid.
            self._free.clear()
        default = MISSING if parameter.default is parameter.empty else parameter.default
        if adapter is not None or (has_payload and is_builtin(annotation)):
            return Parameter(name, kind, key, None, adapter, default)
        if default is MISSING:
            raise self.make_error(name, self._advise(annotation))
        return Parameter(name, kind, key, lambda _: default)

    def _check_place(self, name: str, path: str) -> None:
        if path in _RARE_FACTS and path not in map(path_of, self._place.labels):
            raise self.make_error(name, _RARE_FACTS[path])
        if path == "event.data" and not self._place.has_payload:
            raise self.make_error(
                name, f"a client sends no payload with {self._place.event!r}."
            )

    def _advise(self, annotation: Any) -> str:
        if self._place.has_payload:
            rule = "pydantic, if it is installed, does not know its type, so it is no payload"
        else:
            rule = (
                f"a client sends no payload with {self._place.event!r}; the arguments that there "
                f"are: {', '.join(self._place.labels)}"
            )
        name = "..." if is_builtin(annotation) else describe(annotation)
        return f"{rule}. To ask for a service, write Inject[{name}]."


def is_plain(parameters: list[inspect.Parameter]) -> bool:
    """Tell whether *parameters* are those of a plain handler."""
    annotations = [parameter.annotation for parameter in parameters]
    if not parameters or not all(map(is_builtin, annotations)):
        return False
    is_sid = annotations[0] in (inspect.Parameter.empty, str, Any, object)
    return is_sid or parameters[0].kind in VARIADIC


#: The signature to assume for a builtin that has none.
_UNKNOWN = inspect.signature(lambda *_: None)


def _read_called(handler: Any) -> inspect.Signature:
    """Read the signature of the function that is called.

    `functools.wraps` gives a wrapper the signature of the inner function, but the wrapper may take
    other arguments. It takes the inner function's arguments only if its own parameters
    are ``*args, **kwargs``.
    """
    own = _uncover(handler)
    try:
        signature = inspect_signature(own)
    except (ValueError, TypeError):  # a builtin, or an `AsyncMock` on Python 3.11.2
        return _UNKNOWN
    wrapped = getattr(handler, "__wrapped__", None)
    kinds = tuple(parameter.kind for parameter in signature.parameters.values())
    if wrapped is None or hasattr(own, "__signature__") or kinds != VARIADIC:
        return signature
    owner = getattr(handler, "__self__", None)
    # The wrapper of a method wraps a function that takes `self`.
    return _read_called(wrapped if owner is None else types.MethodType(wrapped, owner))


#: The attribute that holds a function's annotations, and that `functools.wraps` overwrites.
_ANNOTATIONS = "__annotate__" if sys.version_info >= (3, 14) else "__annotations__"


def _uncover(function: Any) -> Any:
    """Copy a wrapper without the signature and annotations of the function that it wraps."""
    if isinstance(function, types.MethodType):
        return types.MethodType(_uncover(function.__func__), function.__self__)
    wrapped = getattr(function, "__wrapped__", None)
    if wrapped is None or not isinstance(function, types.FunctionType):
        return function
    signature = vars(function).get("__signature__")
    if signature is not None and signature is not getattr(wrapped, "__signature__", None):
        return function
    code, name = function.__code__, function.__name__
    own: Any = types.FunctionType(
        code, function.__globals__, name, function.__defaults__, function.__closure__
    )
    own.__kwdefaults__ = function.__kwdefaults__
    if getattr(function, _ANNOTATIONS) is not getattr(wrapped, _ANNOTATIONS, MISSING):
        setattr(own, _ANNOTATIONS, getattr(function, _ANNOTATIONS))
    return own


def _find_path(key: Any) -> str | None:
    """Return the path of the fact that an annotation stands for, if it stands for one."""
    if not is_hashable(key):
        return None
    if isinstance(key, type) and issubclass(key, BaseException):
        return "error"
    if isinstance(key, type) and issubclass(key, BaseServer):
        return "event.server"
    if key in FACTS:
        return f"event.{FACTS[key]}"
    return {SocketEvent: "event", Container: "container"}.get(key)


def is_builtin(annotation: Any) -> bool:
    """Tell whether an annotation is absent or consists of Python's own types only."""
    arguments = typing.get_args(annotation)
    origin = typing.get_origin(annotation)
    if origin in UNIONS:
        return all(map(is_builtin, arguments))
    if origin is not None:
        return origin in _BUILTINS and all(
            argument is Ellipsis or is_builtin(argument) for argument in arguments
        )
    return any(annotation is builtin for builtin in _BUILTINS)
