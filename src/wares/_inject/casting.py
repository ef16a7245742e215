"""Arguments and results, validated and cast by pydantic to what they are annotated with.

This module knows pydantic, and imports it only when something is to be cast.
"""

from __future__ import annotations

import inspect
import sys
import typing
from collections.abc import (
    AsyncGenerator,
    Callable,
    Generator,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from typing import Annotated, Any

from typing_extensions import TypedDict

from wares._core.annotations import Viewpoint
from wares._core.callables import describe_callable, read_raw, wraps_generator
from wares._core.keys import MISSING
from wares._core.results import ITERATORS, first_argument
from wares._core.signatures import Need, read_annotations
from wares.exceptions import MissingExtraError, ValidationError

#: To type checkers, the names in it are known before the program runs.
_make_typed_dict: Any = TypedDict


class Model:
    """Values by name, which one model of pydantic validates together.

    Args:
        types: What the values are cast to. What may be anything is left alone.

    Raises:
        MissingExtraError: pydantic is not installed.
    """

    def __init__(self, types: Mapping[str, Any]) -> None:
        self._names = [name for name, kind in types.items() if kind is not Any]
        if not self._names:
            return
        try:
            import pydantic  # noqa: PLC0415  # an extra, imported only when used
        except ImportError:
            raise MissingExtraError("apply_types", "pydantic") from None
        # No model with attributes, in which some names would not be allowed.
        values = _make_typed_dict(
            "Values", {name: types[name] for name in self._names}, total=False
        )
        # An alias is for callers, who have passed it by now.
        values.__pydantic_config__ = pydantic.ConfigDict(
            arbitrary_types_allowed=True, populate_by_name=True
        )
        self._adapter: pydantic.TypeAdapter[dict[str, Any]] = pydantic.TypeAdapter(values)

    def cast(self, values: Mapping[str, Any], function: Callable[..., Any]) -> dict[str, Any]:
        """Cast those *values* of *function* that are to be cast, and give all.

        Raises:
            ValidationError: They do not fit; with all that is wrong.
        """
        chosen = {name: values[name] for name in self._names if name in values}
        if not chosen:
            return dict(values)
        from pydantic import ValidationError as PydanticError  # noqa: PLC0415  # an extra

        try:
            return {**values, **self._adapter.validate_python(chosen)}
        except PydanticError as error:
            errors: Any = error.errors(include_url=False)
        raise ValidationError(describe_callable(function), errors)

    def may_change(self, name: str) -> bool:
        """Tell whether a value may come out as another one; else it is only looked at."""
        if name not in self._names:
            return False
        schema: Any = self._adapter.core_schema
        while schema["type"] != "typed-dict":
            schema = schema["schema"]
        kind: str = schema["fields"][name]["schema"]["type"]
        return kind not in ("is-instance", "any")


class FunctionCasts:
    """The casts of one function's parameters and of its result.

    What a dependency gives is cast to what the parameter is annotated with, else to what the
    dependency is annotated to return.

    Args:
        function: The function.
        needs: What its marked parameters ask for.
        viewpoint: From where annotations are read.

    Raises:
        MissingExtraError: pydantic is not installed.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        needs: Sequence[Need],
        viewpoint: Viewpoint | None = None,
    ) -> None:
        self._function = function
        self._parameters = read_raw(function).parameters
        types = read_annotations(function, viewpoint)
        for need in needs:
            if need.is_marked and not _is_cast(need):
                types[need.name] = Any
            elif need.is_marked and types.get(need.name, Any) is Any:
                promised = read_annotations(need.key, viewpoint)  # type: ignore[arg-type]  # it is a function
                types[need.name] = _unwrap_items(need.key, promised.get("return", Any))
        self._arguments = Model(
            {
                name: _read_type(parameter, types.get(name, Any))
                for name, parameter in self._parameters.items()
            }
        )
        self._result = Model({"return": _unwrap_items(function, types.get("return", Any))})

    def may_change_any(self, needs: Iterable[Need]) -> bool:
        """Tell whether what fills one of *needs* may arrive as something else."""
        return any(self._arguments.may_change(need.name) for need in needs if _is_cast(need))

    def wrap(self, factory: Callable[..., Any], needs: Sequence[Need]) -> Callable[..., Any]:
        """Make of a dependency a factory that casts its arguments first."""
        by_position = [need.name for need in needs if not need.by_keyword]
        cast = {need.name for need in needs if _is_cast(need)}

        def cast_and_call(*args: Any, **kwargs: Any) -> Any:
            arguments = {**dict(zip(by_position, args, strict=True)), **kwargs}
            chosen = {name: value for name, value in arguments.items() if name in cast}
            arguments.update(self.cast_arguments(chosen))
            positional = [arguments.pop(name) for name in by_position]
            return factory(*positional, **arguments)

        return cast_and_call

    def cast_arguments(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Cast arguments by their names; defaults stay as they are.

        Raises:
            ValidationError: They do not fit; with all that is wrong.
        """
        defaults = {name: self._parameters[name].default for name in arguments}
        passed = {name: it for name, it in arguments.items() if it is not defaults[name]}
        left_out = {
            name: default
            for name, default in defaults.items()
            if name not in passed and is_field(default)
        }
        passed |= _fill(self._function, left_out)
        return {**arguments, **self._arguments.cast(passed, self._function)}

    def cast_values(self, *values: Any) -> list[Any]:
        """Cast arguments in the order of the parameters."""
        return list(
            self.cast_arguments(dict(zip(self._parameters, values, strict=True))).values()
        )

    def cast_result(self, value: Any) -> Any:
        """Cast what the function gives.

        Raises:
            ValidationError: It does not fit.
        """
        return self._result.cast({"return": value}, self._function)["return"]


def _is_cast(need: Need) -> bool:
    """Tell whether what fills a parameter is an argument or the result of a dependency."""
    if not need.casts or need.is_service:
        return False
    return need.takes_argument or (need.is_marked and inspect.isroutine(need.key))


def complete(function: Callable[..., Any], values: Mapping[str, Any]) -> Iterator[Any]:
    """Fill arguments that were not passed from pydantic's ``Field``.

    Args:
        function: Whose they are.
        values: The arguments by their names, or `MISSING`.

    Raises:
        ValidationError: Some have no default; with all of them.
    """
    parameters = read_raw(function).parameters
    left_out = {
        name: parameters[name].default for name, value in values.items() if value is MISSING
    }
    return iter({**values, **_fill(function, left_out)}.values())


def _fill(function: Callable[..., Any], left_out: Mapping[str, Any]) -> dict[str, Any]:
    """Give the values of arguments that were left out, by what their defaults say."""
    errors = [
        {"type": "missing", "loc": (name,), "msg": "Field required", "input": {}}
        for name, default in left_out.items()
        if not is_field(default) or default.is_required()
    ]
    if errors:
        raise ValidationError(describe_callable(function), errors)
    return {
        name: default.get_default(call_default_factory=True)
        for name, default in left_out.items()
    }


def is_field(thing: object) -> bool:
    """Tell whether *thing* is what pydantic's ``Field`` gives."""
    # Who has made one has imported pydantic.
    kind = getattr(sys.modules.get("pydantic.fields"), "FieldInfo", None)
    return kind is not None and issubclass(type(thing), kind)


def read_aliases(function: Callable[..., Any], viewpoint: Viewpoint) -> dict[str, str]:
    """Read by which other names callers pass parameters: those of pydantic's ``Field``."""
    if "pydantic.fields" not in sys.modules:
        return {}
    parameters = read_raw(function).parameters
    annotations = read_annotations(function, viewpoint)
    aliases = {}
    for name, parameter in parameters.items():
        metadata = getattr(annotations.get(name), "__metadata__", ())
        for field in filter(is_field, (parameter.default, *metadata)):
            alias = field.validation_alias or field.alias
            if isinstance(alias, str) and alias.isidentifier() and alias not in parameters:
                aliases[name] = alias
    return aliases


def _read_type(parameter: inspect.Parameter, annotation: Any) -> Any:
    """Read what a parameter is cast to."""
    if is_field(parameter.default) and parameter.default.metadata:
        annotation = Annotated[annotation, *parameter.default.metadata]
    if annotation is Any:
        return Any
    if parameter.kind is parameter.VAR_POSITIONAL:
        return list[annotation]
    if parameter.kind is parameter.VAR_KEYWORD:
        return dict[str, annotation]
    return annotation


def _unwrap_items(function: Any, annotation: Any) -> Any:
    """Give ``T`` for the ``Iterator[T]`` of a generator function, or what it is annotated with."""
    origin = typing.get_origin(annotation) or annotation
    if not wraps_generator(function):
        # An override of it may be a generator function, or it may give such an object.
        return Any if origin in (Generator, AsyncGenerator) else annotation
    return first_argument(annotation, Any) if origin in ITERATORS else annotation
