"""What the parameters of a handler are filled with, read when it is registered.

A handler that asks for nothing of ours is *plain*: python-socketio's own kind, which takes its
arguments by position, the sid first.
"""

from __future__ import annotations

import inspect
import sys
import types
import typing
from collections.abc import Callable, Iterable
from typing import Any

import attrs
from socketio.base_server import BaseServer

from wares._core.annotations import Viewpoint, surroundings_of
from wares._core.callables import describe_callable, unwrap
from wares._core.container import Container
from wares._core.keys import MISSING, is_hashable
from wares.exceptions import UnresolvableParameterError
from wares.socketio._events import CONNECT, DISCONNECT, FACTS, SocketEvent
from wares.socketio._payloads import Payload, find_adapter

#: Types that say nothing about where a value comes from.
_BUILTINS = (
    *(str, int, float, bool, bytes, dict, list, tuple, set, object),
    *(Any, None, types.NoneType),
)

#: Annotations that the first parameter of a plain handler may have.
_SID_TYPES = (MISSING, str, Any, object)

_VARIADIC = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)

#: The facts that only some events have, and how that is said.
_RARE_FACTS = {
    "auth": "Auth is the data with which a client logs in: it exists in `connect` only.",
    "reason": "Reason is why a client disconnected: it exists in `disconnect` only.",
}


@attrs.frozen
class Place:
    """Where a handler is registered.

    Attributes:
        event: The name of the event; ``"*"`` stands for any other.
        namespace: The namespace; ``"*"`` stands for any other.
        first: The names of arguments that come before all others.
    """

    event: str
    namespace: str
    first: tuple[str, ...] = ()

    @property
    def labels(self) -> tuple[str, ...]:
        """The arguments that come before the payload, by the names that they usually have."""
        rest = {CONNECT: ("environ", "auth"), DISCONNECT: ("reason",)}
        return (*self.first, "sid", *rest.get(self.event, ()))

    @property
    def has_payload(self) -> bool:
        """Whether the client sends something along."""
        return self.event not in (CONNECT, DISCONNECT)


def place_of(event: str, namespace: str) -> Place:
    """Tell what a handler is passed that is registered for an event and a namespace."""
    first = ["event"] if event == "*" else []
    first += ["namespace"] if namespace == "*" else []
    return Place(event, namespace, tuple(first))


def place_of_method(event: str, namespace: str) -> Place:
    """Tell what a method is passed, of a class for a namespace, that is named after an event."""
    return Place(event, namespace, ("namespace",) if namespace == "*" else ())


#: The place of exception handlers: they are passed the exception, for any event.
PLACE_OF_ANSWER = Place("*", "/", ("exception",))

#: The place of middlewares: they may ask for what is there for any event.
PLACE_OF_MIDDLEWARE = Place("*", "/")


@attrs.frozen(eq=False)
class Parameter:
    """A parameter that this package fills; marked ones are `inject`'s.

    Attributes:
        name: Its name.
        kind: How Python passes it.
        key: What to ask the container for, or `MISSING`.
        fact: Which fact of the event it takes, or None.
        payload: What it takes of the payload, where *key* is not registered; or None.
        is_raw: Whether it takes the next argument of the payload as it is.
        default: Its default, or `MISSING`.
    """

    name: str
    kind: Any
    key: Any = MISSING
    fact: str | None = None
    payload: Payload | None = None
    is_raw: bool = False
    default: Any = MISSING


@attrs.frozen(eq=False)
class Reading:
    """The parameters of a handler.

    Attributes:
        is_plain: Whether it is called as python-socketio would call it.
        parameters: What this package fills, in order.
        returns: The annotation of what it returns, or `MISSING`.
    """

    is_plain: bool
    parameters: tuple[Parameter, ...] = ()
    returns: Any = MISSING


def read_called(
    handler: Callable[..., Any],
) -> tuple[Callable[..., Any], inspect.Signature | None, bool]:
    """Find the function whose parameters count, and read them.

    That is the function that is called. `functools.wraps` makes a decorator look like what it
    wraps, which says nothing about how it is called: only a decorator that takes no more than
    ``*args, **kwargs``, and passes them on, takes what the inner function takes.
    """
    current: Any = handler
    while True:
        own = _uncover(current)
        signature = _read_signature(own)
        wrapped: Any = getattr(current, "__wrapped__", None)
        says_itself = hasattr(own, "__signature__")
        if wrapped is None or says_itself or not _passes_all(signature):
            return current, signature, wrapped is not None and not says_itself
        owner = getattr(current, "__self__", None)
        # The decorator of a method wraps a function that takes `self`.
        current = wrapped if owner is None else types.MethodType(wrapped, owner)


