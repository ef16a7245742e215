"""What marks a parameter as a dependency, and what a mark may name.

This module knows marks by their classes: ours, FastAPI's and FastDepends', without importing
them. Those of other frameworks look alike, and are left to them.
"""

from __future__ import annotations

import contextlib
import enum
import inspect
import sys
import types
import typing
from collections.abc import Callable, Hashable, Iterable, Iterator
from typing import Any, Literal

import attrs

from wares._core.annotations import FindName, surroundings_of
from wares._core.callables import name_callable, read_parameters, unwrap
from wares._core.keys import describe

#: Modules, and the classes in them that mark a dependency. FastAPI's `Security` is a `Depends`.
_MARKS = (
    ("wares._inject.markers", "Depends"),
    ("fastapi.params", "Depends"),
    ("fast_depends.dependencies", "Dependant"),
)


#: The names of marks, and of what makes them, before they are called.
_UNCALLED = (
    ("wares._inject.markers", "Depends"),
    ("wares._inject.markers", "Inject"),
    ("fastapi.params", "Depends"),
    ("fastapi", "Depends"),
)


@attrs.frozen
class Mark:
    """What a marker says, whoever defines its class.

    Attributes:
        key: What the marker names; `None` stands for the annotation of the parameter.
        is_service: Whether only what is registered or given fills the parameter.
        use_cache: Whether the result is shared.
        scope: How long the result lives, if the marker says so.
        casts: Whether `apply_types` casts the result.
    """

    key: Any = None
    is_service: bool = False
    use_cache: bool = True
    scope: Literal["request", "function"] | None = None
    casts: bool = True


def read_mark(marker: Any) -> Mark:
    """Read what a marker of wares, FastAPI or FastDepends says."""
    if _is_a(marker, *_MARKS[0]):
        mark: Mark = marker._mark
        return mark
    service = getattr(marker.dependency, "__wares_key__", None)
    return Mark(
        marker.dependency if service is None else service,
        is_service=service is not None,
        use_cache=marker.use_cache,
        scope=getattr(marker, "scope", None),
        casts=getattr(marker, "cast", True),
    )


def is_uncalled_marker(thing: object, markers: Iterable[tuple[str, str]] = _UNCALLED) -> bool:
    """Tell whether *thing* is `Depends` or `Inject` itself, without parentheses or brackets."""
    return any(
        thing is not None and thing is getattr(sys.modules.get(module), name, None)
        for module, name in markers
    )


def explain_uncalled(marker: Any) -> str:
    """Tell what is wrong with a marker that was not called."""
    if marker.__name__ == "Inject":
        return "Inject has no brackets. Write Inject[Type]."
    return (
        f"{marker.__name__} has no parentheses, so it marks nothing. Write "
        f"{marker.__name__}(dependency), or {marker.__name__}() to use the annotation."
    )


def is_marker(thing: object) -> bool:
    """Tell whether *thing* is a marker of wares, FastAPI or FastDepends."""
    return any(_is_a(thing, module, name) for module, name in _MARKS)


def find_markers(annotation: Any) -> Iterator[Any]:
    """Find the markers in *annotation*, called or not, however deep in its brackets they are."""
    if is_marker(annotation) or is_uncalled_marker(annotation):
        yield annotation
    for part in typing.get_args(annotation):
        # The parameters of a `Callable` are a list.
        for inner in part if isinstance(part, list) else [part]:
            yield from find_markers(inner)


def find_own_markers(parameter: inspect.Parameter) -> list[Any]:
    """Find the markers of wares that a parameter has, also where they are misplaced."""
    found = (*find_markers(parameter.default), *find_markers(parameter.annotation))
    return [
        marker
        for marker in found
        if _is_a(marker, *_MARKS[0]) or is_uncalled_marker(marker, _UNCALLED[:2])
    ]


def has_misplaced_marker(annotation: Any) -> bool:
    """Tell whether a marker stands where it is not read: anywhere but in the outermost brackets."""
    is_annotated = typing.get_origin(annotation) is typing.Annotated
    read = filter(is_marker, annotation.__metadata__ if is_annotated else ())
    return len([*find_markers(annotation)]) > len([*read])


def explain_misplaced(annotation: Any) -> str:
    """Tell what is wrong with such an annotation."""
    return (
        f"its annotation, {describe(annotation)}, has a marker where it has no effect. Write "
        f"Inject[T | None] instead of Inject[T] | None, Inject[T] instead of "
        f"Annotated[T, Inject[T]], and Annotated[T, Depends(...)] instead of Depends(...) alone."
    )


