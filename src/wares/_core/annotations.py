"""From an annotation as it is written to the object that it means.

This module knows how Python looks names up, and where an annotation may hide them: in the
function's module, in the modules of a class's bases, in a closure, behind ``TYPE_CHECKING``, in
an alias.
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
from collections.abc import Callable, Collection, Container, Iterable, Iterator, Mapping
from typing import Any

import attrs

from wares._core.keys import MISSING

#: What evaluating an annotation may raise.
UNREADABLE = (NameError, AttributeError, TypeError, SyntaxError)

#: Python 3.11 counts the depth of its recursion for all threads together, and raises a SystemError
#: where two parse at once. Re-entrant, because the garbage collector may run anything.
PARSING = RLock()


def find_nothing(_: str) -> Any:
    """Find nothing: a name that is nowhere stands for nothing."""
    return MISSING


#: The package whose `Container` an annotation may name without an import.
_OWN_PACKAGE = __name__.partition(".")[0]


@attrs.frozen(eq=False, repr=False)
class Viewpoint:
    """From where annotations are read, beyond what the callable itself knows.

    Attributes:
        names: Names of the function within which a callable is defined.
        may_import: Whether what is imported for type checkers only may be imported now; while
            modules are being imported, that could go round in a circle.
        stand_in: Gives what stands for a name that is nowhere, or `MISSING`.
    """

    names: Mapping[str, Any] = attrs.field(factory=dict)
    may_import: bool = True
    stand_in: Callable[[str], Any] = find_nothing


@attrs.frozen(eq=False, repr=False)
class Surroundings:
    """Where the annotations of one callable are looked up.

    Attributes:
        modules: The namespaces of modules, the nearest first.
        near: Names that win over a module's: those of a closure, type parameters.
        classes: The class that the callable belongs to, and its bases.
        viewpoint: From where they are looked up.
    """

    modules: tuple[dict[str, Any], ...]
    near: dict[str, Any]
    classes: tuple[type, ...] = ()
    viewpoint: Viewpoint = Viewpoint()

    def within(self, home: type) -> Surroundings:
        """Look from the body of *home*, one of the classes, which wrote an annotation."""
        modules = self.modules
        nearest = modules[0].get("__name__") if modules else None
        if home.__module__ != nearest:
            modules = (*_namespaces([home]), *modules)
        near = {**self.near, **_type_parameters(home)}
        return attrs.evolve(self, modules=modules, near=near)

    def evaluate(self, annotation: object) -> Any:
        """Evaluate *annotation*.

        Raises:
            NameError: A name that nobody knows.
        """
        if type(annotation) is type:
            return annotation
        return _expand(self._evaluate(annotation), self.read_alias, ())

    def _evaluate(self, annotation: object) -> Any:
        names: dict[str, Any] = {_OWN_PACKAGE: sys.modules[_OWN_PACKAGE]}
        for namespace in reversed(self.modules):
            names.update(namespace)
        names.update(self.near)
        # Functions that the annotation itself defines see the module, as they do elsewhere.
        world = self.modules[0] if self.modules else {}
        # A module, because `typing` accepts `Final` there.
        holder = types.ModuleType("holder")
        holder.__annotations__ = {"it": annotation}
        while True:
            try:
                hints = typing.get_type_hints(holder, world, names, include_extras=True)
            except NameError as error:
                name = error.name or ""
                # One that is there already was looked for in vain: by a nested function, say.
                found = MISSING if name in names else self._find(name)
                if found is MISSING:
                    raise
                names[name] = found
            else:
                return hints["it"]

    def _find(self, name: str) -> Any:
        searches = (self._find_hidden, self._find_in_classes, self.viewpoint.stand_in)
        results = (search(name) for search in searches)
        return next((found for found in results if found is not MISSING), MISSING)

    def _find_hidden(self, name: str) -> Any:
        """Find what a module imports for type checkers only."""
        for namespace in self.modules:
            module = namespace.get("__name__")
            if isinstance(module, str):
                imports = _read_type_checking_imports(module)
                if name in imports:
                    return _import(*imports[name], may_load=self.viewpoint.may_import)
        return MISSING

    def _find_in_classes(self, name: str) -> Any:
        """Find a class that names itself, or what stands in its body."""
        for kind in self.classes:
            if kind.__name__ == name:
                return kind
            if name in vars(kind):
                return vars(kind)[name]
        return MISSING

    def read_alias(self, alias: Any) -> Any:
        """Read what a PEP 695 alias stands for, as it is seen where the alias is defined."""
        module = sys.modules.get(alias.__module__)
        home = self if module is None else attrs.evolve(self, modules=(vars(module),), near={})
        return home._evaluate(_read_value(alias))


if sys.version_info >= (3, 14):
    import annotationlib

    def read_annotated_names(thing: Callable[..., Any]) -> Collection[str]:
        """List what a function or the body of a class itself annotates, and evaluate nothing."""
        if getattr(thing, "__annotate__", None) is None:
            # They are evaluated already, and written as strings they would be printed.
            return annotationlib.get_annotations(thing)
        return annotationlib.get_annotations(thing, format=annotationlib.Format.STRING)

    def inspect_signature(function: Callable[..., Any]) -> inspect.Signature:
        """Read a signature; what names something that is not there yet stays unevaluated."""
        return inspect.signature(function, annotation_format=annotationlib.Format.FORWARDREF)

    def show_annotations(
        wrapper: Callable[..., Any], function: Callable[..., Any], hidden: Container[str]
    ) -> None:
        """Let *wrapper* show the annotations of *function*, but for *hidden* parameters."""

        def annotate(form: int) -> dict[str, Any]:
            annotations = annotationlib.get_annotations(
                function, format=annotationlib.Format(form)
            )
            return {name: it for name, it in annotations.items() if name not in hidden}

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
        """List what a function or the body of a class itself annotates, and evaluate nothing."""
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
            name: it for name, it in annotations.items() if name not in hidden
        }

    def _read_value(alias: Any) -> Any:
        return alias.__value__


def expand_alias(key: Any) -> Any:
    """Give what *key* stands for, where it is a PEP 695 alias or has one in its brackets.

    Args:
        key: Any key.

    Returns:
        The key without aliases; *key* itself, if there are none or their values cannot be read.
    """
    try:
        return _expand(key, Surroundings((), {}).read_alias, ())
    except UNREADABLE:
        return key


def _is_alias(thing: object) -> bool:
    """Tell whether *thing* is a PEP 695 alias; `typing_extensions` has a class of its own."""
    kind = type(thing)
    return kind.__name__ == "TypeAliasType" and kind.__module__ in TYPING_MODULES


#: Where what is written for types comes from.
TYPING_MODULES = ("typing", "typing_extensions")


def _expand(annotation: Any, read: Callable[[Any], Any], outer: tuple[Any, ...]) -> Any:
    """Replace the aliases in *annotation*; one that names itself stays, within its own value."""
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
    # What else stands in an `Annotated` are no types.
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
    """Tell what type *parameters* stand for; of those that stand for several types, nothing."""
    pairs = list(zip(parameters, arguments, strict=False))
    if all(isinstance(parameter, typing.TypeVar) for parameter, _ in pairs):
        return dict(pairs)
    return {}


def substitute(annotation: Any, meanings: Mapping[Any, Any]) -> Any:
    """Put what type parameters stand for into *annotation*."""
    if isinstance(annotation, typing.TypeVar):
        return meanings.get(annotation, annotation)
    if typing.get_origin(annotation) is None:
        return annotation
    parameters = getattr(annotation, "__parameters__", ())
    if not any(parameter in meanings for parameter in parameters):
        return annotation
    return annotation[tuple(meanings.get(item, item) for item in parameters)]


def find_type_arguments(kind: Any, home: type) -> Mapping[Any, Any]:
    """Find what the type parameters of *home* stand for.

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


