"""Recognizing and reading markers, which mark a parameter as a dependency.

This module recognizes the markers of wares, FastAPI and FastDepends by their classes, without
importing these packages. Similar markers of other frameworks are left to those.
"""

from __future__ import annotations

import contextlib
import inspect
import sys
import typing
from collections.abc import Callable, Hashable, Iterable, Iterator
from typing import Any, Literal

import attrs

from wares._core.annotations import UNREADABLE, surroundings_of
from wares._core.callables import VARIADIC, read_parameters, unwrap
from wares._core.keys import MISSING

_OWN = ("wares._inject.markers", "Depends")

#: The modules and names of the classes of markers. FastAPI's `Security` derives from `Depends`.
_MARKS = (_OWN, ("fastapi.params", "Depends"), ("fast_depends.dependencies", "Dependant"))

#: The modules and names of what users write to make a marker; those of wares first.
_UNCALLED = (
    _OWN,
    ("wares._inject.markers", "Inject"),
    ("fastapi.params", "Depends"),
    ("fastapi", "Depends"),
)


@attrs.frozen
class Need:
    """One parameter, and the key of the service that fills it.

    Attributes:
        name: The name of the parameter.
        key: The key of the service.
        by_keyword: Whether the argument is passed by keyword.
        default: The default, used if *key* is neither registered nor given; else `MISSING`.
        is_marked: Whether `Depends` or `Inject` marks the parameter.
        is_service: Whether `Inject` marks it, so that only a registered or given service fills it.
            For `Depends`, an unregistered callable is called.
        use_cache: Whether the service is shared.
        scope: The scope that the marker names.
        casts: Whether `apply_types` casts the argument.
        takes_argument: Whether the parameter belongs to a dependency and has no marker. If the call
            of the injected function has an argument of the same name, that fills the parameter.
        is_late: Whether the factory receives the container and asks for *key* later.
    """

    name: str
    key: Hashable
    by_keyword: bool = False
    default: Any = MISSING
    is_marked: bool = False
    is_service: bool = False
    use_cache: bool = True
    scope: Literal["request", "function"] | None = None
    casts: bool = True
    takes_argument: bool = False
    is_late: bool = False


def read_marker(marker: Any) -> Need:
    """Return the need that a marker of wares, FastAPI or FastDepends stands for.

    Its name is empty. Its key is `None` if the marker leaves the key to the annotation.
    """
    if _is_a(marker, *_OWN):
        need: Need = marker._need
        return need
    service = getattr(marker.dependency, "__wares_key__", None)
    return Need(
        "",
        marker.dependency if service is None else service,
        is_marked=True,
        is_service=service is not None,
        use_cache=marker.use_cache,
        scope=getattr(marker, "scope", None),
        casts=getattr(marker, "cast", True),
    )


def is_marker(thing: object) -> bool:
    """Return whether *thing* is a marker of wares, FastAPI or FastDepends."""
    return any(_is_a(thing, module, name) for module, name in _MARKS)


def _is_uncalled(thing: object, markers: Iterable[tuple[str, str]] = _UNCALLED) -> bool:
    """Return whether *thing* is `Depends` or `Inject` itself, without parentheses or brackets."""
    return thing is not None and any(
        thing is getattr(sys.modules.get(module), name, None) for module, name in markers
    )


def explain_uncalled(marker: Any) -> str:
    """Return what is wrong with a marker without parentheses or brackets."""
    if marker.__name__ == "Inject":
        return "Inject has no brackets. Write Inject[Type]."
    return (
        f"{marker.__name__} has no parentheses, so it marks nothing. Write "
        f"{marker.__name__}(dependency), or {marker.__name__}() to use the annotation."
    )


def find_markers(annotation: Any) -> Iterator[Any]:
    """Yield the markers in *annotation*, at any depth, also without parentheses or brackets."""
    if is_marker(annotation) or _is_uncalled(annotation):
        yield annotation
    for part in typing.get_args(annotation):
        # The parameters of a `Callable` are a list.
        for inner in part if isinstance(part, list) else [part]:
            yield from find_markers(inner)


def find_own_markers(parameter: inspect.Parameter) -> list[Any]:
    """List the markers of wares of a parameter, also misplaced ones."""
    found = (*find_markers(parameter.default), *find_markers(parameter.annotation))
    return [
        marker
        for marker in found
        if _is_a(marker, *_OWN) or _is_uncalled(marker, _UNCALLED[:2])
    ]


