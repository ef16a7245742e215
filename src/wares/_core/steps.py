"""The functions that makers call for rare steps and for failures.

The errors raised here name the path that led to them, which is read off the stack.
"""

from __future__ import annotations

import inspect
import types
from collections.abc import Collection, Sequence
from contextlib import suppress
from typing import Any, NoReturn

from wares._core.callables import describe_callable
from wares._core.claims import CLEANUPS, Busy, Claim, Making, current_making, find_path, wake
from wares._core.cleanups import (
    Cleanups,
    Entry,
    leave_async_context,
    leave_async_generator,
    leave_context,
    leave_generator,
)
from wares._core.keys import MISSING, describe, find_nearest, is_plain
from wares._core.locking import locked
from wares._core.marks import Need
from wares._core.observation import observe_beginning, observe_end
from wares._core.recipes import (
    Recipe,
    cannot_fill,
    is_async_context_manager,
    is_sync_context_manager,
)
from wares._core.results import fits
from wares._core.waiting import find_event_loop
from wares.exceptions import (
    AsyncServiceError,
    CircularDependencyError,
    FactoryError,
    LifetimeError,
    NoContainerError,
    ServiceNotFoundError,
    UnresolvableParameterError,
    WaresError,
)

#: How many classes of products are remembered for one factory.
_CLASSES = 16

#: Classes that are never remembered: whether such a product is a service depends on the object.
_NEVER_PLAIN = (types.GeneratorType, types.AsyncGeneratorType, types.CoroutineType)


def refuse_async(made: dict[Any, Any], recipe: Recipe) -> Any:
    """Raise an error because `get` cannot await a factory; `Busy` if an `aget` is making it."""
    holder = made.get(recipe.key)
    if type(holder) is Claim:
        raise Busy(made, recipe.key, holder)
    factory = describe_callable(recipe.factory)
    raise _must_be_awaited(recipe, f"its factory, {factory}, is asynchronous")


def raise_circular(*circle: Recipe) -> NoReturn:
    """Raise the error for a circle, beginning with the recipe that was asked for first."""
    start = next((circle.index(recipe) for recipe in find_path() if recipe in circle), 0)
    circle = (*circle[start:], *circle[:start])
    raise CircularDependencyError(
        [*(recipe.key for recipe in circle), circle[0].key],
        steps=[recipe.describe_step() for recipe in circle],
    )


def raise_outlived(asker: Recipe, needed: Recipe) -> NoReturn:
    """Raise the error for a dependency that ends before the service that needs it."""
    path = [*find_path(), needed]
    keeper = next((one for one in reversed(path[:-1]) if one.is_kept), asker)
    raise LifetimeError(
        keeper.key,
        keeper.lifetime,
        needed.key,
        needed.lifetime,
        steps=[recipe.describe_step() for recipe in path],
    )


def raise_unreadable(container: Any, recipe: Recipe) -> NoReturn:
    """Read the needs of a factory again, in order to raise the error.

    If they can be read now, the service can be made from the next time on.
    """
    recipe.read()
    container.registry._registrations.change()
    raise UnresolvableParameterError(
        "*",
        describe_callable(recipe.factory),
        "an annotation named what was not defined yet when the service was asked for first. Now "
        "it can be evaluated: ask again.",
    )


def raise_missing(
    container: Any, need: Need, asker: Recipe, names: Collection[str]
) -> NoReturn:
    """Raise the error for a parameter whose key is neither registered nor given."""
    if need.takes_argument or need.key is MISSING:
        refuse_makeshift(container, need)
        raise cannot_fill(need, asker, names, [one.describe_step() for one in find_path()])
    raise make_not_found(container, need)


def raise_too_short(need: Need) -> NoReturn:
    """Raise the error for a function-scoped dependency of a longer-lived service."""
    recipes = find_path()
    asker = recipes[-1] if recipes else None
    raise LifetimeError(
        need.key if asker is None else asker.key,
        "request",
        need.key,
        "function",
        steps=[recipe.describe_step() for recipe in recipes],
    )


