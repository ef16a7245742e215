"""The start of a registry, which makes all eager singletons, or none of them."""

from __future__ import annotations

from collections.abc import Hashable

from wares._core.claims import CLEANUPS
from wares._core.cleanups import Entry, aleave_all, leave_all
from wares._core.registrations import Registrations


class Start:
    """One start of a registry, which can be undone.

    Attributes:
        keys: The keys of the eager singletons, in the order of registration.

    Raises:
        RegistryClosedError: The registry is closed.
    """

    def __init__(self, registry: Registrations) -> None:
        registry.check_open()
        self.keys: list[Hashable] = [
            key for key, recipe in list(registry.recipes.items()) if recipe.is_eager
        ]
        self._registry = registry
        self._before = registry.singletons.find_all()
        self._cleanups_before = len(registry.root._made.get(CLEANUPS, ()))

    def undo(self, error: BaseException) -> BaseException:
        """Clean up the singletons made since; return the exception that is then under way."""
        return leave_all(self._take(), error, self._registry.observers) or error

    async def aundo(self, error: BaseException) -> BaseException:
        """Clean up as `undo` does, and await asynchronous cleanups."""
        return await aleave_all(self._take(), error, self._registry.observers) or error

    def _take(self) -> list[Entry]:
        """Forget the singletons made since, and return their cleanups."""
        self._registry.singletons.forget_all_but(self._before)
        cleanups: list[Entry] = self._registry.root._made.get(CLEANUPS, [])
        taken = cleanups[self._cleanups_before :]
        del cleanups[self._cleanups_before :]
        return taken
