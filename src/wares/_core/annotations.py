"""Evaluating annotations.

This module looks up the names in an annotation where Python does, and where Python does not: in
the function's module, in the modules of a class's bases, in a closure, below ``TYPE_CHECKING``,
and in an alias.
"""

from __future__ import annotations

import ast
import contextlib
import functools
import importlib
import importlib.util
import inspect
import sys
import types
import typing
from _thread import RLock
from collections.abc import (
    Callable,
    Collection,
    Container,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from typing import Any

import attrs

from wares._core.keys import MISSING

#: The errors that evaluating an annotation may raise.
UNREADABLE = (NameError, AttributeError, TypeError, SyntaxError)

#: Python 3.11 counts the recursion depth of the parser for all threads together, and raises a
#: SystemError if two parse at once. Re-entrant, because the garbage collector may run any code.
PARSING = RLock()


def find_nothing(_: str) -> Any:
    """Return `MISSING`: an unknown name has no stand-in."""
    return MISSING


class _Unknown(type):
    """The metaclass of stand-ins for undefined names."""

    def __getattr__(cls, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return stand_in(f"{cls.__name__}.{name}")

    def __getitem__(cls, _: object) -> Any:
        return cls


def stand_in(name: str) -> Any:
    """Make a stand-in for an undefined name, on which an annotation may use dots and brackets."""
    return _Unknown(name, (), {})


def is_unknown(key: object) -> bool:
    """Return whether *key* is or contains a stand-in."""
    return isinstance(key, _Unknown) or any(map(is_unknown, typing.get_args(key)))


#: The package whose `Container` an annotation may name without an import.
_OWN_PACKAGE = __name__.partition(".")[0]


@attrs.frozen(eq=False, repr=False)
class Viewpoint:
    """Where annotations are evaluated, besides the surroundings of the callable itself.

    Attributes:
        frames: The frames around the callable, see `find_frames`; left out, those on the stack.
        may_import: Whether imports below ``TYPE_CHECKING`` may be executed. While modules are
            being imported, that could end in a circular import.
        stand_in: Returns a stand-in for an unknown name, or `MISSING`.
    """

    frames: Sequence[types.FrameType] = ()
    may_import: bool = True
    stand_in: Callable[[str], Any] = find_nothing


@attrs.frozen(eq=False, repr=False)
class Surroundings:
    """Where the names in the annotations of one callable are looked up.

    Attributes:
        modules: The namespaces of modules, the nearest first.
        near: Names that win over all others: names of a closure, and type parameters.
        classes: The class that the callable belongs to, and its bases.
        frames: The frames around the callable, the innermost first.
        viewpoint: Where names are looked up besides.
    """

    modules: tuple[dict[str, Any], ...]
    near: dict[str, Any]
    classes: tuple[type, ...] = ()
    frames: Sequence[types.FrameType] = ()
    viewpoint: Viewpoint = Viewpoint()

    def within(self, home: type) -> Surroundings:
        """Return the surroundings for an annotation in the body of *home*, one of the classes."""
        modules = self.modules
        nearest = modules[0].get("__name__") if modules else None
        if home.__module__ != nearest:
            modules = (*_namespaces([home]), *modules)
        near = {**self.near, **_type_parameters(home)}
        return attrs.evolve(self, modules=modules, near=near)

    def evaluate(self, annotation: object) -> Any:
        """Evaluate *annotation*.

        Raises:
            NameError: A name is unknown.
        """
        if type(annotation) is type:
            return annotation
        return _expand(self._evaluate(annotation), self.read_alias, ())

    def _evaluate(self, annotation: object) -> Any:
        names: dict[str, Any] = {_OWN_PACKAGE: sys.modules[_OWN_PACKAGE]}
        for namespace in reversed(self.modules):
            names.update(namespace)
        # Before Python 3.13, a frame whose local names were read keeps the objects alive.
        for frame in reversed(self.frames) if _has_names(annotation) else ():
            names.update(frame.f_locals)
        names.update(self.near)
        # A lambda in the annotation sees these globals, as it does elsewhere.
        world = self.modules[0] if self.modules else {}
        # A module, because `typing` accepts `Final` there.
        holder = types.ModuleType("holder")
        holder.__annotations__ = {"value": annotation}
        while True:
            try:
                hints = typing.get_type_hints(holder, world, names, include_extras=True)
            except NameError as error:
                name = error.name or ""
                # A known name failed elsewhere, such as in a lambda: looking it up does not help.
                found = MISSING if name in names else self._find(name)
                if found is MISSING:
                    raise
                names[name] = found
            else:
                return hints["value"]

    def _find(self, name: str) -> Any:
        searches = (self._find_hidden, self._find_in_classes, self.viewpoint.stand_in)
        results = (search(name) for search in searches)
        return next((found for found in results if found is not MISSING), MISSING)

    def _find_hidden(self, name: str) -> Any:
        """Find a name that a module imports below ``TYPE_CHECKING``."""
        for namespace in self.modules:
            module = namespace.get("__name__")
            if isinstance(module, str):
                imports = _read_type_checking_imports(module)
                if name in imports:
                    return _import(*imports[name], may_load=self.viewpoint.may_import)
        return MISSING

    def _find_in_classes(self, name: str) -> Any:
        """Find a class by its own name, or a name in the body of a class."""
        for kind in self.classes:
            if kind.__name__ == name:
                return kind
            if name in vars(kind):
                return vars(kind)[name]
        return MISSING

    def read_alias(self, alias: Any) -> Any:
        """Evaluate the value of a PEP 695 alias, in the module that defines the alias."""
        module = sys.modules.get(alias.__module__)
        home = self if module is None else attrs.evolve(self, modules=(vars(module),), near={})
        return home._evaluate(_read_value(alias))


def _has_names(annotation: Any) -> bool:
    """Return whether names in *annotation* are still to be looked up."""
    inner = annotation if isinstance(annotation, list) else typing.get_args(annotation)
    return isinstance(annotation, str | typing.ForwardRef) or any(map(_has_names, inner))


if sys.version_info >= (3, 14):
    import annotationlib

    def read_annotated_names(thing: Callable[..., Any]) -> Collection[str]:
        """List the names that a function or class annotates itself, without evaluating anything."""
        if getattr(thing, "__annotate__", None) is None:
            # They are evaluated already; in the string format each would be converted by `repr`.
            return annotationlib.get_annotations(thing)
        return annotationlib.get_annotations(thing, format=annotationlib.Format.STRING)

    def inspect_signature(function: Callable[..., Any]) -> inspect.Signature:
        """Read a signature; annotations with undefined names stay unevaluated."""
        return inspect.signature(function, annotation_format=annotationlib.Format.FORWARDREF)

    def show_annotations(
        wrapper: Callable[..., Any], function: Callable[..., Any], hidden: Container[str]
    ) -> None:
        """Let *wrapper* show the annotations of *function*, but for *hidden* parameters."""

        def annotate(form: int) -> dict[str, Any]:
            annotations = annotationlib.get_annotations(
                function, format=annotationlib.Format(form)
            )
            return {name: kind for name, kind in annotations.items() if name not in hidden}

        wrapper.__annotate__ = annotate  # type: ignore[attr-defined]  # PEP 649 reads it

    def _read_value(alias: Any) -> Any:
        try:
            return alias.__value__
        except NameError:
            return annotationlib.call_evaluate_function(
                alias.evaluate_value, annotationlib.Format.FORWARDREF, owner=alias
            )


if sys.version_info < (3, 14):

    def read_annotated_names(thing: Callable[..., Any]) -> Collection[str]:
        """List the names that a function or class annotates itself, without evaluating anything."""
        return inspect.get_annotations(thing)

    def inspect_signature(function: Callable[..., Any]) -> inspect.Signature:
        """Read a signature; annotations that are strings stay strings."""
        return inspect.signature(function)

    def show_annotations(
        wrapper: Callable[..., Any], function: Callable[..., Any], hidden: Container[str]
    ) -> None:
        """Let *wrapper* show the annotations of *function*, but for *hidden* parameters."""
        annotations = getattr(function, "__annotations__", {})
        wrapper.__annotations__ = {
            name: kind for name, kind in annotations.items() if name not in hidden
        }

    def _read_value(alias: Any) -> Any:
        return alias.__value__


#: The surroundings of a key, which was evaluated when it was written down.
_NOWHERE = Surroundings((), {})


def expand_alias(key: Any) -> Any:
    """Replace the PEP 695 aliases in *key*, also in its brackets, by their values.

    Args:
        key: Any key.

    Returns:
        The key without aliases; *key* itself if there are none, or their values cannot be read.
    """
    if isinstance(key, type):
        return key
    try:
        return _expand(key, _NOWHERE.read_alias, ())
    except UNREADABLE:
        return key


def _is_alias(thing: object) -> bool:
    """Return whether *thing* is a PEP 695 alias; `typing_extensions` has a class of its own."""
    kind = type(thing)
    return kind.__name__ == "TypeAliasType" and kind.__module__ in TYPING_MODULES


#: The modules that define the classes of type expressions.
TYPING_MODULES = ("typing", "typing_extensions")


def _expand(annotation: Any, read: Callable[[Any], Any], outer: tuple[Any, ...]) -> Any:
    """Replace the aliases in *annotation*; within its own value, a recursive alias stays."""
    if _is_alias(annotation):
        if annotation in outer:
            return annotation
        return _expand(read(annotation), read, (*outer, annotation))
    origin = typing.get_origin(annotation)
    arguments = typing.get_args(annotation)
    if origin is None or origin is typing.Literal:
        return annotation
    if _is_alias(origin):
        meanings = bind_type_parameters(origin.__type_params__, arguments)
        if origin in outer or not meanings:
            return annotation
        return _expand(substitute(read(origin), meanings), read, (*outer, origin))
    # Only the first argument of `Annotated` is a type.
    count = 1 if origin is typing.Annotated else len(arguments)
    expanded = [_expand_argument(argument, read, outer) for argument in arguments[:count]]
    if expanded == list(arguments[:count]):
        return annotation
    if origin is types.UnionType:
        origin = typing.Union
    return origin[(*expanded, *arguments[count:])]


def _expand_argument(argument: Any, read: Callable[[Any], Any], outer: tuple[Any, ...]) -> Any:
    if isinstance(argument, list):
        # The parameters of a `Callable`.
        return [_expand_argument(item, read, outer) for item in argument]
    return _expand(argument, read, outer)


def bind_type_parameters(
    parameters: Iterable[Any], arguments: Iterable[Any]
) -> Mapping[Any, Any]:
    """Map type parameters to their arguments; return nothing if one stands for several types."""
    meanings = dict(zip(parameters, arguments, strict=False))
    has_variadic = any(isinstance(parameter, typing.TypeVarTuple) for parameter in meanings)
    return {} if has_variadic else meanings


def substitute(annotation: Any, meanings: Mapping[Any, Any]) -> Any:
    """Replace the type parameters in *annotation* by their *meanings*."""
    if isinstance(annotation, typing.TypeVar):
        return meanings.get(annotation, annotation)
    if typing.get_origin(annotation) is None:
        return annotation
    parameters = getattr(annotation, "__parameters__", ())
    if not any(parameter in meanings for parameter in parameters):
        return annotation
    return annotation[tuple(meanings.get(item, item) for item in parameters)]


def find_type_arguments(kind: Any, home: type) -> Mapping[Any, Any]:
    """Find the arguments of the type parameters of *home*.

    Args:
        kind: A class, or a class with types in brackets, as in ``Repository[User]``.
        home: That class, or one of its bases.
    """
    origin = typing.get_origin(kind) or kind
    meanings = bind_type_parameters(
        getattr(origin, "__parameters__", ()), typing.get_args(kind)
    )
    if origin is home:
        return meanings
    for base in vars(origin).get("__orig_bases__", origin.__bases__):
        if home in getattr(typing.get_origin(base) or base, "__mro__", ()):
            return find_type_arguments(substitute(base, meanings), home)
    return {}


def find_frames(
    defined: Any, frames: Iterable[types.FrameType] = ()
) -> Sequence[types.FrameType]:
    """Return the frames of the functions and class bodies around *defined*, the innermost first.

    Args:
        defined: A function or class; for a decorated one, the innermost.
        frames: The frames to search; left out, those on the stack.
    """
    name = getattr(defined, "__qualname__", "")
    if "<locals>" not in name:
        return []
    return [
        frame
        for frame in frames or _list_running()
        if name.startswith(f"{frame.f_code.co_qualname}.")
        and frame.f_globals.get("__name__") == defined.__module__
    ]


def _list_running() -> Iterator[types.FrameType]:
    frame = inspect.currentframe()
    while frame is not None:
        yield frame
        frame = frame.f_back


def surroundings_of(
    functions: tuple[Callable[..., Any], ...],
    owner: type | None,
    viewpoint: Viewpoint | None = None,
) -> Surroundings:
    """Collect the surroundings in which the annotations of *functions* are evaluated.

    Args:
        functions: A callable and the ones that it wraps, the outermost first.
        owner: The class whose constructor or method the callable is, if any.
        viewpoint: Further names.

    Returns:
        The surroundings, with the bases of the class and their modules.
    """
    viewpoint = viewpoint or Viewpoint()
    classes = () if owner is None else owner.__mro__[:-1]
    near: dict[str, Any] = {
        kind.__name__: kind for kind in reversed(classes) if "<locals>" in kind.__qualname__
    }
    for function in functions:
        near.update(_read_closure(function))
        near.update(_type_parameters(function))
    modules = [
        # The innermost function comes first: its module wrote the annotations.
        function.__globals__
        for function in reversed(functions)
        if hasattr(function, "__globals__")
    ]
    modules.extend(_namespaces(classes))
    frames = find_frames(functions[-1], viewpoint.frames)
    return Surroundings(tuple(modules), near, classes, frames, viewpoint)


def _namespaces(classes: Iterable[type]) -> Iterator[dict[str, Any]]:
    """Yield the namespaces of the modules in which *classes* are defined."""
    for kind in classes:
        module = sys.modules.get(kind.__module__)
        if module is not None:
            yield vars(module)


def _type_parameters(thing: object) -> dict[str, Any]:
    return {
        parameter.__name__: parameter for parameter in getattr(thing, "__type_params__", ())
    }


def _read_closure(function: Callable[..., Any]) -> dict[str, Any]:
    if not inspect.isfunction(function):
        return {}
    found = {}
    names = function.__code__.co_freevars
    for name, cell in zip(names, function.__closure__ or (), strict=True):
        # The cell is empty if the name is bound later.
        with contextlib.suppress(ValueError):
            found[name] = cell.cell_contents
    return found


#: For each imported name the module, and the attribute of the module, if it is one.
_Imports = Mapping[str, tuple[str, str | None]]


def _read_type_checking_imports(module: str) -> _Imports:
    """Read the imports of *module* below ``TYPE_CHECKING``."""
    try:
        source = inspect.getsource(sys.modules[module])
        return _parse_imports(source, getattr(sys.modules[module], "__package__", None) or "")
    except (KeyError, OSError, TypeError, SyntaxError):
        return {}


@functools.lru_cache(maxsize=256)
def _parse_imports(source: str, package: str) -> _Imports:
    with PARSING:
        tree = ast.parse(source)
    return {
        name: origin
        for node in ast.walk(tree)
        if isinstance(node, ast.If)
        and ast.unparse(node.test).rpartition(".")[2] == "TYPE_CHECKING"
        for outer in node.body
        for statement in ast.walk(outer)
        for name, origin in _origins(statement, package)
    }


def _origins(statement: ast.AST, package: str) -> Iterator[tuple[str, tuple[str, str | None]]]:
    if isinstance(statement, ast.ImportFrom):
        base = "." * statement.level + (statement.module or "")
        module = importlib.util.resolve_name(base, package) if statement.level else base
        for alias in statement.names:
            yield alias.asname or alias.name, (module, alias.name)
    elif isinstance(statement, ast.Import):
        for alias in statement.names:
            top = alias.name.partition(".")[0]
            yield alias.asname or top, (alias.name if alias.asname else top, None)


def _import(name: str, attribute: str | None, *, may_load: bool) -> Any:
    if not may_load and name not in sys.modules:
        return MISSING
    try:
        module = importlib.import_module(name)
    except ImportError:
        return MISSING
    return module if attribute is None else getattr(module, attribute, MISSING)