def make_not_found(container: Any, need: Need) -> WaresError:
    """Return the error for a key that is neither registered nor given."""
    key, registrations = need.key, container.registry._registrations
    recipes = find_path()
    if registrations.is_makeshift:
        return _no_container(need, recipes)
    steps = [recipe.describe_step() for recipe in recipes]
    asker = next((recipe for recipe in reversed(recipes) if recipe.is_kept), None)
    is_expected = key in registrations.expected
    if container is registrations.root and is_expected and asker is not None:
        return LifetimeError(asker.key, asker.lifetime, key, "given", steps=steps)
    parameter = f", for the parameter {need.name!r}" if need.name else ""
    return ServiceNotFoundError(
        key,
        path=[*(recipe.key for recipe in recipes), key],
        steps=[*steps, f"{describe(key)}, not registered{parameter}"],
        nearest=find_nearest(key, [*registrations.recipes, *container._find_local_recipes()]),
        is_expected=is_expected,
        asked=say_which_registry(recipes, container.registry),
    )


def say_which_registry(path: Sequence[Recipe], registry: Any) -> str:
    """Return a sentence on the registry that was asked, if `inject` was given one.

    Args:
        path: The recipes that led to the key that is missing.
        registry: The registry that was asked.
    """
    given = next((one.registry for one in reversed(path) if one.registry is not None), None)
    if given is None:
        return ""
    if given is not registry:
        return (
            "A current container comes first, so its registry was asked, and not the one that "
            "@inject(registry=...) was given."
        )
    count = len(registry._registrations.recipes)
    services = "1 service" if count == 1 else f"{count or 'no'} services"
    return (
        f"It was asked for in the registry that @inject(registry=...) was given, which has "
        f"{services}."
    )


def refuse_makeshift(container: Any, need: Need) -> None:
    """Raise a `NoContainerError` if a service is asked for and no container is current.

    A plain value, such as a `str`, is rather an argument that the call lacks.
    """
    is_argument = need.key is MISSING or is_plain(need.key)
    if container.registry._registrations.is_makeshift and not is_argument:
        raise _no_container(need, find_path())


def _no_container(need: Need, recipes: Sequence[Recipe]) -> NoContainerError:
    path = "".join(f"\n  {recipe.describe_step()}" for recipe in recipes)
    parameter = f", for the parameter {need.name!r}" if need.name else ""
    return NoContainerError(
        f"There is no current container to get {describe(need.key)} from{parameter}. Install the "
        f"adapter of your framework, which opens one for each request, or open one: with "
        f"registry.container() as container, container.activate(): ... If each call should have "
        f"its own container, write @inject(registry=registry).\nPath:{path}"
    )


def raise_not_yielded(recipe: Recipe) -> NoReturn:
    """Raise the error for a generator factory that ended before it yielded."""
    raise FactoryError(recipe.key, describe_callable(recipe.factory), "did not yield")


def raise_returned_none(recipe: Recipe) -> NoReturn:
    """Raise the error for a factory that returned `None` against its annotation."""
    raise FactoryError(
        recipe.key,
        describe_callable(recipe.factory),
        "returned None, although its annotation does not allow that",
        "A `return`, or a value after `yield`, may be missing. If None is intended, annotate it "
        "with `... | None`.",
    )


def settle(
    container: Any,
    made: dict[Any, Any],
    recipe: Recipe,
    plain: set[type],
    product: Any,
) -> Any:
    """Return the service for the product of a factory: enter it if needed, and note its cleanup.

    Args:
        container: The container that the cleanup belongs to.
        made: The services of the container when it was asked.
        recipe: The recipe of the factory.
        plain: The classes whose objects are services as they are; makers call this function only
            for products of other classes.
        product: The object that the factory returned.
    """
    kind = type(product)
    if _has_yet_to_yield(recipe, product):
        if inspect.isasyncgen(product):
            raise _must_be_awaited(recipe, "its factory is an asynchronous generator")
        service = next(product, MISSING)
        if service is MISSING:
            raise_not_yielded(recipe)
        return _note(container, made, (leave_generator, product, recipe), service)
    if not recipe.is_value and inspect.iscoroutine(product):
        product.close()
        raise _must_be_awaited(recipe, "its factory returned a coroutine")
    if recipe.enter and is_sync_context_manager(kind):
        return _note(
            container,
            made,
            (leave_context, product, recipe),
            kind.__enter__(product),
        )
    if recipe.enter and is_async_context_manager(kind):
        raise _must_be_awaited(recipe, "it is an asynchronous context manager")
    _remember_class(plain, kind)
    return product


