"""What the parameters of a handler are filled with, read when it is registered.

This module knows signatures. It must not know events that happen, nor how a handler is called.

A handler that asks for nothing of ours is *plain*: python-socketio's own kind, which takes its
arguments by position, the sid first.
"""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import attrs

from wares._core.annotations import Surroundings, Viewpoint, surroundings_of
from wares._core.container import Container
from wares._core.keys import MISSING, is_hashable
from wares._core.signatures import describe_callable, unwrap
from wares.exceptions import UnresolvableParameterError
from wares.socketio._arguments import Auth, Data, Environ, Event, Reason, SocketID
from wares.socketio._events import CONNECT, DISCONNECT
from wares.socketio._payloads import Payload, find_adapter

#: What says nothing about where a value comes from.
_BUILTINS = (
    str,
    int,
    float,
    bool,
    bytes,
    dict,
    list,
    tuple,
    set,
    object,
    Any,
    None,
    types.NoneType,
)

#: Annotations that the first parameter of a plain handler may have.
_SID_TYPES = (MISSING, str, Any, object)

_VARIADIC = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


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


#: What answers exceptions is passed the exception, for any event.
PLACE_OF_ANSWER = Place("*", "/", ("exception",))

#: What wraps events may ask for what is there for any event.
PLACE_OF_MIDDLEWARE = Place("*", "/")


@attrs.frozen(eq=False)
class Parameter:
    """A parameter that is filled by us; marked ones are `inject`'s.

    Attributes:
        name: Its name.
        kind: How Python passes it.
        key: What to ask the container for, or `MISSING`.
        label: Which argument before the payload it takes as it is, or None.
        payload: What it takes of the payload, where *key* is nobody's; or None.
        is_raw: Whether it takes the next argument of the payload as it is.
        default: Its default, or `MISSING`.
    """

    name: str
    kind: Any
    key: Any = MISSING
    label: str | None = None
    payload: Payload | None = None
    is_raw: bool = False
    default: Any = MISSING


@attrs.frozen(eq=False)
class Reading:
    """The parameters of a handler.

    Attributes:
        is_plain: Whether it is called as python-socketio would call it.
        parameters: What is filled by us, in order.
        returns: The annotation of what it returns, or `MISSING`.
    """

    is_plain: bool
    parameters: tuple[Parameter, ...] = ()
    returns: Any = MISSING


def read_parameters(
    handler: Callable[..., Any],
    place: Place,
    given: Iterable[Any],
    frame: types.FrameType | None = None,
    *,
    may_be_plain: bool = True,
    skip: int = 0,
) -> Reading:
    """Read what is to be filled of a handler's parameters.

    Args:
        handler: The handler, without the parameters that `inject` fills.
        place: Where it is registered.
        given: The keys that every container is given.
        frame: Where it is defined, for names of that place.
        may_be_plain: Whether it may be python-socketio's own kind.
        skip: How many parameters at the beginning somebody else fills.

    Raises:
        UnresolvableParameterError: A parameter that nothing can fill at that place.
    """
    return _Reader(handler, place, frozenset(given), frame).read(
        may_be_plain=may_be_plain, skip=skip
    )


