"""From an annotation as it is written to the object that it means.

This module knows how Python looks names up, and where an annotation may hide them: in the
function's module, in the modules of a class's bases, in a closure, behind ``TYPE_CHECKING``. It
must not know what the annotations are used for.
"""

from __future__ import annotations

import ast
import builtins
import functools
import importlib
import importlib.util
import inspect
import sys
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import attrs

from wares._core.keys import MISSING
from wares._core.sources import parse

#: Finds what a bare name stands for, where Python itself does not know; or `MISSING`.
FindName = Callable[[str], Any]


class _Names(dict[str, Any]):
    """The names that an annotation may use besides its module's own globals."""

    def __init__(
        self, near: Mapping[str, Any], world: Mapping[str, Any], find: FindName
    ) -> None:
        super().__init__(near)
        self._world = world
        self._find = find

    def __missing__(self, name: str) -> Any:
        if name in self._world or hasattr(builtins, name):
            raise KeyError(name)
        found = self._find(name)
        if found is MISSING:
            raise KeyError(name)
        return found


@attrs.frozen(eq=False, repr=False)
class Viewpoint:
    """From where annotations are read, beyond what the callable itself knows.

    Attributes:
        names: Names of the function within which a callable is defined.
        may_import: Whether what is imported for type checkers only may be imported now; while
            modules are being imported, that could go round in a circle.
    """

    names: Mapping[str, Any] = attrs.field(factory=dict)
    may_import: bool = True


@attrs.frozen(eq=False, repr=False)
class Surroundings:
    """Where the annotations of one callable are looked up.

    Attributes:
        modules: The namespaces of modules, the nearest first.
        near: What stands nearer than a module: a closure, a class body, type parameters.
        may_import: Whether what is imported for type checkers only may be imported.
    """

    modules: tuple[dict[str, Any], ...]
    near: dict[str, Any]
    may_import: bool = True

    def evaluate(self, annotation: object, find_name: FindName) -> Any:
        """Evaluate *annotation*, with *find_name* as the last resort.

        Raises:
            NameError: A name that nobody knows.
        """
        world: dict[str, Any] = {}
        for namespace in reversed(self.modules):
            world.update(namespace)

        def find(name: str) -> Any:
            hidden = self._find_behind_type_checking(name)
            return find_name(name) if hidden is MISSING else hidden

        holder = types.SimpleNamespace(__annotations__={"it": annotation})
        names = _Names(self.near, world, find)
        return typing.get_type_hints(holder, world, names, include_extras=True)["it"]

    def _find_behind_type_checking(self, name: str) -> Any:
        for namespace in self.modules:
            module = namespace.get("__name__")
            if isinstance(module, str):
                origin = _read_type_checking_imports(module).get(name)
                if origin is not None:
                    return _import(origin, may_load=self.may_import)
        return MISSING


@attrs.frozen(eq=False, repr=False)
class _Origin:
    """What an import statement under ``TYPE_CHECKING`` names."""

    module: str
    attribute: str | None


def surroundings_of(
    functions: tuple[Callable[..., Any], ...],
    owner: type | None,
    viewpoint: Viewpoint | None = None,
) -> Surroundings:
    """Collect where the annotations of *functions* are looked up.

    Args:
        functions: A callable and the ones it wraps, the outermost first.
        owner: The class whose construction is meant, if one is.
        viewpoint: From where they are looked up.

    Returns:
        The surroundings, in which a class's bases and their modules count as well.
    """
    modules = [
        function.__globals__ for function in functions if hasattr(function, "__globals__")
    ]
    near: dict[str, Any] = {}
    for base in reversed(owner.__mro__ if owner is not None else ()):
        module = sys.modules.get(base.__module__)
        if module is not None and base is not object:
            modules.append(module.__dict__)
        near.update({base.__name__: base})
        near.update(_type_parameters(base))
    for function in functions:
        near.update(_read_closure(function))
        near.update(_type_parameters(function))
    if viewpoint is None:
        return Surroundings(tuple(modules), near)
    return Surroundings(tuple(modules), {**near, **viewpoint.names}, viewpoint.may_import)


def _type_parameters(thing: object) -> dict[str, Any]:
    return {
        parameter.__name__: parameter for parameter in getattr(thing, "__type_params__", ())
    }


def _read_closure(function: Callable[..., Any]) -> dict[str, Any]:
    if not inspect.isfunction(function):
        return {}
    # A cell may still be empty: a name that is bound after the function was defined.
    return dict(inspect.getclosurevars(function).nonlocals) if function.__closure__ else {}


@functools.lru_cache(maxsize=1024)
def _read_type_checking_imports(module: str) -> Mapping[str, _Origin]:
    """Read what *module* imports for type checkers only."""
    try:
        tree = parse(inspect.getsource(sys.modules[module]))
    except (KeyError, OSError, TypeError, SyntaxError):
        return {}
    package = getattr(sys.modules[module], "__package__", None) or ""
    return {
        name: origin
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and _is_type_checking(node.test)
        for statement in node.body
        for name, origin in _origins(statement, package)
    }


def _is_type_checking(test: ast.expr) -> bool:
    return (isinstance(test, ast.Name) and test.id == "TYPE_CHECKING") or (
        isinstance(test, ast.Attribute) and test.attr == "TYPE_CHECKING"
    )


def _origins(statement: ast.stmt, package: str) -> Iterator[tuple[str, _Origin]]:
    if isinstance(statement, ast.ImportFrom):
        base = "." * statement.level + (statement.module or "")
        module = importlib.util.resolve_name(base, package) if statement.level else base
        for alias in statement.names:
            yield alias.asname or alias.name, _Origin(module, alias.name)
    elif isinstance(statement, ast.Import):
        for alias in statement.names:
            top = alias.name.partition(".")[0]
            yield alias.asname or top, _Origin(alias.name if alias.asname else top, None)


def _import(origin: _Origin, *, may_load: bool) -> Any:
    if not may_load and origin.module not in sys.modules:
        return MISSING
    try:
        module = importlib.import_module(origin.module)
    except ImportError:
        return MISSING
    return module if origin.attribute is None else getattr(module, origin.attribute, MISSING)
