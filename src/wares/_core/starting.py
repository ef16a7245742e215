"""The start of a registry, which makes all eager singletons, or none of them."""

from __future__ import annotations

from collections.abc import Hashable

from wares._core.claims import CLEANUPS
from wares._core.cleanups import Entry, aleave_all, leave_all
from wares._core.locking import locked
from wares._core.registrations import Registrations


class Before:
    """What a registry has made until now.

    Attributes:
        starts: How many starts of the registry have begun since, and have not failed.
    """

    @locked
    def __init__(self, registry: Registrations) -> None:
        self.starts = 0
        self._registry = registry
        self._singletons = registry.singletons.find_all()
        self._count = len(registry.root._made.get(CLEANUPS, ()))

    @locked
    def take_rest(self) -> list[Entry]:
        """Forget the singletons that were made later, and return their cleanups."""
        self._registry.singletons.forget_all_but(self._singletons)
        cleanups: list[Entry] = self._registry.root._made.get(CLEANUPS, [])
        taken = cleanups[self._count :]
        del cleanups[self._count :]
        return taken


class Start:
    """One start of a registry, which can be undone.

    Starts at the same time use what the others make, so they are undone together.

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
        self._before = self._join()

    def succeed(self) -> None:
        """Keep what has been made until now, even if another start at the same time fails."""
        self._registry.starts = None

    def undo(self, error: BaseException) -> BaseException:
        """Clean up the singletons made since; return the exception that is then under way."""
        return leave_all(self._take(), error, self._registry.observers) or error

    async def aundo(self, error: BaseException) -> BaseException:
        """Clean up as `undo` does, and await asynchronous cleanups."""
        return await aleave_all(self._take(), error, self._registry.observers) or error

    @locked
    def _join(self) -> Before:
        """Join the starts that are under way."""
        known = self._registry
        before: Before = known.starts or Before(known)
        before.starts += 1
        known.starts = before
        return before

    @locked
    def _take(self) -> list[Entry]:
        """Forget the singletons made since, and return their cleanups.

        While another start uses these singletons, or if one has succeeded, they stay.
        """
        known, before = self._registry, self._before
        before.starts -= 1
        if before.starts or known.starts is not before:
            return []
        known.starts = None
        return self._before.take_rest()
