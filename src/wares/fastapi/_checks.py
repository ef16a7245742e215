"""The checks of how an application of FastAPI asks for services, which it makes at its start."""

from collections.abc import Hashable, Iterator
from typing import Any

from fastapi import FastAPI

from wares._core.callables import describe_callable
from wares._core.container import Container, Registry
from wares._core.keys import MISSING, describe
from wares._inject.injected import find_missing_below, find_scoped
from wares.exceptions import InvalidRegistrationError, LifetimeError, UnresolvableParameterError
from wares.fastapi._routes import FindKey, Wanted, find_asked, find_kept


def key_of(call: Any) -> Hashable:
    """Find the key that a dependency asks a container for."""
    key: Hashable = getattr(call, "__wares_key__", MISSING)
    return key


def find_misused(app: FastAPI, registry: Registry) -> Iterator[Exception]:
    """Find services that are missing, or that FastAPI would make itself, or not replace."""
    made = _find_made(registry)
    for call in app.dependency_overrides or ():
        if id(call) in made:
            yield _overridden_in_vain(call, made[id(call)])
    for wanted in (one for asked in find_asked(app, key_of) for one in asked):
        key = key_of(wanted.call)
        if key is not MISSING:
            yield from find_missing_below(key, wanted.path, registry)
        elif id(wanted.call) in made:
            yield _made_by_fastapi(wanted, made[id(wanted.call)])


def _find_made(registry: Registry) -> dict[int, Hashable]:
    """Map the keys and the factories of a registry to the keys of the services that they make.

    The result maps from their `id`, because the callables of FastAPI need not be hashable.
    """
    nodes = registry.graph().nodes
    recipes = list(registry._registrations.recipes.values())
    factories = {id(one.factory): one.key for one in recipes if not one.is_value}
    makeable = [node.key for node in nodes if node.kind != "missing"]
    keys = [Container, Registry, *registry._registrations.expected, *makeable]
    return factories | {id(key): key for key in keys}


def _made_by_fastapi(wanted: Wanted, key: Hashable) -> UnresolvableParameterError:
    name = describe(key)
    factory = "" if wanted.call is key else f" as the factory of {name}"
    return UnresolvableParameterError(
        wanted.parameter or "dependencies",
        describe_callable(wanted.path[-1]),
        f"FastAPI would call {describe(wanted.call)} itself, with parameters from the request, and "
        f"make a second {name}, although it is registered{factory}. Ask for the service with "
        f"Inject[{name}].",
    )


def _overridden_in_vain(call: Any, key: Hashable) -> InvalidRegistrationError:
    name = describe(key)
    return InvalidRegistrationError(
        f"app.dependency_overrides has {describe(call)}, which FastAPI does not call: it is "
        f"registered, and makes {name}. Override the service in the registry: with "
        f"get_registry(app).override_factory({name}, ...):"
    )


def find_made_twice(
    app: FastAPI, registry: Registry, of_request: type, of_function: type
) -> Iterator[UnresolvableParameterError]:
    """Find for each endpoint the first service that it would receive twice, never on purpose.

    Args:
        app: The application.
        registry: The registry of the application.
        of_request: The class of dependencies that end after the response.
        of_function: The class of dependencies that end before it.
    """
    for asked in find_asked(app, key_of):
        keys = {
            kind: [key_of(one.call) for one in asked if type(one.call) is kind]
            for kind in (of_request, of_function)
        }
        kept = {recipe for key in keys[of_request] for recipe in find_scoped(key, registry)}
        wanted = [one for one in asked if type(one.call) is of_function]
        pairs = (
            (one, recipe)
            for one in wanted
            for recipe in find_scoped(key_of(one.call), registry)
        )
        for one, recipe in pairs if kept else ():
            is_asked_for = all(recipe.key in asked_for for asked_for in keys.values())
            if recipe in kept and (is_asked_for or recipe.shape.yields):
                yield _made_twice(one, recipe.key)
                break


def _made_twice(wanted: Wanted, key: Hashable) -> UnresolvableParameterError:
    name = describe(key)
    return UnresolvableParameterError(
        wanted.parameter or "dependencies",
        describe_callable(wanted.path[-1]),
        f"{name} would be made twice for {describe_callable(wanted.path[0])}: once for Inject, and "
        f"once more for FunctionInject, which ends before the response is sent. Ask in one of the "
        f"two ways for all services that need {name}, or let all services end before the response: "
        f"lifespan(..., scope='function').",
    )


def find_too_long(app: FastAPI, key_of_request: FindKey) -> Iterator[LifetimeError]:
    """Find dependencies that end after the response but need services that end before it."""
    for keeper, wanted in find_kept(app, key_of_request):
        key = key_of_request(wanted.call)
        steps = [*map(describe_callable, wanted.path), describe(key)]
        yield LifetimeError(keeper, "request", key, "function", steps=steps)