#: Where a function keeps its annotations, and `functools.wraps` those of the inner function.
_ANNOTATIONS = "__annotate__" if sys.version_info >= (3, 14) else "__annotations__"


def _uncover(function: Any) -> Any:
    """Give a decorator without the signature and annotations that it has of the inner function."""
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


def _read_signature(function: Callable[..., Any]) -> inspect.Signature | None:
    try:
        if sys.version_info >= (3, 14):
            # Annotations may name what is defined later (PEP 749).
            from annotationlib import Format  # noqa: PLC0415  # new in Python 3.14

            return inspect.signature(
                function, follow_wrapped=False, annotation_format=Format.FORWARDREF
            )
        return inspect.signature(function, follow_wrapped=False)
    except (ValueError, TypeError):  # a builtin; an `AsyncMock` on Python 3.11.2
        return None


def _passes_all(signature: inspect.Signature | None) -> bool:
    """Tell whether a decorator, as far as it tells, passes on whatever it is passed."""
    if signature is None:
        return True
    return tuple(one.kind for one in signature.parameters.values()) == _VARIADIC


class Reader:
    """Reads the parameters of one handler.

    Attributes:
        function: The function whose parameters count.
        signature: Its signature, with evaluated annotations; None for a builtin that does not
            tell.
        is_covered: Whether the function looks like another one.
    """

    def __init__(
        self, handler: Callable[..., Any], place: Place, frame: types.FrameType | None
    ) -> None:
        self._place = place
        self.function, signature, self.is_covered = read_called(handler)
        names = {} if frame is None else dict(frame.f_locals)
        self._surroundings = surroundings_of(unwrap(self.function), None, Viewpoint(names))
        self.signature = None if signature is None else self._evaluate(signature)

    def _evaluate(self, signature: inspect.Signature) -> inspect.Signature:
        parameters = list(map(self._evaluate_one, signature.parameters.values()))
        returns = self._look_up("return", signature.return_annotation)
        return inspect.Signature(parameters, return_annotation=returns)

    def _evaluate_one(self, parameter: inspect.Parameter) -> inspect.Parameter:
        annotation = self._look_up(parameter.name, parameter.annotation)
        return parameter.replace(annotation=annotation)

    def _look_up(self, name: str, annotation: Any) -> Any:
        if annotation is inspect.Parameter.empty:
            return annotation
        try:
            return self._surroundings.evaluate(annotation)
        except (NameError, AttributeError, TypeError, SyntaxError) as error:
            raise UnresolvableParameterError(
                name,
                describe_callable(self.function),
                f"its annotation {annotation!r} cannot be evaluated ({error}). Import what it "
                f"names in that module.",
            ) from error

    def read(
        self, left: Iterable[inspect.Parameter], *, may_be_plain: bool, skip: int
    ) -> Reading:
        """Read what is to be filled."""
        if self.signature is None:
            return Reading(is_plain=True)
        known = self.signature.parameters
        parameters = [known.get(one.name) or self._evaluate_one(one) for one in left][skip:]
        returns = _annotation_of(self.signature.return_annotation)
        if may_be_plain and _is_plain(parameters):
            return Reading(is_plain=True, returns=returns)
        claimed = {self._claim(parameter) for parameter in parameters}
        self._free_labels = [label for label in self._place.labels if label not in claimed]
        filled = [
            self._read_one(parameter)
            for parameter in parameters
            if parameter.kind is not parameter.VAR_KEYWORD
        ]
        return Reading(is_plain=False, parameters=tuple(filled), returns=returns)

    def _claim(self, parameter: inspect.Parameter) -> str | None:
        """Tell which argument before the payload a parameter takes, by its name or its type."""
        annotation = _annotation_of(parameter.annotation)
        fact = _find_fact(_without_none(annotation))
        if fact is not None:
            return "event" if fact == "name" else fact
        if _is_builtin(annotation) and parameter.name in self._place.labels:
            return parameter.name
        return None

    def _read_one(self, parameter: inspect.Parameter) -> Parameter:
        name, kind = parameter.name, parameter.kind
        annotation = _annotation_of(parameter.annotation)
        default = _annotation_of(parameter.default)
        if kind is parameter.VAR_POSITIONAL:
            return Parameter(name, kind, is_raw=True)
        fact = _find_fact(_without_none(annotation))
        if fact is not None:
            self._check_place(parameter, fact)
            return Parameter(name, kind, fact=fact)
        if _is_server(_without_none(annotation)):
            return Parameter(name, kind, _without_none(annotation), default=default)
        if _is_builtin(annotation) and name in self._place.labels:
            return Parameter(name, kind, fact=_fact_of(name))
        if annotation is MISSING and self._free_labels:
            return Parameter(name, kind, fact=_fact_of(self._free_labels.pop(0)))
        if not self._place.has_payload and _is_builtin(annotation) and default is MISSING:
            raise self._refuse(parameter, self._tell_arguments())
        if annotation is MISSING:
            return Parameter(name, kind, is_raw=True, default=default)
        return self._read_annotated(parameter, annotation, default)

    def _read_annotated(
        self, parameter: inspect.Parameter, annotation: Any, default: Any
    ) -> Parameter:
        key = annotation if default is MISSING else _without_none(annotation)
        if not is_hashable(key) or _is_builtin(annotation):
            # A name such as `str` says too little to mean a service; `Inject[str]` does.
            key = MISSING
        payload = None
        if self._place.has_payload:
            # The payload has begun: what comes now is no longer the sid.
            self._free_labels.clear()
            adapter = find_adapter(annotation)
            payload = None if adapter is None else Payload(parameter.name, adapter, default)
        return Parameter(parameter.name, parameter.kind, key, payload=payload, default=default)

    def _check_place(self, parameter: inspect.Parameter, fact: str) -> None:
        event = self._place.event
        if fact == "data" and not self._place.has_payload:
            raise self._refuse(parameter, f"a client sends no payload with {event!r}.")
        if (fact == "auth" and event != CONNECT) or (fact == "reason" and event != DISCONNECT):
            raise self._refuse(parameter, _RARE_FACTS[fact])

    def _tell_arguments(self) -> str:
        return (
            f"a client sends no payload with {self._place.event!r}. The arguments that there "
            f"are: {', '.join(self._place.labels)}. What is registered is asked for by its type, "
            f"or with Inject[...]."
        )

    def _refuse(self, parameter: inspect.Parameter, reason: str) -> UnresolvableParameterError:
        return UnresolvableParameterError(
            parameter.name, describe_callable(self.function), reason
        )


