"""Signatures: what a callable needs, and whether it returns, yields or must be awaited.

This module reads the parameters of factories, dependencies and injected functions, with their
annotations and markers.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
import types
import typing
from collections.abc import Callable, Collection, Iterator
from typing import Any, ClassVar

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
    Need,
    explain_misuse,
    find_own_markers,
    find_request_marker,
    is_fast_depends_marker,
    list_markers,
    read_marker,
    takes_custom_field,
    without_markers,
)
from wares.exceptions import UnresolvableParameterError

#: A first parameter of this name receives the container without an annotation.
CONTAINER_NAME = "wares_container"


@attrs.frozen
class Signature:
    """What a callable needs, and what calling it returns.

    Attributes:
        needs: The needs of its parameters, those passed by position first.
        shape: What calling it returns.
        may_return_generator: Whether it wraps a generator function, and may return its generator.
    """

    needs: tuple[Need, ...] = ()
    shape: Shape = Shape.PLAIN
    may_return_generator: bool = False


def read_signature(
    factory: Callable[..., Any],
    *,
    is_dependency: bool = False,
    viewpoint: Viewpoint | None = None,
) -> Signature:
    """Read the signature of a factory.

    Args:
        factory: Any callable.
        is_dependency: Whether a marker names the callable, so that it may take arguments by name.
        viewpoint: Where annotations are evaluated, besides the surroundings of the callable.

    Raises:
        UnresolvableParameterError: Nothing can fill a required parameter.
    """
    kind = _DependencyReader if is_dependency else _FactoryReader
    reader = kind(factory, viewpoint)
    target = without_autowire(factory)
    return Signature(tuple(reader.read_needs()), read_shape(target), wraps_generator(target))


def read_call(function: Callable[..., Any]) -> tuple[Need, ...]:
    """Read the needs of a function for `Container.call`, whose caller may pass any argument.

    Parameters that cannot be read are left to the caller.
    """
    return tuple(_CallReader(function).read_needs())


def read_marked(function: Callable[..., Any], viewpoint: Viewpoint) -> tuple[Need, ...]:
    """Read the needs of the parameters of *function* that carry a marker.

    Raises:
        UnresolvableParameterError: A marker cannot work where it is written.
    """
    reader = _MarkedReader(function, viewpoint)
    return tuple(need for need in reader.read_needs() if need.is_marked)


def find_own_marked(
    function: Callable[..., Any], viewpoint: Viewpoint
) -> Iterator[inspect.Parameter]:
    """Yield the parameters of *function* that have a marker of wares, also a misplaced one.

    Raises:
        InvalidRegistrationError: The parameters cannot be read.
    """
    reader = Reader(function, viewpoint)
    for parameter in read_parameters(function):
        annotation = reader.try_to_evaluate(parameter)
        if find_own_markers(parameter.replace(annotation=annotation)):
            yield parameter


def find_overlooked_markers(
    function: Callable[..., Any], names: Collection[str]
) -> Iterator[UnresolvableParameterError]:
    """Find markers on parameters that a framework would read from the request.

    Args:
        function: The function that the framework calls.
        names: The names of those parameters.

    Yields:
        An error for each parameter whose marker the framework has overlooked, and for each whose
        annotation cannot be evaluated.
    """
    reader = Reader(function)
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
    """Evaluate the annotations of the parameters of *function*, and of its result as ``return``.

    Markers are removed.

    Raises:
        UnresolvableParameterError: An annotation cannot be evaluated.
    """
    reader = Reader(function, viewpoint)
    signature = read_raw(function)
    result = as_parameter("return", signature.return_annotation)
    found = {
        parameter.name: reader.evaluate(parameter)
        for parameter in (*signature.parameters.values(), result)
    }
    return {
        name: without_markers(annotation)
        for name, annotation in found.items()
        if annotation is not MISSING
    }


def evaluate_result(factory: Callable[..., Any]) -> Any:
    """Evaluate the annotation of the result of *factory*; return `MISSING` if there is none.

    Raises:
        UnresolvableParameterError: The annotation cannot be evaluated.
    """
    # This annotation is not worth importing a module.
    reader = Reader(factory, Viewpoint(may_import=False))
    return reader.evaluate(as_parameter("return", read_raw(factory).return_annotation))


def check_parameters(factory: Callable[..., Any]) -> None:
    """Raise an error for a required parameter that no registration could ever fill.

    No annotation is evaluated, so this is fast enough for each registration.

    Raises:
        UnresolvableParameterError: A parameter has neither an annotation nor a default.
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


