"""Factories that take the container and ask it, as svcs has them, made from a wiring.

Knows no peer: the container is whatever class annotates the parameter.
"""

from collections.abc import Callable
from contextlib import asynccontextmanager, contextmanager
from inspect import isasyncgenfunction
from typing import Any

from benchmarks.wiring import Factory, Wiring, is_generator, key_of, needs_of


def make_asking(wiring: Wiring, container: type) -> dict[type, Callable[..., Any]]:
    """Write factories that get what they need from a container.

    Args:
        wiring: Whose factories are meant.
        container: The class of the container, which annotates the parameter of each.

    Returns:
        The factories, by what they make.
    """
    asynchronous = wiring.asynchronous
    made: dict[type, Callable[..., Any]] = {}
    for factory in wiring.factories:
        waits = asynchronous.intersection(needs_of(factory).values())
        asking = _asking_async(factory) if waits else _asking(factory)
        asking.__annotations__ = {"container": container}
        made[key_of(factory)] = asking
    return made


def _asking(factory: Factory) -> Callable[..., Any]:
    if is_generator(factory):
        managed = asynccontextmanager if isasyncgenfunction(factory) else contextmanager
        factory, (need,) = managed(factory), needs_of(factory).values()
        return lambda container: factory(container.get(need))
    needs = tuple(needs_of(factory).values())
    if len(needs) == 1:
        need = needs[0]
        return lambda container: factory(container.get(need))
    return lambda container: factory(*container.get(*needs))


def _asking_async(factory: Factory) -> Callable[..., Any]:
    """Do the same for a factory that needs something that is made asynchronously."""
    needs = tuple(needs_of(factory).values())
    if len(needs) == 1:
        need = needs[0]

        async def make_of_one(container: Any) -> Any:
            return factory(await container.aget(need))

        return make_of_one

    async def make(container: Any) -> Any:
        return factory(*await container.aget(*needs))

    return make