def _annotation_of(annotation: Any) -> Any:
    return MISSING if annotation is inspect.Parameter.empty else annotation


def _fact_of(label: str) -> str:
    """Name the fact that an argument is, which python-socketio calls so."""
    return {"event": "name", "exception": "error"}.get(label, label)


def _find_fact(key: Any) -> str | None:
    """Tell which fact of the event an annotation stands for, if it stands for one."""
    if not is_hashable(key):
        return None
    if key is SocketEvent:
        return "event"
    if key is Container:
        return "container"
    if isinstance(key, type) and issubclass(key, BaseException):
        return "error"
    return FACTS.get(key)


def _is_server(key: Any) -> bool:
    return isinstance(key, type) and issubclass(key, BaseServer)


def _is_plain(parameters: list[inspect.Parameter]) -> bool:
    annotations = [_annotation_of(parameter.annotation) for parameter in parameters]
    if not parameters or not all(map(_is_builtin, annotations)):
        return False
    return annotations[0] in _SID_TYPES or parameters[0].kind in _VARIADIC


def _is_builtin(annotation: Any) -> bool:
    """Tell whether an annotation, if there is one, consists of Python's own types only."""
    if annotation is MISSING:
        return True
    arguments = typing.get_args(annotation)
    origin = typing.get_origin(annotation)
    if origin is typing.Annotated:
        return False
    if origin in (typing.Union, types.UnionType):
        return all(map(_is_builtin, arguments))
    if origin is not None:
        return origin in _BUILTINS and all(
            argument is Ellipsis or _is_builtin(argument) for argument in arguments
        )
    return any(annotation is builtin for builtin in _BUILTINS)


def _without_none(annotation: Any) -> Any:
    """Give ``T`` for ``T | None``."""
    if typing.get_origin(annotation) not in (typing.Union, types.UnionType):
        return annotation
    rest = [item for item in typing.get_args(annotation) if item is not types.NoneType]
    return rest[0] if len(rest) == 1 else annotation
