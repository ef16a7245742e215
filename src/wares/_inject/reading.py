"""Reading the needs of a function when `inject` decorates it, and the rest at its first call.

An annotation may contain a name that is not defined yet: a class that follows later, or an import
below ``TYPE_CHECKING``. A stand-in for the name lets the markers be read all the same.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import attrs

from wares._core.annotations import Viewpoint, find_frames, is_unknown, stand_in
from wares._core.callables import Shape, describe_callable, read_raw, read_shape, unwrap
from wares._core.marks import Need, is_marker, read_marker
from wares._core.signatures import read_marked
from wares._inject.askers import Asker
from wares._inject.casting import FunctionCasts, read_aliases
from wares._inject.checks import Check
from wares.exceptions import InvalidRegistrationError, UnresolvableParameterError


def read_asker(
    function: Callable[..., Any],
    dependencies: Sequence[Any],
    *,
    registry: Any = None,
    casts: bool = False,
    shape: Shape | None = None,
) -> Asker:
    """Read the needs of a function, and check what can be checked before it is called.

    Args:
        function: Any callable.
        dependencies: Markers of dependencies that are made for their effect, before the others.
        registry: The registry that `inject` was given, if any.
        casts: Whether arguments are cast.
        shape: What calling the wrapper returns, if that differs from *function*.

    Raises:
        UnresolvableParameterError: A marker cannot work where it is written, or nothing can fill a
            parameter of a dependency.
        AsyncServiceError: A dependency is asynchronous, and the function is not.
        CircularDependencyError: Dependencies need each other in a circle.
        LifetimeError: A dependency needs a function-scoped one, and lives longer.
    """
    reading = _Reading(function)
    viewpoint = reading.look(may_import=False)
    asker = Asker(
        function,
        tuple(read_raw(function).parameters.values()),
        reading.read(viewpoint),
        _read_extras(function, dependencies),
        shape or read_shape(function),
        casts_arguments=casts,
        registry=registry,
    )
    found = Check(asker, viewpoint)
    asker.open_needs = () if asker.takes_any_name else tuple(found.open_needs.values())
    asker.dependencies = tuple(found.recipes)
    if casts:
        known_later = attrs.evolve(viewpoint, stand_in=stand_in)
        asker.aliases = read_aliases(function, asker.open_needs, known_later)
    if found.has_unread or reading.has_unknown:
        asker.unread = reading
    elif casts:
        try:
            asker.casts = FunctionCasts(function, asker.needs, asker.names, viewpoint)
        except UnresolvableParameterError:
            # An annotation, for example that of the result, contains an undefined name.
            asker.unread = reading
    return asker


def read_rest(asker: Asker) -> None:
    """Read the needs that could not be read when the function was decorated."""
    reading: _Reading | None = asker.unread
    if reading is None:
        return
    asker.take(reading.read_again(asker.needs))
    viewpoint = reading.look(may_import=True)
    asker.dependencies = tuple(Check(asker, viewpoint).recipes)
    if asker.casts_arguments:
        asker.casts = FunctionCasts(asker.function, asker.needs, asker.names, viewpoint)
    asker.unread = None


class _Reading:
    """Reads the marked parameters of one function, whose annotations may contain undefined names.

    Attributes:
        has_unknown: Whether a stand-in was used.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function
        self._frames = find_frames(unwrap(function)[-1])
        self.has_unknown = False

    def look(self, *, may_import: bool) -> Viewpoint:
        """Return the viewpoint of the code that decorates the function, as it is now."""
        return Viewpoint(self._frames, may_import)

    def read(self, viewpoint: Viewpoint) -> tuple[Need, ...]:
        """Read the needs, with stand-ins for undefined names."""

        def note_unknown(name: str) -> Any:
            self.has_unknown = True
            return stand_in(name)

        viewpoint = attrs.evolve(viewpoint, stand_in=note_unknown)
        return read_marked(self._function, viewpoint)

    def read_again(self, before: tuple[Need, ...]) -> tuple[Need, ...]:
        """Read the needs again, when more names are defined than when *before* was read."""
        needs = self.read(self.look(may_import=True))
        for need in needs:
            if is_unknown(need.key):
                raise self._unknown_error(need.name, "contains an undefined name")
        for name in {need.name for need in needs} ^ {need.name for need in before}:
            raise self._unknown_error(
                name, "turned out to carry a marker only after the function was decorated"
            )
        return needs

    def _unknown_error(self, parameter: str, reason: str) -> UnresolvableParameterError:
        return UnresolvableParameterError(
            parameter,
            describe_callable(self._function),
            f"its annotation {reason}. Define or import the name before the function is "
            f"decorated. To ask for a service that is registered under a string, write "
            f"Depends('name').",
        )


def _read_extras(function: Callable[..., Any], dependencies: Sequence[Any]) -> tuple[Need, ...]:
    needs = []
    for position, marker in enumerate(dependencies):
        need = read_marker(marker) if is_marker(marker) else None
        if need is None or need.key is None:
            raise InvalidRegistrationError(
                f"dependencies[{position}] of {describe_callable(function)} is not a marker that "
                f"names a dependency. Write dependencies=[Depends(check)]."
            )
        needs.append(attrs.evolve(need, name=f"dependencies[{position}]"))
    return tuple(needs)
