"""What a callable needs, and what calling it leads to: a result, a generator, a coroutine.

This module knows callables of every shape. It must not know registries, containers or what is
registered: the class that stands for "the container" is told to it.
"""

from __future__ import annotations

import dataclasses
import enum
import functools
import inspect
import sys
import types
import typing
from collections.abc import Callable, Hashable, Iterator
from typing import Any, Literal, TypeVar, cast

import attrs

from wares._core.annotations import FindName, Viewpoint, surroundings_of
from wares._core.keys import MISSING, describe, is_hashable
from wares._core.sources import find_place_of_class
from wares.exceptions import InvalidRegistrationError, UnresolvableParameterError

#: The name of a first parameter that receives the container without an annotation.
CONTAINER_NAME = "wares_container"

_VARIADIC = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


class Shape(enum.Enum):
    """What calling a callable leads to."""

    PLAIN = "plain"
    COROUTINE = "coroutine"
    GENERATOR = "generator"
    ASYNC_GENERATOR = "async generator"

    @property
    def is_async(self) -> bool:
        """Whether the service is there only after an ``await``."""
        return self in (Shape.COROUTINE, Shape.ASYNC_GENERATOR)


@attrs.frozen
class Need:
    """One parameter, and what it is to be filled with.

    Attributes:
        name: The parameter's name.
        key: What to ask for.
        by_keyword: Whether the argument is passed by keyword.
        default: The parameter's default, used where *key* is not registered; else `MISSING`.
        is_marked: Whether `Depends` or `Inject` marks it, so that an unregistered callable is
            called.
        use_cache: Whether the made service is shared.
        scope: The scope that the marker names.
        takes_argument: Whether it belongs to a dependency and has no marker: then it takes the
            argument of that name of the call that is being served, where there is one.
    """

    name: str
    key: Hashable
    by_keyword: bool
    default: Any = MISSING
    is_marked: bool = False
    use_cache: bool = True
    scope: Literal["request", "function"] | None = None
    takes_argument: bool = False


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


