"""Calling any function, with its dependencies filled from a container.

This module knows which parameters of a call a container fills. `inject` reads and fills the
markers.
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
    """Do what `Container.call` does."""
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
    """Do what `Container.acall` does."""
    run, needs = _prepare(container, function, arguments, named)
    filled = {need.name: await container.aget(need.key) for need in needs}
    with container.activate():
        result = run(filled)
        return await result if inspect.iscoroutine(result) else result


def _prepare(
    container: Container, function: Any, arguments: Sequence[Any], named: Mapping[str, Any]
) -> tuple[Callable[[Mapping[str, Any]], Any], list[Need]]:
    """Give what calls a function, and what it needs that nobody has passed and *container* has."""
    target = without_autowire(function)
    needs = _read_needs(function)
    marked = {need.name for need in needs if need.is_marked}
    injected = inject(target) if marked else target
    # What is passed for a marked parameter goes by its name.
    for_marked = {name: value for name, value in named.items() if name in marked}
    rest = {name: value for name, value in named.items() if name not in marked}
    if not needs:
        # A builtin that does not tell its parameters needs nothing.
        return lambda _: injected(*arguments, **named), []
    bound = inspect.signature(injected).bind_partial(*arguments, **rest)

    def is_filled(need: Need) -> bool:
        if need.is_marked or need.key is MISSING or need.name in bound.arguments:
            return False
        # Asking for what is missing says what is wrong.
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
    # A default stays.
    return [need for need in needs if need.is_marked or need.default is MISSING]
