"""A handler, and how it is called: with the facts of an event, its payload, and services.

One implementation serves both kinds of server: see `_coroutines`.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import types
from collections.abc import Awaitable, Callable, Sequence
from operator import attrgetter
from typing import Any

import attrs

from wares._core.annotations import Viewpoint
from wares._core.callables import can_be_called
from wares._core.marks import find_markers
from wares._inject.injection import inject
from wares.exceptions import InvalidRegistrationError
from wares.socketio._parameters import HandlerReader, Place, is_plain, path_of
from wares.socketio._payloads import PayloadError
from wares.socketio._serving import Serving, finish


class Handler:
    """A handler, a middleware or an exception handler, and where its arguments come from.

    Args:
        function: The function.
        place: Where it is registered.
        viewpoint: The names that its annotations may use, besides those around it.
        dependencies: Markers of dependencies to resolve before each call.

    Attributes:
        function: The function.
        called: The function, injected.
        place: Where it is registered.
        is_plain: Whether it is called as python-socketio would call it.
        parameters: The parameters that this package fills, in order; empty if it is plain.
        returns: Its return annotation, if it has one and is not plain.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        place: Place,
        viewpoint: Viewpoint | None = None,
        *,
        dependencies: Sequence[Any] = (),
    ) -> None:
        if not callable(function):
            raise InvalidRegistrationError(
                f"Handlers, middlewares and exception handlers are functions, or other callables; "
                f"an instance of {type(function).__qualname__} is not callable."
            )
        self.function = self.called = function
        self.place = place
        reader = HandlerReader(function, place, viewpoint)
        signature = reader.signature
        shown, own = _show(function, signature), signature.parameters
        left = list(own.values())
        if dependencies or any(map(_is_marked, left)):
            injector: Any = inject(dependencies=dependencies)
            self.called = injector(shown)
            injected = inspect.signature(self.called).parameters.values()
            left = [own.get(one.name) or reader.with_annotation(one) for one in injected]
        is_whole = [one.name for one in left] == list(own)
        left = left[place.skip :]
        self.is_plain = place.may_be_plain and is_whole and is_plain(left)
        self.parameters = () if self.is_plain else reader.read(left)
        self.returns = signature.empty if self.is_plain else signature.return_annotation
        self._raw = [attrgetter(path_of(label)) for label in place.labels]
        self._ends = _find_ends(shown, place)

    async def call(self, serving: Serving, *first: Any) -> Any:
        """Call the handler with *first* and the arguments that it declares."""
        if self.is_plain:
            return await self._call_plain(serving)
        positional, keywords = self._fill(serving)
        return await self._finish(serving, self.called(*first, *positional, **keywords))

    def read(self, serving: Serving, raw: tuple[Any, ...]) -> None:
        """Read the event again, if a ``trigger_event`` of the application has changed *raw*."""
        if raw == self._write(serving):
            return
        labels, event = self.place.labels, serving.event
        found = dict(zip(labels, raw, strict=False))
        # A handler that is not plain takes its arguments by their types, not by position.
        if self.is_plain or found.get("sid") == event.sid:
            name = found.pop("event", event.name)
            arguments = raw[len(labels) :]
            serving.replace_event(attrs.evolve(event, name=name, arguments=arguments, **found))

    def _write(self, serving: Serving) -> tuple[Any, ...]:
        """Return the arguments with which python-socketio calls handlers."""
        return (*[find(serving) for find in self._raw], *serving.event.arguments)

    async def _call_plain(self, serving: Serving) -> Any:
        """Call the handler as python-socketio does, with an argument less if it takes no more."""
        raw = self._write(serving)
        end, *others = self._ends
        try:
            return await self._finish(serving, self.called(*raw[:end]))
        except TypeError:
            # After a client has sent authentication, python-socketio does not try again either.
            for other in () if serving.event.auth else others:
                # If this fails as well, the first error tells what is wrong.
                with contextlib.suppress(TypeError):
                    return await self._finish(serving, self.called(*raw[:other]))
            raise

    def _finish(self, serving: Serving, result: Any) -> Awaitable[Any]:
        return finish(result, self.function, can_await=serving.can_await)

    def _fill(self, serving: Serving) -> tuple[list[Any], dict[str, Any]]:
        """Find the arguments, and validate the payload.

        Raises:
            PayloadError: The payload does not match the parameters.
        """
        problems: list[dict[str, Any]] = []
        sent = iter(serving.event.arguments)
        values = [parameter.take(serving, sent, problems) for parameter in self.parameters]
        if problems:
            raise PayloadError(serving.event.name, problems)
        positional: list[Any] = []
        keywords: dict[str, Any] = {}
        for parameter, value in zip(self.parameters, values, strict=True):
            if parameter.is_rest:
                positional += value
            elif parameter.kind is inspect.Parameter.KEYWORD_ONLY:
                keywords[parameter.name] = value
            else:
                positional.append(value)
        return positional, keywords


def _is_marked(parameter: inspect.Parameter) -> bool:
    """Tell whether a parameter may have a marker, which `inject` then reads."""
    return any(find_markers(parameter.default)) or any(find_markers(parameter.annotation))


def _show(function: Callable[..., Any], signature: inspect.Signature) -> Callable[..., Any]:
    """Give a wrapper, or a callable that is no function, the signature that was read."""
    is_function = isinstance(function, types.FunctionType | types.MethodType)
    if is_function and not hasattr(function, "__wrapped__"):
        return function

    def shown(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    functools.update_wrapper(shown, function)
    # Last, because the function may have copied that of a function that it wraps.
    shown.__signature__ = signature  # type: ignore[attr-defined]  # PEP 362 reads it
    return shown


def _find_ends(shown: Callable[..., Any], place: Place) -> list[int | None]:
    """Find the ends of the arguments of a plain handler: None for all, -1 for all but the last.

    With ``connect`` and ``disconnect``, python-socketio passes the last argument only if the
    handler takes it. A handler that takes any arguments may be a wrapper, so it is tried.
    """
    ends = [None] if place.has_payload else [None, -1]
    fitting = [end for end in ends if can_be_called(shown, *place.labels[:end])]
    kinds = [parameter.kind for parameter in inspect.signature(shown).parameters.values()]
    takes_any = inspect.Parameter.VAR_POSITIONAL in kinds
    return (fitting if takes_any else fitting[:1]) or [None]
