"""Services that are made of other services: aliases, decorated services, and annotations.

An annotation may stand for more than one key: an optional service, a function that returns a
service, or several services of one type.
"""

from __future__ import annotations

import collections.abc
import functools
import types
import typing
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator
from typing import Annotated, Any, get_args, get_origin

import attrs

from wares._core.callables import read_parameters
from wares._core.keys import UNIONS, Missing, describe
from wares._core.marks import Need
from wares._core.recipes import Recipe, check_key, recipe_for_factory
from wares._core.signatures import Signature
from wares.exceptions import InvalidRegistrationError


@attrs.frozen(repr=False)
class Part:
    """The key of a service that is only used to make another one.

    Attributes:
        key: The key of the other service.
        role: ``"part"`` for one of several services, ``"decorated"`` for a decorated one.
        number: Distinguishes parts of the same key and role.
    """

    key: Hashable
    role: str
    number: int

    def __repr__(self) -> str:
        return f"{describe(self.key)} ({self.role} {self.number})"


def pass_through(service: Any) -> Any:
    """Return *service*; the factory of an alias."""
    return service


def recipe_for_alias(key: Any, target: Any) -> Recipe:
    """Make the recipe of an alias; it is transient, because *target*'s owner keeps the service.

    Raises:
        InvalidRegistrationError: One of the keys is not hashable, or both are the same.
    """
    key, target = check_key(key), check_key(target)
    if key == target:
        raise InvalidRegistrationError(f"{describe(key)} cannot be an alias of itself.")
    return recipe_for_composition(key, "alias", pass_through, [Need("target", target)])


def recipe_for_composition(
    key: Hashable, composition: str, factory: Callable[..., Any], needs: Iterable[Need]
) -> Recipe:
    """Make the recipe of a composed service; its parts are kept by their own owners."""
    return Recipe(
        key,
        factory,
        "transient",
        enter=False,
        composition=composition,
        signature=Signature(tuple(needs)),
    )


def recipes_for_decoration(
    recipe: Recipe, decorator: Callable[..., Any], number: int
) -> tuple[Recipe, Recipe]:
    """Make the recipes of the decorated service, under a new key, and of the decorating one.

    Raises:
        InvalidRegistrationError: The decorator is not callable, or takes nothing.
        UnresolvableParameterError: A required parameter has no annotation.
    """
    checked = recipe_for_factory(
        recipe.key,
        decorator,
        # A registered value lives as long as the registry.
        lifetime="singleton" if recipe.is_ready else recipe.lifetime,
        # The decorator may return the decorated service, which was entered already.
        enter=False,
        ping=recipe.ping,
        suppress_context_exit=recipe.suppress_context_exit,
        ping_timeout=recipe.ping_timeout,
        tags=recipe.tags,
        eager=recipe.is_eager,
    )
    key = Part(recipe.key, "decorated", number)
    inner = attrs.evolve(recipe, key=key, ping=None, ping_timeout=None, tags=(), is_eager=False)
    return inner, attrs.evolve(checked, decorated=key)


#: The name of the parameter of a generic factory that receives the types in the brackets.
TYPES_NAME = "wares_types"


def bind_types(factory: Any, types: tuple[Any, ...]) -> Any:
    """Pass *types* to the factory of a generic class, if it has a parameter for them."""
    parameters = read_parameters(factory) if callable(factory) else ()
    if all(parameter.name != TYPES_NAME for parameter in parameters):
        return factory
    return functools.partial(factory, **{TYPES_NAME: types})


#: Stands for a part of a composed service that is expected, but was not given to the container.
_ABSENT = Missing()

_LISTS = (list, collections.abc.Sequence, collections.abc.Iterable)


def compose(key: Any, known: Collection[Hashable]) -> Recipe | None:
    """Make the recipe of an annotation that stands for other keys.

    Args:
        key: The annotation.
        known: The registered keys, in the order of registration, and the expected ones.

    Returns:
        The recipe; `None` if *key* is a key like any other.
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
        factory = functools.partial(_collect, kind)
        needs = _need_all(arguments[0], known)
        return recipe_for_composition(key, kind.__name__, factory, needs)
    return None


def _compose_optional(key: Any, kinds: Iterable[Any]) -> Recipe | None:
    rest = tuple(kind for kind in kinds if kind is not types.NoneType)
    if len(rest) == len(get_args(key)):
        return None
    need = Need("service", typing.Union[rest], default=None)  # noqa: UP007  # of a tuple
    return recipe_for_composition(key, "optional", pass_through, [need])


def _compose_function(key: Any, parameters: Any, result: Any) -> Recipe | None:
    if parameters != [] or result in (None, types.NoneType):
        return None
    is_async = get_origin(result) is collections.abc.Awaitable
    target = get_args(result)[0] if is_async else result
    factory = functools.partial(_make_function, "aget" if is_async else "get", target)
    need = Need("result", target, is_late=True)
    return recipe_for_composition(key, "function", factory, [need])


def _compose_mapping(key: Any, kind: Any, known: Iterable[Hashable]) -> Recipe:
    named = dict(_find_named(kind, known))
    needs = [_need(name, service) for name, service in named.items()]
    factory = functools.partial(_collect_mapping, tuple(named))
    return recipe_for_composition(key, "mapping", factory, needs)


def _find_named(kind: Any, known: Iterable[Hashable]) -> Iterator[tuple[str, Hashable]]:
    for key in known:
        if get_origin(key) is Annotated and get_args(key)[0] == kind:
            _, *names = get_args(key)
            if len(names) == 1 and isinstance(names[0], str):
                yield names[0], key


def _need_all(kind: Any, known: Collection[Hashable]) -> list[Need]:
    """List a need for each service registered for *kind* itself; one that is given comes last."""
    # In a set, because keys are compared as in the dict of registrations: by hash first.
    wanted = {kind}
    keys = [key for key in known if _group_of(key) in wanted]
    keys = keys if kind in keys else [*keys, kind]
    return [_need(f"service {number}", key) for number, key in enumerate(keys, 1)]


def _group_of(key: Hashable) -> Hashable:
    return key.key if isinstance(key, Part) and key.role == "part" else key


def _need(name: str, key: Hashable) -> Need:
    # With a default, because an expected object need not be given to each container.
    return Need(name, key, default=_ABSENT)


def _collect(kind: Callable[[Iterable[Any]], Any], *services: Any) -> Any:
    return kind(service for service in services if service is not _ABSENT)


def _collect_mapping(names: Iterable[str], *services: Any) -> dict[str, Any]:
    pairs = zip(names, services, strict=True)
    return {name: service for name, service in pairs if service is not _ABSENT}


def _make_function(method: str, key: Hashable, container: Any) -> Callable[[], Any]:
    return functools.partial(getattr(container, method), key)
