"""`Container.call`: call any function, with its dependencies filled from a container.

This module fills parameters by their annotations; `inject` fills the marked ones.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from wares._core.callables import read_shape, without_autowire
from wares._core.container import Container
from wares._core.keys import MISSING
from wares._core.signatures import Need, read_call, read_signature
from wares._inject.injection import inject
from wares.exceptions import AsyncServiceError


def call(
    container: Container,
    function: Callable[..., Any],
    arguments: Sequence[Any],
    named: Mapping[str, Any],
) -> Any:
    """Call a function; see `Container.call`."""
    target = without_autowire(function)
    if read_shape(target).is_async:
        reason = "it is asynchronous: use container.acall(...)"
        raise AsyncServiceError(target, [target], reason)
    run, needs = _prepare(container, function, arguments, named)
    filled = {need.name: container.get(need.key) for need in needs}
    with container.activate():
        return run(filled)


async def acall(
    container: Container,
    function: Callable[..., Any],
    arguments: Sequence[Any],
    named: Mapping[str, Any],
) -> Any:
    """Call a function, and await it if needed; see `Container.acall`."""
    run, needs = _prepare(container, function, arguments, named)
    filled = {need.name: await container.aget(need.key) for need in needs}
    with container.activate():
        result = run(filled)
        return await result if inspect.iscoroutine(result) else result


def _prepare(
    container: Container, function: Any, arguments: Sequence[Any], named: Mapping[str, Any]
) -> tuple[Callable[[Mapping[str, Any]], Any], list[Need]]:
    """Return a function that makes the call, and the needs that *container* must fill for it."""
    target = without_autowire(function)
    needs = _read_needs(function)
    marked = {need.name for need in needs if need.is_marked}
    injected = inject(target) if marked else target
    # Arguments for marked parameters are passed by keyword.
    for_marked = {name: value for name, value in named.items() if name in marked}
    rest = {name: value for name, value in named.items() if name not in marked}
    if not needs:
        # A builtin may have no signature, to which arguments could be bound.
        return lambda _: injected(*arguments, **named), []
    bound = inspect.signature(injected).bind_partial(*arguments, **rest)

    def is_filled(need: Need) -> bool:
        if need.is_marked or need.key is MISSING or need.name in bound.arguments:
            return False
        # Asking for a missing service raises the right error.
        must_be_there = need.default is MISSING and not need.takes_argument
        return must_be_there or need.key in container or bool(container._makers.find(need))

    def run(filled: Mapping[str, Any]) -> Any:
        bound.arguments.update(filled)
        return injected(*bound.args, **bound.kwargs, **for_marked)

    return run, list(filter(is_filled, needs))


def _read_needs(function: Any) -> Sequence[Need]:
    if function is not without_autowire(function):
        return read_signature(function, Container).needs
    needs = read_call(function, Container)
    # Parameters with defaults are left alone.
    return [need for need in needs if need.is_marked or need.default is MISSING]