@attrs.frozen
class Autowired:
    """A callable whose parameters with defaults are filled as well."""

    factory: Callable[..., Any]

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the factory itself."""
        return self.factory(*args, **kwargs)


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
    kind = _DependencyReader if is_dependency else _Reader
    reader = kind(
        target,
        container,
        find_name,
        fills_defaults=isinstance(factory, Autowired),
        viewpoint=viewpoint,
    )
    return Signature(
        tuple(reader.read_needs()), read_shape(target), _may_return_generator(target)
    )


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
    reader = _MarkedReader(
        function, container, find_name, fills_defaults=False, viewpoint=viewpoint
    )
    return tuple(need for need in reader.read_needs() if need.is_marked)


def read_annotations(
    function: Callable[..., Any], find_name: FindName, viewpoint: Viewpoint
) -> dict[str, Any]:
    """Read what the parameters of *function*, and its result as ``return``, are annotated with.

    Markers are left out, and so is what cannot be read.
    """
    reader = _MarkedReader(
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
    for position, parameter in enumerate(_parameters(target)):
        if _is_bare(parameter, position):
            raise _no_annotation(parameter, target)


def _looks_unannotated(factory: Any) -> bool:
    """Tell cheaply whether a required parameter may lack an annotation."""
    function = getattr(factory, "__init__", None) if isinstance(factory, type) else factory
    code = getattr(function, "__code__", None)
    if code is None:
        return not isinstance(factory, type)
    count: int = code.co_argcount + code.co_kwonlyargcount - isinstance(factory, type)
    try:
        annotations = getattr(function, "__annotations__", ())
    except NameError:  # pragma: no cover  # from Python 3.14 on they are evaluated only now
        return False
    return count > 0 and len(annotations) - ("return" in annotations) < count


def _is_bare(parameter: inspect.Parameter, position: int) -> bool:
    return (
        parameter.kind not in _VARIADIC
        and parameter.default is parameter.empty
        and parameter.annotation is parameter.empty
        and not (position == 0 and parameter.name == CONTAINER_NAME)
    )


def _no_annotation(
    parameter: inspect.Parameter, factory: Callable[..., Any]
) -> UnresolvableParameterError:
    return UnresolvableParameterError(
        parameter.name,
        describe_callable(factory),
        "it has neither an annotation nor a default. Annotate it with what it needs, "
        "give it a default, or wrap the call: lambda: ... The container itself is passed to a "
        f"first parameter named {CONTAINER_NAME}.",
    )


def is_marker(thing: object) -> bool:
    """Tell whether *thing* marks a dependency: ours, FastAPI's and FastDepends' do, by shape."""
    return (
        not isinstance(thing, type)
        and hasattr(thing, "dependency")
        # A mock has every attribute, but this is no bool.
        and isinstance(getattr(thing, "use_cache", None), bool)
    )


@attrs.frozen(repr=False)
class Identity:
    """The key of a callable that is not hashable: itself and no other."""

    callable: Callable[..., Any] = attrs.field(eq=id)

    def __repr__(self) -> str:
        return _name_of(self.callable)


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


def read_shape(factory: Callable[..., Any]) -> Shape:
    """Tell what calling *factory* leads to, as far as it says so itself."""
    called = factory.func if isinstance(factory, functools.partial) else factory
    for candidate in (called, getattr(type(called), "__call__", None)):  # noqa: B004  # the function, not whether there is one
        if isinstance(called, type):
            break
        if inspect.isasyncgenfunction(candidate):
            return Shape.ASYNC_GENERATOR
        if inspect.isgeneratorfunction(candidate):
            return Shape.GENERATOR
        if inspect.iscoroutinefunction(candidate):
            return Shape.COROUTINE
    return Shape.PLAIN


def _may_return_generator(factory: Callable[..., Any]) -> bool:
    innermost = unwrap(factory)[-1]
    return inspect.isgeneratorfunction(innermost) or inspect.isasyncgenfunction(innermost)


def unwrap(factory: Callable[..., Any]) -> tuple[Callable[..., Any], ...]:
    """List *factory* and what it wraps, the outermost first, down to a plain function."""
    chain: list[Any] = []
    current: Any = factory
    while current is not None and not any(current is seen for seen in chain):
        chain.append(current)
        if isinstance(current, functools.partial):
            current = current.func
        elif isinstance(current, Autowired):
            current = current.factory
        elif isinstance(current, types.MethodType):
            current = current.__func__
        elif isinstance(typing.get_origin(current), type):
            current = typing.get_origin(current)
        elif hasattr(current, "__wrapped__"):
            current = current.__wrapped__
        elif isinstance(current, type):
            current = current.__init__ if inspect.isfunction(current.__init__) else None  # type: ignore[misc]  # only read
        elif not hasattr(current, "__code__"):
            call = getattr(type(current), "__call__", None)  # noqa: B004  # the function, not whether there is one
            current = call if inspect.isfunction(call) else None
        else:
            current = None
    return tuple(chain)


def describe_callable(factory: Callable[..., Any]) -> str:
    """Name *factory* and where it is defined, as ``name (file:line)``."""
    name = _name_of(factory)
    place = find_place(factory)
    return f"{name} ({place})" if place else name


def _name_of(factory: Callable[..., Any]) -> str:
    for candidate in unwrap(factory):
        name = getattr(candidate, "__qualname__", None)
        if isinstance(name, str):
            return name.rpartition("<locals>.")[2]
    return describe(type(factory))


def find_place(factory: Callable[..., Any]) -> str | None:
    """Find the file and line where *factory* is defined, as ``file:line``."""
    if isinstance(factory, type):
        return find_place_of_class(factory)
    for candidate in reversed(unwrap(factory)):
        code = getattr(candidate, "__code__", None)
        if isinstance(code, types.CodeType) and not code.co_filename.startswith("<"):
            return f"{code.co_filename}:{code.co_firstlineno}"
    return find_place_of_class(type(factory))


def _parameters(factory: Callable[..., Any]) -> tuple[inspect.Parameter, ...]:
    """List the parameters of *factory*; a builtin that does not tell has none."""
    origin = typing.get_origin(factory)
    if isinstance(origin, type):
        # A generic alias, as in Repository[User], is called like its class.
        factory = origin
    try:
        return tuple(_read_raw(factory).parameters.values())
    except ValueError:
        return ()
    except TypeError as error:
        message = f"Cannot read the parameters of {describe_callable(factory)}: {error}"
        raise InvalidRegistrationError(message) from error


if sys.version_info >= (3, 14):

    def _read_raw(factory: Callable[..., Any]) -> inspect.Signature:
        """Read a signature without evaluating names that are not there yet (PEP 749)."""
        import annotationlib  # noqa: PLC0415  # new in Python 3.14

        return inspect.signature(factory, annotation_format=annotationlib.Format.FORWARDREF)

else:

    def _read_raw(factory: Callable[..., Any]) -> inspect.Signature:
        """Read a signature; annotations that are strings stay strings."""
        return inspect.signature(factory)


class _Reader:
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
        self._surroundings = surroundings_of(
            unwrap(factory), factory if isinstance(factory, type) else None, viewpoint
        )

    def read_needs(self) -> Iterator[Need]:
        """Read one need for each parameter that is to be filled."""
        by_keyword = False
        for position, parameter in enumerate(_parameters(self._factory)):
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
        if parameter.kind in _VARIADIC:
            self._refuse_variadic_marker(parameter)
            return None
        is_first = position == 0 and self._takes_container_by_name
        if is_first and parameter.name == CONTAINER_NAME:
            return Need(parameter.name, self._container, by_keyword)
        if is_marker(parameter.default):
            self._refuse_second_marker(parameter)
            return self._read_marked(parameter, parameter.default, by_keyword=by_keyword)
        return self._read_unmarked(parameter, by_keyword=by_keyword)

    def _read_unmarked(self, parameter: inspect.Parameter, *, by_keyword: bool) -> Need | None:
        """Read a parameter that has no marker as its default, and no name that we know."""
        if _is_bare(parameter, -1):
            raise _no_annotation(parameter, self._factory)
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
        if parameter.annotation is parameter.empty:
            return None
        try:
            annotation = self._evaluate(parameter)
        except UnresolvableParameterError:
            # Nobody needs the annotation: the default is there.
            return None
        marker = self._find_marker(parameter, annotation)
        if marker is not None:
            return self._read_marked(parameter, marker, by_keyword=by_keyword)
        if annotation is self._container:
            return Need(parameter.name, annotation, by_keyword)
        if not self._fills_defaults:
            return None
        key = _without_none(annotation)
        if not is_hashable(key):
            return None
        return Need(parameter.name, key, by_keyword=True, default=parameter.default)

    def _read_marked(
        self, parameter: inspect.Parameter, marker: Any, *, by_keyword: bool
    ) -> Need:
        key = marker.dependency
        if key is None:
            if parameter.annotation is parameter.empty:
                raise UnresolvableParameterError(
                    parameter.name,
                    describe_callable(self._factory),
                    "Depends() without a dependency takes it from the annotation, and there is "
                    "none. Annotate the parameter, or write Depends(dependency).",
                )
            key = _without_marker(self._evaluate(parameter))
        elif not _can_be_asked_for(key):
            raise self._cannot_mark(
                parameter,
                f"Depends({key!r}) names no dependency. Write Depends(function), "
                f"Depends(Class) or the key under which a service is registered.",
            )
        key = getattr(key, "__wares_key__", key)
        if callable(key):
            key = as_key(key)
        return self._checked(
            Need(
                parameter.name,
                key,
                by_keyword,
                is_marked=True,
                use_cache=marker.use_cache,
                scope=getattr(marker, "scope", None),
            )
        )

    def _find_marker(self, parameter: inspect.Parameter, annotation: Any) -> Any:
        if typing.get_origin(annotation) is not typing.Annotated:
            return None
        markers = [item for item in annotation.__metadata__ if is_marker(item)]
        if len(markers) > 1:
            raise self._cannot_mark(
                parameter,
                f"its annotation has {len(markers)} markers, {', '.join(map(repr, markers))}. "
                f"Keep one of them.",
            )
        return markers[0] if markers else None

    def _refuse_second_marker(self, parameter: inspect.Parameter) -> None:
        if parameter.annotation is parameter.empty:
            return
        try:
            annotation = self._evaluate(parameter)
        except UnresolvableParameterError:
            # Nobody needs the annotation: the marker is there.
            return
        if self._find_marker(parameter, annotation) is not None:
            raise self._cannot_mark(
                parameter,
                "it has one marker in its annotation and another as its default. Keep one of "
                "them.",
            )

    def _refuse_variadic_marker(self, parameter: inspect.Parameter) -> None:
        if parameter.annotation is parameter.empty:
            return
        try:
            annotation = self._evaluate(parameter)
        except UnresolvableParameterError:
            # It takes whatever is left over; its annotation means nothing here.
            return
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

    def _evaluate(self, parameter: inspect.Parameter) -> Any:
        annotation = parameter.annotation
        if isinstance(annotation, dataclasses.InitVar):
            annotation = annotation.type
        try:
            evaluated = self._surroundings.evaluate(annotation, self._find_name)
        except (NameError, AttributeError, TypeError, SyntaxError) as error:
            raise UnresolvableParameterError(
                parameter.name,
                describe_callable(self._factory),
                f"its annotation {annotation!r} cannot be evaluated ({error}). Import what it "
                f"names in that module, or register the class under that name.",
            ) from error
        return evaluated.type if isinstance(evaluated, dataclasses.InitVar) else evaluated

    def _checked(self, need: Need) -> Need:
        try:
            hash(need.key)
        except TypeError:
            raise UnresolvableParameterError(
                need.name,
                describe_callable(self._factory),
                f"it asks for {describe(need.key)}, which is not hashable and so cannot be a key.",
            ) from None
        return need


class _DependencyReader(_Reader):
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
            key = _without_none(key)
            by_keyword = True
        if not is_hashable(key):
            key = MISSING
        return Need(parameter.name, key, by_keyword, default, takes_argument=True)

    def _read_key(self, parameter: inspect.Parameter) -> Any:
        if parameter.annotation is parameter.empty:
            return MISSING
        try:
            return self._evaluate(parameter)
        except UnresolvableParameterError:
            if parameter.default is parameter.empty:
                raise
            # Nobody needs the annotation: the default is there.
            return MISSING


class _MarkedReader(_Reader):
    """Reads the marked parameters of a function that is called by others."""

    _takes_container_by_name = False

    def read_annotations(self) -> Iterator[tuple[str, Any]]:
        """Read all annotations that can be read."""
        signature = _read_raw(self._factory)
        result = inspect.Parameter(
            "return", inspect.Parameter.POSITIONAL_ONLY, annotation=signature.return_annotation
        )
        for parameter in (*signature.parameters.values(), result):
            if parameter.annotation is parameter.empty:
                continue
            try:
                yield parameter.name, _without_marker(self._evaluate(parameter))
            except UnresolvableParameterError:
                continue

    def _read_marked(
        self, parameter: inspect.Parameter, marker: Any, *, by_keyword: bool
    ) -> Need:
        if parameter.kind is parameter.POSITIONAL_ONLY:
            raise self._cannot_mark(
                parameter,
                "it is positional-only, so that no caller could pass it by its name. Move it "
                "behind the `/`.",
            )
        return super()._read_marked(parameter, marker, by_keyword=by_keyword)

    def _read_unmarked(self, parameter: inspect.Parameter, *, by_keyword: bool) -> Need | None:
        if parameter.annotation is parameter.empty:
            return None
        try:
            annotation = self._evaluate(parameter)
        except UnresolvableParameterError:
            # Nobody asks for it: whatever it means, it is the callers' business.
            return None
        marker = self._find_marker(parameter, annotation)
        if marker is None:
            return None
        return self._read_marked(parameter, marker, by_keyword=by_keyword)


def _can_be_asked_for(key: object) -> bool:
    """Tell whether a marker may name *key*: numbers and the like are surely mistakes."""
    is_number = isinstance(key, int | float | complex) and not isinstance(key, enum.Enum)
    return not (is_number or isinstance(key, bytes | types.EllipsisType))


def _by_position(need: Need | None, parameter: inspect.Parameter) -> Need:
    """Make the need of a positional-only parameter: left alone, it is passed its default."""
    if need is None:
        return Need(parameter.name, MISSING, by_keyword=False, default=parameter.default)
    return attrs.evolve(need, by_keyword=False)


def _without_marker(annotation: Any) -> Any:
    """Give what *annotation* asks for apart from its marker: ``Annotated[T, "name"]`` stays."""
    if typing.get_origin(annotation) is not typing.Annotated:
        return annotation
    rest = tuple(item for item in annotation.__metadata__ if not is_marker(item))
    return typing.Annotated[annotation.__origin__, *rest] if rest else annotation.__origin__


def _without_none(annotation: Any) -> Any:
    """Give ``T`` for ``T | None``: with a default, that is how an optional service is written."""
    if typing.get_origin(annotation) not in (typing.Union, types.UnionType):
        return annotation
    rest = [item for item in typing.get_args(annotation) if item is not types.NoneType]
    return rest[0] if len(rest) == 1 else annotation


F = TypeVar("F", bound=Callable[..., Any])


def autowire(factory: F) -> F:
    """Fill the parameters of *factory* that have defaults, too, where something is registered.

    Without it, only required parameters are filled. It serves synchronous and asynchronous
    factories alike.

    >>> from wares import Registry
    >>> def greet(name: str = "world") -> bytes:
    ...     return f"hello {name}".encode()
    >>> registry = Registry()
    >>> registry.register_value(str, "wares")
    >>> registry.register_factory(bytes, autowire(greet))
    >>> with registry.container() as container:
    ...     container.get(bytes)
    b'hello wares'

    Args:
        factory: Any callable.

    Returns:
        A factory to register; called by hand, it is *factory*.

    Raises:
        InvalidRegistrationError: It is not callable.
    """
    if not callable(cast("object", factory)):
        message = (
            f"Cannot autowire an instance of {type(factory).__qualname__}: it is not callable."
        )
        raise InvalidRegistrationError(message)
    check_parameters(factory)
    return cast("F", Autowired(factory))
