"""Pings: checking the health of one service in a container."""

from __future__ import annotations

import inspect
from collections.abc import Hashable, Mapping
from typing import Any

import attrs

from wares._core.asking import Asking
from wares._core.keys import name_uniquely
from wares._core.recipes import Recipe
from wares.exceptions import AsyncServiceError, WaresError


@attrs.frozen
class ServicePing:
    """A check of one service's health.

    Attributes:
        name: The service's name, unique among the pings of a container.
        is_async: Whether it must be run with `aping`, because the ping or a factory that it needs
            is asynchronous.
    """

    name: str
    is_async: bool
    _container: Asking = attrs.field(repr=False)
    _recipe: Recipe = attrs.field(repr=False)

    @property
    def key(self) -> Hashable:
        """The key of the service."""
        return self._recipe.key

    @property
    def timeout(self) -> float | None:
        """How long the ping may take, in seconds, if it was registered with a limit of its own."""
        return self._recipe.ping_timeout

    @property
    def tags(self) -> tuple[str, ...]:
        """The groups that the service belongs to."""
        return self._recipe.tags

    def ping(self) -> None:
        """Make the service and check it; the container cleans it up.

        Raises:
            AsyncServiceError: The ping or a factory must be awaited.
            Exception: Whatever a factory or the ping raises: the service is not healthy.
        """
        ping = self._ping
        if inspect.iscoroutinefunction(ping):
            raise self._must_be_awaited()
        result = ping(self._container.get(self.key))
        if inspect.isawaitable(result):
            if inspect.iscoroutine(result):
                result.close()
            raise self._must_be_awaited()

    async def aping(self) -> None:
        """Make the service and check it, and await what must be awaited.

        Raises:
            Exception: Whatever a factory or the ping raises: the service is not healthy.
        """
        result = self._ping(await self._container.aget(self.key))
        if inspect.isawaitable(result):
            await result

    @property
    def _ping(self) -> Any:
        return self._recipe.ping

    def _must_be_awaited(self) -> AsyncServiceError:
        return AsyncServiceError(self.key, [self.key], "its ping is asynchronous: use aping()")


def list_pings(container: Asking, recipes: Mapping[Hashable, Recipe]) -> list[ServicePing]:
    """List the pings of *recipes*, each with a name that is unique among all recipes."""
    names = name_uniquely(recipes)
    return [
        ServicePing(names[key], _must_await(container, recipe), container, recipe)
        for key, recipe in recipes.items()
        if recipe.ping is not None
    ]


def _must_await(container: Asking, recipe: Recipe) -> bool:
    """Return whether a ping, or a factory that it needs, is declared to be asynchronous."""
    if inspect.iscoroutinefunction(recipe.ping):
        return True
    todo = [recipe]
    seen = {recipe}
    while todo:
        current = todo.pop()
        if current.shape.is_async:
            return True
        try:
            needs = current.read()
        except WaresError:
            # Running the ping raises this error.
            continue
        asked = (container._makers.wiring.find(need) for need in needs)
        found = {other for other in asked if other is not None} - seen
        seen |= found
        todo += found
    return False
