"""One handler, and how it is called with what it declares.

This module knows how parameters are filled from an event and its container.

It is written once for both kinds of server: see `_coroutines`.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import types
from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Any

from wares._core.callables import read_shape
from wares._core.keys import MISSING
from wares._core.marks import find_markers
from wares._inject.injection import inject
from wares.exceptions import InvalidRegistrationError, ServiceNotFoundError
from wares.socketio._hook import Serving, refuse_async
from wares.socketio._parameters import Parameter, Place, Reader, is_plain, path_of
from wares.socketio._payloads import PayloadError


class Handler:
    """A handler, a middleware or an exception handler, and where its arguments come from.

    Attributes:
        function: The function.
        called: The function, injected.
        place: Where it is registered.
        is_plain: Whether it is called as python-socketio would call it.
        parameters: What this package fills, in order, unless it is plain.
        returns: The annotation of what it returns, if it has one and is not plain.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        place: Place,
        *,
        dependencies: Sequence[Any] = (),
        frame: types.FrameType | None = None,
    ) -> None:
        if not callable(function):
            raise InvalidRegistrationError(
                f"Handlers, middlewares and exception handlers are functions, or other callables; "
                f"an instance of {type(function).__qualname__} is not callable."
            )
        self.function = self.called = function
        self.place = place
        reader = Reader(function, place, frame)
        signature = reader.signature
        own = signature.parameters
        left = list(own.values())
        if dependencies or any(map(_is_marked, left)):
            injector: Any = inject(dependencies=dependencies)
            self.called = injector(_show(function, signature), frame)
            injected = inspect.signature(self.called).parameters.values()
            left = [own.get(one.name) or reader.evaluate(one) for one in injected]
        is_whole = [one.name for one in left] == list(own)
        left = left[place.skip :]
        self.is_plain = place.may_be_plain and is_whole and is_plain(left)
        self.parameters = () if self.is_plain else reader.read(left)
        self.returns = signature.empty if self.is_plain else signature.return_annotation
        self._raw = [attrgetter(path_of(label)) for label in place.labels]
        # python-socketio passes the last argument of connecting and disconnecting, or leaves it.
        self._end = -1 if _leaves_out_last(signature, place) else None
        self._tries_less = not place.has_payload and _takes_any(signature)

    def check_server(self, *, can_await: bool) -> None:
        """Refuse to be called by a synchronous server, where the function is asynchronous."""
        if not can_await and read_shape(self.function).is_async:
            raise refuse_async(self.function)

    async def call(self, serving: Serving, *first: Any) -> Any:
        """Call the handler."""
        if self.is_plain:
            return await self._call_plain(serving)
        positional, keywords = await self._fill(serving)
        result = self.called(*first, *positional, **keywords)
        return await serving.hook.finish(result, self.function)

    async def _call_plain(self, serving: Serving) -> Any:
        """Call it as python-socketio does."""
        raw = (*[find(serving) for find in self._raw], *serving.event.arguments)
        finish = serving.hook.finish
        try:
            return await finish(self.called(*raw[: self._end]), self.function)
        except TypeError:
            if self._tries_less:
                # If that fails, too, the first error tells what is wrong.
                with contextlib.suppress(TypeError):
                    return await finish(self.called(*raw[:-1]), self.function)
            raise

    async def _fill(self, serving: Serving) -> tuple[list[Any], dict[str, Any]]:
        """Find or make what goes into the parameters; the payload is looked at first."""
        problems: list[dict[str, Any]] = []
        sent = iter(serving.event.arguments)
        values = {
            parameter.name: parameter.take(serving, sent, problems)
            for parameter in self.parameters
            if not _is_service(parameter, serving)
        }
        if problems:
            raise PayloadError(serving.event.name, problems)
        positional: list[Any] = []
        keywords: dict[str, Any] = {}
        for parameter in self.parameters:
            name = parameter.name
            value = values[name] if name in values else await _get(parameter, serving)
            if parameter.kind is inspect.Parameter.VAR_POSITIONAL:
                positional += value
            elif parameter.kind is inspect.Parameter.KEYWORD_ONLY:
                keywords[name] = value
            else:
                positional.append(value)
        return positional, keywords


def _is_service(parameter: Parameter, serving: Serving) -> bool:
    key = parameter.key
    if key is MISSING or not parameter.is_argument:
        return key is not MISSING
    return key in serving.container.registry or key in serving.container


async def _get(parameter: Parameter, serving: Serving) -> Any:
    try:
        if serving.hook.can_await:
            return await serving.container.aget(parameter.key)
        return serving.container.get(parameter.key)
    except ServiceNotFoundError as error:
        if parameter.default is MISSING or error.key != parameter.key:
            raise
        return parameter.default


def _is_marked(parameter: inspect.Parameter) -> bool:
    """Tell whether a parameter may carry a marker, for `inject` to find out."""
    return any(find_markers(parameter.default)) or any(find_markers(parameter.annotation))


def _show(function: Callable[..., Any], signature: inspect.Signature) -> Callable[..., Any]:
    """Let a callable that looks like another one, or that does not tell, show its parameters."""
    is_function = isinstance(function, types.FunctionType | types.MethodType)
    if is_function and not hasattr(function, "__wrapped__"):
        return function

    def shown(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    shown.__signature__ = signature  # type: ignore[attr-defined]  # PEP 362 reads it
    return functools.update_wrapper(shown, function)


def _takes_any(signature: inspect.Signature) -> bool:
    kinds = [parameter.kind for parameter in signature.parameters.values()]
    return inspect.Parameter.VAR_POSITIONAL in kinds


def _leaves_out_last(signature: inspect.Signature, place: Place) -> bool:
    """Tell whether a plain handler takes all arguments but the last one."""
    if place.has_payload:
        return False
    arguments = [None] * len(place.labels)
    return not _can_take(signature, arguments) and _can_take(signature, arguments[1:])


def _can_take(signature: inspect.Signature, arguments: Sequence[Any]) -> bool:
    try:
        signature.bind(*arguments)
    except TypeError:
        return False
    return True
