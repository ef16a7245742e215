"""One handler, and how it is called with what it declares.

This module knows how parameters are filled from an event and its container.

It is written once for both kinds of server: see `_hook`.
"""

from __future__ import annotations

import functools
import inspect
import types
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from wares._core.callables import unwrap
from wares._core.keys import MISSING
from wares._core.marks import find_markers
from wares._inject.injection import inject
from wares.exceptions import InvalidRegistrationError, ServiceNotFoundError
from wares.socketio._events import SocketEvent
from wares.socketio._hook import Serving, refuse_async
from wares.socketio._parameters import Parameter, Place, Reader
from wares.socketio._payloads import PayloadError, missing

_BY_POSITION = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


class Handler:
    """A handler, a middleware or an exception handler, and where its arguments come from.

    Attributes:
        function: The function.
        called: The function, injected.
        place: Where it is registered.
        reading: Its parameters.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        place: Place,
        *,
        dependencies: Sequence[Any] = (),
        frame: types.FrameType | None = None,
        may_be_plain: bool = True,
        skip: int = 0,
    ) -> None:
        _check_callable(function)
        reader = Reader(function, place, frame)
        signature = reader.signature
        self.function = function
        self.called = function
        self.place = place
        if signature is not None and (dependencies or _is_marked(signature)):
            injector: Any = inject(dependencies=dependencies)
            shown = _show_signature(function, signature) if reader.is_covered else function
            self.called = injector(shown, frame)
            signature = inspect.signature(self.called, follow_wrapped=False)
        left = [] if signature is None else list(signature.parameters.values())
        is_whole = reader.signature is None or len(left) == len(reader.signature.parameters)
        self.reading = reader.read(left, may_be_plain=may_be_plain and is_whole, skip=skip)
        self._signature = reader.signature

    def check_server(self, *, can_await: bool) -> None:
        """Refuse to be called by a synchronous server, where the function is asynchronous."""
        function = self.function
        is_async = inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
            getattr(function, "__call__", None)  # noqa: B004  # the function, not whether there is one
        )
        if is_async and not can_await:
            raise refuse_async(function)

    async def call(
        self,
        serving: Serving,
        raw: tuple[Any, ...],
        *first: Any,
        shows_input: bool = False,
    ) -> Any:
        """Call the handler."""
        if self.reading.is_plain:
            return await self._call_plain(serving, raw)
        positional, keywords = await self._fill(serving, shows_input=shows_input)
        result = self.called(*first, *positional, **keywords)
        return await serving.hook.finish(result, self.function)

    async def _call_plain(self, serving: Serving, raw: tuple[Any, ...]) -> Any:
        """Call it as python-socketio does: connect and disconnect with an argument less, too."""
        attempts = self._list_attempts(raw)
        try:
            return await serving.hook.finish(self.called(*attempts[0]), self.function)
        except TypeError:
            if len(attempts) == 1:
                raise
            try:
                return await serving.hook.finish(self.called(*attempts[1]), self.function)
            except TypeError:
                pass
            # As python-socketio does, the first one tells what is wrong.
            raise

    def _list_attempts(self, raw: tuple[Any, ...]) -> Sequence[tuple[Any, ...]]:
        """List what to pass; it is one thing only, where the signature tells what is taken."""
        if self.place.has_payload:
            return [raw]
        is_short = len(raw) < len(self.place.labels)
        both = [raw, (*raw, None) if is_short else raw[:-1]]
        if self._signature is None or _takes_any(self._signature):
            return both
        return [one for one in both if _can_bind(self._signature, one)][:1] or [raw]

    async def _fill(
        self, serving: Serving, *, shows_input: bool
    ) -> tuple[list[Any], dict[str, Any]]:
        """Find or make what goes into the parameters; the payload is looked at first."""
        problems: list[dict[str, Any]] = []
        sent = iter(serving.event.arguments)
        values = {
            parameter.name: _take(parameter, serving, sent, problems, shows_input=shows_input)
            for parameter in self.reading.parameters
            if not _is_service(parameter, serving)
        }
        if problems:
            raise PayloadError(serving.event.name, problems)
        positional: list[Any] = []
        keywords: dict[str, Any] = {}
        for parameter in self.reading.parameters:
            name = parameter.name
            value = values[name] if name in values else await _get(parameter, serving)
            if parameter.kind is inspect.Parameter.VAR_POSITIONAL:
                positional += value
            elif parameter.kind in _BY_POSITION:
                positional.append(value)
            else:
                keywords[name] = value
        return positional, keywords


def raw_arguments(place: Place, event: SocketEvent) -> tuple[Any, ...]:
    """Make what python-socketio would pass for *event*."""
    labelled = [
        event.name if label == "event" else getattr(event, label) for label in place.labels
    ]
    return (*labelled, *event.arguments)


def _is_service(parameter: Parameter, serving: Serving) -> bool:
    if parameter.key is MISSING or parameter.payload is None:
        return parameter.key is not MISSING
    return parameter.key in serving.container.registry or parameter.key in serving.container


async def _get(parameter: Parameter, serving: Serving) -> Any:
    try:
        if serving.hook.can_await:
            return await serving.container.aget(parameter.key)
        return serving.container.get(parameter.key)
    except ServiceNotFoundError as error:
        if parameter.default is MISSING or error.key != parameter.key:
            raise
        return parameter.default


def _take(
    parameter: Parameter,
    serving: Serving,
    sent: Iterator[Any],
    problems: list[dict[str, Any]],
    *,
    shows_input: bool,
) -> Any:
    """Take what comes from the event itself."""
    if parameter.fact is not None:
        is_whole = parameter.fact in ("event", "container", "error")
        return getattr(serving if is_whole else serving.event, parameter.fact)
    if parameter.kind is inspect.Parameter.VAR_POSITIONAL:
        return list(sent)
    value = next(sent, MISSING)
    if parameter.payload is not None:
        return parameter.payload.validate(value, problems, shows_input=shows_input)
    if value is MISSING and parameter.default is MISSING:
        problems.append(missing(parameter.name))
    return parameter.default if value is MISSING else value


def _is_marked(signature: inspect.Signature) -> bool:
    """Tell whether a parameter may carry a marker, for `inject` to find out."""
    return any(
        any(find_markers(parameter.default)) or any(find_markers(parameter.annotation))
        for parameter in signature.parameters.values()
    )


def _show_signature(
    function: Callable[..., Any], signature: inspect.Signature
) -> Callable[..., Any]:
    """Make a decorator that looks like what it wraps look like itself."""

    async def show_async(*args: Any, **kwargs: Any) -> Any:
        result = function(*args, **kwargs)
        return await result if inspect.isawaitable(result) else result

    def show_sync(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    is_async = any(map(inspect.iscoroutinefunction, unwrap(function)))
    show: Any = show_async if is_async else show_sync
    functools.update_wrapper(show, function, ("__module__", "__name__", "__qualname__"), ())
    del show.__wrapped__
    show.__signature__ = signature
    shown: Callable[..., Any] = show
    return shown


def _check_callable(function: Any) -> None:
    if not callable(function):
        raise InvalidRegistrationError(
            f"Handlers, middlewares and exception handlers are functions, or other callables; an "
            f"instance of {type(function).__qualname__} is not callable."
        )


def _takes_any(signature: inspect.Signature) -> bool:
    return any(
        parameter.kind is parameter.VAR_POSITIONAL
        for parameter in signature.parameters.values()
    )


def _can_bind(signature: inspect.Signature, arguments: tuple[Any, ...]) -> bool:
    try:
        signature.bind(*arguments)
    except TypeError:
        return False
    return True
