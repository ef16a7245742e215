"""From ``module:attribute`` to the registry of an application that runs.

This module knows how Python finds modules and what the lifespan protocol of ASGI is
(https://asgi.readthedocs.io). It must not know a framework, nor what is done with the registry.
"""

from __future__ import annotations

import asyncio
import importlib
import inspect
import sys
from collections.abc import AsyncIterator, MutableMapping
from contextlib import asynccontextmanager
from typing import Any

from wares._adapters.applications import find_registry
from wares._core.keys import find_nearest
from wares._adapters.lifespan import REGISTRY_KEY
from wares._core.container import Registry
from wares.exceptions import WaresError

#: How many parameters an ASGI application takes: scope, receive, send.
_ASGI_PARAMETERS = 3


class TargetError(WaresError):
    """What was named is not there, or is nothing of ours."""


def load(target: str) -> object:
    """Import what *target* names.

    Args:
        target: ``module:attribute``; the attribute may be dotted.

    Raises:
        TargetError: There is no such module, or no such attribute.
        Exception: Whatever the module raises as it is imported.
    """
    module_name, _, path = target.partition(":")
    if not module_name or not path:
        raise TargetError(
            f"{target!r} names no application. Write the module and the attribute, with a colon "
            f"between them: shop.main:app"
        )
    found: Any = _import(module_name)
    for name in path.split("."):
        if not hasattr(found, name):
            near = find_nearest(name, [one for one in vars(found) if not one.startswith("_")])
            hint = f" Near it there is {', '.join(near)}." if near else ""
            raise TargetError(f"{module_name!r} has no attribute {path!r}.{hint}")
        found = getattr(found, name)
    return found


def _import(name: str) -> Any:
    # As `python -m` does it: what is imported lies, as a rule, where one stands.
    if "" not in sys.path:
        sys.path.insert(0, "")
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            # The module is there, and lacks something itself.
            raise
        raise TargetError(
            f"There is no module {error.name!r}. Call this where {name!r} can be imported, or set "
            f"PYTHONPATH."
        ) from error


@asynccontextmanager
async def open_registry(thing: object) -> AsyncIterator[tuple[Registry, object]]:
    """Start an application, give its registry and itself, and end both.

    Args:
        thing: A registry; an application, a server or a middleware; or a function, asynchronous
            or not, that makes one.

    Raises:
        TargetError: It has no registry.
        Exception: Whatever the application raises as it starts.
    """
    made: Any = thing
    if _is_factory(made):
        made = made()
        if inspect.isawaitable(made):
            made = await made
    async with _running(made) as state:
        registry = state.get(REGISTRY_KEY) or find_registry(made)
        if registry is None:
            raise TargetError(
                f"There is no registry on the {type(made).__qualname__}. Name a registry, an "
                f"application with an adapter of wares, or a function that makes one of them."
            )
        try:
            yield registry, made
        finally:
            await registry.aclose()


def _is_factory(thing: Any) -> bool:
    """Tell whether *thing* is to be called: a function or a class that is no ASGI application."""
    return (inspect.isroutine(thing) or inspect.isclass(thing)) and not _is_asgi(thing)


def _is_asgi(thing: Any) -> bool:
    if inspect.isclass(thing) or not callable(thing):
        return False
    call = thing if inspect.isroutine(thing) else thing.__call__
    return (
        inspect.iscoroutinefunction(call)
        and len(inspect.signature(call).parameters) == _ASGI_PARAMETERS
    )


@asynccontextmanager
async def _running(app: Any) -> AsyncIterator[MutableMapping[str, Any]]:
    """Start *app* as a server does, where it is an ASGI application; give its state."""
    state: dict[str, Any] = {}
    if not _is_asgi(app):
        yield state
        return
    events: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    answers: asyncio.Queue[MutableMapping[str, Any]] = asyncio.Queue()
    scope = {"type": "lifespan", "asgi": {"version": "3.0"}, "state": state}
    task = asyncio.ensure_future(app(scope, events.get, answers.put))
    has_lifespan = await _exchange("startup", task, events, answers)
    try:
        yield state
    finally:
        if has_lifespan:
            await _exchange("shutdown", task, events, answers)
            await task


async def _exchange(
    phase: str,
    task: asyncio.Future[None],
    events: asyncio.Queue[dict[str, Any]],
    answers: asyncio.Queue[MutableMapping[str, Any]],
) -> bool:
    """Send an event; tell whether *task*, the application, has done what it says.

    Raises:
        TargetError: It failed, and said why.
        Exception: It failed, and raised why.
    """
    await events.put({"type": f"lifespan.{phase}"})
    answering = asyncio.ensure_future(answers.get())
    waiting: set[asyncio.Future[Any]] = {task, answering}
    await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    if not answering.done():
        answering.cancel()
        # Servers take an application that raises, or returns, for one without a lifespan.
        return False
    answer = answering.result()
    if answer["type"] == f"lifespan.{phase}.complete":
        return True
    await task
    raise TargetError(f"The application failed in its {phase}:\n{answer.get('message', '')}")
