"""Arguments and results, validated and cast by pydantic to what they are annotated with.

This module knows pydantic, and imports it only when something is to be cast. It must not know
containers: it is handed arguments, and gives arguments back.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, get_args

from wares._core.annotations import FindName, Viewpoint
from wares._core.callables import read_raw, wraps_generator
from wares._core.keys import MISSING
from wares._core.recipes import Recipe
from wares._core.signatures import (
    Need,
    describe_callable,
    read_annotations,
)
from wares.exceptions import MissingExtraError, ValidationError

if TYPE_CHECKING:
    import pydantic

_VARIADIC = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


class Cast:
    """What a value is cast to: first to what its maker promises, then to what is wanted."""

    __slots__ = ("_adapters",)

    def __init__(self, adapters: Sequence[pydantic.TypeAdapter[Any]]) -> None:
        self._adapters = adapters

    def apply(self, value: Any, location: tuple[str | int, ...], errors: list[Any]) -> Any:
        """Cast *value*, or note at which *location* what is wrong with it."""
        from pydantic import ValidationError as PydanticError  # noqa: PLC0415  # an extra

        for adapter in self._adapters:
            try:
                value = adapter.validate_python(value)
            except PydanticError as error:
                errors += [
                    {**found, "loc": (*location, *found["loc"])}
                    for found in error.errors(include_url=False)
                ]
                break
        return value

    @property
    def may_change(self) -> bool:
        """Whether a value may come out as another one; else it is only looked at."""
        return any(
            adapter.core_schema["type"] not in ("is-instance", "any")
            for adapter in self._adapters
        )


class FunctionCasts:
    """The casts of one function's parameters and of its result.

    Args:
        function: The function.
        needs: What its marked parameters ask for.
        find_name: Finds what a name in an annotation means where Python does not know.
        viewpoint: From where annotations are read.

    Raises:
        MissingExtraError: pydantic is not installed.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        needs: Sequence[Need],
        find_name: FindName,
        viewpoint: Viewpoint,
    ) -> None:
        self._function = function
        self._find_name = find_name
        self._wanted = read_annotations(function, find_name, viewpoint)
        self._parameters = read_raw(function).parameters
        self.result = self._cast_for_result()
        makers = {need.name: need.key for need in needs if need.is_marked}
        casts = {
            name: self._cast_for(name, makers.get(name, MISSING), viewpoint)
            for name in self._parameters
        }
        self._casts = {name: cast for name, cast in casts.items() if cast is not None}

    def may_change(self, name: str) -> bool:
        """Tell whether the argument *name* may arrive as something else than was passed."""
        cast = self._casts.get(name)
        return cast is not None and cast.may_change

    def cast_arguments(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Cast arguments by their names; defaults stay as they are.

        Raises:
            ValidationError: They do not fit; with all that is wrong.
        """
        errors: list[Any] = []
        cast = {
            name: self._cast_argument(name, value, errors) for name, value in arguments.items()
        }
        self._report(errors)
        return cast

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
        if self.result is None:
            return value
        errors: list[Any] = []
        cast = self.result.apply(value, ("return",), errors)
        self._report(errors)
        return cast

    def _cast_argument(self, name: str, value: Any, errors: list[Any]) -> Any:
        cast = self._casts.get(name)
        parameter = self._parameters[name]
        if cast is None or value is parameter.default:
            return value
        if parameter.kind is parameter.VAR_POSITIONAL:
            return [cast.apply(item, (name, place), errors) for place, item in enumerate(value)]
        if parameter.kind is parameter.VAR_KEYWORD:
            return {key: cast.apply(item, (key,), errors) for key, item in value.items()}
        return cast.apply(value, (name,), errors)

    def _report(self, errors: list[Any]) -> None:
        if errors:
            raise ValidationError(describe_callable(self._function), errors)

    def _cast_for(self, name: str, maker: Any, viewpoint: Viewpoint) -> Cast | None:
        """Choose the cast of a parameter; services are handed over as they are."""
        adapters = []
        if maker is not MISSING:
            if not inspect.isroutine(maker):
                return None
            promised = read_annotations(maker, self._find_name, viewpoint)
            adapters += _adapters_for(_unwrap_items(maker, promised.get("return", Any)))
        adapters += _adapters_for(self._wanted.get(name, Any))
        return Cast(adapters) if adapters else None

    def _cast_for_result(self) -> Cast | None:
        adapters = _adapters_for(_unwrap_items(self._function, self._wanted.get("return", Any)))
        return Cast(adapters) if adapters else None


class DependencyCasts:
    """The casts of the dependencies of one injected function; those of others are their own."""

    def __init__(self) -> None:
        self._casts: dict[Recipe, FunctionCasts] = {}

    def may_change(self, recipe: Recipe, needs: Sequence[Need], find_name: FindName) -> bool:
        """Tell whether a dependency is made from something that is cast."""
        casts = self._read(recipe, needs, find_name)
        return any(casts.may_change(need.name) for need in needs if _is_cast(need))

    def wrap(
        self, recipe: Recipe, needs: Sequence[Need], find_name: FindName
    ) -> Callable[..., Any]:
        """Give a factory that casts its arguments first."""
        casts = self._read(recipe, needs, find_name)
        names = [need.name for need in needs if not need.by_keyword]
        keywords = frozenset(need.name for need in needs if _is_cast(need))
        return _cast_before(recipe.factory, casts, names, keywords)

    def _read(
        self, recipe: Recipe, needs: Sequence[Need], find_name: FindName
    ) -> FunctionCasts:
        casts = self._casts.get(recipe)
        if casts is None:
            casts = FunctionCasts(recipe.factory, needs, find_name, Viewpoint())
            self._casts[recipe] = casts
        return casts


def _is_cast(need: Need) -> bool:
    """Tell whether what fills a parameter is an argument or the result of a dependency."""
    return need.takes_argument or (need.is_marked and inspect.isroutine(need.key))


def _cast_before(
    factory: Callable[..., Any],
    casts: FunctionCasts,
    names: Sequence[str],
    cast_names: frozenset[str],
) -> Callable[..., Any]:
    """Make a factory that casts its arguments first."""

    def cast_and_call(*args: Any, **kwargs: Any) -> Any:
        arguments = {**dict(zip(names, args, strict=True)), **kwargs}
        chosen = {name: arguments[name] for name in cast_names if name in arguments}
        arguments.update(casts.cast_arguments(chosen))
        positional = [arguments.pop(name) for name in names]
        return factory(*positional, **arguments)

    return cast_and_call


def _unwrap_items(function: Callable[..., Any], annotation: Any) -> Any:
    """Give ``T`` for the ``Iterator[T]`` of a generator function."""
    if not wraps_generator(function):
        return annotation
    arguments = get_args(annotation)
    return arguments[0] if arguments else Any


def _adapters_for(annotation: Any) -> list[pydantic.TypeAdapter[Any]]:
    """Make what casts to *annotation*, if there is something to cast."""
    if annotation is Any:
        return []
    try:
        import pydantic  # noqa: PLC0415  # an extra, imported only when used
    except ImportError:
        raise MissingExtraError("apply_types", "pydantic") from None
    config = pydantic.ConfigDict(arbitrary_types_allowed=True)
    try:
        return [pydantic.TypeAdapter(annotation, config=config)]
    except pydantic.PydanticUserError:
        # A model brings a configuration of its own.
        return [pydantic.TypeAdapter(annotation)]
