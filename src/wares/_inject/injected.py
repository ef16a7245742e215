"""Checking injected functions against a registry: which of their services are missing.

Adapters check handlers with it at the start, `wares check` the functions of a program.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Any

from wares._core.annotations import Viewpoint, stand_in
from wares._core.callables import describe_callable
from wares._core.container import Container, Registry
from wares._core.keys import MISSING, describe, find_nearest
from wares._core.marks import Need
from wares._core.recipes import Recipe, cannot_fill, recipe_for_call
from wares._core.signatures import find_own_marked
from wares._core.steps import say_which_registry
from wares._inject.askers import Asker
from wares._inject.reading import read_rest
from wares.exceptions import (
    AsyncServiceError,
    InvalidRegistrationError,
    ServiceNotFoundError,
    UnresolvableParameterError,
    WaresError,
)


class Served(functools.partial[Any]):
    """A handler whose framework passes arguments by names that come from clients.

    Attributes:
        names: The names, for example those of the parts of a URL.
        sender: The source of these names, as error messages call it.
    """

    names: Collection[str] = ()
    sender = "a part of the URL"


def find_missing(
    functions: Iterable[Callable[..., Any]], registry: Registry
) -> Iterator[WaresError]:
    """Find the services that *functions* and their dependencies need, and that do not exist.

    Args:
        functions: Functions of any kind.
        registry: The registry.

    Yields:
        An error for each missing service, as calling the function would raise it, for each
        marked parameter of a function that is not injected, and for each that clients would fill.
    """
    for function in functions:
        if isinstance(function, Served):
            yield from _find_sent(function)
            continue
        askers = [*_find_askers(function)]
        for asker in askers:
            yield from _find_missing(asker, registry)
        if not askers:
            yield from _find_uninjected(function)


def _find_uninjected(function: Callable[..., Any]) -> Iterator[WaresError]:
    """Yield an error for each marked parameter of a function that is not injected."""
    # No imports, because the function may have nothing to do with wares.
    viewpoint = Viewpoint(may_import=False, stand_in=stand_in)
    # A function whose signature cannot be read is left alone.
    with suppress(InvalidRegistrationError):
        for parameter in find_own_marked(function, viewpoint):
            yield UnresolvableParameterError(
                parameter.name,
                describe_callable(function),
                "nothing fills it, because the function is not injected. Decorate it with "
                "@inject, below the decorator that registers it.",
            )


def _find_sent(served: Served) -> Iterator[WaresError]:
    """Yield an error for each marked parameter that an argument from clients would fill."""
    for asker in _find_askers(served.func):
        for need in asker.needs:
            if need.name in served.names:
                yield UnresolvableParameterError(
                    need.name,
                    describe_callable(asker.function),
                    f"{served.sender} has the same name, so clients would send the service. "
                    f"Rename one of them.",
                )


def find_missing_below(
    key: Hashable, callers: Sequence[Callable[..., Any]], registry: Registry
) -> Iterator[ServiceNotFoundError]:
    """Find what is missing for the service of *key*.

    Args:
        key: The key that is asked for.
        callers: The functions that lead to the one that asks for the key, and that one itself.
        registry: The registry.

    Yields:
        An error for each missing service.
    """
    *above, root = [recipe_for_call(caller, (_need(key),)) for caller in callers]
    for path, need, found in _walk(root, registry):
        if found is None and not _is_given(need, registry):
            yield _make_missing(need, [*above, *path], registry)


def _need(key: Hashable) -> Need:
    return Need("service", key, is_marked=True, is_service=True)


def find_scoped(key: Hashable, registry: Registry) -> Iterator[Recipe]:
    """Yield the recipes of the scoped services that a container makes for *key*."""
    registrations = registry._registrations
    needs = [_need(key)]
    seen: set[Recipe] = set()
    for need in needs:
        recipe = None if need.key is MISSING else registrations.find_recipe(need)
        if recipe is None or recipe in seen or recipe.lifetime in ("singleton", "connection"):
            continue
        seen.add(recipe)
        if recipe.lifetime == "scoped" and not recipe.is_ready:
            yield recipe
        with suppress(WaresError):
            # The graph of the registry reports needs that cannot be read.
            needs += recipe.read()


def _find_askers(function: Any) -> Iterator[Asker]:
    """Yield the injected functions among a function and those that it wraps."""
    seen: list[Asker] = []
    while function is not None:
        # Decorators copy attributes of the wrapped function, so one may be found several times.
        asker = getattr(function, "__wares_asker__", None)
        if isinstance(asker, Asker) and asker not in seen:
            seen.append(asker)
            yield asker
        function = getattr(function, "__wrapped__", None)


def find_needed(
    functions: Iterable[Callable[..., Any]], registry: Registry
) -> Iterator[Hashable]:
    """Find the keys of the services that *functions* and their dependencies need.

    Args:
        functions: Functions of any kind; those that are not injected need nothing.
        registry: The registry.

    Yields:
        The keys, some perhaps several times.
    """
    for function in functions:
        for asker in _find_askers(function):
            with suppress(WaresError):
                read_rest(asker)
                yield from (need.key for _, need, _ in _walk(asker.recipe, registry))


def _find_missing(asker: Asker, registry: Registry) -> Iterator[WaresError]:
    """Yield an error for each service that an injected function needs and that is missing."""
    try:
        read_rest(asker)
        for path, need, found in _walk(asker.recipe, registry):
            if found is not None or _is_filled(need, asker, registry):
                continue
            if need.key is MISSING:
                steps = [recipe.describe_step() for recipe in path]
                yield cannot_fill(need, path[-1], asker.names, steps)
            else:
                yield _make_missing(need, path, registry)
        if not asker.can_await:
            yield from _find_awaited(asker, registry)
    except WaresError as problem:
        # For example, an undefined name in an annotation.
        yield problem


def _find_awaited(asker: Asker, registry: Registry) -> Iterator[AsyncServiceError]:
    """Yield an error for each service that a synchronous function needs and cannot await."""
    seen = {asker.recipe}
    todo: list[tuple[Recipe, ...]] = [(asker.recipe,)]
    for path in todo:
        for need in path[-1].read():
            found = None if need.is_late else registry._registrations.find_recipe(need)
            if found is None or found in seen or found.is_eager or need.key in registry._root:
                continue
            seen.add(found)
            below = (*path, found)
            if found.shape.is_async:
                factory = describe_callable(found.factory)
                keys = [recipe.key for recipe in below]
                reason = f"its factory, {factory}, is asynchronous"
                yield AsyncServiceError(found.key, keys, reason, asker=keys[0])
            else:
                todo.append(below)


def _walk(
    root: Recipe, registry: Registry
) -> Iterator[tuple[tuple[Recipe, ...], Need, Recipe | None]]:
    """Walk the needs of a call, and those of the callables that its markers name.

    Yields:
        For each need the path that leads to it, the need, and its recipe if there is one.
    """
    seen = {root}
    todo: list[tuple[Recipe, ...]] = [(root,)]
    for path in todo:
        for need in path[-1].read():
            found = registry._registrations.find_recipe(need)
            yield path, need, found
            if found is None or found in seen:
                continue
            seen.add(found)
            # The graph of the registry reports what is wrong with registered services.
            if need.key not in registry or found.is_derived:
                todo.append((*path, found))


def _make_missing(
    need: Need, path: Sequence[Recipe], registry: Registry
) -> ServiceNotFoundError:
    return ServiceNotFoundError(
        need.key,
        path=[*(recipe.key for recipe in path), need.key],
        steps=[*(recipe.describe_step() for recipe in path), describe(need.key)],
        nearest=find_nearest(need.key, registry),
        asked=say_which_registry(path, registry),
    )


def _is_filled(need: Need, asker: Asker, registry: Registry) -> bool:
    """Return whether an argument, a given object or a default fills *need*."""
    is_passed = asker.takes_any_name or need.name in (*asker.names, *asker.open_names)
    return (need.takes_argument and is_passed) or _is_given(need, registry)


def _is_given(need: Need, registry: Registry) -> bool:
    is_given = need.key is Container or need.key in registry._registrations.expected
    return is_given or need.default is not MISSING
