"""Validating arguments and results with pydantic, and casting them to their annotations.

This module imports pydantic only when `apply_types` needs it.
"""

from __future__ import annotations

import inspect
import sys
import typing
from collections.abc import (
    AsyncGenerator,
    Callable,
    Collection,
    Generator,
    Iterable,
    Mapping,
    Sequence,
)
from typing import TYPE_CHECKING, Annotated, Any, Required, Self

from typing_extensions import TypedDict

from wares._core.annotations import Viewpoint
from wares._core.callables import as_class, describe_callable, read_raw, wraps_generator
from wares._core.keys import MISSING
from wares._core.marks import Need
from wares._core.results import ITERATORS, first_argument
from wares._core.signatures import read_annotations
from wares.exceptions import MissingExtraError, ValidationError

if TYPE_CHECKING:
    import pydantic

#: As `Any`, because type checkers demand that the fields are written out in the source.
_make_typed_dict: Any = TypedDict


class Model:
    """A set of named values that pydantic validates together.

    Args:
        types: The types by name. Values of type `Any` are left alone.
        required: The names of the values that must be present.

    Raises:
        MissingExtraError: pydantic is not installed.
    """

    def __init__(self, types: Mapping[str, Any], required: Collection[str] = ()) -> None:
        # Pydantic would take `Self` for the class of the model.
        types = {name: Any if _names_self(kind) else kind for name, kind in types.items()}
        self._required = required
        self._types = {
            name: kind for name, kind in types.items() if kind is not Any or name in required
        }
        # Errors name a value by its alias.
        self._aliases = {
            name: next(iter(find_aliases(kind)), name) for name, kind in self._types.items()
        }
        # Now, so that a missing pydantic is an error when the function is decorated.
        casts = any(kind is not Any for kind in types.values())
        self._adapter = self._make_adapter() if casts else None

    def _make_adapter(self) -> pydantic.TypeAdapter[dict[str, Any]]:
        try:
            import pydantic  # noqa: PLC0415  # an extra, imported only when used
        except ImportError:
            raise MissingExtraError("apply_types", "pydantic") from None
        types = dict(self._types)
        for name, kind in self._types.items():
            if _find_fields(kind):
                # The wrapper has replaced aliases by names already.
                types[name] = Annotated[kind, pydantic.Field(validation_alias=name)]
        for name in self._required:
            types[name] = Required[types[name]]
        # Not a model class, because such a class does not allow every name.
        values = _make_typed_dict("Values", types, total=False)
        values.__pydantic_config__ = pydantic.ConfigDict(arbitrary_types_allowed=True)
        return pydantic.TypeAdapter(values)

    def cast(self, values: Mapping[str, Any], function: Callable[..., Any]) -> dict[str, Any]:
        """Return all *values*, those with a type cast to it.

        Raises:
            ValidationError: Some values do not fit, or are missing; it lists all of them.
        """
        if self._adapter is None:
            return dict(values)
        return {**values, **self.validate(values, function)}

    def validate(
        self, values: Mapping[str, Any], function: Callable[..., Any]
    ) -> dict[str, Any]:
        """Cast the *values* that have a type, and return only these.

        Raises:
            ValidationError: Some values do not fit, or are missing; it lists all of them.
        """
        adapter = self._adapter or self._make_adapter()
        from pydantic import ValidationError as PydanticError  # noqa: PLC0415  # an extra

        try:
            return adapter.validate_python(
                {name: values[name] for name in self._types if name in values}
            )
        except PydanticError as error:
            errors: list[Any] = error.errors(include_url=False)
        for found in errors:
            name, *rest = found["loc"]
            found["loc"] = (self._aliases[name], *rest)
        raise ValidationError(describe_callable(function), errors)

    def may_change(self, name: str) -> bool:
        """Return whether casting may replace a value by another object."""
        if self._adapter is None or name not in self._types:
            return False
        schema: Any = self._adapter.core_schema
        while schema["type"] != "typed-dict":
            schema = schema["schema"]
        kind: str = schema["fields"][name]["schema"]["type"]
        return kind not in ("is-instance", "any")