async def asettle(
    container: Any,
    made: dict[Any, Any],
    recipe: Recipe,
    plain: set[type],
    product: Any,
) -> Any:
    """Return the service for a product as `settle` does, and await what must be awaited."""
    if _has_yet_to_yield(recipe, product) and inspect.isasyncgen(product):
        async for service in product:
            return await _anote(
                container,
                made,
                (leave_async_generator, product, recipe),
                service,
            )
        raise_not_yielded(recipe)
    if not recipe.is_value and inspect.iscoroutine(product):
        product = await product
        check_open(container, made)
    kind: Any = type(product)
    if recipe.enter and is_async_context_manager(kind):
        service = await kind.__aenter__(product)
        return await _anote(container, made, (leave_async_context, product, recipe), service)
    return settle(container, made, recipe, plain, product)


def check_open(container: Any, made: dict[Any, Any]) -> None:
    """Raise an error if the container was closed during an ``await``."""
    if container._made is not made:
        raise container._make_closed_error()


def clean_up_and_raise(container: Any, cleanups: Cleanups, thing: Any) -> NoReturn:
    """Clean up *thing*, because its container closed before its cleanup was noted, and raise."""
    for leave, _, recipe in _take(cleanups, thing):
        leave(thing, recipe, None)
    raise container._make_closed_error()


async def aclean_up_and_raise(container: Any, cleanups: Cleanups, thing: Any) -> NoReturn:
    """Clean up as `clean_up_and_raise` does, and await the cleanup."""
    for leave, _, recipe in _take(cleanups, thing):
        await leave(thing, recipe, None)
    raise container._make_closed_error()


@locked
def _take(cleanups: Cleanups, thing: Any) -> list[Entry]:
    """Remove the last cleanup of *thing*, and return it, unless the closing has taken it."""
    indices = [index for index, entry in enumerate(cleanups) if entry[1] is thing]
    # The closing takes entries from the end, and does not hold the lock.
    with suppress(IndexError):
        return [cleanups.pop(indices[-1])]
    return []


def _note(container: Any, made: dict[Any, Any], entry: Entry, service: Any) -> Any:
    cleanups: Cleanups = made.setdefault(CLEANUPS, container._make_cleanups())
    cleanups.append(entry)
    # Note the cleanup before checking; closing replaces `_made` before it takes the cleanups.
    if container._made is not made:
        clean_up_and_raise(container, cleanups, entry[1])
    return service


async def _anote(container: Any, made: dict[Any, Any], entry: Entry, service: Any) -> Any:
    cleanups: Cleanups = made.setdefault(CLEANUPS, container._make_cleanups())
    cleanups.must_await = True
    cleanups.append(entry)
    if container._made is not made:
        await aclean_up_and_raise(container, cleanups, entry[1])
    return service


def _remember_class(plain: set[type], kind: type) -> None:
    if len(plain) < _CLASSES and not issubclass(kind, _NEVER_PLAIN):
        plain.add(kind)


def _has_yet_to_yield(recipe: Recipe, product: object) -> bool:
    """Return whether *product* is a generator that has yet to yield the service."""
    if not (inspect.isgenerator(product) or inspect.isasyncgen(product)) or recipe.is_value:
        return False
    return (
        recipe.shape.yields
        or recipe.may_return_generator
        # `lambda: open_session(url)` returns the generator of a function that it calls.
        or not fits(type(product), recipe.key)
    )


def _must_be_awaited(recipe: Recipe, reason: str) -> AsyncServiceError:
    recipes = find_path()
    recipes = recipes if recipes[-1:] == [recipe] else [*recipes, recipe]
    path = [one.key for one in recipes]
    asker = path[0] if recipes[0].is_call else None
    return AsyncServiceError(path[-1], path, reason, asker=asker)


#: The names that the source of makers uses.
NAMES = {
    "Busy": Busy,
    "Making": Making,
    "current_making": current_making,
    "CLEANUPS": CLEANUPS,
    "Claim": Claim,
    "MISSING": MISSING,
    "asettle": asettle,
    "aclean_up_and_raise": aclean_up_and_raise,
    "check_open": check_open,
    "raise_circular": raise_circular,
    "raise_returned_none": raise_returned_none,
    "leave_async_generator": leave_async_generator,
    "leave_generator": leave_generator,
    "raise_missing": raise_missing,
    "raise_not_yielded": raise_not_yielded,
    "observe_beginning": observe_beginning,
    "observe_end": observe_end,
    "raise_outlived": raise_outlived,
    "refuse_async": refuse_async,
    "settle": settle,
    "clean_up_and_raise": clean_up_and_raise,
    "raise_too_short": raise_too_short,
    "raise_unreadable": raise_unreadable,
    "find_event_loop": find_event_loop,
    "wake": wake,
}
