"""What the parameters of a handler are filled with, read when it is registered.

A handler that asks for nothing of ours is *plain*: python-socketio's own kind, which takes its
arguments by position, the sid first.
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

from wares._core.annotations import Viewpoint, inspect_signature, surroundings_of
from wares._core.callables import VARIADIC, describe_callable, unwrap
from wares._core.container import Container
from wares._core.keys import MISSING, UNIONS, is_hashable
from wares._core.signatures import without_none
from wares.exceptions import UnresolvableParameterError
from wares.socketio._events import CONNECT, DISCONNECT, FACTS, SocketEvent
from wares.socketio._hook import Serving
from wares.socketio._payloads import find_adapter, missing, validate

#: Types that say nothing about where a value comes from.
_BUILTINS = (
    *(str, int, float, bool, bytes, dict, list, tuple, set, object),
    *(Any, None, types.NoneType, inspect.Parameter.empty),
)

#: The facts that only one event has, and what they are.
_RARE_FACTS = {
    "event.auth": (CONNECT, "Auth is the data with which a client logs in"),
    "event.reason": (DISCONNECT, "Reason is why a client disconnected"),
}


@attrs.frozen
class Place:
    """Where a handler is registered.

    Attributes:
        event: The name of the event; ``"*"`` stands for any other.
        namespace: The namespace; ``"*"`` stands for any other.
        labels: The arguments that come before the payload, by the names that they usually have.
        skip: How many arguments come before these, which are no business of this module.
        may_be_plain: Whether handlers of python-socketio's own kind are registered there.
    """

    event: str
    namespace: str
    labels: tuple[str, ...]
    skip: int = 0
    may_be_plain: bool = True

    @property
    def has_payload(self) -> bool:
        """Whether the client sends something along."""
        return self.event not in (CONNECT, DISCONNECT)


def place_of(event: str, namespace: str) -> Place:
    """Tell what a handler is passed that is registered for an event and a namespace."""
    first = ["event"] if event == "*" else []
    first += ["namespace"] if namespace == "*" else []
    rest = {CONNECT: ("environ", "auth"), DISCONNECT: ("reason",)}.get(event, ())
    return Place(event, namespace, (*first, "sid", *rest))


#: The place of exception handlers: they are passed the exception, for any event.
PLACE_OF_ANSWER = Place("*", "/", ("exception", "sid"), may_be_plain=False)

#: The place of middlewares: they may ask for what is there for any event.
PLACE_OF_MIDDLEWARE = Place("*", "/", ("sid",), skip=2, may_be_plain=False)


def path_of(label: str) -> str:
    """Tell where an event that is being served has an argument, by the attributes to follow."""
    return {"event": "event.name", "exception": "error"}.get(label, f"event.{label}")


@attrs.frozen(eq=False)
class Parameter:
    """A parameter that this package fills; marked ones are `inject`'s.

    Attributes:
        name: Its name.
        kind: How Python passes it.
        fact: Finds which fact of the event it takes; or None.
        key: What to ask the container for, or `MISSING`.
        is_argument: Whether it takes an argument of the payload, unless *key* is registered.
        adapter: What validates that argument, or None.
        default: Its default, or `MISSING`.
    """

    name: str
    kind: Any
    fact: Callable[[Serving], Any] | None = None
    key: Any = MISSING
    is_argument: bool = False
    adapter: Any = None
    default: Any = MISSING

    @property
    def is_optional(self) -> bool:
        """Whether the client may leave the argument out."""
        problems: list[dict[str, Any]] = []
        self._read(MISSING, problems)
        return not problems

    def take(
        self, serving: Serving, sent: Iterator[Any], problems: list[dict[str, Any]]
    ) -> Any:
        """Take what comes from the event itself, and note what is wrong with it."""
        if self.fact is not None:
            return self.fact(serving)
        if not self.is_argument:
            return list(sent)  # of `*args`
        return self._read(next(sent, MISSING), problems)

    def _read(self, value: Any, problems: list[dict[str, Any]]) -> Any:
        if value is MISSING and self.default is not MISSING:
            return self.default
        if self.adapter is not None:
            return validate(self.adapter, self.name, value, problems)
        if value is MISSING:
            problems.append(missing(self.name))
        return value


class Reader:
    """Reads the parameters of one handler.

    Attributes:
        signature: Those of the function that is called, with evaluated annotations.
    """

    def __init__(
        self, handler: Callable[..., Any], place: Place, frame: types.FrameType | None
    ) -> None:
        self._handler = handler
        self._place = place
        viewpoint = Viewpoint({} if frame is None else frame.f_locals)
        self._surroundings = surroundings_of(unwrap(handler), None, viewpoint)
        signature = _read_called(handler)
        self.signature = signature.replace(
            parameters=list(map(self.evaluate, signature.parameters.values())),
            return_annotation=self._look_up("return", signature.return_annotation),
        )

    def evaluate(self, parameter: inspect.Parameter) -> inspect.Parameter:
        """Evaluate the annotation of a parameter."""
        annotation = self._look_up(parameter.name, parameter.annotation)
        return parameter.replace(annotation=annotation)

    def _look_up(self, name: str, annotation: Any) -> Any:
        if annotation is inspect.Parameter.empty:
            return annotation
        try:
            return self._surroundings.evaluate(annotation)
        except (NameError, AttributeError, TypeError, SyntaxError) as error:
            raise self._refuse(
                name,
                f"its annotation {annotation!r} cannot be evaluated ({error}). Import what it "
                f"names in that module.",
            ) from error

    def read(self, parameters: Iterable[inspect.Parameter]) -> tuple[Parameter, ...]:
        """Read what is to be filled."""
        filled = [one for one in parameters if one.kind is not one.VAR_KEYWORD]
        claimed = set(map(self._claim, filled))
        paths = map(path_of, self._place.labels)
        self._free = [path for path in paths if path not in claimed]
        return tuple(map(self._read_one, filled))

    def _claim(self, parameter: inspect.Parameter) -> str | None:
        """Tell which fact of the event a parameter takes by its type, or by its name."""
        annotation = parameter.annotation
        path = _find_path(without_none(annotation))
        if path is None and parameter.name in self._place.labels and _is_builtin(annotation):
            return path_of(parameter.name)
        return path

    def _read_one(self, parameter: inspect.Parameter) -> Parameter:
        name, kind, annotation = parameter.name, parameter.kind, parameter.annotation
        if kind is parameter.VAR_POSITIONAL:
            return Parameter(name, kind)
        path = self._claim(parameter)
        if path is None and annotation is parameter.empty and self._free:
            path = self._free.pop(0)
        if path is not None:
            self._check_place(name, path)
            return Parameter(name, kind, attrgetter(path))
        default = MISSING if parameter.default is parameter.empty else parameter.default
        is_builtin = _is_builtin(annotation)
        if is_builtin and default is MISSING and not self._place.has_payload:
            raise self._refuse(name, self._tell_arguments())
        key = annotation if default is MISSING else without_none(annotation)
        if is_builtin or not is_hashable(key):
            # A name such as `str` says too little to mean a service; `Inject[str]` does.
            key = MISSING
        adapter = find_adapter(annotation) if self._place.has_payload else None
        if adapter is not None:
            # The payload has begun: what comes now is no longer the sid.
            self._free.clear()
        is_argument = key is MISSING or adapter is not None
        return Parameter(name, kind, None, key, is_argument, adapter, default)

    def _check_place(self, name: str, path: str) -> None:
        event = self._place.event
        if path == "event.data" and not self._place.has_payload:
            raise self._refuse(name, f"a client sends no payload with {event!r}.")
        only_in, what = _RARE_FACTS.get(path, (event, ""))
        if event != only_in:
            raise self._refuse(name, f"{what}: it exists in `{only_in}` only.")

    def _tell_arguments(self) -> str:
        return (
            f"a client sends no payload with {self._place.event!r}. The arguments that there "
            f"are: {', '.join(self._place.labels)}. What is registered is asked for by its type, "
            f"or with Inject[...]."
        )

    def _refuse(self, name: str, reason: str) -> UnresolvableParameterError:
        return UnresolvableParameterError(name, describe_callable(self._handler), reason)


def is_plain(parameters: list[inspect.Parameter]) -> bool:
    """Tell whether *parameters* are those of a handler of python-socketio's own kind."""
    annotations = [parameter.annotation for parameter in parameters]
    if not parameters or not all(map(_is_builtin, annotations)):
        return False
    is_sid = annotations[0] in (inspect.Parameter.empty, str, Any, object)
    return is_sid or parameters[0].kind in VARIADIC


