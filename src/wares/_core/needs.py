"""Which parameters of a callable ask for something, and for what.

This module knows parameters, annotations and marks. Its caller says which class stands for "the
container".
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
import types
import typing
from collections.abc import Callable, Collection, Hashable, Iterator
from typing import Any, Literal

import attrs

from wares._core.annotations import (
    FindName,
    Viewpoint,
    expand_alias,
    find_type_arguments,
    substitute,
    surroundings_of,
)
from wares._core.callables import (
    VARIADIC,
    describe_callable,
    find_owner,
    read_parameters,
    read_raw,
    unwrap,
)
from wares._core.keys import MISSING, UNIONS, describe, is_hashable
from wares._core.marks import (
    as_key,
    can_be_asked_for,
    explain_default,
    explain_misplaced,
    explain_uncalled,
    find_own_markers,
    has_misplaced_marker,
    is_fast_depends_marker,
    is_marked_annotation,
    is_marker,
    is_uncalled_marker,
    read_mark,
    takes_custom_field,
    without_markers,
)
from wares.exceptions import UnresolvableParameterError

#: The name of a first parameter that receives the container without an annotation.
CONTAINER_NAME = "wares_container"


@attrs.frozen
class Need:
    """One parameter, and what it is to be filled with.

    Attributes:
        name: The parameter's name.
        key: What to ask for.
        by_keyword: Whether the argument is passed by keyword.
        default: The parameter's default, used where *key* is not registered; else `MISSING`.
        is_marked: Whether `Depends` or `Inject` marks it.
        is_service: Whether only what is registered or given fills it: `Inject` marks it. Otherwise
            a marked callable that nobody has registered is called.
        use_cache: Whether the made service is shared.
        scope: The scope that the marker names.
        casts: Whether `apply_types` casts what fills it.
        takes_argument: Whether it belongs to a dependency and has no marker: then it takes the
            argument of that name of the call that is being served, where there is one.
        is_late: Whether it is asked for later, so that the container itself is passed.
    """

    name: str
    key: Hashable
    by_keyword: bool
    default: Any = MISSING
    is_marked: bool = False
    is_service: bool = False
    use_cache: bool = True
    scope: Literal["request", "function"] | None = None
    casts: bool = True
    takes_argument: bool = False
    is_late: bool = False


def is_bare(parameter: inspect.Parameter, position: int) -> bool:
    """Tell whether nothing says what a required parameter asks for."""
    return (
        parameter.kind not in VARIADIC
        and parameter.default is parameter.empty
        and parameter.annotation is parameter.empty
        and not (position == 0 and parameter.name == CONTAINER_NAME)
    )


def no_annotation(
    parameter: inspect.Parameter, factory: Callable[..., Any]
) -> UnresolvableParameterError:
    """Make the error for a bare parameter."""
    return UnresolvableParameterError(
        parameter.name,
        describe_callable(factory),
        "it has neither an annotation nor a default. Annotate it with what it needs, "
        "give it a default, or wrap the call: lambda: ... The container itself is passed to a "
        f"first parameter named {CONTAINER_NAME}.",
    )


class NeedsReader:
    """Reads the needs of one callable."""

    #: Whether a first parameter of that name receives the container.
    _takes_container_by_name = True

    def __init__(
        self,
        factory: Callable[..., Any],
        container: type,
        find_name: FindName,
        *,
        fills_defaults: bool,
        viewpoint: Viewpoint | None = None,
    ) -> None:
        self._factory = factory
        self._container = container
        self._find_name = find_name
        self._fills_defaults = fills_defaults
        self._owner = find_owner(factory)
        self._surroundings = surroundings_of(
            unwrap(factory), None if self._owner is None else self._owner.origin, viewpoint
        )

    def evaluate_result(self) -> Any:
        """Evaluate what the callable is annotated to return."""
        annotation = read_raw(self._factory).return_annotation
        if annotation is inspect.Signature.empty:
            return MISSING
        return self._evaluate(_as_parameter("return", annotation))

    def read_needs(self) -> Iterator[Need]:
        """Read one need for each parameter that is to be filled."""
        by_keyword = False
        for position, parameter in enumerate(read_parameters(self._factory)):
            by_keyword = by_keyword or parameter.kind is parameter.KEYWORD_ONLY
            need = self._read_need(parameter, position, by_keyword=by_keyword)
            if parameter.kind is parameter.POSITIONAL_ONLY:
                yield _by_position(need, parameter)
                continue
            if need is not None:
                yield need
            if need is None or need.default is not MISSING:
                # What follows a parameter that may be left out cannot be passed by position.
                by_keyword = True

    def _read_need(
        self, parameter: inspect.Parameter, position: int, *, by_keyword: bool
    ) -> Need | None:
        if parameter.kind in VARIADIC:
            self._refuse_variadic_marker(parameter)
            return None
        is_first = position == 0 and self._takes_container_by_name
        if is_first and parameter.name == CONTAINER_NAME:
            return Need(parameter.name, self._container, by_keyword)
        if is_uncalled_marker(parameter.default):
            raise self._cannot_mark(parameter, explain_uncalled(parameter.default))
        if is_marked_annotation(parameter.default):
            raise self._cannot_mark(parameter, explain_default(parameter.name))
        if self._is_marker(parameter.default):
            self._refuse_second_marker(parameter)
            return self._read_marked(parameter, parameter.default, by_keyword=by_keyword)
        return self._read_unmarked(parameter, by_keyword=by_keyword)

    def _read_unmarked(self, parameter: inspect.Parameter, *, by_keyword: bool) -> Need | None:
        """Read a parameter that has no marker as its default, and no name that we know."""
        if is_bare(parameter, -1):
            raise no_annotation(parameter, self._factory)
        if parameter.default is parameter.empty:
            return self._read_required(parameter, by_keyword=by_keyword)
        return self._read_optional(parameter, by_keyword=by_keyword)

    def _read_required(self, parameter: inspect.Parameter, *, by_keyword: bool) -> Need:
        annotation = self._evaluate(parameter)
        marker = self._find_marker(parameter, annotation)
        if marker is not None:
            return self._read_marked(parameter, marker, by_keyword=by_keyword)
        return self._checked(Need(parameter.name, annotation, by_keyword))

    def _read_optional(self, parameter: inspect.Parameter, *, by_keyword: bool) -> Need | None:
        """Read a parameter with a default: it counts if it is marked, the container, or wired."""
        annotation = self._evaluate_if_possible(parameter)
        marker = self._find_marker(parameter, annotation)
        if marker is not None:
            return self._read_marked(parameter, marker, by_keyword=by_keyword)
        if annotation is self._container:
            return Need(parameter.name, annotation, by_keyword)
        if annotation is MISSING or not self._fills_defaults:
            return None
        key = without_none(annotation)
        if not is_hashable(key):
            return None
        return Need(parameter.name, key, by_keyword=True, default=parameter.default)

    def _read_marked(
        self, parameter: inspect.Parameter, marker: Any, *, by_keyword: bool
    ) -> Need:
        mark = read_mark(marker)
        key = mark.key
        if key is None:
            if parameter.annotation is parameter.empty:
                raise UnresolvableParameterError(
                    parameter.name,
                    describe_callable(self._factory),
                    "Depends() without a dependency takes it from the annotation, and there is "
                    "none. Annotate the parameter, or write Depends(dependency).",
                )
            key = without_markers(self._evaluate(parameter))
        elif isinstance(key, typing.ForwardRef):
            # The marker was made before its dependency was there, from Python 3.14 on.
            key = self._evaluate(parameter.replace(annotation=key))
        elif not can_be_asked_for(key):
            raise self._cannot_mark(
                parameter,
                f"Depends({key!r}) names no dependency. Write Depends(function), "
                f"Depends(Class) or the key under which a service is registered.",
            )
        key = expand_alias(key)
        if callable(key):
            key = as_key(key)
        return self._checked(
            Need(
                parameter.name,
                key,
                by_keyword,
                is_marked=True,
                is_service=mark.is_service,
                use_cache=mark.use_cache,
                scope=mark.scope,
                casts=mark.casts,
            )
        )

    def _is_marker(self, thing: object) -> bool:
        return is_marker(thing)

    def _find_marker(self, parameter: inspect.Parameter, annotation: Any) -> Any:
        if is_uncalled_marker(annotation):
            raise self._cannot_mark(parameter, explain_uncalled(annotation))
        is_annotated = typing.get_origin(annotation) is typing.Annotated
        metadata = annotation.__metadata__ if is_annotated else ()
        for item in metadata:
            if is_uncalled_marker(item):
                raise self._cannot_mark(parameter, explain_uncalled(item))
        if has_misplaced_marker(annotation):
            raise self._cannot_mark(parameter, explain_misplaced(annotation))
        markers = [item for item in metadata if self._is_marker(item)]
        if len(markers) > 1:
            raise self._cannot_mark(
                parameter,
                f"its annotation has {len(markers)} markers, {', '.join(map(repr, markers))}. "
                f"Keep one of them.",
            )
        return markers[0] if markers else None

    def _refuse_second_marker(self, parameter: inspect.Parameter) -> None:
        annotation = self._evaluate_if_possible(parameter)
        if self._find_marker(parameter, annotation) is not None:
            raise self._cannot_mark(
                parameter,
                "it has one marker in its annotation and another as its default. Keep one of "
                "them.",
            )

    def _refuse_variadic_marker(self, parameter: inspect.Parameter) -> None:
        annotation = self._evaluate_if_possible(parameter)
        if self._find_marker(parameter, annotation) is not None:
            stars = "*" if parameter.kind is parameter.VAR_POSITIONAL else "**"
            raise self._cannot_mark(
                parameter,
                f"{stars}{parameter.name} takes any number of arguments, so one dependency "
                f"cannot fill it. Mark a parameter of its own: "
                f"{parameter.name}: Annotated[..., Depends(...)].",
            )

    def _cannot_mark(
        self, parameter: inspect.Parameter, reason: str
    ) -> UnresolvableParameterError:
        return UnresolvableParameterError(
            parameter.name, describe_callable(self._factory), reason
        )

    def _evaluate_if_possible(self, parameter: inspect.Parameter) -> Any:
        """Evaluate an annotation that nobody needs; `MISSING` if there is none to be read."""
        if parameter.annotation is parameter.empty:
            return MISSING
        try:
            return self._evaluate(parameter)
        except UnresolvableParameterError:
            return MISSING

    def _evaluate(self, parameter: inspect.Parameter) -> Any:
        annotation = parameter.annotation
        if isinstance(annotation, dataclasses.InitVar):
            annotation = annotation.type
        try:
            evaluated = self._look_up(parameter.name, annotation)
        except (NameError, AttributeError, TypeError, SyntaxError) as error:
            raise UnresolvableParameterError(
                parameter.name,
                describe_callable(self._factory),
                f"its annotation {annotation!r} cannot be evaluated ({error}). Import what it "
                f"names in that module, or register the class under that name.",
            ) from error
        if isinstance(evaluated, dataclasses.InitVar):
            return evaluated.type
        if typing.get_origin(evaluated) is typing.Final:
            return typing.get_args(evaluated)[0]
        return evaluated

    def _look_up(self, parameter: str, annotation: Any) -> Any:
        """Evaluate an annotation where it was written, with types for its type parameters."""
        owner = self._owner
        if owner is None:
            return self._surroundings.evaluate(annotation, self._find_name)
        home = owner.find_home_of(parameter)
        evaluated = self._surroundings.within(home).evaluate(annotation, self._find_name)
        return substitute(evaluated, find_type_arguments(owner.kind, home))

    def _checked(self, need: Need) -> Need:
        if not is_hashable(need.key):
            raise UnresolvableParameterError(
                need.name,
                describe_callable(self._factory),
                f"it asks for {describe(need.key)}, which is not hashable and so cannot be a key.",
            )
        return need


class DependencyReader(NeedsReader):
    """Reads what a callable needs that a marker names: arguments reach it by name."""

    def _read_unmarked(self, parameter: inspect.Parameter, *, by_keyword: bool) -> Need:
        key = self._read_key(parameter)
        marker = self._find_marker(parameter, key)
        if marker is not None:
            return self._read_marked(parameter, marker, by_keyword=by_keyword)
        if key is self._container:
            return Need(parameter.name, key, by_keyword)
        default = MISSING
        if parameter.default is not parameter.empty:
            default = parameter.default
            key = without_none(key)
            by_keyword = True
        if not is_hashable(key):
            key = MISSING
        return Need(parameter.name, key, by_keyword, default, takes_argument=True)

    def _read_key(self, parameter: inspect.Parameter) -> Any:
        if parameter.default is not parameter.empty or parameter.annotation is parameter.empty:
            return self._evaluate_if_possible(parameter)
        return self._evaluate(parameter)


class MarkedReader(NeedsReader):
    """Reads the marked parameters of a function that is called by others."""

    _takes_container_by_name = False

    def _is_marker(self, thing: object) -> bool:
        if is_fast_depends_marker(thing):
            return not self._is_for_fast_depends
        return is_marker(thing)

    @functools.cached_property
    def _is_for_fast_depends(self) -> bool:
        """Whether the function takes what only FastDepends fills: then it fills its markers, too.

        FastStream, whose `Depends` is that of FastDepends, calls such functions.
        """
        return takes_custom_field(self._factory, self._find_name)

    def read_annotations(self) -> Iterator[tuple[str, Any]]:
        """Read all annotations that can be read."""
        signature = read_raw(self._factory)
        result = _as_parameter("return", signature.return_annotation)
        for parameter in (*signature.parameters.values(), result):
            annotation = self._evaluate_if_possible(parameter)
            if annotation is not MISSING:
                yield parameter.name, without_markers(annotation)

    def find_own_marked(self) -> Iterator[inspect.Parameter]:
        """Find the parameters that markers of wares mark."""
        for parameter in read_parameters(self._factory):
            annotation = self._evaluate_if_possible(parameter)
            if find_own_markers(parameter.replace(annotation=annotation)):
                yield parameter

    def find_overlooked(self, names: Collection[str]) -> Iterator[UnresolvableParameterError]:
        """Find markers that a framework has not seen, among the parameters called *names*."""
        for parameter in read_parameters(self._factory):
            if parameter.name in names:
                try:
                    self._refuse_overlooked(parameter)
                except UnresolvableParameterError as problem:
                    yield problem

    def _refuse_overlooked(self, parameter: inspect.Parameter) -> None:
        if is_marked_annotation(parameter.default):
            raise self._cannot_mark(parameter, explain_default(parameter.name))
        if parameter.annotation is parameter.empty:
            return
        if self._find_marker(parameter, self._evaluate(parameter)) is not None:
            raise self._cannot_mark(
                parameter,
                f"the framework cannot evaluate its annotation {parameter.annotation!r}, and would "
                f"read it from the request. Import what it names outside of TYPE_CHECKING, and "
                f"define it in the module.",
            )

    def _read_marked(
        self, parameter: inspect.Parameter, marker: Any, *, by_keyword: bool
    ) -> Need:
        if parameter.kind is parameter.POSITIONAL_ONLY:
            raise self._cannot_mark(
                parameter,
                "it is positional-only, so no caller can pass it by name. Move it after the `/`.",
            )
        return super()._read_marked(parameter, marker, by_keyword=by_keyword)

    def _read_unmarked(self, parameter: inspect.Parameter, *, by_keyword: bool) -> Need | None:
        # What cannot be read is the callers' business.
        marker = self._find_marker(parameter, self._evaluate_if_possible(parameter))
        if marker is None:
            return None
        return self._read_marked(parameter, marker, by_keyword=by_keyword)


def evaluate_result(factory: Callable[..., Any], find_name: FindName) -> Any:
    """Evaluate what *factory* is annotated to return; `MISSING` without an annotation.

    Raises:
        UnresolvableParameterError: The annotation cannot be evaluated.
    """
    # Nothing is imported for the sake of a promise.
    viewpoint = Viewpoint(may_import=False)
    reader = NeedsReader(
        factory, type(None), find_name, fills_defaults=False, viewpoint=viewpoint
    )
    return reader.evaluate_result()


def _as_parameter(name: str, annotation: Any) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.POSITIONAL_ONLY, annotation=annotation)


def _by_position(need: Need | None, parameter: inspect.Parameter) -> Need:
    """Make the need of a positional-only parameter: left alone, it is passed its default."""
    if need is None:
        return Need(parameter.name, MISSING, by_keyword=False, default=parameter.default)
    return attrs.evolve(need, by_keyword=False)


def without_none(annotation: Any) -> Any:
    """Give ``T`` for ``T | None``: with a default, that is how an optional service is written."""
    if typing.get_origin(annotation) not in UNIONS:
        return annotation
    rest = [item for item in typing.get_args(annotation) if item is not types.NoneType]
    return rest[0] if len(rest) == 1 else annotation