class Reader:
    """Reads the annotations, the markers and the needs of one callable."""

    #: The class whose annotation asks for the container; its module sets it.
    container: ClassVar[type] = object
    #: Whether it is an error if the annotation of a required parameter cannot be read.
    _is_strict = True
    #: Whether a first parameter named `CONTAINER_NAME` receives the container.
    _takes_container_by_name = True

    def __init__(self, factory: Callable[..., Any], viewpoint: Viewpoint | None = None) -> None:
        self._factory = without_autowire(factory)
        self._fills_defaults = isinstance(factory, Autowired)
        target: Any = self._factory
        self._bound = target.keywords if isinstance(target, functools.partial) else {}
        self._owner = owner = find_owner(factory)
        self._surroundings = surroundings_of(
            unwrap(factory), None if owner is None else owner.origin, viewpoint
        )

    def read_needs(self) -> Iterator[Need]:
        """Yield a need for each parameter that is filled."""
        by_keyword = False
        for position, parameter in enumerate(read_parameters(self._factory)):
            need = self._read_need(parameter, position)
            if parameter.kind is parameter.POSITIONAL_ONLY:
                # If it is not filled, the default must be passed, to keep the positions.
                yield need or Need(parameter.name, MISSING, default=parameter.default)
                continue
            # A parameter after one that may be left out cannot be passed by position.
            may_be_left_out = need is None or need.default is not MISSING
            by_keyword |= may_be_left_out or parameter.kind is parameter.KEYWORD_ONLY
            if need is not None:
                yield attrs.evolve(need, by_keyword=by_keyword)

    def _read_need(self, parameter: inspect.Parameter, position: int) -> Need | None:
        is_first = position == 0 and self._takes_container_by_name
        if is_first and parameter.name == CONTAINER_NAME:
            return Need(parameter.name, self.container)
        if parameter.name in self._bound:
            return None
        has_default = parameter.kind in VARIADIC or parameter.default is not parameter.empty
        is_needed = self._is_strict and not has_default
        annotation = (self.evaluate if is_needed else self.try_to_evaluate)(parameter)
        marker = self.find_marker(parameter, annotation)
        if marker is not None:
            return self._read_marked(parameter, read_marker(marker))
        return (
            None if parameter.kind in VARIADIC else self._read_unmarked(parameter, annotation)
        )

    def _read_unmarked(
        self,
        parameter: inspect.Parameter,  # noqa: ARG002  # subclasses use it
        annotation: Any,  # noqa: ARG002  # subclasses use it
    ) -> Need | None:
        """Return the need of a parameter without a marker, if it is filled."""
        return None

    def _read_marked(self, parameter: inspect.Parameter, need: Need) -> Need:
        key: Any = need.key
        if key is None:
            if parameter.annotation is parameter.empty:
                raise self.make_error(
                    parameter.name,
                    "Depends() without a dependency takes it from the annotation, and there is "
                    "none. Annotate the parameter, or write Depends(dependency).",
                )
            key = without_markers(self.evaluate(parameter))
        elif isinstance(key, typing.ForwardRef):
            # From Python 3.14 on, a marker may have been made before its dependency was defined.
            key = self.evaluate(parameter.replace(annotation=key))
        return self._checked(attrs.evolve(need, name=parameter.name, key=expand_alias(key)))

    def _checked(self, need: Need) -> Need:
        if not is_hashable(need.key):
            raise self.make_error(
                need.name,
                f"it asks for {describe(need.key)}, which is not hashable and so cannot be a key.",
            )
        return need

    def find_marker(self, parameter: inspect.Parameter, annotation: Any) -> Any:
        """Return the marker of a parameter, from its *annotation* or its default, if it has one."""
        misuse = explain_misuse(parameter, annotation)
        if misuse is not None:
            raise self.make_error(parameter.name, misuse)
        return next(iter(list_markers(parameter, annotation)), None)

    def try_to_evaluate(self, parameter: inspect.Parameter) -> Any:
        """Evaluate the annotation of a parameter; return `MISSING` if that fails."""
        try:
            return self.evaluate(parameter)
        except UnresolvableParameterError:
            return MISSING

    def evaluate(self, parameter: inspect.Parameter) -> Any:
        """Evaluate the annotation of a parameter; return `MISSING` if it has none."""
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
        """Return the error for a parameter of the callable."""
        return UnresolvableParameterError(parameter, describe_callable(self._factory), reason)

    def _look_up(self, parameter: str, annotation: Any) -> Any:
        """Evaluate an annotation in the class that wrote it, and fill in its type parameters."""
        owner = self._owner
        if owner is None:
            return self._surroundings.evaluate(annotation)
        home = owner.find_home_of(parameter)
        evaluated = self._surroundings.within(home).evaluate(annotation)
        return substitute(evaluated, find_type_arguments(owner.kind, home))