#: What is known of the parameters of a builtin that does not tell.
_UNKNOWN = inspect.signature(lambda *_: None)


def _read_called(handler: Any) -> inspect.Signature:
    """Read the parameters of the function that is called.

    `functools.wraps` makes a decorator look like what it wraps, which says nothing about how it is
    called: only a decorator that takes no more than ``*args, **kwargs``, and passes them on, takes
    what the inner function takes.
    """
    own = _uncover(handler)
    try:
        signature = inspect_signature(own)
    except (ValueError, TypeError):  # a builtin; an `AsyncMock` on Python 3.11.2
        return _UNKNOWN
    wrapped = getattr(handler, "__wrapped__", None)
    kinds = tuple(parameter.kind for parameter in signature.parameters.values())
    if wrapped is None or hasattr(own, "__signature__") or kinds != VARIADIC:
        return signature
    owner = getattr(handler, "__self__", None)
    # The decorator of a method wraps a function that takes `self`.
    return _read_called(wrapped if owner is None else types.MethodType(wrapped, owner))


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


def _find_path(key: Any) -> str | None:
    """Tell which fact of the event an annotation stands for, if it stands for one."""
    if not is_hashable(key):
        return None
    if isinstance(key, type) and issubclass(key, BaseException):
        return "error"
    if key in FACTS:
        return f"event.{FACTS[key]}"
    return {SocketEvent: "event", Container: "container"}.get(key)


def _is_builtin(annotation: Any) -> bool:
    """Tell whether an annotation, if there is one, consists of Python's own types only."""
    arguments = typing.get_args(annotation)
    origin = typing.get_origin(annotation)
    if origin in UNIONS:
        return all(map(_is_builtin, arguments))
    if origin is not None:
        return origin in _BUILTINS and all(
            argument is Ellipsis or _is_builtin(argument) for argument in arguments
        )
    return any(annotation is builtin for builtin in _BUILTINS)