class FunctionCasts:
    """The casts of one function's parameters and of its result.

    The result of a dependency is cast first to the type that the dependency is annotated to return,
    and then to the type of the parameter.

    Args:
        function: The function.
        needs: The needs of its marked parameters.
        names: The parameters that are filled by its callers.
        viewpoint: Where annotations are evaluated, besides the function's own surroundings.

    Raises:
        MissingExtraError: pydantic is not installed.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        needs: Sequence[Need],
        names: Collection[str],
        viewpoint: Viewpoint | None = None,
    ) -> None:
        self._function = function
        self._parameters = read_raw(function).parameters
        read = read_annotations(function, viewpoint)
        marked: dict[str, Any] = {need.name: need for need in needs if need.is_marked}
        promised = {
            name: _read_result(need.key, read_annotations(need.key, viewpoint))
            for name, need in marked.items()
            if _is_cast(need)
        }
        self._promised = Model(promised)
        wanted = {
            name: _read_type(parameter, read.get(name, Any))
            for name, parameter in self._parameters.items()
            if name not in marked or name in promised
        }
        self._fields = {name: _find_default(kind) for name, kind in wanted.items()}
        self._required = [
            name
            for name in names
            if has_no_default(self._parameters[name]) and self._fields[name] is None
        ]
        self._wanted = Model(wanted, self._required)
        # The constructor of a class is annotated to return None.
        result = Any if as_class(function) is not None else _read_result(function, read)
        self._result = Model({"return": result})

    def may_change_any(self, needs: Iterable[Need]) -> bool:
        """Return whether casting may replace the argument for one of *needs*."""
        names = [need.name for need in needs if _is_cast(need)]
        return any(
            self._promised.may_change(name) or self._wanted.may_change(name) for name in names
        )

    def wrap(self, factory: Callable[..., Any], needs: Sequence[Need]) -> Callable[..., Any]:
        """Return a factory that casts the arguments of a dependency before calling it."""
        by_position = [need.name for need in needs if not need.by_keyword]
        cast = {need.name for need in needs if _is_cast(need)}

        def cast_and_call(*args: Any, **kwargs: Any) -> Any:
            arguments = {**dict(zip(by_position, args, strict=True)), **kwargs}
            chosen = {name: value for name, value in arguments.items() if name in cast}
            arguments.update(self.cast_arguments(chosen))
            positional = [arguments.pop(name) for name in by_position]
            return factory(*positional, **arguments)

        return cast_and_call

    def complete(self, arguments: Mapping[str, Any]) -> list[Any]:
        """Replace those *arguments* that are `MISSING` by the default of their ``Field``.

        Raises:
            ValidationError: Some have no default; it also lists passed arguments that do not fit.
        """
        missing = [name for name, value in arguments.items() if value is MISSING]
        if not set(missing).isdisjoint(self._required):
            self._wanted.validate(self._find_passed(arguments), self._function)
        defaults = {
            name: self._fields[name].get_default(call_default_factory=True) for name in missing
        }
        return list({**arguments, **defaults}.values())

    def cast_arguments(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Cast arguments by their names; defaults stay as they are.

        Raises:
            ValidationError: Some arguments do not fit; it lists all of them.
        """
        passed = self._promised.cast(self._find_passed(arguments), self._function)
        # A dependency's argument that was left out is a `Field`, whose default pydantic fills in.
        left = {
            name: value
            for name, value in arguments.items()
            if name not in passed and not is_field(value)
        }
        return {**self._wanted.cast(passed, self._function), **left}

    def _find_passed(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Return the arguments that are neither missing nor defaults."""
        return {
            name: value
            for name, value in arguments.items()
            if value is not MISSING
            and value is not self._parameters[name].default
            and value is not getattr(self._fields.get(name), "default", MISSING)
        }

    def cast_values(self, *values: Any) -> list[Any]:
        """Cast arguments in the order of the parameters."""
        cast = self.cast_arguments(dict(zip(self._parameters, values, strict=True)))
        return [cast[name] for name in self._parameters]

    def cast_result(self, value: Any) -> Any:
        """Cast the result of the function.

        Raises:
            ValidationError: The result does not fit.
        """
        return self._result.cast({"return": value}, self._function)["return"]


def _names_self(annotation: Any) -> bool:
    return annotation is Self or any(map(_names_self, typing.get_args(annotation)))


def _is_cast(need: Need) -> bool:
    """Return whether an argument, or the result of a callable, fills a parameter and is cast."""
    if not need.casts or need.is_service:
        return False
    return need.takes_argument or (need.is_marked and inspect.isroutine(need.key))


def is_field(thing: object) -> bool:
    """Return whether *thing* is a ``Field`` of pydantic."""
    # If pydantic is not imported, no such object exists.
    kind = getattr(sys.modules.get("pydantic.fields"), "FieldInfo", None)
    return kind is not None and issubclass(type(thing), kind)


def read_aliases(
    function: Callable[..., Any],
    open_needs: Sequence[Need],
    viewpoint: Viewpoint,
) -> dict[str, list[str]]:
    """Read the aliases that pydantic's ``Field`` gives to arguments of a function.

    Args:
        function: The function.
        open_needs: The arguments that only its dependencies take.
        viewpoint: Where annotations are evaluated, besides the function's own surroundings.

    Returns:
        The names of the arguments by alias.
    """
    if "pydantic.fields" not in sys.modules:
        return {}
    parameters = read_raw(function).parameters
    annotations = read_annotations(function, viewpoint)
    types = [
        (name, _read_type(parameter, annotations.get(name, Any)))
        for name, parameter in parameters.items()
    ]
    types += [(need.name, _with_field(need.key, need.default)) for need in open_needs]
    names = {name for name, _ in types}
    aliases: dict[str, list[str]] = {}
    for name, kind in types:
        for alias in find_aliases(kind):
            if alias not in names:
                aliases.setdefault(alias, []).append(name)
    return aliases


def find_aliases(kind: Any) -> list[str]:
    """List the aliases in the ``Field`` of a type, in the order of preference."""
    aliases = [field.validation_alias or field.alias for field in _find_fields(kind)]
    names = [name for alias in aliases for name in getattr(alias, "choices", [alias])]
    return [name for name in names if isinstance(name, str)]


def _find_default(kind: Any) -> Any:
    """Return the ``Field`` of a type that has a default, if there is one."""
    return next((field for field in _find_fields(kind) if not field.is_required()), None)


def _find_fields(kind: Any) -> list[Any]:
    """List the ``Field`` objects of a type, the one that wins first."""
    return [item for item in reversed(getattr(kind, "__metadata__", ())) if is_field(item)]


def has_no_default(parameter: inspect.Parameter) -> bool:
    """Return whether a parameter has no default of Python's own; a ``Field`` is none."""
    return parameter.default is parameter.empty or is_field(parameter.default)


def _read_type(parameter: inspect.Parameter, annotation: Any) -> Any:
    """Return the type that a parameter is cast to."""
    annotation = _with_field(annotation, parameter.default)
    if annotation is Any:
        return Any
    if typing.get_origin(annotation) is typing.Unpack:
        return typing.get_args(annotation)[0]
    if parameter.kind is parameter.VAR_POSITIONAL:
        return list[annotation]
    if parameter.kind is parameter.VAR_KEYWORD:
        return dict[str, annotation]
    return annotation


def _with_field(annotation: Any, default: Any) -> Any:
    return Annotated[annotation, default] if is_field(default) else annotation


def _read_result(function: Callable[..., Any], annotations: Mapping[str, Any]) -> Any:
    """Return ``T`` for the ``Iterator[T]`` of a generator function, else the annotation."""
    annotation = annotations.get("return", Any)
    origin = typing.get_origin(annotation) or annotation
    if not wraps_generator(function):
        # The function, or an override of it, may return a generator, which is not cast.
        return Any if origin in (Generator, AsyncGenerator) else annotation
    return first_argument(annotation, Any) if origin in ITERATORS else annotation
