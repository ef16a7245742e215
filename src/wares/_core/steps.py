"""What makers call for the steps that are not written out: rare ones, and those that fail.

What is raised here reads the path that led to it off the stack.
"""

from __future__ import annotations

import inspect
import types
from collections.abc import Sequence
from typing import Any, NoReturn

from wares._core.callables import describe_callable
from wares._core.claims import (
    CLEANUPS,
    Busy,
    Claim,
    Making,
    current_making,
    find_path,
    wake,
)
from wares._core.cleanups import (
    Cleanups,
    Entry,
    leave_async_context,
    leave_async_generator,
    leave_context,
    leave_generator,
)
from wares._core.keys import MISSING, describe, find_nearest, is_plain
from wares._core.locking import LOCK
from wares._core.observation import observe_beginning, observe_end
from wares._core.recipes import (
    Recipe,
    cannot_fill,
    is_async_context_manager,
    is_sync_context_manager,
)
from wares._core.registrations import Registrations
from wares._core.signatures import Need
from wares.exceptions import (
    AsyncServiceError,
    CircularDependencyError,
    FactoryError,
    LifetimeError,
    NoContainerError,
    ServiceNotFoundError,
    WaresError,
)

#: How many classes are remembered of what one factory gives.
_CLASSES = 16

#: What the look at a class does not tell enough of.
_NEVER_PLAIN = (types.GeneratorType, types.AsyncGeneratorType, types.CoroutineType)


def refuse(made: dict[Any, Any], recipe: Recipe) -> Any:
    """Refuse to make under `get` what must be awaited, unless another one is making it."""
    holder = made.get(recipe.key)
    if type(holder) is Claim:
        raise Busy(made, recipe.key, holder)
    factory = describe_callable(recipe.factory)
    raise _must_be_awaited(recipe, f"its factory, {factory}, is asynchronous")


def circular(*circle: Recipe) -> NoReturn:
    """Refuse what is needed to make itself."""
    start = next((circle.index(recipe) for recipe in find_path() if recipe in circle), 0)
    circle = (*circle[start:], *circle[:start])
    raise CircularDependencyError(
        [*(recipe.key for recipe in circle), circle[0].key],
        steps=[recipe.describe_step() for recipe in circle],
    )


def outlived(asker: Recipe, needed: Recipe) -> NoReturn:
    """Refuse what ends before the service that needs it."""
    path = [*find_path(), needed]
    keeper = next((one for one in reversed(path[:-1]) if one.is_kept), asker)
    raise LifetimeError(
        keeper.key,
        keeper.lifetime,
        needed.key,
        needed.lifetime,
        steps=[recipe.describe_step() for recipe in path],
    )


def unreadable(registry: Registrations, recipe: Recipe) -> None:
    """Raise why the needs of a factory cannot be read."""
    registry.read(recipe)


def missing(container: Any, need: Need, asker: Recipe) -> NoReturn:
    """Refuse what nobody has registered or given."""
    if need.takes_argument or need.key is MISSING:
        refuse_makeshift(container, need)
        raise cannot_fill(need, asker, (), [one.describe_step() for one in find_path()])
    raise not_found(container, need)


def too_short(need: Need) -> NoReturn:
    """Refuse what ends with a function, where something needs it that lives longer."""
    recipes = find_path()
    asker = recipes[-1] if recipes else None
    raise LifetimeError(
        need.key if asker is None else asker.key,
        "request",
        need.key,
        "function",
        steps=[recipe.describe_step() for recipe in recipes],
    )


def not_found(container: Any, need: Need) -> WaresError:
    """Make the error for a key under which there is nothing."""
    key, known = need.key, container.registry._known
    recipes = find_path()
    if known.is_makeshift:
        return _no_container(need, recipes)
    steps = [recipe.describe_step() for recipe in recipes]
    asker = next((recipe for recipe in reversed(recipes) if recipe.is_kept), None)
    is_expected = key in known.expected
    if container is known.root and is_expected and asker is not None:
        return LifetimeError(asker.key, asker.lifetime, key, "given", steps=steps)
    parameter = f", for the parameter {need.name!r}" if need.name else ""
    return ServiceNotFoundError(
        key,
        path=[*(recipe.key for recipe in recipes), key],
        steps=[*steps, f"{describe(key)}, not registered{parameter}"],
        nearest=find_nearest(key, [*known.recipes, *container._find_local_keys()]),
        is_expected=is_expected,
    )


def refuse_makeshift(container: Any, need: Need) -> None:
    """Refuse what a parameter's annotation asks for, where no container is current.

    A plain value, such as a `str`, is rather an argument that a call lacks.
    """
    is_argument = need.key is MISSING or is_plain(need.key)
    if container.registry._known.is_makeshift and not is_argument:
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


def not_yielded(recipe: Recipe) -> NoReturn:
    """Refuse a generator factory that has ended before it yielded."""
    raise FactoryError(recipe.key, describe_callable(recipe.factory), "did not yield")


