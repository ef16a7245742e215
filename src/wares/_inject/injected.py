"""What injected functions ask for and a registry cannot give them.

This module knows functions that `inject` has decorated, and what they and their dependencies
need.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Any

from wares._core.container import Container, Registry
from wares._core.keys import MISSING, describe, find_nearest
from wares._core.recipes import Recipe, cannot_fill
from wares._core.signatures import Need
from wares._inject.askers import Asker
from wares.exceptions import ServiceNotFoundError, WaresError


def find_missing(
    functions: Iterable[Callable[..., Any]], registry: Registry
) -> Iterator[WaresError]:
    """Find what *functions* need, and their dependencies need, that is not there.

    Args:
        functions: Functions of any kind; those that are not injected need nothing.
        registry: Where things are registered.

    Yields:
        An error for each thing, as calling the function would raise it.
    """
    for function in functions:
        for asker in _find_askers(function):
            yield from _find_missing(asker, registry)


def _find_askers(function: Any) -> Iterator[Asker]:
    """Find who asks by `inject`: a function, or what decorators are around."""
    seen: list[Asker] = []
    while function is not None:
        # Decorators copy attributes from what they wrap.
        asker = getattr(function, "__wares_asker__", None)
        if isinstance(asker, Asker) and asker not in seen:
            seen.append(asker)
            yield asker
        function = getattr(function, "__wrapped__", None)


def find_needed(
    functions: Iterable[Callable[..., Any]], registry: Registry
) -> Iterator[Hashable]:
    """Find the keys of the services that *functions* need, and their dependencies need.

    Args:
        functions: Functions of any kind; those that are not injected need nothing.
        registry: Where things are registered.

    Yields:
        The keys, some perhaps several times.
    """
    for function in functions:
        for asker in _find_askers(function):
            with suppress(WaresError):
                yield from (need.key for _, need, _ in _walk(asker, registry))


def _find_missing(asker: Asker, registry: Registry) -> Iterator[WaresError]:
    """Find what an injected function needs, and its dependencies need, that is not there."""
    try:
        for path, need, found in _walk(asker, registry):
            if found is None and not _is_filled(need, asker, registry):
                yield _make_missing(need, path, asker, registry)
    except WaresError as problem:
        # A name in an annotation that is not there, say.
        yield problem


def _walk(
    asker: Asker, registry: Registry
) -> Iterator[tuple[tuple[Recipe, ...], Need, Recipe | None]]:
    """Go through the needs of an injected function and of the callables that markers name.

    Yields:
        For each need, the path that leads to it, and how it is made, if it is known.
    """
    asker.read_rest(Container(registry))
    seen = {asker.recipe}
    todo: list[tuple[Recipe, ...]] = [(asker.recipe,)]
    for path in todo:
        for need in registry._known.read(path[-1]):
            found = registry._known.find_recipe(need)
            yield path, need, found
            if found is None or found in seen:
                continue
            seen.add(found)
            # Of what is registered, the graph of the registry says what is wrong with it.
            if need.key not in registry or found.is_derived:
                todo.append((*path, found))


def _make_missing(
    need: Need, path: Sequence[Recipe], asker: Asker, registry: Registry
) -> WaresError:
    steps = [recipe.describe_step() for recipe in path]
    if need.key is MISSING:
        return cannot_fill(need, path[-1], asker.names, steps)
    return ServiceNotFoundError(
        need.key,
        path=[*(recipe.key for recipe in path), need.key],
        steps=[*steps, describe(need.key)],
        nearest=find_nearest(need.key, registry),
    )


def _is_filled(need: Need, asker: Asker, registry: Registry) -> bool:
    """Tell whether there is something for *need* that is not registered."""
    if need.takes_argument and (need.name in asker.names or asker.takes_any_name):
        return True
    if need.takes_argument and need.name in asker.open_names:
        return True
    is_given = need.key is Container or need.key in registry._known.expected
    return is_given or need.default is not MISSING