class _Reader:
    """Reads the parameters of one handler."""

    def __init__(
        self,
        handler: Callable[..., Any],
        place: Place,
        given: frozenset[Any],
        frame: types.FrameType | None,
    ) -> None:
        self._handler = handler
        self._place = place
        self._given = given
        names = {} if frame is None else dict(frame.f_locals)
        self._surroundings: Surroundings = surroundings_of(
            unwrap(handler), None, Viewpoint(names)
        )
        self._free_labels: list[str] = []

    def read(self, *, may_be_plain: bool, skip: int) -> Reading:
        try:
            signature = inspect.signature(self._handler)
        except ValueError:
            # Of a builtin that does not tell.
            return Reading(is_plain=True)
        parameters = list(signature.parameters.values())[skip:]
        annotations = [self._evaluate(parameter) for parameter in parameters]
        if may_be_plain and self._is_plain(parameters, annotations):
            return Reading(is_plain=True)
        pairs = list(zip(parameters, annotations, strict=True))
        claimed = {self._claim(parameter, annotation) for parameter, annotation in pairs}
        self._free_labels = [label for label in self._place.labels if label not in claimed]
        returns = MISSING
        if signature.return_annotation is not signature.empty:
            returns = self._look_up("return", signature.return_annotation)
        return Reading(
            is_plain=False,
            parameters=tuple(self._read_all(pairs)),
            returns=returns,
        )

    def _evaluate(self, parameter: inspect.Parameter) -> Any:
        if parameter.annotation is parameter.empty:
            return MISSING
        return self._look_up(parameter.name, parameter.annotation)

    def _look_up(self, name: str, annotation: Any) -> Any:
        try:
            return self._surroundings.evaluate(annotation, lambda _: MISSING)
        except (NameError, AttributeError, TypeError, SyntaxError) as error:
            raise UnresolvableParameterError(
                name,
                describe_callable(self._handler),
                f"its annotation {annotation!r} cannot be evaluated ({error}). Import what it "
                f"names in that module.",
            ) from error

    def _is_plain(self, parameters: list[inspect.Parameter], annotations: list[Any]) -> bool:
        if not parameters or not all(map(_is_builtin, annotations)):
            return False
        return annotations[0] in _SID_TYPES or parameters[0].kind in _VARIADIC

    def _claim(self, parameter: inspect.Parameter, annotation: Any) -> str | None:
        """Tell which argument before the payload a parameter takes, by its name or its type."""
        types_of_labels = {
            SocketID: "sid",
            Environ: "environ",
            Auth: "auth",
            Reason: "reason",
            Event: "event",
        }
        key = _without_none(annotation)
        if is_hashable(key) and key in types_of_labels:
            return types_of_labels[key]
        if _is_builtin(annotation) and parameter.name in self._place.labels:
            return parameter.name
        return None

    def _read_all(self, pairs: list[tuple[inspect.Parameter, Any]]) -> Iterator[Parameter]:
        for parameter, annotation in pairs:
            if parameter.kind is not parameter.VAR_KEYWORD:
                yield self._read_one(parameter, annotation)

    def _read_one(self, parameter: inspect.Parameter, annotation: Any) -> Parameter:
        name, kind = parameter.name, parameter.kind
        default = MISSING if parameter.default is parameter.empty else parameter.default
        if kind is parameter.VAR_POSITIONAL:
            return Parameter(name, kind, is_raw=True)
        key = _without_none(annotation)
        if is_hashable(key) and (key in self._given or key is Container):
            self._check_place(parameter, key)
            return Parameter(name, kind, key, default=default)
        if isinstance(key, type) and issubclass(key, BaseException):
            return Parameter(name, kind, label="exception")
        if _is_builtin(annotation) and name in self._place.labels:
            return Parameter(name, kind, label=name)
        if annotation is MISSING:
            return self._read_unannotated(parameter, default)
        return self._read_annotated(parameter, annotation, default)

    def _read_unannotated(self, parameter: inspect.Parameter, default: Any) -> Parameter:
        name, kind = parameter.name, parameter.kind
        if self._free_labels:
            return Parameter(name, kind, label=self._free_labels.pop(0))
        if not self._place.has_payload and default is MISSING:
            raise self._has_no_payload(parameter)
        return Parameter(name, kind, is_raw=True, default=default)

    def _read_annotated(
        self, parameter: inspect.Parameter, annotation: Any, default: Any
    ) -> Parameter:
        name, kind = parameter.name, parameter.kind
        key = annotation if default is MISSING else _without_none(annotation)
        if not is_hashable(key) or _is_builtin(annotation):
            # A name such as `str` says too little to mean a service; `Inject[str]` does.
            key = MISSING
        if not self._place.has_payload:
            if _is_builtin(annotation):
                raise self._has_no_payload(parameter)
            return Parameter(name, kind, key, default=default)
        # The payload has begun: what comes now is no longer the sid.
        self._free_labels.clear()
        adapter = find_adapter(annotation)
        payload = None if adapter is None else Payload(name, adapter, default)
        return Parameter(name, kind, key, payload=payload, default=default)

    def _check_place(self, parameter: inspect.Parameter, key: Any) -> None:
        event = self._place.event
        if key == Auth and event != CONNECT:
            reason = "Auth is what a client sends to be let in: it is there in `connect` only."
        elif key == Reason and event != DISCONNECT:
            reason = "Reason is why a client is gone: it is there in `disconnect` only."
        elif key == Data and not self._place.has_payload:
            reason = f"a client sends no payload with {event!r}."
        else:
            return
        raise UnresolvableParameterError(
            parameter.name, describe_callable(self._handler), reason
        )

    def _has_no_payload(self, parameter: inspect.Parameter) -> UnresolvableParameterError:
        labels = ", ".join(self._place.labels)
        return UnresolvableParameterError(
            parameter.name,
            describe_callable(self._handler),
            f"a client sends no payload with {self._place.event!r}. The arguments that there are: "
            f"{labels}. What is registered is asked for by its type, or with Inject[...].",
        )


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
