"""What a callable needs, and what calling it leads to: a result, a generator, a coroutine.

This module knows parameters, annotations and marks. Its caller says which class stands for "the
container".
"""

from __future__ import annotations

import dataclasses
import inspect
import types
import typing
from collections.abc import Callable, Collection, Hashable, Iterator
from typing import Any, Literal

import attrs

from wares._core.annotations import (
    UNREADABLE,
    Viewpoint,
    expand_alias,
    find_type_arguments,
    substitute,
    surroundings_of,
)
from wares._core.callables import (
    VARIADIC,
    Autowired,
    Shape,
    describe_callable,
    find_owner,
    read_parameters,
    read_raw,
    read_shape,
    unwrap,
    without_autowire,
    wraps_generator,
)
from wares._core.keys import MISSING, UNIONS, describe, is_hashable
from wares._core.marks import (
    Mark,
    explain_misuse,
    find_own_markers,
    is_fast_depends_marker,
    list_markers,
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
    by_keyword: bool = False
    default: Any = MISSING
    is_marked: bool = False
    is_service: bool = False
    use_cache: bool = True
    scope: Literal["request", "function"] | None = None
    casts: bool = True
    takes_argument: bool = False
    is_late: bool = False


@attrs.frozen
class Signature:
    """What a callable needs and how it is called.

    Attributes:
        needs: What its parameters ask for, those passed by position first.
        shape: What calling it leads to.
        may_return_generator: Whether a generator that it returns is its own `yield`.
    """

    needs: tuple[Need, ...]
    shape: Shape
    may_return_generator: bool


def read_signature(
    factory: Callable[..., Any],
    container: type,
    *,
    is_dependency: bool = False,
    viewpoint: Viewpoint | None = None,
) -> Signature:
    """Read what *factory* needs.

    Args:
        factory: Any callable.
        container: The class whose annotation asks for the container.
        is_dependency: Whether a marker names it, so that arguments may reach it by name.
        viewpoint: From where annotations are read.

    Returns:
        The needs, the shape.

    Raises:
        UnresolvableParameterError: A required parameter that nothing can fill.
    """
    kind = _DependencyReader if is_dependency else _FactoryReader
    reader = kind(factory, viewpoint, container)
    target = without_autowire(factory)
    return Signature(tuple(reader.read_needs()), read_shape(target), wraps_generator(target))


def read_call(function: Callable[..., Any], container: type) -> tuple[Need, ...]:
    """Read what a call of *function* needs that its caller may pass as well.

    What cannot be read is left to the caller.
    """
    return tuple(_CallReader(function, None, container).read_needs())


def read_marked(
    function: Callable[..., Any],
    container: type,
    viewpoint: Viewpoint,
) -> tuple[Need, ...]:
    """Read the parameters of *function* that carry a marker; the others are left alone.

    Raises:
        UnresolvableParameterError: A marker that cannot work where it stands.
    """
    reader = _MarkedReader(function, viewpoint, container)
    return tuple(need for need in reader.read_needs() if need.is_marked)


def need_of_mark(name: str, key: Any, mark: Mark) -> Need:
    """Make the need of a parameter, or of something else, that asks for *key* by a marker."""
    return Need(
        name,
        key,
        is_marked=True,
        is_service=mark.is_service,
        use_cache=mark.use_cache,
        scope=mark.scope,
        casts=mark.casts,
    )


def find_own_marked(
    function: Callable[..., Any], viewpoint: Viewpoint
) -> Iterator[inspect.Parameter]:
    """Find the parameters of *function* that markers of wares mark, also misplaced ones.

    Raises:
        InvalidRegistrationError: Its parameters cannot be read.
    """
    reader = _Reader(function, viewpoint)
    for parameter in read_parameters(function):
        annotation = reader.try_to_evaluate(parameter)
        if find_own_markers(parameter.replace(annotation=annotation)):
            yield parameter


def find_overlooked_markers(
    function: Callable[..., Any], names: Collection[str]
) -> Iterator[UnresolvableParameterError]:
    """Find what is wrong with parameters that a framework takes for what its clients send.

    Args:
        function: What the framework calls.
        names: The names of those parameters.

    Yields:
        An error for each that carries a marker, which the framework has not seen, and for each
        whose annotation cannot be evaluated.
    """
    reader = _Reader(function)
    for parameter in read_parameters(function):
        if parameter.name in names:
            try:
                annotation = reader.evaluate(parameter)
                if reader.find_marker(parameter, annotation) is not None:
                    raise reader.make_error(
                        parameter.name,
                        f"the framework cannot evaluate its annotation {parameter.annotation!r}, "
                        f"and would read it from the request. Import what it names outside of "
                        f"TYPE_CHECKING, and define it in the module.",
                    )
            except UnresolvableParameterError as problem:
                yield problem


def read_annotations(
    function: Callable[..., Any], viewpoint: Viewpoint | None = None
) -> dict[str, Any]:
    """Read what the parameters of *function*, and its result as ``return``, are annotated with.

    Markers are left out, and so is what cannot be read.
    """
    reader = _Reader(function, viewpoint)
    signature = read_raw(function)
    result = _as_parameter("return", signature.return_annotation)
    found = {
        it.name: reader.try_to_evaluate(it) for it in (*signature.parameters.values(), result)
    }
    return {
        name: without_markers(annotation)
        for name, annotation in found.items()
        if annotation is not MISSING
    }


def evaluate_result(factory: Callable[..., Any]) -> Any:
    """Evaluate what *factory* is annotated to return; `MISSING` without an annotation.

    Raises:
        UnresolvableParameterError: The annotation cannot be evaluated.
    """
    # Nothing is imported for the sake of a promise.
    reader = _Reader(factory, Viewpoint(may_import=False))
    return reader.evaluate(_as_parameter("return", read_raw(factory).return_annotation))


def check_parameters(factory: Callable[..., Any]) -> None:
    """Refuse a *factory* with a required parameter that no registration could ever fill.

    It evaluates no annotation, and so is quick enough for each registration.

    Raises:
        UnresolvableParameterError: It has neither annotation nor default.
    """
    target = without_autowire(factory)
    for position, parameter in enumerate(read_parameters(target)):
        is_container = position == 0 and parameter.name == CONTAINER_NAME
        is_bare = parameter.default is parameter.empty is parameter.annotation
        if is_bare and parameter.kind not in VARIADIC and not is_container:
            raise UnresolvableParameterError(
                parameter.name,
                describe_callable(target),
                "it has neither an annotation nor a default. Annotate it with what it needs, give "
                "it a default, or wrap the call: lambda: ... The container itself is passed to a "
                f"first parameter named {CONTAINER_NAME}.",
            )


class _Reader:
    """Reads the annotations, the markers and the needs of one callable."""

    #: Whether what cannot be read is an error where a parameter has no default.
    _is_strict = True
    #: Whether a first parameter of that name receives the container.
    _takes_container_by_name = True

    def __init__(
        self,
        factory: Callable[..., Any],
        viewpoint: Viewpoint | None = None,
        container: type = types.NoneType,
    ) -> None:
        self._factory = without_autowire(factory)
        self._fills_defaults = isinstance(factory, Autowired)
        self._container = container
        self._owner = owner = find_owner(factory)
        self._surroundings = surroundings_of(
            unwrap(factory), None if owner is None else owner.origin, viewpoint
        )

    def read_needs(self) -> Iterator[Need]:
        """Read one need for each parameter that is to be filled."""
        by_keyword = False
        for position, parameter in enumerate(read_parameters(self._factory)):
            need = self._read_need(parameter, position)
            if parameter.kind is parameter.POSITIONAL_ONLY:
                # Left alone, it is passed its default.
                yield need or Need(parameter.name, MISSING, default=parameter.default)
                continue
            # What follows a parameter that may be left out cannot be passed by position.
            may_be_left_out = need is None or need.default is not MISSING
            by_keyword |= may_be_left_out or parameter.kind is parameter.KEYWORD_ONLY
            if need is not None:
                yield attrs.evolve(need, by_keyword=by_keyword)

    def _read_need(self, parameter: inspect.Parameter, position: int) -> Need | None:
        is_first = position == 0 and self._takes_container_by_name
        if is_first and parameter.name == CONTAINER_NAME:
            return Need(parameter.name, self._container)
        has_default = parameter.kind in VARIADIC or parameter.default is not parameter.empty
        is_needed = self._is_strict and not has_default
        annotation = (self.evaluate if is_needed else self.try_to_evaluate)(parameter)
        marker = self.find_marker(parameter, annotation)
        if marker is not None:
            return self._read_marked(parameter, read_mark(marker))
        return (
            None if parameter.kind in VARIADIC else self._read_unmarked(parameter, annotation)
        )

    def _read_unmarked(
        self,
        parameter: inspect.Parameter,  # noqa: ARG002  # for those who read more
        annotation: Any,  # noqa: ARG002  # for those who read more
    ) -> Need | None:
        """Read a parameter without a marker, if it is to be filled."""
        return None

    def _read_marked(self, parameter: inspect.Parameter, mark: Mark) -> Need:
        key = mark.key
        if key is None:
            if parameter.annotation is parameter.empty:
                raise self.make_error(
                    parameter.name,
                    "Depends() without a dependency takes it from the annotation, and there is "
                    "none. Annotate the parameter, or write Depends(dependency).",
                )
            key = without_markers(self.evaluate(parameter))
        elif isinstance(key, typing.ForwardRef):
            # The marker was made before its dependency was there, from Python 3.14 on.
            key = self.evaluate(parameter.replace(annotation=key))
        return self._checked(need_of_mark(parameter.name, expand_alias(key), mark))

    def _checked(self, need: Need) -> Need:
        if not is_hashable(need.key):
            raise self.make_error(
                need.name,
                f"it asks for {describe(need.key)}, which is not hashable and so cannot be a key.",
            )
        return need

    def find_marker(self, parameter: inspect.Parameter, annotation: Any) -> Any:
        """Find the one marker of a parameter, in its *annotation* or as its default."""
        misuse = explain_misuse(parameter, annotation)
        if misuse is not None:
            raise self.make_error(parameter.name, misuse)
        return next(iter(list_markers(parameter, annotation)), None)

    def try_to_evaluate(self, parameter: inspect.Parameter) -> Any:
        """Evaluate an annotation that nobody needs; `MISSING` if it cannot be read."""
        try:
            return self.evaluate(parameter)
        except UnresolvableParameterError:
            return MISSING

    def evaluate(self, parameter: inspect.Parameter) -> Any:
        """Evaluate the annotation of a parameter; `MISSING` if it has none."""
        annotation = parameter.annotation
        if annotation is parameter.empty:
            return MISSING
        if isinstance(annotation, dataclasses.InitVar):
            annotation = annotation.type
        try:
            evaluated = self._look_up(parameter.name, annotation)
        except UNREADABLE as error:
            raise self.make_error(
                parameter.name,
                f"its annotation {annotation!r} cannot be evaluated ({error}). Import what it "
                f"names in that module.",
            ) from error
        if isinstance(evaluated, dataclasses.InitVar):
            return evaluated.type
        if typing.get_origin(evaluated) is typing.Final:
            return typing.get_args(evaluated)[0]
        return evaluated

    def make_error(self, parameter: str, reason: str) -> UnresolvableParameterError:
        """Make the error for a parameter of the callable."""
        return UnresolvableParameterError(parameter, describe_callable(self._factory), reason)

    def _look_up(self, parameter: str, annotation: Any) -> Any:
        """Evaluate an annotation where it was written, with types for its type parameters."""
        owner = self._owner
        if owner is None:
            return self._surroundings.evaluate(annotation)
        home = owner.find_home_of(parameter)
        evaluated = self._surroundings.within(home).evaluate(annotation)
        return substitute(evaluated, find_type_arguments(owner.kind, home))


class _FactoryReader(_Reader):
    """Reads what a registered factory needs."""

    def _read_unmarked(self, parameter: inspect.Parameter, annotation: Any) -> Need | None:
        """Read a parameter; with a default it counts if it is the container, or autowired."""
        if parameter.default is parameter.empty:
            return self._checked(Need(parameter.name, annotation))
        if annotation is self._container:
            return Need(parameter.name, annotation)
        key = without_none(annotation)
        if annotation is MISSING or not self._fills_defaults or not is_hashable(key):
            return None
        return Need(parameter.name, key, default=parameter.default)


class _DependencyReader(_Reader):
    """Reads what a callable needs that a marker names: arguments reach it by name."""

    def _read_unmarked(self, parameter: inspect.Parameter, annotation: Any) -> Need:
        if annotation is self._container:
            return Need(parameter.name, annotation)
        key, default = annotation, MISSING
        if parameter.default is not parameter.empty:
            key, default = without_none(annotation), parameter.default
        key = key if is_hashable(key) else MISSING
        return Need(parameter.name, key, default=default, takes_argument=True)


class _CallReader(_DependencyReader):
    """Reads what a function needs that its caller may pass as well."""

    _is_strict = False


class _MarkedReader(_Reader):
    """Reads the marked parameters of a function that is called by others."""

    _is_strict = False
    _takes_container_by_name = False

    def find_marker(self, parameter: inspect.Parameter, annotation: Any) -> Any:
        """Find a marker, but none of FastDepends in a function that takes what only it fills.

        FastStream, whose `Depends` is that of FastDepends, calls such functions.
        """
        marker = super().find_marker(parameter, annotation)
        is_foreign = is_fast_depends_marker(marker)
        if is_foreign and takes_custom_field(self._factory):
            return None
        return marker

    def _read_marked(self, parameter: inspect.Parameter, mark: Mark) -> Need:
        if parameter.kind is parameter.POSITIONAL_ONLY:
            raise self.make_error(
                parameter.name,
                "it is positional-only, so no caller can pass it by name. Move it after the `/`.",
            )
        return super()._read_marked(parameter, mark)


def _as_parameter(name: str, annotation: Any) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.POSITIONAL_ONLY, annotation=annotation)


def without_none(annotation: Any) -> Any:
    """Give ``T`` for ``T | None``: with a default, that is how an optional service is written."""
    if typing.get_origin(annotation) not in UNIONS:
        return annotation
    rest = [item for item in typing.get_args(annotation) if item is not types.NoneType]
    return rest[0] if len(rest) == 1 else annotation