class _FactoryReader(Reader):
    """Reads the needs of a registered factory."""

    def _read_unmarked(self, parameter: inspect.Parameter, annotation: Any) -> Need | None:
        """Return the need; with a default, only for the container and autowired factories."""
        marker = find_request_marker(parameter, annotation)
        if marker is not None:
            raise self.make_error(
                parameter.name,
                f"only FastAPI fills {type(marker).__name__}(), and only in endpoints and their "
                f"dependencies. Ask for the Request, and read it there; or do not register the "
                f"function, and leave it a dependency of FastAPI: Depends(...).",
            )
        if parameter.default is parameter.empty:
            return self._checked(Need(parameter.name, annotation))
        if annotation is self.container:
            return Need(parameter.name, annotation)
        key = without_none(annotation)
        if annotation is MISSING or not self._fills_defaults or not is_hashable(key):
            return None
        return Need(parameter.name, key, default=parameter.default)


class _DependencyReader(Reader):
    """Reads the needs of a callable that a marker names; it may take arguments by name."""

    def _read_unmarked(self, parameter: inspect.Parameter, annotation: Any) -> Need:
        if annotation is self.container:
            return Need(parameter.name, annotation)
        key, default = annotation, MISSING
        if parameter.default is not parameter.empty:
            key, default = without_none(annotation), parameter.default
        key = key if is_hashable(key) else MISSING
        return Need(parameter.name, key, default=default, takes_argument=True)


class _CallReader(_DependencyReader):
    """Reads the needs of a function for `Container.call`."""

    _is_strict = False


class _MarkedReader(Reader):
    """Reads the marked parameters of an injected function."""

    _is_strict = False
    _takes_container_by_name = False

    def find_marker(self, parameter: inspect.Parameter, annotation: Any) -> Any:
        """Return the marker of a parameter; one of FastDepends may be left to FastDepends.

        That is so in a function with a parameter that only FastDepends fills, such as FastStream's
        ``Context``: FastStream uses FastDepends to call it.
        """
        marker = super().find_marker(parameter, annotation)
        is_foreign = is_fast_depends_marker(marker)
        if is_foreign and takes_custom_field(self._factory):
            return None
        return marker

    def _read_marked(self, parameter: inspect.Parameter, need: Need) -> Need:
        if parameter.kind is parameter.POSITIONAL_ONLY:
            raise self.make_error(
                parameter.name,
                "it is positional-only, so no caller can pass it by name. Move it after the `/`.",
            )
        return super()._read_marked(parameter, need)


def as_parameter(name: str, annotation: Any) -> inspect.Parameter:
    """Make a parameter that only carries an annotation, for `Reader.evaluate`."""
    return inspect.Parameter(name, inspect.Parameter.POSITIONAL_ONLY, annotation=annotation)


def without_none(annotation: Any) -> Any:
    """Return ``T`` for ``T | None``; a parameter with a default asks for ``T``."""
    if typing.get_origin(annotation) not in UNIONS:
        return annotation
    rest = [item for item in typing.get_args(annotation) if item is not types.NoneType]
    return rest[0] if len(rest) == 1 else annotation
