"""Injection without a decorator, in frameworks that have their own markers.

This module injects parameters with markers of wares, and leaves other markers to the framework.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Coroutine, Iterable
from inspect import Parameter
from typing import Any

from wares._adapters.units import may_await
from wares._core.annotations import (
    inspect_signature,
    show_annotations,
    surroundings_of,
)
from wares._core.callables import describe_callable, unwrap
from wares._core.container import current_container
from wares._core.marks import find_own_markers, is_marker
from wares._inject.injection import inject
from wares.exceptions import InvalidRegistrationError, raise_problems


def inject_own(function: Callable[..., Any], name: str | None = None) -> Callable[..., Any]:
    """Inject the parameters that wares' `Inject` and `Depends` mark, and no others.

    Args:
        function: A handler whose annotations can be evaluated.
        name: The name of the handler in errors; its own name by default.

    Returns:
        The handler, of the same kind, with the remaining parameters; *function* itself if it asks
        for nothing.
    """
    signature = _read_signature(function)
    if signature is None:
        # `inject` looks for names in more places, but would not leave other markers alone.
        return inject(function)
    if not _find_own(signature):
        return function
    shim = _make_shim(function)
    # Errors name the handler, not the shim.
    functools.update_wrapper(shim, function, updated=())
    if name is not None:
        shim.__name__ = shim.__qualname__ = name
    return _inject(shim, function, signature)


def refuse_uninjected(functions: Iterable[Callable[..., Any]], advice: str) -> None:
    """Refuse functions that ask for services but are not injected.

    Args:
        functions: The functions, as they were written.
        advice: What to do about it, for the message.

    Raises:
        InvalidRegistryError: A function asks for a service, as far as its annotations can be
            evaluated yet.
    """
    problems = [
        InvalidRegistrationError(
            f"{describe_callable(function)} asks for services, but is not injected. {advice}"
        )
        for function in functions
        if _find_own(_read_signature(function))
    ]
    raise_problems("The handlers have", problems)


def bind_own(function: Callable[..., Any]) -> Callable[..., Any] | None:
    """Make a function that awaits the services of a synchronous function.

    Args:
        function: A synchronous handler.

    Returns:
        An asynchronous function that takes the remaining arguments and returns all of them, by
        position and by keyword. `None` if the handler asks for nothing or for function-scoped
        services, or if its annotations cannot be evaluated yet.
    """
    signature = _read_signature(function)
    own = _find_own(signature)
    markers = (marker for markers in own.values() for marker in markers)
    has_function_scope = any(getattr(marker, "scope", None) == "function" for marker in markers)
    if signature is None or not own or has_function_scope:
        return None

    async def bind(*args: Any, **kwargs: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
        return args, kwargs

    functools.update_wrapper(bind, function, updated=())
    return _inject(bind, function, signature)


class SynchronousHandler:
    """An injected function in a synchronous framework.

    The function and its services may be asynchronous.

    Args:
        function: The function.

    Attributes:
        function: The injected function, whose signature shows only the other parameters.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = inject_own(function)
        self._plain = function
        self._bind = None if inspect.iscoroutinefunction(function) else bind_own(function)
        if self._bind is not None:
            # Validation must allow services that have to be awaited, because `_bind` awaits them.
            self.function.__wares_asker__ = self._bind.__wares_asker__  # type: ignore[attr-defined]  # injected functions have it

    def call(
        self,
        run: Callable[[Coroutine[Any, Any, Any]], Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Any:
        """Call the function with services of the current container.

        Args:
            run: Runs a coroutine, and returns its result.
            args: The positional arguments.
            kwargs: The keyword arguments.
        """
        if self._bind is not None and may_await(current_container().registry):
            args, kwargs = run(self._bind(*args, **kwargs))
            return self._plain(*args, **kwargs)
        result = self.function(*args, **kwargs)
        return run(result) if inspect.iscoroutine(result) else result


def _read_signature(function: Callable[..., Any]) -> inspect.Signature | None:
    """Read a signature, and evaluate annotations that are strings.

    Returns:
        The signature; `None` if there is none, or if a name in an annotation is unknown yet.
    """
    try:
        signature = inspect_signature(function)
        surroundings = surroundings_of(unwrap(function), None)
        parameters = [
            parameter.replace(annotation=surroundings.evaluate(parameter.annotation))
            for parameter in signature.parameters.values()
        ]
    except (NameError, TypeError, ValueError):
        return None
    return signature.replace(parameters=parameters)


def _find_own(signature: inspect.Signature | None) -> dict[str, list[Any]]:
    """Return the markers of wares, by the names of their parameters."""
    parameters = () if signature is None else signature.parameters.values()
    found = {parameter.name: find_own_markers(parameter) for parameter in parameters}
    return {name: markers for name, markers in found.items() if markers}


def _inject(
    shim: Callable[..., Any], function: Callable[..., Any], signature: inspect.Signature
) -> Callable[..., Any]:
    """Inject *shim* as if it had the *signature* of *function* without other markers."""
    own = _find_own(signature)
    parameters = list(signature.parameters.values())
    hidden = [p if p.name in own else _hide_marker(p) for p in parameters]
    shim.__signature__ = signature.replace(parameters=hidden)  # type: ignore[attr-defined]  # PEP 362 reads it
    injected = functools.update_wrapper(inject(shim), function)
    shown = [parameter for parameter in parameters if parameter.name not in own]
    # `inject` has added the parameters that only dependencies take from the call.
    left = list(inspect.signature(injected).parameters.values())
    added = left[len(shown) :]
    injected.__signature__ = signature.replace(parameters=[*shown, *added])  # type: ignore[attr-defined]  # the same
    show_annotations(injected, function, own)
    return injected


def _hide_marker(parameter: Parameter) -> Parameter:
    """Hide the marker of another framework, which passes the argument itself."""
    default = None if is_marker(parameter.default) else parameter.default
    return parameter.replace(annotation=parameter.empty, default=default)


def _make_shim(function: Callable[..., Any]) -> Callable[..., Any]:
    """Make a function of the same kind, whose signature can be replaced."""
    if inspect.iscoroutinefunction(function):

        async def acall(*args: Any, **kwargs: Any) -> Any:
            return await function(*args, **kwargs)

        return acall

    def call(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return call