def is_marked_annotation(default: Any) -> bool:
    """Tell whether a default is a marked annotation, as `Inject` gives it."""
    is_annotated = typing.get_origin(default) is typing.Annotated
    return is_annotated and any(map(is_marker, default.__metadata__))


def explain_default(name: str) -> str:
    """Tell what is wrong with such a default."""
    return f"its default is an annotation. Write {name}: Inject[...], not {name} = Inject[...]."


def is_fast_depends_marker(thing: object) -> bool:
    """Tell whether *thing* is a marker of FastDepends, which FastStream uses as well."""
    return _is_a(thing, "fast_depends.dependencies", "Dependant")


def is_custom_field(thing: object) -> bool:
    """Tell whether *thing* marks what only FastDepends fills, as FastStream's ``Context`` does."""
    return _is_a(thing, "fast_depends.library", "CustomField")


def _is_a(thing: object, module: str, name: str) -> bool:
    # Who has made a marker has imported its module. A mock's type is a mock, whatever it says.
    kind = getattr(sys.modules.get(module), name, None)
    return kind is not None and issubclass(type(thing), kind)


def takes_custom_field(function: Callable[..., Any], find_name: FindName) -> bool:
    """Tell whether *function*, or what FastDepends' markers in it name, takes such a thing."""
    called = find_fast_dependencies([function], find_name)
    return any(is_custom_field(mark) for one in called for mark in _read_marks(one, find_name))


def find_fast_dependencies(
    functions: Iterable[Callable[..., Any]], find_name: FindName
) -> list[Callable[..., Any]]:
    """Find what FastDepends calls for *functions* by its own markers, however deep, and these."""
    called: list[Callable[..., Any]] = []
    todo = list(functions)
    for function in todo:
        if function not in called:
            called.append(function)
            marks = filter(is_fast_depends_marker, _read_marks(function, find_name))
            todo += [mark.dependency for mark in marks]
    return called


def _read_marks(function: Callable[..., Any], find_name: FindName) -> Iterator[Any]:
    """Read the defaults and the metadata of all parameters, as far as they can be read."""
    surroundings = surroundings_of(unwrap(function), None)
    for parameter in read_parameters(function):
        yield parameter.default
        with contextlib.suppress(NameError, AttributeError, TypeError, SyntaxError):
            annotation = surroundings.evaluate(parameter.annotation, find_name)
            yield from getattr(annotation, "__metadata__", ())


@attrs.frozen(repr=False)
class Identity:
    """The key of a callable that is not hashable: itself and no other."""

    callable: Callable[..., Any] = attrs.field(eq=id)

    def __repr__(self) -> str:
        return name_callable(self.callable)


def as_key(dependency: Any) -> Hashable:
    """Give the key under which what *dependency* makes is shared."""
    try:
        hash(dependency)
    except TypeError:
        # An alias, as in Annotated[int, []], is a key that cannot be one, and no callable.
        return dependency if typing.get_origin(dependency) else Identity(dependency)
    key: Hashable = dependency
    return key


def callable_of(key: Hashable) -> Any:
    """Give the callable that *key* stands for."""
    return key.callable if isinstance(key, Identity) else key


def is_derivable(key: object) -> bool:
    """Tell whether a key that nobody registered can be called to make its own service."""
    if isinstance(key, Identity):
        return True
    if isinstance(key, type):
        is_protocol = getattr(key, "_is_protocol", False)
        return not (is_protocol or inspect.isabstract(key) or key.__module__ == "builtins")
    return (
        callable(key)
        and typing.get_origin(key) is None
        and not isinstance(key, typing.NewType | typing.TypeVar)
    )


def can_be_asked_for(key: object) -> bool:
    """Tell whether a marker may name *key*: numbers and the like are surely mistakes."""
    is_number = isinstance(key, int | float | complex) and not isinstance(key, enum.Enum)
    return not (is_number or isinstance(key, bytes | types.EllipsisType))


def without_markers(annotation: Any) -> Any:
    """Give what *annotation* asks for apart from its marker: ``Annotated[T, "name"]`` stays."""
    if typing.get_origin(annotation) is not typing.Annotated:
        return annotation
    rest = tuple(item for item in annotation.__metadata__ if not is_marker(item))
    return typing.Annotated[annotation.__origin__, *rest] if rest else annotation.__origin__