def surroundings_of(
    functions: tuple[Callable[..., Any], ...],
    owner: type | None,
    viewpoint: Viewpoint | None = None,
) -> Surroundings:
    """Collect where the annotations of *functions* are looked up.

    Args:
        functions: A callable and the ones it wraps, the outermost first.
        owner: The class whose construction or method is meant, if one is.
        viewpoint: From where they are looked up.

    Returns:
        The surroundings, in which a class's bases and their modules count as well.
    """
    viewpoint = viewpoint or Viewpoint()
    classes = () if owner is None else owner.__mro__[:-1]
    near: dict[str, Any] = {
        kind.__name__: kind for kind in reversed(classes) if "<locals>" in kind.__qualname__
    }
    for function in functions:
        near.update(_read_closure(function))
        near.update(_type_parameters(function))
    near.update(viewpoint.names)
    modules = [
        # The innermost wrote the annotations; the others only show them.
        function.__globals__
        for function in reversed(functions)
        if hasattr(function, "__globals__")
    ]
    modules.extend(_namespaces(classes))
    return Surroundings(tuple(modules), near, classes, viewpoint)


def _namespaces(classes: Iterable[type]) -> Iterator[dict[str, Any]]:
    """Find the namespaces of the modules in which *classes* are defined."""
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
        # It is empty where the name is bound later.
        with contextlib.suppress(ValueError):
            found[name] = cell.cell_contents
    return found


#: What import statements bring: for each name the module, and the attribute, if it is one.
_Imports = Mapping[str, tuple[str, str | None]]


def _read_type_checking_imports(module: str) -> _Imports:
    """Read what *module* imports for type checkers only."""
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
        for statement in node.body
        for name, origin in _origins(statement, package)
    }


def _origins(statement: ast.stmt, package: str) -> Iterator[tuple[str, tuple[str, str | None]]]:
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
