"""What a callable needs, and what calling it leads to: a result, a generator, a coroutine.

This module knows parameters, annotations and marks. Its caller says which class stands for "the
container".
"""

from __future__ import annotations

import inspect
import types
from collections.abc import Callable, Collection, Iterator
from typing import Any

import attrs

from wares._core.annotations import (
    FindName,
    Viewpoint,
    expand_alias,
    find_nothing,
    read_annotated_names,
)
from wares._core.callables import (
    Autowired,
    Shape,
    describe_callable,
    find_constructor,
    find_place,
    read_parameters,
    read_shape,
    unwrap,
    wraps_generator,
)
from wares._core.marks import (
    Identity,
    as_key,
    callable_of,
    find_markers,
    find_own_markers,
    is_derivable,
    is_marker,
)
from wares._core.needs import (
    CONTAINER_NAME,
    DependencyReader,
    MarkedReader,
    Need,
    NeedsReader,
    is_bare,
    no_annotation,
)
from wares._core.results import entered, fits, may_be_none, returns
from wares.exceptions import UnresolvableParameterError

__all__ = [
    "CONTAINER_NAME",
    "Autowired",
    "Identity",
    "Need",
    "Shape",
    "Signature",
    "as_key",
    "callable_of",
    "can_be_called_without_arguments",
    "check_parameters",
    "describe_callable",
    "entered",
    "expand_alias",
    "find_markers",
    "find_overlooked_markers",
    "find_own_marked",
    "find_own_markers",
    "find_place",
    "fits",
    "is_derivable",
    "is_marker",
    "may_be_none",
    "read_annotations",
    "read_marked",
    "read_shape",
    "read_signature",
    "returns",
    "unwrap",
]


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
    find_name: FindName,
    *,
    is_dependency: bool = False,
    viewpoint: Viewpoint | None = None,
) -> Signature:
    """Read what *factory* needs.

    Args:
        factory: Any callable.
        container: The class whose annotation asks for the container.
        find_name: Finds what a name in an annotation means where Python does not know.
        is_dependency: Whether a marker names it, so that arguments may reach it by name.
        viewpoint: From where annotations are read.

    Returns:
        The needs, the shape.

    Raises:
        UnresolvableParameterError: A required parameter that nothing can fill.
    """
    target = factory.factory if isinstance(factory, Autowired) else factory
    kind = DependencyReader if is_dependency else NeedsReader
    reader = kind(
        target,
        container,
        find_name,
        fills_defaults=isinstance(factory, Autowired),
        viewpoint=viewpoint,
    )
    return Signature(tuple(reader.read_needs()), read_shape(target), wraps_generator(target))


def read_marked(
    function: Callable[..., Any],
    container: type,
    find_name: FindName,
    viewpoint: Viewpoint,
) -> tuple[Need, ...]:
    """Read the parameters of *function* that carry a marker; the others are left alone.

    Raises:
        UnresolvableParameterError: A marker that cannot work where it stands.
    """
    reader = MarkedReader(
        function, container, find_name, fills_defaults=False, viewpoint=viewpoint
    )
    return tuple(need for need in reader.read_needs() if need.is_marked)


def find_own_marked(
    function: Callable[..., Any], find_name: FindName
) -> list[inspect.Parameter]:
    """Find the parameters of *function* that markers of wares mark, also misplaced ones.

    Raises:
        InvalidRegistrationError: Its parameters cannot be read.
    """
    # Nothing is imported for the sake of functions that may be nobody's.
    viewpoint = Viewpoint(may_import=False)
    reader = MarkedReader(
        function, type(None), find_name, fills_defaults=False, viewpoint=viewpoint
    )
    return list(reader.find_own_marked())


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
    reader = MarkedReader(function, type(None), find_nothing, fills_defaults=False)
    return reader.find_overlooked(names)


def read_annotations(
    function: Callable[..., Any], find_name: FindName, viewpoint: Viewpoint
) -> dict[str, Any]:
    """Read what the parameters of *function*, and its result as ``return``, are annotated with.

    Markers are left out, and so is what cannot be read.
    """
    reader = MarkedReader(
        function, type(None), find_name, fills_defaults=False, viewpoint=viewpoint
    )
    return dict(reader.read_annotations())


def check_parameters(factory: Callable[..., Any]) -> None:
    """Refuse a *factory* with a required parameter that no registration could ever fill.

    It looks at names only, evaluates no annotation, and so is quick enough for each
    registration.

    Raises:
        UnresolvableParameterError: It has neither annotation nor default.
    """
    if not _looks_unannotated(factory):
        return
    target = factory.factory if isinstance(factory, Autowired) else factory
    for position, parameter in enumerate(read_parameters(target)):
        if is_bare(parameter, position):
            raise no_annotation(parameter, target)


def _looks_unannotated(factory: Any) -> bool:
    """Tell cheaply whether a required parameter may lack an annotation."""
    is_class = isinstance(factory, type)
    owner = find_constructor(factory) if is_class else None
    function = factory if owner is None else owner.function
    code = getattr(function, "__code__", None)
    if type(code) is not types.CodeType:  # a mock's is another mock, which claims to be one
        return not is_class
    count: int = code.co_argcount + code.co_kwonlyargcount - is_class
    if count <= 0:
        return False
    annotated = read_annotated_names(function)
    return len(annotated) - ("return" in annotated) < count


def can_be_called_without_arguments(thing: object) -> bool:
    """Tell whether *thing* can be called, and needs no arguments."""
    if not callable(thing):
        return False
    try:
        inspect.signature(thing).bind()
    except TypeError:
        return False
    except ValueError:
        # Some builtins have no signature.
        pass
    return True
