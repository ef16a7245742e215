"""The target of a command: a registry, an application or a program, named ``module:attribute``.

This module imports the target, starts it if it is an application, and finds its registry.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import os
import sys
from collections.abc import AsyncIterator, MutableMapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from pathlib import Path
from typing import Any

import attrs

from wares._adapters.applications import find_lifespan, find_registry
from wares._adapters.inside import look_inside
from wares._adapters.lifespan import REGISTRY_KEY, refuse_undecorated
from wares._adapters.starting import started
from wares._cli.programs import find_command, open_program
from wares._core.callables import can_be_called
from wares._core.container import Registry
from wares._core.keys import find_nearest
from wares.exceptions import WaresError

#: How many parameters an ASGI application takes: scope, receive, send.
_ASGI_PARAMETERS = 3


class TargetError(WaresError):
    """A target does not exist, or has no registry."""


@attrs.frozen
class Target:
    """The target of a command.

    Attributes:
        text: ``module:attribute``. The module may also be written as the path of its file, and
            the attribute may be dotted.
        folder: The folder that contains the module.
    """

    text: str
    folder: str

    @property
    def file(self) -> str:
        """The file of the imported module, or the name of a namespace package."""
        name, _ = self._find_module()
        return sys.modules[name].__file__ or name

    def load(self) -> object:
        """Import the target, and call it if it is a function that makes the target.

        Call this outside of any event loop: applications may run one while they are imported.

        Returns:
            A registry, an application or a program; or an awaitable of one.

        Raises:
            TargetError: There is no such module or attribute, or it is a function that takes
                arguments.
            Exception: Any exception of the module or the function.
        """
        name, root = self._find_module()
        if root not in sys.path:
            sys.path.insert(0, root)
        found: Any = _import(name)
        path = self.text.rpartition(":")[2]
        for part in path.split("."):
            if not hasattr(found, part):
                near = find_nearest(part, [one for one in vars(found) if one[0] != "_"])
                hint = f" Similar names: {', '.join(near)}." if near else ""
                raise TargetError(f"{name!r} has no attribute {path!r}.{hint}")
            found = getattr(found, part)
        return open_program(_call(found, path) if _is_factory(found) else found)

    def _find_module(self) -> tuple[str, str]:
        """Find the name of the module, and the folder that makes it importable."""
        module, _, attribute = self.text.rpartition(":")
        if not module or not attribute:
            raise TargetError(
                f"{self.text!r} is not a target. Write a module and an attribute, with a colon "
                f"between them: shop.main:app"
            )
        is_path = module.endswith(".py") or "/" in module or os.sep in module
        return _read_path(self.folder, module) if is_path else (module, self.folder)


def _read_path(folder: str, text: str) -> tuple[str, str]:
    """Turn the path of a module, with or without ``.py``, into its name and its root folder."""
    path = Path(folder, text.removesuffix(".py"))
    if not path.with_name(f"{path.name}.py").is_file() and not path.is_dir():
        raise TargetError(
            f"There is no module {text!r} in {folder!r}. Name the module as Python imports it, "
            f"shop.main:app, or by the path of its file, ./shop/main.py:app"
        )
    path = path.resolve()
    names = [path.name]
    root = path.parent
    while (root / "__init__.py").is_file():
        names.insert(0, root.name)
        root = root.parent
    return ".".join(names), str(root)


def _import(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            # The module exists, and something that it imports is missing.
            raise
        raise TargetError(
            f"There is no module {error.name!r}. Run this where {name!r} can be imported, or "
            f"name the directory: --app-dir src"
        ) from error


def _is_factory(thing: Any) -> bool:
    """Tell whether *thing* is a function that makes an application, not an application itself."""
    if not callable(thing) or _is_asgi(thing) or find_command(thing) is not None:
        return False
    if find_registry(thing) is not None:
        return False
    return _is_function(thing) or inspect.isclass(thing) or can_be_called(thing)


def _is_function(thing: Any) -> bool:
    return inspect.isroutine(thing) or isinstance(thing, functools.partial)


def _call(factory: Any, path: str) -> object:
    if not can_be_called(factory):
        raise TargetError(
            f"{path} takes arguments: {inspect.signature(factory)}, and wares calls it without "
            f"any. Name the application, or a function without arguments that makes it. For a "
            f"function that registers services, write one that makes a Registry, calls {path} "
            f"with it, and returns it."
        )
    made: object = factory()
    return made


def _is_asgi(thing: Any) -> bool:
    if inspect.isclass(thing) or not callable(thing):
        return False
    call = thing if _is_function(thing) else thing.__call__
    return (
        inspect.iscoroutinefunction(call)
        and len(inspect.signature(call).parameters) == _ASGI_PARAMETERS
    )


@asynccontextmanager
async def open_registry(thing: Any) -> AsyncIterator[tuple[Registry, object]]:
    """Start an application, yield its registry and the application, and end both.

    Args:
        thing: A registry, an application, a server or a middleware; or an awaitable of one.

    Raises:
        TargetError: The application has no registry.
        Exception: Any exception of the application's start.
    """
    made = await thing if inspect.isawaitable(thing) else thing
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


def _running(app: Any) -> AbstractAsyncContextManager[MutableMapping[str, Any]]:
    """Start *app* as a server does, if it is an ASGI application, and yield its state."""
    for part in look_inside(app):
        refuse_undecorated(part)
    if _is_asgi(app):
        return started(app, TargetError)
    lifespan = find_lifespan(app)
    return nullcontext({}) if lifespan is None else lifespan(app)