def gave_none(recipe: Recipe) -> NoReturn:
    """Refuse `None` from a factory that is annotated to give something else."""
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
    kind_of_cleanups: type[Cleanups],
    recipe: Recipe,
    plain: set[type],
    product: Any,
) -> Any:
    """Turn what a factory has given into the service.

    Args:
        container: What its cleanup belongs to.
        made: The services of the container, as it was when it was asked.
        kind_of_cleanups: What keeps its cleanups.
        recipe: The recipe of the factory.
        plain: The classes whose objects need nothing further; the next object of such a class
            does not come here.
        product: What the factory has given.
    """
    kind = type(product)
    if _is_own_generator(recipe, product):
        if inspect.isasyncgen(product):
            raise _must_be_awaited(recipe, "its factory is an asynchronous generator")
        service = next(product, MISSING)
        if service is MISSING:
            not_yielded(recipe)
        return _note(
            container, made, kind_of_cleanups, (leave_generator, product, recipe), service
        )
    if not recipe.is_value and inspect.iscoroutine(product):
        product.close()
        raise _must_be_awaited(recipe, "its factory returned a coroutine")
    if recipe.enter and is_sync_context_manager(kind):
        return _note(
            container,
            made,
            kind_of_cleanups,
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
    kind_of_cleanups: type[Cleanups],
    recipe: Recipe,
    plain: set[type],
    product: Any,
) -> Any:
    """Turn what a factory has given into the service, awaiting what has to be awaited."""
    if _is_own_generator(recipe, product) and inspect.isasyncgen(product):
        async for service in product:
            return await _anote(
                container,
                made,
                kind_of_cleanups,
                (leave_async_generator, product, recipe),
                service,
            )
        not_yielded(recipe)
    if not recipe.is_value and inspect.iscoroutine(product):
        product = await product
        check_open(container, made)
    kind: Any = type(product)
    if recipe.enter and is_async_context_manager(kind):
        service = await kind.__aenter__(product)
        return await _anote(
            container, made, kind_of_cleanups, (leave_async_context, product, recipe), service
        )
    return settle(container, made, kind_of_cleanups, recipe, plain, product)


def check_open(container: Any, made: dict[Any, Any]) -> None:
    """Go no further where the container was closed during an ``await``."""
    if container._made is not made:
        raise container._make_closed_error()


def take_back(container: Any, cleanups: Cleanups, thing: Any) -> NoReturn:
    """Clean up what was finished after its container had been closed, and say that it is closed."""
    for leave, _, recipe in _take(cleanups, thing):
        leave(thing, recipe, None)
    raise container._make_closed_error()


async def atake_back(container: Any, cleanups: Cleanups, thing: Any) -> NoReturn:
    """Do what `take_back` does, awaiting what has to be awaited."""
    for leave, _, recipe in _take(cleanups, thing):
        await leave(thing, recipe, None)
    raise container._make_closed_error()


def _take(cleanups: Cleanups, thing: Any) -> list[Entry]:
    """Take the last cleanup of *thing*, unless whoever closes has taken it."""
    with LOCK:
        places = [place for place, entry in enumerate(cleanups) if entry[1] is thing]
        return [cleanups.pop(place) for place in places[-1:]]


def _note(
    container: Any, made: dict[Any, Any], kind: type[Cleanups], entry: Entry, service: Any
) -> Any:
    cleanups: Cleanups = made.setdefault(CLEANUPS, kind())
    cleanups.append(entry)
    # First the cleanup, then the look: whoever closes does it the other way round.
    if container._made is not made:
        take_back(container, cleanups, entry[1])
    return service


async def _anote(
    container: Any, made: dict[Any, Any], kind: type[Cleanups], entry: Entry, service: Any
) -> Any:
    cleanups: Cleanups = made.setdefault(CLEANUPS, kind())
    cleanups.must_await = True
    cleanups.append(entry)
    if container._made is not made:
        await atake_back(container, cleanups, entry[1])
    return service


def _remember_class(plain: set[type], kind: type) -> None:
    if len(plain) < _CLASSES and not issubclass(kind, _NEVER_PLAIN):
        plain.add(kind)


def _is_own_generator(recipe: Recipe, product: object) -> bool:
    """Tell whether *product* is the running factory itself, which has yet to yield."""
    if not (inspect.isgenerator(product) or inspect.isasyncgen(product)) or recipe.is_value:
        return False
    return recipe.shape.yields or recipe.may_return_generator


def _must_be_awaited(recipe: Recipe, reason: str) -> AsyncServiceError:
    recipes = find_path()
    recipes = recipes if recipes[-1:] == [recipe] else [*recipes, recipe]
    path = [one.key for one in recipes]
    asker = path[0] if recipes[0].is_call else None
    return AsyncServiceError(path[-1], path, reason, asker=asker)


#: What the text of makers uses by name.
NAMES = {
    "Busy": Busy,
    "Making": Making,
    "current_making": current_making,
    "CLEANUPS": CLEANUPS,
    "Claim": Claim,
    "MISSING": MISSING,
    "asettle": asettle,
    "atake_back": atake_back,
    "check_open": check_open,
    "circular": circular,
    "gave_none": gave_none,
    "leave_async_generator": leave_async_generator,
    "leave_generator": leave_generator,
    "missing": missing,
    "not_yielded": not_yielded,
    "observe_beginning": observe_beginning,
    "observe_end": observe_end,
    "outlived": outlived,
    "refuse": refuse,
    "settle": settle,
    "take_back": take_back,
    "too_short": too_short,
    "unreadable": unreadable,
    "wake": wake,
}
