"""One handler, and how it is called with what it declares.

This module knows how parameters are filled from an event and its container. It must not know
which handler an event goes to.

It is written once for both kinds of server: see `_hook`.
"""

from __future__ import annotations

import inspect
import types
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from wares._inject.injection import inject
from wares._core.keys import MISSING
from wares._core.resolution import can_find
from wares._core.signatures import Need, is_marker
from wares.socketio._events import SocketEvent
from wares.socketio._hook import Serving
from wares.socketio._parameters import Parameter, Place, read_parameters
from wares.socketio._payloads import PayloadError

_BY_POSITION = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


class Binding:
    """A handler, and where its arguments come from.

    Args:
        handler: The handler.
        place: Where it is registered.
        given: The keys that every container is given.
        dependencies: Markers of what is made for its effect, before it runs.
        frame: Where it is defined.
        may_be_plain: Whether it may be python-socketio's own kind.
        skip: How many parameters at the beginning `call` is passed.

    Attributes:
        handler: The handler.
        place: Where it is registered.
        reading: Its parameters.

    Raises:
        UnresolvableParameterError: A parameter that nothing can fill at that place.
        AsyncServiceError: The handler is synchronous, a dependency is not.
    """

    def __init__(
        self,
        handler: Callable[..., Any],
        place: Place,
        given: Iterable[Any],
        *,
        dependencies: Sequence[Any] = (),
        frame: types.FrameType | None = None,
        may_be_plain: bool = True,
        skip: int = 0,
    ) -> None:
        self.handler = handler
        self.place = place
        self._function = handler
        if dependencies or _may_be_marked(handler):
            injector: Any = inject(dependencies=dependencies)
            self._function = injector(handler, frame)
        self.reading = read_parameters(
            self._function,
            place,
            given,
            frame,
            may_be_plain=may_be_plain and _count(handler) == _count(self._function),
            skip=skip,
        )
        self._fitting: dict[int, Callable[[tuple[Any, ...]], tuple[Any, ...]]] = {}

    async def call(
        self,
        serving: Serving,
        raw: tuple[Any, ...],
        *first: Any,
        shows_input: bool = False,
        error: Exception | None = None,
    ) -> Any:
        """Call the handler.

        Args:
            serving: The event that is being handled.
            raw: What python-socketio passes.
            first: Arguments to pass before all others.
            shows_input: Whether an error about the payload shows what was sent.
            error: The exception that is to be answered.

        Raises:
            PayloadError: The payload is not what is declared.
        """
        if self.reading.is_plain:
            result = self._function(*self._fit(raw))
        else:
            filling = _Filling(serving, self.reading.parameters, error)
            positional, keywords = await filling.fill(shows_input=shows_input)
            result = self._function(*first, *positional, **keywords)
        if serving.hook.can_await and inspect.isawaitable(result):
            return await result
        return result

    def _fit(self, raw: tuple[Any, ...]) -> tuple[Any, ...]:
        """Leave out, or add, the last argument of connect and disconnect for who wants it so."""
        fit = self._fitting.get(len(raw))
        if fit is None:
            fit = self._fitting[len(raw)] = self._choose_fit(raw)
        return fit(raw)

    def _choose_fit(self, raw: tuple[Any, ...]) -> Callable[[tuple[Any, ...]], tuple[Any, ...]]:
        if not self.place.has_payload:
            signature = _read(self._function)
            wanted = len(self.place.labels)
            for fit in (_pass_all, _add_none if len(raw) < wanted else _leave_last_out):
                if signature is not None and _can_bind(signature, fit(raw)):
                    return fit
        return _pass_all


