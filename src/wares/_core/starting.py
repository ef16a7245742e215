"""The start of a registry, which makes all eager singletons, or none of them."""

from __future__ import annotations

from collections.abc import Hashable
from typing import TypeVar

import attrs

from wares._core.claims import CLEANUPS
from wares._core.cleanups import Entry, aleave_all, leave_all
from wares._core.locking import locked
from wares._core.registrations import Registrations
from wares._core.singletons import Kept


@attrs.define(eq=False, repr=False)
class Starts:
    """Starts of one registry at the same time, which use what the others make.

    Attributes:
        singletons: The singletons made before the first of them.
        cleanups: How many cleanups the registry had then.
        count: How many of them have not failed.
    """

    singletons: set[Kept]
    cleanups: int
    count: int = 0

#: The exception that has ended the work after a start, if any.
Error = TypeVar("Error", bound=BaseException | None)


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
        self._starts = self._join()

    def succeed(self) -> None:
        """Keep what has been made until now, even if another start at the same time fails."""
        self._registry.starts = None

    def undo(self, error: Error) -> BaseException | Error:
        """Clean up the singletons made since; return the exception that is then under way."""
        return leave_all(self._take(), error, self._registry.observers) or error

    async def aundo(self, error: Error) -> BaseException | Error:
        """Clean up as `undo` does, and await asynchronous cleanups."""
        return await aleave_all(self._take(), error, self._registry.observers) or error

    @locked
    def _join(self) -> Starts:
        """Join the starts that are under way."""
        known = self._registry
        if known.starts is None:
            cleanups = known.root._made.get(CLEANUPS, ())
            known.starts = Starts(known.singletons.find_all(), len(cleanups))
        starts: Starts = known.starts
        starts.count += 1
        return starts

    @locked
    def _take(self) -> list[Entry]:
        """Forget the singletons made since, and return their cleanups.

        While another start uses these singletons, or if one has succeeded, they stay.
        """
        known, starts = self._registry, self._starts
        starts.count -= 1
        if starts.count or known.starts is not starts:
            return []
        known.starts = None
        known.singletons.forget_all_but(starts.singletons)
        cleanups: list[Entry] = known.root._made.get(CLEANUPS, [])
        taken = cleanups[starts.cleanups :]
        del cleanups[starts.cleanups :]
        return taken
