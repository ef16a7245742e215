"""Annotations that stand for more than one key: optional services, functions, collections.

This module reads such an annotation and says what it is made of. Its caller says which keys are
registered.
"""

from __future__ import annotations

import collections.abc
import functools
import types
import typing
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator
from typing import Annotated, Any, get_args, get_origin

from wares._core.compositions import ComposedRecipe, Part, give, recipe_for_composition
from wares._core.keys import UNIONS, Missing
from wares._core.signatures import Need

#: Stands for one of several services that a container does not have after all.
_ABSENT = Missing()

_LISTS = (list, collections.abc.Sequence, collections.abc.Iterable)


def compose(key: Any, known: Collection[Hashable]) -> ComposedRecipe | None:
    """Make the recipe of what an annotation stands for.

    Args:
        key: What is asked for.
        known: The keys that something is registered under, in that order, and those that
            containers are given.

    Returns:
        The recipe, or `None` where *key* is a key like any other.
    """
    origin, arguments = get_origin(key), get_args(key)
    if not arguments or getattr(key, "__parameters__", None):
        return None
    if origin in UNIONS:
        return _compose_optional(key, arguments)
    if origin is collections.abc.Callable:
        return _compose_function(key, *arguments)
    if origin is collections.abc.Mapping and arguments[0] is str:
        return _compose_mapping(key, arguments[1], known)
    kind = list if origin in _LISTS else tuple
    if kind is list or (origin is tuple and arguments[1:] == (...,)):
        give_all = functools.partial(_give_all, kind)
        needs = _need_all(arguments[0], known)
        return recipe_for_composition(key, kind.__name__, give_all, needs)
    return None


def _compose_optional(key: Any, kinds: Iterable[Any]) -> ComposedRecipe | None:
    rest = tuple(kind for kind in kinds if kind is not types.NoneType)
    if len(rest) == len(get_args(key)):
        return None
    need = Need("service", typing.Union[rest], by_keyword=False, default=None)  # noqa: UP007  # of a tuple
    return recipe_for_composition(key, "optional", give, [need])


def _compose_function(key: Any, parameters: Any, result: Any) -> ComposedRecipe | None:
    if parameters != [] or result in (None, types.NoneType):
        return None
    is_async = get_origin(result) is collections.abc.Awaitable
    target = get_args(result)[0] if is_async else result
    give = functools.partial(_give_function, "aget" if is_async else "get", target)
    need = Need("result", target, by_keyword=False, is_late=True)
    return recipe_for_composition(key, "function", give, [need])


def _compose_mapping(key: Any, kind: Any, known: Iterable[Hashable]) -> ComposedRecipe:
    named = dict(_find_named(kind, known))
    needs = [_need(name, service) for name, service in named.items()]
    give = functools.partial(_give_mapping, tuple(named))
    return recipe_for_composition(key, "mapping", give, needs)


def _find_named(kind: Any, known: Iterable[Hashable]) -> Iterator[tuple[str, Hashable]]:
    for key in known:
        if get_origin(key) is Annotated and get_args(key)[0] == kind:
            _, *names = get_args(key)
            if len(names) == 1 and isinstance(names[0], str):
                yield names[0], key


def _need_all(kind: Any, known: Collection[Hashable]) -> list[Need]:
    """Need all that is registered for *kind* itself; what is only given comes last."""
    # In a set, keys are compared as in the dict of registrations: by hash first.
    wanted = {kind}
    keys = [key for key in known if _what_it_is_one_of(key) in wanted]
    keys = keys if kind in keys else [*keys, kind]
    return [_need(f"service {number}", key) for number, key in enumerate(keys, 1)]


def _what_it_is_one_of(key: Hashable) -> Hashable:
    return key.key if isinstance(key, Part) and key.role == "part" else key


def _need(name: str, key: Hashable) -> Need:
    # A default, because what is announced need not be given to each container.
    return Need(name, key, by_keyword=False, default=_ABSENT)


def _give_all(kind: Callable[[Iterable[Any]], Any], *services: Any) -> Any:
    return kind(service for service in services if service is not _ABSENT)


def _give_mapping(names: Iterable[str], *services: Any) -> dict[str, Any]:
    pairs = zip(names, services, strict=True)
    return {name: service for name, service in pairs if service is not _ABSENT}


def _give_function(method: str, key: Hashable, container: Any) -> Callable[[], Any]:
    return functools.partial(getattr(container, method), key)