class _Filling:
    """The filling of parameters for one event."""

    def __init__(
        self, serving: Serving, parameters: Sequence[Parameter], error: Exception | None
    ) -> None:
        self._serving = serving
        self._container = serving.container
        self._event: SocketEvent = serving.event
        self._parameters = parameters
        self._error = error

    async def fill(self, *, shows_input: bool) -> tuple[list[Any], dict[str, Any]]:
        """Find or make what goes into the parameters; the payload is looked at first.

        Raises:
            PayloadError: The payload is not what is declared.
        """
        problems: list[dict[str, Any]] = []
        sent = iter(self._event.arguments)
        values = {
            parameter.name: self._take(parameter, sent, problems, shows_input=shows_input)
            for parameter in self._parameters
            if not self._is_service(parameter)
        }
        if problems:
            raise PayloadError(self._event.name, problems)
        positional: list[Any] = []
        keywords: dict[str, Any] = {}
        for parameter in self._parameters:
            if parameter.kind is inspect.Parameter.VAR_POSITIONAL:
                positional += values[parameter.name]
                continue
            if parameter.name in values:
                value = values[parameter.name]
            elif parameter.key in self._container:
                # No coroutine for what is there already, as all facts of the event are.
                value = self._container.get(parameter.key)
            else:
                value = await self._get(parameter)
            if parameter.kind in _BY_POSITION:
                positional.append(value)
            else:
                keywords[parameter.name] = value
        return positional, keywords

    def _is_service(self, parameter: Parameter) -> bool:
        if parameter.key is MISSING:
            return False
        return parameter.payload is None or self._can_find(parameter)

    def _can_find(self, parameter: Parameter) -> bool:
        return can_find(self._container, Need(parameter.name, parameter.key, by_keyword=False))

    async def _get(self, parameter: Parameter) -> Any:
        if parameter.default is not MISSING and not self._can_find(parameter):
            return parameter.default
        if self._serving.hook.can_await:
            return await self._container.aget(parameter.key)
        return self._container.get(parameter.key)

    def _take(
        self,
        parameter: Parameter,
        sent: Iterator[Any],
        problems: list[dict[str, Any]],
        *,
        shows_input: bool,
    ) -> Any:
        """Take what comes from the event itself."""
        if parameter.label is not None:
            return (
                self._error
                if parameter.label == "exception"
                else self._labelled(parameter.label)
            )
        if parameter.kind is inspect.Parameter.VAR_POSITIONAL:
            return list(sent)
        value = next(sent, MISSING)
        if parameter.payload is not None:
            return parameter.payload.validate(value, problems, shows_input=shows_input)
        if value is MISSING and parameter.default is MISSING:
            problems.append(
                {"type": "missing", "loc": [parameter.name], "msg": "Field required"}
            )
        return parameter.default if value is MISSING else value

    def _labelled(self, label: str) -> Any:
        return self._event.name if label == "event" else getattr(self._event, label)


def raw_arguments(place: Place, event: SocketEvent) -> tuple[Any, ...]:
    """Make what python-socketio would pass for *event*."""
    labelled = [
        event.name if label == "event" else getattr(event, label) for label in place.labels
    ]
    return (*labelled, *event.arguments)


def _may_be_marked(handler: Callable[..., Any]) -> bool:
    """Tell whether a parameter may carry a marker, for `inject` to find out."""
    signature = _read(handler)
    return signature is not None and any(
        parameter.annotation is not parameter.empty or is_marker(parameter.default)
        for parameter in signature.parameters.values()
    )


def _count(function: Callable[..., Any]) -> int:
    signature = _read(function)
    return -1 if signature is None else len(signature.parameters)


def _read(function: Callable[..., Any]) -> inspect.Signature | None:
    try:
        return inspect.signature(function)
    except ValueError:
        # Of a builtin that does not tell.
        return None


def _can_bind(signature: inspect.Signature, arguments: tuple[Any, ...]) -> bool:
    try:
        signature.bind(*arguments)
    except TypeError:
        return False
    return True


def _pass_all(raw: tuple[Any, ...]) -> tuple[Any, ...]:
    return raw


def _leave_last_out(raw: tuple[Any, ...]) -> tuple[Any, ...]:
    return raw[:-1]


def _add_none(raw: tuple[Any, ...]) -> tuple[Any, ...]:
    return (*raw, None)