def list_markers(parameter: inspect.Parameter, annotation: Any) -> list[Any]:
    """List the markers that have an effect: the default, and those in the outermost `Annotated`."""
    is_annotated = typing.get_origin(annotation) is typing.Annotated
    metadata = annotation.__metadata__ if is_annotated else ()
    return [item for item in (parameter.default, *metadata) if is_marker(item)]


def explain_misuse(parameter: inspect.Parameter, annotation: Any) -> str | None:
    """Return what is wrong with the markers of a parameter, if something is."""
    counted = list_markers(parameter, annotation)
    found = [*find_markers(parameter.default), *find_markers(annotation)]
    uncalled = next(filter(_is_uncalled, found), None)
    if uncalled is not None:
        return explain_uncalled(uncalled)
    if len(found) > len(counted):
        name = parameter.name
        return (
            f"a marker has no effect where it stands. Write {name}: Inject[T] instead of "
            f"{name} = Inject[T], Inject[T | None] instead of Inject[T] | None, Inject[T] instead "
            f"of Annotated[T, Inject[T]], and Annotated[T, Depends(...)] instead of Depends(...) "
            f"alone."
        )
    if len(counted) > 1:
        markers = ", ".join(map(repr, counted))
        return f"it has {len(counted)} markers, {markers}. Keep one of them."
    if counted and parameter.kind in VARIADIC:
        stars = "*" if parameter.kind is parameter.VAR_POSITIONAL else "**"
        return (
            f"{stars}{parameter.name} takes any number of arguments, so it cannot be marked. "
            f"Write a parameter of its own: {parameter.name}: Annotated[..., Depends(...)]."
        )
    return None


def is_fast_depends_marker(thing: object) -> bool:
    """Return whether *thing* is a marker of FastDepends, which FastStream uses as well."""
    return _is_a(thing, "fast_depends.dependencies", "Dependant")


def find_request_marker(parameter: inspect.Parameter, annotation: Any) -> Any:
    """Return what only FastAPI fills from a request, such as `Header()`, if there is one."""
    metadata = getattr(annotation, "__metadata__", ())
    for item in (parameter.default, *metadata):
        if any(_is_a(item, "fastapi.params", name) for name in ("Param", "Body")):
            return item
    return None


def _is_a(thing: object, module: str, name: str) -> bool:
    # If the module is not imported, no such marker exists. `type`, because a mock of a marker
    # claims to be an instance of its class.
    kind = getattr(sys.modules.get(module), name, None)
    return kind is not None and issubclass(type(thing), kind)


def takes_custom_field(function: Callable[..., Any]) -> bool:
    """Return whether only FastDepends can fill a parameter, such as FastStream's ``Context``.

    The functions that its markers of FastDepends name count as well.
    """
    return any(
        _is_a(mark, "fast_depends.library", "CustomField")
        for called in find_fast_dependencies([function])
        for mark in _read_marks(called)
    )


def find_fast_dependencies(
    functions: Iterable[Callable[..., Any]],
) -> list[Callable[..., Any]]:
    """List *functions*, and those that FastDepends calls for their markers, at any depth."""
    called: list[Callable[..., Any]] = []
    todo = list(functions)
    for function in todo:
        if function not in called:
            called.append(function)
            marks = filter(is_fast_depends_marker, _read_marks(function))
            todo += [mark.dependency for mark in marks]
    return called


def _read_marks(function: Callable[..., Any]) -> Iterator[Any]:
    """Yield the defaults and the metadata of all parameters, as far as they can be read."""
    surroundings = surroundings_of(unwrap(function), None)
    for parameter in read_parameters(function):
        yield parameter.default
        with contextlib.suppress(*UNREADABLE):
            annotation = surroundings.evaluate(parameter.annotation)
            yield from getattr(annotation, "__metadata__", ())


def is_derivable(key: object) -> bool:
    """Return whether *key*, if it is not registered, can be called to make a service."""
    if isinstance(key, type):
        is_protocol = getattr(key, "_is_protocol", False)
        return not (is_protocol or inspect.isabstract(key) or key.__module__ == "builtins")
    origin = typing.get_origin(key)
    if origin is not None:
        return typing.Generic in getattr(origin, "__mro__", ()) and is_derivable(origin)
    return callable(key) and not isinstance(key, typing.NewType | typing.TypeVar)


def without_markers(annotation: Any) -> Any:
    """Return *annotation* without its markers; ``Annotated[T, "name"]`` stays."""
    if typing.get_origin(annotation) is not typing.Annotated:
        return annotation
    rest = tuple(item for item in annotation.__metadata__ if not is_marker(item))
    return typing.Annotated[annotation.__origin__, *rest] if rest else annotation.__origin__
