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
from wares._core.marks import Need
from wares._core.signatures import read_call, read_signature
from wares._inject.injection import inject_for_call
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
        reason = "it is asynchronous"
        raise AsyncServiceError(target, [target], reason, asker=target)
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
    if not needs:
        # A builtin may have no signature, to which arguments could be bound.
        return lambda _: target(*arguments, **named), []
    injected = inject_for_call(target) if any(need.is_marked for need in needs) else target
    signature = inspect.signature(injected)
    shown = {name: value for name, value in named.items() if name in signature.parameters}
    # An injected function takes its marked parameters by keyword, and does not show them.
    others = {name: value for name, value in named.items() if name not in shown}
    bound = signature.bind_partial(*arguments, **shown)

    def is_filled(need: Need) -> bool:
        if need.is_marked or need.key is MISSING or need.name in bound.arguments:
            return False
        # Asking for a missing service raises the right error.
        must_be_there = need.default is MISSING and not need.takes_argument
        return (
            must_be_there or need.key in container or bool(container._makers.wiring.find(need))
        )

    def run(filled: Mapping[str, Any]) -> Any:
        bound.arguments.update(filled)
        return injected(*bound.args, **bound.kwargs, **others)

    return run, list(filter(is_filled, needs))


def _read_needs(function: Any) -> Sequence[Need]:
    if function is not without_autowire(function):
        return read_signature(function).needs
    needs = read_call(function)
    # Parameters with defaults are left alone.
    return [need for need in needs if need.is_marked or need.default is MISSING]
